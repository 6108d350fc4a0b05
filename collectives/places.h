/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_PLACES_H
#define COLLECTIVES_PLACES_H
/*
 * places.h - where the blocks of a buffer lie, in elements
 *
 * A buffer of `count` elements in `blocks` blocks: block i starts at element floor(count i /
 * blocks), which is whole i + floor(rest i / blocks) and never overflows; or where a table says.
 */
#include "collectives/schedule.h"

struct extent {
    size_t first, count;
};

struct buffer {
    unsigned char *base;
    size_t whole, rest;
    uint32_t blocks;
    struct extent *table; /* in the scratch memory, or NULL */
};

static inline void buffer_set(struct buffer *b, const void *base, size_t count, uint32_t blocks)
{
    b->base = (unsigned char *)base;
    b->table = NULL;
    b->blocks = blocks;
    b->whole = blocks ? count / blocks : 0;
    b->rest = blocks ? count % blocks : 0;
}

static inline size_t buffer_element(const struct buffer *b, uint32_t block)
{
    if (b->blocks == 0) return 0;
    return b->whole * block + (size_t)((uint64_t)b->rest * block / b->blocks);
}

/* Blocks [block, + n): the first element and, in *count, how many there are. */
static inline size_t buffer_place(const struct buffer *b, uint32_t block, uint32_t n, size_t *count)
{
    size_t first = buffer_element(b, block);
    if (b->table && n) {
        const struct extent *last = &b->table[block + n - 1];
        first = b->table[block].first;
        *count = last->first + last->count - first;
    } else {
        *count = buffer_element(b, block + n) - first;
    }
    return first;
}

/* No n blocks of it have more elements. */
static inline size_t buffer_longest(const struct buffer *b, uint32_t n)
{
    size_t longest = b->whole + (b->rest ? 1 : 0);
    for (uint32_t i = 0; b->table && i < b->blocks; i++)
        if (b->table[i].count > longest) longest = b->table[i].count;
    return longest * n;
}

#endif
