/* Options: three spellings, their order of precedence, and refusals that name what was wrong. */
#include "options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char *no_environment[] = { NULL };

static bool read_flags(struct srv_options *options, struct srv_options_error *error, const char *a, const char *b)
{
    char *argv[] = { (char *)a, (char *)b, NULL };
    return srv_options_read(options, b ? 2 : a ? 1 : 0, argv, no_environment, error);
}

static void refuses(const char *a, const char *b, const char *named)
{
    struct srv_options options;
    struct srv_options_error error = { "" };
    assert_false(read_flags(&options, &error, a, b));
    assert_non_null(strstr(error.text, named));
    srv_options_deinit(&options);
}

static void refuses_file(const char *json, const char *named)
{
    struct srv_options options;
    struct srv_options_error error = { "" };
    assert_true(srv_options_init(&options));
    assert_false(srv_options_parse_file(&options, json, strlen(json), ".", &error));
    assert_non_null(strstr(error.text, named));
    srv_options_deinit(&options);
}

static void defaults_are_those_of_the_table(void **state)
{
    (void)state;
    struct srv_options options;
    assert_true(srv_options_init(&options));
    assert_int_equal(options.port, 8080);
    assert_string_equal(options.address, "0.0.0.0");
    assert_int_equal(options.queue_slots, 64);
    assert_int_equal(options.models.count, 0);
    assert_int_equal(options.log_level, 2); /* info */
    srv_options_deinit(&options);
}

static void flag_beats_environment_beats_file(void **state)
{
    (void)state;
    char path[] = "/tmp/heed-options-XXXXXX";
    const int fd = mkstemp(path);
    static const char json[] = "{\"port\": 1, \"queue_slots\": 2, \"timeout_ms\": 3}";
    assert_int_equal(write(fd, json, sizeof json - 1), sizeof json - 1);
    close(fd);
    char *argv[] = { (char *)"--config", path, (char *)"--port=11", NULL };
    char *environment[] = { (char *)"HEED_PORT=21", (char *)"HEED_QUEUE_SLOTS=22", (char *)"PATH=/bin", NULL };
    struct srv_options options;
    struct srv_options_error error;
    assert_true(srv_options_read(&options, 3, argv, environment, &error));
    assert_int_equal(options.port, 11);
    assert_int_equal(options.queue_slots, 22);
    assert_int_equal(options.timeout_ms, 3);
    srv_options_deinit(&options);
    unlink(path);
}

static void flag_value_stands_behind_a_space_or_an_equals_sign(void **state)
{
    (void)state;
    struct srv_options options;
    struct srv_options_error error;
    assert_true(read_flags(&options, &error, "--log-format", "json"));
    assert_int_equal(options.log_format, 1);
    srv_options_deinit(&options);
    assert_true(read_flags(&options, &error, "--log-format=json", NULL));
    assert_int_equal(options.log_format, 1);
    srv_options_deinit(&options);
}

static void bad_flags_are_refused_by_name_value_and_range(void **state)
{
    (void)state;
    refuses("--port", "65536", "--port");
    refuses("--port", "65536", "65536");
    refuses("--port", "65536", "65535");
    refuses("--port", "-1", "-1");
    refuses("--port", "", "--port");
    refuses("--port", "80x", "80x");
    refuses("--port", " 80", "--port");
    refuses("--port", "99999999999999999999999", "--port");
    refuses("--port", NULL, "--port");
    refuses("--log-level", "loud", "error|warn|info|debug");
    refuses("--log-level", "", "error|warn");
    refuses("--nonsense", "1", "--nonsense");
    refuses("--queue_slots", "1", "--queue_slots");
    refuses("serve", NULL, "serve");
    refuses("--config", "/no/such/file", "/no/such/file");
    refuses("--config", NULL, "--config");
}

static void bad_environment_is_refused_by_its_name(void **state)
{
    (void)state;
    char *environment[] = { (char *)"HEED_THREADS=many", NULL };
    struct srv_options options;
    struct srv_options_error error;
    assert_false(srv_options_read(&options, 0, NULL, environment, &error));
    assert_non_null(strstr(error.text, "HEED_THREADS"));
    srv_options_deinit(&options);
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    refuses_file("{", "line 1");
    refuses_file("[]", "object");
    refuses_file("{\"prot\": 1}", "prot");
    refuses_file("{\"port\": \"x\"}", "\"port\"");
    refuses_file("{\"port\": 1.5}", "\"port\"");
    refuses_file("{\"port\": true}", "\"port\"");
    refuses_file("{\"port\": 1, \"port\": 2}", "line 1");
    refuses_file("{\"models\": [1]}", "\"models\"");
    refuses_file("{\"queue_slots\": 0}", "from 1");
}

