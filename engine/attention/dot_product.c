/* The non-local block (Wang et al., CVPR 2018; embedded Gaussian), what efficient attention is compared with:
 *
 *     out = X + (softmax_keys(Theta Phi^T / sqrt(d_k)) G) Wo^T + bo,      Theta, Phi, G = X W^T + b
 *
 * Its map has n x n entries, of which only a block exists at a time: a tile of queries meets the keys block by block
 * and keeps running maxima, sums and what it attends to (an online softmax). Beside the keys and values themselves,
 * which the output may not overwrite before all queries have met them, scratch does not depend on n. The work does,
 * squared.
 *
 * The map is made with a key to a row and a query to a column, as the kernels want it: the softmax goes down columns,
 * and the sum over keys is a product of its transpose. */
#include "attention/attention.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "layers/conv.h"
#include "layers/tiles.h"

#define QUERIES 192 /* of a tile */
#define KEYS 96     /* of a block */

struct dot_product {
    const char *name;
    size_t channels, key_channels, value_channels, heads;
    struct heed_conv theta, phi, g, out;
};

static void projection(struct heed_loader *loader, struct heed_conv *conv, const char *name, const char *part,
                       size_t in, size_t out)
{
    heed_conv_load(loader, conv, heed_loader_name(loader, "%s.%s", name, part),
                   (struct heed_conv_shape){ .in = in, .out = out, .kernel = 1, .step = 1 });
}

static void *dot_product_load(struct heed_loader *loader, const struct heed_attention_spec *spec, const char *name,
                              size_t channels)
{
    struct dot_product *const d = heed_loader_bytes(loader, sizeof *d);
    if (!d)
        return NULL;
    *d = (struct dot_product){ .name = name,
                               .channels = channels,
                               .key_channels = spec->key_channels,
                               .value_channels = spec->value_channels,
                               .heads = spec->heads };
    projection(loader, &d->theta, name, "theta", channels, d->key_channels);
    projection(loader, &d->phi, name, "phi", channels, d->key_channels);
    projection(loader, &d->g, name, "g", channels, d->value_channels);
    projection(loader, &d->out, name, "out", d->value_channels, channels);
    return d;
}

struct run {
    const struct heed_kernels *kernels;
    const struct dot_product *d;
    float *x; /* one image: (positions, channels) */
    size_t x_stride, positions;
    const float *keys, *values; /* (positions, key_channels), (positions, value_channels) */
    const struct heed_stop *stop;
    struct heed_scratch scratch;
};

/* A tile's part of the scratch. Of queries there are QUERIES, or fewer in the last tile. */
struct tile {
    size_t queries;
    float *projected;             /* (queries, key_channels) */
    float *attended;              /* (queries, value_channels) */
    float *packed;                /* a head's queries, to be multiplied by */
    float *map;                   /* (KEYS, queries) */
    float *max, *sum, *raised_to; /* (queries) */
};

static size_t tile_floats(const struct heed_kernels *kernels, const struct dot_product *d)
{
    return QUERIES * (d->key_channels + d->value_channels + KEYS + 3) +
           kernels->gemm_packed_floats(QUERIES, d->key_channels / d->heads);
}

static struct tile tile_layout(const struct dot_product *d, float *scratch, size_t queries)
{
    struct tile tile = { .queries = queries, .projected = scratch };
    tile.attended = tile.projected + QUERIES * d->key_channels;
    tile.map = tile.attended + QUERIES * d->value_channels;
    tile.max = tile.map + QUERIES * KEYS;
    tile.sum = tile.max + QUERIES;
    tile.raised_to = tile.sum + QUERIES;
    tile.packed = tile.raised_to + QUERIES;
    return tile;
}

/* Raises the running maxima over a block of the map and brings what was summed under the old ones to the new. */
static void raise_maxima(const struct run *run, const struct tile *tile, size_t keys, float *attended)
{
    const size_t value_channels = run->d->value_channels, head_values = value_channels / run->d->heads;
    memcpy(tile->raised_to, tile->max, tile->queries * sizeof *tile->max);
    run->kernels->column_max(tile->raised_to, tile->map, tile->queries, keys, tile->queries);
    for (size_t i = 0; i < tile->queries; i++) {
        if (tile->raised_to[i] == tile->max[i])
            continue;
        const float factor = expf(tile->max[i] - tile->raised_to[i]); /* 0 in the first block */
        for (size_t j = 0; j < head_values; j++)
            attended[i * value_channels + j] *= factor;
        tile->sum[i] *= factor;
        tile->max[i] = tile->raised_to[i];
    }
}

