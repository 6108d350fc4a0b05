/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/collective.h"
#include "collectives/generate_parts.h"
#include "collectives/pattern/dissemination.h"

static struct place own_block(const struct build *b)
{
    return b->in_place ? place_at(BUFFER_OUT, b->rank) : place_at(BUFFER_IN, 0);
}

/*
 * ceil(log2 p) rounds for any p: block j of TMP is that of rank + j; what is there doubles in every
 * round, and is turned round at the end. For short ones.
 */
void generate_allgather_bruck(struct build *b)
{
    uint32_t p = b->size, r = b->rank;
    b->blocks[BUFFER_IN] = 1;
    b->blocks[BUFFER_OUT] = b->blocks[BUFFER_TMP] = p;
    b->tmp_like = BUFFER_OUT;
    b->tmp_shift = r;
    build_copy(b, own_block(b), place_at(BUFFER_TMP, 0), 1);
    for (uint32_t round = 0; round < dissemination_rounds(p); round++) {
        uint32_t have = (uint32_t)1 << round, n = have < p - have ? have : p - have;
        build_send(b, dissemination_from(r, round, p), place_at(BUFFER_TMP, 0), n);
        build_recv(b, dissemination_to(r, round, p), place_at(BUFFER_TMP, have), n);
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
    ring_allgather(b, BUFFER_OUT, b->rank);
}
