/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_EXECUTE_H
#define COLLECTIVES_EXECUTE_H
/*
 * execute.h - carrying out a schedule over messaging
 */
#include "collectives/collective.h"
#include "messaging/operation.h"

/* Run a checked call: blocking, with a request, or persistent, as operation_run() has it. */
int execution_run(struct sinew_team *team, const struct call *call, struct sinew_request **req);

#endif
