/* A growing string: replies, metrics and log lines are written into one. A failed allocation is remembered
 * (`failed`) instead of being reported by every call; ask once, at the end. Any thread, one at a time. */
#ifndef SRV_TEXT_H
#define SRV_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct srv_text {
    char *data; /* NUL-terminated once anything was added */
    size_t size, capacity;
    size_t size_max;       /* more fails; 0: no limit */
    bool failed, outgrown; /* outgrown: failed by that limit */
};

void srv_text_add(struct srv_text *text, const char *bytes, size_t size);
void srv_text_string(struct srv_text *text, const char *string);
void srv_text_print(struct srv_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string with its quotes. What is not UTF-8 becomes U+FFFD, so the result always is. */
void srv_text_json(struct srv_text *text, const char *bytes, size_t size);
void srv_text_json_string(struct srv_text *text, const char *string);

/* The shortest decimal with at most `decimals` (0..6) places: 3.10 is written 3.1, and -0.001 is 0 for two places. */
void srv_text_number(struct srv_text *text, double value, unsigned decimals);

void srv_text_base64(struct srv_text *text, const uint8_t *bytes, size_t size);

/* Gives the string away, to free() by the caller; NULL if any addition failed. The text is empty afterwards. */
char *srv_text_take(struct srv_text *text, size_t *size);
void srv_text_deinit(struct srv_text *text);

#endif
