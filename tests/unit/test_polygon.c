/* Rings of masks: filled again they give the mask, and they keep the promises of heed.h. */
#include "heed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "mask_tools.h"

static struct heed_polygon polygon_of(const uint8_t *mask, uint32_t height, uint32_t width)
{
    struct heed_rle rle = rle_of(mask, height, width);
    struct heed_polygon polygon;
    struct heed_error error;
    assert_int_equal(heed_rle_to_polygon(&rle, &polygon, &error), HEED_OK);
    free(rle.runs);
    return polygon;
}

struct ring {
    const uint32_t *points; /* x, y */
    size_t count;
};

static struct ring ring_at(const struct heed_polygon *polygon, size_t i)
{
    const size_t begin = i ? polygon->ring_ends[i - 1] : 0;
    return (struct ring){ polygon->points + 2 * begin, polygon->ring_ends[i] - begin };
}

/* Even-odd: a pixel is in where an odd number of upright edges lies left of its centre. */
static uint8_t *fill(const struct heed_polygon *polygon, uint32_t height, uint32_t width)
{
    uint8_t *const mask = calloc(height, width);
    for (size_t r = 0; r < polygon->ring_count; r++) {
        const struct ring ring = ring_at(polygon, r);
        for (size_t i = 0; i < ring.count; i++) {
            const uint32_t *const a = ring.points + 2 * i, *const b = ring.points + 2 * ((i + 1) % ring.count);
            if (a[0] != b[0])
                continue;
            for (uint32_t y = a[1] < b[1] ? a[1] : b[1]; y < (a[1] < b[1] ? b[1] : a[1]); y++)
                for (uint32_t x = a[0]; x < width; x++)
                    mask[(size_t)y * width + x] ^= 1;
        }
    }
    return mask;
}

/* Twice the area, positive for clockwise on screen (y down). */
static int64_t signed_area(struct ring ring)
{
    int64_t sum = 0;
    for (size_t i = 0; i < ring.count; i++) {
        const uint32_t *const a = ring.points + 2 * i, *const b = ring.points + 2 * ((i + 1) % ring.count);
        sum += (int64_t)a[0] * b[1] - (int64_t)b[0] * a[1];
    }
    return sum;
}

static void filling_the_rings_gives_the_mask_back(void **state)
{
    (void)state;
    for (int round = 0; round < 2000; round++) {
        const uint32_t height = 1 + mask_random() % 40, width = 1 + mask_random() % 40;
        uint8_t *const mask = mask_make(height, width);
        struct heed_polygon polygon = polygon_of(mask, height, width);
        uint8_t *const filled = fill(&polygon, height, width);
        assert_memory_equal(filled, mask, (size_t)height * width);

        int64_t area = 0;
        for (size_t r = 0; r < polygon.ring_count; r++)
            area += signed_area(ring_at(&polygon, r));
        for (size_t i = 0; i < (size_t)height * width; i++)
            area -= 2 * mask[i];
        assert_int_equal(area, 0); /* outer rings count up, holes down */
        free(filled);
        heed_polygon_deinit(&polygon);
        free(mask);
    }
}

static void steps_turn_at_every_point_and_keep_the_mask_on_the_right(void **state)
{
    (void)state;
    for (int round = 0; round < 500; round++) {
        const uint32_t height = 1 + mask_random() % 30, width = 1 + mask_random() % 30;
        uint8_t *const mask = mask_make(height, width);
        struct heed_polygon polygon = polygon_of(mask, height, width);
        for (size_t r = 0; r < polygon.ring_count; r++) {
            const struct ring ring = ring_at(&polygon, r);
            assert_true(ring.count >= 4);
            for (size_t i = 0; i < ring.count; i++) {
                const uint32_t *const a = ring.points + 2 * i, *const b = ring.points + 2 * ((i + 1) % ring.count);
                const uint32_t *const c = ring.points + 2 * ((i + 2) % ring.count);
                assert_true((a[0] == b[0]) != (a[1] == b[1]));
                assert_true((a[0] == b[0]) == (b[1] == c[1]));
                /* The pixel to the right of the step's first unit, and the one to its left. */
                const int dx = (b[0] > a[0]) - (b[0] < a[0]), dy = (b[1] > a[1]) - (b[1] < a[1]);
                const int64_t right_x = a[0] + (dx < 0 || dy > 0 ? -1 : 0),
                              right_y = a[1] + (dx < 0 || dy < 0 ? -1 : 0);
                const int64_t left_x = right_x + dy, left_y = right_y - dx;
                assert_true(mask[right_y * width + right_x]);
                assert_true(left_x < 0 || left_y < 0 || left_x >= width || left_y >= height ||
                            !mask[left_y * width + left_x]);
            }
        }
        heed_polygon_deinit(&polygon);
        free(mask);
    }
}

static void an_outer_ring_is_clockwise_and_its_hole_is_not(void **state)
{
    (void)state;
    const uint8_t ring[] = { 1, 1, 1, 1, 0, 1, 1, 1, 1 };
    struct heed_polygon polygon = polygon_of(ring, 3, 3);
    assert_int_equal(polygon.ring_count, 2);
    assert_int_equal(signed_area(ring_at(&polygon, 0)), 18);
    assert_int_equal(signed_area(ring_at(&polygon, 1)), -2);
    assert_int_equal(ring_at(&polygon, 0).count, 4);
    assert_int_equal(ring_at(&polygon, 1).count, 4);
    heed_polygon_deinit(&polygon);
}

static void pixels_that_touch_by_a_corner_are_rings_of_their_own(void **state)
{
    (void)state;
    const uint8_t falling[] = { 1, 0, 0, 1 }, rising[] = { 0, 1, 1, 0 };
    for (int i = 0; i < 2; i++) {
        struct heed_polygon polygon = polygon_of(i ? rising : falling, 2, 2);
        assert_int_equal(polygon.ring_count, 2);
        assert_int_equal(signed_area(ring_at(&polygon, 0)), 2);
        assert_int_equal(signed_area(ring_at(&polygon, 1)), 2);
        heed_polygon_deinit(&polygon);
    }
}

static void an_empty_mask_has_no_rings(void **state)
{
    (void)state;
    const uint8_t nothing[6] = { 0 };
    struct heed_polygon polygon = polygon_of(nothing, 2, 3);
    assert_int_equal(polygon.ring_count, 0);
    heed_polygon_deinit(&polygon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filling_the_rings_gives_the_mask_back),
        cmocka_unit_test(steps_turn_at_every_point_and_keep_the_mask_on_the_right),
        cmocka_unit_test(an_outer_ring_is_clockwise_and_its_hole_is_not),
        cmocka_unit_test(pixels_that_touch_by_a_corner_are_rings_of_their_own),
        cmocka_unit_test(an_empty_mask_has_no_rings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
