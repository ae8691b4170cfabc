#include "layers/pool.h"

#include <assert.h>

#include "layers/tiles.h"

struct run {
    const struct heed_kernels *kernels;
    const struct heed_tensor *x, *y;
    struct heed_window window;
    size_t tile_rows, tiles;
};

static void pool_tile(void *arg, size_t index, unsigned lane)
{
    (void)lane;
    const struct run *const run = arg;
    const size_t image = index / run->tiles, row = index % run->tiles * run->tile_rows;
    const size_t left = run->y->h - row, rows = left < run->tile_rows ? left : run->tile_rows;
    run->kernels->max_pool(heed_tensor_at(run->y, image, 0, 0), run->y->stride, heed_tensor_at(run->x, image, 0, 0),
                           &run->window, row, rows);
}

static size_t side_of(const struct heed_pool_shape *shape, size_t side)
{
    return (side + 2 * shape->pad - shape->kernel) / shape->step + 1;
}

void heed_max_pool_into(struct heed_forward *forward, const struct heed_pool_shape *shape, const struct heed_tensor *x,
                        const struct heed_tensor *y)
{
    assert(y->n == x->n && y->c == x->c);
    assert(y->h == side_of(shape, x->h) && y->w == side_of(shape, x->w));
    struct run run = { .kernels = forward->kernels,
                       .x = x,
                       .y = y,
                       .window = heed_window(x, y, shape->kernel, shape->step, shape->pad),
                       .tile_rows = heed_tile_items(y->h, 2 * y->w * y->c, 1) };
    run.tiles = heed_ceil_div(y->h, run.tile_rows);
    if (heed_forward_computes(forward))
        heed_forward_run(forward, shape->name, 0, pool_tile, &run, x->n * run.tiles);
}
