/* PNG through libspng. Every chunk's checksum must be right, up to the empty end chunk: a file cut off or damaged
 * anywhere before is refused. */
#include "base/error.h"
#include "base/stop.h"
#include "image/codec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <spng.h>

/* Of the chunks beside the pixels, which libspng keeps: profiles and texts of real photos stay far below. */
enum { CHUNKS_BYTES_MAX = 8 << 20 };

static enum heed_status codec_failed(int code, struct heed_error *error)
{
    if (code == SPNG_EMEM)
        return heed_fail(error, HEED_NO_MEMORY, "PNG: %s", spng_strerror(code));
    if (code == SPNG_IO_EOF)
        return heed_fail(error, HEED_BAD_IMAGE, "PNG: the file is cut off");
    return heed_fail(error, HEED_BAD_IMAGE, "PNG: %s", spng_strerror(code));
}

static int reader_open(spng_ctx **reader, const uint8_t *bytes, size_t size, struct spng_ihdr *header)
{
    *reader = spng_ctx_new(0);
    if (!*reader)
        return SPNG_EMEM;
    int code = spng_set_crc_action(*reader, SPNG_CRC_ERROR, SPNG_CRC_ERROR);
    if (!code)
        code = spng_set_chunk_limits(*reader, CHUNKS_BYTES_MAX, CHUNKS_BYTES_MAX);
    if (!code)
        code = spng_set_png_buffer(*reader, bytes, size);
    if (!code)
        code = spng_get_ihdr(*reader, header);
    return code;
}

/* libspng keeps this row and the one before it as they are in the file, and one as it gives it out where the file is
 * interlaced. Measured: the rest are some 45 kB, whatever the picture. */
static uint64_t rows_bytes(const struct spng_ihdr *header)
{
    enum { GIVEN_OUT = 4 }; /* bytes a pixel, at most */
    static const uint8_t channels[] = { [SPNG_COLOR_TYPE_GRAYSCALE] = 1,
                                        [SPNG_COLOR_TYPE_TRUECOLOR] = 3,
                                        [SPNG_COLOR_TYPE_INDEXED] = 1,
                                        [SPNG_COLOR_TYPE_GRAYSCALE_ALPHA] = 2,
                                        [SPNG_COLOR_TYPE_TRUECOLOR_ALPHA] = 4 };
    const uint64_t bits = (uint64_t)header->width * channels[header->color_type] * header->bit_depth;
    return 2 * ((bits + 7) / 8) + (header->interlace_method ? (uint64_t)header->width * GIVEN_OUT : 0);
}

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* The eXIf chunk may stand behind the pixels, which are not inflated for it: only lengths are read. Whether the chunks
 * are right is seen when the picture is decoded. */
static uint8_t orientation_of_any_chunk(const uint8_t *bytes, size_t size)
{
    enum { SIGNATURE = 8, TYPE = 4, DATA = 8, AROUND = 12 };
    for (size_t at = SIGNATURE; size - at >= AROUND;) {
        const uint8_t *const chunk = bytes + at;
        const size_t length = big_endian(chunk);
        if (length > size - at - AROUND || memcmp(chunk + TYPE, "IEND", 4) == 0)
            break;
        if (memcmp(chunk + TYPE, "eXIf", 4) == 0)
            return heed_exif_orientation(chunk + DATA, length);
        at += AROUND + length;
    }
    return 1;
}

enum heed_status heed_png_header_read(const uint8_t *bytes, size_t size, struct heed_image_info *info,
                                      struct heed_error *error)
{
    spng_ctx *reader;
    struct spng_ihdr header;
    struct spng_exif exif;
    info->orientation = 1;
    int code = reader_open(&reader, bytes, size, &header);
    if (!code) {
        info->stored_width = header.width;
        info->stored_height = header.height;
        info->codec_bytes = rows_bytes(&header);
        code = spng_get_exif(reader, &exif); /* reads all chunks before the pixels */
        if (!code) {
            info->orientation = heed_exif_orientation((const uint8_t *)exif.data, exif.length);
        } else if (code == SPNG_ECHUNKAVAIL) {
            info->orientation = orientation_of_any_chunk(bytes, size);
            code = SPNG_OK;
        }
    }
    spng_ctx_free(reader);
    return code ? codec_failed(code, error) : HEED_OK;
}

/* Row by row, in the order of the file, which is not that of the picture where it is interlaced; `stopped` where that
 * is why it ended. */
static int decode_rows(spng_ctx *reader, uint8_t *pixels, size_t row_bytes, enum spng_format format, uint32_t width,
                       const struct heed_stop *stop, enum heed_status *stopped, struct heed_error *error)
{
    struct heed_stop_watch watch = { .stop = stop };
    struct spng_row_info row;
    int code = spng_decode_image(reader, NULL, 0, format, SPNG_DECODE_TRNS | SPNG_DECODE_PROGRESSIVE);
    while (!code) {
        code = spng_get_row_info(reader, &row);
        if (!code)
            code = spng_decode_row(reader, pixels + row.row_num * row_bytes, row_bytes);
        if (!code && (*stopped = heed_stop_watch(&watch, width, error)) != HEED_OK)
            return SPNG_OK;
    }
    return code == SPNG_EOI ? SPNG_OK : code;
}

