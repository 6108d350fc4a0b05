/* SPDX-License-Identifier: BSD-3-Clause */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_S = 120 };

/* One captured stream. */
struct stream {
    int fd;
    char *text;
    size_t len;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void child(const char *const argv[], int out, int err)
{
    char path[4096];
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    setpgid(0, 0);
    dup2(nothing, 0);
    dup2(out, 1);
    dup2(err, 2);
    snprintf(path, sizeof(path), "%s%s", TOOLS_BIN, argv[0]);
    execv(path, (char *const *)(uintptr_t)argv);
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    _exit(127);
}

/* Whether the stream is still open. What does not fit is read and dropped. */
static bool stream_read(struct stream *s)
{
    char drop[4096];
    size_t room = RUN_OUTPUT_MAX - 1 - s->len;
    ssize_t n = read(s->fd, room > 0 ? s->text + s->len : drop, room > 0 ? room : sizeof(drop));
    if (n > 0 && room > 0) s->len += (size_t)n;
    if (n > 0 || (n < 0 && errno == EINTR)) return true;
    close(s->fd);
    s->fd = -1;
    return false;
}

/* Read both until they end; false when the time is over first. */
static bool drain(struct stream streams[2])
{
    int64_t until = now_ms() + DEADLINE_S * 1000;
    while (streams[0].fd >= 0 || streams[1].fd >= 0) {
        struct pollfd fds[2] = { { streams[0].fd, POLLIN, 0 }, { streams[1].fd, POLLIN, 0 } };
        int64_t left = until - now_ms();
        if (left <= 0 || poll(fds, 2, (int)left) == 0) return false;
        for (int i = 0; i < 2; i++)
            if (fds[i].revents) stream_read(&streams[i]);
    }
    return true;
}

void run_argv(struct run *r, const char *const argv[])
{
    int out[2], err[2], how = 0;
    memset(r, 0, sizeof(*r));
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) child(argv, out[1], err[1]);
    setpgid(pid, pid);
    close(out[1]);
    close(err[1]);

    struct stream streams[2] = { { out[0], r->out, 0 }, { err[0], r->err, 0 } };
    bool ended = drain(streams);
    if (!ended) kill(-pid, SIGKILL);
    for (int i = 0; i < 2; i++)
        if (streams[i].fd >= 0) close(streams[i].fd);
    while (waitpid(pid, &how, 0) < 0 && errno == EINTR) continue;
    r->status = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
    if (!ended) r->status = RUN_TIMED_OUT;
}

static void run_words(struct run *r, char *line)
{
    const char *argv[RUN_ARGUMENTS_MAX];
    int n = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        assert_true(n < RUN_ARGUMENTS_MAX - 1);
        argv[n++] = word;
    }
    argv[n] = NULL;
    run_argv(r, argv);
}

void run_line(struct run *r, const char *format, ...)
{
    char line[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    run_words(r, line);
}

void run_ranks(struct run *r, int n, const char *transport, const char *format, ...)
{
    char program[2048], line[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(program, sizeof(program), format, args);
    va_end(args);
    snprintf(line, sizeof(line), "sinewrun -n %d --timeout 110 %s %s %s%s", n,
             transport[0] ? "--transport" : "", transport, TOOLS_BIN, program);
    run_words(r, line);
}

char *run_next_line(char **at)
{
    char *line = *at;
    if (!*line) return NULL;
    char *end = strchr(line, '\n');
    *at = end ? end + 1 : line + strlen(line);
    if (end) *end = '\0';
    return line;
}

void run_expect(const struct run *r, int status)
{
    if (r->status == status) return;
    print_error("exit status %d, not %d%s\n--- stdout\n%s--- stderr\n%s", r->status, status,
                r->status == RUN_TIMED_OUT ? " (killed after two minutes)" : "", r->out, r->err);
    fail();
}
