/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * requests.c - test, wait, cancel, deadlines and persistent requests: the rules that are fixed for
 * good
 */
#include "tests/conformance/cases.h"

#include <string.h>

static void finished_leaves_no_request(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    struct sinew_request *req = NULL, **none = &req;
    CHECK_OK(me, sinew_wait(none));
    CHECK_OK(me, sinew_test(none));
    CHECK_OK(me, sinew_wait_for(none, 0));
    if (me->rank == 0) {
        /* Small, to somebody awake: it need not be under way, but if it is done there is no
         * request. */
        for (int i = 0; i < 20; i++) {
            req = (struct sinew_request *)me;
            int got = sinew_send(world, "x", 1, 1, 0, &req);
            CHECK(me, got >= 0);
            CHECK(me, got > 0 ? req != NULL : req == NULL);
            CHECK_OK(me, sinew_wait(&req));
            CHECK(me, req == NULL);
        }
    } else {
        char c;
        for (int i = 0; i < 20; i++) CHECK_OK(me, sinew_recv(world, &c, 1, 0, 0, NULL, NULL));
    }
    leave(me);
}

static void refused_leaves_the_request_alone(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    struct sinew_request *const mark = (struct sinew_request *)me;
    struct sinew_request *req = mark;
    CHECK_IS(me, sinew_send(world, "x", 1, 99, 0, &req), SINEW_EINVAL);
    CHECK(me, req == mark);
    CHECK_IS(me, sinew_recv(world, NULL, 1, 0, 0, NULL, &req), SINEW_EINVAL);
    CHECK(me, req == mark);
    leave(me);
}

static void patience_keeps_the_request(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    if (me->rank == 0) {
        struct sinew_request *req = NULL;
        char buf[16];
        CHECK(me, sinew_recv(world, buf, 16, 1, 0, NULL, &req) > 0);
        CHECK(me, sinew_test(&req) > 0);
        CHECK(me, sinew_wait_for(&req, 0) > 0);
        int64_t began = job_now(me);
        CHECK(me, sinew_wait_for(&req, 20 * MS) > 0);
        int64_t took = job_now(me) - began;
        CHECK(me, took >= 20 * MS && took < 2000 * MS);
        CHECK(me, req != NULL);
        atomic_store(&me->words[0], 1);
        CHECK_OK(me, sinew_wait_for(&req, SINEW_FOREVER));
        CHECK(me, req == NULL);
        CHECK_CONTENT(me, buf, 16, 1, 0, 1);
    } else {
        await_moving(me, 0, 1);
        give(me, world, 16, 0, 0, 1);
    }
    leave(me);
}

static void test_finishes_by_itself(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    char *in = memory_of(me, LONG), *out = memory_of(me, LONG);
    struct sinew_request *recv = NULL, *send = NULL;
    int other = 1 - me->rank;
    job_fill(out, LONG, me->rank, other, 0);
    CHECK(me, sinew_recv(world, in, LONG, other, 0, NULL, &recv) >= 0);
    CHECK(me, sinew_send(world, out, LONG, other, 0, &send) >= 0);
    while (recv || send) {
        CHECK(me, sinew_test(&recv) >= 0);
        CHECK(me, sinew_test(&send) >= 0);
        if (me->kind != JOB_SIM) job_yield(me);
    }
    CHECK_CONTENT(me, in, LONG, other, me->rank, 0);
    leave(me);
}

static void wait_any_gives_each_once(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    enum { N = 6 };
    int index = 7;
    struct sinew_request *none[1] = { NULL };
    CHECK_OK(me, sinew_wait_any(none, 1, &index, SINEW_FOREVER));
    CHECK_EQ(me, index, -1);
    if (me->rank == 1) {
        await_moving(me, 0, 1);
        for (int i = N - 1; i >= 0; i--) {
            give(me, world, 8, 0, i, (uint64_t)i);
            await_moving(me, 1, N - i);
        }
        leave(me);
        return;
    }
    struct sinew_request *req[N] = { 0 };
    char buf[N][8];
    for (int i = 0; i < N; i++) CHECK(me, sinew_recv(world, buf[i], 8, 1, i, NULL, &req[i]) > 0);
    CHECK(me, sinew_wait_any(req, N, &index, 5 * MS) > 0);
    CHECK_EQ(me, index, -1);
    atomic_store(&me->words[0], 1);
    for (int i = N - 1; i >= 0; i--) {
        CHECK_OK(me, sinew_wait_any(req, N, &index, SINEW_FOREVER));
        CHECK_EQ(me, index, i);
        CHECK(me, req[i] == NULL);
        CHECK_CONTENT(me, buf[i], 8, 1, 0, (uint64_t)i);
        atomic_store(&me->words[1], N - i);
    }
    CHECK_OK(me, sinew_wait_any(req, N, &index, SINEW_FOREVER));
    CHECK_EQ(me, index, -1);
    leave(me);
}

