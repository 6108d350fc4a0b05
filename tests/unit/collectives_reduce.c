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
    assert_non_null(k.kernel);
    reduction_run(&k, d, l, r, n);
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
    uint64_t v = op == SINEW_SUM    ? a + b
                 : op == SINEW_PROD ? a * b
                 : op == SINEW_MIN  ? (less ? a : b)
                 : op == SINEW_MAX  ? (less ? b : a)
                 : op == SINEW_BAND ? (a & b)
                 : op == SINEW_BOR  ? (a | b)
                 : op == SINEW_BXOR ? (a ^ b)
                 : op == SINEW_LAND ? (a && b)
                 : op == SINEW_LOR  ? (a || b)
                                    : (!a != !b);
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
        for (int op = SINEW_SUM; op <= SINEW_LXOR; op++)
            for (size_t n = 0; n <= 40; n++) {
                if (op == SINEW_MINLOC || op == SINEW_MAXLOC) continue;
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

/* ---------------------------------------------------------------------------- sixteen bits */

struct half {
    int type, fraction, least; /* bits of the fraction; the exponent of the least normal one */
    uint16_t infinite, nan;
};
static const struct half halves[] = {
    { SINEW_F16, 10, -14, 0x7c00, 0x7e00 },
    { SINEW_BF16, 7, -126, 0x7f80, 0x7fc0 },
};

static double half_value(const struct half *h, uint16_t v)
{
    int exponent = (v & 0x7fff) >> h->fraction, fraction = v & ((1 << h->fraction) - 1);
    if (exponent > 0) fraction += 1 << h->fraction;
    double value = ldexp(fraction, h->least + (exponent ? exponent - 1 : 0) - h->fraction);
    if (exponent == h->infinite >> h->fraction)
        value = fraction == 1 << h->fraction ? INFINITY : NAN;
    return v & 0x8000 ? -value : value;
}

/* To nearest, ties to even, of a number that a double holds exactly. */
static uint16_t half_round(const struct half *h, double v)
{
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    int exponent;
    if (isnan(v)) return h->nan;
    if (v == 0 || isinf(v)) return sign | (v == 0 ? 0 : h->infinite);
    frexp(v, &exponent);
    exponent = exponent - 1 < h->least ? h->least : exponent - 1;
    double units = nearbyint(ldexp(fabs(v), h->fraction - exponent));
    double bits = ldexp(exponent - h->least, h->fraction) + units; /* carries into the exponent */
    return bits >= h->infinite ? sign | h->infinite : sign | (uint16_t)bits;
}

static uint16_t half_wanted(const struct half *h, int op, uint16_t x, uint16_t y)
{
    double a = half_value(h, x), b = half_value(h, y);
    bool less = a < b || (a == b && signbit(a) && !signbit(b));
    if (isnan(a) || isnan(b)) return h->nan;
    if (op == SINEW_MIN) return less ? x : y;
    if (op == SINEW_MAX) return less ? y : x;
    return half_round(h, op == SINEW_SUM ? a + b : a * b);
}

/* Every value with each of 24 others, sums rounded once: exact in a double for f16. Of bf16, whose
 * exponents a double cannot bridge, those sums that a double holds. */
static void halves_round_to_nearest_even(void **state)
{
    (void)state;
    static uint16_t l[65536], r[65536], d[65536];
    static const uint16_t others[] = { 0x0000, 0x8000, 0x0001, 0x8001, 0x0002, 0x03ff,
                                       0x0400, 0x83ff, 0x3c00, 0xbc00, 0x3c01, 0x3bff,
                                       0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00, 0x7c01,
                                       0x3f80, 0x7f7f, 0x7f80, 0x4248, 0x1234, 0xb5d3 };
    for (size_t t = 0; t < 2; t++)
        for (int op = SINEW_SUM; op <= SINEW_MAX; op++)
            for (size_t o = 0; o < sizeof(others) / sizeof(others[0]); o++) {
                const struct half *h = &halves[t];
                for (uint32_t i = 0; i < 65536; i++) l[i] = (uint16_t)i, r[i] = others[o];
                kernel(h->type, op, d, l, r, 65536);
                for (uint32_t i = 0; i < 65536; i++) {
                    double a = half_value(h, l[i]), b = half_value(h, r[i]);
                    bool exact = fabs(a) < 0x1p40 * fabs(b) && fabs(b) < 0x1p40 * fabs(a);
                    if (op == SINEW_SUM && a != 0 && b != 0 && isfinite(a + b) && !exact) continue;
                    if (d[i] != half_wanted(h, op, l[i], r[i]))
                        fail_msg("type %d, op %d: %04x and %04x give %04x, not %04x", h->type, op,
                                 l[i], r[i], d[i], half_wanted(h, op, l[i], r[i]));
                }
                kernel(h->type, op, l, r, l, 65536);
                assert_memory_equal(l, d, sizeof(d));
            }
}

/* -------------------------------------------------------------------------- pairs of values */

static void complex_numbers(void **state)
{
    (void)state;
    double a[] = { 1, 2, 0, INFINITY, NAN, 1 }, b[] = { 3, -4, -0.0, 1, 2, 3 }, d[6];
    kernel(SINEW_C64, SINEW_SUM, d, a, b, 3);
    assert_true(d[0] == 4 && d[1] == -2 && f64_bits(d[2]) == 0 && isinf(d[3]) && d[5] == 4);
    assert_true(f64_bits(d[4]) == UINT64_C(0x7ff8000000000000));
    kernel(SINEW_C64, SINEW_PROD, d, a, b, 3);
    assert_true(d[0] == 11 && d[1] == 2); /* (1 + 2i)(3 - 4i) */
    assert_true(f64_bits(d[4]) == UINT64_C(0x7ff8000000000000) && f64_bits(d[5]) == f64_bits(d[4]));
    float fa[] = { 1, 2, 5, 6 }, fb[] = { 3, -4, 7, 8 }, fd[4];
    kernel(SINEW_C32, SINEW_PROD, fd, fa, fb, 2);
    assert_true(fd[0] == 11 && fd[1] == 2 && fd[2] == -13 && fd[3] == 82);
    for (int i = 0; i < SPECIALS; i++)
        for (int j = 0; j < SPECIALS; j++) { /* no part knows left from right */
            double x[] = { f64_of(f64_specials[i]), f64_of(f64_specials[j]) }, y[] = { x[1], 3 };
            double xy[2], yx[2];
            for (int op = SINEW_SUM; op <= SINEW_PROD; op++) {
                kernel(SINEW_C64, op, xy, x, y, 1);
                kernel(SINEW_C64, op, yx, y, x, 1);
                assert_memory_equal(xy, yx, sizeof(xy));
            }
        }
}

struct located {
    double value;
    int32_t index;
};

/* The order of the header, by which one of any two is picked. */
static bool located_wins(int op, const struct located *a, const struct located *b)
{
    bool an = isnan(a->value), bn = isnan(b->value);
    if (an != bn) return an;
    bool below =
        a->value < b->value || (a->value == b->value && signbit(a->value) > signbit(b->value));
    bool above =
        b->value < a->value || (a->value == b->value && signbit(a->value) < signbit(b->value));
    if (!an && (below || above)) return op == SINEW_MINLOC ? below : above;
    return a->index < b->index;
}

static void values_keep_their_index(void **state)
{
    (void)state;
    for (int op = SINEW_MINLOC; op <= SINEW_MAXLOC; op++)
        for (int i = 0; i < SPECIALS; i++)
            for (int j = 0; j < SPECIALS * 3; j++) {
                struct located a, b, d, e;
                memset(&a, 0x5a, sizeof(a)), memset(&b, 0xa5, sizeof(b));
                a.value = f64_of(f64_specials[i]), a.index = 5;
                b.value = f64_of(f64_specials[j % SPECIALS]), b.index = 4 + j / SPECIALS;
                kernel(SINEW_F64_I32, op, &d, &a, &b, 1);
                kernel(SINEW_F64_I32, op, &e, &b, &a, 1);
                assert_memory_equal(&d, &e, sizeof(d));
                const struct located *w = located_wins(op, &b, &a) ? &b : &a;
                assert_int_equal(d.index, w->index);
                assert_true(isnan(w->value) ? f64_bits(d.value) == UINT64_C(0x7ff8000000000000)
                                            : f64_bits(d.value) == f64_bits(w->value));
            }
    int32_t l[] = { 7, 1, 7, 9, -3, 2 }, r[] = { 7, 0, 8, 0, -3, 1 }, d[6];
    kernel(SINEW_I32_I32, SINEW_MINLOC, d, l, r, 3);
    assert_true(d[0] == 7 && d[1] == 0 && d[2] == 7 && d[3] == 9 && d[4] == -3 && d[5] == 1);
    kernel(SINEW_I32_I32, SINEW_MAXLOC, d, l, r, 3);
    assert_true(d[0] == 7 && d[1] == 0 && d[2] == 8 && d[3] == 0 && d[4] == -3 && d[5] == 1);
    float f[] = { 1, 0, 2, 0 }, g[] = { 2, 0, 1, 0 }, h[4];
    kernel(SINEW_F32_I32, SINEW_MAXLOC, h, f, g, 2);
    assert_true(h[0] == 2 && h[2] == 2);
    int64_t big[] = { INT64_MIN, 3 }, small[] = { INT64_MAX, 2 }, least[2];
    kernel(SINEW_I64_I32, SINEW_MINLOC, least, big, small, 1);
    assert_true(least[0] == INT64_MIN && least[1] == 3);
}

/* Which operator goes with which type. */
static bool makes_sense(int type, int op)
{
    bool integer = type >= SINEW_I8 && type <= SINEW_U64;
    bool number = type >= SINEW_I8 && type <= SINEW_BF16;
    bool complex = type == SINEW_C32 || type == SINEW_C64;
    if (op == SINEW_SUM || op == SINEW_PROD) return number || complex;
    if (op == SINEW_MIN || op == SINEW_MAX) return number;
    if (op == SINEW_MINLOC || op == SINEW_MAXLOC)
        return type >= SINEW_F32_I32 && type <= SINEW_I64_I32;
    return integer && op >= SINEW_BAND && op <= SINEW_LXOR;
}

static void what_makes_no_sense_is_not_found(void **state)
{
    (void)state;
    for (int type = -1; type < 30; type++)
        for (int op = -1; op < 20; op++)
            assert_int_equal(reduction_find(type, op).kernel != NULL, makes_sense(type, op));
    assert_int_equal(sinew_type_size(0), 0);
    assert_int_equal(sinew_type_size(-1), 0);
    assert_int_equal(sinew_type_size(SINEW_I64_I32 + 1), 0);
    assert_int_equal(sinew_type_size(SINEW_C64), 16);
    assert_int_equal(sinew_type_size(SINEW_RECORD(0)), 0);
    assert_int_equal(sinew_type_size(SINEW_RECORD(1)), 1);
    assert_int_equal(sinew_type_size(SINEW_RECORD(SINEW_RECORD_MAX)), SINEW_RECORD_MAX);
    assert_int_equal(sinew_type_size(SINEW_RECORD(SINEW_RECORD_MAX + 1)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_floats),
        cmocka_unit_test(integers_wrap),
        cmocka_unit_test(halves_round_to_nearest_even),
        cmocka_unit_test(complex_numbers),
        cmocka_unit_test(values_keep_their_index),
        cmocka_unit_test(what_makes_no_sense_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
