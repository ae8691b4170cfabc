/* Both mechanisms against their textbook formulas in doubles: projections, softmaxes, the map or the context,
 * reprojection, residual, in that order, from the same weights. */
#include "invented.h"

#include "attention/attention.h"

struct attention_case {
    struct heed_attention_spec spec;
    size_t n, h, w, c;
    float spread; /* of the input: large values try the softmaxes */
    const struct heed_attention *module;
    float *x, *y;
};

/* ---- Textbook -------------------------------------------------------------------------------------- */

/* (positions, out) = x W^T + b */
static double *project(const struct attention_case *it, const char *part, const double *x, size_t positions, size_t in,
                       size_t out)
{
    char name[64];
    float *const weights = malloc(out * in * sizeof *weights), *const bias = malloc(out * sizeof *bias);
    snprintf(name, sizeof name, "attention.%s.%s.weight", it->spec.after, part);
    assert_int_equal(heed_weights_read(NULL, name, 4, (size_t[]){ out, in, 1, 1 }, weights, NULL), HEED_OK);
    snprintf(name, sizeof name, "attention.%s.%s.bias", it->spec.after, part);
    assert_int_equal(heed_weights_read(NULL, name, 1, &out, bias, NULL), HEED_OK);
    double *const y = malloc(positions * out * sizeof *y);
    for (size_t i = 0; i < positions * out; i++) {
        y[i] = bias[i % out];
        for (size_t j = 0; j < in; j++)
            y[i] += weights[i % out * in + j] * x[i / out * in + j];
    }
    free(weights);
    free(bias);
    return y;
}

/* Softmax of `count` values `step` apart. */
static void softmax(double *x, size_t count, size_t step)
{
    double max = x[0], sum = 0;
    for (size_t i = 0; i < count; i++)
        max = fmax(max, x[i * step]);
    for (size_t i = 0; i < count; i++)
        sum += x[i * step] = exp(x[i * step] - max);
    for (size_t i = 0; i < count; i++)
        x[i * step] /= sum;
}

/* keys and queries (n, dk), values (n, dv) -> attended (n, dv) */
static void attend_efficient(const struct attention_case *it, double *keys, double *queries, const double *values,
                             double *attended)
{
    const size_t n = it->h * it->w, dk = it->spec.key_channels, dv = it->spec.value_channels, heads = it->spec.heads;
    double scale = 1;
    if (it->spec.normalization == HEED_NORMALIZATION_SOFTMAX) {
        for (size_t k = 0; k < dk; k++)
            softmax(keys + k, n, dk);
        for (size_t i = 0; i < n * heads; i++)
            softmax(queries + i * (dk / heads), dk / heads, 1);
    } else {
        scale = it->spec.scale != 0 ? it->spec.scale : 1 / (double)n;
    }
    for (size_t v = 0; v < dv; v++) {
        const size_t head = v / (dv / heads);
        for (size_t i = 0; i < n; i++)
            attended[i * dv + v] = 0;
        for (size_t k = head * (dk / heads); k < (head + 1) * (dk / heads); k++) {
            double context = 0;
            for (size_t i = 0; i < n; i++)
                context += keys[i * dk + k] * values[i * dv + v];
            for (size_t i = 0; i < n; i++)
                attended[i * dv + v] += scale * queries[i * dk + k] * context;
        }
    }
}

static void attend_dot_product(const struct attention_case *it, double *keys, double *queries, const double *values,
                               double *attended)
{
    const size_t n = it->h * it->w, dk = it->spec.key_channels, dv = it->spec.value_channels, heads = it->spec.heads;
    const size_t head_keys = dk / heads, head_values = dv / heads;
    double *const map = malloc(n * sizeof *map);
    for (size_t row = 0; row < n * heads; row++) {
        const size_t i = row / heads, head = row % heads;
        for (size_t j = 0; j < n; j++) {
            map[j] = 0;
            for (size_t k = head * head_keys; k < (head + 1) * head_keys; k++)
                map[j] += queries[i * dk + k] * keys[j * dk + k] / sqrt((double)head_keys);
        }
        softmax(map, n, 1);
        for (size_t v = head * head_values; v < (head + 1) * head_values; v++) {
            attended[i * dv + v] = 0;
            for (size_t j = 0; j < n; j++)
                attended[i * dv + v] += map[j] * values[j * dv + v];
        }
    }
    free(map);
}

