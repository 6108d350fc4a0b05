/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * limits.c - sinew-limits prints what programs can read, moves what it says, and refuses the rest
 */
#include <math.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "json.h"
#include "run.h"

enum { SKIPPED = 77 };

static struct run r;
static struct json j;

static double expect_figure(char **at, const char *test, const char *transport, double bytes,
                           const char *unit)
{
    char *line = run_next_line(at);
    if (!line) fail_msg("a line is missing");
    if (!json_parse(line, &j)) fail_msg("not one flat JSON object: %s", line);
    json_expect_keys(&j, "test, transport, ranks, bytes, value, unit");
    assert_string_equal(json_text(&j, "test"), test);
    assert_string_equal(json_text(&j, "transport"), transport);
    assert_string_equal(json_text(&j, "unit"), unit);
    assert_true(json_number(&j, "ranks") == 2);
    assert_true(json_number(&j, "bytes") == bytes);
    return json_number(&j, "value");
}

/* The program itself looks whether what arrived is what was sent, and fails otherwise. */
static void every_limit_prints_one_line_per_size(void **state)
{
    static const struct {
        const char *test, *transport, *unit;
        double bytes;
        const char *size;
    } limits[] = {
        { "latency", "line", "us", 8, "8" },
        { "latency", "ring", "us", 8, "8" },
        { "latency", "ring", "us", 1000, "1000" },
        { "latency", "ring", "us", 100000, "100000" },
        { "latency", "copy", "us", 65536, "64K" },
        { "latency", "kernel", "us", 65536, "64K" },
        { "barrier", "ring", "us", 8, "8" },
        { "bcast", "ring", "us", 100000, "100000" },
        { "reduce", "ring", "us", 1000, "1000" },
        { "allreduce", "ring", "us", 100000, "100000" },
        { "allgather", "ring", "us", 100, "100" },
        { "alltoall", "ring", "us", 100000, "100000" },
        { "reduce_scatter", "ring", "us", 100004, "100004" },
        { "latency", "tcp", "us", 8, "8" },
        { "rate", "ring", "Mmsg/s", 8, "8" },
        { "rate", "tcp", "Mmsg/s", 8, "8" },
        { "rate", "tcp-batched", "Mmsg/s", 8, "8" },
        { "bandwidth", "ring", "MB/s", 100000, "100000" },
        { "bandwidth", "copy", "MB/s", 65536, "64K" },
        { "bandwidth", "kernel", "MB/s", 65536, "64K" },
        { "bandwidth", "tcp", "MB/s", 65536, "64K" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        run_line(&r, "sinew-limits %s --transport %s --bytes %s --seconds 0.001 --json",
                 limits[i].test, limits[i].transport, limits[i].size);
        run_expect(&r, 0);
        char *at = r.out;
        double value = expect_figure(&at, limits[i].test, limits[i].transport, limits[i].bytes,
                                    limits[i].unit);
        assert_true(value > 0 && value < 1e7);
        assert_null(run_next_line(&at));
    }
}

/* Not a claim about speed: 16 mebibytes take longer than a byte on any machine. The least of a few
 * runs, for who gets no core for a while has taken as long for a byte. */
static void more_bytes_take_longer(void **state)
{
    double byte = 1e9, many = 1e9;
    (void)state;
    for (int i = 0; i < 5; i++) {
        run_line(&r, "sinew-limits latency --transport kernel --bytes 1,16M --seconds 0.01 --json");
        run_expect(&r, 0);
        char *at = r.out;
        byte = fmin(byte, expect_figure(&at, "latency", "kernel", 1, "us"));
        many = fmin(many, expect_figure(&at, "latency", "kernel", 16 << 20, "us"));
    }
    assert_true(many > byte);
}

/* The last column is a way that can be asked for. */
static void a_way_that_is_named_is_measured_alone(void **state)
{
    static const char way[] = "spinning, reno of 65536, room 262144";
    (void)state;
    const char *const argv[] = { "sinew-limits", "bandwidth", "--transport", "tcp", "--bytes", "1K",
                                 "--seconds", "0.001", "--way", way, NULL };
    run_argv(&r, argv);
    run_expect(&r, 0);
    char *at = r.out, *line = run_next_line(&at);
    line = run_next_line(&at);
    assert_non_null(line);
    assert_true(strlen(line) > strlen(way));
    assert_string_equal(line + strlen(line) - strlen(way), way);
}

static void what_it_cannot_measure_is_refused(void **state)
{
    static const char *const bad[][2] = {
        { "latency --bytes 0", "1 to 64M" },      { "latency --bytes 8,", "1 to 64M" },
        { "latency --bytes 65M", "1 to 64M" },    { "speed", "no such limit" },
        { "rate --transport copy", "no such limit" }, { "latency --cores 0,0", "two different" },
        { "latency --cores 0,1023", "cores that this process may run on are wanted: " },
        { "latency --seconds 0", "0.001 to 10" }, { "latency rate", "one test" },
        { "latency --transport tcp --bytes 8 --json --way asking", "no such way" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        run_line(&r, "sinew-limits %s", bad[i][0]);
        run_expect(&r, 2);
        if (!strstr(r.err, bad[i][1])) fail_msg("%s: does not say \"%s\"", r.err, bad[i][1]);
        assert_string_equal(r.out, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_limit_prints_one_line_per_size),
        cmocka_unit_test(more_bytes_take_longer),
        cmocka_unit_test(a_way_that_is_named_is_measured_alone),
        cmocka_unit_test(what_it_cannot_measure_is_refused),
    };
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) < 2) {
        printf("skip: two cores are needed\n");
        return SKIPPED;
    }
    return cmocka_run_group_tests_name("sinew-limits", tests, NULL, NULL);
}
