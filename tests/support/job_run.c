/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * job_run.c - the three ways to run ranks, and their watchdog
 */
#include "tests/support/job_board.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "transport/sim/sim.h"

/* One job_run(): the board for the ranks, the rest for whoever started them. */
struct job {
    const struct job_options *options;
    void (*body)(struct job_rank *me);
    struct job_board *board;
    struct job_rank rank[JOB_RANKS_MAX];
    pid_t child[JOB_RANKS_MAX];
    int pidfd[JOB_RANKS_MAX]; /* -1 once it has ended */
};

int job_kind_named(const char *word)
{
    static const char *const names[] = { "sim", "threads", "processes" };
    for (int i = 0; i < 3; i++)
        if (strcmp(word, names[i]) == 0) return i;
    return -1;
}

static struct job_board *board_make(const struct job_options *o)
{
    pthread_barrierattr_t shared;
    struct job_board *board =
        mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED) return NULL;
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&board->barrier, &shared, (unsigned)o->ranks);
    pthread_barrierattr_destroy(&shared);
    for (size_t i = 0; i < sizeof(board->secret); i++)
        board->secret[i] = (unsigned char)(o->seed >> (i % 8 * 8) ^ i);
    board->tells_failures = o->tells_failures;
    return board;
}

/* Run the body; a failed CHECK comes back here by longjmp. */
static void rank_run(struct job *job, int r)
{
    const struct job_options *o = job->options;
    struct job_rank *me = &job->rank[r];
    me->rank = r;
    me->size = o->ranks;
    me->kind = o->kind;
    me->transport = o->transport;
    me->arg = o->arg;
    me->round = o->round;
    me->board = job->board;
    me->words = job->board->words;
    me->random = o->seed * 1000003 + (uint64_t)r;
    if (!setjmp(me->end)) job->body(me);
}

/* ---- simulated --------------------------------------------------------------------------------
 */

static void sim_body(struct sim_rank *sim, void *arg)
{
    struct job *job = arg;
    int r = sim_rank(sim);
    job->rank[r].sim = sim;
    rank_run(job, r);
    if (!atomic_load(&job->board->failed)) return;
    /* The others would wait for a rank that is gone. */
    for (int other = 0; other < job->options->ranks; other++)
        if (other != r) sim_crash(sim, other);
}

static void run_sim(struct job *job)
{
    struct sim_options o = { 0 };
    struct sim_result result = { 0 };
    if (job->options->sim) o = *job->options->sim;
    o.ranks = job->options->ranks;
    o.seed = job->options->seed;
    int status = sim_run(&o, sim_body, job, &result);
    if (status < 0)
        job_record(job->board, "sim_run gave %s: %s", sinew_strstatus(status), result.text);
}

/* ---- threads ----------------------------------------------------------------------------------
 */

struct thread_arg {
    struct job *job;
    int rank;
};

