/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/collective.h"
#include "collectives/pattern/flat.h"
#include "collectives/pattern/ring.h"

/*
 * ceil(log_k p) rounds of k - 1 messages at once. "Who has come, as far as I heard" is a reduction
 * of nothing: a block of no elements a round, so that their order is derived like any other.
 */
void generate_barrier_dissemination(struct build *b)
{
    struct place heard = place_at(BUFFER_IN, 0);
    uint32_t rounds = 0;
    b->blocks[BUFFER_IN] = 1;
    for (uint64_t step = 1; step < b->size; step *= b->parameter) {
        uint64_t end = step * b->parameter < b->size ? step * b->parameter : b->size;
        struct place next = place_at(BUFFER_TMP, rounds++), so_far = heard;
        for (uint64_t far = step; far < end; far += step) {
            build_send(b, ring_right(b->rank, (uint32_t)far, b->size), heard, 1);
            build_recv_reduce(b, ring_left(b->rank, (uint32_t)far, b->size), so_far, next, 1);
            so_far = next;
        }
        heard = next;
    }
    b->blocks[BUFFER_TMP] = rounds;
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

/*
 * p - 1 messages at each rank, to all others. Of ranks that take turns the last one to come finds
 * that all have come, leaves, and comes to the next barrier in the same turn: of p ranks on one
 * core each barrier takes p - 1 turns, and with two a core one, where through rank 0 it would take
 * two. First all are told, as far as one window goes; among more to the right, from the left: so
 * that both ends of a message come to it at the same step, whatever the executor's window holds.
 */
void generate_barrier_direct(struct build *b)
{
    struct place heard = place_at(BUFFER_IN, 0);
    b->blocks[BUFFER_IN] = 1;
    b->blocks[BUFFER_TMP] = b->size; /* each hears in its own: no order among them */
    if (b->size <= DIRECT_RANKS) {
        for (uint32_t i = 1; i < b->size; i++) build_send(b, (b->rank + i) % b->size, heard, 1);
        for (uint32_t i = 1; i < b->size; i++)
            build_recv(b, ring_left(b->rank, i, b->size), place_at(BUFFER_TMP, i), 1);
        return;
    }
    build_loop(b, b->size - 1);
    build_send(b, (b->rank + 1) % b->size, heard, 1);
    build_move_peer(b, 1);
    build_recv(b, ring_left(b->rank, 1, b->size), place_moving(BUFFER_TMP, 0, 1), 1);
    build_move_peer(b, -1);
    build_loop_end(b);
}
