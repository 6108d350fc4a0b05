/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_ends.c - ends whose UCX is the tests' own, for all programs that have it
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/ends.h"
#include "tests/ucx/fake_ucx.h"
#include "transport/ucx/ucx.h"

static void nothing_is_left(void)
{
    struct fake_stats stats = fake_stats();
    assert_int_equal(stats.objects, 0);
    assert_int_equal(stats.misuses, 0);
}

const struct ends_of ends_of = { &transport_ucx, &fake_knobs.fail_at, nothing_is_left };
