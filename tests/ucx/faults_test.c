/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * faults_test.c - whatever UCX says no to, or fails at, and whenever, ends in words and leaves
 * nothing
 */
#include <poll.h>
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
#include "transport/ucx/ucx.h"

enum { LONG = 300000, RANK = 3 };
static uint8_t from[LONG], to[LONG];

static int fresh(void **state)
{
    (void)state;
    fake_reset();
    ends_fresh(from, sizeof(from), to, sizeof(to));
    return 0;
}

static const ucs_status_t every_status[] = {
    UCS_ERR_NO_MESSAGE,       UCS_ERR_NO_RESOURCE,       UCS_ERR_IO_ERROR,
    UCS_ERR_NO_MEMORY,        UCS_ERR_INVALID_PARAM,     UCS_ERR_UNREACHABLE,
    UCS_ERR_INVALID_ADDR,     UCS_ERR_NOT_IMPLEMENTED,   UCS_ERR_MESSAGE_TRUNCATED,
    UCS_ERR_NO_PROGRESS,      UCS_ERR_BUFFER_TOO_SMALL,  UCS_ERR_NO_ELEM,
    UCS_ERR_SOME_CONNECTS_FAILED, UCS_ERR_NO_DEVICE,     UCS_ERR_BUSY,
    UCS_ERR_CANCELED,         UCS_ERR_SHMEM_SEGMENT,     UCS_ERR_ALREADY_EXISTS,
    UCS_ERR_OUT_OF_RANGE,     UCS_ERR_TIMED_OUT,         UCS_ERR_EXCEEDS_LIMIT,
    UCS_ERR_UNSUPPORTED,      UCS_ERR_REJECTED,          UCS_ERR_NOT_CONNECTED,
    UCS_ERR_CONNECTION_RESET, UCS_ERR_ENDPOINT_TIMEOUT,  (ucs_status_t)-99,
};
enum { STATUSES = sizeof(every_status) / sizeof(every_status[0]) };

/* ---- memory ---------------------------------------------------------------------------------- */

struct lent {
    struct region mine, theirs;
    struct rma op;
};

/* The first len bytes of to[], of end 1, for end 0. */
static void lend(struct end e[2], struct lent *m, size_t len, unsigned rights)
{
    m->mine = (struct region){ .base = to, .len = len, .rights = rights };
    assert_int_equal(transport_ucx.reg(e[1].t, NULL, &m->mine), 0);
    m->theirs = (struct region){ .len = len, .key_len = m->mine.key_len };
    memcpy(m->theirs.key, m->mine.key, m->mine.key_len);
    assert_int_equal(transport_ucx.reg(e[0].t, e[0].link[RANK].link, &m->theirs), 0);
}

static int put(struct end e[2], struct lent *m, size_t len)
{
    m->op = (struct rma){ .kind = RMA_PUT, .local = from, .len = len, .peers = &m->theirs };
    return transport_ucx.rma(e[0].link[RANK].link, &m->op);
}

/* ---- what open() answers --------------------------------------------------------------------- */

static void refused(int status, const char *words)
{
    struct end e[2];
    struct why why;
    ends_prepare(e);
    assert_int_equal(end_open(&e[0], &why), status);
    contains(why.text, words);
    ends_of.check();
}

static void every_call_of_open_may_be_refused(void **state)
{
    static const char *const words[] = {
        [FAKE_LOAD] = "does not load", [FAKE_INIT] = "does not start",
        [FAKE_WORKER] = "makes no worker", [FAKE_HANDLER] = "no active messages",
        [FAKE_QUERY] = "tells nothing", [FAKE_EFD] = "no descriptor to sleep on",
        [FAKE_ADDRESS] = "no address",
    };
    (void)state;
    for (enum fake_call call = FAKE_LOAD; call <= FAKE_ADDRESS; call++) {
        for (int s = 0; s < STATUSES; s++) {
            fake_reset();
            fake_knobs.refuses = call;
            fake_knobs.status = every_status[s];
            bool memory = every_status[s] == UCS_ERR_NO_MEMORY && call != FAKE_LOAD;
            refused(memory ? SINEW_ENOMEM : SINEW_ENOTSUP, words[call]);
        }
    }
    fake_reset();
    fake_knobs.max_header = 64;
    refused(SINEW_ENOTSUP, "headers of 64 bytes");
    fake_reset();
    fake_knobs.address_len = 100000;
    refused(SINEW_ELIMIT, "UCX_NET_DEVICES");
}

