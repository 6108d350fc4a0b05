/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_BOUNDED_H
#define TESTS_SUPPORT_BOUNDED_H
/*
 * bounded.h - no test waits for ever
 *
 *   WHILE (a.peers[1].ups == 0) end_progress(&a);
 *
 * A loop that goes on for BOUNDED_SECONDS, times TEST_PATIENCE, ends the program and says where,
 * and what did not change. It may stand in any thread and in a forked child, in which a failed
 * assertion of cmocka would begin the next test.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { BOUNDED_SECONDS = 30 };

static inline int64_t bounded_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int64_t bounded_until(void)
{
    const char *patience = getenv("TEST_PATIENCE");
    int64_t times = patience && atoi(patience) > 0 ? atoi(patience) : 1;
    return bounded_now_ns() + times * BOUNDED_SECONDS * INT64_C(1000000000);
}

/* True until the time, which the first call sets, is over. */
static inline bool bounded_go_on(int64_t *until, const char *file, int line, const char *condition)
{
    if (*until == 0) *until = bounded_until();
    if (bounded_now_ns() < *until) return true;
    fflush(stdout);
    fprintf(stderr, "%s:%d: in vain: for %d s and longer this did not end: %s\n", file, line,
            BOUNDED_SECONDS, condition);
    _exit(1);
}

#define BOUNDED_PASTE(a, b) a##b
#define BOUNDED_NAME(line) BOUNDED_PASTE(bounded_, line)
#define WHILE(condition)                                                              \
    for (int64_t BOUNDED_NAME(__LINE__) = 0;                                          \
         (condition) &&                                                               \
         bounded_go_on(&BOUNDED_NAME(__LINE__), __FILE__, __LINE__, #condition);)

/* In a forked child: it goes when its parent does, or has gone. */
static inline void bounded_child(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* again after setuid(), which forgets it */
    if (getppid() != parent) _exit(1);
}

static inline pid_t bounded_fork(void)
{
    pid_t parent = getpid(), child = fork();
    if (child == 0) bounded_child(parent);
    return child;
}

#endif
