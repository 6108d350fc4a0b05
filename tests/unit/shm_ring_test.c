/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_ring_test.c - one ring alone: order and content for every length, wrap-around of every
 * counter, back-pressure, reserved room, two threads on one mapping, and words that nobody honest
 * would write
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/bounded.h"
#include "transport/shm/ring.h"

enum { TINY_BODY = 256 };

static const struct ring_shape tiny = { 2, TINY_BODY, TINY_BODY / 2 };
static const struct ring_shape small = { 8, 1024, 512 };
static const struct ring_shape odd = { 8, 768, 384 }; /* shorter than its laps of 1,024 bytes */
static const struct ring_shape full = { 64, 57344, 16384 };

struct pair {
    void *memory;
    struct ring_producer p;
    struct ring_consumer c;
};

static struct pair pair_make(const struct ring_shape *shape, uint32_t start)
{
    struct pair pair;
    size_t len = (ring_bytes(shape) + 127) / 128 * 128;
    pair.memory = aligned_alloc(128, len);
    memset(pair.memory, 0, len);
    ring_producer_init(&pair.p, pair.memory, shape, start);
    ring_consumer_init(&pair.c, pair.memory, shape, start);
    return pair;
}

/* Byte i of message n: any mix-up of messages, places or lengths shows. */
static uint8_t content(uint32_t n, size_t i) { return (uint8_t)(n * 131 + i * 7 + (i >> 8) + 1); }

static int put(struct ring_producer *p, enum ring_class class, uint32_t n, size_t hlen, size_t blen)
{
    uint8_t head[RING_HEAD_MAX], body[16384];
    for (size_t i = 0; i < hlen; i++) head[i] = content(n, i);
    for (size_t i = 0; i < blen; i++) body[i] = content(n, hlen + i);
    return ring_put(p, class, 1, head, hlen, body, blen, 0);
}

static void check(const struct ring_message *m, uint32_t n, size_t hlen, size_t blen)
{
    const uint8_t *head = m->head, *body = m->body;
    if (m->hlen != hlen || m->blen != blen)
        fail_msg("message %u: %zu + %zu bytes, not %zu + %zu", n, m->hlen, m->blen, hlen, blen);
    for (size_t i = 0; i < hlen; i++)
        if (head[i] != content(n, i)) fail_msg("message %u: head byte %zu", n, i);
    for (size_t i = 0; i < blen; i++)
        if (body[i] != content(n, hlen + i)) fail_msg("message %u: body byte %zu", n, i);
}

static void take(struct ring_consumer *c, uint32_t n, size_t hlen, size_t blen)
{
    struct ring_message m = { 0 };
    assert_int_equal(ring_take(c, &m), 1);
    check(&m, n, hlen, blen);
    ring_finish(c, &m);
}

