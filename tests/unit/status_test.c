/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sinew/sinew.h"

/* The numbers are in programs and on wires: they never change, and this list only grows. */
static void numbers_are_for_good(void **state)
{
    static const struct {
        int number;
        const char *name;
    } known[] = {
        { 0, "SINEW_OK" },          { 1, "SINEW_PENDING" },     { -1, "SINEW_EINVAL" },
        { -2, "SINEW_ENOMEM" },     { -3, "SINEW_ENOTSUP" },    { -4, "SINEW_EPEER" },
        { -5, "SINEW_ETRUNCATED" }, { -6, "SINEW_ETIMEDOUT" },  { -7, "SINEW_ECANCELED" },
        { -8, "SINEW_EBUSY" },      { -9, "SINEW_ESTATE" },     { -10, "SINEW_EAUTH" },
        { -11, "SINEW_EVERSION" },  { -12, "SINEW_EMISMATCH" }, { -13, "SINEW_EREVOKED" },
        { -14, "SINEW_EUNKNOWN" },  { -15, "SINEW_ENOENT" },    { -16, "SINEW_EIO" },
        { -17, "SINEW_EPROTO" },    { -18, "SINEW_EACCESS" },   { -19, "SINEW_EUNREACHABLE" },
        { -20, "SINEW_ELAUNCH" },   { -21, "SINEW_ELIMIT" },    { -22, "SINEW_EABORTED" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_string_equal(sinew_strstatus(known[i].number), known[i].name);
}

static void every_number_has_a_text_of_its_own(void **state)
{
    (void)state;
    for (int a = -1000; a <= 1000; a++) {
        assert_non_null(sinew_strerror(a));
        bool known = strcmp(sinew_strstatus(a), "SINEW_?") != 0;
        assert_int_equal(known, strcmp(sinew_strerror(a), "unknown status") != 0);
        for (int b = -1000; known && b < a; b++)
            assert_string_not_equal(sinew_strerror(a), sinew_strerror(b));
    }
    assert_string_equal(sinew_strerror(INT32_MIN), "unknown status");
    assert_string_equal(sinew_strstatus(INT32_MAX), "SINEW_?");
}

static void library_and_header_are_of_one_version(void **state)
{
    (void)state;
    assert_string_equal(sinew_version(), SINEW_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_for_good),
        cmocka_unit_test(every_number_has_a_text_of_its_own),
        cmocka_unit_test(library_and_header_are_of_one_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
