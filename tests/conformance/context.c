/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * context.c - the context as a whole: sleeping in the caller's loop, looking inside, memory, fork
 */
#include "tests/conformance/cases.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A caller's own loop: it must never sleep through a message. */
static void sleeping_in_poll_misses_nothing(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    enum { ROUNDS = 100 };
    int slept = 0;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        size_t len = i % 10 == 9 ? LONG : 100;
        if (me->rank == 1) {
            await_moving(me, 0, (int64_t)i);
            give(me, world, len, 0, 0, i);
            continue;
        }
        char *buf = memory_of(me, len);
        struct sinew_request *req = NULL;
        CHECK(me, sinew_recv(world, buf, len, 1, 0, NULL, &req) >= 0);
        atomic_store(&me->words[0], (int64_t)i);
        while (sinew_test(&req) > 0) {
            int64_t timeout = 0;
            int armed = sinew_arm(me->s, &timeout);
            CHECK(me, armed >= 0 && timeout >= 0);
            if (armed > 0) continue;
            struct pollfd fd = { sinew_fd(me->s), POLLIN, 0 };
            CHECK(me, fd.fd >= 0);
            slept++;
            int ms = timeout > 10000 * MS ? 10000 : (int)(timeout / MS) + 1;
            int fired = poll(&fd, 1, ms);
            CHECK(me, fired == 1 || ms < 10000);
        }
        CHECK_CONTENT(me, buf, len, 1, 0, i);
    }
    CHECK(me, me->rank == 1 || slept > 0);
    leave(me);
}

static void counters_exist_and_grow(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    uint64_t value = 0, before = 0, after = 0;
    int n = 0;
    for (const char *name; (name = sinew_counter_name(n)); n++)
        CHECK_OK(me, sinew_counter(me->s, name, &value));
    CHECK(me, n >= 5);
    CHECK(me, sinew_counter_name(-1) == NULL && sinew_counter_name(100000) == NULL);
    for (int i = 0; i < n; i++) {
        CHECK_OK(me, sinew_counter(me->s, sinew_counter_name(i), &value));
        before += value;
    }
    int other = (me->rank + 1) % me->size, from = (me->rank + me->size - 1) % me->size;
    char in[8];
    for (int i = 0; i < 10; i++)
        CHECK_OK(me, sinew_sendrecv(world, "1234567", 8, other, in, 8, from, 0, NULL, NULL));
    for (int i = 0; i < n; i++) {
        CHECK_OK(me, sinew_counter(me->s, sinew_counter_name(i), &value));
        after += value;
    }
    CHECK(me, after > before);
    leave(me);
}

static void explain_names_the_choice(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    char text[4096], little[10];
    size_t need = 0, again = 0;
    int other = (me->rank + 1) % me->size;
    CHECK_OK(me, sinew_explain(world, other, 8, NULL, 0, &need));
    CHECK(me, need > 1 && need <= sizeof(text));
    CHECK_OK(me, sinew_explain(world, other, 8, text, sizeof(text), &again));
    CHECK_EQ(me, again, need);
    CHECK_EQ(me, strlen(text) + 1, need);
    CHECK(me, strstr(text, me->transport) != NULL);
    CHECK_OK(me, sinew_explain(world, other, 8, little, sizeof(little), NULL));
    CHECK_EQ(me, strlen(little), sizeof(little) - 1);
    CHECK(me, memcmp(text, little, sizeof(little) - 1) == 0);
    struct sinew_request *sending = NULL;
    CHECK(me, sinew_send(world, little, 1, other, 1, &sending) >= 0);
    CHECK_OK(me, sinew_recv(world, little, 1, SINEW_ANY_RANK, 1, NULL, NULL));
    CHECK_OK(me, sinew_wait(&sending));
    meet(me);
    /* What a connected peer costs is reported: of shared memory at most 128 KiB. */
    CHECK_OK(me, sinew_explain(world, other, 8, text, sizeof(text), NULL));
    const char *cost = strstr(text, " KiB of shared memory for both directions");
    CHECK_EQ(me, cost != NULL, strcmp(me->transport, "shm") == 0);
    while (cost && cost > text && cost[-1] >= '0' && cost[-1] <= '9') cost--;
    CHECK(me, !cost || (atoi(cost) > 0 && atoi(cost) <= 128));
    leave(me);
}