static void textbook(const struct attention_case *it, const float *image, float *y)
{
    const bool efficient = it->spec.type == HEED_ATTENTION_EFFICIENT;
    const size_t n = it->h * it->w, dk = it->spec.key_channels, dv = it->spec.value_channels;
    double *const x = malloc(n * it->c * sizeof *x), *const attended = malloc(n * dv * sizeof *attended);
    for (size_t i = 0; i < n * it->c; i++)
        x[i] = image[i];
    double *const keys = project(it, efficient ? "keys" : "phi", x, n, it->c, dk);
    double *const queries = project(it, efficient ? "queries" : "theta", x, n, it->c, dk);
    double *const values = project(it, efficient ? "values" : "g", x, n, it->c, dv);
    (efficient ? attend_efficient : attend_dot_product)(it, keys, queries, values, attended);
    double *const out = project(it, efficient ? "reprojection" : "out", attended, n, dv, it->c);
    for (size_t i = 0; i < n * it->c; i++)
        y[i] = (float)(x[i] + out[i]);
    free(x);
    free(attended);
    free(keys);
    free(queries);
    free(values);
    free(out);
}

/* ---- Checks ---------------------------------------------------------------------------------------- */

static void run_attention(struct heed_forward *forward, void *arg)
{
    struct attention_case *const it = arg;
    const struct heed_tensor x = heed_forward_tensor(forward, it->n, it->h, it->w, it->c);
    const size_t bytes = it->n * it->h * it->w * it->c * sizeof *it->x;
    if (!heed_arena_counting(forward->arena))
        memcpy(x.data, it->x, bytes);
    heed_attention_run(forward, it->module, &x);
    if (heed_arena_counting(forward->arena))
        return;
    it->y = malloc(bytes);
    memcpy(it->y, x.data, bytes);
}

static void check(struct attention_case it)
{
    struct net net;
    net_init(&net);
    strcpy(it.spec.after, "place");
    it.module = heed_attention_load(&net.loader, &it.spec, it.c);
    assert_int_equal(net.loader.status, HEED_OK);
    const size_t image = it.h * it.w * it.c, floats = it.n * image;
    it.x = malloc(floats * sizeof *it.x);
    invent_floats(it.x, floats, 11);
    for (size_t i = 0; i < floats && it.spread != 0; i++)
        it.x[i] *= it.spread;

    pass_run(&net.kernels, 1, run_attention, &it);
    float *const y = it.y;
    for (unsigned lanes = 2; lanes <= 3; lanes++) {
        pass_run(&net.kernels, lanes, run_attention, &it);
        assert_memory_equal(it.y, y, floats * sizeof *y);
        free(it.y);
    }
    float *const wanted = malloc(image * sizeof *wanted);
    for (size_t i = 0; i < it.n; i++) {
        textbook(&it, it.x + i * image, wanted);
        assert_close(y + i * image, wanted, image, 2e-5f * fmaxf(1, it.spread)); /* terms are as large as the input */
    }
    free(wanted);
    free(y);
    free(it.x);
    net_deinit(&net);
}

#define EFFICIENT(...)                                                                                                 \
    (struct heed_attention_spec)                                                                                       \
    {                                                                                                                  \
        .type = HEED_ATTENTION_EFFICIENT, __VA_ARGS__                                                                  \
    }
#define SCALING(...) EFFICIENT(.normalization = HEED_NORMALIZATION_SCALING, __VA_ARGS__)
#define DOT_PRODUCT(...)                                                                                               \
    (struct heed_attention_spec)                                                                                       \
    {                                                                                                                  \
        .type = HEED_ATTENTION_DOT_PRODUCT, __VA_ARGS__                                                                \
    }
#define SIZES(keys, values, head_count) .key_channels = keys, .value_channels = values, .heads = head_count