static void wait_all_tells_each_outcome(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    if (me->rank == 1) {
        await_moving(me, 0, 1);
        give(me, world, 100, 0, 1, 1);
        give(me, world, 8, 0, 2, 2);
        await_moving(me, 0, 2);
        give(me, world, 8, 0, 3, 3);
        leave(me);
        return;
    }
    struct sinew_request *req[4] = { 0 };
    int result[4] = { 9, 9, 9, 9 };
    char buf[4][8];
    for (int i = 0; i < 4; i++)
        if (i != 1) CHECK(me, sinew_recv(world, buf[i], 8, 1, i == 0 ? 1 : i, NULL, &req[i]) > 0);
    CHECK(me, sinew_wait_all(req, 4, result, 5 * MS) > 0);
    CHECK_EQ(me, result[0], SINEW_PENDING);
    CHECK_EQ(me, result[1], 0);
    atomic_store(&me->words[0], 1);
    await_moving(me, 0, 1);
    CHECK(me, sinew_wait_all(req, 4, result, 2000 * MS) > 0);
    CHECK_EQ(me, result[0], SINEW_ETRUNCATED);
    CHECK_EQ(me, result[2], 0);
    CHECK_EQ(me, result[3], SINEW_PENDING);
    CHECK(me, !req[0] && !req[2] && req[3]);
    atomic_store(&me->words[0], 2);
    CHECK_OK(me, sinew_wait_all(req, 4, result, SINEW_FOREVER));
    CHECK_EQ(me, result[3], 0);
    CHECK_OK(me, sinew_wait_all(NULL, 0, NULL, 0));
    leave(me);
}

static void wait_all_returns_the_first_error(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    if (me->rank == 1) {
        await_moving(me, 0, 1);
        for (int i = 0; i < 3; i++) give(me, world, i == 1 ? 100 : 8, 0, i, (uint64_t)i);
        leave(me);
        return;
    }
    struct sinew_request *req[4] = { 0 };
    int result[4];
    char buf[4][8];
    /* Nobody has sent yet, so that each is under way. */
    for (int i = 0; i < 4; i++) CHECK(me, sinew_recv(world, buf[i], 8, 1, i, NULL, &req[i]) > 0);
    CHECK_OK(me, sinew_cancel(req[3]));
    atomic_store(&me->words[0], 1);
    CHECK_IS(me, sinew_wait_all(req, 4, result, SINEW_FOREVER), SINEW_ETRUNCATED);
    check_why(me, "longer than the buffer"); /* the text is of the failure that is returned */
    CHECK(me, !req[0] && !req[1] && !req[2] && !req[3]);
    CHECK_EQ(me, result[0], 0);
    CHECK_EQ(me, result[1], SINEW_ETRUNCATED);
    CHECK_EQ(me, result[2], 0);
    CHECK_EQ(me, result[3], SINEW_ECANCELED);
    leave(me);
}

