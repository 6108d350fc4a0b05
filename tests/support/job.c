/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * job.c - what every rank of a test has, whatever it runs on
 *
 * The board is one anonymous shared mapping. In a simulation one rank runs at a time and the baton
 * orders all access to it; its barrier polls in virtual time, since a blocked thread would keep the
 * baton.
 */
#include "tests/support/job_board.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "transport/sim/sim.h"

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* ---- seeds and content ---------------------------------------------------------------------- */

uint64_t job_seed(void)
{
    static uint64_t seed;
    if (seed) return seed;
    const char *given = getenv("TEST_SEED");
    seed = given ? strtoull(given, NULL, 0) : 1;
    if (!seed) seed = 1;
    printf("TEST_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

int job_patience(void)
{
    const char *given = getenv("TEST_PATIENCE");
    int times = given ? atoi(given) : 1;
    return times < 1 ? 1 : times > 100 ? 100 : times;
}

uint64_t job_random(struct job_rank *me)
{
    return mix(me->random += 0x9e3779b97f4a7c15u);
}

uint64_t job_below(struct job_rank *me, uint64_t n)
{
    return job_random(me) % n;
}

static uint64_t content_word(uint64_t key, uint64_t i)
{
    uint64_t x = key + i * 0x9e3779b97f4a7c15u;
    return x ^ (x >> 29);
}

static uint64_t content_key(int source, int to, uint64_t sequence)
{
    return mix(mix((uint64_t)source << 32 | (uint32_t)to) + sequence);
}

void job_fill(void *buf, size_t len, int source, int to, uint64_t sequence)
{
    uint64_t key = content_key(source, to, sequence);
    char *at = buf;
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = content_word(key, i);
        memcpy(at + i, &word, len - i < 8 ? len - i : 8);
    }
}

size_t job_wrong(const void *buf, size_t len, int source, int to, uint64_t sequence)
{
    uint64_t key = content_key(source, to, sequence);
    const unsigned char *at = buf;
    for (size_t i = 0; i < len; i += 8) {
        size_t n = len - i < 8 ? len - i : 8;
        unsigned char want[8];
        uint64_t word = content_word(key, i);
        memcpy(want, &word, 8);
        if (memcmp(at + i, want, n) == 0) continue;
        for (size_t b = 0; b < n; b++)
            if (at[i + b] != want[b]) return i + b;
    }
    return len;
}

/* ---- failing ----------------------------------------------------------------------------------
 */

/* The first failure of all ranks is kept; later ones are mostly its echoes. */
void job_record(struct job_board *board, const char *format, ...)
{
    va_list args;
    if (atomic_exchange(&board->failing, 1)) return;
    va_start(args, format);
    vsnprintf(board->text, sizeof(board->text), format, args);
    va_end(args);
    atomic_store(&board->failed, 1);
}

void job_fail(struct job_rank *me, const char *file, int line, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    job_record(me->board, "%s:%d: rank %d of %d: %s%s%s", file, line, me->rank, me->size, text,
               me->s ? "\n    sinew_why: " : "", me->s ? me->why(me->s) : "");
    longjmp(me->end, 1);
}

void job_check_equal(struct job_rank *me, const char *file, int line, const char *what, int64_t got,
                     int64_t want)
{
    if (got == want) return;
    job_fail(me, file, line, "%s is %lld, not %lld", what, (long long)got, (long long)want);
}

void job_check_status(struct job_rank *me, const char *file, int line, const char *what, int got,
                      int want)
{
    if (got == want) return;
    job_fail(me, file, line, "%s gave %s (%d), not %s", what, sinew_strstatus(got), got,
             sinew_strstatus(want));
}

void job_check_content(struct job_rank *me, const char *file, int line, const void *buf, size_t len,
                       int source, int to, uint64_t sequence)
{
    size_t wrong = job_wrong(buf, len, source, to, sequence);
    if (wrong == len) return;
    job_fail(me, file, line, "byte %zu of %zu from %d to %d, message %llu, is wrong", wrong, len,
             source, to, (unsigned long long)sequence);
}

/* ---- time and each other ----------------------------------------------------------------------
 */

int64_t job_now(struct job_rank *me)
{
    struct timespec t;
    if (me->kind == JOB_SIM) return sim_now(me->sim);
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void job_pause(struct job_rank *me, int64_t ns)
{
    if (me->kind == JOB_SIM)
        sim_compute(me->sim, ns);
    else
        sched_yield();
}

void job_yield(struct job_rank *me)
{
    job_pause(me, 1000);
}

void job_await(struct job_rank *me, int word, int64_t value)
{
    int64_t pause = 1000;
    while (atomic_load(&me->words[word]) < value) {
        if (me->kind == JOB_SIM) {
            sim_compute(me->sim, pause);
            if (pause < 1000000) pause *= 2;
        } else {
            sched_yield();
        }
    }
}

void job_barrier(struct job_rank *me)
{
    struct job_board *board = me->board;
    if (me->kind != JOB_SIM) {
        pthread_barrier_wait(&board->barrier);
        return;
    }
    int64_t round = board->sim_arrived / me->size;
    int64_t pause = 1000;
    board->sim_arrived++;
    while (board->sim_arrived / me->size == round) {
        sim_compute(me->sim, pause);
        if (pause < 1000000) pause *= 2;
    }
}

void job_allgather(struct job_rank *me, const void *mine, size_t len, void *all)
{
    struct job_board *board = me->board;
    CHECK(me, len <= sizeof(board->records[0]));
    memcpy(board->records[me->rank], mine, len);
    job_barrier(me);
    for (int r = 0; r < me->size; r++)
        memcpy((char *)all + (size_t)r * len, board->records[r], len);
    job_barrier(me);
}

const unsigned char *job_secret(const struct job_rank *me)
{
    return me->board->secret;
}

/* ---- deaths that are meant ---------------------------------------------------------------------
 */

void job_kill(struct job_rank *me, int rank)
{
    atomic_store(&me->board->may_die[rank], 1);
    if (me->kind == JOB_SIM) {
        sim_crash(me->sim, rank);
        return;
    }
    CHECK_EQ(me, me->kind, JOB_PROCESSES);
    CHECK_EQ(me, kill((pid_t)atomic_load(&me->board->pid[rank]), SIGKILL), 0);
}

void job_stop(struct job_rank *me, int rank)
{
    CHECK_EQ(me, me->kind, JOB_PROCESSES);
    CHECK_EQ(me, kill((pid_t)atomic_load(&me->board->pid[rank]), SIGSTOP), 0);
}

void job_resume(struct job_rank *me, int rank)
{
    CHECK_EQ(me, kill((pid_t)atomic_load(&me->board->pid[rank]), SIGCONT), 0);
}

void job_exit(struct job_rank *me)
{
    atomic_store(&me->board->may_die[me->rank], 1);
    if (me->kind == JOB_SIM) sim_crash(me->sim, me->rank);
    if (me->kind == JOB_PROCESSES) _exit(0);
    job_fail(me, __FILE__, __LINE__, "a thread cannot exit alone");
}
