/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * launch_sinewrun.c - the program sinewrun as its users see it: output, statuses, signals, ends
 *
 * Arguments: the programs sinewrun and launch-rank (launch_rank.c), and a filter of tests.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sinew/sinew.h"
#include "tests/unit/launch_job.h"

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
    assert_runs("-n 2 --set foo=1 true", 2, "", "no setting 'foo' (sinew-info --config lists them)");
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
    job_start(&j, "--help");
    job_finish(&j);
    assert_status(&j, 0);
    static const char *const told[] = { "-n N",         "--transport", "--set",
                                        "--env",        "--timeout",   "--prefix",
                                        "--on-failure", "--bind",      "--rendezvous",
                                        "--size",       "--ranks",     "--secret-file",
                                        "umask 077",    "127",         "124" };
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) assert_true(has(&j.out, told[i]));
    job_drop(&j);
    assert_runs("--version", 0, "sinewrun " SINEW_VERSION "\n", NULL);
}

static void settings_reach_the_ranks(void **state)
{
    struct job j;
    (void)state;
    job_start_script(&j, "-n 1 --transport shm,tcp --set eager_bytes=4K --env COLOUR=blue",
                     "echo $SINEW_TRANSPORTS $SINEW_EAGER_BYTES $COLOUR $SINEW_RANK/$SINEW_SIZE");
    job_finish(&j);
    assert_string_equal(j.out.text, "shm,tcp 4K blue 0/1\n");
    job_drop(&j);
}

