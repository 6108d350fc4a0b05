/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim_messages.c - messages between simulated ranks: order, content, time, windows, determinism
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/sim_node.h"

/* ---- everyone to everyone ---- */

struct storm {
    uint64_t each; /* messages from each rank to each other */
    size_t len_max;
    uint64_t received; /* in all */
    uint64_t order;    /* a digest of who came when */
};

static void storm_message(struct node *n, int from, const void *body, size_t len)
{
    uint8_t expected[16384];
    node_fill(expected, len, from, n->rank, n->peer[from].received - 1);
    CHECK(memcmp(expected, body, len) == 0);
}

static void storm_body(struct sim_rank *me, void *arg)
{
    struct storm *storm = arg;
    struct node *n = node_new(me);
    node_meet(n, me);
    n->on_message = storm_message;
    for (int i = 0; i < n->size; i++)
        if (i > n->rank) CHECK(node_connect(n, i) == 0);
    for (int i = 0; i < n->size; i++)
        while (i != n->rank && n->peer[i].ups == 0) node_progress(n);
    for (uint64_t k = 0; k < storm->each; k++)
        for (int i = 0; i < n->size; i++)
            if (i != n->rank) node_send_numbered(n, i, sim_random(me) % (storm->len_max + 1));
    while (n->received < storm->each * (uint64_t)(n->size - 1)) node_progress(n);
    storm->received += n->received;
    storm->order = (storm->order ^ (uint64_t)sim_now(me)) * 0x100000001b3u + (uint64_t)n->rank;
    node_part(n);
    node_free(n);
}

static struct sim_result storm_run(struct storm *storm, int ranks, uint64_t seed)
{
    struct sim_options o = { .ranks = ranks, .seed = seed };
    struct sim_result r;
    int status = sim_run(&o, storm_body, storm, &r);
    if (status) print_error("%s\n", r.text);
    assert_int_equal(status, 0);
    assert_int_equal(r.leaked_bytes, 0);
    assert_int_equal(storm->received, storm->each * (uint64_t)ranks * (uint64_t)(ranks - 1));
    return r;
}

static void test_all_messages_arrive_intact_and_in_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct storm storm = { .each = 100, .len_max = 3000 };
        storm_run(&storm, 4, seed);
    }
}

static void test_same_seed_same_run_other_seed_other_run(void **state)
{
    (void)state;
    struct storm a = { .each = 50, .len_max = 500 }, b = a, c = a;
    struct sim_result ra = storm_run(&a, 4, 7), rb = storm_run(&b, 4, 7), rc = storm_run(&c, 4, 8);
    assert_int_equal(ra.trace_hash, rb.trace_hash);
    assert_int_equal(a.order, b.order);
    assert_int_equal(ra.now_ns, rb.now_ns);
    assert_int_not_equal(ra.trace_hash, rc.trace_hash);
}

static void test_64_ranks(void **state)
{
    (void)state;
    struct storm storm = { .each = 2, .len_max = 64 };
    storm_run(&storm, 64, 1);
}

static void test_100000_messages(void **state)
{
    (void)state;
    struct storm storm = { .each = 8334, .len_max = 256 };
    struct sim_result r = storm_run(&storm, 4, 1);
    assert_int_equal(r.messages, 8334 * 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_messages_arrive_intact_and_in_order),
        cmocka_unit_test(test_same_seed_same_run_other_seed_other_run),
        cmocka_unit_test(test_64_ranks),
        cmocka_unit_test(test_100000_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
