/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * launch_sinewrun.c - the program sinewrun as its users see it: output, statuses, signals, ends
 *
 * Arguments: the programs sinewrun and launch-rank (launch_rank.c), and the group of tests to run.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "sinew/sinew.h"

static const char *sinewrun, *rank_program;

/* --- jobs under test -------------------------------------------------------------------------- */

enum { PATIENCE_MS = 30000, ARGS_MAX = 48, LIFE_FD = 9 };

struct stream_text {
    int fd;
    char *text;
    size_t len;
};

struct job {
    pid_t pid;
    int status; /* like a shell's */
    int life;   /* readable end of a pipe that every process of the job holds as LIFE_FD */
    struct stream_text out, err;
};

static void become(char **argv, const int *in, const int *out, const int *err, const int *life)
{
    dup2(in[0], 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    dup2(life[1], LIFE_FD);
    close_range(LIFE_FD + 1, ~0u, 0);
    for (int fd = 3; fd < LIFE_FD; fd++) close(fd);
    execv(argv[0], argv);
    _exit(99);
}

/* Words separated by single spaces; a word "RANK" is the rank program. Everything goes to one exec.
 */
static void split(char *command, char **argv)
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

static void start_args(struct job *j, char **argv, const char *input)
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

static void start(struct job *j, const char *command)
{
    char words[1024], *argv[ARGS_MAX];
    snprintf(words, sizeof(words), "%s", command);
    split(words, argv);
    start_args(j, argv, NULL);
}

/* A shell script as the command of the ranks. */
static void start_script(struct job *j, const char *options, const char *script)
{
    char words[1024], *argv[ARGS_MAX];
    int n = 0;
    snprintf(words, sizeof(words), "%s", options);
    split(words, argv);
    while (argv[n]) n++;
    argv[n++] = (char[]){ "/bin/sh" };
    argv[n++] = (char[]){ "-c" };
    argv[n++] = (char *)(uintptr_t)script;
    argv[n] = NULL;
    start_args(j, argv, NULL);
}

static void take(struct stream_text *s)
{
    s->text = realloc(s->text, s->len + 65537);
    ssize_t n = read(s->fd, s->text + s->len, 65536);
    if (n > 0) s->len += (size_t)n;
    s->text[s->len] = '\0';
    if (n != 0) return;
    close(s->fd);
    s->fd = -1;
}

static bool has(const struct stream_text *s, const char *what)
{
    return s->text && strstr(s->text, what) != NULL;
}

/* Read until `what` was seen on either stream; NULL: to the end. */
static void pump(struct job *j, const char *what)
{
    while (j->out.fd >= 0 || j->err.fd >= 0) {
        struct pollfd p[2] = { { .fd = j->out.fd, .events = POLLIN },
                               { .fd = j->err.fd, .events = POLLIN } };
        if (what && (has(&j->out, what) || has(&j->err, what))) return;
        if (poll(p, 2, PATIENCE_MS) == 0) fail_msg("nothing happens; stderr: %s", j->err.text);
        if (p[0].revents) take(&j->out);
        if (p[1].revents) take(&j->err);
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

static void finish(struct job *j)
{
    pump(j, NULL);
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

static void drop(struct job *j)
{
    assert_all_dead(j);
    close(j->life);
    free(j->out.text);
    free(j->err.text);
}

static void assert_status(const struct job *j, int status)
{
    if (j->status != status)
        fail_msg("status %d, not %d; stderr: %s", j->status, status, j->err.text);
}

static void assert_says(const struct job *j, const char *what)
{
    if (!has(&j->err, what)) fail_msg("stderr lacks \"%s\": %s", what, j->err.text);
}

static void assert_runs(const char *command, int status, const char *out, const char *says)
{
    struct job j;
    start(&j, command);
    finish(&j);
    assert_status(&j, status);
    if (out) assert_string_equal(j.out.text, out);
    if (says) assert_says(&j, says);
    drop(&j);
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what)) n++;
    return n;
}

/* --- the command line ------------------------------------------------------------------------- */

static void mistakes_are_named(void **state)
{
    (void)state;
    assert_runs("", 2, "", "-n is missing");
    assert_runs("-n 0 true", 2, "", "-n is \"0\", allowed are 1 to");
    assert_runs("-n 2x true", 2, "", "-n is \"2x\"");
    assert_runs("-n 2", 2, "", "CMD is missing");
    assert_runs("-n 2 --bind socket true", 2, "", "allowed are none and core");
    assert_runs("-n 2 --on-failure panic true", 2, "", "allowed are stop and continue");
    assert_runs("-n 2 --timeout -1 true", 2, "", "--timeout is \"-1\"");
    assert_runs("-n 2 --env X true", 2, "", "expected NAME=VALUE");
    assert_runs("-n 2 --set setup_deadlin=3s true", 2, "", "setup_deadline");
    assert_runs("-n 2 --set setup_deadline=banana true", 2, "", "banana");
    assert_runs("-n 2 --size 4 true", 2, "", "go with --rendezvous");
    assert_runs("--rendezvous 127.0.0.1:0 --size 4 true", 2, "", "missing: --ranks --secret-file");
    assert_runs("--rendezvous 127.0.0.1:0 --size 4 --ranks 3-1 --secret-file F true", 2, "",
                "A <= B");
    assert_runs("--rendezvous 127.0.0.1:0 --size 4 --ranks 2-4 --secret-file F true", 2, "",
                "--size is 4");
}

static void help_and_version(void **state)
{
    struct job j;
    (void)state;
    start(&j, "--help");
    finish(&j);
    assert_status(&j, 0);
    static const char *const told[] = { "-n N",         "--transport", "--set",
                                        "--env",        "--timeout",   "--prefix",
                                        "--on-failure", "--bind",      "--rendezvous",
                                        "--size",       "--ranks",     "--secret-file",
                                        "umask 077",    "127",         "124" };
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) assert_true(has(&j.out, told[i]));
    drop(&j);
    assert_runs("--version", 0, "sinewrun " SINEW_VERSION "\n", NULL);
}

static void settings_reach_the_ranks(void **state)
{
    struct job j;
    (void)state;
    start_script(&j, "-n 1 --transport shm,tcp --set eager_bytes=4K --env COLOUR=blue",
                 "echo $SINEW_TRANSPORTS $SINEW_EAGER_BYTES $COLOUR $SINEW_RANK/$SINEW_SIZE");
    finish(&j);
    assert_string_equal(j.out.text, "shm,tcp 4K blue 0/1\n");
    drop(&j);
}

static void bind_gives_each_rank_one_core(void **state)
{
    struct job j;
    (void)state;
    start_script(&j, "-n 3 --bind core", "nproc");
    finish(&j);
    assert_string_equal(j.out.text, "1\n1\n1\n");
    drop(&j);
}

/* --- how jobs end ----------------------------------------------------------------------------- */

static void ranks_meet(void **state)
{
    (void)state;
    assert_runs("-n 1 RANK fence", 0, NULL, NULL);
    assert_runs("-n 7 RANK fence", 0, NULL, NULL);
}

static void first_failure_decides(void **state)
{
    (void)state;
    assert_runs("-n 4 RANK fence only 2 exit 3 sleep", 3, "",
                "exited with status 3; ending the job");
    assert_runs("-n 4 RANK fence only 1 signal 9 sleep", 137, "", "died of signal 9 (Killed)");
    assert_runs("-n 2 RANK fence leave only 1 exit 4", 4, "", "rank 1 (pid ");
}

static void leaving_without_goodbye_is_a_failure(void **state)
{
    (void)state;
    assert_runs("-n 3 RANK fence only 1 exit 0 sleep", 1, "",
                "ended without having left the job (sinew_close); ending the job");
}

static void never_joining_is_none(void **state)
{
    (void)state;
    assert_runs("-n 3 true", 0, "", NULL);
}

/* But the ranks that do join must not wait for one that cannot come any more. */
static void never_joining_ends_the_fence(void **state)
{
    struct job j;
    char script[512];
    (void)state;
    snprintf(script, sizeof(script), "test $SINEW_RANK = 1 && exit 0; exec %s fence", rank_program);
    start_script(&j, "-n 3 --on-failure continue", script);
    finish(&j);
    assert_status(&j, 1);
    assert_int_equal(count(j.err.text, "exited with status 0 before it had joined"), 2);
    drop(&j);
}

static void missing_program(void **state)
{
    (void)state;
    assert_runs("-n 3 no-such-program", 127, "", "cannot run \"no-such-program\": No such file");
    assert_runs("-n 3 /etc/passwd", 126, "", "cannot run \"/etc/passwd\": Permission denied");
}

static void timeout_names_those_that_run(void **state)
{
    (void)state;
    assert_runs("-n 4 --timeout 0.7 RANK only 1 exit 0 sleep", 1, "", "rank 1");
    struct job j;
    start_script(&j, "-n 4 --timeout 0.7", "test $SINEW_RANK = 1 && exit 0; exec sleep 1000");
    finish(&j);
    assert_status(&j, 124);
    assert_says(&j, "time-out after 700 ms; still running: rank 0, 2-3");
    drop(&j);
}

static void continue_tells_the_others(void **state)
{
    struct job j;
    (void)state;
    start(&j, "-n 4 --on-failure continue RANK fence only 2 signal 9 await say on");
    finish(&j);
    assert_status(&j, 137);
    assert_int_equal(count(j.out.text, " saw 2\n"), 3);
    assert_int_equal(count(j.out.text, " on\n"), 3);
    assert_int_equal(count(j.err.text, "sinewrun: rank"), 1);
    drop(&j);
}

/* A forked child that lets go neither leaves for its parent nor makes it deaf. */
static void forked_children_are_not_the_rank(void **state)
{
    struct job j;
    (void)state;
    start(&j, "-n 3 --on-failure continue RANK fence forked only 2 signal 9 await");
    finish(&j);
    assert_status(&j, 137);
    assert_int_equal(count(j.out.text, " saw 2\n"), 2);
    assert_int_equal(count(j.err.text, "sinewrun: rank"), 1);
    drop(&j);
}

static void abandoning_is_dying(void **state)
{
    struct job j;
    (void)state;
    start(&j, "-n 3 --on-failure continue RANK fence only 2 abandon await");
    pump(&j, "0 saw 2\n");
    pump(&j, "1 saw 2\n");
    kill(j.pid, SIGTERM); /* the abandoned process lives on */
    finish(&j);
    assert_status(&j, 1);
    assert_says(&j, "ended without having left the job");
    drop(&j);
}

static void abort_ends_everyone(void **state)
{
    (void)state;
    assert_runs("-n 3 RANK fence only 1 abort 7 sleep", 7, "", "the job was aborted: enough");
}

static void stubborn_ranks_are_killed(void **state)
{
    struct job j;
    (void)state;
    start_script(&j, "-n 2",
                 "trap '' TERM; test $SINEW_RANK = 1 && exit 6; while :; do sleep 0.1; done");
    finish(&j);
    assert_status(&j, 6);
    drop(&j);
}

static void one_process_per_rank(void **state)
{
    struct job j;
    char script[512];
    (void)state;
    snprintf(script, sizeof(script), "%s fence && %s fence", rank_program, rank_program);
    start_script(&j, "-n 2 --on-failure continue", script);
    finish(&j);
    assert_status(&j, 1);
    assert_says(&j, "SINEW_ELAUNCH");
    assert_says(&j, "has left again: one process per rank, once");
    drop(&j);
}

/* --- lines ------------------------------------------------------------------------------------ */

static void lines_stay_whole(void **state)
{
    enum { RANKS = 4, LINES = 150, LEN = 20000 };
    struct job j;
    int seen[RANKS] = { 0 };
    (void)state;
    start(&j, "-n 4 RANK lines 150 20000");
    finish(&j);
    assert_status(&j, 0);
    assert_int_equal(j.out.len, (size_t)RANKS * LINES * (LEN + 1));
    for (size_t at = 0; at < j.out.len; at += LEN + 1) {
        int rank = j.out.text[at] - 'a';
        assert_in_range(rank, 0, RANKS - 1);
        for (size_t i = 0; i < LEN; i++) assert_int_equal(j.out.text[at + i], 'a' + rank);
        assert_int_equal(j.out.text[at + LEN], '\n');
        seen[rank]++;
    }
    for (int i = 0; i < RANKS; i++) assert_int_equal(seen[i], LINES);
    drop(&j);
}

/* Both streams in one file: a line of one must not cut a line of the other. */
static void lines_stay_whole_on_one_file(void **state)
{
    struct job j;
    (void)state;
    char *argv[] = { (char[]){ "/bin/sh" }, (char[]){ "-c" }, NULL, NULL };
    assert_true(asprintf(&argv[2],
                         "%s -n 3 sh -c 'i=0; while [ $i -lt 200 ]; do printf %%09000d\\\\n 0; "
                         "printf %%09000d\\\\n 0 >&2; i=$((i+1)); done' 2>&1",
                         sinewrun) > 0);
    start_args(&j, argv, NULL);
    finish(&j);
    assert_status(&j, 0);
    assert_int_equal(j.out.len, 3 * 400 * 9001);
    for (size_t at = 9000; at < j.out.len; at += 9001) assert_int_equal(j.out.text[at], '\n');
    free(argv[2]);
    drop(&j);
}

static void prefix_goes_before_every_line(void **state)
{
    struct job j;
    (void)state;
    start_script(&j, "-n 2 --prefix", "printf 'one\\ntwo\\nno end'");
    finish(&j);
    for (int rank = 0; rank < 2; rank++) {
        char expected[3][32];
        snprintf(expected[0], 32, "[%d] one\n", rank);
        snprintf(expected[1], 32, "[%d] two\n", rank);
        snprintf(expected[2], 32, "[%d] no end", rank);
        for (int i = 0; i < 3; i++) assert_int_equal(count(j.out.text, expected[i]), 1);
    }
    assert_int_equal(count(j.out.text, "\n"), 5);
    drop(&j);
}

static void input_goes_to_rank_0(void **state)
{
    struct job j;
    char words[] = "-n 3 RANK fence cat", *argv[ARGS_MAX];
    (void)state;
    split(words, argv);
    start_args(&j, argv, "to be read once\n");
    finish(&j);
    assert_status(&j, 0);
    assert_string_equal(j.out.text, "to be read once\n");
    drop(&j);
}

/* As a pipe of the shell would: who writes where nobody reads is told by SIGPIPE. */
static void closed_output_reaches_the_ranks(void **state)
{
    struct job j;
    (void)state;
    start(&j, "-n 2 yes");
    take(&j.out);
    close(j.out.fd);
    j.out.fd = -1;
    finish(&j);
    assert_status(&j, 128 + SIGPIPE);
    drop(&j);
}

/* --- signals ---------------------------------------------------------------------------------- */

static void killed_sinewrun_takes_grandchildren_along(void **state)
{
    struct job j;
    (void)state;
    start_script(&j, "-n 2", "(sh -c 'echo ready; exec sleep 1000' & wait) & wait");
    pump(&j, "ready\nready\n");
    kill(j.pid, SIGKILL);
    finish(&j);
    assert_status(&j, 137);
    drop(&j); /* asserts that all are dead */
}

static void end_of_a_rank_takes_its_children_along(void **state)
{
    struct job j;
    (void)state;
    start_script(&j, "-n 2", "sleep 1000 & exit 0");
    finish(&j);
    assert_status(&j, 0);
    drop(&j);
}

static void first_interrupt_asks_second_kills(void **state)
{
    struct job j;
    (void)state;
    start_script(&j, "-n 2", "trap 'echo asked' INT; echo ready; while :; do sleep 0.05; done");
    pump(&j, "ready\nready\n");
    kill(j.pid, SIGINT);
    pump(&j, "asked\nasked\n");
    assert_says(&j, "once more kills");
    kill(j.pid, SIGINT);
    finish(&j);
    assert_status(&j, 130);
    drop(&j);
}

static void terminate_ends_the_ranks(void **state)
{
    struct job j;
    (void)state;
    start_script(&j, "-n 2", "echo ready; exec sleep 1000");
    pump(&j, "ready\nready\n");
    kill(j.pid, SIGTERM);
    finish(&j);
    assert_status(&j, 143);
    drop(&j);
}

/* --- several sinewruns ------------------------------------------------------------------------ */

static char folder[] = "/tmp/sinew-launch-XXXXXX";

static int make_secrets(void **state)
{
    char name[64];
    (void)state;
    if (!mkdtemp(folder)) return -1;
    for (int i = 0; i < 3; i++) {
        uint8_t bytes[32] = { (uint8_t)(i + 1), (uint8_t)getpid() };
        snprintf(name, sizeof(name), "%s/%d", folder, i);
        int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, i == 2 ? 0644 : 0600);
        if (fd < 0 || write(fd, bytes, sizeof(bytes)) != (ssize_t)sizeof(bytes)) return -1;
        close(fd);
    }
    return 0;
}

