/* Each attention mechanism against training/heed/attention.py, which make_golden.py holds against the mathematics
 * written out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attention/attention.h"
#include "checks.h"
#include "golden.h"

#define TOLERANCE 5e-6f /* of the largest value */

static struct golden_suite suite;

static int open_suite(void **state)
{
    (void)state;
    golden_open(&suite, "attention");
    return 0;
}

static int close_suite(void **state)
{
    (void)state;
    golden_close(&suite);
    return 0;
}

static void *load(struct heed_loader *loader, const json_t *c)
{
    const json_t *const entry = golden_member(c, "entry");
    const bool efficient = strcmp(golden_text(entry, "type"), "efficient") == 0;
    struct heed_attention_spec spec = {
        .type = efficient ? HEED_ATTENTION_EFFICIENT : HEED_ATTENTION_DOT_PRODUCT,
        .key_channels = golden_size(entry, "key_channels"),
        .value_channels = golden_size(entry, "value_channels"),
        .heads = golden_size(entry, "heads"),
    };
    snprintf(spec.after, sizeof spec.after, "%s", golden_text(entry, "after"));
    if (efficient) {
        const bool scaling = strcmp(golden_text(entry, "normalization"), "scaling") == 0;
        spec.normalization = scaling ? HEED_NORMALIZATION_SCALING : HEED_NORMALIZATION_SOFTMAX;
        spec.scale = (float)golden_number(entry, "scale");
    }
    size_t shape[4];
    golden_sizes(c, "input", shape, 4);
    return (void *)heed_attention_load(loader, &spec, shape[3]);
}

static struct heed_tensor run(struct heed_forward *forward, const void *attention, const struct heed_tensor *x,
                              const json_t *c)
{
    (void)c;
    heed_attention_run(forward, attention, x);
    return *x;
}

static void every_mechanism_equals_the_reference_for_any_heads_and_positions(void **state)
{
    (void)state;
    golden_check_layer(&suite, &(struct golden_layer){ .load = load, .run = run }, TOLERANCE);
}

int check_attention(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mechanism_equals_the_reference_for_any_heads_and_positions),
    };
    return cmocka_run_group_tests_name("attention", tests, open_suite, close_suite);
}
