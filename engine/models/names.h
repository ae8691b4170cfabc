/* torchvision has renamed some tensors: "fpn.inner_blocks.0.weight" is "fpn.inner_blocks.0.0.weight" in what newer
 * releases save. */
#ifndef HEED_MODELS_NAMES_H
#define HEED_MODELS_NAMES_H

#include "layers/loader.h"

/* The older name, unless the weights know only the newer one. Kept as long as the model. */
const char *heed_either_name(struct heed_loader *loader, const char *older, const char *newer);

#endif
