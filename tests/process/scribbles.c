/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scribbles.c - a peer writes into the memory that it shares with the victim, under all of Sinew
 *
 * Rank 0 is the victim, rank 1 hostile, rank 2 honest. 0 and 1 send each other what they like; a
 * child of 1 writes random words into their segment meanwhile, so that heads and bodies change
 * under the victim's eyes. 0 must go on, or lose that link, and nothing else: its link to rank 2
 * must not notice, and every request must have an end. The address sanitizer sees the rest.
 */
#include "tests/process/cases.h"
#include "tests/support/bounded.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VICTIM, HOSTILE, HONEST };
enum { LONGEST = 100000, WINDOW = 6, LASTS_MS = 40 };

/* The only segment that this process has mapped. */
static unsigned char *segment_find(size_t *len)
{
    char line[512];
    unsigned long from = 0, to = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof(line), maps))
        if (strstr(line, "memfd:sinew") && sscanf(line, "%lx-%lx", &from, &to) == 2) break;
    if (maps) fclose(maps);
    *len = to - from;
    return (unsigned char *)from; /* as the kernel named it */
}

static _Noreturn void scribble(struct job_rank *me, unsigned char *segment, size_t len)
{
    bool calm = job_random(me) & 1;
    for (uint64_t n = 0;; n++) {
        uint64_t r = job_random(me), value = job_random(me);
        size_t at = (size_t)(r >> 16) % len;
        if (r & 1) at &= ~(size_t)7;
        if (r & 2) value &= 0xff;
        if (r & 4) at = 256 + at % 4096; /* the slots of one direction */
        size_t bytes = r & 8 ? 8 : 1;
        if (at + bytes > len) at = len - bytes;
        if (calm && at % 64 < 8) at += 8; /* heads and bodies only: the link lives longer */
        if (at + bytes <= len) memcpy(segment + at, &value, bytes);
        if (calm && n % 64 == 0) job_yield(me);
    }
}

/* Whatever comes of it. `patience` ns; SINEW_FOREVER: all have an end. */
static void talk(struct job_rank *me, struct sinew_team *world, int64_t patience, char *in,
                 const char *out, struct sinew_request **req)
{
    int other = 1 - me->rank;
    for (int i = 0; i < WINDOW; i++) {
        size_t len = (size_t)job_below(me, job_random(me) & 1 ? 200 : LONGEST);
        if (!req[2 * i])
            sinew_recv(world, in + (size_t)i * LONGEST, LONGEST, other, SINEW_ANY_TAG, NULL,
                       &req[2 * i]);
        if (!req[2 * i + 1]) sinew_send(world, out, len, other, i, &req[2 * i + 1]);
    }
    sinew_wait_all(req, 2 * WINDOW, NULL, patience);
}

static void be_hostile(struct job_rank *me, struct sinew_team *world, char *in, char *out)
{
    struct sinew_request *req[2 * WINDOW] = { 0 };
    size_t len;
    give(me, world, 8, VICTIM, 1);
    take(me, world, 8, VICTIM, 1);
    unsigned char *segment = segment_find(&len);
    CHECK(me, segment != NULL);
    atomic_store(&me->words[1], 1);
    if (bounded_fork() == 0) scribble(me, segment, len);
    for (;;) { /* until it is killed */
        talk(me, world, MS, in, out, req);
        job_yield(me);
    }
}

static void check_honest(struct job_rank *me, struct sinew_team *world, uint64_t n)
{
    int other = HONEST - me->rank;
    if (me->rank == VICTIM) give(me, world, 100 + n % 30000, other, n);
    take(me, world, 100 + n % 30000, other, n);
    if (me->rank == HONEST) give(me, world, 100 + n % 30000, other, n);
}

static void be_victim(struct job_rank *me, struct sinew_team *world, char *in, char *out)
{
    struct sinew_request *req[2 * WINDOW] = { 0 };
    uint64_t n = 0;
    take(me, world, 8, HOSTILE, 1);
    give(me, world, 8, HOSTILE, 1);
    await_moving(me, 1, 1);
    int64_t began = job_now(me);
    for (; job_now(me) - began < LASTS_MS * MS; n++) {
        talk(me, world, MS, in, out, req);
        atomic_store(&me->words[2], (int64_t)n + 1); /* one more is to come */
        check_honest(me, world, n);
    }
    atomic_store(&me->words[2], INT64_MAX);
    job_kill(me, HOSTILE);
    sinew_wait_all(req, 2 * WINDOW, NULL, SINEW_FOREVER);
    for (int i = 0; i < 2 * WINDOW; i++) CHECK(me, req[i] == NULL);
    check_honest(me, world, 7);
}

static void a_scribbling_peer_costs_its_own_link(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    char *in = malloc((size_t)WINDOW * LONGEST), *out = calloc(1, LONGEST);
    if (me->rank == HOSTILE) be_hostile(me, world, in, out);
    if (me->rank == VICTIM) be_victim(me, world, in, out);
    for (uint64_t n = 0; me->rank == HONEST;) {
        await_moving(me, 2, (int64_t)n + 1);
        if (atomic_load(&me->words[2]) == INT64_MAX) break;
        check_honest(me, world, n++);
    }
    if (me->rank == HONEST) check_honest(me, world, 7);
    free(in);
    free(out);
    job_close(me, me->s);
}

const struct suite_case process_scribbles[] = {
    { "a scribbling peer costs its own link", a_scribbling_peer_costs_its_own_link, 3, 3,
      SUITE_PROCESSES | SUITE_REAL, 0, 0, 40 },
    SUITE_END,
};
