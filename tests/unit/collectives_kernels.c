/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The arithmetic gives the same bits whatever the compiler makes of it: the kernels as they are
 * shipped, narrow and for AVX2, beside the same sources built without vectors, for each wider
 * instruction set that this processor has, and for itself, fused multiplication and addition
 * included. Any bits, NaN, infinities and zeros of both signs among them; every type, every
 * operator; lengths around those of vectors, places that are not aligned.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectives/kernels/kernels.h"
#include "collectives/records.h"
#include "collectives/reduce.h"
#include "tests/seed.h"

enum { ELEMENTS = 300, WIDEST = 16, ROUNDS = 12 };

static const char *const kinds[] = { "scalar", "avx2", "avx512", "native" };
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static const struct kernels *kernels_in(void *module, int type)
{
    char symbol[32];
    snprintf(symbol, sizeof(symbol), "kernels_%s", type_name(type));
    const struct kernels *found = dlsym(module, symbol);
    assert_non_null(found);
    return found;
}

/* Any bits; every fourth element one that floats have a special meaning for. */
static void fill(unsigned char *at, size_t bytes, struct seed *seed)
{
    static const uint64_t special[] = {
        0,                            0x8000000000000000, 0x7ff0000000000000, 0xfff0000000000000,
        0x7ff8000000000000,           0xfff8000000000001, 0x7ff0000000000001, 0x7f8000007f800000,
        0xff800000ff800000,           0x7fc000007fc00000, 0x8000000080000000, 0x7c00fc007e000001,
        0x0000000180000001,           0x3ff0000000000000, 0x3f800000bf800000, 0x80008000fc007c00,
    };
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t bits = seed_next(seed);
        if (bits % 4 == 0) bits = special[seed_next(seed) % 16];
        memcpy(at + i, &bits, bytes - i < 8 ? bytes - i : 8);
    }
}

/* The results of the kernel and of its like, in all lengths and at shifted places. */
static unsigned compare(void (*mine)(void *, const void *, const void *, size_t),
                        void (*other)(void *, const void *, const void *, size_t), int type, int op,
                        const char *kind, struct seed *seed)
{
    static unsigned char l[ELEMENTS * WIDEST + 64], r[sizeof(l)], d[sizeof(l)], e[sizeof(l)];
    size_t each = sinew_type_size(type);
    unsigned elements = 0;
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = seed_next(seed) % (round % 2 ? ELEMENTS : 40), shift = seed_next(seed) % 17;
        fill(l, sizeof(l), seed);
        fill(r, sizeof(r), seed);
        memset(d, 0, sizeof(d));
        memset(e, 0, sizeof(e));
        mine(d + shift, l + shift, r, n);
        other(e + shift, l + shift, r, n);
        if (memcmp(d, e, sizeof(d)) != 0)
            fail_msg("%s: operator %d of type %s, %zu elements of %zu bytes", kind, op,
                     type_name(type), n, each);
        elements += (unsigned)n;
    }
    return elements;
}

static bool runs_here(const char *kind)
{
#if defined(__x86_64__)
    if (!strcmp(kind, "avx2")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (!strcmp(kind, "avx512")) return __builtin_cpu_supports("avx512f");
#endif
    return true;
}

static void every_instruction_set_gives_the_same_bits(void **state)
{
    (void)state;
    struct seed seed = seed_from_environment("collectives-kernels");
    int compared = 0;
    for (int k = 0; k < KINDS; k++) {
        char file[512];
        unsigned elements = 0;
        snprintf(file, sizeof(file), "%s/libkernels-%s.so", MODULES, kinds[k]);
        void *module = dlopen(file, RTLD_NOW | RTLD_LOCAL);
        if (!module || !runs_here(kinds[k])) {
            print_message("%s: not %s\n", kinds[k], module ? "on this processor" : "on this machine");
            continue;
        }
        for (int type = SINEW_I8; type <= SINEW_I64_I32; type++) {
            const struct kernels *mine = kernels_find(type);
            const struct kernels *other = kernels_in(module, type);
            assert_ptr_not_equal(mine, other);
            for (int op = SINEW_SUM; op <= SINEW_LXOR; op++) {
                const struct kernel *m = &mine->of[op], *o = &other->of[op];
                assert_true(!m->narrow == !o->narrow);
                if (m->narrow)
                    elements += compare(m->narrow, o->narrow, type, op, kinds[k], &seed);
                if (m->wide && runs_here("avx2"))
                    elements += compare(m->wide, o->narrow, type, op, kinds[k], &seed);
            }
        }
        print_message("%s: %u elements alike\n", kinds[k], elements);
        compared++;
        dlclose(module);
    }
    assert_true(compared >= 2); /* scalar and native are always there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_instruction_set_gives_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
