/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_OPERATORS_H
#define COLLECTIVES_OPERATORS_H
/*
 * operators.h - operators that users made: a list on the context, numbered as they are made
 *
 * The number is part of the digest, so ranks make the same ones in the same order. A number is
 * never used again.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "messaging/operation.h"

enum { OPERATOR_FIRST = 256 }; /* those below are enum sinew_operator */

struct user_operator {
    struct list entry;
    void (*function)(void *arg, const void *left, void *right, size_t count, int type);
    void *arg;
    bool commutes;
    int number;
    uint32_t users; /* operations that may still call it */
};

/* The operator of that number; NULL: there is none. */
struct user_operator *operator_find(struct sinew_team *team, int number);

/* d[i] = left[i] op right[i] with a function that leaves its result in the right operand. */
void operator_run(const struct user_operator *o, void *d, const void *left, const void *right,
                  size_t n, int type, size_t element_bytes);

#endif
