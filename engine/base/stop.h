/* heed_stop_check for loops over a photo's pixels: asked with each row, it looks at the clock only once for many
 * pixels, however narrow the rows are. One thread; any number of loops one after the other. */
#ifndef HEED_BASE_STOP_H
#define HEED_BASE_STOP_H

#include "heed.h"

struct heed_stop_watch {
    const struct heed_stop *stop;
    size_t pixels; /* worked on since the last look */
};

/* To be asked after so many more pixels. */
HEED_CHECKED static inline enum heed_status heed_stop_watch(struct heed_stop_watch *watch, size_t pixels,
                                                            struct heed_error *error)
{
    enum { BETWEEN_LOOKS = 1 << 16 }; /* well below a millisecond of work */
    watch->pixels += pixels;
    if (watch->pixels < BETWEEN_LOOKS)
        return HEED_OK;
    watch->pixels = 0;
    return heed_stop_check(watch->stop, error);
}

#endif