/* ---- the n-th call fails --------------------------------------------------------------------- */

/* All of a small life; false: something of it failed, as it may. */
static bool live(struct end e[2])
{
    int sent = 0;
    struct lent m;
    bool lent = false, good;
    ends_prepare(e);
    for (int i = 0; i < 2; i++)
        if (end_open(&e[i], NULL) < 0) e[i].t = NULL;
    good = e[0].t && e[1].t && end_connect(&e[0], RANK) == 0 && end_connect(&e[1], RANK) == 0;
    for (int i = 0; good && i < 80; i++) {
        ends_turn(e);
        struct link *l = e[0].link[RANK].link;
        if (l && e[0].link[RANK].ups && sent < 40) sent += end_send(&e[0], RANK, sent, 100) == 0;
        if (l && e[0].link[RANK].ups && !lent) {
            m.mine = (struct region){ .base = to, .len = LONG };
            lent = transport_ucx.reg(e[1].t, NULL, &m.mine) == 0;
            good = lent;
            m.theirs = (struct region){ .len = LONG, .key_len = m.mine.key_len };
            memcpy(m.theirs.key, m.mine.key, m.mine.key_len);
            if (lent && transport_ucx.reg(e[0].t, l, &m.theirs) == 0) good = put(e, &m, LONG) >= 0;
        }
        good = good && e[0].link[RANK].downs + e[1].link[RANK].downs == 0;
    }
    if (good) ends_settle(e); /* one that failed takes its time to be down */
    good = good && e[0].link[RANK].downs + e[1].link[RANK].downs == 0;
    for (int i = 0; i < 2; i++) {
        if (e[i].link[RANK].downs) assert_true(e[i].link[RANK].why[0] != '\0');
        if (e[i].t) end_close(&e[i]);
    }
    return good && memcmp(from, to, LONG) == 0;
}

static void nth_call_fails(void **state)
{
    struct end e[2];
    int n = 1, failures = 0;
    (void)state;
    for (;; n++) {
        fresh(NULL);
        fake_knobs.fail_at = n;
        bool good = live(e);
        ends_of.check();
        if (fake_knobs.fail_at > 0) break; /* fewer calls than that */
        failures += !good;
    }
    assert_true(n > 80 && failures > 60);
}

/* ---- a link that is up ----------------------------------------------------------------------- */

/* Five messages: the third fails in one of three ways. What is not confirmed comes back, whoever
 * got it; nothing is missing. */
static void sends_fail_with_every_status(void **state)
{
    (void)state;
    for (int s = 0; s < STATUSES; s++) {
        for (enum fake_way way = FAKE_AT_ONCE; way <= FAKE_BY_HANDLER; way++) {
            struct end e[2];
            fake_reset();
            ends_open(e);
            ends_connect(e, RANK);
            fake_knobs.status = every_status[s];
            fake_knobs.way = way;
            fake_knobs.send_fails = 3;
            int sent = 0;
            while (sent < 5 && end_send(&e[0], RANK, sent, 50) == 0) sent++;
            assert_true(way == FAKE_AT_ONCE ? sent == 2 : sent >= 3);
            ENDS_UNTIL(e, e[0].link[RANK].downs);
            struct end_link *l = &e[0].link[RANK];
            assert_int_equal(l->status,
                             every_status[s] == UCS_ERR_NO_MEMORY ? SINEW_ENOMEM : SINEW_EPEER);
            assert_int_equal(l->gone, GONE_BROKEN);
            assert_true(l->undone_first <= e[1].link[RANK].received);
            assert_int_equal(l->undone_first + l->undone, sent);
            contains(l->why, "rank 3 by UCX: ");
            contains(l->why, "fake status");
            transport_ucx.disconnect(e[1].link[RANK].link, DISCONNECT_BROKEN);
            ENDS_UNTIL(e, e[1].link[RANK].downs);
            assert_int_equal(e[1].link[RANK].received, 2);
            ends_close(e);
        }
    }
}

