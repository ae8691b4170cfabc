/* Winograd's minimal filtering F(4, 3) (Lavin and Gray, CVPR 2016): four outputs of a 3-tap filter from six inputs with
 * six products, and in two dimensions 36 for 16 outputs. Polynomials are multiplied by their values at 0, +-a, +-b and
 * infinity:
 *
 *     y = A^T [ (G g) * (B^T d) ]         g: 3 weights, d: 6 inputs, y: 4 outputs
 *
 * Rounding depends on the points. With the usual a = 1, b = 2 the error is 4.3 times that of the plain sum; a =
 * sqrt(1/2), b = sqrt(2) was the best of those tried, with 2.0 times, and makes a^2 b^2 = 1.
 *
 * The transforms are macros over the type of a value, a float or a vector of them. */
#ifndef HEED_KERNELS_WINOGRAD_H
#define HEED_KERNELS_WINOGRAD_H

#include <stddef.h>

#define WINOGRAD_A 0.707106781f
#define WINOGRAD_B 1.41421356f

/* to[i * step] = G from, three values to six. Row p is (1, p, p^2) over the product of p's distances to the others. */
#define WINOGRAD_WEIGHTS(type, to, step, g0, g1, g2)                                                                   \
    do {                                                                                                               \
        const type even_a = (g0) + 0.5f * (g2), odd_a = WINOGRAD_A * (g1);                                             \
        const type even_b = (g0) + 2.0f * (g2), odd_b = WINOGRAD_B * (g1);                                             \
        (to)[0 * (step)] = (g0);                                                                                       \
        (to)[1 * (step)] = (even_a + odd_a) * (-2.0f / 3.0f);                                                          \
        (to)[2 * (step)] = (even_a - odd_a) * (-2.0f / 3.0f);                                                          \
        (to)[3 * (step)] = (even_b + odd_b) * (1.0f / 6.0f);                                                           \
        (to)[4 * (step)] = (even_b - odd_b) * (1.0f / 6.0f);                                                           \
        (to)[5 * (step)] = (g2);                                                                                       \
    } while (0)

/* to[i * step] = B^T from, six values to six. */
#define WINOGRAD_INPUT(type, to, step, d0, d1, d2, d3, d4, d5)                                                         \
    do {                                                                                                               \
        const type even_a = (d4)-2.0f * (d2), odd_a = WINOGRAD_A * ((d3)-2.0f * (d1));                                 \
        const type even_b = (d4)-0.5f * (d2), odd_b = WINOGRAD_B * ((d3)-0.5f * (d1));                                 \
        (to)[0 * (step)] = (d0)-2.5f * (d2) + (d4);                                                                    \
        (to)[1 * (step)] = even_a + odd_a;                                                                             \
        (to)[2 * (step)] = even_a - odd_a;                                                                             \
        (to)[3 * (step)] = even_b + odd_b;                                                                             \
        (to)[4 * (step)] = even_b - odd_b;                                                                             \
        (to)[5 * (step)] = (d1)-2.5f * (d3) + (d5);                                                                    \
    } while (0)

/* to[i * step] = A^T from, six values to four. */
#define WINOGRAD_OUTPUT(type, to, step, m0, m1, m2, m3, m4, m5)                                                        \
    do {                                                                                                               \
        const type sum_a = (m1) + (m2), difference_a = WINOGRAD_A * ((m1) - (m2));                                     \
        const type sum_b = (m3) + (m4), difference_b = WINOGRAD_B * ((m3) - (m4));                                     \
        (to)[0 * (step)] = (m0) + sum_a + sum_b;                                                                       \
        (to)[1 * (step)] = difference_a + difference_b;                                                                \
        (to)[2 * (step)] = 0.5f * sum_a + 2.0f * sum_b;                                                                \
        (to)[3 * (step)] = 0.5f * difference_a + 2.0f * difference_b + (m5);                                           \
    } while (0)

/* Where a tile lies: its image, its first output pixel, its first input pixel (may be negative by the padding). */
struct heed_winograd_tile {
    size_t image, out_y, out_x;
    ptrdiff_t in_y, in_x;
};

static inline struct heed_winograd_tile heed_winograd_tile_at(size_t tile, size_t out_h, size_t out_w, size_t pad)
{
    const size_t tiles_w = (out_w + 3) / 4, tiles = tiles_w * ((out_h + 3) / 4);
    const size_t out_y = tile % tiles / tiles_w * 4, out_x = tile % tiles % tiles_w * 4;
    return (struct heed_winograd_tile){
        .image = tile / tiles,
        .out_y = out_y,
        .out_x = out_x,
        .in_y = (ptrdiff_t)out_y - (ptrdiff_t)pad,
        .in_x = (ptrdiff_t)out_x - (ptrdiff_t)pad,
    };
}

#endif
