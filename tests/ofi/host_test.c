/* SPDX-License-Identifier: BSD-3-Clause */
/* host_test.c - what libfabric would do to the process it is loaded into, and does not */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/ends.h"
#include "tests/support/host.h"
#include "transport/ofi/ofi.h"

static void nothing_to_check(void)
{
}

static int never;
const struct ends_of ends_of = { &transport_ofi, &never, nothing_to_check };

enum { RANK = 1, LONG = 1 << 20 };

/* Messages and a long put, so that whatever libfabric makes at first use is made. */
static void use(struct end e[2])
{
    static uint8_t from[LONG], to[LONG];
    struct region mine = { .base = to, .len = LONG }, theirs = { .len = LONG };
    ends_connect(e, RANK);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(end_send(&e[0], RANK, i, (size_t)i * 80), 0);
        ends_turn(e);
    }
    assert_int_equal(transport_ofi.reg(e[1].t, NULL, &mine), 0);
    theirs.key_len = mine.key_len;
    memcpy(theirs.key, mine.key, mine.key_len);
    assert_int_equal(transport_ofi.reg(e[0].t, e[0].link[RANK].link, &theirs), 0);
    memset(from, 7, sizeof(from));
    struct rma op = { .kind = RMA_PUT, .local = from, .len = LONG, .peers = &theirs };
    assert_int_equal(transport_ofi.rma(e[0].link[RANK].link, &op), TRANSPORT_PENDING);
    ENDS_UNTIL(e, e[0].link[RANK].dones == 1 && e[1].link[RANK].received == 100);
    assert_memory_equal(from, to, LONG);
    assert_int_equal(transport_ofi.dereg(e[1].t, &mine), 0);
}

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
    use(e);
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
