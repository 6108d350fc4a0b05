/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_message_test.c - messages between two transports in one process, and sleeping for them
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/shm_pair.h"

struct stream {
    uint64_t sent, got, refused;
    uint64_t out, in; /* generator states */
};

static void lengths(uint64_t *state, size_t *hlen, size_t *blen)
{
    uint64_t r = seeded(state);
    *hlen = (size_t)(r % 65);
    *blen = (size_t)((r >> 16) % 10 < 7 ? (r >> 32) % 257 : (r >> 32) % 16385);
}

static int stream_recv(struct peer *p, const uint8_t *head, size_t hlen, const uint8_t *body,
                       size_t blen)
{
    struct stream *s = p->end->arg;
    size_t want_hlen, want_blen;
    lengths(&s->in, &want_hlen, &want_blen);
    if (hlen != want_hlen || blen != want_blen) fail_msg("message %lu has wrong lengths", s->got);
    for (size_t i = 0; i < hlen; i++)
        if (head[i] != pattern(s->got, i)) fail_msg("message %lu: head byte %zu", s->got, i);
    for (size_t i = 0; i < blen; i++)
        if (body[i] != pattern(s->got, hlen + i)) fail_msg("message %lu: body byte %zu", s->got, i);
    s->got++;
    return 0;
}

static void stream_send(struct end *e, int rank)
{
    struct stream *s = e->arg;
    uint8_t bytes[64 + 16384];
    WHILE (true) {
        uint64_t next = s->out;
        size_t hlen, blen;
        lengths(&next, &hlen, &blen);
        for (size_t i = 0; i < hlen + blen; i++) bytes[i] = pattern(s->sent, i);
        int status = send_to(e, rank, bytes, hlen, bytes + hlen, blen);
        assert_true(status >= 0);
        if (status > 0) {
            s->refused++;
            return;
        }
        s->out = next;
        s->sent++;
    }
}

static void test_messages_under_back_pressure(void **state)
{
    (void)state;
    struct end a, b;
    struct stream of_a = { .out = 11, .in = 22 }, of_b = { .out = 22, .in = 11 };
    pair_up(&a, &b, NULL);
    a.arg = &of_a;
    b.arg = &of_b;
    a.recv = b.recv = stream_recv;
    uint64_t choose = 0xbacc, rooms = 0;
    WHILE (of_a.got < 10000 || of_b.got < 10000) {
        uint64_t r = seeded(&choose);
        if (r & 1) stream_send(&a, 1);
        if (r & 2) stream_send(&b, 0);
        if (r & 12) end_progress(&a);
        if (r & 48) end_progress(&b);
    }
    rooms = (uint64_t)(a.peers[1].rooms + b.peers[0].rooms);
    assert_true(of_a.refused > 100 && of_b.refused > 100 && rooms > 100);
    uint64_t to_a = of_b.sent, to_b = of_a.sent;
    end_disconnect(&a, 1, DISCONNECT_DRAIN);
    UNTIL(a.peers[1].downs && b.peers[0].downs, &a, &b);
    assert_int_equal(of_b.got, to_b); /* what a had sent was handed up before its goodbye */
    assert_true(of_a.got <= to_a);
    end_close(&a);
    end_close(&b);
}

static void test_every_length(void **state)
{
    (void)state;
    struct end a, b;
    static uint8_t bytes[16384 + 1];
    pair_up(&a, &b, NULL);
    uint64_t total = 0, n = 0;
    for (size_t len = 0; len <= 16384; len += len < 300 ? 1 : 97, n++) {
        assert_int_equal(send_to(&a, 1, bytes, 16, bytes, len), 0);
        total += len;
        UNTIL(b.peers[0].messages == n + 1, &a, &b);
    }
    assert_int_equal(send_to(&a, 1, bytes, 16, bytes, 16384), 0);
    total += 16384;
    UNTIL(b.peers[0].bytes == total, &a, &b);
    assert_int_equal(send_to(&a, 1, bytes, 65, bytes, 0), SINEW_EINVAL);
    assert_int_equal(send_to(&a, 1, bytes, 16, bytes, 16385), SINEW_EINVAL);
    pair_down(&a, &b);
}

static void test_sending_inside_an_upcall(void **state)
{
    (void)state;
    struct end a, b;
    pair_up(&a, &b, NULL);
    b.recv = peer_echo;
    for (uint64_t n = 1; n <= 1000; n++) {
        assert_int_equal(send_to(&a, 1, "ping", 4, &n, 8), 0);
        UNTIL(a.peers[1].messages == n, &a, &b);
    }
    pair_down(&a, &b);
}

static int never(struct peer *p, const uint8_t *head, size_t hlen, const uint8_t *body, size_t blen)
{
    (void)p;
    (void)head;
    (void)hlen;
    (void)body;
    (void)blen;
    return SINEW_EPROTO;
}

static void test_refused_bytes_cost_the_link(void **state)
{
    (void)state;
    struct end a, b;
    pair_up(&a, &b, NULL);
    b.recv = never;
    assert_int_equal(send_to(&a, 1, "bad", 3, NULL, 0), 0);
    UNTIL(a.peers[1].downs && b.peers[0].downs, &a, &b);
    assert_int_equal(b.peers[0].status, SINEW_EPROTO);
    assert_int_equal(b.peers[0].gone, GONE_BROKEN);
    assert_int_not_equal(a.peers[1].status, 0);
    end_close(&a);
    end_close(&b);
}

/* --- sleeping --------------------------------------------------------------------------------- */

/* A sender out of room sleeps, and is woken by room alone. */
static void test_room_wakes_a_sender(void **state)
{
    (void)state;
    struct end a, b;
    static uint8_t body[8192];
    pair_up(&a, &b, NULL);
    WHILE (send_to(&a, 1, "x", 1, body, sizeof(body)) == 0) {}
    WHILE (end_progress(&a) > 0 || transport_shm.arm(&a.t->base) > 0) {}
    struct pollfd fd = { .fd = a.t->base.fd, .events = POLLIN };
    assert_int_equal(poll(&fd, 1, 0), 0);
    WHILE (b.peers[0].messages == 0) end_progress(&b);
    assert_int_equal(poll(&fd, 1, 1000), 1);
    UNTIL(a.peers[1].rooms == 1, &a, &a);
    pair_down(&a, &b);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, end_no_residue, end_no_residue)
    const struct CMUnitTest tests[] = {
        TEST(test_messages_under_back_pressure),
        TEST(test_every_length),
        TEST(test_sending_inside_an_upcall),
        TEST(test_refused_bytes_cost_the_link),
        TEST(test_room_wakes_a_sender),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
