/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_PATTERN_BINOMIAL_H
#define COLLECTIVES_PATTERN_BINOMIAL_H
/*
 * binomial.h - the tree of aligned power-of-two blocks of ranks, for any root and any size
 *
 * At level k the ranks stand in blocks [j 2^k, (j + 1) 2^k), cut off at `size`. A block is led by
 * the root if it holds it, else by its lowest rank. Two sibling blocks make one of the next level,
 * and the leader that does not lead that one is a child of the one that does:
 *
 *     size 6, root 2       level 3  |           2           |
 *                          level 2  |     2     |     4     |     4 is a child of 2
 *                          level 1  |  0  |  2  |  4  |           0 is a child of 2
 *                          level 0  | 0| 1| 2| 3| 4| 5|           1, 3, 5 of 0, 2, 4
 *
 * So every subtree is a contiguous range of ranks wherever the root is: reductions keep rank order
 * and gathered blocks lie side by side with nothing to rotate.
 */
#include <stdbool.h>
#include <stdint.h>

/* Levels until one block holds all: ceil(log2(size)). */
static inline uint32_t binomial_levels(uint32_t size)
{
    uint32_t level = 0;
    while (((uint64_t)1 << level) < size) level++;
    return level;
}

/* Who leads the block of level `level` that holds `rank`. */
static inline uint32_t binomial_leader(uint32_t rank, uint32_t level, uint32_t root)
{
    uint64_t block = (uint64_t)rank >> level;
    return (uint64_t)root >> level == block ? root : (uint32_t)(block << level);
}

/* The level of the largest block that `rank` leads: it has a child for every existing sibling
 * below, and, unless it is the root, a parent: the leader one level up. */
static inline uint32_t binomial_height(uint32_t rank, uint32_t root, uint32_t size)
{
    uint32_t level = 0, levels = binomial_levels(size);
    while (level < levels && binomial_leader(rank, level + 1, root) == rank) level++;
    return level;
}

/* The ranks [*first, *first + *n) of the block of `level` that holds `rank`; false: there are none.
 */
static inline bool binomial_block(uint64_t rank, uint32_t level, uint32_t size, uint32_t *first,
                                  uint32_t *n)
{
    uint64_t from = rank >> level << level, to = from + ((uint64_t)1 << level);
    if (from >= size) return false;
    *first = (uint32_t)from;
    *n = (uint32_t)((to < size ? to : size) - from);
    return true;
}

/* A rank (existing or not) in the sibling of the block of `level` that holds `rank`. */
static inline uint64_t binomial_sibling(uint32_t rank, uint32_t level)
{
    return rank ^ (uint64_t)1 << level;
}

#endif
