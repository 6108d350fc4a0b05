/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info_rdma.c - is RDMA ready on this host, and if not, which command mends it
 */
#include "info_rdma.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MEMLOCK_LEAST_MIB = 64,
    CAP_IPC_LOCK = 14,
    FORK_MAJOR = 5, /* Linux 5.12 copies pinned pages when a process forks */
    FORK_MINOR = 12,
};

/* ---- files below the root -------------------------------------------------------------------- */

static bool rdma_path(const struct rdma *r, char path[PATH_MAX], const char *format, va_list args)
{
    int n = snprintf(path, PATH_MAX, "%s", r->root);
    if (n < 0 || n >= PATH_MAX) return false;
    int more = vsnprintf(path + n, PATH_MAX - (size_t)n, format, args);
    return more >= 0 && more < PATH_MAX - n;
}

bool rdma_line(const struct rdma *r, char line[RDMA_LINE_MAX], const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;
    va_start(args, format);
    bool fits = rdma_path(r, path, format, args);
    va_end(args);
    FILE *file = fits ? fopen(path, "re") : NULL;
    if (!file) return false;
    bool read = fgets(line, RDMA_LINE_MAX, file) != NULL;
    fclose(file);
    if (read) line[strcspn(line, "\n")] = '\0';
    return read;
}

bool rdma_exists(const struct rdma *r, const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;
    va_start(args, format);
    bool fits = rdma_path(r, path, format, args);
    va_end(args);
    return fits && access(path, F_OK) == 0;
}

static int rdma_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

void rdma_each(struct rdma *r, const char *directory, void (*one)(struct rdma *, const char *))
{
    char path[PATH_MAX];
    struct dirent **all = NULL;
    int n = snprintf(path, sizeof(path), "%s%s", r->root, directory);
    if (n < 0 || n >= (int)sizeof(path)) return;
    n = scandir(path, &all, rdma_visible, versionsort);
    for (int i = 0; i < n; i++) {
        one(r, all[i]->d_name);
        free(all[i]);
    }
    free(all);
}

