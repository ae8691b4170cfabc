/* Fully connected layers on regions: y (n, 1, 1, out) = activation(x (n, h, w, c) flattened * W^T + bias). The
 * reference's weights see a region channel by channel; ours are reordered at load to see it pixel by pixel, as it lies
 * in memory. Weights are packed in panels of columns: a tile is one panel against many regions, so that each panel is
 * read once however many threads work. */
#ifndef HEED_LAYERS_LINEAR_H
#define HEED_LAYERS_LINEAR_H

#include "layers/forward.h"
#include "layers/loader.h"

struct heed_linear {
    const char *name;
    size_t in, out; /* in: h * w * c */
    enum heed_activation activation;
    float *weights, *bias;
};

/* NAME.weight is (out, c * side * side). */
void heed_linear_load(struct heed_loader *loader, struct heed_linear *linear, const char *name, size_t c, size_t side,
                      size_t out, enum heed_activation activation);

/* x is dense. */
struct heed_tensor heed_linear(struct heed_forward *forward, const struct heed_linear *linear,
                               const struct heed_tensor *x);

#endif
