/* The weights of a depthwise convolution: each channel has its own kernel. conv.c computes it, with the 1x1 behind
 * it. */
#include <assert.h>
#include <stdlib.h>

#include "layers/conv.h"
#include "layers/conv_read.h"

void heed_depthwise_load(struct heed_loader *loader, struct heed_conv *conv, const char *name,
                         struct heed_conv_shape shape)
{
    const size_t c = shape.out, taps = shape.kernel * shape.kernel;
    assert(shape.in == c);
    *conv = (struct heed_conv){ .name = name, .shape = shape };
    float *const weights =
        heed_conv_read(loader, name, &shape, 4, (size_t[]){ c, 1, shape.kernel, shape.kernel }, &conv->bias);
    if (weights)
        conv->weights = heed_loader_floats(loader, taps * c);
    for (size_t tap = 0; conv->weights && tap < taps; tap++)
        for (size_t i = 0; i < c; i++)
            conv->weights[tap * c + i] = weights[i * taps + tap];
    free(weights);
}
