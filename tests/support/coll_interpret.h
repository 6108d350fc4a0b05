/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_COLL_INTERPRET_H
#define TESTS_SUPPORT_COLL_INTERPRET_H
/*
 * coll_interpret.h - a plan carried out in a random order, with formulas for data
 *
 * Shares nothing with the verifier: values are whole expressions, "(0.1 (1.1 2.1))", numbered so
 * that equal ones have equal numbers.
 */
#include "collectives/plan/plan.h"

enum { INTERPRET_OUT = 4096 };

struct outcome {
    bool ended;  /* all ranks, and no message is left            */
    bool broken; /* a block, rank or operation that is none      */
    bool early;  /* with one rank held back, another one is done */
    uint32_t n;
    int out[INTERPRET_OUT]; /* expressions of all OUT blocks, by rank; 0: never written */
};

/* commutes: (a b) and (b a) are the same. held: this rank does nothing; UINT32_MAX: none. */
void interpret(const struct plan *p, uint64_t seed, bool commutes, uint32_t held,
               struct outcome *o);

#endif
