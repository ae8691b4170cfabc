#include "mask_bits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* COCO's string: numbers in groups of five bits, lowest first, 32 added where more follow, 48 to each; a number is
 * signed by its last group's bit 16 and, from the third run on (counted from 0), relative to the one two before. Sets
 * the pixels of the odd runs. */
static uint8_t *bits_of_string(const char *text, size_t pixels)
{
    uint8_t *const bits = calloc(pixels, 1);
    long before[2] = { 0, 0 };
    size_t at = 0;
    for (size_t run = 0; *text; run++) {
        long number = 0;
        int shift = 0, group;
        do {
            group = *text++ - 48;
            number |= (long)(group & 31) << shift;
            shift += 5;
        } while (group & 32);
        if (group & 16)
            number |= -1L * (1L << shift);
        if (run > 2)
            number += before[run % 2];
        before[run % 2] = number;
        assert_true(number >= 0 && at + (size_t)number <= pixels);
        memset(bits + at, (int)(run % 2), (size_t)number);
        at += (size_t)number;
    }
    assert_int_equal(at, pixels);
    return bits;
}

static uint8_t *bits_of_rle(const struct heed_rle *rle)
{
    const size_t pixels = (size_t)rle->height * rle->width;
    uint8_t *const bits = calloc(pixels, 1);
    size_t at = 0;
    for (size_t run = 0; run < rle->run_count; run++) {
        assert_true(run == 0 || rle->runs[run] > 0);
        assert_true(rle->runs[run] <= pixels - at);
        memset(bits + at, (int)(run % 2), rle->runs[run]);
        at += rle->runs[run];
    }
    assert_int_equal(at, pixels);
    return bits;
}

size_t mask_bits_check(const struct heed_rle *rle, const char *mask, const char *doubt, const char *name)
{
    const size_t pixels = (size_t)rle->height * rle->width;
    uint8_t *const ours = bits_of_rle(rle);
    uint8_t *const theirs = bits_of_string(mask, pixels);
    uint8_t *const doubtful = bits_of_string(doubt, pixels);
    size_t differing = 0;
    for (size_t i = 0; i < pixels; i++) {
        if (ours[i] == theirs[i])
            continue;
        differing++;
        if (!doubtful[i])
            fail_msg("%s: pixel x %zu, y %zu is %d, the reference says %d", name, i / rle->height, i % rle->height,
                     ours[i], theirs[i]);
    }
    free(ours);
    free(theirs);
    free(doubtful);
    return differing;
}
