/* SPDX-License-Identifier: BSD-3-Clause */
/* faults_rma.c - puts, gets, atomics and flushes: what is refused, where, and what may not go while
 * they are under way */
#include "tests/verbs/faults.h"
#include "transport/verbs/internal.h"

enum { LEN = 64 * 1024, RIGHTS_AT = 4 };

static uint8_t local[4 * LEN] __attribute__((aligned(64)));
static uint8_t remote[LEN] __attribute__((aligned(64)));

/* Memory of e[1], as e[0] knows it. */
struct known {
    struct region there, here;
};

static void known_to(struct end e[2], struct known *k, unsigned rights)
{
    k->there = (struct region){ .base = remote, .len = sizeof(remote), .rights = rights };
    assert_int_equal(transport_verbs.reg(e[1].t, NULL, &k->there), 0);
    k->here = (struct region){ .len = sizeof(remote), .key_len = k->there.key_len };
    memcpy(k->here.key, k->there.key, k->there.key_len);
    assert_int_equal(transport_verbs.reg(e[0].t, e[0].link[0].link, &k->here), 0);
}

static void known_no_more(struct end e[2], struct known *k)
{
    assert_int_equal(transport_verbs.dereg(e[0].t, &k->here), 0);
    assert_int_equal(transport_verbs.dereg(e[1].t, &k->there), 0);
}

static int rma(struct end e[2], struct rma *op)
{
    return transport_verbs.rma(e[0].link[0].link, op);
}

static void open_connected(struct end e[2])
{
    ends_open(e);
    ends_connect(e, 0);
    ends_fresh(local, sizeof(local), remote, sizeof(remote));
}

/* What cannot be is refused before the device is asked, and the link stays. */
static void what_cannot_be_is_refused(void **state)
{
    static const struct {
        enum rma_kind kind;
        unsigned rights;
        uint64_t offset;
        size_t len;
        int status;
    } bad[] = {
        { RMA_PUT, REGION_PUT, 1, LEN, SINEW_EINVAL },
        { RMA_PUT, REGION_PUT, LEN + 1, 0, SINEW_EINVAL },
        { RMA_PUT, REGION_PUT, UINT64_MAX, 2, SINEW_EINVAL },
        { RMA_PUT, REGION_GET, 0, 8, SINEW_EACCESS },
        { RMA_GET, REGION_PUT, 0, 8, SINEW_EACCESS },
        { RMA_ATOMIC, REGION_PUT | REGION_GET, 0, 8, SINEW_EACCESS },
        { RMA_ATOMIC, REGION_ATOMIC, 0, 4, SINEW_EINVAL },
        { RMA_ATOMIC, REGION_ATOMIC, 4, 8, SINEW_EINVAL },
    };
    struct end e[2];
    struct known k;
    (void)state;
    open_connected(e);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        known_to(e, &k, bad[i].rights);
        struct rma op = { .kind = bad[i].kind, .local = local, .len = bad[i].len, .peers = &k.here,
                          .offset = bad[i].offset };
        assert_int_equal(rma(e, &op), bad[i].status);
        contains(e[0].link[0].link->why.text, "rank 0 on fake0 port 1: ");
        known_no_more(e, &k);
    }
    assert_int_equal(end_send(&e[0], 0, 0, 8), 0);
    ENDS_UNTIL(e, e[1].link[0].received == 1);
    ends_close(e);
}

/* A key that says more than its owner granted: his device refuses, both links end in words. */
static void a_forged_right_is_refused_by_the_device(void **state)
{
    static const struct {
        unsigned granted;
        enum rma_kind kind;
    } forged[] = {
        { REGION_PUT, RMA_GET }, { REGION_GET, RMA_PUT }, { REGION_PUT | REGION_GET, RMA_ATOMIC },
        { REGION_GET, RMA_ATOMIC },
    };
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct end e[2];
        struct known k;
        fake_reset();
        open_connected(e);
        known_to(e, &k, forged[i].granted);
        k.here.key[RIGHTS_AT] = REGION_PUT | REGION_GET | REGION_ATOMIC;
        struct rma op = { .kind = forged[i].kind, .local = local, .len = 8, .peers = &k.here,
                          .operand = 5 };
        assert_int_equal(rma(e, &op), TRANSPORT_PENDING);
        ENDS_UNTIL(e, e[0].link[0].downs);
        assert_int_equal(e[0].link[0].done_status, SINEW_EACCESS);
        assert_int_equal(e[0].link[0].status, SINEW_EPEER);
        contains(e[0].link[0].why, "REM_ACCESS_ERR");
        contains(e[0].link[0].why, "0 messages and 1 other operation were not confirmed");
        for (int at = 0; at < LEN; at++) assert_int_equal(remote[at], 0);
        known_no_more(e, &k);
        ends_close(e);
    }
}

static void atomics_need_a_device_that_has_them(void **state)
{
    struct end e[2];
    struct known k;
    (void)state;
    fake_knobs.atomic_cap = IBV_ATOMIC_NONE;
    open_connected(e);
    struct region r = { .base = remote, .len = LEN, .rights = REGION_ATOMIC };
    assert_int_equal(transport_verbs.reg(e[0].t, NULL, &r), SINEW_ENOTSUP);
    contains(e[0].t->why.text, "no atomic operations");
    known_to(e, &k, REGION_PUT);
    k.here.key[RIGHTS_AT] = REGION_ATOMIC;
    struct rma op = { .kind = RMA_ATOMIC, .local = local, .len = 8, .peers = &k.here };
    assert_int_equal(rma(e, &op), SINEW_ENOTSUP);
    known_no_more(e, &k);
    ends_close(e);
}

