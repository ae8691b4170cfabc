/* The non-local block (Wang et al., CVPR 2018; embedded Gaussian), what efficient attention is compared with:
 *
 *     out = X + (softmax_keys(Theta Phi^T / sqrt(d_k)) G) Wo^T + bo,      Theta, Phi, G = X W^T + b
 *
 * Its map has n x n entries. Only the rows of the tiles being worked on exist at a time, so memory is linear in n; the
 * work is not. */
#include "attention/attention.h"

#include <math.h>

#include "layers/conv.h"
#include "layers/tiles.h"

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
    size_t x_stride, positions, tile_rows;
    float *keys;                 /* packed head by head: (positions, key_channels / heads) */
    float *values;               /* packed head by head: (value_channels / heads, positions) */
    struct heed_scratch scratch; /* queries, map and what they attend to, of a tile's rows */
};

static void attend_tile(void *arg, size_t index, unsigned lane)
{
    const struct run *const run = arg;
    const struct dot_product *const d = run->d;
    const struct heed_kernels *const kernels = run->kernels;
    const size_t row = index * run->tile_rows, left = run->positions - row;
    const size_t rows = left < run->tile_rows ? left : run->tile_rows;
    const size_t head_keys = d->key_channels / d->heads, head_values = d->value_channels / d->heads;
    float *const x = run->x + row * run->x_stride, *const queries = heed_scratch_lane(&run->scratch, lane);
    float *const map = queries + run->tile_rows * d->key_channels;
    float *const attended = map + run->tile_rows * run->positions;

    kernels->gemm(queries, d->key_channels, x, run->x_stride, d->theta.weights, rows, d->key_channels, d->channels,
                  &(struct heed_epilogue){ .bias = d->theta.bias });
    const float scale = 1 / sqrtf((float)head_keys);
    for (size_t i = 0; i < rows * d->key_channels; i++)
        queries[i] *= scale;
    const struct heed_epilogue plain = { 0 };
    for (size_t head = 0; head < d->heads; head++) {
        kernels->gemm(map, run->positions, queries + head * head_keys, d->key_channels,
                      run->keys + head * kernels->gemm_packed_floats(run->positions, head_keys), rows, run->positions,
                      head_keys, &plain);
        kernels->softmax_rows(map, run->positions, rows, run->positions);
        kernels->gemm(attended + head * head_values, d->value_channels, map, run->positions,
                      run->values + head * kernels->gemm_packed_floats(head_values, run->positions), rows, head_values,
                      run->positions, &plain);
    }
    const struct heed_epilogue epilogue = { .bias = d->out.bias, .residual = x, .residual_stride = run->x_stride };
    kernels->gemm(x, run->x_stride, attended, d->value_channels, d->out.weights, rows, d->channels, d->value_channels,
                  &epilogue);
}

/* Keys and values of an image, packed to be multiplied by. */
static void pack(struct heed_forward *forward, const struct run *run, const struct heed_tensor *image)
{
    const struct dot_product *const d = run->d;
    const struct heed_kernels *const kernels = run->kernels;
    const size_t head_keys = d->key_channels / d->heads, head_values = d->value_channels / d->heads;
    const size_t mark = heed_arena_mark(forward->arena);
    const struct heed_tensor phi = heed_conv(forward, &d->phi, image);
    for (size_t head = 0; head < d->heads && heed_forward_computes(forward); head++)
        kernels->gemm_pack(run->keys + head * kernels->gemm_packed_floats(run->positions, head_keys),
                           phi.data + head * head_keys, d->key_channels, 1, run->positions, head_keys);
    heed_arena_release(forward->arena, mark);

    const struct heed_tensor g = heed_conv(forward, &d->g, image);
    for (size_t head = 0; head < d->heads && heed_forward_computes(forward); head++)
        kernels->gemm_pack(run->values + head * kernels->gemm_packed_floats(head_values, run->positions),
                           g.data + head * head_values, 1, d->value_channels, head_values, run->positions);
    heed_arena_release(forward->arena, mark);
}

static void dot_product_run(struct heed_forward *forward, const void *module, const struct heed_tensor *x)
{
    const struct dot_product *const d = module;
    const struct heed_kernels *const kernels = forward->kernels;
    const size_t positions = x->h * x->w;
    const size_t mark = heed_arena_mark(forward->arena);
    struct run run = { .kernels = kernels,
                       .d = d,
                       .x_stride = x->stride,
                       .positions = positions,
                       .tile_rows = heed_tile_items(positions, positions, 12) };
    run.keys =
        heed_arena_floats(forward->arena, d->heads, kernels->gemm_packed_floats(positions, d->key_channels / d->heads));
    run.values = heed_arena_floats(forward->arena, d->heads,
                                   kernels->gemm_packed_floats(d->value_channels / d->heads, positions));
    run.scratch = heed_forward_scratch(forward, run.tile_rows * (d->key_channels + positions + d->value_channels));
    const uint64_t work = (uint64_t)positions * positions * (d->key_channels + d->value_channels) +
                          (uint64_t)positions * d->channels * (d->key_channels + d->value_channels);
    for (size_t image = 0; image < x->n; image++) {
        struct heed_tensor one = *x;
        one.n = 1;
        one.data = run.x = heed_tensor_at(x, image, 0, 0);
        pack(forward, &run, &one);
        if (heed_forward_computes(forward))
            heed_forward_run(forward, d->name, work, attend_tile, &run, heed_ceil_div(positions, run.tile_rows));
    }
    heed_arena_release(forward->arena, mark);
}

const struct heed_attention_kind heed_attention_dot_product = { .load = dot_product_load, .run = dot_product_run };
