/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_PATTERN_CIRCULANT_H
#define COLLECTIVES_PATTERN_CIRCULANT_H
/*
 * circulant.h - the graph in which every rank tells those ceil(log2 size) distances further on
 *
 * The distances are the size halved, rounded up, until 1: for 6 ranks 3, 2, 1; for 7 4, 2, 1. Each
 * is at most twice the next, so what is known doubles in every round whatever the size, and no rank
 * is a special case.
 *
 * In a broadcast of n blocks every rank but the root gets one block in each of n - 1 + rounds
 * rounds; round i goes over the distance i mod rounds. Which block comes is regular: each `rounds`
 * later it is the one `rounds` further. circulant_schedule() tells those of the first rounds;
 * negative ones do not exist, and in the last rounds what is beyond the last block is the last.
 *
 * J. L. Träff, "(Poly)logarithmic time construction of round-optimal n-block broadcast schedules",
 * arXiv 2205.10072 and 2312.11236; of reductions: arXiv 2410.14234.
 */
#include <stdbool.h>
#include <stdint.h>

enum { CIRCULANT_ROUNDS_MAX = 32 };

struct circulant {
    uint32_t size, rounds;
    uint32_t skip[CIRCULANT_ROUNDS_MAX + 1]; /* 1 …, and size behind the last */
};

static inline struct circulant circulant_of(uint32_t size)
{
    struct circulant c = { .size = size };
    while (((uint64_t)1 << c.rounds) < size) c.rounds++;
    c.skip[c.rounds] = size;
    for (uint32_t k = c.rounds; k-- > 0;) c.skip[k] = c.skip[k + 1] - c.skip[k + 1] / 2;
    return c;
}

static inline uint32_t circulant_to(const struct circulant *c, uint32_t rank, uint32_t k)
{
    return (uint32_t)(((uint64_t)rank + c->skip[k]) % c->size);
}

static inline uint32_t circulant_from(const struct circulant *c, uint32_t rank, uint32_t k)
{
    return (uint32_t)(((uint64_t)rank + c->size - c->skip[k]) % c->size);
}

/* The least distance of those that lead from rank 0 to `rank`, taken greedily; `rounds` for 0. It
 * is the first block that `rank` gets. */
static inline uint32_t circulant_base(const struct circulant *c, uint32_t rank)
{
    for (uint32_t k = c->rounds; k-- > 0;) {
        if (c->skip[k] == rank) return k;
        if (c->skip[k] < rank) rank -= c->skip[k];
    }
    return c->rounds;
}

/* The search for whose block is new: round k brings the block of the first rank between rank -
 * skip[k + 1] and rank - skip[k] (of the paths from 0, greatest distances first) that no round
 * before has brought. */
struct circulant_search {
    const struct circulant *c;
    uint64_t rank;                                                    /* and once round the ring */
    uint32_t next[CIRCULANT_ROUNDS_MAX + 2], back[CIRCULANT_ROUNDS_MAX + 2]; /* not brought yet   */
    uint32_t brings[CIRCULANT_ROUNDS_MAX];
};

static inline void circulant_brought(struct circulant_search *x, uint32_t e)
{
    x->next[x->back[e]] = x->next[e];
    x->back[x->next[e]] = x->back[e];
}

/* On from the rank `at`, by distances from e down, to ranks below `bound`; the rounds done so
 * far. */
static inline uint32_t circulant_walk(struct circulant_search *x, uint64_t at, uint64_t bound,
                                      uint32_t e, uint32_t k)
{
    const struct circulant *c = x->c;
    for (; e <= c->rounds && k < c->rounds; e = x->next[e]) {
        uint64_t there = at + c->skip[e];
        if (there + c->skip[k] > x->rank || there >= bound) continue;
        if (there + c->skip[k + 1] <= x->rank) k = circulant_walk(x, there, bound, e, k);
        if (k == c->rounds || at + c->skip[k + 1] > x->rank) return k;
        bound = there;
        x->brings[k++] = e;
        circulant_brought(x, e);
    }
    return k;
}

/* came[k]: the block that `rank`, counted from the root, gets in round k. */
static inline void circulant_schedule(const struct circulant *c, uint32_t rank, int64_t *came)
{
    struct circulant_search x = { .c = c, .rank = (uint64_t)rank + c->size };
    uint32_t base = circulant_base(c, rank), end = c->rounds + 1;
    for (uint32_t e = 0; e <= end; e++) {
        x.next[e] = e ? e - 1 : end;
        x.back[e] = e < end ? e + 1 : 0;
    }
    circulant_brought(&x, base);
    circulant_walk(&x, 0, (uint64_t)c->size * 2, c->rounds, 0);
    for (uint32_t k = 0; k < c->rounds; k++)
        came[k] = x.brings[k] == c->rounds ? base : (int64_t)x.brings[k] - c->rounds;
}

#endif
