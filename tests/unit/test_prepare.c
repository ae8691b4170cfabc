/* The photo's way into the network, against PyTorch's values and against its promises. */
#include "image/prepare.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "prepare_reference.h"

static const struct heed_input_spec spec = { .multiple = 32,
                                             .mean = { 103.53f, 116.28f, 123.675f },
                                             .scale = { 0.017429f, 0.017507f, 0.017125f } };

/* The same as in prepare_reference.py. */
static struct heed_image picture(size_t width, size_t height)
{
    uint8_t *const rgb = malloc(width * height * 3);
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++)
            for (size_t c = 0; c < 3; c++)
                rgb[(y * width + x) * 3 + c] = (uint8_t)((x * 37 + y * 101 + c * 59 + x * y % 23 * 11) % 256);
    return (struct heed_image){ .rgb = rgb, .width = (uint32_t)width, .height = (uint32_t)height };
}

struct prepared {
    struct heed_tensor input;
    void *block;
};

/* Plans with a counting arena, then runs within exactly what was planned. */
static struct prepared prepare(const struct heed_image *image, const struct heed_input_spec *input,
                               const struct heed_geometry *geometry, unsigned helpers)
{
    struct heed_arena arena;
    heed_arena_init_counting(&arena);
    struct heed_forward plan = { .arena = &arena, .lanes = helpers + 1 };
    heed_prepare(&plan, &(struct heed_image){ .rgb = NULL }, input, geometry);
    assert_false(arena.overflowed);

    const size_t planned = arena.peak;
    void *const block = aligned_alloc(HEED_ALIGN, planned);
    memset(block, 0x7f, planned);
    heed_arena_init(&arena, block, planned);
    struct heed_crew *crew;
    struct heed_error error;
    assert_int_equal(heed_crew_create(helpers, helpers + 1, &crew, &error), HEED_OK);
    struct heed_forward forward = { .arena = &arena, .lanes = helpers + 1, .crew = crew };
    const struct prepared prepared = { .input = heed_prepare(&forward, image, input, geometry), .block = block };
    assert_int_equal(forward.status, HEED_OK);
    assert_int_equal(arena.peak, planned);
    heed_crew_free(crew);
    return prepared;
}

static void values_equal_pytorch(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof references / sizeof *references; i++) {
        const struct reference *const r = &references[i];
        struct heed_image image = picture(r->photo_w, r->photo_h);
        struct heed_input_spec input = spec;
        input.antialias = r->antialias;
        const struct heed_geometry geometry = { .photo_w = r->photo_w,
                                                .photo_h = r->photo_h,
                                                .resized_w = r->w,
                                                .resized_h = r->h,
                                                .input_w = r->w + 5,
                                                .input_h = r->h + 3 };
        struct prepared p = prepare(&image, &input, &geometry, 0);
        assert_int_equal(p.input.h, r->h + 3);
        assert_int_equal(p.input.w, r->w + 5);
        for (size_t y = 0; y < p.input.h; y++)
            for (size_t x = 0; x < p.input.w; x++)
                for (size_t c = 0; c < 3; c++) {
                    const float found = heed_tensor_at(&p.input, 0, y, x)[c];
                    const bool padding = y >= r->h || x >= r->w;
                    const float wanted = padding ? 0.0f : r->values[(y * r->w + x) * 3 + c];
                    if (!(fabsf(found - wanted) <= (padding ? 0.0f : 1e-5f * fmaxf(1.0f, fabsf(wanted)))))
                        fail_msg("case %zu at %zu, %zu, %zu: %.8f, wanted %.8f", i, y, x, c, (double)found,
                                 (double)wanted);
                }
        free(p.block);
        free(image.rgb);
    }
}

static void bgr_is_rgb_with_the_channels_turned_round(void **state)
{
    (void)state;
    struct heed_image image = picture(20, 20);
    const struct heed_geometry geometry = { 20, 20, 9, 9, 9, 9 };
    struct heed_input_spec bgr = spec, rgb = spec;
    bgr.bgr = true;
    for (size_t c = 0; c < 3; c++) {
        rgb.mean[c] = spec.mean[2 - c];
        rgb.scale[c] = spec.scale[2 - c];
    }
    struct prepared a = prepare(&image, &bgr, &geometry, 0), b = prepare(&image, &rgb, &geometry, 0);
    for (size_t i = 0; i < 81 * 3; i++)
        assert_float_equal(a.input.data[i], b.input.data[i / 3 * 3 + 2 - i % 3], 0);
    free(a.block);
    free(b.block);
    free(image.rgb);
}

static void any_number_of_threads_gives_the_same_bits(void **state)
{
    (void)state;
    struct heed_image image = picture(301, 203);
    const struct heed_geometry geometry = { 301, 203, 96, 65, 96, 96 };
    struct heed_input_spec input = spec;
    input.antialias = true;
    struct prepared alone = prepare(&image, &input, &geometry, 0);
    for (unsigned helpers = 1; helpers <= 3; helpers++) {
        struct prepared helped = prepare(&image, &input, &geometry, helpers);
        assert_memory_equal(alone.input.data, helped.input.data, 96 * 96 * 3 * sizeof(float));
        free(helped.block);
    }
    free(alone.block);
    free(image.rgb);
}

static void the_cancelled_pass_computes_nothing(void **state)
{
    (void)state;
    uint8_t block[1 << 16] __attribute__((aligned(HEED_ALIGN)));
    struct heed_arena arena;
    heed_arena_init(&arena, block, sizeof block);
    const atomic_bool cancel = true;
    struct heed_forward forward = { .arena = &arena, .lanes = 1, .stop = { .cancel = &cancel } };
    const struct heed_geometry geometry = { 20, 20, 9, 9, 9, 9 };
    heed_prepare(&forward, &(struct heed_image){ .rgb = NULL }, &spec, &geometry);
    assert_int_equal(forward.status, HEED_CANCELLED);
    heed_arena_deinit(&arena);
}

/* Where single precision no longer tells one pixel from the next. The photo's memory ends where it does, for a
 * sanitizer to see. */
static void more_rows_than_a_float_can_count_stay_in_the_photo(void **state)
{
    (void)state;
    const struct {
        size_t side;
        bool antialias, lying;
    } cases[] = {
        { 16777219, true, false }, { 16880031, true, false }, { 16880031, true, true }, { 16777219, false, false }
    };
    struct heed_input_spec input = spec;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t side = cases[i].side;
        const bool lying = cases[i].lying;
        input.antialias = cases[i].antialias;
        uint8_t *const rgb = malloc(side * 3);
        memset(rgb, 200, side * 3);
        const struct heed_image image = { .rgb = rgb,
                                          .width = (uint32_t)(lying ? side : 1),
                                          .height = (uint32_t)(lying ? 1 : side) };
        struct heed_geometry geometry = { .photo_w = image.width, .photo_h = image.height };
        geometry.resized_w = geometry.input_w = lying ? 416 : 1;
        geometry.resized_h = geometry.input_h = lying ? 1 : 416;
        struct prepared p = prepare(&image, &input, &geometry, 0);
        for (size_t j = 0; j < (size_t)416 * 3; j++)
            assert_float_equal(p.input.data[j], (200.0f - spec.mean[j % 3]) * spec.scale[j % 3], 1e-3);
        free(p.block);
        free(rgb);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_equal_pytorch),
        cmocka_unit_test(bgr_is_rgb_with_the_channels_turned_round),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(the_cancelled_pass_computes_nothing),
        cmocka_unit_test(more_rows_than_a_float_can_count_stay_in_the_photo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