static void cancel_stops_only_the_unmatched(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    struct sinew_request *req = NULL;
    struct sinew_status status;
    char buf[8];
    if (me->rank == 0) {
        CHECK(me, sinew_recv(world, buf, 8, 1, 0, &status, &req) > 0);
        CHECK_OK(me, sinew_cancel(req));
        CHECK(me, req != NULL);
        CHECK_IS(me, sinew_wait(&req), SINEW_ECANCELED);
        CHECK(me, req == NULL);
        CHECK_EQ(me, status.code, SINEW_ECANCELED);
        /* The message that it would have matched goes to the next one. */
        atomic_store(&me->words[0], 1);
        take(me, world, 8, 1, 0, 4);
        /* Matched already: as if nothing had been asked. */
        char *big = memory_of(me, LONG);
        CHECK(me, sinew_recv(world, big, LONG, 1, 5, NULL, &req) > 0);
        atomic_store(&me->words[0], 2);
        await_moving(me, 1, 1);
        /* Bytes are on their way once the announcement is here. */
        while (sinew_test(&req) > 0) {
            int got = sinew_cancel(req);
            CHECK(me, got == SINEW_EBUSY || got == 0);
            if (got == 0) break;
        }
        int outcome = sinew_wait(&req);
        CHECK(me, outcome == 0 || outcome == SINEW_ECANCELED);
        if (outcome == SINEW_ECANCELED)
            CHECK_OK(me, sinew_recv(world, big, LONG, 1, 5, NULL, NULL));
        CHECK_CONTENT(me, big, LONG, 1, 0, 6);
    } else {
        await_moving(me, 0, 1);
        give(me, world, 8, 0, 0, 4);
        await_moving(me, 0, 2);
        char *big = memory_of(me, LONG);
        job_fill(big, LONG, 1, 0, 6);
        CHECK(me, sinew_send(world, big, LONG, 0, 5, &req) > 0);
        CHECK_IS(me, sinew_cancel(req), SINEW_ENOTSUP);
        atomic_store(&me->words[1], 1);
        CHECK_OK(me, sinew_wait(&req));
    }
    CHECK_IS(me, sinew_cancel(NULL), SINEW_EINVAL);
    leave(me);
}

static struct sinew_team *view_of(struct job_rank *me, struct sinew_team *team, int persistent,
                                  int64_t deadline)
{
    struct sinew_view_options how = SINEW_VIEW_OPTIONS_INIT;
    struct sinew_team *view = NULL;
    how.persistent = persistent;
    how.deadline = deadline;
    CHECK_OK(me, sinew_team_view(team, &how, &view));
    return view;
}

static void deadline_of_a_view_is_final(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    struct sinew_team *hasty = view_of(me, world, 0, 20 * MS);
    if (me->rank == 0) {
        struct sinew_request *req = NULL;
        struct sinew_status status;
        char *buf = memory_of(me, LONG);
        int64_t began = job_now(me);
        CHECK_IS(me, sinew_recv(hasty, buf, 8, 1, 0, &status, NULL), SINEW_ETIMEDOUT);
        CHECK(me, job_now(me) - began >= 20 * MS);
        CHECK_EQ(me, status.code, SINEW_ETIMEDOUT);
        check_why(me, "not done within 20 ms, the deadline of the view");
        CHECK(me, sinew_recv(hasty, buf, 8, 1, 0, &status, &req) > 0);
        CHECK_IS(me, sinew_wait(&req), SINEW_ETIMEDOUT);
        CHECK(me, req == NULL);
        /* A long send that nobody takes: the buffer is free again afterwards. */
        job_fill(buf, LONG, 0, 1, 1);
        CHECK_IS(me, sinew_send(hasty, buf, LONG, 1, 1, NULL), SINEW_ETIMEDOUT);
        memset(buf, 0x77, LONG);
        CHECK_IS(me, sinew_send_sync(hasty, buf, 8, 1, 3, NULL), SINEW_ETIMEDOUT);
        atomic_store(&me->words[0], 1);
        /* The world has no deadline, and is as good as ever. */
        give(me, world, 64, 1, 2, 2);
        take(me, world, LONG, 1, 4, 3);
    } else {
        await_moving(me, 0, 1);
        take(me, world, 64, 0, 2, 2);
        give(me, world, LONG, 0, 4, 3);
    }
    CHECK_OK(me, sinew_team_free(&hasty));
    leave(me);
}

static void deadline_of_the_context(struct job_rank *me)
{
    struct sinew_options o = SINEW_OPTIONS_INIT;
    o.deadline = 10 * MS;
    struct sinew_team *world = sinew_world(job_open(me, &o));
    char c;
    CHECK_IS(me, sinew_recv(world, &c, 1, me->rank, 0, NULL, NULL), SINEW_ETIMEDOUT);
    check_why(me, "not done within 10 ms, the deadline of the context");
    job_close(me, me->s);
}

