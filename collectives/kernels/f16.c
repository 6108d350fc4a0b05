/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * f16.c - IEEE binary16: 1 sign, 5 exponent (bias 15), 10 fraction
 *
 * Without branches, so that the compiler vectorises it.
 */
#define ELEMENT uint16_t
#define KERNELS kernels_f16
#define QUIET_NAN 0x7e00
#define MAGNITUDE_INFINITE 0x7c00
#include "collectives/kernels/elements.h"
#include "collectives/kernels/f32bits.h"

/* condition ? a : b by masks: a conditional would be made a branch, which nothing vectorises. */
ALWAYS_INLINE uint32_t pick(int condition, uint32_t a, uint32_t b)
{
    uint32_t mask = 0 - (uint32_t)condition;
    return (a & mask) | (b & ~mask);
}

/* Normal ones are moved into f32's place with the difference of the biases added; subnormal ones
 * are counted in units of 2^-24. Those of infinity and NaN have their exponent raised to the top.
 */
ALWAYS_INLINE float element_widen(uint16_t v)
{
    uint32_t sign = (uint32_t)(v & 0x8000) << 16, magnitude = v & 0x7fff;
    uint32_t normal = (magnitude << 13) + UINT32_C(0x38000000);
    uint32_t tiny = f32_bits((float)(int32_t)magnitude * 0x1p-24f);
    uint32_t top = magnitude >= MAGNITUDE_INFINITE ? UINT32_C(0x7f800000) : 0;
    return f32_of(sign | pick(magnitude < 0x400, tiny, normal) | top);
}

/*
 * Normal results: add a half less one, and one more if the result would be odd, and move. Below
 * 2^-14: a number of the unit 2^-24 is added whose last bit is worth that unit, so that the
 * addition itself rounds. From 65520 on: infinity.
 */
ALWAYS_INLINE uint16_t element_narrow(float f)
{
    uint32_t b = f32_bits(f), sign = b >> 16 & 0x8000, magnitude = b & 0x7fffffff;
    uint32_t normal = (magnitude - UINT32_C(0x38000000) + 0xfff + (magnitude >> 13 & 1)) >> 13;
    uint32_t tiny = f32_bits(f32_of(magnitude) + 0.5f) - f32_bits(0.5f);
    uint32_t finite = pick(magnitude < UINT32_C(0x38800000), tiny, normal);
    uint32_t result = pick(magnitude >= UINT32_C(0x477ff000), MAGNITUDE_INFINITE, finite);
    return (uint16_t)pick(magnitude > UINT32_C(0x7f800000), QUIET_NAN, sign | result);
}

#include "collectives/kernels/halves.h"
