/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_REDUCE_H
#define COLLECTIVES_REDUCE_H
/*
 * reduce.h - the arithmetic of collectives: d[i] = left[i] op right[i]
 *
 * Integers wrap. Floating-point results that are NaN are the one canonical quiet NaN; min and max
 * give NaN for a NaN operand and order -0 below +0. So sum, prod, min and max give the same bits
 * with their operands exchanged. Places need not be aligned; d may be left or right exactly.
 */
#include <stddef.h>

/* The operation is named by this pointer to it; NULL: not built. n counts elements. */
struct reduction {
    void (*run)(void *d, const void *left, const void *right, size_t n);
};

/* enum sinew_type, enum sinew_operator; run is NULL for what is not built. */
struct reduction reduction_find(int type, int op);

#endif
