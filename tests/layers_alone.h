/* Layers that the networks only run as a part of others, each alone and into a tensor, so that tests can look at what
 * they make. */
#ifndef TESTS_LAYERS_ALONE_H
#define TESTS_LAYERS_ALONE_H

#include <string.h>

#include "layers/conv.h"
#include "layers/pool.h"
#include "layers/tiles.h"

/* In the networks the 1x1 behind it takes its rows while they are in the cache. */
static inline struct heed_tensor depthwise_alone(struct heed_forward *forward, const struct heed_conv *conv,
                                                 const struct heed_tensor *x)
{
    const struct heed_conv_shape *const shape = &conv->shape;
    const struct heed_tensor y =
        heed_forward_tensor(forward, x->n, heed_conv_side(shape, x->h), heed_conv_side(shape, x->w), shape->out);
    const struct heed_window window = heed_window(x, &y, shape->kernel, shape->step, shape->pad);
    const struct heed_epilogue epilogue = { .bias = conv->bias,
                                            .activation = shape->activation,
                                            .slope = shape->slope };
    for (size_t i = 0; i < x->n && heed_forward_computes(forward); i++)
        forward->kernels->depthwise(heed_tensor_at(&y, i, 0, 0), y.stride, heed_tensor_at(x, i, 0, 0), &window,
                                    conv->weights, &epilogue, 0, y.h);
    return y;
}

/* Rows of all images are one column of rows. */
static inline void deconv_store(void *arg, const float *sums, size_t first, size_t pixels)
{
    const struct heed_tensor *const y = arg;
    for (size_t i = 0; i < pixels; i++)
        memcpy(y->data + (first + 2 * i) * y->stride, sums + i * y->c, y->c * sizeof *sums);
}

/* In the networks the masks' logits are made of it at once. */
static inline struct heed_tensor deconv_alone(struct heed_forward *forward, const struct heed_conv *conv,
                                              const struct heed_tensor *x)
{
    struct heed_tensor y = heed_forward_tensor(forward, x->n, 2 * x->h, 2 * x->w, conv->shape.out);
    heed_deconv_each(forward, conv, x, deconv_store, &y);
    return y;
}

static inline struct heed_tensor max_pool_alone(struct heed_forward *forward, const struct heed_pool_shape *shape,
                                                const struct heed_tensor *x)
{
    const struct heed_conv_shape window = { .kernel = shape->kernel, .step = shape->step, .pad = shape->pad };
    const struct heed_tensor y =
        heed_forward_tensor(forward, x->n, heed_conv_side(&window, x->h), heed_conv_side(&window, x->w), x->c);
    heed_max_pool_into(forward, shape, x, &y);
    return y;
}

#endif
