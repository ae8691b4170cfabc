/* Overlap, suppression and selection against the obvious way of doing each. */
#include "results/boxes.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static uint32_t random_state = 1;
static uint32_t random_u32(void)
{
    random_state = random_state * 1664525u + 1013904223u;
    return random_state >> 8;
}
static float random_float(float low, float high)
{
    return low + (high - low) * (float)(random_u32() % 10007) / 10007.0f;
}

static void iou_is_intersection_over_union_without_plus_one(void **state)
{
    (void)state;
    const float a[4] = { 0, 0, 10, 10 }, b[4] = { 5, 5, 15, 15 }, c[4] = { 10, 0, 20, 10 }, empty[4] = { 3, 3, 3, 3 };
    assert_float_equal(heed_box_iou(a, a), 1.0f, 0);
    assert_float_equal(heed_box_iou(a, b), 25.0f / 175.0f, 0);
    assert_float_equal(heed_box_iou(a, c), 0.0f, 0);
    assert_float_equal(heed_box_iou(empty, empty), 0.0f, 0);
}

static void sort_falls_by_score_then_rises_by_index_and_puts_nan_last(void **state)
{
    (void)state;
    struct heed_candidate c[6] = {
        { .score = 0.5f, .index = 3 }, { .score = NAN, .index = 0 },   { .score = 0.9f, .index = 4 },
        { .score = 0.5f, .index = 1 }, { .score = -1.0f, .index = 2 }, { .score = 0.5f, .index = 2 },
    };
    heed_candidates_sort(c, 6);
    const uint32_t wanted[6] = { 4, 1, 2, 3, 2, 0 };
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(c[i].index, wanted[i]);
}

/* Scores that rise and fall again, and those that fool a quicksort that takes the middle one of three (Musser, 1997).
 */
static float pattern(size_t kind, size_t i, size_t count)
{
    const size_t half = count / 2;
    switch (kind) {
    case 0:
        return (float)(i < half ? i : count - i);
    case 1:
        return (float)(i >= half ? 2 * (i - half + 1) : i % 2 ? half + i : i + 1);
    case 2:
        return (float)(i % 7);
    default:
        return 0;
    }
}

static void sort_is_in_order_for_any_pattern(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static struct heed_candidate c[COUNT];
    for (size_t kind = 0; kind < 4; kind++) {
        for (float sign = -1; sign <= 1; sign += 2) {
            for (size_t i = 0; i < COUNT; i++)
                c[i] = (struct heed_candidate){ .score = sign * pattern(kind, i, COUNT), .index = (uint32_t)i };
            heed_candidates_sort(c, COUNT);
            for (size_t i = 1; i < COUNT; i++)
                assert_true(c[i].score < c[i - 1].score ||
                            (c[i].score == c[i - 1].score && c[i].index > c[i - 1].index));
        }
    }
}

