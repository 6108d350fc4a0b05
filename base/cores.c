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

/* Whether `name` is in the comma separated names[0..len). */
static bool names_have(const char *names, size_t len, const char *name)
{
    size_t want = strlen(name);
    for (const char *at = names, *end = names + len; at < end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        size_t n = (size_t)((comma ? comma : end) - at);
        if (n == want && memcmp(at, name, n) == 0) return true;
        at += n + 1;
    }
    return false;
}

/* This process's path in a hierarchy of /proc/self/cgroup: "0::/a" (v2) or "4:cpu,cpuacct:/a"
 * (v1). */
static bool group_path(const char *groups, const char *controller, char *path, size_t cap)
{
    const char *line = groups;
    while (line && *line) {
        const char *end = strchr(line, '\n');
        const char *names = strchr(line, ':');
        const char *where = names ? strchr(names + 1, ':') : NULL;
        size_t len = where ? (size_t)((end ? end : line + strlen(line)) - where - 1) : 0;
        size_t named = where ? (size_t)(where - names - 1) : 0;
        bool found = where && (*controller ? names_have(names + 1, named, controller) : named == 0);
        if (found && len < cap) {
            memcpy(path, where + 1, len);
            path[len] = '\0';
            return true;
        }
        line = end ? end + 1 : NULL;
    }
    return false;
}

/* A file of the group `path` in a hierarchy mounted at `mount`, as text. */
static bool read_group(const char *mount, const char *path, const char *name, char *text,
                       size_t cap)
{
    char file[1200];
    int n = snprintf(file, sizeof(file), "%s%s/%s", mount, path, name);
    return n > 0 && (size_t)n < sizeof(file) && read_file(file, text, cap);
}

static double quota_v2(const char *mount, const char *path)
{
    char text[64];
    long long quota, period;
    if (!read_group(mount, path, "cpu.max", text, sizeof(text))) return 0;
    if (sscanf(text, "%lld %lld", &quota, &period) != 2 || period <= 0) return 0;
    return (double)quota / (double)period;
}

static double quota_v1(const char *mount, const char *path)
{
    char quota[64], period[64];
    if (!read_group(mount, path, "cpu.cfs_quota_us", quota, sizeof(quota))) return 0;
    if (!read_group(mount, path, "cpu.cfs_period_us", period, sizeof(period))) return 0;
    double q = atof(quota), p = atof(period);
    return q > 0 && p > 0 ? q / p : 0;
}

static double lesser_quota(double a, double b)
{
    return a > 0 && (b <= 0 || a < b) ? a : b;
}

/* The group's own and those of all around it, up to the root of what is mounted: in a container
 * the path may name groups that only its host sees, and the root is the container's. */
static double quota_upwards(double (*quota)(const char *, const char *), const char *mount,
                            const char *path)
{
    char at[512];
    double least = 0;
    snprintf(at, sizeof(at), "%s", path);
    for (;;) {
        size_t len = strlen(at);
        while (len > 0 && at[len - 1] == '/') at[--len] = '\0';
        least = lesser_quota(quota(mount, at), least);
        char *last = strrchr(at, '/');
        if (!last) return least;
        *last = '\0';
    }
}

double cores_quota_under(const char *root)
{
    static const struct {
        const char *controller, *mount;
        double (*quota)(const char *, const char *);
    } hierarchies[] = {
        { "", "/sys/fs/cgroup", quota_v2 },
        { "", "/sys/fs/cgroup/unified", quota_v2 }, /* beside v1 */
        { "cpu", "/sys/fs/cgroup/cpu", quota_v1 },
        { "cpu", "/sys/fs/cgroup/cpu,cpuacct", quota_v1 },
    };
    char file[600], groups[4096], path[512];
    double least = 0;
    snprintf(file, sizeof(file), "%s/proc/self/cgroup", root);
    if (!read_file(file, groups, sizeof(groups))) return 0;
    for (size_t i = 0; i < sizeof(hierarchies) / sizeof(hierarchies[0]); i++) {
        if (!group_path(groups, hierarchies[i].controller, path, sizeof(path))) continue;
        snprintf(file, sizeof(file), "%s%s", root, hierarchies[i].mount);
        least = lesser_quota(quota_upwards(hierarchies[i].quota, file, path), least);
    }
    return least;
}

double cores_quota(void)
{
    return cores_quota_under("");
}

static int cores_online(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

int cores_allowed(void)
{
    cpu_set_t set;
    int cores = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : cores_online();
    double quota = cores_quota();
    if (quota > 0 && quota < cores) cores = (int)quota + (quota > (int)quota);
    return cores > 0 ? cores : 1;
}

static uint32_t hash_more(uint32_t hash, const void *bytes, size_t len)
{
    const unsigned char *at = bytes; /* FNV-1a: nobody gains by a collision */
    for (size_t i = 0; i < len; i++) hash = (hash ^ at[i]) * 0x01000193u;
    return hash;
}

uint32_t cores_name(void)
{
    char boot[64] = "";
    cpu_set_t set;
    int cores = cores_allowed();
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof(set), &set);
    read_file("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
    uint32_t hash = hash_more(0x811c9dc5u, boot, strlen(boot));
    hash = hash_more(hash, &set, sizeof(set));
    hash = hash_more(hash, &cores, sizeof(cores));
    return hash ? hash : 1;
}
