/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * perf.c - sinew-perf says exactly what it promises, and refuses what it cannot measure
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "json.h"
#include "run.h"

#define TIME_KEYS                                                                                  \
    "test, transport, ranks, bytes, iterations, mean, min, p50, p90, p99, p999, max, batch, "     \
    "separated, unit"
#define VALUE_KEYS "test, transport, ranks, bytes, value, unit"

static struct run r;
static struct json j;

static const char *const transports[] = { "shm", "tcp" };
enum { TRANSPORTS = 2 };

static void expect_start(const char *test, const char *transport, int ranks, double bytes)
{
    assert_string_equal(json_text(&j, "test"), test);
    assert_string_equal(json_text(&j, "transport"), transport);
    assert_true(json_number(&j, "ranks") == ranks);
    assert_true(json_number(&j, "bytes") == bytes);
}

static void expect_times(void)
{
    static const char *const rising[] = { "min", "p50", "p90", "p99", "p999", "max" };
    json_expect_keys(&j, TIME_KEYS);
    assert_string_equal(json_text(&j, "unit"), "us");
    assert_true(json_number(&j, "mean") > 0);
    assert_true(json_number(&j, "iterations") >= 1);
    assert_true(json_number(&j, "min") >= 0);
    for (size_t i = 1; i < sizeof(rising) / sizeof(rising[0]); i++)
        assert_true(json_number(&j, rising[i - 1]) <= json_number(&j, rising[i]));
}

static char *expect_line(char **at)
{
    char *line = run_next_line(at);
    if (!line) fail_msg("a line is missing");
    if (!json_parse(line, &j)) fail_msg("not one flat JSON object: %s", line);
    return line;
}

/* One line per size with the fixed keys, and nothing else. */
static void latency_prints_the_specified_lines(void **state)
{
    (void)state;
    for (int t = 0; t < TRANSPORTS; t++) {
        run_ranks(&r, 2, transports[t], "sinew-perf latency --bytes 8,1K --json");
        run_expect(&r, 0);
        char *at = r.out;
        for (int i = 0; i < 2; i++) {
            expect_line(&at);
            expect_start("latency", transports[t], 2, i == 0 ? 8 : 1024);
            expect_times();
            assert_true(json_number(&j, "batch") > 1);
            assert_true(json_number(&j, "separated") == 0);
        }
        assert_null(run_next_line(&at));
    }
}

static void iterations_are_what_was_asked(void **state)
{
    (void)state;
    run_ranks(&r, 2, "", "sinew-perf latency --bytes 4K --iterations 77 --warmup 3 --json");
    run_expect(&r, 0);
    char *at = r.out;
    expect_line(&at);
    assert_true(json_number(&j, "iterations") == 77);
    assert_true(json_number(&j, "batch") == 1);
    run_ranks(&r, 2, "", "sinew-perf latency --bytes 8 --iterations 77 --batch 7 --json");
    run_expect(&r, 0);
    at = r.out;
    expect_line(&at);
    assert_true(json_number(&j, "batch") == 7);
}

static void bandwidth_and_rate_print_one_value(void **state)
{
    static const char *const tests[] = { "bandwidth", "rate" };
    static const char *const units[] = { "MB/s", "Mmsg/s" };
    double value[2];
    (void)state;
    for (int t = 0; t < TRANSPORTS; t++) {
        for (int i = 0; i < 2; i++) {
            run_ranks(&r, 2, transports[t],
                      "sinew-perf %s --bytes 1K,64K --iterations 20 --window 16 --validate --json",
                      tests[i]);
            run_expect(&r, 0);
            char *at = r.out;
            for (int line = 0; line < 2; line++) {
                expect_line(&at);
                json_expect_keys(&j, VALUE_KEYS);
                expect_start(tests[i], transports[t], 2, line == 0 ? 1024 : 65536);
                assert_string_equal(json_text(&j, "unit"), units[i]);
                value[i] = json_number(&j, "value");
                assert_true(value[i] > 0);
            }
            assert_null(run_next_line(&at));
        }
    }
}

