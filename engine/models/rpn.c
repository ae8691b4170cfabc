#include "models/rpn.h"

#include <math.h>
#include <string.h>

#include "models/box_coder.h"
#include "models/names.h"
#include "results/boxes.h"

#define ANCHORS 3 /* a cell */
#define SIDE_MIN 1e-3f

void heed_rpn_load(struct heed_loader *loader, struct heed_rpn *rpn, const struct heed_spec *spec)
{
    const size_t c = spec->neck_channels;
    heed_conv_load(
        loader, &rpn->conv, heed_either_name(loader, "rpn.head.conv", "rpn.head.conv.0.0"),
        (struct heed_conv_shape){ .in = c, .out = c, .kernel = 3, .step = 1, .pad = 1, .activation = HEED_ACT_RELU });
    heed_conv_load(loader, &rpn->cls_logits, "rpn.head.cls_logits",
                   (struct heed_conv_shape){ .in = c, .out = ANCHORS, .kernel = 1, .step = 1 });
    heed_conv_load(loader, &rpn->bbox_pred, "rpn.head.bbox_pred",
                   (struct heed_conv_shape){ .in = c, .out = 4 * ANCHORS, .kernel = 1, .step = 1 });
    rpn->candidates = spec->rpn_candidates;
    rpn->proposals = spec->rpn_proposals;
    rpn->nms_iou = spec->rpn_nms_iou;
}

void heed_rpn_anchors(size_t level, float anchors[3][4])
{
    static const float ratios[ANCHORS] = { 0.5f, 1, 2 }; /* height / width */
    const float size = (float)((size_t)32 << level);
    for (size_t i = 0; i < ANCHORS; i++) {
        const float half_w = rintf(1 / sqrtf(ratios[i]) * size / 2), half_h = rintf(sqrtf(ratios[i]) * size / 2);
        memcpy(anchors[i], (float[]){ -half_w, -half_h, half_w, half_h }, sizeof anchors[i]);
    }
}

struct level {
    struct heed_tensor logits; /* (h, w, anchors) */
    struct heed_tensor deltas; /* (best, anchors * 4), of the best anchors' cells */
    float anchors[ANCHORS][4];
    float step_x, step_y; /* input pixels between cells: rounded down, and not 2^n on the last level */
};

/* The box of anchor `index`, which is the i-th best. */
static void decode(const struct level *level, size_t index, size_t i, float box[4])
{
    const size_t cell = index / ANCHORS, anchor = index % ANCHORS;
    const float x = (float)(cell % level->logits.w) * level->step_x,
                y = (float)(cell / level->logits.w) * level->step_y;
    const float *const base = level->anchors[anchor];
    const float from[4] = { x + base[0], y + base[1], x + base[2], y + base[3] };
    heed_box_decode(from, level->deltas.data + (i * ANCHORS + anchor) * 4, 1, 1, box);
}

/* (best, channels): the cells of the anchors with the largest logits, whose indices come first in `order`. */
static struct heed_tensor choose_best(struct heed_forward *forward, const struct heed_rpn *rpn,
                                      const struct heed_tensor *logits, const struct heed_tensor *hidden,
                                      uint32_t *order)
{
    const size_t all = logits->h * logits->w * ANCHORS, best = all < rpn->candidates ? all : rpn->candidates;
    const struct heed_tensor chosen = heed_forward_tensor(forward, 1, 1, best, hidden->c);
    if (!heed_forward_computes(forward))
        return chosen;
    heed_top_k(order, logits->data, all, best);
    for (size_t i = 0; i < best; i++)
        memcpy(chosen.data + i * chosen.stride, hidden->data + order[i] / ANCHORS * hidden->stride,
               hidden->c * sizeof *chosen.data);
    return chosen;
}

/* Appends a level's best. */
static size_t append_best(const struct level *level, uint32_t group, const uint32_t *order,
                          const struct heed_geometry *geometry, struct heed_candidate *candidates, size_t count)
{
    for (size_t i = 0; i < level->deltas.w; i++) {
        struct heed_candidate *const candidate = &candidates[count];
        decode(level, order[i], i, candidate->box);
        heed_box_clip(candidate->box, geometry->resized_w, geometry->resized_h);
        if (!heed_box_has_sides(candidate->box, SIDE_MIN))
            continue;
        candidate->score = 1 / (1 + expf(-level->logits.data[order[i]]));
        candidate->group = group;
        candidate->index = (uint32_t)count++;
    }
    return count;
}

size_t heed_rpn_run(struct heed_forward *forward, const struct heed_rpn *rpn,
                    const struct heed_tensor levels[HEED_FPN_LEVELS], const struct heed_geometry *geometry,
                    float (*proposals)[4])
{
    const size_t mark = heed_arena_mark(forward->arena), candidates_max = HEED_FPN_LEVELS * rpn->candidates;
    struct heed_candidate *const candidates = heed_arena_bytes(forward->arena, candidates_max, sizeof *candidates);
    uint8_t *const suppressed = heed_arena_bytes(forward->arena, candidates_max, 1);
    const struct heed_conv conv = heed_conv_prepared(forward, &rpn->conv, &levels[0]);
    size_t count = 0;
    for (size_t i = 0; i < HEED_FPN_LEVELS; i++) {
        const struct heed_tensor *const map = &levels[i];
        const size_t level_mark = heed_arena_mark(forward->arena);
        uint32_t *const order = heed_arena_bytes(forward->arena, map->h * map->w * ANCHORS, sizeof *order);
        const struct heed_tensor hidden = heed_conv(forward, &conv, map);
        struct level level = { .logits = heed_conv(forward, &rpn->cls_logits, &hidden),
                               .step_x = (float)(geometry->input_w / map->w),
                               .step_y = (float)(geometry->input_h / map->h) };
        const struct heed_tensor chosen = choose_best(forward, rpn, &level.logits, &hidden, order);
        level.deltas = heed_conv(forward, &rpn->bbox_pred, &chosen);
        heed_rpn_anchors(i, level.anchors);
        if (heed_forward_computes(forward))
            count = append_best(&level, (uint32_t)i, order, geometry, candidates, count);
        heed_arena_release(forward->arena, level_mark);
    }
    size_t kept = heed_arena_counting(forward->arena) ? rpn->proposals : 0;
    if (heed_forward_computes(forward)) {
        kept = heed_nms(candidates, count, rpn->nms_iou, 0, rpn->proposals, suppressed);
        for (size_t i = 0; i < kept; i++)
            memcpy(proposals[i], candidates[i].box, sizeof proposals[i]);
    }
    heed_arena_release(forward->arena, mark);
    return kept;
}