static void bind_gives_each_rank_one_core(void **state)
{
    struct job j;
    (void)state;
    job_start_script(&j, "-n 3 --bind core", "nproc");
    job_finish(&j);
    assert_string_equal(j.out.text, "1\n1\n1\n");
    job_drop(&j);
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

/* Its connections are closed a good while before it has ended, as on a machine with much else to
 * do. */
static void a_slow_end_keeps_its_reason(void **state)
{
    struct job j;
    (void)state;
    job_start(&j, "-n 2 RANK fence only 1 held 9 sleep");
    job_finish(&j);
    bool cannot = j.status == 77;
    if (!cannot) assert_status(&j, 137);
    if (!cannot) assert_says(&j, "died of signal 9 (Killed)");
    job_drop(&j);
    if (cannot) skip(); /* no ptrace here */
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
    snprintf(script, sizeof(script), "test $SINEW_RANK = 1 && exit 0; exec %s fence", job_rank());
    job_start_script(&j, "-n 3 --on-failure continue", script);
    job_finish(&j);
    assert_status(&j, 1);
    assert_int_equal(count(j.err.text, "exited with status 0 before it had joined"), 2);
    job_drop(&j);
}

/* The others fail because it gave up, and end first: it still gets to its reason. */
static void who_gives_up_says_why(void **state)
{
    struct job j;
    char script[1024];
    (void)state;
    snprintf(script, sizeof(script),
             "test $SINEW_RANK = 1 || exec %s fence; %s leave; sleep 0.05; echo the reason >&2; exit 1",
             job_rank(), job_rank());
    job_start_script(&j, "-n 3", script);
    job_finish(&j);
    assert_status(&j, 1);
    assert_true(has(&j.err, "rank 1 gave up before it had joined: its own output says why"));
    assert_true(has(&j.err, "the reason"));
    job_drop(&j);
}

static void who_does_not_come_is_named(void **state)
{
    (void)state;
    assert_runs("-n 2 --set setup_deadline=200ms RANK only 0 fence only 1 sleep", 1, "",
                "1 of 2 ranks have come, missing: rank 1, within setup_deadline 200 ms\n");
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
    job_start_script(&j, "-n 4 --timeout 0.7", "test $SINEW_RANK = 1 && exit 0; exec sleep 1000");
    job_finish(&j);
    assert_status(&j, 124);
    assert_says(&j, "time-out after 700 ms; still running: rank 0, 2-3");
    job_drop(&j);
}

static void continue_tells_the_others(void **state)
{
    struct job j;
    (void)state;
    job_start(&j, "-n 4 --on-failure continue RANK fence only 2 signal 9 await say on");
    job_finish(&j);
    assert_status(&j, 137);
    assert_int_equal(count(j.out.text, " saw 2\n"), 3);
    assert_int_equal(count(j.out.text, " on\n"), 3);
    assert_int_equal(count(j.err.text, "sinewrun: rank"), 1);
    job_drop(&j);
}

static void grandchildren_do_not_join_by_mistake(void **state)
{
    struct job j;
    (void)state;
    job_start(&j, "-n 2 RANK fence spawn");
    job_finish(&j);
    assert_status(&j, 0);
    assert_int_equal(count(j.err.text, "Only one process per rank takes part"), 2);
    job_drop(&j);
}

static void ranks_share_a_secret_that_jobs_do_not(void **state)
{
    struct job a, b;
    char secret[2 * 32 + 1];
    (void)state;
    job_start(&a, "-n 3 RANK fence secret");
    job_start(&b, "-n 3 RANK fence secret");
    job_finish(&a);
    job_finish(&b);
    snprintf(secret, sizeof(secret), "%s", a.out.text);
    assert_int_equal(count(a.out.text, secret), 3);
    assert_int_equal(count(a.out.text, " 1 3\n"), 3);
    assert_int_equal(count(b.out.text, secret), 0);
    job_drop(&a);
    job_drop(&b);
}

/* A forked child that lets go neither leaves for its parent nor makes it deaf. */
static void forked_children_are_not_the_rank(void **state)
{
    struct job j;
    (void)state;
    job_start(&j, "-n 3 --on-failure continue RANK fence forked only 2 signal 9 await");
    job_finish(&j);
    assert_status(&j, 137);
    assert_int_equal(count(j.out.text, " saw 2\n"), 2);
    assert_int_equal(count(j.err.text, "sinewrun: rank"), 1);
    job_drop(&j);
}

static void abandoning_is_dying(void **state)
{
    struct job j;
    (void)state;
    job_start(&j, "-n 3 --on-failure continue RANK fence only 2 abandon await");
    job_pump(&j, "0 saw 2\n");
    job_pump(&j, "1 saw 2\n");
    kill(j.pid, SIGTERM); /* the abandoned process lives on */
    job_finish(&j);
    assert_status(&j, 143);
    assert_says(&j, "has let go of the job without sinew_close and still runs");
    job_drop(&j);
}

/* It takes longer to end than sinewrun gives others to say their last words. */
static void who_abandons_keeps_its_status(void **state)
{
    (void)state;
    assert_runs("-n 3 RANK fence only 2 abandoned 3 sleep", 3, "",
                "exited with status 3; ending the job");
    assert_runs("-n 3 RANK fence only 2 abandoned 0 sleep", 1, "",
                "ended without having left the job (sinew_close); ending the job");
    assert_runs("-n 3 RANK fence only 2 abandoned 3 await leave exit 1", 3, NULL,
                "exited with status 1; ending the job");
    assert_runs("-n 3 --on-failure continue RANK fence only 2 abandoned 3 await exit 1", 3, NULL,
                "exited with status 1\n");
}

/* But not for ever, if others fail because of it. */
static void who_abandons_and_stays_is_ended(void **state)
{
    (void)state;
    assert_runs("-n 2 RANK fence only 1 abandon await leave exit 5", 5, NULL,
                "exited with status 5; ending the job");
}

static void await_end(int pid)
{
    char path[32], state = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    for (int i = 0; i < 2000 && state != 'Z'; i++) {
        FILE *f = fopen(path, "r");
        assert_non_null(f);
        assert_int_equal(fscanf(f, "%*d (%*[^)]) %c", &state), 1);
        fclose(f);
        poll(NULL, 0, 5);
    }
    assert_int_equal(state, 'Z');
}

/* All have ended when sinewrun next looks. */
static void of_many_a_signal_counts_first(void **state)
{
    struct job j;
    int pid[2];
    (void)state;
    job_start_script(&j, "-n 2 --on-failure continue",
                     "echo $SINEW_RANK is $$.; until grep -q 'State:.T' /proc/$PPID/status; do :; done; "
                     "test $SINEW_RANK = 0 && exit 1; kill -9 $$");
    for (int rank = 0; rank < 2; rank++) {
        char word[8];
        snprintf(word, sizeof(word), "%d is ", rank);
        job_pump(&j, word);
        job_pump(&j, ".\n");
        pid[rank] = atoi(strstr(j.out.text, word) + strlen(word));
    }
    kill(j.pid, SIGSTOP);
    await_end(pid[0]);
    await_end(pid[1]);
    kill(j.pid, SIGCONT);
    job_finish(&j);
    assert_status(&j, 137);
    assert_says(&j, "exited with status 1");
    job_drop(&j);
}

static void abort_ends_everyone(void **state)
{
    (void)state;
    assert_runs("-n 3 RANK fence only 1 abort 7 sleep", 7, "", "the job was aborted: enough");
    assert_runs("-n 1 RANK fence abort 256 sleep", 1, "", "the job was aborted: enough");
}

static void stubborn_ranks_are_killed(void **state)
{
    struct job j;
    (void)state;
    job_start_script(&j, "-n 2",
                     "trap '' TERM; test $SINEW_RANK = 1 && exit 6; while :; do sleep 0.1; done");
    job_finish(&j);
    assert_status(&j, 6);
    job_drop(&j);
}

static void a_library_that_is_not_found_is_hinted_at(void **state)
{
    struct job j;
    (void)state;
    job_start_script(&j, "-n 1", "exit 127");
    job_finish(&j);
    assert_status(&j, 127);
    assert_says(&j, "LD_LIBRARY_PATH");
    job_drop(&j);
}

static void one_process_per_rank(void **state)
{
    struct job j;
    char script[512];
    (void)state;
    snprintf(script, sizeof(script), "%s fence && %s fence", job_rank(), job_rank());
    job_start_script(&j, "-n 2 --on-failure continue", script);
    job_finish(&j);
    assert_status(&j, 1);
    assert_says(&j, "SINEW_ELAUNCH");
    assert_says(&j, "has left again: one process per rank, once");
    assert_says(&j, "joined by an exchange of the program's own");
    job_drop(&j);
}

/* --- lines ------------------------------------------------------------------------------------ */

static void lines_stay_whole(void **state)
{
    enum { RANKS = 4, LINES = 150, LEN = 20000 };
    struct job j;
    int seen[RANKS] = { 0 };
    (void)state;
    job_start(&j, "-n 4 RANK lines 150 20000");
    job_finish(&j);
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
    job_drop(&j);
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
                         job_sinewrun()) > 0);
    job_start_args(&j, argv, NULL);
    job_finish(&j);
    assert_status(&j, 0);
    assert_int_equal(j.out.len, 3 * 400 * 9001);
    for (size_t at = 9000; at < j.out.len; at += 9001) assert_int_equal(j.out.text[at], '\n');
    free(argv[2]);
    job_drop(&j);
}

