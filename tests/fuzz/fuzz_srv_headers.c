/* A request's line and headers, as text: "METHOD target version", then "name: value" lines. */
#include "fuzz.h"
#include "headers.h"
#include "request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Cuts the text at the next separator and returns what stood before it. */
static char *cut(char **text, char separator)
{
    char *const start = *text;
    char *const end = strchr(start, separator);
    *text = end ? end + 1 : start + strlen(start);
    if (end)
        *end = '\0';
    return start;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *const text = calloc(1, size + 1);
    if (size)
        memcpy(text, data, size);
    char *rest = text, *line = cut(&rest, '\n');
    const char *const method = cut(&line, ' '), *const target = cut(&line, ' '), *const version = line;

    static struct srv_headers headers;
    headers = (struct srv_headers){ 0 };
    while (*rest) {
        char *value = cut(&rest, '\n');
        const char *const name = cut(&value, ':');
        srv_headers_add(&headers, name, strlen(name), value, strlen(value));
        srv_request_id_ok(value);
        srv_accept(value);
        srv_media_type_is(value, "application/json");
    }
    assert(headers.count <= SRV_HEADERS_MAX);

    struct srv_framing framing = { 0 };
    struct srv_problem problem = { 0 };
    if (srv_headers_check(method, target, version, &headers, &framing, &problem))
        assert(!framing.chunked || !framing.has_length); /* never both: that is how requests are smuggled */
    else
        assert(strlen(problem.text) > 0);
    free(text);
    return 0;
}
