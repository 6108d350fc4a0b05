/* SPDX-License-Identifier: BSD-3-Clause */
/* reorder_test.c - messages that come in any order within the window are taken in order, whole */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sinew/sinew.h"
#include "tests/seed.h"
#include "transport/reorder.h"

enum { MESSAGES = 20000, SPREAD = 100, MOST = 1 << 20 };

static void fill(uint8_t *bytes, size_t len, uint32_t seq)
{
    for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)(seq * 31 + i * 7);
}

static int keep(struct reorder *r, uint32_t seq)
{
    uint8_t data[SPREAD];
    size_t len = seq % SPREAD;
    fill(data, len, seq);
    return reorder_keep(r, &world_real, seq, &seq, sizeof(seq), data, len);
}

static void take(struct reorder *r, uint32_t seq)
{
    uint8_t data[SPREAD];
    uint32_t header;
    struct kept *k = reorder_take(r, seq);
    assert_non_null(k);
    memcpy(&header, k->bytes, sizeof(header));
    assert_int_equal(header, seq);
    assert_int_equal(k->len, seq % SPREAD);
    fill(data, k->len, seq);
    assert_memory_equal(k->bytes + sizeof(header), data, k->len);
    reorder_release(&world_real, k);
}

/* Through the place where the numbers wrap. */
static void any_order_becomes_order(void **state)
{
    struct reorder r = { .most = MOST };
    uint32_t first = 0u - MESSAGES / 2, taken = first;
    struct seed seed = seed_from_environment("reorder");
    (void)state;
    while (taken - first < MESSAGES) {
        uint32_t seq = taken + (uint32_t)seed_below(&seed, REORDER_WINDOW);
        if (!reorder_look(&r, seq)) assert_int_equal(keep(&r, seq), 0);
        for (; reorder_look(&r, taken); taken++) take(&r, taken);
    }
    for (struct kept *k; (k = reorder_take_any(&r));) reorder_release(&world_real, k);
    assert_int_equal(r.n, 0);
    assert_int_equal(r.bytes, 0);
}

static void twice_and_too_much_are_refused(void **state)
{
    struct reorder r = { .most = 150 };
    (void)state;
    assert_int_equal(keep(&r, 99), 0);
    assert_int_equal(keep(&r, 99), SINEW_EPROTO);
    assert_int_equal(keep(&r, 52), SINEW_EPROTO); /* 99 + 52 bytes */
    assert_int_equal(keep(&r, 51), 0);
    assert_null(reorder_take(&r, 50));
    take(&r, 51);
    take(&r, 99);
    assert_null(reorder_take_any(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_becomes_order),
        cmocka_unit_test(twice_and_too_much_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
