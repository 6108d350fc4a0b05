/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_PROCESS_CASES_H
#define TESTS_PROCESS_CASES_H
/*
 * cases.h - the tables of the process suite, and what its cases share
 */
#include "tests/support/suite.h"

extern const struct suite_case process_deaths[], process_stops[], process_simulated[],
    process_allocations[], process_kills[], process_scribbles[], process_reads[],
    process_windows[];

#define MS 1000000LL
#define SECOND 1000000000LL

enum { WORD_KILLED_AT = 0, WORD_MEET = JOB_WORDS - 1 };

/* A message each way with everyone, so that links are up. */
void meet_all(struct job_rank *me, struct sinew_team *world);
/* Progress until words[word] >= value. */
void await_moving(struct job_rank *me, int word, int64_t value);
/* sinew_why() must contain the words. */
void check_why(struct job_rank *me, const char *words);
void give(struct job_rank *me, struct sinew_team *world, size_t len, int to, uint64_t sequence);
void take(struct job_rank *me, struct sinew_team *world, size_t len, int from, uint64_t sequence);

#endif
