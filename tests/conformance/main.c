/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/conformance/cases.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Memory of the running case, by thread: ranks may be threads. */
enum { PIECES_MAX = 1024 };
static _Thread_local void *piece[PIECES_MAX];
static _Thread_local int pieces;
static _Thread_local int64_t meetings;

struct sinew_team *enter(struct job_rank *me)
{
    pieces = 0;
    meetings = 0;
    return sinew_world(job_open(me, NULL));
}

void leave(struct job_rank *me)
{
    job_close(me, me->s);
    while (pieces > 0) free(piece[--pieces]);
}

void *memory_of(struct job_rank *me, size_t len)
{
    void *memory = calloc(1, len ? len : 1);
    CHECK(me, memory != NULL && pieces < PIECES_MAX);
    piece[pieces++] = memory;
    return memory;
}

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

void meet(struct job_rank *me)
{
    meetings++;
    atomic_fetch_add(&me->words[WORD_MEET], 1);
    await_moving(me, WORD_MEET, meetings * me->size);
}

void give(struct job_rank *me, struct sinew_team *team, size_t len, int to, int64_t tag,
          uint64_t sequence)
{
    char *buf = malloc(len + 1);
    job_fill(buf, len, sinew_rank(team), to, sequence);
    CHECK_OK(me, sinew_send(team, buf, len, to, tag, NULL));
    memset(buf, 0x5a, len);
    free(buf);
}

void take(struct job_rank *me, struct sinew_team *team, size_t len, int from, int64_t tag,
          uint64_t sequence)
{
    char *buf = malloc(len + 1);
    struct sinew_status status;
    buf[len] = 0x7e;
    CHECK_OK(me, sinew_recv(team, buf, len, from, tag, &status, NULL));
    check_status(me, &status, 0, from, tag, len, len);
    CHECK_CONTENT(me, buf, len, from, sinew_rank(team), sequence);
    CHECK_EQ(me, buf[len], 0x7e);
    free(buf);
}

void check_status(struct job_rank *me, const struct sinew_status *status, int code, int rank,
                  int64_t tag, uint64_t bytes, uint64_t sent)
{
    CHECK_EQ(me, status->code, code);
    CHECK_EQ(me, status->rank, rank);
    CHECK_EQ(me, status->tag, tag);
    CHECK_EQ(me, status->bytes, bytes);
    CHECK_EQ(me, status->sent, sent);
    CHECK_EQ(me, status->reserved, 0);
}

void check_why(struct job_rank *me, const char *words)
{
    if (!strcasestr(sinew_why(me->s), words))
        job_fail(me, __FILE__, __LINE__, "sinew_why does not say \"%s\"", words);
}

int main(int argc, char **argv)
{
    static const struct suite_case *const tables[] = {
        conformance_messages,    conformance_stuck,
        conformance_probes,      conformance_requests,
        conformance_self,        conformance_teams,
        conformance_collectives, conformance_arguments,
        conformance_context,     NULL,
    };
    return suite_main(argc, argv, tables);
}
