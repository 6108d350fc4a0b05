/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim_world.c - virtual time, the arena, the launcher, and runs that fail
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/sim_node.h"

static void run(void (*body)(struct sim_rank *me, void *arg), int ranks)
{
    struct sim_options o = { .ranks = ranks, .seed = 1 };
    struct sim_result r;
    int status = sim_run(&o, body, NULL, &r);
    if (status) print_error("%s\n", r.text);
    assert_int_equal(status, 0);
}

/* ---- time ---- */

static int64_t sent_at, arrived_at;

static void one_message(struct sim_rank *me, void *arg)
{
    struct node *n = node_new(me);
    (void)arg;
    node_meet(n, me);
    node_join(n, 1 - n->rank);
    if (n->rank == 0) {
        sim_compute(me, 1000000);
        sent_at = sim_now(me);
        node_send_numbered(n, 1, 992);
    } else {
        while (n->peer[0].received == 0) node_progress(n);
        arrived_at = n->peer[0].last_arrival;
    }
    node_part(n);
    node_free(n);
}

/* overhead + (8 + 992) x gap + latency + overhead, and the receiver asleep until then */
static void test_a_message_takes_what_the_model_says(void **state)
{
    (void)state;
    struct sim_options o = { .ranks = 2,
                             .seed = 1,
                             .latency_ns = 5000,
                             .jitter_ns = -1,
                             .gap_ns_per_byte = 0.5,
                             .overhead_ns = 300 };
    assert_int_equal(sim_run(&o, one_message, NULL, NULL), 0);
    assert_int_equal(arrived_at - sent_at, 300 + 500 + 5000 + 300);
}

static void pass_time(struct sim_rank *me, void *arg)
{
    const struct world *w = sim_world(me);
    (void)arg;
    CHECK(world_now(w) == 0);
    sim_compute(me, 12345);
    CHECK(world_now(w) == 12345);
    w->sleep(w->arg, -1, 20000);
    CHECK(world_now(w) == 20000);
    w->yield(w->arg);
    CHECK(world_now(w) == 20100);
    w->sleep(w->arg, -1, 5); /* in the past: still hands on */
    CHECK(world_now(w) == 20200);
}

static void test_time_passes_as_told(void **state)
{
    (void)state;
    run(pass_time, 3);
}

/* A rank whose own clock has run ahead while it sent sees all that others did until then. */
static void run_ahead(struct sim_rank *me, void *arg)
{
    struct node *n = node_new(me);
    (void)arg;
    node_meet(n, me);
    node_join(n, 1 - n->rank);
    sim_compute(me, 100000 - sim_now(me));
    if (n->rank == 0) {
        for (int i = 0; i < 100; i++) node_send_numbered(n, 1, 1);
        CHECK(sim_now(me) == 110000);
        CHECK(transport_sim.progress(n->t, NULL) == 1 && n->peer[1].received == 1);
    } else {
        node_send_numbered(n, 0, 1);
        while (n->peer[0].received < 100) node_progress(n);
    }
    sim_compute(me, 1000000);
    node_part(n);
    node_free(n);
}

static void test_who_runs_ahead_misses_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct sim_options o = { .ranks = 2, .seed = seed };
        assert_int_equal(sim_run(&o, run_ahead, NULL, NULL), 0);
    }
}

/* Polling through an hour of another's computing ends at its end, and not after hours. */
static void poll_an_hour(struct sim_rank *me, void *arg)
{
    struct node *n = node_new(me);
    (void)arg;
    node_meet(n, me);
    node_join(n, 1 - n->rank);
    if (n->rank == 0) {
        sim_compute(me, 3600 * CONFIG_SECOND);
        node_send_numbered(n, 1, 8);
    } else {
        while (n->peer[0].received == 0) transport_sim.progress(n->t, NULL);
        CHECK(sim_now(me) >= 3600 * CONFIG_SECOND);
        CHECK(sim_now(me) < 3600 * CONFIG_SECOND + 10000);
    }
    node_part(n);
    node_free(n);
}

static void test_polling_for_long_is_cheap_and_exact(void **state)
{
    (void)state;
    run(poll_an_hour, 2);
}

/* ---- runs that fail ---- */

