/* The one EXIF field that matters here: how a camera was held.
 *
 * A TIFF block: byte order ("II" or "MM"), 42, the offset of the first directory; there a count and that many
 * entries of 12 bytes: tag, type, count, value. Every offset comes from outside and is checked against the block.
 */
#include "image/codec.h"

struct tiff {
    const uint8_t *bytes;
    size_t size;
    bool little;
};

/* Reads past the end give 0, which no field below accepts as an answer. */
static uint32_t tiff_u16(const struct tiff *tiff, size_t at)
{
    if (at > tiff->size || tiff->size - at < 2)
        return 0;
    const uint8_t *const b = tiff->bytes + at;
    return tiff->little ? (uint32_t)b[1] << 8 | b[0] : (uint32_t)b[0] << 8 | b[1];
}

static uint32_t tiff_u32(const struct tiff *tiff, size_t at)
{
    if (at > tiff->size || tiff->size - at < 4)
        return 0;
    const uint32_t first = tiff_u16(tiff, at), second = tiff_u16(tiff, at + 2);
    return tiff->little ? second << 16 | first : first << 16 | second;
}

uint8_t heed_exif_orientation(const uint8_t *bytes, size_t size)
{
    enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY_BYTES = 12 };
    if (size < 8 || bytes[0] != bytes[1] || (bytes[0] != 'I' && bytes[0] != 'M'))
        return 1;
    const struct tiff tiff = { .bytes = bytes, .size = size, .little = bytes[0] == 'I' };
    if (tiff_u16(&tiff, 2) != 42)
        return 1;

    const size_t directory = tiff_u32(&tiff, 4);
    if (directory > size)
        return 1;
    const size_t entries = tiff_u16(&tiff, directory);
    for (size_t i = 0; i < entries; i++) {
        const size_t entry = directory + 2 + i * ENTRY_BYTES;
        if (entry > size || size - entry < ENTRY_BYTES)
            return 1;
        if (tiff_u16(&tiff, entry) != TAG_ORIENTATION)
            continue;
        const uint32_t value = tiff_u16(&tiff, entry + 8);
        return tiff_u16(&tiff, entry + 2) == TYPE_SHORT && value >= 1 && value <= 8 ? (uint8_t)value : 1;
    }
    return 1;
}
