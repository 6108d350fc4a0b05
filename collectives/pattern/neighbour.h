/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_PATTERN_NEIGHBOUR_H
#define COLLECTIVES_PATTERN_NEIGHBOUR_H
/*
 * neighbour.h - an even number of ranks in a ring, who meet their two neighbours in turn
 *
 * Pairs (0, 1), (2, 3) … exchange their blocks; then each pair's left end meets the pair on its
 * left, its right end that on its right, and tells it the two blocks it heard last: in every round
 * a pair's blocks move one pair on, in both directions.
 *
 * J. Chen, L. Zhang, Y. Zhang, W. Yuan, "Performance evaluation of allgather algorithms on
 * terascale Linux cluster with Fast Ethernet", HPC Asia 2005.
 */
#include <stdint.h>

enum { NEIGHBOUR_RANKS = 128 }; /* two operations a round, half as many rounds as ranks */

/* Whom `rank` meets in `round`: the other of its pair in even ones. */
static inline uint32_t neighbour_peer(uint32_t rank, uint32_t round, uint32_t size)
{
    return (rank + (rank % 2 == round % 2 ? 1 : size - 1)) % size;
}

/* The first of the two blocks that `rank` heard last, after `round`: of the pair so many further
 * on, in the direction in which it last met another pair, and its partner after it. */
static inline uint32_t neighbour_pair(uint32_t rank, uint32_t round, uint32_t size)
{
    uint32_t pairs = size / 2, far = (round + 1) / 2;
    if (round % 2 != rank % 2) far = (pairs - far) % pairs;
    return (rank / 2 + far) % pairs * 2;
}

#endif
