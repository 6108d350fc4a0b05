/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/generate_parts.h"

#include "collectives/pattern/binomial.h"
#include "collectives/pattern/doubling.h"
#include "collectives/pattern/ring.h"

/* The last piece of a block: they go backwards, as the blocks do. */
static uint32_t ring_last(uint32_t block, uint32_t pieces)
{
    return block * pieces + pieces - 1;
}

void ring_allgather(struct build *b, enum op_buffer buffer, uint32_t own, uint32_t pieces)
{
    uint32_t right = ring_right(b->rank, 1, b->size), left = ring_left(b->rank, 1, b->size);
    uint32_t next = ring_left(own, 1, b->size);
    build_loop(b, (b->size - 1) * pieces);
    build_send(b, right, place_moving(buffer, ring_last(own, pieces), -1), 1);
    build_recv(b, left, place_moving(buffer, ring_last(next, pieces), -1), 1);
    build_loop_end(b);
}

/* The first round; its blocks go from where they are. */
static void ring_first(struct build *b, enum op_buffer in, enum op_buffer acc, uint32_t begin,
                       uint32_t pieces)
{
    uint32_t right = ring_right(b->rank, 1, b->size), left = ring_left(b->rank, 1, b->size);
    uint32_t next = ring_left(begin, 1, b->size);
    if (pieces == 1) {
        build_send(b, right, place_at(in, begin), 1);
        build_recv_reduce(b, left, place_at(in, next), place_at(acc, next), 1);
        return;
    }
    next = ring_last(next, pieces);
    build_loop(b, pieces);
    build_send(b, right, place_moving(in, ring_last(begin, pieces), -1), 1);
    build_recv_reduce(b, left, place_moving(in, next, -1), place_moving(acc, next, -1), 1);
    build_loop_end(b);
}

/* A copy of the first block makes one loop of all rounds, through which pieces go without a stop;
 * where there is nothing to be stopped it is not made. */
void ring_reduce_scatter(struct build *b, enum op_buffer in, enum op_buffer acc, uint32_t begin,
                         uint32_t pieces)
{
    uint32_t right = ring_right(b->rank, 1, b->size), left = ring_left(b->rank, 1, b->size);
    uint32_t rounds = b->size - 1;
    if (in != acc && (b->size == 1 || (b->size > 2 && pieces > 1))) {
        build_copy(b, place_at(in, begin * pieces), place_at(acc, begin * pieces), pieces);
    } else if (in != acc) {
        ring_first(b, in, acc, begin, pieces);
        begin = ring_left(begin, 1, b->size);
        rounds--;
    }
    uint32_t next = ring_last(ring_left(begin, 1, b->size), pieces);
    build_loop(b, rounds * pieces);
    build_send(b, right, place_moving(acc, ring_last(begin, pieces), -1), 1);
    build_recv_reduce(b, left, place_moving(in, next, -1), place_moving(acc, next, -1), 1);
    build_loop_end(b);
}

bool subtree_below(const struct build *b, uint32_t level, struct subtree *t)
{
    uint64_t sibling = binomial_sibling(b->rank, level);
    if (!binomial_block(sibling, level, b->size, &t->first, &t->n)) return false;
    t->child = binomial_leader(t->first, level, b->root);
    return true;
}

struct subtree subtree_own(const struct build *b)
{
    struct subtree t = { 0, 0, 0 };
    uint32_t level = subtree_levels(b);
    binomial_block(b->rank, level, b->size, &t.first, &t.n);
    t.child = b->rank == b->root ? b->rank : binomial_leader(b->rank, level + 1, b->root);
    return t;
}

uint32_t subtree_levels(const struct build *b)
{
    return binomial_height(b->rank, b->root, b->size);
}

struct place subtree_reduce(struct build *b, enum op_buffer in, enum op_buffer acc, uint32_t n)
{
    struct place current = place_at(in, 0);
    struct subtree t;
    for (uint32_t level = 0; level < subtree_levels(b); level++) {
        if (!subtree_below(b, level, &t)) continue;
        build_recv_reduce(b, t.child, current, place_at(acc, 0), n);
        b->blocks[acc] = n;
        current.buffer = acc;
    }
    if (b->rank != b->root) build_send(b, subtree_own(b).child, current, n);
    return current;
}

void subtree_bcast(struct build *b, uint32_t n)
{
    struct subtree t = subtree_own(b);
    if (b->rank != b->root) build_recv(b, t.child, place_at(BUFFER_OUT, 0), n);
    for (uint32_t level = subtree_levels(b); level-- > 0;)
        if (subtree_below(b, level, &t)) build_send(b, t.child, place_at(BUFFER_OUT, 0), n);
}

static uint32_t group_rank(const struct group *g, uint32_t member)
{
    return g->first + member * g->stride;
}

void group_allreduce(struct build *b, const struct group *g, struct place current, struct place out)
{
    bool folded = false;
    uint32_t other = g->member;
    doubling_fold(g->member, g->members, &other, &folded);
    if (folded) {
        build_send(b, group_rank(g, other), current, 1);
        build_recv(b, group_rank(g, other), out, 1);
        return;
    }
    if (other != g->member) {
        build_recv_reduce(b, group_rank(g, other), current, out, 1);
        current = out;
    }
    for (uint32_t round = 0; round < doubling_rounds(g->members); round++) {
        uint32_t partner = group_rank(g, doubling_partner(g->member, round, g->members));
        build_send(b, partner, current, 1);
        build_recv_reduce(b, partner, current, out, 1);
        current = out;
    }
    if (current.buffer == BUFFER_IN) build_copy(b, current, out, 1);
    if (other != g->member) build_send(b, group_rank(g, other), out, 1);
}
