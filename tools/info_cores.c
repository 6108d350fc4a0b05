/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info_cores.c - how many cores this process may use: affinity, and the control groups' quota
 */
#include "info.h"

#include <sched.h>
#include <unistd.h>

#include "base/cores.h"

void info_cores(struct info *info)
{
    cpu_set_t allowed;
    double quota = cores_quota();
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
        info_item(info, "this process", "cores", "%d allowed of %ld", CPU_COUNT(&allowed), online);
    else
        info_item(info, "this process", "cores", "%ld", online);
    if (quota > 0)
        info_item(info, "this process", "quota", "%.3g cores, by control groups", quota);
    else
        info_item(info, "this process", "quota", "none by control groups");
    info_item(info, "this process", "waits", "poll while at most %d rank%s on this host",
              cores_allowed(), cores_allowed() == 1 ? " is" : "s are");
}
