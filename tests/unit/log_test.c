/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/log.h"

struct lines {
    int count, level;
    char last[4096];
};

static void keep(void *arg, int level, const char *line)
{
    struct lines *lines = arg;
    lines->count++;
    lines->level = level;
    snprintf(lines->last, sizeof(lines->last), "%s", line);
}

static void lines_up_to_the_level_are_written(void **state)
{
    struct lines lines = { 0 };
    struct log log = { .level = LOG_WARNING, .write = keep, .arg = &lines, .prefix = "unseen " };
    (void)state;
    log_line(&log, LOG_CHOICE, "too much");
    assert_int_equal(lines.count, 0);
    assert_false(log_wants(&log, LOG_CHOICE));
    log_line(&log, LOG_WARNING, "rank %d", 3);
    assert_int_equal(lines.count, 1);
    assert_int_equal(lines.level, LOG_WARNING);
    assert_string_equal(lines.last, "rank 3");
    log.level = LOG_NOTHING;
    log_line(&log, LOG_ERROR, "silence");
    assert_int_equal(lines.count, 1);
}

static void no_log_is_silent(void **state)
{
    (void)state;
    assert_false(log_wants(NULL, LOG_ERROR));
    log_line(NULL, LOG_ERROR, "nobody listens");
}

static void long_lines_are_cut_and_say_so(void **state)
{
    struct lines lines = { 0 };
    struct log log = { .level = LOG_ERROR, .write = keep, .arg = &lines };
    char text[4000];
    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    log_line(&log, LOG_ERROR, "%s", text);
    size_t len = strlen(lines.last);
    assert_true(len > 1000 && len < sizeof(text) - 1);
    assert_string_equal(lines.last + len - 4, "x...");
}

/* To standard error in one write, with the prefix and one newline. */
static void standard_error_gets_whole_lines(void **state)
{
    struct log log = { .level = LOG_ERROR, .prefix = "sinew[3]: " };
    char got[64] = { 0 };
    int ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    log_line(&log, LOG_ERROR, "it %s", "failed");
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    assert_int_equal(read(ends[0], got, sizeof(got) - 1), 20);
    assert_string_equal(got, "sinew[3]: it failed\n");
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_up_to_the_level_are_written),
        cmocka_unit_test(no_log_is_silent),
        cmocka_unit_test(long_lines_are_cut_and_say_so),
        cmocka_unit_test(standard_error_gets_whole_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
