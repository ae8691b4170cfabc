#include "check.h"

#include <float.h>
#include <math.h>

static void check_one(const struct check *c, size_t channels, const float roi[4], float scale)
{
    const size_t h = 1 + check_random_below(9), w = 1 + check_random_below(9), out = 1 + check_random_below(7);
    const size_t stride = channels + check_random_below(3), x_floats = (h * w - 1) * stride + channels;
    float *const x = check_floats(x_floats, -1, 1);
    struct check_pair y;
    check_pair_init(&y, out * out * channels, -1, 1);
    c->ref->roi_align(y.ref, x, h, w, channels, stride, roi, scale, out);
    c->new->roi_align(y.new, x, h, w, channels, stride, roi, scale, out);
    check_same(c, &y, (struct check_tolerance){ .absolute = 8 * FLT_EPSILON },
               "roi_align %zu x %zu x %zu out %zu roi %g %g %g %g", h, w, channels, out, (double)roi[0], (double)roi[1],
               (double)roi[2], (double)roi[3]);
    check_free(x, x_floats);
}

void check_roi_align(const struct check *c)
{
    if (c->new->roi_align == c->ref->roi_align)
        return;
    static const float strange[][4] = { { 0, 0, 0, 0 },         { 5, 5, 4, 4 },          { -90, -90, -80, -80 },
                                        { 500, 500, 900, 900 }, { -1e30f, 0, 1e30f, 9 }, { NAN, NAN, NAN, NAN } };
    for (size_t channels = 1; channels <= 67; channels++) {
        for (size_t turn = 0; turn < 8; turn++) {
            const float x0 = check_random(-8, 30), y0 = check_random(-8, 30);
            const float roi[4] = { x0, y0, x0 + check_random(0, 20), y0 + check_random(0, 20) };
            check_one(c, channels, roi, 0.25f);
        }
    }
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++)
        check_one(c, 19, strange[i], 0.25f);
}

struct bench_roi {
    float *y, *x;
    size_t h, w, c, out;
};

static void call_roi(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_roi *const b = arg;
    const float roi[4] = { 31, 47, 260, 310 };
    kernels->roi_align(b->y, b->x, b->h, b->w, b->c, b->c, roi, 0.125f, b->out);
}

void bench_roi_align(const struct check *c)
{
    struct bench_roi b = { .h = 52, .w = 52, .c = 256, .out = 14 };
    b.x = check_floats(b.h * b.w * b.c, 0, 1);
    b.y = check_floats(b.out * b.out * b.c, 0, 1);
    check_time(c, "roi_align 14x14x256", call_roi, &b, 0);
    check_free(b.x, b.h * b.w * b.c);
    check_free(b.y, b.out * b.out * b.c);
}