/* The handler of failures is called after `turns` turns of a life that connects, sends and says
 * goodbye. */
static void fail_after(int turns, bool drains, int worker)
{
    struct end e[2];
    int sent = 0;
    ends_open(e);
    assert_int_equal(end_connect(&e[0], RANK) | end_connect(&e[1], RANK), 0);
    for (int i = 0; i < 40; i++) {
        if (i == turns) fake_fail(worker, UCS_ERR_CONNECTION_RESET);
        if (i >= 6 && i < 12 && e[0].link[RANK].link && e[0].link[RANK].ups)
            sent += end_send(&e[0], RANK, sent, 5000) == 0;
        if (i == 12 && drains && e[0].link[RANK].link)
            transport_ucx.disconnect(e[0].link[RANK].link, DISCONNECT_DRAIN);
        ends_turn(e);
    }
    for (int i = 0; i < 2; i++) {
        struct end_link *l = &e[i].link[RANK];
        if (l->link) continue;
        assert_int_equal(l->downs, 1);
        if (l->status < 0) contains(l->why, "fake status");
        if (l->gone == GONE_LEFT) assert_int_equal(e[1].link[RANK].received, sent);
    }
    if (e[0].link[RANK].undone)
        assert_true(e[0].link[RANK].undone + e[1].link[RANK].received >= sent);
    ends_close(e);
}

static void the_handler_of_failures_comes_at_any_time(void **state)
{
    (void)state;
    for (int turns = 0; turns < 25; turns++)
        for (int worker = -1; worker < 2; worker++)
            for (int drains = 0; drains < 2; drains++) {
                fake_reset();
                fail_after(turns, drains, worker);
            }
}

static void no_endpoint_is_to_be_had(void **state)
{
    (void)state;
    for (int s = 0; s < STATUSES; s++) {
        struct end e[2];
        fake_reset();
        ends_open(e);
        fake_knobs.refuses = FAKE_EP;
        fake_knobs.status = every_status[s];
        assert_int_equal(end_connect(&e[0], RANK) | end_connect(&e[1], RANK), 0);
        ENDS_UNTIL(e, e[0].link[RANK].downs && e[1].link[RANK].downs);
        assert_true(e[0].link[RANK].status < 0);
        contains(e[0].link[RANK].why, "UCX makes no endpoint: fake status");
        ends_close(e);
    }
}

/* ---- order ----------------------------------------------------------------------------------- */

static void both_ways(struct end e[2], int messages)
{
    struct seed seed = seed_from_environment("ucx-faults");
    int sent[2] = { 0 };
    ends_connect(e, RANK);
    WHILE (sent[0] < messages || sent[1] < messages) {
        for (int i = 0; i < 2; i++)
            while (sent[i] < messages &&
                   end_send(&e[i], RANK, sent[i],
                            seed_below(&seed, 4) ? 40 : seed_below(&seed, 8192)) == 0)
                sent[i]++;
        ends_turn(e);
    }
    ENDS_UNTIL(e, e[0].link[RANK].received == messages && e[1].link[RANK].received == messages);
    assert_true(e[0].link[RANK].rooms > 0);
}

/* As far as the window lets them, which is what a receiver keeps. */
static void messages_overtake_each_other(void **state)
{
    static const uint32_t disorder[] = { 1, 7, 100, 1000 };
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct end e[2];
        fake_reset();
        fake_knobs.disorder = disorder[i];
        ends_open(e);
        both_ways(e, 3000);
        assert_true(fake_stats().overtakes > 1000);
        ends_close(e);
    }
}

