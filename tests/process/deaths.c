/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * deaths.c - a rank is killed, exits, or closes: who waits for it is told, soon, how it went, and
 * what it sent before is delivered first
 */
#include "tests/process/cases.h"

#include <stdlib.h>
#include <string.h>

/* "milliseconds on the same host" is what is meant; this is what a loaded machine gets. */
#define SOON (1500 * MS)

static void die(struct job_rank *me)
{
    atomic_store(&me->words[WORD_KILLED_AT], job_now(me) | 1); /* virtual time begins at 0 */
    job_kill(me, me->rank);
}

static void soon(struct job_rank *me)
{
    int64_t took = job_now(me) - atomic_load(&me->words[WORD_KILLED_AT]);
    if (took > SOON * job_patience())
        job_fail(me, __FILE__, __LINE__, "told after %lld ms only", (long long)(took / MS));
}

/* All but the last rank, in a ring. */
static void survivors_talk(struct job_rank *me, struct sinew_team *world)
{
    int n = me->size - 1, to = (me->rank + 1) % n, from = (me->rank + n - 1) % n;
    for (uint64_t i = 0; n > 1 && i < 20; i++) {
        char in[100], out[100];
        job_fill(out, 100, me->rank, to, i);
        CHECK_OK(me, sinew_sendrecv(world, out, 100, to, in, 100, from, 1, NULL, NULL));
        CHECK_CONTENT(me, in, 100, from, me->rank, i);
    }
}

/* Everyone talks in a ring; one is killed at a random moment; the others hear of it and talk on. */
static void survivors_are_told_and_go_on(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    int last = me->size - 1;
    char c = 0;
    meet_all(me, world);
    if (me->rank == last) {
        for (uint64_t i = job_below(me, 2000); i > 0; i--) CHECK(me, sinew_progress(me->s) >= 0);
        die(me);
    }
    struct sinew_status status;
    CHECK_IS(me, sinew_recv(world, &c, 1, last, 0, &status, NULL), SINEW_EPEER);
    soon(me);
    check_why(me, "died");
    CHECK_EQ(me, status.code, SINEW_EPEER);
    CHECK_IS(me, sinew_send(world, &c, 1, last, 0, NULL), SINEW_EPEER);
    int ranks[JOB_RANKS_MAX], died[JOB_RANKS_MAX];
    CHECK_EQ(me, sinew_team_failed(world, ranks, died, JOB_RANKS_MAX), 1);
    CHECK_EQ(me, ranks[0], last);
    CHECK_EQ(me, died[0], 1);
    survivors_talk(me, world);
    job_close(me, me->s);
}

/* Whatever was under way with it ends, and the buffers are free. */
static void everything_under_way_ends(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    enum { N = 8, LEN = 200000 };
    struct sinew_request *req[3 * N] = { 0 };
    int result[3 * N];
    meet_all(me, world);
    if (me->rank == 1) {
        await_moving(me, 1, 1);
        die(me);
    }
    char *buf = calloc(2 * N, LEN);
    for (int i = 0; i < N; i++) {
        CHECK(me, sinew_recv(world, buf + i * LEN, LEN, 1, i, NULL, &req[i]) > 0);
        CHECK(me, sinew_send(world, buf + (N + i) * LEN, LEN, 1, i, &req[N + i]) > 0);
        CHECK(me, sinew_send_sync(world, buf, 10, 1, i, &req[2 * N + i]) > 0);
    }
    atomic_store(&me->words[1], 1);
    CHECK_IS(me, sinew_wait_all(req, 3 * N, result, SINEW_FOREVER), SINEW_EPEER);
    soon(me);
    for (int i = 0; i < 3 * N; i++) {
        CHECK_EQ(me, result[i], SINEW_EPEER);
        CHECK(me, req[i] == NULL);
    }
    memset(buf, 1, 2 * N * LEN);
    free(buf);
    job_close(me, me->s);
}

static void what_it_sent_before_comes_first(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    enum { MESSAGES = 100 };
    char c;
    meet_all(me, world);
    if (me->rank == 0) {
        for (uint64_t i = 0; i < MESSAGES; i++) give(me, world, i, 1, i);
        for (int i = 0; i < 200; i++) CHECK(me, sinew_progress(me->s) >= 0);
        die(me);
    }
    for (uint64_t i = 0; i < MESSAGES; i++) take(me, world, i, 0, i);
    CHECK_IS(me, sinew_recv(world, &c, 1, 0, 0, NULL, NULL), SINEW_EPEER);
    check_why(me, "died");
    job_close(me, me->s);
}

