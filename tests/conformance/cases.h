/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_CONFORMANCE_CASES_H
#define TESTS_CONFORMANCE_CASES_H
/*
 * cases.h - the tables of the conformance suite, and what its cases share
 *
 * A case opens with enter() and ends with leave(). Ranks wait for each other with meet(), which
 * moves data: an out-of-band barrier would stop a peer that needs this rank's progress.
 */
#include "tests/support/suite.h"

extern const struct suite_case conformance_messages[], conformance_stuck[], conformance_probes[],
    conformance_requests[], conformance_self[], conformance_teams[], conformance_collectives[],
    conformance_arguments[], conformance_context[];

enum {
    WORD_MEET = JOB_WORDS - 1,
    LONG = 100000, /* bytes: a rendezvous, whatever eager_bytes is */
};

#define MS 1000000LL

struct sinew_team *enter(struct job_rank *me); /* the world of a new context, me->s */
void leave(struct job_rank *me);
void meet(struct job_rank *me);
/* Progress until words[word] >= value. */
void await_moving(struct job_rank *me, int word, int64_t value);

/* Blocking, with content number `sequence`; received and checked. */
void give(struct job_rank *me, struct sinew_team *team, size_t len, int to, int64_t tag,
          uint64_t sequence);
void take(struct job_rank *me, struct sinew_team *team, size_t len, int from, int64_t tag,
          uint64_t sequence);
void check_status(struct job_rank *me, const struct sinew_status *status, int code, int rank,
                  int64_t tag, uint64_t bytes, uint64_t sent);
/* sinew_why() must contain the words. */
void check_why(struct job_rank *me, const char *words);
void *memory_of(struct job_rank *me, size_t len); /* lives until leave() */

#endif
