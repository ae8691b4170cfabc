/* Area, COCO's compressed string and its exact inverse, one-bit PNG. */
#include "base/arena.h"
#include "image/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "mask_tools.h"

/* The inverse of heed_rle_to_string, as COCO's tools read it. */
static struct heed_rle parse(const char *text, uint32_t height, uint32_t width)
{
    struct heed_rle rle = { .height = height, .width = width, .runs = malloc(strlen(text) * 4 + 4) };
    while (*text) {
        int64_t number = 0;
        int shift = 0, character;
        do {
            character = *text++ - 48;
            number |= (int64_t)(character & 31) << shift;
            shift += 5;
        } while (character & 32);
        if (character & 16)
            number -= (int64_t)1 << shift;
        if (rle.run_count > 2)
            number += rle.runs[rle.run_count - 2];
        rle.runs[rle.run_count++] = (uint32_t)number;
    }
    return rle;
}

static void assert_string_is(const uint32_t *runs, size_t count, const char *wanted)
{
    const struct heed_rle rle = { .runs = (uint32_t *)runs, .run_count = count };
    char *text;
    struct heed_error error;
    assert_int_equal(heed_rle_to_string(&rle, &text, &error), HEED_OK);
    assert_string_equal(text, wanted);
    free(text);
}

/* Written by pycocotools. */
static void strings_are_those_of_coco(void **state)
{
    (void)state;
    assert_string_is((const uint32_t[]){ 6 }, 1, "6");
    assert_string_is((const uint32_t[]){ 0, 6 }, 2, "06");
    assert_string_is((const uint32_t[]){ 0, 1, 4, 1 }, 4, "0140");
    assert_string_is((const uint32_t[]){ 10, 3, 5, 8, 1, 200, 4000, 70000, 12, 1 }, 10, ":355LP6ol3XUT2\\SLadkM");
    assert_string_is((const uint32_t[]){ 100000, 1, 99999, 2, 99998, 3 }, 6, "PeQ31odQ31O1");
}

static void a_string_read_back_gives_the_same_runs(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        const uint32_t height = 1 + mask_random() % 90, width = 1 + mask_random() % 90;
        uint8_t *const mask = mask_make(height, width);
        struct heed_rle rle = rle_of(mask, height, width);
        char *text;
        struct heed_error error;
        assert_int_equal(heed_rle_to_string(&rle, &text, &error), HEED_OK);
        struct heed_rle back = parse(text, height, width);
        assert_int_equal(back.run_count, rle.run_count);
        assert_memory_equal(back.runs, rle.runs, rle.run_count * sizeof *rle.runs);
        free(back.runs);
        free(text);
        free(rle.runs);
        free(mask);
    }
}

static void the_largest_runs_survive_the_string(void **state)
{
    (void)state;
    uint32_t runs[] = { UINT32_MAX, 1, UINT32_MAX, UINT32_MAX, 1, 1, UINT32_MAX };
    const struct heed_rle rle = { .runs = runs, .run_count = 7 };
    char *text;
    struct heed_error error;
    assert_int_equal(heed_rle_to_string(&rle, &text, &error), HEED_OK);
    struct heed_rle back = parse(text, 1, 1);
    assert_int_equal(back.run_count, 7);
    assert_memory_equal(back.runs, runs, sizeof runs);
    free(back.runs);
    free(text);
}

static void area_counts_the_pixels_that_are_set(void **state)
{
    (void)state;
    uint32_t runs[] = { 0, 3, 4, 5, 1, UINT32_MAX };
    assert_int_equal(heed_rle_area(&(struct heed_rle){ .runs = runs, .run_count = 6 }), 8 + (uint64_t)UINT32_MAX);
    assert_int_equal(heed_rle_area(&(struct heed_rle){ .runs = runs, .run_count = 5 }), 8);
    assert_int_equal(heed_rle_area(&(struct heed_rle){ .run_count = 0 }), 0);
}

static void png_shows_the_mask(void **state)
{
    (void)state;
    for (int round = 0; round < 60; round++) {
        const uint32_t height = 1 + mask_random() % 50, width = 1 + mask_random() % 50;
        uint8_t *const mask = mask_make(height, width), *bytes;
        struct heed_rle rle = rle_of(mask, height, width);
        size_t size;
        struct heed_error error;
        assert_int_equal(heed_rle_to_png(&rle, NULL, &bytes, &size, &error), HEED_OK);

        const struct heed_image_limits limits = { 0 };
        struct heed_image_info info;
        assert_int_equal(heed_image_probe(bytes, size, &limits, &info, &error), HEED_OK);
        static uint8_t block[1 << 15] __attribute__((aligned(HEED_ALIGN)));
        struct heed_arena arena;
        heed_arena_init(&arena, block, sizeof block);
        struct heed_image image;
        assert_int_equal(heed_image_decode(bytes, size, &info, NULL, &arena, &image, &error), HEED_OK);
        assert_int_equal(image.width, width);
        assert_int_equal(image.height, height);
        for (size_t i = 0; i < (size_t)height * width; i++)
            assert_int_equal(image.rgb[3 * i], mask[i] ? 255 : 0);
        heed_arena_deinit(&arena);
        free(bytes);
        free(rle.runs);
        free(mask);
    }
}

static void png_stops_between_two_runs(void **state)
{
    (void)state;
    uint32_t runs[] = { 0, 300 * 400 };
    const struct heed_rle rle = { .height = 300, .width = 400, .runs = runs, .run_count = 2 };
    const struct heed_stop late = { .deadline_ns = 1 };
    uint8_t *bytes;
    size_t size;
    struct heed_error error;
    assert_int_equal(heed_rle_to_png(&rle, &late, &bytes, &size, &error), HEED_DEADLINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_those_of_coco),
        cmocka_unit_test(a_string_read_back_gives_the_same_runs),
        cmocka_unit_test(the_largest_runs_survive_the_string),
        cmocka_unit_test(area_counts_the_pixels_that_are_set),
        cmocka_unit_test(png_shows_the_mask),
        cmocka_unit_test(png_stops_between_two_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
