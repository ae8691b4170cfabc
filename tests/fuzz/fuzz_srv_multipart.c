/* POST /v1/detect with a form: the first line is the Content-Type, the rest the body. */
#include "detect_request.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *const line_end = size ? memchr(data, '\n', size) : NULL;
    if (!line_end)
        return 0;
    const size_t line = (size_t)(line_end - data);
    char *const content_type = calloc(1, line + 1); /* a header holds no NUL */
    memcpy(content_type, data, line);
    uint8_t *const body = malloc(size - line); /* of its own, so that a read before or past it is seen */
    memcpy(body, line_end + 1, size - line - 1);
    read_request(content_type, body, size - line - 1);
    free(body);
    free(content_type);
    return 0;
}
