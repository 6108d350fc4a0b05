/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reduce.c - one loop for every type and operator
 *
 * The loops are plain so that the compiler vectorises them; what they compute for one element does
 * not depend on the vector length. Elements are loaded and stored as bytes: users' buffers have any
 * type.
 */
#include "collectives/reduce.h"

#include <stdint.h>
#include <string.h>

#include "sinew/sinew.h"

/* ------------------------------------------------------------------------------- of one element
 * Sums and products are made in an unsigned type at least as wide as int: no promotion overflows.
 */
#define INTEGER_ELEMENTS(name, type, wide)         \
    static inline type name##_sum(type a, type b)  \
    {                                              \
        return (type)((wide)a + (wide)b);          \
    }                                              \
    static inline type name##_prod(type a, type b) \
    {                                              \
        return (type)((wide)a * (wide)b);          \
    }                                              \
    static inline type name##_min(type a, type b)  \
    {                                              \
        return b < a ? b : a;                      \
    }                                              \
    static inline type name##_max(type a, type b)  \
    {                                              \
        return a < b ? b : a;                      \
    }

INTEGER_ELEMENTS(u8, uint8_t, uint32_t)
INTEGER_ELEMENTS(u16, uint16_t, uint32_t)
INTEGER_ELEMENTS(u32, uint32_t, uint32_t)
INTEGER_ELEMENTS(u64, uint64_t, uint64_t)
INTEGER_ELEMENTS(i8, int8_t, uint32_t)
INTEGER_ELEMENTS(i16, int16_t, uint32_t)
INTEGER_ELEMENTS(i32, int32_t, uint32_t)
INTEGER_ELEMENTS(i64, int64_t, uint64_t)

/* Equal operands of min and max differ in bits only as zeros: "or" of the bits is then -0, "and"
 * +0. */
#define FLOAT_ELEMENTS(name, type, bits, quiet_nan)             \
    static inline type name##_of(bits b)                        \
    {                                                           \
        type v;                                                 \
        memcpy(&v, &b, sizeof(v));                              \
        return v;                                               \
    }                                                           \
    static inline bits name##_bits(type v)                      \
    {                                                           \
        bits b;                                                 \
        memcpy(&b, &v, sizeof(b));                              \
        return b;                                               \
    }                                                           \
    static inline type name##_canonical(type v)                 \
    {                                                           \
        return v == v ? v : name##_of(quiet_nan);               \
    }                                                           \
    static inline type name##_sum(type a, type b)               \
    {                                                           \
        return name##_canonical(a + b);                         \
    }                                                           \
    static inline type name##_prod(type a, type b)              \
    {                                                           \
        return name##_canonical(a * b);                         \
    }                                                           \
    static inline type name##_min(type a, type b)               \
    {                                                           \
        type same = name##_of(name##_bits(a) | name##_bits(b)); \
        type least = a < b ? a : b < a ? b : same;              \
        return a == a && b == b ? least : name##_of(quiet_nan); \
    }                                                           \
    static inline type name##_max(type a, type b)               \
    {                                                           \
        type same = name##_of(name##_bits(a) & name##_bits(b)); \
        type most = a < b ? b : b < a ? a : same;               \
        return a == a && b == b ? most : name##_of(quiet_nan);  \
    }

FLOAT_ELEMENTS(f32, float, uint32_t, UINT32_C(0x7fc00000))
FLOAT_ELEMENTS(f64, double, uint64_t, UINT64_C(0x7ff8000000000000))

/* ----------------------------------------------------------------------------------- of vectors */
#define REDUCE_LOOP(name, type, op)                                                        \
    static void name##_##op##_loop(void *d, const void *left, const void *right, size_t n) \
    {                                                                                      \
        const unsigned char *l = left, *r = right;                                         \
        unsigned char *to = d;                                                             \
        for (size_t i = 0; i < n; i++) {                                                   \
            type a, b;                                                                     \
            memcpy(&a, l + i * sizeof(a), sizeof(a));                                      \
            memcpy(&b, r + i * sizeof(b), sizeof(b));                                      \
            a = name##_##op(a, b);                                                         \
            memcpy(to + i * sizeof(a), &a, sizeof(a));                                     \
        }                                                                                  \
    }

#define REDUCE_LOOPS(name, type)  \
    REDUCE_LOOP(name, type, sum)  \
    REDUCE_LOOP(name, type, prod) \
    REDUCE_LOOP(name, type, min)  \
    REDUCE_LOOP(name, type, max)

REDUCE_LOOPS(u8, uint8_t)
REDUCE_LOOPS(u16, uint16_t)
REDUCE_LOOPS(u32, uint32_t)
REDUCE_LOOPS(u64, uint64_t)
REDUCE_LOOPS(i8, int8_t)
REDUCE_LOOPS(i16, int16_t)
REDUCE_LOOPS(i32, int32_t)
REDUCE_LOOPS(i64, int64_t)
REDUCE_LOOPS(f32, float)
REDUCE_LOOPS(f64, double)

#define REDUCE_ROW(name)                                                \
    {                                                                   \
        [SINEW_SUM] = name##_sum_loop, [SINEW_PROD] = name##_prod_loop, \
        [SINEW_MIN] = name##_min_loop, [SINEW_MAX] = name##_max_loop,   \
    }

struct reduction reduction_find(int type, int op)
{
    static void (*const run[SINEW_F64 + 1][SINEW_MAX + 1])(void *, const void *, const void *,
                                                           size_t) = {
        [SINEW_I8] = REDUCE_ROW(i8),   [SINEW_I16] = REDUCE_ROW(i16), [SINEW_I32] = REDUCE_ROW(i32),
        [SINEW_I64] = REDUCE_ROW(i64), [SINEW_U8] = REDUCE_ROW(u8),   [SINEW_U16] = REDUCE_ROW(u16),
        [SINEW_U32] = REDUCE_ROW(u32), [SINEW_U64] = REDUCE_ROW(u64), [SINEW_F32] = REDUCE_ROW(f32),
        [SINEW_F64] = REDUCE_ROW(f64),
    };
    struct reduction none = { 0 };
    if (type < 0 || type > SINEW_F64 || op < 0 || op > SINEW_MAX) return none;
    return (struct reduction){ run[type][op] };
}

size_t sinew_type_size(int type)
{
    static const unsigned char size[] = {
        [SINEW_I8] = 1,      [SINEW_I16] = 2,      [SINEW_I32] = 4,     [SINEW_I64] = 8,
        [SINEW_U8] = 1,      [SINEW_U16] = 2,      [SINEW_U32] = 4,     [SINEW_U64] = 8,
        [SINEW_F32] = 4,     [SINEW_F64] = 8,      [SINEW_F16] = 2,     [SINEW_BF16] = 2,
        [SINEW_C32] = 8,     [SINEW_C64] = 16,     [SINEW_F32_I32] = 8, [SINEW_F64_I32] = 16,
        [SINEW_I32_I32] = 8, [SINEW_I64_I32] = 16,
    };
    return type > 0 && type <= SINEW_I64_I32 ? size[type] : 0;
}
