/* Winograd's transforms in plain C. */
#include "kernels/epilogue.h"
#include "kernels/levels.h"

#define VALUE float
#include "kernels/winograd_transforms.inc"
#include "kernels/winograd_sheet.h"

#define MAX WINOGRAD_INPUTS_MAX

static void weights(float *u, size_t u_stride, const float *g, size_t g_stride, size_t n, size_t side)
{
    const size_t inputs = heed_winograd_weights(side);
    for (size_t i = 0; i < n; i++) {
        float columns[MAX][3], to[MAX];
        for (size_t x = 0; x < 3; x++) {
            const float column[3] = { g[x * g_stride + i], g[(3 + x) * g_stride + i], g[(6 + x) * g_stride + i] };
            winograd_weights(to, column, side);
            for (size_t y = 0; y < inputs; y++)
                columns[y][x] = to[y];
        }
        for (size_t y = 0; y < inputs; y++) {
            winograd_weights(to, columns[y], side);
            for (size_t x = 0; x < inputs; x++)
                u[(inputs * y + x) * u_stride + i] = to[x];
        }
    }
}

static void input(float *v, size_t v_tile, size_t v_stride, const float *x, const struct heed_winograd_sheet *sheet,
                  size_t first, size_t count, size_t side)
{
    const size_t inputs = heed_winograd_inputs(side);
    for (size_t t = 0; t < count; t++, v += v_tile) {
        ptrdiff_t pixels[MAX][MAX];
        heed_winograd_pixels(pixels, sheet, first + t, side, HEED_WINOGRAD_INPUT);
        for (size_t i = 0; i < sheet->window.c; i++) {
            float columns[MAX][MAX], column[MAX], to[MAX];
            for (size_t dx = 0; dx < inputs; dx++) {
                for (size_t dy = 0; dy < inputs; dy++)
                    column[dy] = pixels[dy][dx] < 0 ? 0 : x[(size_t)pixels[dy][dx] * sheet->window.stride + i];
                winograd_input(to, column, side);
                for (size_t dy = 0; dy < inputs; dy++)
                    columns[dy][dx] = to[dy];
            }
            for (size_t dy = 0; dy < inputs; dy++) {
                winograd_input(to, columns[dy], side);
                for (size_t dx = 0; dx < inputs; dx++)
                    v[(inputs * dy + dx) * v_stride + i] = to[dx];
            }
        }
    }
}

static void output(float *y, size_t y_stride, const float *m, size_t m_tile, size_t m_stride, size_t n,
                   const struct heed_winograd_sheet *sheet, size_t first, size_t count,
                   const struct heed_epilogue *epilogue, size_t side)
{
    const size_t inputs = heed_winograd_inputs(side);
    for (size_t t = 0; t < count; t++, m += m_tile) {
        ptrdiff_t pixels[MAX][MAX];
        heed_winograd_pixels(pixels, sheet, first + t, side, HEED_WINOGRAD_OUTPUT);
        for (size_t i = 0; i < n; i++) {
            float columns[MAX][MAX], column[MAX], out[MAX];
            for (size_t x = 0; x < inputs; x++) {
                for (size_t dy = 0; dy < inputs; dy++)
                    column[dy] = m[(inputs * dy + x) * m_stride + i];
                winograd_output(out, column, side);
                for (size_t dy = 0; dy < side; dy++)
                    columns[dy][x] = out[dy];
            }
            for (size_t dy = 0; dy < side; dy++) {
                winograd_output(out, columns[dy], side);
                for (size_t dx = 0; dx < side; dx++) {
                    if (pixels[dy][dx] < 0)
                        continue;
                    const size_t at = (size_t)pixels[dy][dx];
                    float sum = out[dx];
                    if (epilogue->bias)
                        sum += epilogue->bias[i];
                    if (epilogue->residual)
                        sum += epilogue->residual[at * epilogue->residual_stride + i];
                    y[at * y_stride + i] = heed_activate(sum, epilogue);
                }
            }
        }
    }
}

#define SIDE(side)                                                                                                     \
    void heed_winograd_weights##side##_ref(float *u, size_t u_stride, const float *g, size_t g_stride, size_t n)       \
    {                                                                                                                  \
        weights(u, u_stride, g, g_stride, n, side);                                                                    \
    }                                                                                                                  \
    void heed_winograd_input##side##_ref(float *v, size_t v_tile, size_t v_stride, const float *x,                     \
                                         const struct heed_winograd_sheet *sheet, size_t first, size_t count)          \
    {                                                                                                                  \
        input(v, v_tile, v_stride, x, sheet, first, count, side);                                                      \
    }                                                                                                                  \
    void heed_winograd_output##side##_ref(float *y, size_t y_stride, const float *m, size_t m_tile, size_t m_stride,   \
                                          size_t n, const struct heed_winograd_sheet *sheet, size_t first,             \
                                          size_t count, const struct heed_epilogue *epilogue)                          \
    {                                                                                                                  \
        output(y, y_stride, m, m_tile, m_stride, n, sheet, first, count, epilogue, side);                              \
    }
SIDE(3)
SIDE(4)
SIDE(6)
