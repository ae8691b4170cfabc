/* Resizing of feature maps in plain C. */
#include "kernels/levels.h"

/* Two neighbours and how far between them: value = low + (high - low) * part, as PyTorch computes it, in floats. */
struct sample {
    size_t low, high;
    float part;
};

static struct sample sample_at(size_t dst, size_t size, size_t out_size)
{
    const float scale = (float)size / (float)out_size;
    const float src = scale * ((float)dst + 0.5f) - 0.5f;
    const size_t low = src > 0 ? (size_t)src : 0;
    if (low + 1 >= size)
        return (struct sample){ .low = size - 1, .high = size - 1, .part = 0 };
    return (struct sample){ .low = low, .high = low + 1, .part = src > 0 ? src - (float)low : 0 };
}

void heed_bilinear_ref(float *y, const float *x, const struct heed_resize *resize, size_t row, size_t rows)
{
    for (size_t oy = row; oy < row + rows; oy++) {
        const struct sample sy = sample_at(oy, resize->h, resize->out_h);
        const float *const above = x + sy.low * resize->w * resize->stride;
        const float *const below = x + sy.high * resize->w * resize->stride;
        for (size_t ox = 0; ox < resize->out_w; ox++) {
            const struct sample sx = sample_at(ox, resize->w, resize->out_w);
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