void rdma_wrong(const struct rdma *r, const char *mend, const char *format, ...)
{
    char text[INFO_VALUE_MAX / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    info_item(r->info, "rdma", "wrong", "%s\nto mend it: %s", text, mend);
}

/* ---- the host -------------------------------------------------------------------------------- */

/* The first that is Ethernet and up, or else the first that is Ethernet. */
static void look_for_nic(struct rdma *r, const char *name)
{
    char line[RDMA_LINE_MAX];
    if (!rdma_line(r, line, "/sys/class/net/%s/type", name) || strcmp(line, "1") != 0) return;
    bool up = rdma_line(r, line, "/sys/class/net/%s/operstate", name) && strcmp(line, "up") == 0;
    if (r->nic[0] && !up) return;
    if (r->nic[0] && rdma_line(r, line, "/sys/class/net/%s/operstate", r->nic) &&
        strcmp(line, "up") == 0)
        return;
    snprintf(r->nic, sizeof(r->nic), "%.60s", name);
}

/* Whether the running kernel brings SoftRoCE, as a file that modprobe would find. */
static bool rxe_installed(const struct rdma *r)
{
    static const char *const ends[] = { "", ".xz", ".zst", ".gz" };
    char release[RDMA_LINE_MAX];
    if (!rdma_line(r, release, "/proc/sys/kernel/osrelease")) return false;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        if (rdma_exists(r, "/lib/modules/%s/kernel/drivers/infiniband/sw/rxe/rdma_rxe.ko%s",
                        release, ends[i]))
            return true;
    return false;
}

static void no_device(const struct rdma *r)
{
    char mend[RDMA_LINE_MAX];
    bool loaded = rdma_exists(r, "/sys/module/rdma_rxe");
    if (!loaded && !rxe_installed(r)) {
        info_item(r->info, "rdma", "devices",
                  "none, and this kernel has no SoftRoCE (rdma_rxe)\n"
                  "Ubuntu has it in linux-modules-extra-$(uname -r), Debian in linux-image-amd64;\n"
                  "in a guest: ci/softroce -- COMMAND");
        return;
    }
    info_item(r->info, "rdma", "devices", "none");
    snprintf(mend, sizeof(mend), "%srdma link add rxe0 type rxe netdev %.60s",
             loaded ? "" : "modprobe rdma_rxe && ", r->nic[0] ? r->nic : "NIC");
    rdma_wrong(r, mend, "no RDMA device, but SoftRoCE would make one of any Ethernet interface%s",
               loaded ? ": its module is loaded" : "");
}

/* The value behind a name in a file of lines; false if it is not there. */
static bool proc_value(const struct rdma *r, const char *file, const char *name,
                       char value[RDMA_LINE_MAX])
{
    char path[PATH_MAX], line[RDMA_LINE_MAX];
    bool found = false;
    snprintf(path, sizeof(path), "%.3000s%s", r->root, file);
    FILE *lines = fopen(path, "re");
    if (!lines) return false;
    while (!found && fgets(line, sizeof(line), lines)) {
        if (strncmp(line, name, strlen(name)) != 0) continue;
        snprintf(value, RDMA_LINE_MAX, "%s", line + strlen(name));
        found = true;
    }
    fclose(lines);
    return found;
}

static bool may_lock_all(const struct rdma *r)
{
    char value[RDMA_LINE_MAX];
    if (!proc_value(r, "/proc/self/status", "CapEff:", value)) return false;
    return (strtoull(value, NULL, 16) >> CAP_IPC_LOCK & 1) != 0;
}

static void memlock(const struct rdma *r)
{
    char value[RDMA_LINE_MAX], soft[64] = "", hard[64] = "";
    if (!proc_value(r, "/proc/self/limits", "Max locked memory", value)) return;
    if (sscanf(value, "%60s %60s", soft, hard) != 2) return;
    unsigned long long kib = strtoull(soft, NULL, 10) / 1024;
    bool unlimited = strcmp(soft, "unlimited") == 0;
    const char *beyond = may_lock_all(r) ? ", and CAP_IPC_LOCK goes beyond it" : "";
    if (unlimited || *beyond || kib >= MEMLOCK_LEAST_MIB * 1024) {
        info_item(r->info, "rdma", "memlock", "%s%s%s", soft, unlimited ? "" : " bytes", beyond);
        return;
    }
    info_item(r->info, "rdma", "memlock", "%llu KiB of registered memory", kib);
    rdma_wrong(r,
               strcmp(hard, "unlimited") == 0
                   ? "ulimit -l unlimited"
                   : "as root: echo '* - memlock unlimited' >/etc/security/limits.d/rdma.conf, "
                     "and log in again; for a service LimitMEMLOCK=infinity",
               "only %llu KiB may be locked, and all registered memory is; %d MiB is little", kib,
               MEMLOCK_LEAST_MIB);
}

static void copy_on_fork(const struct rdma *r)
{
    char release[RDMA_LINE_MAX];
    int major = 0, minor = 0;
    if (!rdma_line(r, release, "/proc/sys/kernel/osrelease")) return;
    if (sscanf(release, "%d.%d", &major, &minor) != 2) return;
    if (major > FORK_MAJOR || (major == FORK_MAJOR && minor >= FORK_MINOR))
        info_item(r->info, "rdma", "fork", "safe: this kernel gives a child its own copy");
    else
        info_item(r->info, "rdma", "fork",
                  "not by itself before Linux %d.%d: a child shares registered pages. Opening asks\n"
                  "libibverbs to keep them from children, or is refused with the reason",
                  FORK_MAJOR, FORK_MINOR);
}

static void connection_manager(const struct rdma *r)
{
    if (rdma_exists(r, "/sys/class/misc/rdma_cm"))
        info_item(r->info, "rdma", "rdma_cm", "there");
    else
        info_item(r->info, "rdma", "rdma_cm",
                  "not there, and not needed: connections are wired over TCP (modprobe rdma_ucm)");
}

void info_rdma(struct info *info, const char *root)
{
    struct rdma r = { .info = info, .root = root };
    rdma_each(&r, "/sys/class/net", look_for_nic);
    rdma_each(&r, "/sys/class/infiniband", rdma_device);
    if (r.devices == 0) {
        no_device(&r);
        return;
    }
    connection_manager(&r);
    memlock(&r);
    copy_on_fork(&r);
}
