/* SPDX-License-Identifier: BSD-3-Clause */
/* host_test.c - what UCX would do to the process it is loaded into, and does not */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/ends.h"
#include "tests/support/host.h"
#include "transport/ucx/ucx.h"

static void nothing_to_check(void)
{
}

static int never;
const struct ends_of ends_of = { &transport_ucx, &never, nothing_to_check };

static void open_and_close(void (*meanwhile)(void *arg), void *arg)
{
    struct end e[2];
    ends_open(e);
    meanwhile(arg);
    host_use(e);
    meanwhile(arg);
    ends_close(e);
}

static void nothing_changes(void **state)
{
    (void)state;
    host_is_left_alone(open_and_close);
}

/* UCX warns of this word, to stdout. */
static void nothing_is_printed(void **state)
{
    (void)state;
    host_hears_nothing(open_and_close, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_changes),
        cmocka_unit_test(nothing_is_printed),
    };
    setenv("UCX_NO_SUCH_WORD", "1", 1);
    setenv("UCX_WARN_UNUSED_ENV_VARS", "y", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
