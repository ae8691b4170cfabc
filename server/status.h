/* Why a request was refused: one list gives the HTTP status, the name in metrics and problem types, and the title a
 * person reads. Any thread. */
#ifndef SRV_STATUS_H
#define SRV_STATUS_H

#include "heed.h"

/* clang-format off */
#define SRV_REFUSAL_LIST(X)                                                          \
    X(MALFORMED,         400, "malformed",         "Malformed request")              \
    X(BAD_OPTION,        400, "bad_option",        "Bad option")                     \
    X(NO_KEY,            401, "no_key",            "An API key is needed")           \
    X(KEY_NOT_ALLOWED,   403, "key_not_allowed",   "The API key is not allowed here") \
    X(NO_ROUTE,          404, "no_route",          "No such route")                  \
    X(NO_MODEL,          404, "no_model",          "No such model")                  \
    X(METHOD,            405, "method",            "Method not allowed")             \
    X(SLOW_CLIENT,       408, "slow_client",       "The request did not arrive in time") \
    X(BODY_TOO_LARGE,    413, "body_too_large",    "The body is too large")          \
    X(TOO_MUCH_MEMORY,   413, "too_much_memory",   "The request needs too much memory") \
    X(IMAGE_TOO_LARGE,   413, "image_too_large",   "The image is too large")         \
    X(TARGET_TOO_LONG,   414, "target_too_long",   "The request target is too long") \
    X(NOT_AN_IMAGE,      415, "not_an_image",      "Not an image type that is read") \
    X(BAD_IMAGE,         422, "bad_image",         "The image cannot be decoded")    \
    X(QUEUE_FULL,        429, "queue_full",        "The queue is full")              \
    X(TOO_BUSY,          429, "too_busy",          "The deadline cannot be met")     \
    X(HEADERS_TOO_LARGE, 431, "headers_too_large", "The headers are too large")      \
    X(FAULT,             500, "fault",             "Our fault")                      \
    X(LOADING,           503, "loading",           "Still loading")                  \
    X(DRAINING,          503, "draining",          "Shutting down")                  \
    X(TOO_MANY,          503, "too_many_connections", "Too many connections")        \
    X(NO_MEMORY,         503, "no_memory",         "The memory budget is in use")    \
    X(DEADLINE,          504, "deadline",          "The deadline has passed")        \
    X(VERSION,           505, "http_version",      "The version of HTTP is not spoken here") \
    X(CLIENT_LEFT,       499, "client_left",       "The client left")
/* clang-format on */

enum srv_refusal {
#define X(name, http, label, title) SRV_##name,
    SRV_REFUSAL_LIST(X)
#undef X
        SRV_REFUSAL_COUNT
};

unsigned srv_refusal_http(enum srv_refusal refusal);
const char *srv_refusal_label(enum srv_refusal refusal);
const char *srv_refusal_title(enum srv_refusal refusal);

/* What the server says for an engine's failure; status is not HEED_OK. */
enum srv_refusal srv_refusal_of(enum heed_status status);

#endif
