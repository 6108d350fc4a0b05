/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * steps.c - what cases of several tables do
 */
#include "tests/process/cases.h"

#include <stdlib.h>
#include <string.h>

void await_moving(struct job_rank *me, int word, int64_t value)
{
    int64_t pause = 1000;
    while (atomic_load(&me->words[word]) < value) {
        int made = sinew_progress(me->s);
        CHECK(me, made >= 0);
        pause = made > 0 ? 1000 : pause < 100000 ? 2 * pause : pause;
        if (made == 0) job_pause(me, pause);
    }
}

void meet_all(struct job_rank *me, struct sinew_team *world)
{
    struct sinew_request *req[2 * JOB_RANKS_MAX] = { 0 };
    char in[JOB_RANKS_MAX];
    for (int r = 0; r < me->size; r++) {
        CHECK(me, sinew_recv(world, &in[r], 1, r, 4711, NULL, &req[2 * r]) >= 0);
        CHECK(me, sinew_send(world, "m", 1, r, 4711, &req[2 * r + 1]) >= 0);
    }
    CHECK_OK(me, sinew_wait_all(req, 2 * me->size, NULL, SINEW_FOREVER));
    atomic_fetch_add(&me->words[WORD_MEET], 1);
    await_moving(me, WORD_MEET, me->size);
}

void check_why(struct job_rank *me, const char *words)
{
    if (!strcasestr(sinew_why(me->s), words))
        job_fail(me, __FILE__, __LINE__, "sinew_why does not say \"%s\"", words);
}

void give(struct job_rank *me, struct sinew_team *world, size_t len, int to, uint64_t sequence)
{
    char *buf = malloc(len + 1);
    job_fill(buf, len, me->rank, to, sequence);
    int status = sinew_send(world, buf, len, to, 0, NULL);
    free(buf);
    CHECK_OK(me, status);
}

void take(struct job_rank *me, struct sinew_team *world, size_t len, int from, uint64_t sequence)
{
    char *buf = malloc(len + 1);
    struct sinew_status status;
    CHECK_OK(me, sinew_recv(world, buf, len, from, 0, &status, NULL));
    CHECK_EQ(me, status.bytes, len);
    CHECK_CONTENT(me, buf, len, from, me->rank, sequence);
    free(buf);
}
