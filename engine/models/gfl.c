#include "models/gfl.h"

#include <math.h>
#include <string.h>

#define LEAKY .activation = HEED_ACT_LEAKY, .slope = 0.1f

void heed_gfl_load(struct heed_loader *loader, struct heed_gfl *head, const struct heed_spec *spec, size_t stride)
{
    const size_t c = spec->neck_channels, outputs = spec->classes + 4 * spec->bins;
    const struct heed_conv_shape depthwise = { .in = c, .out = c, .kernel = 3, .step = 1, .pad = 1, LEAKY };
    const struct heed_conv_shape pointwise = { .in = c, .out = c, .kernel = 1, .step = 1, LEAKY };
    heed_depthwise_load(loader, &head->dw1, heed_loader_name(loader, "head%zu.dw1", stride), depthwise);
    heed_conv_load(loader, &head->pw1, heed_loader_name(loader, "head%zu.pw1", stride), pointwise);
    heed_depthwise_load(loader, &head->dw2, heed_loader_name(loader, "head%zu.dw2", stride), depthwise);
    heed_conv_load(loader, &head->pw2, heed_loader_name(loader, "head%zu.pw2", stride), pointwise);
    heed_conv_follow(&head->pw1, &head->dw1);
    heed_conv_follow(&head->pw2, &head->dw2);
    heed_conv_load_two(loader, &head->logits, &head->distances, heed_loader_name(loader, "head%zu.out", stride),
                       (struct heed_conv_shape){ .in = c, .out = outputs, .kernel = 1, .step = 1 }, spec->classes);
    head->stride = stride;
    head->classes = spec->classes;
    head->bins = spec->bins;
    head->candidates = spec->candidates;
    head->score_min = spec->score_min;
}

static float sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

/* The expectation of a softmax over the bins. */
static float expected_distance(const float *logits, size_t bins)
{
    float max = logits[0], sum = 0, moment = 0;
    for (size_t i = 1; i < bins; i++)
        max = fmaxf(max, logits[i]);
    for (size_t i = 0; i < bins; i++) {
        const float e = expf(logits[i] - max);
        sum += e;
        moment += e * (float)i;
    }
    return moment / sum;
}

static float clip(float value, size_t limit)
{
    return fminf(fmaxf(value, 0), (float)limit);
}

/* left, top, right, bottom from the cell's centre */
static void decode(const struct heed_gfl *head, const float *distances, size_t x, size_t y,
                   const struct heed_geometry *geometry, float box[4])
{
    const float stride = (float)head->stride, cx = ((float)x + 0.5f) * stride, cy = ((float)y + 0.5f) * stride;
    box[0] = clip(cx - expected_distance(distances, head->bins) * stride, geometry->resized_w);
    box[1] = clip(cy - expected_distance(distances + head->bins, head->bins) * stride, geometry->resized_h);
    box[2] = clip(cx + expected_distance(distances + 2 * head->bins, head->bins) * stride, geometry->resized_w);
    box[3] = clip(cy + expected_distance(distances + 3 * head->bins, head->bins) * stride, geometry->resized_h);
}

static bool any_reaches(const float *logits, size_t count, float least)
{
    unsigned reached = 0;
    for (size_t c = 0; c < count; c++)
        reached |= logits[c] >= least;
    return reached;
}

/* Scores above the least, and which (cell, class) they are of. */
static size_t find(const struct heed_gfl *head, const struct heed_tensor *logits, float *scores, uint32_t *pairs)
{
    const float hopeless = logf(head->score_min / (1 - head->score_min)) - 0.01f; /* spares the sigmoid of nearly all */
    size_t count = 0;
    for (size_t cell = 0; cell < logits->h * logits->w; cell++) {
        const float *const of_cell = logits->data + cell * logits->stride;
        if (!any_reaches(of_cell, head->classes, hopeless))
            continue;
        for (size_t c = 0; c < head->classes; c++) {
            if (!(of_cell[c] >= hopeless))
                continue;
            const float score = sigmoid(of_cell[c]);
            if (score > head->score_min) {
                scores[count] = score;
                pairs[count++] = (uint32_t)(cell * head->classes + c);
            }
        }
    }
    return count;
}

/* (cell, class) pairs above the least score, of which the `count` best are order[0], order[1], ... */
struct pairs {
    float *scores;
    uint32_t *pairs, *order;
    size_t count; /* while planning: at most */
};

