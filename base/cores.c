/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/cores.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_file(const char *path, char *text, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, cap - 1);
    close(fd);
    if (n < 0) return false;
    text[n] = '\0';
    return true;
}

/* This process's path in a hierarchy of /proc/self/cgroup: "0::/a" (v2) or "4:cpu,cpuacct:/a" (v1). */
static bool group_path(const char *groups, const char *controller, char *path, size_t cap)
{
    const char *line = groups;
    while (line && *line) {
        const char *end = strchr(line, '\n');
        const char *names = strchr(line, ':');
        const char *where = names ? strchr(names + 1, ':') : NULL;
        size_t len = where ? (size_t)((end ? end : line + strlen(line)) - where - 1) : 0;
        size_t named = where ? (size_t)(where - names - 1) : 0;
        bool found = where && (*controller ? named >= 3 && memmem(names + 1, named, controller, strlen(controller))
                                           : named == 0);
        if (found && len < cap) {
            memcpy(path, where + 1, len);
            path[len] = '\0';
            return true;
        }
        line = end ? end + 1 : NULL;
    }
    return false;
}

static double quota_v2(const char *groups)
{
    char path[512], file[640], text[64];
    long long quota, period;
    if (!group_path(groups, "", path, sizeof(path))) return 0;
    snprintf(file, sizeof(file), "/sys/fs/cgroup%s/cpu.max", path);
    if (!read_file(file, text, sizeof(text))) return 0;
    if (sscanf(text, "%lld %lld", &quota, &period) != 2 || period <= 0) return 0;
    return (double)quota / (double)period;
}

static double quota_v1(const char *groups)
{
    char path[512], file[640], quota[64], period[64];
    if (!group_path(groups, "cpu", path, sizeof(path))) return 0;
    snprintf(file, sizeof(file), "/sys/fs/cgroup/cpu%s/cpu.cfs_quota_us", path);
    if (!read_file(file, quota, sizeof(quota))) return 0;
    snprintf(file, sizeof(file), "/sys/fs/cgroup/cpu%s/cpu.cfs_period_us", path);
    if (!read_file(file, period, sizeof(period))) return 0;
    double q = atof(quota), p = atof(period);
    return q > 0 && p > 0 ? q / p : 0;
}

double cores_quota(void)
{
    char groups[4096];
    if (!read_file("/proc/self/cgroup", groups, sizeof(groups))) return 0;
    double v2 = quota_v2(groups), v1 = quota_v1(groups);
    return v2 > 0 && (v1 <= 0 || v2 < v1) ? v2 : v1;
}

int cores_allowed(void)
{
    cpu_set_t set;
    int cores = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set)
                                                             : (int)sysconf(_SC_NPROCESSORS_ONLN);
    double quota = cores_quota();
    if (quota > 0 && quota < cores) cores = (int)quota + (quota > (int)quota);
    return cores > 0 ? cores : 1;
}
