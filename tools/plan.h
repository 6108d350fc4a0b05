/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TOOLS_PLAN_H
#define TOOLS_PLAN_H
/*
 * plan.h - the parts of sinew-plan
 */
#include <stdbool.h>
#include <stdint.h>

#include "collectives/choose.h"
#include "collectives/plan/simulate.h"

struct plan_options {
    enum collective collective;
    const char *algorithm, *svg, *goal, *link;
    struct rules *rules; /* or NULL */
    uint32_t ranks, root, rank;
    bool has_rank, has_bytes, has_link, has_model, in_place, verify, simulate, compare, cliffs,
        crowded;
    uint64_t bytes;
    struct loggops model;
};

/* plan_compare.c: every algorithm there is for it, simulated beside what is predicted: of one size,
 * or, when none is given, over sizes, which --svg draws. The exit status. */
int run_compare(const struct plan_options *o);

/* plan_cliffs.c: numbers of ranks that are no power of two beside those that are. The exit
 * status. */
int run_cliffs(const struct plan_options *o);

/* plan.c: the simulator's parameters from a model of a link. */
struct loggops plan_model(const struct link_model *m);

#endif
