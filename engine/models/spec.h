/* A model's description, read from its JSON (config/models/NAME.json) and checked: every number has a range, every
 * unknown member is an error that names it. Plain data; what a family does not use stays zero. */
#ifndef HEED_MODELS_SPEC_H
#define HEED_MODELS_SPEC_H

#include "attention/attention.h"
#include "heed.h"

#define HEED_ATTENTION_MAX 16
#define HEED_STAGES_MAX 4

enum heed_resize_rule {
    HEED_RESIZE_FIT,       /* the long side becomes long_side */
    HEED_RESIZE_SHORT_SIDE /* torchvision: the short side becomes short_side unless the long one would pass long_side */
};

struct heed_input_spec {
    enum heed_resize_rule resize;
    uint32_t short_side, long_side;
    bool antialias, bgr;
    uint32_t multiple;       /* padded right and bottom to multiples of this, with zeros, after normalising */
    float mean[3], scale[3]; /* (x - mean) * scale of 0..255, in the network's channel order; "std" and 0..1 means are
                                converted here */
};

struct heed_spec {
    char name[64], family[32];
    char *weights_path, *labels_path; /* resolved against the JSON's folder; owned */
    struct heed_label *labels;        /* names owned by the spec */
    size_t label_count;
    struct heed_input_spec input;
    char backbone[32];
    float norm_eps;
    size_t stage_blocks[HEED_STAGES_MAX], stage_widths[HEED_STAGES_MAX];
    size_t neck_channels;
    size_t classes, bins; /* classes: with background where the family has one */
    float score_min;
    double nms_iou, rpn_nms_iou;   /* double: an overlap of exactly 0.6f is above 0.6, as in torchvision */
    double decay_sigma;            /* of the scores of what overlaps after NMS; 0: none */
    size_t candidates, detections; /* per level before NMS; per photo after it */
    size_t rpn_candidates, rpn_proposals;
    size_t mask_channels, mask_convs, mask_pool;
    struct heed_attention_spec attention[HEED_ATTENTION_MAX];
    size_t attention_count;
};

HEED_CHECKED enum heed_status heed_spec_load(const char *path, struct heed_spec *spec, struct heed_error *error);
/* From memory: labels come as a second text instead of a file. */
HEED_CHECKED enum heed_status heed_spec_parse(const char *name, const char *json, size_t size, const char *labels_json,
                                              size_t labels_size, struct heed_spec *spec, struct heed_error *error);
void heed_spec_deinit(struct heed_spec *spec);

#endif