static void efficient_is_its_formula(void **state)
{
    (void)state;
    check((struct attention_case){ .spec = EFFICIENT(SIZES(8, 16, 1)), .n = 1, .h = 13, .w = 9, .c = 16 });
    check((struct attention_case){ .spec = EFFICIENT(SIZES(7, 5, 1)), .n = 1, .h = 37, .w = 29, .c = 11 });
    check((struct attention_case){ .spec = EFFICIENT(SIZES(32, 64, 1)), .n = 1, .h = 52, .w = 40, .c = 64 });
}

static void efficient_is_its_formula_with_heads(void **state)
{
    (void)state;
    check((struct attention_case){ .spec = EFFICIENT(SIZES(8, 16, 2)), .n = 1, .h = 7, .w = 9, .c = 12 });
    check((struct attention_case){ .spec = EFFICIENT(SIZES(32, 32, 32)), .n = 1, .h = 11, .w = 6, .c = 32 });
    check((struct attention_case){ .spec = EFFICIENT(SIZES(128, 96, 2)), .n = 1, .h = 15, .w = 14, .c = 48 });
}

static void efficient_is_its_formula_where_keys_are_cut_into_blocks(void **state)
{
    (void)state;
    check((struct attention_case){ .spec = EFFICIENT(SIZES(300, 64, 1)), .n = 1, .h = 12, .w = 11, .c = 512 });
}

static void efficient_with_scaling_is_its_formula(void **state)
{
    (void)state;
    check((struct attention_case){ .spec = SCALING(SIZES(8, 16, 1)), .n = 1, .h = 13, .w = 9, .c = 16 });
    check(
        (struct attention_case){ .spec = SCALING(SIZES(8, 16, 4), .scale = 0.125f), .n = 1, .h = 5, .w = 3, .c = 16 });
}

static void dot_product_is_its_formula(void **state)
{
    (void)state;
    check((struct attention_case){ .spec = DOT_PRODUCT(SIZES(8, 16, 1)), .n = 1, .h = 13, .w = 9, .c = 16 });
    check((struct attention_case){ .spec = DOT_PRODUCT(SIZES(12, 20, 4)), .n = 1, .h = 31, .w = 17, .c = 10 });
    check((struct attention_case){ .spec = DOT_PRODUCT(SIZES(24, 40, 1)), .n = 1, .h = 24, .w = 24, .c = 33 });
}

static void one_position_attends_to_itself(void **state)
{
    (void)state;
    check((struct attention_case){ .spec = EFFICIENT(SIZES(4, 6, 2)), .n = 1, .h = 1, .w = 1, .c = 8 });
    check((struct attention_case){ .spec = SCALING(SIZES(4, 6, 1)), .n = 1, .h = 1, .w = 1, .c = 8 });
    check((struct attention_case){ .spec = DOT_PRODUCT(SIZES(4, 6, 2)), .n = 1, .h = 1, .w = 1, .c = 8 });
}

static void images_attend_to_themselves_alone(void **state)
{
    (void)state;
    check((struct attention_case){ .spec = EFFICIENT(SIZES(8, 16, 1)), .n = 3, .h = 14, .w = 14, .c = 16 });
    check((struct attention_case){ .spec = DOT_PRODUCT(SIZES(8, 16, 1)), .n = 3, .h = 5, .w = 4, .c = 16 });
}

static void large_values_do_not_overflow_the_softmaxes(void **state)
{
    (void)state;
    check((struct attention_case){
        .spec = EFFICIENT(SIZES(8, 16, 1)), .n = 1, .h = 33, .w = 31, .c = 16, .spread = 300 });
    check((struct attention_case){ .spec = DOT_PRODUCT(SIZES(4, 8, 1)), .n = 1, .h = 9, .w = 7, .c = 8, .spread = 50 });
    check(
        (struct attention_case){ .spec = DOT_PRODUCT(SIZES(4, 8, 1)), .n = 1, .h = 19, .w = 27, .c = 8, .spread = 50 });
}

/* A square map of so many positions takes seconds; its deadline is after a tenth of one. */
static void run_late(struct heed_forward *forward, void *arg)
{
    struct attention_case *const it = arg;
    const struct heed_tensor x = heed_forward_tensor(forward, 1, it->h, it->w, it->c);
    if (heed_arena_counting(forward->arena)) {
        heed_attention_run(forward, it->module, &x);
        return;
    }
    invent_floats(x.data, it->h * it->w * it->c, 5);
    forward->stop.deadline_ns = heed_now_ns() + 100000000;
    heed_attention_run(forward, it->module, &x);
    assert_true(heed_now_ns() < forward->stop.deadline_ns + 500000000);
    assert_false(heed_forward_computes(forward));
    assert_int_equal(forward->status, HEED_DEADLINE);
    forward->status = HEED_OK; /* as it should be, for those that asked for this run */
}

