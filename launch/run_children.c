/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run_children.c - the ranks' processes
 *
 * Every rank leads a process group, so that a signal reaches what a shell in it started, and dies
 * with sinewrun twice over: by the keeper, and by the parent-death signal should the keeper be
 * killed first.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/wire.h"
#include "launch/run.h"
#include "launch/welcome.h"

/* The child's ends of everything; all close-on-exec. */
struct ends {
    int in, out, err, door, report;
};

/* --- in the child ----------------------------------------------------------------------------- */

static void bind_core(int rank)
{
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0) return;
    int nth = rank % CPU_COUNT(&allowed);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || nth-- > 0) continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof(one), &one);
        return;
    }
}

static void set_number(const char *name, int value)
{
    char text[16];
    snprintf(text, sizeof(text), "%d", value);
    setenv(name, text, 1);
}

static void set_environment(const struct run *run, const struct child *c, int door)
{
    const struct run_options *o = &run->options;
    struct stat is;
    char text[64];
    fstat(door, &is);
    snprintf(text, sizeof(text), "%d:%llu", door, (unsigned long long)is.st_ino);
    setenv("SINEW_LAUNCH_FD", text, 1);
    set_number("SINEW_RANK", c->rank);
    set_number("SINEW_SIZE", o->size);
    unsetenv("SINEW_RENDEZVOUS");
    unsetenv("SINEW_SECRET_FILE");
    for (int i = 0; i < o->environment_len; i++) putenv(o->environment[i]);
}

static void restore_process(const struct run *run)
{
    sigset_t none;
    setrlimit(RLIMIT_NOFILE, &run->files);
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Never returns: the command runs, or errno goes through the report pipe. */
static void child_become(const struct run *run, const struct child *c, const struct ends *e,
                         pid_t parent)
{
    char *const *command = run->options.command;
    setpgid(0, 0);
    keeper_add(&run->keeper, getpid());
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(RUN_STATUS_FAILED);
    if (run->options.bind) bind_core(c->rank - run->options.first);
    set_environment(run, c, e->door);
    fcntl(e->door, F_SETFD, 0);
    dup2(e->in, STDIN_FILENO);
    dup2(e->out, STDOUT_FILENO);
    dup2(e->err, STDERR_FILENO);
    restore_process(run);
    execvp(command[0], command);
    int reason = errno;
    if (write(e->report, &reason, sizeof(reason)) < 0) _exit(RUN_STATUS_MISSING);
    _exit(RUN_STATUS_MISSING);
}

/* --- starting --------------------------------------------------------------------------------- */

static void close_all(int *fds, int count)
{
    for (int i = 0; i < count; i++)
        if (fds[i] > STDERR_FILENO) close(fds[i]);
}

/* Rank 0 gets standard input itself, so that it reads no more of it than it wants; only a
 * terminal's goes through a pipe, because the rank's process group is not the terminal's
 * foreground. */
static int open_input(struct run *run, const struct child *c, int *end)
{
    int ends[2];
    if (c->rank != 0) return *end = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (!isatty(STDIN_FILENO)) return *end = STDIN_FILENO;
    if (pipe2(ends, O_CLOEXEC) < 0) return -1;
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    run->feeder.to = ends[1];
    return *end = ends[0];
}

static int open_output(struct run *run, struct source *s, int rank, struct sink *sink, int *end)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return -1;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *end = ends[1];
    s->fd = ends[0];
    s->sink = sink;
    s->whole = run->options.prefix || run->options.ranks > 1;
    if (run->options.prefix) snprintf(s->prefix, sizeof(s->prefix), "[%d] ", rank);
    return 0;
}

