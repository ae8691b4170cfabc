#include "layers/conv.h"

#include <assert.h>
#include <stdlib.h>

#include "layers/conv_read.h"
#include "layers/conv_winograd.h"
#include "layers/tiles.h"

static float *read_weights(struct heed_loader *loader, const char *name, const struct heed_conv_shape *shape,
                           float **bias)
{
    return heed_conv_read(loader, name, shape, 4, (size_t[]){ shape->out, shape->in, shape->kernel, shape->kernel },
                          bias);
}

static void pack(struct heed_loader *loader, struct heed_conv *conv, const float *weights)
{
    const struct heed_kernels *const kernels = loader->kernels;
    const size_t n = conv->shape.out, k = conv->shape.kernel * conv->shape.kernel * conv->shape.in;
    conv->weights = heed_loader_floats(loader, kernels->gemm_packed_floats(n, k));
    if (conv->weights)
        kernels->gemm_pack(conv->weights, weights, k, 1, n, k);
}

void heed_conv_load(struct heed_loader *loader, struct heed_conv *conv, const char *name, struct heed_conv_shape shape)
{
    *conv = (struct heed_conv){ .name = name, .shape = shape };
    float *const weights = read_weights(loader, name, &shape, &conv->bias);
    conv->winograd = !loader->without_winograd && heed_conv_winograd_suits(&shape);
    if (weights && conv->winograd)
        heed_conv_winograd_pack(loader, conv, weights);
    else if (weights)
        pack(loader, conv, weights);
    free(weights);
}

void heed_conv_load_two(struct heed_loader *loader, struct heed_conv *first, struct heed_conv *second, const char *name,
                        struct heed_conv_shape shape, size_t first_out)
{
    assert(shape.kernel == 1 && first_out < shape.out);
    *first = *second = (struct heed_conv){ .name = name, .shape = shape };
    first->shape.out = first_out;
    second->shape.out = shape.out - first_out;
    float *const weights = read_weights(loader, name, &shape, &first->bias);
    if (weights) {
        second->bias = first->bias + first_out;
        pack(loader, first, weights);
        pack(loader, second, weights + first_out * shape.in);
    }
    free(weights);
}

void heed_conv_follow(struct heed_conv *conv, const struct heed_conv *depthwise)
{
    assert(conv->shape.kernel == 1 && conv->shape.step == 1 && conv->shape.pad == 0);
    assert(conv->shape.in == depthwise->shape.out);
    conv->depthwise = depthwise;
}

/* The shape of the window that slides over the input. */
static const struct heed_conv_shape *window_shape(const struct heed_conv *conv)
{
    return conv->depthwise ? &conv->depthwise->shape : &conv->shape;
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

/* What a tile multiplies, (count, k): its pixels' windows, or what the depthwise convolution makes of them. */
static void make_columns(const struct run *run, size_t image, size_t begin, size_t count, float *columns)
{
    const float *const x = heed_tensor_at(run->x, image, 0, 0);
    const struct heed_conv *const depthwise = run->conv->depthwise;
    if (!depthwise) {
        run->kernels->im2col(columns, x, &run->window, begin, count);
        return;
    }
    const struct heed_epilogue epilogue = { .bias = depthwise->bias,
                                            .activation = depthwise->shape.activation,
                                            .slope = depthwise->shape.slope };
    run->kernels->depthwise(columns, depthwise->shape.out, x, &run->window, depthwise->weights, &epilogue,
                            begin / run->y->w, count / run->y->w);
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
        make_columns(run, image, begin, count, columns);
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

/* Pixels of a tile; whole rows where a depthwise convolution makes them. */
static size_t tile_pixels(const struct run *run, size_t k)
{
    const size_t floats = k + run->conv->shape.out, w = run->y->w;
    return run->conv->depthwise ? w * heed_tile_items(run->y->h, w * floats, heed_ceil_div(48, w))
                                : heed_tile_items(run->pixels, floats, 48);
}

static uint64_t multiply_adds(const struct run *run, size_t k)
{
    const struct heed_conv *const depthwise = run->conv->depthwise;
    const size_t taps = depthwise ? depthwise->shape.kernel * depthwise->shape.kernel : 0;
    return (uint64_t)heed_tensor_pixels(run->y) * k * (run->conv->shape.out + taps);
}

static void conv_run(struct heed_forward *forward, struct run *run)
{
    const struct heed_conv_shape *const shape = &run->conv->shape, *const window = window_shape(run->conv);
    const struct heed_tensor *const x = run->x, *const y = run->y;
    assert(x->c == shape->in);
    assert(y->n == x->n);
    assert(y->h == heed_conv_side(window, x->h) && y->w == heed_conv_side(window, x->w));
    if (run->conv->winograd) {
        assert(!run->first);
        heed_conv_winograd_run(forward, run->conv, x, run->residual, y);
        return;
    }

    run->kernels = forward->kernels;
    run->window = heed_window(x, y, window->kernel, window->step, window->pad);
    if (shape->kernel > 1 && shape->kernel * shape->kernel * shape->in <= HEED_CONV_INPUTS_MAX && x->stride == x->c &&
        !run->first) {
        run_rows(forward, run);
        return;
    }
    run->direct = window->kernel == 1 && window->step == 1 && window->pad == 0;
    run->images = run->direct ? 1 : x->n;
    run->pixels = run->direct ? heed_tensor_pixels(x) : y->h * y->w;
    const size_t k = shape->kernel * shape->kernel * shape->in;
    run->tile_pixels = tile_pixels(run, k);
    run->tiles = heed_ceil_div(run->pixels, run->tile_pixels);

    const size_t mark = heed_arena_mark(forward->arena);
    if (!run->direct)
        run->columns = heed_forward_scratch(forward, run->tile_pixels * k);
    if (run->first)
        run->sums = heed_forward_scratch(forward, run->tile_pixels * shape->out);
    if (heed_forward_computes(forward))
        heed_forward_run(forward, run->conv->name, multiply_adds(run, k), conv_tile, run, run->images * run->tiles);
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

struct heed_conv heed_conv_prepared(struct heed_forward *forward, const struct heed_conv *conv,
                                    const struct heed_tensor *x)
{
    return conv->winograd ? heed_conv_winograd_prepared(forward, conv, x) : *conv;
}

struct heed_tensor heed_conv(struct heed_forward *forward, const struct heed_conv *conv, const struct heed_tensor *x)
{
    const struct heed_conv_shape *const window = window_shape(conv);
    const struct heed_tensor y =
        heed_forward_tensor(forward, x->n, heed_conv_side(window, x->h), heed_conv_side(window, x->w), conv->shape.out);
    heed_conv_into(forward, conv, x, NULL, &y);
    return y;
}
