/* RFC 9110 and 9112, the parts where leniency is dangerous. */
#include "headers.h"
#include "text.h"

#include <string.h>
#include <strings.h>

/* How many of the first characters a token may have. */
static size_t span_token(const char *text, size_t size)
{
    static const char signs[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < size; i++) {
        const char c = text[i];
        const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!letter && (!c || !strchr(signs, c)))
            return i;
    }
    return size;
}

static bool is_token(const char *text, size_t size)
{
    return size > 0 && span_token(text, size) == size;
}

/* Field values are visible characters, spaces, tabs and bytes above 127. */
static bool is_field_value(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
            return false;
    return true;
}

static bool is_target(const char *text)
{
    for (const char *p = text; *p; p++)
        if (*p <= ' ' || *p >= 0x7f)
            return false;
    return *text == '/' || strcmp(text, "*") == 0 || strncasecmp(text, "http://", 7) == 0;
}

/* A name or an address, and a port. */
static bool is_host(const char *text)
{
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%!$&'()*+,;=:[]") ==
           srv_value_size(text);
}

void srv_headers_add(struct srv_headers *headers, const char *name, size_t name_size, const char *value,
                     size_t value_size)
{
    headers->bytes += name_size + value_size + 4; /* ": " and the line's end */
    if (headers->count == SRV_HEADERS_MAX) {
        headers->overflowed = true;
        return;
    }
    headers->items[headers->count++] =
        (struct srv_header){ .name = name, .name_size = name_size, .value = value, .value_size = value_size };
}

static bool is_named(const struct srv_header *header, const char *name)
{
    return header->name_size == strlen(name) && strncasecmp(header->name, name, header->name_size) == 0;
}

const char *srv_headers_find(const struct srv_headers *headers, const char *name)
{
    for (size_t i = 0; i < headers->count; i++)
        if (is_named(&headers->items[i], name))
            return headers->items[i].value;
    return NULL;
}

size_t srv_value_size(const char *value)
{
    size_t size = strlen(value);
    while (size && (value[size - 1] == ' ' || value[size - 1] == '\t'))
        size--;
    return size;
}

static bool value_is(const char *value, const char *wanted)
{
    return srv_value_size(value) == strlen(wanted) && strncasecmp(value, wanted, strlen(wanted)) == 0;
}

char *srv_headers_join(const struct srv_headers *headers, const char *name)
{
    struct srv_text text = { 0 };
    for (size_t i = 0; i < headers->count; i++) {
        if (!is_named(&headers->items[i], name))
            continue;
        srv_text_string(&text, text.size ? ", " : "");
        srv_text_add(&text, headers->items[i].value, headers->items[i].value_size);
    }
    return srv_text_take(&text, NULL);
}

static size_t count_named(const struct srv_headers *headers, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < headers->count; i++)
        count += is_named(&headers->items[i], name);
    return count;
}

static bool check_lines(const struct srv_headers *headers, struct srv_problem *problem)
{
    if (headers->overflowed || headers->bytes > SRV_HEADER_BYTES_MAX)
        return srv_refuse(problem, SRV_HEADERS_TOO_LARGE, "the limits are %d headers and %d bytes of headers",
                          SRV_HEADERS_MAX, SRV_HEADER_BYTES_MAX);
    for (size_t i = 0; i < headers->count; i++) {
        const struct srv_header *const header = &headers->items[i];
        if (!is_token(header->name, header->name_size))
            return srv_refuse(problem, SRV_MALFORMED, "\"%.*s\" is not a header name",
                              (int)(header->name_size < 60 ? header->name_size : 60), header->name);
        if (!is_field_value(header->value, header->value_size))
            return srv_refuse(problem, SRV_MALFORMED, "the value of %.60s holds a control character", header->name);
    }
    return true;
}

static bool read_length(const char *value, uint64_t *length)
{
    *length = 0;
    for (const char *p = value; *p; p++) {
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(*length, 10, length) ||
            __builtin_add_overflow(*length, (uint64_t)(*p - '0'), length))
            return false;
    }
    return *value != '\0';
}

