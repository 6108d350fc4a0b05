/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/collective.h"
#include "collectives/generate_parts.h"
#include "collectives/pattern/flat.h"
#include "collectives/pattern/ring.h"

/* Among more than one window holds: p - 1 rounds, in round i with the ranks i further on and
 * back. */
static void alltoall_loop(struct build *b, enum op_buffer from)
{
    uint32_t p = b->size, right = ring_right(b->rank, 1, p), left = ring_left(b->rank, 1, p);
    build_loop(b, p - 1);
    build_send(b, right, place_moving(from, right, 1), 1);
    build_move_peer(b, 1);
    build_recv(b, left, place_moving(BUFFER_OUT, left, -1), 1);
    build_move_peer(b, -1);
    build_loop_end(b);
}

/* Nothing is sent twice: for long ones. The own block is copied while messages are on their way; in
 * place, what is to be sent is kept aside first. Two ranks may do it in pieces. */
void generate_alltoall_pairwise(struct build *b)
{
    uint32_t p = b->size, r = b->rank, k = pair_pieces(b);
    enum op_buffer from = b->in_place ? BUFFER_TMP : BUFFER_IN;
    b->blocks[BUFFER_OUT] = b->blocks[from] = p * k;
    if (b->in_place) {
        b->tmp_like = BUFFER_OUT;
        build_copy(b, place_at(BUFFER_OUT, 0), place_at(BUFFER_TMP, 0), p * k);
    }
    if (k > 1) {
        pair_exchange(b, place_at(from, (1 - r) * k), place_at(from, r * k));
        return;
    }
    if (p > PAIRWISE_RANKS) alltoall_loop(b, from);
    for (uint32_t i = 0; p <= PAIRWISE_RANKS && i < pairwise_meetings(b, 1); i++) {
        struct meeting m = pairwise_meeting(b, 1, i);
        if (!b->in_place && i == p - 1)
            build_copy(b, place_at(BUFFER_IN, r), place_at(BUFFER_OUT, r), 1);
        if (m.sends)
            build_send(b, m.peer, place_at(from, m.peer), 1);
        else
            build_recv(b, m.peer, place_at(BUFFER_OUT, m.peer), 1);
    }
    if (!b->in_place && (p == 1 || p > PAIRWISE_RANKS))
        build_copy(b, place_at(BUFFER_IN, r), place_at(BUFFER_OUT, r), 1);
}

/* The blocks j of TMP whose digit of weight `weight` is `digit`, in runs of `weight`, side by side
 * in OUT from `at` on, or back: n of them. */
static uint32_t bruck_pack(struct build *b, uint32_t weight, uint32_t digit, uint32_t at, bool back)
{
    uint32_t p = b->size, n = 0;
    uint64_t period = (uint64_t)weight * b->parameter, j = (uint64_t)weight * digit;
    uint32_t whole = (uint32_t)(p / period), tail = (uint32_t)(p % period);
    uint32_t rest = tail <= j ? 0 : tail - j < weight ? (uint32_t)(tail - j) : weight;
    if (rest == weight) whole++, rest = 0;
    for (int part = 0; part < 2; part++) {
        uint32_t length = part ? rest : weight, times = part ? rest != 0 : whole;
        struct place in = place_moving(BUFFER_TMP, (uint32_t)j, 1);
        struct place out = place_moving(BUFFER_OUT, at + n, 1);
        build_loop(b, times);
        if (back)
            build_strides(b, weight, (uint32_t)period), build_copy(b, out, in, length);
        else
            build_strides(b, (uint32_t)period, weight), build_copy(b, in, out, length);
        build_loop_end(b);
        n += times * length;
        j += times * period;
    }
    return n;
}

/*
 * ceil(log_k p) rounds: block j of TMP is on its way to the rank j further on, and in round i takes
 * k^i times its digit i. Each is sent up to ceil(log_k p) times: for short ones. OUT is where what
 * one message carries is packed and arrives: the lower half, and the upper one.
 */
void generate_alltoall_bruck(struct build *b)
{
    uint32_t p = b->size, r = b->rank, half = p / 2;
    enum op_buffer in = b->in_place ? BUFFER_OUT : BUFFER_IN;
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = b->blocks[BUFFER_TMP] = p;
    b->tmp_like = BUFFER_OUT;
    build_copy(b, place_at(in, r), place_at(BUFFER_TMP, 0), p - r);
    if (r) build_copy(b, place_at(in, 0), place_at(BUFFER_TMP, p - r), r);
    for (uint64_t weight = 1; weight < p; weight *= b->parameter)
        for (uint32_t digit = 1; digit < b->parameter && weight * digit < p; digit++) {
            uint32_t w = (uint32_t)weight, far = w * digit;
            uint32_t n = bruck_pack(b, w, digit, 0, false);
            build_send(b, ring_right(r, far, p), place_at(BUFFER_OUT, 0), n);
            build_recv(b, ring_left(r, far, p), place_at(BUFFER_OUT, half), n);
            bruck_pack(b, w, digit, half, true);
        }
    build_loop(b, p); /* what came from the rank j back */
    build_copy(b, place_moving(BUFFER_TMP, 0, 1), place_moving(BUFFER_OUT, r, -1), 1);
    build_loop_end(b);
}
