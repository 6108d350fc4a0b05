/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages of collectives that go straight: when their sender is told of room. */
#include "messaging_fake.h"

enum { STREAM = 24 };

struct wire {
    struct fake *f;
    struct sinew_team *team;
    size_t len;            /* of each message                                             */
    uint32_t window, room; /* of collectives' blocks at rank 1: all, and what it knows of */
    int looked;            /* at so many of what was sent                                 */
};

/* What rank 1 was told of room since: by messages of their own, and what these brought. */
static int told_alone(struct wire *w, uint32_t *blocks)
{
    int alone = 0;
    *blocks = 0;
    for (; w->looked < w->f->sents; w->looked++) {
        const struct packet *p = &w->f->sent[w->looked];
        if (p->link->rank != 1) continue;
        if (p->head[2] == KIND_COLL) w->room += wire_get16(p->head + 3);
        if (p->head[2] != KIND_CREDIT) continue;
        *blocks += wire_get16(p->head + 8);
        alone++;
    }
    w->room += *blocks;
    return alone;
}

/* Over links that lend what has come; both have all the room there is. */
static struct wire meet_lending(struct fake *f, size_t len)
{
    struct transport_caps *caps = &f->s->transport[0]->caps;
    caps->lends = caps->expects = true;
    struct wire w = { .f = f, .team = meet(f), .len = len };
    move(f);
    const struct peer *p = f->s->peer[1];
    w.room = w.window = p->window_blocks[SPACE_COLLECTIVE];
    uint32_t granted;
    assert_int_equal(told_alone(&w, &granted), 1);
    w.window += granted;
    say(f, &(struct words){ .rank = 1, .kind = KIND_CREDIT, .team = granted });
    move(f);
    assert_int_equal(p->mine.blocks[SPACE_COLLECTIVE], w.window);
    assert_int_equal(p->owed.blocks[SPACE_COLLECTIVE], 0);
    return w;
}

static void take_one(struct wire *w, uint32_t sequence, uint32_t credit)
{
    struct collective_key key = { .sequence = sequence };
    struct collective_lent m;
    say(w->f, &(struct words){ .rank = 1,
                               .kind = KIND_COLL,
                               .credit = (uint16_t)credit,
                               .tag = sequence,
                               .blen = w->len,
                               .fill = (uint8_t)sequence });
    w->room -= blocks_of(w->len);
    assert_true(collective_await_short(w->team, w->len, 1, &key, &m));
    assert_int_equal(*(const uint8_t *)m.body, (uint8_t)sequence);
    collective_taken(&m);
}

/* To whom nothing is sent has room for two more after each, and is not told of less than it takes
 * for that, or half of the window. */
static void a_root_is_told_of_room_in_time(void **state)
{
    for (size_t len = 100; len <= 7800; len += 350) {
        if (!*state) open_fake(state);
        struct wire w = meet_lending(*state, len);
        uint32_t cost = blocks_of(len), told;
        assert_in_range(cost, 1, w.window / 2);
        for (uint32_t i = 0; i < STREAM; i++) {
            take_one(&w, i, 0);
            uint32_t before = w.room;
            if (told_alone(&w, &told)) assert_true(before < 2 * cost || told >= w.window / 2);
            assert_in_range(w.room, 2 * cost, w.window);
        }
        close_fake(state);
        *state = NULL;
    }
}

/* What is sent takes it along: it is not told by a message more. */
static void an_exchange_takes_no_message_for_room(void **state)
{
    static uint8_t out[FAKE_BODY];
    for (size_t len = 200; len <= 7400; len += 450) {
        if (!*state) open_fake(state);
        struct wire w = meet_lending(*state, len);
        uint32_t cost = blocks_of(len), told;
        for (uint32_t i = 0; i < STREAM; i++) {
            struct collective_key key = { .sequence = i };
            assert_true(collective_send_short(w.team, out, len, 1, &key));
            take_one(&w, i, cost);
            assert_int_equal(told_alone(&w, &told), 0);
            assert_in_range(w.room, w.window - cost, w.window);
        }
        close_fake(state);
        *state = NULL;
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_root_is_told_of_room_in_time),
        cmocka_unit_test(an_exchange_takes_no_message_for_room),
    };
    return cmocka_run_group_tests_name("straight", cases, NULL, NULL);
}
