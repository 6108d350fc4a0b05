/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SEED_H
#define TESTS_SEED_H
/*
 * seed.h - random tests that can be run again
 *
 * The seed is TEST_SEED of the environment, which ci/test sets from the commit, or 1. It is
 * printed, so that a failure can be repeated: TEST_SEED=… build/tests/test-….
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct seed {
    uint64_t state;
};

static inline struct seed seed_from_environment(const char *test)
{
    const char *text = getenv("TEST_SEED");
    uint64_t value = text ? strtoull(text, NULL, 0) : 1;
    printf("%s: TEST_SEED=%llu\n", test, (unsigned long long)value);
    return (struct seed){ value };
}

/* splitmix64 */
static inline uint64_t seed_next(struct seed *s)
{
    uint64_t z = s->state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* 0 to n - 1, n > 0. */
static inline uint64_t seed_below(struct seed *s, uint64_t n) { return seed_next(s) % n; }

#endif
