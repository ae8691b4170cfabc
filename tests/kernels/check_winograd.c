/* Winograd's transforms against plain C; and the whole, transforms and products, against the convolution itself in
 * double. */
#include "check.h"

#include <float.h>
#include <stdlib.h>

#include "heed.h"

#include "kernels/winograd_sheet.h"

#define PAD 16 /* between the parts of a tile: strides are the caller's to choose */

#define SIDES 3
static const size_t sides[SIDES] = { 3, 4, 6 };

/* The transforms for tiles of one side. */
struct side {
    size_t side, positions, matrices;
    heed_winograd_weights_fn *weights;
    heed_winograd_input_fn *input;
    heed_winograd_output_fn *output;
};

static struct side side_of(const struct heed_kernels *k, size_t side)
{
    return side == 3   ? (struct side){ 3, 49, 25, k->winograd_weights3, k->winograd_input3, k->winograd_output3 }
           : side == 4 ? (struct side){ 4, 36, 36, k->winograd_weights4, k->winograd_input4, k->winograd_output4 }
                       : (struct side){ 6, 64, 64, k->winograd_weights6, k->winograd_input6, k->winograd_output6 };
}

static struct heed_winograd_sheet sheet_of(size_t side, size_t h, size_t w, size_t c, size_t gap, size_t pad,
                                           size_t images, size_t across)
{
    const size_t step = side == 3 ? 2 : 1;
    return (struct heed_winograd_sheet){
        .window = {
            .h = h,
            .w = w,
            .c = c,
            .stride = c + gap,
            .kernel_h = 3,
            .kernel_w = 3,
            .step = step,
            .pad = pad,
            .dilation = 1,
            .out_h = (h + 2 * pad - 3) / step + 1,
            .out_w = (w + 2 * pad - 3) / step + 1,
        },
        .images = images,
        .across = across,
    };
}

static void check_transforms(const struct check *c, const struct heed_winograd_sheet *sheet, size_t side, size_t n,
                             struct heed_epilogue epilogue)
{
    const struct side ref = side_of(c->ref, side), new = side_of(c->new, side);
    const struct heed_window *const w = &sheet->window;
    const size_t tiles = heed_winograd_tiles(sheet, side), x_floats = sheet->images * w->h * w->w * w->stride;
    const size_t first = check_random_below(tiles), count = 1 + check_random_below(tiles - first);
    const size_t v_tile = w->c + check_random_below(3), m_tile = n + check_random_below(3);
    const size_t v_stride = count * v_tile + check_random_below(3), m_stride = count * m_tile + check_random_below(3);
    const struct check_tolerance tolerance = { .absolute = (side <= 4 ? 64 : 4096) * FLT_EPSILON };
    float *const x = check_floats(x_floats, -1, 1);
    struct check_pair v, y;
    check_pair_init(&v, (ref.positions - 1) * v_stride + (count - 1) * v_tile + w->c, -1, 1);
    ref.input(v.ref, v_tile, v_stride, x, sheet, first, count);
    new.input(v.new, v_tile, v_stride, x, sheet, first, count);
    check_same(c, &v, tolerance, "winograd_input%zu %zu x %zu x %zu pad %zu", side, w->h, w->w, w->c, w->pad);
    check_free(x, x_floats);

    const size_t m_floats = (ref.positions - 1) * m_stride + (count - 1) * m_tile + n;
    const size_t pixels = sheet->images * w->out_h * w->out_w;
    float *const m = check_floats(m_floats, -1, 1), *const bias = check_floats(n, -1, 1);
    check_pair_init(&y, (pixels - 1) * (n + 1) + n, -1, 1);
    epilogue.residual_stride = n + 1;
    epilogue.bias = check_random_below(2) ? bias : NULL;
    const bool residual = check_random_below(2);
    epilogue.residual = residual ? y.ref : NULL;
    ref.output(y.ref, n + 1, m, m_tile, m_stride, n, sheet, first, count, &epilogue);
    epilogue.residual = residual ? y.new : NULL;
    new.output(y.new, n + 1, m, m_tile, m_stride, n, sheet, first, count, &epilogue);
    check_same(c, &y, tolerance, "winograd_output%zu %zu x %zu x %zu", side, w->out_h, w->out_w, n);
    check_free(m, m_floats);
    check_free(bias, n);
}

