#include "layers/resize.h"

#include <assert.h>

#include "layers/tiles.h"

struct run {
    heed_bilinear_fn *fn; /* bilinear and nearest have one type */
    const struct heed_tensor *x, *y;
    struct heed_resize resize;
    size_t tile_rows, tiles;
};

static void resize_tile(void *arg, size_t index, unsigned lane)
{
    (void)lane;
    const struct run *const run = arg;
    const size_t image = index / run->tiles, row = index % run->tiles * run->tile_rows;
    const size_t left = run->y->h - row, rows = left < run->tile_rows ? left : run->tile_rows;
    run->fn(heed_tensor_at(run->y, image, 0, 0), heed_tensor_at(run->x, image, 0, 0), &run->resize, row, rows);
}

static void resize_run(struct heed_forward *forward, enum heed_resize_mode mode, const struct heed_tensor *x,
                       const struct heed_tensor *y, int add)
{
    assert(x->n == y->n && x->c == y->c);
    struct run run = { .fn = mode == HEED_RESIZE_BILINEAR ? forward->kernels->bilinear : forward->kernels->nearest,
                       .x = x,
                       .y = y,
                       .resize = { .h = x->h,
                                   .w = x->w,
                                   .c = x->c,
                                   .stride = x->stride,
                                   .out_h = y->h,
                                   .out_w = y->w,
                                   .out_stride = y->stride,
                                   .add = add },
                       .tile_rows = heed_tile_items(y->h, 2 * y->w * y->c, 1) };
    run.tiles = heed_ceil_div(y->h, run.tile_rows);
    if (heed_forward_computes(forward))
        heed_forward_run(forward, mode == HEED_RESIZE_BILINEAR ? "resize.bilinear" : "resize.nearest", 0, resize_tile,
                         &run, y->n * run.tiles);
}

void heed_resize_into(struct heed_forward *forward, enum heed_resize_mode mode, const struct heed_tensor *x,
                      const struct heed_tensor *y)
{
    resize_run(forward, mode, x, y, 0);
}

void heed_resize_add(struct heed_forward *forward, enum heed_resize_mode mode, const struct heed_tensor *x,
                     const struct heed_tensor *y)
{
    resize_run(forward, mode, x, y, 1);
}
