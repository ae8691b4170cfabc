#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "models/family.h"

static const struct heed_input_spec fit = { .resize = HEED_RESIZE_FIT, .long_side = 416, .multiple = 32 };
static const struct heed_input_spec short_side = {
    .resize = HEED_RESIZE_SHORT_SIDE, .short_side = 800, .long_side = 1333, .multiple = 32
};

static void check(const struct heed_input_spec *input, size_t photo_w, size_t photo_h, size_t resized_w,
                  size_t resized_h, size_t input_w, size_t input_h)
{
    const struct heed_geometry g = heed_geometry(input, photo_w, photo_h);
    assert_int_equal(g.photo_w, photo_w);
    assert_int_equal(g.photo_h, photo_h);
    assert_int_equal(g.resized_w, resized_w);
    assert_int_equal(g.resized_h, resized_h);
    assert_int_equal(g.input_w, input_w);
    assert_int_equal(g.input_h, input_h);
}

static void fit_makes_the_long_side_416(void **state)
{
    (void)state;
    check(&fit, 640, 480, 416, 312, 416, 320);
    check(&fit, 480, 640, 312, 416, 320, 416);
    check(&fit, 100, 100, 416, 416, 416, 416); /* small photos grow */
    check(&fit, 1, 1, 416, 416, 416, 416);
}

static void fit_rounds_halves_up(void **state)
{
    (void)state;
    check(&fit, 832, 625, 416, 313, 416, 320); /* 312.5 */
    check(&fit, 832, 623, 416, 312, 416, 320); /* 311.5 */
    check(&fit, 451, 300, 416, 277, 416, 288); /* 276.7 */
}

static void a_thin_photo_keeps_a_pixel(void **state)
{
    (void)state;
    check(&fit, 10000, 1, 416, 1, 416, 32);
    check(&short_side, 1, 10000, 1, 1333, 32, 1344);
}

static void short_side_is_torchvisions_in_doubles(void **state)
{
    (void)state;
    check(&short_side, 640, 480, 1066, 800, 1088, 800); /* 799 in single precision */
    check(&short_side, 640, 424, 1207, 800, 1216, 800);
    check(&short_side, 500, 333, 1201, 800, 1216, 800);
    check(&short_side, 800, 1066, 800, 1066, 800, 1088);
}

static void short_side_stops_at_the_longest_long_side(void **state)
{
    (void)state;
    check(&short_side, 2000, 1000, 1333, 666, 1344, 672);
    check(&short_side, 300, 600, 666, 1333, 672, 1344);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fit_makes_the_long_side_416),
        cmocka_unit_test(fit_rounds_halves_up),
        cmocka_unit_test(a_thin_photo_keeps_a_pixel),
        cmocka_unit_test(short_side_is_torchvisions_in_doubles),
        cmocka_unit_test(short_side_stops_at_the_longest_long_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
