/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_HOST_H
#define TESTS_SUPPORT_HOST_H
/*
 * host.h - what somebody else's library would do to the process that a module loads it into, and
 * must not
 */
#include "base/config.h"
#include "transport/transport.h"

/* Opened and closed three times: while it is open signal actions, alternate stack, environment, and
 * the heads of the functions that are commonly hooked are as before; when it is closed descriptors
 * and threads too; and this process's own SIGSEGV handler is called all the time. */
void host_is_left_alone(const struct transport_ops *ops, const struct config *config);

/* All of that, descriptors and threads too, before and after: three times. */
void host_is_as_before(void (*use)(void));

/* Nor does anything go to standard output, nor, with `errors`, to standard error. */
void host_hears_nothing(const struct transport_ops *ops, const struct config *config, bool errors);

#endif