static int remove_secrets(void **state)
{
    char name[64];
    (void)state;
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "%s/%d", folder, i);
        unlink(name);
    }
    return rmdir(folder);
}

/* The sinewrun with rank 0, on a port that the system chose; `at` gets the address. */
static void start_hub(struct job *j, const char *share, const char *rest, char *at, size_t cap)
{
    char command[512], *found;
    snprintf(command, sizeof(command), "--rendezvous 127.0.0.1:0 %s --secret-file %s/0 %s", share,
             folder, rest);
    start(j, command);
    pump(j, "rendezvous at 127.0.0.1:");
    while (!(found = strstr(j->err.text, "rendezvous at ")) || !strchr(found, '\n')) take(&j->err);
    snprintf(at, cap, "%.*s", (int)strcspn(found + 14, "\n"), found + 14);
}

static void start_share(struct job *j, const char *at, const char *share, int secret,
                        const char *rest)
{
    char command[512];
    snprintf(command, sizeof(command), "--rendezvous %s %s --secret-file %s/%d %s", at, share,
             folder, secret, rest);
    start(j, command);
}

static void two_sinewruns_are_one_job(void **state)
{
    struct job hub, other;
    char at[64];
    (void)state;
    start_hub(&hub, "--size 5 --ranks 0-1", "RANK fence say here", at, sizeof(at));
    start_share(&other, at, "--size 5 --ranks 2-4", 0, "RANK fence say there");
    finish(&other);
    finish(&hub);
    assert_status(&hub, 0);
    assert_status(&other, 0);
    assert_int_equal(count(hub.out.text, "here"), 2);
    assert_int_equal(count(other.out.text, "there"), 3);
    drop(&hub);
    drop(&other);
}

