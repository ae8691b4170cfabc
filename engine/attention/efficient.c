/* Efficient attention (Shen et al., WACV 2021), linear in the number of positions n:
 *
 *     out = X + softmax_channels(Q) (softmax_positions(K)^T V) Wr^T + br,      K, Q, V = X W^T + b
 *
 * Nothing of the size of the image is stored. Both outer projections act on the few global vectors instead of on every
 * position, with the same result, because matrix products associate:
 *
 *     gather   T = P^T X             (key_channels, channels), P = softmax_positions(K), made tile by tile from X
 *     fold     G = (T Wv^T + 1 bv^T) Wr^T      each head's rows with its own slices of Wv and Wr
 *     spread   X += softmax_channels(X Wq^T + bq) G + br
 *
 * Gathering is cut into parts (runs of positions) and blocks (of key channels). A part keeps running maxima and sums,
 * as an online softmax does; the parts are added in order when folding. All cuts depend on shapes alone.
 *
 * With scaling normalisation there are no softmaxes and K V^T Q is multiplied by one factor. */
#include "attention/attention.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "layers/tiles.h"

#define BLOCK_FLOATS ((size_t)64 * 1024) /* of T: stays in L2 while X streams by */
#define GATHER_TILES 16
#define PART_ROWS 96 /* a part's T is cleared, written and read once more: few rows are not worth it */
#define FOLD_ROWS 64

struct efficient {
    const char *name;
    size_t channels, key_channels, value_channels, heads;
    bool softmax;
    float scale;
    size_t block;                            /* key channels of a gathering tile */
    float *keys, *keys_bias;                 /* packed block by block */
    float *queries, *queries_bias;           /* packed */
    float *values, *values_bias;             /* packed head by head: (value_channels / heads, channels) */
    float *reprojection, *reprojection_bias; /* packed head by head: (channels, value_channels / heads) */
};

static const float *weight(struct heed_loader *loader, const char *name, const char *part, size_t out, size_t in)
{
    return heed_loader_read_temporary(loader, heed_loader_name(loader, "%s.%s.weight", name, part), 4,
                                      (size_t[]){ out, in, 1, 1 });
}

static float *bias(struct heed_loader *loader, const char *name, const char *part, size_t out)
{
    return heed_loader_read(loader, heed_loader_name(loader, "%s.%s.bias", name, part), 1, &out);
}

/* Packs a matrix of `n` rows of `k` in pieces of `piece` rows. */
static float *pack_rows(struct heed_loader *loader, const float *from, size_t n, size_t k, size_t piece)
{
    const struct heed_kernels *const kernels = loader->kernels;
    const size_t piece_floats = kernels->gemm_packed_floats(piece, k);
    float *const packed = from ? heed_loader_floats(loader, heed_ceil_div(n, piece) * piece_floats) : NULL;
    for (size_t row = 0; packed && row < n; row += piece)
        kernels->gemm_pack(packed + row / piece * piece_floats, from + row * k, k, 1, n - row < piece ? n - row : piece,
                           k);
    return packed;
}

static float *pack_reprojection(struct heed_loader *loader, const float *from, size_t channels, size_t value_channels,
                                size_t heads)
{
    const struct heed_kernels *const kernels = loader->kernels;
    const size_t piece = value_channels / heads, piece_floats = kernels->gemm_packed_floats(channels, piece);
    float *const packed = from ? heed_loader_floats(loader, heads * piece_floats) : NULL;
    for (size_t head = 0; packed && head < heads; head++)
        kernels->gemm_pack(packed + head * piece_floats, from + head * piece, value_channels, 1, channels, piece);
    return packed;
}

