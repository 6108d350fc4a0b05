/* SPDX-License-Identifier: BSD-3-Clause */
/* host_test.c - what libfabric and its providers would do to the process they are loaded into, and
 * do not */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/host.h"
#include "transport/ofi/ofi.h"

/* The last: by itself, with every provider looked at. */
static const struct config configs[] = {
    { .ofi_provider = "tcp;ofi_rxm" },
    { .ofi_provider = "shm" },
    { .ofi_provider = "" },
};

static void nothing_changes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++)
        host_is_left_alone(&transport_ofi, &configs[i]);
}

static void nothing_is_printed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++)
        host_hears_nothing(&transport_ofi, &configs[i], true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_changes),
        cmocka_unit_test(nothing_is_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
