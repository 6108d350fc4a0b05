/* SPDX-License-Identifier: BSD-3-Clause */
/* faults_memory.c - what links cost and what is registered: bounded, and given back */
#include <stdlib.h>

#include "tests/verbs/faults.h"

static void many_pairs_leak_nothing(void **state)
{
    struct end e[2];
    (void)state;
    ends_open(e);
    ends_connect(e, 0);
    int objects = 0;
    for (int round = 0; round < 30; round++) {
        for (int r = 1; r < END_LINKS; r++) ends_connect(e, r);
        for (int r = 1; r < END_LINKS; r++) {
            assert_int_equal(end_send(&e[0], r, 0, 1000), 0);
            transport_verbs.disconnect(e[r % 2].link[r].link, round % 3 ? DISCONNECT_DRAIN
                                                                        : DISCONNECT_NOW);
            ENDS_UNTIL(e, e[r % 2].link[r].downs);
            if (e[1 - r % 2].link[r].link)
                transport_verbs.disconnect(e[1 - r % 2].link[r].link, DISCONNECT_BROKEN);
            ENDS_UNTIL(e, e[1 - r % 2].link[r].downs);
        }
        if (round == 2) objects = fake_stats().objects;
    }
    assert_true(fake_stats().objects <= objects + 16); /* parked queue pairs come and go */
    ends_close(e);
}

static void memory_for_messages_is_bounded(void **state)
{
    struct end e[2];
    int made = 0;
    (void)state;
    ends_prepare(e);
    e[0].config.verbs_memory = 4 << 20;
    e[0].config.verbs_credits = 100;
    assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
    while (made < END_LINKS && end_connect(&e[0], made) == 0) made++;
    assert_true(made > 1 && made < END_LINKS);
    contains(e[0].link[made].why, "verbs_memory");
    end_connect(&e[1], 0);
    ENDS_UNTIL(e, e[0].link[0].ups && e[1].link[0].ups); /* those that exist work */
    ends_close(e);
}

/* Places in the completion queue, or on the shared queue, for so many links and no more: the next
 * is refused in words, and those there are never overrun them. */
static void queues_bound_the_number_of_links(void **state)
{
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        struct end e[2];
        int made = 0, received = 0;
        fake_reset();
        fake_knobs.max_cqe = shared ? 32767 : 130;
        fake_knobs.max_srq_wr = 80;
        ends_prepare(e);
        for (int i = 0; i < 2; i++) {
            e[i].config.verbs_srq = shared;
            assert_int_equal(end_open(&e[i], NULL), 0);
        }
        while (made < END_LINKS && end_connect(&e[0], made) == 0)
            assert_int_equal(end_connect(&e[1], made++), 0);
        assert_in_range(made, 2, END_LINKS - 1);
        contains(e[0].link[made].why, shared ? "posting receive" : "the completion queue has 130 places");
        ENDS_UNTIL(e, e[0].link[made - 1].ups && e[1].link[made - 1].ups);
        for (int i = 0; i < 400; i++)
            for (int r = 0; r < made; r++)
                WHILE (end_send(&e[0], r, i, 100) == TRANSPORT_AGAIN) ends_turn(e);
        ENDS_UNTIL(e, e[1].link[made - 1].received == 400);
        for (int r = 0; r < made; r++) received += e[1].link[r].received;
        assert_int_equal(received, 400 * made);
        assert_int_equal(fake_stats().not_ready, 0);
        ends_close(e);
    }
}

/* "…, 910 KiB in all" */
static int noted(const struct end *e, int rank)
{
    const char *at = strstr(e->link[rank].link->note, " KiB in all");
    assert_non_null(at);
    while (at[-1] >= '0' && at[-1] <= '9') at--;
    return atoi(at);
}

/* Who is sent a stream gives more credit, and has more registered for it; who answers each message
 * has not; nobody has more than verbs_credits ask for, and the link's note says what it is. */
