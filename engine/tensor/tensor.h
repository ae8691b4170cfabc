/* Activations: NHWC float, channel last. A view may hold some channels of a wider tensor: then `stride`, the
 * floats from one pixel to the next, is larger than `c`. A tensor borrows its memory (an arena's, mostly). */
#ifndef HEED_TENSOR_TENSOR_H
#define HEED_TENSOR_TENSOR_H

#include <stddef.h>

struct heed_tensor {
    float *data;
    size_t n, h, w, c; /* n: images, or regions of one image */
    size_t stride;     /* >= c */
};

static inline size_t heed_tensor_pixels(const struct heed_tensor *t)
{
    return t->n * t->h * t->w;
}

static inline float *heed_tensor_at(const struct heed_tensor *t, size_t n, size_t y, size_t x)
{
    return t->data + ((n * t->h + y) * t->w + x) * t->stride;
}

/* Channels [first, first + count) of t, sharing its memory. */
static inline struct heed_tensor heed_tensor_channels(const struct heed_tensor *t, size_t first, size_t count)
{
    return (struct heed_tensor){
        .data = t->data + first, .n = t->n, .h = t->h, .w = t->w, .c = count, .stride = t->stride
    };
}

#endif