static void prefix_goes_before_every_line(void **state)
{
    struct job j;
    (void)state;
    job_start_script(&j, "-n 2 --prefix", "printf 'one\\ntwo\\nno end'");
    job_finish(&j);
    for (int rank = 0; rank < 2; rank++) {
        char expected[3][32];
        snprintf(expected[0], 32, "[%d] one\n", rank);
        snprintf(expected[1], 32, "[%d] two\n", rank);
        snprintf(expected[2], 32, "[%d] no end", rank);
        for (int i = 0; i < 3; i++) assert_int_equal(count(j.out.text, expected[i]), 1);
    }
    assert_int_equal(count(j.out.text, "\n"), 5);
    job_drop(&j);
}

static void input_goes_to_rank_0(void **state)
{
    struct job j;
    char words[] = "-n 3 RANK fence cat", *argv[ARGS_MAX];
    (void)state;
    job_split(words, argv);
    job_start_args(&j, argv, "to be read once\n");
    job_finish(&j);
    assert_status(&j, 0);
    assert_string_equal(j.out.text, "to be read once\n");
    job_drop(&j);
}

/* As a pipe of the shell would: who writes where nobody reads is told by SIGPIPE. */
static void closed_output_reaches_the_ranks(void **state)
{
    struct job j;
    (void)state;
    job_start(&j, "-n 2 yes");
    job_take(&j.out);
    close(j.out.fd);
    j.out.fd = -1;
    job_finish(&j);
    assert_status(&j, 128 + SIGPIPE);
    job_drop(&j);
}

