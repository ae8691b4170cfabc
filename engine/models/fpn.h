/* The feature pyramid (Lin et al., CVPR 2017) as torchvision has it: 1x1 laterals, nearest top-down sums, 3x3 outputs,
 * and a fifth level that is every second pixel of the fourth. */
#ifndef HEED_MODELS_FPN_H
#define HEED_MODELS_FPN_H

#include "layers/conv.h"
#include "models/places.h"

#define HEED_FPN_STAGES 4
#define HEED_FPN_LEVELS 5

struct heed_fpn {
    struct heed_conv inner[HEED_FPN_STAGES], layer[HEED_FPN_STAGES];
    const struct heed_attention *attention[HEED_FPN_LEVELS];
};

/* "backbone.fpn.*" from features of these widths; attention may stand at "fpn1" (finest) to "fpn5". */
void heed_fpn_load(struct heed_loader *loader, struct heed_fpn *fpn, const struct heed_spec *spec,
                   const size_t widths[HEED_FPN_STAGES]);

/* The features are used up: levels lie in their memory where they fit. */
void heed_fpn_run(struct heed_forward *forward, const struct heed_fpn *fpn,
                  const struct heed_tensor features[HEED_FPN_STAGES], struct heed_tensor levels[HEED_FPN_LEVELS]);

#endif
