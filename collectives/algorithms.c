/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/collective.h"

#include <stdio.h>
#include <string.h>

#include "sinew/sinew.h"

const struct algorithm algorithms[] = {
    { "dissemination", COLLECTIVE_BARRIER, generate_barrier_dissemination, 0 },
    { "binomial", COLLECTIVE_BCAST, generate_bcast_binomial, 0 },
    { "scatter-ring", COLLECTIVE_BCAST, generate_bcast_scatter_ring, 0 },
    { "binomial", COLLECTIVE_REDUCE, generate_reduce_binomial, KEEPS_ORDER | ALIGNED },
    { "ring", COLLECTIVE_REDUCE, generate_reduce_ring, 0 },
    { "recursive-doubling", COLLECTIVE_ALLREDUCE, generate_allreduce_doubling, KEEPS_ORDER },
    { "ring", COLLECTIVE_ALLREDUCE, generate_allreduce_ring, 0 },
    { "binomial", COLLECTIVE_GATHER, generate_gather_binomial, 0 },
    { "linear", COLLECTIVE_GATHER, generate_gather_linear, 0 },
    { "bruck", COLLECTIVE_ALLGATHER, generate_allgather_bruck, 0 },
    { "ring", COLLECTIVE_ALLGATHER, generate_allgather_ring, 0 },
    { "flat", COLLECTIVE_BARRIER, generate_barrier_flat, 0 },
    { "flat", COLLECTIVE_ALLREDUCE, generate_allreduce_flat, KEEPS_ORDER },
    { "direct", COLLECTIVE_BARRIER, generate_barrier_direct, 0 },
    { "direct", COLLECTIVE_ALLREDUCE, generate_allreduce_direct, KEEPS_ORDER },
    { "rabenseifner", COLLECTIVE_ALLREDUCE, generate_allreduce_rabenseifner, KEEPS_ORDER },
    { "tree", COLLECTIVE_ALLREDUCE, generate_allreduce_tree, KEEPS_ORDER | ALIGNED },
    { "binomial", COLLECTIVE_SCATTER, generate_scatter_binomial, 0 },
    { "linear", COLLECTIVE_SCATTER, generate_scatter_linear, 0 },
    { "bruck", COLLECTIVE_ALLTOALL, generate_alltoall_bruck, 0 },
    { "pairwise", COLLECTIVE_ALLTOALL, generate_alltoall_pairwise, 0 },
    { "ring", COLLECTIVE_REDUCE_SCATTER, generate_reduce_scatter_ring, 0 },
    { "tree", COLLECTIVE_REDUCE_SCATTER, generate_reduce_scatter_tree, KEEPS_ORDER | ALIGNED },
    { "ring", COLLECTIVE_REDUCE_SCATTER_BLOCK, generate_reduce_scatter_ring, 0 },
    { "tree", COLLECTIVE_REDUCE_SCATTER_BLOCK, generate_reduce_scatter_tree,
      KEEPS_ORDER | ALIGNED },
    { "recursive-doubling", COLLECTIVE_SCAN, generate_scan_doubling, KEEPS_ORDER | ALIGNED },
    { "chain", COLLECTIVE_SCAN, generate_scan_chain, KEEPS_ORDER },
    { "recursive-doubling", COLLECTIVE_EXSCAN, generate_exscan_doubling, KEEPS_ORDER | ALIGNED },
    { "chain", COLLECTIVE_EXSCAN, generate_exscan_chain, KEEPS_ORDER },
    { "linear", COLLECTIVE_GATHERV, generate_gather_linear, 0 },
    { "linear", COLLECTIVE_SCATTERV, generate_scatter_linear, 0 },
    { "bruck", COLLECTIVE_ALLGATHERV, generate_allgather_bruck, 0 },
    { "ring", COLLECTIVE_ALLGATHERV, generate_allgather_ring, 0 },
    { "pairwise", COLLECTIVE_ALLTOALLV, generate_alltoall_pairwise, 0 },
    { "direct", COLLECTIVE_NEIGHBOUR_ALLGATHER, NULL, 0 },
    { "direct", COLLECTIVE_NEIGHBOUR_ALLTOALL, NULL, 0 },
    { "direct", COLLECTIVE_NEIGHBOUR_ALLTOALLV, NULL, 0 },
    { "binomial", COLLECTIVE_GATHERV, generate_gatherv_binomial, 0 },
    { "binomial", COLLECTIVE_SCATTERV, generate_scatterv_binomial, 0 },
};
const uint32_t algorithm_count = sizeof(algorithms) / sizeof(algorithms[0]);

const char *collective_name(enum collective collective)
{
    static const char *const names[COLLECTIVE_END] = {
        [COLLECTIVE_BARRIER] = "barrier",
        [COLLECTIVE_BCAST] = "bcast",
        [COLLECTIVE_REDUCE] = "reduce",
        [COLLECTIVE_ALLREDUCE] = "allreduce",
        [COLLECTIVE_GATHER] = "gather",
        [COLLECTIVE_ALLGATHER] = "allgather",
        [COLLECTIVE_SCATTER] = "scatter",
        [COLLECTIVE_ALLTOALL] = "alltoall",
        [COLLECTIVE_REDUCE_SCATTER] = "reduce_scatter",
        [COLLECTIVE_REDUCE_SCATTER_BLOCK] = "reduce_scatter_block",
        [COLLECTIVE_SCAN] = "scan",
        [COLLECTIVE_EXSCAN] = "exscan",
        [COLLECTIVE_GATHERV] = "gatherv",
        [COLLECTIVE_SCATTERV] = "scatterv",
        [COLLECTIVE_ALLGATHERV] = "allgatherv",
        [COLLECTIVE_ALLTOALLV] = "alltoallv",
        [COLLECTIVE_NEIGHBOUR_ALLGATHER] = "neighbour_allgather",
        [COLLECTIVE_NEIGHBOUR_ALLTOALL] = "neighbour_alltoall",
        [COLLECTIVE_NEIGHBOUR_ALLTOALLV] = "neighbour_alltoallv",
    };
    return collective > 0 && collective < COLLECTIVE_END ? names[collective] : "?";
}

bool collective_has_root(enum collective c)
{
    return c == COLLECTIVE_BCAST || c == COLLECTIVE_REDUCE || c == COLLECTIVE_GATHER ||
           c == COLLECTIVE_GATHERV || c == COLLECTIVE_SCATTER || c == COLLECTIVE_SCATTERV;
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