/* A pager that waits for its user. What fills every buffer on the way is more than sinewrun keeps,
 * and less than makes the rank wait: the rest is in the rank's own pipe when it has ended. */
static void a_reader_that_pauses_loses_nothing(void **state)
{
    enum { BYTES = 6 * 65536 + 1 };
    struct job j;
    char script[64];
    (void)state;
    snprintf(script, sizeof(script), "head -c %d /dev/zero", (int)BYTES);
    job_start_script(&j, "-n 1", script);
    struct pollfd quiet = { .fd = j.err.fd, .events = POLLIN };
    assert_int_equal(poll(&quiet, 1, 1500), 0); /* longer than sinewrun lingers */
    job_finish(&j);
    assert_status(&j, 0);
    assert_int_equal(j.out.len, BYTES);
    job_drop(&j);
}

/* --- signals ---------------------------------------------------------------------------------- */

static void killed_sinewrun_takes_grandchildren_along(void **state)
{
    struct job j;
    (void)state;
    job_start_script(&j, "-n 2", "(sh -c 'echo ready; exec sleep 1000' & wait) & wait");
    job_pump(&j, "ready\nready\n");
    kill(j.pid, SIGKILL);
    job_finish(&j);
    assert_status(&j, 137);
    job_drop(&j); /* asserts that all are dead */
}

static void end_of_a_rank_takes_its_children_along(void **state)
{
    struct job j;
    (void)state;
    job_start_script(&j, "-n 2", "sleep 1000 & exit 0");
    job_finish(&j);
    assert_status(&j, 0);
    job_drop(&j);
}

static void first_interrupt_asks_second_kills(void **state)
{
    struct job j;
    (void)state;
    job_start_script(&j, "-n 2", "trap 'echo asked' INT; echo ready; while :; do sleep 0.05; done");
    job_pump(&j, "ready\nready\n");
    kill(j.pid, SIGINT);
    job_pump(&j, "asked\nasked\n");
    assert_says(&j, "once more kills");
    kill(j.pid, SIGINT);
    job_finish(&j);
    assert_status(&j, 130);
    job_drop(&j);
}

