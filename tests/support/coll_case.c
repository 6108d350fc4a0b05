/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/support/coll_case.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void describe_case(const struct kase *k, const char *what, int rank)
{
    fail_msg(
        "%s by %s: %s at rank %d of %d, root %d, type %d, op %d, count %zu, in place %d, mode %d, "
        "seed %llu",
        collective_name(k->collective), k->algorithm ? k->algorithm : "choice", what, rank, k->size,
        k->root, k->type, k->op, k->count, k->in_place, (int)k->mode, (unsigned long long)k->seed);
}

void rank_make(struct rank_state *r, struct kase *k, struct fake *f, int rank)
{
    assert_true(rank_prepare(r, k, fake_team(f, rank), rank));
}

void rank_free(struct rank_state *r)
{
    if (!rank_release(r)) describe_case(r->k, "wrote beside a buffer", r->rank);
}

void case_check(struct kase *k, struct rank_state *ranks)
{
    for (int r = 0; r < k->size; r++) {
        if (ranks[r].status != 0) describe_case(k, "failed", r);
        if (k->wild) memcpy(ranks[r].wanted, ranks[k->root].out, ranks[r].out_bytes);
        const char *wrong = rank_wrong(&ranks[r]);
        if (wrong) describe_case(k, wrong, r);
    }
}

/* Everyone begins in a random order with progress between; then progress until all are done. */
static void round_nonblocking(struct kase *k, struct fake *f, struct rank_state *ranks, bool start)
{
    uint64_t random = k->seed;
    int order[RANKS_MAX];
    for (int r = 0; r < k->size; r++) {
        int swap = (int)(fake_random(&random) % (uint64_t)(r + 1));
        order[r] = order[swap];
        order[swap] = r;
    }
    for (int i = 0; i < k->size; i++) {
        struct rank_state *r = &ranks[order[i]];
        r->status = start ? sinew_start(r->req) : rank_call(r, &r->req);
        if (r->status < 0) describe_case(k, fake_why(f), r->rank);
        for (uint64_t n = fake_random(&random) % 4; n > 0; n--) fake_progress(f);
    }
    while (fake_progress(f)) {
    }
    for (int r = 0; r < k->size; r++) {
        if (sinew_test(&ranks[r].req) > 0) describe_case(k, "never ended", r);
        ranks[r].status = 0;
    }
}

struct seat {
    struct fake *f;
    struct rank_state *r;
};

static void *rank_thread(void *arg)
{
    struct seat *seat = arg;
    struct rank_state *r = seat->r;
    fake_lock(seat->f);
    for (int round = 0; round < 3; round++) r->status = r->status ? r->status : rank_call(r, NULL);
    fake_unlock(seat->f);
    return NULL;
}

static void round_blocking(struct kase *k, struct fake *f, struct rank_state *ranks)
{
    pthread_t thread[RANKS_MAX];
    struct seat seat[RANKS_MAX];
    for (int r = 0; r < k->size; r++) {
        seat[r] = (struct seat){ f, &ranks[r] };
        assert_int_equal(pthread_create(&thread[r], NULL, rank_thread, &seat[r]), 0);
    }
    for (int r = 0; r < k->size; r++) pthread_join(thread[r], NULL);
}

static void run_persistent(struct kase *k, struct fake *f, struct rank_state *ranks)
{
    for (int r = 0; r < k->size; r++) {
        fake_view(f, r, true, k->algorithm);
        assert_int_equal(rank_call(&ranks[r], &ranks[r].req), 0);
        assert_non_null(ranks[r].req);
    }
    for (int round = 0; round < 3; round++) {
        k->round++;
        for (int r = 0; r < k->size; r++) rank_fill(&ranks[r]);
        round_nonblocking(k, f, ranks, true);
        case_check(k, ranks);
    }
    for (int r = 0; r < k->size; r++) assert_int_equal(sinew_request_free(&ranks[r].req), 0);
}

void case_run(struct kase *k)
{
    static const size_t eager[] = { 0, 64, 4096 };
    static const unsigned at_once[] = { 0, 50, 100 };
    static struct rank_state ranks[RANKS_MAX];
    uint64_t random = k->seed;
    struct fake_options options = {
        .seed = k->seed,
        .size = k->size,
        .eager_bytes = eager[fake_random(&random) % 3],
        .at_once = at_once[fake_random(&random) % 3],
        .lands = fake_random(&random) & 1,
    };
    struct fake *f = fake_new(&options);
    for (int r = 0; r < k->size; r++) {
        rank_make(&ranks[r], k, f, r);
        rank_fill(&ranks[r]);
        fake_view(f, r, false, k->algorithm);
    }
    if (k->mode == PERSISTENT) {
        run_persistent(k, f, ranks);
    } else {
        if (k->mode == BLOCKING)
            round_blocking(k, f, ranks);
        else
            round_nonblocking(k, f, ranks, false);
        case_check(k, ranks);
    }
    for (int r = 0; r < k->size; r++) rank_free(&ranks[r]);
    fake_free(f);
}
