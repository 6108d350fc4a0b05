/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The session numbers frames, takes only the next one, and keeps what may be lost within bounds;
 * the region table finds what was granted,
 * drops what was granted once, and refuses everything else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/wire.h"
#include "sinew/sinew.h"
#include "tests/seed.h"
#include "tests/support/bounded.h"
#include "transport/tcp/region.h"
#include "transport/tcp/session.h"
#include "transport/transport.h"

static void begin(struct session *a, struct session *b)
{
    struct why why;
    assert_int_equal(session_begin(a, &world_real, 1, &why), 0);
    assert_int_equal(session_begin(b, &world_real, 2, &why), 0);
    a->peer_epoch = 2;
    b->peer_epoch = 1;
    a->theirs = b->mine;
    b->theirs = a->mine;
}

static void end(struct session *a, struct session *b)
{
    session_release(a, &world_real);
    session_release(b, &world_real);
}

/* A frame with a body, as it goes on the wire. */
static struct frame stamped(struct session *s, enum frame_kind kind, size_t len)
{
    static const uint8_t body[32 * 1024];
    struct frame f = { .kind = (uint8_t)kind, .length = (uint32_t)len };
    struct iovec v[4];
    int count;
    assert_true(session_append(s, &f, NULL, 0, body, len, false));
    session_sent(s, session_gather(s, v, 4, &count));
    return f;
}

static void frames_are_numbered_and_acknowledged(void **state)
{
    struct session a, b;
    struct why why;
    (void)state;
    begin(&a, &b);
    for (uint64_t i = 1; i <= 1000; i++) {
        struct frame f = stamped(&a, i % 3 ? FRAME_MESSAGE : FRAME_PUT, i);
        assert_int_equal(f.sequence, i);
        assert_int_equal(session_check(&b, &f, &why), 0);
        assert_int_equal(b.received, i - 1); /* not before it is whole */
        session_received(&b, &f);
        if (i % 10 == 0) {
            struct frame back = stamped(&b, FRAME_ACK, 0);
            assert_int_equal(back.sequence, 0);
            assert_int_equal(session_check(&a, &back, &why), 0);
            assert_int_equal(a.acknowledged, i);
            assert_true(a.from == a.to);
        }
    }
    end(&a, &b);
}

static void only_the_next_frame_of_this_epoch_is_taken(void **state)
{
    struct session a, b;
    struct why why;
    (void)state;
    begin(&a, &b);
    struct frame first = stamped(&a, FRAME_MESSAGE, 5), second = stamped(&a, FRAME_MESSAGE, 6);
    struct frame other = first, none = first;
    other.epoch = 7;
    none.sequence = 0;
    assert_int_equal(session_check(&b, &second, &why), SINEW_EPROTO);
    assert_int_equal(session_check(&b, &other, &why), SINEW_EPROTO);
    assert_int_equal(session_check(&b, &none, &why), SINEW_EPROTO);
    assert_int_equal(session_check(&b, &first, &why), 0);
    session_received(&b, &first);
    assert_int_equal(session_check(&b, &first, &why), SESSION_AGAIN); /* a second time */
    assert_int_equal(b.discarded, 1);
    assert_true(session_owes_ack(&b)); /* it seems not to know */
    assert_int_equal(session_check(&b, &second, &why), 0);
    end(&a, &b);
}

static void acknowledgements_only_grow_and_never_past_what_was_sent(void **state)
{
    struct session a, b;
    struct why why;
    (void)state;
    begin(&a, &b);
    for (int i = 0; i < 5; i++) stamped(&a, FRAME_MESSAGE, 10);
    struct frame ack = { .kind = FRAME_ACK, .epoch = 2, .acknowledged = 6 };
    assert_int_equal(session_check(&a, &ack, &why), SINEW_EPROTO);
    ack.acknowledged = 4;
    assert_int_equal(session_check(&a, &ack, &why), 0);
    ack.acknowledged = 3; /* a frame that is sent again says what it said first */
    assert_int_equal(session_check(&a, &ack, &why), 0);
    assert_int_equal(a.acknowledged, 4);
    struct frame waits = { .kind = FRAME_MESSAGE };
    assert_true(session_append(&a, &waits, NULL, 0, NULL, 0, false));
    ack.acknowledged = 6; /* in the window, not sent */
    assert_int_equal(session_check(&a, &ack, &why), SINEW_EPROTO);
    end(&a, &b);
}

