/* A convolution by im2col and product, for the levels that have no better. */
#ifndef HEED_KERNELS_COLUMNS_H
#define HEED_KERNELS_COLUMNS_H

#include "kernels/kernels.h"

static inline void heed_conv_by_columns(heed_im2col_fn *im2col, heed_gemm_fn *gemm, float *y, size_t y_stride,
                                        const float *x, const struct heed_window *w, const float *weights, size_t n,
                                        const struct heed_epilogue *epilogue, size_t row, size_t rows)
{
    enum { PIXELS = 32 };
    float columns[PIXELS * HEED_CONV_INPUTS_MAX];
    const size_t k = w->kernel_h * w->kernel_w * w->c, end = (row + rows) * w->out_w;
    for (size_t pixel = row * w->out_w; pixel < end; pixel += PIXELS) {
        const size_t count = end - pixel < PIXELS ? end - pixel : PIXELS;
        struct heed_epilogue part = *epilogue;
        if (part.residual)
            part.residual += pixel * part.residual_stride;
        im2col(columns, x, w, pixel, count);
        gemm(y + pixel * y_stride, y_stride, columns, k, weights, count, n, k, &part);
    }
}

#endif
