/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sends.c - messages: whole, in order, once, however fast and however slow the other is
 *
 * The recorder in peer.c checks the content, order and lengths of every message that arrives here.
 */
#include "tests/contract/peer.h"
#include "tests/contract/cases.h"
#include "transport/sim/sim.h"

enum { EDGES = 40 };

/* Body lengths where slots, cache lines, pages and fragments begin and end. */
static size_t edge(uint64_t i)
{
    static const size_t base[] = { 0, 16, 32, 40, 48, 56, 64, 128, 256, 512, 1024, 2048, 4096 };
    i %= EDGES - 1;
    return base[i / 3] + (i % 3) - (i / 3 ? 1 : 0);
}

static void shape_heads_and_edges(uint64_t number, size_t *hlen, size_t *blen)
{
    *hlen = number / EDGES % (TRANSPORT_HEAD_MAX + 1);
    *blen = edge(number % EDGES);
}

static void shape_every_length(uint64_t number, size_t *hlen, size_t *blen)
{
    *hlen = 16;
    *blen = number;
}

static void shape_long(uint64_t number, size_t *hlen, size_t *blen)
{
    *hlen = TRANSPORT_HEAD_MAX;
    *blen = 4096 - number % 100;
}

static void pair_open(struct side *side, struct job_rank *me,
                      void (*shape)(uint64_t, size_t *, size_t *))
{
    side_open(side, me);
    for (int r = 0; r < me->size; r++) side->peer[r].shape = shape;
    side_connect_all(side);
}

/* n messages from rank 0 to rank 1. */
static void stream(struct job_rank *me, uint64_t n, void (*shape)(uint64_t, size_t *, size_t *))
{
    struct side side;
    pair_open(&side, me, shape);
    struct peer *peer = &side.peer[1 - me->rank];
    if (me->rank == 0)
        for (uint64_t i = 0; i < n; i++) peer_send(peer);
    else
        SIDE_UNTIL(&side, peer->received == n);
    side_close(&side);
    CHECK_EQ(me, peer->received, me->rank == 1 ? n : 0);
}

static void every_head_with_edge_bodies(struct job_rank *me)
{
    stream(me, (TRANSPORT_HEAD_MAX + 1) * EDGES, shape_heads_and_edges);
}

static void every_body_length(struct job_rank *me)
{
    stream(me, 4097, shape_every_length);
}

/* eager_max is the transport's own, so the shape takes it from where the case has put it. */
static _Thread_local size_t longest;

static void shape_up_to_longest(uint64_t number, size_t *hlen, size_t *blen)
{
    *hlen = number % 2 ? TRANSPORT_HEAD_MAX : 0;
    *blen = longest - number * number % (longest + 1);
}

static void bodies_up_to_eager_max(struct job_rank *me)
{
    struct side side;
    side_open(&side, me);
    struct peer *peer = &side.peer[1 - me->rank];
    longest = side.t->caps.eager_max;
    peer->shape = shape_up_to_longest; /* the first message may come with `up` */
    side_connect_all(&side);
    if (me->rank == 0)
        for (int i = 0; i < 300; i++) peer_send(peer);
    else
        SIDE_UNTIL(&side, peer->received == 300);
    side_close(&side);
}

static void full_link_is_again_then_room(struct job_rank *me)
{
    struct side side;
    enum { MOST = 64 << 20 };
    pair_open(&side, me, shape_long);
    struct peer *peer = &side.peer[1 - me->rank];
    side_barrier(&side);
    if (me->rank == 0) {
        size_t taken = 0;
        /* The other does not look: what is taken must be bounded. */
        for (int status = 0; taken < MOST; taken += 4096)
            if ((status = peer_try(peer)) != 0 && status != TRANSPORT_HELD) break;
        CHECK(me, taken > 0 && taken < MOST);
        for (int i = 0; i < 50; i++) side_progress(&side, NULL);
        atomic_store(&me->words[0], 1);
        for (int i = 0; i < 1000; i++) peer_send(peer);
        atomic_store(&me->words[1], (int64_t)peer->sent);
    } else {
        job_await(me, 0, 1);
        SIDE_UNTIL(&side,
                   peer->received > 1000 && atomic_load(&me->words[1]) == (int64_t)peer->received);
    }
    side_close(&side);
}

