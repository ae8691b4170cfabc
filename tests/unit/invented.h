/* For tests of layers and networks: a loader whose weights are invented, any name and any shape, the same values for
 * the same name every time; and a pass over an arena and a crew. The definitions below stand in for weights/weights.c:
 * the linker takes these and leaves that file in the library. */
#ifndef TESTS_UNIT_INVENTED_H
#define TESTS_UNIT_INVENTED_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "layers/forward.h"
#include "layers/loader.h"

/* ---- Numbers --------------------------------------------------------------------------------------- */

static inline float invent(uint64_t *state) /* -1..1 */
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(*state >> 32) / 2147483648.0f;
}

static inline void invent_floats(float *x, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++)
        x[i] = invent(&seed);
}

/* ---- Weights --------------------------------------------------------------------------------------- */

struct heed_weights {
    const char *known; /* a name that heed_weights_find knows; NULL: none */
};

bool heed_weights_find(const struct heed_weights *weights, const char *name, struct heed_weight *weight)
{
    *weight = (struct heed_weight){ .name = name };
    return weights->known && strcmp(weights->known, name) == 0;
}

/* Sums over weights like these stay about as large as what they sum; variances are positive. */
enum heed_status heed_weights_read(struct heed_weights *weights, const char *name, size_t rank, const size_t *shape,
                                   float *out, struct heed_error *error)
{
    (void)weights;
    (void)error;
    uint64_t seed = 14695981039346656037u;
    for (const char *c = name; *c; c++)
        seed = (seed ^ (uint8_t)*c) * 1099511628211u;
    size_t count = 1, fan_in = 1;
    for (size_t i = 0; i < rank; i++) {
        count *= shape[i];
        fan_in *= i > 0 ? shape[i] : 1;
    }
    const bool variance = strstr(name, "running_var") != NULL;
    for (size_t i = 0; i < count; i++) {
        const float x = invent(&seed);
        out[i] = variance ? 1 + 0.5f * x : rank > 1 ? x * sqrtf(3 / (float)fan_in) : 0.3f * x;
    }
    return HEED_OK;
}

/* ---- Loading and passing --------------------------------------------------------------------------- */

struct net {
    struct heed_kernels kernels;
    struct heed_weights weights;
    struct heed_keep *keep;
    struct heed_loader loader;
    struct heed_error error;
};

static inline void net_init(struct net *net)
{
    *net = (struct net){ 0 };
    heed_kernels_init(&net->kernels, heed_cpu_detect());
    assert_int_equal(heed_keep_create(&net->keep, &net->error), HEED_OK);
    net->loader = (struct heed_loader){
        .weights = &net->weights, .kernels = &net->kernels, .keep = net->keep, .error = &net->error
    };
}

static inline void net_deinit(struct net *net)
{
    heed_keep_free(net->keep);
}

/* What a test does with a forward: once to plan, then to compute. Outputs are copied out while computing. */
typedef void pass_fn(struct heed_forward *forward, void *arg);

/* Plans, computes with `lanes` threads and gives the bytes that computing took, never more than planned. */
static inline size_t pass_measure(const struct heed_kernels *kernels, unsigned lanes, pass_fn *fn, void *arg,
                                  size_t *planned_bytes)
{
    struct heed_arena arena;
    heed_arena_init_counting(&arena);
    struct heed_forward forward = { .kernels = kernels, .arena = &arena, .lanes = lanes };
    fn(&forward, arg);
    assert_false(arena.overflowed);
    const size_t planned = arena.peak;

    const size_t size = (planned + HEED_ALIGN) / HEED_ALIGN * HEED_ALIGN;
    void *const block = aligned_alloc(HEED_ALIGN, size);
    memset(block, 0xff, size); /* NaN: what is read before it is written shows */
    struct heed_crew *crew;
    assert_int_equal(heed_crew_create(lanes - 1, lanes, &crew, NULL), HEED_OK);
    heed_arena_init(&arena, block, planned);
    forward = (struct heed_forward){ .kernels = kernels, .arena = &arena, .crew = crew, .lanes = lanes };
    fn(&forward, arg);
    assert_int_equal(forward.status, HEED_OK);
    assert_true(arena.peak <= planned);
    const size_t computed = arena.peak;
    heed_arena_deinit(&arena);
    heed_crew_free(crew);
    free(block);
    *planned_bytes = planned;
    return computed;
}

/* Where what is computed does not depend on the data, computing takes exactly what was planned. */
static inline void pass_run(const struct heed_kernels *kernels, unsigned lanes, pass_fn *fn, void *arg)
{
    size_t planned;
    const size_t computed = pass_measure(kernels, lanes, fn, arg, &planned);
    assert_int_equal(computed, planned);
}

static inline void assert_close(const float *a, const float *b, size_t count, float tolerance)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(a[i] - b[i]) <= tolerance * (1 + fabsf(b[i]))))
            fail_msg("element %zu of %zu is %g, wanted %g", i, count, (double)a[i], (double)b[i]);
}

#endif
