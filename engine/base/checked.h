/* Arithmetic on sizes that come from outside: true when the result fits, as a condition to refuse by. */
#ifndef HEED_BASE_CHECKED_H
#define HEED_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>

static inline bool heed_mul_fits(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

static inline bool heed_add_fits(size_t a, size_t b, size_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

#endif
