/* Which codec, which limits, which way up.
 *
 * Memory while decoding, front of the arena first: the picture alone where it is stored upright (with room for a fourth
 * channel until it is RGB), else the upright picture and behind it the stored one, which is released.
 */
#include "image/decode.h"

#include "base/checked.h"
#include "base/error.h"
#include "base/stop.h"
#include "image/codec.h"

#include <assert.h>
#include <string.h>

/* ---- What kind of file --------------------------------------------------------------------------- */

struct signature {
    const char *name;
    uint8_t at, size;
    char bytes[9];
};

static bool begins_like(const uint8_t *bytes, size_t size, const struct signature *signature)
{
    return size >= (size_t)signature->at + signature->size &&
           memcmp(bytes + signature->at, signature->bytes, signature->size) == 0;
}

static enum heed_status recognise(const uint8_t *bytes, size_t size, enum heed_image_format *format,
                                  struct heed_error *error)
{
    static const struct signature jpeg = { "JPEG", 0, 3, "\xff\xd8\xff" }, png = { "PNG", 0, 8, "\x89PNG\r\n\x1a\n" };
    /* Said by name, so that a person knows what to convert. */
    static const struct signature others[] = {
        { "GIF", 0, 4, "GIF8" },      { "WebP", 8, 4, "WEBP" },        { "HEIC", 4, 8, "ftypheic" },
        { "HEIC", 4, 8, "ftypmif1" }, { "AVIF", 4, 8, "ftypavif" },    { "TIFF", 0, 4, "II*\0" },
        { "TIFF", 0, 4, "MM\0*" },    { "JPEG XL", 0, 2, "\xff\x0a" }, { "PDF", 0, 4, "%PDF" },
        { "BMP", 0, 2, "BM" },
    };
    if (begins_like(bytes, size, &jpeg)) {
        *format = HEED_IMAGE_JPEG;
        return HEED_OK;
    }
    if (begins_like(bytes, size, &png)) {
        *format = HEED_IMAGE_PNG;
        return HEED_OK;
    }
    if (size == 0)
        return heed_fail(error, HEED_NOT_AN_IMAGE, "no bytes; JPEG and PNG are read");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (begins_like(bytes, size, &others[i]))
            return heed_fail(error, HEED_NOT_AN_IMAGE, "%s is not read; JPEG and PNG are", others[i].name);
    return heed_fail(error, HEED_NOT_AN_IMAGE, "the bytes are neither JPEG nor PNG");
}

enum heed_status heed_image_probe(const uint8_t *bytes, size_t size, const struct heed_image_limits *limits,
                                  struct heed_image_info *info, struct heed_error *error)
{
    *info = (struct heed_image_info){ .orientation = 1 };
    if (limits->bytes_max && size > limits->bytes_max)
        return heed_fail(error, HEED_TOO_LARGE, "image is %zu bytes, limit is %llu", size,
                         (unsigned long long)limits->bytes_max);
    enum heed_status status = recognise(bytes, size, &info->format, error);
    if (status != HEED_OK)
        return status;

    if (info->format == HEED_IMAGE_PNG) {
        status = heed_png_header_read(bytes, size, info, error);
    } else {
        struct heed_jpeg_header header;
        status = heed_jpeg_header_read(bytes, size, limits->scans_max, &header, error);
        info->stored_width = header.width;
        info->stored_height = header.height;
        info->orientation = header.orientation;
        info->codec_bytes = header.codec_bytes;
    }
    if (status != HEED_OK)
        return status;

    const uint64_t pixels = (uint64_t)info->stored_width * info->stored_height;
    if (limits->pixels_max && pixels > limits->pixels_max)
        return heed_fail(error, HEED_TOO_LARGE, "image is %u x %u, limit is %llu pixels", info->stored_width,
                         info->stored_height, (unsigned long long)limits->pixels_max);
    const bool lying = info->orientation > 4;
    info->width = lying ? info->stored_height : info->stored_width;
    info->height = lying ? info->stored_width : info->stored_height;
    return HEED_OK;
}

