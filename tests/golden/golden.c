#include "golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "generated.h"

/* ---- The stored data ------------------------------------------------------------------------------ */

void golden_open(struct golden_suite *suite, const char *name)
{
    char path[1024];
    json_error_t reason;
    snprintf(path, sizeof path, "%s/tests/golden/data/%s.json", HEED_SOURCE_DIR, name);
    suite->description = json_load_file(path, 0, &reason);
    if (!suite->description)
        fail_msg("%s: %s", path, reason.text);
    suite->cases = golden_member(suite->description, "cases");

    snprintf(path, sizeof path, "%s/tests/golden/data/%s.safetensors", HEED_SOURCE_DIR, name);
    struct heed_error error;
    suite->values = NULL;
    if (heed_weights_open(path, &suite->values, &error) != HEED_OK && error.status != HEED_IO)
        fail_msg("%s", error.text);
}

void golden_close(struct golden_suite *suite)
{
    heed_weights_free(suite->values);
    json_decref(suite->description);
}

json_t *golden_member(const json_t *object, const char *name)
{
    json_t *const member = json_object_get(object, name);
    if (!member)
        fail_msg("golden data: no member \"%s\"", name);
    return member;
}

const char *golden_text(const json_t *object, const char *name)
{
    return json_string_value(golden_member(object, name));
}

double golden_number(const json_t *object, const char *name)
{
    return json_number_value(golden_member(object, name));
}

size_t golden_size(const json_t *object, const char *name)
{
    return (size_t)json_integer_value(golden_member(object, name));
}

void golden_sizes(const json_t *object, const char *name, size_t *sizes, size_t count)
{
    const json_t *const list = golden_member(object, name);
    assert_int_equal(json_array_size(list), count);
    for (size_t i = 0; i < count; i++)
        sizes[i] = (size_t)json_integer_value(json_array_get(list, i));
}

void golden_floats(const json_t *object, const char *name, float *values, size_t count)
{
    const json_t *const list = golden_member(object, name);
    assert_int_equal(json_array_size(list), count);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)json_number_value(json_array_get(list, i));
}

/* ---- Levels and threads ---------------------------------------------------------------------------- */

size_t golden_levels(unsigned levels[GOLDEN_LEVELS_MAX])
{
    static const unsigned masks[GOLDEN_LEVELS_MAX] = {
        HEED_CPU_REF,
        HEED_CPU_BLAS,
        HEED_CPU_BLAS | HEED_CPU_AVX2,
        HEED_CPU_BLAS | HEED_CPU_AVX2 | HEED_CPU_AVX512,
    };
    const unsigned machine = heed_cpu_detect();
    struct heed_kernels kernels, before = { 0 };
    size_t count = 0;
    for (size_t i = 0; i < GOLDEN_LEVELS_MAX; i++) {
        if (masks[i] & ~machine)
            continue;
        heed_kernels_init(&kernels, masks[i]);
        if (count > 0 && kernels.level == before.level)
            continue; /* this build has nothing of its own there */
        levels[count++] = masks[i];
        before = kernels;
    }
    return count;
}

struct heed_crew *golden_crew(unsigned threads)
{
    struct heed_crew *crew;
    struct heed_error error;
    if (heed_crew_create(threads - 1, threads, &crew, &error) != HEED_OK)
        fail_msg("%s", error.text);
    return crew;
}

/* ---- Comparison ------------------------------------------------------------------------------------ */

void golden_compare(const struct golden_suite *suite, const char *name, const float *values, size_t count,
                    float tolerance, const char *level)
{
    struct heed_weight stored;
    struct heed_error error;
    if (!heed_weights_find(suite->values, name, &stored))
        fail_msg("golden data: no values for %s", name);
    float *const expected = malloc(stored.count * sizeof *expected);
    if (heed_weights_read(suite->values, name, 1, &stored.count, expected, &error) != HEED_OK)
        fail_msg("%s", error.text);
    assert_true(stored.count <= count);

    const uint64_t key = generated_key("%s", name);
    float largest = 0, worst = 0;
    size_t worst_at = 0;
    for (size_t i = 0; i < stored.count; i++) {
        const size_t at = stored.count == count ? i : generated_hash(key, i) % count;
        const float size = expected[i] < 0 ? -expected[i] : expected[i];
        const float difference = values[at] < expected[i] ? expected[i] - values[at] : values[at] - expected[i];
        if (size > largest)
            largest = size;
        if (!(difference <= worst)) { /* a NaN is the worst */
            worst = difference;
            worst_at = at;
        }
    }
    if (!(worst <= tolerance * largest))
        fail_msg("%s at %s: element %zu is %g away from the reference, %g is allowed", name, level, worst_at,
                 (double)worst, (double)(tolerance * largest));
    free(expected);
}

/* ---- Layers ---------------------------------------------------------------------------------------- */