static int open_ends(struct run *run, struct child *c, struct ends *e, int *report)
{
    int door[2], reports[2];
    if (open_input(run, c, &e->in) < 0) return -1;
    if (open_output(run, &c->out, c->rank, &run->out, &e->out) < 0) return -1;
    if (open_output(run, &c->err, c->rank, run->err_sink, &e->err) < 0) return -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, door) < 0) return -1;
    c->door = door[0];
    fcntl(c->door, F_SETFL, O_NONBLOCK);
    e->door = door[1];
    if (pipe2(reports, O_CLOEXEC) < 0) return -1;
    *report = reports[0];
    e->report = reports[1];
    return 0;
}

/* The report pipe ends when the command runs. 0, or its errno. */
static int await_report(int report)
{
    int reason = 0;
    ssize_t n;
    while ((n = read(report, &reason, sizeof(reason))) < 0 && errno == EINTR) {
    }
    close(report);
    return n == (ssize_t)sizeof(reason) ? reason : 0;
}

static int cannot_run(struct run *run, struct child *c, int reason)
{
    const char *name = run->options.command[0];
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    keeper_drop(&run->keeper, c->pid);
    c->pid = 0;
    run_say(run, "cannot run \"%s\": %s%s", name, strerror(reason),
            reason == ENOENT && !strchr(name, '/')
                ? " (looked for in PATH; a program here is ./NAME)"
                : "");
    return reason == ENOENT ? RUN_STATUS_MISSING : RUN_STATUS_CANNOT_RUN;
}

int child_start(struct run *run, struct child *c)
{
    struct ends e = { -1, -1, -1, -1, -1 };
    int report = -1;
    pid_t parent = getpid();
    if (open_ends(run, c, &e, &report) < 0 || (c->pid = fork()) < 0) {
        int reason = errno;
        close_all((int[]){ e.in, e.out, e.err, e.door, e.report, report }, 6);
        c->pid = 0;
        run_say(run, "cannot start rank %d: %s (see ulimit -n and -u)", c->rank, strerror(reason));
        return RUN_STATUS_FAILED;
    }
    if (c->pid == 0) child_become(run, c, &e, parent);
    setpgid(c->pid, c->pid);
    close_all((int[]){ e.in, e.out, e.err, e.door, e.report }, 5);
    int reason = await_report(report);
    if (reason) return cannot_run(run, c, reason);
    run->running++;
    return 0;
}

/* --- the door --------------------------------------------------------------------------------- */

/* The stream that came with a knock, or -1. */
static int door_receive(int door, bool *closed)
{
    uint8_t knock[LAUNCH_DOOR_LEN];
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec iov = { knock, sizeof(knock) };
    struct msghdr message = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = control.space,
                              /* CMSG_SPACE would take in a second descriptor, and lose it. */
                              .msg_controllen = CMSG_LEN(sizeof(int)) };
    int fd = -1;
    ssize_t n = recvmsg(door, &message, MSG_CMSG_CLOEXEC);
    *closed = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
    if (n <= 0) return -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    if (fd >= 0 && n == (ssize_t)sizeof(knock) &&
        memcmp(knock, launch_door_magic, sizeof(launch_door_magic)) == 0 &&
        wire_get32(knock + sizeof(launch_door_magic)) == LAUNCH_DOOR_VERSION)
        return fd;
    if (fd >= 0) close(fd);
    return -1;
}

static bool is_stream(int fd)
{
    int domain = 0, type = 0;
    socklen_t len = sizeof(domain);
    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
    len = sizeof(type);
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
    return domain == AF_UNIX && type == SOCK_STREAM;
}

static void refuse(struct run *run, const struct child *c, struct channel *s)
{
    char text[320];
    int len = snprintf(text, sizeof(text),
                       "rank %d has been taken by pid %d, which %s: one process per rank, once. A "
                       "second context, or one after the first was closed, is joined by an exchange "
                       "of the program's own (sinew_options.exchange)",
                       c->rank, (int)c->joined_pid, c->left ? "has left again" : "is in the job");
    (void)run;
    channel_send(s, LAUNCH_REFUSE, text, (size_t)len);
    channel_close(s);
}

