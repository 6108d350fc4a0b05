/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A transport module of tests: it opens nowhere, and says so with words of base/. Built several
 * times, each but one with something wrong. With MODULE_SLOW it says that it is being opened, and
 * waits to be let through: the variable TEST_GATE has the descriptors for both.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "transport/module.h"

static int module_transport_open(struct transport *t)
{
    log_line(t->opt.log, LOG_DETAIL, "the module of tests is asked");
#ifdef MODULE_SLOW
    int said, let;
    char byte = 0;
    const char *gate = getenv("TEST_GATE");
    if (!gate || sscanf(gate, "%d,%d", &said, &let) != 2 || write(said, &byte, 1) != 1 ||
        read(let, &byte, 1) != 1)
        return why_set(&t->why, SINEW_EINVAL, "no gate");
#endif
    return why_set(&t->why, SINEW_ENOTSUP, "this is the module of tests");
}

static const struct transport_ops ops = {
    .name = MODULE_NAME,
    .id = 4,
    .transport_size = sizeof(struct transport),
    .link_size = sizeof(struct link),
    .open = module_transport_open,
};

#ifdef MODULE_ODD /* the field that is not as it should be */
static const struct module_table *odd(void)
{
    static struct module_table table = MODULE_TABLE(&ops);
    table.MODULE_ODD++;
    return &table;
}
#else
static const struct module_table *odd(void)
{
    static const struct module_table table = MODULE_TABLE(&ops);
    return &table;
}
#endif

#ifdef MODULE_WITHOUT_SYMBOL
#define sinew_module sinew_something_else
const struct module_table *sinew_module(void);
#endif

__attribute__((visibility("default"))) const struct module_table *sinew_module(void)
{
    return odd();
}
