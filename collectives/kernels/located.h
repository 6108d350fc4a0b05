/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * located.h - a value and an index: VALUE, PADDED where 4 bytes follow the index, value_before(a,
 * b), value_is_nan(v), value_nan() and KERNELS
 *
 * The least (greatest) value wins, among equal ones the least index. A NaN wins over all, among
 * several the least index. -0 is below +0. Padding becomes 0, so that results are the same bits
 * everywhere.
 */
struct located {
    VALUE value;
    int32_t index;
#ifdef PADDED
    int32_t padding;
#endif
};
_Static_assert(sizeof(struct located) % sizeof(VALUE) == 0, "no padding but that with a name");
#define ELEMENT struct located
#include "collectives/kernels/elements.h"

/* The winner is `better` than the other, or as good and further left. */
ALWAYS_INLINE struct located located_pick(struct located a, struct located b, int a_better,
                                          int b_better)
{
    int32_t least = a.index < b.index ? a.index : b.index;
    VALUE value = b_better ? b.value : a.value;
    return (struct located){ .value = value_is_nan(value) ? value_nan() : value,
                             .index = a_better   ? a.index
                                      : b_better ? b.index
                                                 : least };
}
ALWAYS_INLINE struct located element_minloc(struct located a, struct located b)
{
    int a_nan = value_is_nan(a.value), b_nan = value_is_nan(b.value);
    return located_pick(a, b, a_nan > b_nan || (!b_nan && value_before(a.value, b.value)),
                        b_nan > a_nan || (!a_nan && value_before(b.value, a.value)));
}
ALWAYS_INLINE struct located element_maxloc(struct located a, struct located b)
{
    int a_nan = value_is_nan(a.value), b_nan = value_is_nan(b.value);
    return located_pick(a, b, a_nan > b_nan || (!b_nan && value_before(b.value, a.value)),
                        b_nan > a_nan || (!a_nan && value_before(a.value, b.value)));
}

KERNEL(minloc)
KERNEL(maxloc)

const struct kernels KERNELS = {
    { [SINEW_MINLOC] = KERNEL_OF(minloc), [SINEW_MAXLOC] = KERNEL_OF(maxloc) }
};
