/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define VALUE double
#define PADDED
#define KERNELS kernels_f64_i32

/* Signs tell zeros apart; where they differ otherwise, so do the values. */
static inline int value_before(double a, double b)
{
    return a < b || (a == b && signbit(a) && !signbit(b));
}
static inline int value_is_nan(double v)
{
    return v != v;
}
static inline double value_nan(void)
{
    uint64_t bits = UINT64_C(0x7ff8000000000000);
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

#include "collectives/kernels/located.h"
