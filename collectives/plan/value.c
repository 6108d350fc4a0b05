/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/plan/value.h"

#include "collectives/plan/plan.h"

static uint64_t mix(uint64_t z)
{
    z += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

#define PRIME ((UINT64_C(1) << 61) - 1)

static uint64_t multiply(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    uint64_t sum = (uint64_t)(product & PRIME) + (uint64_t)(product >> 61);
    return sum >= PRIME ? sum - PRIME : sum;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum = a + b;
    return sum >= PRIME ? sum - PRIME : sum;
}

struct value value_token(uint32_t rank, uint32_t block)
{
    uint64_t weight = mix((uint64_t)rank << 32 | block);
    return (struct value){ weight % PRIME, mix(weight) % PRIME, mix(~weight), 1 };
}

struct value value_length(uint32_t rank)
{
    return value_token(rank, UINT32_MAX);
}

/* Of a letter for each place from the right: what stands left moves by as many as stand right. */
static uint64_t power(uint32_t n)
{
    uint64_t result = 1;
    for (uint64_t base = UINT64_C(0x123456789abcdef); n; n /= 2, base = multiply(base, base))
        if (n & 1) result = multiply(result, base);
    return result;
}

struct value value_reduce(struct value left, struct value right)
{
    return (struct value){ add(left.sum, right.sum),
                           add(multiply(left.word, power(right.count)), right.word),
                           mix(mix(left.tree) * 3 + right.tree), left.count + right.count };
}

bool value_same(struct value a, struct value b)
{
    return value_same_inputs(a, b) && a.word == b.word && a.tree == b.tree;
}

/* As a binary counter adds up: a sum of 2^k waits for its like; at the end the shortest are the
 * furthest right, and combine first. */
struct value value_aligned(uint32_t n, uint32_t block)
{
    struct value held[33];
    uint32_t depth = 0;
    for (uint32_t rank = 0; rank < n; rank++) {
        held[depth++] = value_token(rank, block);
        for (uint32_t bits = rank; bits & 1; bits /= 2, depth--)
            held[depth - 2] = value_reduce(held[depth - 2], held[depth - 1]);
    }
    for (; depth > 1; depth--) held[depth - 2] = value_reduce(held[depth - 2], held[depth - 1]);
    return depth ? held[0] : (struct value){ 0 };
}
