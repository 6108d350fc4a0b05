/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_once_test.c - what the peer wrote into the ring is read once: it is rewritten between check
 * and use each time (shm_once.h), by words with every other length, and nobody notices
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transport/shm/ring.h"

uint64_t once_forged;
int once_loads;

enum { KIND = 1, SHORT_KIND = 5, CREDIT = 3 };
enum way { TAKE, EXPECT, TAKE_SHORT, PEEK };

static const struct ring_shape shape = { 8, 1024, 512 };

static const struct lengths {
    uint8_t hlen;
    uint16_t blen;
} lengths[] = { { 8, 0 },   { 8, 48 },   { 8, 49 },  { 16, 0 },    { 16, 40 },   { 16, 41 },
                { 16, 512 }, { 56, 100 }, { 64, 60 }, { 255, 512 }, { 8, 0xffff },
                { 255, 0xffff } };
enum { LENGTHS = sizeof(lengths) / sizeof(lengths[0]), HONEST = LENGTHS - 3 };

struct pair {
    void *memory;
    struct ring_producer p;
    struct ring_consumer c;
};

static uint8_t content(size_t i) { return (uint8_t)(i * 7 + (i >> 8) + 1); }

static void check(const void *head, size_t hlen, const void *body, size_t blen)
{
    for (size_t i = 0; i < hlen; i++) assert_int_equal(((const uint8_t *)head)[i], content(i));
    for (size_t i = 0; i < blen; i++)
        assert_int_equal(((const uint8_t *)body)[i], content(hlen + i));
}

static bool may(enum way way, struct lengths l)
{
    if (way == EXPECT) return l.hlen == RING_EXPECTED_HEAD;
    if (way == TAKE_SHORT) return l.hlen == RING_SHORT_HEAD && l.blen <= RING_SHORT;
    return way == TAKE || l.hlen <= RING_INLINE;
}

static void take(struct ring_consumer *c, struct lengths is)
{
    struct ring_message m = { 0 };
    assert_int_equal(ring_take(c, &m), 1);
    assert_true(m.kind == KIND && m.hlen == is.hlen && m.blen == is.blen && m.credit == CREDIT);
    check(m.head, m.hlen, m.body, m.blen);
    ring_finish(c, &m);
}

static void expect(struct ring_consumer *c, struct lengths is, const uint8_t *head)
{
    struct ring_expected e = { .head = { wire_get64(head), wire_get64(head + 8) },
                               .mask = UINT64_MAX,
                               .kind = KIND };
    uint8_t body[512];
    assert_true(ring_take_expected(c, &e, body, sizeof(body)));
    assert_true(e.blen == is.blen && e.credit == CREDIT);
    check(head, is.hlen, body, is.blen);
}

static void take_short(struct ring_consumer *c, struct lengths is, const uint8_t *head)
{
    uint8_t body[RING_SHORT];
    uint64_t credit;
    int64_t len = ring_take_short(c, ring_due_as(SHORT_KIND, RING_SHORT_HEAD), wire_get64(head),
                                  body, sizeof(body), &credit);
    assert_true(len == is.blen && credit == CREDIT);
    check(head, is.hlen, body, is.blen);
}

static void peek(struct ring_consumer *c, struct lengths is)
{
    struct ring_peeked m = { 0 };
    assert_int_equal(ring_peek(c, 1 << KIND, &m), 1);
    assert_true(m.hlen == is.hlen && m.blen == is.blen && m.credit == CREDIT);
    check(m.head, m.hlen, m.body, m.blen);
    ring_drop(c, m.body_next, false);
}

/* One message, whose word says something else as soon as it was read. */
static void rewritten(enum way way, struct lengths is, struct lengths forged)
{
    struct pair pair;
    uint8_t bytes[64 + 512], kind = way == TAKE_SHORT ? SHORT_KIND : KIND;
    pair.memory = aligned_alloc(128, (ring_bytes(&shape) + 127) / 128 * 128);
    memset(pair.memory, 0, ring_bytes(&shape));
    ring_producer_init(&pair.p, pair.memory, &shape, 0);
    ring_consumer_init(&pair.c, pair.memory, &shape, 0);
    for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = content(i);
    assert_int_equal(ring_put(&pair.p, RING_DATA, kind, bytes, is.hlen, bytes + is.hlen, is.blen,
                              CREDIT), 0);
    once_forged = ring_due(0, kind, forged.hlen) | (uint64_t)forged.blen << 32 | 0xffffULL << 48;
    once_loads = 0;
    switch (way) {
    case TAKE: take(&pair.c, is); break;
    case EXPECT: expect(&pair.c, is, bytes); break;
    case TAKE_SHORT: take_short(&pair.c, is, bytes); break;
    case PEEK: peek(&pair.c, is); break;
    }
    assert_int_equal(once_loads, 1);
    assert_int_equal(pair.c.body_next, pair.p.written.body);
    assert_int_equal(pair.c.next, 1);
    free(pair.memory);
}

static void all_rewritten(enum way way)
{
    for (size_t is = 0; is < HONEST; is++)
        for (size_t forged = 0; forged < LENGTHS && may(way, lengths[is]); forged++)
            rewritten(way, lengths[is], lengths[forged]);
}

static void a_message_that_is_taken_is_read_once(void **state)
{
    (void)state;
    all_rewritten(TAKE);
}

static void one_that_is_expected_is_read_once(void **state)
{
    (void)state;
    all_rewritten(EXPECT);
}

static void a_short_one_that_is_expected_is_read_once(void **state)
{
    (void)state;
    all_rewritten(TAKE_SHORT);
}

static void one_that_is_looked_at_where_it_lies_has_one_length(void **state)
{
    (void)state;
    all_rewritten(PEEK);
}

static void what_is_given_back_is_read_once(void **state)
{
    struct pair pair;
    (void)state;
    pair.memory = aligned_alloc(128, (ring_bytes(&shape) + 127) / 128 * 128);
    memset(pair.memory, 0, ring_bytes(&shape));
    ring_producer_init(&pair.p, pair.memory, &shape, 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ring_put(&pair.p, RING_DATA, KIND, "head", 4, NULL, 0, 0), 0);
    struct ring *ring = pair.memory;
    ring->returned.hidden = 2;
    once_forged = 200; /* more than there are */
    once_loads = 0;
    assert_int_equal(ring_refresh(&pair.p), 0);
    assert_int_equal(once_loads, 1);
    assert_int_equal(pair.p.returned, 2);
    assert_int_equal(ring_outstanding(&pair.p), 3);
    assert_int_equal(ring_refresh(&pair.p), SINEW_EPROTO);
    assert_int_equal(ring_outstanding(&pair.p), 3);
    free(pair.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_that_is_taken_is_read_once),
        cmocka_unit_test(one_that_is_expected_is_read_once),
        cmocka_unit_test(a_short_one_that_is_expected_is_read_once),
        cmocka_unit_test(one_that_is_looked_at_where_it_lies_has_one_length),
        cmocka_unit_test(what_is_given_back_is_read_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
