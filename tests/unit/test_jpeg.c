/* JPEG in and out, on files made here by TurboJPEG itself. */
#include "base/arena.h"
#include "image/codec.h"
#include "image/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <turbojpeg.h>

struct bytes {
    uint8_t *data;
    size_t size;
};

static const struct heed_image_limits no_limits;

/* Smooth, so that compression hardly changes it; no symmetry, so that every orientation differs. */
static void picture_pixel(uint32_t width, uint32_t height, uint32_t x, uint32_t y, uint8_t rgb[3])
{
    rgb[0] = (uint8_t)(40 + 180 * x / width);
    rgb[1] = (uint8_t)(30 + 200 * y / height);
    rgb[2] = (uint8_t)(200 - 90 * (x + y) / (width + height));
}

static struct bytes make_jpeg(uint32_t width, uint32_t height, int format, int sampling, int flags)
{
    const int channels = tjPixelSize[format];
    uint8_t *const pixels = malloc((size_t)width * height * (size_t)channels);
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            uint8_t rgb[3], *const to = pixels + ((size_t)y * width + x) * (size_t)channels;
            picture_pixel(width, height, x, y, rgb);
            if (format == TJPF_GRAY) {
                to[0] = rgb[0];
            } else {
                memcpy(to, rgb, 3);
                if (channels == 4)
                    to[3] = 255;
            }
        }
    unsigned char *data = NULL;
    unsigned long size = 0;
    const tjhandle codec = tjInitCompress();
    assert_int_equal(tjCompress2(codec, pixels, (int)width, 0, (int)height, format, &data, &size, sampling, 98, flags),
                     0);
    tjDestroy(codec);
    free(pixels);
    struct bytes jpeg = { .data = malloc(size), .size = size };
    memcpy(jpeg.data, data, size);
    tjFree(data);
    return jpeg;
}

/* Puts bytes into a copy at `at` and frees the original. */
static struct bytes insert(struct bytes file, size_t at, const void *data, size_t size)
{
    struct bytes longer = { .data = malloc(file.size + size), .size = file.size + size };
    memcpy(longer.data, file.data, at);
    memcpy(longer.data + at, data, size);
    memcpy(longer.data + at + size, file.data + at, file.size - at);
    free(file.data);
    return longer;
}

static struct bytes with_orientation(struct bytes file, bool little, uint8_t orientation)
{
    const uint8_t intel[] = { 0xff, 0xe1, 0,    34, 'E', 'x', 'i', 'f', 0, 0, 'I',         'I', 42, 0, 8, 0, 0, 0,
                              1,    0,    0x12, 1,  3,   0,   1,   0,   0, 0, orientation, 0,   0,  0, 0, 0, 0, 0 };
    const uint8_t motorola[] = { 0xff, 0xe1, 0, 34,   'E', 'x', 'i', 'f', 0, 0, 'M', 'M',         0, 42, 0, 0, 0, 8,
                                 0,    1,    1, 0x12, 0,   3,   0,   0,   0, 1, 0,   orientation, 0, 0,  0, 0, 0, 0 };
    return insert(file, 2, little ? intel : motorola, sizeof intel);
}

struct decoded {
    enum heed_status status;
    struct heed_error error;
    struct heed_image_info info;
    struct heed_image image;
    void *block;
};

/* Probes, plans, decodes within exactly what was planned; smaller, where that still is at least this size. */
static struct decoded decode_at_least(const uint8_t *bytes, size_t size, size_t width, size_t height)
{
    struct decoded d = { 0 };
    /* A copy of its own, so that a sanitizer sees a read past the end. */
    uint8_t *const copy = malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    d.status = heed_image_probe(copy, size, &no_limits, &d.info, &d.error);
    if (d.status == HEED_OK) {
        d.info = heed_image_shrunk(&d.info, width, height);
        struct heed_arena arena;
        heed_arena_init_counting(&arena);
        assert_int_equal(heed_image_decode(NULL, 0, &d.info, NULL, &arena, &d.image, &d.error), HEED_OK);
        const size_t planned = (arena.peak + HEED_ALIGN - 1) / HEED_ALIGN * HEED_ALIGN;
        d.block = aligned_alloc(HEED_ALIGN, planned);
        heed_arena_init(&arena, d.block, planned);
        d.status = heed_image_decode(copy, size, &d.info, NULL, &arena, &d.image, &d.error);
        heed_arena_deinit(&arena);
    }
    free(copy);
    return d;
}

