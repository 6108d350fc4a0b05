/* SPDX-License-Identifier: BSD-3-Clause */
/* host_test.c - what libfabric would do to the process it is loaded into, and does not */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
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

static const char *provider;

static void open_two(struct end e[2])
{
    struct why why;
    ends_prepare(e);
    for (int i = 0; i < 2; i++) {
        snprintf(e[i].config.ofi_provider, sizeof(e[i].config.ofi_provider), "%s", provider);
        if (end_open(&e[i], &why) < 0) fail_msg("%s", why.text);
    }
}

static void open_and_close(void (*meanwhile)(void *arg), void *arg)
{
    struct end e[2];
    open_two(e);
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

/* Of the provider `shm`, that this process has mapped and that still have a name. */
static int files(void)
{
    char line[512], seen[8][512];
    int n = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof(line), maps)) {
        char *name = strstr(line, "/dev/shm/sinew-");
        if (!name || strstr(name, "(deleted)")) continue;
        int i = 0;
        while (i < n && strcmp(seen[i], name) != 0) i++;
        assert_true(i < 8);
        if (i == n) strcpy(seen[n++], name);
    }
    fclose(maps);
    return n;
}

/* By itself it takes none that reaches this host only. */
static void the_network_comes_before_this_host(void **state)
{
    struct end e[2];
    (void)state;
    provider = "";
    open_two(e);
    assert_false(e[0].t->caps.local);
    assert_non_null(strstr(e[0].t->choice, "shm: it reaches this host only"));
    assert_non_null(strstr(e[0].t->choice, "udp: it has no reliable datagrams"));
    ends_close(e);
}

/* One that is killed leaves its file: whoever was linked with it and learns of that removes it. */
static void the_file_of_a_dead_peer_goes(void **state)
{
    struct end e[2];
    (void)state;
    provider = "shm";
    open_two(e);
    ends_connect(e, 1);
    assert_int_equal(files(), 2);
    assert_true(e[0].t->caps.local);
    transport_ofi.disconnect(e[0].link[1].link, DISCONNECT_DEAD);
    ENDS_UNTIL(e, e[0].link[1].downs);
    assert_int_equal(files(), 1);
    ends_connect(e, 2);
    transport_ofi.disconnect(e[0].link[2].link, DISCONNECT_BROKEN); /* it may be alive */
    ENDS_UNTIL(e, e[0].link[2].downs);
    ends_close(e);
    assert_int_equal(files(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_changes),
        cmocka_unit_test(nothing_is_printed),
        cmocka_unit_test(the_network_comes_before_this_host),
        cmocka_unit_test(the_file_of_a_dead_peer_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
