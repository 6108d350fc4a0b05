/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_KERNELS_H
#define COLLECTIVES_KERNELS_H
/*
 * kernels.h - d[i] = left[i] op right[i], a table by operator for each type
 *
 * A file about one type says what an element is and includes what is true of its family:
 *
 *     i8.c … u64.c  integers.h   wrap; min, max, bitwise and logical operators
 *     f32.c f64.c   floats.h     NaN, zeros and their order
 *     f16.c bf16.c  halves.h     floats of 16 bits, worked on as f32
 *     c32.c c64.c   pairs.h      complex: sum and product
 *     f32_i32.c …   located.h    value and index: the least or the greatest, and where
 */
#include <stddef.h>

#include "sinew/sinew.h"

/* The same twice: what one element becomes does not depend on the width. NULL: there is none. */
struct kernel {
    void (*narrow)(void *d, const void *left, const void *right, size_t n);
    void (*wide)(void *d, const void *left, const void *right, size_t n);
};

/* Empty where the operator makes no sense of the type. */
struct kernels {
    struct kernel of[SINEW_LXOR + 1];
};

extern const struct kernels kernels_i8, kernels_i16, kernels_i32, kernels_i64;
extern const struct kernels kernels_u8, kernels_u16, kernels_u32, kernels_u64;
extern const struct kernels kernels_f16, kernels_bf16, kernels_f32, kernels_f64;
extern const struct kernels kernels_c32, kernels_c64;
extern const struct kernels kernels_f32_i32, kernels_f64_i32, kernels_i32_i32, kernels_i64_i32;

#endif
