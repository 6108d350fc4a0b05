/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * By the circulant graph: ceil(log2 p) rounds and not a byte more than must be, for any p.
 */
#include "collectives/collective.h"
#include "collectives/generate_parts.h"
#include "collectives/pattern/circulant.h"

/* The blocks [at, at + n) modulo the team's size: one run, or two where they go round; both ends of
 * a message cut it alike. */
struct runs {
    uint32_t count, at[2], n[2];
};

static struct runs runs_of(const struct build *b, uint32_t at, uint32_t n)
{
    uint32_t p = b->size, first = at % p, before = n < p - first ? n : p - first;
    struct runs r = { n > before ? 2 : before > 0, { first, 0 }, { before, n - before } };
    return r;
}

static void runs_send(struct build *b, uint32_t peer, enum op_buffer buffer, uint32_t at,
                      uint32_t n)
{
    struct runs r = runs_of(b, at, n);
    for (uint32_t i = 0; i < r.count; i++) build_send(b, peer, place_at(buffer, r.at[i]), r.n[i]);
}

/* All ranks' blocks, where each has its own to begin with. */
void circulant_allgather(struct build *b, enum op_buffer buffer)
{
    struct circulant c = circulant_of(b->size);
    for (uint32_t k = 0; k < c.rounds; k++) {
        uint32_t have = c.skip[k], more = c.skip[k + 1] - have;
        struct runs come = runs_of(b, b->rank + have, more);
        runs_send(b, circulant_from(&c, b->rank, k), buffer, b->rank, more);
        for (uint32_t i = 0; i < come.count; i++)
            build_recv(b, circulant_to(&c, b->rank, k), place_at(buffer, come.at[i]),
                       come.n[i]);
    }
}

/*
 * Block `rank` of acc becomes the sum of all. In each round a rank gives the sums of the farther
 * half of its blocks to where they are nearer. The first round touches all blocks that are ever
 * added to, but for the middle one if p is odd, which is copied.
 */
void circulant_reduce_scatter(struct build *b, enum op_buffer in, enum op_buffer acc)
{
    struct circulant c = circulant_of(b->size);
    enum op_buffer from = in;
    for (uint32_t k = c.rounds; k-- > 0; from = acc) {
        uint32_t keep = c.skip[k], n = c.skip[k + 1] - keep;
        struct runs come = runs_of(b, b->rank, n);
        runs_send(b, circulant_to(&c, b->rank, k), from, b->rank + keep, n);
        if (from != acc && keep > n)
            build_copy(b, place_at(in, (b->rank + n) % b->size),
                       place_at(acc, (b->rank + n) % b->size), 1);
        for (uint32_t i = 0; i < come.count; i++)
            build_recv_reduce(b, circulant_from(&c, b->rank, k), place_at(from, come.at[i]),
                              place_at(acc, come.at[i]), come.n[i]);
    }
    if (b->size == 1 && in != acc) build_copy(b, place_at(in, 0), place_at(acc, 0), 1);
}

void generate_allgather_circulant(struct build *b)
{
    b->blocks[BUFFER_IN] = 1;
    b->blocks[BUFFER_OUT] = b->size;
    if (!b->in_place) build_copy(b, place_at(BUFFER_IN, 0), place_at(BUFFER_OUT, b->rank), 1);
    circulant_allgather(b, BUFFER_OUT);
}

void generate_reduce_scatter_circulant(struct build *b)
{
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_TMP] = b->size;
    b->blocks[BUFFER_OUT] = 1;
    circulant_reduce_scatter(b, BUFFER_IN, BUFFER_TMP);
    if (b->in_place) build_fence(b);
    build_copy(b, place_at(BUFFER_TMP, b->rank), place_at(BUFFER_OUT, 0), 1);
}

void generate_allreduce_circulant(struct build *b)
{
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = b->size;
    circulant_reduce_scatter(b, b->in_place ? BUFFER_OUT : BUFFER_IN, BUFFER_OUT);
    circulant_allgather(b, BUFFER_OUT);
}

/* ------------------------------------------------------------------------ in n blocks,
 * pipelined */

