/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slim_test.c - messages whose head follows on the one before (transport/framed/slim.h), on a UCX of
 * the tests' own: whichever go slim, heads and bodies are what was sent
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/wire.h"
#include "tests/seed.h"
#include "tests/support/ends.h"
#include "tests/ucx/fake_ucx.h"
#include "transport/framed/framed.h"
#include "transport/ucx/ucx.h"

enum { RANK = 3, MESSAGES = 4000, BODY_MAX = 300 };

static uint64_t seed;
static bool plain; /* nothing odd, and short */
static int slim_sent, whole_sent;

/* Sees what goes out, and loses nothing. */
static bool count_slim(uint8_t *bytes, size_t *len, bool *fetched)
{
    (void)fetched;
    ++*(*len > 11 && bytes[11] == SLIM_MARK ? &slim_sent : &whole_sent);
    return true;
}

static int fresh(void **state)
{
    (void)state;
    fake_reset();
    fake_knobs.mangle = count_slim;
    ends_skipped_ns = 0;
    slim_sent = whole_sent = 0;
    plain = false;
    return 0;
}

/* ---- messages by number ---------------------------------------------------------------------- */

/* A random number of each number. */
static uint64_t mixed(uint64_t x)
{
    struct seed of = { seed ^ x << 20 };
    return seed_next(&of);
}

struct message {
    uint8_t head[TRANSPORT_HEAD_MAX], body[BODY_MAX];
    size_t hlen, blen;
};

/* The n-th: mostly as messaging's are, now and then odd in one of all ways. */
static struct message message_at(uint64_t n)
{
    struct message m = { .hlen = SLIM_HEAD };
    uint64_t r = mixed(n), odd = plain ? 31 : r % 32;
    uint64_t number = n, kind = 1, credit = r >> 8 & 0xff;
    m.blen = plain || r >> 16 & 1 ? 8 : (r >> 17) % BODY_MAX;
    uint64_t length = m.blen;
    if (odd == 0) number = r >> 20;
    if (odd == 1) kind = r >> 24 & 0xff;
    if (odd == 2) credit = 256 + (r >> 28 & 0xff);
    if (odd == 3) length = r >> 40;
    if (odd == 4) m.hlen = 28;
    if (odd == 5) m.hlen = r >> 32 & 7;
    for (size_t i = 0; i < sizeof(m.head); i++) m.head[i] = (uint8_t)(r >> i % 8);
    wire_put64(m.head, (uint16_t)number | kind << 16 | credit << 24 | length << 40);
    for (size_t i = 0; i < m.blen; i++) m.body[i] = (uint8_t)(n + i);
    return m;
}

static int message_send(struct end *e, uint64_t n)
{
    struct message m = message_at(n);
    return transport_ucx.send(e->link[RANK].link, m.head, m.hlen, m.body, m.blen, NULL, 0);
}

static void message_check(uint64_t n, const void *head, size_t hlen, const void *body, size_t blen)
{
    struct message m = message_at(n);
    assert_int_equal(hlen, m.hlen);
    assert_memory_equal(head, m.head, hlen);
    assert_int_equal(blen, m.blen);
    assert_memory_equal(body, m.body, blen);
}

static uint64_t came, back;

static int comes(struct link *l, const void *head, size_t hlen, const void *body, size_t blen,
                 struct lease *lease)
{
    (void)l, (void)lease;
    message_check(came++, head, hlen, body, blen);
    return 0;
}

static void comes_back(struct link *l, const void *head, size_t hlen, const void *body, size_t blen)
{
    (void)l;
    message_check(back++, head, hlen, body, blen);
}

static void two_ends(struct end e[2])
{
    seed = seed_from_environment("ucx-slim").state;
    came = back = 0;
    ends_open(e);
    e[1].up.recv = comes;
    e[0].up.undone = comes_back;
    ends_connect(e, RANK);
    ends_settle(e);
}

/* ---- there, and back ------------------------------------------------------------------------- */

