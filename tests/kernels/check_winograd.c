/* Winograd's transforms against plain C; and the whole, transforms and products, against the convolution itself in
 * double. */
#include "check.h"

#include <float.h>
#include <stdlib.h>

#include "heed.h"

#define PAD 16 /* between the 36 parts of a tile: strides are the caller's to choose */

static struct heed_window window_of(size_t h, size_t w, size_t c, size_t gap, size_t pad)
{
    return (struct heed_window){
        .h = h,
        .w = w,
        .c = c,
        .stride = c + gap,
        .kernel_h = 3,
        .kernel_w = 3,
        .step = 1,
        .pad = pad,
        .dilation = 1,
        .out_h = h + 2 * pad - 2,
        .out_w = w + 2 * pad - 2,
    };
}

static size_t tiles_of(const struct heed_window *w)
{
    return (w->out_h + 3) / 4 * ((w->out_w + 3) / 4);
}

static void check_transforms(const struct check *c, const struct heed_window *w, size_t n,
                             struct heed_epilogue epilogue)
{
    const size_t images = 2, tiles = images * tiles_of(w), x_floats = images * w->h * w->w * w->stride;
    const size_t first = check_random_below(tiles), count = 1 + check_random_below(tiles - first);
    const size_t v_stride = w->c + check_random_below(3), m_stride = n + check_random_below(3);
    const struct check_tolerance tolerance = { .absolute = 64 * FLT_EPSILON };
    float *const x = check_floats(x_floats, -1, 1);
    struct check_pair v, y;
    check_pair_init(&v, (count * 36 - 1) * v_stride + w->c, -1, 1);
    c->ref->winograd_input(v.ref, v_stride, x, w, first, count);
    c->new->winograd_input(v.new, v_stride, x, w, first, count);
    check_same(c, &v, tolerance, "winograd_input %zu x %zu x %zu pad %zu", w->h, w->w, w->c, w->pad);
    check_free(x, x_floats);

    const size_t m_floats = (count * 36 - 1) * m_stride + n, pixels = images * w->out_h * w->out_w;
    float *const m = check_floats(m_floats, -1, 1), *const bias = check_floats(n, -1, 1);
    check_pair_init(&y, (pixels - 1) * (n + 1) + n, -1, 1);
    epilogue.residual_stride = n + 1;
    epilogue.bias = check_random_below(2) ? bias : NULL;
    const bool residual = check_random_below(2);
    epilogue.residual = residual ? y.ref : NULL;
    c->ref->winograd_output(y.ref, n + 1, m, m_stride, n, w, first, count, &epilogue);
    epilogue.residual = residual ? y.new : NULL;
    c->new->winograd_output(y.new, n + 1, m, m_stride, n, w, first, count, &epilogue);
    check_same(c, &y, tolerance, "winograd_output %zu x %zu x %zu", w->out_h, w->out_w, n);
    check_free(m, m_floats);
    check_free(bias, n);
}

static void check_weights(const struct check *c, size_t count)
{
    const size_t g_stride = count + check_random_below(3), u_stride = count + check_random_below(3);
    float *const g = check_floats(8 * g_stride + count, -1, 1);
    struct check_pair u;
    check_pair_init(&u, 35 * u_stride + count, -1, 1);
    c->ref->winograd_weights(u.ref, u_stride, g, g_stride, count);
    c->new->winograd_weights(u.new, u_stride, g, g_stride, count);
    check_same(c, &u, (struct check_tolerance){ .absolute = 16 * FLT_EPSILON }, "winograd_weights %zu", count);
    check_free(g, 8 * g_stride + count);
}

static float *products(const struct heed_kernels *kernels, const struct heed_window *w, const float *x, const float *u,
                       size_t n, size_t m_stride)
{
    const size_t tiles = tiles_of(w), v_stride = w->c + PAD, packed_floats = kernels->gemm_packed_floats(n, w->c);
    float *const v = calloc(tiles * 36 * v_stride, sizeof *v), *const m = calloc(tiles * 36 * m_stride, sizeof *m);
    float *const packed = calloc(packed_floats, sizeof *packed);
    kernels->winograd_input(v, v_stride, x, w, 0, tiles);
    for (size_t i = 0; i < 36; i++) {
        kernels->gemm_pack(packed, u + i * n * w->c, w->c, 1, n, w->c);
        kernels->gemm(m + i * m_stride, 36 * m_stride, v + i * v_stride, 36 * v_stride, packed, tiles, n, w->c,
                      &(struct heed_epilogue){ 0 });
    }
    free(v);
    free(packed);
    return m;
}

