/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_COLL_RANK_H
#define TESTS_SUPPORT_COLL_RANK_H
/*
 * coll_rank.h - one rank's part in a case, over any team: buffers, the call, what must come out
 *
 * A rank knows what all others have: it can be a process of its own.
 */
#include "sinew/sinew.h"
#include "tests/support/coll_layout.h"

struct rank_state {
    struct kase *k;
    struct sinew_team *team;
    int rank;
    struct layout in_layout, out_layout;
    unsigned char *in, *in_copy, *out, *wanted;
    size_t in_bytes, out_bytes; /* out_bytes 0: no output here */
    struct sinew_request *req;
    int status;
    int op, own_calls; /* the operator's number; how often case_compose() was called */
};

/* Buffers, guarded on both sides, and the operator of its own. */
bool rank_prepare(struct rank_state *r, struct kase *k, struct sinew_team *team, int rank);
/* New input for a round. */
void rank_fill(struct rank_state *r);
int rank_call(struct rank_state *r, struct sinew_request **req);
/* After it: NULL, or what is wrong. Its input is unchanged, its output the reference's, or where
 * that cannot be told what `wanted` already has (k->wild). */
const char *rank_wrong(struct rank_state *r);
/* false: a guard was written. */
bool rank_release(struct rank_state *r);

#endif