static int slow_order(const void *left, const void *right)
{
    const struct heed_candidate *a = left, *b = right;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* The definition, over all pairs. */
static size_t slow_nms(struct heed_candidate *c, size_t count, double iou, size_t keep)
{
    qsort(c, count, sizeof *c, slow_order);
    size_t kept = 0;
    for (size_t i = 0; i < count && kept < keep; i++) {
        bool good = true;
        for (size_t j = 0; j < kept; j++)
            good = good && !(c[j].group == c[i].group && (double)heed_box_iou(c[j].box, c[i].box) > iou);
        if (good)
            c[kept++] = c[i];
    }
    return kept;
}

static void nms_equals_its_definition_for_any_groups_and_limits(void **state)
{
    (void)state;
    enum { MOST = 700 };
    static struct heed_candidate fast[MOST], slow[MOST];
    static uint8_t scratch[MOST];
    for (size_t round = 0; round < 300; round++) {
        const size_t count = random_u32() % MOST, keep = random_u32() % 3 ? 1 + random_u32() % 100 : MOST;
        const uint32_t groups = 1 + random_u32() % 80;
        for (size_t i = 0; i < count; i++) {
            const float x = random_float(0, 100), y = random_float(0, 100);
            fast[i] = (struct heed_candidate){
                .box = { x, y, x + random_float(0, 60), y + random_float(0, 60) },
                .score = (float)(random_u32() % 50) / 50.0f, /* many ties */
                .group = random_u32() % groups,
                .index = (uint32_t)i,
            };
            slow[i] = fast[i];
        }
        const double iou = random_float(0, 0.9f);
        const size_t kept = heed_nms(fast, count, iou, 0, keep, scratch);
        assert_int_equal(kept, slow_nms(slow, count, iou, keep));
        assert_memory_equal(fast, slow, kept * sizeof *fast);
    }
}

/* 0.6 is a little less than 0.6f, which is what an overlap of six tenths comes to; 0.7 is a little more than 0.7f. */
static void nms_compares_with_the_threshold_in_double(void **state)
{
    (void)state;
    uint8_t scratch[2];
    for (int tenths = 6; tenths <= 7; tenths++) {
        struct heed_candidate c[2] = { { .box = { 0, 0, 10, 10 }, .score = 0.9f, .index = 0 },
                                       { .box = { 0, 0, 10, (float)tenths }, .score = 0.8f, .index = 1 } };
        assert_int_equal(heed_nms(c, 2, tenths / 10.0, 0, 2, scratch), tenths == 6 ? 1 : 2);
    }
}

static void nms_keeps_boxes_whose_overlap_equals_the_threshold(void **state)
{
    (void)state;
    struct heed_candidate c[2] = { { .box = { 0, 0, 2, 1 }, .score = 0.9f, .index = 0 },
                                   { .box = { 0, 0, 1, 1 }, .score = 0.8f, .index = 1 } };
    uint8_t scratch[2];
    assert_int_equal(heed_nms(c, 2, 0.5f, 0, 10, scratch), 2);
    assert_int_equal(heed_nms(c, 2, 0.499f, 0, 10, scratch), 1);
    assert_int_equal(heed_nms(c, 0, 0.5f, 0, 10, scratch), 0);
    assert_int_equal(heed_nms(c, 1, 0.5f, 0, 0, scratch), 0);
}

/* The definition, over all pairs. */
static void decay_lowers_the_score_of_what_overlaps_a_better_one_of_its_group(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    static struct heed_candidate c[COUNT];
    float wanted[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        const float x = random_float(0, 100), y = random_float(0, 100);
        c[i] = (struct heed_candidate){ .box = { x, y, x + random_float(1, 60), y + random_float(1, 60) },
                                        .score = random_float(0.05f, 1),
                                        .group = random_u32() % 5,
                                        .index = (uint32_t)i };
    }
    for (size_t i = 0; i < COUNT; i++) {
        double overlap = 0;
        for (size_t j = 0; j < COUNT; j++) {
            const bool better = c[j].score > c[i].score || (c[j].score == c[i].score && j < i);
            if (better && c[j].group == c[i].group)
                overlap += pow(heed_box_iou(c[j].box, c[i].box), 2);
        }
        wanted[i] = c[i].score * (float)exp(-overlap / 0.8);
    }
    uint8_t scratch[COUNT];
    assert_int_equal(heed_nms(c, COUNT, 1, 0.8, COUNT, scratch), COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_float_equal(c[i].score, wanted[c[i].index], 1e-6);
        assert_true(i == 0 || c[i].score <= c[i - 1].score);
    }
}

static const float *sorted_values;
static int slow_index_order(const void *left, const void *right)
{
    const uint32_t i = *(const uint32_t *)left, j = *(const uint32_t *)right;
    const float a = sorted_values[i], b = sorted_values[j];
    if (isnan(a) != isnan(b))
        return isnan(a) ? 1 : -1;
    if (!isnan(a) && a != b)
        return a > b ? -1 : 1;
    return i < j ? -1 : i > j;
}

static void top_k_equals_sorting_all_with_ties_infinities_and_nan(void **state)
{
    (void)state;
    enum { MOST = 2000 };
    static float values[MOST];
    static uint32_t order[MOST], sorted[MOST];
    for (size_t round = 0; round < 300; round++) {
        const size_t n = random_u32() % MOST, k = n ? random_u32() % (n + 1) : 0;
        for (size_t i = 0; i < n; i++) {
            const uint32_t kind = random_u32() % 40;
            values[i] = kind == 0   ? NAN
                        : kind == 1 ? INFINITY
                        : kind == 2 ? -INFINITY
                        : kind == 3 ? -0.0f
                                    : (float)((int)(random_u32() % 61) - 30) / 7.0f;
            sorted[i] = (uint32_t)i;
        }
        sorted_values = values;
        qsort(sorted, n, sizeof *sorted, slow_index_order);
        heed_top_k(order, values, n, k);
        assert_memory_equal(order, sorted, k * sizeof *order);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iou_is_intersection_over_union_without_plus_one),
        cmocka_unit_test(sort_falls_by_score_then_rises_by_index_and_puts_nan_last),
        cmocka_unit_test(sort_is_in_order_for_any_pattern),
        cmocka_unit_test(nms_equals_its_definition_for_any_groups_and_limits),
        cmocka_unit_test(nms_compares_with_the_threshold_in_double),
        cmocka_unit_test(decay_lowers_the_score_of_what_overlaps_a_better_one_of_its_group),
        cmocka_unit_test(nms_keeps_boxes_whose_overlap_equals_the_threshold),
        cmocka_unit_test(top_k_equals_sorting_all_with_ties_infinities_and_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
