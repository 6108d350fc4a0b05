/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MESSAGING_ORIGIN_H
#define MESSAGING_ORIGIN_H
/*
 * origin.h - opening a context in a given world: what sinew_open() does after it has found its own
 *
 * Tests and the simulated world come in here.
 */
#include "base/world.h"
#include "launch/launch.h"
#include "transport/transport.h"

struct origin {
    const struct world *world;
    /* NULL-terminated, best first; NULL: the built-in */
    const struct transport_ops *const *transports;
    struct launch *launch; /* taken over, also on failure; NULL: found by launch_open()           */
    char *const *environment; /* NULL-terminated; NULL: not looked at                             */
};

int context_open(const struct sinew_options *options, const struct origin *origin,
                 struct sinew **s);

#endif
