/* Max pooling over square windows; kernel 1 with a step is subsampling. Outside the image does not count. */
#ifndef HEED_LAYERS_POOL_H
#define HEED_LAYERS_POOL_H

#include "layers/forward.h"

struct heed_pool_shape {
    const char *name;
    size_t kernel, step, pad;
};

/* y's size must be what the window gives. */
void heed_max_pool_into(struct heed_forward *forward, const struct heed_pool_shape *shape, const struct heed_tensor *x,
                        const struct heed_tensor *y);

#endif
