/* Both attention mechanisms alone, from 64x64 to 1024x1024 positions of 256 channels (keys 128, values 256): time a
 * position, and the memory beside the map they work on.
 *
 *     test_bench_attention [threads]
 *
 * One thread is timed by its own clock, which other work on the machine disturbs little; several by the wall. A size
 * is not run where the one before says that it takes over a minute. */
#include "../unit/invented.h"

#include <time.h>

#include "attention/attention.h"

enum { CHANNELS = 256, KEYS = 128, VALUES = 256, SIDE_MIN = 64, SIDE_MAX = 1024, ROUNDS_MIN = 3 };

static const double seconds_max = 60, seconds_wanted = 2;

struct bench {
    struct net net;
    struct heed_crew *crew;
    unsigned threads;
};

static double seconds(unsigned threads)
{
    struct timespec now;
    clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The least time of a pass, in seconds. Rounds go on until they have taken a while. */
static double measure(const struct bench *bench, const struct heed_attention *attention, struct heed_arena *arena,
                      const struct heed_tensor *x)
{
    struct heed_forward forward = {
        .kernels = &bench->net.kernels, .arena = arena, .crew = bench->crew, .lanes = bench->threads
    };
    double least = INFINITY, all = 0;
    for (int round = 0; round < ROUNDS_MIN || all < seconds_wanted; round++) {
        const double start = seconds(bench->threads);
        heed_attention_run(&forward, attention, x);
        const double took = seconds(bench->threads) - start;
        least = fmin(least, took);
        all += took;
        if (took > seconds_wanted)
            break; /* one round says enough */
    }
    return least;
}

static size_t scratch_bytes(const struct bench *bench, const struct heed_attention *attention,
                            const struct heed_tensor *x)
{
    struct heed_arena arena;
    heed_arena_init_counting(&arena);
    struct heed_forward forward = { .kernels = &bench->net.kernels, .arena = &arena, .lanes = bench->threads };
    heed_attention_run(&forward, attention, x);
    return arena.peak;
}

/* One size: prints a line and gives the seconds it took. */
static double run(const struct bench *bench, const struct heed_attention *attention, const char *name, size_t side)
{
    const size_t positions = side * side;
    struct heed_tensor x = { .n = 1, .h = side, .w = side, .c = CHANNELS, .stride = CHANNELS };
    const size_t scratch = scratch_bytes(bench, attention, &x);
    x.data = aligned_alloc(HEED_ALIGN, positions * CHANNELS * sizeof *x.data);
    void *const block = aligned_alloc(HEED_ALIGN, scratch);
    assert_true(x.data && block);
    invent_floats(x.data, positions * CHANNELS, side);
    memset(block, 0, scratch); /* the system's time for new pages is not the mechanism's */
    struct heed_arena arena;
    heed_arena_init(&arena, block, scratch);
    const double took = measure(bench, attention, &arena, &x);
    heed_arena_deinit(&arena);
    printf("%-12s %4zu x %-4zu %12.2f %14.1f %12.2f\n", name, side, side, took * 1e3, took * 1e9 / (double)positions,
           (double)scratch / (1 << 20));
    fflush(stdout);
    free(block);
    free(x.data);
    return took;
}

static void run_sizes(struct bench *bench, const char *name, enum heed_attention_type type, double growth)
{
    const struct heed_attention_spec spec = {
        .after = "place", .type = type, .key_channels = KEYS, .value_channels = VALUES, .heads = 1
    };
    const struct heed_attention *const attention = heed_attention_load(&bench->net.loader, &spec, CHANNELS);
    double took = 0;
    for (size_t side = SIDE_MIN; side <= SIDE_MAX; side *= 2) {
        if (growth * took < seconds_max)
            took = run(bench, attention, name, side);
        else
            printf("%-12s %4zu x %-4zu  over a minute, by the growth so far %.0f s\n", name, side, side,
                   took *= growth);
    }
}

int main(int argc, char **argv)
{
    struct bench bench = { .threads = argc > 1 ? (unsigned)atoi(argv[1]) : 1 };
    net_init(&bench.net);
    struct heed_error error;
    if (heed_crew_create(bench.threads - 1, bench.threads, &bench.crew, &error) != HEED_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    printf("%s, %u thread%s, %d channels, keys %d, values %d\n\n", heed_cpu_level_name(bench.net.kernels.level),
           bench.threads, bench.threads == 1 ? "" : "s", CHANNELS, KEYS, VALUES);
    printf("%-12s %11s %12s %14s %12s\n", "attention", "positions", "ms", "ns a position", "scratch MB");
    run_sizes(&bench, "efficient", HEED_ATTENTION_EFFICIENT, 4);
    run_sizes(&bench, "dot product", HEED_ATTENTION_DOT_PRODUCT, 16);
    heed_crew_free(bench.crew);
    net_deinit(&bench.net);
}
