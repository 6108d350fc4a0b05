/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdint.h>

#define VALUE int64_t
#define PADDED
#define KERNELS kernels_i64_i32

static inline int value_before(int64_t a, int64_t b)
{
    return a < b;
}
static inline int value_is_nan(int64_t v)
{
    (void)v;
    return 0;
}
static inline int64_t value_nan(void)
{
    return 0;
}

#include "collectives/kernels/located.h"
