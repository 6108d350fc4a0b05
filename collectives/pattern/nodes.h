/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_PATTERN_NODES_H
#define COLLECTIVES_PATTERN_NODES_H
/*
 * nodes.h - ranks that stand on nodes in order, so many on each, on the last one perhaps fewer
 *
 *     7 ranks, 3 on a node     node  |  0   |  1   | 2|
 *                              rank  |0 1 2 |3 4 5 | 6|
 *                              local |0 1 2 |0 1 2 | 0|
 */
#include <stdint.h>

struct nodes {
    uint32_t count, node, local; /* how many; of the rank: which, and its number on it */
    uint32_t first, here;        /* the first rank of its node, and how many are there */
    uint32_t each, fewest;       /* ranks on a node, and on the last                   */
};

static inline struct nodes nodes_of(uint32_t rank, uint32_t size, uint32_t each)
{
    struct nodes n = { .each = each, .node = rank / each, .local = rank % each };
    n.count = (uint32_t)(((uint64_t)size + each - 1) / each);
    n.fewest = size - (n.count - 1) * each;
    n.first = n.node * each;
    n.here = n.node + 1 < n.count ? each : n.fewest;
    return n;
}

#endif