/* A look of a receiver who waits for that message, if it is plain. True: it was taken straight. */
static bool look_for(struct end *e, uint64_t n)
{
    struct message m = message_at(n);
    struct link *l = e->link[RANK].link;
    uint8_t got[BODY_MAX];
    struct expect want = { .key = wire_get64(m.head + 8), .word = wire_get64(m.head) & 0xffffff,
                           .mask = 0xffffff, .buf = got, .cap = sizeof(got) };
    l->expect = &want;
    transport_ucx.progress(e->t, l);
    l->expect = NULL;
    if (!want.done) return false;
    uint8_t head[SLIM_HEAD];
    wire_put64(head, want.word);
    wire_put64(head + 8, want.key);
    assert_int_equal(n, came);
    message_check(came++, head, sizeof(head), got, want.len);
    return true;
}

/* In any order of arrival, expected or not. Most go slim, and the window never stays shut. */
static void heads_come_as_they_were_sent(void **state)
{
    (void)state;
    for (uint32_t disorder = 0; disorder < 40; disorder += 13) {
        struct end e[2];
        uint64_t sent = 0, straight = 0;
        fresh(NULL);
        fake_knobs.disorder = disorder;
        two_ends(e);
        WHILE (came < MESSAGES) {
            uint64_t burst = sent + 1 + mixed(~sent) % 64;
            while (sent < burst && sent < MESSAGES && message_send(&e[0], sent) == 0) sent++;
            end_turn(&e[0]);
            if (mixed(~came) % 3)
                straight += look_for(&e[1], came);
            else
                end_turn(&e[1]);
        }
        assert_true(slim_sent > MESSAGES / 2 && whole_sent > MESSAGES / 16);
        assert_true(straight > 0);
        ends_close(e);
    }
}

/* One who only ever receives what he waits for confirms all the same. */
static void a_stream_that_is_awaited_is_confirmed(void **state)
{
    struct end e[2];
    uint64_t sent = 0;
    (void)state;
    fake_knobs.prompt = plain = true;
    two_ends(e);
    WHILE (came < MESSAGES) {
        if (message_send(&e[0], sent) == 0) sent++;
        look_for(&e[1], came);
        end_turn(&e[0]);
    }
    ends_settle(e);
    const struct framed_link *l = framed_link_of(e[0].link[RANK].link);
    assert_true(l->sent - l->acked < FRAMED_WINDOW / 4);
    ends_close(e);
}

/* What nobody confirmed comes back with the heads that were given. */
static void what_comes_back_has_its_head(void **state)
{
    enum { MANY = 100 };
    struct end e[2];
    (void)state;
    two_ends(e);
    fake_knobs.held = true;
    for (uint64_t n = 0; n < MANY; n++) assert_int_equal(message_send(&e[0], n), 0);
    assert_true(slim_sent > MANY / 2);
    fake_fail(0, UCS_ERR_CONNECTION_RESET);
    ENDS_UNTIL(e, e[0].link[RANK].downs);
    assert_int_equal(back, MANY);
    fake_knobs.held = false;
    ends_close(e);
}

/* ---- what is not slim, and what is none ------------------------------------------------------ */

/* A link that 16 bits do not name gets whole frames. */
static void links_beyond_get_whole_frames(void **state)
{
    struct end e[2];
    (void)state;
    two_ends(e);
    struct framed_link *l = framed_link_of(e[0].link[RANK].link);
    uint32_t id = l->theirs_id;
    l->theirs_id = SLIM_LINKS + id;
    slim_sent = whole_sent = 0;
    for (uint64_t n = 0; n < 20; n++) assert_int_equal(message_send(&e[0], n), 0);
    assert_int_equal(slim_sent, 0);
    assert_true(whole_sent >= 20);
    ends_close(e);
}

/* One as the peer would send it next, but for what a test changes. */
static size_t forged(const struct framed_link *l, uint8_t *out, uint16_t ahead, uint16_t heard)
{
    memset(out, 0, SLIM_LEAST + 8);
    wire_put64(out, l->token);
    wire_put16(out + 8, (uint16_t)l->id);
    out[11] = SLIM_MARK;
    wire_put16(out + 12, (uint16_t)(l->dealt + 1 + ahead));
    wire_put16(out + 14, (uint16_t)(l->acked + heard));
    return SLIM_LEAST + 8;
}