/* Behind a put a flush reads of the peer, so that its device has put all before it answers; else it
 * is done. */
static void a_flush_asks_the_peers_device(void **state)
{
    struct end e[2];
    struct known k;
    (void)state;
    open_connected(e);
    known_to(e, &k, REGION_PUT);
    assert_int_equal(transport_verbs.flush(e[0].link[0].link, 1), 0);
    for (int i = 0; i < 3; i++) {
        struct rma op = { .kind = RMA_PUT, .local = local, .len = LEN, .peers = &k.here };
        int dones = e[0].link[0].dones, reads = fake_stats().reads;
        assert_int_equal(rma(e, &op), TRANSPORT_PENDING);
        if (i == 1) ENDS_UNTIL(e, e[0].link[0].dones == dones + 1); /* or while it is under way */
        assert_int_equal(transport_verbs.flush(e[0].link[0].link, 2), TRANSPORT_PENDING);
        ENDS_UNTIL(e, e[0].link[0].dones == dones + 2);
        assert_int_equal(fake_stats().reads, reads + 1);
        assert_memory_equal(local, remote, LEN);
        assert_int_equal(transport_verbs.flush(e[0].link[0].link, 3), 0);
    }
    known_no_more(e, &k);
    ends_close(e);
}

static void memory_in_use_is_not_given_up(void **state)
{
    struct end e[2];
    struct known k;
    (void)state;
    open_connected(e);
    known_to(e, &k, REGION_PUT);
    struct region mine = { .base = local, .len = LEN, .rights = REGION_PUT };
    assert_int_equal(transport_verbs.reg(e[0].t, NULL, &mine), 0);
    fake_hold(true);
    struct rma op = {
        .kind = RMA_PUT, .local = local, .len = LEN, .peers = &k.here, .mine = &mine
    };
    assert_int_equal(rma(e, &op), TRANSPORT_PENDING);
    assert_int_equal(transport_verbs.dereg(e[0].t, &mine), TRANSPORT_AGAIN);
    assert_int_equal(transport_verbs.dereg(e[0].t, &k.here), TRANSPORT_AGAIN);
    fake_hold(false);
    ENDS_UNTIL(e, e[0].link[0].dones == 1);
    assert_int_equal(e[0].link[0].done_status, 0);
    assert_int_equal(transport_verbs.dereg(e[0].t, &mine), 0);
    known_no_more(e, &k);
    ends_close(e);
}

/* There is room for one that is kept, and two are used at once; the one in use stays, the other
 * goes without. */
static void what_is_kept_stays_while_it_is_used(void **state)
{
    struct end e[2];
    struct known k;
    struct region kept[2];
    (void)state;
    ends_prepare(e);
    e[0].config.verbs_kept = LEN;
    assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
    ends_connect(e, 0);
    ends_fresh(local, sizeof(local), remote, sizeof(remote));
    known_to(e, &k, REGION_PUT);
    for (int i = 0; i < 2; i++) {
        kept[i] = (struct region){ .base = local + i * LEN, .len = LEN, .rights = REGION_LASTING };
        assert_int_equal(transport_verbs.reg(e[0].t, NULL, &kept[i]), 0);
    }
    fake_hold(true);
    struct rma op[3];
    for (int i = 0; i < 3; i++) { /* the third from memory of which half is said to last */
        op[i] = (struct rma){ .kind = RMA_PUT, .len = LEN, .peers = &k.here,
                              .local = local + (i == 2 ? LEN + LEN / 2 : i * LEN) };
        assert_int_equal(rma(e, &op[i]), TRANSPORT_PENDING);
    }
    fake_hold(false);
    ENDS_UNTIL(e, e[0].link[0].dones == 3);
    assert_int_equal(e[0].link[0].done_status, 0);
    assert_int_equal(e[0].link[0].downs, 0);
    assert_memory_equal(remote, local + LEN + LEN / 2, LEN);
    for (int i = 0; i < 2; i++) assert_int_equal(transport_verbs.dereg(e[0].t, &kept[i]), 0);
    known_no_more(e, &k);
    ends_close(e);
}

/* What was under way is counted by its kind. */
static void what_is_outstanding_is_told(void **state)
{
    struct end e[2];
    struct known k;
    (void)state;
    open_connected(e);
    known_to(e, &k, REGION_PUT);
    fake_hold(true);
    fake_knobs.send_status = IBV_WC_RETRY_EXC_ERR;
    fake_knobs.send_fails = 1;
    struct rma op = { .kind = RMA_PUT, .local = local, .len = LEN, .peers = &k.here };
    assert_int_equal(rma(e, &op), TRANSPORT_PENDING);
    assert_int_equal(end_send(&e[0], 0, 0, 8), 0);
    fake_hold(false);
    ENDS_UNTIL(e, e[0].link[0].downs);
    contains(e[0].link[0].why, "1 message and 1 other operation were not confirmed");
    assert_int_equal(e[0].link[0].undone, 1);
    assert_int_equal(e[0].link[0].done_status, SINEW_EPEER);
    known_no_more(e, &k);
    ends_close(e);
}

int faults_of_rma(void)
{
    const struct CMUnitTest cases[] = {
        FAULT(what_cannot_be_is_refused),
        FAULT(a_forged_right_is_refused_by_the_device),
        FAULT(atomics_need_a_device_that_has_them),
        FAULT(a_flush_asks_the_peers_device),
        FAULT(memory_in_use_is_not_given_up),
        FAULT(what_is_kept_stays_while_it_is_used),
        FAULT(what_is_outstanding_is_told),
    };
    return cmocka_run_group_tests_name("memory of peers", cases, NULL, NULL);
}
