/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/value.h"

static void assert_time(const char *text, int64_t expected, const char *printed)
{
    char out[VALUE_TEXT_MAX];
    int64_t v = -7;
    assert_true(value_parse_time(text, &v));
    assert_true(v == expected);
    assert_string_equal(value_print_time(v, out), printed);
}

static void times_are_exact(void **state)
{
    (void)state;
    assert_time("1.5s", 1500000000, "1500ms");
    assert_time("0.000000001s", 1, "1ns");
    assert_time("20ms", 20000000, "20ms");
    assert_time("3us", 3000, "3us");
    assert_time("3.001us", 3001, "3001ns");
    assert_time("0s", 0, "0ns");
    assert_time("007ns", 7, "7ns");
    assert_time("never", INT64_MAX, "never");
    assert_time("9223372036.854775806s", INT64_MAX - 1, "9223372036854775806ns");
}

static void assert_size(const char *text, int64_t expected, const char *printed)
{
    char out[VALUE_TEXT_MAX];
    int64_t v = -7;
    assert_true(value_parse_size(text, &v));
    assert_true(v == expected);
    assert_string_equal(value_print_size(v, out), printed);
}

static void sizes_are_powers_of_1024(void **state)
{
    (void)state;
    assert_size("8", 8, "8");
    assert_size("1K", 1024, "1K");
    assert_size("1.5M", 1572864, "1536K");
    assert_size("2G", 2147483648, "2G");
    assert_size("0.001953125K", 2, "2"); /* all nine digits are needed */
}

static void nonsense_is_refused(void **state)
{
    static const char *const times[] = { "",
                                         "s",
                                         "1",
                                         "1 s",
                                         "1.s",
                                         ".5s",
                                         "1.5ns",
                                         "-1s",
                                         "1h",
                                         "1S",
                                         "1ms ",
                                         "0x1s",
                                         "1e3s",
                                         "1,5s",
                                         "Never",
                                         "1..5s",
                                         "1.5.5s",
                                         "9223372037s",
                                         "99999999999999999999ns",
                                         "1ss",
                                         "1.0000000000s" };
    static const char *const sizes[] = { "",   "K",  "1k", "1KB",         "0.5", "1.0001K",
                                         "-1", "+1", " 1", "8589934592G", "1T",  "1.K" };
    static const char *const numbers[] = { "",    "-",   "+1",
                                           "1.",  " 1",  "1 ",
                                           "0x1", "--1", "9223372036854775808" };
    int64_t v = -7;
    (void)state;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        if (value_parse_time(times[i], &v)) fail_msg("'%s' was read as a time", times[i]);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        if (value_parse_size(sizes[i], &v)) fail_msg("'%s' was read as a size", sizes[i]);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (value_parse_number(numbers[i], &v)) fail_msg("'%s' was read as a number", numbers[i]);
    assert_int_equal(v, -7);
}

static void numbers_are_decimal(void **state)
{
    int64_t v;
    (void)state;
    assert_true(value_parse_number("-12", &v) && v == -12);
    assert_true(value_parse_number("9223372036854775807", &v) && v == INT64_MAX);
    assert_true(value_parse_number("010", &v) && v == 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_exact),
        cmocka_unit_test(sizes_are_powers_of_1024),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(numbers_are_decimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
