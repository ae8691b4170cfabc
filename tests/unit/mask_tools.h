/* What the tests of masks share: full-image masks, one byte a pixel, and their run lengths. */
#ifndef TESTS_MASK_TOOLS_H
#define TESTS_MASK_TOOLS_H

#include "heed.h"

#include <stdlib.h>

/* COCO's encoding by its definition. */
static inline struct heed_rle rle_of(const uint8_t *mask, uint32_t height, uint32_t width)
{
    struct heed_rle rle = { .height = height, .width = width, .runs = malloc(((size_t)height * width + 1) * 4) };
    uint8_t value = 0;
    rle.runs[rle.run_count++] = 0;
    for (uint32_t x = 0; x < width; x++)
        for (uint32_t y = 0; y < height; y++) {
            if (mask[(size_t)y * width + x] != value) {
                value = !value;
                rle.runs[rle.run_count++] = 0;
            }
            rle.runs[rle.run_count - 1]++;
        }
    return rle;
}

static inline uint32_t mask_random(void)
{
    static uint32_t state = 7;
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

/* From noise over blocks to nearly full; always the caller's to free. */
static inline uint8_t *mask_make(uint32_t height, uint32_t width)
{
    uint8_t *const mask = malloc((size_t)height * width);
    const uint32_t grain = 1 + mask_random() % 4, share = mask_random() % 101, seed = mask_random();
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            uint32_t hash = seed ^ (y / grain * 2654435761u + x / grain * 40503u * 977u);
            hash = (hash ^ hash >> 15) * 2246822519u;
            mask[(size_t)y * width + x] = (hash ^ hash >> 13) % 100 < share;
        }
    return mask;
}

#endif
