/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stops.c - a peer that is stopped, or slow, is never an error; and nothing is left behind
 */
#include "tests/process/cases.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sinew_team *open_watchful(struct job_rank *me, int64_t stall_report)
{
    struct sinew_options o = SINEW_OPTIONS_INIT;
    o.stall_report = stall_report;
    o.repair_deadline = 500 * MS; /* much less than the stop lasts: a stop is no silence */
    return sinew_world(job_open(me, &o));
}

static void stopped_peer_is_reported_and_comes_back(struct job_rank *me)
{
    struct sinew_team *world = open_watchful(me, 200 * MS);
    struct sinew_request *req = NULL;
    char buf[10];
    meet_all(me, world);
    if (me->rank == 1) {
        await_moving(me, 1, 1);
        give(me, world, 10, 0, 3);
        job_close(me, me->s);
        return;
    }
    int before = job_log_count(me, "rank 1"); /* to meet may have taken long */
    CHECK(me, sinew_recv(world, buf, 10, 1, 0, NULL, &req) > 0);
    job_stop(me, 1);
    atomic_store(&me->words[1], 1);
    CHECK(me, sinew_wait_for(&req, 1500 * MS) > 0);
    if (job_log_count(me, "rank 1") != before + 1)
        job_fail(me, __FILE__, __LINE__, "%d stall reports, %d before, name rank 1; last line: %s",
                 job_log_count(me, "rank 1"), before, job_log_last(me));
    job_resume(me, 1);
    CHECK_OK(me, sinew_wait(&req));
    CHECK_CONTENT(me, buf, 10, 1, 0, 3);
    job_close(me, me->s);
}

/* The stopped peer's buffers are full: TCP sees a window of zero, which is no death. */
static void stopped_peer_with_full_buffers(struct job_rank *me)
{
    struct sinew_team *world = open_watchful(me, SINEW_NEVER);
    enum { N = 16, LEN = 1 << 20 };
    meet_all(me, world);
    if (me->rank == 1) {
        await_moving(me, 1, 1);
        for (uint64_t i = 0; i < N; i++) take(me, world, LEN, 0, i);
        job_close(me, me->s);
        return;
    }
    struct sinew_request *req[N] = { 0 };
    char *buf = malloc((size_t)N * LEN);
    for (uint64_t i = 0; i < N; i++) {
        job_fill(buf + i * LEN, LEN, 0, 1, i);
        CHECK(me, sinew_send(world, buf + i * LEN, LEN, 1, 0, &req[i]) > 0);
    }
    atomic_store(&me->words[1], 1);
    CHECK(me, sinew_wait_all(req, 2, NULL, 10 * MS) >= 0);
    job_stop(me, 1);
    CHECK(me, sinew_wait_all(req, N, NULL, 1500 * MS) >= 0);
    job_resume(me, 1);
    CHECK_OK(me, sinew_wait_all(req, N, NULL, SINEW_FOREVER));
    CHECK_EQ(me, job_log_count(me, ""), 0); /* silence was asked for */
    free(buf);
    job_close(me, me->s);
}

static void head_to_head_sends_are_reported(struct job_rank *me)
{
    struct sinew_team *world = open_watchful(me, 100 * MS), *view = NULL;
    struct sinew_view_options how = SINEW_VIEW_OPTIONS_INIT;
    enum { LEN = 1 << 20 };
    char *buf = calloc(1, LEN), peer[16] = "rank 0";
    how.deadline = 600 * MS;
    CHECK_OK(me, sinew_team_view(world, &how, &view));
    meet_all(me, world);
    CHECK_IS(me, sinew_send(view, buf, LEN, 1 - me->rank, 0, NULL), SINEW_ETIMEDOUT);
    peer[5] = (char)('0' + 1 - me->rank);
    CHECK(me, job_log_count(me, peer) >= 1);
    CHECK(me, job_log_count(me, "sinew_sendrecv()") >= 1);
    free(buf);
    atomic_fetch_add(&me->words[1], 1); /* the other's deadline may be a moment later */
    await_moving(me, 1, 2);
    CHECK_OK(me, sinew_team_free(&view));
    job_close(me, me->s);
}

static void more_ranks_than_cores(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    int64_t began = job_now(me);
    for (int i = 0; i < 300; i++) CHECK_OK(me, sinew_barrier(world, NULL));
    CHECK(me, job_now(me) - began < 30 * SECOND * job_patience());
    job_close(me, me->s);
}

static int descriptors(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir)) n++;
    if (dir) closedir(dir);
    return n;
}

static void descriptors_do_not_leak(struct job_rank *me)
{
    int before = 0;
    for (uint64_t i = 0; i < 15; i++) {
        struct sinew_team *world = sinew_world(job_open(me, NULL));
        int to = (me->rank + 1) % me->size, from = (me->rank + me->size - 1) % me->size;
        char in[100], out[100];
        job_fill(out, 100, me->rank, to, i);
        CHECK_OK(me, sinew_sendrecv(world, out, 100, to, in, 100, from, 1, NULL, NULL));
        CHECK_CONTENT(me, in, 100, from, me->rank, i);
        job_close(me, me->s);
        if (i == 4) before = descriptors(); /* what is opened once for all is open by now */
    }
    CHECK_EQ(me, descriptors(), before);
}

static void mapped_memory_does_not_grow(struct job_rank *me)
{
    int64_t before = 0, now = 0;
    for (int i = 0; i < 12; i++) {
        struct sinew_team *world = sinew_world(job_open(me, NULL));
        int other = (me->rank + 1) % me->size, from = (me->rank + me->size - 1) % me->size;
        char c;
        CHECK_OK(me, sinew_sendrecv(world, "x", 1, other, &c, 1, from, 1, NULL, NULL));
        job_close(me, me->s);
        now = 0;
        FILE *maps = fopen("/proc/self/maps", "r");
        for (int ch; maps && (ch = fgetc(maps)) != EOF;) now += ch == '\n';
        if (maps) fclose(maps);
        if (i == 4) before = now;
    }
    CHECK(me, now <= before + 2);
}

const struct suite_case process_stops[] = {
    { "a stopped peer is reported and comes back", stopped_peer_is_reported_and_comes_back, 2, 2,
      SUITE_REAL | SUITE_PROCESSES, 0, 0, 0 },
    { "a stopped peer with full buffers", stopped_peer_with_full_buffers, 2, 2,
      SUITE_REAL | SUITE_PROCESSES, 0, 0, 0 },
    { "head-to-head sends are reported", head_to_head_sends_are_reported, 2, 2, 0, 0, 0, 0 },
    { "more ranks than cores", more_ranks_than_cores, 8, 8, 0, 0, 0, 0 },
    { "descriptors do not leak", descriptors_do_not_leak, 1, 3, SUITE_REAL | SUITE_PROCESSES, 0, 0,
      0 },
    { "mappings do not leak", mapped_memory_does_not_grow, 2, 2, SUITE_REAL | SUITE_PROCESSES, 0, 0,
      0 },
    SUITE_END,
};
