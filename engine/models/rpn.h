/* The region proposal network (Ren et al., NeurIPS 2015) with torchvision's semantics: three anchors a cell on each of
 * five levels, one size a level. */
#ifndef HEED_MODELS_RPN_H
#define HEED_MODELS_RPN_H

#include "layers/conv.h"
#include "models/family.h"
#include "models/fpn.h"

struct heed_rpn {
    struct heed_conv conv, cls_logits, bbox_pred;
    size_t candidates, proposals; /* per level before suppression; over all levels after it */
    double nms_iou;
};

/* "rpn.head.*" */
void heed_rpn_load(struct heed_loader *loader, struct heed_rpn *rpn, const struct heed_spec *spec);

/* -> proposals (rpn->proposals, 4) in input pixels, best first; returns how many there are (while planning: all). */
size_t heed_rpn_run(struct heed_forward *forward, const struct heed_rpn *rpn,
                    const struct heed_tensor levels[HEED_FPN_LEVELS], const struct heed_geometry *geometry,
                    float (*proposals)[4]);

/* The base anchors of a level, centred at 0, halves to even: x1, y1, x2, y2. */
void heed_rpn_anchors(size_t level, float anchors[3][4]);

#endif