static void *efficient_load(struct heed_loader *loader, const struct heed_attention_spec *spec, const char *name,
                            size_t channels)
{
    struct efficient *const e = heed_loader_bytes(loader, sizeof *e);
    if (!e)
        return NULL;
    const size_t keys = spec->key_channels, values = spec->value_channels, heads = spec->heads;
    const size_t fit = BLOCK_FLOATS / channels;
    *e = (struct efficient){ .name = name,
                             .channels = channels,
                             .key_channels = keys,
                             .value_channels = values,
                             .heads = heads,
                             .softmax = spec->normalization == HEED_NORMALIZATION_SOFTMAX,
                             .scale = spec->scale,
                             .block = fit >= keys ? keys
                                      : fit < 32  ? 32
                                                  : fit / 32 * 32 };
    e->keys = pack_rows(loader, weight(loader, name, "keys", keys, channels), keys, channels, e->block);
    e->keys_bias = bias(loader, name, "keys", keys);
    e->queries = pack_rows(loader, weight(loader, name, "queries", keys, channels), keys, channels, keys);
    e->queries_bias = bias(loader, name, "queries", keys);
    e->values = pack_rows(loader, weight(loader, name, "values", values, channels), values, channels, values / heads);
    e->values_bias = bias(loader, name, "values", values);
    e->reprojection =
        pack_reprojection(loader, weight(loader, name, "reprojection", channels, values), channels, values, heads);
    e->reprojection_bias = bias(loader, name, "reprojection", channels);
    return e;
}

struct run {
    const struct heed_kernels *kernels;
    const struct efficient *e;
    float *x; /* one image: (positions, channels) */
    size_t x_stride, positions;
    size_t blocks, parts, part_rows;                        /* how gathering is cut */
    size_t gather_rows, spread_rows, fold_rows, fold_tiles; /* of a tile; fold_tiles: of a head */
    float *gathered;                                        /* T of each part (parts, key_channels, channels) */
    float *max, *sum;                                       /* its running maxima and sums (parts, key_channels) */
    float *folded, *packed;                                 /* G (key_channels, channels), and packed for spreading */
    struct heed_scratch scratch;
};

/* ---- Gather ---------------------------------------------------------------------------------------- */

/* Raises the running maxima over a tile of keys and brings what was summed under the old ones to the new. */
static void raise_maxima(const struct run *run, const float *k, size_t rows, size_t keys, float *max, float *sum,
                         float *gathered, float *raised)
{
    const size_t channels = run->e->channels;
    memcpy(raised, max, keys * sizeof *max);
    run->kernels->column_max(raised, k, keys, rows, keys);
    for (size_t j = 0; j < keys; j++) {
        if (raised[j] == max[j])
            continue;
        const float before = max[j], factor = expf(before - raised[j]);
        max[j] = raised[j];
        if (before == -FLT_MAX)
            continue; /* nothing is gathered yet */
        for (size_t i = 0; i < channels; i++)
            gathered[j * channels + i] *= factor;
        sum[j] *= factor;
    }
}

static void gather_tile(void *arg, size_t index, unsigned lane)
{
    const struct run *const run = arg;
    const struct efficient *const e = run->e;
    const struct heed_kernels *const kernels = run->kernels;
    const size_t part = index / run->blocks, block = index % run->blocks, first_key = block * e->block;
    const size_t keys = e->key_channels - first_key < e->block ? e->key_channels - first_key : e->block;
    const size_t begin = part * run->part_rows;
    const size_t end = run->positions - begin < run->part_rows ? run->positions : begin + run->part_rows;

    float *const gathered = run->gathered + (part * e->key_channels + first_key) * e->channels;
    float *const max = run->max + part * e->key_channels + first_key;
    float *const sum = run->sum + part * e->key_channels + first_key;
    memset(gathered, 0, keys * e->channels * sizeof *gathered);
    for (size_t j = 0; j < keys; j++) {
        max[j] = -FLT_MAX; /* not -infinity: keys may be that, and their difference would be none */
        sum[j] = 0;
    }

    float *const k = heed_scratch_lane(&run->scratch, lane), *const raised = k + run->gather_rows * keys;
    const float *const weights = e->keys + block * kernels->gemm_packed_floats(e->block, e->channels);
    const struct heed_epilogue epilogue = { .bias = e->keys_bias + first_key };
    for (size_t row = begin; row < end; row += run->gather_rows) {
        const size_t rows = end - row < run->gather_rows ? end - row : run->gather_rows;
        const float *const x = run->x + row * run->x_stride;
        kernels->gemm(k, keys, x, run->x_stride, weights, rows, keys, e->channels, &epilogue);
        if (e->softmax) {
            raise_maxima(run, k, rows, keys, max, sum, gathered, raised);
            kernels->column_exp(k, keys, sum, max, rows, keys);
        } else {
            for (size_t i = 0; i < rows; i++)
                kernels->add(sum, k + i * keys, keys);
        }
        kernels->gemm_tn(gathered, e->channels, k, keys, x, run->x_stride, keys, e->channels, rows);
    }
}

