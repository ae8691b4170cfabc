/* RoIAlign of many regions (torchvision: aligned false, 2 x 2 samples a bin) over a pyramid: each region is read from
 * the level that fits its size, k = floor(4 + log2(sqrt(area) / 224)), as in the feature pyramid paper. */
#ifndef HEED_LAYERS_ROI_ALIGN_H
#define HEED_LAYERS_ROI_ALIGN_H

#include "layers/forward.h"

#define HEED_ROI_LEVELS_MAX 4

struct heed_roi_levels {
    const char *name;
    size_t count;                                 /* 1: every region is read from it */
    struct heed_tensor maps[HEED_ROI_LEVELS_MAX]; /* finest first, one image, channels alike */
    float scales[HEED_ROI_LEVELS_MAX];            /* map pixels per input pixel */
};

/* Regions: (count, 4) x1, y1, x2, y2 in input pixels. -> (count, out, out, c); not read while planning. */
struct heed_tensor heed_roi_align(struct heed_forward *forward, const struct heed_roi_levels *levels,
                                  const float (*regions)[4], size_t count, size_t out);

#endif
