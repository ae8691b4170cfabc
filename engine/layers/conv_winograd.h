/* 3x3 convolutions of step 1 and 2 by Winograd's way (kernels.h); only conv.c calls this. */
#ifndef HEED_LAYERS_CONV_WINOGRAD_H
#define HEED_LAYERS_CONV_WINOGRAD_H

#include "layers/conv.h"

/* Whether a convolution of this shape is faster so. */
bool heed_conv_winograd_suits(const struct heed_conv_shape *shape);

/* Packs weights (out, 9, in) into conv->weights. */
void heed_conv_winograd_pack(struct heed_loader *loader, struct heed_conv *conv, const float *weights);

/* With transformed weights: those it has, or made in the arena for an input of x's size. */
struct heed_conv heed_conv_winograd_prepared(struct heed_forward *forward, const struct heed_conv *conv,
                                             const struct heed_tensor *x);

/* Shapes have been checked. */
void heed_conv_winograd_run(struct heed_forward *forward, const struct heed_conv *conv, const struct heed_tensor *x,
                            const struct heed_tensor *residual, const struct heed_tensor *y);

#endif