static void collectives_print_times(void **state)
{
    static const char *const tests[] = {
        "bcast",     "reduce",    "allreduce",  "reduce_scatter",      "reduce_scatter_block",
        "scan",      "exscan",    "gather",     "gatherv",             "scatter",
        "scatterv",  "allgather", "allgatherv", "neighbour_allgather", "neighbour_alltoall",
        "alltoallv", "alltoall",  "neighbour_alltoallv",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        run_ranks(&r, 3, "", "sinew-perf %s --bytes 24,24000 --iterations 20 --validate --json",
                  tests[i]);
        run_expect(&r, 0);
        char *at = r.out;
        for (int line = 0; line < 2; line++) {
            expect_line(&at);
            expect_start(tests[i], "shm", 3, line == 0 ? 24 : 24000);
            expect_times();
            assert_true(json_number(&j, "separated") > 0);
        }
        assert_null(run_next_line(&at));
    }
}

/* What is divided among more ranks than it has elements is not left away: some parts are empty, or,
 * where all have one length, the vector is longer. */
static void a_short_vector_is_still_scattered(void **state)
{
    (void)state;
    run_ranks(&r, 4, "", "sinew-perf reduce_scatter --bytes 8,28 --iterations 20 --validate --json");
    run_expect(&r, 0);
    char *at = r.out;
    for (int line = 0; line < 2; line++) {
        expect_line(&at);
        expect_start("reduce_scatter", "shm", 4, line == 0 ? 8 : 28);
    }
    run_ranks(&r, 4, "",
              "sinew-perf reduce_scatter_block --bytes 8,28 --iterations 20 --validate --json");
    run_expect(&r, 0);
    at = r.out;
    for (int line = 0; line < 2; line++) {
        expect_line(&at);
        expect_start("reduce_scatter_block", "shm", 4, line == 0 ? 16 : 32);
    }
}

/* Whatever is asked about a collective beside its time: one value, with its own unit and name. */
static void cold_and_overlap_print_one_value(void **state)
{
    static const struct {
        const char *options, *test, *unit;
    } cases[] = {
        { "--cold", "allreduce-cold", "us" },
        { "--overlap 8", "allreduce-overlap", "%" },
        { "--overlap 8 --persistent", "allreduce-overlap", "%" },
    };
    (void)state;
    for (int t = 0; t < TRANSPORTS; t++)
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            run_ranks(&r, 2, transports[t],
                      "sinew-perf allreduce --bytes 1K,64K --iterations 20 --validate %s --json",
                      cases[i].options);
            run_expect(&r, 0);
            char *at = r.out;
            for (int line = 0; line < 2; line++) {
                expect_line(&at);
                json_expect_keys(&j, VALUE_KEYS);
                expect_start(cases[i].test, transports[t], 2, line == 0 ? 1024 : 65536);
                assert_string_equal(json_text(&j, "unit"), cases[i].unit);
                double value = json_number(&j, "value");
                assert_true(value >= 0 && (cases[i].unit[0] == 'u' || value <= 100));
            }
            assert_null(run_next_line(&at));
        }
}

/* Who opens a context is told what is wrong in the file, whether it calls a collective or not. */
static void a_wrong_rule_file_is_told_at_once(void **state)
{
    (void)state;
    setenv("SINEW_COLLECTIVE_RULES", "/no/such/file", 1);
    run_line(&r, "sinew-perf barrier --iterations 1");
    unsetenv("SINEW_COLLECTIVE_RULES");
    if (r.status == 0 || !strstr(r.err, "sinew_open: ") || strstr(r.err, "barrier"))
        fail_msg("status %d: %s", r.status, r.err);
    if (!strstr(r.err, "libcjson")) assert_non_null(strstr(r.err, "/no/such/file"));
}