static struct decoded decode(const uint8_t *bytes, size_t size)
{
    return decode_at_least(bytes, size, UINT32_MAX, UINT32_MAX);
}

static void assert_decodes_as(const struct bytes *jpeg, enum heed_status wanted)
{
    struct decoded d = decode(jpeg->data, jpeg->size);
    assert_int_equal(d.status, wanted);
    free(d.block);
}

static void assert_near(const uint8_t *a, const uint8_t *b, int tolerance)
{
    for (int c = 0; c < 3; c++)
        if (abs(a[c] - b[c]) > tolerance)
            fail_msg("found %d %d %d, wanted %d %d %d", a[0], a[1], a[2], b[0], b[1], b[2]);
}

static void assert_decoded(const struct decoded *decoded, uint32_t width, uint32_t height, int tolerance)
{
    const struct decoded d = *decoded;
    if (d.status != HEED_OK)
        fail_msg("%s", d.error.text);
    assert_int_equal(d.image.width, width);
    assert_int_equal(d.image.height, height);
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            uint8_t wanted[3];
            picture_pixel(width, height, x, y, wanted);
            assert_near(d.image.rgb + 3 * ((size_t)y * width + x), wanted, tolerance);
        }
    free(d.block);
}

static void assert_shows_picture(struct bytes jpeg, uint32_t width, uint32_t height, int tolerance)
{
    const struct decoded d = decode(jpeg.data, jpeg.size);
    assert_decoded(&d, width, height, tolerance);
}

static void odd_sizes_and_samplings_decode_baseline_and_progressive(void **state)
{
    (void)state;
    const uint32_t sizes[][2] = { { 1, 1 }, { 1, 40 }, { 33, 1 }, { 7, 5 }, { 16, 16 }, { 61, 47 } };
    const int samplings[] = { TJSAMP_444, TJSAMP_422, TJSAMP_420, TJSAMP_440, TJSAMP_411 };
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t i = 0; i < sizeof samplings / sizeof *samplings; i++)
            for (int progressive = 0; progressive < 2; progressive++) {
                struct bytes jpeg =
                    make_jpeg(sizes[s][0], sizes[s][1], TJPF_RGB, samplings[i], progressive ? TJFLAG_PROGRESSIVE : 0);
                assert_shows_picture(jpeg, sizes[s][0], sizes[s][1], samplings[i] == TJSAMP_444 ? 4 : 40);
                free(jpeg.data);
            }
}

static void a_large_picture_is_decoded_at_a_half_a_quarter_or_an_eighth(void **state)
{
    (void)state;
    const uint32_t cases[][4] = { /* at least, decoded */
                                  { 206, 100, 411, 203 }, { 205, 101, 206, 102 }, { 206, 101, 411, 203 },
                                  { 103, 50, 206, 102 },  { 102, 50, 103, 51 },   { 51, 25, 52, 26 },
                                  { 10, 10, 52, 26 },     { 51, 99, 206, 102 }
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int kind = 0; kind < 4; kind++) {
            const int sampling = kind & 1 ? TJSAMP_420 : TJSAMP_444, flags = kind & 2 ? TJFLAG_PROGRESSIVE : 0;
            struct bytes jpeg = make_jpeg(411, 203, TJPF_RGB, sampling, flags);
            const struct decoded d = decode_at_least(jpeg.data, jpeg.size, cases[i][0], cases[i][1]);
            assert_decoded(&d, cases[i][2], cases[i][3], kind & 1 ? 40 : 12);
            free(jpeg.data);
        }
}

static void what_lies_is_as_small_as_a_person_needs_it(void **state)
{
    (void)state;
    struct bytes jpeg = with_orientation(make_jpeg(400, 200, TJPF_RGB, TJSAMP_444, 0), true, 6);
    struct decoded d = decode_at_least(jpeg.data, jpeg.size, 100, 200);
    assert_int_equal(d.status, HEED_OK);
    assert_int_equal(d.image.width, 100);
    assert_int_equal(d.image.height, 200);
    free(d.block);
    d = decode_at_least(jpeg.data, jpeg.size, 200, 100);
    assert_int_equal(d.image.width, 200);
    free(d.block);
    free(jpeg.data);
}