static void dot_product_is_given_up_in_the_middle(void **state)
{
    (void)state;
    struct net net;
    net_init(&net);
    struct attention_case it = { .spec = DOT_PRODUCT(.after = "place", SIZES(32, 64, 1)), .h = 200, .w = 200, .c = 64 };
    it.module = heed_attention_load(&net.loader, &it.spec, it.c);
    pass_run(&net.kernels, 1, run_late, &it);
    net_deinit(&net);
}

static void no_module_changes_nothing(void **state)
{
    (void)state;
    struct net net;
    net_init(&net);
    float x[12];
    invent_floats(x, 12, 1);
    struct attention_case it = { .n = 1, .h = 2, .w = 2, .c = 3, .x = x };
    pass_run(&net.kernels, 1, run_attention, &it);
    assert_memory_equal(it.y, x, sizeof x);
    free(it.y);
    net_deinit(&net);
}

/* Beyond the feature map itself. */
static size_t scratch_of(const struct attention_case *it, const struct heed_kernels *kernels)
{
    struct heed_arena arena;
    heed_arena_init_counting(&arena);
    struct heed_forward forward = { .kernels = kernels, .arena = &arena, .lanes = 2 };
    const struct heed_tensor x = heed_forward_tensor(&forward, it->n, it->h, it->w, it->c);
    const size_t map = arena.peak;
    heed_attention_run(&forward, it->module, &x);
    return arena.peak - map;
}

/* What a module at 256 channels needs beyond the map and `position` bytes for each of its positions: the same at both
 * sides of a square map. */
static size_t scratch_at_two_sides(struct heed_attention_spec spec, size_t position, size_t side, size_t other_side)
{
    struct net net;
    net_init(&net);
    struct attention_case it = { .spec = spec, .n = 1, .h = side, .w = side, .c = 256 };
    it.module = heed_attention_load(&net.loader, &it.spec, it.c);
    const size_t scratch = scratch_of(&it, &net.kernels) - side * side * position;
    it.h = it.w = other_side;
    assert_int_equal(scratch_of(&it, &net.kernels) - other_side * other_side * position, scratch);
    net_deinit(&net);
    return scratch;
}

static void efficient_needs_the_same_scratch_for_any_large_image(void **state)
{
    (void)state;
    const struct heed_attention_spec spec = EFFICIENT(.after = "place", SIZES(128, 256, 1));
    assert_true(scratch_at_two_sides(spec, 0, 256, 1024) < 8u << 20);
}

/* Its keys and values are as large as the map; the block of attention is not. */
static void dot_product_needs_the_same_scratch_beside_keys_and_values_for_any_image(void **state)
{
    (void)state;
    const struct heed_attention_spec spec = DOT_PRODUCT(.after = "place", SIZES(128, 256, 1));
    assert_true(scratch_at_two_sides(spec, (128 + 256) * sizeof(float), 32, 128) < 2u << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(efficient_is_its_formula),
        cmocka_unit_test(efficient_is_its_formula_with_heads),
        cmocka_unit_test(efficient_is_its_formula_where_keys_are_cut_into_blocks),
        cmocka_unit_test(efficient_with_scaling_is_its_formula),
        cmocka_unit_test(dot_product_is_its_formula),
        cmocka_unit_test(one_position_attends_to_itself),
        cmocka_unit_test(images_attend_to_themselves_alone),
        cmocka_unit_test(large_values_do_not_overflow_the_softmaxes),
        cmocka_unit_test(dot_product_is_given_up_in_the_middle),
        cmocka_unit_test(no_module_changes_nothing),
        cmocka_unit_test(efficient_needs_the_same_scratch_for_any_large_image),
        cmocka_unit_test(dot_product_needs_the_same_scratch_beside_keys_and_values_for_any_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
