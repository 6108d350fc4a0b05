/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_PATTERN_FLAT_H
#define COLLECTIVES_PATTERN_FLAT_H
/*
 * flat.h - all to one, one to all: the fewest turns, all the work at rank 0
 */
#include <stdint.h>

enum {
    FLAT_ROOT = 0,
    FLAT_RANKS = 64, /* most it is for: rank 0 knows each of the others */
};

#endif
