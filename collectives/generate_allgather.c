/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/collective.h"
#include "collectives/generate_parts.h"
#include "collectives/pattern/neighbour.h"
#include "collectives/pattern/ring.h"

static struct place own_block(const struct build *b)
{
    return b->in_place ? place_at(BUFFER_OUT, b->rank) : place_at(BUFFER_IN, 0);
}

/*
 * ceil(log_k p) rounds of k - 1 messages at once, for any p: block j of TMP is that of rank + j;
 * what is there grows k times in every round, and is turned round at the end. For short ones.
 */
void generate_allgather_bruck(struct build *b)
{
    uint32_t p = b->size, r = b->rank, radix = b->parameter;
    b->blocks[BUFFER_IN] = 1;
    b->blocks[BUFFER_OUT] = b->blocks[BUFFER_TMP] = p;
    b->tmp_like = BUFFER_OUT;
    b->tmp_shift = r;
    build_copy(b, own_block(b), place_at(BUFFER_TMP, 0), 1);
    for (uint64_t have = 1; have < p; have *= radix)
        for (uint64_t at = have; at < have * radix && at < p; at += have) {
            uint32_t n = (uint32_t)(have < p - at ? have : p - at), far = (uint32_t)at;
            build_send(b, ring_left(r, far, p), place_at(BUFFER_TMP, 0), n);
            build_recv(b, ring_right(r, far, p), place_at(BUFFER_TMP, far), n);
        }
    build_copy(b, place_at(BUFFER_TMP, 0), place_at(BUFFER_OUT, r), p - r);
    if (r) build_copy(b, place_at(BUFFER_TMP, p - r), place_at(BUFFER_OUT, 0), r);
}

/* p - 1 rounds with no memory between: for long ones. */
void generate_allgather_ring(struct build *b)
{
    b->blocks[BUFFER_IN] = 1;
    b->blocks[BUFFER_OUT] = b->size;
    if (b->size == 2 && !b->in_place) { /* the copy while the message is on its way */
        build_send(b, 1 - b->rank, own_block(b), 1);
        build_copy(b, own_block(b), place_at(BUFFER_OUT, b->rank), 1);
        build_recv(b, 1 - b->rank, place_at(BUFFER_OUT, 1 - b->rank), 1);
        return;
    }
    if (!b->in_place) build_copy(b, own_block(b), place_at(BUFFER_OUT, b->rank), 1);
    ring_allgather(b, BUFFER_OUT, b->rank, 1);
}

/* p / 2 rounds of two blocks each with the left and the right neighbour in turn, all of them close
 * by: for long ones where distance costs. Of an odd number of ranks, or of more than a schedule is
 * for, it is the ring. */
void generate_allgather_neighbour(struct build *b)
{
    uint32_t p = b->size;
    if (p % 2 || p > NEIGHBOUR_RANKS) {
        generate_allgather_ring(b);
        return;
    }
    b->blocks[BUFFER_IN] = 1;
    b->blocks[BUFFER_OUT] = p;
    if (!b->in_place) build_copy(b, own_block(b), place_at(BUFFER_OUT, b->rank), 1);
    for (uint32_t round = 0; round < p / 2; round++) {
        uint32_t peer = neighbour_peer(b->rank, round, p), n = round ? 2 : 1;
        uint32_t give = round ? neighbour_pair(b->rank, round - 1, p) : b->rank;
        uint32_t take = round ? neighbour_pair(b->rank, round, p) : peer;
        build_send(b, peer, place_at(BUFFER_OUT, give), n);
        build_recv(b, peer, place_at(BUFFER_OUT, take), n);
    }
}
