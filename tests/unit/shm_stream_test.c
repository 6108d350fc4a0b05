/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_stream_test.c - messages that come faster than they are handed up, on the link that is waited
 * for: they leave their turns to what else that link has to do, to other links, and to what has
 * ended
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/shm_pair.h"

enum { EXPECTED = 8 };

struct stream { /* from rank 1 to rank 0 */
    struct end *from;
    bool flows, may_send;
};

static void stream_on(struct peer *p)
{
    struct stream *s = p->end->arg;
    static const uint8_t head[RING_EXPECTED_HEAD];
    while (s->flows && s->may_send)
        s->may_send = send_to(s->from, 0, head, sizeof(head), NULL, 0) == 0;
}

static void stream_room(struct peer *p)
{
    ((struct stream *)p->end->arg)->may_send = true;
    stream_on(p);
}

/* While a message is handed up the sender has all the time it likes. */
static int stream_recv(struct peer *p, const uint8_t *head, size_t hlen, const uint8_t *body,
                       size_t blen)
{
    (void)head, (void)hlen, (void)body, (void)blen;
    struct stream *s = p->end->arg;
    if (s->flows && p == &p->end->peers[1]) end_progress(s->from);
    return 0;
}

static void stream_begin(struct stream *s, struct end *to, struct end *from)
{
    *s = (struct stream){ .from = from, .flows = true, .may_send = true };
    from->arg = to->arg = s;
    from->room = stream_room;
    to->recv = stream_recv;
    stream_on(&from->peers[0]);
    assert_false(s->may_send);
}

/* Who waits for rank 1. Of the messages that are there some are left every time. */
static void wait_for_stream(struct end *e)
{
    int made = transport_shm.progress(&e->t->base, &e->peers[1].link->base);
    assert_in_range(made, 1, TRANSPORT_UPCALLS_MAX);
    assert_true(ring_ready(&e->peers[1].link->rx));
}

/* Who expects, so many at a time, what rank 1 sends: any word, for the mask is 0, and key 0. */
static void expect_stream(struct end *e)
{
    struct expect expected[EXPECTED];
    struct link *l = &e->peers[1].link->base;
    for (int i = 0; i < EXPECTED; i++)
        expected[i] = (struct expect){ .next = i + 1 < EXPECTED ? &expected[i + 1] : NULL };
    l->expect = expected;
    assert_in_range(transport_shm.progress(&e->t->base, l), 1, TRANSPORT_UPCALLS_MAX);
    l->expect = NULL;
    for (int i = 0; i < EXPECTED; i++) e->peers[1].expected += expected[i].done;
    assert_true(ring_ready(&e->peers[1].link->rx));
    end_progress(((struct stream *)e->arg)->from);
}

static void leaves_puts_and_room_their_turns(void (*wait)(struct end *))
{
    struct end a, b;
    struct stream s;
    static uint8_t local[1 << 20];
    uint8_t *memory = calloc(1, sizeof(local));
    struct region mine = { .base = memory, .len = sizeof(local) }, theirs;
    pair_up(&a, &b, NULL);
    pair_grant(&a, &b, &mine, &theirs);
    struct link *l = &a.peers[1].link->base;
    struct rma op = { .kind = RMA_PUT, .local = local, .len = sizeof(local), .peers = &theirs };
    assert_int_equal(transport_shm.rma(l, &op), TRANSPORT_PENDING);
    WHILE (send_to(&a, 1, "x", 1, local, SEGMENT_EAGER_MAX) == 0) {}
    stream_begin(&s, &a, &b);
    for (int i = 0; i < 2000 && (a.peers[1].dones == 0 || a.peers[1].rooms == 0); i++)
        wait(&a);
    if (a.peers[1].dones == 0 || a.peers[1].rooms == 0)
        fail_msg("beside %d messages: %zu bytes put, room told %d times",
                 (int)(a.peers[1].messages + a.peers[1].expected), op.progress, a.peers[1].rooms);
    s.flows = false;
    assert_int_equal(transport_shm.dereg(&a.t->base, &theirs), 0);
    assert_int_equal(transport_shm.dereg(&b.t->base, &mine), 0);
    free(memory);
    pair_down(&a, &b);
}

