/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_GUARD_H
#define TRANSPORT_GUARD_H
/*
 * guard.h - what somebody else's library would do to the process, kept from it while it is called
 *
 * Fabric libraries install signal handlers, an alternate signal stack and more, and take what they
 * are to do from the environment alone. Between guard_begin() and guard_end()
 *
 *   environment   `environ` points to a copy with the words of `settings` in it, but for those the
 *                 user has set; the strings and the array of the host are not touched
 *   signals       every action, and this thread's alternate stack, are afterwards as before
 *
 * Both belong to the whole process, and each module has its own copy of this code: so the core
 * opens and closes modules one at a time (messaging/transports.c).
 */
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "base/world.h"

struct guard {
    struct sigaction action[_NSIG];
    bool known[_NSIG];
    stack_t stack;
    const struct world *world;
    const char *const *settings; /* "NAME=value" … */
    int n;
    char **environment, **ours;
    size_t size; /* of ours */
};

/* 0, or SINEW_ENOMEM and nothing has changed. */
int guard_begin(struct guard *guard, const struct world *world, const char *const *settings, int n,
                struct why *why);
void guard_end(struct guard *guard);

#endif
