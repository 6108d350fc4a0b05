/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * launch_exchange.c - the caller's own exchange, and a job of one: every rank gets every record and
 * the same secret, and an exchange that breaks its contract fails the open with a reason.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "launch/launch.h"

enum { RANKS_MAX = 8 };

/* --- an allgather between threads ------------------------------------------------------------- */

struct board {
    pthread_barrier_t all;
    uint8_t records[RANKS_MAX][LAUNCH_RECORD_MAX];
    int size;
};

struct seat {
    struct board *board;
    struct sinew_exchange exchange;
    const void *secret;
    int calls, broken_call; /* the call that fails; -1: none */
    int died[3], died_next;
    pthread_t thread;
    /* what came of it: */
    int status;
    struct why why;
    uint8_t got_secret[LAUNCH_SECRET_LEN];
    bool records_right;
};

static int gather(void *arg, const void *mine, size_t len, void *all)
{
    struct seat *s = arg;
    struct board *b = s->board;
    if (len > LAUNCH_RECORD_MAX) abort();
    memcpy(b->records[s->exchange.rank], mine, len);
    pthread_barrier_wait(&b->all);
    for (int i = 0; i < b->size; i++) memcpy((uint8_t *)all + (size_t)i * len, b->records[i], len);
    pthread_barrier_wait(&b->all);
    return s->calls++ == s->broken_call ? 42 : 0;
}

static int failed(void *arg, int *rank)
{
    struct seat *s = arg;
    if (s->died_next == 3) return 0;
    *rank = s->died[s->died_next++];
    return 1;
}

static size_t record_of(int rank, uint8_t *record)
{
    size_t len = rank == 3 ? 0 : rank == 2 ? LAUNCH_RECORD_MAX : (size_t)rank + 5;
    memset(record, 'A' + rank, len);
    return len;
}

static bool all_records(struct launch *l)
{
    uint8_t expected[LAUNCH_RECORD_MAX], got[LAUNCH_RECORD_MAX];
    for (int rank = 0; rank < l->size; rank++) {
        int len = (int)record_of(rank, expected);
        if (l->ops->get(l, rank, got) != len || memcmp(got, expected, (size_t)len) != 0)
            return false;
    }
    return l->ops->get(l, l->size, got) == SINEW_EINVAL && l->ops->get(l, -1, got) == SINEW_EINVAL;
}

static void *seat_run(void *arg)
{
    struct seat *s = arg;
    struct sinew_options options = SINEW_OPTIONS_INIT;
    struct launch *l = NULL;
    uint8_t mine[LAUNCH_RECORD_MAX];
    options.exchange = &s->exchange;
    options.secret = s->secret;
    s->status = launch_open(&world_real, NULL, &options, INT64_MAX, &l, &s->why);
    if (s->status < 0) return NULL;
    memcpy(s->got_secret, l->secret, LAUNCH_SECRET_LEN);
    s->status = l->ops->put(l, mine, record_of(l->rank, mine));
    if (s->status == 0) s->status = l->ops->fence(l, INT64_MAX);
    s->records_right = s->status == 0 && all_records(l);
    s->why = s->status < 0 ? l->why : s->why;
    l->ops->close(l);
    return NULL;
}

static void run(struct board *b, struct seat *seats, int size)
{
    b->size = size;
    pthread_barrier_init(&b->all, NULL, (unsigned)size);
    for (int i = 0; i < size; i++) {
        seats[i].board = b;
        seats[i].exchange = (struct sinew_exchange){ i, size, gather, failed, &seats[i] };
        pthread_create(&seats[i].thread, NULL, seat_run, &seats[i]);
    }
    for (int i = 0; i < size; i++) pthread_join(seats[i].thread, NULL);
    pthread_barrier_destroy(&b->all);
}

static void sit(struct seat *seats, const void *secret)
{
    memset(seats, 0, RANKS_MAX * sizeof(*seats));
    for (int i = 0; i < RANKS_MAX; i++) {
        seats[i].secret = secret;
        seats[i].broken_call = -1;
    }
}

/* --- the properties --------------------------------------------------------------------------- */

static void everyone_gets_everything(void **state)
{
    struct board b;
    struct seat seats[RANKS_MAX];
    static const uint8_t nothing[LAUNCH_SECRET_LEN];
    (void)state;
    for (int size = 1; size <= RANKS_MAX; size++) {
        sit(seats, NULL);
        run(&b, seats, size);
        for (int i = 0; i < size; i++) {
            assert_int_equal(seats[i].status, 0);
            assert_true(seats[i].records_right);
            assert_memory_equal(seats[i].got_secret, seats[0].got_secret, LAUNCH_SECRET_LEN);
        }
        assert_memory_not_equal(seats[0].got_secret, nothing, LAUNCH_SECRET_LEN);
    }
}

