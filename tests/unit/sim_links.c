/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim_links.c - how links come and go: connecting, crossing, draining, dropping, cuts, deaths
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/sim_node.h"

static void (*running)(struct node *n); /* one run at a time */

static void body(struct sim_rank *me, void *arg)
{
    struct node *n = node_new(me);
    (void)arg;
    node_meet(n, me);
    running(n);
    node_part(n);
    node_free(n);
}

static struct sim_result run(void (*f)(struct node *n), int ranks, uint64_t seed)
{
    struct sim_options o = { .ranks = ranks, .seed = seed };
    struct sim_result r;
    running = f;
    int status = sim_run(&o, body, NULL, &r);
    if (status) print_error("%s\n", r.text);
    assert_int_equal(status, 0);
    assert_int_equal(r.leaked_bytes, 0);
    return r;
}

static void compute_until(struct node *n, int64_t time)
{
    if (time > sim_now(n->me)) sim_compute(n->me, time - sim_now(n->me));
}

/* ---- connecting ---- */

static void crossing(struct node *n)
{
    int other = 1 - n->rank;
    sim_compute(n->me, (int64_t)(sim_random(n->me) % 3000));
    if (!n->peer[other].link) CHECK(node_connect(n, other) == 0);
    while (n->peer[other].ups == 0) node_progress(n);
    for (int i = 0; i < 20; i++) node_send_numbered(n, other, 100);
    while (n->peer[other].received < 20) node_progress(n);
    sim_compute(n->me, 100000); /* a second link would show by now */
    CHECK(transport_sim.progress(n->t, NULL) == 0);
    CHECK(n->peer[other].ups == 1 && n->peer[other].downs == 0);
    compute_until(n, 1000000);
}

static void test_crossing_connects_make_one_link(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) run(crossing, 2, seed);
}

static void giving_up_while_crossing(struct node *n)
{
    int other = 1 - n->rank;
    sim_compute(n->me, (int64_t)(sim_random(n->me) % 3000));
    if (!n->peer[other].link) CHECK(node_connect(n, other) == 0);
    if (n->rank == 0) { /* before or after it has dropped the other's attempt */
        sim_compute(n->me, (int64_t)(sim_random(n->me) % 2000));
        transport_sim.progress(n->t, NULL);
        transport_sim.disconnect(n->peer[other].link, DISCONNECT_NOW);
    }
    compute_until(n, 100000);
    while (transport_sim.progress(n->t, NULL) > 0) continue;
    compute_until(n, 200000);
    while (transport_sim.progress(n->t, NULL) > 0) continue;
    /* Whatever came of it, it came to the same on both sides, and nobody hangs until the deadline.
     */
    if (n->peer[other].link) CHECK(n->peer[other].ups > n->peer[other].downs - 1);
    if (n->peer[other].link) CHECK(node_send(n, other, "x", 1) == 0);
}

static void test_giving_up_while_crossing_leaves_nobody_waiting(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++)
        assert_true(run(giving_up_while_crossing, 2, seed).now_ns < CONFIG_SECOND);
}

static void refused(struct node *n)
{
    n->refuse = n->rank == 1;
    if (n->rank == 1) {
        while (sim_now(n->me) < 100000) transport_sim.progress(n->t, NULL);
        return;
    }
    CHECK(node_connect(n, 1) == 0);
    CHECK(transport_sim.send(n->peer[1].link, "12345678", 8, NULL, 0, NULL, 0) == TRANSPORT_AGAIN);
    CHECK(!node_up(n, 1));
    CHECK(n->peer[1].down_status == SINEW_EPEER && n->peer[1].gone == GONE_BROKEN);
    CHECK(strstr(n->peer[1].why, "rank 1 refused"));
}

static void test_a_refused_link_goes_down_with_a_reason(void **state)
{
    (void)state;
    run(refused, 2, 1);
}

static void connecting_to_the_departed(struct node *n)
{
    if (n->rank == 1) return; /* closes its transport */
    sim_compute(n->me, 50000);
    CHECK(node_connect(n, 1) == 0);
    CHECK(!node_up(n, 1));
    CHECK(n->peer[1].down_status == SINEW_EPEER && n->peer[1].gone == GONE_LEFT);
}

static void test_connecting_to_one_who_left(void **state)
{
    (void)state;
    run(connecting_to_the_departed, 2, 1);
}

