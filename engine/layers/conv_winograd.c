/* A convolution in three steps, chunk by chunk of tiles of 4x4 or 6x6 output pixels, which take p = 36 or 64 products
 * (of 3x3, which take 49, where the step is 2):
 *
 *     x --transform--> v (p, tiles, in) --p products with u--> m (p, tiles, out) --transform--> y
 *
 * The matrices u are three to seven times as large as the kernel: too much to keep. A pass makes them, which takes no
 * longer than fetching them from memory would. They are read once a chunk; v and m are written and read. A chunk is as
 * large as an L2 has room for, and no smaller than makes reading u worth it. Where there are many chunks each is one
 * crew tile, and its v and m never leave a core: there each product takes the place of what the one before it was made
 * of, so m is v, moved by one matrix. Where there are few the crew shares each step of a chunk. Regions lie on one
 * sheet (winograd_sheet.h), so tiles go on over their edges. */
#include "layers/conv_winograd.h"

#include "kernels/winograd_sheet.h"
#include "layers/tiles.h"

#define TAPS 9
#define PAD 16                            /* floats: rows a power of two apart would share few cache lines */
#define CHUNK_FLOATS ((size_t)240 * 1024) /* of v: most of an L2 of 1 MB */
#define CHUNK_MIN 12                      /* tiles */
#define CHUNK_MAX 48
#define CHUNK_SHARED_MAX 96
#define CHUNKS_MANY 8                   /* as many as leave no core idle for long at the end */
#define PRODUCT_TILES 48                /* of one crew tile */
#define TRANSFORM_TILES 6               /* of one crew tile */
#define TRANSFORM_FLOATS ((size_t)4096) /* of a tap, of one crew tile */
#define WEIGHTS_TILES 24
#define CHANNELS_MIN 16

bool heed_conv_winograd_suits(const struct heed_conv_shape *shape)
{
    return shape->kernel == 3 && shape->step <= 2 && shape->in >= CHANNELS_MIN && shape->out >= CHANNELS_MIN;
}

void heed_conv_winograd_pack(struct heed_loader *loader, struct heed_conv *conv, const float *weights)
{
    const struct heed_kernels *const kernels = loader->kernels;
    const size_t n = conv->shape.out, k = conv->shape.in, packed = kernels->gemm_packed_floats(n, k);
    conv->weights = heed_loader_floats(loader, TAPS * packed);
    for (size_t tap = 0; conv->weights && tap < TAPS; tap++)
        kernels->gemm_pack(conv->weights + tap * packed, weights + tap * k, TAPS * k, 1, n, k);
}

struct weights_run {
    heed_winograd_weights_fn *transform;
    const float *weights;
    float *transformed;
    size_t packed; /* floats of a matrix */
};

