/* Vectors as wide as the level that includes this: GCC's and Clang's vector types, so that one source serves every
 * level. A file NAME_LEVEL.c defines LEVEL and includes NAME.inc, whose functions are then named heed_..._LEVEL. */
#ifndef HEED_KERNELS_VEC_H
#define HEED_KERNELS_VEC_H

#include "kernels/kernels.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif

#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define LEVELED(name) PASTE(name, LEVEL) /* heed_add -> heed_add_avx2 */

/* A level's tile of sums, ROWS x 2 vectors, fills its registers and leaves a few for operands. */
#if LANES == 16
#define ROWS 12
#define TILES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#else
#define ROWS 6
#define TILES(X) X(1) X(2) X(3) X(4) X(5) X(6)
#endif
#define PANEL (2 * LANES)

#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));
typedef float vec_anywhere __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE vec load(const float *from)
{
    return *(const vec_anywhere *)from;
}

INLINE void store(float *to, vec x)
{
    *(vec_anywhere *)to = x;
}

INLINE vec broadcast(float x)
{
    return x - (vec){ 0 }; /* minus, not plus: x - 0 is x for -0 too, and no instruction is left */
}

/* The first `count` <= LANES floats; the rest is 0 and not touched. */
/* Lane by lane: where the mask is true (all bits), a; elsewhere b. */
INLINE vec choose(ivec mask, vec a, vec b)
{
    return (vec)(((ivec)a & mask) | ((ivec)b & ~mask));
}

#if defined(__AVX512F__)
INLINE __mmask16 first_lanes(size_t count)
{
    return (__mmask16)((1u << count) - 1);
}
INLINE vec load_part(const float *from, size_t count)
{
    return (vec)_mm512_maskz_loadu_ps(first_lanes(count), from);
}
INLINE void store_part(float *to, vec x, size_t count)
{
    _mm512_mask_storeu_ps(to, first_lanes(count), (__m512)x);
}
INLINE vec larger(vec a, vec b) /* a > b ? a : b */
{
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
}
#elif defined(__AVX2__)
INLINE __m256i first_lanes(size_t count)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE vec load_part(const float *from, size_t count)
{
    return (vec)_mm256_maskload_ps(from, first_lanes(count));
}
INLINE void store_part(float *to, vec x, size_t count)
{
    _mm256_maskstore_ps(to, first_lanes(count), (__m256)x);
}
INLINE vec larger(vec a, vec b) /* a > b ? a : b */
{
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
}
#else
INLINE vec load_part(const float *from, size_t count)
{
    vec x = { 0 };
    memcpy(&x, from, count * sizeof(float));
    return x;
}
INLINE void store_part(float *to, vec x, size_t count)
{
    memcpy(to, &x, count * sizeof(float));
}
INLINE vec larger(vec a, vec b) /* a > b ? a : b */
{
    return choose(a > b, a, b);
}
#endif

/* Either, chosen where `count` is known: a loop over whole vectors keeps plain loads and stores. */
INLINE vec load_count(const float *from, size_t count)
{
    return count == LANES ? load(from) : load_part(from, count);
}

INLINE void store_count(float *to, vec x, size_t count)
{
    if (count == LANES)
        store(to, x);
    else
        store_part(to, x, count);
}

/* Runs `statement` for each vector of n floats: `at` is its first, `count` how many floats it has; count is the
 * constant LANES in all but the last turn. */
#define FOR_VECTORS(n, statement)                                                                                      \
    do {                                                                                                               \
        size_t at = 0;                                                                                                 \
        for (; at + LANES <= (n); at += LANES) {                                                                       \
            const size_t count = LANES;                                                                                \
            statement;                                                                                                 \
        }                                                                                                              \
        const size_t count = (n)-at;                                                                                   \
        if (count > 0)                                                                                                 \
            statement;                                                                                                 \
    } while (0)

/* Short runs of floats: a call, or the processor's own string copy, would take longer to start than these to end. */
INLINE void copy(float *to, const float *from, size_t n)
{
    FOR_VECTORS(n, store_count(to + at, load_count(from + at, count), count));
}

INLINE void clear(float *to, size_t n)
{
    FOR_VECTORS(n, store_count(to + at, (vec){ 0 }, count));
}

INLINE vec relu(vec x)
{
    return choose(x < (vec){ 0 }, (vec){ 0 }, x);
}

INLINE vec leaky(vec x, float slope)
{
    return choose(x < (vec){ 0 }, x * slope, x);
}

INLINE vec activate(vec x, const struct heed_epilogue *epilogue)
{
    if (epilogue->activation == HEED_ACT_RELU)
        return relu(x);
    if (epilogue->activation == HEED_ACT_LEAKY)
        return leaky(x, epilogue->slope);
    return x;
}

#endif
