#include "base/cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heed.h"

/* One figure of one group's folder; 0 where it is not there. */
typedef uint64_t read_fn(const char *folder, bool v2);

/* The first two words of a small file as numbers; "max", "-1" and everything unreadable leave a 0. */
static void read_numbers(const char *folder, const char *name, uint64_t numbers[2])
{
    numbers[0] = numbers[1] = 0;
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return;
    FILE *const file = fopen(path, "re");
    if (!file)
        return;
    long long first = 0, second = 0;
    if (fscanf(file, "%lld %lld", &first, &second) >= 1) {
        numbers[0] = first > 0 ? (uint64_t)first : 0;
        numbers[1] = second > 0 ? (uint64_t)second : 0;
    }
    fclose(file);
}

/* v2: cpu.max is "QUOTA PERIOD"; v1: two files. */
static uint64_t folder_cores(const char *folder, bool v2)
{
    uint64_t quota[2], period[2];
    read_numbers(folder, v2 ? "cpu.max" : "cpu.cfs_quota_us", quota);
    if (!v2) {
        read_numbers(folder, "cpu.cfs_period_us", period);
        quota[1] = period[0];
    }
    return quota[0] == 0 || quota[1] == 0 ? 0 : quota[0] / quota[1] + (quota[0] % quota[1] != 0);
}

static uint64_t folder_memory(const char *folder, bool v2)
{
    uint64_t bytes[2];
    read_numbers(folder, v2 ? "memory.max" : "memory.limit_in_bytes", bytes);
    return bytes[0] < (uint64_t)1 << 60 ? bytes[0] : 0; /* v1 says "none" by a figure close to 2^63 */
}

static uint64_t least_of(uint64_t a, uint64_t b)
{
    return a && (!b || a < b) ? a : b;
}

/* The least of a group and those around it. Inside a container the group's own path may not be mounted: what is missing
 * sets nothing, and the mount's root is asked last. */
static uint64_t least_of_groups(const char *mount, const char *group, bool v2, read_fn *read)
{
    char folder[PATH_MAX];
    const size_t top = strlen(mount);
    if (top + strlen(group) >= sizeof folder)
        return 0;
    strcpy(folder, mount);
    strcpy(folder + top, group);

    uint64_t least = 0;
    for (;;) {
        least = least_of(least, read(folder, v2));
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

static uint64_t least_of_all(const char *root, const char *controller, read_fn *read)
{
    char line[PATH_MAX], mount[PATH_MAX];
    snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
    FILE *const file = fopen(line, "re");
    if (!file)
        return 0;
    uint64_t least = 0;
    while (fgets(line, sizeof line, file)) { /* "0::/group" or "4:cpu,cpuacct:/group" */
        line[strcspn(line, "\n")] = 0;
        char *const controllers = strchr(line, ':');
        char *const group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group = 0;
        const bool v2 = controllers[1] == 0;
        if (!v2 && !names_controller(controllers + 1, controller))
            continue;
        snprintf(mount, sizeof mount, "%s/sys/fs/cgroup%s%s", root, v2 ? "" : "/", v2 ? "" : controller);
        least = least_of(least, least_of_groups(mount, group + 1, v2, read));
    }
    fclose(file);
    return least;
}

unsigned heed_cgroup_cores(const char *root)
{
    const uint64_t cores = least_of_all(root, "cpu", folder_cores);
    return cores > UINT_MAX ? 0 : (unsigned)cores;
}

uint64_t heed_cgroup_memory(const char *root)
{
    return least_of_all(root, "memory", folder_memory);
}

uint64_t heed_memory_limit(void)
{
    return heed_cgroup_memory("");
}
