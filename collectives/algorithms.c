/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/collective.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "collectives/work.h"
#include "sinew/sinew.h"

enum { TILE_BYTES = 64 * 1024 };

/* clang-format off: a row is three lines, what it is, what it costs, what it is for */
const struct algorithm algorithms[] = {
    { "dissemination", COLLECTIVE_BARRIER, generate_barrier_dissemination, 0,
      PARAMETER_RADIX, 2, work_barrier_dissemination,
      "log_k p", "0", "0", "a core for each rank" },
    { "binomial", COLLECTIVE_BCAST, generate_bcast_binomial, TILED,
      PARAMETER_NONE, 0, work_bcast_tree,
      "l", "l N", "0", "short messages" },
    { "scatter-ring", COLLECTIVE_BCAST, generate_bcast_scatter_ring, 0,
      PARAMETER_NONE, 0, work_bcast_scatter_ring,
      "l + p - 1", "2 N", "0", "by the model" },
    { "binomial", COLLECTIVE_REDUCE, generate_reduce_binomial, KEEPS_ORDER | ALIGNED | TILED,
      PARAMETER_NONE, 0, work_reduce_tree,
      "l", "l N", "N", "short messages; level portable" },
    { "ring", COLLECTIVE_REDUCE, generate_reduce_ring, 0,
      PARAMETER_NONE, 0, work_reduce_ring,
      "p", "2 N", "N", "by the model" },
    { "recursive-doubling", COLLECTIVE_ALLREDUCE, generate_allreduce_doubling, KEEPS_ORDER | TILED,
      PARAMETER_NONE, 0, work_allreduce_doubling,
      "log p", "N log p", "0", "short messages" },
    { "ring", COLLECTIVE_ALLREDUCE, generate_allreduce_ring, 0,
      PARAMETER_PIECES, 1, work_allreduce_ring,
      "2 p", "2 N", "0", "long messages, two ranks" },
    { "binomial", COLLECTIVE_GATHER, generate_gather_binomial, 0,
      PARAMETER_NONE, 0, work_gather_tree,
      "l", "p N", "p N / 2", "short messages" },
    { "linear", COLLECTIVE_GATHER, generate_gather_linear, 0,
      PARAMETER_NONE, 0, work_gather_linear,
      "1", "p N", "0", "most messages" },
    { "bruck", COLLECTIVE_ALLGATHER, generate_allgather_bruck, 0,
      PARAMETER_RADIX, 2, work_allgather_bruck,
      "log_k p", "p N", "p N", "short messages" },
    { "ring", COLLECTIVE_ALLGATHER, generate_allgather_ring, 0,
      PARAMETER_NONE, 0, work_allgather_ring,
      "p", "p N", "0", "two ranks" },
    { "flat", COLLECTIVE_BARRIER, generate_barrier_flat, 0,
      PARAMETER_NONE, 0, work_barrier_flat,
      "2", "0", "0", "ranks take turns on few cores" },
    { "flat", COLLECTIVE_ALLREDUCE, generate_allreduce_flat, KEEPS_ORDER | ALIGNED,
      PARAMETER_NONE, 0, work_allreduce_flat,
      "2", "p N", "l N", "short messages, ranks take turns on few cores" },
    { "direct", COLLECTIVE_BARRIER, generate_barrier_direct, 0,
      PARAMETER_NONE, 0, work_barrier_direct,
      "1", "0", "0", "few ranks take turns on few cores" },
    { "direct", COLLECTIVE_ALLREDUCE, generate_allreduce_direct, KEEPS_ORDER | ALIGNED,
      PARAMETER_NONE, 0, work_allreduce_direct,
      "1", "p N", "(l + 1) N", "short messages, few ranks" },
    { "rabenseifner", COLLECTIVE_ALLREDUCE, generate_allreduce_rabenseifner, KEEPS_ORDER,
      PARAMETER_NONE, 0, work_allreduce_rabenseifner,
      "2 log p", "2 N, or 4 N", "0", "long messages, p a power of two; order that is kept" },
    { "tree", COLLECTIVE_ALLREDUCE, generate_allreduce_tree, KEEPS_ORDER | ALIGNED | TILED,
      PARAMETER_NONE, 0, work_allreduce_tree,
      "2 l", "2 l N", "N", "level portable" },
    { "binomial", COLLECTIVE_SCATTER, generate_scatter_binomial, 0,
      PARAMETER_NONE, 0, work_gather_tree,
      "l", "p N", "p N / 2", "short messages" },
    { "linear", COLLECTIVE_SCATTER, generate_scatter_linear, 0,
      PARAMETER_NONE, 0, work_gather_linear,
      "1", "p N", "0", "most messages" },
    { "bruck", COLLECTIVE_ALLTOALL, generate_alltoall_bruck, 0,
      PARAMETER_RADIX, 2, work_alltoall_bruck,
      "log_k p", "p N log p", "p N", "short messages, many ranks" },
    { "pairwise", COLLECTIVE_ALLTOALL, generate_alltoall_pairwise, 0,
      PARAMETER_PIECES, 1, work_alltoall_pairwise,
      "1", "p N", "0; in place p N", "long messages, or few ranks" },
    { "ring", COLLECTIVE_REDUCE_SCATTER, generate_reduce_scatter_ring, 0,
      PARAMETER_NONE, 0, work_reduce_scatter_ring,
      "p", "N", "N", "by the model" },
    { "tree", COLLECTIVE_REDUCE_SCATTER, generate_reduce_scatter_tree, KEEPS_ORDER | ALIGNED,
      PARAMETER_NONE, 0, work_reduce_scatter_tree,
      "2 l", "l N", "N", "level portable, order that is kept" },
    { "ring", COLLECTIVE_REDUCE_SCATTER_BLOCK, generate_reduce_scatter_ring, 0,
      PARAMETER_NONE, 0, work_reduce_scatter_ring,
      "p", "N", "N", "by the model" },
    { "tree", COLLECTIVE_REDUCE_SCATTER_BLOCK, generate_reduce_scatter_tree, KEEPS_ORDER | ALIGNED,
      PARAMETER_NONE, 0, work_reduce_scatter_tree,
      "2 l", "l N", "N", "level portable, order that is kept" },
    { "recursive-doubling", COLLECTIVE_SCAN, generate_scan_doubling, KEEPS_ORDER | ALIGNED | TILED,
      PARAMETER_NONE, 0, work_scan_doubling,
      "l", "l N", "2 N", "short messages; level portable" },
    { "chain", COLLECTIVE_SCAN, generate_scan_chain, KEEPS_ORDER,
      PARAMETER_PIECES, 16, work_scan_chain,
      "p + k", "N", "0", "long messages, few ranks" },
    { "recursive-doubling", COLLECTIVE_EXSCAN, generate_exscan_doubling,
      KEEPS_ORDER | ALIGNED | TILED, PARAMETER_NONE, 0, work_scan_doubling,
      "l", "l N", "2 N", "short messages; level portable" },
    { "chain", COLLECTIVE_EXSCAN, generate_exscan_chain, KEEPS_ORDER,
      PARAMETER_PIECES, 16, work_exscan_chain,
      "p + k", "N", "N", "long messages, few ranks" },
    { "linear", COLLECTIVE_GATHERV, generate_gather_linear, 0,
      PARAMETER_NONE, 0, work_gather_linear,
      "1", "p N", "0", "all messages" },
    { "linear", COLLECTIVE_SCATTERV, generate_scatter_linear, 0,
      PARAMETER_NONE, 0, work_gather_linear,
      "1", "p N", "0", "all messages" },
    { "bruck", COLLECTIVE_ALLGATHERV, generate_allgather_bruck, 0,
      PARAMETER_RADIX, 2, work_allgather_bruck,
      "log_k p", "p N", "p N", "short messages" },
    { "ring", COLLECTIVE_ALLGATHERV, generate_allgather_ring, 0,
      PARAMETER_NONE, 0, work_allgather_ring,
      "p", "p N", "0", "two ranks" },
    { "pairwise", COLLECTIVE_ALLTOALLV, generate_alltoall_pairwise, 0,
      PARAMETER_NONE, 0, work_alltoall_pairwise,
      "1", "p N", "0; in place p N", "all messages" },
    { "direct", COLLECTIVE_NEIGHBOUR_ALLGATHER, NULL, 0,
      PARAMETER_NONE, 0, work_neighbours,
      "1", "N for each neighbour", "0", "all messages" },
    { "direct", COLLECTIVE_NEIGHBOUR_ALLTOALL, NULL, 0,
      PARAMETER_NONE, 0, work_neighbours,
      "1", "N for each neighbour", "0", "all messages" },
    { "direct", COLLECTIVE_NEIGHBOUR_ALLTOALLV, NULL, 0,
      PARAMETER_NONE, 0, work_neighbours,
      "1", "N for each neighbour", "0", "all messages" },
    { "k-nomial", COLLECTIVE_BCAST, generate_bcast_knomial, TILED,
      PARAMETER_RADIX, 4, work_bcast_tree,
      "log_k p", "(k - 1) N log_k p", "0", "short messages, rounds that cost much" },
    { "scatter-allgather", COLLECTIVE_BCAST, generate_bcast_scatter_allgather, 0,
      PARAMETER_NONE, 0, work_bcast_scatter_allgather,
      "2 l", "2 N", "0", "medium messages" },
    { "chain", COLLECTIVE_BCAST, generate_bcast_chain, 0,
      PARAMETER_PIECES, 16, work_bcast_chain,
      "p + k", "N (1 + p / k)", "0", "long messages, two or three ranks" },
    { "circulant", COLLECTIVE_BCAST, generate_bcast_circulant, 0,
      PARAMETER_PIECES, 16, work_bcast_circulant,
      "l + k", "N (1 + l / k)", "0", "long messages; short ones in a piece" },
    { "two-level", COLLECTIVE_BCAST, generate_bcast_two_level, TILED,
      PARAMETER_NODE, 4, work_bcast_two_level,
      "log (p / k) + 1", "N (log (p / k) + k)", "0", "ranks in order on nodes" },
    { "k-nomial", COLLECTIVE_REDUCE, generate_reduce_knomial, KEEPS_ORDER | TILED,
      PARAMETER_RADIX, 4, work_reduce_tree,
      "log_k p", "(k - 1) N log_k p", "N", "short messages, rounds that cost much" },
    { "scatter-gather", COLLECTIVE_REDUCE, generate_reduce_scatter_gather, 0,
      PARAMETER_NONE, 0, work_reduce_scatter_gather,
      "2 l", "2 N", "N", "long messages, many ranks" },
    { "chain", COLLECTIVE_REDUCE, generate_reduce_chain, KEEPS_ORDER,
      PARAMETER_PIECES, 16, work_reduce_chain,
      "p + k", "N (1 + p / k)", "N", "long messages, few ranks" },
    { "circulant", COLLECTIVE_REDUCE, generate_reduce_circulant, 0,
      PARAMETER_PIECES, 16, work_reduce_circulant,
      "l + k", "N (1 + l / k)", "N", "long messages" },
    { "two-level", COLLECTIVE_REDUCE, generate_reduce_two_level, KEEPS_ORDER | TILED,
      PARAMETER_NODE, 4, work_reduce_two_level,
      "log (p / k) + 1", "N (log (p / k) + k)", "N", "ranks in order on nodes" },
    { "recursive-multiplying", COLLECTIVE_ALLREDUCE, generate_allreduce_multiplying,
      KEEPS_ORDER | TILED, PARAMETER_RADIX, 4, work_allreduce_multiplying,
      "log_k p", "(k - 1) N log_k p, or p N", "(k - 1) N", "short messages, p no power of two" },
    { "circulant", COLLECTIVE_ALLREDUCE, generate_allreduce_circulant, 0,
      PARAMETER_NONE, 0, work_allreduce_circulant,
      "2 l", "2 N", "0", "long messages, many ranks" },
    { "pairwise", COLLECTIVE_ALLREDUCE, generate_allreduce_pairwise, 0,
      PARAMETER_PIECES, 1, work_allreduce_pairwise,
      "2", "2 N", "0", "long messages, few ranks" },
    { "two-level", COLLECTIVE_ALLREDUCE, generate_allreduce_two_level, 0,
      PARAMETER_NODE, 4, work_allreduce_two_level,
      "log (p / k) + 2", "2 N", "0", "ranks in order on nodes" },
    { "circulant", COLLECTIVE_ALLGATHER, generate_allgather_circulant, 0,
      PARAMETER_NONE, 0, work_allgather_circulant,
      "l", "p N", "0", "medium and long messages" },
    { "neighbour-exchange", COLLECTIVE_ALLGATHER, generate_allgather_neighbour, 0,
      PARAMETER_NONE, 0, work_allgather_neighbour,
      "p / 2", "p N", "0", "by the model" },
    { "pairwise", COLLECTIVE_ALLGATHER, generate_allgather_pairwise, 0,
      PARAMETER_PIECES, 1, work_allgather_pairwise,
      "1", "p N", "0", "long messages, or few ranks" },
    { "pairwise", COLLECTIVE_ALLGATHERV, generate_allgather_pairwise, 0,
      PARAMETER_NONE, 0, work_allgather_pairwise,
      "1", "p N", "0", "long messages, or few ranks" },
    { "circulant", COLLECTIVE_REDUCE_SCATTER, generate_reduce_scatter_circulant, 0,
      PARAMETER_NONE, 0, work_reduce_scatter_circulant,
      "l", "N", "N", "many ranks" },
    { "pairwise", COLLECTIVE_REDUCE_SCATTER, generate_reduce_scatter_pairwise, 0,
      PARAMETER_PIECES, 1, work_reduce_scatter_pairwise,
      "1", "N", "0; in place N / p", "few ranks" },
    { "circulant", COLLECTIVE_REDUCE_SCATTER_BLOCK, generate_reduce_scatter_circulant, 0,
      PARAMETER_NONE, 0, work_reduce_scatter_circulant,
      "l", "N", "N", "many ranks" },
    { "pairwise", COLLECTIVE_REDUCE_SCATTER_BLOCK, generate_reduce_scatter_pairwise, 0,
      PARAMETER_PIECES, 1, work_reduce_scatter_pairwise,
      "1", "N", "0; in place N / p", "few ranks" },
    { "allgather-reduce", COLLECTIVE_ALLREDUCE, generate_allreduce_allgather, KEEPS_ORDER | ALIGNED,
      PARAMETER_NONE, 0, work_allreduce_allgather,
      "l", "p N", "p N", "short messages, many ranks; level portable" },
    { "binomial", COLLECTIVE_GATHERV, generate_gatherv_binomial, 0,
      PARAMETER_NONE, 0, work_gather_tree,
      "2 l", "p N", "p N", "when named" },
    { "binomial", COLLECTIVE_SCATTERV, generate_scatterv_binomial, 0,
      PARAMETER_NONE, 0, work_gather_tree,
      "2 l", "p N", "p N", "when named" },
    { "pairwise", COLLECTIVE_REDUCE, generate_reduce_pairwise, 0,
      PARAMETER_PIECES, 1, work_reduce_pairwise,
      "2", "2 N", "N", "long messages, few ranks" },
};
/* clang-format on */
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

