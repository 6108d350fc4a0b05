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
