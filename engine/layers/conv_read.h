/* How convolutions and linear layers read their weights; only layers/ calls this. */
#ifndef HEED_LAYERS_CONV_READ_H
#define HEED_LAYERS_CONV_READ_H

#include "layers/conv.h"

/* Reads NAME.weight, of this rank and shape (out, in, taps in one or more dimensions), as (out, taps, in) with the
 * batch norm multiplied in, and the bias that remains. The weights are the caller's to free(); NULL after an error. */
float *heed_conv_read(struct heed_loader *loader, const char *name, const struct heed_conv_shape *shape, size_t rank,
                      const size_t *weight_shape, float **bias);

#endif