bool collective_adds(enum collective collective)
{
    return collective == COLLECTIVE_REDUCE || collective == COLLECTIVE_ALLREDUCE ||
           collective == COLLECTIVE_REDUCE_SCATTER ||
           collective == COLLECTIVE_REDUCE_SCATTER_BLOCK || collective == COLLECTIVE_SCAN ||
           collective == COLLECTIVE_EXSCAN;
}

int algorithm_find(enum collective collective, const char *name)
{
    for (uint32_t i = 0; i < algorithm_count; i++)
        if (algorithms[i].collective == collective && !strcmp(algorithms[i].name, name))
            return (int)i;
    return SINEW_ENOENT;
}

static const uint32_t parameter_least[] = { 0, 2, 1, 1 };
static const uint32_t parameter_most[] = { 0, RADIX_MAX, PIECES_MAX, NODE_MAX };

/* The number that `text` is up to `end`, if it is from least to most; 0: it is not. */
static uint32_t parse_number(const char *text, const char *end, uint32_t least, uint32_t most)
{
    uint32_t value = 0;
    if (text == end || end - text > 5) return 0;
    for (; text < end; text++) {
        if (*text < '0' || *text > '9') return 0;
        value = 10 * value + (uint32_t)(*text - '0');
    }
    return value >= least && value <= most ? value : 0;
}