static void grey_becomes_three_equal_channels(void **state)
{
    (void)state;
    struct bytes jpeg = make_jpeg(31, 9, TJPF_GRAY, TJSAMP_GRAY, 0);
    struct decoded d = decode(jpeg.data, jpeg.size);
    assert_int_equal(d.status, HEED_OK);
    for (uint32_t i = 0; i < 31 * 9; i++) {
        uint8_t wanted[3];
        picture_pixel(31, 9, i % 31, i / 31, wanted);
        wanted[1] = wanted[2] = wanted[0];
        assert_near(d.image.rgb + 3 * i, wanted, 3);
    }
    free(d.block);
    free(jpeg.data);
}

/* A CMYK file with its black channel full of light shows the other three as they are. */
static void ycck_becomes_rgb(void **state)
{
    (void)state;
    for (int progressive = 0; progressive < 2; progressive++) {
        struct bytes jpeg = make_jpeg(37, 21, TJPF_CMYK, TJSAMP_444, progressive ? TJFLAG_PROGRESSIVE : 0);
        assert_shows_picture(jpeg, 37, 21, 4);
        free(jpeg.data);
    }
}

static size_t find_adobe_transform(const struct bytes *jpeg)
{
    for (size_t i = 0; i + 12 < jpeg->size; i++)
        if (memcmp(jpeg->data + i, "Adobe", 5) == 0)
            return i + 11;
    fail_msg("no Adobe marker");
    return 0;
}

/* The same file marked as plain CMYK: its channels are now the transformed ones, taken as they are. */
static void cmyk_without_transform_becomes_rgb(void **state)
{
    (void)state;
    struct bytes jpeg = make_jpeg(24, 24, TJPF_CMYK, TJSAMP_444, 0);
    jpeg.data[find_adobe_transform(&jpeg)] = 0;
    struct decoded d = decode(jpeg.data, jpeg.size);
    assert_int_equal(d.status, HEED_OK);
    uint8_t inks[3], wanted[3];
    picture_pixel(24, 24, 12, 12, inks);
    /* YCCK holds the luminance and colours of the inverse of the inks. */
    const double r = 255 - inks[0], g = 255 - inks[1], b = 255 - inks[2];
    wanted[0] = (uint8_t)(0.299 * r + 0.587 * g + 0.114 * b + 0.5);
    wanted[1] = (uint8_t)(128 - 0.168736 * r - 0.331264 * g + 0.5 * b + 0.5);
    wanted[2] = (uint8_t)(128 + 0.5 * r - 0.418688 * g - 0.081312 * b + 0.5);
    assert_near(d.image.rgb + 3 * (12 * 24 + 12), wanted, 4);
    free(d.block);
    free(jpeg.data);
}

static void every_orientation_is_applied_in_both_byte_orders(void **state)
{
    (void)state;
    enum { W = 40, H = 27 };
    for (uint8_t orientation = 1; orientation <= 8; orientation++)
        for (int little = 0; little < 2; little++) {
            struct bytes jpeg = with_orientation(make_jpeg(W, H, TJPF_RGB, TJSAMP_444, 0), little, orientation);
            struct decoded d = decode(jpeg.data, jpeg.size);
            assert_int_equal(d.status, HEED_OK);
            assert_int_equal(d.info.orientation, orientation);
            assert_int_equal(d.info.stored_width, W);
            assert_int_equal(d.image.width, orientation > 4 ? H : W);
            assert_int_equal(d.image.height, orientation > 4 ? W : H);
            for (uint32_t sy = 0; sy < H; sy++)
                for (uint32_t sx = 0; sx < W; sx++) {
                    /* EXIF: where the stored row 0 and column 0 are seen. */
                    uint32_t x, y;
                    switch (orientation) {
                    case 1:
                        x = sx, y = sy;
                        break; /* top, left */
                    case 2:
                        x = W - 1 - sx, y = sy;
                        break; /* top, right */
                    case 3:
                        x = W - 1 - sx, y = H - 1 - sy;
                        break; /* bottom, right */
                    case 4:
                        x = sx, y = H - 1 - sy;
                        break; /* bottom, left */
                    case 5:
                        x = sy, y = sx;
                        break; /* left, top */
                    case 6:
                        x = H - 1 - sy, y = sx;
                        break; /* right, top */
                    case 7:
                        x = H - 1 - sy, y = W - 1 - sx;
                        break; /* right, bottom */
                    default:
                        x = sy, y = W - 1 - sx;
                        break; /* left, bottom */
                    }
                    uint8_t wanted[3];
                    picture_pixel(W, H, sx, sy, wanted);
                    assert_near(d.image.rgb + 3 * (y * d.image.width + x), wanted, 4);
                }
            free(d.block);
            free(jpeg.data);
        }
}