/* What comes to one rank, counted from the root, in which round. */
struct arrivals {
    uint32_t rounds, blocks;
    uint32_t skipped; /* rounds at the beginning, so that the last block comes in the last one    */
    uint32_t last;    /* the round that first brings the last block                               */
    int64_t came[CIRCULANT_ROUNDS_MAX];
};

static int64_t arrivals_block(const struct arrivals *a, uint32_t i)
{
    return a->came[i % a->rounds] + (int64_t)(i / a->rounds * a->rounds) - a->skipped;
}

static struct arrivals arrivals_of(const struct build *b, const struct circulant *c, uint32_t rank)
{
    uint32_t blocks = b->parameter;
    struct arrivals a = { .rounds = c->rounds, .blocks = blocks };
    a.skipped = (c->rounds - (blocks - 1) % c->rounds) % c->rounds;
    circulant_schedule(c, (uint32_t)(((uint64_t)rank + b->size - b->root) % b->size), a.came);
    for (a.last = a.skipped; arrivals_block(&a, a.last) < (int64_t)blocks - 1;) a.last++;
    return a;
}

/* The block that comes in round i, each block once; false: none. */
static bool arrivals_at(const struct arrivals *a, uint32_t i, uint32_t *block)
{
    int64_t at = arrivals_block(a, i);
    if (at < 0 || (at >= (int64_t)a->blocks - 1 && i != a->last)) return false;
    *block = i == a->last ? a->blocks - 1 : (uint32_t)at;
    return true;
}

/* Of b->rank and of those it sends to. */
struct pipeline {
    struct circulant c;
    uint32_t begin, end; /* rounds */
    struct arrivals own, to[CIRCULANT_ROUNDS_MAX];
};

static void pipeline_make(struct pipeline *x, const struct build *b)
{
    x->c = circulant_of(b->size);
    x->begin = x->end = 0;
    if (b->size == 1) return;
    x->own = arrivals_of(b, &x->c, b->rank);
    for (uint32_t k = 0; k < x->c.rounds; k++)
        x->to[k] = arrivals_of(b, &x->c, circulant_to(&x->c, b->rank, k));
    x->begin = x->own.skipped;
    x->end = x->begin + b->parameter - 1 + x->c.rounds;
}

/* n - 1 + ceil(log2 p) rounds for n blocks, the fewest there can be: (1 + log2 p / n) N bytes. */
void generate_bcast_circulant(struct build *b)
{
    struct pipeline x;
    pipeline_make(&x, b);
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = b->parameter;
    for (uint32_t i = x.begin; i < x.end; i++) {
        uint32_t k = i % x.c.rounds, to = circulant_to(&x.c, b->rank, k), block;
        if (to != b->root && arrivals_at(&x.to[k], i, &block))
            build_send(b, to, place_at(BUFFER_OUT, block), 1);
        if (b->rank != b->root && arrivals_at(&x.own, i, &block))
            build_recv(b, circulant_from(&x.c, b->rank, k), place_at(BUFFER_OUT, block), 1);
    }
}

/* The same backwards in time: what was received is sent, what was sent is received and added. */
void generate_reduce_circulant(struct build *b)
{
    struct pipeline x;
    bool root = b->rank == b->root;
    enum op_buffer in = b->in_place ? BUFFER_OUT : BUFFER_IN, acc = root ? BUFFER_OUT : BUFFER_TMP;
    uint64_t added = 0; /* blocks of acc that hold something, as a set */
    pipeline_make(&x, b);
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = b->parameter;
    if (!root) b->blocks[acc] = b->parameter;
    for (uint32_t i = x.end; i-- > x.begin;) {
        uint32_t k = i % x.c.rounds, to = circulant_to(&x.c, b->rank, k), block;
        if (!root && arrivals_at(&x.own, i, &block))
            build_send(b, circulant_from(&x.c, b->rank, k),
                       place_at(added >> block & 1 ? acc : in, block), 1);
        if (to == b->root || !arrivals_at(&x.to[k], i, &block)) continue;
        build_recv_reduce(b, to, place_at(added >> block & 1 ? acc : in, block),
                          place_at(acc, block), 1);
        added |= (uint64_t)1 << block;
    }
    if (b->size == 1 && in != acc) build_copy(b, place_at(in, 0), place_at(acc, 0), b->parameter);
}