static void check_weights(const struct check *c, size_t side, size_t count)
{
    const struct side ref = side_of(c->ref, side), new = side_of(c->new, side);
    const size_t g_stride = count + check_random_below(3), u_stride = count + check_random_below(3);
    float *const g = check_floats(8 * g_stride + count, -1, 1);
    struct check_pair u;
    check_pair_init(&u, (ref.matrices - 1) * u_stride + count, -1, 1);
    ref.weights(u.ref, u_stride, g, g_stride, count);
    new.weights(u.new, u_stride, g, g_stride, count);
    check_same(c, &u, (struct check_tolerance){ .absolute = 16 * FLT_EPSILON }, "winograd_weights%zu %zu", side, count);
    check_free(g, 8 * g_stride + count);
}

static float *products(const struct heed_kernels *kernels, const struct heed_winograd_sheet *sheet, size_t side_length,
                       const float *x, const float *u, size_t n)
{
    const struct side side = side_of(kernels, side_length);
    const size_t tiles = heed_winograd_tiles(sheet, side.side), k = sheet->window.c, v_tile = k + PAD, m_tile = n + PAD;
    float *const v = calloc(side.positions * tiles * v_tile, sizeof *v);
    float *const m = calloc(side.positions * tiles * m_tile, sizeof *m);
    float *const packed = calloc(kernels->gemm_packed_floats(n, k), sizeof *packed);
    side.input(v, v_tile, tiles * v_tile, x, sheet, 0, tiles);
    for (size_t i = 0; i < side.positions; i++) {
        kernels->gemm_pack(packed, u + heed_winograd_matrix(side.side, i) * n * k, k, 1, n, k);
        kernels->gemm(m + i * tiles * m_tile, m_tile, v + i * tiles * v_tile, v_tile, packed, tiles, n, k,
                      &(struct heed_epilogue){ 0 });
    }
    free(v);
    free(packed);
    return m;
}

/* Value j of output pixel (oy, ox) of one image. */
static double convolution(const struct heed_window *w, const float *x, const float *weights, size_t n, size_t oy,
                          size_t ox, size_t j)
{
    double sum = 0;
    for (size_t tap = 0; tap < 9; tap++) {
        const size_t iy = oy * w->step + tap / 3 - w->pad, ix = ox * w->step + tap % 3 - w->pad;
        for (size_t i = 0; iy < w->h && ix < w->w && i < w->c; i++)
            sum += (double)x[(iy * w->w + ix) * w->stride + i] * (double)weights[(tap * n + j) * w->c + i];
    }
    return sum;
}

/* Per product 4 times what a plain sum may be off by; tiles of side 6 round four times as much
 * (winograd_transforms.inc). */
static void check_convolution(const struct check *c, const struct heed_winograd_sheet *sheet, size_t side, size_t n)
{
    const struct heed_window *const w = &sheet->window;
    const struct side new = side_of(c->new, side);
    const size_t image_floats = w->h * w->w * w->stride, x_floats = sheet->images * image_floats;
    const size_t tiles = heed_winograd_tiles(sheet, side), pixels = w->out_h * w->out_w;
    float *const x = check_floats(x_floats, -1, 1), *const weights = check_floats(n * 9 * w->c, -1, 1);
    float *const u = calloc(new.matrices *n * w->c, sizeof *u);
    new.weights(u, n * w->c, weights, n * w->c, n * w->c);
    float *const m = products(c->new, sheet, side, x, u, n);
    struct check_pair y;
    check_pair_init(&y, sheet->images * pixels * n, -1, 1);
    new.output(y.new, n, m, n + PAD, tiles * (n + PAD), n, sheet, 0, tiles, &(struct heed_epilogue){ 0 });
    for (size_t i = 0; i < y.n; i++) {
        const size_t pixel = i / n, image = pixel / pixels;
        y.ref[i] = (float)convolution(w, x + image * image_floats, weights, n, pixel % pixels / w->out_w,
                                      pixel % w->out_w, i % n);
    }
    const float share = side <= 4 ? 4 : 16;
    check_same(c, &y, (struct check_tolerance){ .absolute = share * FLT_EPSILON * (float)(4 + 9 * w->c) },
               "winograd%zu convolution of %zu: %zu x %zu x %zu to %zu pad %zu", side, sheet->images, w->h, w->w, w->c,
               n, w->pad);
    check_free(x, x_floats);
    check_free(weights, n * 9 * w->c);
    free(u);
    free(m);
}

