/* The exponential of a vector, within 2 ulp (checked): exp(x) = 2^n * exp(r), n = round(x / ln 2), |r| <= ln 2 / 2.
 * Below -104 it is 0, above 89 infinity, of NaN NaN. */
#ifndef HEED_KERNELS_VEC_EXP_H
#define HEED_KERNELS_VEC_EXP_H

#include "kernels/vec.h"

#if LANES != 16
/* 2^n for n in -126..127: the bits of a float's exponent. */
INLINE vec power_of_two(ivec n)
{
    return (vec)((n + 127) << 23);
}
#endif

INLINE vec vec_exp(vec x)
{
    const vec low = broadcast(-104), high = broadcast(89);
    x = choose(x < low, low, x); /* comparisons are false for NaN: it goes through */
    x = choose(x > high, high, x);

    const vec round = broadcast(12582912.0f); /* 1.5 * 2^23: adding it leaves no bits for a fraction */
    const vec shifted = x * 1.44269504f + round;
    const vec whole = shifted - round;
    const vec r = x - whole * 0.693145752f - whole * 1.42860677e-6f; /* ln 2 in two parts: the first product is exact */

    /* Taylor's series to r^7 / 7!: what is left out is below 6e-9. */
    vec y = broadcast(1.0f / 5040);
    y = y * r + 1.0f / 720;
    y = y * r + 1.0f / 120;
    y = y * r + 1.0f / 24;
    y = y * r + 1.0f / 6;
    y = y * r + 0.5f;
    y = y * r + 1.0f;
    y = y * r + 1.0f;

#if LANES == 16
    return (vec)_mm512_scalef_ps((__m512)y, (__m512)whole);
#else
    const ivec n = (ivec)shifted - (ivec)round;
    const ivec half = n >> 1; /* 2^n may be beyond a float where the result is not */
    return y * power_of_two(half) * power_of_two(n - half);
#endif
}

#endif
