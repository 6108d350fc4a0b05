/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_VALUE_H
#define COLLECTIVES_VALUE_H
/*
 * value.h - what a block holds, as fingerprints: which inputs, how often, in which order, combined
 * how
 *
 * Each block of each rank's input has a random weight. A value made of several knows their sum
 * (anything missing or twice changes it), the hash of the word they spell (the order), and the hash
 * of the tree that combined them (the bracketing). Wrong ones agree with probability 2^-60.
 */
#include <stdbool.h>
#include <stdint.h>

struct value {
    uint64_t sum, word, tree;
    uint32_t count; /* inputs; 0: never written */
};

struct value value_token(uint32_t rank, uint32_t block);
/* How long a rank's part is: never the same as a part. */
struct value value_length(uint32_t rank);
struct value value_reduce(struct value left, struct value right);
bool value_same(struct value a, struct value b);

/* Whether two have the same inputs, each as often. */
static inline bool value_same_inputs(struct value a, struct value b)
{
    return a.count == b.count && a.sum == b.sum;
}

/* The block `block` of the ranks [0, n), combined by the aligned tree. */
struct value value_aligned(uint32_t n, uint32_t block);

#endif
