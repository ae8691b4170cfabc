#include "check.h"

#include <float.h>
#include <math.h>

void check_elementwise(const struct check *c)
{
    static const float odd_ones[] = { 0, NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 88.8f, -88.8f };
    for (size_t n = 1; n <= 131; n++) {
        struct check_pair y;
        float *const x = check_floats(n, -4, 4);
        check_pair_init(&y, n, -4, 4);
        c->ref->add(y.ref, x, n);
        c->new->add(y.new, x, n);
        check_same(c, &y, (struct check_tolerance){ 0 }, "add n=%zu", n);
        check_free(x, n);

        check_pair_init(&y, n, -100, 100);
        y.ref[n / 2] = y.new[n / 2] = odd_ones[n % 8];
        c->ref->sigmoid(y.ref, n);
        c->new->sigmoid(y.new, n);
        check_same(c, &y, (struct check_tolerance){ .absolute = 1e-37f, .relative = 8 * FLT_EPSILON }, "sigmoid n=%zu",
                   n);
    }
}

struct bench_elementwise {
    float *y, *x;
    size_t n;
};

static void call_add(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_elementwise *const b = arg;
    kernels->add(b->y, b->x, b->n);
}

static void call_sigmoid(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_elementwise *const b = arg;
    kernels->sigmoid(b->y, b->n);
}

void bench_elementwise(const struct check *c)
{
    struct bench_elementwise b = { .n = 80 * 676 };
    b.y = check_floats(b.n, 0, 1e-6f);
    b.x = check_floats(b.n, 0, 1e-6f);
    check_time(c, "add 54080", call_add, &b, 0);
    check_time(c, "sigmoid 54080", call_sigmoid, &b, 0);
    check_free(b.y, b.n);
    check_free(b.x, b.n);
}
