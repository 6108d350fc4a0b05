/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/collective.h"

#include <stdio.h>
#include <string.h>

#include "sinew/sinew.h"

const struct algorithm algorithms[] = {
    { "dissemination", COLLECTIVE_BARRIER, generate_barrier_dissemination },
    { "binomial", COLLECTIVE_BCAST, generate_bcast_binomial },
    { "scatter-ring", COLLECTIVE_BCAST, generate_bcast_scatter_ring },
    { "binomial", COLLECTIVE_REDUCE, generate_reduce_binomial },
    { "ring", COLLECTIVE_REDUCE, generate_reduce_ring },
    { "recursive-doubling", COLLECTIVE_ALLREDUCE, generate_allreduce_doubling },
    { "ring", COLLECTIVE_ALLREDUCE, generate_allreduce_ring },
    { "binomial", COLLECTIVE_GATHER, generate_gather_binomial },
    { "linear", COLLECTIVE_GATHER, generate_gather_linear },
    { "bruck", COLLECTIVE_ALLGATHER, generate_allgather_bruck },
    { "ring", COLLECTIVE_ALLGATHER, generate_allgather_ring },
    { "flat", COLLECTIVE_BARRIER, generate_barrier_flat },
    { "flat", COLLECTIVE_ALLREDUCE, generate_allreduce_flat },
    { "direct", COLLECTIVE_BARRIER, generate_barrier_direct },
    { "direct", COLLECTIVE_ALLREDUCE, generate_allreduce_direct },
};
const uint32_t algorithm_count = sizeof(algorithms) / sizeof(algorithms[0]);

const char *collective_name(enum collective collective)
{
    static const char *const names[COLLECTIVE_END] = {
        [COLLECTIVE_BARRIER] = "barrier", [COLLECTIVE_BCAST] = "bcast",
        [COLLECTIVE_REDUCE] = "reduce",   [COLLECTIVE_ALLREDUCE] = "allreduce",
        [COLLECTIVE_GATHER] = "gather",   [COLLECTIVE_ALLGATHER] = "allgather",
    };
    return collective > 0 && collective < COLLECTIVE_END ? names[collective] : "?";
}

int algorithm_find(enum collective collective, const char *name)
{
    for (uint32_t i = 0; i < algorithm_count; i++)
        if (algorithms[i].collective == collective && !strcmp(algorithms[i].name, name))
            return (int)i;
    return SINEW_ENOENT;
}

const char *algorithm_names(enum collective collective, char names[ALGORITHM_NAMES_MAX])
{
    size_t used = 0;
    names[0] = '\0';
    for (uint32_t i = 0; i < algorithm_count && used < ALGORITHM_NAMES_MAX; i++) {
        if (algorithms[i].collective != collective) continue;
        int n = snprintf(names + used, ALGORITHM_NAMES_MAX - used, "%s%s", used ? ", " : "",
                         algorithms[i].name);
        used += n > 0 ? (size_t)n : 0;
    }
    return names;
}