static void persistent_requests_go_round(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    struct sinew_team *view = view_of(me, world, 1, 0);
    enum { ROUNDS = 20, LEN = 9000 };
    int other = 1 - me->rank;
    char *in = memory_of(me, LEN), *out = memory_of(me, LEN);
    struct sinew_request *send = NULL, *recv = NULL;
    struct sinew_status status;
    CHECK_OK(me, sinew_send(view, out, LEN, other, 0, &send));
    CHECK_OK(me, sinew_recv(view, in, LEN, other, 0, &status, &recv));
    CHECK(me, send && recv);
    CHECK_OK(me, sinew_wait(&send)); /* idle counts as done, and is kept */
    CHECK(me, send != NULL);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        job_fill(out, LEN, me->rank, other, i);
        memset(in, 0, LEN);
        CHECK(me, sinew_start(recv) >= 0);
        CHECK(me, sinew_start(send) >= 0);
        CHECK_OK(me, sinew_wait(&recv));
        CHECK_OK(me, sinew_wait(&send));
        CHECK(me, send && recv);
        check_status(me, &status, 0, other, 0, LEN, LEN);
        CHECK_CONTENT(me, in, LEN, other, me->rank, i);
    }
    CHECK_IS(me, sinew_team_free(&view), SINEW_EBUSY);
    CHECK_OK(me, sinew_request_free(&send));
    CHECK_OK(me, sinew_request_free(&recv));
    CHECK(me, !send && !recv);
    CHECK_OK(me, sinew_request_free(&send));
    CHECK_OK(me, sinew_team_free(&view));
    leave(me);
}

/* Only what has a request is persistent. */
static void persistent_view_blocks_as_any_other(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    struct sinew_team *view = view_of(me, world, 1, 0);
    const size_t lengths[] = { 8, 9000, LONG };
    for (uint64_t i = 0; i < 6; i++) { /* the first round may be first contact */
        size_t len = lengths[i % 3];
        if (me->rank == 0) {
            take(me, view, 4, 1, 4, i);
            give(me, view, len, 1, 3, i);
        } else { /* it asks first, so nothing was kept when it begins to receive */
            give(me, view, 4, 0, 4, i);
            take(me, view, len, 0, 3, i);
        }
    }
    CHECK_OK(me, sinew_team_free(&view));
    leave(me);
}

static void persistent_requests_have_their_rules(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    struct sinew_team *view = view_of(me, world, 1, 0);
    struct sinew_request *req = NULL, *plain = NULL;
    char buf[8];
    CHECK_OK(me, sinew_recv(view, buf, 8, me->rank, 0, NULL, &req));
    CHECK(me, sinew_start(req) > 0);
    CHECK_IS(me, sinew_start(req), SINEW_ESTATE);
    CHECK_IS(me, sinew_request_free(&req), SINEW_EBUSY);
    CHECK_OK(me, sinew_cancel(req));
    CHECK_IS(me, sinew_wait(&req), SINEW_ECANCELED);
    CHECK(me, req != NULL);
    CHECK_OK(me, sinew_request_free(&req));
    CHECK(me, sinew_recv(world, buf, 8, me->rank, 0, NULL, &plain) > 0);
    CHECK_IS(me, sinew_start(plain), SINEW_EINVAL);
    CHECK_IS(me, sinew_request_free(&plain), SINEW_EINVAL);
    CHECK_IS(me, sinew_start(NULL), SINEW_EINVAL);
    CHECK_OK(me, sinew_cancel(plain));
    CHECK_IS(me, sinew_wait(&plain), SINEW_ECANCELED);
    /* A blocking call through a persistent view is a blocking call. */
    CHECK_OK(me, sinew_send(view, "abc", 3, SINEW_NO_RANK, 0, NULL));
    CHECK_OK(me, sinew_team_free(&view));
    meet(me);
    leave(me);
}

