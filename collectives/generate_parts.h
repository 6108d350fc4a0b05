/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_GENERATE_PARTS_H
#define COLLECTIVES_GENERATE_PARTS_H
/*
 * generate_parts.h - the rounds that several algorithms share
 */
#include "collectives/build.h"

/* All blocks of `buffer` round the ring, b->size of them, each in `pieces` that go one after the
 * other; this rank begins with block `own`, the one on the left with own - 1, and so on. */
void ring_allgather(struct build *b, enum op_buffer buffer, uint32_t own, uint32_t pieces);

/* acc[begin + 1] = all ranks' in[begin + 1]; the rest of acc is written with parts of it. This rank
 * begins with block `begin`, the one on the left with begin - 1, and so on. */
void ring_reduce_scatter(struct build *b, enum op_buffer in, enum op_buffer acc, uint32_t begin,
                         uint32_t pieces);

/* Block b->rank of acc becomes the sum of all; acc has b->size blocks and other parts of it are
 * written. Then all blocks of OUT to all, where each rank has its own. */
void circulant_reduce_scatter(struct build *b, enum op_buffer in, enum op_buffer acc);
void circulant_allgather(struct build *b, enum op_buffer buffer);

/*
 * Message i of everyone's exchange with everyone in so many pieces: to the right, from the left, so
 * that both ends come to it at the same step. Where the executor's window has room for all of them
 * they are all sent first: then whoever goes through the program step by step waits once, not p - 1
 * times, which matters where ranks take turns on few cores. Else each is followed by one that
 * comes.
 */
struct meeting {
    bool sends;
    uint32_t peer, piece;
};
static inline uint32_t pairwise_meetings(const struct build *b, uint32_t pieces)
{
    return 2 * (b->size - 1) * pieces;
}
struct meeting pairwise_meeting(const struct build *b, uint32_t pieces, uint32_t i);

/* Between two ranks: in how many pieces each block goes. With more than one: those from `give` on
 * to the other, whose own go to where they belong in OUT, and so do this rank's, from `own` on,
 * unless they are there. */
uint32_t pair_pieces(const struct build *b);
void pair_exchange(struct build *b, struct place give, struct place own);

/* Ranks that stand evenly apart, of which b->rank is number `member`. */
struct group {
    uint32_t first, stride, member, members;
};
/* By recursive doubling one block of all members, here `current`, becomes their sum: it ends in
 * `out`. */
void group_allreduce(struct build *b, const struct group *g, struct place current,
                     struct place out);

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

/* n blocks of every rank up the tree, reduced by the aligned tree into acc, which ranks without
 * children do without. What this rank then has, and has sent to its parent, begins at the result.
 */
struct place subtree_reduce(struct build *b, enum op_buffer in, enum op_buffer acc, uint32_t n);
/* n blocks of OUT from the root to all. */
void subtree_bcast(struct build *b, uint32_t n);

#endif
