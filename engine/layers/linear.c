#include "layers/linear.h"

#include <assert.h>
#include <stdlib.h>

#include "layers/conv_read.h"
#include "layers/tiles.h"

#define PANEL 128     /* columns: the product copies its rows of regions once for each panel */
#define TILE_ROWS 240 /* regions */

static size_t panel_columns(const struct heed_linear *linear, size_t panel)
{
    const size_t left = linear->out - panel * PANEL;
    return left < PANEL ? left : PANEL;
}

void heed_linear_load(struct heed_loader *loader, struct heed_linear *linear, const char *name, size_t c, size_t side,
                      size_t out, enum heed_activation activation)
{
    const struct heed_kernels *const kernels = loader->kernels;
    *linear = (struct heed_linear){ .name = name, .in = c * side * side, .out = out, .activation = activation };
    float *const weights = heed_conv_read(loader, name, &(struct heed_conv_shape){ .kernel = side }, 2,
                                          (size_t[]){ out, linear->in }, &linear->bias);
    const size_t panels = heed_ceil_div(out, PANEL), panel_floats = kernels->gemm_packed_floats(PANEL, linear->in);
    if (weights)
        linear->weights = heed_loader_floats(loader, panels * panel_floats);
    for (size_t panel = 0; linear->weights && panel < panels; panel++)
        kernels->gemm_pack(linear->weights + panel * panel_floats, weights + panel * PANEL * linear->in, linear->in, 1,
                           panel_columns(linear, panel), linear->in);
    free(weights);
}

struct run {
    const struct heed_kernels *kernels;
    const struct heed_linear *linear;
    const struct heed_tensor *x, *y;
    size_t panels;
};

static void linear_tile(void *arg, size_t index, unsigned lane)
{
    (void)lane;
    const struct run *const run = arg;
    const struct heed_linear *const linear = run->linear;
    const size_t panel = index % run->panels, row = index / run->panels * TILE_ROWS;
    const size_t left = run->x->n - row, rows = left < TILE_ROWS ? left : TILE_ROWS;
    const struct heed_epilogue epilogue = { .bias = linear->bias + panel * PANEL, .activation = linear->activation };
    run->kernels->gemm(run->y->data + row * linear->out + panel * PANEL, linear->out, run->x->data + row * linear->in,
                       linear->in, linear->weights + panel * run->kernels->gemm_packed_floats(PANEL, linear->in), rows,
                       panel_columns(linear, panel), linear->in, &epilogue);
}

struct heed_tensor heed_linear(struct heed_forward *forward, const struct heed_linear *linear,
                               const struct heed_tensor *x)
{
    assert(x->h * x->w * x->c == linear->in && x->stride == x->c);
    const struct heed_tensor y = heed_forward_tensor(forward, x->n, 1, 1, linear->out);
    struct run run = {
        .kernels = forward->kernels, .linear = linear, .x = x, .y = &y, .panels = heed_ceil_div(linear->out, PANEL)
    };
    if (heed_forward_computes(forward))
        heed_forward_run(forward, linear->name, (uint64_t)x->n * linear->in * linear->out, linear_tile, &run,
                         run.panels * heed_ceil_div(x->n, TILE_ROWS));
    return y;
}
