/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * messages.c - send and recv: whole, in order, matched as sinew.h says
 */
#include "tests/conformance/cases.h"

#include <string.h>

/* Around slots, cache lines, pages and the default thresholds. */
static const size_t size_of[] = {
    0,
    1,
    7,
    8,
    15,
    16,
    17,
    31,
    32,
    33,
    47,
    48,
    49,
    63,
    64,
    65,
    127,
    128,
    129,
    255,
    256,
    257,
    1000,
    2047,
    2048,
    2049,
    4095,
    4096,
    4097,
    8175,
    8176,
    8191,
    8192,
    8193,
    16383,
    16384,
    16385,
    32768,
    65535,
    65536,
    65537,
    131072,
    (1 << 20) + 1,
};
enum { SIZES = sizeof(size_of) / sizeof(size_of[0]) };

static void every_size_expected_and_not(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    int to = (me->rank + 1) % me->size, from = (me->rank + me->size - 1) % me->size;
    for (uint64_t i = 0; i < SIZES; i++) {
        size_t len = size_of[i];
        char *out = memory_of(me, len), *in = memory_of(me, len);
        struct sinew_request *req = NULL;
        struct sinew_status status;
        if (i >= SIZES / 2) meet(me); /* with and without a head start of the receive */
        job_fill(out, len, me->rank, to, i);
        if (i % 2) CHECK(me, sinew_recv(world, in, len, from, 5, &status, &req) >= 0);
        struct sinew_request *send = NULL;
        CHECK(me, sinew_send(world, out, len, to, 5, &send) >= 0);
        if (i % 2 == 0) CHECK(me, sinew_recv(world, in, len, from, 5, &status, &req) >= 0);
        CHECK_OK(me, sinew_wait(&req));
        CHECK_OK(me, sinew_wait(&send));
        CHECK(me, !req && !send);
        check_status(me, &status, 0, from, 5, len, len);
        CHECK_CONTENT(me, in, len, from, me->rank, i);
    }
    leave(me);
}

static void order_of_a_pair(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    enum { MESSAGES = 500 };
    if (me->rank == 0)
        for (int to = 1; to < me->size; to++)
            for (uint64_t i = 0; i < MESSAGES; i++) give(me, world, i * 37 % 300, to, 1, i);
    else
        for (uint64_t i = 0; i < MESSAGES; i++) take(me, world, i * 37 % 300, 0, 1, i);
    leave(me);
}

/* Eager and long messages in turn, long ones announced before their bytes: still one order. */
static void long_and_short_keep_their_order(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    enum { MESSAGES = 12 };
    struct sinew_request *req[MESSAGES] = { 0 };
    if (me->rank == 0) {
        for (uint64_t i = 0; i < MESSAGES; i++) {
            size_t len = i % 2 ? LONG : 100;
            char *buf = memory_of(me, len);
            job_fill(buf, len, 0, 1, i);
            CHECK(me, sinew_send(world, buf, len, 1, 3, &req[i]) >= 0);
        }
        CHECK_OK(me, sinew_wait_all(req, MESSAGES, NULL, SINEW_FOREVER));
    } else {
        for (uint64_t i = 0; i < MESSAGES; i++) {
            struct sinew_status status;
            size_t len = i % 2 ? LONG : 100;
            char *buf = memory_of(me, LONG);
            CHECK_OK(me,
                     sinew_recv(world, buf, LONG, SINEW_ANY_RANK, SINEW_ANY_TAG, &status, NULL));
            check_status(me, &status, 0, 0, 3, len, len);
            CHECK_CONTENT(me, buf, len, 0, 1, i);
        }
    }
    leave(me);
}

static void tags_choose(struct job_rank *me)
{
    static const int64_t tag[] = { 0, 1, 77, 65536, 1LL << 31, SINEW_TAG_MAX };
    struct sinew_team *world = enter(me);
    enum { TAGS = sizeof(tag) / sizeof(tag[0]) };
    if (me->rank == 0)
        for (uint64_t i = 0; i < TAGS; i++) give(me, world, 64, 1, tag[i], i);
    else
        for (int i = TAGS - 1; i >= 0; i--) take(me, world, 64, 0, tag[i], (uint64_t)i);
    leave(me);
}

