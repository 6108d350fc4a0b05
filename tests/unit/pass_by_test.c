/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pass_by_test.c - a stream of blocking receives whose messages are all there leaves what they pass
 * by its turns: a put of its own link, and other links
 *
 * Ranks of one process over shared memory, driven by one thread: rank 1 sends, rank 0 receives, and
 * nobody waits for what is not there.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sinew/sinew.h"
#include "tests/support/bounded.h"
#include "tests/support/meeting.h"

enum {
    RANKS = 3,
    STREAMED = 16,        /* messages a round                             */
    LONG = 4 << 20,       /* bytes of what moves meanwhile                */
    ROUNDS_SAME = 512,    /* … and rounds until it has: by the same link */
    ROUNDS_OTHER = 2048,
};

/* Nobody reads a peer's memory: long messages are put. */
static void open_ranks(struct meeting *meeting, struct rank ranks[RANKS])
{
    pthread_t thread[RANKS];
    pthread_barrier_init(&meeting->barrier, NULL, RANKS);
    for (int i = 0; i < RANKS; i++) {
        ranks[i] = (struct rank){ .meeting = meeting,
                                  .exchange = { .rank = i, .size = RANKS },
                                  .settings = "shm_read_bytes=9223372036854775807" };
        assert_int_equal(pthread_create(&thread[i], NULL, meeting_open, &ranks[i]), 0);
    }
    for (int i = 0; i < RANKS; i++) {
        pthread_join(thread[i], NULL);
        assert_non_null(ranks[i].s);
    }
}

static void begin_message(struct rank ranks[RANKS], int from, int to, void *buf, size_t len,
                          void *into, struct sinew_request *reqs[2])
{
    assert_true(sinew_recv(sinew_world(ranks[to].s), into, len, from, 1, NULL, &reqs[1]) >= 0);
    if (sinew_send(sinew_world(ranks[from].s), buf, len, to, 1, &reqs[0]) < 0)
        fail_msg("%s", sinew_why(ranks[from].s));
}

/* The first messages: links come up only while both ranks progress. */
static void meet(struct rank ranks[RANKS], int from, int to)
{
    struct sinew_request *reqs[2];
    char out = 1, in = 0;
    begin_message(ranks, from, to, &out, 1, &in, reqs);
    WHILE (reqs[0] || reqs[1]) {
        assert_true(sinew_test(&reqs[0]) >= 0);
        assert_true(sinew_test(&reqs[1]) >= 0);
    }
}

static void stream_round(struct rank ranks[RANKS])
{
    for (int i = 0; i < STREAMED; i++)
        assert_int_equal(sinew_send(sinew_world(ranks[1].s), &i, sizeof(i), 0, 7, NULL), 0);
    for (int i = 0, in = -1; i < STREAMED; i++) {
        assert_int_equal(sinew_recv(sinew_world(ranks[0].s), &in, sizeof(in), 1, 7, NULL, NULL), 0);
        assert_int_equal(in, i);
    }
}

/* Rank 0 sends a long message to `to`, which is put once it is accepted. */
static void moves_beside_stream(int to, int most)
{
    struct meeting meeting;
    struct rank ranks[RANKS];
    struct sinew_request *reqs[2];
    uint8_t *out = calloc(1, LONG), *in = calloc(1, LONG);
    int rounds = 0;
    memset(out, 0x5a, LONG);
    open_ranks(&meeting, ranks);
    for (int i = 1; i < RANKS; i++) {
        meet(ranks, 0, i);
        meet(ranks, i, 0);
    }
    begin_message(ranks, 0, to, out, LONG, in, reqs);
    for (; reqs[1] && rounds < most; rounds++) {
        stream_round(ranks);
        assert_true(sinew_test(&reqs[1]) >= 0); /* the receiver makes progress, too */
    }
    if (reqs[1])
        fail_msg("not here after %d messages; its last byte: %d", rounds * STREAMED, in[LONG - 1]);
    assert_memory_equal(in, out, LONG);
    WHILE (reqs[0]) { assert_true(sinew_test(&reqs[0]) >= 0); }
    for (int i = 0; i < RANKS; i++) sinew_abandon(ranks[i].s);
    pthread_barrier_destroy(&meeting.barrier);
    free(out);
    free(in);
}

static void puts_of_the_link_go_on(void **state)
{
    (void)state;
    moves_beside_stream(1, ROUNDS_SAME);
}

static void other_links_go_on(void **state)
{
    (void)state;
    moves_beside_stream(2, ROUNDS_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(puts_of_the_link_go_on),
        cmocka_unit_test(other_links_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
