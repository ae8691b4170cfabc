/* RoIAlign in plain C, with torchvision's arithmetic: a region is out x out bins, a bin's value is the mean of 2 x 2
 * bilinear samples. A sample more than a pixel outside the map is 0; nearer ones are clamped to its edge. */
#include "kernels/levels.h"
#include "kernels/sample.h"

static void add_sample(float *y, const float *x, size_t w, size_t c, size_t stride, struct heed_sample sy,
                       struct heed_sample sx)
{
    const float *const top = x + sy.low * w * stride, *const bottom = x + sy.high * w * stride;
    const size_t left = sx.low * stride, right = sx.high * stride;
    for (size_t i = 0; i < c; i++)
        y[i] += (1 - sy.part) * (1 - sx.part) * top[left + i] + (1 - sy.part) * sx.part * top[right + i] +
                sy.part * (1 - sx.part) * bottom[left + i] + sy.part * sx.part * bottom[right + i];
}

void heed_roi_align_ref(float *y, const float *x, size_t h, size_t w, size_t c, size_t stride, const float roi[4],
                        float scale, size_t out)
{
    const struct heed_roi grid = heed_sample_roi(roi, scale, out);
    for (size_t by = 0; by < out; by++) {
        for (size_t bx = 0; bx < out; bx++, y += c) {
            struct heed_bin bin;
            heed_sample_bin(&bin, &grid, by, bx, h, w);
            for (size_t i = 0; i < c; i++)
                y[i] = 0;
            for (size_t s = 0; s < bin.count; s++)
                add_sample(y, x, w, c, stride, bin.y[s], bin.x[s]);
            for (size_t i = 0; i < c; i++)
                y[i] /= 4;
        }
    }
}
