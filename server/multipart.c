/* A body looks like this; the CRLF before a delimiter belongs to the delimiter:
 *
 *     --BOUNDARY CRLF
 *     Content-Disposition: form-data; name="image"; filename="a.jpg" CRLF
 *     Content-Type: image/jpeg CRLF
 *     CRLF
 *     value
 *     CRLF --BOUNDARY CRLF ... CRLF --BOUNDARY-- anything
 */
#include "multipart.h"

#include <string.h>
#include <strings.h>

enum { BOUNDARY_MAX = 70, PART_HEADER_MAX = 4096 };

/* The value of parameter `name` in "type; a=b; c=\"d\"", between its quotes where it has some. */
static const char *parameter(const char *text, size_t size, const char *name, size_t *value_size)
{
    const char *const end = text + size;
    const size_t name_size = strlen(name);
    const char *p = memchr(text, ';', size);
    while (p) {
        p++;
        while (p < end && (*p == ' ' || *p == '\t'))
            p++;
        const char *const equals = memchr(p, '=', (size_t)(end - p));
        if (!equals)
            return NULL;
        const char *value = equals + 1;
        const char *stop;
        if (value < end && *value == '"') {
            value++;
            stop = memchr(value, '"', (size_t)(end - value));
            if (!stop)
                return NULL;
        } else {
            stop = value;
            while (stop < end && !strchr("; \t\r\n", *stop))
                stop++;
        }
        if ((size_t)(equals - p) == name_size && strncasecmp(p, name, name_size) == 0) {
            *value_size = (size_t)(stop - value);
            return value;
        }
        p = memchr(stop, ';', (size_t)(end - stop));
    }
    return NULL;
}

/* The delimiter at or after p: "--BOUNDARY" at the start of a line. */
static const uint8_t *find_delimiter(const struct srv_multipart *multipart, const uint8_t *p, bool at_line_start)
{
    char delimiter[4 + BOUNDARY_MAX];
    memcpy(delimiter, "\r\n--", 4);
    memcpy(delimiter + 4, multipart->boundary, multipart->boundary_size);
    const size_t left = (size_t)(multipart->end - p);
    if (at_line_start && left >= multipart->boundary_size + 2 &&
        memcmp(p, delimiter + 2, multipart->boundary_size + 2) == 0)
        return p;
    return memmem(p, left, delimiter, multipart->boundary_size + 4);
}

/* Lines of a form written by hand mostly end in LF alone. */
static bool refuse_end(bool lone_lf, struct srv_problem *problem)
{
    return srv_refuse(problem, SRV_MALFORMED,
                      lone_lf ? "a line of the multipart body ends in LF alone, each must end in CR LF"
                              : "the multipart body ends without its closing boundary");
}

/* A boundary at the start of a line of any kind; asked where there is none behind CR LF. */
static bool has_loose_delimiter(const struct srv_multipart *multipart, const uint8_t *p)
{
    char delimiter[3 + BOUNDARY_MAX] = "\n--";
    memcpy(delimiter + 3, multipart->boundary, multipart->boundary_size);
    return memmem(p, (size_t)(multipart->end - p), delimiter, multipart->boundary_size + 3) != NULL;
}

bool srv_multipart_start(struct srv_multipart *multipart, const char *content_type, const uint8_t *body, size_t size,
                         struct srv_problem *problem)
{
    *multipart = (struct srv_multipart){ .position = body, .end = body + size };
    multipart->boundary = parameter(content_type, strlen(content_type), "boundary", &multipart->boundary_size);
    if (!multipart->boundary || multipart->boundary_size == 0 || multipart->boundary_size > BOUNDARY_MAX)
        return srv_refuse(problem, SRV_MALFORMED, "multipart/form-data needs a boundary of 1 to %d characters",
                          BOUNDARY_MAX);
    const uint8_t *const first = size ? find_delimiter(multipart, body, true) : NULL;
    if (!first)
        return srv_refuse(problem, SRV_MALFORMED, "the multipart body does not hold its boundary \"%.*s\"",
                          (int)multipart->boundary_size, multipart->boundary);
    multipart->position = first + (*first == '\r' ? 4 : 2) + multipart->boundary_size;
    return true;
}

/* The name in the Content-Disposition of a part's header block. */
static const char *part_name(const char *header, size_t size, size_t *name_size)
{
    static const char wanted[] = "content-disposition:";
    const char *const end = header + size;
    for (const char *line = header; line < end;) {
        const char *stop = memmem(line, (size_t)(end - line), "\r\n", 2);
        if (!stop)
            stop = end;
        const size_t length = (size_t)(stop - line);
        if (length > sizeof wanted - 1 && strncasecmp(line, wanted, sizeof wanted - 1) == 0)
            return parameter(line, length, "name", name_size);
        line = stop + 2;
    }
    return NULL;
}

bool srv_multipart_next(struct srv_multipart *multipart, struct srv_part *part, bool *found,
                        struct srv_problem *problem)
{
    const uint8_t *p = multipart->position;
    const size_t left = (size_t)(multipart->end - p);
    *found = false;
    if (left >= 2 && memcmp(p, "--", 2) == 0)
        return true;
    while (p < multipart->end && (*p == ' ' || *p == '\t'))
        p++;
    if (multipart->end - p < 2 || memcmp(p, "\r\n", 2) != 0)
        return refuse_end(p < multipart->end && *p == '\n', problem);
    p += 2;
    const size_t rest = (size_t)(multipart->end - p);
    const uint8_t *const blank = memmem(p, rest < PART_HEADER_MAX ? rest : PART_HEADER_MAX, "\r\n\r\n", 4);
    if (!blank)
        return srv_refuse(problem, SRV_MALFORMED, "a multipart field has no end of headers within %d bytes",
                          PART_HEADER_MAX);
    *part = (struct srv_part){ .value = blank + 4 };
    part->name = part_name((const char *)p, (size_t)(blank - p), &part->name_size);
    if (!part->name)
        return srv_refuse(problem, SRV_MALFORMED, "a multipart field has no name");
    /* An empty value's delimiter starts with the CRLF of the blank line. */
    const uint8_t *const stop = find_delimiter(multipart, blank + 2, false);
    if (!stop)
        return refuse_end(has_loose_delimiter(multipart, blank), problem);
    part->size = stop > part->value ? (size_t)(stop - part->value) : 0;
    multipart->position = stop + 4 + multipart->boundary_size;
    *found = true;
    return true;
}