static void an_acknowledgement_is_owed_when_asked_or_after_many(void **state)
{
    struct session s, other;
    struct frame f = { .kind = FRAME_MESSAGE, .epoch = 1 };
    (void)state;
    begin(&other, &s);
    for (f.sequence = 1; f.sequence < SESSION_ACK_FRAMES; f.sequence++) {
        session_received(&s, &f);
        assert_false(session_owes_ack(&s));
    }
    session_received(&s, &f);
    assert_true(session_owes_ack(&s));
    stamped(&s, FRAME_MESSAGE, 0); /* any frame carries it */
    assert_false(session_owes_ack(&s));
    f.sequence++;
    f.flags = FRAME_URGENT;
    session_received(&s, &f);
    assert_true(session_owes_ack(&s));
    stamped(&s, FRAME_ACK, 0);
    f.flags = 0;
    f.length = SESSION_ACK_BYTES;
    f.sequence++;
    session_received(&s, &f);
    assert_true(session_owes_ack(&s));
    end(&other, &s);
}

static void the_window_is_bounded_and_keeps_room_for_what_must_go(void **state)
{
    struct session a, b;
    struct frame f = { .kind = FRAME_MESSAGE, .length = 1000 }, ack = { .kind = FRAME_ACK };
    uint8_t body[1000] = { 0 };
    struct why why;
    int frames = 0;
    (void)state;
    begin(&a, &b);
    WHILE (session_append(&a, &f, NULL, 0, body, sizeof(body), false)) frames++;
    assert_true(frames * 1032 <= SESSION_WINDOW && frames * 1032 >= SESSION_WINDOW - 6000);
    for (int i = 0; i < SESSION_RESERVE / FRAME_HEADER; i++)
        assert_true(session_append(&a, &ack, NULL, 0, NULL, 0, true));
    struct iovec v[4];
    int count;
    session_sent(&a, session_gather(&a, v, 4, &count));
    struct frame back = { .kind = FRAME_ACK, .epoch = 2, .acknowledged = a.sent };
    assert_int_equal(session_check(&a, &back, &why), 0);
    assert_true(a.from == a.to && session_all_sent(&a)); /* acknowledgements too */
    end(&a, &b);
}

/* One who only receives sends nothing but acknowledgements, which nobody acknowledges. */
static void acknowledgements_do_not_fill_the_window(void **state)
{
    struct session a, b;
    (void)state;
    begin(&a, &b);
    for (int i = 0; i < 3 * SESSION_WINDOW / FRAME_HEADER; i++) stamped(&b, FRAME_ACK, 0);
    assert_true(session_room(&b) == SESSION_WINDOW - SESSION_RESERVE);
    end(&a, &b);
}

