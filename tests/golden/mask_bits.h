/* Masks pixel by pixel: a mask of the engine against the reference's COCO string. */
#ifndef TESTS_GOLDEN_MASK_BITS_H
#define TESTS_GOLDEN_MASK_BITS_H

#include "heed.h"

/* Fails the test where a pixel differs that `doubt` (the pixels whose soft value is within 1e-3 of the threshold) does
 * not name. Returns how many differ. */
size_t mask_bits_check(const struct heed_rle *rle, const char *mask, const char *doubt, const char *name);

#endif
