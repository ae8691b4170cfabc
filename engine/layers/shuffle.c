#include "layers/shuffle.h"

void heed_shuffle_pixels(float *y, size_t y_stride, const float *first, size_t first_stride, const float *second,
                         size_t second_stride, size_t pixels, size_t half)
{
    for (size_t pixel = 0; pixel < pixels; pixel++, y += y_stride, first += first_stride, second += second_stride) {
        for (size_t i = half; i-- > 0;) { /* from behind: what is written at 2i was read already, or is i = 0 */
            const float a = first[i], b = second[i];
            y[2 * i] = a;
            y[2 * i + 1] = b;
        }
    }
}
