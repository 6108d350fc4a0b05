/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/collective.h"
#include "collectives/generate_parts.h"
#include "collectives/pattern/ring.h"

/* ceil(log2 p) rounds, each with the whole vector, bracketed by the aligned tree: for short ones.
 */
void generate_reduce_binomial(struct build *b)
{
    enum op_buffer acc = b->rank == b->root ? BUFFER_OUT : BUFFER_TMP;
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = 1;
    struct place sum = subtree_reduce(b, b->in_place ? BUFFER_OUT : BUFFER_IN, acc, 1);
    if (b->rank == b->root && sum.buffer == BUFFER_IN)
        build_copy(b, sum, place_at(BUFFER_OUT, 0), 1);
}

/* p rounds, 2 N bytes at the root and N elsewhere: each rank reduces one block, the root gathers.
 */
void generate_reduce_ring(struct build *b)
{
    enum op_buffer acc = b->rank == b->root ? BUFFER_OUT : BUFFER_TMP;
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = b->blocks[acc] = b->size;
    ring_reduce_scatter(b, b->in_place ? BUFFER_OUT : BUFFER_IN, acc, b->rank, 1);
    if (b->size == 1) return;
    if (b->rank != b->root) {
        build_send(b, b->root, place_at(acc, ring_right(b->rank, 1, b->size)), 1);
        return;
    }
    /* The left one is no part of the loop: with it alone the root has talked before. */
    build_loop(b, b->size - 2);
    build_recv(b, ring_right(b->rank, 1, b->size),
               place_moving(BUFFER_OUT, ring_right(b->rank, 2, b->size), 1), 1);
    build_move_peer(b, 1);
    build_loop_end(b);
    build_recv(b, ring_left(b->rank, 1, b->size), place_at(BUFFER_OUT, b->rank), 1);
}

/* 2 ceil(log2 p) rounds, 2 N bytes: each rank reduces one block, and they go up the tree. */
void generate_reduce_scatter_gather(struct build *b)
{
    struct subtree own = subtree_own(b), t;
    enum op_buffer acc = b->rank == b->root ? BUFFER_OUT : BUFFER_TMP;
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = b->blocks[acc] = b->size;
    circulant_reduce_scatter(b, b->in_place ? BUFFER_OUT : BUFFER_IN, acc);
    for (uint32_t level = 0; level < subtree_levels(b); level++)
        if (subtree_below(b, level, &t)) build_recv(b, t.child, place_at(acc, t.first), t.n);
    if (b->rank != b->root) build_send(b, own.child, place_at(acc, own.first), own.n);
}
