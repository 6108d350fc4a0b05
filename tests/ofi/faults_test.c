/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * faults_test.c - whatever libfabric says no to, or fails at, and whenever, ends in words and
 * leaves nothing; and each kind of provider is used as it is
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <rdma/fi_errno.h>

#include "tests/ofi/fake_ofi.h"
#include "tests/support/ends.h"
#include "transport/ofi/ofi.h"

enum { LONG = 300000, RANK = 3, SOME = 300 };
static uint8_t from[LONG], to[LONG];

static void nothing_is_left(void)
{
    struct fake_stats stats = fake_stats();
    assert_int_equal(stats.objects, 0);
    assert_int_equal(stats.misuses, 0);
}

const struct ends_of ends_of = { &transport_ofi, &fake_knobs.fail_at, nothing_is_left };

static int fresh(void **state)
{
    (void)state;
    fake_reset();
    ends_fresh(from, sizeof(from), to, sizeof(to));
    return 0;
}

/* ---- kinds of providers ---------------------------------------------------------------------- */

enum { KINDS = 6 };

static void be_of_kind(int kind)
{
    fake_knobs.device = kind == 1 || kind == 2;
    fake_knobs.wordless = kind == 2;
    fake_knobs.plain = kind == 3 || kind == 4;
    fake_knobs.tagged = kind == 4;
    fake_knobs.sleepless = kind == 5;
    fake_knobs.queue = kind == 5 ? 100 : 0;
}

static bool reads(int kind) { return kind != 3 && kind != 4; }

static int number;

static void all_arrive(struct end e[2])
{
    int before = e[1].link[RANK].received;
    number = before;
    WHILE (number < before + SOME) {
        if (end_send(&e[0], RANK, number, (size_t)(number * 131 % 8000)) == 0)
            number++;
        else
            ends_turn(e);
    }
    ENDS_UNTIL(e, e[1].link[RANK].received == number);
}

static void messages_arrive_by_every_kind(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        struct end e[2];
        fresh(NULL);
        be_of_kind(kind);
        fake_knobs.disorder = 4;
        fake_knobs.busy = 3;
        ends_open(e);
        ends_connect(e, RANK);
        all_arrive(e);
        ends_close(e);
    }
}

/* ---- one-sided ------------------------------------------------------------------------------- */

struct lent {
    struct region mine, theirs;
    struct rma op;
};

/* `of` end 1's memory, for end 0. */
static void lend(struct end e[2], struct lent *m, void *of, size_t len, unsigned rights)
{
    m->mine = (struct region){ .base = of, .len = len, .rights = rights };
    assert_int_equal(transport_ofi.reg(e[1].t, NULL, &m->mine), 0);
    m->theirs = (struct region){ .len = len, .key_len = m->mine.key_len };
    memcpy(m->theirs.key, m->mine.key, m->mine.key_len);
    assert_int_equal(transport_ofi.reg(e[0].t, e[0].link[RANK].link, &m->theirs), 0);
}

static int start(struct end e[2], struct lent *m, enum rma_kind kind, void *local, size_t len)
{
    m->op = (struct rma){ .kind = kind, .local = local, .len = len, .peers = &m->theirs };
    return transport_ofi.rma(e[0].link[RANK].link, &m->op);
}

static void finish(struct end e[2], int status)
{
    ENDS_UNTIL(e, e[0].link[RANK].dones > 0);
    assert_int_equal(e[0].link[RANK].dones, 1);
    assert_int_equal(e[0].link[RANK].done_status, status);
    e[0].link[RANK].dones = 0;
}

static void memory_is_read_and_written_by_every_kind(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        struct end e[2];
        struct lent m;
        fresh(NULL);
        be_of_kind(kind);
        ends_open(e);
        ends_connect(e, RANK);
        lend(e, &m, from, LONG, REGION_GET);
        assert_int_equal(start(e, &m, RMA_GET, to, LONG), TRANSPORT_PENDING);
        finish(e, 0);
        assert_memory_equal(from, to, LONG);
        assert_int_equal(fake_stats().reads > 0, reads(kind));
        assert_int_equal(transport_ofi.dereg(e[1].t, &m.mine), 0);
        memset(to, 0, sizeof(to));
        lend(e, &m, to, LONG, REGION_PUT);
        assert_int_equal(start(e, &m, RMA_PUT, from, LONG), TRANSPORT_PENDING);
        finish(e, 0);
        assert_memory_equal(from, to, LONG);
        /* Where a registration is taken back at once. */
        assert_int_equal(fake_stats().writes > 0, fake_knobs.device);
        assert_int_equal(transport_ofi.dereg(e[1].t, &m.mine), 0);
        ends_close(e);
    }
}

