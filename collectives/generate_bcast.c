/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/collective.h"
#include "collectives/generate_parts.h"

/* ceil(log2 p) rounds, each with the whole message: for short ones. */
void generate_bcast_binomial(struct build *b)
{
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = 1;
    subtree_bcast(b, 1);
}

/* Each rank's part down the tree, with those of its subtree. */
static void scatter_parts(struct build *b)
{
    struct subtree t = subtree_own(b);
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = b->size;
    if (b->rank != b->root) build_recv(b, t.child, place_at(BUFFER_OUT, t.first), t.n);
    for (uint32_t level = subtree_levels(b); level-- > 0;)
        if (subtree_below(b, level, &t)) build_send(b, t.child, place_at(BUFFER_OUT, t.first), t.n);
}

/* ceil(log2 p) + p - 1 rounds, 2 N bytes a rank: the parts go down the tree, then round the
 * ring. */
void generate_bcast_scatter_ring(struct build *b)
{
    scatter_parts(b);
    ring_allgather(b, BUFFER_OUT, b->rank, 1);
}

/* 2 ceil(log2 p) rounds, 2 N bytes a rank: then over the circulant graph. */
void generate_bcast_scatter_allgather(struct build *b)
{
    scatter_parts(b);
    circulant_allgather(b, BUFFER_OUT);
}
