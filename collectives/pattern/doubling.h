/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_PATTERN_DOUBLING_H
#define COLLECTIVES_PATTERN_DOUBLING_H
/*
 * doubling.h - recursive doubling among any number of ranks
 *
 * With 2^m the largest power of two in `size` and `extra` = size - 2^m, the first 2 extra ranks
 * pair up: the odd one hands its part to the even one below and gets the result at the end. The 2^m
 * that remain are numbered in rank order by `place`; in round k place j meets j xor 2^k. The ranks
 * a place stands for are contiguous, so are those of every aligned group of places: order is kept.
 *
 *     size 6, extra 2    rank   0 1  2 3  4  5
 *                        place  0 -  1 -  2  3
 */
#include <stdbool.h>
#include <stdint.h>

static inline uint32_t doubling_rounds(uint32_t size)
{
    uint32_t round = 0;
    while (((uint64_t)2 << round) <= size) round++;
    return round;
}

static inline uint32_t doubling_extra(uint32_t size)
{
    return size - ((uint32_t)1 << doubling_rounds(size));
}

/* Whether `rank` has a partner that folds: *other is it, and *folded says that rank is the one
 * without a place. */
static inline bool doubling_fold(uint32_t rank, uint32_t size, uint32_t *other, bool *folded)
{
    if (rank / 2 >= doubling_extra(size)) return false;
    *other = rank ^ 1;
    *folded = rank & 1;
    return true;
}

static inline uint32_t doubling_place(uint32_t rank, uint32_t size)
{
    uint32_t extra = doubling_extra(size);
    return rank / 2 < extra ? rank / 2 : rank - extra;
}

static inline uint32_t doubling_rank(uint32_t place, uint32_t size)
{
    uint32_t extra = doubling_extra(size);
    return place < extra ? place * 2 : place + extra;
}

/* Whom a rank with a place meets in `round`. */
static inline uint32_t doubling_partner(uint32_t rank, uint32_t round, uint32_t size)
{
    return doubling_rank(doubling_place(rank, size) ^ (uint32_t)1 << round, size);
}

#endif
