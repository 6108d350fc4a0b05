/* SPDX-License-Identifier: BSD-3-Clause */
/* faults_bare.c - messages with nothing before their body: what arrives, or is handed back, is what
 * was sent */
#include <stdlib.h>

#include "tests/seed.h"
#include "tests/verbs/faults.h"
#include "transport/verbs/internal.h"

enum { MTU = 256, MESSAGES = 4000, BODY = 1100, HEAD = 64 };

/* What was sent, in order; and how much of it has come, or has come back. */
struct sent {
    size_t hlen, blen;
    uint8_t head[HEAD], body[BODY];
};
static struct sent *sent;
static int sent_n, came, back;

static void same(const struct sent *s, const void *head, size_t hlen, const void *body, size_t blen)
{
    assert_int_equal(hlen, s->hlen);
    assert_int_equal(blen, s->blen);
    assert_memory_equal(head, s->head, hlen);
    assert_memory_equal(body, s->body, blen);
}

static int up_recv(struct link *l, const void *head, size_t hlen, const void *body, size_t blen,
                   struct lease *lease)
{
    (void)l;
    (void)lease;
    assert_true(came < sent_n);
    same(&sent[came++], head, hlen, body, blen);
    return 0;
}

static void up_undone(struct link *l, const void *head, size_t hlen, const void *body, size_t blen)
{
    (void)l;
    assert_true(back < sent_n);
    same(&sent[back++], head, hlen, body, blen);
}

static void open_both(struct end e[2], int64_t credits)
{
    sent_n = came = back = 0;
    ends_prepare(e);
    for (int i = 0; i < 2; i++) {
        e[i].config.verbs_mtu = MTU;
        e[i].config.verbs_credits = credits;
        e[i].up.recv = up_recv;
        e[i].up.undone = up_undone;
        assert_int_equal(end_open(&e[i], NULL), 0);
    }
    ends_connect(e, 0);
}

/* The next one; false: there is no room. */
static bool send_next(struct end *e)
{
    const struct sent *s = &sent[sent_n];
    int status = transport_verbs.send(e->link[0].link, s->head, s->hlen, s->body, s->blen, NULL, 0);
    if (status == TRANSPORT_AGAIN) return false;
    assert_int_equal(status, 0);
    sent_n++;
    return true;
}

static void fill(struct sent *s, uint64_t word, uint64_t key, size_t blen, uint8_t with)
{
    uint64_t head[2] = { word, key }; /* as on the wire, on this machine */
    s->hlen = sizeof(head);
    s->blen = blen;
    memcpy(s->head, head, sizeof(head));
    memset(s->body, with, blen);
}

static uint64_t word_of(int number, unsigned kind, uint64_t credit, size_t blen)
{
    return (uint16_t)number | (uint64_t)kind << 16 | credit << 24 | (uint64_t)blen << 40;
}

/* As messaging sends them: mostly like the last one, of lengths at which packets begin. */
static void draw(struct sent *s, int number, struct seed *seed)
{
    static uint64_t key = 7;
    size_t blen = seed_below(seed, 5) * MTU + seed_below(seed, 65);
    blen = blen > 32 ? blen - 32 : blen;
    if (seed_below(seed, 10) == 0) key = seed_below(seed, 3);
    uint64_t credit = seed_below(seed, 20) ? seed_below(seed, 40) : seed_below(seed, 600);
    unsigned kind = seed_below(seed, 30) ? 1 : 2;
    int skipped = seed_below(seed, 30) ? 0 : 3;
    fill(s, word_of(number + skipped, kind, credit, blen), key, blen,
         (uint8_t)seed_below(seed, 256));
    if (seed_below(seed, 20) == 0) s->hlen = seed_below(seed, HEAD + 1);
    if (seed_below(seed, 40) == 0) s->head[7] ^= 1; /* it says another length */
}

static void what_arrives_is_what_was_sent(void **state)
{
    struct end e[2];
    struct seed seed = seed_from_environment("bare");
    (void)state;
    for (int repeated = 0; repeated < 2; repeated++) {
        fake_reset();
        fake_knobs.duplicates = repeated; /* each completes that many times more */
        open_both(e, repeated ? 8 : 32);
        for (int i = 0, turns = 0; i < MESSAGES; i++) {
            draw(&sent[i], i, &seed);
            while (!send_next(&e[0])) {
                assert_true(turns++ < 20 * MESSAGES);
                ends_turn(e);
            }
        }
        ENDS_UNTIL(e, came == MESSAGES);
        assert_int_equal(fake_stats().not_ready, 0);
        assert_true(fake_stats().bare > MESSAGES / 10);
        ends_close(e);
    }
}

/* Of those that go bare, how many of ten. */
static int bare_of_ten(int64_t credits, size_t blen)
{
    struct end e[2];
    int before = fake_stats().bare;
    open_both(e, credits);
    for (int i = 0; i < 10; i++) {
        fill(&sent[i], word_of(i, 1, 0, blen), 7, blen, (uint8_t)i);
        assert_true(send_next(&e[0]));
    }
    ENDS_UNTIL(e, came == 10);
    ends_close(e);
    return fake_stats().bare - before;
}

