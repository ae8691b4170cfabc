/* Transposed convolution, kernel 2, step 2: the windows do not overlap, so each input pixel makes its own four output
 * pixels, and the layer is four matrix products (pixels, in) x (in, out) whose rows go to two output rows by turns. */
#include <assert.h>

#include "layers/conv.h"
#include "layers/tiles.h"

void heed_deconv_load(struct heed_loader *loader, struct heed_conv *conv, const char *name,
                      struct heed_conv_shape shape)
{
    const struct heed_kernels *const kernels = loader->kernels;
    const size_t in = shape.in, out = shape.out;
    assert(shape.kernel == 2 && shape.step == 2 && shape.pad == 0 && !shape.norm);
    *conv = (struct heed_conv){ .name = name, .shape = shape };
    conv->weights = heed_loader_floats(loader, 4 * kernels->gemm_packed_floats(out, in));
    conv->bias = heed_loader_read(loader, heed_loader_name(loader, "%s.bias", name), 1, &out);
    const float *const weights =
        heed_loader_read_temporary(loader, heed_loader_name(loader, "%s.weight", name), 4, (size_t[]){ in, out, 2, 2 });
    for (size_t tap = 0; weights && tap < 4; tap++)
        kernels->gemm_pack(conv->weights + tap * kernels->gemm_packed_floats(out, in), weights + tap, 4, 4 * out, out,
                           in);
}

struct run {
    const struct heed_kernels *kernels;
    const struct heed_conv *conv;
    const struct heed_tensor *x;
    struct heed_scratch sums; /* (tile pixels, out) */
    size_t tile_pixels;
    heed_deconv_take_fn *take;
    void *arg;
};

static void deconv_tile(void *arg, size_t index, unsigned lane)
{
    const struct run *const run = arg;
    const struct heed_kernels *const kernels = run->kernels;
    const struct heed_conv_shape *const shape = &run->conv->shape;
    const struct heed_tensor *const x = run->x;
    const size_t first = index * run->tile_pixels, left = heed_tensor_pixels(x) - first;
    const size_t count = left < run->tile_pixels ? left : run->tile_pixels;
    float *const sums = heed_scratch_lane(&run->sums, lane);

    for (size_t tap = 0; tap < 4; tap++) {
        const struct heed_epilogue epilogue = { .bias = run->conv->bias,
                                                .activation = shape->activation,
                                                .slope = shape->slope };
        kernels->gemm(sums, shape->out, x->data + first * x->stride, x->stride,
                      run->conv->weights + tap * kernels->gemm_packed_floats(shape->out, shape->in), count, shape->out,
                      shape->in, &epilogue);
        for (size_t i = 0, pixels; i < count; i += pixels) {
            const size_t pixel = first + i, row = pixel / x->w, column = pixel % x->w;
            pixels = count - i < x->w - column ? count - i : x->w - column;
            run->take(run->arg, sums + i * shape->out, (2 * row + tap / 2) * 2 * x->w + 2 * column + tap % 2, pixels);
        }
    }
}

void heed_deconv_each(struct heed_forward *forward, const struct heed_conv *conv, const struct heed_tensor *x,
                      heed_deconv_take_fn *take, void *arg)
{
    const struct heed_conv_shape *const shape = &conv->shape;
    assert(x->c == shape->in);
    const size_t pixels = heed_tensor_pixels(x);
    const size_t mark = heed_arena_mark(forward->arena);
    struct run run = { .kernels = forward->kernels,
                       .conv = conv,
                       .x = x,
                       .tile_pixels = heed_tile_items(pixels, shape->in + 5 * shape->out, 48),
                       .take = take,
                       .arg = arg };
    run.sums = heed_forward_scratch(forward, run.tile_pixels * shape->out);
    if (heed_forward_computes(forward))
        heed_forward_run(forward, conv->name, (uint64_t)pixels * 4 * shape->in * shape->out, deconv_tile, &run,
                         heed_ceil_div(pixels, run.tile_pixels));
    heed_arena_release(forward->arena, mark);
}
