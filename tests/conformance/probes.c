/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * probes.c - looking before receiving, and taking a message out of matching
 */
#include "tests/conformance/cases.h"

static const size_t size_of[] = { 0, 20, 8192, LONG };

static void probe_tells_and_leaves(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    for (int i = 0; i < 4; i++) {
        if (me->rank == 1) {
            give(me, world, size_of[i], 0, 60 + i, (uint64_t)i);
            continue;
        }
        struct sinew_status status;
        CHECK_OK(me,
                 sinew_probe(world, SINEW_ANY_RANK, SINEW_ANY_TAG, &status, NULL, SINEW_FOREVER));
        CHECK_EQ(me, status.rank, 1);
        CHECK_EQ(me, status.tag, 60 + i);
        CHECK_EQ(me, status.bytes, size_of[i]);
        CHECK_OK(me, sinew_probe(world, 1, 60 + i, NULL, NULL, 0));
        take(me, world, size_of[i], 1, 60 + i, (uint64_t)i);
    }
    leave(me);
}

static void probe_in_vain_is_not_yet(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    struct sinew_message *message = NULL;
    int64_t began = job_now(me);
    CHECK(me, sinew_probe(world, SINEW_ANY_RANK, SINEW_ANY_TAG, NULL, NULL, 0) > 0);
    CHECK(me, sinew_probe(world, me->rank, 3, NULL, &message, 20 * MS) > 0);
    CHECK(me, message == NULL);
    CHECK(me, job_now(me) - began >= 20 * MS);
    meet(me);
    leave(me);
}

/* The message taken is not seen by other receives, and is received later, in any order. */
static void matched_probe_takes_the_message(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    for (uint64_t i = 0; i < 4; i++) {
        size_t len = size_of[i];
        if (me->rank == 1) {
            struct sinew_request *req = NULL;
            char *buf = memory_of(me, len);
            job_fill(buf, len, 1, 0, i);
            CHECK(me, sinew_send(world, buf, len, 0, 1, &req) >= 0);
            give(me, world, 40, 0, 1, i + 100);
            CHECK_OK(me, sinew_wait(&req));
            continue;
        }
        struct sinew_message *message = NULL;
        struct sinew_status status;
        struct sinew_request *req = NULL;
        char *buf = memory_of(me, len);
        CHECK_OK(me, sinew_probe(world, 1, 1, &status, &message, SINEW_FOREVER));
        CHECK(me, message != NULL);
        CHECK_EQ(me, status.bytes, len);
        take(me, world, 40, 1, 1, i + 100);
        CHECK(me, sinew_message_recv(&message, buf, len, &status, &req) >= 0);
        CHECK(me, message == NULL);
        CHECK_OK(me, sinew_wait(&req));
        check_status(me, &status, 0, 1, 1, len, len);
        CHECK_CONTENT(me, buf, len, 1, 0, i);
    }
    leave(me);
}

static void taken_message_may_be_truncated(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    for (uint64_t i = 1; i < 4; i++) {
        if (me->rank == 1) {
            give(me, world, size_of[i], 0, 1, i);
            continue;
        }
        struct sinew_message *message = NULL;
        struct sinew_status status;
        char buf[7];
        CHECK_OK(me, sinew_probe(world, 1, 1, NULL, &message, SINEW_FOREVER));
        CHECK_IS(me, sinew_message_recv(&message, buf, 7, &status, NULL), SINEW_ETRUNCATED);
        CHECK(me, message == NULL);
        check_status(me, &status, SINEW_ETRUNCATED, 1, 1, 7, size_of[i]);
        CHECK_CONTENT(me, buf, 7, 1, 0, i);
    }
    leave(me);
}

static void probe_of_nobody(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    struct sinew_message *message = (struct sinew_message *)me;
    struct sinew_status status;
    struct sinew_request *req = NULL;
    CHECK_OK(me, sinew_probe(world, SINEW_NO_RANK, 0, &status, &message, SINEW_FOREVER));
    CHECK(me, message == NULL);
    CHECK_EQ(me, status.rank, SINEW_NO_RANK);
    CHECK_OK(me, sinew_message_recv(&message, NULL, 0, &status, &req));
    CHECK(me, req == NULL);
    CHECK_EQ(me, status.rank, SINEW_NO_RANK);
    CHECK_EQ(me, status.bytes, 0);
    leave(me);
}

const struct suite_case conformance_probes[] = {
    { "probe tells, and leaves the message", probe_tells_and_leaves, 2, 2, 0, 0, 0, 0 },
    { "probe in vain is not yet", probe_in_vain_is_not_yet, 1, 3, 0, 0, 0, 0 },
    { "matched probe takes the message", matched_probe_takes_the_message, 2, 2, 0, 0, 0, 0 },
    { "a taken message may be truncated", taken_message_may_be_truncated, 2, 2, 0, 0, 0, 0 },
    { "probe of nobody", probe_of_nobody, 1, 1, 0, 0, 0, 0 },
    SUITE_END,
};
