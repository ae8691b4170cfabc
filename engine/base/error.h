/* Filling a caller's heed_error. Any thread; no state. */
#ifndef HEED_BASE_ERROR_H
#define HEED_BASE_ERROR_H

#include "heed.h"

/* Writes status and text into *error (NULL is allowed: the status alone travels) and returns status. */
HEED_CHECKED enum heed_status heed_fail(struct heed_error *error, enum heed_status status, const char *format, ...)
    HEED_PRINTF(3, 4);

#endif
