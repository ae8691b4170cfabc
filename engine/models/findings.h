/* The last steps that all detectors share: from candidates to what was asked for. Only families call this. */
#ifndef HEED_MODELS_FINDINGS_H
#define HEED_MODELS_FINDINGS_H

#include "models/family.h"
#include "results/boxes.h"

/* Lays out room for what a query may get; before all else of a pass, as it outlives the rest. */
void heed_findings_init(struct heed_forward *forward, const struct heed_query *query, struct heed_findings *findings);

/* What a model has to say comes first: classes that are used, suppression in groups (classes), decay of the scores of
 * what overlaps (decay_sigma 0: none), and its best `detections` (more where the query wants more). Of these, those the
 * query asks for become the findings, boxes in input pixels. So an answer is the one that filtering a full answer would
 * give: its boxes to the bit, its masks but for roundings, for regions share Winograd's tiles with those beside them.
 * While planning there are as many as can be. */
struct heed_selection {
    double nms_iou, decay_sigma;
    size_t detections;
    const struct heed_label *labels; /* the spec's, by class; one without a name is not used */
};
void heed_findings_select(struct heed_forward *forward, const struct heed_query *query,
                          const struct heed_selection *selection, struct heed_candidate *candidates, size_t count,
                          uint8_t *suppressed, struct heed_findings *findings);

/* The boxes side by side, (findings->count, 4), in the arena. */
const float (*heed_findings_regions(struct heed_forward *forward, const struct heed_findings *findings))[4];

/* From pixels of the input to pixels of the photo. */
void heed_findings_to_photo(struct heed_forward *forward, const struct heed_geometry *geometry,
                            struct heed_findings *findings);

#endif
