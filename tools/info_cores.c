/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info_cores.c - how many cores this process may use: affinity, and the control groups' quota
 *
 * A quota may be set at any level, and the tightest counts. Control groups come in two kinds, and a
 * machine may mix them:
 *   version 2   "0::/path" in /proc/self/cgroup, "quota period" or "max period" in cpu.max
 *   version 1   "4:cpu,cpuacct:/path", cpu.cfs_quota_us (-1: none) and cpu.cfs_period_us
 */
#include "info.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct quota {
    double cores; /* 0: none found */
    char where[PATH_MAX];
};

static bool read_line(const char *directory, const char *file, char *line, int cap)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", directory, file);
    FILE *f = fopen(path, "re");
    bool got = f && fgets(line, cap, f);
    if (f) fclose(f);
    return got;
}

static void quota_look(struct quota *q, const char *directory)
{
    char line[128];
    double quota = 0, period = 0;
    if (read_line(directory, "cpu.max", line, sizeof(line))) {
        if (sscanf(line, "%lf %lf", &quota, &period) != 2) return;
    } else if (read_line(directory, "cpu.cfs_quota_us", line, sizeof(line))) {
        if (sscanf(line, "%lf", &quota) != 1) return;
        if (!read_line(directory, "cpu.cfs_period_us", line, sizeof(line))) return;
        if (sscanf(line, "%lf", &period) != 1) return;
    }
    if (quota <= 0 || period <= 0 || (q->cores > 0 && quota / period >= q->cores)) return;
    q->cores = quota / period;
    snprintf(q->where, sizeof(q->where), "%s", directory);
}

/* From the group up to the root of the mount. */
static void quota_walk(struct quota *q, const char *mount, const char *group)
{
    char directory[PATH_MAX];
    size_t root = strlen(mount);
    int len = snprintf(directory, sizeof(directory), "%s%s", mount, group);
    if (len < 0 || (size_t)len >= sizeof(directory)) return;
    for (;;) {
        quota_look(q, directory);
        char *cut = strrchr(directory, '/');
        if (!cut || cut < directory + root) return;
        *cut = '\0';
    }
}

/* Whether `name` is one of the comma separated `list`. */
static bool listed(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += len)
        if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == '\0')) return true;
    return false;
}

static void quota_find(struct quota *q)
{
    char line[PATH_MAX];
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = '\0';
        controllers++;
        if (*controllers == '\0') {
            quota_walk(q, "/sys/fs/cgroup", group);
            quota_walk(q, "/sys/fs/cgroup/unified", group);
        } else if (listed(controllers, "cpu")) {
            quota_walk(q, "/sys/fs/cgroup/cpu", group);
        }
    }
    if (f) fclose(f);
}

void info_cores(struct info *info)
{
    cpu_set_t allowed;
    struct quota q = { 0 };
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
        info_item(info, "this process", "cores", "%d allowed of %ld", CPU_COUNT(&allowed), online);
    else
        info_item(info, "this process", "cores", "%ld", online);
    quota_find(&q);
    if (q.cores > 0)
        info_item(info, "this process", "quota", "%.3g cores, by %s", q.cores, q.where);
    else
        info_item(info, "this process", "quota", "none by control groups");
}
