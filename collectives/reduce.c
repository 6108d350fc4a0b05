/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/reduce.h"

#include "collectives/kernels/kernels.h"
#include "collectives/operators.h"
#include "sinew/sinew.h"

#if defined(__x86_64__)
#include <sys/platform/x86.h>
#endif

/* The one that this processor can do. */
static void (*reduction_kernel(const struct kernel *k))(void *, const void *, const void *, size_t)
{
#if defined(__x86_64__)
    /* What the loader found: __builtin_cpu_supports() would bring a constructor. */
    if (k->wide && CPU_FEATURE_ACTIVE(AVX2)) return k->wide;
#endif
    return k->narrow;
}

const struct kernels *kernels_find(int type)
{
    static const struct kernels *const kernels[] = {
        [SINEW_I8] = &kernels_i8,           [SINEW_I16] = &kernels_i16,
        [SINEW_I32] = &kernels_i32,         [SINEW_I64] = &kernels_i64,
        [SINEW_U8] = &kernels_u8,           [SINEW_U16] = &kernels_u16,
        [SINEW_U32] = &kernels_u32,         [SINEW_U64] = &kernels_u64,
        [SINEW_F32] = &kernels_f32,         [SINEW_F64] = &kernels_f64,
        [SINEW_F16] = &kernels_f16,         [SINEW_BF16] = &kernels_bf16,
        [SINEW_C32] = &kernels_c32,         [SINEW_C64] = &kernels_c64,
        [SINEW_F32_I32] = &kernels_f32_i32, [SINEW_F64_I32] = &kernels_f64_i32,
        [SINEW_I32_I32] = &kernels_i32_i32, [SINEW_I64_I32] = &kernels_i64_i32,
    };
    return type >= SINEW_I8 && type <= SINEW_I64_I32 ? kernels[type] : NULL;
}

struct reduction reduction_find(int type, int op)
{
    const struct kernels *kernels = kernels_find(type);
    struct reduction found = { .type = type, .element_bytes = sinew_type_size(type) };
    if (kernels && op >= SINEW_SUM && op <= SINEW_LXOR)
        found.kernel = reduction_kernel(&kernels->of[op]);
    return found;
}

void reduction_run(const struct reduction *r, void *d, const void *left, const void *right,
                   size_t n)
{
    if (r->kernel)
        r->kernel(d, left, right, n);
    else if (r->own)
        operator_run(r->own, d, left, right, n, r->type, r->element_bytes);
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
    if (type > SINEW_RECORD(0) && type <= SINEW_RECORD(SINEW_RECORD_MAX))
        return (size_t)(type - SINEW_RECORD(0));
    return type > 0 && type <= SINEW_I64_I32 ? size[type] : 0;
}