/* There is nobody to talk to, so nothing is chosen, and no time predicted. */
static void explain_knows_who_is_alone(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    static const char *const names[] = { "allreduce", "alltoallv", "barrier" };
    char text[4096];
    for (int i = 0; i < 3; i++) {
        CHECK_OK(me, sinew_explain_collective(world, names[i], 1024, text, sizeof(text), NULL));
        CHECK(me, strstr(text, "by one rank") != NULL);
        CHECK(me, !strstr(text, "predicted") && !strstr(text, " over "));
    }
    leave(me);
}

static uint64_t counted(struct job_rank *me, const char *name)
{
    uint64_t value = 0;
    CHECK_OK(me, sinew_counter(me->s, name, &value));
    return value;
}

/* Of two ranks, all traffic of the one is with the other: what is explained is what is counted, and
 * that is messages and bytes of users, whichever way they went. */
static void explain_counts_what_users_sent(struct job_rank *me)
{
    static const size_t sizes[] = { 8, 1000, 16000, 100000, 1048576 };
    struct sinew_team *world = enter(me);
    bool sends = me->rank == 1;
    const char *messages = sends ? "messages_sent" : "messages_received";
    const char *bytes = sends ? "bytes_sent" : "bytes_received";
    char text[4096], wanted[256], *buf = memory_of(me, 1048576);
    meet(me);
    uint64_t count = counted(me, messages), sum = counted(me, bytes);
    for (int i = 0; i < 5; i++)
        CHECK_OK(me, sends ? sinew_send(world, buf, sizes[i], 0, 1, NULL)
                           : sinew_recv(world, buf, sizes[i], 1, 1, NULL, NULL));
    CHECK_EQ(me, counted(me, messages) - count, 5);
    CHECK_EQ(me, counted(me, bytes) - sum, 1165584);
    CHECK_OK(me, sinew_explain(world, 1 - me->rank, 8, text, sizeof(text), NULL));
    snprintf(wanted, sizeof(wanted), "sent %llu of %llu bytes, received %llu of %llu bytes",
             (unsigned long long)counted(me, "messages_sent"),
             (unsigned long long)counted(me, "bytes_sent"),
             (unsigned long long)counted(me, "messages_received"),
             (unsigned long long)counted(me, "bytes_received"));
    if (!strstr(text, wanted)) job_fail(me, __FILE__, __LINE__, "no \"%s\" in:\n%s", wanted, text);
    meet(me);
    leave(me);
}

/* Only one transport was allowed: the others are named with the reason. */
static void explain_names_the_rejected(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    char text[4096];
    CHECK_OK(me, sinew_explain(world, 1 - me->rank, 8, text, sizeof(text), NULL));
    const char *rejected = strcmp(me->transport, "shm") == 0 ? "tcp" : "shm";
    if (!strstr(text, rejected))
        job_fail(me, __FILE__, __LINE__, "no word of %s in:\n%s", rejected, text);
    meet(me);
    leave(me);
}

static void memory_is_zeroed_and_aligned(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    static const size_t size[] = { 1, 4096, 100001 };
    struct sinew_memory *memory[3] = { 0 };
    for (int i = 0; i < 3; i++) {
        CHECK_OK(me, sinew_memory_alloc(world, size[i], SINEW_RIGHT_READ | SINEW_RIGHT_WRITE,
                                        &memory[i]));
        char *at = sinew_memory_address(memory[i]);
        CHECK_EQ(me, (uintptr_t)at % 4096, 0);
        CHECK(me, sinew_memory_size(memory[i]) == size[i]);
        for (size_t b = 0; b < size[i]; b++) CHECK_EQ(me, at[b], 0);
        memset(at, 0x41, size[i]);
    }
    int other = (me->rank + 1) % me->size, from = (me->rank + me->size - 1) % me->size;
    char *in = memory_of(me, size[2]), *out = sinew_memory_address(memory[2]);
    job_fill(out, size[2], me->rank, other, 3);
    CHECK_OK(me, sinew_sendrecv(world, out, size[2], other, in, size[2], from, 0, NULL, NULL));
    CHECK_CONTENT(me, in, size[2], from, me->rank, 3);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(me, sinew_memory_free(&memory[i]));
        CHECK(me, memory[i] == NULL);
    }
    leave(me);
}

