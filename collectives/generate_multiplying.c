/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/collective.h"
#include "collectives/pattern/multiplying.h"

/* What a group's place `digit` has, as this rank knows it. */
static struct place group_part(struct place own, uint32_t mine, uint32_t digit)
{
    if (digit == mine) return own;
    return place_at(BUFFER_TMP, digit < mine ? digit : digit - 1);
}

/* Of whom in a block of n the at-th of another block hears: its like, or where there is none one
 * from the end, who has had less to do before. */
static uint32_t group_teller(uint32_t at, uint32_t n)
{
    return at < n ? at : n - 1 - at % n;
}

/* Who of a block of n hears from this rank, the at-th of `mine`. */
static void group_tell(struct build *b, const struct multiplying *m, uint32_t at, uint32_t mine,
                       uint32_t first, uint32_t n, struct place own)
{
    if (at < n) build_send(b, multiplying_rank(m, first + at), own, 1);
    for (uint32_t i = mine + group_teller(mine + at, mine); i < n; i += mine)
        build_send(b, multiplying_rank(m, first + i), own, 1);
}

/*
 * A round of one group: everyone sends to all others, and adds up what all have as a binary tree
 * does, so all bracket alike, and as recursive doubling would if there are 2^k. A sum stays where
 * its left operand was, in OUT if that was one's own; the last one goes there.
 */
static bool group_round(struct build *b, const struct multiplying *m, uint32_t stride,
                        uint32_t factor, struct place own)
{
    uint32_t place = multiplying_place(m, b->rank), mine = place / stride % factor;
    uint32_t at = place % stride, first = place - at - mine * stride, blocks = factor;
    uint32_t here = multiplying_block(m, first + mine * stride, stride);
    struct place part[RADIX_MAX];
    while (multiplying_block(m, first + (blocks - 1) * stride, stride) == 0) blocks--;
    for (uint32_t i = 0; i < blocks; i++) part[i] = group_part(own, mine, i);
    for (uint32_t i = 1; i < blocks; i++) {
        uint32_t to = (mine + i) % blocks, from = (mine + blocks - i) % blocks;
        uint32_t there = multiplying_block(m, first + to * stride, stride);
        uint32_t of = multiplying_block(m, first + from * stride, stride);
        uint32_t teller = first + from * stride + group_teller(at, of);
        group_tell(b, m, at, here, first + to * stride, there, own);
        build_recv(b, multiplying_rank(m, teller), part[from], 1);
    }
    for (uint32_t step = 1; step < blocks; step *= 2)
        for (uint32_t i = 0; i + step < blocks; i += 2 * step) {
            bool ends = i == mine || 2 * step >= blocks;
            struct place sum = ends ? place_at(BUFFER_OUT, 0) : part[i];
            build_reduce(b, part[i], part[i + step], sum, 1);
            part[i] = sum;
        }
    return blocks > 1;
}

/*
 * About log_k p rounds of k - 1 messages at once, each with the whole vector, k - 1 vectors of
 * memory: for short ones where a round costs more than a message. Order is kept.
 */
void generate_allreduce_multiplying(struct build *b)
{
    struct multiplying m = multiplying_of(b->size, b->parameter);
    struct place own = place_at(b->in_place ? BUFFER_OUT : BUFFER_IN, 0);
    struct place out = place_at(BUFFER_OUT, 0);
    uint32_t other = b->rank, stride = 1;
    bool folded = false;
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = 1;
    b->tmp_like = BUFFER_OUT;
    multiplying_fold(&m, b->rank, &other, &folded);
    if (folded) {
        build_send(b, other, own, 1);
        build_recv(b, other, out, 1);
        return;
    }
    b->blocks[BUFFER_TMP] = m.rounds ? m.factor[0] - 1 : 0;
    if (other != b->rank) {
        build_recv_reduce(b, other, own, out, 1);
        own = out;
    }
    for (uint32_t round = 0; round < m.rounds; stride *= m.factor[round++])
        if (group_round(b, &m, stride, m.factor[round], own)) own = out;
    if (own.buffer == BUFFER_IN) build_copy(b, own, out, 1);
    if (other != b->rank) build_send(b, other, out, 1);
}
