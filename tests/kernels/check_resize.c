#include "check.h"

#include <float.h>

typedef void resize_fn(float *y, const float *x, const struct heed_resize *resize, size_t row, size_t rows);

static void check_one(const struct check *c, const char *name, resize_fn *ref, resize_fn *new, struct heed_resize r)
{
    const size_t row = check_random_below(r.out_h), rows = 1 + check_random_below(r.out_h - row);
    const size_t x_floats = (r.h * r.w - 1) * r.stride + r.c;
    float *const x = check_floats(x_floats, -1, 1);
    struct check_pair y;
    check_pair_init(&y, (r.out_h * r.out_w - 1) * r.out_stride + r.c, -1, 1);
    ref(y.ref, x, &r, row, rows);
    new (y.new, x, &r, row, rows);
    check_same(c, &y, (struct check_tolerance){ .absolute = 4 * FLT_EPSILON }, "%s %zu x %zu to %zu x %zu x %zu add %d",
               name, r.h, r.w, r.out_h, r.out_w, r.c, r.add);
    check_free(x, x_floats);
}

void check_resize(const struct check *c)
{
    for (size_t channels = 1; channels <= 67; channels++) {
        for (size_t turn = 0; turn < 12; turn++) {
            const struct heed_resize r = {
                .h = 1 + check_random_below(6),
                .w = 1 + check_random_below(6),
                .c = channels,
                .stride = channels + check_random_below(3),
                .out_h = 1 + check_random_below(13),
                .out_w = 1 + check_random_below(13),
                .out_stride = channels + check_random_below(3),
                .add = turn % 2,
            };
            check_one(c, "bilinear", c->ref->bilinear, c->new->bilinear, r);
            check_one(c, "nearest", c->ref->nearest, c->new->nearest, r);
        }
    }
}

struct bench_resize {
    struct heed_resize resize;
    float *y, *x;
};

static void call_bilinear(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_resize *const b = arg;
    kernels->bilinear(b->y, b->x, &b->resize, 0, b->resize.out_h);
}

static void call_nearest(const struct heed_kernels *kernels, void *arg)
{
    const struct bench_resize *const b = arg;
    kernels->nearest(b->y, b->x, &b->resize, 0, b->resize.out_h);
}

void bench_resize(const struct check *c)
{
    struct bench_resize b = {
        .resize = { .h = 26, .w = 26, .c = 128, .stride = 128, .out_h = 52, .out_w = 52, .out_stride = 128, .add = 1 }
    };
    const size_t x_floats = 26 * 26 * 128, y_floats = 52 * 52 * 128;
    b.x = check_floats(x_floats, 0, 1);
    b.y = check_floats(y_floats, 0, 1);
    check_time(c, "bilinear 26x26x128 to 52x52, add", call_bilinear, &b, 0);
    check_time(c, "nearest 26x26x128 to 52x52, add", call_nearest, &b, 0);
    check_free(b.x, x_floats);
    check_free(b.y, y_floats);
}