static void close_with_live_requests_is_busy(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    struct sinew_request *req = NULL;
    char buf[8];
    CHECK(me, sinew_recv(world, buf, 8, me->rank, 3, NULL, &req) > 0);
    CHECK_IS(me, sinew_close(me->s), SINEW_EBUSY);
    check_why(me, "receive of 8 bytes");
    CHECK_OK(me, sinew_send(world, "seventh", 8, me->rank, 3, NULL));
    CHECK_OK(me, sinew_wait(&req));
    CHECK(me, memcmp(buf, "seventh", 8) == 0);
    leave(me);
}

static void a_thousand_at_once(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    enum { N = 1000 };
    struct sinew_request *send[N] = { 0 }, *recv[N] = { 0 };
    static _Thread_local char in[N][40], out[N][40];
    int other = 1 - me->rank;
    for (int i = 0; i < N; i++)
        CHECK(me, sinew_recv(world, in[i], 40, other, N - 1 - i, NULL, &recv[i]) >= 0);
    for (int i = 0; i < N; i++) {
        job_fill(out[i], 40, me->rank, other, (uint64_t)i);
        CHECK(me, sinew_send(world, out[i], 40, other, i, &send[i]) >= 0);
    }
    CHECK_OK(me, sinew_wait_all(recv, N, NULL, SINEW_FOREVER));
    CHECK_OK(me, sinew_wait_all(send, N, NULL, SINEW_FOREVER));
    for (int i = 0; i < N; i++)
        CHECK_CONTENT(me, in[i], 40, other, me->rank, (uint64_t)(N - 1 - i));
    leave(me);
}

/* So that no send waits for a link. */
static void become_acquainted(struct job_rank *me, struct sinew_team *world)
{
    if (me->rank == 0) give(me, world, 8, 1, 99, 0);
    if (me->rank == 1) take(me, world, 8, 0, 99, 0);
    if (me->rank == 1) give(me, world, 8, 0, 99, 1);
    if (me->rank == 0) take(me, world, 8, 1, 99, 1);
}

/* Whatever is under way arrives once any call makes progress, though nobody waits for it. */
static void any_progress_sends_what_is_under_way(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    enum { N = 30 };
    struct sinew_request *req[N] = { 0 };
    int out[N];
    become_acquainted(me, world);
    if (me->rank == 0) {
        for (int i = 0; i < N; i++) {
            out[i] = i;
            int rc = sinew_send(world, &out[i], sizeof(int), 1, 4, &req[i]);
            CHECK(me, rc > 0 ? req[i] != NULL : rc == 0 && !req[i]);
        }
        CHECK(me, sinew_progress(me->s) >= 0);
        job_await(me, 0, 1); /* and no call of ours until it has them */
        CHECK_OK(me, sinew_wait_all(req, N, NULL, SINEW_FOREVER));
        for (int i = 0; i < N; i++) CHECK(me, !req[i]);
    } else {
        for (int i = 0, got; i < N; i++) {
            CHECK_OK(me, sinew_recv(world, &got, sizeof(got), 0, 4, NULL, NULL));
            CHECK_EQ(me, got, i);
        }
        atomic_store(&me->words[0], 1);
    }
    meet(me);
    leave(me);
}

/* A send that is done needs no further call, in whatever way it came to be done. */
static void done_needs_no_further_call(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    enum { WAYS = 4 };
    struct sinew_request *req[2] = { 0 };
    become_acquainted(me, world);
    for (int way = 0; way < WAYS; way++) {
        if (me->rank == 1) {
            take(me, world, 8, 0, way, 0);
            if (way == 1) take(me, world, 8, 0, way, 1);
            atomic_store(&me->words[way], 1);
            continue;
        }
        char out[8];
        job_fill(out, 8, 0, 1, 0);
        if (way == 0 || way == 1) CHECK(me, sinew_send(world, out, 8, 1, way, &req[0]) >= 0);
        if (way == 1) give(me, world, 8, 1, way, 1); /* what it overtakes would be out of order */
        if (way == 0) CHECK_OK(me, sinew_wait(&req[0]));
        if (way == 2) CHECK_OK(me, sinew_send(world, out, 8, 1, way, NULL));
        if (way == 3 && sinew_send(world, out, 8, 1, way, &req[0]) > 0)
            while (sinew_test(&req[0]) > 0) continue;
        job_await(me, way, 1);
        CHECK_OK(me, sinew_wait(&req[0]));
    }
    meet(me);
    leave(me);
}

