/* Probes and decodes bytes the way the engine does, exactly and smaller, within the memory that was planned for. */
#ifndef TESTS_FUZZ_DECODE_ANY_H
#define TESTS_FUZZ_DECODE_ANY_H

#include "base/arena.h"
#include "image/decode.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void decode_planned(const uint8_t *data, size_t size, const struct heed_image_info *info)
{
    struct heed_error error;
    struct heed_arena arena;
    struct heed_image image;
    heed_arena_init_counting(&arena);
    if (heed_image_decode(NULL, 0, info, NULL, &arena, &image, &error) != HEED_OK)
        abort();
    const size_t planned = arena.peak;
    void *const block = aligned_alloc(HEED_ALIGN, planned);
    heed_arena_init(&arena, block, planned);
    if (heed_image_decode(data, size, info, NULL, &arena, &image, &error) == HEED_OK) {
        assert(image.width == info->width);
        assert(image.height == info->height);
    } else {
        assert(arena.used == 0);
        assert(strlen(error.text) > 0);
    }
    heed_arena_deinit(&arena);
    free(block);
}

static void decode_any(const uint8_t *data, size_t size)
{
    const struct heed_image_limits limits = { .bytes_max = 1 << 20, .pixels_max = 1 << 18, .scans_max = 30 };
    struct heed_image_info info;
    struct heed_error error;
    const enum heed_status probed = heed_image_probe(data, size, &limits, &info, &error);
    if (probed != HEED_OK) {
        assert(probed == error.status);
        assert(strlen(error.text) > 0);
        return;
    }
    assert(info.orientation >= 1 && info.orientation <= 8);
    assert((uint64_t)info.width * info.height <= limits.pixels_max);

    decode_planned(data, size, &info);
    const struct heed_image_info shrunk = heed_image_shrunk(&info, 24, 24);
    if (shrunk.width != info.width)
        decode_planned(data, size, &shrunk);
}

#endif
