/* Sums, shuffle and softmaxes in plain C. A softmax over a row that holds NaN or +infinity, or nothing but
 * -infinity, is NaN throughout, as in PyTorch: the comparisons below pass over a NaN, the exponentials and the sum do
 * not. */
#include "kernels/levels.h"

#include <math.h>

void heed_softmax_rows_ref(float *x, size_t stride, size_t rows, size_t n)
{
    for (size_t i = 0; i < rows; i++, x += stride) {
        float max = x[0], sum = 0;
        for (size_t j = 1; j < n; j++)
            max = x[j] > max ? x[j] : max;
        for (size_t j = 0; j < n; j++) {
            x[j] = expf(x[j] - max);
            sum += x[j];
        }
        for (size_t j = 0; j < n; j++)
            x[j] /= sum;
    }
}

void heed_column_max_ref(float *max, const float *x, size_t stride, size_t rows, size_t n)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++)
            max[j] = x[i * stride + j] > max[j] ? x[i * stride + j] : max[j];
}

void heed_column_exp_ref(float *x, size_t stride, float *sum, const float *max, size_t rows, size_t n)
{
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < n; j++) {
            x[i * stride + j] = expf(x[i * stride + j] - max[j]);
            sum[j] += x[i * stride + j];
        }
    }
}

void heed_interleave_ref(float *y, size_t y_stride, const float *first, size_t first_stride, const float *second,
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

void heed_add_ref(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}
