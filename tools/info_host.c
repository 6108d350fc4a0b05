/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info_host.c - the machine, the limits that matter to messages, and who started this process
 */
#include "info.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>

void info_host(struct info *info)
{
    struct utsname u;
    info_item(info, "sinew", "version", "%s", sinew_version());
    if (uname(&u) < 0) return;
    info_item(info, "host", "name", "%s", u.nodename);
    info_item(info, "host", "system", "%s %s on %s", u.sysname, u.release, u.machine);
}

static void limit_item(struct info *info, const char *name, int which, const char *means)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)which, &limit) < 0) return;
    if (limit.rlim_cur == RLIM_INFINITY)
        info_item(info, "this process", name, "unlimited (%s)", means);
    else
        info_item(info, "this process", name, "%llu (%s)", (unsigned long long)limit.rlim_cur,
                  means);
}

/* Variables by which launchers make themselves known, and whether their provider is built. */
static const struct {
    const char *variable, *launcher;
    bool built;
} launchers[] = {
    { "SINEW_LAUNCH_FD", "sinewrun", true },
    { "SINEW_RENDEZVOUS", "a rendezvous address", true },
    { "PMIX_RANK", "PMIx (prun, mpirun, srun)", false },
    { "PMI_RANK", "PMI (mpiexec)", false },
    { "SLURM_PROCID", "Slurm", false },
    { "OMPI_COMM_WORLD_RANK", "Open MPI's mpirun", false },
};

void info_launcher(struct info *info)
{
    limit_item(info, "memlock", RLIMIT_MEMLOCK, "bytes of locked memory; RDMA needs it");
    limit_item(info, "nofile", RLIMIT_NOFILE, "open files; two per peer met is safe");
    for (size_t i = 0; i < sizeof(launchers) / sizeof(launchers[0]); i++) {
        if (!getenv(launchers[i].variable)) continue;
        info_item(info, "this process", "launcher", "%s, by %s%s", launchers[i].launcher,
                  launchers[i].variable,
                  launchers[i].built ? "" : ": seen, but its provider is not built yet");
        return;
    }
    info_item(info, "this process", "launcher",
              "none seen: a program started like this is alone, rank 0 of 1");
}
