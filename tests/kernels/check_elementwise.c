#include "check.h"

#include <stdbool.h>

static void check_interleave(const struct check *c, size_t half, bool in_place)
{
    const size_t pixels = 1 + check_random_below(5), gap = check_random_below(3), stride = 2 * half + gap;
    const size_t second_floats = pixels * half, first_floats = (pixels - 1) * stride + half;
    float *const first = check_floats(first_floats, -4, 4), *const second = check_floats(second_floats, -4, 4);
    struct check_pair y;
    check_pair_init(&y, (pixels - 1) * stride + 2 * half, -4, 4);
    c->ref->interleave(y.ref, stride, in_place ? y.ref : first, stride, second, half, pixels, half);
    c->new->interleave(y.new, stride, in_place ? y.new : first, stride, second, half, pixels, half);
    check_same(c, &y, (struct check_tolerance){ 0 }, "interleave half=%zu pixels=%zu in place %d", half, pixels,
               in_place);
    check_free(first, first_floats);
    check_free(second, second_floats);
}

void check_elementwise(const struct check *c)
{
    for (size_t n = 1; n <= 131; n++) {
        check_interleave(c, n, n % 2);
        check_interleave(c, n, n % 2 == 0);
        struct check_pair y;
        float *const x = check_floats(n, -4, 4);
        check_pair_init(&y, n, -4, 4);
        c->ref->add(y.ref, x, n);
        c->new->add(y.new, x, n);
        check_same(c, &y, (struct check_tolerance){ 0 }, "add n=%zu", n);
        check_free(x, n);
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

static void call_interleave(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_elementwise *const b = arg;
    kernels->interleave(b->y, 116, b->y, 116, b->x, 58, b->n / 116, 58);
}

void bench_elementwise(const struct check *c)
{
    struct bench_elementwise b = { .n = 80 * 676 };
    b.y = check_floats(b.n, 0, 1e-6f);
    b.x = check_floats(b.n, 0, 1e-6f);
    check_time(c, "add 54080", call_add, &b, 0);
    check_time(c, "interleave 58 and 58, 466 pixels", call_interleave, &b, 0);
    check_free(b.y, b.n);
    check_free(b.x, b.n);
}