static void exit_without_close_is_died(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    char c;
    meet_all(me, world);
    atomic_store(&me->words[WORD_KILLED_AT], job_now(me));
    if (me->rank == 1) job_exit(me);
    CHECK_IS(me, sinew_recv(world, &c, 1, 1, 0, NULL, NULL), SINEW_EPEER);
    soon(me);
    check_why(me, "died");
    job_close(me, me->s);
}

/* Whether the process lives on is for the transport to find out; nobody may take it for a
 * goodbye. */
static void abandon_is_no_goodbye(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    char c;
    meet_all(me, world);
    if (me->rank == 1) {
        sinew_abandon(me->s);
        me->s = NULL;
        job_await(me, 1, 1); /* the process lives on */
        return;
    }
    CHECK_IS(me, sinew_recv(world, &c, 1, 1, 0, NULL, NULL), SINEW_EPEER);
    CHECK(me, strstr(sinew_why(me->s), "is lost") || strstr(sinew_why(me->s), "died"));
    CHECK(me, !strstr(sinew_why(me->s), "left"));
    atomic_store(&me->words[1], 1);
    job_close(me, me->s);
}

/* Sends 1,000, closes, exits. */
static void close_is_left_after_everything_came(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    enum { MESSAGES = 1000 };
    char c;
    if (me->rank == 0) {
        for (uint64_t i = 0; i < MESSAGES; i++) give(me, world, i * 13 % 500, 1, i);
        job_close(me, me->s);
        return;
    }
    for (uint64_t i = 0; i < MESSAGES; i++) take(me, world, i * 13 % 500, 0, i);
    CHECK_IS(me, sinew_recv(world, &c, 1, 0, 0, NULL, NULL), SINEW_EPEER);
    check_why(me, "left");
    CHECK_IS(me, sinew_recv(world, &c, 1, SINEW_ANY_RANK, 0, NULL, NULL), SINEW_EPEER);
    check_why(me, "left");
    job_close(me, me->s);
}

/* Two die: a receive from anyone fails once for each, then works with who is left. */
static void any_rank_fails_once_for_each(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    char c = 0;
    meet_all(me, world);
    if (me->rank >= 2) {
        await_moving(me, 1, me->rank - 1);
        die(me);
    }
    if (me->rank == 1) {
        await_moving(me, 1, 3);
        give(me, world, 30, 0, 1);
        await_moving(me, 1, 4);
        give(me, world, 30, 0, 2);
        job_close(me, me->s);
        return;
    }
    for (int dead = 1; dead <= 2; dead++) {
        atomic_store(&me->words[1], dead);
        CHECK_IS(me, sinew_recv(world, &c, 1, SINEW_ANY_RANK, 0, NULL, NULL), SINEW_EPEER);
        soon(me);
        check_why(me, dead == 1 ? "rank 2" : "rank 3");
        CHECK(me, sinew_probe(world, SINEW_ANY_RANK, SINEW_ANY_TAG, NULL, NULL, 20 * MS) > 0);
    }
    atomic_store(&me->words[1], 3);
    struct sinew_status status;
    char buf[30];
    CHECK_OK(me, sinew_recv(world, buf, 30, SINEW_ANY_RANK, 0, &status, NULL));
    CHECK_EQ(me, status.rank, 1);
    CHECK_CONTENT(me, buf, 30, 1, 0, 1);
    atomic_store(&me->words[1], 4);
    take(me, world, 30, 1, 2);
    job_close(me, me->s);
}

static void acknowledged_deaths_are_not_told(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    char c = 0;
    meet_all(me, world);
    if (me->rank == 2) die(me);
    if (me->rank == 1) {
        await_moving(me, 1, 1);
        give(me, world, 30, 0, 1);
        job_close(me, me->s);
        return;
    }
    CHECK_IS(me, sinew_recv(world, &c, 1, 2, 0, NULL, NULL), SINEW_EPEER); /* by name, always */
    CHECK_OK(me, sinew_team_acknowledge(world));
    struct sinew_request *req = NULL;
    char buf[30];
    CHECK(me, sinew_recv(world, buf, 30, SINEW_ANY_RANK, 0, NULL, &req) > 0);
    CHECK(me, sinew_wait_for(&req, 50 * MS) > 0);
    atomic_store(&me->words[1], 1);
    CHECK_OK(me, sinew_wait(&req));
    CHECK_CONTENT(me, buf, 30, 1, 0, 1);
    CHECK_IS(me, sinew_recv(world, &c, 1, 2, 0, NULL, NULL), SINEW_EPEER);
    job_close(me, me->s);
}

