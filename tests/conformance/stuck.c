/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stuck.c - receives for messages that stand behind others nobody has asked for
 *
 * The sender starts many more messages than the budgets hold, the receiver takes them in an order
 * of its own. Whatever was asked for must come, and must be the first that was sent of those it
 * matches.
 */
#include "tests/conformance/cases.h"

#include <stdlib.h>
#include <string.h>

enum { MESSAGES = 500, TAGS = 5, LONGEST = 20000 };

/* Message number i: both sides compute it. */
static size_t length_of(int i)
{
    return i % 11 == 3 ? LONGEST - (size_t)i : (size_t)i * 97 % 2000;
}
static int tag_of(int i)
{
    return i * i % 7 % TAGS;
}

static void send_all(struct job_rank *me, struct sinew_team *world, int to)
{
    struct sinew_request **req = memory_of(me, MESSAGES * sizeof(struct sinew_request *));
    for (int i = 0; i < MESSAGES; i++) {
        char *out = memory_of(me, length_of(i));
        job_fill(out, length_of(i), me->rank, to, (uint64_t)i);
        CHECK(me, sinew_send(world, out, length_of(i), to, tag_of(i), &req[i]) >= 0);
    }
    CHECK_OK(me, sinew_wait_all(req, MESSAGES, NULL, SINEW_FOREVER));
}

/* The first message that has not been taken and has this tag; -1: none. */
static int first_left(const bool *taken, int64_t tag)
{
    for (int i = 0; i < MESSAGES; i++)
        if (!taken[i] && (tag == SINEW_ANY_TAG || tag_of(i) == tag)) return i;
    return -1;
}

static void receive_in_own_order(struct job_rank *me, struct sinew_team *world, bool any_rank)
{
    char *in = memory_of(me, LONGEST);
    bool *taken = memory_of(me, MESSAGES);
    memset(taken, 0, MESSAGES);
    for (int n = 0; n < MESSAGES; n++) {
        struct sinew_status status;
        int64_t tag = job_below(me, 8) == 0 ? SINEW_ANY_TAG : (int64_t)job_below(me, TAGS);
        int i = first_left(taken, tag);
        if (i < 0) i = first_left(taken, tag = SINEW_ANY_TAG);
        CHECK_OK(me,
                 sinew_recv(world, in, LONGEST, any_rank ? SINEW_ANY_RANK : 0, tag, &status, NULL));
        check_status(me, &status, 0, 0, tag_of(i), length_of(i), length_of(i));
        CHECK_CONTENT(me, in, length_of(i), 0, me->rank, (uint64_t)i);
        taken[i] = true;
    }
}

static void any_order_of_tags(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    if (me->rank == 0)
        send_all(me, world, 1);
    else
        receive_in_own_order(me, world, false);
    leave(me);
}

static void any_order_from_any_rank(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    if (me->rank == 0)
        send_all(me, world, 1);
    else
        receive_in_own_order(me, world, true);
    leave(me);
}

/* What is wanted has not even been sent when the receiver asks, and stands last when it is. */
static void last_first(struct job_rank *me, size_t len)
{
    struct sinew_team *world = enter(me);
    enum { BEHIND = 1000 };
    if (me->rank == 0) {
        struct sinew_request **req = memory_of(me, (BEHIND + 1) * sizeof(struct sinew_request *));
        char *out = memory_of(me, 256);
        memset(out, 0x17, 256);
        for (int i = 0; i < BEHIND; i++) CHECK(me, sinew_send(world, out, len, 1, 1, &req[i]) >= 0);
        for (int i = 0; i < 50; i++) CHECK(me, sinew_progress(me->s) >= 0);
        CHECK(me, sinew_send(world, out, len, 1, 2, &req[BEHIND]) >= 0);
        CHECK_OK(me, sinew_wait_all(req, BEHIND + 1, NULL, SINEW_FOREVER));
    } else {
        char in[256];
        CHECK_OK(me, sinew_recv(world, in, len, 0, 2, NULL, NULL));
        for (int i = 0; i < BEHIND; i++) CHECK_OK(me, sinew_recv(world, in, len, 0, 1, NULL, NULL));
    }
    leave(me);
}
static void the_last_one_first(struct job_rank *me)
{
    last_first(me, 256);
}
/* Of those, too, that some links give credit of their own. */
static void the_last_short_one_first(struct job_rank *me)
{
    last_first(me, 8);
}