static uint64_t update(struct end e[2], struct lent *m, uint64_t operand, const uint64_t *compare)
{
    uint64_t former = 77;
    m->op = (struct rma){ .kind = RMA_ATOMIC, .local = &former, .len = 8, .peers = &m->theirs,
                          .offset = 8, .operand = operand,
                          .atomic = compare ? RMA_COMPARE_SWAP : RMA_FETCH_ADD,
                          .compare = compare ? *compare : 0 };
    assert_int_equal(transport_ofi.rma(e[0].link[RANK].link, &m->op), TRANSPORT_PENDING);
    finish(e, 0);
    return former;
}

/* By the device where it can, and then by nobody else. */
static void words_are_updated_by_one_agent(void **state)
{
    static const uint64_t five = 5, six = 6;
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        struct end e[2];
        struct lent m;
        _Alignas(8) uint64_t word[2] = { 0, 2 };
        bool by_device = kind == 1;
        fresh(NULL);
        be_of_kind(kind);
        ends_open(e);
        ends_connect(e, RANK);
        lend(e, &m, word, sizeof(word), REGION_PUT | REGION_GET | REGION_ATOMIC);
        assert_int_equal(update(e, &m, 3, NULL), 2);
        assert_int_equal(update(e, &m, 9, &six), 5);
        assert_int_equal(update(e, &m, 9, &five), 5);
        assert_int_equal(word[1], 9);
        assert_int_equal(word[0], 0);
        assert_int_equal(fake_stats().atomics, by_device ? 3 : 0);
        assert_int_equal(transport_ofi.dereg(e[1].t, &m.mine), 0);
        ends_close(e);
    }
}

/* End 0's device has no atomic operations, end 1's has, and lends it two words. */
static void unlike_open(struct end e[2], struct lent *m, uint64_t word[2])
{
    fresh(NULL);
    fake_knobs.device = true;
    ends_prepare(e);
    for (int i = 0; i < 2; i++) {
        fake_knobs.wordless = i == 0;
        assert_int_equal(end_open(&e[i], NULL), 0);
    }
    ends_connect(e, RANK);
    lend(e, m, word, 2 * sizeof(*word), REGION_PUT | REGION_GET | REGION_ATOMIC);
}

/* The agent of the words does it, at its owner's wish; also when it takes nothing at first. */
static void words_of_an_unlike_device_are_updated_by_it(void **state)
{
    static const uint64_t five = 5, six = 6;
    (void)state;
    for (int busy = 0; busy < 2; busy++) {
        struct end e[2];
        struct lent m;
        _Alignas(8) uint64_t word[2] = { 0, 2 };
        unlike_open(e, &m, word);
        fake_knobs.move_fails = busy;
        fake_knobs.error = FI_EAGAIN;
        assert_int_equal(update(e, &m, 3, NULL), 2);
        assert_int_equal(update(e, &m, 9, &six), 5);
        assert_int_equal(update(e, &m, 9, &five), 5);
        assert_int_equal(word[1], 9);
        assert_int_equal(word[0], 0);
        assert_int_equal(fake_stats().atomics, 3 + busy);
        assert_int_equal(transport_ofi.dereg(e[1].t, &m.mine), 0);
        all_arrive(e);
        ends_close(e);
    }
}

/* It fails, at once or later: the link goes, with words, and the asker is told once. */
static void an_update_for_a_peer_fails(void **state)
{
    (void)state;
    for (int later = 0; later < 2; later++) {
        struct end e[2];
        struct lent m;
        _Alignas(8) uint64_t word[2] = { 0, 2 };
        unlike_open(e, &m, word);
        fake_knobs.move_fails = 1;
        fake_knobs.later = later;
        fake_knobs.error = FI_EIO;
        start(e, &m, RMA_ATOMIC, from, 8);
        ENDS_UNTIL(e, e[1].link[RANK].downs);
        contains(e[1].link[RANK].why, "fake error");
        transport_ofi.disconnect(e[0].link[RANK].link, DISCONNECT_BROKEN);
        ENDS_UNTIL(e, e[0].link[RANK].downs);
        assert_int_equal(e[0].link[RANK].dones, 1);
        assert_true(e[0].link[RANK].done_status < 0);
        assert_int_equal(word[0], 0);
        assert_int_equal(transport_ofi.dereg(e[1].t, &m.mine), 0);
        ends_close(e);
    }
}

