/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bf16.c - bfloat16: the upper half of an f32
 */
#define ELEMENT uint16_t
#define KERNELS kernels_bf16
#define QUIET_NAN 0x7fc0
#define MAGNITUDE_INFINITE 0x7f80
#include "collectives/kernels/elements.h"
#include "collectives/kernels/f32bits.h"

ALWAYS_INLINE float element_widen(uint16_t v)
{
    return f32_of((uint32_t)v << 16);
}

/* A half less one, and one more if the result would be odd: ties go to even, and beyond the
 * greatest finite one it is infinity. */
ALWAYS_INLINE uint16_t element_narrow(float f)
{
    uint32_t b = f32_bits(f);
    uint16_t rounded = (uint16_t)((b + 0x7fff + (b >> 16 & 1)) >> 16);
    return f == f ? rounded : QUIET_NAN;
}

#include "collectives/kernels/halves.h"
