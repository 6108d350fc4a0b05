/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ends.c - how links end: down comes last, once, and tells how the peer went
 */
#include "tests/contract/peer.h"
#include "tests/contract/cases.h"
#include "tests/support/job_board.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Both ranks with a link that is up; the other of two. */
static struct peer *pair_open(struct side *side, struct job_rank *me)
{
    side_open(side, me);
    side_connect_all(side);
    side_barrier(side);
    return &side->peer[1 - me->rank];
}

static void drain_delivers_everything(struct job_rank *me)
{
    struct side side;
    struct peer *peer = pair_open(&side, me);
    if (me->rank == 0) {
        for (int i = 0; i < 2000 && peer_try(peer) == 0; i++) {
        }
        CHECK(me, peer->sent > 0);
        atomic_store(&me->words[0], (int64_t)peer->sent);
        side.ops->disconnect(peer->link, DISCONNECT_DRAIN);
    }
    SIDE_UNTIL(&side, peer->downs == 1);
    CHECK_EQ(me, peer->down_status, 0);
    CHECK_EQ(me, peer->gone, GONE_LEFT);
    if (me->rank == 1) CHECK_EQ(me, peer->received, atomic_load(&me->words[0]));
    side_end(&side);
}

static void drain_from_both_sides(struct job_rank *me)
{
    struct side side;
    struct peer *peer = pair_open(&side, me);
    for (int i = 0; i < 20; i++) CHECK(me, peer_try_with(peer, i % 2) >= 0);
    side_barrier(&side); /* both have sent; the other side may even be gone by now */
    if (peer->link) side.ops->disconnect(peer->link, DISCONNECT_DRAIN);
    SIDE_UNTIL(&side, peer->downs == 1);
    CHECK_EQ(me, peer->down_status, 0);
    CHECK_EQ(me, peer->gone, GONE_LEFT);
    CHECK(me,
          peer->received <= 20); /* who leaves need not hear all; the recorder checks the order */
    side_end(&side);
}

static void now_ends_at_once(struct job_rank *me)
{
    struct side side;
    struct peer *peer = pair_open(&side, me);
    if (me->rank == 0) {
        for (int i = 0; i < 10; i++) CHECK(me, peer_try(peer) >= 0);
        side.ops->disconnect(peer->link, DISCONNECT_NOW);
    }
    SIDE_UNTIL(&side, peer->downs == 1);
    CHECK(me, peer->received <= 10);
    if (me->rank == 1) CHECK(me, peer->gone != GONE_LEFT || peer->received == 10);
    side_end(&side);
}

static void dead_hands_up_what_arrived(struct job_rank *me)
{
    struct side side;
    struct peer *peer = pair_open(&side, me);
    if (me->rank == 1) {
        for (int i = 0; i < 10; i++) CHECK_OK(me, peer_try(peer));
        for (int i = 0; i < 100; i++) side_progress(&side, NULL);
        atomic_store(&me->words[0], 1);
        job_await(me, 1, 1);
    } else {
        job_await(me, 0, 1);
        if (me->kind == JOB_SIM)
            for (int i = 0; i < 1000; i++) job_yield(me); /* the wire's latency */
        side.ops->disconnect(peer->link, DISCONNECT_DEAD);
        SIDE_UNTIL(&side, peer->downs == 1);
        CHECK_EQ(me, peer->gone, GONE_DIED);
        CHECK_EQ(me, peer->received, 10);
        atomic_store(&me->words[1], 1);
    }
    if (me->rank == 1 && peer->link) side.ops->disconnect(peer->link, DISCONNECT_NOW);
    SIDE_UNTIL(&side, peer->link == NULL);
    side_end(&side);
}

static void disconnect_before_up(struct job_rank *me)
{
    static const enum disconnect_how how[] = { DISCONNECT_NOW, DISCONNECT_DRAIN, DISCONNECT_DEAD };
    struct side side;
    side_open(&side, me);
    for (int i = 0; i < 3; i++) {
        struct peer *peer = &side.peer[1 - me->rank];
        side_barrier(&side);
        if (me->rank == 0) {
            side_connect(&side, 1);
            side.ops->disconnect(peer->link, how[i]);
            SIDE_UNTIL(&side, peer->downs == 1);
        }
        side_barrier(&side);
        /* The other may have had a link for a moment: then it ends too. */
        side_progress(&side, NULL);
        if (me->rank == 1) SIDE_UNTIL(&side, peer->link == NULL);
        side_barrier(&side);
        peer->ups = peer->downs = 0;
    }
    side_end(&side);
}

static void harsher_disconnect_wins(struct job_rank *me)
{
    struct side side;
    struct peer *peer = pair_open(&side, me);
    if (me->rank == 0) {
        /* The other does not read, so draining cannot end by itself. */
        for (int i = 0; i < 20000 && peer_try(peer) == 0; i++) {
        }
        side.ops->disconnect(peer->link, DISCONNECT_DRAIN);
        for (int i = 0; i < 20; i++) side_progress(&side, NULL);
        if (peer->link) side.ops->disconnect(peer->link, DISCONNECT_NOW);
        SIDE_UNTIL(&side, peer->downs == 1);
        atomic_store(&me->words[0], 1);
    } else {
        job_await(me, 0, 1);
        SIDE_UNTIL(&side, peer->downs == 1);
    }
    side_end(&side);
}

