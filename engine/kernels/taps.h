/* Which taps of a window lie inside the image. */
#ifndef HEED_KERNELS_TAPS_H
#define HEED_KERNELS_TAPS_H

#include "kernels/kernels.h"

/* Taps [first, end) along one axis that are inside the image, and the input position of the first. */
struct heed_taps {
    size_t first, end, position;
};

static inline struct heed_taps heed_taps_at(size_t out, size_t size, size_t kernel, size_t step, size_t pad,
                                            size_t dilation)
{
    const size_t start = out * step; /* in coordinates of the padded image */
    struct heed_taps taps = { .first = start < pad ? (pad - start + dilation - 1) / dilation : 0, .end = kernel };
    while (taps.end > taps.first && start + (taps.end - 1) * dilation >= size + pad)
        taps.end--;
    taps.position = taps.end > taps.first ? start + taps.first * dilation - pad : 0;
    return taps;
}

/* Output pixels of a row whose taps all lie between the left and the right edge: [first, end). */
struct heed_span {
    size_t first, end;
};

static inline struct heed_span heed_window_interior(const struct heed_window *w)
{
    const size_t reach = (w->kernel_w - 1) * w->dilation;
    const size_t first = (w->pad + w->step - 1) / w->step;
    const size_t end = w->w + w->pad > reach ? (w->w + w->pad - reach - 1) / w->step + 1 : 0;
    return (struct heed_span){ .first = first, .end = end < w->out_w ? end : w->out_w };
}

#endif
