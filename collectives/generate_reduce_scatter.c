/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In place the input is where the output goes, at its beginning and further: IN and OUT are then
 * the same memory, IN is only read, and a fence holds the output back until it has been.
 */
#include "collectives/collective.h"
#include "collectives/generate_parts.h"
#include "collectives/pattern/ring.h"

/* In place what is summed up lies in TMP to the end. */
static void ring_in_place(struct build *b)
{
    b->blocks[BUFFER_TMP] = b->size;
    ring_reduce_scatter(b, BUFFER_IN, BUFFER_TMP, ring_left(b->rank, 1, b->size), 1);
    build_fence(b);
    build_copy(b, place_at(BUFFER_TMP, b->rank), place_at(BUFFER_OUT, 0), 1);
}

/* p - 1 rounds, N (p - 1) / p bytes a rank: for long vectors. The first block goes from where it
 * is, and the last sum to where it belongs. */
void generate_reduce_scatter_ring(struct build *b)
{
    uint32_t p = b->size, right = ring_right(b->rank, 1, p), left = ring_left(b->rank, 1, p);
    b->blocks[BUFFER_IN] = p;
    b->blocks[BUFFER_OUT] = 1;
    if (b->in_place || p == 1) {
        ring_in_place(b);
        return;
    }
    if (p > 2) b->blocks[BUFFER_TMP] = p;
    build_send(b, right, place_at(BUFFER_IN, left), 1);
    uint32_t next = ring_left(left, 1, p);
    build_loop(b, p - 2);
    build_recv_reduce(b, left, place_moving(BUFFER_IN, next, -1),
                      place_moving(BUFFER_TMP, next, -1), 1);
    build_send(b, right, place_moving(BUFFER_TMP, next, -1), 1);
    build_loop_end(b);
    build_recv_reduce(b, left, place_at(BUFFER_IN, b->rank), place_at(BUFFER_OUT, 0), 1);
}

/* Up the aligned tree with the whole vector, and down with the parts: 2 ceil(log2 p) rounds. */
void generate_reduce_scatter_tree(struct build *b)
{
    uint32_t p = b->size;
    struct subtree own = subtree_own(b), t;
    bool root = b->rank == b->root, leaf = !root && own.n == 1;
    b->blocks[BUFFER_IN] = p;
    b->blocks[BUFFER_OUT] = 1;
    if (!leaf) b->blocks[BUFFER_TMP] = p;
    struct place sum = subtree_reduce(b, BUFFER_IN, BUFFER_TMP, p);
    if (p == 1) build_copy(b, sum, place_at(BUFFER_TMP, 0), 1);
    if (b->in_place) build_fence(b);
    if (leaf) {
        build_recv(b, own.child, place_at(BUFFER_OUT, 0), 1);
        return;
    }
    if (!root) build_recv(b, own.child, place_at(BUFFER_TMP, own.first), own.n);
    for (uint32_t level = subtree_levels(b); level-- > 0;)
        if (subtree_below(b, level, &t)) build_send(b, t.child, place_at(BUFFER_TMP, t.first), t.n);
    build_copy(b, place_at(BUFFER_TMP, b->rank), place_at(BUFFER_OUT, 0), 1);
}
