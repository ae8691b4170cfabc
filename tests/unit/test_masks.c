/* heed_mask_paste against doing it the plain way: torchvision's paste into a full image, threshold, COCO's encoding. */
#include "results/masks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "mask_tools.h"

enum { SIDE = 28, CELLS = SIDE + 2 };

static float random_float(float low, float high)
{
    return low + (high - low) * (float)(mask_random() % 100003) / 100003.0f;
}

static void blend_of(int64_t pixel, int64_t begin, int64_t length, int *cell, int *next, float *share)
{
    const float ratio = (float)CELLS / (float)length;
    float at = fmaf(ratio, (float)(pixel - begin) + 0.5f, -0.5f);
    at = at < 0 ? 0 : at;
    *cell = (int)at < CELLS - 1 ? (int)at : CELLS - 1;
    *next = *cell < CELLS - 1 ? *cell + 1 : *cell;
    *share = fminf(at - (float)*cell, 1.0f);
}

static uint8_t *plain_paste(const float *logits, const float box[4], int64_t height, int64_t width)
{
    float soft[CELLS][CELLS] = { { 0 } };
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            soft[y + 1][x + 1] = 1.0f / (1.0f + expf(-logits[y * SIDE + x]));
    const float enlarged = (float)(30.0 / 28.0);
    const float cx = (box[2] + box[0]) * 0.5f, cy = (box[3] + box[1]) * 0.5f;
    const float w = (box[2] - box[0]) * 0.5f * enlarged, h = (box[3] - box[1]) * 0.5f * enlarged;
    const int64_t x0 = (int64_t)(cx - w), y0 = (int64_t)(cy - h), x1 = (int64_t)(cx + w), y1 = (int64_t)(cy + h);
    const int64_t wide = x1 - x0 + 1 > 1 ? x1 - x0 + 1 : 1, high = y1 - y0 + 1 > 1 ? y1 - y0 + 1 : 1;

    uint8_t *const mask = calloc((size_t)height, (size_t)width);
    for (int64_t y = y0 > 0 ? y0 : 0; y < height && y <= y1; y++)
        for (int64_t x = x0 > 0 ? x0 : 0; x < width && x <= x1; x++) {
            int r, r2, c, c2;
            float dy, dx;
            blend_of(y, y0, high, &r, &r2, &dy);
            blend_of(x, x0, wide, &c, &c2, &dx);
            const float top = soft[r][c] * (1.0f - dx) + soft[r][c2] * dx;
            const float bottom = soft[r2][c] * (1.0f - dx) + soft[r2][c2] * dx;
            mask[y * width + x] = top * (1.0f - dy) + bottom * dy > 0.5f;
        }
    return mask;
}

static void assert_pastes_like_the_plain_way(const float *logits, const float box[4], uint32_t height, uint32_t width)
{
    struct heed_rle rle;
    struct heed_error error;
    assert_int_equal(heed_mask_paste(logits, SIDE, box, height, width, 0, &rle, &error), HEED_OK);
    uint8_t *const mask = plain_paste(logits, box, height, width);
    struct heed_rle wanted = rle_of(mask, height, width);
    if (rle.run_count != wanted.run_count || memcmp(rle.runs, wanted.runs, rle.run_count * sizeof *rle.runs) != 0)
        fail_msg("box %g %g %g %g in %u x %u differs", (double)box[0], (double)box[1], (double)box[2], (double)box[3],
                 width, height);
    assert_int_equal(rle.height, height);
    assert_int_equal(rle.width, width);
    free(mask);
    free(wanted.runs);
    free(rle.runs);
}

static void random_logits(float *logits)
{
    const float spread = random_float(0.001f, 12.0f), middle = random_float(-3, 3);
    const uint32_t kind = mask_random() % 4;
    const float cx = random_float(0, SIDE), cy = random_float(0, SIDE), radius = random_float(1, SIDE);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            logits[y * SIDE + x] = kind == 0   ? 0.0f /* exactly a half everywhere */
                                   : kind == 1 ? random_float(-spread, spread)
                                   : kind == 2 ? middle
                                               : radius - hypotf((float)x - cx, (float)y - cy);
}

