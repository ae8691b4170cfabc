/* ResNet-18, 34, 50 and 101 (He et al., CVPR 2016) with torchvision's names; the stride of a bottleneck is on its 3x3,
 * and frozen batch norm is folded into the convolutions. */
#ifndef HEED_MODELS_RESNET_H
#define HEED_MODELS_RESNET_H

#include "layers/conv.h"
#include "models/places.h"

#define HEED_RESNET_STAGES 4

struct heed_resnet;

/* "backbone.body.*"; attention may stand after "res2" to "res5", the stages at strides 4 to 32. NULL after an error. */
const struct heed_resnet *heed_resnet_load(struct heed_loader *loader, const struct heed_spec *spec);
void heed_resnet_widths(const struct heed_resnet *net, size_t widths[HEED_RESNET_STAGES]);

/* -> the stages' features, in the arena. Input sides are multiples of 32. */
void heed_resnet_run(struct heed_forward *forward, const struct heed_resnet *net, const struct heed_tensor *input,
                     struct heed_tensor features[HEED_RESNET_STAGES]);

#endif