static void long_puts_among_messages_that_overtake(void **state)
{
    (void)state;
    for (uint32_t disorder = 0; disorder < 40; disorder += 13) {
        struct end e[2];
        struct lent m[8];
        fresh(NULL);
        fake_knobs.disorder = disorder;
        ends_open(e);
        ends_connect(e, RANK);
        int sent = 0;
        for (int i = 0; i < 8; i++) {
            lend(e, &m[i], LONG, REGION_PUT);
            sent += end_send(&e[0], RANK, sent, 100) == 0;
            assert_int_equal(put(e, &m[i], i % 2 ? LONG - 1000 * (size_t)i : 30000),
                             TRANSPORT_PENDING);
            sent += end_send(&e[0], RANK, sent, 100) == 0;
        }
        ENDS_UNTIL(e, e[0].link[RANK].dones == 8 && e[1].link[RANK].received == sent);
        assert_memory_equal(from, to, LONG - 1000);
        for (int i = 0; i < 8; i++) assert_int_equal(transport_ucx.dereg(e[1].t, &m[i].mine), 0);
        ends_close(e);
    }
}

/* ---- long puts ------------------------------------------------------------------------------- */

static void what_is_being_fetched_holds_its_region(void **state)
{
    struct end e[2];
    struct lent m;
    (void)state;
    ends_open(e);
    ends_connect(e, RANK);
    lend(e, &m, LONG, REGION_PUT);
    assert_int_equal(put(e, &m, LONG), TRANSPORT_PENDING);
    WHILE (fake_stats().fetches == 0) ends_turn(e);
    assert_int_equal(transport_ucx.dereg(e[1].t, &m.mine), TRANSPORT_AGAIN);
    ENDS_UNTIL(e, e[0].link[RANK].dones == 1);
    assert_int_equal(e[0].link[RANK].done_status, 0);
    assert_memory_equal(from, to, LONG);
    assert_int_equal(transport_ucx.dereg(e[1].t, &m.mine), 0);
    ends_close(e);
}

/* What is put where nothing is registered any more goes nowhere; the link is as good as before. */
static void nothing_is_fetched_after_dereg(void **state)
{
    static const size_t lens[] = { 100, 40000, LONG };
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct end e[2];
        struct lent m;
        fresh(NULL);
        fake_knobs.disorder = 3;
        ends_open(e);
        ends_connect(e, RANK);
        lend(e, &m, LONG, REGION_PUT);
        fake_knobs.held = true;
        assert_int_equal(put(e, &m, lens[i]), TRANSPORT_PENDING);
        assert_int_equal(transport_ucx.dereg(e[1].t, &m.mine), 0);
        fake_knobs.held = false;
        ENDS_UNTIL(e, e[0].link[RANK].dones == 1);
        assert_int_equal(end_send(&e[0], RANK, 0, 10), 0);
        ENDS_UNTIL(e, e[1].link[RANK].received == 1);
        for (size_t b = 0; b < LONG; b++) assert_int_equal(to[b], 0);
        ends_close(e);
    }
}

static void a_fetch_fails_with_every_status(void **state)
{
    (void)state;
    for (int s = 0; s < STATUSES; s++) {
        struct end e[2];
        struct lent m;
        fake_reset();
        ends_open(e);
        ends_connect(e, RANK);
        lend(e, &m, LONG, REGION_PUT);
        fake_knobs.fetch_fails = 1;
        fake_knobs.status = every_status[s];
        assert_int_equal(put(e, &m, LONG), TRANSPORT_PENDING);
        ENDS_UNTIL(e, e[1].link[RANK].downs);
        contains(e[1].link[RANK].why, "could not be fetched: fake status");
        assert_int_equal(transport_ucx.dereg(e[1].t, &m.mine), 0);
        if (e[0].link[RANK].link) transport_ucx.disconnect(e[0].link[RANK].link, DISCONNECT_BROKEN);
        ENDS_UNTIL(e, e[0].link[RANK].downs);
        assert_int_equal(e[0].link[RANK].dones, 1);
        assert_true(e[0].link[RANK].done_status < 0);
        ends_close(e);
    }
}

