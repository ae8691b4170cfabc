/* Kernels that slide a window over an image, in plain C: im2col, depthwise convolution, max pooling. */
#include "kernels/epilogue.h"
#include "kernels/levels.h"

#include <math.h>
#include <string.h>

/* The input pixel under tap (ky, kx) of output pixel (oy, ox), or NULL outside the image. */
static const float *tap(const float *x, const struct heed_window *w, size_t oy, size_t ox, size_t ky, size_t kx)
{
    const size_t iy = oy * w->step + ky * w->dilation - w->pad; /* above or left of the image wraps to a huge number */
    const size_t ix = ox * w->step + kx * w->dilation - w->pad;
    return iy < w->h && ix < w->w ? x + (iy * w->w + ix) * w->stride : NULL;
}

void heed_im2col_ref(float *columns, const float *x, const struct heed_window *window, size_t first, size_t count)
{
    const size_t c = window->c;
    for (size_t pixel = first; pixel < first + count; pixel++) {
        for (size_t ky = 0; ky < window->kernel_h; ky++) {
            for (size_t kx = 0; kx < window->kernel_w; kx++, columns += c) {
                const float *from = tap(x, window, pixel / window->out_w, pixel % window->out_w, ky, kx);
                if (from)
                    memcpy(columns, from, c * sizeof *columns);
                else
                    memset(columns, 0, c * sizeof *columns);
            }
        }
    }
}

void heed_depthwise_ref(float *y, size_t y_stride, const float *x, const struct heed_window *window,
                        const float *weights, const struct heed_epilogue *epilogue, size_t row, size_t rows)
{
    const size_t c = window->c;
    for (size_t oy = row; oy < row + rows; oy++) {
        for (size_t ox = 0; ox < window->out_w; ox++) {
            float *const to = y + ((oy - row) * window->out_w + ox) * y_stride;
            for (size_t i = 0; i < c; i++)
                to[i] = epilogue->bias ? epilogue->bias[i] : 0;
            for (size_t ky = 0; ky < window->kernel_h; ky++) {
                for (size_t kx = 0; kx < window->kernel_w; kx++) {
                    const float *const from = tap(x, window, oy, ox, ky, kx);
                    const float *const weight = weights + (ky * window->kernel_w + kx) * c;
                    for (size_t i = 0; from && i < c; i++)
                        to[i] += from[i] * weight[i];
                }
            }
            for (size_t i = 0; i < c; i++)
                to[i] = heed_activate(to[i], epilogue);
        }
    }
}

void heed_max_pool_ref(float *y, size_t y_stride, const float *x, const struct heed_window *window, size_t row,
                       size_t rows)
{
    const size_t c = window->c;
    for (size_t oy = row; oy < row + rows; oy++) {
        for (size_t ox = 0; ox < window->out_w; ox++) {
            float *const to = y + (oy * window->out_w + ox) * y_stride;
            for (size_t i = 0; i < c; i++)
                to[i] = -INFINITY;
            for (size_t ky = 0; ky < window->kernel_h; ky++) {
                for (size_t kx = 0; kx < window->kernel_w; kx++) {
                    const float *const from = tap(x, window, oy, ox, ky, kx);
                    for (size_t i = 0; from && i < c; i++)
                        to[i] = from[i] > to[i] || isnan(from[i]) ? from[i] : to[i];
                }
            }
        }
    }
}
