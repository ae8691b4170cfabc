#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

enum heed_status heed_fail(struct heed_error *error, enum heed_status status, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
        error->status = status;
    }
    return status;
}

const char *heed_status_text(enum heed_status status)
{
    static const char *const texts[] = {
#define X(name, text) [HEED_##name] = text,
        HEED_STATUS_LIST(X)
#undef X
    };
    return (unsigned)status < HEED_STATUS_COUNT ? texts[status] : "unknown status";
}