static void callers_secret_is_used_and_not_shown(void **state)
{
    struct board b = { 0 };
    struct seat seats[RANKS_MAX];
    static const uint8_t secret[LAUNCH_SECRET_LEN] = "known to the caller's ranks only";
    (void)state;
    sit(seats, secret);
    for (int i = 0; i < 3; i++) seats[i].broken_call = 0; /* stop after the first exchange … */
    run(&b, seats, 3);
    for (int i = 0; i < 3; i++) /* … and look at what went through it */
        assert_null(memmem(b.records[i], LAUNCH_RECORD_MAX, secret, 8));
    sit(seats, secret);
    run(&b, seats, 3);
    for (int i = 0; i < 3; i++) assert_memory_equal(seats[i].got_secret, secret, LAUNCH_SECRET_LEN);
}

static void half_a_secret_is_refused(void **state)
{
    struct board b;
    struct seat seats[RANKS_MAX];
    static const uint8_t secret[LAUNCH_SECRET_LEN] = { 1 };
    (void)state;
    sit(seats, secret);
    seats[1].secret = NULL;
    run(&b, seats, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(seats[i].status, SINEW_EMISMATCH);
        assert_non_null(strstr(seats[i].why.text, "options.secret"));
    }
}

static void failing_allgather_fails_the_open(void **state)
{
    struct board b;
    struct seat seats[RANKS_MAX];
    (void)state;
    for (int call = 0; call < 3; call++) {
        sit(seats, NULL);
        seats[0].broken_call = seats[1].broken_call = call;
        run(&b, seats, 2);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(seats[i].status, SINEW_ELAUNCH);
            assert_non_null(strstr(seats[i].why.text, "returned 42"));
        }
    }
}

static void impossible_ranks_are_named(void **state)
{
    struct sinew_exchange bad[] = { { 0, 0, gather, NULL, NULL },
                                    { 2, 2, gather, NULL, NULL },
                                    { -1, 2, gather, NULL, NULL },
                                    { 0, 1, NULL, NULL, NULL } };
    static const char *const says[] = { "size is 0", "rank is 2", "rank is -1",
                                        "allgather is NULL" };
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct sinew_options options = SINEW_OPTIONS_INIT;
        struct launch *l = NULL;
        struct why why;
        options.exchange = &bad[i];
        assert_int_equal(launch_open(&world_real, NULL, &options, INT64_MAX, &l, &why),
                         SINEW_EINVAL);
        assert_non_null(strstr(why.text, says[i]));
        assert_null(l);
    }
}

static void each_death_is_told_once(void **state)
{
    struct board b = { .size = 1 };
    struct seat s = { .board = &b, .broken_call = -1, .died = { 0, 7, 0 } };
    struct sinew_options options = SINEW_OPTIONS_INIT;
    struct launch *l = NULL;
    struct why why;
    int rank = -1;
    (void)state;
    pthread_barrier_init(&b.all, NULL, 1);
    s.exchange = (struct sinew_exchange){ 0, 1, gather, failed, &s };
    options.exchange = &s.exchange;
    assert_int_equal(launch_open(&world_real, NULL, &options, INT64_MAX, &l, &why), 0);
    assert_int_equal(l->ops->failed(l, &rank), 1);
    assert_int_equal(rank, 0);
    assert_int_equal(l->ops->failed(l, &rank), 0); /* no such rank */
    assert_int_equal(l->ops->failed(l, &rank), 0); /* again */
    assert_int_equal(l->ops->abort(l, 1, NULL), SINEW_ENOTSUP);
    l->ops->close(l);
    pthread_barrier_destroy(&b.all);
}

static void alone_is_a_job_of_one(void **state)
{
    struct launch *l = NULL;
    struct why why;
    uint8_t got[LAUNCH_RECORD_MAX];
    (void)state;
    assert_int_equal(launch_open(&world_real, NULL, NULL, INT64_MAX, &l, &why), 0);
    assert_string_equal(l->ops->name, "alone");
    assert_int_equal(l->rank, 0);
    assert_int_equal(l->size, 1);
    assert_int_equal(l->ops->put(l, "record", 6), 0);
    assert_int_equal(l->ops->put(l, "record", LAUNCH_RECORD_MAX + 1), SINEW_EINVAL);
    assert_int_equal(l->ops->fence(l, 0), 0);
    assert_int_equal(l->ops->get(l, 0, got), 6);
    assert_memory_equal(got, "record", 6);
    assert_int_equal(l->ops->get(l, 1, got), SINEW_EINVAL);
    assert_int_equal(l->ops->abort(l, 1, "x"), SINEW_ENOTSUP);
    l->ops->close(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everyone_gets_everything),
        cmocka_unit_test(callers_secret_is_used_and_not_shown),
        cmocka_unit_test(half_a_secret_is_refused),
        cmocka_unit_test(failing_allgather_fails_the_open),
        cmocka_unit_test(impossible_ranks_are_named),
        cmocka_unit_test(each_death_is_told_once),
        cmocka_unit_test(alone_is_a_job_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
