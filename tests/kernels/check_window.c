/* im2col, convolution of few inputs, depthwise convolution and max pooling: every small image, kernel, step, padding
 * and dilation by chance. */
#include "check.h"

#include <math.h>
#include <float.h>
#include <stdbool.h>

static size_t out_size(size_t in, size_t kernel, size_t step, size_t pad, size_t dilation)
{
    return (in + 2 * pad - (dilation * (kernel - 1) + 1)) / step + 1;
}

static struct heed_window window_of(size_t h, size_t w, size_t c, size_t gap, size_t kernel, size_t step, size_t pad,
                                    size_t dilation)
{
    return (struct heed_window){
        .h = h,
        .w = w,
        .c = c,
        .stride = c + gap,
        .kernel_h = kernel,
        .kernel_w = kernel,
        .step = step,
        .pad = pad,
        .dilation = dilation,
        .out_h = out_size(h, kernel, step, pad, dilation),
        .out_w = out_size(w, kernel, step, pad, dilation),
    };
}

static struct heed_window random_window(size_t c)
{
    const size_t kernel = 1 + check_random_below(4), dilation = 1 + check_random_below(2);
    const size_t span = dilation * (kernel - 1) + 1;
    return window_of(span + check_random_below(7), span + check_random_below(7), c, check_random_below(3), kernel,
                     1 + check_random_below(2), check_random_below(kernel / 2 + 1), dilation);
}

static size_t input_floats(const struct heed_window *w)
{
    return (w->h * w->w - 1) * w->stride + w->c;
}

static void check_im2col(const struct check *c, const struct heed_window *w, const float *x)
{
    const size_t pixels = w->out_h * w->out_w, first = check_random_below(pixels);
    const size_t count = 1 + check_random_below(pixels - first);
    struct check_pair y;
    check_pair_init(&y, count * w->kernel_h * w->kernel_w * w->c, -1, 1);
    c->ref->im2col(y.ref, x, w, first, count);
    c->new->im2col(y.new, x, w, first, count);
    check_same(c, &y, (struct check_tolerance){ 0 }, "im2col %zu x %zu x %zu kernel %zu", w->h, w->w, w->c,
               w->kernel_h);
}

static void check_depthwise(const struct check *c, const struct heed_window *w, const float *x)
{
    const size_t row = check_random_below(w->out_h), rows = 1 + check_random_below(w->out_h - row);
    const size_t taps = w->kernel_h * w->kernel_w, gap = check_random_below(3);
    float *const weights = check_floats(taps * w->c, -1, 1), *const bias = check_floats(w->c, -1, 1);
    const struct heed_epilogue epilogue = {
        .bias = check_random_below(2) ? bias : NULL,
        .activation = (enum heed_activation)check_random_below(3),
        .slope = 0.1f,
    };
    struct check_pair y;
    check_pair_init(&y, (rows * w->out_w - 1) * (w->c + gap) + w->c, -1, 1);
    c->ref->depthwise(y.ref, w->c + gap, x, w, weights, &epilogue, row, rows);
    c->new->depthwise(y.new, w->c + gap, x, w, weights, &epilogue, row, rows);
    check_same(c, &y, (struct check_tolerance){ .absolute = FLT_EPSILON * (float)(4 + taps) },
               "depthwise %zu x %zu x %zu kernel %zu step %zu pad %zu dilation %zu rows %zu..%zu", w->h, w->w, w->c,
               w->kernel_h, w->step, w->pad, w->dilation, row, row + rows);
    check_free(weights, taps * w->c);
    check_free(bias, w->c);
}

static void check_max_pool(const struct check *c, const struct heed_window *w, const float *x)
{
    const size_t row = check_random_below(w->out_h), rows = 1 + check_random_below(w->out_h - row);
    const size_t gap = check_random_below(3);
    struct check_pair y;
    check_pair_init(&y, (w->out_h * w->out_w - 1) * (w->c + gap) + w->c, -1, 1);
    c->ref->max_pool(y.ref, w->c + gap, x, w, row, rows);
    c->new->max_pool(y.new, w->c + gap, x, w, row, rows);
    check_same(c, &y, (struct check_tolerance){ 0 }, "max_pool %zu x %zu x %zu kernel %zu step %zu pad %zu", w->h, w->w,
               w->c, w->kernel_h, w->step, w->pad);
}

