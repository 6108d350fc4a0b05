/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * integers.h - the operators of one integer type: ELEMENT, and KERNELS, the table's name
 *
 * Sums and products are made unsigned, so that nothing overflows.
 */
#include "collectives/kernels/elements.h"

#define WIDE(v) ((uint64_t)(v)) /* the low bits are those of any width */

ALWAYS_INLINE ELEMENT element_sum(ELEMENT a, ELEMENT b)
{
    return (ELEMENT)(WIDE(a) + WIDE(b));
}
ALWAYS_INLINE ELEMENT element_prod(ELEMENT a, ELEMENT b)
{
    return (ELEMENT)(WIDE(a) * WIDE(b));
}
ALWAYS_INLINE ELEMENT element_min(ELEMENT a, ELEMENT b)
{
    return b < a ? b : a;
}
ALWAYS_INLINE ELEMENT element_max(ELEMENT a, ELEMENT b)
{
    return a < b ? b : a;
}
ALWAYS_INLINE ELEMENT element_band(ELEMENT a, ELEMENT b)
{
    return (ELEMENT)(a & b);
}
ALWAYS_INLINE ELEMENT element_bor(ELEMENT a, ELEMENT b)
{
    return (ELEMENT)(a | b);
}
ALWAYS_INLINE ELEMENT element_bxor(ELEMENT a, ELEMENT b)
{
    return (ELEMENT)(a ^ b);
}
ALWAYS_INLINE ELEMENT element_land(ELEMENT a, ELEMENT b)
{
    return (ELEMENT)((a != 0) & (b != 0));
}
ALWAYS_INLINE ELEMENT element_lor(ELEMENT a, ELEMENT b)
{
    return (ELEMENT)((a != 0) | (b != 0));
}
ALWAYS_INLINE ELEMENT element_lxor(ELEMENT a, ELEMENT b)
{
    return (ELEMENT)((a != 0) ^ (b != 0));
}

static void sum(void *d, const void *l, const void *r, size_t n)
{
    each(d, l, r, n, element_sum);
}
static void prod(void *d, const void *l, const void *r, size_t n)
{
    each(d, l, r, n, element_prod);
}
static void min(void *d, const void *l, const void *r, size_t n)
{
    each(d, l, r, n, element_min);
}
static void max(void *d, const void *l, const void *r, size_t n)
{
    each(d, l, r, n, element_max);
}
static void band(void *d, const void *l, const void *r, size_t n)
{
    each(d, l, r, n, element_band);
}
static void bor(void *d, const void *l, const void *r, size_t n)
{
    each(d, l, r, n, element_bor);
}
static void bxor(void *d, const void *l, const void *r, size_t n)
{
    each(d, l, r, n, element_bxor);
}
static void land(void *d, const void *l, const void *r, size_t n)
{
    each(d, l, r, n, element_land);
}
static void lor(void *d, const void *l, const void *r, size_t n)
{
    each(d, l, r, n, element_lor);
}
static void lxor(void *d, const void *l, const void *r, size_t n)
{
    each(d, l, r, n, element_lxor);
}

const struct kernels KERNELS = { {
    [SINEW_SUM] = sum, [SINEW_PROD] = prod, [SINEW_MIN] = min, [SINEW_MAX] = max,
    [SINEW_BAND] = band, [SINEW_BOR] = bor, [SINEW_BXOR] = bxor,
    [SINEW_LAND] = land, [SINEW_LOR] = lor, [SINEW_LXOR] = lxor,
} };
