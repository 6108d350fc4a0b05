/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/wire.h"

static void integers_are_little_endian(void **state)
{
    static const uint8_t bytes[8] = { 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8 };
    uint8_t out[8];
    (void)state;
    assert_int_equal(wire_get16(bytes), 0xf2f1);
    assert_true(wire_get32(bytes) == 0xf4f3f2f1);
    assert_true(wire_get64(bytes) == 0xf8f7f6f5f4f3f2f1);
    wire_put16(out, 0xf2f1);
    assert_memory_equal(out, bytes, 2);
    wire_put32(out, 0xf4f3f2f1);
    assert_memory_equal(out, bytes, 4);
    wire_put64(out, 0xf8f7f6f5f4f3f2f1);
    assert_memory_equal(out, bytes, 8);
}

static void a_reader_takes_fields_in_order(void **state)
{
    static const uint8_t bytes[15] = { 1, 2, 0, 3, 0, 0, 0, 4 };
    struct wire_reader r = wire_read(bytes, sizeof(bytes));
    (void)state;
    assert_int_equal(wire_take8(&r), 1);
    assert_int_equal(wire_take16(&r), 2);
    assert_int_equal(wire_take32(&r), 3);
    assert_int_equal(wire_take64(&r), 4);
    assert_false(r.bad);
    assert_int_equal(r.left, 0);
}

static void a_short_reader_stays_bad_and_yields_zeros(void **state)
{
    static const uint8_t bytes[5] = { 1, 2, 3, 4, 5 };
    struct wire_reader r = wire_read(bytes, sizeof(bytes));
    (void)state;
    assert_true(wire_take32(&r) == 0x04030201);
    assert_int_equal(wire_take16(&r), 0);
    assert_true(r.bad);
    assert_int_equal(wire_take8(&r), 0); /* although one byte is left */
    assert_int_equal(wire_take64(&r), 0);
    assert_null(wire_take(&r, 1000));
}

static void empty_is_not_bad_until_read(void **state)
{
    struct wire_reader r = wire_read("", 0);
    (void)state;
    assert_non_null(wire_take(&r, 0));
    assert_false(r.bad);
    wire_take8(&r);
    assert_true(r.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_little_endian),
        cmocka_unit_test(a_reader_takes_fields_in_order),
        cmocka_unit_test(a_short_reader_stays_bad_and_yields_zeros),
        cmocka_unit_test(empty_is_not_bad_until_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
