/* The mask head on regions, as in Mask R-CNN: RoIAlign, some 3x3 convolutions, attention if any, a transposed
 * convolution that doubles the side, a 1x1 to the logits. Regions go through in groups, so memory does not grow with
 * their number. */
#ifndef HEED_MODELS_MASK_HEAD_H
#define HEED_MODELS_MASK_HEAD_H

#include "layers/conv.h"
#include "layers/roi_align.h"
#include "models/family.h"
#include "models/places.h"

#define HEED_MASK_CONVS_MAX 16

struct heed_mask_head {
    struct heed_conv convs[HEED_MASK_CONVS_MAX];
    size_t conv_count, pool;
    const struct heed_attention *attention; /* on each region, behind the convolutions; NULL for none */
    struct heed_conv deconv;
    size_t classes;              /* 1: masks do not depend on the class */
    float *logits, *logits_bias; /* packed, class by class: only the wanted class's logits are computed */
};

/* "NAME.weight" (classes, channels, 1, 1), "NAME.bias". */
void heed_mask_logits_load(struct heed_loader *loader, struct heed_mask_head *head, const char *name, size_t classes);

/* findings->mask_logits, each of its finding's class, from regions (findings->count, 4) in input pixels. */
void heed_mask_head_run(struct heed_forward *forward, const struct heed_mask_head *head,
                        const struct heed_roi_levels *levels, const float (*regions)[4],
                        const struct heed_findings *findings);

#endif
