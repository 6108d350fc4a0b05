/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_PATTERN_FLAT_H
#define COLLECTIVES_PATTERN_FLAT_H
/*
 * flat.h - all to one, one to all: the fewest turns, all the work at rank 0
 */
#include <stdint.h>

/* Of a schedule's steps so many are under way at once (execute.c), and so many, all of one, go
 * straight (straight.c). */
enum { WINDOW_STEPS = 64 };

enum {
    FLAT_ROOT = 0,
    DIRECT_RANKS = 20, /* of all to all: three operations for each, in one window             */
    PAIRWISE_RANKS = 32, /* of all to all: two operations for each, in one window                */
    PAIRWISE_MESSAGES = 96, /* of a rank to all others together: so many pieces                  */
    GATHERED_RANKS = 64, /* whose vectors each rank keeps and adds up                         */
    FLAT_RANKS = 64, /* most that a reduction is for: rank 0 has an operation for each */
};

_Static_assert(3 * DIRECT_RANKS <= WINDOW_STEPS && 2 * PAIRWISE_RANKS <= WINDOW_STEPS, "in a window");

#define FLAT_TOO_MANY "flat is for up to 64 ranks"

#endif
