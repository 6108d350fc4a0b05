/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_PATTERN_MULTIPLYING_H
#define COLLECTIVES_PATTERN_MULTIPLYING_H
/*
 * multiplying.h - recursive doubling, but by up to `radix` at once, among any number of ranks
 *
 * In round i ranks meet in groups of up to factor i, of which each has the sum of a block of ranks;
 * who has no counterpart in a shorter block, the last one, hears from another of it. Blocks are
 * aligned and contiguous: order is kept, and sums of a radix that is a power of two bracket as the
 * aligned tree does.
 *
 *     size 7, radix 4: factors 4 and 2;   0 1 2 3 | 4 5 6, then 0 - 4, 1 - 5, 2 - 6, and 4 tells 3
 *
 * Among more than MULTIPLYING_RANKS, where one rank might have to tell too many, and with other
 * radices there are fewer places: the greatest number up to `size` without a factor above `radix`,
 * or the greatest power of two if the radix is one; the ranks beyond fold as in doubling.h.
 *
 *     size 7, radix 3: 6 places, factors 3 and 2;   rank   0 1  2  3  4  5  6
 *                                                   place  0 -  1  2  3  4  5
 */
#include <stdbool.h>
#include <stdint.h>

enum { MULTIPLYING_ROUNDS_MAX = 32, MULTIPLYING_RANKS = 32 };

struct multiplying {
    uint32_t size, places, extra, rounds;
    uint32_t factor[MULTIPLYING_ROUNDS_MAX];
};

/* A radix that is a power of two has as many places as recursive doubling, and its bits. */
static inline bool multiplying_doubles(uint32_t radix)
{
    return (radix & (radix - 1)) == 0;
}

/* The greatest number up to `limit` whose factors are all up to `most`. */
static inline uint32_t multiplying_places(uint32_t limit, uint32_t most)
{
    uint32_t best = 1;
    while (best <= limit / 2) best *= 2;
    if (most <= 2 || best == limit) return best;
    uint32_t without = multiplying_places(limit, most - 1);
    uint32_t with = limit < most ? 0 : most * multiplying_places(limit / most, most);
    return with > without ? with : without;
}

static inline struct multiplying multiplying_of(uint32_t size, uint32_t radix)
{
    uint32_t most = multiplying_doubles(radix) ? 2 : radix;
    struct multiplying m = { .size = size, .places = multiplying_places(size, most) };
    bool whole = multiplying_doubles(radix) && size <= MULTIPLYING_RANKS;
    uint32_t rest = whole && m.places < size ? 2 * m.places : m.places;
    if (whole) m.places = size;
    m.extra = size - m.places;
    for (uint32_t f = radix; f >= 2; f--)
        for (; rest % f == 0; rest /= f) m.factor[m.rounds++] = f;
    return m;
}

/* As doubling_fold(). */
static inline bool multiplying_fold(const struct multiplying *m, uint32_t rank, uint32_t *other,
                                    bool *folded)
{
    if (rank / 2 >= m->extra) return false;
    *other = rank ^ 1;
    *folded = rank & 1;
    return true;
}

static inline uint32_t multiplying_place(const struct multiplying *m, uint32_t rank)
{
    return rank / 2 < m->extra ? rank / 2 : rank - m->extra;
}

/* The places of a block: all that `stride` has room for, or what is left of them. */
static inline uint32_t multiplying_block(const struct multiplying *m, uint32_t first,
                                         uint32_t stride)
{
    return first >= m->places ? 0 : m->places - first < stride ? m->places - first : stride;
}

static inline uint32_t multiplying_rank(const struct multiplying *m, uint32_t place)
{
    return place < m->extra ? place * 2 : place + m->extra;
}

#endif
