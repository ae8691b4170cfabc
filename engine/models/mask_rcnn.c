/* Mask R-CNN (He et al., ICCV 2017) on a ResNet feature pyramid, with torchvision's names and semantics, and attention
 * modules wherever the spec wants them: the host of the efficient-attention paper.
 *
 *     photo -> ResNet -> FPN -> RPN -> proposals -> box head -> detections -> mask head -> 28x28 logits
 *             res2..res5  fpn1..fpn5                                          (mask)
 */
#include <math.h>

#include "models/box_head.h"
#include "models/family.h"
#include "models/findings.h"
#include "models/fpn.h"
#include "models/mask_head.h"
#include "models/names.h"
#include "models/places.h"
#include "models/resnet.h"
#include "models/rpn.h"

struct mask_rcnn {
    const struct heed_resnet *backbone;
    struct heed_fpn fpn;
    struct heed_rpn rpn;
    struct heed_box_head box_head;
    struct heed_mask_head mask_head;
    struct heed_selection selection;
};

static void load_mask_head(struct heed_loader *loader, struct heed_mask_head *head, const struct heed_spec *spec)
{
    const size_t c = 256;
    head->pool = 14;
    head->conv_count = 4;
    for (size_t i = 0; i < head->conv_count; i++)
        heed_conv_load(loader, &head->convs[i],
                       heed_either_name(loader, heed_loader_name(loader, "roi_heads.mask_head.mask_fcn%zu", i + 1),
                                        heed_loader_name(loader, "roi_heads.mask_head.%zu.0", i)),
                       (struct heed_conv_shape){ .in = i == 0 ? spec->neck_channels : c,
                                                 .out = c,
                                                 .kernel = 3,
                                                 .step = 1,
                                                 .pad = 1,
                                                 .activation = HEED_ACT_RELU });
    head->attention = heed_place_load(loader, spec, "mask", c);
    heed_deconv_load(
        loader, &head->deconv, "roi_heads.mask_predictor.conv5_mask",
        (struct heed_conv_shape){ .in = c, .out = c, .kernel = 2, .step = 2, .activation = HEED_ACT_RELU });
    heed_mask_logits_load(loader, head, "roi_heads.mask_predictor.mask_fcn_logits", spec->classes);
}

static void *mask_rcnn_load(struct heed_loader *loader, const struct heed_spec *spec)
{
    struct mask_rcnn *const net = heed_loader_bytes(loader, sizeof *net);
    if (!net)
        return NULL;
    net->backbone = heed_resnet_load(loader, spec);
    if (!net->backbone)
        return NULL;
    size_t widths[HEED_RESNET_STAGES];
    heed_resnet_widths(net->backbone, widths);
    heed_fpn_load(loader, &net->fpn, spec, widths);
    heed_rpn_load(loader, &net->rpn, spec);
    heed_box_head_load(loader, &net->box_head, spec);
    load_mask_head(loader, &net->mask_head, spec);
    net->selection = (struct heed_selection){ .nms_iou = spec->nms_iou,
                                              .decay_sigma = spec->decay_sigma,
                                              .detections = spec->detections,
                                              .labels = spec->labels };
    return loader->status == HEED_OK ? net : NULL;
}

/* The levels that regions are read from: all but the last. Their scales are the powers of two nearest to what the sizes
 * say, by the height of what shows the photo, as torchvision infers them. */
static struct heed_roi_levels region_levels(const char *name, const struct heed_tensor levels[HEED_FPN_LEVELS],
                                            const struct heed_geometry *geometry)
{
    struct heed_roi_levels region = { .name = name, .count = HEED_FPN_STAGES };
    for (size_t i = 0; i < HEED_FPN_STAGES; i++) {
        region.maps[i] = levels[i];
        region.scales[i] = exp2f(rintf(log2f((float)levels[i].h / (float)geometry->resized_h)));
    }
    return region;
}

static void detect(struct heed_forward *forward, const struct mask_rcnn *net,
                   const struct heed_tensor levels[HEED_FPN_LEVELS], const struct heed_geometry *geometry,
                   const struct heed_query *query, struct heed_findings *findings)
{
    const size_t mark = heed_arena_mark(forward->arena);
    float(*const proposals)[4] = heed_arena_bytes(forward->arena, net->rpn.proposals, sizeof *proposals);
    const size_t proposal_count = heed_rpn_run(forward, &net->rpn, levels, geometry, proposals);

    const size_t candidates_max = heed_box_head_candidates(&net->box_head, net->rpn.proposals);
    struct heed_candidate *const candidates = heed_arena_bytes(forward->arena, candidates_max, sizeof *candidates);
    uint8_t *const suppressed = heed_arena_bytes(forward->arena, candidates_max, 1);
    const struct heed_roi_levels regions = region_levels("roi_heads.box_roi_pool", levels, geometry);
    const size_t count = heed_box_head_run(forward, &net->box_head, &regions, (const float(*)[4])proposals,
                                           proposal_count, geometry, candidates);
    heed_findings_select(forward, query, &net->selection, candidates, count, suppressed, findings);
    heed_arena_release(forward->arena, mark);
}

static void mask_rcnn_forward(struct heed_forward *forward, const void *network, const struct heed_tensor *input,
                              const struct heed_geometry *geometry, const struct heed_query *query,
                              struct heed_findings *findings)
{
    const struct mask_rcnn *const net = network;
    heed_findings_init(forward, query, findings);
    const size_t mark = heed_arena_mark(forward->arena);

    struct heed_tensor features[HEED_RESNET_STAGES], levels[HEED_FPN_LEVELS];
    heed_resnet_run(forward, net->backbone, input, features);
    heed_fpn_run(forward, &net->fpn, features, levels);
    detect(forward, net, levels, geometry, query, findings);
    if (query->masks) {
        const struct heed_roi_levels regions = region_levels("roi_heads.mask_roi_pool", levels, geometry);
        heed_mask_head_run(forward, &net->mask_head, &regions, heed_findings_regions(forward, findings), findings);
    }
    heed_arena_release(forward->arena, mark);
    heed_findings_to_photo(forward, geometry, findings);
}

const struct heed_family heed_family_mask_rcnn = { .name = "mask_rcnn",
                                                   .load = mask_rcnn_load,
                                                   .forward = mask_rcnn_forward };
