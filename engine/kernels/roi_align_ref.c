/* RoIAlign in plain C, with torchvision's arithmetic: a region is out x out bins, a bin's value is the mean of 2 x 2
 * bilinear samples. A sample more than a pixel outside the map is 0; nearer ones are clamped to its edge. */
#include "kernels/levels.h"

#include <math.h>

struct sample {
    size_t low, high;
    float low_weight, high_weight;
};

/* Weights are both 0 where the sample does not count; so are they for a coordinate that is not a number. */
static struct sample sample_at(float position, size_t size)
{
    if (!(position >= -1 && position <= (float)size))
        return (struct sample){ 0 };
    const float clamped = position > 0 ? position : 0;
    const size_t low = (size_t)clamped;
    if (low + 1 >= size)
        return (struct sample){ .low = size - 1, .high = size - 1, .low_weight = 1 };
    const float part = clamped - (float)low;
    return (struct sample){ .low = low, .high = low + 1, .low_weight = 1 - part, .high_weight = part };
}

static void add_sample(float *y, const float *x, size_t w, size_t c, size_t stride, struct sample sy, struct sample sx)
{
    const float *const top = x + sy.low * w * stride, *const bottom = x + sy.high * w * stride;
    const size_t left = sx.low * stride, right = sx.high * stride;
    for (size_t i = 0; i < c; i++)
        y[i] += sy.low_weight * sx.low_weight * top[left + i] + sy.low_weight * sx.high_weight * top[right + i] +
                sy.high_weight * sx.low_weight * bottom[left + i] + sy.high_weight * sx.high_weight * bottom[right + i];
}

void heed_roi_align_ref(float *y, const float *x, size_t h, size_t w, size_t c, size_t stride, const float roi[4],
                        float scale, size_t out)
{
    const float x0 = roi[0] * scale, y0 = roi[1] * scale;
    const float bin_w = fmaxf(roi[2] * scale - x0, 1) / (float)out, bin_h = fmaxf(roi[3] * scale - y0, 1) / (float)out;
    for (size_t by = 0; by < out; by++) {
        for (size_t bx = 0; bx < out; bx++, y += c) {
            for (size_t i = 0; i < c; i++)
                y[i] = 0;
            for (size_t s = 0; s < 4; s++) {
                const float at_y = y0 + (float)by * bin_h + ((float)(s / 2) + 0.5f) * bin_h / 2;
                const float at_x = x0 + (float)bx * bin_w + ((float)(s % 2) + 0.5f) * bin_w / 2;
                add_sample(y, x, w, c, stride, sample_at(at_y, h), sample_at(at_x, w));
            }
            for (size_t i = 0; i < c; i++)
                y[i] /= 4;
        }
    }
}
