/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * module.c - finding and opening the transports that are files of their own
 */
#include "transport/module.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- which there are ------------------------------------------------------------------------- */

static bool verbs_useful(struct why *why)
{
    static const char place[] = "/sys/class/infiniband";
    DIR *devices = opendir(place);
    bool found = false;
    for (struct dirent *e; devices && !found && (e = readdir(devices));)
        found = e->d_name[0] != '.';
    if (devices) closedir(devices);
    if (!found) why_set(why, 0, "not opened: no RDMA device on this host (%s)", place);
    return found;
}

const struct module_known modules_known[] = {
    { "verbs", "libsinew-verbs.so", verbs_useful },
    { "ucx", "libsinew-ucx.so", NULL },
    { "ofi", "libsinew-ofi.so", NULL },
    { NULL, NULL, NULL },
};

/* ---- where they are -------------------------------------------------------------------------- */

/* The directory of whatever this code is part of: the library, or a program. */
static bool own_directory(char out[PATH_MAX])
{
    Dl_info info;
    char program[PATH_MAX];
    const char *file = program;
    ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
    program[n > 0 ? n : 0] = '\0';
    /* Of a program dladdr knows only what it was called. */
    if (dladdr(modules_known, &info) && info.dli_fname && strstr(info.dli_fname, "libsinew"))
        file = info.dli_fname;
    if (!realpath(file, out)) return false;
    char *slash = strrchr(out, '/');
    if (!slash) return false;
    *slash = '\0';
    return true;
}

static bool try_place(char path[PATH_MAX], const char *dir, const char *below, const char *file,
                      struct text *tried)
{
    int n = snprintf(path, PATH_MAX, "%s%s/%s", dir, below, file);
    bool there = n > 0 && n < PATH_MAX && access(path, F_OK) == 0;
    if (!there) text_add(tried, "%s%.160s%s", tried->need ? ", " : "", dir, below);
    return there;
}

static int find(const struct module_known *known, const char *dir, char path[PATH_MAX],
                struct why *why)
{
    char own[PATH_MAX], tried[400];
    struct text t = text_into(tried, sizeof(tried));
    if (dir[0]) {
        if (try_place(path, dir, "", known->file, &t)) return 0;
        return why_set(why, SINEW_ENOENT, "%s is not there; module_dir says to look in %s only",
                       known->file, tried);
    }
    if (!own_directory(own))
        return why_set(why, SINEW_ENOENT, "where this library lies cannot be found out (is /proc "
                                          "mounted?); set module_dir to the directory of %s",
                       known->file);
    if (try_place(path, own, "", known->file, &t) ||
        try_place(path, own, "/../lib", known->file, &t))
        return 0;
    return why_set(why, SINEW_ENOENT,
                   "%s is not installed; looked in %s; build it (CMake says what it needs), or set "
                   "module_dir",
                   known->file, tried);
}

/* What lies beside the library is trusted as the library is; another place must not be
 * everybody's. */
static int check_place(const char *dir, const char *path, struct why *why)
{
    struct stat place, file;
    if (!dir[0]) return 0;
    if (stat(dir, &place) < 0 || stat(path, &file) < 0)
        return why_set(why, SINEW_ENOENT, "%s: %s", path, strerror(errno));
    if (!((place.st_mode | file.st_mode) & S_IWOTH)) return 0;
    return why_set(why, SINEW_EACCESS,
                   "%s, or the directory that module_dir says, can be written by everybody: it is not "
                   "loaded; chmod o-w both, or build in another place",
                   path);
}

/* ---- opening --------------------------------------------------------------------------------- */

static int check_table(const char *path, const struct module_table *m, struct why *why)
{
    const struct module_table ours = MODULE_TABLE(NULL);
    if (m->abi != ours.abi || m->size != ours.size)
        return why_set(why, SINEW_EVERSION,
                       "%s is of another version (module interface %u of %u bytes, this library has %u "
                       "of %u); install both from one build",
                       path, m->abi, m->size, ours.abi, ours.size);
    if (m->ops_size != ours.ops_size || m->up_size != ours.up_size ||
        m->transport_size != ours.transport_size || m->link_size != ours.link_size ||
        m->config_size != ours.config_size || !m->ops)
        return why_set(why, SINEW_EVERSION,
                       "%s was built with other headers than this library; install both from one build",
                       path);
    return 0;
}

int module_open(const struct module_known *known, const char *dir, void **handle,
                const struct transport_ops **ops, struct why *why)
{
    char path[PATH_MAX];
    const struct module_table *(*get)(void) = NULL;
    int rc = find(known, dir, path, why);
    if (rc == 0) rc = check_place(dir, path, why);
    if (rc) return rc;
    void *opened = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!opened) return why_set(why, SINEW_ENOTSUP, "it does not load: %s", dlerror());
    void *symbol = dlsym(opened, MODULE_SYMBOL);
    memcpy(&get, &symbol, sizeof(get)); /* C has no conversion from void * to a function */
    const struct module_table *table = get ? get() : NULL;
    if (!table)
        rc = why_set(why, SINEW_EVERSION, "%s is no module of Sinew: it has no %s()", path,
                     MODULE_SYMBOL);
    else
        rc = check_table(path, table, why);
    if (rc == 0 && strcmp(table->ops->name, known->name) != 0)
        rc = why_set(why, SINEW_EVERSION, "%s holds the transport %.40s", path, table->ops->name);
    if (rc) {
        dlclose(opened);
        return rc;
    }
    *handle = opened;
    *ops = table->ops;
    return 0;
}

void module_close(void *handle)
{
    if (handle) dlclose(handle);
}
