/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The timer of sleepers: it fires for the earliest deadline, is never put off, and says so when
 * there is nothing to sleep for.
 */
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/timer.h"
#include "base/world.h"
#include "sinew/sinew.h"

#define HOUR (3600 * INT64_C(1000000000))

static int fires_within(const struct timer *timer, int milliseconds)
{
    struct pollfd p = { .fd = timer->fd, .events = POLLIN };
    return poll(&p, 1, milliseconds);
}

static void the_earliest_deadline_fires(void **state)
{
    (void)state;
    struct timer timer = TIMER_NONE;
    int64_t now = world_now(&world_real);
    assert_int_equal(timer_open(&timer), 0);
    assert_int_equal(timer_set(&timer, now + HOUR, now), 0);
    assert_int_equal(fires_within(&timer, 0), 0);
    assert_int_equal(timer_set(&timer, now + 1000000, now), 0);
    assert_int_equal(timer_set(&timer, now + HOUR, now), 0); /* does not put it off */
    assert_int_equal(fires_within(&timer, 10000), 1);
    timer_clear(&timer);
    assert_int_equal(fires_within(&timer, 0), 0);
    assert_true(timer.at == INT64_MAX);
    timer_close(&timer);
    assert_int_equal(timer.fd, -1);
}

static void what_is_due_already_is_said(void **state)
{
    (void)state;
    struct timer timer = TIMER_NONE;
    int64_t now = world_now(&world_real);
    assert_int_equal(timer_open(&timer), 0);
    assert_int_equal(timer_set(&timer, now, now), SINEW_PENDING);
    assert_int_equal(timer_set(&timer, now - 1, now), SINEW_PENDING);
    assert_int_equal(timer_set(&timer, INT64_MAX, now), 0);
    assert_true(timer.at == INT64_MAX);
    assert_int_equal(fires_within(&timer, 0), 0);
    timer_clear(&timer); /* nothing has fired: no harm */
    assert_int_equal(timer_set(&timer, now + HOUR, now), 0);
    timer_clear(&timer); /* nor does that forget what it is set to */
    assert_true(timer.at == now + HOUR);
    timer_close(&timer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_earliest_deadline_fires),
        cmocka_unit_test(what_is_due_already_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
