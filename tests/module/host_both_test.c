/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_both_test.c - UCX and libfabric in one process, both open and used: what they would do to it,
 * and do not
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/ends.h"
#include "tests/support/host.h"
#include "transport/module.h"

static void nothing_to_check(void)
{
}

static int never;
const struct ends_of ends_of = { NULL, &never, nothing_to_check };

static void open_two(struct end e[2], const struct transport_ops *ops)
{
    struct why why;
    ends_prepare(e);
    for (int i = 0; i < 2; i++) {
        e[i].ops = ops;
        snprintf(e[i].config.ofi_provider, sizeof(e[i].config.ofi_provider), "tcp;ofi_rxm");
        if (end_open(&e[i], &why) < 0) fail_msg("%s", why.text);
    }
}

static const struct transport_ops *load(const char *name, void **handle)
{
    const struct transport_ops *ops;
    const struct module_known *m = modules_known;
    struct why why;
    while (strcmp(m->name, name) != 0) m++;
    if (module_open(m, "", handle, &ops, &why) < 0) fail_msg("%s", why.text);
    return ops;
}

/* Loaded and opened in either order, and closed crosswise. */
static void use_both(void (*meanwhile)(void *arg), void *arg)
{
    static const char *const names[] = { "ucx", "ofi" };
    static int turn;
    struct end e[2][2];
    void *handle[2];
    for (int i = 0, first = turn++ & 1; i < 2; i++) {
        open_two(e[i], load(names[i ^ first], &handle[i]));
        meanwhile(arg);
    }
    for (int i = 0; i < 2; i++) host_use(e[i]);
    meanwhile(arg);
    for (int i = 0; i < 2; i++) {
        ends_close(e[i]);
        module_close(handle[i]);
        meanwhile(arg);
    }
}

static void nothing_changes(void **state)
{
    (void)state;
    host_is_left_alone(use_both);
}

static void nothing_is_printed(void **state)
{
    (void)state;
    host_hears_nothing(use_both, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_changes),
        cmocka_unit_test(nothing_is_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
