/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_JOB_H
#define TESTS_SUPPORT_JOB_H
/*
 * job.h - run N ranks of a test: simulated, as threads, or as processes
 *
 * A body is a function that every rank executes. A CHECK that fails records where, what and who in
 * a board that all ranks share, and ends that body; job_run() then ends the other ranks, prints the
 * first failure with the seed, and returns false.
 *
 *   JOB_SIM        sim_run(): a baton, virtual time, an order that depends on the seed alone
 *   JOB_THREADS    N threads of this process: what the thread sanitizer can see
 *   JOB_PROCESSES  N forked processes, which may be killed and stopped
 *
 * Threads cannot be ended from outside: a failure or the watchdog there ends the whole program.
 */
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sinew/sinew.h"

struct job_board;
struct sim_options;
struct sim_rank;

enum job_kind { JOB_SIM, JOB_THREADS, JOB_PROCESSES };

enum { JOB_RANKS_MAX = 17, JOB_WORDS = 64 };

struct job_options {
    enum job_kind kind;
    const char *transport; /* "sim", "shm", "tcp"                                       */
    int ranks;
    uint64_t seed;
    int timeout_s;                 /* of the watchdog, times job_patience(); 0: 50       */
    const struct sim_options *sim; /* for JOB_SIM; NULL: the defaults; ranks, seed are set */
    const void *arg;               /* the body's                                         */
    int round;                     /* for the body: how often this case was run before */
    bool tells_failures;           /* the exchange's `failed` reports dead processes     */
};

struct job_rank {
    int rank, size;
    enum job_kind kind;
    const char *transport;
    const void *arg;
    int round;
    struct sinew *s; /* the last one opened by job_open(): its text is printed on failure */
    const char *(*why)(struct sinew *s);
    struct sim_rank *sim; /* JOB_SIM only                                                      */
    struct job_board *board;
    _Atomic int64_t *words; /* JOB_WORDS of them, zero at first, shared by all ranks            */
    uint64_t random;
    uint32_t told; /* ranks whose death `failed` has reported */
    struct sinew_exchange exchange;
    jmp_buf end;
};

/* Run body on every rank. False after any failed CHECK, unexpected end or timeout; it was printed.
 */
bool job_run(const struct job_options *options, void (*body)(struct job_rank *me));

/* TEST_SEED, which ci/test takes from the commit, or 1; printed by the first call. */
uint64_t job_seed(void);

/* How many times as long as usual a test waits before it says "in vain": TEST_PATIENCE, 1
 * otherwise. An emulated machine needs more. No property may depend on it. */
int job_patience(void);

/* The words of a command line. job_kind_named: -1 for an unknown one. */
int job_kind_named(const char *word);

/* sinew_open() as this kind of rank does it; options NULL: the defaults. A failure fails the test.
 * Unless set by the caller: transports is the job's, settings are those of TEST_SETTINGS, the
 * environment is ignored otherwise, log lines go to
 * the board. */
struct sinew *job_open(struct job_rank *me, const struct sinew_options *options);
int job_try_open(struct job_rank *me, const struct sinew_options *options, struct sinew **s);
/* sinew_close(), which must succeed. */
void job_close(struct job_rank *me, struct sinew *s);

/* Out of band, over the board: wait for all ranks; give each len bytes (at most 64) of every rank.
 */
void job_barrier(struct job_rank *me);
void job_allgather(struct job_rank *me, const void *mine, size_t len, void *all);
/* Give others the processor; on sim, 1 us (or ns) of virtual time. For loops that wait on words. */
void job_yield(struct job_rank *me);
void job_pause(struct job_rank *me, int64_t ns);
/* Wait until words[word] >= value. */
void job_await(struct job_rank *me, int word, int64_t value);
int64_t job_now(struct job_rank *me);

/* The 32 bytes that all ranks share. */
const unsigned char *job_secret(const struct job_rank *me);

/* Deaths that the test means. job_kill: SIGKILL or sim_crash. job_expect_death: `rank` may end as
 * it likes. */
void job_kill(struct job_rank *me, int rank);
void job_stop(struct job_rank *me, int rank);   /* SIGSTOP; processes only */
void job_resume(struct job_rank *me, int rank); /* SIGCONT */
_Noreturn void job_exit(struct job_rank *me);   /* this rank is gone, with no goodbye */

/* Log lines that contexts of this rank have made so far, and whether one contains all of the words.
 */
int job_log_count(const struct job_rank *me, const char *containing);
const char *job_log_last(const struct job_rank *me);

/* Random numbers of this rank, from the seed. Below n, which is > 0. */
uint64_t job_random(struct job_rank *me);
uint64_t job_below(struct job_rank *me, uint64_t n);

/* Content that depends on who sent it to whom, and on its number. job_wrong: the first byte that is
 * not as job_fill made it, or len. */
void job_fill(void *buf, size_t len, int source, int to, uint64_t sequence);
size_t job_wrong(const void *buf, size_t len, int source, int to, uint64_t sequence);

_Noreturn void job_fail(struct job_rank *me, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void job_check_equal(struct job_rank *me, const char *file, int line, const char *what, int64_t got,
                     int64_t want);
void job_check_status(struct job_rank *me, const char *file, int line, const char *what, int got,
                      int want);
void job_check_content(struct job_rank *me, const char *file, int line, const void *buf, size_t len,
                       int source, int to, uint64_t sequence);

#define CHECK(me, expr) \
    ((expr) ? (void)0 : job_fail((me), __FILE__, __LINE__, "not true: %s", #expr))
#define CHECK_EQ(me, got, want) \
    job_check_equal((me), __FILE__, __LINE__, #got, (int64_t)(got), (int64_t)(want))
/* A call and the status it must return. */
#define CHECK_IS(me, call, want) job_check_status((me), __FILE__, __LINE__, #call, (call), (want))
#define CHECK_OK(me, call) CHECK_IS(me, call, SINEW_OK)
#define CHECK_CONTENT(me, buf, len, source, to, sequence) \
    job_check_content((me), __FILE__, __LINE__, (buf), (len), (source), (to), (sequence))

#endif
