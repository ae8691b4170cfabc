/* ShuffleNetV2 (Ma et al., ECCV 2018), batch norm folded. */
#ifndef HEED_MODELS_SHUFFLENET_H
#define HEED_MODELS_SHUFFLENET_H

#include "layers/conv.h"
#include "models/places.h"

#define HEED_SHUFFLENET_STAGES 3

struct heed_shufflenet;

/* "backbone.conv1", "backbone.stage2" to "stage4"; attention may stand after each stage. NULL after an error. */
const struct heed_shufflenet *heed_shufflenet_load(struct heed_loader *loader, const struct heed_spec *spec);

/* -> features at strides 8, 16, 32, in the arena. */
void heed_shufflenet_run(struct heed_forward *forward, const struct heed_shufflenet *net,
                         const struct heed_tensor *input, struct heed_tensor features[HEED_SHUFFLENET_STAGES]);

#endif