static uint64_t seeded(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static size_t length(uint64_t *state, uint32_t most)
{
    uint64_t r = seeded(state);
    uint32_t cap = (r >> 32) % 3 ? 64 : most; /* many short ones, some of any length */
    return (size_t)(r % (cap + 1));
}

/* As if so many slots, and units, had been given back already: 16 bits each. */
static void start_returned(struct pair *pair, uint32_t returned)
{
    pair->p.returned = pair->c.returned = returned;
    shared_store_relaxed32(&pair->c.ring->returned, returned);
}

/* Random fill and drain; consumer tells at random times. Every length and index start survives. */
static void churn(const struct ring_shape *shape, uint32_t start, uint32_t body_start, int rounds)
{
    struct pair pair = pair_make(shape, start);
    uint64_t seed = 0x5eed0000u + start, writer = seed, reader = seed, choose = seed * 3 + 1;
    uint32_t sent = 0, got = 0, refused = 0;
    pair.p.written = pair.p.finished = (struct ring_mark){ body_start, body_start };
    pair.c.body_next = body_start;
    start_returned(&pair, start ? 0xfff0fff0 : 0);
    for (int r = 0; r < rounds; r++) {
        for (uint64_t k = seeded(&choose) % 12; k > 0; k--) {
            uint64_t next = writer;
            size_t hlen = length(&next, 64), blen = length(&next, shape->body_max);
            enum ring_class class = seeded(&next) % 4 ? RING_DATA : RING_BULK;
            int status = put(&pair.p, class, sent, hlen, blen);
            assert_true(status >= 0);
            if (status > 0) {
                refused++;
                break;
            }
            writer = next;
            sent++;
        }
        for (uint64_t k = seeded(&choose) % 12; k > 0 && got < sent; k--) {
            size_t hlen = length(&reader, 64), blen = length(&reader, shape->body_max);
            seeded(&reader);
            take(&pair.c, got++, hlen, blen);
            if (ring_should_tell(&pair.c)) ring_tell(&pair.c);
        }
        if (got == sent) {
            struct ring_message m = { 0 };
            assert_int_equal(ring_take(&pair.c, &m), 0);
            ring_tell(&pair.c);
        }
    }
    if (got < 100 || refused == 0) fail_msg("seed %llx proved nothing", (unsigned long long)seed);
    free(pair.memory);
}

static void test_content_survives_any_lengths(void **state)
{
    (void)state;
    churn(&full, 0, 0, 5000);
    churn(&small, 0, 0, 20000);
    churn(&odd, 0, 0, 20000);
    churn(&tiny, 0, 0, 20000);
}

static void test_every_counter_wraps(void **state)
{
    (void)state;
    churn(&tiny, UINT32_MAX - 50, UINT32_MAX - 64 * 9 + 1, 5000);
    churn(&small, UINT32_MAX - 50, UINT32_MAX - 64 * 9 + 1, 5000);
    churn(&odd, UINT32_MAX - 50, UINT32_MAX - 256 - 64 * 9 + 1, 5000);
    churn(&full, UINT32_MAX - 500, UINT32_MAX - 8192 - 64 * 9 + 1, 2000);
    /* The turn has 15 bits. */
    churn(&tiny, 32768 - 50, 0, 5000);
    churn(&full, 32768 - 500, 0, 2000);
}

static void test_fresh_memory_is_no_message(void **state)
{
    (void)state;
    uint32_t starts[] = { 0, 2, 65534, 65536, UINT32_MAX - 1 };
    for (size_t i = 0; i < 5; i++) {
        struct pair pair = pair_make(&tiny, starts[i]);
        assert_false(ring_ready(&pair.c));
        free(pair.memory);
    }
}

static void test_one_line_holds_56_bytes(void **state)
{
    (void)state;
    struct pair pair = pair_make(&full, 0);
    assert_int_equal(put(&pair.p, RING_DATA, 0, 16, 40), 0);
    assert_int_equal(pair.p.written.body, 0); /* all in the slot */
    assert_int_equal(put(&pair.p, RING_DATA, 1, 16, 41), 0);
    assert_int_equal(pair.p.written.body, 64);
    take(&pair.c, 0, 16, 40);
    take(&pair.c, 1, 16, 41);
    free(pair.memory);
}

static void test_longest_fits_any_empty_ring(void **state)
{
    (void)state;
    for (uint32_t offset = 0; offset <= full.body_bytes; offset += 64) {
        struct pair pair = pair_make(&full, 0);
        pair.p.written.body = pair.p.finished.body = offset;
        pair.c.body_next = offset;
        assert_int_equal(put(&pair.p, RING_DATA, 7, 64, 16384), 0);
        take(&pair.c, 7, 64, 16384);
        free(pair.memory);
    }
}

static void test_a_goodbye_always_fits(void **state)
{
    (void)state;
    const struct ring_shape *shapes[] = { &tiny, &small, &full };
    for (int i = 0; i < 3; i++) {
        struct pair pair = pair_make(shapes[i], 5 * shapes[i]->slots);
        uint32_t n = 0;
        WHILE (put(&pair.p, n % 2 ? RING_DATA : RING_BULK, n, 8, 8) == 0) n++;
        WHILE (put(&pair.p, RING_DATA, n, 8, 8) == 0) n++;
        assert_int_equal(n, shapes[i]->slots - 1);
        assert_int_equal(ring_put(&pair.p, RING_LAST, 3, NULL, 0, NULL, 0, 0), 0);
        for (uint32_t k = 0; k < n; k++) take(&pair.c, k, 8, 8);
        struct ring_message m = { 0 };
        assert_int_equal(ring_take(&pair.c, &m), 1);
        assert_int_equal(m.kind, 3);
        free(pair.memory);
    }
}

static void test_bulk_leaves_room_for_messages(void **state)
{
    (void)state;
    struct pair pair = pair_make(&full, 0);
    int n = 0;
    WHILE (put(&pair.p, RING_BULK, 0, 24, 14336) == 0) n++;
    assert_int_equal(n, 3);
    assert_int_equal(put(&pair.p, RING_DATA, 1, 16, 14336), 0);
    free(pair.memory);
    pair = pair_make(&full, 0);
    n = 0;
    WHILE (put(&pair.p, RING_BULK, 0, 24, 8) == 0) n++;
    assert_int_equal(n, 32); /* of 64 slots */
    free(pair.memory);
}

/* The last piece of a long message is a short one; its room must not wait for the next message. */
static void test_an_eighth_of_the_bytes_is_told(void **state)
{
    (void)state;
    struct pair pair = pair_make(&full, 0);
    assert_int_equal(put(&pair.p, RING_BULK, 0, 24, full.body_bytes / 8), 0);
    assert_int_equal(put(&pair.p, RING_BULK, 1, 24, full.body_bytes / 8 - RING_LINE), 0);
    take(&pair.c, 0, 24, full.body_bytes / 8);
    assert_true(ring_should_tell(&pair.c));
    ring_tell(&pair.c);
    take(&pair.c, 1, 24, full.body_bytes / 8 - RING_LINE);
    assert_false(ring_should_tell(&pair.c));
    free(pair.memory);
}

/* Wherever messages of any length have moved it, the ring has room for one more beside all the bulk
 * that goes; and bulk goes whenever the ring is empty. */
static void test_bulk_spares_room_at_any_place(void **state)
{
    (void)state;
    static const size_t fragments[] = { 14336, 8192, 5000, 700 };
    size_t spared = ring_spared_bytes(full.body_bytes);
    for (uint32_t shift = 0; shift <= full.body_max; shift += 5 * RING_LINE)
        for (size_t k = 0; k < sizeof(fragments) / sizeof(fragments[0]); k++) {
            struct pair pair = pair_make(&full, 0);
            struct ring_message m = { 0 };
            assert_int_equal(put(&pair.p, RING_DATA, 0, 16, shift), 0);
            for (int i = 0; i < 20; i++) {
                int bulk = 0;
                while (put(&pair.p, RING_BULK, 0, 24, fragments[k]) == 0) bulk++;
                if (ring_outstanding(&pair.p) == 0 && bulk == 0) fail_msg("%u: none goes", shift);
                if (!ring_would_fit(&pair.p, RING_DATA, 16, spared))
                    fail_msg("moved by %u, after %d: no room beside %zu", shift, i, fragments[k]);
                assert_int_equal(ring_take(&pair.c, &m), 1);
                ring_finish(&pair.c, &m);
                ring_tell(&pair.c);
                assert_int_equal(ring_refresh(&pair.p), 0);
            }
            free(pair.memory);
        }
}

/* The end of a lap that was too short for a message is free when what lies before it is. */
static void test_what_was_skipped_is_free_early(void **state)
{
    (void)state;
    struct pair pair = pair_make(&small, 0);
    assert_int_equal(put(&pair.p, RING_DATA, 0, 8, 512), 0);
    assert_int_equal(put(&pair.p, RING_DATA, 1, 8, 448), 0); /* 64 are left, and skipped */
    assert_true(put(&pair.p, RING_DATA, 2, 8, 512) > 0);
    take(&pair.c, 0, 8, 512);
    ring_tell(&pair.c);
    assert_int_equal(put(&pair.p, RING_DATA, 2, 8, 512), 0);
    assert_true(put(&pair.p, RING_DATA, 3, 8, 512) > 0);
    take(&pair.c, 1, 8, 448);
    ring_tell(&pair.c);
    assert_int_equal(put(&pair.p, RING_DATA, 3, 8, 512), 0);
    take(&pair.c, 2, 8, 512);
    take(&pair.c, 3, 8, 512);
    free(pair.memory);
}

static void test_credit_both_ways_adds_up(void **state)
{
    (void)state;
    struct pair pair = pair_make(&small, 0);
    for (uint32_t n = 0; n < 7; n++) assert_int_equal(put(&pair.p, RING_DATA, n, 8, 8), 0);
    assert_true(put(&pair.p, RING_DATA, 7, 8, 8) > 0);
    for (uint32_t n = 0; n < 3; n++) take(&pair.c, n, 8, 8);
    uint32_t carried = ring_untold(&pair.c); /* as a word of the other way would */
    ring_told(&pair.c);
    assert_int_equal(carried, 3);
    for (uint32_t n = 3; n < 5; n++) take(&pair.c, n, 8, 8);
    ring_tell(&pair.c);
    /* What was told last is seen first: nothing may be counted twice. */
    assert_int_equal(ring_refresh(&pair.p), 0);
    assert_int_equal(ring_outstanding(&pair.p), 5);
    assert_int_equal(ring_returned(&pair.p, carried), 0);
    assert_int_equal(ring_outstanding(&pair.p), 2);
    free(pair.memory);
}

/* Slots are set aside for short messages, never the last; what was taken straight gives its unit
 * back. */
static void test_short_messages_have_slots_and_units(void **state)
{
    (void)state;
    struct pair pair = pair_make(&small, 0);
    uint8_t in[RING_SHORT], out[RING_SHORT] = "short";
    const uint32_t due = ring_due_as(2, RING_SHORT_HEAD);
    uint64_t credit = 1;
    ring_promise(&pair.p, 1);
    assert_int_equal(pair.p.shorts, 0); /* there are no units */
    pair.p.units = 100;
    for (int i = 0; i < 5; i++) ring_promise(&pair.p, 1);
    assert_int_equal(pair.p.shorts, 6);
    assert_int_equal(pair.p.room, 1);
    assert_int_equal(pair.p.units, 94);
    for (uint64_t i = 0; i < 6; i++) ring_put_short(&pair.p, 2, out, 8 * i, i, 0);
    assert_int_equal(put(&pair.p, RING_DATA, 0, 8, 8), 0);
    assert_true(put(&pair.p, RING_DATA, 0, 8, 8) > 0);
    assert_true(ring_take_short(&pair.c, due, 7, in, 48, &credit) < 0); /* another key */
    assert_true(ring_take_short(&pair.c, RING_NEVER_DUE, 0, in, 48, &credit) < 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ring_take_short(&pair.c, due, (uint64_t)i, in, 48, &credit), 8 * i);
    assert_memory_equal(in, out, 32);
    assert_true(ring_take_short(&pair.c, due, 5, in, 39, &credit) < 0); /* does not fit */
    struct ring_message m = { 0 };
    assert_int_equal(ring_take(&pair.c, &m), 1); /* not straight: no unit */
    assert_true(m.kind == 2 && m.hlen == RING_SHORT_HEAD && m.blen == 40 && m.credit == 0);
    ring_finish(&pair.c, &m);
    assert_int_equal(ring_untold(&pair.c), 6 * RING_SLOT + 5 * RING_UNIT);
    ring_tell(&pair.c);
    take(&pair.c, 0, 8, 8);
    ring_tell(&pair.c);
    assert_int_equal(ring_refresh(&pair.p), 0);
    assert_int_equal(ring_outstanding(&pair.p), 0);
    assert_true(pair.p.units == 99 && pair.p.room == 7 && pair.p.shorts == 0);
    free(pair.memory);
}

/* Units and slots that are told, each past 2^16: none is lost, none comes twice. */
static void test_units_wrap(void **state)
{
    (void)state;
    struct pair pair = pair_make(&small, UINT32_MAX - 20);
    uint8_t in[RING_SHORT], out[RING_SHORT] = "short";
    const uint32_t due = ring_due_as(2, RING_SHORT_HEAD);
    start_returned(&pair, 0xfffdfff9);
    pair.p.units = 10;
    for (uint64_t i = 0, credit = 1; i < 60; i++, credit = 1) {
        ring_promise(&pair.p, 1);
        assert_true(pair.p.shorts > 0);
        ring_put_short(&pair.p, 2, out, 8, i, 0);
        assert_int_equal(ring_take_short(&pair.c, due, i, in, 48, &credit), 8);
        assert_int_equal(credit, 0);
        if (i % 3 == 2) ring_tell(&pair.c);
        assert_int_equal(ring_refresh(&pair.p), 0);
        assert_int_equal(ring_outstanding(&pair.p), (i + 1) % 3);
        assert_int_equal(pair.p.units + (uint32_t)pair.p.shorts, 10 - (i + 1) % 3);
        assert_int_equal(pair.p.room + pair.p.shorts, 7 - (int)((i + 1) % 3));
    }
    free(pair.memory);
}

/* What is peeked at stays until it is dropped, at its place; a short one gives its unit back,
 * too. */
static void test_a_peek_takes_nothing(void **state)
{
    (void)state;
    struct pair pair = pair_make(&small, 0);
    uint8_t in[RING_SHORT], out[RING_SHORT] = "lent";
    struct ring_peeked m = { 0 };
    uint64_t credit;
    pair.p.units = 8;
    ring_promise(&pair.p, 1);
    assert_true(ring_peek(&pair.c, 1 << 2, &m) < 0); /* nothing is there */
    ring_put_short(&pair.p, 2, out, 16, 7, 0);
    assert_int_equal(ring_peek(&pair.c, 1 << 1, &m), 0); /* not of these kinds */
    for (int i = 0; i < 2; i++) assert_int_equal(ring_peek(&pair.c, 1 << 2, &m), 1);
    assert_true(m.hlen == RING_SHORT_HEAD && m.blen == 16 && wire_get64(m.head) == 7);
    assert_memory_equal(m.body, out, 16);
    ring_drop(&pair.c, m.body_next, true);
    assert_int_equal(ring_untold(&pair.c), RING_SLOT + RING_UNIT);
    assert_int_equal(put(&pair.p, RING_DATA, 1, 28, 100), 0); /* a body in the byte ring */
    ring_put_short(&pair.p, 2, out, 8, 9, 0);
    struct ring_message same = { 0 };
    assert_int_equal(ring_take(&pair.c, &same), 1);
    assert_int_equal(ring_peek(&pair.c, 1 << same.kind, &m), 1);
    assert_true(m.body == same.body && m.body_next == same.body_next && m.blen == 100);
    ring_drop(&pair.c, m.body_next, false);
    assert_int_equal(ring_untold(&pair.c), 2 * RING_SLOT + RING_UNIT);
    assert_int_equal(ring_take_short(&pair.c, ring_due_as(2, RING_SHORT_HEAD), 9, in, 48, &credit),
                     8);
    free(pair.memory);
}

/* A slot that is only set aside keeps no other message waiting; units are as many as before. */
static void test_promised_slots_are_for_others_when_none_is_left(void **state)
{
    (void)state;
    struct pair pair = pair_make(&full, 0);
    uint32_t n = 0;
    pair.p.units = 100;
    ring_promise(&pair.p, 1);
    assert_int_equal(pair.p.shorts, RING_SHORTS);
    WHILE (put(&pair.p, RING_DATA, n, 16, 0) == 0) n++;
    assert_int_equal(n, full.slots - 1); /* the last is for the goodbye */
    assert_true(pair.p.shorts == 0 && pair.p.units == 100);
    assert_int_equal(put(&pair.p, RING_LAST, n, 8, 0), 0);
    free(pair.memory);
}

/* However many slots are promised to short messages, small fragments leave some to others. */
static void test_bulk_leaves_slots_to_messages(void **state)
{
    (void)state;
    for (uint32_t units = 0; units <= 100; units += 100) {
        struct pair pair = pair_make(&full, 0);
        pair.p.units = units;
        ring_promise(&pair.p, 1);
        uint32_t n = 0;
        WHILE (put(&pair.p, RING_BULK, n, 24, 64) == 0) n++;
        assert_true(n >= 16);
        for (int i = 0; i < 6; i++) assert_int_equal(put(&pair.p, RING_DATA, n++, 16, 64), 0);
        free(pair.memory);
    }
}

static void test_too_much_credit_is_refused(void **state)
{
    (void)state;
    struct pair pair = pair_make(&small, 0);
    assert_int_equal(put(&pair.p, RING_DATA, 0, 8, 8), 0);
    assert_int_equal(ring_returned(&pair.p, 2), SINEW_EPROTO);
    pair.p.ring->returned = 2;
    assert_int_equal(ring_refresh(&pair.p), SINEW_EPROTO);
    pair.p.ring->returned = 1 | 2 << 16; /* more units than slots */
    assert_int_equal(ring_refresh(&pair.p), SINEW_EPROTO);
    assert_int_equal(ring_returned(&pair.p, RING_UNIT), SINEW_EPROTO);
    pair.p.ring->returned = UINT32_MAX;
    assert_int_equal(ring_refresh(&pair.p), SINEW_EPROTO);
    assert_int_equal(ring_outstanding(&pair.p), 1);
    free(pair.memory);
}

/* Any word at all: refused, or a message whose bytes lie inside the ring. */
static void test_forged_words_stay_inside(void **state)
{
    (void)state;
    struct pair pair = pair_make(&full, 0);
    uint64_t seed = 0xf0261e, refused = 0, taken = 0;
    const uint8_t *low = pair.c.bodies, *high = low + full.body_bytes;
    for (int i = 0; i < 200000; i++) {
        struct ring_message m = { 0 };
        uint64_t word = seeded(&seed);
        if (i % 2) word &= 0x00ff3fff3fffffff; /* else nearly all are refused for their length */
        word = (word & ~0xffffull) | ring_due(pair.c.next, 0, 0);
        pair.c.ring->slots[pair.c.next & pair.c.slot_mask].word = word;
        int got = ring_take(&pair.c, &m);
        if (got < 0) {
            refused++;
            continue;
        }
        taken++;
        const uint8_t *body = m.body, *line = m.line;
        bool in_line = body >= line && body + m.blen <= line + sizeof(m.line);
        bool in_ring = body >= low && body + m.blen <= high;
        assert_true(m.hlen <= RING_HEAD_MAX && (in_line || in_ring));
        ring_finish(&pair.c, &m);
    }
    assert_true(refused > 1000 && taken > 1000);
    free(pair.memory);
}

/* --- two threads, one mapping ----------------------------------------------------------------- */

/* With two slots every other message is a hand-over between threads, which on a busy machine costs
 * a turn of the scheduler: milliseconds. */
enum { MESSAGES_FULL = 6000, MESSAGES_TINY = 400 };

struct threads {
    struct pair pair;
    uint32_t messages;
};

static void *produce(void *arg)
{
    struct threads *threads = arg;
    struct pair *pair = &threads->pair;
    uint64_t state = 0x7152;
    for (uint32_t n = 0; n < threads->messages;) {
        uint64_t next = state;
        size_t hlen = length(&next, 64), blen = length(&next, 128);
        int status = put(&pair->p, RING_DATA, n, hlen, blen);
        if (status < 0) return (void *)1;
        if (status > 0) {
            sched_yield();
            continue;
        }
        state = next;
        n++;
    }
    return NULL;
}

static void threads_on(const struct ring_shape *shape, uint32_t start, uint32_t messages)
{
    struct threads threads = { pair_make(shape, start), messages };
    struct pair *pair = &threads.pair;
    pthread_t producer;
    uint64_t state = 0x7152;
    void *failed;
    assert_int_equal(pthread_create(&producer, NULL, produce, &threads), 0);
    for (uint32_t n = 0; n < messages;) {
        struct ring_message m = { 0 };
        int got = ring_take(&pair->c, &m);
        assert_true(got >= 0);
        if (got == 0) {
            if (ring_untold(&pair->c)) ring_tell(&pair->c);
            sched_yield();
            continue;
        }
        size_t hlen = length(&state, 64), blen = length(&state, 128);
        check(&m, n++, hlen, blen);
        ring_finish(&pair->c, &m);
        if (ring_should_tell(&pair->c)) ring_tell(&pair->c);
    }
    pthread_join(producer, &failed);
    assert_null(failed);
    free(pair->memory);
}

static void test_threads_on_one_mapping(void **state)
{
    (void)state;
    threads_on(&full, 0, MESSAGES_FULL);
    threads_on(&tiny, UINT32_MAX - 100, MESSAGES_TINY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content_survives_any_lengths),
        cmocka_unit_test(test_every_counter_wraps),
        cmocka_unit_test(test_fresh_memory_is_no_message),
        cmocka_unit_test(test_one_line_holds_56_bytes),
        cmocka_unit_test(test_longest_fits_any_empty_ring),
        cmocka_unit_test(test_a_goodbye_always_fits),
        cmocka_unit_test(test_bulk_leaves_room_for_messages),
        cmocka_unit_test(test_bulk_spares_room_at_any_place),
        cmocka_unit_test(test_what_was_skipped_is_free_early),
        cmocka_unit_test(test_an_eighth_of_the_bytes_is_told),
        cmocka_unit_test(test_credit_both_ways_adds_up),
        cmocka_unit_test(test_short_messages_have_slots_and_units),
        cmocka_unit_test(test_units_wrap),
        cmocka_unit_test(test_a_peek_takes_nothing),
        cmocka_unit_test(test_promised_slots_are_for_others_when_none_is_left),
        cmocka_unit_test(test_bulk_leaves_slots_to_messages),
        cmocka_unit_test(test_too_much_credit_is_refused),
        cmocka_unit_test(test_forged_words_stay_inside),
        cmocka_unit_test(test_threads_on_one_mapping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
