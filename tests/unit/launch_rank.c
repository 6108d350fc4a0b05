/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * launch_rank.c - a rank for the tests of launchers: joins the job, then does what its arguments
 * say, in order
 *
 *   fence            put, fence, and check the record of every rank
 *   say TEXT         "rank TEXT" and a newline, to standard output
 *   lines N L        N lines of L letters of its own
 *   cat              standard input to standard output
 *   only RANK        the next word and its argument count for that rank only
 *   await            wait for the next event of failed() and print it
 *   abort STATUS     end the job
 *   abandon          let go without a goodbye, and wait to be killed
 *   abandoned STATUS let go likewise, and exit 0.3 s later
 *   leave            close
 *   secret           prints it, and how many ranks are on this host
 *   spawn            runs this program again, as a grandchild of sinewrun that wants to join
 *   forked           a forked child closes its copy, which must not be noticed
 *   exit STATUS      at once, without leaving
 *   signal NUMBER    to itself
 *   held NUMBER      likewise, but it takes a while to end; exits with 77 where that cannot be
 *                    arranged
 *   sleep            until a signal
 *   ready FIFO       a line into the pipe: a test may go on
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/config.h"
#include "launch/launch.h"
#include "tests/support/bounded.h"

static int fail(const char *what, const struct why *why)
{
    fprintf(stderr, "launch_rank: %s: %s\n", what, why->text);
    return 1;
}

static size_t record_of(int rank, uint8_t *record)
{
    size_t len = (size_t)(rank * 7) % (LAUNCH_RECORD_MAX + 1);
    for (size_t i = 0; i < len; i++) record[i] = (uint8_t)(rank * 31 + (int)i);
    return len;
}

static int do_fence(struct launch *l, int64_t until)
{
    uint8_t mine[LAUNCH_RECORD_MAX], got[LAUNCH_RECORD_MAX];
    if (l->ops->put(l, mine, record_of(l->rank, mine)) < 0 || l->ops->fence(l, until) < 0)
        return fail("fence", &l->why);
    for (int rank = 0; rank < l->size; rank++) {
        int len = l->ops->get(l, rank, got);
        size_t expected = record_of(rank, mine);
        if (len != (int)expected || memcmp(mine, got, expected) != 0) {
            fprintf(stderr, "launch_rank: the record of rank %d has %d bytes or others\n", rank,
                    len);
            return 1;
        }
    }
    return 0;
}

static void do_lines(int rank, int count, int len)
{
    char *line = malloc((size_t)len + 1);
    memset(line, 'a' + rank, (size_t)len);
    line[len] = '\n';
    /* Written in pieces that end anywhere: the launcher has to put the lines together. */
    for (int i = 0; i < count; i++)
        for (int at = 0; at <= len;) {
            int piece = at + 1 + (i * 37 + at * 11) % 4096 > len + 1
                            ? len + 1 - at
                            : 1 + (i * 37 + at * 11) % 4096;
            ssize_t n = write(STDOUT_FILENO, line + at, (size_t)piece);
            if (n < 0) _exit(3);
            at += (int)n;
        }
    free(line);
}

static void do_cat(void)
{
    char bytes[4096];
    ssize_t n;
    while ((n = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0)
        if (write(STDOUT_FILENO, bytes, (size_t)n) < 0) _exit(3);
}

static int do_await(struct launch *l)
{
    int rank, rc;
    struct pollfd p = { .fd = l->fd, .events = POLLIN };
    while ((rc = l->ops->failed(l, &rank)) == 0)
        if (poll(&p, 1, 20000) == 0) return fail("await", &(struct why){ "no event came" });
    if (rc < 0)
        printf("%d gone: %s\n", l->rank, l->why.text);
    else
        printf("%d saw %d\n", l->rank, rank);
    fflush(stdout);
    return 0;
}

static void do_secret(const struct launch *l)
{
    for (int i = 0; i < LAUNCH_SECRET_LEN; i++) printf("%02x", l->secret[i]);
    printf(" %d %d\n", l->has_secret, l->ranks_here);
    fflush(stdout);
}

/* 0 when the other process could not join. */
static int do_spawn(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "launch-rank", "fence", (char *)NULL);
        _exit(0);
    }
    return waitpid(child, &status, 0) != child || status == 0;
}

static int do_forked(struct launch *l)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        l->ops->close(l);
        _exit(0);
    }
    return waitpid(child, &status, 0) != child || status != 0;
}

static int do_ready(const char *fifo)
{
    int fd = open(fifo, O_WRONLY | O_CLOEXEC);
    return fd < 0 || write(fd, "ready\n", 6) != 6 || close(fd) < 0;
}

