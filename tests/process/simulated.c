/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * simulated.c - what takes a minute, or chance, on a real machine: under virtual time
 */
#include "tests/process/cases.h"
#include "transport/sim/sim.h"

#include <stdlib.h>
#include <string.h>

static void computing_peer_is_no_error(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    meet_all(me, world);
    if (me->rank == 1) {
        sim_compute(me->sim, 60 * SECOND);
        give(me, world, 64, 0, 1);
    } else {
        int64_t began = job_now(me);
        take(me, world, 64, 1, 1);
        CHECK(me, job_now(me) - began >= 59 * SECOND);
        if (job_log_count(me, "rank 1") != 1 || job_log_count(me, "") != 1)
            job_fail(me, __FILE__, __LINE__, "%d lines, the last: %s", job_log_count(me, ""),
                     job_log_last(me));
    }
    job_close(me, me->s);
}

static void stall_reports_back_off(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    meet_all(me, world);
    if (me->rank == 1) {
        sim_compute(me->sim, 1500 * SECOND); /* 10, 100 and 1000 s */
        give(me, world, 64, 0, 1);
    } else {
        take(me, world, 64, 1, 1);
        CHECK_EQ(me, job_log_count(me, "rank 1"), 3);
    }
    job_close(me, me->s);
}

/* Whoever is away for long during its first report. */
struct away {
    struct job_rank *me;
    int reports;
};

static void be_away(void *arg, int level, const char *line)
{
    struct away *a = arg;
    (void)level, (void)line;
    if (a->reports++ == 0) sim_compute(a->me->sim, 5000 * SECOND);
}

/* Reports at 10 s, then at 5010, on return, and next at 10000: what was missed is not made up
 * for. */
static void missed_stall_reports_are_not_made_up_for(struct job_rank *me)
{
    struct away a = { .me = me };
    struct sinew_options o = SINEW_OPTIONS_INIT;
    o.log = be_away;
    o.log_arg = &a;
    struct sinew_team *world = sinew_world(job_open(me, &o));
    meet_all(me, world);
    if (me->rank == 1) {
        a.reports = 1;
        sim_compute(me->sim, 9000 * SECOND);
        give(me, world, 64, 0, 1);
    } else {
        take(me, world, 64, 1, 1);
        CHECK_EQ(me, a.reports, 2);
    }
    job_close(me, me->s);
}

static void close_does_not_wait_for_who_computes(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    meet_all(me, world);
    if (me->rank == 1) {
        sim_compute(me->sim, 100 * SECOND);
        take(me, world, 1000, 0, 1);
    } else {
        give(me, world, 1000, 1, 1);
        int64_t began = job_now(me);
        job_close(me, me->s);
        CHECK(me, job_now(me) - began < 16 * SECOND);
        return;
    }
    job_close(me, me->s);
}

/* Random traffic; one crashes at a random time. Nobody hangs; outcomes are done or EPEER only. */
static void crash_at_any_time(struct job_rank *me)
{
    struct sinew_options o = SINEW_OPTIONS_INIT;
    o.stall_report = SINEW_NEVER;
    struct sinew_team *world = sinew_world(job_open(me, &o));
    static const size_t len[] = { 10, 3000, 9000, 100000 };
    struct sinew_request *req[JOB_RANKS_MAX * 2];
    static _Thread_local char in[JOB_RANKS_MAX][100000], out[100000];
    int64_t when = (int64_t)job_below(me, 3000000);
    bool told = false;
    for (int round = 0; round < 30 && !told; round++) {
        size_t n = len[round % 4];
        memset(req, 0, sizeof(req));
        for (int r = 0; r < me->size; r++) {
            if (r == me->rank) continue;
            int got = sinew_recv(world, in[r], n, r, round, NULL, &req[2 * r]);
            CHECK(me, got >= 0 || got == SINEW_EPEER);
            got = sinew_send(world, out, n, r, round, &req[2 * r + 1]);
            CHECK(me, got >= 0 || got == SINEW_EPEER);
            if (me->rank == 1 && job_now(me) > when) job_kill(me, 1);
        }
        int got = sinew_wait_all(req, 2 * me->size, NULL, SINEW_FOREVER);
        CHECK(me, got == 0 || got == SINEW_EPEER);
        told = got == SINEW_EPEER;
    }
    job_close(me, me->s);
}

