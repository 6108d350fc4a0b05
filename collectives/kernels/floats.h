/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * floats.h - the operators of one floating-point type: ELEMENT, BITS (as wide, unsigned),
 * QUIET_NAN (its bits), and KERNELS, the table's name
 *
 * Equal operands of min and max differ in bits only as zeros: "or" of the bits is then -0, "and"
 * +0.
 */
#include "collectives/kernels/elements.h"

ALWAYS_INLINE ELEMENT element_of(BITS b)
{
    ELEMENT v;
    memcpy(&v, &b, sizeof(v));
    return v;
}
ALWAYS_INLINE BITS element_bits(ELEMENT v)
{
    BITS b;
    memcpy(&b, &v, sizeof(b));
    return b;
}
ALWAYS_INLINE ELEMENT element_canonical(ELEMENT v)
{
    return v == v ? v : element_of(QUIET_NAN);
}
ALWAYS_INLINE ELEMENT element_sum(ELEMENT a, ELEMENT b)
{
    return element_canonical(a + b);
}
ALWAYS_INLINE ELEMENT element_prod(ELEMENT a, ELEMENT b)
{
    return element_canonical(a * b);
}
ALWAYS_INLINE ELEMENT element_min(ELEMENT a, ELEMENT b)
{
    ELEMENT same = element_of(element_bits(a) | element_bits(b));
    ELEMENT least = a < b ? a : b < a ? b : same;
    return a == a && b == b ? least : element_of(QUIET_NAN);
}
ALWAYS_INLINE ELEMENT element_max(ELEMENT a, ELEMENT b)
{
    ELEMENT same = element_of(element_bits(a) & element_bits(b));
    ELEMENT most = a < b ? b : b < a ? a : same;
    return a == a && b == b ? most : element_of(QUIET_NAN);
}

#include "collectives/kernels/arithmetic.h"