static void exif_that_cannot_be_believed_means_upright(void **state)
{
    (void)state;
    uint8_t good[] = { 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0 };
    assert_int_equal(heed_exif_orientation(good, sizeof good), 6);
    for (size_t size = 0; size < sizeof good; size++) {
        uint8_t *const cut = malloc(size ? size : 1);
        memcpy(cut, good, size);
        assert_int_equal(heed_exif_orientation(cut, size), 1);
        free(cut);
    }
    const struct {
        size_t at;
        uint8_t value;
    } lies[] = { { 0, 'M' }, { 2, 43 }, { 4, 200 }, { 7, 255 }, { 12, 4 }, { 18, 0 }, { 18, 9 }, { 19, 1 } };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        uint8_t bad[sizeof good];
        memcpy(bad, good, sizeof good);
        bad[lies[i].at] = lies[i].value;
        assert_int_equal(heed_exif_orientation(bad, sizeof bad), 1);
    }
    srand(1);
    for (int i = 0; i < 20000; i++) {
        uint8_t noise[sizeof good];
        memcpy(noise, good, sizeof good);
        for (int j = 0; j < 3; j++)
            noise[(size_t)rand() % sizeof noise] = (uint8_t)rand();
        const uint8_t orientation = heed_exif_orientation(noise, sizeof noise);
        assert_in_range(orientation, 1, 8);
    }
}

static void a_file_cut_anywhere_is_refused_with_a_reason(void **state)
{
    (void)state;
    for (int progressive = 0; progressive < 2; progressive++) {
        struct bytes jpeg = make_jpeg(40, 30, TJPF_RGB, TJSAMP_420, progressive ? TJFLAG_PROGRESSIVE : 0);
        for (size_t size = 0; size < jpeg.size; size++) {
            struct decoded d = decode(jpeg.data, size);
            assert_int_equal(d.status, size < 3 ? HEED_NOT_AN_IMAGE : HEED_BAD_IMAGE);
            assert_true(strlen(d.error.text) > 10);
            free(d.block);
        }
        free(jpeg.data);
    }
}

static void damaged_bytes_never_do_harm(void **state)
{
    (void)state;
    srand(2);
    struct bytes files[] = { make_jpeg(40, 30, TJPF_RGB, TJSAMP_420, 0),
                             make_jpeg(40, 30, TJPF_RGB, TJSAMP_444, TJFLAG_PROGRESSIVE),
                             with_orientation(make_jpeg(9, 30, TJPF_CMYK, TJSAMP_422, 0), true, 8) };
    for (int i = 0; i < 3000; i++) {
        const struct bytes *const file = &files[i % 3];
        uint8_t *const damaged = malloc(file->size);
        memcpy(damaged, file->data, file->size);
        for (int j = 0; j <= i % 4; j++)
            damaged[2 + (size_t)rand() % (file->size - 2)] = (uint8_t)rand();
        struct heed_image_info info;
        struct heed_error error;
        const struct heed_image_limits limits = { .pixels_max = 1 << 16, .scans_max = 20 };
        if (heed_image_probe(damaged, file->size, &limits, &info, &error) == HEED_OK) {
            struct decoded d = decode(damaged, file->size);
            free(d.block);
        }
        free(damaged);
    }
    for (int i = 0; i < 3; i++)
        free(files[i].data);
}

static void bytes_after_the_end_are_harmless(void **state)
{
    (void)state;
    struct bytes jpeg = make_jpeg(20, 20, TJPF_RGB, TJSAMP_444, 0);
    jpeg = insert(jpeg, jpeg.size, "\0\0\0 a camera's own block \xff\xd8\xff", 26);
    assert_shows_picture(jpeg, 20, 20, 4);
    free(jpeg.data);
}

