/* ShuffleNet's channel shuffle by two groups: of a pixel's two halves, first[i] becomes channel 2i and second[i]
 * channel 2i + 1. Any thread. */
#ifndef HEED_LAYERS_SHUFFLE_H
#define HEED_LAYERS_SHUFFLE_H

#include <stddef.h>

/* y (pixels, 2 * half) from first and second (pixels, half). `first` may lie at y; second overlaps neither. */
void heed_shuffle_pixels(float *y, size_t y_stride, const float *first, size_t first_stride, const float *second,
                         size_t second_stride, size_t pixels, size_t half);

#endif
