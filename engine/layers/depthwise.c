/* Depthwise convolution: each channel with its own kernel. Tiles are rows of the output. */
#include <assert.h>
#include <stdlib.h>

#include "layers/conv.h"
#include "layers/conv_read.h"
#include "layers/tiles.h"

void heed_depthwise_load(struct heed_loader *loader, struct heed_conv *conv, const char *name,
                         struct heed_conv_shape shape)
{
    const size_t c = shape.out, taps = shape.kernel * shape.kernel;
    assert(shape.in == c);
    *conv = (struct heed_conv){ .name = name, .shape = shape };
    float *const weights =
        heed_conv_read(loader, name, &shape, 4, (size_t[]){ c, 1, shape.kernel, shape.kernel }, &conv->bias);
    if (weights)
        conv->weights = heed_loader_floats(loader, taps * c);
    for (size_t tap = 0; conv->weights && tap < taps; tap++)
        for (size_t i = 0; i < c; i++)
            conv->weights[tap * c + i] = weights[i * taps + tap];
    free(weights);
}

struct run {
    const struct heed_kernels *kernels;
    const struct heed_conv *conv;
    const struct heed_tensor *x, *y;
    struct heed_window window;
    size_t tile_rows, tiles;
};

static void depthwise_tile(void *arg, size_t index, unsigned lane)
{
    (void)lane;
    const struct run *const run = arg;
    const size_t image = index / run->tiles, row = index % run->tiles * run->tile_rows;
    const size_t left = run->y->h - row, rows = left < run->tile_rows ? left : run->tile_rows;
    const struct heed_epilogue epilogue = { .bias = run->conv->bias,
                                            .activation = run->conv->shape.activation,
                                            .slope = run->conv->shape.slope };
    run->kernels->depthwise(heed_tensor_at(run->y, image, row, 0), run->y->stride, heed_tensor_at(run->x, image, 0, 0),
                            &run->window, run->conv->weights, &epilogue, row, rows);
}

struct heed_tensor heed_depthwise(struct heed_forward *forward, const struct heed_conv *conv,
                                  const struct heed_tensor *x)
{
    const struct heed_conv_shape *const shape = &conv->shape;
    assert(x->c == shape->in);
    const struct heed_tensor y =
        heed_forward_tensor(forward, x->n, heed_conv_side(shape, x->h), heed_conv_side(shape, x->w), shape->out);
    struct run run = { .kernels = forward->kernels,
                       .conv = conv,
                       .x = x,
                       .y = &y,
                       .window = heed_window(x, &y, shape->kernel, shape->step, shape->pad),
                       .tile_rows = heed_tile_items(y.h, 2 * y.w * y.c, 1) };
    run.tiles = heed_ceil_div(y.h, run.tile_rows);
    if (heed_forward_computes(forward))
        heed_forward_run(forward, conv->name, (uint64_t)heed_tensor_pixels(&y) * y.c * shape->kernel * shape->kernel,
                         depthwise_tile, &run, x->n * run.tiles);
    return y;
}