static void stray_bytes_before_the_end_marker_are_harmless(void **state)
{
    (void)state;
    for (int progressive = 0; progressive < 2; progressive++) {
        struct bytes jpeg = make_jpeg(20, 20, TJPF_RGB, TJSAMP_444, progressive ? TJFLAG_PROGRESSIVE : 0);
        jpeg = insert(jpeg, jpeg.size - 2, "\0\0\0\0\0\0\0\0", 8);
        assert_shows_picture(jpeg, 20, 20, 4);
        free(jpeg.data);
    }
}

/* Where the n-th marker of its kind stands, from 0. */
static size_t find_marker(const struct bytes *jpeg, uint8_t marker, size_t n)
{
    for (size_t i = 0; i + 1 < jpeg->size; i++)
        if (jpeg->data[i] == 0xff && jpeg->data[i + 1] == marker && n-- == 0)
            return i;
    fail_msg("no marker %02x", marker);
    return 0;
}

enum { SOF0 = 0xc0, RST0 = 0xd0, SOS = 0xda, DQT = 0xdb, DRI = 0xdd };

/* Of a restart interval of one square in a picture of `width` x `height`: what is cut between two intervals ends with
 * no other complaint than stray bytes do. */
static struct bytes make_restarting(uint32_t width, uint32_t height, int format, int sampling, int flags)
{
    struct bytes jpeg = { 0 };
    assert_int_equal(setenv("TJ_RESTART", "1B", 1), 0);
    jpeg = make_jpeg(width, height, format, sampling, flags);
    assert_int_equal(unsetenv("TJ_RESTART"), 0);
    find_marker(&jpeg, DRI, 0);
    return jpeg;
}

static struct bytes cut_at(struct bytes jpeg, size_t at)
{
    jpeg.size = at;
    return insert(jpeg, at, "\x55\x55\xff\xd9", 4);
}

static void stray_bytes_are_harmless_only_where_no_restart_is_missing(void **state)
{
    (void)state;
    const struct {
        uint32_t width, height;
        int format, sampling;
    } cases[] = { { 64, 48, TJPF_RGB, TJSAMP_444 },
                  { 65, 33, TJPF_RGB, TJSAMP_420 },
                  { 40, 17, TJPF_GRAY, TJSAMP_GRAY } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes jpeg = make_restarting(cases[i].width, cases[i].height, cases[i].format, cases[i].sampling, 0);
        jpeg = cut_at(jpeg, jpeg.size - 2);
        assert_decodes_as(&jpeg, HEED_OK);
        for (size_t n = 0; n < 6; n++) {
            struct bytes cut = make_restarting(cases[i].width, cases[i].height, cases[i].format, cases[i].sampling, 0);
            cut = cut_at(cut, find_marker(&cut, (uint8_t)(RST0 + n), 0));
            assert_decodes_as(&cut, HEED_BAD_IMAGE);
            free(cut.data);
        }
        free(jpeg.data);
    }
    struct bytes jpeg = make_restarting(64, 48, TJPF_RGB, TJSAMP_444, TJFLAG_PROGRESSIVE);
    jpeg = cut_at(jpeg, jpeg.size - 8);
    assert_decodes_as(&jpeg, HEED_BAD_IMAGE);
    free(jpeg.data);
}

static void every_component_must_be_in_some_scan(void **state)
{
    (void)state;
    struct bytes jpeg = make_jpeg(64, 48, TJPF_RGB, TJSAMP_444, TJFLAG_PROGRESSIVE);
    /* The first scan says that it is of all three; made to be the first's alone, its data mean something else. */
    const size_t first = find_marker(&jpeg, SOS, 0), second = find_marker(&jpeg, SOS, 1);
    const uint8_t alone[] = { 0xff, SOS, 0, 8, 1, jpeg.data[first + 5], 0, 0, 0, 1 };
    struct bytes cut = { .data = malloc(second), .size = first };
    memcpy(cut.data, jpeg.data, second);
    cut = insert(cut, first, alone, sizeof alone);
    cut = insert(cut, cut.size, jpeg.data + first + 14, second - first - 14);
    cut = insert(cut, cut.size, "\xff\xd9", 2);
    struct heed_image_info info;
    struct heed_error error;
    assert_int_equal(heed_image_probe(cut.data, cut.size, &no_limits, &info, &error), HEED_BAD_IMAGE);
    assert_string_equal(error.text, "JPEG has no scan of some of its components");
    free(cut.data);
    free(jpeg.data);
}

