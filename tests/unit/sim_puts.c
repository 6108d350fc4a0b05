/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim_puts.c - regions, puts, flush, dereg; lent bodies and leases
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/sim_node.h"

enum { BIG = 100000 };

static void (*running)(struct node *n);

/* What a test keeps outside of ranks. The body of one rank at a time looks at it. */
static struct region shared;
static uint8_t target[BIG], source[BIG];
static int overtaken;

static void body(struct sim_rank *me, void *arg)
{
    struct node *n = node_new(me);
    (void)arg;
    node_meet(n, me);
    node_join(n, 1 - n->rank);
    running(n);
    node_part(n);
    node_free(n);
}

static void run(void (*f)(struct node *n), struct sim_options o)
{
    struct sim_result r;
    o.ranks = 2;
    running = f;
    memset(target, 0, sizeof(target));
    for (size_t i = 0; i < BIG; i++) source[i] = (uint8_t)(1 + i % 255);
    int status = sim_run(&o, body, NULL, &r);
    if (status) print_error("%s\n", r.text);
    assert_int_equal(status, 0);
    assert_int_equal(r.leaked_bytes, 0);
}

static void offer(struct node *n)
{
    shared = (struct region){ .base = target, .len = BIG };
    CHECK(transport_sim.reg(n->t, NULL, &shared) == 0);
    node_send_numbered(n, 0, 1);
}

/* The peer's region, as its key gives it. */
static struct region accept(struct node *n)
{
    while (n->peer[1].received == 0) node_progress(n);
    struct region r = { .len = BIG, .key_len = shared.key_len };
    memcpy(r.key, shared.key, sizeof(r.key));
    CHECK(transport_sim.reg(n->t, n->peer[1].link, &r) == 0);
    return r;
}

static void withdraw(struct node *n)
{
    int status;
    while ((status = transport_sim.dereg(n->t, &shared)) == TRANSPORT_AGAIN) node_progress(n);
    CHECK(status == 0);
}

static void wait_done(struct node *n, int count)
{
    while (n->done_count < count) node_progress(n);
}

/* ---- order ---- */

static void message_after_put(struct node *n, int from, const void *b, size_t len)
{
    (void)b;
    if (n->rank != 1 || from != 0 || len != 2) return;
    overtaken += memcmp(target, source, BIG) != 0;
}

static void put_then_send(struct node *n)
{
    n->on_message = message_after_put;
    if (n->rank == 1) {
        offer(n);
        while (n->peer[0].received == 0) node_progress(n);
        withdraw(n);
        return;
    }
    struct region r = accept(n);
    struct rma put = { .kind = RMA_PUT, .local = source, .len = BIG, .peers = &r, .cookie = 5 };
    CHECK(transport_sim.rma(n->peer[1].link, &put) == TRANSPORT_PENDING);
    wait_done(n, 1);
    CHECK(n->done_cookie[0] == 5 && n->done_status[0] == 0);
    if (!n->t->caps.put_ordered &&
        sim_random(n->me) % 2) { /* half of the time as messaging does it */
        int status = transport_sim.flush(n->peer[1].link, 6);
        if (status == TRANSPORT_PENDING) wait_done(n, 2);
        CHECK(memcmp(target, source, BIG) == 0);
    }
    node_send_numbered(n, 1, 2);
}

static void test_a_send_after_a_put_is_seen_after_it(void **state)
{
    (void)state;
    overtaken = 0;
    for (uint64_t seed = 1; seed <= 20; seed++)
        run(put_then_send, (struct sim_options){ .seed = seed });
    assert_int_equal(overtaken, 0);
}

static void test_unordered_puts_need_a_flush(void **state)
{
    (void)state;
    overtaken = 0;
    for (uint64_t seed = 1; seed <= 20; seed++)
        run(put_then_send, (struct sim_options){ .seed = seed, .puts_unordered = true });
    assert_true(overtaken > 0 && overtaken < 20);
}

/* ---- limits ---- */

static void put_small(struct node *n)
{
    if (n->rank == 1) {
        offer(n);
        while (n->peer[0].received == 0) node_progress(n);
        for (size_t i = 0; i < BIG; i++)
            CHECK(target[i] == (i >= 100 && i < 164 ? source[i - 100] : 0));
        withdraw(n);
        return;
    }
    struct region r = accept(n);
    struct rma put = { .kind = RMA_PUT, .local = source, .len = 64, .peers = &r, .offset = 100 };
    CHECK(transport_sim.rma(n->peer[1].link, &put) == 0);
    source[0] = 77; /* ours again: the change does not travel */
    put.offset = BIG - 63;
    CHECK(transport_sim.rma(n->peer[1].link, &put) == SINEW_EINVAL);
    put.kind = RMA_GET;
    CHECK(transport_sim.rma(n->peer[1].link, &put) == SINEW_ENOTSUP);
    source[0] = 1;
    node_send_numbered(n, 1, 2);
}

