/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The arithmetic: every kernel against one-element references, special floats in every position,
 * any alignment, in place on either side; results do not depend on the order of the operands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "collectives/reduce.h"
#include "sinew/sinew.h"

static void kernel(int type, int op, void *d, const void *l, const void *r, size_t n)
{
    struct reduction k = reduction_find(type, op);
    assert_non_null(k.run);
    k.run(d, l, r, n);
}

static const uint64_t f64_specials[] = {
    0x0000000000000000, 0x8000000000000000, 0x3ff0000000000000, 0xbff0000000000000,
    0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0xfff8000000000001,
    0x7ff0000000000001, 0xfff4000000000000, 0x0000000000000001, 0x8000000000000001,
    0x7fefffffffffffff, 0xffefffffffffffff,
};
enum { SPECIALS = sizeof(f64_specials) / sizeof(f64_specials[0]) };

static uint64_t f64_bits(double v)
{
    uint64_t b;
    memcpy(&b, &v, sizeof(b));
    return b;
}

static double f64_of(uint64_t b)
{
    double v;
    memcpy(&v, &b, sizeof(v));
    return v;
}

/* What the header promises of one pair. */
static uint64_t f64_wanted(int op, double a, double b)
{
    bool less = signbit(a) && !signbit(b) && a == b ? true : a < b;
    double v = op == SINEW_SUM    ? a + b
               : op == SINEW_PROD ? a * b
               : op == SINEW_MIN  ? (less ? a : b)
                                  : (less ? b : a);
    if (isnan(a) || isnan(b) || isnan(v)) return UINT64_C(0x7ff8000000000000);
    return f64_bits(v);
}

static uint32_t f32_bits(float v)
{
    uint32_t b;
    memcpy(&b, &v, sizeof(b));
    return b;
}

/* Each pair of special values, at each position of a vector, as double and as float. */
static void special_floats(void **state)
{
    (void)state;
    enum { N = 19 };
    for (int op = SINEW_SUM; op <= SINEW_MAX; op++)
        for (int i = 0; i < SPECIALS; i++)
            for (int j = 0; j < SPECIALS; j++) {
                double a = f64_of(f64_specials[i]), b = f64_of(f64_specials[j]);
                double l[N], r[N], d[N];
                float fl[N], fr[N], fd[N];
                for (int at = 0; at < N; at++) {
                    for (int k = 0; k < N; k++) {
                        l[k] = k == at ? a : k + 1, r[k] = k == at ? b : 3;
                        fl[k] = (float)l[k], fr[k] = (float)r[k];
                    }
                    kernel(SINEW_F64, op, d, l, r, N);
                    kernel(SINEW_F32, op, fd, fl, fr, N);
                    for (int k = 0; k < N; k++) {
                        assert_true(f64_bits(d[k]) == f64_wanted(op, l[k], r[k]));
                        double wide = f64_of(f64_wanted(op, (double)fl[k], (double)fr[k]));
                        assert_true(isnan(wide) ? f32_bits(fd[k]) == 0x7fc00000
                                                : f32_bits(fd[k]) == f32_bits((float)wide));
                    }
                    kernel(SINEW_F64, op, l, r, l, N); /* exchanged, and in place on the right */
                    assert_memory_equal(l, d, sizeof(d));
                }
            }
}

static uint64_t integer_wanted(int op, uint64_t a, uint64_t b, bool is_signed, int bits)
{
    int64_t x = (int64_t)(a << (64 - bits)) >> (64 - bits);
    int64_t y = (int64_t)(b << (64 - bits)) >> (64 - bits);
    bool less = is_signed ? x < y : a < b;
    uint64_t v = op == SINEW_SUM             ? a + b
                 : op == SINEW_PROD          ? a * b
                 : (op == SINEW_MIN) == less ? a
                                             : b;
    return v & UINT64_MAX >> (64 - bits);
}

/* Every integer type at its edges, at every alignment and length up to 40. */
static void integers_wrap(void **state)
{
    (void)state;
    static const uint64_t edges[] = { 0,          1,
                                      2,          0x7f,
                                      0x80,       0xff,
                                      0x7fff,     0x8000,
                                      0xffff,     0x7fffffff,
                                      0x80000000, 0xffffffff,
                                      INT64_MAX,  (uint64_t)INT64_MAX + 1,
                                      UINT64_MAX, 0x123456789abcdef1 };
    enum { EDGES = sizeof(edges) / sizeof(edges[0]) };
    unsigned char l[400], r[400], d[400];
    for (int type = SINEW_I8; type <= SINEW_U64; type++)
        for (int op = SINEW_SUM; op <= SINEW_MAX; op++)
            for (size_t n = 0; n <= 40; n++) {
                size_t each = sinew_type_size(type), at = n % 9;
                int bits = (int)(8 * each);
                for (size_t i = 0; i < n; i++) {
                    memcpy(l + at + i * each, &edges[(i + n) % EDGES], each);
                    memcpy(r + at + i * each, &edges[(i * 7 + n / 2) % EDGES], each);
                }
                memset(d, 0x77, sizeof(d));
                kernel(type, op, d + at, l + at, r + at, n);
                for (size_t i = 0; i < n; i++) {
                    uint64_t a = 0, b = 0, got = 0;
                    memcpy(&a, l + at + i * each, each);
                    memcpy(&b, r + at + i * each, each);
                    memcpy(&got, d + at + i * each, each);
                    assert_true(got == integer_wanted(op, a, b, type <= SINEW_I64, bits));
                }
                assert_int_equal(d[at + n * each], 0x77);
                kernel(type, op, l + at, l + at, r + at, n);
                assert_memory_equal(l + at, d + at, n * each);
            }
}

static void what_is_not_built_is_not_found(void **state)
{
    (void)state;
    for (int type = -1; type < 30; type++)
        for (int op = -1; op < 20; op++) {
            bool built =
                type >= SINEW_I8 && type <= SINEW_F64 && op >= SINEW_SUM && op <= SINEW_MAX;
            assert_int_equal(reduction_find(type, op).run != NULL, built);
        }
    assert_int_equal(sinew_type_size(0), 0);
    assert_int_equal(sinew_type_size(-1), 0);
    assert_int_equal(sinew_type_size(SINEW_I64_I32 + 1), 0);
    assert_int_equal(sinew_type_size(SINEW_C64), 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_floats),
        cmocka_unit_test(integers_wrap),
        cmocka_unit_test(what_is_not_built_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
