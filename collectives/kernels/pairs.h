/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pairs.h - complex numbers: PART (of a pair), BITS, QUIET_NAN and KERNELS
 *
 * (a + bi)(c + di) = (ac - bd) + (ad + bc)i, as it stands: each product and sum rounded once, and
 * nothing repaired where an intermediate is infinite. A part that is NaN is the canonical one.
 */
struct complex {
    PART re, im;
};
#define ELEMENT struct complex
#include "collectives/kernels/elements.h"

ALWAYS_INLINE PART part_canonical(PART v)
{
    BITS bits = QUIET_NAN;
    PART nan;
    memcpy(&nan, &bits, sizeof(nan));
    return v == v ? v : nan;
}
ALWAYS_INLINE struct complex element_sum(struct complex a, struct complex b)
{
    return (struct complex){ part_canonical(a.re + b.re), part_canonical(a.im + b.im) };
}
/* A product, rounded: what stands between keeps it from being fused with the sum, which gcc 12 does
 * to pairs (vfmaddsub) in spite of -ffp-contract=off. No bit of the whole changes by it. */
ALWAYS_INLINE PART part_product(PART a, PART b)
{
    return part_canonical(a * b);
}
ALWAYS_INLINE struct complex element_prod(struct complex a, struct complex b)
{
    return (struct complex){
        part_canonical(part_product(a.re, b.re) - part_product(a.im, b.im)),
        part_canonical(part_product(a.re, b.im) + part_product(a.im, b.re)),
    };
}

KERNEL(sum)
KERNEL(prod)

const struct kernels KERNELS = { { [SINEW_SUM] = KERNEL_OF(sum), [SINEW_PROD] = KERNEL_OF(prod) } };