static void attend_head(const struct run *run, const struct tile *tile, size_t head)
{
    const struct dot_product *const d = run->d;
    const struct heed_kernels *const kernels = run->kernels;
    const size_t head_keys = d->key_channels / d->heads, head_values = d->value_channels / d->heads;
    float *const attended = tile->attended + head * head_values;
    kernels->gemm_pack(tile->packed, tile->projected + head * head_keys, d->key_channels, 1, tile->queries, head_keys);
    for (size_t i = 0; i < tile->queries; i++) {
        memset(attended + i * d->value_channels, 0, head_values * sizeof *attended);
        tile->max[i] = -FLT_MAX; /* not -infinity: keys may be that, and their difference would be none */
        tile->sum[i] = 0;
    }
    /* The work grows with the square, so it is given up in the middle: what is left is nobody's. */
    for (size_t first = 0; first < run->positions && heed_stop_check(run->stop, NULL) == HEED_OK; first += KEYS) {
        const size_t keys = run->positions - first < KEYS ? run->positions - first : KEYS;
        kernels->gemm(tile->map, tile->queries, run->keys + first * d->key_channels + head * head_keys, d->key_channels,
                      tile->packed, keys, tile->queries, head_keys, &(struct heed_epilogue){ 0 });
        raise_maxima(run, tile, keys, attended);
        kernels->column_exp(tile->map, tile->queries, tile->sum, tile->max, keys, tile->queries);
        kernels->gemm_tn(attended, d->value_channels, tile->map, tile->queries,
                         run->values + first * d->value_channels + head * head_values, d->value_channels, tile->queries,
                         head_values, keys);
    }
    for (size_t i = 0; i < tile->queries; i++) {
        const float scale = 1 / tile->sum[i];
        for (size_t j = 0; j < head_values; j++)
            attended[i * d->value_channels + j] *= scale;
    }
}

static void attend_tile(void *arg, size_t index, unsigned lane)
{
    const struct run *const run = arg;
    const struct dot_product *const d = run->d;
    const size_t row = index * QUERIES, left = run->positions - row, rows = left < QUERIES ? left : QUERIES;
    const struct tile tile = tile_layout(d, heed_scratch_lane(&run->scratch, lane), rows);
    float *const x = run->x + row * run->x_stride;

    run->kernels->gemm(tile.projected, d->key_channels, x, run->x_stride, d->theta.weights, rows, d->key_channels,
                       d->channels, &(struct heed_epilogue){ .bias = d->theta.bias });
    const float scale = 1 / sqrtf((float)(d->key_channels / d->heads));
    for (size_t i = 0; i < rows * d->key_channels; i++)
        tile.projected[i] *= scale;
    for (size_t head = 0; head < d->heads; head++)
        attend_head(run, &tile, head);
    const struct heed_epilogue epilogue = { .bias = d->out.bias, .residual = x, .residual_stride = run->x_stride };
    run->kernels->gemm(x, run->x_stride, tile.attended, d->value_channels, d->out.weights, rows, d->channels,
                       d->value_channels, &epilogue);
}

static void attend(struct heed_forward *forward, const struct dot_product *d, const struct heed_tensor *image)
{
    const size_t positions = image->h * image->w, mark = heed_arena_mark(forward->arena);
    const struct heed_tensor keys = heed_conv(forward, &d->phi, image), values = heed_conv(forward, &d->g, image);
    struct run run = { .kernels = forward->kernels,
                       .d = d,
                       .x = image->data,
                       .x_stride = image->stride,
                       .positions = positions,
                       .keys = keys.data,
                       .values = values.data,
                       .stop = &forward->stop,
                       .scratch = heed_forward_scratch(forward, tile_floats(forward->kernels, d)) };
    const uint64_t work =
        (uint64_t)positions * (positions + d->channels) * ((uint64_t)d->key_channels + d->value_channels);
    if (heed_forward_computes(forward))
        heed_forward_run(forward, d->name, work, attend_tile, &run, heed_ceil_div(positions, QUERIES));
    heed_arena_release(forward->arena, mark);
}

static void dot_product_run(struct heed_forward *forward, const void *module, const struct heed_tensor *x)
{
    for (size_t i = 0; i < x->n; i++) {
        struct heed_tensor image = *x;
        image.n = 1;
        image.data = heed_tensor_at(x, i, 0, 0);
        attend(forward, module, &image);
    }
}

const struct heed_attention_kind heed_attention_dot_product = { .load = dot_product_load, .run = dot_product_run };
