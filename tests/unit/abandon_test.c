/* SPDX-License-Identifier: BSD-3-Clause */
/* An abandoned context gives everything back, whatever was under way. The leak sanitizer judges at
 * exit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sinew/sinew.h"

static char buffer[6][100000];

static void everything_under_way_is_given_back(void **state)
{
    (void)state;
    struct sinew_options o = SINEW_OPTIONS_INIT;
    struct sinew_view_options how = SINEW_VIEW_OPTIONS_INIT;
    struct sinew *s = NULL;
    struct sinew_team *persistent = NULL;
    struct sinew_request *recv = NULL, *send = NULL, *idle = NULL, *started = NULL, *both = NULL;
    struct sinew_message *message = NULL;
    struct sinew_memory *memory = NULL;
    o.environment = SINEW_IGNORE;
    how.persistent = 1;
    assert_int_equal(sinew_open(&o, &s), 0);
    struct sinew_team *world = sinew_world(s);
    assert_int_equal(sinew_team_view(world, &how, &persistent), 0);
    assert_true(sinew_recv(world, buffer[0], 8, 0, 1, NULL, &recv) > 0);
    assert_true(sinew_send(world, buffer[1], sizeof(buffer[1]), 0, 2, &send) > 0);
    assert_int_equal(sinew_send(world, "kept", 4, 0, 3, NULL), 0);
    assert_int_equal(sinew_send(world, "taken", 5, 0, 4, NULL), 0);
    assert_int_equal(sinew_probe(world, 0, 4, NULL, &message, 0), 0);
    assert_int_equal(sinew_recv(persistent, buffer[2], 8, 0, 5, NULL, &idle), 0);
    assert_int_equal(sinew_recv(persistent, buffer[3], 8, 0, 6, NULL, &started), 0);
    assert_true(sinew_start(started) > 0);
    assert_true(sinew_sendrecv(world, buffer[4], sizeof(buffer[4]), SINEW_NO_RANK, buffer[5], 8, 0,
                               7, NULL, &both) > 0);
    assert_int_equal(sinew_memory_alloc(world, 5000, SINEW_RIGHT_NONE, &memory), 0);
    assert_int_equal(sinew_close(s), SINEW_EBUSY);
    sinew_abandon(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(everything_under_way_is_given_back) };
    return cmocka_run_group_tests_name("abandon", tests, NULL, NULL);
}