void check_winograd(const struct check *c)
{
    for (size_t i = 0; i < SIDES; i++) {
        const size_t side = sides[i];
        for (size_t channels = 1; channels <= 67; channels++) {
            check_weights(c, side, channels);
            for (size_t turn = 0; turn < 4; turn++) {
                const size_t images = 1 + check_random_below(5);
                const struct heed_winograd_sheet sheet =
                    sheet_of(side, 3 + check_random_below(9), 3 + check_random_below(9), channels,
                             check_random_below(3), check_random_below(3), images, 1 + check_random_below(images));
                const struct heed_epilogue epilogue = { .activation = (enum heed_activation)check_random_below(3),
                                                        .slope = 0.1f };
                check_transforms(c, &sheet, side, 1 + check_random_below(67), epilogue);
            }
        }
        for (size_t pad = 0; pad <= 2; pad++) {
            for (size_t across = 1; across <= 3; across++) {
                const struct heed_winograd_sheet sheet = sheet_of(side, 9, 14, 33, 1, pad, across == 1 ? 1 : 5, across);
                check_convolution(c, &sheet, side, 20);
            }
        }
    }
}

struct bench_winograd {
    struct heed_winograd_sheet sheet;
    size_t side, n, tile, stride;
    float *x, *v, *y;
};

static void call_weights(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_winograd *const b = arg;
    side_of(kernels, b->side).weights(b->v, 256 * 16, b->x, 256 * 16, 256 * 16);
}

static void call_input(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_winograd *const b = arg;
    side_of(kernels, b->side)
        .input(b->v, b->tile, b->stride, b->x, &b->sheet, 0, heed_winograd_tiles(&b->sheet, b->side));
}

static void call_output(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_winograd *const b = arg;
    side_of(kernels, b->side)
        .output(b->y, b->n, b->v, b->tile, b->stride, b->n, &b->sheet, 0, heed_winograd_tiles(&b->sheet, b->side),
                &(struct heed_epilogue){ 0 });
}

void bench_winograd(const struct check *c)
{
    struct bench_winograd b = { .n = 256, .tile = 256 + PAD };
    const size_t x_floats = 24 * 24 * 256,
                 v_floats = 36 * 36 * b.tile + 64 * PAD; /* side 4 has the most: 36 tiles of 36 */
    b.x = check_floats(x_floats, -1, 1);
    b.y = check_floats(x_floats, -1, 1);
    b.v = check_floats(v_floats, -1, 1);
    static const char *const names[SIDES][3] = {
        { "winograd_weights3 256x16", "winograd_input3 24x24x256", "winograd_output3 12x12x256" },
        { "winograd_weights4 256x16", "winograd_input4 24x24x256", "winograd_output4 24x24x256" },
        { "winograd_weights6 256x16", "winograd_input6 24x24x256", "winograd_output6 24x24x256" },
    };
    for (size_t i = 0; i < SIDES; i++) {
        b.side = sides[i];
        b.sheet = sheet_of(b.side, 24, 24, 256, 0, 1, 1, 1);
        b.stride = heed_winograd_tiles(&b.sheet, b.side) * b.tile + PAD;
        check_time(c, names[i][0], call_weights, &b, 0);
        check_time(c, names[i][1], call_input, &b, 0);
        check_time(c, names[i][2], call_output, &b, 0);
    }
    check_free(b.x, x_floats);
    check_free(b.y, x_floats);
    check_free(b.v, v_floats);
}
