/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan.c - sinew-plan, as people call it
 *
 *     test-tools-plan [large]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "run.h"

static struct run r;

static void expect_words(const char *words)
{
    if (!strstr(r.out, words)) fail_msg("'%s' is not in: %s", words, r.out);
}

static void a_schedule_is_printed(void **state)
{
    (void)state;
    run_line(&r, "sinew-plan reduce --ranks 4 --bytes 64 --root 1 --rank 1 --algorithm binomial");
    run_expect(&r, 0);
    expect_words("reduce by binomial, 4 ranks, 64 bytes");
    expect_words("rank 1, operation 0: RECV_REDUCE OUT[0] = from 0, message 0 (+) IN[0]");
    expect_words("rank 1, operation 1: RECV_REDUCE OUT[0] = from 2, message 0, right of OUT[0]  "
                 "after 0");
    expect_words("blocks: IN 1, OUT 1, TMP 0");
}

static void a_plan_is_verified_and_simulated(void **state)
{
    (void)state;
    run_line(&r, "sinew-plan barrier --ranks 16 --bytes 1 --algorithm dissemination --verify "
                 "--simulate");
    run_expect(&r, 0);
    expect_words("bounds, matching, progress, races, dataflow");
    expect_words("64 messages");
    expect_words("ranks finish from 22.000 to 22.000 us");
    expect_words("critical path, from its end:");
    run_line(&r, "sinew-plan allgatherv --ranks 7 --bytes 1K --in-place --svg /dev/stdout "
                 "--goal /dev/stdout");
    run_expect(&r, 0);
    expect_words("</svg>");
    expect_words("num_ranks 7");
}

static void algorithms_are_compared(void **state)
{
    (void)state;
    run_line(&r, "sinew-plan allreduce --ranks 100 --bytes 1M --compare");
    run_expect(&r, 0);
    expect_words("rabenseifner");
    expect_words("flat is for up to 64 ranks");
}

/* With the words of sinew_explain_collective(): of one size, and of each of many. */
static void what_decided_a_choice_is_told(void **state)
{
    (void)state;
    run_line(&r, "sinew-plan allreduce --ranks 2 --bytes 64K --compare");
    run_expect(&r, 0);
    expect_words("chosen over tcp: rabenseifner, by two ranks, whose halves need not be announced");
    run_line(&r, "sinew-plan barrier --ranks 8 --link shm --crowded --compare");
    run_expect(&r, 0);
    expect_words("chosen over shm: flat, by short messages of ranks that take turns on few cores");
    run_line(&r, "sinew-plan bcast --ranks 2 --link shm --compare");
    run_expect(&r, 0);
    expect_words("  binomial, by the model\n");
    expect_words("  chain:4, by two ranks, of whom one sends what need not be announced\n");
}

/* Two ranks that both send and receive a mebibyte: the processor moves two, and waits for no
 * wire. */
static void what_a_byte_costs_the_processor_is_simulated(void **state)
{
    (void)state;
    char file[] = "/tmp/sinew-plan-XXXXXX";
    static const char rules[] = "{ \"links\": { \"tcp\": { \"byte_ns\": 0, \"touch_ns\": 1 } } }";
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, rules, strlen(rules)), strlen(rules));
    close(fd);
    run_line(&r, "sinew-plan allreduce --ranks 2 --bytes 1M --rules %s --link tcp --algorithm "
                 "recursive-doubling --simulate", file);
    unlink(file);
    run_expect(&r, 0);
    const char *from = strstr(r.out, "ranks finish from ");
    assert_non_null(from);
    assert_true(strtod(from + strlen("ranks finish from "), NULL) > 2 * 1048.576);
}

/* Values behind a blank or a sign of equality, the collective anywhere. */
static void options_are_written_as_elsewhere(void **state)
{
    (void)state;
    run_line(&r, "sinew-plan --ranks=4 --bytes=64 reduce --root=1 --rank 1 --algorithm=binomial/2");
    run_expect(&r, 0);
    expect_words("reduce by binomial/2, 4 ranks, 64 bytes");
    expect_words("rank 1, operation 2: RECV_REDUCE OUT[1] = from 0, message 0 of tile 1 (+) IN[1]");
    run_line(&r, "sinew-plan --version");
    run_expect(&r, 0);
    expect_words("sinew-plan 0.");
    run_line(&r, "sinew-plan --help");
    run_expect(&r, 0);
    expect_words("usage: sinew-plan COLLECTIVE");
}

static void what_is_wrong_is_said(void **state)
{
    static const char *const lines[][2] = {
        { "sinew-plan", "no collective" },
        { "sinew-plan alltogether --ranks 3", "no such collective: alltogether" },
        { "sinew-plan neighbour_alltoall --ranks 3", "the graph of the call" },
        { "sinew-plan barrier", "--ranks N is needed" },
        { "sinew-plan barrier --ranks 0", "--ranks N is needed" },
        { "sinew-plan barrier --ranks 9999999", "--ranks" },
        { "sinew-plan bcast --ranks 3 --root 3", "--root and --rank" },
        { "sinew-plan bcast --ranks 3 --bytes many", "takes: --bytes many" },
        { "sinew-plan bcast --ranks 3 --loggp 1,2", "takes: --loggp 1,2" },
        { "sinew-plan bcast --ranks 3 --algorithm ring", "it must be one of: binomial, scatter-ring" },
        { "sinew-plan bcast --ranks 3 --algorithm chain:0", "a number of pieces, from 1 to 64" },
        { "sinew-plan bcast --ranks 3 --algorithm chain/2", "does not go in tiles" },
        { "sinew-plan reduce --ranks 3 --algorithm binomial/65", "of tiles, from 1 to 64" },
        { "sinew-plan bcast reduce --ranks 3", "more than one collective: reduce" },
        { "sinew-plan bcast --ranks", "a value is missing: --ranks" },
        { "sinew-plan --cliffs --ranks 4", "--link and --rules, and no more" },
        { "sinew-plan --cliffs --link rope", "takes: --link rope" },
        { "sinew-plan bcast --ranks 3 --frobnicate", "no such option: --frobnicate" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        run_line(&r, "%s", lines[i][0]);
        run_expect(&r, 2);
        if (!strstr(r.err, lines[i][1])) fail_msg("%s: %s", lines[i][0], r.err);
    }
}

/* What the documentation promises of it is a matter of seconds on a quiet machine, and 2 KiB a
 * rank. */
static void a_hundred_thousand_ranks(void **state)
{
    (void)state;
    run_line(&r, "sinew-plan allreduce --ranks 131072 --bytes 8 --algorithm recursive-doubling "
                 "--verify --simulate");
    run_expect(&r, 0);
    expect_words("2228224 messages");
    const char *schedule = strstr(r.out, "schedule ");
    assert_non_null(schedule);
    assert_in_range(strtoull(schedule + strlen("schedule "), NULL, 10), 1, 2048);
    expect_words("4456448 events");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest large[] = { cmocka_unit_test(a_hundred_thousand_ranks) };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_schedule_is_printed),
        cmocka_unit_test(a_plan_is_verified_and_simulated),
        cmocka_unit_test(algorithms_are_compared),
        cmocka_unit_test(what_decided_a_choice_is_told),
        cmocka_unit_test(what_a_byte_costs_the_processor_is_simulated),
        cmocka_unit_test(options_are_written_as_elsewhere),
        cmocka_unit_test(what_is_wrong_is_said),
    };
    if (argc > 1 && strcmp(argv[1], "large") == 0) return cmocka_run_group_tests(large, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
