/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/collective.h"
#include "collectives/generate_parts.h"
#include "collectives/pattern/ring.h"

/* ceil(log2 p) rounds; an inner rank keeps its subtree's blocks: for short ones. */
void generate_scatter_binomial(struct build *b)
{
    struct subtree own = subtree_own(b), t;
    bool root = b->rank == b->root, leaf = !root && own.n == 1;
    enum op_buffer from = root ? BUFFER_IN : leaf ? BUFFER_OUT : BUFFER_TMP;
    b->blocks[BUFFER_OUT] = 1;
    b->tmp_like = BUFFER_OUT;
    b->blocks[from] = own.n;
    if (!root) build_recv(b, own.child, place_at(from, 0), own.n);
    for (uint32_t level = subtree_levels(b); level-- > 0;)
        if (subtree_below(b, level, &t))
            build_send(b, t.child, place_at(from, t.first - own.first), t.n);
    if (!leaf && !b->in_place)
        build_copy(b, place_at(from, b->rank - own.first), place_at(BUFFER_OUT, 0), 1);
}

/* One subtree's lengths, if it has more than one, and parts. */
static void scatterv_below(struct build *b, enum op_buffer from, uint32_t first, struct subtree t)
{
    uint32_t at = t.first - first;
    if (t.n == 1) {
        build_send(b, t.child, place_at(from, at), 1);
        return;
    }
    build_send(b, t.child, place_at(BUFFER_CNT, at), t.n);
    if (from == BUFFER_IN) build_copy(b, place_at(from, at), place_at(BUFFER_TMP, at), t.n);
    build_send(b, t.child, place_at(BUFFER_TMP, at), t.n);
}

/* The same where only root knows all lengths: they go down the tree ahead of the parts. */
void generate_scatterv_binomial(struct build *b)
{
    struct subtree own = subtree_own(b), t;
    bool root = b->rank == b->root, leaf = !root && own.n == 1;
    enum op_buffer from = root ? BUFFER_IN : leaf ? BUFFER_OUT : BUFFER_TMP;
    b->tmp_like = BUFFER_OUT;
    b->tmp_shift = own.first;
    b->blocks[BUFFER_OUT] = 1;
    b->blocks[BUFFER_IN] = root ? b->size : 0;
    if (!leaf) b->blocks[BUFFER_TMP] = b->blocks[BUFFER_CNT] = own.n;
    if (!root && !leaf) build_recv(b, own.child, place_at(BUFFER_CNT, 0), own.n);
    if (!leaf) build_counts(b);
    if (!root) build_recv(b, own.child, place_at(from, 0), own.n);
    for (uint32_t level = subtree_levels(b); level-- > 0;)
        if (subtree_below(b, level, &t)) scatterv_below(b, from, own.first, t);
    if (!leaf && !b->in_place)
        build_copy(b, place_at(from, b->rank - own.first), place_at(BUFFER_OUT, 0), 1);
}

/* The root to everyone, with no memory and no copy between: for long ones. */
void generate_scatter_linear(struct build *b)
{
    b->blocks[BUFFER_OUT] = 1;
    if (b->rank != b->root) {
        build_recv(b, b->root, place_at(BUFFER_OUT, 0), 1);
        return;
    }
    b->blocks[BUFFER_IN] = b->size;
    uint32_t right = ring_right(b->rank, 1, b->size);
    build_loop(b, b->size - 1);
    build_send(b, right, place_moving(BUFFER_IN, right, 1), 1);
    build_move_peer(b, 1);
    build_loop_end(b);
    if (!b->in_place) build_copy(b, place_at(BUFFER_IN, b->rank), place_at(BUFFER_OUT, 0), 1);
}
