/* Attention over feature maps: X -> X + reprojection(attention(X)). One interface, one file per mechanism; a network
 * does not know which one stands where.
 *
 *     heed_attention_load    an entry of a model's JSON and the weights -> a module
 *     heed_attention_run     replaces x by its attended self, in place
 *
 * Modules never change after loading: any number of threads. */
#ifndef HEED_ATTENTION_ATTENTION_H
#define HEED_ATTENTION_ATTENTION_H

#include "layers/forward.h"
#include "layers/loader.h"

enum heed_attention_type { HEED_ATTENTION_EFFICIENT, HEED_ATTENTION_DOT_PRODUCT };
enum heed_normalization { HEED_NORMALIZATION_SOFTMAX, HEED_NORMALIZATION_SCALING };

/* One attention module, standing after the place of this name ("res3", "fpn1", "stage4", "pan8", "mask"): its output
 * replaces the feature that later layers read. Its tensors are named "attention.<after>.<part>". */
struct heed_attention_spec {
    char after[16];
    enum heed_attention_type type;
    enum heed_normalization normalization;
    float scale; /* HEED_NORMALIZATION_SCALING: the one factor of K V^T Q; 0 means 1 / positions */
    size_t key_channels, value_channels, heads;
};

/* What every mechanism gives. NAME is "attention.<after>"; key_channels and value_channels are multiples of heads. */
struct heed_attention_kind {
    void *(*load)(struct heed_loader *loader, const struct heed_attention_spec *spec, const char *name,
                  size_t channels);
    void (*run)(struct heed_forward *forward, const void *module, const struct heed_tensor *x);
};
extern const struct heed_attention_kind heed_attention_efficient, heed_attention_dot_product;

struct heed_attention {
    const struct heed_attention_kind *kind;
    void *module;
    size_t channels;
};

/* Lives in the loader's keep; NULL after an error. */
const struct heed_attention *heed_attention_load(struct heed_loader *loader, const struct heed_attention_spec *spec,
                                                 size_t channels);

/* x (n, h, w, channels), each of its n images for itself. NULL: no module stands here, and nothing happens. */
void heed_attention_run(struct heed_forward *forward, const struct heed_attention *attention,
                        const struct heed_tensor *x);

#endif