static void a_window_grows_with_a_stream(void **state)
{
    struct end e[2];
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        fake_reset();
        ends_prepare(e);
        e[0].config.verbs_srq = e[1].config.verbs_srq = shared;
        e[0].config.verbs_credits = e[1].config.verbs_credits = 200;
        assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
        e[0].t->opt.size = e[1].t->opt.size = 20; /* many */
        ends_connect(e, 0);
        ends_connect(e, 1);
        int before = noted(&e[1], 0);
        for (int i = 0; i < 300; i++) { /* to and fro */
            assert_int_equal(end_send(&e[0], 1, i, 10), 0);
            ENDS_UNTIL(e, e[1].link[1].received == i + 1);
            assert_int_equal(end_send(&e[1], 1, i, 10), 0);
            ENDS_UNTIL(e, e[0].link[1].received == i + 1);
        }
        for (int i = 0; i < 5000; i++) ends_turn(e);
        assert_int_equal(noted(&e[1], 0), before);
        for (int i = 0; i < 2000; i++)
            WHILE (end_send(&e[0], 0, i, 100) == TRANSPORT_AGAIN) ends_turn(e);
        ENDS_UNTIL(e, e[1].link[0].received == 2000);
        for (int i = 0; i < 5000; i++) ends_turn(e);
        int more = noted(&e[1], 0) - before;
        assert_in_range(more, (200 - 64) * 8320 / 1024, (200 + 64) * 8320 / 1024);
        assert_int_equal(fake_stats().not_ready, 0);
        ends_close(e);
    }
}

/* ---- what is kept registered ----------------------------------------------------------------- */

/* A buffer that one peer may read is sent to another at the same time. What the first was allowed
 * ends when its owner says so, whatever the other does: nothing stays registered behind his
 * back. */
static void what_one_may_read_is_not_held_by_another(void **state)
{
    struct end e[2];
    static uint8_t from[1 << 20], to[1 << 20];
    (void)state;
    ends_open(e);
    ends_connect(e, 0);
    ends_connect(e, 1);
    int objects = fake_stats().objects;
    struct region offered = { .base = from, .len = sizeof(from), .reader = e[0].link[1].link };
    struct region mine = { .base = to, .len = sizeof(to) }, theirs = { .len = sizeof(to) };
    assert_int_equal(transport_verbs.reg(e[0].t, NULL, &offered), 0);
    assert_int_equal(transport_verbs.reg(e[1].t, NULL, &mine), 0);
    theirs.key_len = mine.key_len;
    memcpy(theirs.key, mine.key, mine.key_len);
    assert_int_equal(transport_verbs.reg(e[0].t, e[0].link[0].link, &theirs), 0);
    struct rma op = { .kind = RMA_PUT, .local = from, .len = sizeof(from), .peers = &theirs };
    assert_int_equal(transport_verbs.rma(e[0].link[0].link, &op), TRANSPORT_PENDING);
    assert_int_equal(transport_verbs.dereg(e[0].t, &offered), 0);
    ENDS_UNTIL(e, e[0].link[0].dones == 1);
    assert_int_equal(e[0].link[0].done_status, 0);
    assert_int_equal(transport_verbs.dereg(e[0].t, &theirs), 0);
    assert_int_equal(transport_verbs.dereg(e[1].t, &mine), 0);
    assert_int_equal(fake_stats().objects, objects);
    ends_close(e);
}

enum { LONG_ONE = 64 * 1024 };

static void get_into(struct end e[2], const struct region *theirs, uint8_t *to)
{
    struct rma op = { .kind = RMA_GET, .local = to, .len = LONG_ONE, .peers = theirs };
    int dones = e[0].link[0].dones;
    assert_int_equal(transport_verbs.rma(e[0].link[0].link, &op), TRANSPORT_PENDING);
    ENDS_UNTIL(e, e[0].link[0].dones == dones + 1);
    assert_int_equal(e[0].link[0].done_status, 0);
}