static float *packed_weights(const struct heed_kernels *kernels, const float *weights, size_t n, size_t k,
                             size_t *floats)
{
    *floats = (kernels->gemm_packed_floats(n, k) + 15) / 16 * 16; /* whole cache lines: packed memory is aligned */
    float *const packed = check_floats(*floats, 100, 200);
    kernels->gemm_pack(packed, weights, k, 1, n, k);
    return packed;
}

static void check_conv(const struct check *c, struct heed_window w, size_t n)
{
    const size_t row = check_random_below(w.out_h), rows = 1 + check_random_below(w.out_h - row);
    const size_t k = w.kernel_h * w.kernel_w * w.c, y_stride = n + check_random_below(3);
    const size_t y_floats = (w.out_h * w.out_w - 1) * y_stride + n;
    float *const x = check_floats(input_floats(&w), -1, 1), *const weights = check_floats(n * k, -1, 1);
    float *const bias = check_floats(n, -1, 1), *const residual = check_floats(y_floats, -1, 1);
    size_t floats[2];
    float *const packed[2] = { packed_weights(c->ref, weights, n, k, &floats[0]),
                               packed_weights(c->new, weights, n, k, &floats[1]) };
    const struct heed_epilogue epilogue = {
        .bias = check_random_below(2) ? bias : NULL,
        .residual = check_random_below(2) ? residual : NULL,
        .residual_stride = y_stride,
        .activation = (enum heed_activation)check_random_below(3),
        .slope = 0.1f,
    };
    struct check_pair y;
    check_pair_init(&y, y_floats, -1, 1);
    c->ref->conv(y.ref, y_stride, x, &w, packed[0], n, &epilogue, row, rows);
    c->new->conv(y.new, y_stride, x, &w, packed[1], n, &epilogue, row, rows);
    check_same(c, &y, (struct check_tolerance){ .absolute = FLT_EPSILON * (float)(4 + k) },
               "conv %zu x %zu x %zu to %zu kernel %zu step %zu pad %zu rows %zu..%zu", w.h, w.w, w.c, n, w.kernel_h,
               w.step, w.pad, row, row + rows);
    check_free(x, input_floats(&w));
    check_free(weights, n * k);
    check_free(bias, n);
    check_free(residual, y_floats);
    for (size_t i = 0; i < 2; i++)
        check_free(packed[i], floats[i]);
}

static void check_conv_windows(const struct check *c)
{
    for (size_t n = 1; n <= 67; n++) {
        const size_t kernel = 2 + check_random_below(3), channels = 1 + check_random_below(5);
        check_conv(c,
                   window_of(kernel + check_random_below(7), kernel + check_random_below(40), channels, 0, kernel,
                             1 + check_random_below(2), check_random_below(kernel / 2 + 1), 1),
                   n);
    }
    check_conv(c, window_of(33, 64, 3, 0, 7, 2, 3, 1), 64);
    check_conv(c, window_of(3, 3, 3, 0, 7, 2, 3, 1), 64); /* no pixel sees all of its window */
}

void check_window(const struct check *c)
{
    check_conv_windows(c);
    for (size_t channels = 1; channels <= 67; channels++) {
        for (size_t turn = 0; turn < 12; turn++) {
            const struct heed_window w = random_window(channels);
            float *const x = check_floats(input_floats(&w), -1, 1);
            check_im2col(c, &w, x);
            check_depthwise(c, &w, x);
            check_max_pool(c, &w, x);
            x[check_random_below(input_floats(&w))] = NAN;
            check_max_pool(c, &w, x);
            check_free(x, input_floats(&w));
        }
    }
}

struct bench_window {
    struct heed_window window;
    float *y, *x, *weights;
    size_t n; /* output channels of a dense convolution, whose weights are `packed` */
    float *packed[2];
    const struct heed_kernels *tables[2];
};

