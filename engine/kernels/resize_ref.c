/* Resizing of feature maps in plain C. */
#include "kernels/levels.h"
#include "kernels/sample.h"

void heed_bilinear_ref(float *y, const float *x, const struct heed_resize *resize, size_t row, size_t rows)
{
    for (size_t oy = row; oy < row + rows; oy++) {
        const struct heed_sample sy = heed_sample_resize(oy, resize->h, resize->out_h);
        const float *const above = x + sy.low * resize->w * resize->stride;
        const float *const below = x + sy.high * resize->w * resize->stride;
        for (size_t ox = 0; ox < resize->out_w; ox++) {
            const struct heed_sample sx = heed_sample_resize(ox, resize->w, resize->out_w);
            const size_t left = sx.low * resize->stride, right = sx.high * resize->stride;
            float *const to = y + (oy * resize->out_w + ox) * resize->out_stride;
            for (size_t i = 0; i < resize->c; i++) {
                const float top = above[left + i] * (1 - sx.part) + above[right + i] * sx.part;
                const float bottom = below[left + i] * (1 - sx.part) + below[right + i] * sx.part;
                const float value = top * (1 - sy.part) + bottom * sy.part;
                to[i] = resize->add ? to[i] + value : value;
            }
        }
    }
}

void heed_nearest_ref(float *y, const float *x, const struct heed_resize *resize, size_t row, size_t rows)
{
    for (size_t oy = row; oy < row + rows; oy++) {
        for (size_t ox = 0; ox < resize->out_w; ox++) {
            const size_t iy = oy * resize->h / resize->out_h, ix = ox * resize->w / resize->out_w;
            const float *const from = x + (iy * resize->w + ix) * resize->stride;
            float *const to = y + (oy * resize->out_w + ox) * resize->out_stride;
            for (size_t i = 0; i < resize->c; i++)
                to[i] = resize->add ? to[i] + from[i] : from[i];
        }
    }
}
