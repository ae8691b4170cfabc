/* The one-stage head of NanoDet: per cell, class logits and the distribution of the distance to each side of the box
 * (generalized focal loss, Li et al., NeurIPS 2020), from two depthwise-separable convolutions. A head for each level.
 */
#ifndef HEED_MODELS_GFL_H
#define HEED_MODELS_GFL_H

#include "layers/conv.h"
#include "models/family.h"
#include "results/boxes.h"

struct heed_gfl {
    struct heed_conv dw1, pw1, dw2, pw2;
    struct heed_conv logits, distances; /* of "head<stride>.out" */
    size_t stride; /* input pixels of a cell's side */
    size_t classes, bins, candidates;
    float score_min;
};

/* "head<stride>.dw1" and so on. */
void heed_gfl_load(struct heed_loader *loader, struct heed_gfl *head, const struct heed_spec *spec, size_t stride);

/* Appends the level's best (cell, class) pairs above score_min, at most head->candidates: boxes in input
 * pixels clipped to what shows the photo, group the class. Returns the new count: unchanged while planning. */
size_t heed_gfl_run(struct heed_forward *forward, const struct heed_gfl *head, const struct heed_tensor *map,
                    const struct heed_geometry *geometry, struct heed_candidate *candidates, size_t count);

#endif