/* With the provider, or not taken by it yet: the memory comes back, and nothing is left. */
static void a_link_ends_before_an_update_for_its_peer(void **state)
{
    (void)state;
    for (int taken = 0; taken < 2; taken++) {
        struct end e[2];
        struct lent m;
        _Alignas(8) uint64_t word[2] = { 0, 2 };
        unlike_open(e, &m, word);
        start(e, &m, RMA_ATOMIC, from, 8);
        fake_knobs.move_fails = !taken;
        fake_knobs.error = FI_EAGAIN;
        WHILE (fake_stats().atomics == 0) end_turn(&e[1]);
        fake_knobs.held = true;
        assert_int_equal(transport_ofi.dereg(e[1].t, &m.mine), TRANSPORT_AGAIN);
        for (int i = 0; i < 2; i++)
            transport_ofi.disconnect(e[i].link[RANK].link, DISCONNECT_BROKEN);
        ends_settle(e);
        ends_skipped_ns += 3000000000;
        ends_settle(e);
        assert_int_equal(e[0].link[RANK].dones, 1);
        assert_int_equal(transport_ofi.dereg(e[1].t, &m.mine), 0);
        fake_knobs.held = false;
        ends_close(e);
    }
}

/* What was read while it was taken back is worth nothing, and the link is as good as before. */
static void what_is_taken_back_is_not_had(void **state)
{
    (void)state;
    struct end e[2];
    struct lent m;
    ends_open(e);
    ends_connect(e, RANK);
    lend(e, &m, from, LONG, REGION_GET);
    assert_int_equal(start(e, &m, RMA_GET, to, LONG), TRANSPORT_PENDING);
    assert_int_equal(transport_ofi.dereg(e[1].t, &m.mine), 0);
    finish(e, SINEW_EACCESS);
    all_arrive(e);
    ends_close(e);
}

/* At once or in its completion: the link goes, with words, and what was under way is done once. */
static void moves_fail_with_any_error(void **state)
{
    static const int errors[] = { FI_EIO, FI_ENOMEM, FI_EACCES, FI_ECONNRESET, FI_EOTHER };
    static const enum rma_kind kinds[] = { RMA_GET, RMA_PUT, RMA_ATOMIC };
    (void)state;
    for (int i = 0; i < 30; i++) {
        struct end e[2];
        struct lent m;
        enum rma_kind kind = kinds[i % 3];
        fresh(NULL);
        fake_knobs.device = true;
        ends_open(e);
        ends_connect(e, RANK);
        lend(e, &m, to, LONG, kind == RMA_ATOMIC ? REGION_ATOMIC : REGION_PUT | REGION_GET);
        fake_knobs.move_fails = 1;
        fake_knobs.later = i >= 15;
        fake_knobs.error = errors[i % 5];
        start(e, &m, kind, from, kind == RMA_ATOMIC ? 8 : LONG);
        ENDS_UNTIL(e, e[0].link[RANK].downs);
        contains(e[0].link[RANK].why, "rank 3 by libfabric: ");
        contains(e[0].link[RANK].why, "fake error");
        assert_int_equal(e[0].link[RANK].dones, 1);
        assert_true(e[0].link[RANK].done_status < 0);
        transport_ofi.disconnect(e[1].link[RANK].link, DISCONNECT_BROKEN);
        ENDS_UNTIL(e, e[1].link[RANK].downs);
        assert_int_equal(transport_ofi.dereg(e[1].t, &m.mine), 0);
        ends_close(e);
    }
}

static struct lent *put_when_heard;

static int recv_and_put(struct link *l, const void *head, size_t hlen, const void *body,
                        size_t blen, struct lease *lease)
{
    (void)head, (void)hlen, (void)body, (void)blen, (void)lease;
    struct rma *op = &put_when_heard->op;
    *op = (struct rma){ .kind = RMA_PUT, .local = from, .len = 100,
                        .peers = &put_when_heard->theirs };
    fake_knobs.busy = 1;
    assert_int_equal(transport_ofi.rma(l, op), TRANSPORT_PENDING);
    fake_knobs.busy = 0;
    return 0;
}

/* A put that an upcall begins while the provider takes nothing goes when it does, though nothing
 * else happens. */