static void test_puts_land_where_they_should_and_nowhere_else(void **state)
{
    (void)state;
    run(put_small, (struct sim_options){ .seed = 1 });
}

static void bad_keys(struct node *n)
{
    if (n->rank == 1) {
        offer(n);
        while (n->peer[0].received == 0) node_progress(n);
        withdraw(n);
        node_send_numbered(n, 0, 1);
        node_until_down(n, 0);
        CHECK(n->peer[0].down_status == SINEW_EPROTO);
        for (size_t i = 0; i < BIG; i++) CHECK(target[i] == 0);
        return;
    }
    struct region r = accept(n), bad = r;
    bad.key[0] ^= 1;
    CHECK(transport_sim.reg(n->t, n->peer[1].link, &bad) == SINEW_EINVAL);
    bad = r;
    bad.key_len = 3;
    CHECK(transport_sim.reg(n->t, n->peer[1].link, &bad) == SINEW_EINVAL);
    node_send_numbered(n, 1, 2);
    while (n->peer[1].received < 2) node_progress(n);
    struct rma put = { .kind = RMA_PUT, .local = source, .len = BIG, .peers = &r };
    CHECK(transport_sim.rma(n->peer[1].link, &put) == TRANSPORT_PENDING);
    node_until_down(n, 1);
    CHECK(n->done_count == 1); /* taken, or given up; once */
    CHECK(n->peer[1].down_status == SINEW_EACCESS);
}

static void test_a_withdrawn_key_gives_no_access(void **state)
{
    (void)state;
    run(bad_keys, (struct sim_options){ .seed = 1 });
}

static void dereg_in_flight(struct node *n)
{
    if (n->rank == 1) {
        offer(n);
        while (target[0] == 0) transport_sim.progress(n->t, NULL);
        CHECK(transport_sim.dereg(n->t, &shared) == TRANSPORT_AGAIN);
        withdraw(n);
        CHECK(memcmp(target, source, BIG) == 0); /* nothing was missing any more */
        return;
    }
    struct region r = accept(n);
    struct rma put = { .kind = RMA_PUT, .local = source, .len = BIG, .peers = &r };
    CHECK(transport_sim.rma(n->peer[1].link, &put) == TRANSPORT_PENDING);
    wait_done(n, 1);
    sim_compute(n->me, 100000);
}

static void test_dereg_waits_for_what_is_in_flight(void **state)
{
    (void)state;
    run(dereg_in_flight, (struct sim_options){ .seed = 3 });
}

static void die_in_a_put(struct node *n)
{
    if (n->rank == 1) {
        offer(n);
        node_until_down(n, 0);
        CHECK(n->peer[0].gone == GONE_DIED);
        CHECK(target[0] == source[0] && target[BIG - 1] == 0);
        withdraw(n);
        return;
    }
    struct region r = accept(n);
    struct rma put = { .kind = RMA_PUT, .local = source, .len = BIG, .peers = &r };
    CHECK(transport_sim.rma(n->peer[1].link, &put) == TRANSPORT_PENDING);
    while (target[0] == 0) transport_sim.progress(n->t, NULL);
    sim_crash(n->me, 0);
}

static void test_a_crash_leaves_a_half_written_region(void **state)
{
    (void)state;
    run(die_in_a_put, (struct sim_options){ .seed = 1 });
}

static void many_puts(struct node *n)
{
    int taken = 0, status;
    if (n->rank == 1) {
        offer(n);
        while (n->peer[0].received == 0) node_progress(n);
        withdraw(n);
        return;
    }
    struct region r = accept(n);
    struct rma put = { .kind = RMA_PUT, .local = source, .len = BIG, .peers = &r };
    while ((status = transport_sim.rma(n->peer[1].link, &put)) == TRANSPORT_PENDING) taken++;
    CHECK(status == TRANSPORT_AGAIN && taken > 1);
    CHECK(transport_sim.dereg(n->t, &r) == TRANSPORT_AGAIN);
    while (n->peer[1].rooms == 0) node_progress(n);
    CHECK(transport_sim.rma(n->peer[1].link, &put) == TRANSPORT_PENDING);
    wait_done(n, taken + 1);
    CHECK(transport_sim.dereg(n->t, &r) == 0);
    node_send_numbered(n, 1, 2);
}