static void memory_that_lasts_is_registered_once(void **state)
{
    static uint8_t from[LONG_ONE], plain[LONG_ONE], lasting[3][2 * LONG_ONE];
    struct end e[2];
    (void)state;
    ends_prepare(e);
    e[0].config.verbs_kept = sizeof(lasting[0]) * 2;
    assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
    ends_connect(e, 0);
    struct region mine = { .base = from, .len = sizeof(from), .rights = REGION_GET }, theirs;
    assert_int_equal(transport_verbs.reg(e[1].t, NULL, &mine), 0);
    theirs = (struct region){ .len = mine.len, .key_len = mine.key_len };
    memcpy(theirs.key, mine.key, mine.key_len);
    assert_int_equal(transport_verbs.reg(e[0].t, e[0].link[0].link, &theirs), 0);
    struct region kept[3];
    for (int i = 0; i < 3; i++) {
        kept[i] = (struct region){ .base = lasting[i], .len = sizeof(lasting[i]),
                                   .rights = REGION_LASTING };
        assert_int_equal(transport_verbs.reg(e[0].t, NULL, &kept[i]), 0);
    }
    int objects = fake_stats().objects, calls = fake_stats().calls;
    get_into(e, &theirs, plain);
    assert_int_equal(fake_stats().objects, objects); /* for itself alone */
    get_into(e, &theirs, lasting[0]);
    assert_int_equal(fake_stats().objects, objects + 1);
    calls = fake_stats().calls;
    for (int i = 0; i < 5; i++) get_into(e, &theirs, lasting[0] + (i % 2 ? LONG_ONE : 0));
    assert_int_equal(fake_stats().calls, calls);
    get_into(e, &theirs, lasting[1]);
    get_into(e, &theirs, lasting[0]);
    get_into(e, &theirs, lasting[2]); /* no room for three: that of 1 goes */
    assert_int_equal(fake_stats().objects, objects + 2);
    calls = fake_stats().calls;
    get_into(e, &theirs, lasting[0]);
    assert_int_equal(fake_stats().calls, calls);
    get_into(e, &theirs, lasting[1]); /* again */
    assert_int_equal(fake_stats().calls, calls + 1);
    for (int i = 0; i < 3; i++) assert_int_equal(transport_verbs.dereg(e[0].t, &kept[i]), 0);
    assert_int_equal(fake_stats().objects, objects);
    assert_int_equal(transport_verbs.dereg(e[0].t, &theirs), 0);
    assert_int_equal(transport_verbs.dereg(e[1].t, &mine), 0);
    ends_close(e);
}

/* Of ten to read, eight are; the others are for their owner to put. */
static void so_many_are_read_at_once(void **state)
{
    static uint8_t from[LONG_ONE], to[10][LONG_ONE];
    struct rma op[10];
    struct end e[2];
    (void)state;
    ends_open(e);
    ends_connect(e, 0);
    ends_fresh(from, sizeof(from), to, sizeof(to));
    struct region mine = { .base = from, .len = sizeof(from), .rights = REGION_GET }, theirs;
    assert_int_equal(transport_verbs.reg(e[1].t, NULL, &mine), 0);
    theirs = (struct region){ .len = mine.len, .key_len = mine.key_len };
    memcpy(theirs.key, mine.key, mine.key_len);
    assert_int_equal(transport_verbs.reg(e[0].t, e[0].link[0].link, &theirs), 0);
    for (int i = 0; i < 10; i++) {
        op[i] = (struct rma){ .kind = RMA_GET, .local = to[i], .len = LONG_ONE, .peers = &theirs };
        assert_int_equal(transport_verbs.rma(e[0].link[0].link, &op[i]),
                         i < 8 ? TRANSPORT_PENDING : TRANSPORT_AGAIN);
    }
    ENDS_UNTIL(e, e[0].link[0].dones == 8);
    assert_int_equal(transport_verbs.rma(e[0].link[0].link, &op[8]), TRANSPORT_PENDING);
    ENDS_UNTIL(e, e[0].link[0].dones == 9);
    for (int i = 0; i < 9; i++) assert_memory_equal(from, to[i], LONG_ONE);
    assert_int_equal(transport_verbs.dereg(e[0].t, &theirs), 0);
    assert_int_equal(transport_verbs.dereg(e[1].t, &mine), 0);
    ends_close(e);
}

int faults_of_memory(void)
{
    const struct CMUnitTest cases[] = {
        FAULT(many_pairs_leak_nothing),
        FAULT(memory_for_messages_is_bounded),
        FAULT(queues_bound_the_number_of_links),
        FAULT(a_window_grows_with_a_stream),
        FAULT(what_one_may_read_is_not_held_by_another),
        FAULT(memory_that_lasts_is_registered_once),
        FAULT(so_many_are_read_at_once),
    };
    return cmocka_run_group_tests_name("memory", cases, NULL, NULL);
}
