/* The kernel checker: random data, every tail, odd starts and guards; a CPU level against plain C.
 *
 *     [ guard floats | n floats ][ page that may not be touched ]
 *
 * Every buffer ends at the last byte of a page: a kernel that reads or writes one float too many is killed there, and
 * its start is as odd as n makes it. A pair is two such buffers of equal contents, one for plain C and one for the
 * level; check_same compares them whole, so that gaps between strided rows and the guard in front are watched too.
 */
#ifndef HEED_TESTS_CHECK_H
#define HEED_TESTS_CHECK_H

#include "kernels/kernels.h"

struct check {
    const struct heed_kernels *ref, *new;
    const char *level;
};

/* Passes when |new - ref| <= absolute + relative * |ref|, or both are NaN, or both the same infinity. */
struct check_tolerance {
    float absolute, relative;
};

struct check_pair {
    float *ref, *new;
    size_t n;
};

float check_random(float low, float high);
size_t check_random_below(size_t bound);

/* Filled with random numbers; check_free takes them back. */
float *check_floats(size_t n, float low, float high);
void check_free(float *floats, size_t n);
void check_pair_init(struct check_pair *pair, size_t n, float low, float high);

/* Compares and frees the pair; fails the test with the text, the level and the first difference. */
void check_same(const struct check *c, struct check_pair *pair, struct check_tolerance tolerance, const char *format,
                ...) __attribute__((format(printf, 4, 5)));

/* Times one kernel call in both tables by turns and prints a line; `flops` of one call, or 0 to leave the rate out. */
typedef void check_call_fn(const struct heed_kernels *kernels, void *arg);
void check_time(const struct check *c, const char *name, check_call_fn *call, void *arg, double flops);

/* One line a kernel file: its checks, and its timings. */
#define CHECK_LIST(X)                                                                                                  \
    X(gemm)                                                                                                            \
    X(gemm_tn)                                                                                                         \
    X(window)                                                                                                          \
    X(winograd)                                                                                                        \
    X(resize)                                                                                                          \
    X(roi_align)                                                                                                       \
    X(softmax)                                                                                                         \
    X(elementwise)

#define X(name)                                                                                                        \
    void check_##name(const struct check *c);                                                                          \
    void bench_##name(const struct check *c);
CHECK_LIST(X)
#undef X

#endif
