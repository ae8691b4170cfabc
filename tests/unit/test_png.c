/* PNG in and out, on files of every colour type and depth made here by libspng itself. */
#include "base/arena.h"
#include "image/codec.h"
#include "image/decode.h"
#include "../png_chunks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <spng.h>

enum { W = 19, H = 13, PALETTE = 16 };

struct kind {
    uint8_t color_type, depth;
    bool interlaced, transparent; /* transparent: with a tRNS chunk */
};

static const uint8_t palette_rgba[PALETTE][4] = {
    { 10, 20, 30, 0 },   { 200, 0, 0, 128 },  { 0, 200, 0, 255 },   { 0, 0, 200, 64 },
    { 1, 2, 3, 255 },    { 99, 98, 97, 255 }, { 5, 50, 250, 17 },   { 255, 255, 255, 255 },
    { 20, 20, 30, 255 }, { 20, 0, 0, 255 },   { 0, 20, 0, 255 },    { 0, 0, 20, 255 },
    { 11, 2, 3, 255 },   { 9, 98, 97, 255 },  { 55, 50, 250, 255 }, { 0, 0, 0, 255 },
};
static const uint16_t transparent_sample = 1; /* grey, and each of red, green, blue */

static unsigned channels_of(uint8_t color_type)
{
    return color_type == SPNG_COLOR_TYPE_TRUECOLOR         ? 3
           : color_type == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA ? 4
           : color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA ? 2
                                                           : 1;
}

/* Some pixels are the transparent colour; alpha takes all values. */
static uint16_t sample_at(const struct kind *kind, uint32_t x, uint32_t y, unsigned channel)
{
    const uint32_t largest = (1u << kind->depth) - 1;
    if (kind->color_type == SPNG_COLOR_TYPE_INDEXED)
        return (uint16_t)((x + y) % (largest + 1 < PALETTE ? largest + 1 : PALETTE));
    if ((x * y) % 5 == 3)
        return transparent_sample;
    return (uint16_t)((x * 2654435u + y * 40503u + channel * 77777u) & largest);
}

struct bytes {
    uint8_t *data;
    size_t size;
};

