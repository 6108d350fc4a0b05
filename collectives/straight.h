/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_STRAIGHT_H
#define COLLECTIVES_STRAIGHT_H
/*
 * straight.h - a call that was made before: straight through, from the arguments to the messages
 *
 * A blocking call that comes again with the same collective, count, type, operator and root needs
 * no checks but those of its buffers, no choice, no schedule and no request: its steps are kept
 * with every place worked out. Tables of lengths and neighbours are kept, too, and compared by what
 * they hold, as the caller may have changed them. They run in the program's order, one after the
 * other, each message by the short way (messaging/operation.h). The first that cannot go that way,
 * and what is left after it, is the executor's.
 */
#include "collectives/execute.h"
#include "collectives/places.h"
#include "collectives/reduce.h"

/* Of one message, at most: no longer ones are sent at once, over TCP and over other links. */
enum { STRAIGHT_BYTES_TCP = 32768, STRAIGHT_BYTES = 16384 };

/* What two calls must have in common, but for the count. */
static inline uint64_t straight_kind(enum collective collective, int type, int op, int root,
                                     bool in_place)
{
    return (uint64_t)collective | (uint64_t)(type & 255) << 8 | (uint64_t)(op & 255) << 16 |
           (uint64_t)in_place << 24 | (uint64_t)(uint32_t)root << 32;
}

/* Numbers in memory of the caller's, or what was kept of them. */
struct straight_list {
    const void *at;
    size_t bytes;
};

/* A call as the user made it; `in` is where the input is, in place too. */
struct straight_call {
    uint64_t kind;
    uint64_t count;                    /* of the API, or what straight_run_tables() makes of it */
    const struct straight_list *lists; /* of its tables, for straight_run_tables() to set */
    const void *in;
    void *out;
};

/* true: it was such a call, and *status is its outcome. */
bool straight_run(struct sinew_team *team, const struct straight_call *call, int *status);

/* The same for one with tables; what it has none of is NULL. */
struct straight_tables {
    struct parts in, out;
    const struct sinew_graph *graph; /* as long as this says; NULL: one number for each rank */
};
bool straight_run_tables(struct sinew_team *team, struct straight_call call,
                         const struct straight_tables *tables, int *status);

/* A blocking call as it is about to be executed: remembered, if it comes a second time. No memory
 * for that is no failure. */
void straight_learn(struct sinew_team *team, const struct bound *bound);

#endif