/* Each is a request like any other: waited for in any order, with and without patience. */
static void short_sends_under_way_end_in_any_order(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    enum { N = 64 };
    struct sinew_request *req[N] = { 0 };
    int out[N];
    if (me->rank == 0) {
        int index, left = 0, counted = 0;
        for (int i = 0; i < N; i++) {
            out[i] = i;
            left += sinew_send(world, &out[i], sizeof(int), 1, 5, &req[i]) > 0;
        }
        CHECK_OK(me, sinew_wait(&req[N - 1]));
        CHECK_OK(me, sinew_wait_for(&req[0], SINEW_FOREVER));
        for (int i = 1; i < N - 1; i++) counted += req[i] != NULL;
        for (int i = 0; i < counted; i++) {
            CHECK_OK(me, sinew_wait_any(req, N, &index, SINEW_FOREVER));
            CHECK(me, index > 0 && index < N - 1 && !req[index]);
        }
        CHECK(me, left == 0 || counted == N - 2);
    } else {
        for (int i = 0, got; i < N; i++) {
            CHECK_OK(me, sinew_recv(world, &got, sizeof(got), 0, 5, NULL, NULL));
            CHECK_EQ(me, got, i);
        }
    }
    leave(me);
}

/* One that has ended, or ends meanwhile, is said to be wrong; the others have their results. */
static void wait_all_beside_a_copy_of_a_handle(struct job_rank *me)
{
    struct sinew_team *world = enter(me), *hasty = view_of(me, world, 0, 20 * MS);
    struct sinew_request *req[4] = { 0 };
    char buf[4][8];
    int result[4] = { 9, 9, 9, 9 }, peer = (me->rank + 1) % me->size;
    meet(me);
    for (int i = 0; i < 3; i++) CHECK(me, sinew_recv(world, buf[i], 8, peer, i, NULL, &req[i]) > 0);
    struct sinew_request *ended = req[1], *live = req[0];
    CHECK_OK(me, sinew_cancel(req[1]));
    CHECK_IS(me, sinew_wait(&req[1]), SINEW_ECANCELED);
    CHECK_OK(me, sinew_cancel(req[2]));
    req[1] = ended;
    CHECK_IS(me, sinew_wait_all(req, 4, result, SINEW_FOREVER), SINEW_EINVAL);
    check_why(me, "the request has ended");
    CHECK_EQ(me, result[0], SINEW_PENDING);
    CHECK_EQ(me, result[1], SINEW_EINVAL);
    CHECK_EQ(me, result[2], SINEW_ECANCELED);
    CHECK_EQ(me, result[3], 0);
    CHECK(me, req[0] == live && !req[2]);
    CHECK_OK(me, sinew_cancel(req[0]));
    CHECK_IS(me, sinew_wait(&req[0]), SINEW_ECANCELED);
    /* Twice the same: the second has ended once the first has. */
    CHECK(me, sinew_recv(hasty, buf[0], 8, peer, 0, NULL, &req[0]) > 0);
    req[1] = req[0];
    CHECK_IS(me, sinew_wait_all(req, 2, result, SINEW_FOREVER), SINEW_EINVAL);
    check_why(me, "the request has ended");
    CHECK_EQ(me, result[0], SINEW_ETIMEDOUT);
    CHECK_EQ(me, result[1], SINEW_EINVAL);
    CHECK_OK(me, sinew_team_free(&hasty));
    meet(me);
    leave(me);
}

