/* A convolution in three steps, chunk by chunk of tiles of 4x4 output pixels:
 *
 *     x --transform--> v (tiles, 36, in) --36 products with u--> m (tiles, 36, out) --transform--> y
 *
 * The 36 matrices u are four times as large as the kernel: too much to keep of every layer. A pass makes them, which
 * takes no longer than fetching them from memory would. They are read once a chunk; v and m are written and read. A
 * chunk is as large as lets v and m stay near an L2, and no smaller than makes reading u worth it. Where there are many
 * chunks each is one crew tile, and its v and m never leave a core; where there are few the crew shares each step of a
 * chunk. Tiles are counted over all images, so small regions fill chunks too. */
#include "layers/conv_winograd.h"

#include "layers/tiles.h"

#define TAPS 9
#define POSITIONS 36
#define KEPT_FLOATS ((size_t)256 * 1024) /* of transformed weights */
#define PAD 16 /* floats between positions: 36 rows a power of two apart would share few cache lines */
#define CHUNK_FLOATS ((size_t)480 * 1024) /* of v and m */
#define CHUNK_MIN 24                      /* tiles */
#define CHUNK_MAX 96
#define CHUNKS_MANY 12                  /* as many as leave no core idle for long at the end */
#define PRODUCT_TILES 48                /* of one crew tile */
#define TRANSFORM_TILES 6               /* of one crew tile */
#define TRANSFORM_FLOATS ((size_t)4096) /* of a tap, of one crew tile */
#define CHANNELS_MIN 16

bool heed_conv_winograd_suits(const struct heed_conv_shape *shape)
{
    return shape->kernel == 3 && shape->step == 1 && shape->in >= CHANNELS_MIN && shape->out >= CHANNELS_MIN;
}

void heed_conv_winograd_pack(struct heed_loader *loader, struct heed_conv *conv, const float *weights)
{
    const struct heed_kernels *const kernels = loader->kernels;
    const size_t n = conv->shape.out, k = conv->shape.in, packed = kernels->gemm_packed_floats(n, k);
    conv->weights = heed_loader_floats(loader, TAPS * packed);
    for (size_t tap = 0; conv->weights && tap < TAPS; tap++)
        kernels->gemm_pack(conv->weights + tap * packed, weights + tap * k, TAPS * k, 1, n, k);
    float *const kept = POSITIONS * packed <= KEPT_FLOATS ? heed_loader_floats(loader, POSITIONS * packed) : NULL;
    if (conv->weights && kept)
        kernels->winograd_weights(kept, packed, conv->weights, packed, packed);
    conv->transformed = kept;
}

struct weights_run {
    const struct heed_kernels *kernels;
    const float *weights;
    float *transformed;
    size_t packed; /* floats of a matrix */
};

static size_t at_most(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void weights_tile(void *arg, size_t index, unsigned lane)
{
    (void)lane;
    const struct weights_run *const run = arg;
    const size_t first = index * TRANSFORM_FLOATS;
    run->kernels->winograd_weights(run->transformed + first, run->packed, run->weights + first, run->packed,
                                   at_most(run->packed - first, TRANSFORM_FLOATS));
}

const float *heed_conv_winograd_weights(struct heed_forward *forward, const struct heed_conv *conv)
{
    if (conv->transformed)
        return conv->transformed;
    const size_t packed = forward->kernels->gemm_packed_floats(conv->shape.out, conv->shape.in);
    struct weights_run run = { .kernels = forward->kernels,
                               .weights = conv->weights,
                               .transformed = heed_arena_floats(forward->arena, POSITIONS, packed),
                               .packed = packed };
    if (heed_forward_computes(forward))
        heed_forward_run(forward, conv->name, 0, weights_tile, &run, heed_ceil_div(packed, TRANSFORM_FLOATS));
    return run.transformed;
}

struct run {
    const struct heed_kernels *kernels;
    const struct heed_conv *conv;
    const float *weights; /* transformed */
    const struct heed_tensor *x, *y;
    struct heed_window window;
    struct heed_epilogue epilogue;
    struct heed_scratch scratch; /* v and m of a lane that works on a chunk alone */
    float *v, *m;
    size_t v_stride, m_stride, tiles, chunk; /* chunk: tiles of each but the last */
    size_t first, count;                     /* tiles of this chunk */
};

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
    const size_t position = index % POSITIONS, tile = index / POSITIONS * PRODUCT_TILES;
    run->kernels->gemm(run->m + (tile * POSITIONS + position) * run->m_stride, POSITIONS * run->m_stride,
                       run->v + (tile * POSITIONS + position) * run->v_stride, POSITIONS * run->v_stride,
                       run->weights + position * run->kernels->gemm_packed_floats(n, k),
                       at_most(run->count - tile, PRODUCT_TILES), n, k, &(struct heed_epilogue){ 0 });
}

