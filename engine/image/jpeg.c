/* JPEG through libjpeg-turbo's libjpeg interface, which tells warnings apart and can be stopped. */
#include "base/error.h"
#include "image/codec.h"

#include <setjmp.h>
#include <stdio.h> /* before jpeglib.h, which does not include it */
#include <stdlib.h>

#include <jerror.h>
#include <jpeglib.h>

/* ---- What the codec says ------------------------------------------------------------------------------- */

/* client_data of both kinds of codec. */
struct outcome {
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    const struct heed_stop *stop;
    jmp_buf over;
    enum heed_status status;
    struct heed_error *error;
};

_Noreturn static void end(struct outcome *outcome, enum heed_status status)
{
    outcome->status = status;
    longjmp(outcome->over, 1);
}

static void on_error(j_common_ptr codec)
{
    struct outcome *const outcome = codec->client_data;
    char text[JMSG_LENGTH_MAX];
    codec->err->format_message(codec, text);
    end(outcome, heed_fail(outcome->error, codec->err->msg_code == JERR_OUT_OF_MEMORY ? HEED_NO_MEMORY : HEED_BAD_IMAGE,
                           "JPEG: %s", text));
}

/* A warning means that libjpeg found damage and would invent pixels to go on with. Some are none: a version it does not
 * know, numbers that a baseline file has no use for and some telephones get wrong, bytes between the segments of the
 * header, and bytes left over between the last scan's data and the end marker, which some cameras write. (Where the end
 * comes instead of a restart marker, another warning follows.) */
static bool is_harmless(j_common_ptr codec)
{
    const struct jpeg_error_mgr *const said = codec->err;
    switch (said->msg_code) {
    case JWRN_JFIF_MAJOR:
    case JWRN_ADOBE_XFORM:
    case JWRN_NOT_SEQUENTIAL:
        return true;
    case JWRN_EXTRANEOUS_DATA:
        return said->msg_parm.i[1] == JPEG_EOI || ((j_decompress_ptr)codec)->input_scan_number == 0;
    default:
        return false;
    }
}

static void on_message(j_common_ptr codec, int level)
{
    if (level < 0 && !is_harmless(codec))
        on_error(codec);
}

/* Called with every row of blocks, of every scan. */
static void on_progress(j_common_ptr codec)
{
    enum { SCANS_MAX = 500 };
    struct outcome *const outcome = codec->client_data;
    if (codec->is_decompressor && ((j_decompress_ptr)codec)->input_scan_number > SCANS_MAX)
        end(outcome, heed_fail(outcome->error, HEED_BAD_IMAGE, "JPEG: more than %d scans", SCANS_MAX));
    const enum heed_status status = heed_stop_check(outcome->stop, outcome->error);
    if (status != HEED_OK)
        end(outcome, status);
}

static struct jpeg_error_mgr *listen(struct outcome *outcome)
{
    jpeg_std_error(&outcome->errors);
    outcome->errors.error_exit = on_error;
    outcome->errors.emit_message = on_message;
    outcome->progress.progress_monitor = on_progress;
    return &outcome->errors;
}

/* ---- Reading ------------------------------------------------------------------------------------------- */

struct decoder {
    struct outcome outcome;
    struct jpeg_decompress_struct codec;
};

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

static void decode(struct decoder *decoder, const uint8_t *bytes, size_t size, uint32_t width, uint32_t height,
                   uint8_t *pixels)
{
    struct jpeg_decompress_struct *const codec = &decoder->codec;
    if (setjmp(decoder->outcome.over))
        return;
    jpeg_create_decompress(codec);
    codec->progress = &decoder->outcome.progress;
    jpeg_mem_src(codec, bytes, size);
    jpeg_read_header(codec, TRUE);
    const bool cmyk = codec->num_components == 4;
    codec->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    for (codec->scale_denom = 1; codec->scale_denom < 8; codec->scale_denom *= 2) {
        jpeg_calc_output_dimensions(codec);
        if (codec->output_width <= width)
            break;
    }
    jpeg_start_decompress(codec);
    if (codec->output_width != width || codec->output_height != height)
        end(&decoder->outcome,
            heed_fail(decoder->outcome.error, HEED_BAD_IMAGE, "JPEG is %u x %u to the codec and not %u x %u",
                      codec->output_width, codec->output_height, width, height));
    const size_t row_bytes = (size_t)width * (cmyk ? 4 : 3);
    while (codec->output_scanline < height) {
        enum { ROWS = 16 };
        JSAMPROW rows[ROWS];
        const uint32_t left = height - codec->output_scanline, count = left < ROWS ? left : ROWS;
        for (uint32_t i = 0; i < count; i++)
            rows[i] = pixels + (codec->output_scanline + i) * row_bytes;
        jpeg_read_scanlines(codec, rows, count);
    }
    jpeg_finish_decompress(codec);
    if (cmyk)
        rgb_from_cmyk(pixels, (size_t)width * height);
}