/* A copy of a handle outlives its request. Whoever waits for it must not do so for ever. */
static void a_copy_of_a_handle_ends_with_its_request(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    char c[2];
    struct sinew_request *req = NULL, *other = NULL;
    int index, results[2], peer = (me->rank + 1) % me->size;
    meet(me);
    CHECK(me, sinew_recv(world, c, 1, peer, 1, NULL, &req) > 0);
    struct sinew_request *copy = req, *pair[2];
    CHECK_OK(me, sinew_cancel(req));
    CHECK_IS(me, sinew_wait(&req), SINEW_ECANCELED);
    CHECK_IS(me, sinew_wait(&copy), SINEW_EINVAL);
    check_why(me, "the request has ended");
    CHECK_IS(me, sinew_test(&copy), SINEW_EINVAL);
    CHECK_IS(me, sinew_cancel(copy), SINEW_EINVAL);
    CHECK_IS(me, sinew_request_free(&copy), SINEW_EINVAL);
    CHECK_IS(me, sinew_start(copy), SINEW_EINVAL);
    CHECK_IS(me, sinew_wait_any(&copy, 1, &index, SINEW_FOREVER), SINEW_EINVAL);
    CHECK_IS(me, sinew_wait_all(&copy, 1, results, SINEW_FOREVER), SINEW_EINVAL);
    /* Beside one that is under way and was made after it, which is not touched. */
    CHECK(me, sinew_recv(world, c, 1, peer, 1, NULL, &req) > 0);
    CHECK(me, sinew_recv(world, c + 1, 1, peer, 1, NULL, &other) > 0);
    struct sinew_request *kept = other;
    CHECK_OK(me, sinew_cancel(other));
    CHECK_IS(me, sinew_wait(&other), SINEW_ECANCELED);
    pair[0] = req;
    pair[1] = kept;
    CHECK_IS(me, sinew_wait_all(pair, 2, results, SINEW_FOREVER), SINEW_EINVAL);
    CHECK(me, pair[0] == req);
    CHECK_OK(me, sinew_cancel(req));
    CHECK_IS(me, sinew_wait(&req), SINEW_ECANCELED);
    meet(me);
    leave(me);
}

const struct suite_case conformance_requests[] = {
    { "finished leaves no request", finished_leaves_no_request, 2, 2, 0, 0, 0, 0 },
    { "refused leaves the request alone", refused_leaves_the_request_alone, 1, 1, 0, 0, 0, 0 },
    { "patience keeps the request", patience_keeps_the_request, 2, 2, 0, 0, 0, 0 },
    { "test finishes by itself", test_finishes_by_itself, 2, 2, 0, 0, 0, 0 },
    { "wait_any gives each once", wait_any_gives_each_once, 2, 2, 0, 0, 0, 0 },
    { "wait_all tells each outcome", wait_all_tells_each_outcome, 2, 2, 0, 0, 0, 0 },
    { "wait_all returns the first error", wait_all_returns_the_first_error, 2, 2, 0, 0, 0, 0 },
    { "cancel stops only the unmatched", cancel_stops_only_the_unmatched, 2, 2, 0, 0, 0, 0 },
    { "a view's deadline is final", deadline_of_a_view_is_final, 2, 2, 0, 0, 0, 0 },
    { "the context's deadline", deadline_of_the_context, 1, 2, 0, 0, 0, 0 },
    { "persistent requests go round", persistent_requests_go_round, 2, 2, 0, 0, 0, 0 },
    { "a persistent view blocks as any other", persistent_view_blocks_as_any_other, 2, 2, 0, 0, 0,
      0 },
    { "persistent requests have their rules", persistent_requests_have_their_rules, 1, 2, 0, 0, 0,
      0 },
    { "close with live requests is busy", close_with_live_requests_is_busy, 1, 2, 0, 0, 0, 0 },
    { "any progress sends what is under way", any_progress_sends_what_is_under_way, 2, 2, 0, 0, 0,
      0 },
    { "done needs no further call", done_needs_no_further_call, 2, 2, 0, 0, 0, 0 },
    { "short sends under way end in any order", short_sends_under_way_end_in_any_order, 2, 2, 0, 0,
      0, 0 },
    { "wait_all beside a copy of a handle", wait_all_beside_a_copy_of_a_handle, 1, 2, 0, 0, 0, 0 },
    { "a copy of a handle ends with its request", a_copy_of_a_handle_ends_with_its_request, 1, 2, 0,
      0, 0, 1 },
    { "a thousand at once", a_thousand_at_once, 2, 2, 0, 0, 0, 0 },
    SUITE_END,
};
