/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_EXECUTE_H
#define COLLECTIVES_EXECUTE_H
/*
 * execute.h - carrying out a schedule over messaging
 */
#include "collectives/collective.h"
#include "collectives/places.h"
#include "collectives/reduce.h"
#include "messaging/operation.h"

/* A call, its schedule, and where everything is. */
struct bound {
    struct call call;
    const struct schedule *schedule;
    struct reduction reduction;
    struct buffer buffer[BUFFER_COUNT];
    uint32_t digest, tiles;
};

/* Run a checked call: blocking, with a request, or persistent, as operation_run() has it. */
int execution_run(struct sinew_team *team, const struct call *call, struct sinew_request **req);

/* A blocking call of which some instances are done. */
struct remainder {
    uint32_t sequence, done;
    void *tmp; /* what they have left in TMP; NULL: nothing */
};
int execution_resume(struct sinew_team *team, const struct call *call,
                     const struct remainder *remainder);

#endif
