/* What the layers that slide over a map share: the window, and how loops are cut into tiles: by shape alone, so that
 * the answer does not depend on who works. Enough tiles that many threads find work, few enough that a tile is worth
 * fetching. */
#ifndef HEED_LAYERS_TILES_H
#define HEED_LAYERS_TILES_H

#include <stddef.h>

#include "kernels/kernels.h"
#include "tensor/tensor.h"

#define HEED_TILES_WANTED 32
#define HEED_TILE_FLOATS ((size_t)192 * 1024) /* what a tile touches, about: most of an L2 of 1 MB */

static inline size_t heed_ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

/* Items of a tile, of `count` items that touch `floats` each: a multiple of `unit`, at least one unit. */
static inline size_t heed_tile_items(size_t count, size_t floats, size_t unit)
{
    const size_t fit = HEED_TILE_FLOATS / floats, fair = heed_ceil_div(count, HEED_TILES_WANTED);
    const size_t items = fit < fair ? fit / unit * unit : heed_ceil_div(fair, unit) * unit;
    return items < unit ? unit : items;
}

/* A square window that slides over x and gives y: what the kernels ask for. */
static inline struct heed_window heed_window(const struct heed_tensor *x, const struct heed_tensor *y, size_t kernel,
                                             size_t step, size_t pad)
{
    return (struct heed_window){ .h = x->h,
                                 .w = x->w,
                                 .c = x->c,
                                 .stride = x->stride,
                                 .out_h = y->h,
                                 .out_w = y->w,
                                 .kernel_h = kernel,
                                 .kernel_w = kernel,
                                 .step = step,
                                 .pad = pad,
                                 .dilation = 1 };
}

#endif