static void wait_for_each_other(struct sim_rank *me, void *arg)
{
    const struct world *w = sim_world(me);
    (void)arg;
    world_allocate(w, 1000); /* is freed all the same */
    if (sim_rank(me) == 2) return;
    sim_compute(me, 1000 * (1 + sim_rank(me)));
    for (;;) w->sleep(w->arg, -1, INT64_MAX);
}

static void test_a_deadlock_is_found_and_described(void **state)
{
    (void)state;
    struct sim_options o = { .ranks = 3, .seed = 4711 };
    struct sim_result r;
    assert_int_equal(sim_run(&o, wait_for_each_other, NULL, &r), SINEW_ESTATE);
    assert_true(r.deadlock);
    assert_false(r.out_of_time);
    assert_int_equal(r.now_ns, 2000);
    assert_non_null(strstr(r.text, "4711"));
    assert_non_null(strstr(r.text, "rank 0 sleeps, nothing achieved since 1 us"));
    assert_non_null(strstr(r.text, "rank 1 sleeps, nothing achieved since 2 us"));
    assert_null(strstr(r.text, "rank 2"));
}

static void poll_for_each_other(struct sim_rank *me, void *arg)
{
    struct node *n = node_new(me);
    (void)arg;
    node_open(n, me);
    for (;;) transport_sim.progress(n->t, NULL);
}

static void test_polling_for_ever_is_found_too(void **state)
{
    (void)state;
    struct sim_options o = { .ranks = 4, .seed = 1 };
    struct sim_result r;
    assert_int_equal(sim_run(&o, poll_for_each_other, NULL, &r), SINEW_ESTATE);
    assert_true(r.deadlock && r.out_of_time);
    assert_non_null(strstr(r.text, "rank 3 polls in vain"));
}

static void compute_too_long(struct sim_rank *me, void *arg)
{
    (void)arg;
    sim_compute(me, 2 * CONFIG_SECOND);
}

static void test_the_time_limit(void **state)
{
    (void)state;
    struct sim_options o = { .ranks = 1, .seed = 1, .time_limit_ns = CONFIG_SECOND };
    struct sim_result r;
    assert_int_equal(sim_run(&o, compute_too_long, NULL, &r), SINEW_ESTATE);
    assert_true(r.out_of_time && !r.deadlock);
    assert_non_null(strstr(r.text, "rank 0 computes"));
}

static void progress_in_recv(struct node *n, int from, const void *body, size_t len)
{
    (void)from;
    (void)body;
    (void)len;
    transport_sim.progress(n->t, NULL);
}

static void misuse(struct sim_rank *me, void *arg)
{
    struct node *n = node_new(me);
    (void)arg;
    node_meet(n, me);
    n->on_message = progress_in_recv;
    node_join(n, 1 - n->rank);
    node_send_numbered(n, 1 - n->rank, 1);
    for (;;) node_progress(n);
}

static void test_progress_inside_an_upcall_fails_the_run(void **state)
{
    (void)state;
    struct sim_options o = { .ranks = 2, .seed = 1 };
    struct sim_result r;
    assert_int_equal(sim_run(&o, misuse, NULL, &r), SINEW_ESTATE);
    assert_non_null(strstr(r.text, "called progress inside an upcall"));
}

/* ---- memory ---- */

static void allocate(struct sim_rank *me, void *arg)
{
    const struct world *w = sim_world(me);
    (void)arg;
    for (size_t align = 1; align <= 4096; align *= 2) {
        uint8_t *memory = world_allocate_aligned(w, align, 100);
        CHECK(((uintptr_t)memory & (align - 1)) == 0);
        for (int i = 0; i < 100; i++) CHECK(memory[i] == 0);
        memset(memory, 0xff, 100);
        CHECK(sim_live_bytes(me) == 100);
        world_release(w, memory, 100);
    }
    CHECK(sim_live_bytes(me) == 0 && sim_peak_bytes(me) == 100);
    sim_fail_allocation(me, 3);
    void *a = world_allocate(w, 8), *b = world_allocate(w, 8), *c = world_allocate(w, 8);
    void *d = world_allocate(w, 8);
    CHECK(a && b && !c && d);
}

