/* JPEG through TurboJPEG, in one call each way. */
#include "base/error.h"
#include "image/codec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

static enum heed_status codec_failed(const char *reason, struct heed_error *error)
{
    if (strstr(reason, "memory") || strstr(reason, "Memory"))
        return heed_fail(error, HEED_NO_MEMORY, "JPEG: %s", reason);
    return heed_fail(error, HEED_BAD_IMAGE, "JPEG: %s", reason);
}

/* A warning means that libjpeg found damage and invented pixels to go on with, which is a failure here. One kind is
 * none: bytes left over between the last scan's data and the end marker, which some cameras write. All pixels are
 * decoded by then and no marker follows, and TurboJPEG keeps the first warning's text, so this one being there means
 * that there was no other. Where libjpeg looks for a restart marker in mid-picture and finds the end it says the same:
 * then markers are missing. */
static bool warning_is_harmless(tjhandle codec, const uint8_t *bytes, size_t size,
                                const struct heed_jpeg_header *header)
{
    return tjGetErrorCode(codec) == TJERR_WARNING &&
           strstr(tjGetErrorStr2(codec), "extraneous bytes before marker 0xd9") &&
           heed_jpeg_restarts_are_there(bytes, size, header);
}

/* CMYK in a JPEG is Adobe's: stored inverted, so that a channel is the light its ink lets through. In place, front to
 * back. */
static void rgb_from_cmyk(uint8_t *pixels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t *const cmyk = pixels + 4 * i;
        const unsigned c = cmyk[0], m = cmyk[1], y = cmyk[2], k = cmyk[3];
        uint8_t *const rgb = pixels + 3 * i;
        rgb[0] = (uint8_t)((c * k + 127) / 255);
        rgb[1] = (uint8_t)((m * k + 127) / 255);
        rgb[2] = (uint8_t)((y * k + 127) / 255);
    }
}

enum heed_status heed_jpeg_decode(const uint8_t *bytes, size_t size, uint32_t width, uint32_t height, uint8_t *pixels,
                                  struct heed_error *error)
{
    struct heed_jpeg_header header;
    const enum heed_status status = heed_jpeg_header_read(bytes, size, 0, &header, error);
    if (status != HEED_OK)
        return status;
    assert(header.width >= width);
    assert(header.height >= height);

    const tjhandle codec = tjInitDecompress();
    if (!codec)
        return heed_fail(error, HEED_NO_MEMORY, "JPEG decoder");
    const bool cmyk = header.components == 4;
    const int failed = tjDecompress2(codec, bytes, size, pixels, (int)width, 0, (int)height,
                                     cmyk ? TJPF_CMYK : TJPF_RGB, TJFLAG_LIMITSCANS);
    const bool whole = !failed || warning_is_harmless(codec, bytes, size, &header);
    const enum heed_status outcome = whole ? HEED_OK : codec_failed(tjGetErrorStr2(codec), error);
    tjDestroy(codec);
    if (outcome == HEED_OK && cmyk)
        rgb_from_cmyk(pixels, (size_t)width * height);
    return outcome;
}

enum heed_status heed_jpeg_encode(const uint8_t *rgb, uint32_t width, uint32_t height, int quality, uint8_t **bytes,
                                  size_t *size, struct heed_error *error)
{
    enum { SIDE_MAX = 65500 }; /* libjpeg's */
    if (width > SIDE_MAX || height > SIDE_MAX)
        return heed_fail(error, HEED_BAD_ARGUMENT, "a JPEG of %u x %u cannot be written: a side is at most %d", width,
                         height, SIDE_MAX);
    /* Full colour resolution: thin coloured lines stay crisp. */
    unsigned long written = tjBufSize((int)width, (int)height, TJSAMP_444);
    uint8_t *buffer = malloc(written);
    const tjhandle codec = tjInitCompress();
    enum heed_status status = HEED_OK;
    if (!buffer || !codec)
        status = heed_fail(error, HEED_NO_MEMORY, "JPEG encoder");
    else if (tjCompress2(codec, rgb, (int)width, 0, (int)height, TJPF_RGB, &buffer, &written, TJSAMP_444, quality,
                         TJFLAG_NOREALLOC) != 0)
        status = codec_failed(tjGetErrorStr2(codec), error);
    if (codec)
        tjDestroy(codec);
    if (status != HEED_OK) {
        free(buffer);
        return status;
    }
    uint8_t *const fitted = realloc(buffer, written); /* the room was for the worst case */
    *bytes = fitted ? fitted : buffer;
    *size = written;
    return HEED_OK;
}
