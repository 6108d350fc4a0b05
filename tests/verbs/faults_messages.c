/* SPDX-License-Identifier: BSD-3-Clause */
/* faults_messages.c - doorbells, and messages that are taken where they are waited for */
#include "tests/verbs/faults.h"

/* So that no credit is told meanwhile. */
static void ends_open_roomy(struct end e[2])
{
    fake_knobs.prompt = true;
    ends_prepare(e);
    e[1].config.verbs_credits = 200;
    assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
    ends_connect(e, 0);
}

/* ---- doorbells ------------------------------------------------------------------------------- */

static void sends_of_users_go_at_once(void **state)
{
    struct end e[2];
    (void)state;
    ends_open_roomy(e);
    int before = fake_stats().doorbells;
    for (int i = 0; i < 8; i++) assert_int_equal(end_send(&e[0], 0, i, 8), 0);
    assert_int_equal(fake_stats().doorbells - before, 8); /* a user's go at once */
    ends_close(e);
}

/* e[0] puts it all into `mine` of e[1], and what they registered is gone. */
static void put_whole(struct end e[2], struct region *mine, struct region *theirs, void *from,
                      size_t len)
{
    assert_int_equal(transport_verbs.reg(e[1].t, NULL, mine), 0);
    theirs->key_len = mine->key_len;
    memcpy(theirs->key, mine->key, mine->key_len);
    assert_int_equal(transport_verbs.reg(e[0].t, e[0].link[0].link, theirs), 0);
    struct rma op = { .kind = RMA_PUT, .local = from, .len = len, .peers = theirs };
    assert_int_equal(transport_verbs.rma(e[0].link[0].link, &op), TRANSPORT_PENDING);
    ENDS_UNTIL(e, e[0].link[0].dones == 1);
    assert_int_equal(e[0].link[0].done_status, 0);
    assert_int_equal(transport_verbs.dereg(e[0].t, theirs), 0);
    assert_int_equal(transport_verbs.dereg(e[1].t, mine), 0);
}

/* 1 MiB in parts of 256 KiB: four at once, by one doorbell of progress. */
static void progress_rings_once_for_many(void **state)
{
    struct end e[2];
    static uint8_t from[2 << 20], to[2 << 20];
    (void)state;
    fake_knobs.prompt = true;
    ends_open(e);
    ends_connect(e, 0);
    for (size_t i = 0; i < sizeof(from); i++) from[i] = (uint8_t)(i * 7 >> 3);
    struct region mine = { .base = to, .len = sizeof(to) }, theirs = { .len = sizeof(to) };
    int doorbells = fake_stats().doorbells;
    put_whole(e, &mine, &theirs, from, sizeof(from));
    assert_int_equal(fake_stats().doorbells - doorbells, 4 + 1); /* the first four by the call */
    assert_memory_equal(from, to, sizeof(to));
    ends_close(e);
}

/* A port that takes 4 KiB at once, and one that says more than it is given. */
static void parts_are_as_long_as_the_port_takes(void **state)
{
    struct end e[2];
    static uint8_t from[64 << 10], to[64 << 10];
    static const uint32_t most[] = { 4096, 1 << 30 };
    static const int parts[] = { 16, 1 };
    (void)state;
    for (int i = 0; i < 2; i++) {
        fake_reset();
        fake_knobs.max_message = most[i];
        ends_open(e);
        ends_connect(e, 0);
        ends_fresh(from, sizeof(from), to, sizeof(to));
        struct region mine = { .base = to, .len = sizeof(to) }, theirs = { .len = sizeof(to) };
        put_whole(e, &mine, &theirs, from, sizeof(from));
        assert_int_equal(fake_stats().writes, parts[i]);
        assert_memory_equal(from, to, sizeof(to));
        ends_close(e);
    }
}

