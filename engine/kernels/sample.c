#include "kernels/sample.h"

#include <math.h>
#include <stdbool.h>

static struct heed_sample sample_at(float position, size_t size)
{
    const float clamped = position > 0 ? position : 0;
    const size_t low = (size_t)clamped;
    if (low + 1 >= size)
        return (struct heed_sample){ .low = size - 1, .high = size - 1 };
    return (struct heed_sample){ .low = low, .high = low + 1, .part = clamped - (float)low };
}

struct heed_sample heed_sample_resize(size_t dst, size_t size, size_t out_size)
{
    const float scale = (float)size / (float)out_size;
    return sample_at(scale * ((float)dst + 0.5f) - 0.5f, size);
}

struct heed_roi heed_sample_roi(const float roi[4], float scale, size_t out)
{
    const float x = roi[0] * scale, y = roi[1] * scale;
    return (struct heed_roi){
        .x = x,
        .y = y,
        .bin_w = fmaxf(roi[2] * scale - x, 1) / (float)out,
        .bin_h = fmaxf(roi[3] * scale - y, 1) / (float)out,
    };
}

/* The middle of the first or second half of a bin. */
static float half_bin(float start, float bin_size, size_t bin, size_t half)
{
    return start + (float)bin * bin_size + ((float)half + 0.5f) * bin_size / 2;
}

static bool inside(float position, size_t size)
{
    return position >= -1 && position <= (float)size;
}

void heed_sample_bin(struct heed_bin *bin, const struct heed_roi *roi, size_t by, size_t bx, size_t h, size_t w)
{
    bin->count = 0;
    for (size_t s = 0; s < 4; s++) {
        const float y = half_bin(roi->y, roi->bin_h, by, s / 2), x = half_bin(roi->x, roi->bin_w, bx, s % 2);
        if (!inside(y, h) || !inside(x, w))
            continue;
        bin->y[bin->count] = sample_at(y, h);
        bin->x[bin->count++] = sample_at(x, w);
    }
}
