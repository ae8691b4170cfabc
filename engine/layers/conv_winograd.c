/* A convolution in three loops, chunk by chunk of tiles of 4x4 output pixels:
 *
 *     x --transform--> v (tiles, 36, in) --36 products with u--> m (tiles, 36, out) --transform--> y
 *
 * The weights u are four times as large as the kernel's and all of them are read for every chunk, while v and m are written and
 * read once a chunk: a chunk is chosen so that neither outweighs the other, and what it touches stays in the caches that the
 * crew shares. Tiles are counted over all images, so small regions fill chunks too. */
#include "layers/conv_winograd.h"

#include <stdlib.h>

#include "base/error.h"
#include "layers/tiles.h"

#define POSITIONS 36
#define PAD 16              /* floats between positions: 36 rows a power of two apart would share few cache lines */
#define CHUNK_UNIT 48       /* tiles: rows of one product */
#define CHUNK_MAX 192
#define TRANSFORM_TILES 6   /* of one crew tile */
#define CHANNELS_MIN 16

bool heed_conv_winograd_suits(const struct heed_conv_shape *shape)
{
    return shape->kernel == 3 && shape->step == 1 && shape->in >= CHANNELS_MIN && shape->out >= CHANNELS_MIN;
}

void heed_conv_winograd_pack(struct heed_loader *loader, struct heed_conv *conv, const float *weights)
{
    const struct heed_kernels *const kernels = loader->kernels;
    const size_t n = conv->shape.out, k = conv->shape.in, packed = kernels->gemm_packed_floats(n, k);
    conv->weights = heed_loader_floats(loader, POSITIONS * packed);
    if (!conv->weights)
        return;
    float *const u = malloc(POSITIONS * n * k * sizeof *u);
    if (!u) {
        loader->status = heed_fail(loader->error, HEED_NO_MEMORY, "the weights of %s", conv->name);
        return;
    }
    heed_winograd_weights(u, weights, n, k);
    for (size_t i = 0; i < POSITIONS; i++)
        kernels->gemm_pack(conv->weights + i * packed, u + i * n * k, k, 1, n, k);
    free(u);
}

struct run {
    const struct heed_kernels *kernels;
    const struct heed_conv *conv;
    const struct heed_tensor *x, *y;
    struct heed_window window;
    struct heed_epilogue epilogue;
    float *v, *m;
    size_t v_stride, m_stride, first, count; /* count: tiles of this chunk */
};

static size_t at_most(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void input_tile(void *arg, size_t index, unsigned lane)
{
    (void)lane;
    const struct run *const run = arg;
    const size_t tile = index * TRANSFORM_TILES;
    run->kernels->winograd_input(run->v + tile * POSITIONS * run->v_stride, run->v_stride, run->x->data, &run->window,
                                 run->first + tile, at_most(run->count - tile, TRANSFORM_TILES));
}

static void product_tile(void *arg, size_t index, unsigned lane)
{
    (void)lane;
    const struct run *const run = arg;
    const size_t n = run->conv->shape.out, k = run->conv->shape.in;
    const size_t position = index % POSITIONS, tile = index / POSITIONS * CHUNK_UNIT;
    run->kernels->gemm(run->m + (tile * POSITIONS + position) * run->m_stride, POSITIONS * run->m_stride,
                       run->v + (tile * POSITIONS + position) * run->v_stride, POSITIONS * run->v_stride,
                       run->conv->weights + position * run->kernels->gemm_packed_floats(n, k),
                       at_most(run->count - tile, CHUNK_UNIT), n, k, &(struct heed_epilogue){0});
}

static void output_tile(void *arg, size_t index, unsigned lane)
{
    (void)lane;
    const struct run *const run = arg;
    const size_t tile = index * TRANSFORM_TILES;
    run->kernels->winograd_output(run->y->data, run->y->stride, run->m + tile * POSITIONS * run->m_stride, run->m_stride,
                                  run->conv->shape.out, &run->window, run->first + tile,
                                  at_most(run->count - tile, TRANSFORM_TILES), &run->epilogue);
}

/* u (36 in out) is read once a chunk, v and m (36 (in + out) a tile) are written and read. */
static size_t chunk_tiles(const struct heed_conv_shape *shape, size_t tiles)
{
    const size_t even = shape->in * shape->out / (2 * (shape->in + shape->out));
    const size_t chunk = at_most(heed_ceil_div(even, CHUNK_UNIT) * CHUNK_UNIT, CHUNK_MAX);
    return at_most(chunk, tiles);
}

static void run_chunk(struct heed_forward *forward, struct run *run)
{
    const struct heed_conv *const conv = run->conv;
    const uint64_t multiply_adds = (uint64_t)run->count * 16 * 9 * conv->shape.in * conv->shape.out;
    const size_t transforms = heed_ceil_div(run->count, TRANSFORM_TILES);
    heed_forward_run(forward, conv->name, 0, input_tile, run, transforms);
    heed_forward_run(forward, conv->name, multiply_adds, product_tile, run, POSITIONS * heed_ceil_div(run->count, CHUNK_UNIT));
    heed_forward_run(forward, conv->name, 0, output_tile, run, transforms);
}

void heed_conv_winograd_run(struct heed_forward *forward, const struct heed_conv *conv, const struct heed_tensor *x,
                            const struct heed_tensor *residual, const struct heed_tensor *y)
{
    const struct heed_conv_shape *const shape = &conv->shape;
    const size_t tiles = x->n * heed_ceil_div(y->h, 4) * heed_ceil_div(y->w, 4), chunk = chunk_tiles(shape, tiles);
    const size_t mark = heed_arena_mark(forward->arena);
    struct run run = {.kernels = forward->kernels, .conv = conv, .x = x, .y = y,
                      .window = {.h = x->h, .w = x->w, .c = x->c, .stride = x->stride, .out_h = y->h, .out_w = y->w,
                                 .kernel_h = 3, .kernel_w = 3, .step = 1, .pad = shape->pad, .dilation = 1},
                      .epilogue = {.bias = conv->bias,
                                   .residual = residual ? residual->data : NULL,
                                   .residual_stride = residual ? residual->stride : 0,
                                   .activation = shape->activation,
                                   .slope = shape->slope},
                      .v_stride = shape->in + PAD, .m_stride = shape->out + PAD};
    run.v = heed_arena_floats(forward->arena, chunk * POSITIONS, run.v_stride);
    run.m = heed_arena_floats(forward->arena, chunk * POSITIONS, run.m_stride);
    for (; run.first < tiles && heed_forward_computes(forward); run.first += run.count) {
        run.count = at_most(chunk, tiles - run.first);
        run_chunk(forward, &run);
    }
    heed_arena_release(forward->arena, mark);
}
