/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * instructions.c - what an 8-byte send and receive cost in instructions: blocking ones, the message
 * being there already, and those of a window, waited for together; or a rank's part in a collective
 * of two
 *
 *     instructions [most [most in a window]]
 *     instructions most barrier | allreduce
 *
 * The first: two ranks in one process over shared memory: one sends, then the other receives, in
 * one thread, so that nobody waits. Of a window the receives are posted before. The process is
 * traced by its parent, which steps it through the measured rounds one instruction at a time and
 * counts: exact, and the same on every run of one binary. (callgrind would do, but does not know
 * pidfd_open.) Fails when a round costs more than `most`.
 *
 * Of a collective the ranks are two processes, stepped in turns: so either finds the other's
 * message when it looks. What is counted is rank 0's.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sinew/sinew.h"
#include "tests/support/meeting.h"

enum { RANKS = 2, ROUNDS = 64, WINDOW = 32, WARM = 16 };

__attribute__((noinline)) void measured(struct rank *from, struct rank *to, int rounds);

__attribute__((noinline)) void measured(struct rank *from, struct rank *to, int rounds)
{
    struct sinew_team *a = sinew_world(from->s), *b = sinew_world(to->s);
    char out[8] = "message", in[8];
    int failed = 0;
    for (int i = 0; i < rounds; i++) {
        failed |= sinew_send(a, out, sizeof(out), 1, 7, NULL);
        failed |= sinew_recv(b, in, sizeof(in), 0, 7, NULL, NULL);
    }
    if (failed || memcmp(in, out, sizeof(out))) abort();
}

__attribute__((noinline)) void measured_window(struct rank *from, struct rank *to, int rounds);

__attribute__((noinline)) void measured_window(struct rank *from, struct rank *to, int rounds)
{
    struct sinew_team *a = sinew_world(from->s), *b = sinew_world(to->s);
    struct sinew_request *sends[WINDOW], *receives[WINDOW];
    char out[8] = "message", in[WINDOW][8];
    int failed = 0;
    for (int i = 0; i < rounds; i += WINDOW) {
        for (int k = 0; k < WINDOW; k++)
            failed |= sinew_recv(b, in[k], sizeof(in[k]), 0, 7, NULL, &receives[k]) < 0;
        for (int k = 0; k < WINDOW; k++)
            failed |= sinew_send(a, out, sizeof(out), 1, 7, &sends[k]);
        failed |= sinew_wait_all(sends, WINDOW, NULL, SINEW_FOREVER);
        failed |= sinew_wait_all(receives, WINDOW, NULL, SINEW_FOREVER);
    }
    if (failed || memcmp(in[WINDOW - 1], out, sizeof(out))) abort();
}

/* The first messages both ways: links come up only while both ranks progress. */
static void meet(struct rank ranks[RANKS])
{
    for (int from = 0; from < RANKS; from++) {
        struct sinew_request *send = NULL, *recv = NULL;
        char out = 1, in = 0;
        int to = 1 - from;
        if (sinew_send(sinew_world(ranks[from].s), &out, 1, to, 1, &send) < 0) abort();
        if (sinew_recv(sinew_world(ranks[to].s), &in, 1, from, 1, NULL, &recv) < 0) abort();
        while (send || recv)
            if (sinew_test(&send) < 0 || sinew_test(&recv) < 0) abort();
    }
}

enum { WAYS = 2 };

static void (*const measured_ways[WAYS])(struct rank *, struct rank *, int) = { measured,
                                                                                measured_window };

/* The traced half: stops before and after the measured rounds of each way. */
static int run(void)
{
    static struct meeting meeting;
    struct rank ranks[RANKS] = { { &meeting, { .rank = 0, .size = RANKS }, NULL, NULL },
                                 { &meeting, { .rank = 1, .size = RANKS }, NULL, NULL } };
    pthread_t thread;
    pthread_barrier_init(&meeting.barrier, NULL, RANKS);
    if (pthread_create(&thread, NULL, meeting_open, &ranks[1])) return 1;
    meeting_open(&ranks[0]);
    pthread_join(thread, NULL);
    if (!ranks[0].s || !ranks[1].s) return 1;
    meet(ranks);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL)) return 1;
    for (int way = 0; way < WAYS; way++) {
        measured_ways[way](&ranks[0], &ranks[1], ROUNDS); /* warm */
        raise(SIGSTOP);
        measured_ways[way](&ranks[0], &ranks[1], ROUNDS);
        raise(SIGSTOP);
    }
    sinew_abandon(ranks[0].s);
    sinew_abandon(ranks[1].s);
    return 0;
}

