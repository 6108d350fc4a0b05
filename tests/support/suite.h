/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_SUITE_H
#define TESTS_SUPPORT_SUITE_H
/*
 * suite.h - tables of bodies, each run on one transport with several numbers of ranks
 *
 * A suite program takes --kind sim|threads|processes --transport NAME [--ranks N] [--seed S]
 * [--repeat N] [--only TEXT|TEXT…] [--list]. --repeat is for the cases that are repeated anyway.
 */
#include "tests/support/job.h"

enum suite_flags {
    SUITE_PROCESSES = 1, /* needs processes (or the simulation): its ranks die or fork            */
    SUITE_REAL = 2,      /* not simulated                                                         */
    SUITE_SIMULATED = 4, /* simulated only                                                        */
    SUITE_FAILURES = 8,  /* the exchange tells of dead processes                                  */
};

struct suite_case {
    const char *name; /* the property, in a few words */
    void (*body)(struct job_rank *me);
    int ranks_least,
        ranks_most; /* run with the least, the most, and in conformance those between */
    unsigned flags;
    const struct sim_options *sim;
    const void *arg;
    int repeat; /* with another seed each; 0: once */
};

/* Cases end with a NULL name; tables with a NULL. Returns the exit status. */
int suite_main(int argc, char **argv, const struct suite_case *const *tables);

#define SUITE_END              \
    {                          \
        0, 0, 0, 0, 0, 0, 0, 0 \
    }

#endif