static void only_those_that_save_a_packet_go_so(void **state)
{
    (void)state;
    assert_int_equal(bare_of_ten(32, MTU), 9); /* the first is like none before it */
    assert_int_equal(bare_of_ten(32, MTU - 31), 9);
    assert_int_equal(bare_of_ten(32, MTU - 32), 0);
    assert_int_equal(bare_of_ten(32, MTU + 1), 0);
    assert_int_equal(bare_of_ten(32, 0), 0);
    assert_int_equal(bare_of_ten(256, MTU), 0); /* eight bits would not tell the credit */
    fake_knobs.iwarp = true; /* it has no immediate data */
    assert_int_equal(bare_of_ten(32, MTU), 0);
}

static void what_was_not_confirmed_comes_back_whole(void **state)
{
    struct end e[2];
    (void)state;
    open_both(e, 32);
    fake_hold(true);
    for (int i = 0; i < 20; i++) {
        fill(&sent[i], word_of(i, 1, 3, 4 * MTU), 7, 4 * MTU, (uint8_t)i);
        assert_true(send_next(&e[0]));
    }
    transport_verbs.disconnect(e[0].link[0].link, DISCONNECT_BROKEN);
    ENDS_UNTIL(e, e[0].link[0].downs == 1);
    assert_int_equal(back, 20);
    fake_hold(false);
    ends_close(e);
}

/* A rank that waits is given them with no upcall, like all others. */
static void they_are_taken_where_they_are_expected(void **state)
{
    struct end e[2];
    uint8_t got[MTU];
    (void)state;
    fake_knobs.prompt = true;
    open_both(e, 32);
    for (int i = 0; i < 100; i++) {
        struct expect x = { .key = 7, .word = word_of(i, 1, 0, 0), .mask = 0xffffff, .buf = got,
                            .cap = sizeof(got) };
        fill(&sent[i], word_of(i, 1, (unsigned)i, MTU), 7, MTU, (uint8_t)i);
        WHILE (!send_next(&e[0])) end_turn(&e[0]);
        for (int turns = 0; !x.done; turns++) {
            assert_true(turns < 100);
            e[1].link[0].link->expect = &x;
            transport_verbs.progress(e[1].t, e[1].link[0].link);
        }
        e[1].link[0].link->expect = NULL;
        assert_true(x.len == MTU && x.word == word_of(i, 1, (unsigned)i, MTU));
        assert_memory_equal(got, sent[i].body, MTU);
    }
    assert_int_equal(came, 0);
    assert_int_equal(fake_stats().bare, 99);
    ends_close(e);
}

/* What 32 bits say is what a header would have said, whatever the numbers; also to who has heard
 * later ones. */
static void what_is_told_is_what_a_header_tells(void **state)
{
    static struct verbs_link from, to;
    struct seed seed = seed_from_environment("told");
    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint32_t told, immediate, heard = (uint32_t)seed_below(&seed, 128);
        struct incoming m;
        uint8_t body[MTU];
        to.attempt = from.theirs.attempt = seed_next(&seed) | 1;
        to.heard = from.sequence = (uint32_t)seed_next(&seed);
        from.window = 1 + (uint32_t)seed_below(&seed, 255);
        from.returned = (uint32_t)seed_next(&seed);
        to.allowed = told = from.returned + from.window;
        to.allowed -= (uint32_t)seed_below(&seed, 256);
        from.controls_received = (uint32_t)seed_next(&seed);
        to.controls_heard = from.controls_received - (uint32_t)seed_below(&seed, 3);
        from.last_out = to.last_in = (struct head){ seed_next(&seed), seed_next(&seed) };
        from.packet_shift = 8;
        uint64_t word = word_of((int)from.last_out.word + 1, from.last_out.word >> 16 & 255,
                                seed_below(&seed, 256), MTU);
        struct head head = { word, from.last_out.key };
        assert_true(bare_may(&from, &head, MTU, &immediate));
        bare_read(&to, &m, body, MTU, immediate);
        assert_memory_equal(m.head, &head, sizeof(head));
        assert_true(m.body == body && m.len == sizeof(head) + MTU && m.hlen == sizeof(head));
        assert_int_equal(m.limit, told);
        assert_int_equal(m.controls, (uint16_t)from.controls_received);
        assert_int_equal(m.attempt, (uint32_t)to.attempt);
        assert_int_equal(m.sequence, from.sequence + 1);
        to.heard += heard;
        to.attempt += 2; /* another link's */
        bare_read(&to, &m, body, MTU, immediate);
        assert_int_equal(m.sequence, from.sequence + 1);
        assert_int_not_equal(m.attempt, (uint32_t)to.attempt);
    }
}

static int make_room(void **state)
{
    (void)state;
    sent = calloc(MESSAGES, sizeof(*sent));
    return sent ? 0 : -1;
}

static int give_room(void **state)
{
    (void)state;
    free(sent);
    return 0;
}

int faults_of_bare(void)
{
    const struct CMUnitTest cases[] = {
        FAULT(what_arrives_is_what_was_sent),
        FAULT(only_those_that_save_a_packet_go_so),
        FAULT(what_was_not_confirmed_comes_back_whole),
        FAULT(they_are_taken_where_they_are_expected),
        FAULT(what_is_told_is_what_a_header_tells),
    };
    return cmocka_run_group_tests_name("bare messages", cases, make_room, give_room);
}
