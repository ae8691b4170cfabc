/* The two codecs behind decode.c and encode.c, and nobody else's business: jpeg.c, which alone meets jpeglib.h, and
 * png.c, which alone meets spng.h. Any thread; no state between calls. */
#ifndef HEED_IMAGE_CODEC_H
#define HEED_IMAGE_CODEC_H

#include "heed.h"

/* Of the TIFF block in a JPEG's APP1 segment or a PNG's eXIf chunk: 1..8, and 1 where it says nothing that can be
 * believed. */
uint8_t heed_exif_orientation(const uint8_t *tiff, size_t size);

/* What a JPEG's markers say before the first pixel. */
struct heed_jpeg_header {
    uint32_t width, height; /* as stored */
    uint8_t components;     /* 1, 3 or 4 */
    uint8_t orientation;    /* EXIF, 1..8 */
    uint64_t codec_bytes;   /* all coefficients, where they come in several scans; else 0 */
    uint8_t ids[4];         /* of the components, by which scans name them */
};
/* A file of several scans is walked to its end: every component must have one, and scans_max counts them (0: no limit).
 */
HEED_CHECKED enum heed_status heed_jpeg_header_read(const uint8_t *bytes, size_t size, uint32_t scans_max,
                                                    struct heed_jpeg_header *header, struct heed_error *error);

/* Both decoders write (height, width, 3), as stored, to the front of `pixels`, which has room for (height, width, 4).
 * The sides are the file's; a JPEG's may all be a half, a quarter or an eighth of them, rounded up. */
HEED_CHECKED enum heed_status heed_jpeg_decode(const uint8_t *bytes, size_t size, uint32_t width, uint32_t height,
                                               uint8_t *pixels, const struct heed_stop *stop, struct heed_error *error);
HEED_CHECKED enum heed_status heed_png_decode(const uint8_t *bytes, size_t size, uint32_t width, uint32_t height,
                                              uint8_t *pixels, const struct heed_stop *stop, struct heed_error *error);

/* Fills in the size as stored, the orientation and codec_bytes. */
HEED_CHECKED enum heed_status heed_png_header_read(const uint8_t *bytes, size_t size, struct heed_image_info *info,
                                                   struct heed_error *error);

/* Encoders' bytes are the caller's to free(). */
HEED_CHECKED enum heed_status heed_jpeg_encode(const uint8_t *rgb, uint32_t width, uint32_t height, int quality,
                                               const struct heed_stop *stop, uint8_t **bytes, size_t *size,
                                               struct heed_error *error);
enum heed_png_kind {
    HEED_PNG_RGB,
    HEED_PNG_BITS
}; /* BITS: rows of (width + 7) / 8 bytes, the leftmost pixel in the top bit */
HEED_CHECKED enum heed_status heed_png_encode(const uint8_t *rows, uint32_t width, uint32_t height,
                                              enum heed_png_kind kind, const struct heed_stop *stop, uint8_t **bytes,
                                              size_t *size, struct heed_error *error);

#endif
