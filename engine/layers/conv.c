#include "layers/conv.h"

#include <assert.h>
#include <stdlib.h>

#include "layers/conv_read.h"
#include "layers/conv_winograd.h"
#include "layers/tiles.h"

void heed_conv_load(struct heed_loader *loader, struct heed_conv *conv, const char *name, struct heed_conv_shape shape)
{
    const struct heed_kernels *const kernels = loader->kernels;
    const size_t k = shape.kernel * shape.kernel * shape.in;
    *conv = (struct heed_conv){ .name = name, .shape = shape };
    float *const weights = heed_conv_read(loader, name, &shape, 4,
                                          (size_t[]){ shape.out, shape.in, shape.kernel, shape.kernel }, &conv->bias);
    conv->winograd = heed_conv_winograd_suits(&shape);
    if (weights && conv->winograd) {
        heed_conv_winograd_pack(loader, conv, weights);
    } else if (weights) {
        conv->weights = heed_loader_floats(loader, kernels->gemm_packed_floats(shape.out, k));
        if (conv->weights)
            kernels->gemm_pack(conv->weights, weights, k, 1, shape.out, k);
    }
    free(weights);
}

/* One run: the images' output pixels, cut into tiles. A 1x1 of step 1 has no need to know where images end. */
struct run {
    const struct heed_kernels *kernels;
    const struct heed_conv *conv;
    const struct heed_tensor *x, *y, *residual, *first;
    struct heed_window window;
    struct heed_scratch columns, sums; /* a tile's matrix; its result before the shuffle */
    bool direct;
    size_t images, pixels, tile_pixels, tiles;
    size_t tile_rows; /* of a direct convolution of few inputs */
};

/* A tile of a convolution whose inputs are read where they lie: rows of the output. */
static void rows_tile(void *arg, size_t index, unsigned lane)
{
    (void)lane;
    const struct run *const run = arg;
    const struct heed_conv_shape *const shape = &run->conv->shape;
    const struct heed_tensor *const residual = run->residual;
    const size_t image = index / run->tiles, row = index % run->tiles * run->tile_rows;
    const size_t left = run->y->h - row, rows = left < run->tile_rows ? left : run->tile_rows;
    const struct heed_epilogue epilogue = { .bias = run->conv->bias,
                                            .residual = residual ? heed_tensor_at(residual, image, 0, 0) : NULL,
                                            .residual_stride = residual ? residual->stride : 0,
                                            .activation = shape->activation,
                                            .slope = shape->slope };
    run->kernels->conv(heed_tensor_at(run->y, image, 0, 0), run->y->stride, heed_tensor_at(run->x, image, 0, 0),
                       &run->window, run->conv->weights, shape->out, &epilogue, row, rows);
}

static void run_rows(struct heed_forward *forward, struct run *run)
{
    const struct heed_conv_shape *const shape = &run->conv->shape;
    const struct heed_tensor *const x = run->x, *const y = run->y;
    run->tile_rows = heed_tile_items(y->h, x->w * x->c * shape->step + y->w * y->c, 1);
    run->tiles = heed_ceil_div(y->h, run->tile_rows);
    if (heed_forward_computes(forward))
        heed_forward_run(forward, run->conv->name,
                         (uint64_t)heed_tensor_pixels(y) * shape->kernel * shape->kernel * shape->in * shape->out,
                         rows_tile, run, x->n * run->tiles);
}