static void test_a_stream_leaves_puts_and_room_their_turns(void **state)
{
    (void)state;
    leaves_puts_and_room_their_turns(wait_for_stream);
}

static void test_an_expected_stream_leaves_puts_and_room_their_turns(void **state)
{
    (void)state;
    leaves_puts_and_room_their_turns(expect_stream);
}

/* Who finds each message at once, where it lies, never comes to progress(). */
static void test_messages_looked_at_move_the_puts(void **state)
{
    (void)state;
    struct end a, b;
    static uint8_t local[1 << 20];
    uint8_t *memory = calloc(1, sizeof(local));
    struct region mine = { .base = memory, .len = sizeof(local) }, theirs;
    struct peeked m;
    pair_up(&a, &b, NULL);
    struct link *l = &a.peers[1].link->base;
    pair_grant(&a, &b, &mine, &theirs);
    struct rma op = { .kind = RMA_PUT, .local = local, .len = sizeof(local), .peers = &theirs };
    assert_int_equal(transport_shm.rma(l, &op), TRANSPORT_PENDING);
    for (int i = 0; i < 2000 && op.progress < op.len; i++) {
        assert_int_equal(send_to(&b, 0, "x", 1, NULL, 0), 0);
        end_progress(&b);
        assert_int_equal(transport_shm.peek(l, &m), 0);
        transport_shm.drop(l);
    }
    assert_int_equal(op.progress, op.len);
    assert_int_equal(a.peers[1].dones, 0); /* for upcalls are progress()'s alone */
    end_progress(&a);
    assert_int_equal(a.peers[1].dones, 1);
    assert_int_equal(transport_shm.dereg(&a.t->base, &theirs), 0);
    assert_int_equal(transport_shm.dereg(&b.t->base, &mine), 0);
    free(memory);
    pair_down(&a, &b);
}

static void leaves_other_links_their_turns(void (*wait)(struct end *))
{
    struct end a, b, c;
    struct stream s;
    end_open(&a, 0, 3, NULL);
    end_open(&b, 1, 3, NULL);
    end_open(&c, 2, 3, NULL);
    end_connect(&b, 0, &a);
    end_connect(&c, 0, &a);
    UNTIL(a.peers[1].ups == 1 && b.peers[0].ups == 1, &a, &b);
    UNTIL(a.peers[2].ups == 1 && c.peers[0].ups == 1, &a, &c);
    stream_begin(&s, &a, &b);
    assert_int_equal(send_to(&c, 0, "x", 1, NULL, 0), 0);
    for (int i = 0; i < 100 && a.peers[2].messages == 0; i++) wait(&a);
    assert_int_equal(a.peers[2].messages, 1);
    end_disconnect(&c, 0, DISCONNECT_NOW); /* the end of a socket */
    end_progress(&c);
    for (int i = 0; i < 2 * SHM_LOOK_AFTER && !a.peers[2].downs; i++) wait(&a);
    assert_int_equal(a.peers[2].downs, 1);
    s.flows = false;
    end_progress(&a);
    pair_down(&a, &b);
    end_close(&c);
}

static void test_a_stream_leaves_other_links_their_turns(void **state)
{
    (void)state;
    leaves_other_links_their_turns(wait_for_stream);
}

static void test_an_expected_stream_leaves_other_links_their_turns(void **state)
{
    (void)state;
    leaves_other_links_their_turns(expect_stream);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, end_no_residue, end_no_residue)
    const struct CMUnitTest tests[] = {
        TEST(test_a_stream_leaves_puts_and_room_their_turns),
        TEST(test_an_expected_stream_leaves_puts_and_room_their_turns),
        TEST(test_messages_looked_at_move_the_puts),
        TEST(test_a_stream_leaves_other_links_their_turns),
        TEST(test_an_expected_stream_leaves_other_links_their_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
