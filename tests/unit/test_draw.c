/* Pictures: what must be coloured is, what must not be is not, and nothing leaves the photo. */
#include "image/draw.h"
#include "image/font.h"
#include "image/paint.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mask_tools.h"

static const struct heed_label labels[] = { { "cat", 17 },
                                            { NULL, 0 },
                                            { "a name far too long for a small photo", 3 },
                                            { "caf\xc3\xa9 \xff\xe2\x82 \xf0\x9f\x90\xb1", 4 } };
enum { LABELS = sizeof labels / sizeof *labels };

static struct heed_image grey_photo(uint32_t width, uint32_t height)
{
    uint8_t *const rgb = malloc((size_t)width * height * 3);
    memset(rgb, 128, (size_t)width * height * 3);
    return (struct heed_image){ .rgb = rgb, .width = width, .height = height };
}

static const uint8_t *pixel(const struct heed_image *image, uint32_t x, uint32_t y)
{
    return image->rgb + ((size_t)y * image->width + x) * 3;
}

static bool untouched(const struct heed_image *image, uint32_t x, uint32_t y)
{
    const uint8_t *const p = pixel(image, x, y);
    return p[0] == 128 && p[1] == 128 && p[2] == 128;
}

static void draw(struct heed_image *image, struct heed_detection *detections, size_t count)
{
    const struct heed_result result = {
        .width = image->width, .height = image->height, .detection_count = count, .detections = detections
    };
    struct heed_error error;
    assert_int_equal(heed_draw_labelled(image, &result, labels, LABELS, NULL, &error), HEED_OK);
}

static void nothing_found_leaves_the_photo_as_it_is(void **state)
{
    (void)state;
    struct heed_image image = grey_photo(40, 30);
    draw(&image, NULL, 0);
    for (uint32_t i = 0; i < 40 * 30; i++)
        assert_true(untouched(&image, i % 40, i / 40));
    free(image.rgb);
}

static void a_box_is_a_line_around_what_it_holds(void **state)
{
    (void)state;
    struct heed_image image = grey_photo(400, 300);
    struct heed_detection detection = { .class_index = 0, .score = 0.9f, .box = { 100, 80, 150, 120 } };
    draw(&image, &detection, 1);
    for (uint32_t y = 100; y < 180; y++) {
        assert_false(untouched(&image, 100, y));
        assert_false(untouched(&image, 249, y));
        assert_true(untouched(&image, 110, y));
        assert_true(untouched(&image, 240, y));
        assert_true(untouched(&image, 90, y));
    }
    assert_false(untouched(&image, 170, 199));
    assert_true(untouched(&image, 170, 210));
    assert_false(untouched(&image, 104, 72)); /* the label stands on the box */
    assert_true(untouched(&image, 300, 72));
    free(image.rgb);
}

static void a_mask_tints_its_pixels_and_no_others(void **state)
{
    (void)state;
    enum { W = 200, H = 160 };
    struct heed_image image = grey_photo(W, H);
    uint8_t mask[W * H] = { 0 };
    for (int y = 60; y < 110; y++)
        memset(mask + y * W + 50, 1, 70);
    struct heed_rle rle = rle_of(mask, H, W);
    struct heed_error error;
    const struct heed_colour red = { 255, 0, 0 };
    static struct heed_claim claims[W * H];
    assert_int_equal(heed_paint_mask(&image, &rle, 3.0f, red, 0.5f, claims, NULL, &error), HEED_OK);
    for (uint32_t y = 0; y < H; y++)
        for (uint32_t x = 0; x < W; x++) {
            const bool deep = x >= 56 && x < 114 && y >= 66 && y < 104, far = x < 45 || x > 125 || y < 55 || y > 115;
            const uint8_t *const p = pixel(&image, x, y);
            if (deep)
                assert_true(p[0] == 192 && p[1] == 64 && p[2] == 64);
            if (far)
                assert_true(untouched(&image, x, y));
        }
    const uint8_t *const edge = pixel(&image, 50, 85);
    assert_true(edge[0] > 240 && edge[1] < 20); /* the contour is opaque */
    assert_int_equal(heed_paint_mask_cost(&rle), 70 * 50);

    /* The same again behind it changes nothing. */
    uint8_t before[W * H * 3];
    memcpy(before, image.rgb, sizeof before);
    assert_int_equal(heed_paint_mask(&image, &rle, 3.0f, (struct heed_colour){ 0, 0, 255 }, 0.5f, claims, NULL, &error),
                     HEED_OK);
    for (size_t i = 0; i < sizeof before; i++)
        assert_in_range(image.rgb[i], before[i] > 2 ? before[i] - 2 : 0, before[i] + 2);
    free(rle.runs);
    free(image.rgb);
}

