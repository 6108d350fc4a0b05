/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * links.c - how links come to be: one for each pair, up once, whoever began
 */
#include "tests/contract/peer.h"
#include "tests/contract/cases.h"

#include <poll.h>
#include <string.h>

static void one_message_each_way(struct side *side, int rank)
{
    peer_send(&side->peer[rank]);
    SIDE_UNTIL(side, side->peer[rank].received >= side->peer[rank].sent);
}

static void link_comes_up_once_on_both_sides(struct job_rank *me)
{
    struct side side;
    side_open(&side, me);
    struct peer *peer = &side.peer[1 - me->rank];
    if (me->rank == 0) side_connect_wait(&side, 1);
    SIDE_UNTIL(&side, peer->ups == 1);
    CHECK_EQ(me, peer->links, me->rank == 1);
    one_message_each_way(&side, 1 - me->rank);
    side_close(&side);
    CHECK_EQ(me, peer->downs, 1);
}

static void crossing_connects_make_one_link(struct job_rank *me)
{
    struct side side;
    side_open(&side, me);
    side_barrier(&side);
    side_connect_all(&side);
    for (int round = 0; round < 3; round++)
        for (int r = 0; r < me->size; r++)
            if (r != me->rank) one_message_each_way(&side, r);
    side_close(&side);
    for (int r = 0; r < me->size; r++) CHECK_EQ(me, side.peer[r].ups, r != me->rank);
}

static void refused_link_goes_down_without_up(struct job_rank *me)
{
    struct side side;
    side_open(&side, me);
    side.peer[0].refuse = me->rank == 1;
    side_barrier(&side);
    if (me->rank == 0) {
        side_connect(&side, 1);
        SIDE_UNTIL(&side, side.peer[1].downs == 1);
        CHECK_EQ(me, side.peer[1].ups, 0);
        CHECK(me, side.peer[1].down_status < 0);
    }
    side_barrier(&side);
    CHECK(me, me->rank == 0 || side.peer[0].links >= 1);
    CHECK_EQ(me, side.peer[1 - me->rank].ups, 0);
    side_end(&side);
}

static void refused_link_can_be_made_later(struct job_rank *me)
{
    struct side side;
    side_open(&side, me);
    side.peer[0].refuse = me->rank == 1;
    side_barrier(&side);
    if (me->rank == 0) {
        side_connect(&side, 1);
        SIDE_UNTIL(&side, side.peer[1].downs == 1);
    }
    side_barrier(&side);
    side.peer[0].refuse = false;
    side_barrier(&side);
    if (me->rank == 0) {
        side.peer[1].downs = 0;
        side_connect_wait(&side, 1);
    }
    SIDE_UNTIL(&side, side.peer[1 - me->rank].ups == 1);
    one_message_each_way(&side, 1 - me->rank);
    side_close(&side);
}

static void send_before_up_is_again_then_room(struct job_rank *me)
{
    struct side side;
    side_open(&side, me);
    struct peer *peer = &side.peer[1 - me->rank];
    if (me->rank == 0) {
        side_connect(&side, 1);
        int status = peer_try(peer);
        CHECK(me, status == TRANSPORT_AGAIN || (peer->ups == 1 && status == 0));
        SIDE_UNTIL(&side, peer->ups == 1);
        if (status == TRANSPORT_AGAIN) SIDE_UNTIL(&side, peer->rooms > 0 || peer_try(peer) == 0);
        if (peer->sent == 0) peer_send(peer);
    } else {
        SIDE_UNTIL(&side, peer->received == 1);
    }
    side_close(&side);
}

static void link_can_be_made_again_after_it_left(struct job_rank *me)
{
    struct side side;
    side_open(&side, me);
    struct peer *peer = &side.peer[1 - me->rank];
    for (int round = 0; round < 4; round++) {
        side_barrier(&side);
        if (me->rank == round % 2) side_connect(&side, peer->rank);
        SIDE_UNTIL(&side, peer->ups == 1);
        one_message_each_way(&side, peer->rank);
        side_barrier(&side);
        if (me->rank == 0) side.ops->disconnect(peer->link, DISCONNECT_DRAIN);
        SIDE_UNTIL(&side, peer->link == NULL);
        CHECK_EQ(me, peer->down_status, 0);
        CHECK_EQ(me, peer->gone, GONE_LEFT);
        peer->ups = peer->downs = 0;
    }
    side_end(&side);
}

