/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_COLL_CASE_H
#define TESTS_SUPPORT_COLL_CASE_H
/*
 * coll_case.h - one collective on all ranks of a fake, and what a naive reference says of it
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/coll_fake.h"
#include "tests/support/coll_rank.h"

/* Buffers of one rank; rank_free() fails the test if something beside them was written. */
void rank_make(struct rank_state *r, struct kase *k, struct fake *f, int rank);
void rank_free(struct rank_state *r);

/* Every rank succeeded, its output is the reference's, its input unchanged. */
void case_check(struct kase *k, struct rank_state *ranks);
/* The whole case, in its mode, on a fake of its own. */
void case_run(struct kase *k);

#endif
