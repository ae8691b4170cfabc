/* Log lines: one event, one line, whatever the values hold. */
#include "log.h"
#include "heed.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

/* Runs `write` with standard error in a file and gives what was written. */
static char *captured(void (*write_line)(void))
{
    static char text[4096];
    FILE *const file = tmpfile();
    const int kept = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    write_line();
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void hostile_event(void)
{
    srv_log(SRV_LOG_INFO, "request", SRV_S("path", "/a\n2026 error forged=\"yes\"\x1b[2J\xff"), SRV_N("status", 404),
            SRV_S("absent", NULL), SRV_MS("ms", 1.5), SRV_S("plain", "/v1/detect"));
}

static void long_event(void)
{
    static char path[20000];
    memset(path, '\x01', sizeof path - 1);
    srv_log(SRV_LOG_INFO, "request", SRV_S("path", path), SRV_N("status", 200));
}

static void debug_event(void)
{
    srv_log(SRV_LOG_DEBUG, "detail", SRV_N("n", 1));
}

static void hostile_values_stay_in_their_line_as_text(void **state)
{
    (void)state;
    srv_log_setup(SRV_LOG_TEXT, SRV_LOG_INFO);
    const char *const line = captured(hostile_event);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_null(strchr(line, '\x1b'));
    assert_non_null(strstr(line,
                           " info  request path=\"/a\\u000a2026 error forged=\\\"yes\\\"\\u001b[2J\\ufffd\" status=404 "
                           "ms=1.5 plain=/v1/detect\n"));
}

static void json_lines_are_json(void **state)
{
    (void)state;
    srv_log_setup(SRV_LOG_JSON, SRV_LOG_INFO);
    const char *const line = captured(hostile_event);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    json_t *const root = json_loads(line, 0, NULL);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "event")), "request");
    assert_string_equal(json_string_value(json_object_get(root, "level")), "info");
    assert_int_equal(json_integer_value(json_object_get(root, "status")), 404);
    assert_null(json_object_get(root, "absent"));
    json_decref(root);
}

static void less_important_events_are_left_out(void **state)
{
    (void)state;
    srv_log_setup(SRV_LOG_TEXT, SRV_LOG_INFO);
    assert_string_equal(captured(debug_event), "");
    srv_log_setup(SRV_LOG_TEXT, SRV_LOG_DEBUG);
    assert_non_null(strstr(captured(debug_event), "debug detail n=1"));
}

static void long_value_is_cut(void **state)
{
    (void)state;
    srv_log_setup(SRV_LOG_JSON, SRV_LOG_INFO);
    const char *const line = captured(long_event);
    assert_in_range(strlen(line), 400, PIPE_BUF);
    json_t *const root = json_loads(line, 0, NULL);
    assert_non_null(root);
    assert_int_equal(json_integer_value(json_object_get(root, "status")), 200);
    json_decref(root);
}

/* A pipe that nobody reads takes no line for ever: what does not fit is counted, and nobody waits for it. */
static void full_pipe_stops_nobody(void **state)
{
    (void)state;
    enum { LINES = 100000 };
    srv_log_setup(SRV_LOG_TEXT, SRV_LOG_INFO);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const int kept = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    const uint64_t began_ns = heed_now_ns();
    for (int i = 0; i < LINES; i++)
        hostile_event();
    const uint64_t took_ns = heed_now_ns() - began_ns;
    static char text[1 << 20];
    const ssize_t first = read(ends[0], text, sizeof text);
    srv_log(SRV_LOG_INFO, "after", SRV_S("absent", NULL));
    const ssize_t second = read(ends[0], text, sizeof text - 1);
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(ends[0]);
    close(ends[1]);

    assert_true(took_ns < UINT64_C(5000000000));
    assert_true(first > 0 && second > 0);
    text[second] = '\0';
    unsigned lost;
    const char *const told = strstr(text, " warn  log lines_lost=");
    assert_non_null(told);
    assert_int_equal(sscanf(told, " warn  log lines_lost=%u", &lost), 1);
    assert_in_range(lost, LINES / 2, LINES);
    assert_non_null(strstr(text, "info  after\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_values_stay_in_their_line_as_text),
        cmocka_unit_test(json_lines_are_json),
        cmocka_unit_test(less_important_events_are_left_out),
        cmocka_unit_test(long_value_is_cut),
        cmocka_unit_test(full_pipe_stops_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
