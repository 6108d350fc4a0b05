/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/launch_job.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIFE_FD = 9 };

static const char *sinewrun, *rank_program;

void job_programs(const char *run, const char *rank)
{
    static const int ignored[] = { SIGINT, SIGQUIT, SIGHUP };
    sinewrun = run;
    rank_program = rank;
    /* What a script starts in its background, or nohup, ignores these, and so would all of a
     * job. */
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) signal(ignored[i], SIG_DFL);
}

const char *job_sinewrun(void)
{
    return sinewrun;
}

const char *job_rank(void)
{
    return rank_program;
}

static void become(char **argv, const int *in, const int *out, const int *err, const int *life)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nothing behind */
    dup2(in[0], 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    dup2(life[1], LIFE_FD);
    fcntl(LIFE_FD, F_SETFD, 0);
    close_range(LIFE_FD + 1, ~0u, 0);
    for (int fd = 3; fd < LIFE_FD; fd++) close(fd);
    execv(argv[0], argv);
    _exit(99);
}

void job_split(char *command, char **argv)
{
    int n = 0;
    argv[n++] = (char *)(uintptr_t)sinewrun;
    for (char *save, *word = strtok_r(command, " ", &save); word;
         word = strtok_r(NULL, " ", &save)) {
        assert_true(n < ARGS_MAX - 1);
        argv[n++] = strcmp(word, "RANK") == 0 ? (char *)(uintptr_t)rank_program : word;
    }
    argv[n] = NULL;
}

void job_start_args(struct job *j, char **argv, const char *input)
{
    int in[2], out[2], err[2], life[2];
    memset(j, 0, sizeof(*j));
    assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC) |
                         pipe2(life, O_CLOEXEC),
                     0);
    if ((j->pid = fork()) == 0) become(argv, in, out, err, life);
    assert_true(j->pid > 0);
    close(in[0]);
    close(out[1]);
    close(err[1]);
    close(life[1]);
    j->out = (struct stream_text){ .fd = out[0] };
    j->err = (struct stream_text){ .fd = err[0] };
    j->life = life[0];
    if (input) assert_int_equal(write(in[1], input, strlen(input)), strlen(input));
    close(in[1]);
}

void job_start(struct job *j, const char *command)
{
    char words[1024], *argv[ARGS_MAX];
    snprintf(words, sizeof(words), "%s", command);
    job_split(words, argv);
    job_start_args(j, argv, NULL);
}

void job_start_script(struct job *j, const char *options, const char *script)
{
    char words[1024], *argv[ARGS_MAX];
    int n = 0;
    snprintf(words, sizeof(words), "%s", options);
    job_split(words, argv);
    while (argv[n]) n++;
    argv[n++] = (char[]){ "/bin/sh" };
    argv[n++] = (char[]){ "-c" };
    argv[n++] = (char *)(uintptr_t)script;
    argv[n] = NULL;
    job_start_args(j, argv, NULL);
}

void job_take(struct stream_text *s)
{
    struct pollfd p = { .fd = s->fd, .events = POLLIN };
    if (poll(&p, 1, PATIENCE_MS) == 0) fail_msg("nothing more comes than: %s", s->text);
    s->text = realloc(s->text, s->len + 65537);
    ssize_t n = read(s->fd, s->text + s->len, 65536);
    if (n > 0) s->len += (size_t)n;
    s->text[s->len] = '\0';
    if (n != 0) return;
    close(s->fd);
    s->fd = -1;
}

bool has(const struct stream_text *s, const char *what)
{
    return s->text && strstr(s->text, what) != NULL;
}

void job_pump(struct job *j, const char *what)
{
    while (j->out.fd >= 0 || j->err.fd >= 0) {
        struct pollfd p[2] = { { .fd = j->out.fd, .events = POLLIN },
                               { .fd = j->err.fd, .events = POLLIN } };
        if (what && (has(&j->out, what) || has(&j->err, what))) return;
        if (poll(p, 2, PATIENCE_MS) == 0) fail_msg("nothing happens; stderr: %s", j->err.text);
        if (p[0].revents) job_take(&j->out);
        if (p[1].revents) job_take(&j->err);
    }
    if (what && !has(&j->out, what) && !has(&j->err, what))
        fail_msg("\"%s\" never came; stderr: %s", what, j->err.text ? j->err.text : "");
}

static void reap(struct job *j)
{
    int status;
    assert_int_equal(waitpid(j->pid, &status, 0), j->pid);
    j->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void job_finish(struct job *j)
{
    job_pump(j, NULL);
    reap(j);
}

/* Every process of the job, grandchildren too, is gone: nobody holds the other end any more. */
static void assert_all_dead(const struct job *j)
{
    char byte;
    ssize_t n;
    struct pollfd p = { .fd = j->life, .events = POLLIN };
    do {
        if (poll(&p, 1, PATIENCE_MS) != 1) fail_msg("a process of the job lives on");
        n = read(j->life, &byte, 1);
    } while (n > 0);
    assert_int_equal(n, 0);
}

void job_drop(struct job *j)
{
    assert_all_dead(j);
    close(j->life);
    free(j->out.text);
    free(j->err.text);
}

void assert_status(const struct job *j, int status)
{
    if (j->status != status)
        fail_msg("status %d, not %d; stderr: %s", j->status, status, j->err.text);
}

void assert_says(const struct job *j, const char *what)
{
    if (!has(&j->err, what)) fail_msg("stderr lacks \"%s\": %s", what, j->err.text);
}

void assert_runs(const char *command, int status, const char *out, const char *says)
{
    struct job j;
    job_start(&j, command);
    job_finish(&j);
    assert_status(&j, status);
    if (out) assert_string_equal(j.out.text, out);
    if (says) assert_says(&j, says);
    job_drop(&j);
}

int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what)) n++;
    return n;
}