/* It ends while the bytes are on their way, at either end, with an end and without. */
static void a_link_ends_in_the_middle_of_a_long_put(void **state)
{
    (void)state;
    for (int which = 0; which < 8; which++) {
        struct end e[2];
        struct lent m;
        int first = which & 1;
        fake_reset();
        ends_open(e);
        ends_connect(e, RANK);
        lend(e, &m, LONG, REGION_PUT);
        assert_int_equal(put(e, &m, LONG), TRANSPORT_PENDING);
        if (which & 4)
            WHILE (fake_stats().fetches == 0) ends_turn(e);
        fake_knobs.stuck = fake_knobs.held = which & 2;
        transport_ucx.disconnect(e[first].link[RANK].link, DISCONNECT_NOW);
        transport_ucx.disconnect(e[1 - first].link[RANK].link, DISCONNECT_BROKEN);
        ends_settle(e);
        ends_skipped_ns += 3000000000; /* what never ends is waited for no longer */
        ENDS_UNTIL(e, e[0].link[RANK].downs && e[1].link[RANK].downs);
        assert_int_equal(e[0].link[RANK].dones, 1);
        ends_settle(e);
        assert_int_equal(transport_ucx.dereg(e[1].t, &m.mine), 0);
        ends_close(e);
    }
}

/* ---- bad frames ------------------------------------------------------------------------------ */

static struct {
    int field, countdown;
    uint64_t value;
} spoil;

/* One byte of a header, and more. */
static bool spoil_one(uint8_t *bytes, size_t *len, bool *fetched)
{
    if (spoil.countdown == 0 || --spoil.countdown > 0) return true;
    switch (spoil.field) {
    case 0: bytes[20] = (uint8_t)spoil.value; break;                          /* kind */
    case 1: wire_put32(bytes + 12, wire_get32(bytes + 12) + (uint32_t)spoil.value); break; /* seq */
    case 2: wire_put32(bytes + 16, (uint32_t)spoil.value + 1000); break;      /* heard */
    case 3: wire_put16(bytes + 22, (uint16_t)spoil.value); break;             /* hlen */
    case 4: *len = spoil.value; break;
    case 5: *fetched = true; break;
    case 6: fake_knobs.copies = 1; break;
    case 7: bytes[0] ^= 1; break; /* token */
    default: bytes[8] ^= (uint8_t)spoil.value;
    }
    return true;
}

/* Whatever one frame says, the worst is the end of its link, in words; another is not touched. */
static void frames_that_lie_cost_their_link(void **state)
{
    static const uint64_t values[] = { 0,  1,   2,   4,   9,          12,        23,
                                       65, 255, 256, 300, 0x7fffffff, 0xffffffff };
    (void)state;
    for (int field = 0; field < 9; field++) {
        for (int v = 0; v < (int)(sizeof(values) / sizeof(values[0])); v++) {
            struct end e[2];
            if (field == 4 && values[v] > 40) continue;
            fake_reset();
            fake_knobs.prompt = true;
            ends_open(e);
            ends_connect(e, RANK);
            ends_connect(e, RANK + 1);
            spoil.field = field;
            spoil.value = values[v];
            spoil.countdown = 2;
            fake_knobs.mangle = spoil_one;
            for (int i = 0; i < 4; i++) assert_int_equal(end_send(&e[0], RANK, i, 60), 0);
            ends_settle(e);
            fake_knobs.mangle = NULL;
            struct end_link *l = &e[1].link[RANK];
            if (l->status < 0) {
                assert_int_equal(l->status, SINEW_EPROTO);
                contains(l->why, "rank 3 by UCX: ");
            }
            assert_int_equal(end_send(&e[0], RANK + 1, 0, 60), 0);
            ENDS_UNTIL(e, e[1].link[RANK + 1].received == 1);
            ends_close(e);
        }
    }
}

/* One message of 16 bytes of head and `len` of body, as messaging sends it. */
static int send_awaited(struct end *e, uint64_t word, uint64_t key, const void *body, size_t len)
{
    uint8_t head[16];
    wire_put64(head, word);
    wire_put64(head + 8, key);
    return transport_ucx.send(e->link[RANK].link, head, sizeof(head), body, len, NULL, 0);
}

