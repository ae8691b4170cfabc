#include "check.h"

#include <float.h>

static void check_shape(const struct check *c, size_t m, size_t n, size_t rows, size_t gap)
{
    const size_t a_floats = (rows - 1) * (m + gap) + m, b_floats = (rows - 1) * (n + gap) + n;
    struct check_pair y;
    check_pair_init(&y, (m - 1) * (n + gap) + n, -1, 1);
    float *const a = check_floats(a_floats, -1, 1), *const b = check_floats(b_floats, -1, 1);
    c->ref->gemm_tn(y.ref, n + gap, a, m + gap, b, n + gap, m, n, rows);
    c->new->gemm_tn(y.new, n + gap, a, m + gap, b, n + gap, m, n, rows);
    check_same(c, &y, (struct check_tolerance){ .absolute = FLT_EPSILON * (float)(4 + rows) },
               "gemm_tn m=%zu n=%zu rows=%zu gap=%zu", m, n, rows, gap);
    check_free(a, a_floats);
    check_free(b, b_floats);
}

void check_gemm_tn(const struct check *c)
{
    if (c->new->gemm_tn == c->ref->gemm_tn)
        return;
    for (size_t n = 1; n <= 67; n++)
        for (size_t m = 1; m <= 31; m += 1 + check_random_below(3))
            check_shape(c, m, n, 1 + check_random_below(40), check_random_below(3));
    check_shape(c, 130, 259, 300, 0);
}

struct bench_tn {
    float *y, *a, *b;
    size_t m, n, rows;
};

static void call_tn(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_tn *const t = arg;
    kernels->gemm_tn(t->y, t->n, t->a, t->m, t->b, t->n, t->m, t->n, t->rows);
}

void bench_gemm_tn(const struct check *c)
{
    struct bench_tn t = { .m = 128, .n = 256, .rows = 256 };
    t.y = check_floats(t.m * t.n, 0, 1);
    t.a = check_floats(t.m * t.rows, 0, 1);
    t.b = check_floats(t.n * t.rows, -1, 1);
    check_time(c, "gemm_tn attention gather: 128 x 256 x 256", call_tn, &t, 2.0 * (double)(t.m * t.n * t.rows));
    check_free(t.y, t.m * t.n);
    check_free(t.a, t.m * t.rows);
    check_free(t.b, t.n * t.rows);
}
