/* The box head of Faster R-CNN: RoIAlign 7x7, two fully connected layers, class scores and a box for every class, with
 * torchvision's semantics. Proposals go through in groups, so memory does not grow with their number. */
#ifndef HEED_MODELS_BOX_HEAD_H
#define HEED_MODELS_BOX_HEAD_H

#include "layers/linear.h"
#include "layers/roi_align.h"
#include "models/family.h"
#include "results/boxes.h"

struct heed_box_head {
    struct heed_linear fc6, fc7, cls_score, bbox_pred;
    size_t classes; /* with background, which is class 0 */
    float score_min;
};

/* "roi_heads.box_head.*", "roi_heads.box_predictor.*" */
void heed_box_head_load(struct heed_loader *loader, struct heed_box_head *head, const struct heed_spec *spec);

/* How many candidates so many proposals can give. */
size_t heed_box_head_candidates(const struct heed_box_head *head, size_t proposals);

/* All (proposal, class) pairs above score_min but background: boxes in input pixels clipped to what shows the photo,
 * group the class. Returns how many: 0 while planning. */
size_t heed_box_head_run(struct heed_forward *forward, const struct heed_box_head *head,
                         const struct heed_roi_levels *levels, const float (*proposals)[4], size_t count,
                         const struct heed_geometry *geometry, struct heed_candidate *candidates);

#endif
