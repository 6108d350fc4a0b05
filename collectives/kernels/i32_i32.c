/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdint.h>

#define VALUE int32_t
#define KERNELS kernels_i32_i32

static inline int value_before(int32_t a, int32_t b)
{
    return a < b;
}
static inline int value_is_nan(int32_t v)
{
    (void)v;
    return 0;
}
static inline int32_t value_nan(void)
{
    return 0;
}

#include "collectives/kernels/located.h"
