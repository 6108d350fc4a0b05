/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_PLAN_H
#define COLLECTIVES_PLAN_H
/*
 * plan.h - one collective on all ranks, to be looked at without running it
 *
 * The schedules are those that ranks would execute, unrolled: an instance is an operation without
 * multipliers. For tests and sinew-plan; not part of the shipped libraries.
 */
#include "base/text.h"
#include "collectives/collective.h"

/* What one rank does. */
struct lane {
    struct op *op; /* instances */
    uint32_t n;
    uint32_t blocks[BUFFER_COUNT];
    enum op_buffer tmp_like;
    uint32_t first; /* with CNT: whose length is its block 0 */
    uint32_t schedule_ops; /* before unrolling */
    bool in_place, has_out;
};

struct plan {
    const struct algorithm *algorithm;
    uint32_t size, root;
    uint32_t tiles;    /* the instances of one come after those of the one before */
    struct lane *lane; /* of each rank */
};

/* 0, or < 0 with why; plan_free() is due after 0. The parameter, and the tiles, are
 * algorithm->initial. in_place as the collective has it (at the root, or everywhere). */
int plan_make(struct plan *p, const struct algorithm *algorithm, uint32_t size, uint32_t root,
              bool in_place, char why[WHY_MAX]);
void plan_free(struct plan *p);

bool collective_reduces(enum collective collective);

/* The schedule of one rank, as it would be executed; free() is due. NULL with why. */
struct schedule *plan_schedule(const struct algorithm *algorithm, uint32_t size, uint32_t rank,
                               uint32_t root, bool in_place, char why[WHY_MAX]);
/* A lane for it; 0 or < 0 with why (a schedule that is none). With tiles, block b of tile t becomes
 * block b * tiles + t, and so do messages. */
int lane_unroll(struct lane *lane, const struct schedule *s, uint32_t tiles, char why[WHY_MAX]);
/* Whether a rank's call is in place, and whether it has an output. */
bool plan_placed(enum collective collective, uint32_t rank, uint32_t root, bool in_place);
bool plan_has_out(enum collective collective, uint32_t rank, uint32_t root, bool in_place);

/* "rank 3, operation 5: SEND OUT[2..4) to 7 as its message 0" */
void instance_text(const struct plan *p, uint32_t rank, uint32_t i, char *text, size_t cap);

/* The instance at the other end of each message's, by rank and instance, after the checks of bounds
 * and matching. 0, or < 0 with why; plan_mates_free() is due in either case. */
int plan_mates(const struct plan *p, uint32_t ***mate, char why[WHY_MAX]);
void plan_mates_free(const struct plan *p, uint32_t **mate);

/* ------------------------------------------------------------------------------------- verify.c */

struct verify_options {
    uint32_t columns; /* blocks looked at, of those that are; 0: all */
    uint64_t seed; /* which they are                                                            */
};

struct verified {
    uint64_t messages, blocks_sent;
    uint32_t columns; /* looked at, of how many */
    uint32_t column_count;
    uint32_t most_tmp;      /* blocks, of the rank with most       */
    uint32_t most_buffered; /* messages that wait at one rank if no send waits for its receive    */
    uint32_t most_ops;      /* of a schedule  */
};

/*
 * Whether the plan does what its collective is for, however its messages are timed:
 *   bounds    blocks, peers and dependencies exist; IN is never written; what is read was written
 *   matching  each message has one sender and one receiver, of as many blocks
 *   progress  it ends with every send waiting for its receive, with one credit a pair, and with any
 *             number; in the executor's window, with one stage
 *   races     accesses of one block, one of which writes, are ordered by dependencies
 *   dataflow  each output is what it must be: nothing missing or twice, in order and bracketing
 *             where the algorithm promises it, the same bracketing on all ranks
 * 0, or < 0 with why.
 */
int plan_verify(const struct plan *p, const struct verify_options *options, struct verified *found,
                char why[WHY_MAX]);

#endif
