/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arithmetic.h - the table of a type with element_sum, element_prod, element_min and element_max
 */
static void sum(void *d, const void *l, const void *r, size_t n)
{
    each(d, l, r, n, element_sum);
}
static void prod(void *d, const void *l, const void *r, size_t n)
{
    each(d, l, r, n, element_prod);
}
static void min(void *d, const void *l, const void *r, size_t n)
{
    each(d, l, r, n, element_min);
}
static void max(void *d, const void *l, const void *r, size_t n)
{
    each(d, l, r, n, element_max);
}

const struct kernels KERNELS = { {
    [SINEW_SUM] = sum, [SINEW_PROD] = prod, [SINEW_MIN] = min, [SINEW_MAX] = max,
} };
