/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run_main.c - sinewrun: starts the ranks of a job, and ends with them
 *
 * How a job ends. The first failure decides sinewrun's exit status and is named. Then, unless told
 * to go on, the others are asked to end (SIGTERM), 0.2 s later if one is just leaving, which may be
 * the cause and still have to say so; and killed a second later; the same after a
 * time-out, an abort, SIGTERM or SIGHUP. Ctrl-C is passed on and given all the time; a second one
 * kills at once.
 *
 * A rank fails when its connection ends without a goodbye, but how is known only when its process
 * has ended, and that may be long after (sinew_abandon). The others are told soon; the job is not
 * ended before, unless others fail meanwhile: then it has a second more.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cores.h"
#include "launch/run.h"

/* A connection ends a moment before its process does: the process's end tells more. A moment; or,
 * where it is seen to be ending on a machine that has much else to do, as long as others can be
 * kept waiting. */
#define ORPHAN_NS 20000000LL
#define ORPHAN_ENDING_NS 500000000LL
/* Who has left the job and not ended yet may have something to say. */
#define LAST_WORDS_NS 200000000LL

/* After the last rank, what it left outside its process group may still hold a pipe open. */
enum { LINGER_MS = 1000 };

void run_say(struct run *run, const char *format, ...)
{
    char line[1024];
    va_list args;
    int head = snprintf(line, sizeof(line), "sinewrun: ");
    va_start(args, format);
    vsnprintf(line + head, sizeof(line) - (size_t)head - 1, format, args);
    va_end(args);
    size_t len = strlen(line);
    line[len++] = '\n';
    sink_add(run->err_sink, run, line, len);
}

void run_decide(struct run *run, int status)
{
    if (run->decided) return;
    run->decided = true;
    run->status = status;
}

static void run_kill(struct run *run)
{
    run->killed = true;
    run->kill_ns = INT64_MAX;
    children_signal(run, SIGKILL);
}

void run_stop(struct run *run)
{
    if (run->stopping) return;
    run->stopping = true;
    run->stop_ns = INT64_MAX;
    run->kill_ns = world_now(run->world) + RUN_SECOND;
    children_signal(run, SIGTERM);
    children_signal(run, SIGCONT);
}

/* --- what happened to ranks ------------------------------------------------------------------- */

static int exit_status(const struct launch_exit *how)
{
    if (how->flags & LAUNCH_SIGNAL) return 128 + how->code;
    return how->code ? how->code : RUN_STATUS_FAILED;
}

/* It has left the job, or its connection has ended, and it still runs: it may be about to say
 * why. */
static bool somebody_leaves(const struct run *run)
{
    for (int i = 0; i < run->options.ranks; i++) {
        const struct child *c = &run->children[i];
        if (c->pid > 0 && !c->ended && (c->left || c->orphaned_ns)) return true;
    }
    return false;
}

static struct child *child_of(struct run *run, int rank)
{
    int i = rank - run->options.first;
    return i >= 0 && i < run->options.ranks ? &run->children[i] : NULL;
}

/* What 127 is, which a loader or a shell says and Sinew never does. */
static const char *loader_hint(struct run *run, const struct launch_exit *how)
{
    const struct child *c = child_of(run, how->rank);
    if (!c || c->joined || exit_status(how) != 127) return "";
    return ": a shell has not found its command, or the loader a library; is libsinew.so's directory "
           "in LD_LIBRARY_PATH?";
}

/* A rank has failed, here or elsewhere. What fails while we stop the job is our own doing. Often
 * one fails because another did, and ends before that one could say what was wrong: it gets a
 * moment. */