static void what_an_upcall_begins_in_vain_goes_later(void **state)
{
    struct end e[2];
    struct lent m;
    (void)state;
    ends_open(e);
    ends_connect(e, RANK);
    lend(e, &m, to, LONG, REGION_PUT);
    put_when_heard = &m;
    e[0].up.recv = recv_and_put;
    assert_int_equal(end_send(&e[1], RANK, 0, 100), 0);
    finish(e, 0);
    assert_memory_equal(from, to, 100);
    assert_int_equal(transport_ofi.dereg(e[1].t, &m.mine), 0);
    ends_close(e);
}

/* ---- messages -------------------------------------------------------------------------------- */

/* Five, of which the third fails: what is not confirmed comes back, nothing is missing. */
static void sends_fail_with_any_error(void **state)
{
    static const int errors[] = { FI_EIO, FI_ENOMEM, FI_ECONNRESET, FI_EHOSTUNREACH, FI_EOTHER };
    (void)state;
    for (int i = 0; i < 10; i++) {
        struct end e[2];
        int sent = 0;
        fresh(NULL);
        ends_open(e);
        ends_connect(e, RANK);
        fake_knobs.error = errors[i % 5];
        fake_knobs.later = i >= 5;
        fake_knobs.send_fails = 3;
        while (sent < 5 && end_send(&e[0], RANK, sent, 400) == 0) sent++;
        ENDS_UNTIL(e, e[0].link[RANK].downs);
        struct end_link *l = &e[0].link[RANK];
        assert_int_equal(l->gone, GONE_BROKEN);
        assert_true(l->undone_first <= e[1].link[RANK].received);
        assert_int_equal(l->undone_first + l->undone, sent);
        contains(l->why, "fake error");
        transport_ofi.disconnect(e[1].link[RANK].link, DISCONNECT_BROKEN);
        ENDS_UNTIL(e, e[1].link[RANK].downs);
        ends_close(e);
    }
}

/* One end is up and sends, while the other has not heard yet that both are ready; the link ends for
 * that one first. What was sent arrives all the same, and up comes before it. */
static void up_comes_before_what_arrives_at_the_end(void **state)
{
    (void)state;
    for (int dead = 0; dead < 2; dead++) {
        struct end e[2];
        int turn = 0;
        fresh(NULL);
        ends_open(e);
        assert_int_equal(end_connect(&e[0], RANK) | end_connect(&e[1], RANK), 0);
        WHILE (!e[0].link[RANK].ups && !e[1].link[RANK].ups) end_turn(&e[turn++ % 2]);
        struct end *early = &e[e[1].link[RANK].ups], *late = early->other;
        for (int i = 0; i < 5; i++) assert_int_equal(end_send(early, RANK, i, 100), 0);
        transport_ofi.disconnect(late->link[RANK].link,
                                 dead ? DISCONNECT_DEAD : DISCONNECT_BROKEN);
        ENDS_UNTIL(e, late->link[RANK].downs);
        assert_int_equal(late->link[RANK].ups, 1);
        assert_int_equal(late->link[RANK].received, 5);
        assert_int_equal(late->link[RANK].gone, dead ? GONE_DIED : GONE_BROKEN);
        ends_close(e);
    }
}

static void a_broken_queue_ends_every_link(void **state)
{
    struct end e[2];
    (void)state;
    ends_open(e);
    ends_connect(e, RANK);
    ends_connect(e, RANK + 1);
    assert_int_equal(end_send(&e[0], RANK, 0, 400), 0);
    fake_knobs.broken = true;
    for (int i = 0; i < 2; i++)
        ENDS_UNTIL(e, e[i].link[RANK].downs && e[i].link[RANK + 1].downs);
    contains(e[0].link[RANK].why, "completion queue is broken");
    assert_int_equal(e[0].link[RANK].undone, 1);
    fake_knobs.broken = false;
    ends_close(e);
}

/* Nothing that is under way ever ends: the memory comes back with the endpoint, in bounded time. */
static void a_provider_that_lets_go_of_nothing_is_closed(void **state)
{
    struct end e[2];
    struct lent m;
    (void)state;
    ends_open(e);
    ends_connect(e, RANK);
    lend(e, &m, from, LONG, REGION_GET);
    assert_int_equal(start(e, &m, RMA_GET, to, LONG), TRANSPORT_PENDING);
    fake_knobs.held = true;
    for (int i = 0; i < 2; i++) transport_ofi.disconnect(e[i].link[RANK].link, DISCONNECT_BROKEN);
    ends_settle(e);
    assert_int_equal(e[0].link[RANK].downs, 0);
    ends_skipped_ns += 3000000000;
    ENDS_UNTIL(e, e[0].link[RANK].downs && e[1].link[RANK].downs);
    assert_int_equal(e[0].link[RANK].dones, 1);
    assert_int_equal(transport_ofi.dereg(e[1].t, &m.mine), 0);
    ends_close(e);
}

