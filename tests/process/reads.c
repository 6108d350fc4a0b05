/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reads.c - long messages read out of the sender's memory: the reading refused, the sender killed
 * or giving up meanwhile
 */
#include "tests/process/cases.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { LEN = 3 << 20 };

static struct sinew_team *open_reading(struct job_rank *me)
{
    struct sinew_options o = SINEW_OPTIONS_INIT;
    o.settings = "shm_read_bytes=0";
    return sinew_world(job_open(me, &o));
}

static uint64_t count_read(struct job_rank *me)
{
    uint64_t n = 0;
    CHECK_OK(me, sinew_counter(me->s, "rendezvous_read", &n));
    return n;
}

/* From here on this process's process_vm_readv() fails as a strict sandbox's would. */
static void refuse_reading(struct job_rank *me, int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };
    CHECK(me, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(me, prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
}

static void explains(struct job_rank *me, struct sinew_team *world, const char *words)
{
    char text[4096];
    CHECK_OK(me, sinew_explain(world, 1 - me->rank, LEN, text, sizeof(text), NULL));
    if (!strstr(text, words))
        job_fail(me, __FILE__, __LINE__, "no word of \"%s\" in: %s", words, text);
}

/* Rank 1 may not read from the start, or (round 1) no longer: everything arrives all the same. */
static void reading_is_refused(struct job_rank *me)
{
    bool later = me->round % 2 == 1;
    if (me->rank == 1 && !later) refuse_reading(me, me->round == 0 ? EPERM : ENOSYS);
    struct sinew_team *world = open_reading(me);
    meet_all(me, world);
    for (uint64_t i = 0; i < 6; i++) {
        if (me->rank == 1 && later && i == 3) {
            CHECK_EQ(me, count_read(me), 3);
            refuse_reading(me, EPERM);
        }
        if (me->rank == 0) {
            give(me, world, LEN + i, 1, i);
            take(me, world, LEN - i, 1, i);
        } else {
            take(me, world, LEN + i, 0, i);
            give(me, world, LEN - i, 0, i);
        }
    }
    CHECK_EQ(me, count_read(me), me->rank == 0 ? 6 : later ? 3 : 0);
    if (me->rank == 1) explains(me, world, "process_vm_readv");
    job_barrier(me); /* the link is told of while it is there */
    job_close(me, me->s);
}

/* What was received whole is whole; anything else is EPEER, soon. */
static void killed_while_it_is_read(struct job_rank *me)
{
    struct sinew_team *world = open_reading(me);
    struct sinew_memory *memory = NULL;
    enum { MANY = 200 };
    int64_t began = 0;
    meet_all(me, world);
    if (me->rank == 0) {
        char *buf = malloc(LEN);
        if (me->round % 2) {
            free(buf);
            CHECK_OK(me, sinew_memory_alloc(world, LEN, 0, &memory));
            buf = sinew_memory_address(memory);
        }
        for (uint64_t i = 0;; i++) {
            job_fill(buf, LEN, 0, 1, i);
            CHECK_OK(me, sinew_send(world, buf, LEN, 1, 0, NULL));
        }
    }
    char *buf = malloc(LEN);
    uint64_t victim = 1 + job_below(me, 12);
    for (uint64_t i = 0; i < MANY; i++) {
        struct sinew_request *req = NULL;
        int status = sinew_recv(world, buf, LEN, 0, 0, NULL, &req);
        CHECK(me, status >= 0 || status == SINEW_EPEER);
        if (i == victim) {
            for (uint64_t n = job_below(me, 40); n > 0; n--) CHECK(me, sinew_progress(me->s) >= 0);
            began = job_now(me);
            job_kill(me, 0);
        }
        if (status > 0) status = sinew_wait(&req);
        if (status == SINEW_EPEER) break;
        CHECK_OK(me, status);
        CHECK_CONTENT(me, buf, LEN, 0, 1, i);
        CHECK(me, i <= victim + 1);
    }
    CHECK(me, began > 0 && job_now(me) - began < 1500 * MS);
    check_why(me, "died");
    free(buf);
    job_close(me, me->s);
}

/* A send whose deadline has passed ends at once, and its buffer is the sender's: whoever comes to
 * read it then gets nothing of it. */
static void given_up_before_it_is_read(struct job_rank *me)
{
    struct sinew_team *world = open_reading(me);
    meet_all(me, world);
    if (me->rank == 0) {
        struct sinew_view_options how = SINEW_VIEW_OPTIONS_INIT;
        struct sinew_team *hasty = NULL;
        how.deadline = 20 * MS;
        CHECK_OK(me, sinew_team_view(world, &how, &hasty));
        char *buf = malloc(LEN);
        job_fill(buf, LEN, 0, 1, 1);
        CHECK_IS(me, sinew_send(hasty, buf, LEN, 1, 0, NULL), SINEW_ETIMEDOUT);
        memset(buf, 0, LEN);
        CHECK_OK(me, sinew_team_free(&hasty));
        atomic_store(&me->words[1], 1);
        give(me, world, LEN, 1, 2);
        free(buf); /* not before: it can still be read, and must not be believed */
        job_close(me, me->s);
        return;
    }
    job_await(me, 1, 1); /* it computes meanwhile */
    char *buf = malloc(LEN);
    CHECK_IS(me, sinew_recv(world, buf, LEN, 0, 0, NULL, NULL), SINEW_ECANCELED);
    free(buf);
    take(me, world, LEN, 0, 2);
    CHECK_EQ(me, count_read(me), 1);
    job_close(me, me->s);
}

/* Shared memory above the limit would be a signal: what comes instead serves as well. */
static void memory_beyond_the_limits_is_ordinary_memory(struct job_rank *me)
{
    struct rlimit limit = { 1 << 20, 1 << 20 };
    CHECK(me, setrlimit(RLIMIT_FSIZE, &limit) == 0);
    struct sinew_options o = SINEW_OPTIONS_INIT;
    o.settings = "log_level=3";
    struct sinew_team *world = sinew_world(job_open(me, &o));
    struct sinew_memory *memory = NULL;
    meet_all(me, world);
    CHECK_OK(me, sinew_memory_alloc(world, LEN, 0, &memory));
    CHECK_EQ(me, job_log_count(me, "come from the heap"), 1);
    char *buf = sinew_memory_address(memory);
    for (uint64_t i = 0; i < 4; i++) {
        if (me->rank == 0) {
            job_fill(buf, LEN, 0, 1, i);
            CHECK_OK(me, sinew_send(world, buf, LEN, 1, 0, NULL));
        } else {
            CHECK_OK(me, sinew_recv(world, buf, LEN, 0, 0, NULL, NULL));
            CHECK_CONTENT(me, buf, LEN, 0, 1, i);
        }
    }
    CHECK_OK(me, sinew_memory_free(&memory));
    job_close(me, me->s);
}

const struct suite_case process_reads[] = {
    { "reading is refused", reading_is_refused, 2, 2, SUITE_PROCESSES | SUITE_REAL, 0, 0, 3 },
    { "killed while it is read", killed_while_it_is_read, 2, 2, SUITE_PROCESSES | SUITE_REAL, 0, 0,
      20 },
    { "memory beyond the limits is ordinary memory", memory_beyond_the_limits_is_ordinary_memory, 2,
      2, SUITE_PROCESSES | SUITE_REAL, 0, 0, 0 },
    { "given up before it is read", given_up_before_it_is_read, 2, 2, SUITE_REAL, 0, 0, 2 },
    SUITE_END,
};