static void drawing_stops_in_a_mask_and_between_boxes(void **state)
{
    (void)state;
    const struct heed_stop late = { .deadline_ns = 1 };
    uint32_t runs[] = { 0, 400 * 300 };
    struct heed_image image = grey_photo(400, 300);
    struct heed_detection masked = { .box = { 0, 0, 400, 300 },
                                     .mask = { .height = 300, .width = 400, .runs = runs, .run_count = 2 } };
    struct heed_detection boxes[2] = { { .box = { 10, 10, 50, 50 } }, { .box = { 200, 200, 50, 50 } } };
    struct heed_result result = { .width = 400, .height = 300, .detection_count = 1, .detections = &masked };
    struct heed_error error;
    assert_int_equal(heed_draw_labelled(&image, &result, labels, LABELS, &late, &error), HEED_DEADLINE);
    free(image.rgb);
    image = grey_photo(400, 300);
    result.detection_count = 2;
    result.detections = boxes;
    assert_int_equal(heed_draw_labelled(&image, &result, labels, LABELS, &late, &error), HEED_DEADLINE);
    assert_true(untouched(&image, 10, 30));
    free(image.rgb);
}

static void what_does_not_fit_the_photo_or_the_model_is_refused(void **state)
{
    (void)state;
    struct heed_image image = grey_photo(40, 30);
    struct heed_detection detection = { .class_index = LABELS, .box = { 1, 1, 5, 5 } };
    struct heed_result result = { .width = 40, .height = 30, .detection_count = 1, .detections = &detection };
    struct heed_error error;
    assert_int_equal(heed_draw_labelled(&image, &result, labels, LABELS, NULL, &error), HEED_BAD_ARGUMENT);
    detection.class_index = 0;
    result.width = 41;
    assert_int_equal(heed_draw_labelled(&image, &result, labels, LABELS, NULL, &error), HEED_BAD_ARGUMENT);
    result.width = 40;
    assert_int_equal(heed_draw_labelled(&image, &result, labels, LABELS, NULL, &error), HEED_OK);
    free(image.rgb);
}

static void every_shape_stays_in_photos_of_any_size(void **state)
{
    (void)state;
    const float far = 1e6f;
    for (int round = 0; round < 400; round++) {
        const uint32_t width = 1 + mask_random() % 90, height = 1 + mask_random() % 90;
        struct heed_image image = grey_photo(width, height);
        struct heed_detection detections[6] = { 0 };
        uint8_t *mask = mask_make(height, width);
        struct heed_rle rle = rle_of(mask, height, width);
        for (int i = 0; i < 6; i++) {
            struct heed_detection *const d = &detections[i];
            d->class_index = mask_random() % LABELS;
            d->score = (float)(mask_random() % 101) / 100.0f;
            for (int j = 0; j < 4; j++)
                d->box[j] = (float)(mask_random() % 120) - (j < 2 ? 20.0f : 0.0f);
            if (i == 4)
                d->box[0] = -far, d->box[1] = -far, d->box[2] = 2 * far, d->box[3] = 2 * far;
            if (mask_random() % 2)
                d->mask = rle;
        }
        draw(&image, detections, 6); /* the sanitizers watch */
        free(rle.runs);
        free(mask);
        free(image.rgb);
    }
}

