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

KERNEL(sum)
KERNEL(prod)
KERNEL(min)
KERNEL(max)
KERNEL(band)
KERNEL(bor)
KERNEL(bxor)
KERNEL(land)
KERNEL(lor)
KERNEL(lxor)

const struct kernels KERNELS = { {
    [SINEW_SUM] = KERNEL_OF(sum),
    [SINEW_PROD] = KERNEL_OF(prod),
    [SINEW_MIN] = KERNEL_OF(min),
    [SINEW_MAX] = KERNEL_OF(max),
    [SINEW_BAND] = KERNEL_OF(band),
    [SINEW_BOR] = KERNEL_OF(bor),
    [SINEW_BXOR] = KERNEL_OF(bxor),
    [SINEW_LAND] = KERNEL_OF(land),
    [SINEW_LOR] = KERNEL_OF(lor),
    [SINEW_LXOR] = KERNEL_OF(lxor),
} };
