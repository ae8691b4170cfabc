/* Matrix products in plain C.
 *
 * B (n, k) is packed into panels of 16 rows, each (k, 16) and filled up with zeros: one row of A against one panel is
 * 16 sums that grow together over p, which any compiler vectorises and which read B in order.
 *
 *     packed  [ panel 0: k x 16 | panel 1: k x 16 | ... ]      16 rows of B each, column after column
 */
#include "kernels/columns.h"
#include "kernels/epilogue.h"
#include "kernels/levels.h"

#define PANEL 16

size_t heed_gemm_packed_floats_ref(size_t n, size_t k)
{
    return (n + PANEL - 1) / PANEL * PANEL * k;
}

void heed_gemm_pack_ref(float *packed, const float *b, size_t row_stride, size_t column_stride, size_t n, size_t k)
{
    for (size_t first = 0; first < n; first += PANEL)
        for (size_t p = 0; p < k; p++)
            for (size_t j = first; j < first + PANEL; j++)
                *packed++ = j < n ? b[j * row_stride + p * column_stride] : 0;
}

static void dot_panel(float sums[PANEL], const float *a, const float *panel, size_t k)
{
    for (size_t j = 0; j < PANEL; j++)
        sums[j] = 0;
    for (size_t p = 0; p < k; p++)
        for (size_t j = 0; j < PANEL; j++)
            sums[j] += a[p] * panel[p * PANEL + j];
}

void heed_gemm_ref(float *c, size_t c_stride, const float *a, size_t a_stride, const float *b_packed, size_t m,
                   size_t n, size_t k, const struct heed_epilogue *epilogue)
{
    for (size_t first = 0; first < n; first += PANEL) {
        const size_t columns = n - first < PANEL ? n - first : PANEL;
        for (size_t i = 0; i < m; i++) {
            float sums[PANEL];
            dot_panel(sums, a + i * a_stride, b_packed + first * k, k);
            for (size_t j = 0; j < columns; j++) {
                float sum = sums[j];
                if (epilogue->bias)
                    sum += epilogue->bias[first + j];
                if (epilogue->residual)
                    sum += epilogue->residual[i * epilogue->residual_stride + first + j];
                c[i * c_stride + first + j] = heed_activate(sum, epilogue);
            }
        }
    }
}

void heed_gemm_tn_ref(float *c, size_t c_stride, const float *a, size_t a_stride, const float *b, size_t b_stride,
                      size_t m, size_t n, size_t rows)
{
    for (size_t i = 0; i < m; i++)
        for (size_t r = 0; r < rows; r++)
            for (size_t j = 0; j < n; j++)
                c[i * c_stride + j] += a[r * a_stride + i] * b[r * b_stride + j];
}

void heed_conv_ref(float *y, size_t y_stride, const float *x, const struct heed_window *window, const float *weights,
                   size_t n, const struct heed_epilogue *epilogue, size_t row, size_t rows)
{
    heed_conv_by_columns(heed_im2col_ref, heed_gemm_ref, y, y_stride, x, window, weights, n, epilogue, row, rows);
}