static void reach_answers_any_bytes_and_says_why_not(struct job_rank *me)
{
    struct side side;
    struct why why;
    uint8_t bytes[TRANSPORT_ADDRESS_MAX];
    side_open(&side, me);
    for (int r = 0; r < me->size; r++) {
        const struct peer *peer = &side.peer[r];
        if (r == me->rank) continue; /* messages to oneself need no transport */
        int score = side.ops->reach(side.t, peer->address, peer->address_len, &why);
        if (score < 0) job_fail(me, __FILE__, __LINE__, "cannot reach rank %d: %s", r, why.text);
    }
    CHECK(me, side.ops->reach(side.t, side.t->address, 0, &why) < 0);
    for (int i = 0; i < 2000; i++) {
        size_t len = job_below(me, sizeof(bytes) + 1);
        memcpy(bytes, side.t->address, sizeof(bytes));
        for (size_t b = job_below(me, sizeof(bytes)); b < sizeof(bytes); b++)
            bytes[b] = (uint8_t)job_random(me);
        why.text[0] = '\0';
        if (side.ops->reach(side.t, bytes, len, &why) < 0) CHECK(me, why.text[0] != '\0');
    }
    side_end(&side);
}

static void connect_to_nobody_goes_down(struct job_rank *me)
{
    struct side side;
    side_open(&side, me);
    side.config.setup_deadline = me->kind == JOB_SIM ? 100000000 : 1000000000;
    if (side.t->caps.wired) { /* its control link would know */
        side_end(&side);
        return;
    }
    struct peer *peer = &side.peer[1];
    if (me->rank == 1) {
        side_end(&side);
        atomic_store(&me->words[0], 1);
        return;
    }
    side_barrier(&side);
    job_await(me, 0, 1);
    side_connect(&side, 1);
    SIDE_UNTIL(&side, peer->downs == 1);
    CHECK_EQ(me, peer->ups, 0);
    CHECK(me, peer->down_status < 0);
    side.rounds--; /* the other took part in one barrier only */
    side_end(&side);
}

/* words[1]: messages received when it armed, and one. */
static void sleep_until_work(struct side *side)
{
    struct pollfd fd = { side->t->fd, POLLIN, 0 };
    if (side_progress(side, NULL) > 0) return;
    if (side->ops->arm(side->t) > 0) return;
    atomic_store(&side->me->words[1], (int64_t)side->peer[1].received + 1);
    CHECK_EQ(side->me, poll(&fd, 1, 10000), 1);
}

static void armed_descriptor_fires(struct job_rank *me)
{
    struct side side;
    enum { MESSAGES = 200 };
    side_open(&side, me);
    struct peer *peer = &side.peer[1 - me->rank];
    side_connect_all(&side);
    if (me->rank == 0) {
        while (peer->received < MESSAGES) sleep_until_work(&side);
    } else {
        for (int i = 0; i < MESSAGES; i++) {
            SIDE_UNTIL(&side, atomic_load(&me->words[1]) == i + 1); /* it sleeps */
            peer_send(peer);
        }
    }
    side_close(&side);
}

static void armed_descriptor_fires_at_first_contact(struct job_rank *me)
{
    struct side side;
    side_open(&side, me);
    struct peer *peer = &side.peer[1 - me->rank];
    /* Of a wired transport the control link wakes up. */
    if (me->rank == 0 && !side.t->caps.wired)
        while (peer->ups == 0) sleep_until_work(&side);
    else
        side_connect_wait(&side, 1 - me->rank);
    side_close(&side);
}

static void open_and_close_leave_nothing(struct job_rank *me)
{
    for (int i = 0; i < 5; i++) {
        struct side side;
        side_open(&side, me);
        side_end(&side);
    }
}

const struct suite_case contract_links[] = {
    { "a link comes up once on both sides", link_comes_up_once_on_both_sides, 2, 2, 0, 0, 0, 3 },
    { "crossing connects make one link", crossing_connects_make_one_link, 2, 8, 0, 0, 0, 5 },
    { "a refused link goes down without up", refused_link_goes_down_without_up, 2, 2, 0, 0, 0, 0 },
    { "a refused link can be made later", refused_link_can_be_made_later, 2, 2, 0, 0, 0, 0 },
    { "send before up is AGAIN, then room", send_before_up_is_again_then_room, 2, 2, 0, 0, 0, 0 },
    { "a link can be made again after it left", link_can_be_made_again_after_it_left, 2, 2, 0, 0, 0,
      0 },
    { "reach answers any bytes", reach_answers_any_bytes_and_says_why_not, 2, 2, 0, 0, 0, 0 },
    { "connect to nobody goes down", connect_to_nobody_goes_down, 2, 2, SUITE_REAL, 0, 0, 0 },
    { "an armed descriptor fires", armed_descriptor_fires, 2, 2, SUITE_REAL, 0, 0, 0 },
    { "an armed descriptor fires at first contact", armed_descriptor_fires_at_first_contact, 2, 2,
      SUITE_REAL, 0, 0, 0 },
    { "open and close leave nothing", open_and_close_leave_nothing, 1, 3, 0, 0, 0, 0 },
    SUITE_END,
};
