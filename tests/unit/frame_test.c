/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/frame.h"
#include "sinew/sinew.h"

static const struct frame sample = {
    .length = 0x04030201,
    .kind = 5,
    .head = 6,
    .flags = 0,
    .epoch = 0x1817161514131211,
    .sequence = 0x2827262524232221,
    .acknowledged = 0x3837363534333231,
};

static void bytes_are_where_the_protocol_draws_them(void **state)
{
    static const uint8_t expected[FRAME_HEADER] = {
        0x01, 0x02, 0x03, 0x04, 5,    6,    0,    0,    0x11, 0x12, 0x13,
        0x14, 0x15, 0x16, 0x17, 0x18, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26,
        0x27, 0x28, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38,
    };
    uint8_t bytes[FRAME_HEADER];
    (void)state;
    frame_encode(bytes, &sample);
    assert_memory_equal(bytes, expected, sizeof(expected));
}

static void what_was_encoded_is_decoded(void **state)
{
    uint8_t bytes[FRAME_HEADER];
    struct frame f;
    (void)state;
    frame_encode(bytes, &sample);
    assert_int_equal(frame_decode(bytes, UINT32_MAX, &f, NULL), 0);
    assert_int_equal(f.length, sample.length);
    assert_int_equal(f.kind, sample.kind);
    assert_int_equal(f.head, sample.head);
    assert_true(f.epoch == sample.epoch && f.sequence == sample.sequence);
    assert_true(f.acknowledged == sample.acknowledged);
}

static void assert_refused(struct frame bad, uint32_t length_max, const char *text)
{
    uint8_t bytes[FRAME_HEADER];
    struct frame f;
    struct why why;
    frame_encode(bytes, &bad);
    assert_int_equal(frame_decode(bytes, length_max, &f, &why), SINEW_EPROTO);
    if (!strstr(why.text, text)) fail_msg("'%s' is not in '%s'", text, why.text);
}

static void impossible_frames_are_refused(void **state)
{
    (void)state;
    assert_refused((struct frame){ .length = 101 }, 100, "101 bytes where at most 100");
    assert_refused((struct frame){ .length = UINT32_MAX }, UINT32_MAX - 1, "at most");
    assert_refused((struct frame){ .length = 15, .head = 16 }, 100, "head (16)");
    assert_refused((struct frame){ .length = 1, .flags = 0x8000 }, 100, "0x8000");
}

static void limits_themselves_are_allowed(void **state)
{
    uint8_t bytes[FRAME_HEADER];
    struct frame f;
    (void)state;
    frame_encode(bytes, &(struct frame){ .length = 100, .head = 100 });
    assert_int_equal(frame_decode(bytes, 100, &f, NULL), 0);
    frame_encode(bytes, &(struct frame){ .length = 0 });
    assert_int_equal(frame_decode(bytes, 0, &f, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_where_the_protocol_draws_them),
        cmocka_unit_test(what_was_encoded_is_decoded),
        cmocka_unit_test(impossible_frames_are_refused),
        cmocka_unit_test(limits_themselves_are_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