static size_t at_most(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t square(size_t side)
{
    return side * side;
}

static size_t products_of(size_t side)
{
    return square(heed_winograd_inputs(side));
}

struct transforms {
    heed_winograd_weights_fn *weights;
    heed_winograd_input_fn *input;
    heed_winograd_output_fn *output;
};

static struct transforms transforms_of(const struct heed_kernels *k, size_t side)
{
    return side == 3   ? (struct transforms){ k->winograd_weights3, k->winograd_input3, k->winograd_output3 }
           : side == 4 ? (struct transforms){ k->winograd_weights4, k->winograd_input4, k->winograd_output4 }
                       : (struct transforms){ k->winograd_weights6, k->winograd_input6, k->winograd_output6 };
}

static struct heed_winograd_sheet sheet_of(const struct heed_tensor *x, const struct heed_tensor *y,
                                           const struct heed_conv_shape *shape)
{
    size_t across = 1;
    while (square(across) < x->n)
        across++;
    return (struct heed_winograd_sheet){ .window = heed_window(x, y, 3, shape->step, shape->pad),
                                         .images = x->n,
                                         .across = across };
}

/* The tiles' side that takes the fewest products, making the weights counted as WEIGHTS_TILES tiles. Regions have side
 * 4: a mask head's convolutions follow one another, and side 6 is eight times as far off as the plain sum where
 * neighbouring values have nothing in common. */
static size_t best_side(const struct heed_winograd_sheet *sheet)
{
    if (sheet->window.step == 2)
        return 3;
    const size_t products4 = (heed_winograd_tiles(sheet, 4) + WEIGHTS_TILES) * products_of(4);
    const size_t products6 = (heed_winograd_tiles(sheet, 6) + WEIGHTS_TILES) * products_of(6);
    return sheet->images == 1 && products6 < products4 ? 6 : 4;
}

static void weights_tile(void *arg, size_t index, unsigned lane)
{
    (void)lane;
    const struct weights_run *const run = arg;
    const size_t first = index * TRANSFORM_FLOATS;
    run->transform(run->transformed + first, run->packed, run->weights + first, run->packed,
                   at_most(run->packed - first, TRANSFORM_FLOATS));
}

struct heed_conv heed_conv_winograd_prepared(struct heed_forward *forward, const struct heed_conv *conv,
                                             const struct heed_tensor *x)
{
    struct heed_conv prepared = *conv;
    if (conv->transformed)
        return prepared;
    const struct heed_kernels *const kernels = forward->kernels;
    const size_t packed = kernels->gemm_packed_floats(conv->shape.out, conv->shape.in);
    const struct heed_tensor y = { .h = heed_conv_side(&conv->shape, x->h), .w = heed_conv_side(&conv->shape, x->w) };
    const struct heed_winograd_sheet sheet = sheet_of(x, &y, &conv->shape);
    const size_t side = best_side(&sheet);
    struct weights_run run = { .transform = transforms_of(kernels, side).weights,
                               .weights = conv->weights,
                               .transformed =
                                   heed_arena_floats(forward->arena, square(heed_winograd_weights(side)), packed),
                               .packed = packed };
    if (heed_forward_computes(forward))
        heed_forward_run(forward, conv->name, 0, weights_tile, &run, heed_ceil_div(packed, TRANSFORM_FLOATS));
    prepared.transformed = run.transformed;
    prepared.side = side;
    return prepared;
}

struct run {
    const struct heed_kernels *kernels;
    const struct heed_conv *conv; /* with its transformed weights */
    struct transforms transforms;
    size_t positions;
    const struct heed_tensor *x, *y;
    struct heed_winograd_sheet sheet;
    struct heed_epilogue epilogue;
    struct heed_scratch scratch; /* v and m of a lane that works on a chunk alone */
    float *v, *m;
    size_t row, matrix;  /* floats between tiles and between positions, of both */
    size_t tiles, chunk; /* chunk: tiles of each but the last */
    size_t first, count; /* tiles of this chunk */
};

static void input_tile(void *arg, size_t index, unsigned lane)
{
    (void)lane;
    const struct run *const run = arg;
    const size_t tile = index * TRANSFORM_TILES;
    run->transforms.input(run->v + tile * run->row, run->row, run->matrix, run->x->data, &run->sheet, run->first + tile,
                          at_most(run->count - tile, TRANSFORM_TILES));
}

static void product_tile(void *arg, size_t index, unsigned lane)
{
    (void)lane;
    const struct run *const run = arg;
    const size_t n = run->conv->shape.out, k = run->conv->shape.in;
    const size_t position = index % run->positions, tile = index / run->positions * PRODUCT_TILES;
    const size_t at = position * run->matrix + tile * run->row;
    run->kernels->gemm(run->m + at, run->row, run->v + at, run->row,
                       run->conv->transformed +
                           heed_winograd_matrix(run->conv->side, position) * run->kernels->gemm_packed_floats(n, k),
                       at_most(run->count - tile, PRODUCT_TILES), n, k, &(struct heed_epilogue){ 0 });
}

static void output_tile(void *arg, size_t index, unsigned lane)
{
    (void)lane;
    const struct run *const run = arg;
    const size_t tile = index * TRANSFORM_TILES;
    run->transforms.output(run->y->data, run->y->stride, run->m + tile * run->row, run->row, run->matrix,
                           run->conv->shape.out, &run->sheet, run->first + tile,
                           at_most(run->count - tile, TRANSFORM_TILES), &run->epilogue);
}

static size_t chunk_tiles(const struct run *run)
{
    const size_t fit = CHUNK_FLOATS / (run->positions * run->row) / 12 * 12;
    const size_t chunk = fit < CHUNK_MIN ? CHUNK_MIN : at_most(fit, CHUNK_MAX);
    return at_most(chunk, run->tiles);
}

static void place_chunk(struct run *run, size_t index, float *v, float *m)
{
    run->v = v;
    run->m = m;
    run->first = index * run->chunk;
    run->count = at_most(run->chunk, run->tiles - run->first);
}

static size_t pieces(const struct run *run)
{
    return heed_ceil_div(run->count, TRANSFORM_TILES);
}

static size_t products(const struct run *run)
{
    return run->positions * heed_ceil_div(run->count, PRODUCT_TILES);
}

static void chunk_tile(void *arg, size_t index, unsigned lane)
{
    struct run run = *(const struct run *)arg;
    float *const m = heed_scratch_lane(&run.scratch, lane);
    place_chunk(&run, index, m + run.matrix, m);
    for (size_t i = 0; i < pieces(&run); i++)
        input_tile(&run, i, lane);
    for (size_t i = 0; i < products(&run); i++)
        product_tile(&run, i, lane);
    for (size_t i = 0; i < pieces(&run); i++)
        output_tile(&run, i, lane);
}

/* Multiply-adds are those of the plain sum, so that rates of layers compare. */
static uint64_t multiply_adds(const struct run *run, size_t tiles)
{
    const struct heed_conv_shape *const shape = &run->conv->shape;
    return (uint64_t)heed_tensor_pixels(run->y) * TAPS * shape->in * shape->out * tiles / run->tiles;
}

static void run_shared(struct heed_forward *forward, struct run *run)
{
    const char *const name = run->conv->name;
    heed_forward_run(forward, name, 0, input_tile, run, pieces(run));
    heed_forward_run(forward, name, multiply_adds(run, run->count), product_tile, run, products(run));
    heed_forward_run(forward, name, 0, output_tile, run, pieces(run));
}

void heed_conv_winograd_run(struct heed_forward *forward, const struct heed_conv *conv, const struct heed_tensor *x,
                            const struct heed_tensor *residual, const struct heed_tensor *y)
{
    const struct heed_conv_shape *const shape = &conv->shape;
    const struct heed_kernels *const kernels = forward->kernels;
    const size_t mark = heed_arena_mark(forward->arena);
    const struct heed_conv prepared = heed_conv_winograd_prepared(forward, conv, x);
    const size_t side = prepared.side;
    struct run run = { .kernels = kernels,
                       .conv = &prepared,
                       .transforms = transforms_of(kernels, side),
                       .positions = products_of(side),
                       .x = x,
                       .y = y,
                       .sheet = sheet_of(x, y, shape),
                       .epilogue = { .bias = conv->bias,
                                     .residual = residual ? residual->data : NULL,
                                     .residual_stride = residual ? residual->stride : 0,
                                     .activation = shape->activation,
                                     .slope = shape->slope },
                       .row = (shape->in > shape->out ? shape->in : shape->out) + PAD };
    run.tiles = heed_winograd_tiles(&run.sheet, side);
    run.chunk = chunk_tiles(&run);
    const bool many = heed_ceil_div(run.tiles, run.chunk) >= CHUNKS_MANY;
    if (!many)
        run.chunk = at_most(run.tiles, CHUNK_SHARED_MAX);
    run.matrix = run.chunk * run.row + PAD;
    const size_t chunks = heed_ceil_div(run.tiles, run.chunk);
    if (many) {
        run.scratch = heed_forward_scratch(forward, (run.positions + 1) * run.matrix);
        if (heed_forward_computes(forward))
            heed_forward_run(forward, conv->name, multiply_adds(&run, run.tiles), chunk_tile, &run, chunks);
    } else {
        float *const v = heed_arena_floats(forward->arena, run.positions, run.matrix);
        float *const m = heed_arena_floats(forward->arena, run.positions, run.matrix);
        for (size_t i = 0; i < chunks && heed_forward_computes(forward); i++) {
            place_chunk(&run, i, v, m);
            run_shared(forward, &run);
        }
    }
    heed_arena_release(forward->arena, mark);
}
