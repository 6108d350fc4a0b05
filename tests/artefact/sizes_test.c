/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The layout that programs were compiled with. A field may be added at the end of an option
 * structure, never anywhere else; a status never changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sinew/sinew.h"

#define ASSERT_AT(type, field, offset) assert_int_equal(offsetof(struct type, field), offset)

static void options(void **state)
{
    struct sinew_options init = SINEW_OPTIONS_INIT;
    (void)state;
    assert_int_equal(init.size, sizeof(init));
    assert_int_equal(sizeof(struct sinew_options), 128);
    ASSERT_AT(sinew_options, transports, 8);
    ASSERT_AT(sinew_options, threads, 16);
    ASSERT_AT(sinew_options, security, 20);
    ASSERT_AT(sinew_options, environment, 24);
    ASSERT_AT(sinew_options, setup_deadline, 32);
    ASSERT_AT(sinew_options, repair_deadline, 40);
    ASSERT_AT(sinew_options, deadline, 48);
    ASSERT_AT(sinew_options, stall_report, 56);
    ASSERT_AT(sinew_options, eager_bytes, 64);
    ASSERT_AT(sinew_options, unexpected_bytes, 72);
    ASSERT_AT(sinew_options, unexpected_requests, 80);
    ASSERT_AT(sinew_options, log_level, 84);
    ASSERT_AT(sinew_options, log, 88);
    ASSERT_AT(sinew_options, log_arg, 96);
    ASSERT_AT(sinew_options, settings, 104);
    ASSERT_AT(sinew_options, exchange, 112);
    ASSERT_AT(sinew_options, secret, 120);
}

static void view_options(void **state)
{
    struct sinew_view_options init = SINEW_VIEW_OPTIONS_INIT;
    (void)state;
    assert_int_equal(init.size, sizeof(init));
    assert_int_equal(sizeof(struct sinew_view_options), 32);
    ASSERT_AT(sinew_view_options, level, 8);
    ASSERT_AT(sinew_view_options, persistent, 12);
    ASSERT_AT(sinew_view_options, deadline, 16);
    ASSERT_AT(sinew_view_options, algorithm, 24);
}

static void status(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct sinew_status), 40);
    ASSERT_AT(sinew_status, code, 0);
    ASSERT_AT(sinew_status, rank, 4);
    ASSERT_AT(sinew_status, tag, 8);
    ASSERT_AT(sinew_status, bytes, 16);
    ASSERT_AT(sinew_status, sent, 24);
    ASSERT_AT(sinew_status, reserved, 32);
}

static void exchange(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct sinew_exchange), 32);
    ASSERT_AT(sinew_exchange, allgather, 8);
    ASSERT_AT(sinew_exchange, failed, 16);
    ASSERT_AT(sinew_exchange, arg, 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options),
        cmocka_unit_test(view_options),
        cmocka_unit_test(status),
        cmocka_unit_test(exchange),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
