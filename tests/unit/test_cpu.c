/* Cores, quotas and limits, read from a tree of files as /proc and /sys show them. */
#include "base/cgroup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "heed.h"

static char root[64];

/* Writes root/path, making its folders. */
static void put(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *const file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int make_root(void **state)
{
    (void)state;
    strcpy(root, "/tmp/heed-test-cpu-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    return system(command);
}

static void quota_is_zero_where_nothing_is_known(void **state)
{
    (void)state;
    assert_int_equal(heed_cgroup_cores(root), 0);
    put("/proc/self/cgroup", "0::/app\n");
    assert_int_equal(heed_cgroup_cores(root), 0);
    put("/sys/fs/cgroup/app/cpu.max", "max 100000\n");
    assert_int_equal(heed_cgroup_cores(root), 0);
}

static void quota_of_cgroup_v2_is_rounded_up(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/app\n");
    put("/sys/fs/cgroup/app/cpu.max", "150000 100000\n");
    assert_int_equal(heed_cgroup_cores(root), 2);
    put("/sys/fs/cgroup/app/cpu.max", "10000 100000\n");
    assert_int_equal(heed_cgroup_cores(root), 1);
    put("/sys/fs/cgroup/app/cpu.max", "400000 100000\n");
    assert_int_equal(heed_cgroup_cores(root), 4);
}

static void quota_of_an_outer_group_counts(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/pod/app\n");
    put("/sys/fs/cgroup/pod/app/cpu.max", "800000 100000\n");
    put("/sys/fs/cgroup/pod/cpu.max", "300000 100000\n");
    put("/sys/fs/cgroup/cpu.max", "max 100000\n");
    assert_int_equal(heed_cgroup_cores(root), 3);
}

static void quota_is_found_at_the_mount_when_the_group_is_outside_the_container(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "5:memory:/docker/123\n4:cpu,cpuacct:/docker/123\n0::/\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(heed_cgroup_cores(root), 3);
}

static void quota_of_cgroup_v1_minus_one_is_none(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "3:cpuset:/\n2:cpuacct,cpu:/app\n");
    put("/sys/fs/cgroup/cpu/app/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/app/cpu.cfs_period_us", "100000\n");
    assert_int_equal(heed_cgroup_cores(root), 0);
}

static void quota_ignores_nonsense(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "nonsense\n:\n0::\n9\n\n0::/app\n");
    put("/sys/fs/cgroup/app/cpu.max", "many cores\n");
    assert_int_equal(heed_cgroup_cores(root), 0);
    put("/sys/fs/cgroup/app/cpu.max", "100000 0\n");
    assert_int_equal(heed_cgroup_cores(root), 0);
    put("/sys/fs/cgroup/app/cpu.max", "9223372036854775807 1\n");
    assert_int_equal(heed_cgroup_cores(root), 0);
}

static void memory_of_cgroup_v2_is_the_least_of_the_groups(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/system.slice/heed.service\n");
    put("/sys/fs/cgroup/system.slice/heed.service/memory.max", "max\n");
    assert_int_equal(heed_cgroup_memory(root), 0);
    put("/sys/fs/cgroup/system.slice/memory.max", "2147483648\n");
    assert_int_equal(heed_cgroup_memory(root), 2147483648);
    put("/sys/fs/cgroup/system.slice/heed.service/memory.max", "157286400\n");
    assert_int_equal(heed_cgroup_memory(root), 157286400);
}

static void memory_of_cgroup_v1_has_a_figure_for_none(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "7:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(heed_cgroup_memory(root), 0);
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n");
    assert_int_equal(heed_cgroup_memory(root), 536870912);
}

static void cores_are_at_least_one(void **state)
{
    (void)state;
    assert_true(heed_cpu_cores() >= 1);
}

static void levels_include_those_below(void **state)
{
    (void)state;
    const unsigned levels = heed_cpu_detect();
    assert_true(levels & HEED_CPU_BLAS);
    if (levels & HEED_CPU_AVX512)
        assert_true(levels & HEED_CPU_AVX2);
    assert_string_equal(heed_cpu_level_name(HEED_CPU_REF), "ref");
    assert_string_equal(heed_cpu_level_name(HEED_CPU_BLAS), "blas");
    assert_string_equal(heed_cpu_level_name(HEED_CPU_BLAS | HEED_CPU_AVX2), "avx2");
    assert_string_equal(heed_cpu_level_name(HEED_CPU_ANY), "avx512");
}

int main(void)
{
#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)
    const struct CMUnitTest tests[] = {
        WITH_ROOT(quota_is_zero_where_nothing_is_known),
        WITH_ROOT(quota_of_cgroup_v2_is_rounded_up),
        WITH_ROOT(quota_of_an_outer_group_counts),
        WITH_ROOT(quota_is_found_at_the_mount_when_the_group_is_outside_the_container),
        WITH_ROOT(quota_of_cgroup_v1_minus_one_is_none),
        WITH_ROOT(quota_ignores_nonsense),
        WITH_ROOT(memory_of_cgroup_v2_is_the_least_of_the_groups),
        WITH_ROOT(memory_of_cgroup_v1_has_a_figure_for_none),
        cmocka_unit_test(cores_are_at_least_one),
        cmocka_unit_test(levels_include_those_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