static void collectives_end_when_a_member_died(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    int64_t one = 1, sum = 0;
    meet_all(me, world);
    if (me->rank == 1) die(me);
    int status = 0;
    for (int i = 0; i < 3 && status == 0; i++)
        status = sinew_allreduce(world, &one, &sum, 1, SINEW_I64, SINEW_SUM, NULL);
    /* Of the one that died; or, who did not talk with it, of one that gave up and left. */
    CHECK_IS(me, status, SINEW_EPEER);
    job_close(me, me->s);
}

/* What the survivors tell each other of the collective that failed harms no link between them. */
static void survivors_of_a_collective_talk_on(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    int64_t in[4] = { 0 }, out[4];
    if (me->rank == me->size - 1) {
        job_close(me, me->s);
        return;
    }
    CHECK_IS(me, sinew_allreduce(world, in, out, 4, SINEW_I64, SINEW_SUM, NULL), SINEW_EPEER);
    survivors_talk(me, world);
    CHECK_IS(me, sinew_barrier(world, NULL), SINEW_EPEER);
    survivors_talk(me, world);
    job_close(me, me->s);
}

/* The same among calls that come again and again, which go straight where there is such a way. */
static void the_same_call_ends_when_a_member_dies(struct job_rank *me)
{
    enum { CALLS = 100000, KNOWN = 3 };
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    int64_t one = 1, sum = 0;
    int victim = me->size - 1, status = 0;
    uint64_t last = KNOWN + job_below(me, 2000);
    meet_all(me, world);
    for (uint64_t i = 0; i < CALLS && status == 0; i++) {
        if (me->rank == victim && i == last) die(me);
        sum = 0;
        status = sinew_allreduce(world, &one, &sum, 1, SINEW_I64, SINEW_SUM, NULL);
        if (status == 0) CHECK_EQ(me, sum, me->size);
    }
    CHECK_IS(me, status, SINEW_EPEER);
    soon(me);
    job_close(me, me->s);
}

static void first_contact_with_the_dead(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    if (me->rank == 1) die(me);
    job_await(me, WORD_KILLED_AT, 1);
    int status = sinew_send_sync(world, "x", 1, 1, 0, NULL);
    CHECK_IS(me, status, SINEW_EPEER);
    soon(me);
    job_close(me, me->s);
}

static void the_launcher_tells_of_strangers(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    char c;
    if (me->rank == 1) die(me);
    /* Never met; only the exchange's `failed` can know. */
    CHECK_IS(me, sinew_recv(world, &c, 1, 1, 0, NULL, NULL), SINEW_EPEER);
    job_close(me, me->s);
}

const struct suite_case process_deaths[] = {
    { "survivors are told and go on", survivors_are_told_and_go_on, 2, 8, SUITE_PROCESSES, 0, 0,
      3 },
    { "everything under way ends", everything_under_way_ends, 2, 2, SUITE_PROCESSES, 0, 0, 3 },
    { "what it sent before comes first", what_it_sent_before_comes_first, 2, 2, SUITE_PROCESSES, 0,
      0, 3 },
    { "exit without close is died", exit_without_close_is_died, 2, 3, SUITE_PROCESSES, 0, 0, 0 },
    { "abandon is no goodbye", abandon_is_no_goodbye, 2, 2, 0, 0, 0, 0 },
    { "close is left, after everything came", close_is_left_after_everything_came, 2, 2, 0, 0, 0,
      2 },
    { "any rank fails once for each", any_rank_fails_once_for_each, 4, 4, SUITE_PROCESSES, 0, 0,
      2 },
    { "acknowledged deaths are not told", acknowledged_deaths_are_not_told, 3, 3, SUITE_PROCESSES,
      0, 0, 0 },
    { "collectives end when a member died", collectives_end_when_a_member_died, 3, 5,
      SUITE_PROCESSES, 0, 0, 0 },
    { "survivors of a collective talk on", survivors_of_a_collective_talk_on, 3, 8, 0, 0, 0, 5 },
    { "the same call ends when a member dies", the_same_call_ends_when_a_member_dies, 2, 5,
      SUITE_PROCESSES, 0, 0, 3 },
    { "first contact with the dead", first_contact_with_the_dead, 2, 2, SUITE_PROCESSES, 0, 0, 0 },
    { "the launcher tells of strangers", the_launcher_tells_of_strangers, 2, 2,
      SUITE_PROCESSES | SUITE_FAILURES, 0, 0, 0 },
    SUITE_END,
};
