/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_COLL_READS_H
#define TESTS_SUPPORT_COLL_READS_H
/*
 * coll_reads.h - collectives by reading peers' memory, for looking at: the library has none yet
 */
#include "collectives/collective.h"

enum { READS = 4, READS_RANKS_MAX = 16 };
extern const struct algorithm reads[READS];

#endif
