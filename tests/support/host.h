/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_HOST_H
#define TESTS_SUPPORT_HOST_H
/*
 * host.h - what somebody else's library would do to the process that a module loads it into, and
 * must not
 *
 * `use` opens what is looked at, uses it and closes it, and calls `meanwhile` while it is open.
 */
#include <stdbool.h>

#include "tests/support/ends.h"

/* Messages and a long put, so that whatever the library makes at first use is made. */
void host_use(struct end e[2]);

/* Three times: while it is open signal actions, alternate stack, environment, and the heads of the
 * functions that are commonly hooked are as before; when it is closed descriptors and threads too;
 * and this process's own SIGSEGV handler is called all the time. */
void host_is_left_alone(void (*use)(void (*meanwhile)(void *arg), void *arg));

/* Nor does anything go to standard output, nor, with `errors`, to standard error. */
void host_hears_nothing(void (*use)(void (*meanwhile)(void *arg), void *arg), bool errors);

#endif