/* Goes on to the next SIGSTOP. Returns how often it stopped before, or < 0: it ended otherwise. */
static long steps_to_stop(pid_t child, enum __ptrace_request how)
{
    int status;
    for (long steps = 0;; steps++) {
        if (ptrace(how, child, NULL, NULL)) return -1;
        if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return -1;
        if (WSTOPSIG(status) == SIGSTOP) return steps;
    }
}

static bool count_steps(pid_t child, long steps[WAYS])
{
    int status;
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return false;
    for (int way = 0; way < WAYS; way++) {
        if (way > 0 && steps_to_stop(child, PTRACE_CONT) < 0) return false;
        steps[way] = steps_to_stop(child, PTRACE_SINGLESTEP);
        if (steps[way] < 0) return false;
    }
    return ptrace(PTRACE_CONT, child, NULL, NULL) == 0;
}

/* ---- a collective ---------------------------------------------------------------------------- */

static void collective(struct rank *r, const char *name, int rounds)
{
    struct sinew_team *world = sinew_world(r->s);
    double in = 1 + r->exchange.rank, out = 0;
    int failed = 0, adds = strcmp(name, "allreduce") == 0;
    for (int i = 0; i < rounds; i++)
        failed |= adds ? sinew_allreduce(world, &in, &out, 1, SINEW_F64, SINEW_SUM, NULL)
                       : sinew_barrier(world, NULL);
    if (failed || (adds && out != 3)) abort();
}

/* One of two traced ranks. */
static int run_rank(struct meeting *meeting, int rank, const char *name)
{
    struct rank r = { meeting, { .rank = rank, .size = RANKS }, NULL, NULL };
    meeting_open(&r);
    if (!r.s) return 1;
    for (int i = 0; i < WARM; i++) collective(&r, name, ROUNDS);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL)) return 1;
    raise(SIGSTOP);
    collective(&r, name, ROUNDS);
    raise(SIGSTOP);
    sinew_abandon(r.s);
    return 0;
}

/* One instruction; true: it stopped by itself, or is no more. */
static int step(pid_t child)
{
    int status;
    if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL)) return 1;
    return waitpid(child, &status, 0) != child || !WIFSTOPPED(status) ||
           WSTOPSIG(status) == SIGSTOP;
}

/* Both are stopped before the measured rounds: rank 0's instructions, < 0: not to be had. */
static long step_both(const pid_t child[RANKS])
{
    int status, done[RANKS] = { 0 };
    long steps = 0;
    for (int i = 0; i < RANKS; i++)
        if (waitpid(child[i], &status, 0) != child[i] || !WIFSTOPPED(status)) return -1;
    while (!done[0] || !done[1]) {
        for (int i = 0; i < RANKS; i++)
            if (!done[i]) done[i] = step(child[i]);
        if (!done[0]) steps++;
    }
    return steps;
}

static int count_collective(const char *name, long most)
{
    pthread_barrierattr_t shared;
    pid_t child[RANKS];
    struct meeting *meeting = mmap(NULL, sizeof(*meeting), PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (meeting == MAP_FAILED) return 1;
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&meeting->barrier, &shared, RANKS);
    for (int i = 0; i < RANKS; i++)
        if ((child[i] = fork()) == 0) _exit(run_rank(meeting, i, name));
    long steps = step_both(child);
    for (int i = 0; i < RANKS; i++) {
        kill(child[i], SIGKILL);
        waitpid(child[i], NULL, 0);
    }
    if (steps < 0) {
        fprintf(stderr, "instructions: a traced rank failed\n");
        return 1;
    }
    long each = (steps + ROUNDS / 2) / ROUNDS;
    printf("%s of 2 ranks over shm, a rank's part: %ld instructions, at most %ld\n", name, each,
           most);
    return most && each > most;
}

int main(int argc, char **argv)
{
    static const char *const names[WAYS] = { "message there", "in a window" };
    long steps[WAYS];
    bool too_many = false;
    int status = 0;
    bool names_one = argc > 2 && (argv[2][0] < '0' || argv[2][0] > '9');
    if (names_one) return count_collective(argv[2], atol(argv[1]));
    pid_t child = fork();
    if (child == 0) _exit(run());
    bool counted = child > 0 && count_steps(child, steps);
    waitpid(child, &status, 0);
    if (!counted || !WIFEXITED(status) || WEXITSTATUS(status)) {
        fprintf(stderr, "instructions: the traced half failed\n");
        return 1;
    }
    for (int way = 0; way < WAYS; way++) {
        long each = (steps[way] + ROUNDS / 2) / ROUNDS;
        long most = argc > 1 + way ? atol(argv[1 + way]) : 0;
        printf("8-byte send and receive over shm, %s: %ld instructions, at most %ld\n", names[way],
               each, most);
        too_many |= most && each > most;
    }
    return too_many;
}
