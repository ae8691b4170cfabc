/* Vectors as wide as the level that includes this: GCC's and Clang's vector types, so that one source serves every
 * level. A file NAME_LEVEL.c defines LEVEL and includes NAME.inc, whose functions are then named heed_..._LEVEL. */
#ifndef HEED_KERNELS_VEC_H
#define HEED_KERNELS_VEC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* The first `count` < LANES floats; the rest is 0 and not touched. */
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

/* Lane by lane: where the mask is true (all bits), a; elsewhere b. */
INLINE vec select(ivec mask, vec a, vec b)
{
    return (vec)(((ivec)a & mask) | ((ivec)b & ~mask));
}

#endif