static void test_the_arena_counts_aligns_zeroes_and_fails_on_demand(void **state)
{
    (void)state;
    struct sim_options o = { .ranks = 1, .seed = 1 };
    struct sim_result r;
    assert_int_equal(sim_run(&o, allocate, NULL, &r), 0);
    assert_int_equal(r.leaked_bytes, 24);
}

static void release_badly(struct sim_rank *me, void *arg)
{
    const struct world *w = sim_world(me);
    (void)arg;
    world_release(w, world_allocate(w, 100), 99);
}

static void test_releasing_another_size_fails_the_run(void **state)
{
    (void)state;
    struct sim_options o = { .ranks = 1, .seed = 1 };
    struct sim_result r;
    assert_int_equal(sim_run(&o, release_badly, NULL, &r), SINEW_ESTATE);
    assert_non_null(strstr(r.text, "another size"));
}

/* ---- the launcher ---- */

static void fence_in_vain(struct sim_rank *me, void *arg)
{
    struct launch *l;
    (void)arg;
    CHECK(sim_launch(me, &l) == 0);
    CHECK(l->rank == sim_rank(me) && l->size == 4);
    if (sim_rank(me) % 2 == 0) {
        CHECK(l->ops->put(l, "ab", 2) == 0);
        CHECK(l->ops->put(l, "ab", 2) == SINEW_ESTATE);
        CHECK(l->ops->fence(l, CONFIG_SECOND) == SINEW_ETIMEDOUT);
        CHECK(sim_now(me) == CONFIG_SECOND);
        CHECK(strstr(l->why.text, "rank 1 3"));
    }
    sim_compute(me, 2 * CONFIG_SECOND);
    l->ops->close(l);
}

static void test_a_fence_names_who_is_missing(void **state)
{
    (void)state;
    run(fence_in_vain, 4);
}

static void fence_with_the_dead(struct sim_rank *me, void *arg)
{
    struct launch *l;
    (void)arg;
    CHECK(sim_launch(me, &l) == 0);
    if (sim_rank(me) == 1) sim_crash(me, 1);
    CHECK(l->ops->put(l, "ab", 2) == 0);
    CHECK(l->ops->fence(l, INT64_MAX) == SINEW_EPEER);
    CHECK(sim_now(me) < CONFIG_SECOND);
    l->ops->close(l);
}

static void test_a_fence_does_not_wait_for_the_dead(void **state)
{
    (void)state;
    run(fence_with_the_dead, 3);
}

static void abort_the_job(struct sim_rank *me, void *arg)
{
    struct launch *l;
    (void)arg;
    CHECK(sim_launch(me, &l) == 0);
    if (sim_rank(me) == 1) CHECK(l->ops->abort(l, 3, "enough") == 0);
    l->ops->fence(l, INT64_MAX);
    node_check_failed(__FILE__, __LINE__, "this is never reached");
}

static void test_abort_ends_every_rank(void **state)
{
    (void)state;
    struct sim_options o = { .ranks = 3, .seed = 1 };
    struct sim_result r;
    assert_int_equal(sim_run(&o, abort_the_job, NULL, &r), SINEW_EABORTED);
    assert_non_null(strstr(r.text, "rank 1 aborted the job with status 3: enough"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_takes_what_the_model_says),
        cmocka_unit_test(test_time_passes_as_told),
        cmocka_unit_test(test_who_runs_ahead_misses_nothing),
        cmocka_unit_test(test_polling_for_long_is_cheap_and_exact),
        cmocka_unit_test(test_a_deadlock_is_found_and_described),
        cmocka_unit_test(test_polling_for_ever_is_found_too),
        cmocka_unit_test(test_the_time_limit),
        cmocka_unit_test(test_progress_inside_an_upcall_fails_the_run),
        cmocka_unit_test(test_the_arena_counts_aligns_zeroes_and_fails_on_demand),
        cmocka_unit_test(test_releasing_another_size_fails_the_run),
        cmocka_unit_test(test_a_fence_names_who_is_missing),
        cmocka_unit_test(test_a_fence_does_not_wait_for_the_dead),
        cmocka_unit_test(test_abort_ends_every_rank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
