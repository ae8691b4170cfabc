/* Feature maps resized to y's size: bilinear (align_corners false) or nearest, over what y holds or added to it. */
#ifndef HEED_LAYERS_RESIZE_H
#define HEED_LAYERS_RESIZE_H

#include "layers/forward.h"

enum heed_resize_mode { HEED_RESIZE_BILINEAR, HEED_RESIZE_NEAREST };

void heed_resize_into(struct heed_forward *forward, enum heed_resize_mode mode, const struct heed_tensor *x,
                      const struct heed_tensor *y);
void heed_resize_add(struct heed_forward *forward, enum heed_resize_mode mode, const struct heed_tensor *x,
                     const struct heed_tensor *y);

#endif