/* Short and long ones in turn, and barriers between, use up every kind of credit; the receiver asks
 * from the back, and again when all of it has come back. */
static void short_and_long_in_turn(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    enum { TURNS = 3, MANY = 120, LONGER = 3000 };
    struct sinew_request *req[MANY];
    char *buf = memory_of(me, LONGER);
    for (int turn = 0; turn < TURNS; turn++) {
        for (int i = 0; i < MANY && me->rank == 0; i++)
            CHECK(me, sinew_send(world, buf, i % 2 ? LONGER : 8, 1, i % 3, &req[i]) >= 0);
        CHECK_OK(me, sinew_barrier(world, NULL));
        for (int tag = 2; tag >= 0 && me->rank == 1; tag--)
            for (int i = tag; i < MANY; i += 3) {
                struct sinew_status status;
                CHECK_OK(me, sinew_recv(world, buf, LONGER, 0, tag, &status, NULL));
                check_status(me, &status, 0, 0, tag, i % 2 ? LONGER : 8, i % 2 ? LONGER : 8);
            }
        if (me->rank == 0) CHECK_OK(me, sinew_wait_all(req, MANY, NULL, SINEW_FOREVER));
    }
    leave(me);
}

/* A receive that is given up while its message jumps leaves the order as it was. */
static void a_jump_refused_keeps_the_order(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    if (me->rank == 0) {
        send_all(me, world, 1);
    } else {
        bool *taken = memory_of(me, MESSAGES);
        char *in = memory_of(me, LONGEST);
        memset(taken, 0, MESSAGES);
        for (int n = 0; n < MESSAGES; n++) {
            struct sinew_request *req = NULL;
            struct sinew_status status;
            int64_t tag = (int64_t)job_below(me, TAGS);
            int i = first_left(taken, tag);
            if (i < 0) i = first_left(taken, tag = SINEW_ANY_TAG);
            CHECK(me, sinew_recv(world, in, LONGEST, 0, tag, &status, &req) >= 0);
            for (uint64_t polls = job_below(me, 6); polls > 0; polls--) sinew_progress(me->s);
            if (req && job_below(me, 2) == 0 && sinew_cancel(req) == 0) {
                CHECK_IS(me, sinew_wait(&req), SINEW_ECANCELED);
                i = first_left(taken, SINEW_ANY_TAG);
                CHECK_OK(me, sinew_recv(world, in, LONGEST, 0, SINEW_ANY_TAG, &status, NULL));
            } else {
                CHECK_OK(me, sinew_wait(&req));
            }
            check_status(me, &status, 0, 0, tag_of(i), length_of(i), length_of(i));
            CHECK_CONTENT(me, in, length_of(i), 0, me->rank, (uint64_t)i);
            taken[i] = true;
        }
    }
    leave(me);
}

const struct suite_case conformance_stuck[] = {
    { "any order of tags", any_order_of_tags, 2, 2, 0, 0, 0, 3 },
    { "any order, from any rank", any_order_from_any_rank, 2, 2, 0, 0, 0, 3 },
    { "the last one first", the_last_one_first, 2, 2, 0, 0, 0, 0 },
    { "the last short one first", the_last_short_one_first, 2, 2, 0, 0, 0, 0 },
    { "short and long in turn", short_and_long_in_turn, 2, 2, 0, 0, 0, 0 },
    { "a jump refused keeps the order", a_jump_refused_keeps_the_order, 2, 2, 0, 0, 0, 5 },
    SUITE_END,
};
