/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * frames_test.c - frames of wired links (transport/framed), on a UCX of the tests' own: whatever
 * their numbers, they confirm what they say; and what they carry is handed up when it may be
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/wire.h"
#include "tests/support/ends.h"
#include "tests/ucx/fake_ucx.h"
#include "transport/framed/framed.h"
#include "transport/ucx/ucx.h"

enum { RANK = 3, OTHER = RANK + 1, KEY = 7 };

static int fresh(void **state)
{
    (void)state;
    fake_reset();
    ends_skipped_ns = 0;
    return 0;
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* Almost as far as frame `many` of each way, without sending them. */
static void frames_have_gone(struct end e[2], uint32_t many)
{
    for (int i = 0; i < 2; i++) {
        struct framed_link *out = framed_link_of(e[i].link[RANK].link);
        struct framed_link *in = framed_link_of(e[1 - i].link[RANK].link);
        uint32_t more = (many - out->acked) / FRAMED_WINDOW * FRAMED_WINDOW;
        assert_true(more < 1u << 31 && in->early.n == 0);
        out->sent += more;
        out->acked += more;
        in->dealt += more;
        in->told += more;
    }
}

/* The window full and emptied again and again, so that confirmations come in every way. */
static void stream(struct end e[2], int from_end, int messages)
{
    struct end_link *to_link = &e[1 - from_end].link[RANK];
    int sent = to_link->received, goal = sent + messages;
    WHILE (to_link->received < goal) {
        while (sent < goal && end_send(&e[from_end], RANK, sent, 10) == 0) sent++;
        ends_turn(e);
    }
    ends_settle(e);
}

/* Every counter of a link goes past 2^31 and past 2^32, also of one that only ever sends. */
static void counters_of_frames_wrap(void **state)
{
    static const uint32_t many[] = { 0x7ffffe00, 0xfffffe00, 0x7ffffe00, 0xfffffe00 };
    (void)state;
    for (uint32_t disorder = 0; disorder < 40; disorder += 13) {
        struct end e[2];
        fake_reset();
        fake_knobs.disorder = disorder;
        ends_open(e);
        ends_connect(e, RANK);
        for (int i = 0; i < 4; i++) {
            ends_settle(e);
            frames_have_gone(e, many[i]);
            stream(e, 0, 1000);
            stream(e, 1, 1000);
        }
        ends_close(e);
    }
}

/* Also the goodbye that is frame 0. */
static void a_goodbye_may_have_any_number(void **state)
{
    (void)state;
    for (uint32_t last = 0xfffffffd; last != 3; last++) {
        struct end e[2];
        fake_reset();
        ends_open(e);
        ends_connect(e, RANK);
        ends_settle(e);
        frames_have_gone(e, 0x7ffffe00);
        stream(e, 0, 1000);
        frames_have_gone(e, 0xfffffc00);
        stream(e, 0, (int)(last - framed_link_of(e[0].link[RANK].link)->sent));
        int sent = e[1].link[RANK].received;
        transport_ucx.disconnect(e[0].link[RANK].link, DISCONNECT_DRAIN);
        ENDS_UNTIL(e, e[0].link[RANK].downs && e[1].link[RANK].downs);
        assert_int_equal(e[1].link[RANK].received, sent);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(e[i].link[RANK].status, 0);
            assert_int_equal(e[i].link[RANK].gone, GONE_LEFT);
        }
        ends_close(e);
    }
}

/* ---- what is awaited ------------------------------------------------------------------------- */

/* A message as messaging sends it: 16 bytes of head, which follow on those before. */
static int send_awaited(struct end *e, int rank, uint64_t body)
{
    const struct framed_link *l = framed_link_of(e->link[rank].link);
    uint8_t head[SLIM_HEAD];
    wire_put64(head, slim_word(l->next_out, 0, sizeof(body)));
    wire_put64(head + 8, KEY);
    return transport_ucx.send(e->link[rank].link, head, sizeof(head), &body, sizeof(body), NULL, 0);
}

static int received_first;

static int takes_any(struct link *l, const void *head, size_t hlen, const void *body, size_t blen,
                     struct lease *lease)
{
    (void)head, (void)hlen, (void)body, (void)blen, (void)lease;
    if (!received_first) received_first = l->rank;
    return 0;
}

/* Two links expect something, and it comes in one look: one takes it, and there are no upcalls for
 * that one before messaging has seen to it; the other gets it by recv. All that is confirmed is
 * heard. */
static void one_link_takes_in_a_look(void **state)
{
    struct end e[2];
    uint64_t got[2] = { 0 }, body = 77;
    (void)state;
    fake_knobs.prompt = true;
    ends_open(e);
    ends_connect(e, RANK);
    ends_connect(e, OTHER);
    ends_settle(e);
    e[1].up.recv = takes_any;
    received_first = 0;
    struct framed_link *l = framed_link_of(e[1].link[RANK].link);
    struct expect want[2];
    for (int i = 0; i < 2; i++) {
        want[i] = (struct expect){ .key = KEY, .buf = &got[i], .cap = sizeof(got[i]) };
        e[1].link[RANK + i].link->expect = &want[i];
    }
    assert_int_equal(end_send(&e[1], RANK, 0, 10), 0);
    end_turn(&e[0]);
    uint32_t unconfirmed = l->sent - l->acked;
    assert_true(unconfirmed > 0);
    assert_int_equal(send_awaited(&e[0], RANK, body), 0);
    assert_int_equal(send_awaited(&e[0], OTHER, body), 0);
    assert_int_equal(end_send(&e[0], RANK, 0, 10), 0);
    transport_ucx.progress(e[1].t, NULL);
    assert_true(want[0].done && got[0] == body);
    assert_false(want[1].done);
    assert_int_equal(received_first, OTHER);
    transport_ucx.progress(e[1].t, NULL);
    assert_int_equal(l->acked, l->sent);
    ends_close(e);
}

