/* From 28x28 mask logits to run lengths, with the arithmetic of torchvision's paste (pad by one,
 * enlarge the box about its centre by 30/28, truncate to integers, bilinear resize, threshold at 0.5) but without the
 * full image: the answer equals pasting, then thresholding, then encoding. */
#ifndef HEED_RESULTS_MASKS_H
#define HEED_RESULTS_MASKS_H

#include "heed.h"

/* box: x1, y1, x2, y2 in pixels of the (height, width) image; logits (side, side), before the sigmoid. The runs are the
 * caller's: free(rle->runs); no larger than they must be. More than runs_max of them are HEED_OUTGROWN; 0: no limit. */
HEED_CHECKED enum heed_status heed_mask_paste(const float *logits, size_t side, const float box[4], uint32_t height,
                                              uint32_t width, size_t runs_max, struct heed_rle *rle,
                                              struct heed_error *error);

#endif
