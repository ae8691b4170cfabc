/* A photo to a network's input: resized, normalised, padded with zeros right and bottom. */
#ifndef HEED_IMAGE_PREPARE_H
#define HEED_IMAGE_PREPARE_H

#include "layers/forward.h"
#include "models/spec.h"
#include "models/family.h"

/* input (1, input_h, input_w, 3) comes from the pass's arena. Without antialias: PyTorch's bilinear, align_corners
 * false, on normalised floats (normalise, then resize). With it: PyTorch's interpolate(antialias=True): a triangle
 * filter as wide as the reduction. */
struct heed_tensor heed_prepare(struct heed_forward *forward, const struct heed_image *image,
                                const struct heed_input_spec *spec, const struct heed_geometry *geometry);

#endif
