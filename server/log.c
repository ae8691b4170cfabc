/* Log lines. Text is for people: time, level, event, name=value; JSON is for collectors. */
#include "log.h"
#include "text.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum srv_log_format log_format = SRV_LOG_TEXT;
static enum srv_log_level log_level = SRV_LOG_INFO;

static const char *const level_names[] = { "error", "warn", "info", "debug" };

void srv_log_setup(enum srv_log_format format, enum srv_log_level level)
{
    log_format = format;
    log_level = level;
}

int srv_log_wanted(enum srv_log_level level)
{
    return level <= log_level;
}

static void print_time(struct srv_text *line)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    srv_text_print(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                   utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1000000);
}

static int is_plain(const char *string)
{
    for (const char *p = string; *p; p++)
        if (*p <= ' ' || *p >= 0x7f || *p == '"' || *p == '=' || *p == '\\')
            return 0;
    return *string != '\0';
}

/* A long one is cut, so that the whole line fits into a pipe: each byte may take six. */
static void print_string(struct srv_text *line, const char *string)
{
    enum { BYTES_MAX = 400 };
    const size_t size = strnlen(string, BYTES_MAX);
    if (log_format == SRV_LOG_TEXT && is_plain(string))
        srv_text_add(line, string, size);
    else
        srv_text_json(line, string, size);
}

static void print_value(struct srv_text *line, const struct srv_log_field *field)
{
    switch (field->kind) {
    case SRV_FIELD_STRING:
        print_string(line, field->string);
        break;
    case SRV_FIELD_COUNT:
        srv_text_print(line, "%llu", (unsigned long long)field->count);
        break;
    case SRV_FIELD_MS:
        srv_text_number(line, field->ms, 2);
        break;
    }
}

static void print_line(struct srv_text *line, enum srv_log_level level, const char *event,
                       const struct srv_log_field *fields)
{
    const int json = log_format == SRV_LOG_JSON;
    srv_text_string(line, json ? "{\"time\":\"" : "");
    print_time(line);
    srv_text_print(line, json ? "\",\"level\":\"%s\",\"event\":\"%s\"" : " %-5s %s", level_names[level], event);
    for (const struct srv_log_field *field = fields; field->name; field++) {
        if (field->kind == SRV_FIELD_STRING && !field->string)
            continue;
        srv_text_print(line, json ? ",\"%s\":" : " %s=", field->name);
        print_value(line, field);
    }
    srv_text_string(line, json ? "}\n" : "\n");
}

/* Whether standard error takes a line now. A reader that is slow is waited for; while it does not read at all, no line
 * waits: the server must not stand still because its log does. */
static bool takes_a_line(bool waits)
{
    enum { PATIENCE_MS = 100 };
    struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
    return poll(&out, 1, waits ? PATIENCE_MS : 0) > 0;
}

void srv_log_fields(enum srv_log_level level, const char *event, const struct srv_log_field *fields)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* between the question and the line no other comes */
    static unsigned long long lost;
    if (!srv_log_wanted(level))
        return;
    pthread_mutex_lock(&lock);
    if (takes_a_line(lost == 0)) {
        struct srv_text line = { 0 };
        if (lost)
            print_line(&line, SRV_LOG_WARN, "log",
                       (const struct srv_log_field[]){ SRV_N("lines_lost", lost), { .name = 0 } });
        print_line(&line, level, event, fields);
        /* A pipe that takes anything takes PIPE_BUF bytes without waiting, and no line is longer. */
        if (!line.failed && write(STDERR_FILENO, line.data, line.size) < 0) {
            /* Nobody reads the log: there is nowhere left to say so. */
        }
        srv_text_deinit(&line);
        lost = 0;
    } else {
        lost++;
    }
    pthread_mutex_unlock(&lock);
}