static void both_ways_at_once(struct job_rank *me)
{
    struct side side;
    enum { MESSAGES = 3000 };
    pair_open(&side, me, shape_small);
    for (int i = 0; i < MESSAGES; i++)
        for (int r = 0; r < me->size; r++)
            if (r != me->rank) peer_send(&side.peer[r]);
    for (int r = 0; r < me->size; r++)
        if (r != me->rank) SIDE_UNTIL(&side, side.peer[r].received == MESSAGES);
    side_close(&side);
}

static void answers_from_inside_recv(struct job_rank *me)
{
    struct side side;
    enum { MESSAGES = 500 };
    side_open(&side, me);
    struct peer *peer = &side.peer[1 - me->rank];
    peer->echoes = me->rank == 1; /* the first message may come with `up` */
    side_connect_all(&side);
    if (me->rank == 0)
        for (uint64_t i = 0; i < MESSAGES; i++) {
            peer_send(peer);
            SIDE_UNTIL(&side, peer->received == i + 1);
        }
    else
        SIDE_UNTIL(&side, peer->received == MESSAGES && peer->sent == MESSAGES);
    side_close(&side);
}

static void nobody_is_starved(struct job_rank *me)
{
    struct side side;
    enum { MESSAGES = 1500 };
    pair_open(&side, me, shape_small);
    side_barrier(&side);
    if (me->rank > 0) {
        for (int i = 0; i < MESSAGES; i++) peer_send(&side.peer[0]);
    } else {
        /* Polling for one of them must hear the others too. */
        struct peer *loud = &side.peer[1];
        int64_t until = side_limit(&side);
        for (int r = 1; r < me->size; r++)
            while (side.peer[r].received < MESSAGES) {
                CHECK(me, job_now(me) < until);
                side_progress(&side, loud->link);
            }
    }
    side_close(&side);
}

static void bad_bytes_cost_one_link(struct job_rank *me)
{
    struct side side;
    pair_open(&side, me, shape_small);
    side_barrier(&side);
    if (me->rank == 0) side.peer[1].breaks = true;
    if (me->rank == 1) peer_send(&side.peer[0]);
    if (me->rank < 2) {
        struct peer *other = &side.peer[1 - me->rank];
        SIDE_UNTIL(&side, other->downs == 1);
        if (me->rank == 0) CHECK_EQ(me, other->down_status, SINEW_EPROTO);
        CHECK(me, other->gone != GONE_LEFT);
        other->ups = other->downs = 0;
    }
    side_barrier(&side);
    /* The third rank's links are as good as before. */
    if (me->rank == 2)
        for (int r = 0; r < 2; r++) peer_send(&side.peer[r]);
    else
        SIDE_UNTIL(&side, side.peer[2].received == 1);
    side_close(&side);
}

/* A run of held sends ends by one done(), made by progress. */
static void held_until_progress(struct job_rank *me)
{
    struct side side;
    enum { RUN = 20 };
    pair_open(&side, me, shape_small);
    struct peer *peer = &side.peer[1 - me->rank];
    side_barrier(&side);
    if (me->rank == 0) {
        for (int i = 0; i < RUN; i++) {
            int status = peer_try_with(peer, true);
            CHECK_EQ(me, status, side.t->caps.holds ? TRANSPORT_HELD : 0);
        }
        uint64_t cookie = peer->held;
        if (cookie) SIDE_UNTIL(&side, !peer->held);
        if (cookie) CHECK_EQ(me, side.cookie_status[cookie % SIDE_COOKIES_MAX], 0);
        job_await(me, 0, 1); /* and no progress any more */
    } else {
        SIDE_UNTIL(&side, peer->received == RUN);
        atomic_store(&me->words[0], 1);
    }
    side_close(&side);
}

