/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_BUILD_H
#define COLLECTIVES_BUILD_H
/*
 * build.h - making a schedule: the generator says what happens in which order, the builder derives
 * dependencies (from overlapping places) and ordinals (from counting messages)
 *
 * The program order must be one in which every rank could run with all its receives posted as soon
 * as their places are free: then it cannot deadlock, with sends as slow as they like.
 */
#include "collectives/schedule.h"

enum { BUILD_MAX = 512 }; /* log-step algorithms for 2^31 ranks need fewer */

/* Blocks of a buffer; in a loop they move by `move` (0, 1, -1) strides a repetition. */
struct place {
    enum op_buffer buffer;
    uint32_t at;
    int move;
};

struct build {
    uint32_t size, rank, root;
    uint32_t parameter; /* of the algorithm: enum parameter says what it means */
    bool in_place;                 /* the input of this rank is where its output goes             */
    uint32_t blocks[BUFFER_COUNT]; /* set by the generator, as the next two; see schedule.h */
    enum op_buffer tmp_like;
    uint32_t tmp_shift;
    uint32_t ops, loop;  /* loop: 1 + index of the open LOOP, or 0                      */
    const char *failure; /* what cannot be built, a constant text                       */
    struct op op[BUILD_MAX];
};

static inline struct place place_at(enum op_buffer buffer, uint32_t at)
{
    return (struct place){ buffer, at, 0 };
}

static inline struct place place_moving(enum op_buffer buffer, uint32_t at, int move)
{
    return (struct place){ buffer, at, move };
}

void build_send(struct build *b, uint32_t peer, struct place a, uint32_t n);
void build_recv(struct build *b, uint32_t peer, struct place d, uint32_t n);
/* d = what arrives (+) b, or b (+) what arrives: the lower rank's stands left. */
void build_recv_reduce(struct build *b, uint32_t peer, struct place from, struct place d,
                       uint32_t n);
/* d = left (+) right; d may be one of them. */
void build_reduce(struct build *b, struct place left, struct place right, struct place d,
                  uint32_t n);
/* d = `from` of the peer's, and with (+) mine. Between a build_await(peer), which says that it is
 * there, and a build_tell(peer), which says that it has been read. Not in loops. */
void build_read(struct build *b, uint32_t peer, struct place from, struct place d, uint32_t n);
void build_read_reduce(struct build *b, uint32_t peer, struct place from, struct place mine,
                       struct place d, uint32_t n);
/* A message of no block: after all that was added before. */
void build_tell(struct build *b, uint32_t peer);
/* Its arrival: before all that is added later. */
void build_await(struct build *b, uint32_t peer);
void build_copy(struct build *b, struct place a, struct place d, uint32_t n);
/* Everything before is done before anything after begins: for what only memory knows, as when IN
 * and OUT are the same. */
void build_fence(struct build *b);
/* A fence, behind which TMP is as long as CNT says; see schedule.h. */
void build_counts(struct build *b);

/* What is added until build_loop_end() happens n times, moving by one block; 0 times is allowed. */
void build_loop(struct build *b, uint32_t n);
/* The strides of the open loop's places, where they are not one block. */
void build_strides(struct build *b, uint32_t a, uint32_t d);
void build_loop_end(struct build *b);
/* The peer of the operation added last moves by `move` a repetition. */
void build_move_peer(struct build *b, int move);

/* The finished operations into out[BUILD_MAX]: their number, or 0 with b->failure set. An empty
 * program becomes one NOP. */
uint32_t build_finish(struct build *b, struct op out[BUILD_MAX]);

#endif