static void cut_and_healed_is_unseen(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    meet_all(me, world);
    if (me->rank == 0) {
        sim_cut(me->sim, 0, 1);
        for (uint64_t i = 0; i < 20; i++) give(me, world, 100, 1, i);
        sim_compute(me->sim, 5 * SECOND);
        sim_heal(me->sim, 0, 1);
        take(me, world, 100000, 1, 7);
    } else {
        for (uint64_t i = 0; i < 20; i++) take(me, world, 100, 0, i);
        give(me, world, 100000, 0, 7);
    }
    job_close(me, me->s);
}

static void cut_for_good_is_told_in_time(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    char c;
    meet_all(me, world);
    if (me->rank == 0) sim_cut(me->sim, 0, 1);
    int64_t began = job_now(me);
    CHECK_IS(me, sinew_recv(world, &c, 1, 1 - me->rank, 0, NULL, NULL), SINEW_EPEER);
    int64_t took = job_now(me) - began;
    if (took < 14 * SECOND || took > 17 * SECOND)
        job_fail(me, __FILE__, __LINE__, "told after %lld ms", (long long)(took / MS));
    job_close(me, me->s);
}

static const struct sim_options reading = { .reads = true };

/* Six announced at once: the transport reads two, and the others are put by who sent them. */
static void more_than_are_read_at_once(struct job_rank *me)
{
    enum { N = 6, LONG = 0x19000 }; /* a length that is read, see struct sim_options */
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    struct sinew_request *req[N] = { NULL };
    char *buf = malloc(N * LONG);
    uint64_t read = 0;
    meet_all(me, world);
    for (uint64_t i = 0; i < N; i++) {
        char *at = buf + i * LONG;
        if (me->rank == 0) job_fill(at, LONG, 0, 1, i);
        int rc = me->rank == 0 ? sinew_send(world, at, LONG, 1, 0, &req[i])
                               : sinew_recv(world, at, LONG, 0, 0, NULL, &req[i]);
        CHECK(me, rc >= 0);
    }
    CHECK_OK(me, sinew_wait_all(req, N, NULL, SINEW_FOREVER));
    for (uint64_t i = 0; i < N && me->rank == 1; i++)
        CHECK_CONTENT(me, buf + i * LONG, LONG, 0, 1, i);
    CHECK_OK(me, sinew_counter(me->s, "rendezvous_read", &read));
    if (me->rank == 1 ? read < 2 || read >= N : read > 0)
        job_fail(me, __FILE__, __LINE__, "%llu of %d were read", (unsigned long long)read, N);
    job_barrier(me);
    free(buf);
    job_close(me, me->s);
}

const struct suite_case process_simulated[] = {
    { "a computing peer is no error", computing_peer_is_no_error, 2, 2, SUITE_SIMULATED, 0, 0, 3 },
    { "missed stall reports are not made up for", missed_stall_reports_are_not_made_up_for, 2, 2,
      SUITE_SIMULATED, 0, 0, 0 },
    { "stall reports back off", stall_reports_back_off, 2, 2, SUITE_SIMULATED, 0, 0, 0 },
    { "close does not wait for who computes", close_does_not_wait_for_who_computes, 2, 2,
      SUITE_SIMULATED, 0, 0, 0 },
    { "crash at any time", crash_at_any_time, 2, 5, SUITE_SIMULATED, 0, 0, 40 },
    { "cut and healed is unseen", cut_and_healed_is_unseen, 2, 2, SUITE_SIMULATED, 0, 0, 3 },
    { "cut for good is told in time", cut_for_good_is_told_in_time, 2, 2, SUITE_SIMULATED, 0, 0,
      3 },
    { "more than are read at once", more_than_are_read_at_once, 2, 2, SUITE_SIMULATED, &reading, 0,
      3 },
    SUITE_END,
};
