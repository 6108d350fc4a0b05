/* SPDX-License-Identifier: BSD-3-Clause */
/* host_test.c - what libfabric would do to the process it is loaded into, and does not */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/support/ends.h"
#include "tests/support/host.h"
#include "transport/ofi/ofi.h"

static void nothing_to_check(void)
{
}

static int never;
const struct ends_of ends_of = { &transport_ofi, &never, nothing_to_check };

static const char *provider;

static void open_and_close(void (*meanwhile)(void *arg), void *arg)
{
    struct end e[2];
    struct why why;
    ends_prepare(e);
    for (int i = 0; i < 2; i++) {
        snprintf(e[i].config.ofi_provider, sizeof(e[i].config.ofi_provider), "%s", provider);
        if (end_open(&e[i], &why) < 0) fail_msg("%s", why.text);
    }
    meanwhile(arg);
    host_use(e);
    meanwhile(arg);
    ends_close(e);
}

/* The last: by itself, with every provider looked at. */
static const char *const providers[] = { "tcp;ofi_rxm", "shm", "" };

static void nothing_changes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++) {
        provider = providers[i];
        host_is_left_alone(open_and_close);
    }
}

static void nothing_is_printed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++) {
        provider = providers[i];
        host_hears_nothing(open_and_close, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_changes),
        cmocka_unit_test(nothing_is_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
