/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_REDUCE_H
#define COLLECTIVES_REDUCE_H
/*
 * reduce.h - the arithmetic of collectives: d[i] = left[i] op right[i]
 *
 * Integers wrap. Floating-point results that are NaN are the one canonical quiet NaN; min and max
 * give NaN for a NaN operand and order -0 below +0. So the built-in operators give the same bits
 * with their operands exchanged. Places need not be aligned; d may be left or right exactly.
 */
#include <stdbool.h>
#include <stddef.h>

struct kernels;       /* kernels/kernels.h */
struct user_operator; /* an operator of the user's: operators.h */

struct reduction {
    void (*kernel)(void *d, const void *left, const void *right, size_t n); /* built in, or NULL */
    const struct user_operator *own; /* the user's, or NULL: then there is none                 */
    int type;
    size_t element_bytes;
};

/* Of enum sinew_type, those that are built in; NULL: it is none of them. */
const struct kernels *kernels_find(int type);

/* enum sinew_type, enum sinew_operator: the kernel is NULL for what makes no sense together. */
struct reduction reduction_find(int type, int op);

/* n counts elements. */
void reduction_run(const struct reduction *r, void *d, const void *left, const void *right,
                   size_t n);

#endif
