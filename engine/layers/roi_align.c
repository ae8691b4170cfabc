#include "layers/roi_align.h"

#include <assert.h>
#include <math.h>

struct run {
    const struct heed_kernels *kernels;
    const struct heed_roi_levels *levels;
    const float (*regions)[4];
    const struct heed_tensor *y;
};

/* torchvision's LevelMapper, in its floats: a level's number is -log2 of its scale. */
static size_t level_of(const struct heed_roi_levels *levels, const float region[4])
{
    if (levels->count == 1)
        return 0;
    const float side = sqrtf((region[2] - region[0]) * (region[3] - region[1]));
    const float finest = -log2f(levels->scales[0]), coarsest = -log2f(levels->scales[levels->count - 1]);
    const float level = floorf(4 + log2f(side / 224) + 1e-6f);
    const size_t index = (size_t)(fminf(fmaxf(level, finest), coarsest) - finest);
    return index < levels->count ? index : levels->count - 1;
}

static void roi_tile(void *arg, size_t index, unsigned lane)
{
    (void)lane;
    const struct run *const run = arg;
    const float *const region = run->regions[index];
    const size_t level = level_of(run->levels, region);
    const struct heed_tensor *const map = &run->levels->maps[level];
    run->kernels->roi_align(heed_tensor_at(run->y, index, 0, 0), map->data, map->h, map->w, map->c, map->stride, region,
                            run->levels->scales[level], run->y->h);
}

struct heed_tensor heed_roi_align(struct heed_forward *forward, const struct heed_roi_levels *levels,
                                  const float (*regions)[4], size_t count, size_t out)
{
    assert(levels->count >= 1 && levels->count <= HEED_ROI_LEVELS_MAX);
    const struct heed_tensor y = heed_forward_tensor(forward, count, out, out, levels->maps[0].c);
    struct run run = { .kernels = forward->kernels, .levels = levels, .regions = regions, .y = &y };
    if (count > 0 && heed_forward_computes(forward))
        heed_forward_run(forward, levels->name, 0, roi_tile, &run, count);
    return y;
}