enum heed_status heed_jpeg_decode(const uint8_t *bytes, size_t size, uint32_t width, uint32_t height, uint8_t *pixels,
                                  const struct heed_stop *stop, struct heed_error *error)
{
    struct decoder decoder = { .outcome = { .error = error, .stop = stop } };
    decoder.codec.err = listen(&decoder.outcome);
    decoder.codec.client_data = &decoder;
    decode(&decoder, bytes, size, width, height, pixels);
    jpeg_destroy_decompress(&decoder.codec);
    return decoder.outcome.status;
}

/* ---- Writing ------------------------------------------------------------------------------------------- */

struct encoder {
    struct outcome outcome;
    struct jpeg_compress_struct codec;
    uint8_t *bytes; /* the codec puts another in its place where it is too small */
    unsigned long size;
};

/* Full colour resolution: thin coloured lines stay crisp. */
static void encode(struct encoder *encoder, const uint8_t *rgb, uint32_t width, uint32_t height, int quality)
{
    struct jpeg_compress_struct *const codec = &encoder->codec;
    if (setjmp(encoder->outcome.over))
        return;
    jpeg_create_compress(codec);
    codec->progress = &encoder->outcome.progress;
    jpeg_mem_dest(codec, &encoder->bytes, &encoder->size);
    codec->image_width = width;
    codec->image_height = height;
    codec->input_components = 3;
    codec->in_color_space = JCS_RGB;
    jpeg_set_defaults(codec);
    jpeg_set_quality(codec, quality, TRUE);
    codec->dct_method = quality < 96 ? JDCT_FASTEST : JDCT_ISLOW;
    codec->comp_info[0].h_samp_factor = codec->comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(codec, TRUE);
    while (codec->next_scanline < height) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(rgb + (size_t)codec->next_scanline * width * 3); /* only read */
        jpeg_write_scanlines(codec, &row, 1);
    }
    jpeg_finish_compress(codec);
}

enum heed_status heed_jpeg_encode(const uint8_t *rgb, uint32_t width, uint32_t height, int quality,
                                  const struct heed_stop *stop, uint8_t **bytes, size_t *size, struct heed_error *error)
{
    enum { SIDE_MAX = 65500 }; /* libjpeg's */
    if (width > SIDE_MAX || height > SIDE_MAX)
        return heed_fail(error, HEED_BAD_ARGUMENT, "a JPEG of %u x %u cannot be written: a side is at most %d", width,
                         height, SIDE_MAX);
    const size_t most = 6 * ((size_t)width + 7) * ((size_t)height + 7) + 2048; /* as TurboJPEG has it */
    uint8_t *const room = malloc(most);
    if (!room)
        return heed_fail(error, HEED_NO_MEMORY, "JPEG encoder");
    struct encoder encoder = { .outcome = { .error = error, .stop = stop }, .bytes = room, .size = most };
    encoder.codec.err = listen(&encoder.outcome);
    encoder.codec.client_data = &encoder;
    encode(&encoder, rgb, width, height, quality);
    jpeg_destroy_compress(&encoder.codec);
    if (encoder.outcome.status != HEED_OK || encoder.bytes != room)
        free(room);
    if (encoder.outcome.status != HEED_OK)
        return encoder.outcome.status;
    uint8_t *const fitted = realloc(encoder.bytes, encoder.size); /* the room was for the worst case */
    *bytes = fitted ? fitted : encoder.bytes;
    *size = encoder.size;
    return HEED_OK;
}