static void lent_bodies_come_back_when_acknowledged_only(void **state)
{
    struct session a, b;
    struct frame f = { .kind = FRAME_PUT, .length = 116 };
    uint8_t head[16] = { 0 }, body[100];
    struct iovec v[8];
    struct why why;
    void *owner;
    int count;
    (void)state;
    begin(&a, &b);
    for (uintptr_t i = 1; i <= SESSION_LENT; i++) {
        f.kind = FRAME_PUT;
        assert_true(session_append_lent(&a, &f, head, 16, body, 100, (void *)i));
    }
    assert_false(session_append_lent(&a, &f, head, 16, body, 100, NULL));
    assert_int_equal(session_gather(&a, v, 8, &count), 4 * 148);
    assert_ptr_equal(v[1].iov_base, body);
    WHILE (!session_all_sent(&a)) session_sent(&a, session_gather(&a, v, 8, &count));
    assert_false(session_returned(&a, &owner));
    struct frame ack = { .kind = FRAME_ACK, .epoch = 2, .acknowledged = 2 };
    assert_int_equal(session_check(&a, &ack, &why), 0);
    for (uintptr_t i = 1; i <= 2; i++) {
        assert_true(session_returned(&a, &owner));
        assert_int_equal((uintptr_t)owner, i);
    }
    assert_false(session_returned(&a, &owner));
    assert_true(session_append_lent(&a, &f, head, 16, body, 100, NULL));
    end(&a, &b);
}

static void another_session_is_not_this_one(void **state)
{
    struct session a, b;
    struct why why;
    uint8_t bytes[JOIN_FRAME];
    struct join join, got;
    (void)state;
    begin(&a, &b);
    join = (struct join){ .mine = a.mine, .yours = b.mine, .received = 3, .attempt = 9,
                          .address_len = 7, .address = "address" };
    session_join_encode(bytes, FRAME_JOIN, 1, &join);
    assert_int_equal(session_join_decode(bytes, FRAME_JOIN, 1, &got, &why), 0);
    assert_true(got.mine == join.mine && got.yours == join.yours && got.received == 3 &&
                got.attempt == 9 && got.address_len == 7);
    assert_memory_equal(got.address, join.address, sizeof(join.address));
    assert_true(session_is(&b, &got));
    assert_int_equal(session_join_decode(bytes, FRAME_JOIN, 5, &got, &why), SINEW_EPROTO);
    assert_int_equal(session_join_decode(bytes, FRAME_WELCOME, 1, &got, &why), SINEW_EPROTO);
    got.yours++;
    assert_false(session_is(&b, &got));
    got.yours = 0;
    assert_true(session_is(&b, &got)); /* it never heard */
    got.mine++;
    assert_false(session_is(&b, &got)); /* it began anew */
    struct join liar = { .mine = a.mine, .yours = b.mine, .received = 1 };
    assert_int_equal(session_resume(&b, &liar, &why), SINEW_EPROTO); /* nothing was sent */
    stamped(&b, FRAME_MESSAGE, 10);
    assert_int_equal(session_resume(&b, &liar, &why), 0);
    liar.received = 0;
    assert_int_equal(session_resume(&b, &liar, &why), SINEW_EPROTO); /* it had it */
    end(&a, &b);
}

static void granted_is_found_ended_is_dropped_invented_is_refused(void **state)
{
    struct region_table table = { 0 };
    uint8_t memory[100];
    struct region r = { .base = memory, .len = sizeof(memory) };
    struct why why;
    void *place;
    (void)state;
    assert_int_equal(region_add(&table, &world_real, &r, &why), 0);
    uint64_t old = r.id;
    assert_int_equal(region_find(&table, old, 40, 60, &place, &why), 0);
    assert_ptr_equal(place, memory + 40);
    assert_int_equal(region_find(&table, old, 100, 0, &place, &why), 0);
    assert_int_equal(region_find(&table, old, 41, 60, &place, &why), SINEW_EPROTO);
    assert_int_equal(region_find(&table, old, 101, 0, &place, &why), SINEW_EPROTO);
    assert_int_equal(region_find(&table, old, UINT64_MAX, 2, &place, &why), SINEW_EPROTO);
    assert_int_equal(region_find(&table, old, 2, UINT64_MAX, &place, &why), SINEW_EPROTO);
    region_remove(&table, &r);
    region_remove(&table, &r); /* twice is once: dereg may be called again after AGAIN */
    assert_int_equal(region_find(&table, old, 0, 1, &place, &why), 0);
    assert_null(place);
    assert_int_equal(region_add(&table, &world_real, &r, &why), 0);
    assert_true(r.id != old);
    assert_int_equal(region_find(&table, old, 0, 1, &place, &why), 0);
    assert_null(place);
    uint64_t future = r.id + (UINT64_C(1) << REGION_INDEX_BITS);
    assert_int_equal(region_find(&table, future, 0, 1, &place, &why), SINEW_EPROTO);
    for (int bit = 40; bit < 64; bit++)
        assert_int_equal(region_find(&table, r.id ^ UINT64_C(1) << bit, 0, 1, &place, &why),
                         SINEW_EPROTO);
    assert_int_equal(region_find(&table, r.id + 1, 0, 1, &place, &why), SINEW_EPROTO);
    assert_int_equal(region_find(&table, 0, 0, 0, &place, &why), SINEW_EPROTO);
    region_table_release(&table, &world_real);
}