static void welcome(struct run *run, struct child *c)
{
    struct welcome w = {
        .rank = c->rank, .size = run->options.size, .here = run->options.ranks,
        .cores = run->cores, .cores_name = run->cores_name, .has_secret = true
    };
    uint8_t payload[LAUNCH_PAYLOAD_MAX];
    memcpy(w.secret, run->secret, sizeof(w.secret));
    channel_send(&c->peer.channel, LAUNCH_WELCOME, payload, welcome_encode(&w, payload));
    explicit_bzero(payload, sizeof(payload));
    explicit_bzero(&w, sizeof(w));
}

void child_knocked(struct run *run, struct child *c)
{
    bool closed;
    struct ucred who = { 0 };
    socklen_t len = sizeof(who);
    int fd = door_receive(c->door, &closed);
    if (closed) {
        close(c->door);
        c->door = -1;
    }
    if (fd < 0) return;
    if (!is_stream(fd) || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0) {
        close(fd);
        return;
    }
    if (c->joined) {
        struct channel s;
        channel_init(&s, run->world, fd, LAUNCH_OUT_LIMIT);
        refuse(run, c, &s);
        return;
    }
    c->joined = true;
    c->joined_pid = who.pid;
    channel_init(&c->peer.channel, run->world, fd, LAUNCH_OUT_LIMIT);
    c->peer.first = c->rank;
    c->peer.count = 1;
    c->peer.owner = c;
    welcome(run, c);
    node_attach(&run->node, &c->peer);
}

/* --- signals and ends ------------------------------------------------------------------------- */

void children_signal(struct run *run, int signal)
{
    for (int i = 0; i < run->options.ranks; i++) {
        const struct child *c = &run->children[i];
        if (c->pid > 0 && !c->ended) kill(-c->pid, signal);
    }
}

/* The kernel closes what a process had open before it says that it has ended. /proc/PID/stat has,
 * behind the name in parentheses, the state, five numbers, and the flags of
 * include/linux/sched.h. */
bool child_is_ending(const struct child *c)
{
    enum { EXITING = 4 };
    char path[32], text[512];
    pid_t pid = c->joined_pid > 0 ? c->joined_pid : c->pid;
    unsigned flags = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0) return n < 0 && errno == ESRCH;
    text[n] = '\0';
    const char *behind = strrchr(text, ')');
    if (!behind || sscanf(behind, ") %*c %*d %*d %*d %*d %*d %u", &flags) != 1) return false;
    return flags & EXITING;
}

void child_reap(struct run *run, struct child *c, struct launch_exit *how)
{
    int status = 0;
    /* What it left behind in its group goes with it. Until it is reaped the group is certainly its
     * own. */
    kill(-c->pid, SIGKILL);
    keeper_drop(&run->keeper, c->pid);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) {
    }
    c->ended = true;
    run->running--;
    bool signalled = WIFSIGNALED(status);
    how->rank = c->rank;
    how->pid = (uint32_t)c->pid;
    how->code = (uint8_t)(signalled ? WTERMSIG(status) : WEXITSTATUS(status));
    how->flags = 0;
    if (signalled) how->flags |= LAUNCH_SIGNAL;
    if (!c->left) how->flags |= LAUNCH_DIED;
    if (how->code || (c->joined && !c->left)) how->flags |= LAUNCH_FAILED;
}

void children_running(const struct run *run, char *text, size_t cap)
{
    struct text t = text_into(text, cap);
    int n = run->options.ranks, end;
    for (int i = 0; i < n; i = end + 1) {
        for (end = i; end < n && run->children[end].pid > 0 && !run->children[end].ended; end++) {
        }
        if (end == i) continue;
        text_add(&t, t.need ? ", %d" : "%d", run->children[i].rank);
        if (end - 1 > i) text_add(&t, "-%d", run->children[end - 1].rank);
    }
}