static bool check_framing(const char *version, const struct srv_headers *headers, struct srv_framing *framing,
                          struct srv_problem *problem)
{
    const size_t lengths = count_named(headers, "Content-Length"), codings = count_named(headers, "Transfer-Encoding");
    *framing = (struct srv_framing){ .chunked = codings == 1, .has_length = lengths == 1 };
    if (lengths > 1)
        return srv_refuse(problem, SRV_MALFORMED, "there are %zu Content-Length headers, allowed is one", lengths);
    if (codings > 1)
        return srv_refuse(problem, SRV_MALFORMED, "there are %zu Transfer-Encoding headers, allowed is one", codings);
    if (lengths && codings)
        return srv_refuse(problem, SRV_MALFORMED, "Content-Length and Transfer-Encoding exclude each other");
    if (lengths) {
        const char *const value = srv_headers_find(headers, "Content-Length");
        if (!read_length(value, &framing->length))
            return srv_refuse(problem, SRV_MALFORMED, "Content-Length is \"%.40s\", allowed are digits", value);
    }
    if (codings) {
        const char *const value = srv_headers_find(headers, "Transfer-Encoding");
        if (strcasecmp(value, "chunked") != 0) /* to libmicrohttpd, too, "chunked " is something else */
            return srv_refuse(problem, SRV_MALFORMED, "Transfer-Encoding is \"%.40s\", allowed is chunked", value);
        if (strcmp(version, "HTTP/1.1") != 0)
            return srv_refuse(problem, SRV_MALFORMED, "Transfer-Encoding is not part of version 1.0");
    }
    framing->known = true;
    return true;
}

/* Bodies are read as they come, so a coded one would be taken for what it is not. */
static bool check_content(const struct srv_headers *headers, struct srv_problem *problem)
{
    for (size_t i = 0; i < headers->count; i++) {
        const struct srv_header *const header = &headers->items[i];
        if (is_named(header, "Content-Encoding") && !value_is(header->value, "") &&
            !value_is(header->value, "identity"))
            return srv_refuse(problem, SRV_NOT_AN_IMAGE, "Content-Encoding is \"%.40s\", allowed is identity",
                              header->value);
    }
    return true;
}

bool srv_headers_check(const char *method, const char *target, const char *version, const struct srv_headers *headers,
                       struct srv_framing *framing, struct srv_problem *problem)
{
    *framing = (struct srv_framing){ 0 };
    if (!is_token(method, strlen(method)))
        return srv_refuse(problem, SRV_MALFORMED, "\"%.40s\" is not a method", method);
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        return srv_refuse(problem, SRV_VERSION, "the version of HTTP is neither 1.1 nor 1.0");
    if (!is_target(target))
        return srv_refuse(problem, SRV_MALFORMED, "the request target must start with / and hold no spaces");
    if (!check_lines(headers, problem))
        return false;
    const size_t hosts = count_named(headers, "Host");
    if (hosts > 1)
        return srv_refuse(problem, SRV_MALFORMED, "there are %zu Host headers, allowed is one", hosts);
    if (hosts == 0 && strcmp(version, "HTTP/1.1") == 0)
        return srv_refuse(problem, SRV_MALFORMED, "there is no Host header, version 1.1 needs one");
    if (hosts == 1 && !is_host(srv_headers_find(headers, "Host")))
        return srv_refuse(problem, SRV_MALFORMED, "Host is \"%.60s\", which is no name or address",
                          srv_headers_find(headers, "Host"));
    return check_framing(version, headers, framing, problem) &&
           (!srv_framing_has_body(framing) || check_content(headers, problem));
}

static bool line_lies_plainly(const struct srv_request_line *line)
{
    return line->target == line->method + strlen(line->method) + 1 &&
           line->version == line->target + line->target_size + 1;
}

bool srv_headers_lie_plainly(const struct srv_request_line *line, const struct srv_headers *headers)
{
    if (!line_lies_plainly(line))
        return false;
    const char *next = line->version + strlen(line->version) + 2;
    for (size_t i = 0; i < headers->count; i++) {
        const struct srv_header *const header = &headers->items[i];
        const char *const after_colon = header->name + header->name_size + 1;
        if (header->name != next)
            return false;
        if (header->value < after_colon || header->value > after_colon + SRV_HEADER_BYTES_MAX ||
            strspn(after_colon, " \t") != (size_t)(header->value - after_colon))
            return false;
        if (header->value[header->value_size + 1] != '\0')
            return false;
        next = header->value + header->value_size + 2;
    }
    return next + 2 == line->method + line->head_size;
}

bool srv_may_begin_request(const char *bytes, size_t size)
{
    size_t begin = 0;
    while (begin < size && (bytes[begin] == '\r' || bytes[begin] == '\n'))
        begin++;
    const size_t method = span_token(bytes + begin, size - begin);
    return begin + method == size || (method > 0 && bytes[begin + method] == ' ');
}

bool srv_method_is_common(const char *method)
{
    static const char *const known[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS" };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], method) == 0)
            return true;
    return false;
}