/* A thread that has none of its process's descriptors. */
static void *live_on(void *arg)
{
    _Atomic pid_t *tid = arg;
    if (unshare(CLONE_FILES) == 0) close_range(STDERR_FILENO + 1, ~0U, 0);
    atomic_store(tid, gettid());
    while (pause()) continue;
    return NULL;
}

/* Stops the thread on its way out for a tenth of a second: everything its process had open is
 * closed then, and the process has not ended. */
static void hold(pid_t process, pid_t thread, int number)
{
    close_range(STDERR_FILENO + 1, ~0U, 0);
    if (ptrace(PTRACE_SEIZE, thread, 0, PTRACE_O_TRACEEXIT) < 0) _exit(77);
    kill(process, number);
    waitpid(thread, NULL, __WALL);
    poll(NULL, 0, 100);
    ptrace(PTRACE_DETACH, thread, 0, 0);
    _exit(0);
}

static void do_held(int number)
{
    static _Atomic pid_t thread;
    pthread_t other;
    int status = 0;
    pid_t me = getpid();
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    if (pthread_create(&other, NULL, live_on, &thread)) _exit(77);
    WHILE (!atomic_load(&thread)) sched_yield();
    pid_t holder = fork();
    if (holder == 0) hold(me, atomic_load(&thread), number);
    waitpid(holder, &status, 0);
    _exit(77);
}

static void do_abandoned(struct launch *l, int status)
{
    l->ops->abandon(l);
    poll(NULL, 0, 300);
    _exit(status);
}

static int words_of(const char *verb)
{
    static const char *const ones[] = { "say", "only", "abort", "abandoned", "exit", "signal",
                                      "held", "ready" };
    if (strcmp(verb, "lines") == 0) return 2;
    for (size_t i = 0; i < sizeof(ones) / sizeof(ones[0]); i++)
        if (strcmp(verb, ones[i]) == 0) return 1;
    return 0;
}

static int do_verb(struct launch **l, int64_t until, char **argv)
{
    const char *verb = argv[0];
    if (strcmp(verb, "fence") == 0) return do_fence(*l, until);
    if (strcmp(verb, "await") == 0) return do_await(*l);
    if (strcmp(verb, "secret") == 0) do_secret(*l);
    if (strcmp(verb, "spawn") == 0) return do_spawn();
    if (strcmp(verb, "forked") == 0) return do_forked(*l);
    if (strcmp(verb, "ready") == 0) return do_ready(argv[1]);
    if (strcmp(verb, "say") == 0)
        return printf("%d %s\n", (*l)->rank, argv[1]) < 0 || fflush(stdout);
    if (strcmp(verb, "lines") == 0) do_lines((*l)->rank, atoi(argv[1]), atoi(argv[2]));
    if (strcmp(verb, "cat") == 0) do_cat();
    if (strcmp(verb, "exit") == 0) _exit(atoi(argv[1]));
    if (strcmp(verb, "signal") == 0) raise(atoi(argv[1]));
    if (strcmp(verb, "held") == 0) do_held(atoi(argv[1]));
    if (strcmp(verb, "abandoned") == 0) do_abandoned(*l, atoi(argv[1]));
    if (strcmp(verb, "abort") == 0 && (*l)->ops->abort(*l, atoi(argv[1]), "enough") < 0)
        return fail("abort", &(*l)->why);
    int dead;
    if (strcmp(verb, "abort") == 0 && (*l)->ops->failed(*l, &dead) < 0)
        return fail("told of its own abort", &(*l)->why);
    if (strcmp(verb, "abandon") == 0) (*l)->ops->abandon(*l);
    if (strcmp(verb, "leave") == 0) (*l)->ops->close(*l);
    if (strcmp(verb, "leave") == 0 || strcmp(verb, "abandon") == 0) *l = NULL;
    if (strcmp(verb, "sleep") == 0 || strcmp(verb, "abort") == 0 || strcmp(verb, "abandon") == 0)
        for (;;) pause();
    return 0;
}

int main(int argc, char **argv)
{
    struct launch *l;
    struct why why = { "" };
    struct config config;
    config_load(&config, NULL, environ, NULL, NULL, &why);
    int64_t until = world_now(&world_real) + config.setup_deadline;
    int rc = launch_open(&world_real, &config, NULL, until, &l, &why);
    if (rc < 0) return fail(sinew_strstatus(rc), &why);
    int me = l->rank;
    for (int i = 1; i < argc;) {
        bool mine = true;
        if (strcmp(argv[i], "only") == 0 && i + 2 < argc) {
            mine = atoi(argv[i + 1]) == me;
            i += 2;
        }
        if (i + words_of(argv[i]) >= argc)
            return fail(argv[i], &(struct why){ "argument missing" });
        if (mine && do_verb(&l, until, argv + i)) return 1;
        i += 1 + words_of(argv[i]);
    }
    if (l) l->ops->close(l);
    return 0;
}