static void failures_travel_between_sinewruns(void **state)
{
    struct job hub, other;
    char at[64];
    (void)state;
    start_hub(&hub, "--size 3 --ranks 0-1", "RANK fence sleep", at, sizeof(at));
    start_share(&other, at, "--size 3 --ranks 2", 0, "RANK fence exit 9");
    finish(&other);
    finish(&hub);
    assert_status(&other, 9);
    assert_status(&hub, 9);
    assert_says(&hub, "rank 2");
    assert_says(&hub, "on another host");
    drop(&hub);
    drop(&other);
}

static void aborts_travel_between_sinewruns(void **state)
{
    struct job hub, other;
    char at[64];
    (void)state;
    start_hub(&hub, "--size 2 --ranks 0", "RANK fence abort 11", at, sizeof(at));
    start_share(&other, at, "--size 2 --ranks 1", 0, "RANK fence sleep");
    finish(&other);
    finish(&hub);
    assert_status(&other, 11);
    assert_status(&hub, 11);
    drop(&hub);
    drop(&other);
}

/* Either way round: a sinewrun that is gone takes its ranks along, and the others hear of it. */
static void lost_sinewrun_is_dead_ranks(bool hub_dies)
{
    struct job hub, other;
    char at[64];
    start_hub(&hub, "--size 2 --ranks 0", "--on-failure continue RANK fence say in await", at,
              sizeof(at));
    start_share(&other, at, "--size 2 --ranks 1", 0,
                "--on-failure continue RANK fence say in await");
    pump(&hub, "0 in\n");
    pump(&other, "1 in\n");
    struct job *dies = hub_dies ? &hub : &other, *stays = hub_dies ? &other : &hub;
    kill(dies->pid, SIGKILL);
    finish(dies);
    finish(stays);
    assert_status(stays, 1);
    assert_true(has(&stays->out, hub_dies ? "1 saw 0\n" : "0 saw 1\n"));
    assert_says(stays, "is lost");
    drop(&hub);
    drop(&other);
}

