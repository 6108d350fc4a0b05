/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The session numbers frames and takes only the next one; the region table finds what was granted,
 * drops what was granted once, and refuses everything else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/wire.h"
#include "sinew/sinew.h"
#include "tests/seed.h"
#include "transport/tcp/region.h"
#include "transport/tcp/session.h"
#include "transport/transport.h"

static struct frame stamped(struct session *s, enum frame_kind kind)
{
    struct frame f = { .kind = (uint8_t)kind };
    session_stamp(s, &f);
    return f;
}

static void frames_are_numbered_and_acknowledged(void **state)
{
    struct session a, b;
    struct why why;
    (void)state;
    session_begin(&a, 1, 2);
    session_begin(&b, 2, 1);
    for (uint64_t i = 1; i <= 1000; i++) {
        struct frame f = stamped(&a, i % 3 ? FRAME_MESSAGE : FRAME_PUT);
        assert_int_equal(f.sequence, i);
        assert_int_equal(session_check(&b, &f, &why), 0);
        assert_int_equal(b.received, i - 1); /* not before it is whole */
        session_received(&b, &f, false);
        if (i % 10 == 0) {
            struct frame back = stamped(&b, FRAME_ACK);
            assert_int_equal(back.sequence, 0);
            assert_int_equal(session_check(&a, &back, &why), 0);
            assert_int_equal(a.acknowledged, i);
        }
    }
}

static void only_the_next_frame_of_this_epoch_is_taken(void **state)
{
    struct session a, b;
    struct why why;
    (void)state;
    session_begin(&a, 1, 2);
    session_begin(&b, 2, 1);
    struct frame first = stamped(&a, FRAME_MESSAGE), second = stamped(&a, FRAME_MESSAGE);
    struct frame other = first;
    other.epoch = 7;
    assert_int_equal(session_check(&b, &second, &why), SINEW_EPROTO);
    assert_int_equal(session_check(&b, &other, &why), SINEW_EPROTO);
    assert_int_equal(session_check(&b, &first, &why), 0);
    session_received(&b, &first, false);
    assert_int_equal(session_check(&b, &first, &why), SINEW_EPROTO); /* a second time */
    assert_int_equal(session_check(&b, &second, &why), 0);
}

static void acknowledgements_only_grow_and_never_past_what_was_sent(void **state)
{
    struct session a;
    struct why why;
    (void)state;
    session_begin(&a, 1, 2);
    for (int i = 0; i < 5; i++) stamped(&a, FRAME_MESSAGE);
    struct frame ack = { .kind = FRAME_ACK, .epoch = 2, .acknowledged = 6 };
    assert_int_equal(session_check(&a, &ack, &why), SINEW_EPROTO);
    ack.acknowledged = 4;
    assert_int_equal(session_check(&a, &ack, &why), 0);
    ack.acknowledged = 3;
    assert_int_equal(session_check(&a, &ack, &why), SINEW_EPROTO);
    assert_int_equal(a.acknowledged, 4);
}

static void an_acknowledgement_is_owed_when_asked_or_after_many(void **state)
{
    struct session s;
    struct frame f = { .kind = FRAME_MESSAGE, .epoch = 1 };
    (void)state;
    session_begin(&s, 2, 1);
    for (f.sequence = 1; f.sequence < SESSION_ACK_EVERY; f.sequence++) {
        session_received(&s, &f, false);
        assert_false(session_owes_ack(&s));
    }
    session_received(&s, &f, false);
    assert_true(session_owes_ack(&s));
    stamped(&s, FRAME_MESSAGE); /* any frame carries it */
    assert_false(session_owes_ack(&s));
    f.sequence++;
    session_received(&s, &f, true);
    assert_true(session_owes_ack(&s));
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
        cmocka_unit_test(granted_is_found_ended_is_dropped_invented_is_refused),
        cmocka_unit_test(the_table_is_right_through_any_life),
        cmocka_unit_test(a_key_says_what_it_is_for),
    };
    return cmocka_run_group_tests_name("tcp session and regions", tests, NULL, NULL);
}