static void classes_of_one_photo_have_different_colours(void **state)
{
    (void)state;
    struct heed_label many[33] = { 0 };
    for (int i = 0; i < 33; i++)
        many[i].name = " ";
    struct heed_image image = grey_photo(300, 300);
    struct heed_detection detections[] = { { .class_index = 0, .box = { 50, 50, 40, 40 } },
                                           { .class_index = 16, .box = { 150, 50, 40, 40 } },
                                           { .class_index = 32, .box = { 50, 150, 40, 40 } } };
    const struct heed_result result = { .width = 300, .height = 300, .detection_count = 3, .detections = detections };
    struct heed_error error;
    assert_int_equal(heed_draw_labelled(&image, &result, many, 33, NULL, &error), HEED_OK);
    assert_true(memcmp(pixel(&image, 89, 80), pixel(&image, 189, 80), 3) != 0);
    assert_true(memcmp(pixel(&image, 89, 80), pixel(&image, 89, 180), 3) != 0);
    assert_true(memcmp(pixel(&image, 189, 80), pixel(&image, 89, 180), 3) != 0);
    free(image.rgb);
}

static void text_is_as_wide_as_it_says_and_has_ink(void **state)
{
    (void)state;
    struct heed_image image = grey_photo(300, 60);
    const char *const text = "cat 93%";
    const float width = heed_paint_text_width(text, 24);
    assert_true(width > 70 && width < 160);
    heed_paint_text(&image, text, 24, 20, 40, (struct heed_colour){ 255, 255, 255 });
    size_t inked = 0;
    for (uint32_t y = 0; y < 60; y++)
        for (uint32_t x = 0; x < 300; x++) {
            inked += pixel(&image, x, y)[0] > 250;
            if (x < 18 || (float)x > 22 + width || y < 15 || y > 48)
                assert_true(untouched(&image, x, y));
        }
    assert_in_range(inked, 300, 1500);
    free(image.rgb);
}

static void text_that_is_no_utf8_is_shown_with_replacement_characters(void **state)
{
    (void)state;
    const float one = heed_paint_text_width("\xef\xbf\xbd", 20);
    assert_true(one > 0);
    const char *const wrong[] = { "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x90\xb1", "\x80" };
    const float wanted[] = { 1, 1, 2, 1, 1 };
    for (int i = 0; i < 5; i++)
        assert_float_equal(heed_paint_text_width(wrong[i], 20), wanted[i] * one, 0.001f);
    assert_float_equal(heed_paint_text_width("\xc3\xa9", 20), heed_paint_text_width("e", 20), 0.5f);
}

static void the_font_table_is_whole_and_in_order(void **state)
{
    (void)state;
    assert_int_equal(heed_font_glyphs[heed_font_glyph_count - 1].character, 0xfffd);
    for (size_t i = 0; i < heed_font_glyph_count; i++) {
        const struct heed_glyph *const glyph = &heed_font_glyphs[i];
        assert_int_equal(strlen(glyph->levels), glyph->width * glyph->height);
        assert_true(glyph->advance > 0);
        if (i)
            assert_true(glyph->character > heed_font_glyphs[i - 1].character);
        for (const char *letter = glyph->levels; *letter; letter++)
            assert_true(*letter >= 'A' && *letter <= 'z' && *letter != '\\');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_found_leaves_the_photo_as_it_is),
        cmocka_unit_test(a_box_is_a_line_around_what_it_holds),
        cmocka_unit_test(a_mask_tints_its_pixels_and_no_others),
        cmocka_unit_test(drawing_stops_in_a_mask_and_between_boxes),
        cmocka_unit_test(what_does_not_fit_the_photo_or_the_model_is_refused),
        cmocka_unit_test(every_shape_stays_in_photos_of_any_size),
        cmocka_unit_test(classes_of_one_photo_have_different_colours),
        cmocka_unit_test(text_is_as_wide_as_it_says_and_has_ink),
        cmocka_unit_test(text_that_is_no_utf8_is_shown_with_replacement_characters),
        cmocka_unit_test(the_font_table_is_whole_and_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