static void call_conv(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_window *const b = arg;
    kernels->conv(b->y, b->n, b->x, &b->window, b->packed[kernels == b->tables[1]], b->n,
                  &(struct heed_epilogue){ .bias = b->weights, .activation = HEED_ACT_RELU }, 0, b->window.out_h);
}

static void call_im2col(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_window *const b = arg;
    kernels->im2col(b->y, b->x, &b->window, 0, b->window.out_h * b->window.out_w);
}

static void call_depthwise(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_window *const b = arg;
    kernels->depthwise(b->y, b->window.c, b->x, &b->window, b->weights, &(struct heed_epilogue){ .bias = b->weights },
                       0, b->window.out_h);
}

static void call_max_pool(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_window *const b = arg;
    kernels->max_pool(b->y, b->window.c, b->x, &b->window, 0, b->window.out_h);
}

static void bench_one(const struct check *c, const char *name, check_call_fn *call, struct heed_window w, bool columns)
{
    const size_t taps = w.kernel_h * w.kernel_w, out = w.out_h * w.out_w * w.c * (columns ? taps : 1);
    struct bench_window b = { .window = w };
    b.y = check_floats(out, 0, 1);
    b.x = check_floats(input_floats(&w), -1, 1);
    b.weights = check_floats(taps * w.c, -1, 1);
    check_time(c, name, call, &b, call == call_depthwise ? 2.0 * (double)(out * taps) : 0);
    check_free(b.y, out);
    check_free(b.x, input_floats(&w));
    check_free(b.weights, taps * w.c);
}

static void bench_conv(const struct check *c, const char *name, struct heed_window w, size_t n)
{
    const size_t k = w.kernel_h * w.kernel_w * w.c, out = w.out_h * w.out_w * n;
    struct bench_window b = { .window = w, .n = n, .tables = { c->ref, c->new } };
    b.y = check_floats(out, 0, 1);
    b.x = check_floats(input_floats(&w), -1, 1);
    b.weights = check_floats(n * k, -1, 1);
    size_t floats[2];
    for (size_t i = 0; i < 2; i++)
        b.packed[i] = packed_weights(b.tables[i], b.weights, n, k, &floats[i]);
    check_time(c, name, call_conv, &b, 2.0 * (double)(out * k));
    check_free(b.y, out);
    check_free(b.x, input_floats(&w));
    check_free(b.weights, n * k);
    for (size_t i = 0; i < 2; i++)
        check_free(b.packed[i], floats[i]);
}

void bench_window(const struct check *c)
{
    bench_conv(c, "conv 3x3/2 416x416x3 to 24", window_of(416, 416, 3, 0, 3, 2, 1, 1), 24);
    bench_conv(c, "conv 7x7/2 800x1088x3 to 64", window_of(800, 1088, 3, 0, 7, 2, 3, 1), 64);
    bench_one(c, "im2col 3x3 26x26x256", call_im2col, window_of(26, 26, 256, 0, 3, 1, 1, 1), true);
    bench_one(c, "im2col 3x3/2 416x416x3", call_im2col, window_of(416, 416, 3, 0, 3, 2, 1, 1), true);
    bench_one(c, "im2col 7x7/2 200x272x3", call_im2col, window_of(200, 272, 3, 0, 7, 2, 3, 1), true);
    bench_one(c, "depthwise 3x3 52x52x58", call_depthwise, window_of(52, 52, 58, 0, 3, 1, 1, 1), false);
    bench_one(c, "depthwise 3x3/2 52x52x116", call_depthwise, window_of(52, 52, 116, 0, 3, 2, 1, 1), false);
    bench_one(c, "depthwise 3x3 13x13x232", call_depthwise, window_of(13, 13, 232, 0, 3, 1, 1, 1), false);
    bench_one(c, "max_pool 3x3/2 208x208x24", call_max_pool, window_of(208, 208, 24, 0, 3, 2, 1, 1), false);
    bench_one(c, "max_pool 3x3/2 400x544x64", call_max_pool, window_of(400, 544, 64, 0, 3, 2, 1, 1), false);
}