/* Set-up is over in time although the other computes: its network has answered. */
static void connecting_to_a_computing(struct node *n)
{
    if (n->rank == 1) sim_compute(n->me, 60 * CONFIG_SECOND);
    node_join(n, 1 - n->rank);
    CHECK(sim_now(n->me) >= 60 * CONFIG_SECOND);
}

static void test_set_up_waits_for_a_computing_peer(void **state)
{
    (void)state;
    run(connecting_to_a_computing, 2, 1);
}

static void connecting_across_a_cut(struct node *n)
{
    if (n->rank == 1) {
        compute_until(n, 40 * CONFIG_SECOND);
        return;
    }
    sim_cut(n->me, 0, 1);
    CHECK(node_connect(n, 1) == 0);
    CHECK(!node_up(n, 1));
    CHECK(n->peer[1].down_status == SINEW_ETIMEDOUT && sim_now(n->me) >= 30 * CONFIG_SECOND);
    CHECK(sim_now(n->me) < 31 * CONFIG_SECOND);
}

static void test_set_up_deadline(void **state)
{
    (void)state;
    run(connecting_across_a_cut, 2, 1);
}

/* ---- leaving ---- */

/* Rank 0 leaves behind 1,000 messages; rank 1 computes for long, reads them all, then hears
 * goodbye. */
static void draining(struct node *n)
{
    node_join(n, 1 - n->rank);
    if (n->rank == 0) {
        for (int i = 0; i < 1000; i++) node_send_numbered(n, 1, 10);
        return; /* node_close drains */
    }
    sim_compute(n->me, CONFIG_SECOND);
    node_until_down(n, 0);
    CHECK(n->peer[0].received == 1000);
    CHECK(n->peer[0].down_status == 0 && n->peer[0].gone == GONE_LEFT);
}

static void test_draining_delivers_everything_first(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) run(draining, 2, seed);
}

static void both_draining(struct node *n)
{
    int other = 1 - n->rank;
    node_join(n, other);
    compute_until(n, 100000);
    node_send_numbered(n, other, 10);
    transport_sim.disconnect(n->peer[other].link, DISCONNECT_DRAIN);
    CHECK(transport_sim.send(n->peer[other].link, "12345678", 8, NULL, 0, NULL, 0) < 0);
    node_until_down(n, other);
    CHECK(n->peer[other].received == 1 && n->peer[other].down_status == 0);
    CHECK(n->peer[other].gone == GONE_LEFT);
}

static void test_both_may_drain_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) run(both_draining, 2, seed);
}

static void dropping(struct node *n)
{
    node_join(n, 1 - n->rank);
    if (n->rank == 0) {
        transport_sim.disconnect(n->peer[1].link, DISCONNECT_NOW);
        node_until_down(n, 1);
        CHECK(n->peer[1].down_status == SINEW_ECANCELED);
        /* and it can be made anew */
        CHECK(node_connect(n, 1) == 0);
        CHECK(node_up(n, 1));
        node_send_numbered(n, 1, 5);
        return;
    }
    node_until_down(n, 0);
    CHECK(n->peer[0].down_status == SINEW_EPEER && n->peer[0].gone == GONE_BROKEN);
    while (n->peer[0].ups < 2) node_progress(n);
    while (n->peer[0].received < 1) node_progress(n);
}

static void test_dropped_links_can_be_made_anew(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) run(dropping, 2, seed);
}

static void bad_bytes(struct node *n)
{
    node_join(n, 1 - n->rank);
    n->recv_status = n->rank == 1 ? SINEW_EPROTO : 0;
    if (n->rank == 0) node_send_numbered(n, 1, 5);
    node_until_down(n, 1 - n->rank);
    CHECK(n->peer[1 - n->rank].down_status == (n->rank == 1 ? SINEW_EPROTO : SINEW_EPEER));
}

static void test_bad_bytes_cost_the_link(void **state)
{
    (void)state;
    run(bad_bytes, 2, 1);
}

/* ---- cuts ---- */

