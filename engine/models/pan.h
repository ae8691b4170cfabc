/* NanoDet's path aggregation neck: 1x1 laterals, then top-down and bottom-up sums of resized maps, no convolutions
 * between. */
#ifndef HEED_MODELS_PAN_H
#define HEED_MODELS_PAN_H

#include "layers/conv.h"
#include "models/places.h"

#define HEED_PAN_LEVELS 3

struct heed_pan {
    struct heed_conv laterals[HEED_PAN_LEVELS];
    const struct heed_attention *attention[HEED_PAN_LEVELS];
};

/* "neck.lateral8|16|32" from features of these widths; attention may stand at "pan8|16|32". */
void heed_pan_load(struct heed_loader *loader, struct heed_pan *pan, const struct heed_spec *spec,
                   const size_t widths[HEED_PAN_LEVELS]);

/* -> maps at strides 8, 16, 32, in the arena. */
void heed_pan_run(struct heed_forward *forward, const struct heed_pan *pan,
                  const struct heed_tensor features[HEED_PAN_LEVELS], struct heed_tensor maps[HEED_PAN_LEVELS]);

#endif