static void conv_tile(void *arg, size_t index, unsigned lane)
{
    const struct run *const run = arg;
    const struct heed_conv_shape *const shape = &run->conv->shape;
    const size_t image = index / run->tiles, begin = index % run->tiles * run->tile_pixels;
    const size_t left = run->pixels - begin, count = left < run->tile_pixels ? left : run->tile_pixels;
    const size_t pixel = image * run->pixels + begin;

    const size_t k = shape->kernel * shape->kernel * shape->in;
    const float *a = run->x->data + pixel * run->x->stride;
    size_t a_stride = run->x->stride;
    if (!run->direct) {
        float *const columns = heed_scratch_lane(&run->columns, lane);
        run->kernels->im2col(columns, heed_tensor_at(run->x, image, 0, 0), &run->window, begin, count);
        a = columns;
        a_stride = k;
    }

    const struct heed_tensor *const residual = run->residual;
    const struct heed_epilogue epilogue = { .bias = run->conv->bias,
                                            .residual = residual ? residual->data + pixel * residual->stride : NULL,
                                            .residual_stride = residual ? residual->stride : 0,
                                            .activation = shape->activation,
                                            .slope = shape->slope };
    float *const y = run->y->data + pixel * run->y->stride;
    if (!run->first) {
        run->kernels->gemm(y, run->y->stride, a, a_stride, run->conv->weights, count, shape->out, k, &epilogue);
        return;
    }
    float *const sums = heed_scratch_lane(&run->sums, lane);
    run->kernels->gemm(sums, shape->out, a, a_stride, run->conv->weights, count, shape->out, k, &epilogue);
    const float *const first = run->first->data + pixel * run->first->stride;
    run->kernels->interleave(y, run->y->stride, first, run->first->stride, sums, shape->out, count, shape->out);
}

static void conv_run(struct heed_forward *forward, struct run *run)
{
    const struct heed_conv_shape *const shape = &run->conv->shape;
    const struct heed_tensor *const x = run->x, *const y = run->y;
    assert(x->c == shape->in);
    assert(y->n == x->n);
    assert(y->h == heed_conv_side(shape, x->h) && y->w == heed_conv_side(shape, x->w));
    if (run->conv->winograd) {
        assert(!run->first);
        heed_conv_winograd_run(forward, run->conv, x, run->residual, y);
        return;
    }

    run->kernels = forward->kernels;
    run->window = heed_window(x, y, shape->kernel, shape->step, shape->pad);
    if (shape->kernel > 1 && shape->kernel * shape->kernel * shape->in <= HEED_CONV_INPUTS_MAX && x->stride == x->c &&
        !run->first) {
        run_rows(forward, run);
        return;
    }
    run->direct = shape->kernel == 1 && shape->step == 1 && shape->pad == 0;
    run->images = run->direct ? 1 : x->n;
    run->pixels = run->direct ? heed_tensor_pixels(x) : y->h * y->w;
    const size_t k = shape->kernel * shape->kernel * shape->in;
    run->tile_pixels = heed_tile_items(run->pixels, k + shape->out, 48);
    run->tiles = heed_ceil_div(run->pixels, run->tile_pixels);

    const size_t mark = heed_arena_mark(forward->arena);
    if (!run->direct)
        run->columns = heed_forward_scratch(forward, run->tile_pixels * k);
    if (run->first)
        run->sums = heed_forward_scratch(forward, run->tile_pixels * shape->out);
    if (heed_forward_computes(forward))
        heed_forward_run(forward, run->conv->name, (uint64_t)heed_tensor_pixels(y) * k * shape->out, conv_tile, run,
                         run->images * run->tiles);
    heed_arena_release(forward->arena, mark);
}

void heed_conv_into(struct heed_forward *forward, const struct heed_conv *conv, const struct heed_tensor *x,
                    const struct heed_tensor *residual, const struct heed_tensor *y)
{
    assert(y->c == conv->shape.out);
    assert(!residual || (residual->c == y->c && heed_tensor_pixels(residual) == heed_tensor_pixels(y)));
    conv_run(forward, &(struct run){ .conv = conv, .x = x, .residual = residual, .y = y });
}

void heed_conv_shuffled_into(struct heed_forward *forward, const struct heed_conv *conv, const struct heed_tensor *x,
                             const struct heed_tensor *first, const struct heed_tensor *y)
{
    assert(first->c == conv->shape.out && y->c == 2 * conv->shape.out);
    assert(heed_tensor_pixels(first) == heed_tensor_pixels(y));
    conv_run(forward, &(struct run){ .conv = conv, .x = x, .first = first, .y = y });
}

struct heed_tensor heed_conv(struct heed_forward *forward, const struct heed_conv *conv, const struct heed_tensor *x)
{
    const struct heed_conv_shape *const shape = &conv->shape;
    const struct heed_tensor y =
        heed_forward_tensor(forward, x->n, heed_conv_side(shape, x->h), heed_conv_side(shape, x->w), shape->out);
    heed_conv_into(forward, conv, x, NULL, &y);
    return y;
}