/* HEED_PORT in every pod of a service named heed. */
static void address_from_kubernetes_is_no_number_and_no_mistake(void **state)
{
    (void)state;
    char *environment[] = { (char *)"HEED_PORT=tcp://10.0.0.1:8080", (char *)"HEED_THREADS=3", NULL };
    struct srv_options options;
    struct srv_options_error error;
    assert_true(srv_options_read(&options, 0, NULL, environment, &error));
    assert_int_equal(options.port, 8080);
    assert_int_equal(options.threads, 3);
    srv_options_deinit(&options);
}

/* It may hold the keys: to go on without it would open the doors. */
static void default_file_that_is_there_but_cannot_be_read_is_refused(void **state)
{
    (void)state;
    char folder[] = "/tmp/heed-test-options-XXXXXX", before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(mkdir("config", 0700), 0);
    assert_int_equal(symlink("heed.json", "config/heed.json"), 0); /* a loop: no permission stops root */
    refuses(NULL, NULL, "config/heed.json: ");
    assert_int_equal(unlink("config/heed.json"), 0);
    assert_int_equal(rmdir("config"), 0);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void paths_in_the_file_are_relative_to_it(void **state)
{
    (void)state;
    static const char json[] = "{\"models\": [\"models/a.json\", \"/b.json\"], \"api_keys\": \"keys\"}";
    struct srv_options options;
    struct srv_options_error error;
    assert_true(srv_options_init(&options));
    assert_true(srv_options_parse_file(&options, json, sizeof json - 1, "/etc/heed", &error));
    assert_int_equal(options.models.count, 2);
    assert_string_equal(options.models.items[0], "/etc/heed/models/a.json");
    assert_string_equal(options.models.items[1], "/b.json");
    assert_string_equal(options.api_keys, "/etc/heed/keys");
    assert_true(srv_options_parse_file(&options, "{\"api_keys\": \"/keys\"}", 21, "/etc/heed", &error));
    assert_string_equal(options.api_keys, "/keys");
    assert_true(srv_options_parse_file(&options, "{\"api_keys\": \"\"}", 16, "/etc/heed", &error));
    assert_string_equal(options.api_keys, "");
    srv_options_deinit(&options);
    assert_true(read_flags(&options, &error, "--api-keys", "keys")); /* as a person in a shell means it */
    assert_string_equal(options.api_keys, "keys");
    srv_options_deinit(&options);
}

static void paths_of_a_flag_are_separated_by_commas(void **state)
{
    (void)state;
    struct srv_options options;
    struct srv_options_error error;
    assert_true(read_flags(&options, &error, "--models", "a.json,b.json,"));
    assert_int_equal(options.models.count, 2);
    assert_string_equal(options.models.items[1], "b.json");
    srv_options_deinit(&options);
}

static void shipped_file_says_what_the_table_says(void **state)
{
    (void)state;
    char *argv[] = { (char *)"--config", (char *)HEED_SOURCE_DIR "/config/heed.json", NULL };
    struct srv_options shipped, defaults;
    struct srv_options_error error = { "" };
    assert_true(srv_options_read(&shipped, 2, argv, no_environment, &error));
    assert_true(srv_options_init(&defaults));
#define SAME_NUMBER(name, ...) assert_int_equal(shipped.name, defaults.name);
#define SAME_TEXT(name, ...) assert_string_equal(shipped.name, defaults.name);
#define SAME_COUNT(name, ...) assert_int_equal(shipped.name.count, defaults.name.count);
    SRV_OPTION_LIST(SAME_NUMBER, SAME_TEXT, SAME_NUMBER, SAME_TEXT, SAME_COUNT)
    srv_options_deinit(&shipped);
    srv_options_deinit(&defaults);
}

static void help_names_every_option_with_its_range(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *const file = open_memstream(&text, &size);
    srv_options_help(file);
    fclose(file);
    assert_non_null(strstr(text, "--queue-slots N"));
    assert_non_null(strstr(text, "(1 to 65536) [64]"));
    assert_non_null(strstr(text, "error|warn|info|debug"));
    assert_non_null(strstr(text, "--models PATH,..."));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_table),
        cmocka_unit_test(flag_beats_environment_beats_file),
        cmocka_unit_test(flag_value_stands_behind_a_space_or_an_equals_sign),
        cmocka_unit_test(bad_flags_are_refused_by_name_value_and_range),
        cmocka_unit_test(bad_environment_is_refused_by_its_name),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(address_from_kubernetes_is_no_number_and_no_mistake),
        cmocka_unit_test(default_file_that_is_there_but_cannot_be_read_is_refused),
        cmocka_unit_test(paths_in_the_file_are_relative_to_it),
        cmocka_unit_test(paths_of_a_flag_are_separated_by_commas),
        cmocka_unit_test(shipped_file_says_what_the_table_says),
        cmocka_unit_test(help_names_every_option_with_its_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