static void memory_in_use_is_busy(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    struct sinew_memory *memory = NULL;
    struct sinew_request *req = NULL;
    CHECK_OK(me, sinew_memory_alloc(world, 4096, SINEW_RIGHT_NONE, &memory));
    CHECK(me, sinew_recv(world, sinew_memory_address(memory), 4096, me->rank, 0, NULL, &req) > 0);
    CHECK_IS(me, sinew_memory_free(&memory), SINEW_EBUSY);
    CHECK_OK(me, sinew_cancel(req));
    CHECK_IS(me, sinew_wait(&req), SINEW_ECANCELED);
    CHECK_OK(me, sinew_memory_free(&memory));
    meet(me);
    leave(me);
}

/* Between its messages, and between its rounds, an operation uses it too. */
static void memory_of_an_operation_is_busy(struct job_rank *me)
{
    struct sinew_team *world = enter(me), *view = NULL;
    struct sinew_view_options how = SINEW_VIEW_OPTIONS_INIT;
    struct sinew_memory *memory = NULL;
    struct sinew_request *req = NULL;
    how.persistent = 1;
    CHECK_OK(me, sinew_team_view(world, &how, &view));
    CHECK_OK(me, sinew_memory_alloc(world, 4096, SINEW_RIGHT_NONE, &memory));
    int64_t *sum = sinew_memory_address(memory), one = 1;
    if (me->rank == 1) await_moving(me, 0, 1); /* rank 0 waits for it meanwhile */
    int rc = sinew_allreduce(world, &one, sum, 1, SINEW_I64, SINEW_SUM, &req);
    if (me->rank == 0) {
        CHECK(me, rc > 0);
        CHECK_IS(me, sinew_memory_free(&memory), SINEW_EBUSY);
        atomic_store(&me->words[0], 1);
    }
    CHECK_OK(me, sinew_wait(&req));
    CHECK_EQ(me, *sum, 2);
    CHECK_OK(me, sinew_recv(view, sum + 1, 8, me->rank, 0, NULL, &req));
    CHECK_IS(me, sinew_memory_free(&memory), SINEW_EBUSY);
    CHECK_OK(me, sinew_request_free(&req));
    CHECK_OK(me, sinew_send(view, sum + 2, 8, me->rank, 0, &req));
    CHECK_IS(me, sinew_memory_free(&memory), SINEW_EBUSY);
    CHECK_OK(me, sinew_request_free(&req));
    CHECK_OK(me, sinew_sendrecv(view, &one, 8, me->rank, sum, 8, me->rank, 0, NULL, &req));
    CHECK_IS(me, sinew_memory_free(&memory), SINEW_EBUSY);
    CHECK_OK(me, sinew_request_free(&req));
    CHECK_OK(me, sinew_memory_free(&memory));
    CHECK_OK(me, sinew_team_free(&view));
    leave(me);
}

/* Statuses as bits of an exit code: what the forked child saw. */
static int forked_child(struct job_rank *me, struct sinew_team *world)
{
    struct sinew_request *req = NULL;
    struct sinew_team *team = NULL;
    char c = 0;
    int wrong = 0;
    if (sinew_progress(me->s) != SINEW_ESTATE) wrong |= 1;
    if (sinew_send(world, &c, 1, (me->rank + 1) % me->size, 0, NULL) != SINEW_ESTATE) wrong |= 2;
    if (sinew_recv(world, &c, 1, 0, 0, NULL, &req) != SINEW_ESTATE) wrong |= 4;
    if (sinew_close(me->s) != SINEW_ESTATE) wrong |= 8;
    if (sinew_team_split(world, 0, 0, &team) != SINEW_ESTATE) wrong |= 16;
    if (sinew_barrier(world, NULL) != SINEW_ESTATE) wrong |= 32;
    sinew_abandon(me->s);
    return wrong;
}

static void forked_child_may_only_abandon(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    int to = (me->rank + 1) % me->size, from = (me->rank + me->size - 1) % me->size;
    for (uint64_t i = 0; i < 2; i++) {
        char in[16], out[16];
        job_fill(out, 16, me->rank, to, i);
        CHECK_OK(me, sinew_sendrecv(world, out, 16, to, in, 16, from, 0, NULL, NULL));
        CHECK_CONTENT(me, in, 16, from, me->rank, i);
        if (i == 1) break;
        int status = 0;
        pid_t child = fork();
        if (child == 0) _exit(forked_child(me, world));
        CHECK_EQ(me, waitpid(child, &status, 0), child);
        CHECK(me, WIFEXITED(status));
        CHECK_EQ(me, WEXITSTATUS(status), 0);
    }
    leave(me);
}