static void healing(struct node *n)
{
    node_join(n, 1 - n->rank);
    if (n->rank == 0) {
        sim_cut(n->me, 0, 1);
        for (int i = 0; i < 100; i++) node_send_numbered(n, 1, 10);
        sim_compute(n->me, 10 * CONFIG_SECOND);
        sim_heal(n->me, 0, 1);
        for (int i = 0; i < 100; i++) node_send_numbered(n, 1, 10);
        compute_until(n, 20 * CONFIG_SECOND); /* beyond what was the repair deadline */
        CHECK(transport_sim.progress(n->t, NULL) == 0 || n->peer[1].downs == 0);
        return;
    }
    while (n->peer[0].received == 0) node_progress(n);
    CHECK(sim_now(n->me) >= 10 * CONFIG_SECOND);
    while (n->peer[0].received < 200) node_progress(n);
    CHECK(sim_now(n->me) < 11 * CONFIG_SECOND);
    node_until_down(n, 0);
    CHECK(n->peer[0].gone == GONE_LEFT && sim_now(n->me) >= 20 * CONFIG_SECOND);
}

static void test_what_a_cut_held_arrives_in_order_when_healed(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) run(healing, 2, seed);
}

static void broken(struct node *n)
{
    int other = 1 - n->rank;
    node_join(n, other);
    if (n->rank == 0) {
        sim_cut(n->me, 0, 1);
        n->peer[1].last_arrival = sim_now(n->me);
    }
    node_until_down(n, other);
    CHECK(n->peer[other].down_status == SINEW_EPEER && n->peer[other].gone == GONE_BROKEN);
    CHECK(strstr(n->peer[other].why, "repair_deadline"));
    if (n->rank == 0) {
        int64_t took = sim_now(n->me) - n->peer[1].last_arrival;
        CHECK(took >= 15 * CONFIG_SECOND && took < 15 * CONFIG_SECOND + 100000);
        sim_heal(n->me, 0, 1);
    }
}

static void test_a_cut_not_healed_ends_the_link_at_the_repair_deadline(void **state)
{
    (void)state;
    run(broken, 2, 1);
}

/* Others do not notice a cut between two. */
static void cut_of_two(struct node *n)
{
    for (int i = 0; i < n->size; i++)
        if (i != n->rank) node_join(n, i);
    if (n->rank == 0) sim_cut(n->me, 0, 1);
    if (n->rank == 2) {
        node_send_numbered(n, 0, 10);
        node_send_numbered(n, 1, 10);
    } else {
        while (n->peer[2].received == 0) node_progress(n);
    }
    CHECK(sim_now(n->me) < CONFIG_SECOND);
    sim_compute(n->me, CONFIG_SECOND);
    if (n->rank == 0) sim_heal(n->me, 0, 1);
}

static void test_a_cut_concerns_its_pair_only(void **state)
{
    (void)state;
    run(cut_of_two, 3, 1);
}

/* ---- deaths ---- */

enum { BY_SELF, BY_OTHER_ASLEEP, BY_OTHER_COMPUTING };
static int death;

static void die(struct node *n)
{
    while (n->peer[0].sent < 20) node_send_numbered(n, 0, 100);
    if (death == BY_SELF) sim_crash(n->me, 1);
    if (death == BY_OTHER_ASLEEP)
        for (;;) n->world->sleep(n->world->arg, -1, INT64_MAX);
    if (death == BY_OTHER_COMPUTING) sim_compute(n->me, 3600 * CONFIG_SECOND);
    node_check_failed(__FILE__, __LINE__, "this is never reached");
}

static void survive(struct node *n)
{
    int rank;
    if (death != BY_SELF && n->rank == 0) {
        sim_compute(n->me, 100000);
        sim_crash(n->me, 1);
    }
    CHECK(n->launch->ops->failed(n->launch, &rank) == 0);
    while (n->peer[1].link) node_progress(n);
    if (n->rank == 0) CHECK(n->peer[1].received == 20);
    CHECK(n->peer[1].down_status == SINEW_EPEER && n->peer[1].gone == GONE_DIED);
    while (n->launch->ops->failed(n->launch, &rank) == 0)
        n->world->sleep(n->world->arg, -1, INT64_MAX);
    CHECK(rank == 1 && n->launch->ops->failed(n->launch, &rank) == 0);
    CHECK(sim_now(n->me) < CONFIG_SECOND);
    CHECK(node_connect(n, 1) == 0);
    CHECK(!node_up(n, 1) && n->peer[1].gone == GONE_DIED);
}

static void mortal(struct node *n)
{
    for (int i = 0; i < n->size; i++)
        if (i != n->rank) node_join(n, i);
    if (n->rank == 1)
        die(n);
    else
        survive(n);
}

