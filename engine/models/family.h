/* What every model family gives: a network built from a spec and weights, and a forward pass from a prepared photo to
 * boxes and mask logits. A new family is one file and one line in family.c. Networks never change after loading: any
 * number of threads. */
#ifndef HEED_MODELS_FAMILY_H
#define HEED_MODELS_FAMILY_H

#include "layers/forward.h"
#include "layers/loader.h"
#include "models/spec.h"

/* A photo's way into the network: sizes in pixels. */
struct heed_geometry {
    size_t photo_w, photo_h;     /* as a person sees it */
    size_t resized_w, resized_h; /* the part of the input that shows the photo */
    size_t input_w, input_h;     /* padded */
};
struct heed_geometry heed_geometry(const struct heed_input_spec *input, size_t photo_w, size_t photo_h);

/* What is asked of a pass. */
struct heed_query {
    float score_min;
    size_t detections_max; /* 1..HEED_DETECTIONS_MAX */
    const bool *classes;   /* by class index; NULL for all */
    bool masks;
};
#define HEED_DETECTIONS_MAX 1000
#define HEED_MASK_SIDE 28

struct heed_found {
    float box[4]; /* x1, y1, x2, y2 in pixels of the photo */
    float score;
    uint32_t class_index;
};

/* Lives in the pass's arena. mask_logits (count, 28, 28) of the wanted class, before the sigmoid, NULL where not asked.
 */
struct heed_findings {
    struct heed_found *found; /* by falling score */
    size_t count;
    float *mask_logits;
};

struct heed_family {
    const char *name;
    /* The network lives in the loader's keep and looks at the spec's labels; NULL after an error (loader->status). */
    void *(*load)(struct heed_loader *loader, const struct heed_spec *spec);
    /* input: (1, input_h, input_w, 3), normalised. While planning, findings->count is query->detections_max. */
    void (*forward)(struct heed_forward *forward, const void *network, const struct heed_tensor *input,
                    const struct heed_geometry *geometry, const struct heed_query *query,
                    struct heed_findings *findings);
};

/* NULL if there is none of that name. */
const struct heed_family *heed_family_find(const char *name);
extern const struct heed_family heed_family_mask_rcnn, heed_family_heed_s;

#endif
