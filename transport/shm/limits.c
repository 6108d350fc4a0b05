/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * limits.c - whether memory may be had, asked before it is touched
 *
 * A shared page that a control group refuses is not an error but a signal (or the whole group's
 * end), so its limits are looked at first: version 2 (memory.max) and version 1
 * (memory.limit_in_bytes), of the group and everything above it. So is the limit of a file's
 * length, which is a signal too, and that of address space. Files that cannot be read set no limit
 * here.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sinew/sinew.h"
#include "transport/shm/host.h"

enum { LIMITS_PATH_MAX = 512, LIMITS_SPARE = 1 << 20 /* left for everybody else */ };

struct limits_kind {
    const char *controller; /* in /proc/self/cgroup; "": version 2 */
    const char *mount[2];
    const char *limit, *usage;
    const char *reclaimable[2]; /* in memory.stat, with all below the group */
};

static const struct limits_kind limits_kinds[] = {
    { "",
      { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" },
      "memory.max",
      "memory.current",
      { "\ninactive_file ", "\nactive_file " } },
    { "memory",
      { "/sys/fs/cgroup/memory", NULL },
      "memory.limit_in_bytes",
      "memory.usage_in_bytes",
      { "\ntotal_inactive_file ", "\ntotal_active_file " } },
};

/* At most cap - 1 bytes of a file; false when there is none. */
static bool read_file(const char *path, char *text, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, cap - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static bool read_number(const char *directory, const char *file, uint64_t *value)
{
    char path[LIMITS_PATH_MAX + 64], text[32];
    snprintf(path, sizeof(path), "%s/%s", directory, file);
    if (!read_file(path, text, sizeof(text)) || text[0] < '0' || text[0] > '9') return false;
    *value = strtoull(text, NULL, 10);
    return true;
}

/* File pages count as used but are given up before anything is refused. */
static uint64_t reclaimable(const struct limits_kind *kind, const char *directory)
{
    char path[LIMITS_PATH_MAX + 64], text[8192];
    uint64_t sum = 0;
    snprintf(path, sizeof(path), "%s/memory.stat", directory);
    if (!read_file(path, text, sizeof(text))) return 0;
    for (int i = 0; i < 2; i++) {
        const char *at = strstr(text, kind->reclaimable[i]);
        if (at) sum += strtoull(at + strlen(kind->reclaimable[i]), NULL, 10);
    }
    return sum;
}

static int check_group(const struct limits_kind *kind, const char *directory, size_t bytes,
                       struct why *why)
{
    uint64_t limit, usage, want = (uint64_t)bytes + LIMITS_SPARE;
    if (!read_number(directory, kind->limit, &limit) || limit >= UINT64_MAX / 4) return 0;
    if (!read_number(directory, kind->usage, &usage)) return 0;
    if (limit >= want && usage <= limit - want) return 0;
    uint64_t spare = reclaimable(kind, directory);
    usage = usage > spare ? usage - spare : 0;
    if (limit >= want && usage <= limit - want) return 0;
    return why_set(why, SINEW_ELIMIT,
                   "%zu bytes of shared memory do not fit: %s allows %" PRIu64 " and %" PRIu64
                   " are used; raise the group's %s",
                   bytes, directory, limit, usage, kind->limit);
}

/* The group and every one above it, up to the mount. */
static int check_mount(const struct limits_kind *kind, const char *root, const char *mount,
                       const char *group, size_t bytes, struct why *why)
{
    char directory[LIMITS_PATH_MAX];
    int n = snprintf(directory, sizeof(directory), "%s%s%s", root, mount, group);
    if (n < 0 || (size_t)n >= sizeof(directory)) return 0;
    size_t top = strlen(root) + strlen(mount), len = (size_t)n;
    for (;;) {
        int status = check_group(kind, directory, bytes, why);
        if (status < 0 || len <= top) return status;
        while (len > top && directory[len - 1] != '/') len--;
        if (len > top) len--;
        directory[len] = '\0';
    }
}

/* Whether `list` of names with commas has this one; "" is in the empty list only. */
static bool names_contain(char *list, const char *name)
{
    char *rest = NULL;
    if (!*name) return !*list;
    for (char *at = strtok_r(list, ",", &rest); at; at = strtok_r(NULL, ",", &rest))
        if (strcmp(at, name) == 0) return true;
    return false;
}

/* One line of /proc/self/cgroup: a number, controllers, the group's path, with colons between. */
static int check_line(const char *root, char *line, size_t bytes, struct why *why)
{
    char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;
    if (!group) return 0;
    *group++ = '\0';
    for (size_t i = 0; i < sizeof(limits_kinds) / sizeof(limits_kinds[0]); i++) {
        const struct limits_kind *kind = &limits_kinds[i];
        char list[128];
        snprintf(list, sizeof(list), "%s", names + 1);
        if (!names_contain(list, kind->controller)) continue;
        for (int m = 0; m < 2 && kind->mount[m]; m++) {
            int status = check_mount(kind, root, kind->mount[m], group, bytes, why);
            if (status < 0) return status;
        }
    }
    return 0;
}

int host_groups_check(const char *root, size_t bytes, struct why *why)
{
    char path[LIMITS_PATH_MAX], groups[4096], *rest = NULL;
    snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    if (!read_file(path, groups, sizeof(groups))) return 0;
    for (char *line = strtok_r(groups, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        int status = check_line(root, line, bytes, why);
        if (status < 0) return status;
    }
    return 0;
}

static int check_rlimits(size_t bytes, struct why *why)
{
    struct rlimit files, space;
    uint64_t pages, page = (uint64_t)sysconf(_SC_PAGESIZE);
    /* Growing a file past this limit would raise SIGXFSZ. */
    if (getrlimit(RLIMIT_FSIZE, &files) == 0 && files.rlim_cur < bytes)
        return why_set(why, SINEW_ELIMIT,
                       "%zu bytes of shared memory exceed the file size limit of %" PRIu64
                       ": raise it with ulimit -f",
                       bytes, (uint64_t)files.rlim_cur);
    if (getrlimit(RLIMIT_AS, &space) < 0 || space.rlim_cur == RLIM_INFINITY) return 0;
    if (!read_number("/proc/self", "statm", &pages)) return 0;
    if (space.rlim_cur >= bytes && pages * page <= space.rlim_cur - bytes) return 0;
    return why_set(why, SINEW_ELIMIT,
                   "%zu bytes of shared memory do not fit: the address space may have %" PRIu64
                   " and has %" PRIu64 "; raise it with ulimit -v",
                   bytes, (uint64_t)space.rlim_cur, pages * page);
}

int host_memory_check(size_t bytes, struct why *why)
{
    int status = check_rlimits(bytes, why);
    return status < 0 ? status : host_groups_check("", bytes, why);
}