struct heed_image_info heed_image_shrunk(const struct heed_image_info *info, size_t width_min, size_t height_min)
{
    struct heed_image_info shrunk = *info;
    uint32_t by = 1;
    while (info->format == HEED_IMAGE_JPEG && by < 8 && info->width >= 2 * by * width_min &&
           info->height >= 2 * by * height_min)
        by *= 2;
    uint32_t *const sides[] = { &shrunk.width, &shrunk.height, &shrunk.stored_width, &shrunk.stored_height };
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
        *sides[i] = (*sides[i] + by - 1) / by;
    return shrunk;
}

/* ---- Which way up -------------------------------------------------------------------------------- */

/* upright(x, y) is the stored pixel at (x, y) of a walk through `stored` that starts at a corner and goes along its
 * rows or columns. In squares that fit the first cache, as one of the two sides is walked across its rows. */
static enum heed_status turn_upright(uint8_t *restrict upright, const uint8_t *restrict stored,
                                     const struct heed_image_info *info, const struct heed_stop *stop,
                                     struct heed_error *error)
{
    enum { SQUARE = 32 };
    const ptrdiff_t w = info->stored_width, h = info->stored_height;
    const uint8_t o = info->orientation;
    const bool lying = o > 4, from_right = o == 2 || o == 3 || o == 7 || o == 8,
               from_bottom = o == 3 || o == 4 || o == 6 || o == 7;
    const ptrdiff_t along_row = from_right ? -1 : 1, along_column = from_bottom ? -w : w;
    const ptrdiff_t step_x = lying ? along_column : along_row, step_y = lying ? along_row : along_column;
    const ptrdiff_t start = (from_right ? w - 1 : 0) + (from_bottom ? (h - 1) * w : 0);
    const ptrdiff_t width = info->width, height = info->height;

    struct heed_stop_watch watch = { .stop = stop };
    for (ptrdiff_t top = 0; top < height; top += SQUARE) {
        const enum heed_status status = heed_stop_watch(&watch, SQUARE * (size_t)width, error);
        if (status != HEED_OK)
            return status;
        for (ptrdiff_t left = 0; left < width; left += SQUARE)
            for (ptrdiff_t y = top; y < top + SQUARE && y < height; y++)
                for (ptrdiff_t x = left; x < left + SQUARE && x < width; x++)
                    memcpy(upright + 3 * (y * width + x), stored + 3 * (start + x * step_x + y * step_y), 3);
    }
    return HEED_OK;
}

/* ---- Decoding ------------------------------------------------------------------------------------ */

enum heed_status heed_image_decode(const uint8_t *bytes, size_t size, const struct heed_image_info *info,
                                   const struct heed_stop *stop, struct heed_arena *arena, struct heed_image *image,
                                   struct heed_error *error)
{
    size_t pixels;
    if (!heed_mul_fits(info->stored_width, info->stored_height, &pixels))
        return heed_fail(error, HEED_TOO_LARGE, "image is %u x %u", info->stored_width, info->stored_height);

    const bool turned = info->orientation != 1;
    const size_t begin = heed_arena_mark(arena);
    uint8_t *const upright = turned ? heed_arena_bytes(arena, pixels, 3) : NULL;
    const size_t behind = heed_arena_mark(arena);
    uint8_t *const stored = heed_arena_bytes(arena, pixels, 4);
    enum heed_status status = HEED_OK;
    if (!heed_arena_counting(arena)) {
        const uint32_t w = info->stored_width, h = info->stored_height;
        status = info->format == HEED_IMAGE_PNG ? heed_png_decode(bytes, size, w, h, stored, stop, error)
                                                : heed_jpeg_decode(bytes, size, w, h, stored, stop, error);
        if (status == HEED_OK && turned)
            status = turn_upright(upright, stored, info, stop, error);
    }
    heed_arena_release(arena, status == HEED_OK ? behind : begin);
    if (status != HEED_OK)
        return status;
    uint8_t *const rgb =
        turned ? upright : heed_arena_bytes(arena, pixels, 3); /* the same place, without the fourth channel */
    assert(turned || rgb == stored);
    *image = (struct heed_image){ .rgb = rgb, .width = info->width, .height = info->height };
    return HEED_OK;
}
