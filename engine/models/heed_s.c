/* heed_s: ShuffleNetV2, a path-aggregation neck, a one-stage head, attention, and masks on regions.
 *
 *     photo -> backbone -> neck -> head  -> boxes
 *             (attention) (attention)|
 *                                    '-> mask map -> RoIAlign on the boxes -> 28x28 masks
 *                                       (attention)
 *
 * Small enough that a photo takes milliseconds; the default model is one of these. */
#include "layers/resize.h"
#include "models/family.h"
#include "models/findings.h"
#include "models/gfl.h"
#include "models/mask_head.h"
#include "models/pan.h"
#include "models/places.h"
#include "models/shufflenet.h"

#define LEAKY .activation = HEED_ACT_LEAKY, .slope = 0.1f

struct heed_s {
    const struct heed_shufflenet *backbone;
    struct heed_pan neck;
    struct heed_gfl heads[HEED_PAN_LEVELS];
    struct heed_conv fuse8, fuse16, fuse32;
    const struct heed_attention *mask_attention; /* on the whole map */
    struct heed_mask_head mask_head;
    struct heed_selection selection;
    size_t candidates;
};

static void load_mask_branch(struct heed_loader *loader, struct heed_s *net, const struct heed_spec *spec)
{
    const size_t c = spec->mask_channels;
    const struct heed_conv_shape fuse = { .in = spec->neck_channels, .out = c, .kernel = 1, .step = 1 };
    struct heed_conv_shape last_fuse = fuse; /* the sum of the three is activated as the last is added */
    last_fuse.activation = HEED_ACT_LEAKY;
    last_fuse.slope = 0.1f;
    heed_conv_load(loader, &net->fuse8, "mask.fuse8", last_fuse);
    heed_conv_load(loader, &net->fuse16, "mask.fuse16", fuse);
    heed_conv_load(loader, &net->fuse32, "mask.fuse32", fuse);
    net->mask_attention = heed_place_load(loader, spec, "mask", c);

    struct heed_mask_head *const head = &net->mask_head;
    head->pool = spec->mask_pool;
    head->conv_count = spec->mask_convs;
    for (size_t i = 0; i < head->conv_count; i++)
        heed_conv_load(loader, &head->convs[i], heed_loader_name(loader, "mask.conv%zu", i + 1),
                       (struct heed_conv_shape){ .in = c, .out = c, .kernel = 3, .step = 1, .pad = 1, LEAKY });
    heed_deconv_load(loader, &head->deconv, "mask.deconv",
                     (struct heed_conv_shape){ .in = c, .out = c, .kernel = 2, .step = 2, LEAKY });
    heed_mask_logits_load(loader, head, "mask.logits", 1);
}

static void *heed_s_load(struct heed_loader *loader, const struct heed_spec *spec)
{
    struct heed_s *const net = heed_loader_bytes(loader, sizeof *net);
    if (!net)
        return NULL;
    net->backbone = heed_shufflenet_load(loader, spec);
    heed_pan_load(loader, &net->neck, spec, spec->stage_widths + 1);
    for (size_t i = 0; i < HEED_PAN_LEVELS; i++)
        heed_gfl_load(loader, &net->heads[i], spec, (size_t)8 << i);
    load_mask_branch(loader, net, spec);
    net->selection = (struct heed_selection){ .nms_iou = spec->nms_iou,
                                              .decay_sigma = spec->decay_sigma,
                                              .detections = spec->detections,
                                              .labels = spec->labels };
    net->candidates = spec->candidates;
    return loader->status == HEED_OK ? net : NULL;
}

/* leaky(fuse8(p8) + up(fuse16(q16)) + up(fuse32(q32))), then attention */
static struct heed_tensor mask_map(struct heed_forward *forward, const struct heed_s *net,
                                   const struct heed_tensor maps[HEED_PAN_LEVELS])
{
    const struct heed_tensor map = heed_forward_tensor(forward, 1, maps[0].h, maps[0].w, net->fuse8.shape.out);
    const size_t mark = heed_arena_mark(forward->arena);
    const struct heed_tensor fused16 = heed_conv(forward, &net->fuse16, &maps[1]);
    const struct heed_tensor fused32 = heed_conv(forward, &net->fuse32, &maps[2]);
    heed_resize_into(forward, HEED_RESIZE_BILINEAR, &fused16, &map);
    heed_resize_add(forward, HEED_RESIZE_BILINEAR, &fused32, &map);
    heed_arena_release(forward->arena, mark);
    heed_conv_into(forward, &net->fuse8, &maps[0], &map, &map);
    heed_attention_run(forward, net->mask_attention, &map);
    return map;
}

static void detect(struct heed_forward *forward, const struct heed_s *net,
                   const struct heed_tensor maps[HEED_PAN_LEVELS], const struct heed_geometry *geometry,
                   const struct heed_query *query, struct heed_findings *findings)
{
    const size_t mark = heed_arena_mark(forward->arena), candidates_max = HEED_PAN_LEVELS * net->candidates;
    struct heed_candidate *const candidates = heed_arena_bytes(forward->arena, candidates_max, sizeof *candidates);
    uint8_t *const suppressed = heed_arena_bytes(forward->arena, candidates_max, 1);
    size_t count = 0;
    for (size_t i = 0; i < HEED_PAN_LEVELS; i++)
        count = heed_gfl_run(forward, &net->heads[i], &maps[i], geometry, candidates, count);
    heed_findings_select(forward, query, &net->selection, candidates, count, suppressed, findings);
    heed_arena_release(forward->arena, mark);
}

static void heed_s_forward(struct heed_forward *forward, const void *network, const struct heed_tensor *input,
                           const struct heed_geometry *geometry, const struct heed_query *query,
                           struct heed_findings *findings)
{
    const struct heed_s *const net = network;
    heed_findings_init(forward, query, findings);
    const size_t mark = heed_arena_mark(forward->arena);
    struct heed_tensor features[HEED_PAN_LEVELS], maps[HEED_PAN_LEVELS];
    heed_shufflenet_run(forward, net->backbone, input, features);
    heed_pan_run(forward, &net->neck, features, maps);
    detect(forward, net, maps, geometry, query, findings);
    if (query->masks) {
        const float(*const regions)[4] = heed_findings_regions(forward, findings);
        const struct heed_tensor map = mask_map(forward, net, maps);
        const struct heed_roi_levels levels = {
            .name = "mask.roi_align", .count = 1, .maps = { map }, .scales = { 1.0f / 8 }
        };
        heed_mask_head_run(forward, &net->mask_head, &levels, regions, findings);
    }
    heed_arena_release(forward->arena, mark);
    heed_findings_to_photo(forward, geometry, findings);
}

const struct heed_family heed_family_heed_s = { .name = "heed_s", .load = heed_s_load, .forward = heed_s_forward };
