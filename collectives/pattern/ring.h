/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_PATTERN_RING_H
#define COLLECTIVES_PATTERN_RING_H
/*
 * ring.h - everyone sends to the right and receives from the left
 */
#include <stdint.h>

/* `distance` further on, 0 <= distance <= size. */
static inline uint32_t ring_right(uint32_t rank, uint32_t distance, uint32_t size)
{
    return (uint32_t)(((uint64_t)rank + distance) % size);
}

static inline uint32_t ring_left(uint32_t rank, uint32_t distance, uint32_t size)
{
    return (uint32_t)(((uint64_t)rank + size - distance) % size);
}

#endif