static void lost_member_is_dead_ranks(void **state)
{
    (void)state;
    lost_sinewrun_is_dead_ranks(false);
}

static void lost_hub_is_dead_ranks(void **state)
{
    (void)state;
    lost_sinewrun_is_dead_ranks(true);
}

static void strangers_are_refused(void **state)
{
    struct job hub, other;
    char at[64];
    (void)state;
    start_hub(&hub, "--size 3 --ranks 0-1", "RANK fence", at, sizeof(at));
    start_share(&other, at, "--size 3 --ranks 2", 1, "RANK fence");
    finish(&other);
    assert_status(&other, 1);
    assert_says(&other, "does not know this job's secret");
    drop(&other);
    start_share(&other, at, "--size 3 --ranks 2", 2, "RANK fence");
    finish(&other);
    assert_status(&other, 1);
    assert_says(&other, "mode 644 lets others at it");
    drop(&other);
    start_share(&other, at, "--size 3 --ranks 1-2", 0, "RANK fence");
    finish(&other);
    assert_status(&other, 1);
    assert_says(&other, "rank 1 is taken");
    drop(&other);
    start_share(&other, at, "--size 4 --ranks 2", 0, "RANK fence");
    finish(&other);
    assert_status(&other, 1);
    drop(&other);
    /* And the job they wanted into goes on. */
    start_share(&other, at, "--size 3 --ranks 2", 0, "RANK fence");
    finish(&other);
    finish(&hub);
    assert_status(&other, 0);
    assert_status(&hub, 0);
    drop(&other);
    drop(&hub);
}