static struct bytes make_png(const struct kind *kind)
{
    const unsigned channels = channels_of(kind->color_type);
    const size_t row_bytes = (W * channels * kind->depth + 7) / 8;
    uint8_t *const rows = calloc(H, row_bytes);
    for (uint32_t y = 0; y < H; y++)
        for (uint32_t x = 0; x < W; x++)
            for (unsigned c = 0; c < channels; c++) {
                const uint16_t sample = sample_at(kind, x, y, c);
                const size_t at = x * channels + c;
                if (kind->depth == 16) {
                    memcpy(rows + y * row_bytes + 2 * at, &sample, 2);
                } else {
                    const size_t bit = at * kind->depth;
                    rows[y * row_bytes + bit / 8] |= (uint8_t)(sample << (8 - kind->depth - bit % 8));
                }
            }
    struct spng_ihdr header = { .width = W,
                                .height = H,
                                .bit_depth = kind->depth,
                                .color_type = kind->color_type,
                                .interlace_method = kind->interlaced };
    struct spng_plte palette = { .n_entries = kind->depth < 4 ? 1u << kind->depth : PALETTE };
    struct spng_trns transparent = { .gray = transparent_sample,
                                     .red = transparent_sample,
                                     .green = transparent_sample,
                                     .blue = transparent_sample,
                                     .n_type3_entries = palette.n_entries };
    for (uint32_t i = 0; i < palette.n_entries; i++) {
        memcpy(&palette.entries[i], palette_rgba[i], 3);
        transparent.type3_alpha[i] = palette_rgba[i][3];
    }
    spng_ctx *const writer = spng_ctx_new(SPNG_CTX_ENCODER);
    assert_int_equal(spng_set_option(writer, SPNG_ENCODE_TO_BUFFER, 1), 0);
    assert_int_equal(spng_set_ihdr(writer, &header), 0);
    if (kind->color_type == SPNG_COLOR_TYPE_INDEXED)
        assert_int_equal(spng_set_plte(writer, &palette), 0);
    if (kind->transparent)
        assert_int_equal(spng_set_trns(writer, &transparent), 0);
    const int code = spng_encode_image(writer, rows, row_bytes * H, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    assert_string_equal(spng_strerror(code), spng_strerror(0));
    int failed = 0;
    struct bytes png;
    png.data = spng_get_png_buffer(writer, &png.size, &failed);
    assert_non_null(png.data);
    spng_ctx_free(writer);
    free(rows);
    return png;
}

static uint8_t over_white(uint32_t value, uint32_t alpha)
{
    return (uint8_t)((value * alpha + 255 * (255 - alpha) + 127) / 255);
}

static void wanted_pixel(const struct kind *kind, uint32_t x, uint32_t y, uint8_t rgb[3])
{
    const uint32_t largest = (1u << kind->depth) - 1;
    const unsigned channels = channels_of(kind->color_type);
    uint32_t samples[4], alpha = 255;
    for (unsigned c = 0; c < channels; c++)
        samples[c] = sample_at(kind, x, y, c);
    if (kind->color_type == SPNG_COLOR_TYPE_INDEXED) {
        const uint8_t *const entry = palette_rgba[samples[0]];
        for (int c = 0; c < 3; c++)
            rgb[c] = over_white(entry[c], kind->transparent ? entry[3] : 255);
        return;
    }
    bool is_transparent = kind->transparent;
    for (unsigned c = 0; c < channels; c++) {
        is_transparent = is_transparent && samples[c] == transparent_sample;
        samples[c] = kind->depth == 16 ? samples[c] >> 8 : samples[c] * 255 / largest;
    }
    if (channels == 2 || channels == 4)
        alpha = samples[channels - 1];
    if (is_transparent)
        alpha = 0;
    for (unsigned c = 0; c < 3; c++)
        rgb[c] = over_white(samples[channels < 3 ? 0 : c], alpha);
}

static const struct heed_image_limits no_limits;

struct decoded {
    enum heed_status status;
    struct heed_error error;
    struct heed_image_info info;
    struct heed_image image;
    void *block;
};

static struct decoded decode_until(const struct heed_stop *stop, const uint8_t *bytes, size_t size)
{
    struct decoded d = { 0 };
    uint8_t *const copy = malloc(size ? size : 1); /* so that a sanitizer sees a read past the end */
    memcpy(copy, bytes, size);
    d.status = heed_image_probe(copy, size, &no_limits, &d.info, &d.error);
    if (d.status == HEED_OK) {
        struct heed_arena arena;
        heed_arena_init_counting(&arena);
        assert_int_equal(heed_image_decode(NULL, 0, &d.info, NULL, &arena, &d.image, &d.error), HEED_OK);
        d.block = aligned_alloc(HEED_ALIGN, arena.peak);
        heed_arena_init(&arena, d.block, arena.peak);
        d.status = heed_image_decode(copy, size, &d.info, stop, &arena, &d.image, &d.error);
        heed_arena_deinit(&arena);
    }
    free(copy);
    return d;
}

static struct decoded decode(const uint8_t *bytes, size_t size)
{
    return decode_until(NULL, bytes, size);
}

static void every_colour_type_depth_transparency_and_interlacing_decodes(void **state)
{
    (void)state;
    static const struct {
        uint8_t color_type, depths[6];
        bool may_be_transparent;
    } types[] = { { SPNG_COLOR_TYPE_GRAYSCALE, { 1, 2, 4, 8, 16 }, true },
                  { SPNG_COLOR_TYPE_TRUECOLOR, { 8, 16 }, true },
                  { SPNG_COLOR_TYPE_INDEXED, { 1, 2, 4, 8 }, true },
                  { SPNG_COLOR_TYPE_GRAYSCALE_ALPHA, { 8, 16 }, false },
                  { SPNG_COLOR_TYPE_TRUECOLOR_ALPHA, { 8, 16 }, false } };
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (const uint8_t *depth = types[t].depths; *depth; depth++)
            for (int variant = 0; variant < (types[t].may_be_transparent ? 4 : 2); variant++) {
                const struct kind kind = { types[t].color_type, *depth, variant & 1, variant & 2 };
                struct bytes png = make_png(&kind);
                struct decoded d = decode(png.data, png.size);
                if (d.status != HEED_OK)
                    fail_msg("type %d depth %d: %s", kind.color_type, kind.depth, d.error.text);
                assert_int_equal(d.image.width, W);
                assert_int_equal(d.image.height, H);
                for (uint32_t y = 0; y < H; y++)
                    for (uint32_t x = 0; x < W; x++) {
                        uint8_t wanted[3];
                        const uint8_t *const found = d.image.rgb + 3 * (y * W + x);
                        wanted_pixel(&kind, x, y, wanted);
                        if (memcmp(found, wanted, 3) != 0)
                            fail_msg("type %d depth %d variant %d at %u, %u: %d %d %d, wanted %d %d %d",
                                     kind.color_type, kind.depth, variant, x, y, found[0], found[1], found[2],
                                     wanted[0], wanted[1], wanted[2]);
                    }
                free(d.block);
                free(png.data);
            }
}

enum { HEADER_END = 8 + 25, END_CHUNK = 12 };

/* Another chunk at `at`. */
static struct bytes with_chunk(struct bytes png, size_t at, const char *type, const void *data, uint32_t size)
{
    struct bytes longer = { malloc(png.size + size + 12), png.size + size + 12 };
    uint8_t *const chunk = longer.data + at;
    memcpy(longer.data, png.data, at);
    png_put_big_endian(chunk, size);
    memcpy(chunk + 4, type, 4);
    memcpy(chunk + 8, data, size);
    png_put_big_endian(chunk + 8 + size, png_checksum(chunk + 4, size + 4));
    memcpy(chunk + 12 + size, png.data + at, png.size - at);
    free(png.data);
    return longer;
}

static void an_exif_chunk_turns_the_picture(void **state)
{
    (void)state;
    const char tiff[] = { 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0 };
    const struct kind kind = { SPNG_COLOR_TYPE_TRUECOLOR, 8, false, false };
    for (int behind = 0; behind < 2; behind++) { /* the pixels */
        struct bytes png = make_png(&kind);
        png = with_chunk(png, behind ? png.size - END_CHUNK : HEADER_END, "eXIf", tiff, sizeof tiff);
        struct decoded d = decode(png.data, png.size);
        assert_int_equal(d.status, HEED_OK);
        assert_int_equal(d.image.width, H);
        assert_int_equal(d.image.height, W);
        uint8_t wanted[3];
        wanted_pixel(&kind, 3, 2, wanted);
        assert_memory_equal(d.image.rgb + 3 * (3 * H + (H - 1 - 2)), wanted, 3);
        free(d.block);
        free(png.data);
    }
}

static void a_file_cut_or_damaged_anywhere_is_refused_with_a_reason(void **state)
{
    (void)state;
    const struct kind kinds[] = { { SPNG_COLOR_TYPE_TRUECOLOR_ALPHA, 8, false, false },
                                  { SPNG_COLOR_TYPE_INDEXED, 4, true, true } };
    for (size_t k = 0; k < 2; k++) {
        struct bytes png = make_png(&kinds[k]);
        const size_t meaningful = png.size - 4; /* the end chunk is empty: nothing depends on its checksum */
        for (size_t size = 0; size < meaningful; size++) {
            struct decoded d = decode(png.data, size);
            assert_int_equal(d.status, size < 8 ? HEED_NOT_AN_IMAGE : HEED_BAD_IMAGE);
            assert_true(strlen(d.error.text) > 10);
            free(d.block);
        }
        for (size_t at = 8; at < meaningful; at++) {
            png.data[at] ^= 0x10;
            struct decoded d = decode(png.data, png.size);
            if (d.status != HEED_BAD_IMAGE)
                fail_msg("byte %zu of %zu was damaged: %s", at, png.size, heed_status_text(d.status));
            free(d.block);
            png.data[at] ^= 0x10;
        }
        free(png.data);
    }
}

static void bytes_after_the_end_are_harmless(void **state)
{
    (void)state;
    const struct kind kind = { SPNG_COLOR_TYPE_GRAYSCALE, 8, false, false };
    struct bytes png = make_png(&kind);
    png.data = realloc(png.data, png.size + 100);
    memset(png.data + png.size, 0x5a, 100);
    struct decoded d = decode(png.data, png.size + 100);
    assert_int_equal(d.status, HEED_OK);
    free(d.block);
    free(png.data);
}

static void pixel_limit_is_refused_from_the_header(void **state)
{
    (void)state;
    const struct kind kind = { SPNG_COLOR_TYPE_GRAYSCALE, 1, false, false };
    struct bytes png = make_png(&kind);
    struct heed_image_info info;
    struct heed_error error;
    const struct heed_image_limits limits = { .pixels_max = W * H - 1 };
    assert_int_equal(heed_image_probe(png.data, png.size, &limits, &info, &error), HEED_TOO_LARGE);
    free(png.data);
}

/* Two rows as the file has them, and where it is interlaced one as it comes out: the rest is small. */
static void the_codec_s_rows_are_told(void **state)
{
    (void)state;
    static const struct {
        struct kind kind;
        uint64_t bytes;
    } cases[] = { { { SPNG_COLOR_TYPE_GRAYSCALE, 1, false, false }, 2 * ((W + 7) / 8) },
                  { { SPNG_COLOR_TYPE_TRUECOLOR, 8, false, false }, 2 * 3 * W },
                  { { SPNG_COLOR_TYPE_TRUECOLOR, 8, true, false }, 2 * 3 * W + 4 * W },
                  { { SPNG_COLOR_TYPE_INDEXED, 4, false, false }, 2 * ((W + 1) / 2) },
                  { { SPNG_COLOR_TYPE_TRUECOLOR_ALPHA, 16, false, false }, 2 * 8 * W } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes png = make_png(&cases[i].kind);
        struct heed_image_info info;
        struct heed_error error;
        assert_int_equal(heed_image_probe(png.data, png.size, &no_limits, &info, &error), HEED_OK);
        assert_int_equal(info.codec_bytes, cases[i].bytes);
        free(png.data);
    }
}

static void chunks_beside_the_pixels_are_read_up_to_a_limit(void **state)
{
    (void)state;
    const struct kind kind = { SPNG_COLOR_TYPE_TRUECOLOR, 8, false, false };
    const uint32_t sizes[] = { 1 << 20, 9 << 20 };
    for (int i = 0; i < 2; i++) {
        char *const text = malloc(sizes[i]);
        memset(text, 'a', sizes[i]);
        text[3] = '\0'; /* the end of its keyword */
        struct bytes png = with_chunk(make_png(&kind), HEADER_END, "tEXt", text, sizes[i]);
        free(text);
        struct decoded d = decode(png.data, png.size);
        assert_int_equal(d.status, i == 0 ? HEED_OK : HEED_BAD_IMAGE);
        free(d.block);
        free(png.data);
    }
}

static void encoded_rgb_decodes_to_the_same_bytes(void **state)
{
    (void)state;
    uint8_t rgb[W * H * 3];
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)(i * 2654435761u >> 8);
    const struct heed_image image = { .rgb = rgb, .width = W, .height = H };
    struct bytes png;
    struct heed_error error;
    const struct heed_image none = { .rgb = rgb, .width = W };
    assert_int_equal(heed_image_encode_png(&none, NULL, &png.data, &png.size, &error), HEED_BAD_ARGUMENT);
    assert_int_equal(heed_image_encode_png(&image, NULL, &png.data, &png.size, &error), HEED_OK);
    struct decoded d = decode(png.data, png.size);
    assert_int_equal(d.status, HEED_OK);
    assert_memory_equal(d.image.rgb, rgb, sizeof rgb);
    free(d.block);
    free(png.data);
}