static void test_deaths_are_known_after_the_last_message(void **state)
{
    (void)state;
    for (death = BY_SELF; death <= BY_OTHER_COMPUTING; death++)
        for (uint64_t seed = 1; seed <= 10; seed++) run(mortal, 3, seed);
}

static void return_without_close(struct sim_rank *me, void *arg)
{
    struct node *n = node_new(me);
    (void)arg;
    node_meet(n, me);
    node_join(n, 1 - n->rank);
    if (n->rank == 1) return;
    node_until_down(n, 1);
    CHECK(n->peer[1].gone == GONE_DIED);
    node_part(n);
    node_free(n);
}

static void test_returning_without_close_is_a_death(void **state)
{
    (void)state;
    struct sim_options o = { .ranks = 2, .seed = 1 };
    struct sim_result r;
    assert_int_equal(sim_run(&o, return_without_close, NULL, &r), 0);
    assert_true(r.leaked_bytes > 0);
}

/* DISCONNECT_DEAD hands up what was on the wire, then says how it went. */
static void told_dead(struct node *n)
{
    node_join(n, 1 - n->rank);
    if (n->rank == 1) {
        for (int i = 0; i < 10; i++) node_send_numbered(n, 0, 10);
        node_until_down(n, 0);
        return;
    }
    while (n->peer[1].received == 0) node_progress(n);
    sim_compute(n->me, 500);
    transport_sim.disconnect(n->peer[1].link, DISCONNECT_DEAD);
    node_until_down(n, 1);
    CHECK(n->peer[1].received == 10);
    CHECK(n->peer[1].gone == GONE_DIED && n->peer[1].down_status == SINEW_EPEER);
}

static void test_disconnect_dead_hands_up_what_was_sent(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) run(told_dead, 2, seed);
}

/* ---- wired ---- */

static int taken; /* in this test, by rank 1 */

/* Rank 0's request waits at rank 1, which computes, when the wire breaks. Rank 1 takes it all the
 * same, unless it has noticed already; and then it notices. */
static void broken_before_it_is_taken(struct node *n)
{
    int other = 1 - n->rank;
    CHECK(node_connect(n, other) == 0);
    while (n->peer[other].tells == 0) node_progress(n);
    CHECK(n->ops->connect(n->peer[other].link, "sim", 4) == 0);
    if (n->rank == 0) {
        sim_compute(n->me, 500000);
        sim_break(n->me, 0, 1);
    } else {
        sim_compute(n->me, 510000);
    }
    node_until_down(n, other);
    CHECK(n->peer[other].gone == GONE_BROKEN);
    if (n->rank == 1) taken += n->peer[other].ups;
}

static void wired_body(struct sim_rank *me, void *arg)
{
    struct node *n = node_new(me);
    (void)arg;
    node_meet_wired(n, me);
    broken_before_it_is_taken(n);
    node_part(n);
    node_free(n);
}

static void test_a_wire_may_break_before_it_is_taken(void **state)
{
    (void)state;
    taken = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim_options o = { .ranks = 2, .seed = seed };
        struct sim_result r;
        int status = sim_run(&o, wired_body, NULL, &r);
        if (status) print_error("%s\n", r.text);
        assert_int_equal(status, 0);
    }
    assert_true(taken > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crossing_connects_make_one_link),
        cmocka_unit_test(test_giving_up_while_crossing_leaves_nobody_waiting),
        cmocka_unit_test(test_a_refused_link_goes_down_with_a_reason),
        cmocka_unit_test(test_connecting_to_one_who_left),
        cmocka_unit_test(test_set_up_waits_for_a_computing_peer),
        cmocka_unit_test(test_set_up_deadline),
        cmocka_unit_test(test_draining_delivers_everything_first),
        cmocka_unit_test(test_both_may_drain_at_once),
        cmocka_unit_test(test_dropped_links_can_be_made_anew),
        cmocka_unit_test(test_bad_bytes_cost_the_link),
        cmocka_unit_test(test_what_a_cut_held_arrives_in_order_when_healed),
        cmocka_unit_test(test_a_cut_not_healed_ends_the_link_at_the_repair_deadline),
        cmocka_unit_test(test_a_cut_concerns_its_pair_only),
        cmocka_unit_test(test_deaths_are_known_after_the_last_message),
        cmocka_unit_test(test_returning_without_close_is_a_death),
        cmocka_unit_test(test_disconnect_dead_hands_up_what_was_sent),
        cmocka_unit_test(test_a_wire_may_break_before_it_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
