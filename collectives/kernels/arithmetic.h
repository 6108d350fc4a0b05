/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arithmetic.h - the table of a type with element_sum, element_prod, element_min and element_max
 */
KERNEL(sum)
KERNEL(prod)
KERNEL(min)
KERNEL(max)

const struct kernels KERNELS = { {
    [SINEW_SUM] = KERNEL_OF(sum),
    [SINEW_PROD] = KERNEL_OF(prod),
    [SINEW_MIN] = KERNEL_OF(min),
    [SINEW_MAX] = KERNEL_OF(max),
} };
