/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_PATTERN_DISSEMINATION_H
#define COLLECTIVES_PATTERN_DISSEMINATION_H
/*
 * dissemination.h - in round k everyone tells the rank 2^k further on
 *
 * After ceil(log2(size)) rounds, whatever the size, everyone has heard of everyone.
 */
#include <stdint.h>

static inline uint32_t dissemination_rounds(uint32_t size)
{
    uint32_t round = 0;
    while (((uint64_t)1 << round) < size) round++;
    return round;
}

static inline uint32_t dissemination_to(uint32_t rank, uint32_t round, uint32_t size)
{
    return (uint32_t)((rank + ((uint64_t)1 << round)) % size);
}

static inline uint32_t dissemination_from(uint32_t rank, uint32_t round, uint32_t size)
{
    return (uint32_t)((rank + size - ((uint64_t)1 << round) % size) % size);
}

#endif