/* A send without a cookie goes at once, and takes those along that were held before it. */
static void one_that_is_not_held_pushes(struct job_rank *me)
{
    struct side side;
    enum { RUN = 20 };
    pair_open(&side, me, shape_small);
    struct peer *peer = &side.peer[1 - me->rank];
    side_barrier(&side);
    if (me->rank == 0) {
        for (int i = 0; i < RUN; i++) CHECK(me, peer_try_with(peer, true) >= 0);
        CHECK_EQ(me, peer_try_with(peer, false), 0);
        job_await(me, 0, 1);
    } else {
        SIDE_UNTIL(&side, peer->received == RUN + 1);
        atomic_store(&me->words[0], 1);
    }
    side_close(&side);
}

/* Whoever goes on without progress holds back no more than so much. */
static void enough_are_not_held(struct job_rank *me)
{
    struct side side;
    enum { RUN = 16 }; /* of 4 KiB */
    pair_open(&side, me, shape_long);
    struct peer *peer = &side.peer[1 - me->rank];
    side_barrier(&side);
    if (me->rank == 0) {
        uint64_t taken = 0;
        for (int status = 0; taken < RUN; taken++)
            if ((status = peer_try_with(peer, true)) != 0 && status != TRANSPORT_HELD) break;
        atomic_store(&me->words[1], (int64_t)taken);
        job_await(me, 0, 1);
    } else {
        job_await(me, 1, 1);
        int64_t half = atomic_load(&me->words[1]) / 2;
        SIDE_UNTIL(&side, (int64_t)peer->received >= half);
        atomic_store(&me->words[0], 1);
    }
    side_close(&side);
}

/* Its link ends: a held send is told, once, before down (the recorder looks). */
static void held_ones_are_told_before_down(struct job_rank *me)
{
    struct side side;
    pair_open(&side, me, shape_small);
    struct peer *peer = &side.peer[1 - me->rank];
    side_barrier(&side);
    if (me->rank == 0) {
        CHECK(me, peer_try_with(peer, true) >= 0);
        uint64_t cookie = peer->held;
        side.ops->disconnect(peer->link, DISCONNECT_NOW);
        SIDE_UNTIL(&side, peer->downs == 1);
        if (cookie) CHECK_EQ(me, side.cookie_times[cookie % SIDE_COOKIES_MAX], 1);
    } else {
        SIDE_UNTIL(&side, peer->downs == 1);
    }
    peer->ups = peer->downs = 0;
    side_close(&side);
}

static void leases_are_kept_and_given_back(struct job_rank *me)
{
    stream(me, 2000, shape_heads_and_edges);
}

static const struct sim_options with_lease = { .with_lease = true };
static const struct sim_options narrow = { .window_bytes = 4096 + 256, .jitter_ns = 50000 };

const struct suite_case contract_sends[] = {
    { "every head with bodies at edges", every_head_with_edge_bodies, 2, 2, 0, 0, 0, 0 },
    { "every body length to 4096", every_body_length, 2, 2, 0, 0, 0, 0 },
    { "bodies up to eager_max", bodies_up_to_eager_max, 2, 2, 0, 0, 0, 0 },
    { "a full link is AGAIN, then room", full_link_is_again_then_room, 2, 2, 0, 0, 0, 0 },
    { "both ways at once", both_ways_at_once, 2, 5, 0, 0, 0, 0 },
    { "answers from inside recv", answers_from_inside_recv, 2, 2, 0, 0, 0, 0 },
    { "nobody is starved", nobody_is_starved, 3, 8, 0, 0, 0, 0 },
    { "bad bytes cost one link", bad_bytes_cost_one_link, 3, 3, 0, 0, 0, 0 },
    { "held until progress", held_until_progress, 2, 2, 0, 0, 0, 0 },
    { "one that is not held pushes", one_that_is_not_held_pushes, 2, 2, 0, 0, 0, 0 },
    { "enough are not held", enough_are_not_held, 2, 2, 0, 0, 0, 0 },
    { "held ones are told before down", held_ones_are_told_before_down, 2, 2, 0, 0, 0, 0 },
    { "leases are kept and given back", leases_are_kept_and_given_back, 2, 2, SUITE_SIMULATED,
      &with_lease, 0, 0 },
    { "a narrow window and much jitter", both_ways_at_once, 2, 3, SUITE_SIMULATED, &narrow, 0, 3 },
    SUITE_END,
};
