/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kills.c - kill -9 at a random moment of a transfer
 *
 * Rank 0 survives, rank 1 is killed by rank 2. 0 and 1 follow one programme of transfers, drawn
 * from the seed: both directions, 8 bytes to 4 MiB, blocking and several at once, first contact
 * included. The survivor gets SINEW_EPEER within a second of the blow, with every buffer its own
 * again; its link to rank 2 must not notice; and nothing is left in it, nor on the host.
 */
#include "tests/process/cases.h"
#include "tests/support/job_board.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WORD_STARTED = 1, WORD_GONE_AT = 2, WINDOW = 4, TAG = 7 };
enum { SURVIVOR = 0, VICTIM = 1, KILLER = 2 };

static const size_t sizes[] = { 8,     56,     57,     1000,    4096,    16384,
                                16385, 65536, 300000, 1 << 20, 4 << 20, 0 };

static int descriptors(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir)) n++;
    if (dir) closedir(dir);
    return n;
}

/* Segments that this process has mapped. */
static int segments(void)
{
    char line[512];
    int n = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof(line), maps)) n += strstr(line, "memfd:") != NULL;
    if (maps) fclose(maps);
    return n;
}

/* What 0 and 1 do next, alike on both. */
struct step {
    size_t len;
    int from; /* who sends; JOB_RANKS_MAX: both */
    bool window, sync;
};

static struct step step_next(struct job_rank *programme)
{
    uint64_t r = job_random(programme);
    size_t kinds = sizeof(sizes) / sizeof(sizes[0]);
    size_t i = (size_t)(r >> 8) % kinds;
    if (sizes[i] > 100000 && r & 0x30) i = (size_t)(r >> 16) % 8; /* mostly short ones */
    static const int from[] = { SURVIVOR, VICTIM, JOB_RANKS_MAX };
    return (struct step){ .len = sizes[i], .from = from[(r >> 32) % 3], .window = (r & 3) == 0,
                          .sync = (r & 12) == 0 };
}

static int step_send(struct sinew_team *world, struct step s, const char *buf, int to,
                     struct sinew_request **req)
{
    return s.sync ? sinew_send_sync(world, buf, s.len, to, TAG, req)
                  : sinew_send(world, buf, s.len, to, TAG, req);
}

/* One blocking call. */
static int step_alone(struct job_rank *me, struct sinew_team *world, struct step s, char *in,
                      const char *out)
{
    int other = 1 - me->rank;
    if (s.from == me->rank) return step_send(world, s, out, other, NULL);
    if (s.from == other) return sinew_recv(world, in, s.len, other, TAG, NULL, NULL);
    return sinew_sendrecv(world, out, s.len, other, in, s.len, other, TAG, NULL, NULL);
}

/* Several at once; who survives must get an end for each. */
static int step_window(struct job_rank *me, struct sinew_team *world, struct step s, char *in,
                       const char *out)
{
    struct sinew_request *req[2 * WINDOW] = { 0 };
    int result[2 * WINDOW] = { 0 }, other = 1 - me->rank, n = 0, refused = 0;
    for (int i = 0; i < WINDOW && refused == 0; i++) {
        int status = 0;
        if (s.from != other) status = step_send(world, s, out, other, &req[n++]);
        if (status >= 0 && s.from != me->rank)
            status = sinew_recv(world, in + (size_t)i * s.len, s.len, other, TAG, NULL, &req[n++]);
        if (status < 0) refused = status;
    }
    int status = sinew_wait_all(req, n, result, SINEW_FOREVER);
    for (int i = 0; i < n; i++) {
        CHECK(me, req[i] == NULL);
        CHECK(me, result[i] == 0 || result[i] == SINEW_EPEER);
    }
    return refused < 0 ? refused : status;
}

