/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * halves.h - the operators of a 16-bit floating-point type: element_widen (to f32, exact),
 * element_narrow (to nearest, ties to even; NaN the canonical one), MAGNITUDE_INFINITE (the bits of
 * infinity), QUIET_NAN, and KERNELS
 *
 * A sum or product of two is made in f32 and rounded once more. That is the correctly rounded
 * result: f32 has more than twice the significant bits and two over. Min and max need no
 * conversion: with the magnitude's bits flipped for negative ones, the order is that of integers.
 */
ALWAYS_INLINE uint16_t element_sum(uint16_t a, uint16_t b)
{
    return element_narrow(element_widen(a) + element_widen(b));
}
ALWAYS_INLINE uint16_t element_prod(uint16_t a, uint16_t b)
{
    return element_narrow(element_widen(a) * element_widen(b));
}
ALWAYS_INLINE int16_t element_order(uint16_t v)
{
    return (int16_t)(v & 0x8000 ? v ^ 0x7fff : v);
}
ALWAYS_INLINE int element_is_nan(uint16_t v)
{
    return (v & 0x7fff) > MAGNITUDE_INFINITE;
}
ALWAYS_INLINE uint16_t element_min(uint16_t a, uint16_t b)
{
    uint16_t least = element_order(b) < element_order(a) ? b : a;
    return element_is_nan(a) | element_is_nan(b) ? QUIET_NAN : least;
}
ALWAYS_INLINE uint16_t element_max(uint16_t a, uint16_t b)
{
    uint16_t most = element_order(a) < element_order(b) ? b : a;
    return element_is_nan(a) | element_is_nan(b) ? QUIET_NAN : most;
}

#include "collectives/kernels/arithmetic.h"