/* From any rank, with any tag, both: posted before and after the messages come. */
static void wildcards_match(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    enum { EACH = 30 };
    if (me->rank > 0) {
        for (uint64_t i = 0; i < EACH; i++) give(me, world, i * 11 % 200, 0, (int64_t)(i % 3), i);
        leave(me);
        return;
    }
    uint64_t next[JOB_RANKS_MAX] = { 0 };
    for (int i = 0; i < EACH * (me->size - 1); i++) {
        char buf[200];
        struct sinew_status status;
        struct sinew_request *req = NULL;
        if (i == EACH)
            for (int p = 0; p < 100; p++) sinew_progress(me->s);
        CHECK(me, sinew_recv(world, buf, sizeof(buf), SINEW_ANY_RANK, SINEW_ANY_TAG, &status,
                             &req) >= 0);
        CHECK_OK(me, sinew_wait(&req));
        CHECK(me, status.rank > 0 && status.rank < me->size);
        uint64_t n = next[status.rank]++;
        check_status(me, &status, 0, status.rank, (int64_t)(n % 3), n * 11 % 200, n * 11 % 200);
        CHECK_CONTENT(me, buf, status.bytes, status.rank, 0, n);
    }
    leave(me);
}

static void any_rank_with_tag_and_any_tag_with_rank(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    if (me->rank > 0) {
        give(me, world, 10, 0, 100 + me->rank, 0);
        give(me, world, 20, 0, 200 + me->rank, 1);
        leave(me);
        return;
    }
    char buf[20];
    struct sinew_status status;
    for (int r = me->size - 1; r > 0; r--) {
        CHECK_OK(me, sinew_recv(world, buf, 20, SINEW_ANY_RANK, 200 + r, &status, NULL));
        check_status(me, &status, 0, r, 200 + r, 20, 20);
        CHECK_OK(me, sinew_recv(world, buf, 20, r, SINEW_ANY_TAG, &status, NULL));
        check_status(me, &status, 0, r, 100 + r, 10, 10);
    }
    leave(me);
}

/* Of receives that could match, the one posted first gets the message. */
static void receives_match_in_posted_order(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    if (me->rank == 1) {
        await_moving(me, 0, 1);
        for (uint64_t i = 0; i < 4; i++) give(me, world, 50, 0, 7, i);
    } else {
        static const int from[] = { SINEW_ANY_RANK, 1, SINEW_ANY_RANK, 1 };
        static const int64_t tag[] = { 7, SINEW_ANY_TAG, SINEW_ANY_TAG, 7 };
        struct sinew_request *req[4] = { 0 };
        char buf[4][50];
        for (int i = 0; i < 4; i++)
            CHECK(me, sinew_recv(world, buf[i], 50, from[i], tag[i], NULL, &req[i]) > 0);
        atomic_store(&me->words[0], 1);
        CHECK_OK(me, sinew_wait_all(req, 4, NULL, SINEW_FOREVER));
        for (uint64_t i = 0; i < 4; i++) CHECK_CONTENT(me, buf[i], 50, 1, 0, i);
    }
    leave(me);
}

static void send_sync_is_done_only_when_matched(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    static const size_t len[] = { 0, 10, 8192, LONG };
    for (int i = 0; i < 4; i++) {
        char *buf = memory_of(me, len[i]);
        struct sinew_request *req = NULL;
        meet(me);
        if (me->rank == 0) {
            job_fill(buf, len[i], 0, 1, 9);
            CHECK(me, sinew_send_sync(world, buf, len[i], 1, i, &req) > 0);
            CHECK(me, sinew_wait_for(&req, 30 * MS) > 0);
            CHECK(me, req != NULL);
            atomic_store(&me->words[0], i + 1);
            CHECK_OK(me, sinew_wait(&req));
            CHECK_EQ(me, atomic_load(&me->words[1]), i + 1);
        } else {
            await_moving(me, 0, i + 1);
            atomic_store(&me->words[1], i + 1);
            take(me, world, len[i], 0, i, 9);
        }
    }
    if (me->rank == 0)
        CHECK_OK(me, sinew_send_sync(world, "hi", 2, 1, 50, NULL));
    else
        CHECK_OK(me, sinew_recv(world, memory_of(me, 2), 2, 0, 50, NULL, NULL));
    leave(me);
}

