/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_PATTERN_KNOMIAL_H
#define COLLECTIVES_PATTERN_KNOMIAL_H
/*
 * knomial.h - binomial.h with aligned blocks of radix^k ranks: up to radix - 1 children a level
 *
 *     size 7, radix 3, root 2      level 2  |          2          |
 *                                  level 1  |   2   |   3   |  6  |     3 and 6 are children of 2
 *                                  level 0  | 0| 1| 2| 3| 4| 5| 6|      0 and 1 of 2, 4 and 5 of 3
 */
#include <stdbool.h>
#include <stdint.h>

/* The ranks of a block of `level`. */
static inline uint64_t knomial_span(uint32_t radix, uint32_t level)
{
    uint64_t span = 1;
    while (level-- > 0) span *= radix;
    return span;
}

/* Who leads the block of so many ranks that holds `rank`. */
static inline uint32_t knomial_leader(uint32_t rank, uint64_t span, uint32_t root)
{
    return root / span == rank / span ? root : (uint32_t)(rank / span * span);
}

/* The level of the largest block that `rank` leads. */
static inline uint32_t knomial_height(uint32_t rank, uint32_t root, uint32_t size, uint32_t radix)
{
    uint32_t level = 0;
    while (knomial_span(radix, level) < size &&
           knomial_leader(rank, knomial_span(radix, level + 1), root) == rank)
        level++;
    return level;
}

/* The leader of block `i` of the `radix` ones of `level` that make the one `rank` stands in; false:
 * there is none, or rank is it. */
static inline bool knomial_child(uint32_t rank, uint32_t i, uint32_t level, uint32_t radix,
                                 uint32_t root, uint32_t size, uint32_t *child)
{
    uint64_t span = knomial_span(radix, level), first = rank / (span * radix) * radix + i;
    if (first * span >= size || first == rank / span) return false;
    *child = knomial_leader((uint32_t)(first * span), span, root);
    return true;
}

#endif