static int makes_no_sense(struct link *l, const void *head, size_t hlen, const void *body,
                          size_t blen, struct lease *lease)
{
    (void)l, (void)head, (void)hlen, (void)body, (void)blen, (void)lease;
    return SINEW_EPROTO;
}

/* Who waits for a message looks at its header in one way, who does not in another: both know a lie,
 * and nothing is written beyond the buffer. */
static void frames_that_lie_to_who_waits(void **state)
{
    static const uint64_t values[] = { 0, 1, 2, 4, 16, 17, 40, 47, 48, 255, 300, 0x7fffffff };
    uint8_t body[32], got[48];
    (void)state;
    for (size_t i = 0; i < sizeof(body); i++) body[i] = (uint8_t)(i + 1);
    for (int field = 0; field < 9; field++)
        for (int v = 0; v < (int)(sizeof(values) / sizeof(values[0])); v++) {
            struct end e[2];
            if (field == 4 && values[v] > 24 + 16 + sizeof(body)) continue;
            fake_reset();
            fake_knobs.prompt = true;
            ends_open(e);
            ends_connect(e, RANK);
            spoil.field = field;
            spoil.value = values[v];
            spoil.countdown = 1;
            e[1].up.recv = makes_no_sense; /* to messaging, where it is not what is awaited */
            fake_knobs.mangle = spoil_one;
            memset(got, 0xee, sizeof(got));
            struct expect want = { .key = 7, .mask = 0xff, .buf = got, .cap = 24 };
            assert_int_equal(send_awaited(&e[0], 0, 7, body, sizeof(body)), 0);
            struct end_link *l = &e[1].link[RANK];
            l->link->expect = &want;
            transport_ucx.progress(e[1].t, l->link);
            if (l->link) l->link->expect = NULL;
            fake_knobs.mangle = NULL;
            assert_int_equal(got[24], 0xee);
            if (want.done) assert_memory_equal(got, body, want.len < 24 ? want.len : 24);
            bool confirms = field == 2 && values[v] < 1000; /* so much was never sent */
            if (confirms) assert_false(want.done);
            ends_settle(e);
            if (confirms) assert_int_equal(l->status, SINEW_EPROTO);
            if (l->status < 0) assert_int_equal(l->status, SINEW_EPROTO);
            ends_close(e);
        }
}

/* What such messages confirm frees the window, though their receiver only ever sends and waits. */
static void what_is_awaited_confirms_too(void **state)
{
    struct end e[2];
    uint64_t body, got = 0;
    (void)state;
    fake_reset();
    fake_knobs.prompt = true;
    ends_open(e);
    ends_connect(e, RANK);
    for (uint64_t i = 0; i < 2000; i++) {
        struct end *one = &e[i % 2], *other = &e[1 - i % 2];
        struct link *l = other->link[RANK].link;
        struct expect want = { .key = 7, .word = i, .mask = ~UINT64_C(0), .buf = &got, .cap = 8 };
        body = ~i;
        assert_int_equal(send_awaited(one, i, 7, &body, sizeof(body)), 0);
        l->expect = &want;
        assert_true(transport_ucx.progress(other->t, l) > 0);
        l->expect = NULL;
        assert_true(want.done && got == body && want.len == 8);
    }
    assert_int_equal(e[0].link[RANK].received + e[1].link[RANK].received, 0);
    ends_close(e);
}

static void strangers_are_not_heard(void **state)
{
    struct end e[2];
    struct seed seed = seed_from_environment("ucx-faults");
    uint8_t bytes[200];
    (void)state;
    ends_open(e);
    ends_connect(e, RANK);
    for (int i = 0; i < 2000; i++) {
        for (size_t b = 0; b < sizeof(bytes); b++) bytes[b] = (uint8_t)seed_next(&seed);
        wire_put32(bytes + 8, (uint32_t)seed_below(&seed, 3));
        bytes[20] = (uint8_t)seed_below(&seed, 14);
        size_t head = seed_below(&seed, 2) ? 0 : seed_below(&seed, 2) ? 72 : seed_below(&seed, 100);
        fake_inject(1, bytes, head, bytes + head, seed_below(&seed, 100));
        end_turn(&e[1]);
    }
    assert_int_equal(end_send(&e[0], RANK, 0, 60), 0);
    ENDS_UNTIL(e, e[1].link[RANK].received == 1);
    ends_close(e);
}

