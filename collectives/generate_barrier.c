/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/collective.h"
#include "collectives/pattern/dissemination.h"

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