/* ---- Fold ------------------------------------------------------------------------------------------ */

/* t = row j of T over all parts, normalised. Returns what its keys' weights add up to: 1 after a softmax. */
static float gathered_row(const struct run *run, size_t j, float *t)
{
    const struct efficient *const e = run->e;
    const size_t keys = e->key_channels, channels = e->channels;
    float max = -INFINITY, sum = 0;
    for (size_t part = 0; part < run->parts; part++)
        max = fmaxf(max, run->max[part * keys + j]);
    memset(t, 0, channels * sizeof *t);
    for (size_t part = 0; part < run->parts; part++) {
        const float factor = e->softmax ? expf(run->max[part * keys + j] - max) : 1;
        const float *const from = run->gathered + (part * keys + j) * channels;
        for (size_t i = 0; i < channels; i++)
            t[i] += factor * from[i];
        sum += factor * run->sum[part * keys + j];
    }
    const float scale = e->softmax ? 1 / sum : e->scale != 0 ? e->scale : 1 / (float)run->positions;
    for (size_t i = 0; i < channels; i++)
        t[i] *= scale;
    return sum * scale;
}

static void fold_tile(void *arg, size_t index, unsigned lane)
{
    const struct run *const run = arg;
    const struct efficient *const e = run->e;
    const struct heed_kernels *const kernels = run->kernels;
    const size_t head_keys = e->key_channels / e->heads, head_values = e->value_channels / e->heads;
    const size_t head = index / run->fold_tiles, first = index % run->fold_tiles * run->fold_rows;
    const size_t rows = head_keys - first < run->fold_rows ? head_keys - first : run->fold_rows;
    const size_t key = head * head_keys + first;

    float *const t = heed_scratch_lane(&run->scratch, lane);
    float *const v = t + run->fold_rows * e->channels, *const weights = v + run->fold_rows * head_values;
    for (size_t i = 0; i < rows; i++)
        weights[i] = gathered_row(run, key + i, t + i * e->channels);
    const struct heed_epilogue plain = { 0 };
    kernels->gemm(v, head_values, t, e->channels,
                  e->values + head * kernels->gemm_packed_floats(head_values, e->channels), rows, head_values,
                  e->channels, &plain);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < head_values; j++)
            v[i * head_values + j] += weights[i] * e->values_bias[head * head_values + j];
    kernels->gemm(run->folded + key * e->channels, e->channels, v, head_values,
                  e->reprojection + head * kernels->gemm_packed_floats(e->channels, head_values), rows, e->channels,
                  head_values, &plain);
}

/* ---- Spread ---------------------------------------------------------------------------------------- */

static void spread_tile(void *arg, size_t index, unsigned lane)
{
    const struct run *const run = arg;
    const struct efficient *const e = run->e;
    const size_t row = index * run->spread_rows, left = run->positions - row;
    const size_t rows = left < run->spread_rows ? left : run->spread_rows, head_keys = e->key_channels / e->heads;
    float *const x = run->x + row * run->x_stride, *const q = heed_scratch_lane(&run->scratch, lane);
    run->kernels->gemm(q, e->key_channels, x, run->x_stride, e->queries, rows, e->key_channels, e->channels,
                       &(struct heed_epilogue){ .bias = e->queries_bias });
    for (size_t head = 0; e->softmax && head < e->heads; head++)
        run->kernels->softmax_rows(q + head * head_keys, e->key_channels, rows, head_keys);
    const struct heed_epilogue epilogue = { .bias = e->reprojection_bias,
                                            .residual = x,
                                            .residual_stride = run->x_stride };
    run->kernels->gemm(x, run->x_stride, q, e->key_channels, run->packed, rows, e->channels, e->key_channels,
                       &epilogue);
}