static void sendrecv_in_a_ring(struct job_rank *me)
{
    static const size_t len[] = { 0, 8, 8192, 8193, LONG };
    struct sinew_team *world = enter(me);
    int to = (me->rank + 1) % me->size, from = (me->rank + me->size - 1) % me->size;
    for (int i = 0; i < 10; i++) {
        size_t n = len[i % 5];
        char *out = memory_of(me, n), *in = memory_of(me, n);
        struct sinew_status status;
        struct sinew_request *req = NULL;
        job_fill(out, n, me->rank, to, (uint64_t)i);
        int got = sinew_sendrecv(world, out, n, to, in, n, from, 4, &status, i < 5 ? NULL : &req);
        CHECK(me, i < 5 ? got == 0 : got >= 0);
        CHECK_OK(me, sinew_wait(&req));
        check_status(me, &status, 0, from, 4, n, n);
        CHECK_CONTENT(me, in, n, from, me->rank, (uint64_t)i);
    }
    leave(me);
}

static void truncation_tells_and_spares_the_next(struct job_rank *me)
{
    static const struct {
        size_t len, cap;
    } c[] = {
        { 1, 0 },       { 100, 99 },        { 100, 0 },  { 4096, 10 },      { 8192, 8191 },
        { 8193, 8192 }, { LONG, LONG - 1 }, { LONG, 0 }, { 1 << 20, 5000 },
    };
    struct sinew_team *world = enter(me);
    for (int posted = 0; posted < 2; posted++) {
        for (uint64_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
            if (me->rank == 0) {
                if (posted) await_moving(me, 0, (int64_t)(i + 1));
                give(me, world, c[i].len, 1, 1, i);
                give(me, world, 33, 1, 1, i + 1000);
                continue;
            }
            char *buf = memory_of(me, c[i].cap + 1);
            struct sinew_status status;
            struct sinew_request *req = NULL;
            buf[c[i].cap] = 0x33;
            int got = sinew_recv(world, buf, c[i].cap, 0, 1, &status, posted ? &req : NULL);
            if (posted) {
                CHECK(me, got > 0);
                atomic_store(&me->words[0], (int64_t)(i + 1));
                got = sinew_wait(&req);
            }
            CHECK_IS(me, got, SINEW_ETRUNCATED);
            check_why(me, "buffer");
            check_status(me, &status, SINEW_ETRUNCATED, 0, 1, c[i].cap, c[i].len);
            CHECK_CONTENT(me, buf, c[i].cap, 0, 1, i);
            CHECK_EQ(me, buf[c[i].cap], 0x33);
            take(me, world, 33, 0, 1, i + 1000);
        }
        meet(me);
        atomic_store(&me->words[0], 0);
        meet(me);
    }
    leave(me);
}

static void a_sender_is_told_nothing_of_truncation(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    char *buf = memory_of(me, LONG);
    if (me->rank == 0)
        CHECK_OK(me, sinew_send_sync(world, buf, LONG, 1, 0, NULL));
    else
        CHECK_IS(me, sinew_recv(world, buf, 10, 0, 0, NULL, NULL), SINEW_ETRUNCATED);
    leave(me);
}