/* Of 64 sends every 16th asks for a completion; what fits goes within the work request. */
static void few_sends_ask_for_a_completion(void **state)
{
    struct end e[2];
    (void)state;
    ends_open_roomy(e);
    struct fake_stats before = fake_stats();
    for (int i = 0; i < 64; i++) assert_int_equal(end_send(&e[0], 0, i, 8), 0);
    struct fake_stats after = fake_stats();
    assert_int_equal(after.posts - before.posts, 64);
    assert_int_equal(after.inlined - before.inlined, 64);
    assert_int_equal(after.signalled - before.signalled, 4);
    ends_close(e);
}

/* ---- what messaging waits for ---------------------------------------------------------------- */

static void send_number(struct end *e, uint64_t word, uint64_t key, uint8_t body)
{
    uint64_t head[2] = { word, key }; /* as on the wire, on this machine */
    assert_int_equal(transport_verbs.send(e->link[0].link, head, sizeof(head), &body, 1, NULL, 0),
                     0);
}

/* Three are expected, four come, then one of another kind: the three are taken with no upcall, the
 * others wait for the next progress and come by recv. */
static void what_is_expected_is_taken_with_no_upcall(void **state)
{
    struct end e[2];
    uint8_t got[3] = { 0 };
    struct expect x[3];
    (void)state;
    fake_knobs.prompt = true;
    ends_open(e);
    ends_connect(e, 0);
    struct link *l = e[1].link[0].link;
    for (int i = 0; i < 3; i++)
        x[i] = (struct expect){ .next = i < 2 ? &x[i + 1] : NULL, .key = 7, .word = 0x10000,
                                .mask = 0xff0000, .buf = &got[i], .cap = 1 };
    for (int i = 0; i < 3; i++) send_number(&e[0], 0x10000 | (uint64_t)i, 7, (uint8_t)(5 + i));
    int number = 0;
    assert_int_equal(end_send(&e[0], 0, number, 1), 0);
    l->expect = &x[0];
    assert_int_equal(transport_verbs.progress(e[1].t, l), 1);
    assert_null(l->expect);
    for (int i = 0; i < 3; i++) {
        assert_true(x[i].done && x[i].len == 1 && x[i].word == (0x10000 | (uint64_t)i));
        assert_int_equal(got[i], 5 + i);
    }
    assert_int_equal(e[1].link[0].received, 0);
    ENDS_UNTIL(e, e[1].link[0].received == 1);
    ends_close(e);
}

/* Nobody but who expects receives, for long: credits go back all the same. */
static void credits_flow_while_messages_are_expected(void **state)
{
    struct end e[2];
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        fake_reset();
        fake_knobs.prompt = true;
        ends_prepare(e);
        e[0].config.verbs_credits = e[1].config.verbs_credits = shared ? 32 : 2;
        e[0].config.verbs_srq = e[1].config.verbs_srq = shared;
        assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
        ends_connect(e, 0);
        struct link *l = e[1].link[0].link;
        for (int i = 0; i < 500; i++) {
            uint64_t head[2] = { 0x10000, 7 };
            uint8_t body = (uint8_t)i, got = 0;
            struct expect x = { .key = 7, .word = 0x10000, .mask = 0xff0000, .buf = &got,
                                .cap = 1 };
            int turns = 0;
            while (transport_verbs.send(e[0].link[0].link, head, sizeof(head), &body, 1, NULL, 0) !=
                   0) {
                assert_true(turns++ < 100);
                end_turn(&e[0]);
                transport_verbs.progress(e[1].t, l); /* it waits */
            }
            while (!x.done) {
                assert_true(turns++ < 100);
                l->expect = &x;
                transport_verbs.progress(e[1].t, l);
                l->expect = NULL;
            }
            assert_int_equal(got, body);
        }
        assert_int_equal(fake_stats().not_ready, 0);
        ends_close(e);
    }
}

int faults_of_messages(void)
{
    const struct CMUnitTest cases[] = {
        FAULT(sends_of_users_go_at_once),
        FAULT(progress_rings_once_for_many),
        FAULT(parts_are_as_long_as_the_port_takes),
        FAULT(few_sends_ask_for_a_completion),
        FAULT(what_is_expected_is_taken_with_no_upcall),
        FAULT(credits_flow_while_messages_are_expected),
    };
    return cmocka_run_group_tests_name("messages", cases, NULL, NULL);
}