static int step_run(struct job_rank *me, struct sinew_team *world, struct step s, uint64_t number)
{
    int other = 1 - me->rank, copies = s.window ? WINDOW : 1;
    char *out = malloc(s.len + 1), *in = malloc(s.len * WINDOW + 1);
    job_fill(out, s.len, me->rank, other, number);
    int status =
        s.window ? step_window(me, world, s, in, out) : step_alone(me, world, s, in, out);
    for (int i = 0; i < copies && status == 0 && s.from != me->rank; i++)
        CHECK_CONTENT(me, in + (size_t)i * s.len, s.len, other, me->rank, number);
    memset(out, 0, s.len); /* ours again: the sanitizer sees who still reads */
    free(out);
    free(in);
    return status;
}

static int transfer_until_the_end(struct job_rank *me, struct sinew_team *world)
{
    struct job_rank programme = { .random = me->random - (uint64_t)me->rank };
    int status = 0;
    atomic_fetch_add(&me->words[WORD_STARTED], 1);
    for (uint64_t number = 0; status == 0; number++)
        status = step_run(me, world, step_next(&programme), number);
    return status;
}

static void strike(struct job_rank *me)
{
    /* Up to 8 ms, and often much less: the first messages are where most can go wrong. */
    int64_t after = (int64_t)job_below(me, 8 * MS) >> job_below(me, 8);
    await_moving(me, WORD_STARTED, (int64_t)job_below(me, 3));
    int64_t from = job_now(me);
    while (job_now(me) - from < after) CHECK(me, sinew_progress(me->s) >= 0);
    struct pollfd gone = { .events = POLLIN };
    gone.fd = (int)syscall(SYS_pidfd_open, (pid_t)atomic_load(&me->board->pid[VICTIM]), 0);
    CHECK(me, gone.fd >= 0);
    atomic_store(&me->words[WORD_KILLED_AT], job_now(me));
    job_kill(me, VICTIM);
    CHECK_EQ(me, poll(&gone, 1, 20000), 1);
    atomic_store(&me->words[WORD_GONE_AT], job_now(me));
    close(gone.fd);
}

static void survive(struct job_rank *me, struct sinew_team *world)
{
    CHECK_IS(me, transfer_until_the_end(me, world), SINEW_EPEER);
    CHECK(me, atomic_load(&me->words[WORD_KILLED_AT]) > 0);
    /* On a busy machine a process that was killed needs seconds to end; nobody can know before. */
    int64_t gone = atomic_load(&me->words[WORD_GONE_AT]), took = gone ? job_now(me) - gone : 0;
    if (took > SECOND)
        job_fail(me, __FILE__, __LINE__, "told after %lld ms only", (long long)(took / MS));
    if (!strstr(sinew_why(me->s), "died") && !strstr(sinew_why(me->s), "process has ended"))
        job_fail(me, __FILE__, __LINE__, "sinew_why does not say that it died");
    CHECK(me, segments() <= 1); /* of the link to rank 2 */
}

static void killed_at_a_random_moment(struct job_rank *me)
{
    int before = descriptors(), other = KILLER - me->rank;
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    if (me->round % 2) meet_all(me, world);
    if (me->rank == VICTIM) {
        transfer_until_the_end(me, world);
        job_fail(me, __FILE__, __LINE__, "the victim lives");
    }
    if (me->rank == KILLER)
        strike(me);
    else
        survive(me, world);
    for (uint64_t i = 0; i < 3; i++) {
        if (me->rank == SURVIVOR) give(me, world, 100 + 30000 * i, other, i);
        take(me, world, 100 + 30000 * i, other, i);
        if (me->rank == KILLER) give(me, world, 100 + 30000 * i, other, i);
    }
    job_close(me, me->s);
    CHECK_EQ(me, segments(), 0);
    CHECK_EQ(me, descriptors(), before);
}

const struct suite_case process_kills[] = {
    { "killed at a random moment of a transfer", killed_at_a_random_moment, 3, 3,
      SUITE_PROCESSES | SUITE_REAL, 0, 0, 150 },
    SUITE_END,
};
