#include "models/findings.h"

#include <stdbool.h>
#include <string.h>

void heed_findings_init(struct heed_forward *forward, const struct heed_query *query, struct heed_findings *findings)
{
    *findings = (struct heed_findings){ 0 };
    findings->found = heed_arena_bytes(forward->arena, query->detections_max, sizeof *findings->found);
    if (query->masks)
        findings->mask_logits =
            heed_arena_floats(forward->arena, query->detections_max, HEED_MASK_SIDE * HEED_MASK_SIDE);
}

static size_t drop_unused(const struct heed_label *labels, struct heed_candidate *candidates, size_t count)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++)
        if (labels[candidates[i].group].name)
            candidates[used++] = candidates[i];
    return used;
}

void heed_findings_select(struct heed_forward *forward, const struct heed_query *query,
                          const struct heed_selection *selection, struct heed_candidate *candidates, size_t count,
                          uint8_t *suppressed, struct heed_findings *findings)
{
    findings->count = heed_arena_counting(forward->arena) ? query->detections_max : 0;
    if (!heed_forward_computes(forward))
        return;
    const size_t keep = query->detections_max > selection->detections ? query->detections_max : selection->detections;
    count = drop_unused(selection->labels, candidates, count);
    const size_t kept = heed_nms(candidates, count, selection->nms_iou, selection->decay_sigma, keep, suppressed);
    for (size_t i = 0; i < kept && findings->count < query->detections_max; i++) {
        const struct heed_candidate *const candidate = &candidates[i];
        if (candidate->score < query->score_min || (query->classes && !query->classes[candidate->group]))
            continue;
        struct heed_found *const found = &findings->found[findings->count++];
        memcpy(found->box, candidate->box, sizeof found->box);
        found->score = candidate->score;
        found->class_index = candidate->group;
    }
}

const float (*heed_findings_regions(struct heed_forward *forward, const struct heed_findings *findings))[4]
{
    float(*const regions)[4] = heed_arena_bytes(forward->arena, findings->count, sizeof *regions);
    for (size_t i = 0; i < findings->count && !heed_arena_counting(forward->arena); i++)
        memcpy(regions[i], findings->found[i].box, sizeof regions[i]);
    return (const float(*)[4])regions;
}

void heed_findings_to_photo(struct heed_forward *forward, const struct heed_geometry *geometry,
                            struct heed_findings *findings)
{
    if (heed_arena_counting(forward->arena))
        return;
    const float x_ratio = (float)geometry->photo_w / (float)geometry->resized_w;
    const float y_ratio = (float)geometry->photo_h / (float)geometry->resized_h;
    for (size_t i = 0; i < findings->count; i++) {
        float *const box = findings->found[i].box;
        box[0] *= x_ratio;
        box[1] *= y_ratio;
        box[2] *= x_ratio;
        box[3] *= y_ratio;
    }
}