static void run_failure(struct run *run, const struct launch_exit *how, const char *where)
{
    const struct child *first = run->first_orphan;
    bool awaited = first && !first->ended && !first->ending;
    bool is_first = first && first->ended && how->rank == first->rank;
    char text[160];
    if (run->stopping || run->interrupted || (run->stop_ns != INT64_MAX && !is_first)) return;
    launch_exit_text(how, text, sizeof(text));
    run_say(run, "%s%s%s%s", text, where, loader_hint(run, how),
            run->options.go_on ? "" : "; ending the job");
    if (!awaited)
        run_decide(run, exit_status(how));
    else if (!run->status_held)
        run->status_held = exit_status(how);
    if (!run->options.go_on && run->stop_ns == INT64_MAX)
        run->stop_ns = world_now(run->world) + (awaited ? RUN_SECOND : LAST_WORDS_NS);
}

static void on_left(void *arg, int rank)
{
    struct child *c = child_of(arg, rank);
    if (c) c->left = true;
}

static void on_exited(void *arg, const struct launch_exit *how)
{
    struct run *run = arg;
    if (how->flags & LAUNCH_FAILED) run_failure(run, how, " (on another host)");
}

static void on_aborted(void *arg, int status, const char *text)
{
    struct run *run = arg;
    if (!run->stopping) run_say(run, "the job was aborted: %s", text);
    /* 256 must not look like success. */
    run_decide(run, status && !(status & 0xff) ? RUN_STATUS_FAILED : status & 0xff);
    run_stop(run);
}

static void on_lost(void *arg, struct node_peer *peer)
{
    struct run *run = arg;
    struct child *c = peer->owner;
    if (!c) {
        run_rendezvous_lost(run, peer);
        return;
    }
    channel_close(&peer->channel);
    if (c->left || c->ended) return;
    c->orphaned_ns = world_now(run->world);
    c->tell_ns = c->orphaned_ns + ORPHAN_NS;
    if (!run->first_orphan) run->first_orphan = c;
}

const struct node_events run_events = {
    .left = on_left, .exited = on_exited, .aborted = on_aborted, .lost = on_lost
};

/* Connections that ended without a goodbye while their process went on: to the others it has died.
 * The job fails by it when it has ended. */
static void look_at_orphans(struct run *run, int64_t now)
{
    for (int i = 0; i < run->options.ranks; i++) {
        struct child *c = &run->children[i];
        if (c->orphaned_ns == 0 || c->ended || c->told || now < c->tell_ns) continue;
        bool is_ending = child_is_ending(c);
        if (c->tell_ns == c->orphaned_ns + ORPHAN_NS && is_ending) {
            c->tell_ns = c->orphaned_ns + ORPHAN_ENDING_NS;
            continue;
        }
        struct launch_exit how = { .rank = c->rank,
                                   .flags = LAUNCH_DIED | LAUNCH_LOST,
                                   .pid = (uint32_t)c->joined_pid };
        c->told = true;
        node_exit(&run->node, &how);
        if (!is_ending && !run->stopping && !run->interrupted)
            run_say(run, "rank %d (pid %d) has let go of the job without sinew_close and still runs: "
                    "to the others it has died; its exit status is awaited",
                    c->rank, (int)c->joined_pid);
    }
}

static void rank_ended(struct run *run, struct child *c)
{
    struct launch_exit how;
    child_reap(run, c, &how);
    if (how.flags & (LAUNCH_DIED | LAUNCH_FAILED)) node_exit(&run->node, &how);
    if (how.flags & LAUNCH_FAILED) run_failure(run, &how, "");
}

static void see_end(struct child *c)
{
    siginfo_t info = { 0 };
    c->ending = c->pid > 0 && !c->ended &&
                waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
                info.si_pid == c->pid;
    c->signalled = c->ending && info.si_code != CLD_EXITED;
}

/* What a rank said before it ended comes before its end: so first see who has, then listen to all,
 * then reap those, and no others that may have ended meanwhile. Which of them was first is not
 * known; who was killed by a signal is seldom so because another exited, and others often exit
 * because of it. */
