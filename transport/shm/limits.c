/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * limits.c - whether memory may be had, asked before it is touched
 *
 * A shared page that a control group refuses is not an error but a signal (or the whole group's
 * end), so its limits are looked at first: version 2 (memory.max) and version 1
 * (memory.limit_in_bytes), of the group and everything above it. Files that cannot be read set no
 * limit here.
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
    const char *mark; /* in /proc/self/cgroup, before the group's path */
    const char *mount[2];
    const char *limit, *usage;
};

static const struct limits_kind limits_kinds[] = {
    { "0::", { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" }, "memory.max", "memory.current" },
    { ":memory:", { "/sys/fs/cgroup/memory", NULL }, "memory.limit_in_bytes",
      "memory.usage_in_bytes" },
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
static uint64_t reclaimable(const char *directory)
{
    char path[LIMITS_PATH_MAX + 64], text[8192];
    uint64_t sum = 0;
    snprintf(path, sizeof(path), "%s/memory.stat", directory);
    if (!read_file(path, text, sizeof(text))) return 0;
    static const char *const names[] = { "\ninactive_file ", "\nactive_file " };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *at = strstr(text, names[i]);
        if (at) sum += strtoull(at + strlen(names[i]), NULL, 10);
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
    uint64_t spare = reclaimable(directory);
    usage = usage > spare ? usage - spare : 0;
    if (limit >= want && usage <= limit - want) return 0;
    return why_set(why, SINEW_ELIMIT,
                   "%zu bytes of shared memory do not fit: %s allows %" PRIu64 " and %" PRIu64
                   " are used; raise the group's %s",
                   bytes, directory, limit, usage, kind->limit);
}

/* The group and every one above it, up to the mount. */
static int check_kind(const struct limits_kind *kind, const char *mount, const char *group,
                      size_t bytes, struct why *why)
{
    char directory[LIMITS_PATH_MAX];
    int n = snprintf(directory, sizeof(directory), "%s%s", mount, group);
    if (n < 0 || (size_t)n >= sizeof(directory)) return 0;
    size_t root = strlen(mount), len = (size_t)n;
    for (;;) {
        int status = check_group(kind, directory, bytes, why);
        if (status < 0 || len <= root) return status;
        while (len > root && directory[len - 1] != '/') len--;
        if (len > root) len--;
        directory[len] = '\0';
    }
}

static int check_line(const char *line, size_t bytes, struct why *why)
{
    for (size_t i = 0; i < sizeof(limits_kinds) / sizeof(limits_kinds[0]); i++) {
        const struct limits_kind *kind = &limits_kinds[i];
        const char *at = strstr(line, kind->mark);
        if (!at || (i == 0 && at != line)) continue;
        const char *group = at + strlen(kind->mark);
        for (int m = 0; m < 2 && kind->mount[m]; m++) {
            int status = check_kind(kind, kind->mount[m], group, bytes, why);
            if (status < 0) return status;
        }
    }
    return 0;
}

int host_memory_check(size_t bytes, struct why *why)
{
    struct rlimit files;
    char groups[4096], *rest = NULL;
    /* Growing a file past this limit would raise SIGXFSZ. */
    if (getrlimit(RLIMIT_FSIZE, &files) == 0 && files.rlim_cur < bytes)
        return why_set(why, SINEW_ELIMIT,
                       "%zu bytes of shared memory exceed the file size limit of %" PRIu64
                       ": raise it with ulimit -f",
                       bytes, (uint64_t)files.rlim_cur);
    if (!read_file("/proc/self/cgroup", groups, sizeof(groups))) return 0;
    for (char *line = strtok_r(groups, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        int status = check_line(line, bytes, why);
        if (status < 0) return status;
    }
    return 0;
}