/* Over white, in place, front to back. */
static void rgb_from_rgba(uint8_t *pixels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t *const rgba = pixels + 4 * i;
        const unsigned alpha = rgba[3], white = 255 * (255 - alpha) + 127;
        const unsigned r = rgba[0], g = rgba[1], b = rgba[2];
        uint8_t *const rgb = pixels + 3 * i;
        rgb[0] = (uint8_t)((r * alpha + white) / 255);
        rgb[1] = (uint8_t)((g * alpha + white) / 255);
        rgb[2] = (uint8_t)((b * alpha + white) / 255);
    }
}

enum heed_status heed_png_decode(const uint8_t *bytes, size_t size, uint32_t width, uint32_t height, uint8_t *pixels,
                                 const struct heed_stop *stop, struct heed_error *error)
{
    enum heed_status stopped = HEED_OK;
    spng_ctx *reader;
    struct spng_ihdr header;
    struct spng_trns transparent;
    bool alpha = false;
    int code = reader_open(&reader, bytes, size, &header);
    if (!code) {
        assert(header.width == width);
        assert(header.height == height);
        alpha = header.color_type & SPNG_COLOR_TYPE_GRAYSCALE_ALPHA;
        if (!alpha) {
            code = spng_get_trns(reader, &transparent);
            alpha = code == SPNG_OK;
            code = code == SPNG_ECHUNKAVAIL ? SPNG_OK : code;
        }
    }
    if (!code)
        code = decode_rows(reader, pixels, (size_t)width * (alpha ? 4 : 3), alpha ? SPNG_FMT_RGBA8 : SPNG_FMT_RGB8,
                           width, stop, &stopped, error);
    if (!code && stopped == HEED_OK)
        code = spng_decode_chunks(reader); /* what follows the pixels, to the end marker */
    spng_ctx_free(reader);
    if (code)
        return codec_failed(code, error);
    if (stopped == HEED_OK && alpha)
        rgb_from_rgba(pixels, (size_t)width * height);
    return stopped;
}

static int encode_rows(spng_ctx *writer, const uint8_t *rows, size_t row_bytes, uint32_t width,
                       const struct heed_stop *stop, enum heed_status *stopped, struct heed_error *error)
{
    struct heed_stop_watch watch = { .stop = stop };
    int code = spng_encode_image(writer, NULL, 0, SPNG_FMT_PNG, SPNG_ENCODE_PROGRESSIVE | SPNG_ENCODE_FINALIZE);
    for (const uint8_t *row = rows; !code; row += row_bytes) {
        if ((*stopped = heed_stop_watch(&watch, width, error)) != HEED_OK)
            return SPNG_OK;
        code = spng_encode_row(writer, row, row_bytes);
    }
    return code == SPNG_EOI ? SPNG_OK : code;
}

enum heed_status heed_png_encode(const uint8_t *rows, uint32_t width, uint32_t height, enum heed_png_kind kind,
                                 const struct heed_stop *stop, uint8_t **bytes, size_t *size, struct heed_error *error)
{
    enum heed_status stopped = HEED_OK;
    const bool bits = kind == HEED_PNG_BITS;
    const size_t row_bytes = bits ? ((size_t)width + 7) / 8 : (size_t)width * 3;
    struct spng_ihdr header = {
        .width = width,
        .height = height,
        .bit_depth = bits ? 1 : 8,
        .color_type = bits ? SPNG_COLOR_TYPE_GRAYSCALE : SPNG_COLOR_TYPE_TRUECOLOR,
    };
    spng_ctx *const writer = spng_ctx_new(SPNG_CTX_ENCODER);
    if (!writer)
        return heed_fail(error, HEED_NO_MEMORY, "PNG encoder");
    int code = spng_set_option(writer, SPNG_ENCODE_TO_BUFFER, 1);
    if (!code && !bits) { /* a photo hardly shrinks with more than this, and takes twice as long */
        code = spng_set_option(writer, SPNG_IMG_COMPRESSION_LEVEL, 1);
        if (!code)
            code = spng_set_option(writer, SPNG_FILTER_CHOICE, SPNG_FILTER_CHOICE_SUB);
    }
    if (!code)
        code = spng_set_ihdr(writer, &header);
    if (!code)
        code = encode_rows(writer, rows, row_bytes, width, stop, &stopped, error);
    if (!code && stopped == HEED_OK) {
        *bytes = spng_get_png_buffer(writer, size, &code);
        if (!*bytes && !code)
            code = SPNG_EMEM;
    }
    spng_ctx_free(writer);
    return code ? codec_failed(code, error) : stopped;
}
