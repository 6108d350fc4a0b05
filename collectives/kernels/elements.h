/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * elements.h - from one element to vectors, for a file about one type (see kernels.h)
 *
 * Wants ELEMENT, the type. The operator is a constant wherever each() is used, so the compiler
 * makes a loop of its own for it and vectorises it; what is computed for one element does not
 * depend on the vector length. Elements are loaded and stored as bytes: users' buffers have any
 * type and alignment. d may be left or right exactly, which the compiler is told in as many words.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "collectives/kernels/kernels.h"
#include "sinew/sinew.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE void each_at(unsigned char *d, const unsigned char *l, const unsigned char *r,
                           size_t n, ELEMENT (*op)(ELEMENT, ELEMENT))
{
    for (size_t i = 0; i < n; i++) {
        ELEMENT a, b;
        memcpy(&a, l + i * sizeof(a), sizeof(a));
        memcpy(&b, r + i * sizeof(b), sizeof(b));
        a = op(a, b);
        memcpy(d + i * sizeof(a), &a, sizeof(a));
    }
}

ALWAYS_INLINE void each(void *d, const void *left, const void *right, size_t n,
                        ELEMENT (*op)(ELEMENT, ELEMENT))
{
    if (d == left)
        each_at(d, d, right, n, op);
    else if (d == right)
        each_at(d, left, d, n, op);
    else
        each_at(d, left, right, n, op);
}

/*
 * KERNEL(sum) makes sum() of element_sum(), and on x86-64 the same again for processors with AVX2,
 * chosen when a kernel is looked up. KERNEL_OF(sum) is its entry in the table.
 */
#if defined(__x86_64__)
#define KERNEL_WIDE(name)                                                                          \
    __attribute__((target("avx2"))) static void name##_wide(void *d, const void *l, const void *r, \
                                                            size_t n)                              \
    {                                                                                              \
        each(d, l, r, n, element_##name);                                                          \
    }
#define KERNEL_OF(name) { name, name##_wide }
#else
#define KERNEL_WIDE(name)
#define KERNEL_OF(name) { name, NULL }
#endif

#define KERNEL(name)                                                                               \
    static void name(void *d, const void *l, const void *r, size_t n)                              \
    {                                                                                              \
        each(d, l, r, n, element_##name);                                                          \
    }                                                                                              \
    KERNEL_WIDE(name)
