/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_GENERATE_PARTS_H
#define COLLECTIVES_GENERATE_PARTS_H
/*
 * generate_parts.h - the rounds that several algorithms share
 */
#include "collectives/build.h"

/* All blocks of `buffer` round the ring, b->size of them; this rank begins with block `own`, the
 * one on the left with own - 1, and so on. */
void ring_allgather(struct build *b, enum op_buffer buffer, uint32_t own);

/* acc[rank + 1] = all ranks' in[rank + 1]; the rest of acc is written with parts of it. */
void ring_reduce_scatter(struct build *b, enum op_buffer in, enum op_buffer acc);

/* One subtree of the binomial tree of b->rank: the ranks [first, first + n), led by `child`. */
struct subtree {
    uint32_t child, first, n;
};
/* That at `level` below b->rank; false: there is none. */
bool subtree_below(const struct build *b, uint32_t level, struct subtree *t);
/* The one b->rank itself leads; its child field is the parent, b->rank at the root. */
struct subtree subtree_own(const struct build *b);
/* Levels that b->rank leads. */
uint32_t subtree_levels(const struct build *b);

#endif