static void encoded_bits_are_a_png_of_depth_one(void **state)
{
    (void)state;
    uint8_t rows[H * ((W + 7) / 8)];
    for (size_t i = 0; i < sizeof rows; i++)
        rows[i] = (uint8_t)(i * 40503u >> 4);
    struct bytes png;
    struct heed_error error;
    assert_int_equal(heed_png_encode(rows, W, H, HEED_PNG_BITS, NULL, &png.data, &png.size, &error), HEED_OK);
    assert_int_equal(png.data[24], 1); /* IHDR's depth */
    assert_int_equal(png.data[25], SPNG_COLOR_TYPE_GRAYSCALE);
    struct decoded d = decode(png.data, png.size);
    assert_int_equal(d.status, HEED_OK);
    for (uint32_t y = 0; y < H; y++)
        for (uint32_t x = 0; x < W; x++)
            assert_int_equal(d.image.rgb[3 * (y * W + x)], rows[y * 3 + x / 8] >> (7 - x % 8) & 1 ? 255 : 0);
    free(d.block);
    free(png.data);
}

/* Too narrow for a look at the clock with every row, and wide enough for many. */
static void reading_and_writing_stop_between_two_rows(void **state)
{
    (void)state;
    const atomic_bool cancel = true;
    const struct heed_stop late = { .deadline_ns = 1 }, left = { .cancel = &cancel };
    const uint32_t sizes[][2] = { { 1, 100000 }, { 700, 300 } };
    for (int i = 0; i < 2; i++) {
        const uint32_t width = sizes[i][0], height = sizes[i][1];
        const struct heed_image image = { .rgb = calloc(height, (size_t)width * 3), .width = width, .height = height };
        struct bytes png;
        struct heed_error error;
        assert_int_equal(heed_image_encode_png(&image, &late, &png.data, &png.size, &error), HEED_DEADLINE);
        assert_int_equal(heed_image_encode_png(&image, &left, &png.data, &png.size, &error), HEED_CANCELLED);
        assert_int_equal(heed_image_encode_png(&image, NULL, &png.data, &png.size, &error), HEED_OK);
        struct decoded d = decode_until(&late, png.data, png.size);
        assert_int_equal(d.status, HEED_DEADLINE);
        free(d.block);
        d = decode_until(&left, png.data, png.size);
        assert_int_equal(d.status, HEED_CANCELLED);
        free(d.block);
        free(png.data);
        free(image.rgb);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_colour_type_depth_transparency_and_interlacing_decodes),
        cmocka_unit_test(an_exif_chunk_turns_the_picture),
        cmocka_unit_test(a_file_cut_or_damaged_anywhere_is_refused_with_a_reason),
        cmocka_unit_test(bytes_after_the_end_are_harmless),
        cmocka_unit_test(pixel_limit_is_refused_from_the_header),
        cmocka_unit_test(the_codec_s_rows_are_told),
        cmocka_unit_test(chunks_beside_the_pixels_are_read_up_to_a_limit),
        cmocka_unit_test(encoded_rgb_decodes_to_the_same_bytes),
        cmocka_unit_test(reading_and_writing_stop_between_two_rows),
        cmocka_unit_test(encoded_bits_are_a_png_of_depth_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
