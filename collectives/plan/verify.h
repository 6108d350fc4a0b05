/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_PLAN_VERIFY_H
#define COLLECTIVES_PLAN_VERIFY_H
/*
 * verify.h - the parts of the verifier
 */
#include "collectives/plan/plan.h"
#include "collectives/plan/value.h"

/* The blocks that are looked at: all, or a sample. Where an operation's operands are not the same
 * blocks as its result, a sample cannot be followed. */
struct columns {
    uint32_t n, *block; /* n 0: all */
};

struct check {
    const struct plan *plan;
    struct columns columns;
    uint32_t **mate; /* of each message's instance: the instance at the peer */
    /* Of a reduction whose result several ranks get, by slot: what it must be, and how the first
     * rank looked at has it bracketed. */
    struct value *whole, *first;
    struct verified *found;
    char *why;
};

/* Sets why to "rank …, operation …: <words>"; returns < 0. */
int check_fail(const struct check *c, uint32_t rank, uint32_t i, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The slots of blocks [at, at + n): *first and how many; with all columns the blocks themselves. */
uint32_t columns_in(const struct columns *c, uint32_t at, uint32_t n, uint32_t *first);
uint32_t columns_count(const struct columns *c, uint32_t blocks);

int check_bounds(const struct check *c);
int check_matching(struct check *c);
int check_races(const struct check *c);
/* The same between ranks: what is read from a peer. */
int check_reads(const struct check *c);
/* Progress and dataflow, when so many messages of a pair may be sent before they are received. */
int check_run(const struct check *c, uint32_t credits);

/* That IN and OUT have as many blocks as the collective moves: else a schedule would be right for
 * leaving out what it does not count. */
int spec_counts(const struct check *c);
/* What the block is at the beginning, and must be at the end; count 0: nothing, and whatever. */
struct value spec_begin(const struct plan *p, uint32_t rank, enum op_buffer buffer, uint32_t block);
int spec_end(const struct check *c, uint32_t rank, const struct value *out, const uint32_t *blocks,
             uint32_t n);

#endif