static void limits_are_refused_from_the_header_and_named(void **state)
{
    (void)state;
    struct bytes jpeg = make_jpeg(64, 48, TJPF_RGB, TJSAMP_420, TJFLAG_PROGRESSIVE);
    struct heed_image_info info;
    struct heed_error error;
    struct heed_image_limits limits = { .bytes_max = jpeg.size, .pixels_max = 64 * 48, .scans_max = 100 };
    assert_int_equal(heed_image_probe(jpeg.data, jpeg.size, &limits, &info, &error), HEED_OK);

    limits.bytes_max--;
    assert_int_equal(heed_image_probe(jpeg.data, jpeg.size, &limits, &info, &error), HEED_TOO_LARGE);
    limits.bytes_max = 0;

    limits.pixels_max--;
    assert_int_equal(heed_image_probe(jpeg.data, jpeg.size, &limits, &info, &error), HEED_TOO_LARGE);
    assert_string_equal(error.text, "image is 64 x 48, limit is 3071 pixels");
    limits.pixels_max = 0;

    limits.scans_max = 2;
    assert_int_equal(heed_image_probe(jpeg.data, jpeg.size, &limits, &info, &error), HEED_TOO_LARGE);
    assert_string_equal(error.text, "JPEG has more than 2 scans, the limit");
    free(jpeg.data);
}

static void assert_has_more_than_three_scans(const struct bytes *jpeg)
{
    struct heed_image_info info;
    struct heed_error error;
    const struct heed_image_limits limits = { .scans_max = 3 };
    assert_int_equal(heed_image_probe(jpeg->data, jpeg->size, &limits, &info, &error), HEED_TOO_LARGE);
}

/* libjpeg takes a length below 2 as 2 and goes on, and so does the count. */
static void no_segment_hides_the_scans_behind_it(void **state)
{
    (void)state;
    const char *const lengths[] = { "\xff\xe2\0\0", "\xff\xe0\0\1", "\xff\xfe\0\1", "\xff\xdc\0\0" };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct bytes jpeg = make_jpeg(64, 48, TJPF_RGB, TJSAMP_444, TJFLAG_PROGRESSIVE);
        jpeg = insert(jpeg, find_marker(&jpeg, SOS, 1), lengths[i], 4);
        assert_shows_picture(jpeg, 64, 48, 4);
        assert_has_more_than_three_scans(&jpeg);
        free(jpeg.data);
    }
}

/* Where it looks for a lost restart marker libjpeg passes over a reserved one, whatever its length would be. */
static void no_reserved_marker_hides_the_scans_behind_it(void **state)
{
    (void)state;
    struct bytes jpeg = make_jpeg(64, 48, TJPF_RGB, TJSAMP_444, TJFLAG_PROGRESSIVE);
    const size_t second = find_marker(&jpeg, SOS, 1);
    const uint8_t reserved[] = { 0xff, 0x02, (uint8_t)((jpeg.size - second) >> 8), (uint8_t)(jpeg.size - second) };
    jpeg = insert(jpeg, second, reserved, sizeof reserved);
    assert_has_more_than_three_scans(&jpeg);
    free(jpeg.data);
}

/* A grey picture as the three components of one, each in a scan of its own, the last `repeated` times more. */
static struct bytes make_scans(unsigned repeated)
{
    struct bytes jpeg = make_jpeg(8, 8, TJPF_GRAY, TJSAMP_GRAY, 0);
    const size_t frame = find_marker(&jpeg, SOF0, 0);
    jpeg.data[frame + 3] += 6;
    jpeg.data[frame + 9] = 3;
    jpeg = insert(jpeg, frame + 13, "\2\x11\0\3\x11\0", 6);
    const size_t at = find_marker(&jpeg, SOS, 0), size = jpeg.size - 2 - at;
    uint8_t scan[256];
    assert_true(size <= sizeof scan);
    memcpy(scan, jpeg.data + at, size);
    for (unsigned i = 0; i < 2 + repeated; i++) {
        scan[5] = i == 0 ? 2 : 3;
        jpeg = insert(jpeg, jpeg.size - 2, scan, size);
    }
    return jpeg;
}

