/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/collective.h"
#include "collectives/generate_parts.h"
#include "collectives/pattern/doubling.h"
#include "collectives/pattern/ring.h"

/*
 * floor(log2 p) rounds, two more when p is no power of two, each with the whole vector. Both sides
 * of a pair compute "lower (+) upper", so all ranks bracket alike.
 */
void generate_allreduce_doubling(struct build *b)
{
    struct place current = place_at(b->in_place ? BUFFER_OUT : BUFFER_IN, 0);
    struct place out = place_at(BUFFER_OUT, 0);
    bool folded = false;
    uint32_t other = b->rank;
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = 1;
    doubling_fold(b->rank, b->size, &other, &folded);
    if (folded) {
        build_send(b, other, current, 1);
        build_recv(b, other, out, 1);
        return;
    }
    if (other != b->rank) {
        build_recv_reduce(b, other, current, out, 1);
        current = out;
    }
    for (uint32_t round = 0; round < doubling_rounds(b->size); round++) {
        uint32_t partner = doubling_partner(b->rank, round, b->size);
        build_send(b, partner, current, 1);
        build_recv_reduce(b, partner, current, out, 1);
        current = out;
    }
    if (current.buffer == BUFFER_IN) build_copy(b, current, out, 1);
    if (other != b->rank) build_send(b, other, out, 1);
}

/* 2 (p - 1) rounds, 2 N (p - 1) / p bytes a rank: for long vectors. Each block is reduced once and
 * copied, so the bits are the same everywhere. */
void generate_allreduce_ring(struct build *b)
{
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = b->size;
    ring_reduce_scatter(b, b->in_place ? BUFFER_OUT : BUFFER_IN, BUFFER_OUT);
    ring_allgather(b, BUFFER_OUT, ring_right(b->rank, 1, b->size));
}