/* Every parameter of the model is there, and sinew-plan takes the file. */
static void calibrate_prints_a_rule_file(void **state)
{
    static const char *const parameters[] = { "latency_ns", "overhead_ns", "byte_ns", "touch_ns",
                                              "long_bytes", "long_ns",     "ask_ns",  "add_ns",
                                              "copy_ns",    "stage_ns" };
    char file[] = "/tmp/sinew-calibrated-XXXXXX", named[64];
    (void)state;
    for (int t = 0; t < TRANSPORTS; t++) {
        run_ranks(&r, 2, transports[t], "sinew-perf calibrate");
        run_expect(&r, 0);
        snprintf(named, sizeof(named), "\"%s\": {", transports[t]);
        if (!strstr(r.out, named)) fail_msg("no link %s in %s", transports[t], r.out);
        for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
            if (!strstr(r.out, parameters[i])) fail_msg("no %s in %s", parameters[i], r.out);
    }
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, r.out, strlen(r.out)), strlen(r.out));
    close(fd);
    run_line(&r, "sinew-plan allreduce --ranks 4 --bytes 64K --compare --rules %s --link tcp", file);
    unlink(file);
    if (r.status != 0 && strstr(r.err, "libcjson")) skip();
    run_expect(&r, 0);
    assert_non_null(strstr(r.out, "chosen over tcp: "));
}

static void barrier_is_one_line_without_bytes(void **state)
{
    (void)state;
    for (int t = 0; t < TRANSPORTS; t++) {
        run_ranks(&r, 4, transports[t], "sinew-perf barrier --iterations 40 --json");
        run_expect(&r, 0);
        char *at = r.out;
        expect_line(&at);
        expect_start("barrier", transports[t], 4, 0);
        expect_times();
        assert_null(run_next_line(&at));
    }
}

/* Every column of every row ends where its title ends. */
static void table_is_aligned(void **state)
{
    (void)state;
    run_ranks(&r, 2, "shm", "sinew-perf latency --bytes 0,8,4M --iterations 20");
    run_expect(&r, 0);
    char *at = r.out, *line, *titles = NULL;
    int rows = 0;
    while ((line = run_next_line(&at)) != NULL) {
        if (strstr(line, "bytes ") && strstr(line, "p99.9")) {
            titles = line;
        } else if (titles && line[0] == ' ') {
            assert_int_equal(strlen(line), strlen(titles));
            rows++;
        }
    }
    assert_non_null(titles);
    assert_int_equal(rows, 3);
}

static void help_names_every_test_and_option(void **state)
{
    static const char *const words[] = {
        "latency", "bandwidth", "rate", "barrier", "bcast", "reduce", "allreduce", "gather",
        "allgather", "put", "get", "atomic", "am", "not built yet", "--transport", "--bytes",
        "--iterations", "--warmup", "--window", "--one-buffer", "--validate", "--json", "--help",
        "--version",
    };
    (void)state;
    run_line(&r, "sinew-perf --help");
    run_expect(&r, 0);
    assert_string_equal(r.err, "");
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (!strstr(r.out, words[i])) fail_msg("--help does not speak of %s", words[i]);
    run_line(&r, "sinew-perf --version");
    run_expect(&r, 0);
    assert_true(strncmp(r.out, "sinew-perf ", 11) == 0);
}