/* nohup, and what a shell script starts in the background, ignore signals from the start. */
static void ignored_signals_stay_ignored(void **state)
{
    struct job j;
    (void)state;
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    job_start_script(&j, "-n 2", "echo ready; exec sleep 1000");
    signal(SIGHUP, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    job_pump(&j, "ready\nready\n");
    kill(j.pid, SIGHUP);
    kill(j.pid, SIGINT);
    kill(j.pid, SIGTERM); /* taken last: the smaller numbers come first */
    job_finish(&j);
    assert_status(&j, 143);
    assert_false(has(&j.err, "interrupted"));
    job_drop(&j);
}

static void ends_are_seen_although_the_parent_ignored_such(void **state)
{
    struct job j;
    (void)state;
    signal(SIGCHLD, SIG_IGN);
    job_start(&j, "-n 2 false");
    signal(SIGCHLD, SIG_DFL);
    job_finish(&j);
    assert_status(&j, 1);
    job_drop(&j);
}

static void terminate_ends_the_ranks(void **state)
{
    struct job j;
    (void)state;
    job_start_script(&j, "-n 2", "echo ready; exec sleep 1000");
    job_pump(&j, "ready\nready\n");
    kill(j.pid, SIGTERM);
    job_finish(&j);
    assert_status(&j, 143);
    job_drop(&j);
}

/* Two jobs of one user at a time: each meets its own ranks, and the end of one is not told to the
 * other. */
static void jobs_side_by_side_do_not_meet(void **state)
{
    struct job a, b;
    (void)state;
    job_start(&a, "-n 3 RANK fence say met await");
    job_start(&b, "-n 4 RANK fence say met only 2 signal 9 sleep");
    job_finish(&b);
    assert_status(&b, 128 + SIGKILL);
    job_drop(&b);
    while (!a.out.text || count(a.out.text, "met\n") < 3) job_take(&a.out);
    kill(a.pid, SIGTERM);
    job_finish(&a);
    assert_status(&a, 128 + SIGTERM);
    assert_int_equal(count(a.out.text, "\n"), 3);
    job_drop(&a);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(help_and_version),
        cmocka_unit_test(settings_reach_the_ranks),
        cmocka_unit_test(bind_gives_each_rank_one_core),
        cmocka_unit_test(ranks_meet),
        cmocka_unit_test(first_failure_decides),
        cmocka_unit_test(a_slow_end_keeps_its_reason),
        cmocka_unit_test(leaving_without_goodbye_is_a_failure),
        cmocka_unit_test(never_joining_is_none),
        cmocka_unit_test(never_joining_ends_the_fence),
        cmocka_unit_test(who_gives_up_says_why),
        cmocka_unit_test(who_does_not_come_is_named),
        cmocka_unit_test(missing_program),
        cmocka_unit_test(timeout_names_those_that_run),
        cmocka_unit_test(continue_tells_the_others),
        cmocka_unit_test(grandchildren_do_not_join_by_mistake),
        cmocka_unit_test(ranks_share_a_secret_that_jobs_do_not),
        cmocka_unit_test(forked_children_are_not_the_rank),
        cmocka_unit_test(abandoning_is_dying),
        cmocka_unit_test(who_abandons_keeps_its_status),
        cmocka_unit_test(who_abandons_and_stays_is_ended),
        cmocka_unit_test(of_many_a_signal_counts_first),
        cmocka_unit_test(abort_ends_everyone),
        cmocka_unit_test(stubborn_ranks_are_killed),
        cmocka_unit_test(a_library_that_is_not_found_is_hinted_at),
        cmocka_unit_test(one_process_per_rank),
        cmocka_unit_test(lines_stay_whole),
        cmocka_unit_test(lines_stay_whole_on_one_file),
        cmocka_unit_test(prefix_goes_before_every_line),
        cmocka_unit_test(input_goes_to_rank_0),
        cmocka_unit_test(closed_output_reaches_the_ranks),
        cmocka_unit_test(a_reader_that_pauses_loses_nothing),
        cmocka_unit_test(killed_sinewrun_takes_grandchildren_along),
        cmocka_unit_test(end_of_a_rank_takes_its_children_along),
        cmocka_unit_test(first_interrupt_asks_second_kills),
        cmocka_unit_test(ignored_signals_stay_ignored),
        cmocka_unit_test(ends_are_seen_although_the_parent_ignored_such),
        cmocka_unit_test(terminate_ends_the_ranks),
        cmocka_unit_test(jobs_side_by_side_do_not_meet),
    };
    if (argc < 3) return 2;
    job_programs(argv[1], argv[2]);
    if (argc > 3) cmocka_set_test_filter(argv[3]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
