/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/collective.h"
#include "collectives/pattern/ring.h"

/* p - 1 rounds, in round i with the ranks i further on and back; nothing is sent twice: for long
 * ones. In place: what is to be sent is kept aside first. */
void generate_alltoall_pairwise(struct build *b)
{
    uint32_t p = b->size, r = b->rank, right = ring_right(r, 1, p), left = ring_left(r, 1, p);
    enum op_buffer from = b->in_place ? BUFFER_TMP : BUFFER_IN;
    b->blocks[BUFFER_OUT] = b->blocks[from] = p;
    if (p == 2 && !b->in_place) { /* the copy while the message is on its way */
        build_send(b, right, place_at(BUFFER_IN, right), 1);
        build_copy(b, place_at(BUFFER_IN, r), place_at(BUFFER_OUT, r), 1);
        build_recv(b, right, place_at(BUFFER_OUT, right), 1);
        return;
    }
    if (b->in_place) {
        b->tmp_like = BUFFER_OUT;
        build_copy(b, place_at(BUFFER_OUT, 0), place_at(BUFFER_TMP, 0), p);
    } else {
        build_copy(b, place_at(BUFFER_IN, r), place_at(BUFFER_OUT, r), 1);
    }
    build_loop(b, p - 1);
    build_send(b, right, place_moving(from, right, 1), 1);
    build_move_peer(b, 1);
    build_recv(b, left, place_moving(BUFFER_OUT, left, -1), 1);
    build_move_peer(b, -1);
    build_loop_end(b);
}

/* The blocks j of TMP whose digit of weight `weight` is `digit`, in runs of `weight`, side by side in
 * OUT from `at` on, or back: n of them. */
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
