/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_NEIGHBOURS_H
#define COLLECTIVES_NEIGHBOURS_H
/*
 * neighbours.h - schedules along a graph: a SEND for each neighbour told, a RECV for each heard
 *
 * All ranks have their operations in one order of all the graph's edges: by how far they reach
 * round the ranks, then by where they begin. The least edge that is not done stands first at both
 * its ends, so whatever is behind in either window nobody waits for ever. A rank whose operations
 * all are in its window at once has its sends first: then no order is needed, and none waits.
 */
#include "collectives/schedule.h"
#include "sinew/sinew.h"

/* How many operations that makes, at least one. */
uint32_t neighbours_count(const struct sinew_graph *graph);

/* Into s->op, of that many, and s->blocks; s->size and s->rank are set. gathers: to all the same.
 */
void neighbours_schedule(struct schedule *s, const struct sinew_graph *graph, bool gathers);

#endif
