#include "golden.h"

#include <math.h>
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

/* The stored values of a name, for the caller to free. */
static float *expected_values(const struct golden_suite *suite, const char *name, size_t *count)
{
    struct heed_weight stored;
    struct heed_error error;
    if (!heed_weights_find(suite->values, name, &stored))
        fail_msg("golden data: no values for %s", name);
    float *const expected = malloc(stored.count * sizeof *expected);
    if (heed_weights_read(suite->values, name, 1, &stored.count, expected, &error) != HEED_OK)
        fail_msg("%s", error.text);
    *count = stored.count;
    return expected;
}

/* Values (n, h, w, c) against the stored ones of this name: all of them, or samples if fewer are stored. */
static void compare(const struct golden_suite *suite, const char *name, const float *values, size_t count,
                    float tolerance, const char *level)
{
    size_t stored;
    float *const expected = expected_values(suite, name, &stored);
    assert_true(stored <= count);

    const uint64_t key = generated_key("%s", name);
    float largest = 0, worst = 0;
    size_t worst_at = 0;
    for (size_t i = 0; i < stored; i++) {
        const size_t at = stored == count ? i : generated_hash(key, i) % count;
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

struct heed_tensor golden_tensor(struct heed_forward *forward, const char *name, const char *part, float spread,
                                 size_t n, size_t h, size_t w, size_t c)
{
    const struct heed_tensor tensor = heed_forward_tensor(forward, n, h, w, c);
    if (heed_forward_computes(forward))
        generated_fill(tensor.data, n * h * w * c, generated_key("%s/%s", name, part), 0, spread);
    return tensor;
}

/* The outputs of a pass without gaps, one behind the other. */
struct answer {
    float *values;
    size_t ends[GOLDEN_OUTPUTS_MAX], count;
};

/* One pass. Planning fills the ends, computing the values. */
static void run_layer(const struct golden_layer *layer, const void *loaded, struct heed_forward *forward,
                      const json_t *c, struct answer *answer)
{
    size_t shape[4];
    golden_sizes(c, "input", shape, 4);
    const struct heed_tensor input =
        golden_tensor(forward, golden_text(c, "name"), "input", layer->input_spread > 0 ? layer->input_spread : 1,
                      shape[0], shape[1], shape[2], shape[3]);
    struct heed_tensor outputs[GOLDEN_OUTPUTS_MAX];
    answer->count = 1;
    if (layer->run_many)
        answer->count = layer->run_many(forward, loaded, &input, outputs);
    else
        outputs[0] = layer->run(forward, loaded, &input, c);

    size_t end = 0;
    for (size_t o = 0; o < answer->count; o++) {
        const struct heed_tensor *const y = &outputs[o];
        const size_t pixels = heed_tensor_pixels(y);
        for (size_t i = 0; i < pixels && answer->values; i++)
            memcpy(answer->values + end + i * y->c, y->data + i * y->stride, y->c * sizeof *y->data);
        end += pixels * y->c;
        answer->ends[o] = end;
    }
}

/* Plans, then computes within exactly the planned memory. The caller frees the values. */
static struct answer answer_layer(const struct golden_layer *layer, const void *loaded,
                                  const struct heed_kernels *kernels, unsigned threads, const json_t *c)
{
    struct answer answer = { 0 };
    struct heed_arena arena;
    heed_arena_init_counting(&arena);
    struct heed_forward forward = { .kernels = kernels, .arena = &arena, .lanes = threads };
    run_layer(layer, loaded, &forward, c, &answer);
    assert_false(arena.overflowed);
    const size_t planned = arena.peak;

    void *const block = aligned_alloc(HEED_ALIGN, (planned + HEED_ALIGN - 1) / HEED_ALIGN * HEED_ALIGN);
    answer.values = malloc(answer.ends[answer.count - 1] * sizeof *answer.values);
    struct heed_crew *const crew = golden_crew(threads);
    heed_arena_init(&arena, block, planned);
    forward.crew = crew;
    run_layer(layer, loaded, &forward, c, &answer);
    assert_int_equal(forward.status, HEED_OK);
    assert_int_equal(arena.peak, planned);
    heed_crew_free(crew);
    heed_arena_deinit(&arena);
    free(block);
    return answer;
}

static void compare_answer(const struct golden_suite *suite, const struct golden_layer *layer, const json_t *c,
                           const struct answer *answer, float tolerance, const char *level)
{
    for (size_t o = 0; o < answer->count; o++) {
        char name[128];
        snprintf(name, sizeof name, layer->run_many ? "%s/%zu" : "%s", golden_text(c, "name"), o);
        const size_t start = o == 0 ? 0 : answer->ends[o - 1];
        compare(suite, name, answer->values + start, answer->ends[o] - start, tolerance, level);
    }
}

/* A case's layer with its generated weights. */
struct loaded_case {
    struct heed_kernels kernels;
    struct heed_loader loader;
    uint8_t *bytes;
    void *layer;
};

static void load_case(struct loaded_case *loaded, const struct golden_layer *layer, const json_t *c, unsigned level,
                      bool winograd)
{
    struct heed_error error;
    *loaded = (struct loaded_case){ 0 };
    heed_kernels_init(&loaded->kernels, level);
    struct heed_loader *const loader = &loaded->loader;
    const char *const name = golden_text(c, "name");
    *loader = (struct heed_loader){ .kernels = &loaded->kernels, .error = &error, .without_winograd = !winograd };
    if (heed_keep_create(&loader->keep, &error) != HEED_OK)
        fail_msg("%s", error.text);
    if (!layer->load)
        return;
    size_t size;
    loaded->bytes = generated_weights(name, golden_member(c, "weights"), &size);
    if (heed_weights_open_memory(name, loaded->bytes, size, &loader->weights, &error) != HEED_OK)
        fail_msg("%s", error.text);
    loaded->layer = layer->load(loader, c);
    if (loader->status != HEED_OK)
        fail_msg("%s: %s", name, error.text);
    if (heed_weights_unused(loader->weights))
        fail_msg("%s: %s was not read", name, heed_weights_unused(loader->weights));
}

static void unload_case(struct loaded_case *loaded)
{
    heed_weights_free(loaded->loader.weights);
    heed_keep_free(loaded->loader.keep);
    free(loaded->bytes);
}

static void check_level(const struct golden_suite *suite, const struct golden_layer *layer, float tolerance,
                        const json_t *c, unsigned level)
{
    struct loaded_case loaded;
    load_case(&loaded, layer, c, level, true);
    struct answer alone = answer_layer(layer, loaded.layer, &loaded.kernels, 1, c);
    compare_answer(suite, layer, c, &alone, tolerance, heed_cpu_level_name(level));
    for (unsigned threads = 2; threads <= GOLDEN_THREADS_MAX; threads++) {
        struct answer together = answer_layer(layer, loaded.layer, &loaded.kernels, threads, c);
        if (memcmp(together.values, alone.values, alone.ends[alone.count - 1] * sizeof *alone.values) != 0)
            fail_msg("%s at %s: %u threads change the result", golden_text(c, "name"), heed_cpu_level_name(level),
                     threads);
        free(together.values);
    }
    free(alone.values);
    unload_case(&loaded);
}

size_t golden_layer_errors(const struct golden_suite *suite, const struct golden_layer *layer, const json_t *c,
                           bool winograd, double errors[GOLDEN_OUTPUTS_MAX])
{
    struct loaded_case loaded;
    load_case(&loaded, layer, c, HEED_CPU_ANY & heed_cpu_detect(), winograd);
    struct answer answer = answer_layer(layer, loaded.layer, &loaded.kernels, 2, c);
    for (size_t o = 0; o < answer.count; o++) {
        char name[128];
        snprintf(name, sizeof name, "%s/%zu", golden_text(c, "name"), o);
        const size_t start = o == 0 ? 0 : answer.ends[o - 1], count = answer.ends[o] - start;
        size_t stored;
        float *const expected = expected_values(suite, name, &stored);
        const uint64_t key = generated_key("%s", name);
        double wrong = 0, all = 0;
        for (size_t i = 0; i < stored; i++) {
            const size_t at = stored == count ? i : generated_hash(key, i) % count;
            const double difference = (double)answer.values[start + at] - (double)expected[i];
            wrong += difference * difference;
            all += (double)expected[i] * (double)expected[i];
        }
        errors[o] = sqrt(wrong / all);
        free(expected);
    }
    free(answer.values);
    unload_case(&loaded);
    return answer.count;
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

/* ---- Models ---------------------------------------------------------------------------------------- */

uint32_t golden_category(size_t class_index)
{
    return 1000 + 7 * (uint32_t)class_index;
}

static char *text_of(json_t *json)
{
    char *const text = json_dumps(json, 0);
    assert_non_null(text);
    json_decref(json);
    return text;
}

char *golden_model_text(const json_t *c)
{
    json_t *const spec = json_deep_copy(golden_member(c, "spec"));
    json_object_set_new(spec, "name", json_string(golden_text(c, "name")));
    json_object_set_new(spec, "labels", json_string("labels.json"));
    json_object_set_new(spec, "weights", json_string("model.safetensors"));
    return text_of(spec);
}

char *golden_labels_text(const json_t *c)
{
    json_t *const labels = json_array();
    for (size_t i = 0; i < golden_size(c, "classes"); i++) {
        char name[32];
        snprintf(name, sizeof name, "class %zu", i);
        json_array_append_new(labels, json_pack("{s:i, s:s}", "id", (int)golden_category(i), "name", name));
    }
    return text_of(labels);
}