/* The command line, and what the refusal must say. */
static void bad_arguments_are_refused_with_their_bounds(void **state)
{
    static const char *const cases[][2] = {
        { "", "which test" },
        { "letency", "letency: no such test" },
        { "latency rate", "one test at a time" },
        { "put", "not built yet" },
        { "get", "not built yet" },
        { "atomic", "not built yet" },
        { "am", "not built yet" },
        { "latency --bytes 2G", "0 to 1G" },
        { "latency --bytes -1", "0 to 1G" },
        { "latency --bytes 8,,9", "0 to 1G" },
        { "latency --bytes 8x", "0 to 1G" },
        { "latency --bytes 99999999999999999999", "0 to 1G" },
        { "latency --iterations 0", "1 to 1000000000" },
        { "latency --iterations many", "1 to 1000000000" },
        { "latency --warmup -1", "0 to 1000000000" },
        { "bandwidth --window 4097", "1 to 4096" },
        { "barrier --bytes 8", "--bytes means nothing for barrier" },
        { "latency --window 8", "--window means nothing for latency" },
        { "barrier --rewrite", "--rewrite means nothing for barrier" },
        { "latency --cold", "--cold means nothing for latency" },
        { "barrier --cold", "--cold means nothing for barrier" },
        { "latency --algorithm ring", "--algorithm means nothing for latency" },
        { "rate --overlap 8", "--overlap means nothing for rate" },
        { "bcast --persistent", "--persistent means nothing for bcast" },
        { "bcast --overlap -1", "0 to 100000" },
        { "bcast --overlap 8 --cold", "not with --overlap" },
        { "allreduce --bytes 6", "elements of 4 bytes" },
        { "latency --nonsense", "nonsense" },
        { "latency --transport pigeon", "pigeon" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        run_line(&r, "sinew-perf %s", cases[i][0]);
        run_expect(&r, 2);
        assert_string_equal(r.out, "");
        if (!strstr(r.err, cases[i][1]))
            fail_msg("sinew-perf %s said: %s", cases[i][0], r.err);
    }
}

/* All that are named must work: help says so, and so does the refusal, with the way out. */
static void a_transport_that_cannot_work_is_taken_out_of_the_list(void **state)
{
    (void)state;
    run_line(&r, "sinew-perf --help");
    assert_non_null(strstr(r.out, "all that are named must work"));
    run_line(&r, "sinewrun --help");
    assert_non_null(strstr(r.out, "all that are named must work"));
    setenv("SINEW_MODULE_DIR", "/proc", 1);
    run_ranks(&r, 2, "verbs,tcp", "sinew-perf latency --json");
    unsetenv("SINEW_MODULE_DIR");
    run_expect(&r, 2);
    assert_non_null(strstr(r.err, "transport verbs was asked for"));
    assert_non_null(strstr(r.err, "take it out of `transports`, \"verbs,tcp\""));
}

static void the_wrong_number_of_ranks_is_explained(void **state)
{
    (void)state;
    run_line(&r, "sinew-perf latency --json");
    run_expect(&r, 2);
    assert_string_equal(r.out, "");
    assert_non_null(strstr(r.err, "sinewrun -n 2 sinew-perf latency"));
    run_ranks(&r, 3, "", "sinew-perf latency --json");
    run_expect(&r, 2);
    assert_non_null(strstr(r.err, "exactly 2 ranks; this job has 3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latency_prints_the_specified_lines),
        cmocka_unit_test(iterations_are_what_was_asked),
        cmocka_unit_test(bandwidth_and_rate_print_one_value),
        cmocka_unit_test(collectives_print_times),
        cmocka_unit_test(a_short_vector_is_still_scattered),
        cmocka_unit_test(a_wrong_rule_file_is_told_at_once),
        cmocka_unit_test(calibrate_prints_a_rule_file),
        cmocka_unit_test(cold_and_overlap_print_one_value),
        cmocka_unit_test(barrier_is_one_line_without_bytes),
        cmocka_unit_test(table_is_aligned),
        cmocka_unit_test(help_names_every_test_and_option),
        cmocka_unit_test(bad_arguments_are_refused_with_their_bounds),
        cmocka_unit_test(a_transport_that_cannot_work_is_taken_out_of_the_list),
        cmocka_unit_test(the_wrong_number_of_ranks_is_explained),
    };
    return cmocka_run_group_tests_name("sinew-perf", tests, NULL, NULL);
}