/* ---- The pass -------------------------------------------------------------------------------------- */

static size_t max_of(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Of about `size` each, and an even number: two cores are what most have who wait for one photo. */
static size_t even_pieces(size_t count, size_t size)
{
    const size_t pieces = heed_ceil_div(count, size);
    return pieces + pieces % 2;
}

static void plan(struct run *run, size_t positions)
{
    const struct efficient *const e = run->e;
    const size_t head_keys = e->key_channels / e->heads;
    run->positions = positions;
    run->gather_rows = heed_tile_items(positions, e->channels + e->block, PART_ROWS);
    run->spread_rows = heed_tile_items(positions, 2 * e->channels + e->key_channels, 48);
    run->blocks = heed_ceil_div(e->key_channels, e->block);
    const size_t parts = even_pieces(positions, PART_ROWS), wanted = heed_ceil_div(GATHER_TILES, run->blocks);
    run->part_rows = heed_ceil_div(positions, parts < wanted ? parts : wanted);
    run->parts = heed_ceil_div(positions, run->part_rows);
    run->fold_rows = heed_ceil_div(head_keys, even_pieces(head_keys, FOLD_ROWS));
    run->fold_tiles = heed_ceil_div(head_keys, run->fold_rows);
}

static void attend(struct heed_forward *forward, struct run *run)
{
    const struct efficient *const e = run->e;
    const uint64_t map = (uint64_t)run->positions * e->key_channels * e->channels;
    const uint64_t fold = 2 * (uint64_t)e->key_channels * e->channels * e->value_channels / e->heads;
    heed_forward_run(forward, e->name, 2 * map, gather_tile, run, run->parts * run->blocks);
    heed_forward_run(forward, e->name, fold, fold_tile, run, e->heads * run->fold_tiles);
    run->kernels->gemm_pack(run->packed, run->folded, 1, e->channels, e->channels, e->key_channels);
    heed_forward_run(forward, e->name, 2 * map, spread_tile, run, heed_ceil_div(run->positions, run->spread_rows));
}

static void efficient_run(struct heed_forward *forward, const void *module, const struct heed_tensor *x)
{
    const struct efficient *const e = module;
    const size_t mark = heed_arena_mark(forward->arena);
    struct run run = { .kernels = forward->kernels, .e = e, .x_stride = x->stride };
    plan(&run, x->h * x->w);
    run.gathered = heed_arena_floats(forward->arena, run.parts * e->key_channels, e->channels);
    run.max = heed_arena_floats(forward->arena, run.parts, e->key_channels);
    run.sum = heed_arena_floats(forward->arena, run.parts, e->key_channels);
    run.folded = heed_arena_floats(forward->arena, e->key_channels, e->channels);
    run.packed =
        heed_arena_floats(forward->arena, forward->kernels->gemm_packed_floats(e->channels, e->key_channels), 1);
    const size_t gather = (run.gather_rows + 1) * e->block, spread = run.spread_rows * e->key_channels;
    const size_t fold = run.fold_rows * (e->channels + e->value_channels / e->heads + 1);
    run.scratch = heed_forward_scratch(forward, max_of(gather, max_of(spread, fold)));
    for (size_t image = 0; image < x->n && heed_forward_computes(forward); image++) {
        run.x = heed_tensor_at(x, image, 0, 0);
        attend(forward, &run);
    }
    heed_arena_release(forward->arena, mark);
}

const struct heed_attention_kind heed_attention_efficient = { .load = efficient_load, .run = efficient_run };
