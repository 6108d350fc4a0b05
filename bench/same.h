/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_SAME_H
#define BENCH_SAME_H
/*
 * same.h - what sinew-perf and the programs that stand for its peers must do alike
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* New contents, which are also sound floats: their sums are finite and normal. */
static inline void same_rewrite(void *at, size_t len, unsigned char *written)
{
    memset(at, 0x20 | (++*written & 31), len);
}

/* Out of every cache. */
static inline void same_flush(const void *at, size_t len)
{
    enum { LINE = 64 };
    for (size_t i = 0; i < len; i += LINE) {
        const char *line = (const char *)at + i;
#if defined(__x86_64__)
        __builtin_ia32_clflush(line);
#elif defined(__aarch64__)
        __asm__ volatile("dc civac, %0" : : "r"(line) : "memory");
#else
        (void)line;
#endif
    }
}

/* So much work that touches no memory; what comes out is the next call's `x`. */
static inline uint64_t same_compute(uint64_t steps, uint64_t x)
{
    for (uint64_t i = 0; i < steps; i++) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        __asm__ volatile("" : "+r"(x));
    }
    return x;
}

/*
 * OSU's overlap, in percent: `pure` is what a call with its wait takes alone, `overall` what it
 * takes with as much computing in between, of which `computed` was the computing and not the polls.
 */
static inline double same_overlap(double pure, double overall, double computed)
{
    double share = pure > 0 ? 100 - (overall - computed) / pure * 100 : 0;
    return share > 0 ? share : 0;
}

#endif
