/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_MODEL_CASES_H
#define TESTS_MODEL_CASES_H
/*
 * cases.h - what the explorer runs: programs with known outcomes, the ring, links that sleep, and
 * memory that is lent
 */
#include <stddef.h>

#include "tests/model/explore.h"

/* How many came out otherwise than they should; each is printed. */
int litmus_run(void);

extern const struct scenario ring_scenarios[], link_scenarios[], pledge_scenarios[];
extern const size_t ring_scenario_count, link_scenario_count, pledge_scenario_count;

#endif
