/* Where bilinear samples fall, computed in floats as PyTorch and torchvision do. Of every level, and so functions of a
 * file without a level's flags: a fused multiply-add would move the samples. */
#ifndef HEED_KERNELS_SAMPLE_H
#define HEED_KERNELS_SAMPLE_H

#include <stddef.h>

/* Two neighbours along one axis and how far between them: value = low * (1 - part) + high * part. */
struct heed_sample {
    size_t low, high;
    float part;
};

/* Resizing without aligned corners: pixel centres map to pixel centres. */
struct heed_sample heed_sample_resize(size_t dst, size_t size, size_t out_size);

/* The samples of a RoIAlign bin, at most 2 x 2; those more than a pixel outside the map, or not a number, are left out.
 */
struct heed_roi {
    float x, y, bin_w, bin_h;
};
struct heed_bin {
    size_t count;
    struct heed_sample x[4], y[4];
};

struct heed_roi heed_sample_roi(const float roi[4], float scale, size_t out);
void heed_sample_bin(struct heed_bin *bin, const struct heed_roi *roi, size_t by, size_t bx, size_t h, size_t w);

#endif
