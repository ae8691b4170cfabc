/* A JPEG's markers, read without the codec: size, colours, orientation, and how many scans a decoder would have to go
 * through.
 *
 *     FFD8 | FFE1 length Exif... | ... | FFC0|C2 length size | ... | FFDA length, entropy-coded data ... FFDA ... |
 * FFD9
 *
 * Markers are found as libjpeg finds them: bytes between segments are skipped, FF may be repeated, FF00 inside
 * entropy-coded data is a data byte, FFD0..D7 restart markers have no length, and a length below its own two bytes is
 * taken as those. So both see the same first frame header and the same scans.
 */
#include "base/error.h"
#include "image/codec.h"

#include <string.h>

enum {
    MARKER_SOF0 = 0xc0,
    MARKER_SOF2 = 0xc2,
    MARKER_DHT = 0xc4,
    MARKER_JPG = 0xc8,
    MARKER_SOF9 = 0xc9,
    MARKER_SOF10 = 0xca,
    MARKER_DAC = 0xcc,
    MARKER_SOF15 = 0xcf,
    MARKER_RST0 = 0xd0,
    MARKER_SOI = 0xd8,
    MARKER_EOI = 0xd9,
    MARKER_SOS = 0xda,
    MARKER_APP1 = 0xe1,
};

struct reader {
    const uint8_t *bytes;
    size_t size, at;
};

struct segment {
    uint8_t marker;
    const uint8_t *payload; /* after the length */
    size_t size;
};

/* Those below SOF0 are reserved: libjpeg refuses them, but where it looks for a lost restart marker it passes over them
 * and what seems to be their length. */
static bool marker_stands_alone(uint8_t marker)
{
    return marker < MARKER_SOF0 || (marker >= MARKER_RST0 && marker <= MARKER_SOI);
}

static bool marker_starts_frame(uint8_t marker)
{
    return marker >= MARKER_SOF0 && marker <= MARKER_SOF15 && marker != MARKER_DHT && marker != MARKER_JPG &&
           marker != MARKER_DAC;
}

/* The next marker that has a segment, or the end of the image; false where the file ends first. */
static bool next_segment(struct reader *reader, struct segment *segment)
{
    for (;;) {
        const uint8_t *const from = reader->bytes + reader->at;
        const uint8_t *const found = memchr(from, 0xff, reader->size - reader->at);
        if (!found)
            return false;
        reader->at = (size_t)(found - reader->bytes) + 1;
        while (reader->at < reader->size && reader->bytes[reader->at] == 0xff)
            reader->at++;
        if (reader->at == reader->size)
            return false;
        const uint8_t marker = reader->bytes[reader->at++];
        if (marker_stands_alone(marker))
            continue;
        *segment = (struct segment){ .marker = marker };
        if (marker == MARKER_EOI)
            return true;

        if (reader->size - reader->at < 2)
            return false;
        size_t length = (size_t)reader->bytes[reader->at] << 8 | reader->bytes[reader->at + 1];
        length = length < 2 ? 2 : length;
        if (length > reader->size - reader->at)
            return false;
        segment->payload = reader->bytes + reader->at + 2;
        segment->size = length - 2;
        reader->at += length;
        return true;
    }
}

enum { FRAME_BYTES = 6, COMPONENT_BYTES = 3 };

/* Each component's blocks are sampled h by v times in a square of the picture that is as many blocks wide and high as
 * the largest of them; the codec keeps whole squares, of 64 coefficients of 2 bytes a block. */
static enum heed_status read_components(const uint8_t *components, struct heed_jpeg_header *header,
                                        struct heed_error *error)
{
    enum { BLOCK_SIDE = 8, BLOCK_BYTES = 64 * 2, FACTOR_MAX = 4 };
    uint32_t h_max = 1, v_max = 1, blocks = 0;
    for (uint8_t i = 0; i < header->components; i++) {
        const uint32_t h = components[i * COMPONENT_BYTES + 1] >> 4, v = components[i * COMPONENT_BYTES + 1] & 15;
        if (h < 1 || h > FACTOR_MAX || v < 1 || v > FACTOR_MAX)
            return heed_fail(error, HEED_BAD_IMAGE, "JPEG component %u is sampled %u x %u; 1 to %d are allowed", i, h,
                             v, FACTOR_MAX);
        header->ids[i] = components[i * COMPONENT_BYTES];
        h_max = h > h_max ? h : h_max;
        v_max = v > v_max ? v : v_max;
        blocks += h * v;
    }
    const uint64_t across = (header->width + BLOCK_SIDE * h_max - 1) / (BLOCK_SIDE * h_max);
    const uint64_t down = (header->height + BLOCK_SIDE * v_max - 1) / (BLOCK_SIDE * v_max);
    header->codec_bytes = across * down * blocks * BLOCK_BYTES;
    return HEED_OK;
}

