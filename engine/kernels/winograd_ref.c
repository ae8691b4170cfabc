/* Winograd's transforms in plain C. */
#include "kernels/epilogue.h"
#include "kernels/levels.h"
#include "kernels/winograd.h"

void heed_winograd_weights_ref(float *u, size_t u_stride, const float *g, size_t g_stride, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float columns[6][3];
        for (size_t x = 0; x < 3; x++)
            WINOGRAD_WEIGHTS(float, &columns[0][x], 3, g[x * g_stride + i], g[(3 + x) * g_stride + i],
                             g[(6 + x) * g_stride + i]);
        for (size_t y = 0; y < 6; y++)
            WINOGRAD_WEIGHTS(float, u + 6 * y * u_stride + i, u_stride, columns[y][0], columns[y][1], columns[y][2]);
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