/* A put that cannot have ended when the link goes: its done comes before down. */
static void every_cookie_is_done_before_down(struct job_rank *me)
{
    struct side side;
    enum { LEN = 4 << 20 };
    struct peer *peer = pair_open(&side, me);
    struct region region = { .base = calloc(1, LEN), .len = LEN };
    struct {
        uint32_t len;
        uint8_t key[TRANSPORT_KEY_MAX];
    } mine = { 0 }, all[JOB_RANKS_MAX];
    CHECK_OK(me, side.ops->reg(side.t, NULL, &region));
    mine.len = region.key_len;
    memcpy(mine.key, region.key, sizeof(mine.key));
    job_allgather(me, &mine, sizeof(mine), all);
    if (me->rank == 0) {
        struct region theirs = { .len = LEN, .key_len = all[1].len };
        memcpy(theirs.key, all[1].key, sizeof(theirs.key));
        CHECK_OK(me, side.ops->reg(side.t, peer->link, &theirs));
        struct rma op = { .kind = RMA_PUT,
                          .local = region.base,
                          .len = LEN,
                          .mine = &region,
                          .peers = &theirs,
                          .cookie = side_cookie(&side) };
        int status = side.ops->rma(peer->link, &op);
        side.ops->disconnect(peer->link, DISCONNECT_NOW);
        SIDE_UNTIL(&side, peer->downs == 1);
        if (status == TRANSPORT_PENDING)
            CHECK_EQ(me, side.cookie_times[op.cookie % SIDE_COOKIES_MAX], 1);
        SIDE_UNTIL(&side, side.ops->dereg(side.t, &theirs) == 0);
    }
    SIDE_UNTIL(&side, peer->downs == 1);
    SIDE_UNTIL(&side, side.ops->dereg(side.t, &region) == 0);
    free(region.base);
    side_end(&side);
}

/* When nothing of it runs any more: a busy machine takes seconds to end a process that was
 * killed. */
static int64_t gone_at(struct job_rank *me, int rank)
{
    struct pollfd gone = { .events = POLLIN };
    if (me->kind != JOB_PROCESSES) return job_now(me);
    gone.fd = (int)syscall(SYS_pidfd_open, (pid_t)atomic_load(&me->board->pid[rank]), 0);
    if (gone.fd >= 0) CHECK_EQ(me, poll(&gone, 1, 20000), 1);
    if (gone.fd >= 0) close(gone.fd);
    return job_now(me);
}

/* As a waiter does: looks between which others have the core may be few in a second. */
static void sleep_until_down(struct side *side, const struct peer *peer)
{
    struct pollfd event = { .fd = side->t->fd, .events = POLLIN };
    for (int64_t until = job_now(side->me) + 20000000000; peer->downs == 0;) {
        side_progress(side, NULL);
        if (job_now(side->me) > until) job_fail(side->me, __FILE__, __LINE__, "it is not noticed");
        if (peer->downs == 0 && event.fd >= 0 && side->ops->arm(side->t) == 0)
            poll(&event, 1, 20000);
    }
}

static void killed_process_is_noticed(struct job_rank *me)
{
    struct side side;
    struct peer *peer = pair_open(&side, me);
    if (me->rank == 1) {
        for (int i = 0; i < 10; i++) CHECK_OK(me, peer_try(peer));
        for (int i = 0; i < 100; i++) side_progress(&side, NULL);
        job_kill(me, 1);
    }
    SIDE_UNTIL(&side, peer->received == 10);
    /* said by its control */
    if (side.t->caps.wired) side.ops->disconnect(peer->link, DISCONNECT_DEAD);
    int64_t gone = gone_at(me, 1);
    sleep_until_down(&side, peer);
    CHECK(me, job_now(me) - gone < 1500000000);
    CHECK_EQ(me, peer->downs, 1);
    CHECK(me, peer->gone != GONE_LEFT);
    CHECK(me, peer->down_status < 0);
    SIDE_UNTIL(&side, side.ops->dereg(side.t, &side.staging_region) == 0);
    side_progress(&side, NULL);
    side.ops->close(side.t);
    world_release(side.world, side.staging, side.staging_region.len);
    world_release(side.world, side.t, side.ops->transport_size);
}

const struct suite_case contract_ends[] = {
    { "DRAIN delivers everything", drain_delivers_everything, 2, 2, 0, 0, 0, 5 },
    { "DRAIN from both sides", drain_from_both_sides, 2, 2, 0, 0, 0, 5 },
    { "NOW ends at once", now_ends_at_once, 2, 2, 0, 0, 0, 3 },
    { "DEAD hands up what arrived", dead_hands_up_what_arrived, 2, 2, 0, 0, 0, 0 },
    { "disconnect before up", disconnect_before_up, 2, 2, 0, 0, 0, 3 },
    { "a harsher disconnect wins", harsher_disconnect_wins, 2, 2, 0, 0, 0, 0 },
    { "every cookie is done before down", every_cookie_is_done_before_down, 2, 2, 0, 0, 0, 3 },
    { "a killed process is noticed", killed_process_is_noticed, 2, 2, SUITE_REAL | SUITE_PROCESSES,
      0, 0, 3 },
    SUITE_END,
};
