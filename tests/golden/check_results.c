/* What happens after a network, against torchvision and pycocotools: suppression, and masks pasted and encoded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "checks.h"
#include "generated.h"
#include "golden.h"
#include "mask_bits.h"
#include "results/boxes.h"
#include "results/masks.h"

enum { SIDE = 28, COARSE = 8 };

static struct golden_suite suite;

static int open_suite(void **state)
{
    (void)state;
    golden_open(&suite, "results");
    return 0;
}

static int close_suite(void **state)
{
    (void)state;
    golden_close(&suite);
    return 0;
}

static bool is_kind(const json_t *c, const char *kind)
{
    return strcmp(golden_text(c, "kind"), kind) == 0;
}

/* ---- Suppression ----------------------------------------------------------------------------------- */

/* The case's candidates, as results.py makes them. */
static struct heed_candidate *make_candidates(const json_t *c, size_t count)
{
    const char *const name = golden_text(c, "name");
    const float grid = (float)golden_number(c, "grid"), scores = (float)golden_number(c, "scores");
    const float groups = (float)golden_number(c, "groups");
    float *const unit = malloc(6 * count * sizeof *unit);
    float *const score = unit + 4 * count, *const group = score + count;
    generated_fill(unit, 4 * count, generated_key("%s/boxes", name), 0, 1);
    generated_fill(score, count, generated_key("%s/scores", name), 0, 1);
    generated_fill(group, count, generated_key("%s/groups", name), 0, 1);

    struct heed_candidate *const candidates = calloc(count, sizeof *candidates);
    for (size_t i = 0; i < count; i++) {
        for (size_t axis = 0; axis < 2; axis++) {
            const float corner = (float)(long)((unit[4 * i + axis] + 1) * 50 * grid) / grid;
            const float side = (float)(long)((unit[4 * i + 2 + axis] + 1) * 20 * grid) / grid + 4;
            candidates[i].box[axis] = corner;
            candidates[i].box[2 + axis] = corner + side;
        }
        candidates[i].score = (float)(long)((score[i] + 1) * 0.5f * scores) / scores;
        candidates[i].group = (uint32_t)((group[i] + 1) * 0.5f * groups);
        candidates[i].index = (uint32_t)i;
    }
    free(unit);
    return candidates;
}

static void suppression_keeps_what_torchvision_keeps(void **state)
{
    (void)state;
    size_t i;
    json_t *c;
    json_array_foreach(suite.cases, i, c)
    {
        if (!is_kind(c, "suppress"))
            continue;
        const size_t count = golden_size(c, "count");
        struct heed_candidate *const candidates = make_candidates(c, count);
        uint8_t *const scratch = malloc(count);
        const size_t kept = heed_nms(candidates, count, golden_number(c, "iou"), 0, count, scratch);
        const json_t *const wanted = golden_member(c, "kept");
        assert_int_equal(kept, json_array_size(wanted));
        for (size_t k = 0; k < kept; k++)
            assert_int_equal(candidates[k].index, json_integer_value(json_array_get(wanted, k)));
        free(scratch);
        free(candidates);
    }
}

static void an_overlap_at_the_threshold_falls_on_torchvisions_side(void **state)
{
    (void)state;
    size_t i;
    json_t *c;
    json_array_foreach(suite.cases, i, c)
    {
        if (!is_kind(c, "exact_overlap"))
            continue;
        struct heed_candidate candidates[2] = { { .score = 0.9f, .index = 0 }, { .score = 0.8f, .index = 1 } };
        const json_t *const boxes = golden_member(c, "boxes");
        for (size_t b = 0; b < 2; b++)
            for (size_t corner = 0; corner < 4; corner++)
                candidates[b].box[corner] = (float)json_number_value(json_array_get(json_array_get(boxes, b), corner));
        assert_float_equal(heed_box_iou(candidates[0].box, candidates[1].box), (float)golden_number(c, "overlap"), 0);
        uint8_t scratch[2];
        assert_int_equal(heed_nms(candidates, 2, golden_number(c, "iou"), 0, 2, scratch), golden_size(c, "kept"));
    }
}

/* ---- Masks ----------------------------------------------------------------------------------------- */

static void make_logits(const json_t *c, float logits[SIDE * SIDE])
{
    const uint64_t key = generated_key("%s/logits", golden_text(c, "name"));
    const float spread = (float)golden_number(c, "spread");
    if (!json_is_true(golden_member(c, "coarse"))) {
        generated_fill(logits, SIDE * SIDE, key, 0, spread);
        return;
    }
    float coarse[COARSE * COARSE];
    generated_fill(coarse, COARSE * COARSE, key, 0, spread);
    for (size_t y = 0; y < SIDE; y++)
        for (size_t x = 0; x < SIDE; x++)
            logits[y * SIDE + x] = coarse[y * COARSE / SIDE * COARSE + x * COARSE / SIDE];
}

static void pasted_masks_and_their_strings_are_those_of_torchvision_and_pycocotools(void **state)
{
    (void)state;
    size_t i;
    json_t *c;
    json_array_foreach(suite.cases, i, c)
    {
        if (!is_kind(c, "paste"))
            continue;
        size_t photo[2];
        float box[4], logits[SIDE * SIDE];
        golden_sizes(c, "photo", photo, 2);
        golden_floats(c, "box", box, 4);
        make_logits(c, logits);

        struct heed_rle rle;
        struct heed_error error;
        if (heed_mask_paste(logits, SIDE, box, (uint32_t)photo[0], (uint32_t)photo[1], 0, &rle, &error) != HEED_OK)
            fail_msg("%s", error.text);
        const size_t differing =
            mask_bits_check(&rle, golden_text(c, "mask"), golden_text(c, "doubt"), golden_text(c, "name"));

        char *text;
        if (heed_rle_to_string(&rle, &text, &error) != HEED_OK)
            fail_msg("%s", error.text);
        if (differing == 0)
            assert_string_equal(text, golden_text(c, "mask"));
        free(text);
        free(rle.runs);
    }
}

int check_results(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suppression_keeps_what_torchvision_keeps),
        cmocka_unit_test(an_overlap_at_the_threshold_falls_on_torchvisions_side),
        cmocka_unit_test(pasted_masks_and_their_strings_are_those_of_torchvision_and_pycocotools),
    };
    return cmocka_run_group_tests_name("results", tests, open_suite, close_suite);
}