/* ---- what open() answers --------------------------------------------------------------------- */

static void every_call_of_open_may_be_refused(void **state)
{
    static const struct {
        enum fake_call call;
        const char *words;
    } calls[] = {
        { FAKE_LOAD, "does not load" },      { FAKE_GETINFO, "libfabric has no provider" },
        { FAKE_FABRIC, "opens no fabric" },  { FAKE_DOMAIN, "opens no domain" },
        { FAKE_AV, "no address vector" },    { FAKE_CQ, "no completion queue" },
        { FAKE_ENDPOINT, "no endpoint" },    { FAKE_BIND, "binds its endpoint" },
        { FAKE_ENABLE, "does not enable" },  { FAKE_NAME, "no address that can be told" },
        { FAKE_RECV, "takes no buffers" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        struct end e[2];
        struct why why;
        fresh(NULL);
        ends_prepare(e);
        fake_knobs.refuses = calls[i].call;
        assert_int_equal(end_open(&e[0], &why), SINEW_ENOTSUP);
        contains(why.text, calls[i].words);
        nothing_is_left();
    }
}

static void refused_providers_are_told_with_what_they_lack(void **state)
{
    static const char *const words[] = {
        "provider fake, domain fake0", "streams: it has no reliable datagrams (FI_EP_RDM)",
        "silent: it sends no messages", "prefixed: it wants of us", "raw: its keys are longer",
        "lossy: it may lose messages", "short: its messages are too short",
    };
    struct end e[2];
    (void)state;
    ends_open(e);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        contains(e[0].t->choice, words[i]);
    contains(e[0].t->about, "libfabric 1.");
    ends_close(e);
}

static void of_any_number_of_providers_the_best_is_taken_and_all_are_told(void **state)
{
    struct end e[2];
    char last[32];
    (void)state;
    fake_knobs.slower = 40; /* more than are tried */
    ends_open(e);
    contains(e[0].t->choice, "provider fake,");
    contains(e[0].t->choice, "streams: it has no");
    for (int i = 1; i <= fake_knobs.slower; i++) {
        snprintf(last, sizeof(last), " slower%d: ", i);
        contains(e[0].t->choice, last);
    }
    assert_null(strstr(e[0].t->choice, "..."));
    ends_close(e);
}

static void a_list_of_refused_providers_that_is_cut_says_so(void **state)
{
    struct end e[2];
    (void)state;
    fake_knobs.slower = 400;
    ends_open(e);
    contains(e[0].t->choice, "provider fake,");
    assert_string_equal(e[0].t->choice + strlen(e[0].t->choice) - 3, "...");
    ends_close(e);
}

static void a_peer_that_is_not_to_be_had_is_told(void **state)
{
    struct end e[2];
    (void)state;
    ends_open(e);
    fake_knobs.refuses = FAKE_INSERT;
    assert_int_equal(end_connect(&e[0], RANK), 0);
    assert_int_equal(end_connect(&e[1], RANK), 0);
    ENDS_UNTIL(e, e[0].link[RANK].downs && e[1].link[RANK].downs);
    contains(e[0].link[RANK].why, "does not take its address");
    ends_close(e);
}

/* Of a job of any size those that were met, and nobody for long after the link has ended. */
static void an_address_is_inserted_when_its_link_is_made(void **state)
{
    struct end e[2];
    (void)state;
    ends_prepare(e);
    for (int i = 0; i < 2; i++) assert_int_equal(end_open(&e[i], NULL), 0);
    for (int i = 0; i < 10; i++) ends_turn(e);
    assert_int_equal(fake_stats().addresses, 0);
    ends_connect(e, RANK);
    assert_int_equal(fake_stats().addresses, 2);
    ends_connect(e, RANK + 1);
    assert_int_equal(fake_stats().addresses, 4);
    transport_ofi.disconnect(e[0].link[RANK].link, DISCONNECT_DRAIN);
    transport_ofi.disconnect(e[1].link[RANK].link, DISCONNECT_DRAIN);
    ENDS_UNTIL(e, e[0].link[RANK].downs && e[1].link[RANK].downs && fake_stats().addresses == 2);
    ends_close(e);
}

/* ---- the n-th call fails --------------------------------------------------------------------- */

/* All of a small life; false: something of it failed, as it may. */
static bool live(struct end e[2])
{
    struct lent m = { .mine.len = 0 };
    int sent = 0, moved = 0;
    bool good, lent = false;
    ends_prepare(e);
    for (int i = 0; i < 2; i++)
        if (end_open(&e[i], NULL) < 0) e[i].t = NULL;
    good = e[0].t && e[1].t && end_connect(&e[0], RANK) == 0 && end_connect(&e[1], RANK) == 0;
    for (int i = 0; good && i < 120; i++) {
        ends_turn(e);
        good = e[0].link[RANK].downs + e[1].link[RANK].downs == 0;
        if (!good || !e[0].link[RANK].ups) continue;
        if (sent < 20) sent += end_send(&e[0], RANK, sent, 100) == 0;
        if (!lent) {
            m.mine = (struct region){ .base = to, .len = LONG };
            lent = good = transport_ofi.reg(e[1].t, NULL, &m.mine) == 0;
            m.theirs = (struct region){ .len = LONG, .key_len = m.mine.key_len };
            memcpy(m.theirs.key, m.mine.key, m.mine.key_len);
        }
        if (lent && !moved && transport_ofi.reg(e[0].t, e[0].link[RANK].link, &m.theirs) == 0)
            moved = start(e, &m, RMA_PUT, from, LONG) >= 0 ? 1 : -1;
        good = good && moved >= 0;
    }
    for (int i = 0; i < 2; i++)
        if (e[i].link[RANK].downs) assert_true(e[i].link[RANK].why[0] != '\0');
    if (lent) assert_int_equal(transport_ofi.dereg(e[1].t, &m.mine), 0);
    for (int i = 0; i < 2; i++)
        if (e[i].t) end_close(&e[i]);
    return good && memcmp(from, to, LONG) == 0;
}

static void nth_call_fails(void **state)
{
    (void)state;
    for (int device = 0; device < 2; device++) {
        struct end e[2];
        int n = 1, failures = 0;
        for (;; n++) {
            fresh(NULL);
            fake_knobs.device = device;
            fake_knobs.fail_at = n;
            failures += !live(e);
            nothing_is_left();
            if (fake_knobs.fail_at > 0) break; /* fewer calls than that */
        }
        assert_true(n > 60 && failures > 30);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(messages_arrive_by_every_kind, fresh),
        cmocka_unit_test_setup(memory_is_read_and_written_by_every_kind, fresh),
        cmocka_unit_test_setup(words_are_updated_by_one_agent, fresh),
        cmocka_unit_test_setup(words_of_an_unlike_device_are_updated_by_it, fresh),
        cmocka_unit_test_setup(an_update_for_a_peer_fails, fresh),
        cmocka_unit_test_setup(a_link_ends_before_an_update_for_its_peer, fresh),
        cmocka_unit_test_setup(what_is_taken_back_is_not_had, fresh),
        cmocka_unit_test_setup(moves_fail_with_any_error, fresh),
        cmocka_unit_test_setup(what_an_upcall_begins_in_vain_goes_later, fresh),
        cmocka_unit_test_setup(sends_fail_with_any_error, fresh),
        cmocka_unit_test_setup(up_comes_before_what_arrives_at_the_end, fresh),
        cmocka_unit_test_setup(a_broken_queue_ends_every_link, fresh),
        cmocka_unit_test_setup(a_provider_that_lets_go_of_nothing_is_closed, fresh),
        cmocka_unit_test_setup(every_call_of_open_may_be_refused, fresh),
        cmocka_unit_test_setup(refused_providers_are_told_with_what_they_lack, fresh),
        cmocka_unit_test_setup(of_any_number_of_providers_the_best_is_taken_and_all_are_told,
                               fresh),
        cmocka_unit_test_setup(an_address_is_inserted_when_its_link_is_made, fresh),
        cmocka_unit_test_setup(a_list_of_refused_providers_that_is_cut_says_so, fresh),
        cmocka_unit_test_setup(a_peer_that_is_not_to_be_had_is_told, fresh),
        cmocka_unit_test_setup(nth_call_fails, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