/* Against a model: at any time exactly the live regions are found, at their own memory. */
static void the_table_is_right_through_any_life(void **state)
{
    enum { REGIONS = 100 };
    struct seed seed = seed_from_environment("tcp regions");
    static uint8_t memory[REGIONS][8];
    struct region r[REGIONS] = { 0 };
    bool live[REGIONS] = { false };
    struct region_table table = { 0 };
    struct why why;
    void *place;
    (void)state;
    for (int step = 0; step < 20000; step++) {
        size_t i = (size_t)seed_below(&seed, REGIONS);
        if (live[i]) {
            region_remove(&table, &r[i]);
        } else {
            r[i] = (struct region){ .base = memory[i], .len = 8 };
            assert_int_equal(region_add(&table, &world_real, &r[i], &why), 0);
        }
        live[i] = !live[i];
        i = (size_t)seed_below(&seed, REGIONS);
        if (!r[i].id) continue;
        assert_int_equal(region_find(&table, r[i].id, 0, 8, &place, &why), 0);
        assert_ptr_equal(place, live[i] ? memory[i] : NULL);
    }
    assert_true(table.count <= REGIONS);
    region_table_release(&table, &world_real);
}

static void a_key_says_what_it_is_for(void **state)
{
    struct region_table table = { 0 };
    uint8_t memory[64];
    struct region mine = { .base = memory, .len = sizeof(memory) };
    struct why why;
    (void)state;
    region_add(&table, &world_real, &mine, &why);
    struct region theirs = { .len = 64, .key_len = mine.key_len };
    memcpy(theirs.key, mine.key, sizeof(theirs.key));
    assert_int_equal(region_import(&theirs, &why), 0);
    assert_int_equal(theirs.id, mine.id);
    theirs.len = 65;
    assert_int_equal(region_import(&theirs, &why), SINEW_EINVAL);
    theirs.len = 64;
    theirs.key_len = 17;
    assert_int_equal(region_import(&theirs, &why), SINEW_EINVAL);
    region_table_release(&table, &world_real);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_numbered_and_acknowledged),
        cmocka_unit_test(only_the_next_frame_of_this_epoch_is_taken),
        cmocka_unit_test(acknowledgements_only_grow_and_never_past_what_was_sent),
        cmocka_unit_test(an_acknowledgement_is_owed_when_asked_or_after_many),
        cmocka_unit_test(the_window_is_bounded_and_keeps_room_for_what_must_go),
        cmocka_unit_test(acknowledgements_do_not_fill_the_window),
        cmocka_unit_test(lent_bodies_come_back_when_acknowledged_only),
        cmocka_unit_test(another_session_is_not_this_one),
        cmocka_unit_test(granted_is_found_ended_is_dropped_invented_is_refused),
        cmocka_unit_test(the_table_is_right_through_any_life),
        cmocka_unit_test(a_key_says_what_it_is_for),
    };
    return cmocka_run_group_tests_name("tcp session and regions", tests, NULL, NULL);
}