/* ---- deadlines and bounds -------------------------------------------------------------------- */

static bool lose(uint8_t *bytes, size_t *len, bool *fetched)
{
    (void)bytes;
    (void)len;
    (void)fetched;
    return false;
}

static void a_counterpart_that_never_hears_times_out(void **state)
{
    struct end e[2];
    (void)state;
    ends_open(e);
    fake_knobs.mangle = lose;
    assert_int_equal(end_connect(&e[0], RANK) | end_connect(&e[1], RANK), 0);
    ends_settle(e);
    assert_int_equal(e[0].link[RANK].downs, 0);
    struct pollfd fd = { e[0].t->fd, POLLIN, 0 };
    assert_int_equal(transport_ucx.arm(e[0].t), 0);
    assert_int_equal(poll(&fd, 1, 0), 0);
    ends_skipped_ns += e[0].config.setup_deadline;
    ENDS_UNTIL(e, e[0].link[RANK].downs && e[1].link[RANK].downs);
    assert_int_equal(e[0].link[RANK].status, SINEW_ETIMEDOUT);
    contains(e[0].link[RANK].why, "setup_deadline");
    ends_close(e);
}

static void a_goodbye_that_nobody_confirms_times_out(void **state)
{
    struct end e[2];
    (void)state;
    ends_open(e);
    ends_connect(e, RANK);
    fake_knobs.mangle = lose;
    assert_int_equal(end_send(&e[0], RANK, 0, 60), 0);
    transport_ucx.disconnect(e[0].link[RANK].link, DISCONNECT_DRAIN);
    ends_settle(e);
    assert_int_equal(e[0].link[RANK].downs, 0);
    ends_skipped_ns += e[0].config.repair_deadline;
    ENDS_UNTIL(e, e[0].link[RANK].downs);
    assert_int_equal(e[0].link[RANK].status, SINEW_ETIMEDOUT);
    contains(e[0].link[RANK].why, "repair_deadline");
    assert_int_equal(e[0].link[RANK].undone, 1);
    ends_close(e);
}

/* What UCX never lets go of is waited for two seconds, and not for ever. */
static void a_worker_that_is_stuck_is_closed(void **state)
{
    struct end e[2];
    (void)state;
    ends_open(e);
    ends_connect(e, RANK);
    fake_knobs.held = fake_knobs.stuck = true;
    for (int i = 0; i < 10; i++) assert_int_equal(end_send(&e[0], RANK, i, 100), 0);
    transport_ucx.disconnect(e[0].link[RANK].link, DISCONNECT_NOW);
    ends_settle(e);
    assert_int_equal(e[0].link[RANK].downs, 1);
    ends_close(e);
}

static void the_window_is_the_bound(void **state)
{
    struct end e[2];
    int sent = 0;
    (void)state;
    ends_open(e);
    ends_connect(e, RANK);
    fake_knobs.held = true;
    WHILE (end_send(&e[0], RANK, sent, 8192) == 0) sent++;
    assert_true(sent >= 100 && sent < 256);
    fake_knobs.held = false;
    ENDS_UNTIL(e, e[0].link[RANK].rooms > 0);
    ENDS_UNTIL(e, e[1].link[RANK].received == sent);
    ends_close(e);
}

static void links_come_and_go(void **state)
{
    struct end e[2];
    (void)state;
    ends_open(e);
    ends_connect(e, 0);
    ends_settle(e);
    int objects = fake_stats().objects;
    for (int round = 0; round < 30; round++) {
        for (int r = 1; r < END_LINKS; r++) ends_connect(e, r);
        for (int r = 1; r < END_LINKS; r++) {
            assert_int_equal(end_send(&e[0], r, 0, 1000), 0);
            transport_ucx.disconnect(e[r % 2].link[r].link,
                                     round % 3 ? DISCONNECT_DRAIN : DISCONNECT_NOW);
            ENDS_UNTIL(e, e[r % 2].link[r].downs);
            if (e[1 - r % 2].link[r].link)
                transport_ucx.disconnect(e[1 - r % 2].link[r].link, DISCONNECT_BROKEN);
            ENDS_UNTIL(e, e[1 - r % 2].link[r].downs);
        }
        ends_skipped_ns += 1000000000; /* those that linger */
        ends_settle(e);
        assert_int_equal(fake_stats().objects, objects);
    }
    ends_close(e);
}