static double convolution(const struct heed_window *w, const float *x, const float *weights, size_t n, size_t oy,
                          size_t ox, size_t j)
{
    double sum = 0;
    for (size_t tap = 0; tap < 9; tap++) {
        const size_t iy = oy + tap / 3 - w->pad, ix = ox + tap % 3 - w->pad;
        for (size_t i = 0; iy < w->h && ix < w->w && i < w->c; i++)
            sum += (double)x[(iy * w->w + ix) * w->stride + i] * (double)weights[(tap * n + j) * w->c + i];
    }
    return sum;
}

/* Per product 4 times what a plain sum may be off by. */
static void check_convolution(const struct check *c, const struct heed_window *w, size_t n)
{
    const size_t x_floats = w->h * w->w * w->stride, m_stride = n + PAD;
    float *const x = check_floats(x_floats, -1, 1), *const weights = check_floats(n * 9 * w->c, -1, 1);
    float *const u = calloc(36 * n * w->c, sizeof *u);
    c->new->winograd_weights(u, n * w->c, weights, n * w->c, n * w->c);
    float *const m = products(c->new, w, x, u, n, m_stride);
    struct check_pair y;
    check_pair_init(&y, w->out_h * w->out_w * n, -1, 1);
    c->new->winograd_output(y.new, n, m, m_stride, n, w, 0, tiles_of(w), &(struct heed_epilogue){ 0 });
    for (size_t i = 0; i < y.n; i++)
        y.ref[i] = (float)convolution(w, x, weights, n, i / n / w->out_w, i / n % w->out_w, i % n);
    check_same(c, &y, (struct check_tolerance){ .absolute = 4 * FLT_EPSILON * (float)(4 + 9 * w->c) },
               "winograd convolution %zu x %zu x %zu to %zu pad %zu", w->h, w->w, w->c, n, w->pad);
    check_free(x, x_floats);
    check_free(weights, n * 9 * w->c);
    free(u);
    free(m);
}

void check_winograd(const struct check *c)
{
    for (size_t channels = 1; channels <= 67; channels++) {
        check_weights(c, channels);
        for (size_t turn = 0; turn < 4; turn++) {
            const struct heed_window w = window_of(3 + check_random_below(9), 3 + check_random_below(9), channels,
                                                   check_random_below(3), check_random_below(3));
            const struct heed_epilogue epilogue = { .activation = (enum heed_activation)check_random_below(3),
                                                    .slope = 0.1f };
            check_transforms(c, &w, 1 + check_random_below(67), epilogue);
        }
    }
    for (size_t pad = 0; pad < 2; pad++) {
        const struct heed_window w = window_of(9, 14, 33, 1, pad);
        check_convolution(c, &w, 20);
    }
}

struct bench_winograd {
    struct heed_window window;
    size_t tiles, n;
    float *x, *v, *y;
};

static void call_weights(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_winograd *const b = arg;
    kernels->winograd_weights(b->v, 256 * 16, b->x, 256 * 16, 256 * 16);
}

static void call_input(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_winograd *const b = arg;
    kernels->winograd_input(b->v, b->window.c + PAD, b->x, &b->window, 0, b->tiles);
}

static void call_output(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_winograd *const b = arg;
    kernels->winograd_output(b->y, b->n, b->v, b->n + PAD, b->n, &b->window, 0, b->tiles, &(struct heed_epilogue){ 0 });
}

void bench_winograd(const struct check *c)
{
    struct bench_winograd b = { .window = window_of(26, 26, 256, 0, 1), .tiles = 49, .n = 256 };
    const size_t v_floats = b.tiles * 36 * (256 + PAD), x_floats = 26 * 26 * 256;
    b.x = check_floats(x_floats, -1, 1);
    b.y = check_floats(x_floats, -1, 1);
    b.v = check_floats(v_floats, -1, 1);
    check_time(c, "winograd_weights 256x16", call_weights, &b, 0);
    check_time(c, "winograd_input 26x26x256", call_input, &b, 0);
    check_time(c, "winograd_output 26x26x256", call_output, &b, 0);
    check_free(b.x, x_floats);
    check_free(b.y, x_floats);
    check_free(b.v, v_floats);
}
