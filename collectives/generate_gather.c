/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/collective.h"
#include "collectives/generate_parts.h"
#include "collectives/pattern/ring.h"

/* ceil(log2 p) rounds; an inner rank keeps its subtree's blocks: for short ones. */
void generate_gather_binomial(struct build *b)
{
    struct subtree own = subtree_own(b), t;
    bool root = b->rank == b->root, leaf = !root && own.n == 1;
    enum op_buffer acc = root ? BUFFER_OUT : leaf ? BUFFER_IN : BUFFER_TMP;
    b->blocks[BUFFER_IN] = 1;
    b->blocks[acc] = own.n;
    if (!leaf && !b->in_place)
        build_copy(b, place_at(BUFFER_IN, 0), place_at(acc, b->rank - own.first), 1);
    for (uint32_t level = 0; level < subtree_levels(b); level++)
        if (subtree_below(b, level, &t))
            build_recv(b, t.child, place_at(acc, t.first - own.first), t.n);
    if (!root) build_send(b, own.child, place_at(acc, 0), own.n);
}

/* The same where only root knows all lengths: they go up the tree ahead of the parts. The root has
 * them from there, too, so that whose part is not as long as it thinks is known by rank. */
void generate_gatherv_binomial(struct build *b)
{
    struct subtree own = subtree_own(b), t;
    bool root = b->rank == b->root, leaf = !root && own.n == 1;
    enum op_buffer acc = leaf ? BUFFER_IN : BUFFER_TMP;
    b->tmp_shift = own.first;
    b->blocks[BUFFER_IN] = 1;
    b->blocks[BUFFER_OUT] = root ? b->size : 0;
    b->blocks[BUFFER_CNT] = own.n;
    if (!leaf) b->blocks[BUFFER_TMP] = own.n;
    for (uint32_t level = 0; level < subtree_levels(b); level++)
        if (subtree_below(b, level, &t))
            build_recv(b, t.child, place_at(BUFFER_CNT, t.first - own.first), t.n);
    if (!root) build_send(b, own.child, place_at(BUFFER_CNT, 0), own.n);
    if (!leaf) build_counts(b);
    if (root && !b->in_place)
        build_copy(b, place_at(BUFFER_IN, 0), place_at(BUFFER_OUT, b->rank), 1);
    if (!root && !leaf) build_copy(b, place_at(BUFFER_IN, 0), place_at(BUFFER_TMP, 0), 1);
    for (uint32_t level = 0; level < subtree_levels(b); level++) {
        if (!subtree_below(b, level, &t)) continue;
        bool straight = root && t.n == 1; /* else it lies apart there, perhaps */
        build_recv(b, t.child,
                   place_at(straight ? BUFFER_OUT : BUFFER_TMP, t.first - own.first), t.n);
        if (root && !straight)
            build_copy(b, place_at(BUFFER_TMP, t.first), place_at(BUFFER_OUT, t.first), t.n);
    }
    if (!root) build_send(b, own.child, place_at(acc, 0), own.n);
}

/* Everyone to the root, with no memory and no copy between: for long ones. */
void generate_gather_linear(struct build *b)
{
    b->blocks[BUFFER_IN] = 1;
    if (b->rank != b->root) {
        build_send(b, b->root, place_at(BUFFER_IN, 0), 1);
        return;
    }
    b->blocks[BUFFER_OUT] = b->size;
    if (!b->in_place) build_copy(b, place_at(BUFFER_IN, 0), place_at(BUFFER_OUT, b->rank), 1);
    uint32_t right = ring_right(b->rank, 1, b->size);
    build_loop(b, b->size - 1);
    build_recv(b, right, place_moving(BUFFER_OUT, right, 1), 1);
    build_move_peer(b, 1);
    build_loop_end(b);
}
