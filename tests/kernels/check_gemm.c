#include "check.h"

#include "heed.h"

#include <float.h>

/* Sums of k products of numbers in [-1, 1], in any order: rounding grows like k at the worst. */
static struct check_tolerance sum_tolerance(size_t k)
{
    return (struct check_tolerance){ .absolute = FLT_EPSILON * (float)(4 + k) };
}

struct shape {
    size_t m, n, k;
};

static float *packed_b(const struct heed_kernels *kernels, const float *b, size_t row_stride, size_t column_stride,
                       size_t n, size_t k, size_t *floats)
{
    *floats = (kernels->gemm_packed_floats(n, k) + 15) / 16 * 16; /* whole cache lines: packed memory is aligned */
    float *const packed = check_floats(*floats, 100, 200);
    kernels->gemm_pack(packed, b, row_stride, column_stride, n, k);
    return packed;
}

static void check_shape(const struct check *c, struct shape s, struct heed_epilogue epilogue, size_t gap,
                        bool transposed)
{
    const size_t c_stride = s.n + gap, a_stride = s.k + gap;
    const size_t c_floats = (s.m - 1) * c_stride + s.n, a_floats = (s.m - 1) * a_stride + s.k;
    struct check_pair y;
    check_pair_init(&y, c_floats, -1, 1);
    float *const a = check_floats(a_floats, -1, 1), *const b = check_floats(s.n * s.k, -1, 1);
    float *const bias = check_floats(s.n, -1, 1), *const residual = check_floats(c_floats, -1, 1);
    size_t ref_floats, new_floats;
    const size_t row_stride = transposed ? 1 : s.k, column_stride = transposed ? s.n : 1;
    float *const b_ref = packed_b(c->ref, b, row_stride, column_stride, s.n, s.k, &ref_floats);
    float *const b_new = packed_b(c->new, b, row_stride, column_stride, s.n, s.k, &new_floats);

    struct heed_epilogue e = epilogue;
    e.bias = epilogue.bias ? bias : NULL;
    const bool in_place = epilogue.residual && gap == 0;
    e.residual_stride = c_stride;
    e.residual = !epilogue.residual ? NULL : in_place ? y.ref : residual;
    c->ref->gemm(y.ref, c_stride, a, a_stride, b_ref, s.m, s.n, s.k, &e);
    if (in_place)
        e.residual = y.new;
    c->new->gemm(y.new, c_stride, a, a_stride, b_new, s.m, s.n, s.k, &e);
    check_same(c, &y, sum_tolerance(s.k), "gemm m=%zu n=%zu k=%zu gap=%zu activation=%d bias=%d residual=%d", s.m, s.n,
               s.k, gap, e.activation, e.bias != NULL, e.residual != NULL);

    check_free(a, a_floats);
    check_free(b, s.n * s.k);
    check_free(bias, s.n);
    check_free(residual, c_floats);
    check_free(b_ref, ref_floats);
    check_free(b_new, new_floats);
}

/* Any non-NULL pointer asks for the part. */
static const float wanted;

static struct heed_epilogue epilogue_at(size_t i)
{
    return (struct heed_epilogue){
        .bias = i & 1 ? &wanted : NULL,
        .residual = i & 2 ? &wanted : NULL,
        .activation = (enum heed_activation)(i / 4 % 3),
        .slope = 0.1f,
    };
}

void check_gemm(const struct check *c)
{
    size_t turn = 0;
    for (size_t n = 1; n <= 67; n++) /* every tail of columns, with many of rows and depth */
        for (size_t m = 1; m <= 31; m += 1 + check_random_below(3), turn++)
            check_shape(c, (struct shape){ m, n, 1 + check_random_below(40) }, epilogue_at(turn % 12), turn % 3,
                        turn % 2);
    for (size_t i = 0; i < 12; i++) { /* every epilogue, past the blocks a level may cut k and n into */
        check_shape(c, (struct shape){ 61, 150, 700 }, epilogue_at(i), 0, false);
        check_shape(c, (struct shape){ 1, 1025, 1100 }, epilogue_at(i), 5, true);
        check_shape(c, (struct shape){ 103, 70, 256 }, epilogue_at(i), 0, false); /* rows a power of two apart */
        check_shape(c, (struct shape){ 103, 150, 1024 }, epilogue_at(i), 0, false);
    }
}

struct bench_gemm {
    struct shape shape;
    float *c, *a, *b;
    struct heed_epilogue epilogue;
    float *packed[2];
    const struct heed_kernels *tables[2];
};

static void call_gemm(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_gemm *const g = arg;
    const struct shape s = g->shape;
    kernels->gemm(g->c, s.n, g->a, s.k, g->packed[kernels == g->tables[1]], s.m, s.n, s.k, &g->epilogue);
}

void bench_gemm(const struct check *c)
{
    static const struct {
        const char *name;
        struct shape shape;
    } cases[] = {
        { "gemm in L1: 96 x 64 x 64", { 96, 64, 64 } },
        { "gemm res2 reduce: 4096 x 64 x 256", { 4096, 64, 256 } },
        { "gemm res2 expand: 4096 x 256 x 64", { 4096, 256, 64 } },
        { "gemm res4 expand: 3400 x 1024 x 256", { 3400, 1024, 256 } },
        { "gemm fpn 3x3 tile: 96 x 256 x 2304", { 96, 256, 2304 } },
        { "gemm box head: 96 x 1024 x 12544", { 96, 1024, 12544 } },
        { "gemm heed-s 1x1: 2704 x 58 x 58", { 2704, 58, 58 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct shape s = cases[i].shape;
        struct bench_gemm g = { .shape = s, .tables = { c->ref, c->new } };
        g.c = check_floats(s.m * s.n, -1, 1);
        g.a = check_floats(s.m * s.k, -1, 1);
        g.b = check_floats(s.n * s.k, -1, 1);
        g.epilogue = (struct heed_epilogue){ .bias = g.b, .activation = HEED_ACT_RELU };
        size_t floats[2];
        for (size_t t = 0; t < 2; t++)
            g.packed[t] = packed_b(g.tables[t], g.b, s.k, 1, s.n, s.k, &floats[t]);
        check_time(c, cases[i].name, call_gemm, &g, 2.0 * (double)(s.m * s.n) * (double)s.k);
        check_free(g.c, s.m * s.n);
        check_free(g.a, s.m * s.k);
        check_free(g.b, s.n * s.k);
        for (size_t t = 0; t < 2; t++)
            check_free(g.packed[t], floats[t]);
    }
}
