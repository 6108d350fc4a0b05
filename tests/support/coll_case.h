/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_COLL_CASE_H
#define TESTS_SUPPORT_COLL_CASE_H
/*
 * coll_case.h - one collective on all ranks of a fake, and what a naive reference says of it
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectives/collective.h"
#include "tests/support/coll_fake.h"

enum { RANKS_MAX = 33 };

enum mode { NONBLOCKING, PERSISTENT, BLOCKING };

struct kase {
    enum collective collective;
    const char *algorithm; /* NULL: chosen */
    int size, root, type, op;
    size_t count; /* elements, or bytes where there is no arithmetic */
    bool in_place;
    enum mode mode;
    uint64_t seed;
    bool wild; /* floats: any bits, so that only sameness is checked */
};

struct rank_state {
    struct kase *k;
    struct fake *f;
    int rank;
    unsigned char *in, *in_copy, *out;
    size_t in_bytes, out_bytes; /* out_bytes 0: no output here */
    struct sinew_request *req;
    int status;
};

bool case_has_root(const struct kase *k);
bool case_has_arithmetic(const struct kase *k);
/* A random type and operator, if the collective has them; a barrier gets count 0. */
void case_pick(struct kase *k, uint64_t *random);

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
