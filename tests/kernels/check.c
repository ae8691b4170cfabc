#include "check.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#define GUARD 24 /* floats in front of every buffer */

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint32_t random_bits(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33);
}

float check_random(float low, float high)
{
    return low + (high - low) * (float)(random_bits() & 0xffffff) / 0xffffff;
}

size_t check_random_below(size_t bound)
{
    return random_bits() % bound;
}

static size_t mapped_bytes(size_t n)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return ((n + GUARD) * sizeof(float) + page - 1) / page * page;
}

static float *map_floats(size_t n)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = mapped_bytes(n);
    uint8_t *const block = mmap(NULL, bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(block, MAP_FAILED);
    assert_int_equal(mprotect(block + bytes, page, PROT_NONE), 0);
    return (float *)(void *)(block + bytes) - n;
}

void check_free(float *floats, size_t n)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = mapped_bytes(n);
    assert_int_equal(munmap((uint8_t *)(floats + n) - bytes, bytes + page), 0);
}

static void fill(float *floats, size_t n, float low, float high)
{
    for (size_t i = 0; i < n; i++)
        floats[i] = check_random(low, high);
}

float *check_floats(size_t n, float low, float high)
{
    float *const floats = map_floats(n);
    fill(floats, n, low, high);
    return floats;
}

void check_pair_init(struct check_pair *pair, size_t n, float low, float high)
{
    *pair = (struct check_pair){ .ref = map_floats(n), .new = map_floats(n), .n = n };
    fill(pair->ref - GUARD, n + GUARD, low, high);
    memcpy(pair->new - GUARD, pair->ref - GUARD, (n + GUARD) * sizeof(float));
}

static bool same(float ref, float new, struct check_tolerance tolerance)
{
    if (isnan(ref) || isnan(new))
        return isnan(ref) && isnan(new);
    if (isinf(ref) || isinf(new))
        return ref == new;
    return fabsf(new - ref) <= tolerance.absolute + tolerance.relative * fabsf(ref);
}

void check_same(const struct check *c, struct check_pair *pair, struct check_tolerance tolerance, const char *format,
                ...)
{
    char what[256];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);

    if (memcmp(pair->ref - GUARD, pair->new - GUARD, GUARD * sizeof(float)) != 0)
        fail_msg("%s %s: wrote in front of its output", c->level, what);
    for (size_t i = 0; i < pair->n; i++)
        if (!same(pair->ref[i], pair->new[i], tolerance))
            fail_msg("%s %s: [%zu] is %.9g, plain C has %.9g", c->level, what, i, (double)pair->new[i],
                     (double)pair->ref[i]);
    check_free(pair->ref, pair->n);
    check_free(pair->new, pair->n);
}

/* Time of this thread alone: what else runs on the machine takes turns with it. */
static double thread_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double seconds_per_call(const struct heed_kernels *kernels, check_call_fn *call, void *arg, size_t calls)
{
    const double start = thread_seconds();
    for (size_t i = 0; i < calls; i++)
        call(kernels, arg);
    return (thread_seconds() - start) / (double)calls;
}

/* The least of several turns: what disturbs only ever adds time. */
void check_time(const struct check *c, const char *name, check_call_fn *call, void *arg, double flops)
{
    const struct heed_kernels *const tables[2] = { c->ref, c->new };
    double best[2] = { INFINITY, INFINITY };
    size_t calls[2];
    for (size_t t = 0; t < 2; t++) {
        const double once = fmin(seconds_per_call(tables[t], call, arg, 1), seconds_per_call(tables[t], call, arg, 1));
        calls[t] = once < 0.01 ? (size_t)(0.01 / fmax(once, 1e-7)) : 1;
    }
    for (size_t turn = 0; turn < 5; turn++)
        for (size_t t = 0; t < 2; t++)
            best[t] = fmin(best[t], seconds_per_call(tables[t], call, arg, calls[t]));
    printf("%-7s %-40s ref %10.1f us  level %10.1f us  x%-6.2f", c->level, name, best[0] * 1e6, best[1] * 1e6,
           best[0] / best[1]);
    if (flops > 0)
        printf(" %7.1f GFLOP/s", flops / best[1] * 1e-9);
    printf("\n");
}
