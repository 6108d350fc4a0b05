/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CRC-32C: the vectors of RFC 3720, B.4, by instruction and by table, in one piece and in any
 * pieces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "tests/seed.h"

static void assert_crc(const void *bytes, size_t len, uint32_t expected)
{
    assert_int_equal(crc32c(0, bytes, len), expected);
    assert_int_equal(crc32c_by_table(0, bytes, len), expected);
}

static void the_vectors_of_the_rfc(void **state)
{
    static const uint8_t read_command[48] = {
        0x01, 0xc0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 4, 0,
        0,    0,    0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0
    };
    uint8_t bytes[32];
    (void)state;
    memset(bytes, 0, sizeof(bytes));
    assert_crc(bytes, sizeof(bytes), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    assert_crc(bytes, sizeof(bytes), 0x62a8ab43);
    for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)i;
    assert_crc(bytes, sizeof(bytes), 0x46dd794e);
    for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)(31 - i);
    assert_crc(bytes, sizeof(bytes), 0x113fdb5c);
    assert_crc(read_command, sizeof(read_command), 0xd9963a56);
    assert_crc("123456789", 9, 0xe3069283);
    assert_crc("", 0, 0);
}

static void pieces_of_any_length_and_place(void **state)
{
    static uint8_t bytes[3000];
    struct seed seed = seed_from_environment("crc32c");
    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (uint8_t)seed_next(&seed);
    for (int round = 0; round < 2000; round++) {
        size_t from = (size_t)seed_below(&seed, 64), len = (size_t)seed_below(&seed, 2900);
        size_t cut = (size_t)seed_below(&seed, len + 1);
        uint32_t whole = crc32c_by_table(0, bytes + from, len);
        uint32_t part = crc32c(0, bytes + from, cut);
        assert_int_equal(crc32c(part, bytes + from + cut, len - cut), whole);
        if (len == 0) continue;
        size_t bit = (size_t)seed_below(&seed, len * 8);
        bytes[from + bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(crc32c(0, bytes + from, len), whole);
        bytes[from + bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_rfc),
        cmocka_unit_test(pieces_of_any_length_and_place),
    };
    print_message("by instruction: %s\n", crc32c_by_instruction() ? "yes" : "no");
    return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