static void the_codec_has_a_limit_of_scans_of_its_own(void **state)
{
    (void)state;
    struct bytes jpeg = make_scans(500);
    struct decoded d = decode(jpeg.data, jpeg.size);
    assert_int_equal(d.status, HEED_BAD_IMAGE);
    assert_non_null(strstr(d.error.text, "500 scans"));
    free(d.block);
    free(jpeg.data);
    jpeg = make_scans(400);
    assert_decodes_as(&jpeg, HEED_OK);
    free(jpeg.data);
}

/* What cameras and programs write that costs no pixel. */
static void oddities_that_cost_no_pixel_are_read(void **state)
{
    (void)state;
    struct bytes plain = make_jpeg(64, 48, TJPF_RGB, TJSAMP_420, 0);
    struct decoded wanted = decode(plain.data, plain.size);
    assert_int_equal(wanted.status, HEED_OK);
    const size_t parameters = find_marker(&plain, SOS, 0) + 11, version = 11;
    const struct {
        size_t at;
        uint8_t from, to;
    } changes[] = { { parameters, 0, 1 },
                    { parameters + 1, 63, 0 },
                    { parameters + 1, 63, 64 },
                    { parameters + 2, 0, 1 },
                    { version, 1, 2 } };
    for (size_t i = 0; i <= sizeof changes / sizeof *changes; i++) {
        struct bytes odd = insert((struct bytes){ memcpy(malloc(plain.size), plain.data, plain.size), plain.size },
                                  find_marker(&plain, DQT, 0), "\0\x55", i == 0 ? 2 : 0);
        if (i > 0) {
            assert_int_equal(odd.data[changes[i - 1].at], changes[i - 1].from);
            odd.data[changes[i - 1].at] = changes[i - 1].to;
        }
        struct decoded d = decode(odd.data, odd.size);
        if (d.status != HEED_OK)
            fail_msg("oddity %zu: %s", i, d.error.text);
        assert_memory_equal(d.image.rgb, wanted.image.rgb, 64 * 48 * 3);
        free(d.block);
        odd.size -= 40; /* real damage behind it is still seen */
        assert_decodes_as(&odd, HEED_BAD_IMAGE);
        free(odd.data);
    }
    free(wanted.block);
    free(plain.data);
}

static void decoding_and_encoding_stop_when_told_to(void **state)
{
    (void)state;
    struct bytes jpeg = make_jpeg(640, 480, TJPF_RGB, TJSAMP_420, TJFLAG_PROGRESSIVE);
    const atomic_bool cancel = true;
    const struct heed_stop stops[] = { { .cancel = &cancel }, { .deadline_ns = 1 } };
    const enum heed_status wanted[] = { HEED_CANCELLED, HEED_DEADLINE };
    uint8_t *const pixels = calloc(640 * 480, 4);
    for (size_t i = 0; i < 2; i++) {
        struct heed_error error;
        assert_int_equal(heed_jpeg_decode(jpeg.data, jpeg.size, 640, 480, pixels, &stops[i], &error), wanted[i]);
    }
    const struct heed_image image = { .rgb = pixels, .width = 640, .height = 480 };
    for (size_t i = 0; i < 2; i++) {
        struct heed_error error;
        uint8_t *written;
        size_t size;
        assert_int_equal(heed_image_encode_jpeg(&image, 90, &stops[i], &written, &size, &error), wanted[i]);
    }
    free(pixels);
    free(jpeg.data);
}

