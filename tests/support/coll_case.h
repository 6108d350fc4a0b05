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
#include "tests/support/coll_layout.h"

struct rank_state {
    struct kase *k;
    struct fake *f;
    int rank;
    struct layout in_layout, out_layout;
    unsigned char *in, *in_copy, *out, *wanted;
    size_t in_bytes, out_bytes; /* out_bytes 0: no output here */
    struct sinew_request *req;
    int status;
    int op, own_calls; /* the operator's number; how often case_compose() was called */
};

/* Buffers of one rank, guarded on both sides; rank_free() fails the test if a guard was written. */
void rank_make(struct rank_state *r, struct kase *k, struct fake *f, int rank);
void rank_fill(struct rank_state *r);
void rank_free(struct rank_state *r);
int rank_call(struct rank_state *r, struct sinew_request **req);

/* Every rank succeeded, its output is the reference's, its input unchanged. */
void case_check(struct kase *k, struct rank_state *ranks);
/* The whole case, in its mode, on a fake of its own. */
void case_run(struct kase *k);

#endif