/* What came between the last look and arm() is found there, though UCX would sleep on it: it looks
 * once more. Nothing of it is handed up before progress(). */
static void what_came_before_arm_keeps_awake(void **state)
{
    struct end e[2];
    (void)state;
    fake_knobs.unheard = true;
    ends_open(e);
    ends_connect(e, RANK);
    ends_settle(e);
    struct end_link *to = &e[1].link[RANK];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(transport_ucx.arm(e[1].t), 0);
        assert_int_equal(end_send(&e[0], RANK, i, 10), 0);
        end_turn(&e[0]);
        assert_true(transport_ucx.arm(e[1].t) > 0);
        assert_int_equal(to->received, i);
        end_turn(&e[1]);
        assert_int_equal(to->received, i + 1);
        ends_settle(e);
    }
    ends_close(e);
}

/* What was confirmed stays so when an older confirmation comes late, before it was seen to. */
static void an_older_word_takes_nothing_back(void **state)
{
    struct end e[2];
    uint64_t got = 0;
    uint8_t late[FRAMED_HEADER] = { 0 };
    (void)state;
    fake_knobs.prompt = true;
    ends_open(e);
    ends_connect(e, RANK);
    ends_settle(e);
    struct framed_link *l = framed_link_of(e[0].link[RANK].link);
    for (int i = 0; i < 3; i++) assert_int_equal(end_send(&e[0], RANK, i, 60), 0);
    end_turn(&e[1]);
    assert_int_equal(send_awaited(&e[1], RANK, 0), 0);
    wire_put64(late, l->token);
    wire_put32(late + 8, l->id);
    wire_put32(late + 16, l->sent - 1);
    late[20] = FRAME_ACK;
    fake_inject(0, NULL, 0, late, sizeof(late));
    struct expect want = { .key = KEY, .buf = &got, .cap = sizeof(got) };
    l->base.expect = &want;
    transport_ucx.progress(e[0].t, &l->base);
    assert_true(want.done);
    assert_int_equal(l->acked, l->sent - 1);
    end_turn(&e[0]);
    assert_int_equal(l->acked, l->sent);
    ends_close(e);
}

/* ---- the end before up ----------------------------------------------------------------------- */

static void (*up_before)(struct link *l);
static int said_in_up;

static void up_sends(struct link *l)
{
    int number = 0;
    up_before(l);
    said_in_up = transport_ucx.send(l, &number, sizeof(number), NULL, 0, NULL, 0);
}

/* Two ends, of which one is up and has sent five messages. The other, which is returned, has not
 * heard yet that both are ready; `up` will be called in place of its own. */
static struct end *ends_of_which_one_is_late(struct end e[2], void (*up)(struct link *l))
{
    int turn = 0;
    fake_knobs.prompt = true;
    ends_open(e);
    assert_int_equal(end_connect(&e[0], RANK) | end_connect(&e[1], RANK), 0);
    WHILE (!e[0].link[RANK].ups && !e[1].link[RANK].ups) end_turn(&e[turn++ % 2]);
    struct end *early = &e[e[1].link[RANK].ups], *late = early->other;
    for (int i = 0; i < 5; i++) assert_int_equal(end_send(early, RANK, i, 100), 0);
    up_before = late->up.up;
    late->up.up = up;
    return late;
}

/* One end is up and sends, while the other has not heard yet that both are ready; the link ends for
 * that one first, in one of three ways. What was sent arrives all the same, and up comes before it;
 * inside it nothing is sent any more, nor handed back. */
static void up_comes_before_what_arrives_at_the_end(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        struct end e[2];
        fake_reset();
        struct end *late = ends_of_which_one_is_late(e, up_sends);
        said_in_up = 0;
        if (way == 0)
            fake_fail(late->rank, UCS_ERR_CONNECTION_RESET);
        else
            transport_ucx.disconnect(late->link[RANK].link,
                                     way == 1 ? DISCONNECT_BROKEN : DISCONNECT_DEAD);
        ENDS_UNTIL(e, late->link[RANK].downs);
        assert_int_equal(late->link[RANK].ups, 1);
        assert_int_equal(late->link[RANK].received, 5);
        assert_int_equal(late->link[RANK].gone, way == 2 ? GONE_DIED : GONE_BROKEN);
        assert_true(said_in_up < 0);
        assert_int_equal(late->link[RANK].rooms + late->link[RANK].undone, 0);
        ends_close(e);
    }
}

static void up_cuts(struct link *l)
{
    up_before(l);
    transport_ucx.disconnect(l, DISCONNECT_NOW);
}

/* As before, and the owner cuts the link inside `up`: he hears nothing of it after that. */
static void who_cuts_inside_up_hears_nothing(void **state)
{
    struct end e[2];
    (void)state;
    struct end *late = ends_of_which_one_is_late(e, up_cuts);
    transport_ucx.disconnect(late->link[RANK].link, DISCONNECT_BROKEN);
    ENDS_UNTIL(e, late->link[RANK].downs);
    assert_int_equal(late->link[RANK].ups, 1);
    assert_int_equal(late->link[RANK].received + late->link[RANK].undone, 0);
    ends_close(e);
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(counters_of_frames_wrap),
        TEST(a_goodbye_may_have_any_number),
        TEST(what_came_before_arm_keeps_awake),
        TEST(an_older_word_takes_nothing_back),
        TEST(one_link_takes_in_a_look),
        TEST(up_comes_before_what_arrives_at_the_end),
        TEST(who_cuts_inside_up_hears_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