static void the_codec_s_own_memory_is_told_for_files_of_several_scans(void **state)
{
    (void)state;
    const struct {
        uint32_t width, height;
        int sampling;
        uint64_t blocks; /* of all components, in whole squares */
    } cases[] = { { 64, 48, TJSAMP_444, 3 * 8 * 6 }, { 65, 49, TJSAMP_420, 5 * 4 * 6 }, { 1, 1, TJSAMP_411, 6 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int progressive = 0; progressive < 2; progressive++) {
            struct bytes jpeg = make_jpeg(cases[i].width, cases[i].height, TJPF_RGB, cases[i].sampling,
                                          progressive ? TJFLAG_PROGRESSIVE : 0);
            struct heed_image_info info;
            struct heed_error error;
            assert_int_equal(heed_image_probe(jpeg.data, jpeg.size, &no_limits, &info, &error), HEED_OK);
            assert_int_equal(info.codec_bytes, progressive ? cases[i].blocks * 128 : 0);
            free(jpeg.data);
        }
}

static void other_file_types_are_named(void **state)
{
    (void)state;
    struct heed_image_info info;
    struct heed_error error;
    assert_int_equal(heed_image_probe((const uint8_t *)"GIF89a....", 10, &no_limits, &info, &error), HEED_NOT_AN_IMAGE);
    assert_string_equal(error.text, "GIF is not read; JPEG and PNG are");
    assert_int_equal(heed_image_probe((const uint8_t *)"RIFF....WEBP", 12, &no_limits, &info, &error),
                     HEED_NOT_AN_IMAGE);
    assert_int_equal(heed_image_probe((const uint8_t *)"hello", 5, &no_limits, &info, &error), HEED_NOT_AN_IMAGE);
    assert_int_equal(heed_image_probe((const uint8_t *)"", 0, &no_limits, &info, &error), HEED_NOT_AN_IMAGE);
}

static void an_encoded_picture_decodes_to_itself(void **state)
{
    (void)state;
    enum { W = 45, H = 33 };
    uint8_t rgb[W * H * 3];
    for (uint32_t i = 0; i < W * H; i++)
        picture_pixel(W, H, i % W, i / W, rgb + 3 * i);
    const struct heed_image image = { .rgb = rgb, .width = W, .height = H };
    struct bytes jpeg;
    struct heed_error error;
    assert_int_equal(heed_image_encode_jpeg(&image, 95, NULL, &jpeg.data, &jpeg.size, &error), HEED_OK);
    assert_shows_picture(jpeg, W, H, 6);
    free(jpeg.data);
    assert_int_equal(heed_image_encode_jpeg(&image, 0, NULL, &jpeg.data, &jpeg.size, &error), HEED_BAD_ARGUMENT);
    const struct heed_image none = { .rgb = rgb };
    assert_int_equal(heed_image_encode_jpeg(&none, 90, NULL, &jpeg.data, &jpeg.size, &error), HEED_BAD_ARGUMENT);
    const struct heed_image wide = { .rgb = rgb, .width = 65501, .height = 1 };
    assert_int_equal(heed_image_encode_jpeg(&wide, 90, NULL, &jpeg.data, &jpeg.size, &error), HEED_BAD_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_sizes_and_samplings_decode_baseline_and_progressive),
        cmocka_unit_test(a_large_picture_is_decoded_at_a_half_a_quarter_or_an_eighth),
        cmocka_unit_test(what_lies_is_as_small_as_a_person_needs_it),
        cmocka_unit_test(grey_becomes_three_equal_channels),
        cmocka_unit_test(ycck_becomes_rgb),
        cmocka_unit_test(cmyk_without_transform_becomes_rgb),
        cmocka_unit_test(every_orientation_is_applied_in_both_byte_orders),
        cmocka_unit_test(exif_that_cannot_be_believed_means_upright),
        cmocka_unit_test(a_file_cut_anywhere_is_refused_with_a_reason),
        cmocka_unit_test(damaged_bytes_never_do_harm),
        cmocka_unit_test(bytes_after_the_end_are_harmless),
        cmocka_unit_test(stray_bytes_before_the_end_marker_are_harmless),
        cmocka_unit_test(stray_bytes_are_harmless_only_where_no_restart_is_missing),
        cmocka_unit_test(every_component_must_be_in_some_scan),
        cmocka_unit_test(limits_are_refused_from_the_header_and_named),
        cmocka_unit_test(no_segment_hides_the_scans_behind_it),
        cmocka_unit_test(no_reserved_marker_hides_the_scans_behind_it),
        cmocka_unit_test(the_codec_has_a_limit_of_scans_of_its_own),
        cmocka_unit_test(oddities_that_cost_no_pixel_are_read),
        cmocka_unit_test(decoding_and_encoding_stop_when_told_to),
        cmocka_unit_test(the_codec_s_own_memory_is_told_for_files_of_several_scans),
        cmocka_unit_test(other_file_types_are_named),
        cmocka_unit_test(an_encoded_picture_decodes_to_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