int algorithm_parse(enum collective collective, const char *text, uint32_t *parameter)
{
    char name[32];
    size_t len = strcspn(text, ":/");
    if (len >= sizeof(name)) return SINEW_ENOENT;
    memcpy(name, text, len);
    name[len] = '\0';
    int index = algorithm_find(collective, name);
    *parameter = 0;
    if (index < 0) return index;
    const struct algorithm *a = &algorithms[index];
    const char *end = text + strlen(text), *slash = text + strcspn(text, "/");
    uint32_t number = a->initial, tiles = 0;
    if (text[len] == ':') {
        if (a->parameter == PARAMETER_NONE) return SINEW_EINVAL;
        number = parse_number(text + len + 1, slash, parameter_least[a->parameter],
                              parameter_most[a->parameter]);
        if (number == 0) return SINEW_EINVAL;
    }
    if (*slash) {
        tiles = a->flags & TILED ? parse_number(slash + 1, end, 1, TILES_MAX) : 0;
        if (tiles == 0) return SINEW_EINVAL;
    }
    if (text[len]) *parameter = number | tiles << 16;
    return index;
}

/* Where nobody said, what goes up a tree and down again goes in tiles: ranks send one tile up while
 * another comes down. Elsewhere one rank is busy all the time, or all are
 * (docs/decisions/tiles.md). */
