/* Every CPU level this machine has against plain C; `test_kernels --bench [KERNEL [LEVEL]]` times both instead. */
#include "check.h"

#include "heed.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

static const unsigned levels[] = { HEED_CPU_BLAS, HEED_CPU_AVX2, HEED_CPU_AVX512 };
#define LEVEL_COUNT (sizeof levels / sizeof levels[0])

static const struct {
    const char *name;
    void (*check)(const struct check *c), (*bench)(const struct check *c);
} kernels[] = {
#define X(name) { #name, check_##name, bench_##name },
    CHECK_LIST(X)
#undef X
};
#define KERNEL_COUNT (sizeof kernels / sizeof kernels[0])

struct state {
    struct heed_kernels ref, new;
    struct check check;
    void (*run)(const struct check *c);
};

/* A level holds those below it. */
static bool state_init(struct state *state, size_t level, size_t kernel)
{
    const unsigned cpu = heed_cpu_detect() & (2 * levels[level] - 1);
    if (!(cpu & levels[level]))
        return false;
    heed_kernels_init(&state->ref, HEED_CPU_REF);
    heed_kernels_init(&state->new, cpu);
    state->check = (struct check){ &state->ref, &state->new, heed_cpu_level_name(cpu) };
    state->run = kernels[kernel].check;
    return true;
}

static void run_check(void **arg)
{
    const struct state *const state = *arg;
    state->run(&state->check);
}

static bool asked_for(const char *wanted, const char *name)
{
    return !wanted || strcmp(wanted, name) == 0;
}

static void bench(const char *kernel, const char *level)
{
    for (size_t k = 0; k < KERNEL_COUNT; k++) {
        for (size_t l = 0; l < LEVEL_COUNT; l++) {
            struct state state;
            if (asked_for(kernel, kernels[k].name) && state_init(&state, l, k) && asked_for(level, state.check.level))
                kernels[k].bench(&state.check);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) {
        bench(argc > 2 ? argv[2] : NULL, argc > 3 ? argv[3] : NULL);
        return 0;
    }
    static struct state states[LEVEL_COUNT * KERNEL_COUNT];
    static char names[LEVEL_COUNT * KERNEL_COUNT][64];
    struct CMUnitTest tests[LEVEL_COUNT * KERNEL_COUNT];
    size_t count = 0;
    for (size_t l = 0; l < LEVEL_COUNT; l++) {
        for (size_t k = 0; k < KERNEL_COUNT; k++) {
            if (!state_init(&states[count], l, k))
                continue;
            snprintf(names[count], sizeof names[count], "%s answers to plain C in %s", states[count].check.level,
                     kernels[k].name);
            tests[count] = (struct CMUnitTest){ names[count], run_check, NULL, NULL, &states[count] };
            count++;
        }
    }
    return _cmocka_run_group_tests("kernels", tests, count, NULL, NULL);
}