static void output_tile(void *arg, size_t index, unsigned lane)
{
    (void)lane;
    const struct run *const run = arg;
    const size_t tile = index * TRANSFORM_TILES;
    run->kernels->winograd_output(run->y->data, run->y->stride, run->m + tile * POSITIONS * run->m_stride,
                                  run->m_stride, run->conv->shape.out, &run->window, run->first + tile,
                                  at_most(run->count - tile, TRANSFORM_TILES), &run->epilogue);
}

static size_t chunk_tiles(const struct heed_conv_shape *shape, size_t tiles)
{
    const size_t fit = CHUNK_FLOATS / (POSITIONS * (shape->in + shape->out + 2 * PAD)) / 12 * 12;
    const size_t chunk = fit < CHUNK_MIN ? CHUNK_MIN : at_most(fit, CHUNK_MAX);
    return at_most(chunk, tiles);
}

static void place_chunk(struct run *run, size_t index, float *scratch)
{
    run->v = scratch;
    run->m = scratch + run->chunk * POSITIONS * run->v_stride;
    run->first = index * run->chunk;
    run->count = at_most(run->chunk, run->tiles - run->first);
}

static size_t transforms(const struct run *run)
{
    return heed_ceil_div(run->count, TRANSFORM_TILES);
}

static size_t products(const struct run *run)
{
    return POSITIONS * heed_ceil_div(run->count, PRODUCT_TILES);
}

static void chunk_tile(void *arg, size_t index, unsigned lane)
{
    struct run run = *(const struct run *)arg;
    place_chunk(&run, index, heed_scratch_lane(&run.scratch, lane));
    for (size_t i = 0; i < transforms(&run); i++)
        input_tile(&run, i, lane);
    for (size_t i = 0; i < products(&run); i++)
        product_tile(&run, i, lane);
    for (size_t i = 0; i < transforms(&run); i++)
        output_tile(&run, i, lane);
}

/* Multiply-adds are those of the plain sum, so that rates of layers compare. */
static uint64_t multiply_adds(const struct run *run, size_t tiles)
{
    return (uint64_t)tiles * 16 * 9 * run->conv->shape.in * run->conv->shape.out;
}

static void run_shared(struct heed_forward *forward, struct run *run)
{
    const char *const name = run->conv->name;
    heed_forward_run(forward, name, 0, input_tile, run, transforms(run));
    heed_forward_run(forward, name, multiply_adds(run, run->count), product_tile, run, products(run));
    heed_forward_run(forward, name, 0, output_tile, run, transforms(run));
}

void heed_conv_winograd_run(struct heed_forward *forward, const struct heed_conv *conv, const struct heed_tensor *x,
                            const struct heed_tensor *residual, const struct heed_tensor *y)
{
    const struct heed_conv_shape *const shape = &conv->shape;
    const size_t mark = heed_arena_mark(forward->arena);
    struct run run = { .kernels = forward->kernels,
                       .conv = conv,
                       .weights = heed_conv_winograd_weights(forward, conv),
                       .x = x,
                       .y = y,
                       .window = heed_window(x, y, 3, 1, shape->pad),
                       .epilogue = { .bias = conv->bias,
                                     .residual = residual ? residual->data : NULL,
                                     .residual_stride = residual ? residual->stride : 0,
                                     .activation = shape->activation,
                                     .slope = shape->slope },
                       .v_stride = shape->in + PAD,
                       .m_stride = shape->out + PAD,
                       .tiles = x->n * heed_ceil_div(y->h, 4) * heed_ceil_div(y->w, 4) };
    run.chunk = chunk_tiles(shape, run.tiles);
    const size_t chunks = heed_ceil_div(run.tiles, run.chunk),
                 floats = run.chunk * POSITIONS * (run.v_stride + run.m_stride);
    if (chunks >= CHUNKS_MANY) {
        run.scratch = heed_forward_scratch(forward, floats);
        if (heed_forward_computes(forward))
            heed_forward_run(forward, conv->name, multiply_adds(&run, run.tiles), chunk_tile, &run, chunks);
    } else {
        float *const shared = heed_arena_floats(forward->arena, 1, floats);
        for (size_t i = 0; i < chunks && heed_forward_computes(forward); i++) {
            place_chunk(&run, i, shared);
            run_shared(forward, &run);
        }
    }
    heed_arena_release(forward->arena, mark);
}