static void long_addresses_come_in_parts(void **state)
{
    struct end e[2];
    (void)state;
    fake_knobs.address_len = 11000;
    ends_open(e);
    contains(e[0].t->about, ".99, built with ");
    both_ways(e, 300);
    ends_close(e);
}

static void nonsense_is_told(void **state)
{
    struct seed seed = seed_from_environment("ucx-faults");
    (void)state;
    for (int i = 0; i < 400; i++) {
        struct end e[2];
        uint8_t bytes[256];
        fake_reset();
        ends_open(e);
        e[0].deaf = true;
        assert_int_equal(end_connect(&e[0], 0), 0);
        for (size_t b = 0; b < sizeof(bytes); b++) bytes[b] = (uint8_t)seed_next(&seed);
        if (i % 4) bytes[0] = 1;
        if (i % 3) bytes[1] = 1;
        if (i % 5) bytes[2] = bytes[3] = 0;
        if (i % 2) wire_put32(bytes + 16, 200);
        if (i % 2) wire_put32(bytes + 20, 0);
        size_t len = i % 2 ? 224 : bytes[255] % 90;
        assert_int_equal(transport_ucx.connect(e[0].link[0].link, bytes, len), 0);
        ends_settle(e);
        ends_close(e);
    }
}

/* Another's word that a link is over may be faster than what was sent on it before: a queue of
 * UCX's shared memory stands still while one who writes there has no processor. */
static void what_comes_a_moment_after_the_end_is_heard(void **state)
{
    struct end e[2];
    (void)state;
    ends_open(e);
    ends_connect(e, RANK);
    fake_knobs.held = true;
    assert_int_equal(end_send(&e[1], RANK, 0, 100), 0);
    transport_ucx.disconnect(e[1].link[RANK].link, DISCONNECT_DRAIN);
    for (int i = 0; i < 10; i++) end_turn(&e[1]); /* its goodbye is on the way */
    transport_ucx.disconnect(e[0].link[RANK].link, DISCONNECT_BROKEN);
    for (int i = 0; i < 10; i++) end_turn(&e[0]);
    assert_int_equal(e[0].link[RANK].downs, 0);
    fake_knobs.held = false;
    ENDS_UNTIL(e, e[0].link[RANK].downs);
    assert_int_equal(e[0].link[RANK].received, 1);
    assert_int_equal(e[0].link[RANK].gone, GONE_LEFT);
    assert_int_equal(e[0].link[RANK].status, 0);
    ends_close(e);
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_call_of_open_may_be_refused),
        TEST(nth_call_fails),
        TEST(sends_fail_with_every_status),
        TEST(the_handler_of_failures_comes_at_any_time),
        TEST(no_endpoint_is_to_be_had),
        TEST(messages_overtake_each_other),
        TEST(long_puts_among_messages_that_overtake),
        TEST(what_is_being_fetched_holds_its_region),
        TEST(nothing_is_fetched_after_dereg),
        TEST(a_fetch_fails_with_every_status),
        TEST(a_link_ends_in_the_middle_of_a_long_put),
        TEST(frames_that_lie_cost_their_link),
        TEST(frames_that_lie_to_who_waits),
        TEST(what_is_awaited_confirms_too),
        TEST(strangers_are_not_heard),
        TEST(a_counterpart_that_never_hears_times_out),
        TEST(a_goodbye_that_nobody_confirms_times_out),
        TEST(a_worker_that_is_stuck_is_closed),
        TEST(the_window_is_the_bound),
        TEST(what_comes_a_moment_after_the_end_is_heard),
        TEST(links_come_and_go),
        TEST(long_addresses_come_in_parts),
        TEST(nonsense_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
