/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

static void whys_grow_from_the_cause_outwards(void **state)
{
    struct why why;
    (void)state;
    assert_int_equal(why_set(&why, -4, "rank %d is gone", 3), -4);
    assert_int_equal(why_wrap(&why, -4, "send of %d bytes", 8), -4);
    assert_int_equal(why_wrap(&why, -9, "outer"), -9);
    assert_string_equal(why.text, "outer: send of 8 bytes: rank 3 is gone");
    assert_int_equal(why_set(NULL, -1, "nobody listens"), -1);
    assert_int_equal(why_wrap(NULL, -1, "nobody listens"), -1);
}

static void wrapping_nothing_adds_no_colon(void **state)
{
    struct why why = { "" };
    (void)state;
    why_wrap(&why, -1, "alone");
    assert_string_equal(why.text, "alone");
}

static void whys_are_cut_and_terminated(void **state)
{
    char long_text[2 * WHY_MAX];
    struct why why;
    (void)state;
    memset(long_text, 'x', sizeof(long_text));
    long_text[sizeof(long_text) - 1] = '\0';
    why_set(&why, -1, "%s", long_text);
    assert_int_equal(strlen(why.text), WHY_MAX - 1);
    why_wrap(&why, -1, "outer");
    assert_int_equal(strlen(why.text), WHY_MAX - 1);
    assert_memory_equal(why.text, "outer: xxx", 10);
    why_wrap(&why, -1, "%s", long_text);
    assert_int_equal(strlen(why.text), WHY_MAX - 1);
    assert_string_equal(why.text + WHY_MAX - 1 - 4, "x...");
}

static void what_fits_whole_is_not_marked(void **state)
{
    char text[WHY_MAX];
    struct why why;
    (void)state;
    memset(text, 'x', sizeof(text));
    text[WHY_MAX - 1] = '\0';
    why_set(&why, -1, "%s", text);
    assert_string_equal(why.text, text);
    why_set(&why, -1, "%s", text + 7);
    why_wrap(&why, -1, "outer");
    assert_string_equal(why.text + WHY_MAX - 1 - 4, "xxxx");
}

static void no_character_is_cut_in_two(void **state)
{
    char text[2 * WHY_MAX];
    struct why why;
    (void)state;
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof(text); i += 3) memcpy(text + i, "\xe2\x82\xac", 4);
        why_set(&why, -1, "%s", text);
        size_t len = strlen(why.text);
        assert_true(len > WHY_MAX - 4 && len < WHY_MAX);
        assert_string_equal(why.text + len - 4, "\xac...");
    }
}

static void text_counts_what_it_would_need(void **state)
{
    char buffer[8];
    struct text t = text_into(buffer, sizeof(buffer));
    (void)state;
    text_add(&t, "abc%d", 1);
    assert_string_equal(buffer, "abc1");
    text_add(&t, "defgh");
    assert_string_equal(buffer, "abc1def");
    text_add(&t, "ij");
    assert_string_equal(buffer, "abc1def");
    assert_int_equal(t.need, 11);
}

static void no_buffer_only_counts(void **state)
{
    struct text t = text_into(NULL, 0);
    (void)state;
    text_add(&t, "%s", "twelve bytes");
    assert_int_equal(t.need, 12);
}

static void durations_have_the_fitting_unit(void **state)
{
    char b[TEXT_DURATION_MAX];
    (void)state;
    assert_string_equal(text_duration(1500000000, b), "1.5 s");
    assert_string_equal(text_duration(20000000, b), "20 ms");
    assert_string_equal(text_duration(1500, b), "1.5 us");
    assert_string_equal(text_duration(0, b), "0 us");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whys_grow_from_the_cause_outwards),
        cmocka_unit_test(wrapping_nothing_adds_no_colon),
        cmocka_unit_test(whys_are_cut_and_terminated),
        cmocka_unit_test(what_fits_whole_is_not_marked),
        cmocka_unit_test(no_character_is_cut_in_two),
        cmocka_unit_test(text_counts_what_it_would_need),
        cmocka_unit_test(no_buffer_only_counts),
        cmocka_unit_test(durations_have_the_fitting_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