struct heed_tensor golden_tensor(struct heed_forward *forward, const char *name, const char *part, size_t n, size_t h,
                                 size_t w, size_t c)
{
    const struct heed_tensor tensor = heed_forward_tensor(forward, n, h, w, c);
    if (heed_forward_computes(forward))
        generated_fill(tensor.data, n * h * w * c, generated_key("%s/%s", name, part), 0, 1);
    return tensor;
}

/* One pass; the output's pixels packed without gaps go to `packed` when computing. Returns how many floats it has. */
static size_t run_layer(const struct golden_layer *layer, const void *loaded, struct heed_forward *forward,
                        const json_t *c, float *packed)
{
    size_t shape[4] = { 1, 1, 1, 1 };
    const size_t rank = json_array_size(golden_member(c, "input"));
    golden_sizes(c, "input", shape + 4 - rank, rank); /* rows of a linear layer: (1, 1, rows, channels) */
    const struct heed_tensor input =
        golden_tensor(forward, golden_text(c, "name"), "input", shape[0], shape[1], shape[2], shape[3]);
    const struct heed_tensor y = layer->run(forward, loaded, &input, c);
    const size_t pixels = heed_tensor_pixels(&y);
    if (packed)
        for (size_t i = 0; i < pixels; i++)
            memcpy(packed + i * y.c, y.data + i * y.stride, y.c * sizeof *packed);
    return pixels * y.c;
}

/* Plans, then computes within exactly the planned memory. The caller frees the output. */
static float *answer_layer(const struct golden_layer *layer, const void *loaded, const struct heed_kernels *kernels,
                           unsigned threads, const json_t *c, size_t *count)
{
    struct heed_arena arena;
    heed_arena_init_counting(&arena);
    struct heed_forward forward = { .kernels = kernels, .arena = &arena, .lanes = threads };
    *count = run_layer(layer, loaded, &forward, c, NULL);
    assert_false(arena.overflowed);
    const size_t planned = arena.peak;

    void *const block = aligned_alloc(HEED_ALIGN, (planned + HEED_ALIGN - 1) / HEED_ALIGN * HEED_ALIGN);
    float *const values = malloc(*count * sizeof *values);
    struct heed_crew *const crew = golden_crew(threads);
    heed_arena_init(&arena, block, planned);
    forward.crew = crew;
    run_layer(layer, loaded, &forward, c, values);
    assert_int_equal(forward.status, HEED_OK);
    assert_int_equal(arena.peak, planned);
    heed_crew_free(crew);
    heed_arena_deinit(&arena);
    free(block);
    return values;
}

static void check_level(const struct golden_suite *suite, const struct golden_layer *layer, float tolerance,
                        const json_t *c, unsigned level)
{
    struct heed_error error;
    struct heed_kernels kernels;
    heed_kernels_init(&kernels, level);
    const char *const name = golden_text(c, "name");

    struct heed_loader loader = { .kernels = &kernels, .error = &error };
    uint8_t *bytes = NULL;
    void *loaded = NULL;
    if (heed_keep_create(&loader.keep, &error) != HEED_OK)
        fail_msg("%s", error.text);
    if (layer->load) {
        size_t size;
        bytes = generated_weights(name, golden_member(c, "weights"), &size);
        if (heed_weights_open_memory(name, bytes, size, &loader.weights, &error) != HEED_OK)
            fail_msg("%s", error.text);
        loaded = layer->load(&loader, c);
        if (loader.status != HEED_OK)
            fail_msg("%s: %s", name, error.text);
        if (heed_weights_unused(loader.weights))
            fail_msg("%s: %s was not read", name, heed_weights_unused(loader.weights));
    }

    size_t count;
    float *const alone = answer_layer(layer, loaded, &kernels, 1, c, &count);
    golden_compare(suite, name, alone, count, tolerance, heed_cpu_level_name(level));
    for (unsigned threads = 2; threads <= GOLDEN_THREADS_MAX; threads++) {
        size_t same;
        float *const together = answer_layer(layer, loaded, &kernels, threads, c, &same);
        assert_int_equal(same, count);
        if (memcmp(together, alone, count * sizeof *alone) != 0)
            fail_msg("%s at %s: %u threads change the result", name, heed_cpu_level_name(level), threads);
        free(together);
    }
    free(alone);
    heed_weights_free(loader.weights);
    heed_keep_free(loader.keep);
    free(bytes);
}

void golden_check_layer(const struct golden_suite *suite, const struct golden_layer *layer, float tolerance)
{
    unsigned levels[GOLDEN_LEVELS_MAX];
    const size_t level_count = golden_levels(levels);
    size_t i, checked = 0;
    json_t *c;
    json_array_foreach(suite->cases, i, c)
    {
        if (layer->kind && strcmp(golden_text(c, "kind"), layer->kind) != 0)
            continue;
        checked++;
        for (size_t level = 0; level < level_count; level++)
            check_level(suite, layer, tolerance, c, levels[level]);
    }
    assert_true(checked > 0);
}
