/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim_random.c - random lives of links: everything the contract allows, in any order, with cuts and
 * deaths
 *
 * The node's upcalls check what must hold: up once and first, messages in order and intact, every
 * cookie done before down. A run that hangs is a deadlock, which fails. With an argument: that many
 * seeds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/sim_node.h"

enum { RANKS = 5, STEPS = 1000, REGION = 20000 };

static uint64_t seeds = 60;
static uint64_t seen_up, seen_broken, seen_died, seen_left, seen_messages, seen_puts;

/* One run's, at a time. */
static struct region regions[RANKS];
static uint8_t targets[RANKS][REGION];
static uint8_t source[REGION];

static void check_content(struct node *n, int from, const void *body, size_t len)
{
    uint8_t expected[4096];
    node_fill(expected, len, from, n->rank, n->peer[from].received - 1);
    CHECK(memcmp(expected, body, len) == 0);
    seen_messages++;
}

static void send_once(struct node *n, int to)
{
    struct node_peer *p = &n->peer[to];
    uint8_t head[8], body[4096];
    size_t len = sim_random(n->me) % sizeof(body);
    uint64_t number = p->sent;
    if (!p->link) return;
    for (int i = 0; i < 8; i++) head[i] = (uint8_t)(number >> (8 * i));
    node_fill(body, len, n->rank, to, number);
    int status = transport_sim.send(p->link, head, 8, body, len, NULL, 1);
    if (status == 0) p->sent++;
    CHECK(status <= 0 || status == TRANSPORT_AGAIN);
}

static void put_once(struct node *n, int to)
{
    struct node_peer *p = &n->peer[to];
    if (!p->link || p->ups == p->downs) return;
    struct region r = { .len = REGION, .key_len = regions[to].key_len };
    memcpy(r.key, regions[to].key, sizeof(r.key));
    CHECK(transport_sim.reg(n->t, p->link, &r) == 0);
    uint64_t offset = sim_random(n->me) % REGION;
    struct rma put = { .kind = RMA_PUT,
                       .local = source,
                       .len = sim_random(n->me) % (REGION - offset + 1),
                       .peers = &r,
                       .offset = offset };
    int status = transport_sim.rma(p->link, &put);
    p->pending += status == TRANSPORT_PENDING;
    seen_puts += status == TRANSPORT_PENDING;
    if (sim_random(n->me) % 4) return;
    p->pending += transport_sim.flush(p->link, 2) == TRANSPORT_PENDING;
    int gone = transport_sim.dereg(n->t, &r);
    CHECK(gone == 0 || (gone == TRANSPORT_AGAIN && p->pending > 0));
}

static void step(struct node *n, bool deaths)
{
    int to = (n->rank + 1 + (int)(sim_random(n->me) % (RANKS - 1))) % RANKS;
    struct link *l = n->peer[to].link;
    uint64_t dice = sim_random(n->me) % 1000;
    if (dice < 300)
        send_once(n, to);
    else if (dice < 330)
        put_once(n, to);
    else if (dice < 390 && !l)
        CHECK(node_connect(n, to) == 0);
    else if (dice < 393 && l)
        transport_sim.disconnect(l, DISCONNECT_DRAIN);
    else if (dice < 395 && l)
        transport_sim.disconnect(l, DISCONNECT_NOW);
    else if (dice < 396 && l)
        transport_sim.disconnect(l, DISCONNECT_DEAD);
    else if (dice < 398)
        sim_cut(n->me, n->rank, to);
    else if (dice < 410)
        sim_heal(n->me, n->rank, to);
    else if (dice < 430)
        sim_compute(n->me, (int64_t)(sim_random(n->me) % 20000));
    else if (dice < 431 && deaths && sim_random(n->me) % 4 == 0)
        sim_crash(n->me, to);
    else
        transport_sim.progress(n->t, NULL);
}

static void count(struct node *n)
{
    for (int i = 0; i < RANKS; i++) {
        struct node_peer *p = &n->peer[i];
        CHECK(p->link == NULL && p->downs >= p->ups);
        seen_up += (uint64_t)p->ups;
        seen_broken += p->downs && p->gone == GONE_BROKEN;
        seen_died += p->downs && p->gone == GONE_DIED;
        seen_left += p->downs && p->gone == GONE_LEFT;
    }
}

static void close_early(struct sim_rank *me, void *arg)
{
    struct node *n = node_new(me);
    struct region *mine = &regions[sim_rank(me)];
    node_open(n, me);
    *mine = (struct region){ .base = targets[n->rank], .len = REGION };
    CHECK(transport_sim.reg(n->t, NULL, mine) == 0);
    transport_sim.close(n->t); /* refuses in words, see below */
    (void)arg;
}

static void lives(struct sim_rank *me, void *arg)
{
    const bool *deaths = arg;
    struct node *n = node_new(me);
    struct region *mine = &regions[sim_rank(me)];
    node_meet(n, me);
    n->on_message = check_content;
    *mine = (struct region){ .base = targets[n->rank], .len = REGION };
    CHECK(transport_sim.reg(n->t, NULL, mine) == 0);
    sim_compute(me, 10000 - sim_now(me) % 10000);
    for (int i = 0; i < STEPS; i++) step(n, *deaths);
    for (int i = 0; i < RANKS; i++) sim_heal(me, n->rank, i);
    for (int i = 0; i < RANKS; i++)
        if (n->peer[i].link) transport_sim.disconnect(n->peer[i].link, DISCONNECT_DRAIN);
    while (transport_sim.dereg(n->t, mine) == TRANSPORT_AGAIN) node_progress(n);
    n->refuse = true;
    for (int i = 0; i < RANKS; i++)
        while (n->peer[i].link) node_progress(n);
    count(n);
    node_part(n);
    node_free(n);
}

static void run_seed(uint64_t seed, struct sim_options o)
{
    bool deaths = seed % 2;
    struct sim_result r;
    o.ranks = RANKS;
    o.seed = seed;
    int status = sim_run(&o, lives, &deaths, &r);
    if (status) print_error("seed %llu: %s\n", (unsigned long long)seed, r.text);
    assert_int_equal(status, 0);
    if (!deaths) assert_int_equal(r.leaked_bytes, 0);
}

static void test_random_lives(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= seeds; seed++)
        run_seed(seed, (struct sim_options){ .puts_unordered = seed % 3 == 0,
                                             .window_bytes = seed % 5 ? 0 : 4096,
                                             .jitter_ns = seed % 7 ? 0 : -1 });
    print_message("seeds 1 to %llu: %llu links, %llu messages, %llu puts; down: %llu left, %llu "
                  "died, %llu broken\n",
                  (unsigned long long)seeds, (unsigned long long)seen_up,
                  (unsigned long long)seen_messages, (unsigned long long)seen_puts,
                  (unsigned long long)seen_left, (unsigned long long)seen_died,
                  (unsigned long long)seen_broken);
    assert_true(seen_up && seen_messages && seen_puts && seen_left && seen_died && seen_broken);
}

static void test_closing_with_memory_registered_fails_the_run(void **state)
{
    (void)state;
    struct sim_options o = { .ranks = 1, .seed = 1 };
    struct sim_result r;
    assert_int_equal(sim_run(&o, close_early, NULL, &r), SINEW_ESTATE);
    assert_non_null(strstr(r.text, "with memory registered"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closing_with_memory_registered_fails_the_run),
        cmocka_unit_test(test_random_lives),
    };
    if (argc > 1) seeds = strtoull(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