static struct pairs choose_pairs(struct heed_forward *forward, const struct heed_gfl *head,
                                 const struct heed_tensor *logits)
{
    const size_t all = logits->h * logits->w * head->classes;
    struct pairs chosen = { .scores = heed_arena_floats(forward->arena, all, 1),
                            .pairs = heed_arena_bytes(forward->arena, all, sizeof *chosen.pairs),
                            .order = heed_arena_bytes(forward->arena, all, sizeof *chosen.order) };
    const bool computes = heed_forward_computes(forward);
    const size_t found = computes ? find(head, logits, chosen.scores, chosen.pairs) : all;
    chosen.count = found < head->candidates ? found : head->candidates;
    if (!computes)
        return chosen;
    if (found > chosen.count) {
        heed_top_k(chosen.order, chosen.scores, found, chosen.count);
    } else {
        for (size_t i = 0; i < found; i++)
            chosen.order[i] = (uint32_t)i;
    }
    return chosen;
}

/* (cells, channels): the cells of the pairs, each once, in the order in which pairs name them first; places: which of
 * them is a cell's. */
static struct heed_tensor collect_cells(struct heed_forward *forward, const struct heed_gfl *head,
                                        const struct heed_tensor *x, const struct pairs *chosen, uint32_t *places)
{
    struct heed_tensor cells = heed_forward_tensor(forward, 1, 1, chosen->count, x->c);
    if (!heed_forward_computes(forward))
        return cells;
    memset(places, 0xff, x->h * x->w * sizeof *places);
    cells.w = 0;
    for (size_t i = 0; i < chosen->count; i++) {
        const size_t cell = chosen->pairs[chosen->order[i]] / head->classes;
        if (places[cell] != UINT32_MAX)
            continue;
        memcpy(cells.data + cells.w * cells.stride, x->data + cell * x->stride, x->c * sizeof *x->data);
        places[cell] = (uint32_t)cells.w++;
    }
    return cells;
}

/* boxes: room for one of each cell. */
static size_t append_pairs(const struct heed_gfl *head, const struct heed_tensor *map, const struct pairs *chosen,
                           const uint32_t *places, const struct heed_tensor *distances,
                           const struct heed_geometry *geometry, float (*boxes)[4], struct heed_candidate *candidates,
                           size_t count)
{
    size_t decoded = 0;
    for (size_t i = 0; i < chosen->count; i++) {
        const size_t pair = chosen->pairs[chosen->order[i]], cell = pair / head->classes, place = places[cell];
        if (place == decoded) /* its first pair: places count up in this order */
            decode(head, distances->data + decoded++ * distances->stride, cell % map->w, cell / map->w, geometry,
                   boxes[place]);
        struct heed_candidate *const candidate = &candidates[count];
        memcpy(candidate->box, boxes[place], sizeof candidate->box);
        candidate->score = chosen->scores[chosen->order[i]];
        candidate->group = (uint32_t)(pair % head->classes);
        candidate->index = (uint32_t)count++;
    }
    return count;
}

size_t heed_gfl_run(struct heed_forward *forward, const struct heed_gfl *head, const struct heed_tensor *map,
                    const struct heed_geometry *geometry, struct heed_candidate *candidates, size_t count)
{
    const size_t mark = heed_arena_mark(forward->arena);
    struct heed_tensor x = heed_conv(forward, &head->pw1, map);
    x = heed_conv(forward, &head->pw2, &x);
    const struct heed_tensor logits = heed_conv(forward, &head->logits, &x);
    const struct pairs chosen = choose_pairs(forward, head, &logits);
    if (chosen.count > 0) {
        uint32_t *const places = heed_arena_bytes(forward->arena, map->h * map->w, sizeof *places);
        float(*const boxes)[4] = heed_arena_bytes(forward->arena, chosen.count, sizeof *boxes);
        const struct heed_tensor cells = collect_cells(forward, head, &x, &chosen, places);
        const struct heed_tensor distances = heed_conv(forward, &head->distances, &cells);
        if (heed_forward_computes(forward))
            count = append_pairs(head, map, &chosen, places, &distances, geometry, boxes, candidates, count);
    }
    heed_arena_release(forward->arena, mark);
    return count;
}
