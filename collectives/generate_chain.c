/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From rank to rank in pieces, so that all links are busy at once: N (1 + p / pieces) bytes of
 * time, and N sent by each. For long messages and few ranks.
 */
#include "collectives/collective.h"
#include "collectives/pattern/ring.h"

void generate_bcast_chain(struct build *b)
{
    uint32_t p = b->size, right = ring_right(b->rank, 1, p), left = ring_left(b->rank, 1, p);
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = b->parameter;
    build_loop(b, b->parameter);
    if (b->rank != b->root) build_recv(b, left, place_moving(BUFFER_OUT, 0, 1), 1);
    if (right != b->root) build_send(b, right, place_moving(BUFFER_OUT, 0, 1), 1);
    build_loop_end(b);
}

/* From both ends towards the root, so that order is kept. */
void generate_reduce_chain(struct build *b)
{
    uint32_t r = b->rank, last = b->size - 1;
    bool root = r == b->root, right = r >= b->root && r < last, left = r <= b->root && r > 0;
    enum op_buffer in = b->in_place ? BUFFER_OUT : BUFFER_IN, acc = root ? BUFFER_OUT : BUFFER_TMP;
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = b->parameter;
    if (!root && (right || left)) b->blocks[acc] = b->parameter;
    if (root && !right && !left && in != acc)
        build_copy(b, place_at(in, 0), place_at(acc, 0), b->parameter);
    build_loop(b, b->parameter);
    if (right) build_recv_reduce(b, r + 1, place_moving(in, 0, 1), place_moving(acc, 0, 1), 1);
    if (left)
        build_recv_reduce(b, r - 1, place_moving(right ? acc : in, 0, 1), place_moving(acc, 0, 1),
                          1);
    if (!root)
        build_send(b, r > b->root ? r - 1 : r + 1,
                   place_moving(right || left ? acc : in, 0, 1), 1);
    build_loop_end(b);
}