static enum heed_status read_frame(const struct segment *segment, struct heed_jpeg_header *header,
                                   struct heed_error *error)
{
    if (segment->marker > MARKER_SOF2 && segment->marker != MARKER_SOF9 && segment->marker != MARKER_SOF10)
        return heed_fail(error, HEED_BAD_IMAGE, "JPEG of a kind that is not read (lossless or hierarchical, SOF%d)",
                         segment->marker - MARKER_SOF0);
    if (segment->size < FRAME_BYTES)
        return heed_fail(error, HEED_BAD_IMAGE, "JPEG frame header is %zu bytes, too short", segment->size);
    const uint8_t *const p = segment->payload;
    if (p[0] != 8)
        return heed_fail(error, HEED_BAD_IMAGE, "JPEG has %u bits a sample; only 8 are read", p[0]);
    header->height = (uint32_t)p[1] << 8 | p[2];
    header->width = (uint32_t)p[3] << 8 | p[4];
    header->components = p[5];
    if (header->width == 0 || header->height == 0)
        return heed_fail(error, HEED_BAD_IMAGE, "JPEG header gives a size of %u x %u", header->width, header->height);
    if (header->components != 1 && header->components != 3 && header->components != 4)
        return heed_fail(error, HEED_BAD_IMAGE, "JPEG has %u components; 1, 3 or 4 are read", header->components);
    if (segment->size != FRAME_BYTES + COMPONENT_BYTES * (size_t)header->components)
        return heed_fail(error, HEED_BAD_IMAGE, "JPEG frame header of %u components is %zu bytes", header->components,
                         segment->size);
    return read_components(p + FRAME_BYTES, header, error);
}

/* Strikes the scan's components from those that are still missing. */
static unsigned without_scanned(unsigned missing, const struct segment *scan, const struct heed_jpeg_header *header)
{
    enum { SELECTOR_BYTES = 2 };
    const size_t count = scan->size ? scan->payload[0] : 0;
    for (size_t i = 0; i < count && 1 + i * SELECTOR_BYTES < scan->size; i++)
        for (unsigned c = 0; c < header->components; c++)
            if (header->ids[c] == scan->payload[1 + i * SELECTOR_BYTES])
                missing &= ~(1u << c);
    return missing;
}

/* A progressive file, or one whose components come in scans of their own, makes the codec keep every coefficient and go
 * over them once per scan: a small file with many scans takes it long. A component without any is grey to it. */
static enum heed_status walk_scans(struct reader reader, struct segment segment, uint32_t scans_max,
                                   struct heed_jpeg_header *header, struct heed_error *error)
{
    uint32_t scans = 0;
    unsigned missing = (1u << header->components) - 1;
    do {
        if (segment.marker != MARKER_SOS)
            continue;
        missing = without_scanned(missing, &segment, header);
        if (scans_max && ++scans > scans_max)
            return heed_fail(error, HEED_TOO_LARGE, "JPEG has more than %u scans, the limit", scans_max);
    } while (next_segment(&reader, &segment) && segment.marker != MARKER_EOI);
    return missing ? heed_fail(error, HEED_BAD_IMAGE, "JPEG has no scan of some of its components") : HEED_OK;
}

/* Whether the first scan holds everything. The codec refuses a second one then. */
static bool scan_is_whole(const struct segment *segment, const struct heed_jpeg_header *header, bool progressive)
{
    return !progressive && segment->size >= 1 && segment->payload[0] == header->components;
}

enum heed_status heed_jpeg_header_read(const uint8_t *bytes, size_t size, uint32_t scans_max,
                                       struct heed_jpeg_header *header, struct heed_error *error)
{
    static const uint8_t exif[6] = "Exif\0";
    struct reader reader = { .bytes = bytes, .size = size, .at = 2 };
    struct segment segment;
    bool framed = false, progressive = false, oriented = false;
    *header = (struct heed_jpeg_header){ .orientation = 1 };

    while (next_segment(&reader, &segment)) {
        if (segment.marker == MARKER_EOI)
            return heed_fail(error, HEED_BAD_IMAGE, "JPEG ends before its first scan");
        if (segment.marker == MARKER_APP1 && !oriented && segment.size >= sizeof exif &&
            memcmp(segment.payload, exif, sizeof exif) == 0) {
            oriented = true;
            header->orientation = heed_exif_orientation(segment.payload + sizeof exif, segment.size - sizeof exif);
        }
        if (marker_starts_frame(segment.marker)) {
            if (framed)
                return heed_fail(error, HEED_BAD_IMAGE, "JPEG has two frame headers");
            framed = true;
            progressive = segment.marker == MARKER_SOF2 || segment.marker == MARKER_SOF10;
            if (read_frame(&segment, header, error) != HEED_OK)
                return HEED_BAD_IMAGE;
        }
        if (segment.marker == MARKER_SOS) {
            if (!framed)
                return heed_fail(error, HEED_BAD_IMAGE, "JPEG has a scan before its frame header");
            if (scan_is_whole(&segment, header, progressive)) {
                header->codec_bytes = 0;
                return HEED_OK;
            }
            return walk_scans(reader, segment, scans_max, header, error);
        }
    }
    return heed_fail(error, HEED_BAD_IMAGE, "JPEG ends inside its header");
}
