/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/collective.h"
#include "collectives/pattern/dissemination.h"
#include "collectives/pattern/flat.h"

/*
 * ceil(log2 p) rounds. "Who has come, as far as I heard" is a reduction of nothing: one block of no
 * elements, so that the order of the rounds is derived like any other.
 */
void generate_barrier_dissemination(struct build *b)
{
    struct place heard = place_at(BUFFER_TMP, 0);
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_TMP] = 1;
    for (uint32_t round = 0; round < dissemination_rounds(b->size); round++) {
        build_send(b, dissemination_to(b->rank, round, b->size), heard, 1);
        build_recv_reduce(b, dissemination_from(b->rank, round, b->size), heard, heard, 1);
    }
}

/*
 * 2 (p - 1) messages at rank 0, two at each other: all tell rank 0, it tells all. Where ranks take
 * turns on few cores this is one turn each, as the answer to one barrier and the coming to the next
 * fall into the same one; rounds would take a turn each.
 */
void generate_barrier_flat(struct build *b)
{
    struct place heard = place_at(BUFFER_TMP, 0);
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_TMP] = 1;
    if (b->rank != FLAT_ROOT) {
        build_send(b, FLAT_ROOT, heard, 1);
        build_recv_reduce(b, FLAT_ROOT, heard, heard, 1);
        return;
    }
    build_loop(b, b->size - 1);
    build_recv_reduce(b, 1, heard, heard, 1);
    build_move_peer(b, 1);
    build_loop_end(b);
    build_loop(b, b->size - 1);
    build_send(b, 1, heard, 1);
    build_move_peer(b, 1);
    build_loop_end(b);
}