static void *thread_main(void *p)
{
    struct thread_arg *arg = p;
    rank_run(arg->job, arg->rank);
    atomic_fetch_add(&arg->job->board->returned, 1);
    return NULL;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void print_failure(const struct job *job)
{
    const struct job_options *o = job->options;
    fprintf(stderr, "%s\n    (%d ranks over %s, TEST_SEED=%llu)\n", job->board->text, o->ranks,
            o->transport, (unsigned long long)o->seed);
    for (int r = 0; r < o->ranks; r++) {
        const struct job_log *log = &job->board->log[r];
        if (log->count > 0)
            fprintf(stderr, "    rank %d's last line of %d: %s\n", r, log->count,
                    log->line[(log->count - 1) % JOB_LOG_LINES]);
    }
    fflush(stderr);
}

static void run_threads(struct job *job)
{
    struct thread_arg arg[JOB_RANKS_MAX];
    pthread_t thread[JOB_RANKS_MAX];
    int n = job->options->ranks, started = 0;
    int64_t until = now_ms() + 1000 * job->options->timeout_s;
    for (; started < n; started++) {
        arg[started] = (struct thread_arg){ job, started };
        if (pthread_create(&thread[started], NULL, thread_main, &arg[started])) break;
    }
    if (started < n) job_record(job->board, "pthread_create failed");
    while (atomic_load(&job->board->returned) < n && now_ms() < until) {
        if (atomic_load(&job->board->failed) && until > now_ms() + 500) until = now_ms() + 500;
        poll(NULL, 0, 1);
    }
    if (atomic_load(&job->board->returned) < n) {
        job_record(job->board, "the watchdog ended ranks that still ran after %d s",
                   job->options->timeout_s);
        print_failure(job);
        _exit(1);
    }
    for (int r = 0; r < started; r++) pthread_join(thread[r], NULL);
}

/* ---- processes --------------------------------------------------------------------------------
 */

static _Noreturn void child_main(struct job *job, int r, pid_t parent)
{
    static const int crashes[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    /* The harness catches these to go on with the next test, which is not for a child to do. */
    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++) signal(crashes[i], SIG_DFL);
    atomic_store(&job->board->pid[r], getpid());
    rank_run(job, r);
    /* exit, not _exit: so that a leak sanitizer has its say. */
    exit(atomic_load(&job->board->failed) ? 1 : 0);
}

static void child_ended(struct job *job, int r)
{
    int status = 0;
    pid_t pid;
    do pid = waitpid(job->child[r], &status, 0);
    while (pid < 0 && errno == EINTR);
    close(job->pidfd[r]);
    job->pidfd[r] = -1;
    atomic_store(&job->board->ended[r], 1);
    if (atomic_load(&job->board->may_die[r])) return;
    if (WIFSIGNALED(status))
        job_record(job->board, "rank %d was ended by signal %d", r, WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        job_record(job->board, "rank %d exited with %d", r, WEXITSTATUS(status));
}

/* Wait for one or more children to end. False: none did for a while. */
static bool children_wait(struct job *job, int timeout_ms)
{
    struct pollfd fd[JOB_RANKS_MAX];
    int n = job->options->ranks;
    for (int r = 0; r < n; r++) fd[r] = (struct pollfd){ job->pidfd[r], POLLIN, 0 };
    if (poll(fd, (nfds_t)n, timeout_ms) <= 0) return false;
    for (int r = 0; r < n; r++)
        if (fd[r].revents) child_ended(job, r);
    return true;
}

static int children_left(const struct job *job)
{
    int left = 0;
    for (int r = 0; r < job->options->ranks; r++) left += job->pidfd[r] >= 0;
    return left;
}

static void children_kill(struct job *job)
{
    for (int r = 0; r < job->options->ranks; r++) {
        if (job->pidfd[r] < 0) continue;
        atomic_store(&job->board->may_die[r], 1);
        kill(job->child[r], SIGKILL);
    }
}

static void run_processes(struct job *job)
{
    int n = job->options->ranks;
    int64_t until = now_ms() + 1000 * job->options->timeout_s;
    pid_t parent = getpid();
    fflush(NULL);
    for (int r = 0; r < n; r++) job->pidfd[r] = -1;
    for (int r = 0; r < n; r++) {
        job->child[r] = fork();
        if (job->child[r] == 0) child_main(job, r, parent);
        if (job->child[r] > 0) job->pidfd[r] = (int)syscall(SYS_pidfd_open, job->child[r], 0);
        if (job->child[r] < 0 || job->pidfd[r] < 0)
            job_record(job->board, "cannot start rank %d", r);
    }
    while (children_left(job) > 0) {
        if (atomic_load(&job->board->failed)) children_kill(job);
        children_wait(job, 100);
        if (now_ms() < until) continue;
        job_record(job->board, "the watchdog ended ranks that still ran after %d s",
                   job->options->timeout_s);
        children_kill(job);
    }
}

bool job_run(const struct job_options *options, void (*body)(struct job_rank *me))
{
    struct job_options o = *options;
    if (!o.timeout_s) o.timeout_s = 50;
    o.timeout_s *= job_patience();
    if (!o.seed) o.seed = job_seed();
    struct job *job = calloc(1, sizeof(*job));
    if (!job) return false;
    job->options = &o;
    job->body = body;
    job->board = board_make(&o);
    if (!job->board) {
        free(job);
        return false;
    }
    if (o.kind == JOB_SIM) run_sim(job);
    if (o.kind == JOB_THREADS) run_threads(job);
    if (o.kind == JOB_PROCESSES) run_processes(job);
    bool good = !atomic_load(&job->board->failed);
    if (!good) print_failure(job);
    munmap(job->board, sizeof(*job->board));
    free(job);
    return good;
}