static void nobody_completes_at_once(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    struct sinew_request *req = (struct sinew_request *)me;
    struct sinew_status status;
    char buf[8] = "abcdefg";
    CHECK_OK(me, sinew_send(world, buf, 8, SINEW_NO_RANK, 1, NULL));
    CHECK_OK(me, sinew_send(world, buf, 8, SINEW_NO_RANK, 1, &req));
    CHECK(me, req == NULL);
    CHECK_OK(me, sinew_send_sync(world, buf, 8, SINEW_NO_RANK, 1, &req));
    CHECK_OK(me, sinew_recv(world, buf, 8, SINEW_NO_RANK, 1, &status, &req));
    CHECK(me, req == NULL);
    CHECK_EQ(me, status.rank, SINEW_NO_RANK);
    CHECK_EQ(me, status.bytes, 0);
    CHECK(me, memcmp(buf, "abcdefg", 8) == 0);
    CHECK_OK(me, sinew_sendrecv(world, buf, 4, SINEW_NO_RANK, buf + 4, 4, SINEW_NO_RANK, 1, &status,
                                NULL));
    CHECK_EQ(me, status.rank, SINEW_NO_RANK);
    leave(me);
}

/* Unexpected messages beyond the budget wait at the sender, and nothing is lost or reordered. */
static void more_unexpected_than_the_budget(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    enum { MESSAGES = 400, LEN = 1000 };
    char *buf = memory_of(me, MESSAGES * LEN);
    struct sinew_request *req[MESSAGES] = { 0 };
    if (me->rank == 0) {
        int waiting = 0;
        for (uint64_t i = 0; i < MESSAGES; i++) {
            job_fill(buf + i * LEN, LEN, 0, 1, i);
            int got = sinew_send(world, buf + i * LEN, LEN, 1, 2, &req[i]);
            CHECK(me, got >= 0);
            waiting += got > 0;
        }
        CHECK(me, waiting > 0); /* 400,000 bytes do not fit in 64 KiB */
        atomic_store(&me->words[0], 1);
        CHECK_OK(me, sinew_wait_all(req, MESSAGES, NULL, SINEW_FOREVER));
    } else {
        await_moving(me, 0, 1);
        for (uint64_t i = 0; i < MESSAGES; i++) take(me, world, LEN, 0, 2, i);
    }
    leave(me);
}

static void more_announced_than_the_limit(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    enum { MESSAGES = 40 };
    struct sinew_request *req[MESSAGES] = { 0 };
    for (uint64_t i = 0; i < MESSAGES; i++) {
        char *buf = memory_of(me, LONG);
        if (me->rank == 0) {
            job_fill(buf, LONG, 0, 1, i);
            CHECK(me, sinew_send(world, buf, LONG, 1, (int64_t)i, &req[i]) > 0);
        } else {
            if (i == 0)
                for (int p = 0; p < 1000; p++) sinew_progress(me->s);
            CHECK_OK(me, sinew_recv(world, buf, LONG, 0, SINEW_ANY_TAG, NULL, NULL));
            CHECK_CONTENT(me, buf, LONG, 0, 1, i);
        }
    }
    CHECK_OK(me, sinew_wait_all(req, MESSAGES, NULL, SINEW_FOREVER));
    leave(me);
}

static void everyone_to_everyone(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    static const size_t len[] = { 5, 9000, 300 };
    struct sinew_request *req[6 * JOB_RANKS_MAX] = { 0 };
    char *in[3 * JOB_RANKS_MAX];
    int n = 0;
    for (int r = 0; r < me->size; r++)
        for (int i = 0; i < 3; i++) {
            in[r * 3 + i] = memory_of(me, len[i]);
            CHECK(me, sinew_recv(world, in[r * 3 + i], len[i], r, i, NULL, &req[n++]) >= 0);
        }
    for (int r = 0; r < me->size; r++)
        for (int i = 2; i >= 0; i--) {
            char *out = memory_of(me, len[i]);
            job_fill(out, len[i], me->rank, r, (uint64_t)i);
            CHECK(me, sinew_send(world, out, len[i], r, i, &req[n++]) >= 0);
        }
    CHECK_OK(me, sinew_wait_all(req, n, NULL, SINEW_FOREVER));
    for (int r = 0; r < me->size; r++)
        for (int i = 0; i < 3; i++)
            CHECK_CONTENT(me, in[r * 3 + i], len[i], r, me->rank, (uint64_t)i);
    leave(me);
}

