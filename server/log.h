/* The log: one line an event on standard error, as text or as JSON, written with one write(). Values may be hostile
 * (paths, header values): they are escaped, so an event never spans two lines, and cut where they are long. Where
 * nobody reads what is written, lines are lost, and their number is the next line's that is not. Any thread; set up
 * once, before others. */
#ifndef SRV_LOG_H
#define SRV_LOG_H

#include <stdint.h>

enum srv_log_level { SRV_LOG_ERROR, SRV_LOG_WARN, SRV_LOG_INFO, SRV_LOG_DEBUG };
enum srv_log_format { SRV_LOG_TEXT, SRV_LOG_JSON };

struct srv_log_field {
    const char *name; /* NULL ends the list */
    enum { SRV_FIELD_STRING, SRV_FIELD_COUNT, SRV_FIELD_MS } kind;
    const char *string; /* NULL leaves the field out */
    uint64_t count;
    double ms;
};

void srv_log_setup(enum srv_log_format format, enum srv_log_level level);
void srv_log_fields(enum srv_log_level level, const char *event, const struct srv_log_field *fields);
int srv_log_wanted(enum srv_log_level level);

#define SRV_S(label, value)                                                                                            \
    {                                                                                                                  \
        .name = (label), .kind = SRV_FIELD_STRING, .string = (value)                                                   \
    }
#define SRV_N(label, value)                                                                                            \
    {                                                                                                                  \
        .name = (label), .kind = SRV_FIELD_COUNT, .count = (value)                                                     \
    }
#define SRV_MS(label, value)                                                                                           \
    {                                                                                                                  \
        .name = (label), .kind = SRV_FIELD_MS, .ms = (value)                                                           \
    }

/* srv_log(SRV_LOG_INFO, "listening", SRV_S("address", address), SRV_N("port", port)); */
#define srv_log(level, event, ...)                                                                                     \
    srv_log_fields(level, event, (const struct srv_log_field[]){ __VA_ARGS__, { .name = 0 } })

#endif
