/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * self.c - messages to oneself, in every form of receive
 */
#include "tests/conformance/cases.h"

static const size_t size_of[] = { 0, 1, 64, 4096, 8192, 8193, LONG };
enum { SIZES = sizeof(size_of) / sizeof(size_of[0]) };

static void receive_first(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    for (uint64_t i = 0; i < SIZES; i++) {
        size_t len = size_of[i];
        char *in = memory_of(me, len), *out = memory_of(me, len);
        struct sinew_request *req = NULL;
        struct sinew_status status;
        int from = i % 2 ? SINEW_ANY_RANK : me->rank;
        int64_t tag = i % 3 ? SINEW_ANY_TAG : 12;
        job_fill(out, len, me->rank, me->rank, i);
        CHECK(me, sinew_recv(world, in, len, from, tag, &status, &req) > 0);
        CHECK_OK(me, sinew_send(world, out, len, me->rank, 12, NULL));
        CHECK_OK(me, sinew_wait(&req));
        check_status(me, &status, 0, me->rank, 12, len, len);
        CHECK_CONTENT(me, in, len, me->rank, me->rank, i);
    }
    meet(me);
    leave(me);
}

static void send_first(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    for (uint64_t i = 0; i < SIZES; i++) {
        size_t len = size_of[i];
        char *in = memory_of(me, len), *out = memory_of(me, len);
        struct sinew_request *req = NULL;
        struct sinew_status status;
        job_fill(out, len, me->rank, me->rank, i);
        CHECK(me, sinew_send(world, out, len, me->rank, 12, &req) >= 0);
        CHECK_OK(me, sinew_recv(world, in, len, me->rank, 12, &status, NULL));
        CHECK_OK(me, sinew_wait(&req));
        check_status(me, &status, 0, me->rank, 12, len, len);
        CHECK_CONTENT(me, in, len, me->rank, me->rank, i);
    }
    meet(me);
    leave(me);
}

static void sync_sendrecv_and_probe(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    for (uint64_t i = 0; i < SIZES; i++) {
        size_t len = size_of[i];
        char *in = memory_of(me, len), *out = memory_of(me, len);
        struct sinew_request *req = NULL;
        struct sinew_message *message = NULL;
        struct sinew_status status;
        job_fill(out, len, me->rank, me->rank, i);
        CHECK(me, sinew_send_sync(world, out, len, me->rank, 1, &req) > 0);
        CHECK(me, sinew_test(&req) > 0);
        CHECK_OK(me, sinew_probe(world, SINEW_ANY_RANK, 1, &status, &message, SINEW_FOREVER));
        CHECK_EQ(me, status.bytes, len);
        CHECK_OK(me, sinew_message_recv(&message, in, len, NULL, NULL));
        CHECK_OK(me, sinew_wait(&req));
        CHECK_CONTENT(me, in, len, me->rank, me->rank, i);
        CHECK_OK(me, sinew_sendrecv(world, out, len, me->rank, memory_of(me, len), len, me->rank, 2,
                                    &status, NULL));
        check_status(me, &status, 0, me->rank, 2, len, len);
    }
    meet(me);
    leave(me);
}

static void blocking_send_that_nobody_can_take(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    char *out = memory_of(me, LONG), in[8];
    CHECK_IS(me, sinew_send(world, out, LONG, me->rank, 1, NULL), SINEW_ESTATE);
    CHECK_IS(me, sinew_send_sync(world, out, 8, me->rank, 1, NULL), SINEW_ESTATE);
    /* Nothing was left behind. */
    CHECK(me, sinew_probe(world, me->rank, SINEW_ANY_TAG, NULL, NULL, 0) > 0);
    job_fill(out, 8, me->rank, me->rank, 5);
    CHECK_OK(me, sinew_send(world, out, 8, me->rank, 1, NULL));
    CHECK_OK(me, sinew_recv(world, in, 8, me->rank, 1, NULL, NULL));
    CHECK_CONTENT(me, in, 8, me->rank, me->rank, 5);
    meet(me);
    leave(me);
}

static void truncated(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    static const size_t len[] = { 100, LONG };
    for (uint64_t i = 0; i < 2; i++) {
        char *out = memory_of(me, len[i]), in[10];
        struct sinew_request *req = NULL;
        struct sinew_status status;
        job_fill(out, len[i], me->rank, me->rank, i);
        CHECK(me, sinew_send(world, out, len[i], me->rank, 1, &req) >= 0);
        CHECK_IS(me, sinew_recv(world, in, 10, me->rank, 1, &status, NULL), SINEW_ETRUNCATED);
        check_status(me, &status, SINEW_ETRUNCATED, me->rank, 1, 10, len[i]);
        CHECK_CONTENT(me, in, 10, me->rank, me->rank, i);
        CHECK_OK(me, sinew_wait(&req));
    }
    meet(me);
    leave(me);
}

static void cancelled(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    struct sinew_request *req = NULL;
    char in[8], out[8];
    CHECK(me, sinew_recv(world, in, 8, me->rank, 1, NULL, &req) > 0);
    CHECK_OK(me, sinew_cancel(req));
    CHECK_IS(me, sinew_wait(&req), SINEW_ECANCELED);
    job_fill(out, 8, me->rank, me->rank, 1);
    CHECK_OK(me, sinew_send(world, out, 8, me->rank, 1, NULL));
    CHECK_OK(me, sinew_recv(world, in, 8, me->rank, 1, NULL, NULL));
    CHECK_CONTENT(me, in, 8, me->rank, me->rank, 1);
    meet(me);
    leave(me);
}

const struct suite_case conformance_self[] = {
    { "to oneself, receive first", receive_first, 1, 2, 0, 0, 0, 0 },
    { "to oneself, send first", send_first, 1, 2, 0, 0, 0, 0 },
    { "to oneself, sync, sendrecv and probe", sync_sendrecv_and_probe, 1, 2, 0, 0, 0, 0 },
    { "to oneself, blocking, that nobody can take", blocking_send_that_nobody_can_take, 1, 2, 0, 0,
      0, 0 },
    { "to oneself, truncated", truncated, 1, 1, 0, 0, 0, 0 },
    { "to oneself, cancelled", cancelled, 1, 1, 0, 0, 0, 0 },
    SUITE_END,
};
