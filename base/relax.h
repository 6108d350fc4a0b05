/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_RELAX_H
#define BASE_RELAX_H
/*
 * relax.h - a breath between two looks at memory that another core writes
 *
 * Without it a core issues loads far ahead of the one it waits for; they take the line back from
 * its writer, and the order they were promised in costs the pipeline when it comes at last.
 */
static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

#endif
