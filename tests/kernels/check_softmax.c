/* Softmax over rows and its streaming halves. A level's exponential may be 2 ulp from the true one. */
#include "check.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct check_tolerance tolerance = { .absolute = 1e-37f, .relative = 16 * FLT_EPSILON };

static void check_rows(const struct check *c, size_t n, float range, float odd_one)
{
    const size_t rows = 1 + check_random_below(5), stride = n + check_random_below(3);
    struct check_pair x;
    check_pair_init(&x, (rows - 1) * stride + n, -range, range);
    if (!isnan(odd_one) || range < 2)
        x.ref[n / 2] = x.new[n / 2] = odd_one;
    c->ref->softmax_rows(x.ref, stride, rows, n);
    c->new->softmax_rows(x.new, stride, rows, n);
    check_same(c, &x, tolerance, "softmax_rows n=%zu range=%g with %g", n, (double)range, (double)odd_one);
}

static void check_columns(const struct check *c, size_t n, float range)
{
    const size_t rows = 1 + check_random_below(40), stride = n + check_random_below(3);
    struct check_pair x, max, sum;
    check_pair_init(&x, (rows - 1) * stride + n, -range, range);
    check_pair_init(&max, n, -1, 1);
    check_pair_init(&sum, n, 0, 1);
    if (range > 50) {
        max.ref[n / 2] = max.new[n / 2] = -INFINITY; /* as a stream begins */
        x.ref[n / 3] = x.new[n / 3] = NAN;
    }
    c->ref->column_max(max.ref, x.ref, stride, rows, n);
    c->new->column_max(max.new, x.new, stride, rows, n);
    c->ref->column_exp(x.ref, stride, sum.ref, max.ref, rows, n);
    c->new->column_exp(x.new, stride, sum.new, max.new, rows, n);
    check_same(c, &x, tolerance, "column_exp n=%zu rows=%zu: values", n, rows);
    check_same(c, &sum, tolerance, "column_exp n=%zu rows=%zu: sums", n, rows);
    check_same(c, &max, (struct check_tolerance){ 0 }, "column_max n=%zu rows=%zu", n, rows);
}

/* exp over all of its range, against libm in double precision. */
static void check_exp(const struct check *c)
{
    enum { COUNT = 4096 };
    float *const x = check_floats(COUNT, -87.3f, 88.7f);
    float y[COUNT], sum[COUNT] = { 0 }, max[COUNT] = { 0 };
    memcpy(y, x, sizeof y);
    c->new->column_exp(y, COUNT, sum, max, 1, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        const double exact = exp((double)x[i]), ulp = exact * FLT_EPSILON;
        if (fabs((double)y[i] - exact) > 2 * ulp)
            fail_msg("%s exp(%.9g) is %.9g", c->level, (double)x[i], (double)y[i]);
    }
    check_free(x, COUNT);
}

void check_softmax(const struct check *c)
{
    static const float odd_ones[] = { 0, NAN, INFINITY, -INFINITY, 1e30f, -1e30f, FLT_MAX, -FLT_MAX };
    for (size_t n = 1; n <= 67; n++) {
        for (size_t i = 0; i < sizeof odd_ones / sizeof odd_ones[0]; i++)
            check_rows(c, n, 1, odd_ones[i]);
        check_rows(c, n, 80, 3);
        check_rows(c, n, 1000, 3);
        check_columns(c, n, 1);
        check_columns(c, n, 100);
    }
    check_rows(c, 2176, 5, 1);
    for (size_t turn = 0; turn < 20; turn++)
        check_exp(c);
}

struct bench_softmax {
    float *x, *max, *sum;
    size_t rows, n;
};

static void call_rows(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_softmax *const b = arg;
    kernels->softmax_rows(b->x, b->n, b->rows, b->n);
}

static void call_column_max(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_softmax *const b = arg;
    kernels->column_max(b->max, b->x, b->n, b->rows, b->n);
}

static void call_column_exp(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_softmax *const b = arg;
    kernels->column_exp(b->x, b->n, b->sum, b->max, b->rows, b->n);
}

void bench_softmax(const struct check *c)
{
    struct bench_softmax b = { .rows = 256, .n = 128 };
    b.x = check_floats(b.rows * b.n, -4, 4);
    b.max = check_floats(b.n, 4, 5);
    b.sum = check_floats(b.n, 0, 1);
    check_time(c, "softmax_rows 256x128", call_rows, &b, 0);
    check_time(c, "column_max 256x128", call_column_max, &b, 0);
    check_time(c, "column_exp 256x128", call_column_exp, &b, 0);
    check_free(b.x, b.rows * b.n);
    check_free(b.max, b.n);
    check_free(b.sum, b.n);
}
