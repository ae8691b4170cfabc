#include "models/box_head.h"

#include "models/box_coder.h"

#define POOL 7
#define GROUP 240 /* proposals */
#define SIDE_MIN 1e-2f

void heed_box_head_load(struct heed_loader *loader, struct heed_box_head *head, const struct heed_spec *spec)
{
    const size_t width = 1024;
    heed_linear_load(loader, &head->fc6, "roi_heads.box_head.fc6", spec->neck_channels, POOL, width, HEED_ACT_RELU);
    heed_linear_load(loader, &head->fc7, "roi_heads.box_head.fc7", width, 1, width, HEED_ACT_RELU);
    heed_linear_load(loader, &head->cls_score, "roi_heads.box_predictor.cls_score", width, 1, spec->classes,
                     HEED_ACT_NONE);
    heed_linear_load(loader, &head->bbox_pred, "roi_heads.box_predictor.bbox_pred", width, 1, 4 * spec->classes,
                     HEED_ACT_NONE);
    head->classes = spec->classes;
    head->score_min = spec->score_min;
}

/* A proposal's scores add up to 1, so only so many of them are above the least. */
size_t heed_box_head_candidates(const struct heed_box_head *head, size_t proposals)
{
    const float above = 1.01f / head->score_min;
    const size_t classes = head->classes - 1;
    return proposals * (above < (float)classes ? (size_t)above : classes);
}

/* Appends what a proposal gives. */
static size_t select_classes(const struct heed_box_head *head, const float proposal[4], const float *scores,
                             const float *deltas, const struct heed_geometry *geometry,
                             struct heed_candidate *candidates, size_t count)
{
    for (size_t c = 1; c < head->classes; c++) {
        if (!(scores[c] > head->score_min))
            continue;
        struct heed_candidate *const candidate = &candidates[count];
        heed_box_decode(proposal, deltas + 4 * c, 10, 5, candidate->box);
        heed_box_clip(candidate->box, geometry->resized_w, geometry->resized_h);
        if (!heed_box_has_sides(candidate->box, SIDE_MIN))
            continue;
        candidate->score = scores[c];
        candidate->group = (uint32_t)c;
        candidate->index = (uint32_t)count++;
    }
    return count;
}

size_t heed_box_head_run(struct heed_forward *forward, const struct heed_box_head *head,
                         const struct heed_roi_levels *levels, const float (*proposals)[4], size_t count,
                         const struct heed_geometry *geometry, struct heed_candidate *candidates)
{
    size_t found = 0;
    for (size_t first = 0; first < count; first += GROUP) {
        const size_t mark = heed_arena_mark(forward->arena), left = count - first, group = left < GROUP ? left : GROUP;
        struct heed_tensor x = heed_roi_align(forward, levels, proposals + first, group, POOL);
        x = heed_linear(forward, &head->fc6, &x);
        x = heed_linear(forward, &head->fc7, &x);
        const struct heed_tensor scores = heed_linear(forward, &head->cls_score, &x);
        const struct heed_tensor deltas = heed_linear(forward, &head->bbox_pred, &x);
        if (heed_forward_computes(forward)) {
            forward->kernels->softmax_rows(scores.data, scores.stride, group, head->classes);
            for (size_t i = 0; i < group; i++)
                found = select_classes(head, proposals[first + i], heed_tensor_at(&scores, i, 0, 0),
                                       heed_tensor_at(&deltas, i, 0, 0), geometry, candidates, found);
        }
        heed_arena_release(forward->arena, mark);
    }
    return found;
}