static void head_to_head_sends_are_eager_when_short(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    int other = 1 - me->rank;
    for (uint64_t i = 0; i < 50; i++) {
        give(me, world, 500, other, 0, i);
        take(me, world, 500, other, 0, i);
    }
    leave(me);
}

/* Messages of a pair are numbered, by 15 and 16 bits in places: more than 2^16 short ones, ones
 * with a full head, ones that wait for an answer. */
static void numbers_wrap(struct job_rank *me)
{
    enum { ROUNDS = 260, WINDOW = 256 };
    struct sinew_team *world = enter(me);
    struct sinew_request *req[WINDOW];
    uint64_t numbers[WINDOW][16] = { { 0 } };
    for (uint64_t i = 0; i < ROUNDS; i++) {
        for (uint64_t k = 0; k < WINDOW; k++) {
            size_t len = k % 16 ? sizeof(uint64_t) : sizeof(numbers[k]);
            numbers[k][0] = me->rank == 0 ? i * WINDOW + k : 0;
            if (me->rank == 1)
                CHECK(me, sinew_recv(world, numbers[k], len, 0, 5, NULL, &req[k]) >= 0);
            else if (k == 7)
                CHECK(me, sinew_send_sync(world, numbers[k], len, 1, 5, &req[k]) >= 0);
            else
                CHECK(me, sinew_send(world, numbers[k], len, 1, 5, &req[k]) >= 0);
        }
        CHECK_OK(me, sinew_wait_all(req, WINDOW, NULL, SINEW_FOREVER));
        for (uint64_t k = 0; k < WINDOW; k++) CHECK_EQ(me, numbers[k][0], i * WINDOW + k);
    }
    leave(me);
}

const struct suite_case conformance_messages[] = {
    { "every size, expected and not", every_size_expected_and_not, 1, 8, 0, 0, 0, 0 },
    { "order of a pair", order_of_a_pair, 2, 8, 0, 0, 0, 0 },
    { "long and short keep their order", long_and_short_keep_their_order, 2, 2, 0, 0, 0, 3 },
    { "tags choose", tags_choose, 2, 2, 0, 0, 0, 0 },
    { "wildcards match", wildcards_match, 2, 8, 0, 0, 0, 0 },
    { "any rank with tag, any tag with rank", any_rank_with_tag_and_any_tag_with_rank, 2, 8, 0, 0,
      0, 0 },
    { "receives match in posted order", receives_match_in_posted_order, 2, 2, 0, 0, 0, 0 },
    { "send_sync is done only when matched", send_sync_is_done_only_when_matched, 2, 2, 0, 0, 0,
      0 },
    { "sendrecv in a ring", sendrecv_in_a_ring, 1, 8, 0, 0, 0, 0 },
    { "truncation tells, and spares the next", truncation_tells_and_spares_the_next, 2, 2, 0, 0, 0,
      0 },
    { "a sender is told nothing of truncation", a_sender_is_told_nothing_of_truncation, 2, 2, 0, 0,
      0, 0 },
    { "nobody completes at once", nobody_completes_at_once, 1, 2, 0, 0, 0, 0 },
    { "more unexpected than the budget", more_unexpected_than_the_budget, 2, 2, 0, 0, 0, 0 },
    { "more announced than the limit", more_announced_than_the_limit, 2, 2, 0, 0, 0, 0 },
    { "everyone to everyone", everyone_to_everyone, 1, 8, 0, 0, 0, 0 },
    { "numbers wrap", numbers_wrap, 2, 2, SUITE_REAL, 0, 0, 0 },
    { "head-to-head sends are eager when short", head_to_head_sends_are_eager_when_short, 2, 2, 0,
      0, 0, 0 },
    SUITE_END,
};
