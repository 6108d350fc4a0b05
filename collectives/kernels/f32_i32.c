/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define VALUE float
#define KERNELS kernels_f32_i32

/* Signs tell zeros apart; where they differ otherwise, so do the values. */
static inline int value_before(float a, float b)
{
    return a < b || (a == b && signbit(a) && !signbit(b));
}
static inline int value_is_nan(float v)
{
    return v != v;
}
static inline float value_nan(void)
{
    uint32_t bits = UINT32_C(0x7fc00000);
    float v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

#include "collectives/kernels/located.h"
