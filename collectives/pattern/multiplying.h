/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_PATTERN_MULTIPLYING_H
#define COLLECTIVES_PATTERN_MULTIPLYING_H
/*
 * multiplying.h - recursive doubling, but by up to `radix` at once, among any number of ranks
 *
 * The greatest number up to `size` without a factor above `radix` is how many places there are, or
 * the greatest power of two if the radix is one; the ranks beyond fold as in doubling.h. In round i
 * the places meet in groups of factor i: those that differ in one digit. Groups and what they stand
 * for are contiguous: order is kept.
 *
 *     size 7, radix 3: 6 places, factors 3 and 2;   rank   0 1  2  3  4  5  6
 *                                                   place  0 -  1  2  3  4  5
 */
#include <stdbool.h>
#include <stdint.h>

enum { MULTIPLYING_ROUNDS_MAX = 32 };

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
    m.extra = size - m.places;
    uint32_t rest = m.places;
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

static inline uint32_t multiplying_rank(const struct multiplying *m, uint32_t place)
{
    return place < m->extra ? place * 2 : place + m->extra;
}

#endif
