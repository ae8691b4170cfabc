/* Winograd's transforms in plain C, and that of the weights for all levels. */
#include "kernels/epilogue.h"
#include "kernels/levels.h"
#include "kernels/winograd.h"

/* to (6, step) = G g in double: done once, at load. Row p is (1, p, p^2) over the product of p's distances to the
 * others. */
static void transform_weights(double *to, size_t step, double g0, double g1, double g2)
{
    const double a = 0.70710678118654752, b = 1.4142135623730950;
    to[0 * step] = g0;
    to[1 * step] = (g0 + a * g1 + 0.5 * g2) / -1.5;
    to[2 * step] = (g0 - a * g1 + 0.5 * g2) / -1.5;
    to[3 * step] = (g0 + b * g1 + 2 * g2) / 6;
    to[4 * step] = (g0 - b * g1 + 2 * g2) / 6;
    to[5 * step] = g2;
}

void heed_winograd_weights(float *u, const float *weights, size_t n, size_t k)
{
    for (size_t i = 0; i < n * k; i++) {
        const float *const g = weights + i / k * 9 * k + i % k; /* taps are k apart */
        double columns[6][3], all[36];
        for (size_t x = 0; x < 3; x++)
            transform_weights(&columns[0][x], 3, (double)g[x * k], (double)g[(3 + x) * k], (double)g[(6 + x) * k]);
        for (size_t y = 0; y < 6; y++)
            transform_weights(all + 6 * y, 1, columns[y][0], columns[y][1], columns[y][2]);
        for (size_t p = 0; p < 36; p++)
            u[p * n * k + i] = (float)all[p];
    }
}

static float pixel(const float *image, const struct heed_window *w, ptrdiff_t y, ptrdiff_t x, size_t channel)
{
    if (y < 0 || x < 0 || (size_t)y >= w->h || (size_t)x >= w->w)
        return 0;
    return image[((size_t)y * w->w + (size_t)x) * w->stride + channel];
}

void heed_winograd_input_ref(float *v, size_t v_stride, const float *x, const struct heed_window *w, size_t first,
                             size_t count)
{
    for (size_t t = 0; t < count; t++, v += 36 * v_stride) {
        const struct heed_winograd_tile tile = heed_winograd_tile_at(first + t, w->out_h, w->out_w, w->pad);
        const float *const image = x + tile.image * w->h * w->w * w->stride;
        for (size_t i = 0; i < w->c; i++) {
            float d[6][6];
            for (ptrdiff_t dx = 0; dx < 6; dx++) {
                float column[6];
                for (ptrdiff_t dy = 0; dy < 6; dy++)
                    column[dy] = pixel(image, w, tile.in_y + dy, tile.in_x + dx, i);
                WINOGRAD_INPUT(float, &d[0][dx], 6, column[0], column[1], column[2], column[3], column[4], column[5]);
            }
            for (size_t dy = 0; dy < 6; dy++)
                WINOGRAD_INPUT(float, v + 6 * dy * v_stride + i, v_stride, d[dy][0], d[dy][1], d[dy][2], d[dy][3],
                               d[dy][4], d[dy][5]);
        }
    }
}

void heed_winograd_output_ref(float *y, size_t y_stride, const float *m, size_t m_stride, size_t n,
                              const struct heed_window *w, size_t first, size_t count,
                              const struct heed_epilogue *epilogue)
{
    for (size_t t = 0; t < count; t++, m += 36 * m_stride) {
        const struct heed_winograd_tile tile = heed_winograd_tile_at(first + t, w->out_h, w->out_w, w->pad);
        for (size_t i = 0; i < n; i++) {
            float columns[4][6], out[4][4];
            for (size_t x = 0; x < 6; x++) {
                const float *const from = m + x * m_stride + i;
                WINOGRAD_OUTPUT(float, &columns[0][x], 6, from[0], from[6 * m_stride], from[12 * m_stride],
                                from[18 * m_stride], from[24 * m_stride], from[30 * m_stride]);
            }
            for (size_t dy = 0; dy < 4; dy++)
                WINOGRAD_OUTPUT(float, out[dy], 1, columns[dy][0], columns[dy][1], columns[dy][2], columns[dy][3],
                                columns[dy][4], columns[dy][5]);
            for (size_t dy = 0; dy < 4 && tile.out_y + dy < w->out_h; dy++) {
                for (size_t dx = 0; dx < 4 && tile.out_x + dx < w->out_w; dx++) {
                    const size_t at = (tile.image * w->out_h + tile.out_y + dy) * w->out_w + tile.out_x + dx;
                    float sum = out[dy][dx];
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