static void reap(struct run *run)
{
    int ranks = run->options.ranks;
    for (int i = 0; i < ranks; i++) see_end(&run->children[i]);
    for (int i = 0; i < 64 && node_progress(&run->node, 1024) > 0; i++) continue;
    for (int i = 0; i < ranks; i++)
        if (run->children[i].signalled) rank_ended(run, &run->children[i]);
    for (int i = 0; i < ranks; i++)
        if (run->children[i].ending && !run->children[i].ended) rank_ended(run, &run->children[i]);
}

/* --- signals to sinewrun ---------------------------------------------------------------------- */

static void on_interrupt(struct run *run, int signal)
{
    if (run->interrupted) {
        run_say(run, "interrupted again: killing the ranks");
        run_kill(run);
        return;
    }
    run->interrupted = true;
    run_say(run, "interrupted: the ranks were asked to end, once more kills them");
    run_decide(run, 128 + signal);
    children_signal(run, signal);
}

static void on_stop_request(struct run *run)
{
    children_signal(run, SIGTSTP);
    raise(SIGSTOP);
    children_signal(run, SIGCONT);
}

static void on_signal(struct run *run)
{
    struct signalfd_siginfo info;
    while (read(run->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        int signal = (int)info.ssi_signo;
        switch (signal) {
        case SIGCHLD:
            reap(run);
            break;
        case SIGINT:
        case SIGQUIT:
            on_interrupt(run, signal);
            break;
        case SIGTSTP:
            on_stop_request(run);
            break;
        case SIGCONT: /* perhaps the terminal's input is ours again: the loop looks */
            break;
        default:
            run_decide(run, 128 + signal);
            run_stop(run);
        }
    }
}

/* What we were started to ignore stays ignored (nohup, background jobs of a script): blocked, it
 * would come all the same. But ends of children must not be lost. */
static int catch_signals(struct run *run)
{
    static const int caught[] = { SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT };
    struct sigaction now;
    sigset_t set;
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
        if (sigaction(caught[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            sigaddset(&set, caught[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return run->signals < 0 ? -1 : 0;
}

/* --- the loop --------------------------------------------------------------------------------- */

/* What poll() is asked, and who is told. Made anew before each poll from what everyone wants then.
 */
enum asker { ASK_SIGNALS, ASK_NODE, ASK_SINK, ASK_SOURCE, ASK_DOOR, ASK_INPUT, ASK_FEED };

struct questions {
    struct pollfd *fds;
    struct {
        enum asker asker;
        void *who;
    } * askers;
    int count;
};

static void ask(struct questions *q, int fd, short events, enum asker asker, void *who)
{
    if (fd < 0) return;
    q->fds[q->count] = (struct pollfd){ .fd = fd, .events = events };
    q->askers[q->count].asker = asker;
    q->askers[q->count++].who = who;
}

static void ask_source(struct questions *q, struct source *s)
{
    if (s->fd >= 0 && !sink_full(s->sink)) ask(q, s->fd, POLLIN, ASK_SOURCE, s);
}

/* The terminal's input is read only while we are its foreground: a job in the background is not
 * stopped for input that nobody asked for. */
static void ask_input(struct run *run, struct questions *q)
{
    struct feeder *f = &run->feeder;
    if (f->to < 0) return;
    if (f->at < f->len)
        ask(q, f->to, POLLOUT, ASK_FEED, f);
    else if (tcgetpgrp(STDIN_FILENO) == getpgrp())
        ask(q, STDIN_FILENO, POLLIN, ASK_INPUT, f);
}

static void ask_all(struct run *run, struct questions *q)
{
    q->count = 0;
    ask(q, run->signals, POLLIN, ASK_SIGNALS, run);
    ask(q, run->node.fd, POLLIN, ASK_NODE, run);
    if (sink_waits(&run->out)) ask(q, run->out.fd, POLLOUT, ASK_SINK, &run->out);
    if (sink_waits(&run->err)) ask(q, run->err.fd, POLLOUT, ASK_SINK, &run->err);
    ask_input(run, q);
    for (int i = 0; i < run->options.ranks; i++) {
        struct child *c = &run->children[i];
        ask(q, c->door, POLLIN, ASK_DOOR, c);
        ask_source(q, &c->out);
        ask_source(q, &c->err);
    }
}

static void answer(struct run *run, enum asker asker, void *who)
{
    switch (asker) {
    case ASK_SIGNALS:
        on_signal(run);
        break;
    case ASK_NODE:
        node_progress(&run->node, 1024);
        break;
    case ASK_SINK:
        sink_flush(who);
        break;
    case ASK_SOURCE:
        if (((struct source *)who)->fd >= 0) source_read(who);
        break;
    case ASK_DOOR:
        child_knocked(run, who);
        break;
    case ASK_INPUT:
        feeder_read(who);
        break;
    case ASK_FEED:
        feeder_write(who);
        break;
    }
}

static void on_timeout(struct run *run)
{
    char ranks[160], took[TEXT_DURATION_MAX];
    run->timeout_ns = INT64_MAX;
    if (run->running == 0 || run->stopping) return;
    children_running(run, ranks, sizeof(ranks));
    run_say(run, "time-out after %s; still running: rank %s",
            text_duration(run->options.timeout_ns, took), ranks);
    run_decide(run, RUN_STATUS_TIMEOUT);
    run_stop(run);
}

static void on_time(struct run *run)
{
    int64_t now = world_now(run->world);
    look_at_orphans(run, now);
    if (now >= run->stop_ns || (run->stop_ns != INT64_MAX && !somebody_leaves(run))) {
        run_decide(run, run->status_held);
        run_stop(run);
    }
    if (now >= run->timeout_ns) on_timeout(run);
    if (now >= run->setup_ns) run_rendezvous_late(run);
    if (now >= run->kill_ns) run_kill(run);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int milliseconds_left(const struct run *run)
{
    int64_t next =
        earlier(earlier(run->stop_ns, run->kill_ns), earlier(run->timeout_ns, run->setup_ns));
    for (int i = 0; i < run->options.ranks; i++) {
        const struct child *c = &run->children[i];
        if (c->orphaned_ns && !c->ended && !c->told)
            next = earlier(next, c->tell_ns);
    }
    if (next == INT64_MAX) return -1;
    int64_t left = next - world_now(run->world);
    if (left <= 0) return 0;
    return left > 1000000 * RUN_SECOND / 1000 ? 1000000 : (int)(left / 1000000 + 1);
}

static bool sources_ended(const struct run *run)
{
    for (int i = 0; i < run->options.ranks; i++)
        if (run->children[i].out.fd >= 0 || run->children[i].err.fd >= 0) return false;
    return true;
}

static void end_sources(struct run *run)
{
    for (int i = 0; i < run->options.ranks; i++) {
        source_end(&run->children[i].out);
        source_end(&run->children[i].err);
    }
}

/* Everything has been said, by everyone. */
static bool run_over(struct run *run)
{
    if (run->running > 0 || sink_waits(&run->out) || sink_waits(&run->err)) return false;
    return sources_ended(run) && run_rendezvous_over(run);
}

static void run_loop(struct run *run, struct questions *q)
{
    while (!run_over(run)) {
        /* A reader that pauses is no silence of the ranks: what they wrote is still to come. */
        bool lingers = run->running == 0 && !sources_ended(run) && !sink_full(&run->out) &&
                       !sink_full(&run->err);
        int patience = milliseconds_left(run);
        if (lingers && (patience < 0 || patience > LINGER_MS)) patience = LINGER_MS;
        ask_all(run, q);
        int ready = poll(q->fds, (nfds_t)q->count, patience);
        if (ready == 0 && lingers && patience == LINGER_MS) end_sources(run);
        for (int i = 0; ready > 0 && i < q->count; i++)
            if (q->fds[i].revents) answer(run, q->askers[i].asker, q->askers[i].who);
        on_time(run);
    }
}

/* --- from start to end ------------------------------------------------------------------------ */

static bool same_file(int a, int b)
{
    struct stat x, y;
    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* A rank costs four descriptors. */
static void raise_limits(struct run *run)
{
    getrlimit(RLIMIT_NOFILE, &run->files);
    struct rlimit most = { run->files.rlim_max, run->files.rlim_max };
    setrlimit(RLIMIT_NOFILE, &most);
}

static int run_init(struct run *run, struct questions *q)
{
    size_t ranks = (size_t)run->options.ranks, questions = 8 + 3 * ranks;
    run->world = &world_real;
    raise_limits(run);
    run->out.fd = STDOUT_FILENO;
    run->err.fd = STDERR_FILENO;
    run->err_sink = same_file(STDOUT_FILENO, STDERR_FILENO) ? &run->out : &run->err;
    run->feeder.to = -1;
    run->stop_ns = run->kill_ns = run->timeout_ns = run->setup_ns = INT64_MAX;
    run->children = calloc(ranks, sizeof(*run->children));
    q->fds = calloc(questions, sizeof(*q->fds));
    q->askers = calloc(questions, sizeof(*q->askers));
    if (!run->children || !q->fds || !q->askers) return -1;
    for (int i = 0; i < run->options.ranks; i++) {
        struct child *c = &run->children[i];
        c->rank = run->options.first + i;
        c->door = c->out.fd = c->err.fd = -1;
    }
    run->cores = cores_allowed();
    run->cores_name = cores_name();
    if (world_real.random(NULL, run->secret, sizeof(run->secret)) < 0) return -1;
    return node_init(&run->node, run->world, run->options.size, &run_events, run) < 0 ? -1 : 0;
}

static void start_children(struct run *run)
{
    for (int i = 0; i < run->options.ranks && !run->stopping; i++) {
        int status = child_start(run, &run->children[i]);
        if (status == 0) continue;
        source_end(&run->children[i].out);
        source_end(&run->children[i].err);
        run_decide(run, status);
        run_stop(run);
    }
    if (run->options.timeout_ns) run->timeout_ns = world_now(run->world) + run->options.timeout_ns;
}

static void run_end(struct run *run, struct questions *q)
{
    run_rendezvous_close(run);
    for (int i = 0; i < run->options.ranks; i++) {
        struct child *c = &run->children[i];
        if (c->peer.node && c->peer.channel.fd >= 0) {
            node_detach(&c->peer);
            channel_close(&c->peer.channel);
        }
        if (c->door >= 0) close(c->door);
    }
    keeper_end(&run->keeper);
    node_fini(&run->node);
    explicit_bzero(run->secret, sizeof(run->secret));
    close(run->signals);
    free(run->children);
    free(run->out.bytes);
    free(run->err.bytes);
    free(q->fds);
    free(q->askers);
}

/* Descriptors 0 to 2 exist, whatever we were started with: ours must not take their numbers. */
static void open_standard(void)
{
    int fd;
    while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO) {
    }
    if (fd > STDERR_FILENO) close(fd);
}

static int cannot_start(void)
{
    fprintf(stderr, "sinewrun: cannot start: %s\n", strerror(errno));
    return RUN_STATUS_FAILED;
}

int main(int argc, char **argv)
{
    struct run run = { 0 };
    struct questions q = { 0 };
    open_standard();
    int status = run_options_parse(&run.options, argc, argv);
    if (status >= 0) {
        run_options_release(&run.options);
        return status;
    }
    if (run_init(&run, &q) < 0) return cannot_start();
    /* Signals still end us here: there are no ranks yet to be asked first. */
    status = run_rendezvous_open(&run);
    if (catch_signals(&run) < 0 || keeper_start(&run.keeper) < 0) return cannot_start();
    if (status == 0) {
        start_children(&run);
    } else {
        run_decide(&run, status);
        run_stop(&run);
    }
    run_loop(&run, &q);
    run_end(&run, &q);
    run_options_release(&run.options);
    return run.status;
}