static void absent_share_is_named(void **state)
{
    struct job hub;
    char at[64];
    (void)state;
    start_hub(&hub, "--size 4 --ranks 0", "--set setup_deadline=200ms sleep 1000", at, sizeof(at));
    finish(&hub);
    assert_status(&hub, 1);
    assert_says(&hub, "nobody has come to the rendezvous for rank 1-3");
    drop(&hub);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(help_and_version),
        cmocka_unit_test(settings_reach_the_ranks),
        cmocka_unit_test(bind_gives_each_rank_one_core),
        cmocka_unit_test(ranks_meet),
        cmocka_unit_test(first_failure_decides),
        cmocka_unit_test(leaving_without_goodbye_is_a_failure),
        cmocka_unit_test(never_joining_is_none),
        cmocka_unit_test(never_joining_ends_the_fence),
        cmocka_unit_test(missing_program),
        cmocka_unit_test(timeout_names_those_that_run),
        cmocka_unit_test(continue_tells_the_others),
        cmocka_unit_test(forked_children_are_not_the_rank),
        cmocka_unit_test(abandoning_is_dying),
        cmocka_unit_test(abort_ends_everyone),
        cmocka_unit_test(stubborn_ranks_are_killed),
        cmocka_unit_test(one_process_per_rank),
        cmocka_unit_test(lines_stay_whole),
        cmocka_unit_test(lines_stay_whole_on_one_file),
        cmocka_unit_test(prefix_goes_before_every_line),
        cmocka_unit_test(input_goes_to_rank_0),
        cmocka_unit_test(closed_output_reaches_the_ranks),
        cmocka_unit_test(killed_sinewrun_takes_grandchildren_along),
        cmocka_unit_test(end_of_a_rank_takes_its_children_along),
        cmocka_unit_test(first_interrupt_asks_second_kills),
        cmocka_unit_test(terminate_ends_the_ranks),
    };
    const struct CMUnitTest several[] = {
        cmocka_unit_test(two_sinewruns_are_one_job),
        cmocka_unit_test(failures_travel_between_sinewruns),
        cmocka_unit_test(aborts_travel_between_sinewruns),
        cmocka_unit_test(lost_member_is_dead_ranks),
        cmocka_unit_test(lost_hub_is_dead_ranks),
        cmocka_unit_test(strangers_are_refused),
        cmocka_unit_test(absent_share_is_named),
    };
    if (argc < 4) return 2;
    sinewrun = argv[1];
    rank_program = argv[2];
    if (argc > 4) cmocka_set_test_filter(argv[4]);
    if (strcmp(argv[3], "one") == 0) return cmocka_run_group_tests(alone, NULL, NULL);
    return cmocka_run_group_tests(several, make_secrets, remove_secrets);
}