static void what_makes_no_sense_costs_its_link(void **state)
{
    static const struct { uint16_t ahead, heard; const char *words; } of[] = {
        { FRAMED_WINDOW, 0, "outside the window" },
        { (uint16_t)-1, 0, "outside the window" },
        { 0, 1000, "confirms what was never sent" },
    };
    (void)state;
    for (size_t i = 0; i < 2 * sizeof(of) / sizeof(of[0]); i++) {
        struct end e[2];
        uint8_t bytes[SLIM_LEAST + 8], got[8];
        struct expect want = { .buf = got, .cap = sizeof(got) };
        fresh(NULL);
        two_ends(e);
        struct framed_link *l = framed_link_of(e[1].link[RANK].link);
        size_t len = forged(l, bytes, of[i / 2].ahead, of[i / 2].heard);
        fake_inject(1, NULL, 0, bytes, len);
        if (i % 2) l->base.expect = &want; /* as if it were waited for */
        transport_ucx.progress(e[1].t, &l->base);
        assert_false(want.done);
        l->base.expect = NULL;
        ENDS_UNTIL(e, e[1].link[RANK].downs);
        assert_int_equal(e[1].link[RANK].status, SINEW_EPROTO);
        contains(e[1].link[RANK].why, of[i / 2].words);
        ends_close(e);
    }
}

/* Too short, too long, of no link, of another's token: nobody's. */
static void what_is_nobodys_costs_nothing(void **state)
{
    struct end e[2];
    static uint8_t bytes[SLIM_HEADER + FRAMED_LARGE + 1];
    (void)state;
    two_ends(e);
    const struct framed_link *l = framed_link_of(e[1].link[RANK].link);
    uint64_t strays = framed_of(e[1].t)->strays;
    size_t len = forged(l, bytes, 0, 0);
    for (size_t cut = 12; cut < SLIM_LEAST; cut++) fake_inject(1, NULL, 0, bytes, cut);
    fake_inject(1, NULL, 0, bytes, sizeof(bytes));
    wire_put16(bytes + 8, (uint16_t)(l->id + 1));
    fake_inject(1, NULL, 0, bytes, len);
    forged(l, bytes, 0, 0);
    bytes[0] ^= 1;
    fake_inject(1, NULL, 0, bytes, len);
    ends_settle(e);
    assert_int_equal(framed_of(e[1].t)->strays - strays, SLIM_LEAST - 12 + 3);
    assert_int_equal(message_send(&e[0], 0), 0);
    ENDS_UNTIL(e, came == 1);
    ends_close(e);
}

/* Who waits for one message asks UCX a few times before all else is looked at; who does not, once. */
static void who_waits_looks_closely(void **state)
{
    enum { IDLE = 6 };
    struct end e[2];
    (void)state;
    fake_knobs.prompt = plain = true;
    two_ends(e);
    uint64_t n = 0;
    for (; n < 8; n++) {
        assert_int_equal(message_send(&e[0], n), 0);
        WHILE (!look_for(&e[1], n)) {}
    }
    assert_int_equal(message_send(&e[0], n), 0);
    fake_knobs.idle = IDLE;
    assert_true(look_for(&e[1], n));
    fake_knobs.idle = IDLE;
    transport_ucx.progress(e[0].t, NULL);
    assert_int_equal(fake_knobs.idle, IDLE - 1);
    fake_knobs.idle = 0;
    ends_settle(e);
    ends_close(e);
}

/* Nothing is taken straight once its link drains, though it was waited for before. */
static void who_leaves_takes_nothing_straight(void **state)
{
    struct end e[2];
    (void)state;
    fake_knobs.prompt = plain = true;
    two_ends(e);
    uint64_t n = 0;
    for (; n < 8; n++) {
        assert_int_equal(message_send(&e[0], n), 0);
        WHILE (!look_for(&e[1], n)) {}
    }
    assert_ptr_equal(framed_of(e[1].t)->awaited, e[1].link[RANK].link);
    transport_ucx.disconnect(e[1].link[RANK].link, DISCONNECT_DRAIN);
    for (; n < 16; n++) assert_int_equal(message_send(&e[0], n), 0);
    while (came < 16 && !e[1].link[RANK].downs) assert_false(look_for(&e[1], came));
    ENDS_UNTIL(e, e[0].link[RANK].downs && e[1].link[RANK].downs);
    ends_close(e);
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(heads_come_as_they_were_sent),
        TEST(a_stream_that_is_awaited_is_confirmed),
        TEST(what_comes_back_has_its_head),
        TEST(links_beyond_get_whole_frames),
        TEST(what_makes_no_sense_costs_its_link),
        TEST(what_is_nobodys_costs_nothing),
        TEST(who_waits_looks_closely),
        TEST(who_leaves_takes_nothing_straight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