uint32_t algorithm_tiles(const struct algorithm *a, uint32_t parameter, uint64_t bytes)
{
    uint64_t tiles = bytes / TILE_BYTES;
    if (a->generate != generate_allreduce_tree || parameter >> 16 || tiles < 2) return parameter;
    return parameter | (uint32_t)(tiles < TILES_MAX ? tiles : TILES_MAX) << 16;
}

const char *algorithm_text(const struct algorithm *a, uint32_t parameter,
                           char name[ALGORITHM_NAME_MAX])
{
    int n = a->parameter ? snprintf(name, ALGORITHM_NAME_MAX, "%s:%u", a->name,
                                    parameter_number(parameter))
                         : snprintf(name, ALGORITHM_NAME_MAX, "%s", a->name);
    if (parameter_tiles(parameter) > 1 && n > 0 && n < ALGORITHM_NAME_MAX)
        snprintf(name + n, (size_t)(ALGORITHM_NAME_MAX - n), "/%u", parameter_tiles(parameter));
    return name;
}

/* What may stand behind its name. */
static void refuse_number(const struct algorithm *a, struct text *t)
{
    static const char *const what[] = { "", "radix", "number of pieces",
                                        "number of ranks on a node" };
    if (a->parameter)
        text_add(t, "behind %s: stands a %s, from %u to %u", a->name, what[a->parameter],
                 parameter_least[a->parameter], parameter_most[a->parameter]);
    else
        text_add(t, "%s has no number behind it", a->name);
    if (a->flags & TILED)
        text_add(t, "; and behind / a number of tiles, from 1 to %d", TILES_MAX);
    else
        text_add(t, "; it does not go in tiles");
}

const char *algorithm_refusal(enum collective collective, const char *text,
                              char why[ALGORITHM_NAMES_MAX])
{
    struct text t = text_into(why, ALGORITHM_NAMES_MAX);
    char name[ALGORITHM_NAME_MAX];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(text, ":/"), text);
    int index = algorithm_find(collective, name);
    if (index >= 0) {
        refuse_number(&algorithms[index], &t);
        return why;
    }
    text_add(&t, "it must be one of: ");
    const char *separator = "";
    for (uint32_t i = 0; i < algorithm_count; i++) {
        if (algorithms[i].collective != collective) continue;
        text_add(&t, "%s%s", separator, algorithms[i].name);
        separator = ", ";
    }
    return why;
}