static void random_boxes_equal_paste_then_encode(void **state)
{
    (void)state;
    float logits[SIDE * SIDE];
    for (int round = 0; round < 4000; round++) {
        const uint32_t height = 1 + mask_random() % 150, width = 1 + mask_random() % 150;
        const float w = (float)width, h = (float)height;
        float x1 = random_float(-0.3f * w, 1.2f * w), y1 = random_float(-0.3f * h, 1.2f * h);
        float x2 = x1 + random_float(0, w), y2 = y1 + random_float(0, h);
        switch (mask_random() % 6) {
        case 0: /* as the network gives them: clipped to the photo */
            x1 = fminf(fmaxf(x1, 0), w), x2 = fminf(fmaxf(x2, 0), w), y1 = fminf(fmaxf(y1, 0), h),
            y2 = fminf(fmaxf(y2, 0), h);
            break;
        case 1: /* tiny */
            x2 = x1 + random_float(0, 2), y2 = y1 + random_float(0, 2);
            break;
        case 2: /* huge */
            x1 -= 40 * w, y2 += 900;
            break;
        case 3: /* whole pixels */
            x1 = floorf(x1), y1 = floorf(y1), x2 = ceilf(x2), y2 = ceilf(y2);
            break;
        }
        random_logits(logits);
        assert_pastes_like_the_plain_way(logits, (const float[4]){ x1, y1, x2, y2 }, height, width);
    }
}

static void a_large_photo_equals_paste_then_encode(void **state)
{
    (void)state;
    float logits[SIDE * SIDE];
    for (int round = 0; round < 4; round++) {
        random_logits(logits);
        assert_pastes_like_the_plain_way(logits, (const float[4]){ 100.3f, 50.9f, 1777.7f, 1400.1f }, 1500, 2000);
    }
}

static void a_box_outside_the_photo_leaves_one_run_of_zeros(void **state)
{
    (void)state;
    float logits[SIDE * SIDE];
    for (int i = 0; i < SIDE * SIDE; i++)
        logits[i] = 9.0f;
    const float boxes[][4] = { { -50, -50, -20, -20 }, { 500, 1, 510, 9 },
                               { 1, 500, 9, 510 },     { NAN, NAN, NAN, NAN },
                               { 1e30f, 0, 2e30f, 5 }, { -INFINITY, -INFINITY, INFINITY, INFINITY } };
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++) {
        struct heed_rle rle;
        struct heed_error error;
        assert_int_equal(heed_mask_paste(logits, SIDE, boxes[i], 30, 40, 0, &rle, &error), HEED_OK);
        assert_int_equal(rle.run_count, 1);
        assert_int_equal(rle.runs[0], 1200);
        free(rle.runs);
    }
}

static void a_mask_with_more_pixels_than_a_run_can_count_is_refused(void **state)
{
    (void)state;
    float logits[SIDE * SIDE] = { 0 };
    struct heed_rle rle;
    struct heed_error error;
    assert_int_equal(heed_mask_paste(logits, SIDE, (const float[4]){ 0, 0, 1, 1 }, 70000, 70000, 0, &rle, &error),
                     HEED_TOO_LARGE);
}

static void more_runs_than_allowed_are_not_made(void **state)
{
    (void)state;
    float logits[SIDE * SIDE];
    for (int i = 0; i < SIDE * SIDE; i++)
        logits[i] = 9.0f;
    const float boxes[][4] = { { 0, 100, 900, 200 }, { -30, -30, 90, 90 }, { -50, -50, -20, -20 } };
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++) {
        struct heed_rle rle;
        struct heed_error error;
        assert_int_equal(heed_mask_paste(logits, SIDE, boxes[i], 300, 900, 0, &rle, &error), HEED_OK);
        const size_t count = rle.run_count;
        free(rle.runs);
        if (count > 1) {
            assert_int_equal(heed_mask_paste(logits, SIDE, boxes[i], 300, 900, count / 2, &rle, &error), HEED_OUTGROWN);
            assert_int_equal(heed_mask_paste(logits, SIDE, boxes[i], 300, 900, count - 1, &rle, &error), HEED_OUTGROWN);
        }
        assert_int_equal(heed_mask_paste(logits, SIDE, boxes[i], 300, 900, count, &rle, &error), HEED_OK);
        assert_int_equal(rle.run_count, count);
        free(rle.runs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_boxes_equal_paste_then_encode),
        cmocka_unit_test(a_large_photo_equals_paste_then_encode),
        cmocka_unit_test(a_box_outside_the_photo_leaves_one_run_of_zeros),
        cmocka_unit_test(more_runs_than_allowed_are_not_made),
        cmocka_unit_test(a_mask_with_more_pixels_than_a_run_can_count_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
