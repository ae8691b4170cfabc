#include "base/cpu.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* The first two words of a small file as numbers; "max", "-1" and everything unreadable leave a 0. */
static void read_numbers(const char *path, unsigned long long numbers[2])
{
    numbers[0] = numbers[1] = 0;
    FILE *const file = fopen(path, "re");
    if (!file)
        return;
    long long first = 0, second = 0;
    if (fscanf(file, "%lld %lld", &first, &second) >= 1) {
        numbers[0] = first > 0 ? (unsigned long long)first : 0;
        numbers[1] = second > 0 ? (unsigned long long)second : 0;
    }
    fclose(file);
}

/* The quota of one group's folder. v2: cpu.max is "QUOTA PERIOD"; v1: two files. */
static unsigned folder_quota(const char *folder, bool v2)
{
    char path[PATH_MAX];
    unsigned long long quota[2], period[2];
    if (snprintf(path, sizeof path, "%s/%s", folder, v2 ? "cpu.max" : "cpu.cfs_quota_us") >= (int)sizeof path)
        return 0;
    read_numbers(path, quota);
    if (!v2) {
        if (snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder) >= (int)sizeof path)
            return 0;
        read_numbers(path, period);
        quota[1] = period[0];
    }
    if (quota[0] == 0 || quota[1] == 0)
        return 0;
    const unsigned long long cores = quota[0] / quota[1] + (quota[0] % quota[1] != 0);
    return cores > UINT_MAX ? 0 : (unsigned)cores;
}

/* The smallest quota of a group and those around it. Inside a container the group's own path may not be mounted: what
 * is missing has no quota, and the mount's root is asked last. */
static unsigned group_quota(const char *root, const char *mount, const char *group, bool v2)
{
    char folder[PATH_MAX];
    const int top = snprintf(folder, sizeof folder, "%s%s", root, mount);
    if (top < 0 || (size_t)top + strlen(group) >= sizeof folder)
        return 0;
    strcpy(folder + top, group);

    unsigned least = 0;
    for (;;) {
        const unsigned quota = folder_quota(folder, v2);
        if (quota && (!least || quota < least))
            least = quota;
        char *const slash = strrchr(folder + top, '/');
        if (!slash)
            return least;
        *slash = 0;
    }
}

static bool names_controller(const char *list, const char *controller)
{
    const size_t length = strlen(controller);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, controller, length) == 0 && (at[length] == 0 || at[length] == ','))
            return true;
    return false;
}

unsigned heed_cpu_quota(const char *root)
{
    char line[PATH_MAX];
    snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
    FILE *const file = fopen(line, "re");
    if (!file)
        return 0;
    unsigned least = 0;
    while (fgets(line, sizeof line, file)) { /* "0::/group" or "4:cpu,cpuacct:/group" */
        line[strcspn(line, "\n")] = 0;
        char *const controllers = strchr(line, ':');
        char *const group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group = 0;
        const bool v2 = controllers[1] == 0;
        if (!v2 && !names_controller(controllers + 1, "cpu"))
            continue;
        const unsigned quota = group_quota(root, v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu", group + 1, v2);
        if (quota && (!least || quota < least))
            least = quota;
    }
    fclose(file);
    return least;
}

unsigned heed_cpu_cores(void)
{
    const unsigned cores = affinity_cores();
    const unsigned quota = heed_cpu_quota("");
    return quota && quota < cores ? quota : cores;
}
