/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The quota of control groups, read from a system made of files: both versions, one's own group and
 * those around it, containers, and rubbish.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cores.h"

static int make_root(void **state)
{
    char root[] = "/tmp/sinew-cores-XXXXXX";
    if (!mkdtemp(root)) return -1;
    *state = strdup(root);
    return *state ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *is, int kind, struct FTW *ftw)
{
    (void)is, (void)kind, (void)ftw;
    return remove(path);
}

static int remove_root(void **state)
{
    int rc = nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return rc;
}

/* A file under the root, with the directories that lead to it. */
static void put(void **state, const char *path, const char *text)
{
    char whole[512];
    snprintf(whole, sizeof(whole), "%s%s", (const char *)*state, path);
    for (char *at = whole + strlen(*state) + 1; (at = strchr(at, '/')); *at++ = '/') {
        *at = '\0';
        assert_true(mkdir(whole, 0700) == 0 || errno == EEXIST);
    }
    FILE *f = fopen(whole, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void assert_quota(void **state, double quota)
{
    double is = cores_quota_under(*state);
    if (is < quota - 1e-9 || is > quota + 1e-9) fail_msg("quota is %g, not %g", is, quota);
}

static void none_without_groups(void **state)
{
    assert_quota(state, 0);
    put(state, "/proc/self/cgroup", "0::/\n");
    assert_quota(state, 0);
    put(state, "/sys/fs/cgroup/cpu.max", "max 100000\n");
    assert_quota(state, 0);
}

static void version_2(void **state)
{
    put(state, "/proc/self/cgroup", "0::/a/b\n");
    put(state, "/sys/fs/cgroup/a/b/cpu.max", "150000 100000\n");
    assert_quota(state, 1.5);
}

static void the_least_of_all_around_counts(void **state)
{
    put(state, "/proc/self/cgroup", "0::/a/b/c\n");
    put(state, "/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
    put(state, "/sys/fs/cgroup/a/b/cpu.max", "400000 100000\n");
    put(state, "/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
    assert_quota(state, 3);
    put(state, "/sys/fs/cgroup/a/b/c/cpu.max", "200000 100000\n");
    assert_quota(state, 2);
}

static void version_1(void **state)
{
    put(state, "/proc/self/cgroup", "5:cpuset:/elsewhere\n4:cpu,cpuacct:/a/b\n0::/\n");
    put(state, "/sys/fs/cgroup/cpu/elsewhere/cpu.cfs_quota_us", "100000\n");
    put(state, "/sys/fs/cgroup/cpu/elsewhere/cpu.cfs_period_us", "100000\n");
    put(state, "/sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "-1\n");
    put(state, "/sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us", "100000\n");
    assert_quota(state, 0);
    put(state, "/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "250000\n");
    put(state, "/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
    assert_quota(state, 2.5);
}

/* The group is another's when only a part of the controller's name is the same. */
static void a_controller_is_named_whole(void **state)
{
    put(state, "/proc/self/cgroup", "5:cpuset,cpuacct:/x\n");
    put(state, "/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "100000\n");
    put(state, "/sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n");
    assert_quota(state, 0);
}

/* In a container the path is the host's and the mounted root the container's own group. */
static void a_container_finds_its_root(void **state)
{
    put(state, "/proc/self/cgroup", "4:cpu,cpuacct:/docker/0123\n");
    put(state, "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n");
    put(state, "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    assert_quota(state, 0.5);
}

static void version_2_beside_1(void **state)
{
    put(state, "/proc/self/cgroup", "4:cpu:/a\n0::/b\n");
    put(state, "/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "300000\n");
    put(state, "/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
    put(state, "/sys/fs/cgroup/unified/b/cpu.max", "200000 100000\n");
    assert_quota(state, 2);
}

static void rubbish_is_no_quota(void **state)
{
    char path[700];
    snprintf(path, sizeof(path), "0::/%0600d\n", 7);
    put(state, "/proc/self/cgroup", path);
    assert_quota(state, 0);
    put(state, "/proc/self/cgroup", "0\n::\nnonsense");
    assert_quota(state, 0);
    put(state, "/proc/self/cgroup", "0::/a\n");
    put(state, "/sys/fs/cgroup/a/cpu.max", "100000 0\n");
    assert_quota(state, 0);
    put(state, "/sys/fs/cgroup/a/cpu.max", "-100000 100000\n");
    assert_quota(state, 0);
    put(state, "/sys/fs/cgroup/a/cpu.max", "");
    assert_quota(state, 0);
}

/* Other processors, another name; the same ones, the same. */
static void a_name_for_the_processors(void **state)
{
    cpu_set_t all, one;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    uint32_t name = cores_name();
    assert_int_not_equal(name, 0);
    assert_int_equal(cores_name(), name);
    assert_in_range(cores_allowed(), 1, CPU_COUNT(&all));
    if (CPU_COUNT(&all) < 2) skip();
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    assert_int_equal(cores_allowed(), 1);
    assert_int_not_equal(cores_name(), name);
    assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
    assert_int_equal(cores_name(), name);
}

#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ROOT(none_without_groups),
        WITH_ROOT(version_2),
        WITH_ROOT(the_least_of_all_around_counts),
        WITH_ROOT(version_1),
        WITH_ROOT(a_controller_is_named_whole),
        WITH_ROOT(a_container_finds_its_root),
        WITH_ROOT(version_2_beside_1),
        WITH_ROOT(rubbish_is_no_quota),
        cmocka_unit_test(a_name_for_the_processors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
