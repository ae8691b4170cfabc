/* The form of a request, checked before its body is read. Shapes that two programs could read differently (request
 * smuggling) are refused and the connection is closed; libmicrohttpd 0.9.75 lets most of them through. Works on plain
 * lists of names and values: a unit test calls it without a socket. */
#ifndef SRV_HEADERS_H
#define SRV_HEADERS_H

#include "reply.h"

#include <stdint.h>

#define SRV_HEADERS_MAX 128
#define SRV_HEADER_BYTES_MAX 16384

struct srv_header {
    const char *name, *value;
    size_t name_size, value_size;
};

struct srv_headers {
    struct srv_header items[SRV_HEADERS_MAX];
    size_t count;
    size_t bytes;    /* names, values and what stands around them */
    bool overflowed; /* there were more */
};

struct srv_framing {
    bool known; /* false: the head was refused before it could be told what follows */
    bool chunked, has_length;
    uint64_t length; /* 0 where there is none */
};

void srv_headers_add(struct srv_headers *headers, const char *name, size_t name_size, const char *value,
                     size_t value_size);

/* The first value of this name, NULL if there is none. */
const char *srv_headers_find(const struct srv_headers *headers, const char *name);
/* A value's size without the blanks behind it, which are none of it. */
size_t srv_value_size(const char *value);
/* All values of this name, commas between: the same list, RFC 9110 says. The caller's; empty where there is none,
 * NULL without memory. */
char *srv_headers_join(const struct srv_headers *headers, const char *name);

/* The parts of a request line where they were received. */
struct srv_request_line {
    const char *method, *target, *version;
    size_t target_size; /* up to the first NUL, as it came */
    size_t head_size;   /* from the method to the empty line's end */
};

/* libmicrohttpd 0.9 joins folded lines, skips blanks, takes a lone LF for a line's end and cuts strings at a NUL, and
 * does not tell. But it leaves strings where they were received and only writes NULs over the blanks of the request
 * line, the colon and the line's end, so a plain head shows: each part starts right behind the one before and what
 * separates them. True when all do; only for strings that lie in one received buffer, in order, and whose version has
 * been checked. */
bool srv_headers_lie_plainly(const struct srv_request_line *line, const struct srv_headers *headers);

/* Can a request begin so: empty lines, if any, a method and a space? What has not come yet is none the less welcome. */
bool srv_may_begin_request(const char *bytes, size_t size);

/* GET, POST and the like. What else may come as a method has no business here, or is none: such a connection is not
 * read on after its refusal. */
bool srv_method_is_common(const char *method);

/* False only where it is certain that nothing follows the head. */
static inline bool srv_framing_has_body(const struct srv_framing *framing)
{
    return !framing->known || framing->chunked || framing->length > 0;
}

/* target: the request target as it came, before any decoding. Also refuses a body in a coding, such as gzip. */
bool srv_headers_check(const char *method, const char *target, const char *version, const struct srv_headers *headers,
                       struct srv_framing *framing, struct srv_problem *problem);

#endif
