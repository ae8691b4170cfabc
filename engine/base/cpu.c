#include "base/cpu.h"
#include "base/cgroup.h"

#include <sched.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "heed.h"

/* ---- Levels --------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
static bool has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

/* The builtins also ask whether the operating system saves the wide registers. */
unsigned heed_cpu_detect(void)
{
    __builtin_cpu_init();
    unsigned levels = HEED_CPU_BLAS;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c())
        return levels;
    levels |= HEED_CPU_AVX2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        levels |= HEED_CPU_AVX512;
    return levels;
}
#else
unsigned heed_cpu_detect(void)
{
    return HEED_CPU_BLAS;
}
#endif

const char *heed_cpu_level_name(unsigned cpu)
{
    if (cpu & HEED_CPU_AVX512)
        return "avx512";
    if (cpu & HEED_CPU_AVX2)
        return "avx2";
    return cpu & HEED_CPU_BLAS ? "blas" : "ref";
}

/* ---- Cores ---------------------------------------------------------------------------------------- */

static unsigned affinity_cores(void)
{
    for (int size = 1024; size <= 1 << 20; size *= 2) { /* the kernel's own mask may be wider than cpu_set_t */
        cpu_set_t *const set = CPU_ALLOC(size);
        if (!set)
            break;
        const size_t bytes = CPU_ALLOC_SIZE(size);
        const int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return (unsigned)count;
    }
    return 1;
}

unsigned heed_cpu_cores(void)
{
    const unsigned cores = affinity_cores();
    const unsigned quota = heed_cgroup_cores("");
    return quota && quota < cores ? quota : cores;
}