static void closed_peer_has_left(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    char c;
    if (me->rank == 0) {
        for (uint64_t i = 0; i < 50; i++) give(me, world, 200, 1, 0, i);
        leave(me);
        return;
    }
    for (uint64_t i = 0; i < 50; i++) take(me, world, 200, 0, 0, i);
    struct sinew_status status;
    CHECK_IS(me, sinew_recv(world, &c, 1, 0, 0, &status, NULL), SINEW_EPEER);
    check_why(me, "left");
    CHECK_EQ(me, status.code, SINEW_EPEER);
    CHECK_IS(me, sinew_recv(world, &c, 1, SINEW_ANY_RANK, 0, NULL, NULL), SINEW_EPEER);
    check_why(me, "left");
    CHECK_IS(me, sinew_send(world, &c, 1, 0, 0, NULL), SINEW_EPEER);
    int ranks[2] = { -1, -1 }, died[2] = { -1, -1 };
    CHECK_EQ(me, sinew_team_failed(world, ranks, died, 2), 1);
    CHECK_EQ(me, ranks[0], 0);
    CHECK_EQ(me, died[0], 0);
    CHECK_EQ(me, sinew_team_failed(world, NULL, NULL, 0), 1);
    char text[4096];
    CHECK_OK(me, sinew_explain(world, 0, 8, text, sizeof(text), NULL));
    CHECK(me, strstr(text, "nothing can be sent to it any more") != NULL);
    CHECK(me, !strstr(text, "will be used") && !strstr(text, "go at once"));
    leave(me);
}

static void two_contexts_in_one_process(struct job_rank *me)
{
    struct sinew *a = job_open(me, NULL), *b = job_open(me, NULL);
    int to = (me->rank + 1) % me->size, from = (me->rank + me->size - 1) % me->size;
    char in[2][32], out[2][32];
    struct sinew_request *req[2] = { 0 };
    for (uint64_t i = 0; i < 2; i++) {
        struct sinew_team *world = sinew_world(i ? b : a);
        job_fill(out[i], 32, me->rank, to, i);
        CHECK(me, sinew_sendrecv(world, out[i], 32, to, in[i], 32, from, 0, NULL, &req[i]) >= 0);
    }
    CHECK_OK(me, sinew_wait(&req[1]));
    CHECK_OK(me, sinew_wait(&req[0]));
    for (uint64_t i = 0; i < 2; i++) CHECK_CONTENT(me, in[i], 32, from, me->rank, i);
    CHECK_EQ(me, sinew_team_translate(sinew_world(a), 0, sinew_world(b)), SINEW_EINVAL);
    job_close(me, a);
    job_close(me, b);
}

const struct suite_case conformance_context[] = {
    { "sleeping in poll misses nothing", sleeping_in_poll_misses_nothing, 2, 2, SUITE_REAL, 0, 0,
      1 },
    { "counters exist and grow", counters_exist_and_grow, 1, 3, 0, 0, 0, 0 },
    { "explain names the choice", explain_names_the_choice, 2, 3, 0, 0, 0, 0 },
    { "explain knows who is alone", explain_knows_who_is_alone, 1, 1, 0, 0, 0, 0 },
    { "explain counts what users sent", explain_counts_what_users_sent, 2, 2, 0, 0, 0, 0 },
    { "explain names the rejected", explain_names_the_rejected, 2, 2, SUITE_REAL, 0, 0, 0 },
    { "memory is zeroed and aligned", memory_is_zeroed_and_aligned, 1, 3, 0, 0, 0, 0 },
    { "memory in use is busy", memory_in_use_is_busy, 1, 1, 0, 0, 0, 0 },
    { "memory of an operation is busy", memory_of_an_operation_is_busy, 2, 2, 0, 0, 0, 0 },
    { "a forked child may only abandon", forked_child_may_only_abandon, 1, 3,
      SUITE_REAL | SUITE_PROCESSES, 0, 0, 0 },
    { "a closed peer has left", closed_peer_has_left, 2, 2, 0, 0, 0, 0 },
    { "two contexts in one process", two_contexts_in_one_process, 1, 3, SUITE_REAL, 0, 0, 0 },
    SUITE_END,
};