static void test_too_many_puts_wait_for_room(void **state)
{
    (void)state;
    run(many_puts, (struct sim_options){ .seed = 1 });
}

/* ---- lent bodies, leases, windows ---- */

static void check_lent(struct node *n, int from, const void *b, size_t len)
{
    const uint8_t *bytes = b;
    if (n->rank != 1 || from != 0) return;
    CHECK(len == 5000);
    for (size_t i = 0; i < len; i++) CHECK(bytes[i] == (uint8_t)(1 + i % 255));
}

static void lending(struct node *n)
{
    uint8_t head[8] = { 0 };
    n->on_message = check_lent;
    if (n->rank == 1) {
        while (n->peer[0].received == 0) node_progress(n);
        return;
    }
    struct region mine = { .base = source, .len = BIG };
    struct link *l = n->peer[1].link;
    CHECK(transport_sim.send(l, head, 8, source, 5000, NULL, 9) == SINEW_EINVAL);
    CHECK(transport_sim.reg(n->t, NULL, &mine) == 0);
    CHECK(transport_sim.send(l, head, 8, source, 5000, &mine, 9) == TRANSPORT_PENDING);
    wait_done(n, 1);
    CHECK(n->done_cookie[0] == 9 && n->done_status[0] == 0);
    memset(source, 0xee, 5000); /* ours again: the change does not travel */
    CHECK(transport_sim.dereg(n->t, &mine) == 0);
}

static void test_lent_bodies_come_back(void **state)
{
    (void)state;
    run(lending, (struct sim_options){ .seed = 1, .copy_max = 4096 });
}

static void leasing(struct node *n)
{
    uint8_t expected[200];
    n->keep = true;
    if (n->rank == 0) {
        for (int i = 0; i < 10; i++) node_send_numbered(n, 1, 200);
        return;
    }
    while (n->peer[0].received < 10) node_progress(n);
    for (int i = 9; i >= 0; i--) {
        node_fill(expected, 200, 0, 1, (uint64_t)i);
        CHECK(memcmp(expected, n->kept_body[i], 200) == 0);
        if (i > 0)
            n->kept[i]->release(n->kept[i]); /* one is never given back: no leak, the run owns it */
    }
}

static void test_leases_keep_bodies(void **state)
{
    (void)state;
    run(leasing, (struct sim_options){ .seed = 1, .with_lease = true });
}

static void filling_the_window(struct node *n)
{
    uint8_t head[8] = { 0 }, b[1000];
    int accepted = 0;
    if (n->rank == 1) {
        sim_compute(n->me, CONFIG_SECOND);
        while (n->peer[0].received < 4) node_progress(n);
        return;
    }
    memset(b, 0, sizeof(b));
    while (transport_sim.send(n->peer[1].link, head, 8, b, sizeof(b), NULL, 0) == 0) {
        accepted++;
        head[0]++;
    }
    CHECK(accepted == 3); /* 4096 / (1000 + 8 + 32) */
    CHECK(n->peer[1].rooms == 0);
    while (n->peer[1].rooms == 0) node_progress(n);
    CHECK(sim_now(n->me) >= CONFIG_SECOND); /* not before the receiver took them */
    CHECK(transport_sim.send(n->peer[1].link, head, 8, b, sizeof(b), NULL, 0) == 0);
}

static void test_a_full_window_waits_for_the_receiver(void **state)
{
    (void)state;
    run(filling_the_window, (struct sim_options){ .seed = 1, .window_bytes = 4096 });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_send_after_a_put_is_seen_after_it),
        cmocka_unit_test(test_unordered_puts_need_a_flush),
        cmocka_unit_test(test_puts_land_where_they_should_and_nowhere_else),
        cmocka_unit_test(test_a_withdrawn_key_gives_no_access),
        cmocka_unit_test(test_dereg_waits_for_what_is_in_flight),
        cmocka_unit_test(test_a_crash_leaves_a_half_written_region),
        cmocka_unit_test(test_too_many_puts_wait_for_room),
        cmocka_unit_test(test_lent_bodies_come_back),
        cmocka_unit_test(test_leases_keep_bodies),
        cmocka_unit_test(test_a_full_window_waits_for_the_receiver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
