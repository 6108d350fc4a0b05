/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/contract/peer.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/shm/shm.h"
#include "transport/sim/sim.h"
#include "transport/tcp/tcp.h"

enum { CACHE_LINE = 64 };

void shape_small(uint64_t number, size_t *hlen, size_t *blen)
{
    *hlen = number % (TRANSPORT_HEAD_MAX + 1);
    *blen = number * 7 % 256;
}

/* ---- upcalls: each records, and checks what must hold of every transport -----------------------
 */

static struct link *link_make(struct peer *peer, uint64_t epoch)
{
    struct side *side = peer->side;
    struct link *l = world_allocate_aligned(side->world, CACHE_LINE, side->ops->link_size);
    CHECK(side->me, l != NULL);
    l->ops = side->ops;
    l->transport = side->t;
    l->owner = peer;
    l->rank = peer->rank;
    l->epoch = epoch;
    return l;
}

static struct link *up_link(struct transport *t, int rank, uint64_t epoch)
{
    struct side *side = t->owner;
    side->upcalls++;
    CHECK(side->me, rank >= 0 && rank < side->me->size && rank != side->me->rank);
    struct peer *peer = &side->peer[rank];
    CHECK(side->me, epoch == peer->epoch);
    peer->links++;
    if (peer->refuse) return NULL;
    CHECK(side->me, peer->link == NULL);
    peer->link = link_make(peer, epoch);
    return peer->link;
}

static void up_up(struct link *l)
{
    struct peer *peer = l->owner;
    struct side *side = peer->side;
    side->upcalls++;
    CHECK(side->me, l == peer->link);
    CHECK_EQ(side->me, l->rank, peer->rank);
    CHECK(side->me, l->epoch == peer->epoch);
    peer->ups++;
    CHECK(side->me, peer->ups == peer->downs + 1);
}

static void up_tell(struct link *l, const void *bytes, size_t len)
{
    struct peer *peer = l->owner;
    peer->side->upcalls++;
    CHECK(peer->side->me, peer->side->t->caps.wired);
    control_tell(peer, bytes, len);
}

static int up_recv(struct link *l, const void *head, size_t hlen, const void *body, size_t blen,
                   struct lease *lease)
{
    struct peer *peer = l->owner;
    struct side *side = peer->side;
    size_t want_hlen, want_blen;
    uint64_t number = peer->received++;
    side->upcalls++;
    CHECK(side->me, l == peer->link && peer->ups == peer->downs + 1);
    if (peer->breaks) return SINEW_EPROTO;
    (peer->shape ? peer->shape : shape_small)(number, &want_hlen, &want_blen);
    CHECK_EQ(side->me, hlen, want_hlen);
    CHECK_EQ(side->me, blen, want_blen);
    CHECK_CONTENT(side->me, head, hlen, peer->rank, side->me->rank, 2 * number);
    CHECK_CONTENT(side->me, body, blen, peer->rank, side->me->rank, 2 * number + 1);
    if (peer->heard) peer->heard(peer);
    if (peer->echoes) CHECK(side->me, peer_try(peer) >= 0);
    if (!lease || side->leases == SIDE_LEASES_MAX) return 0;
    side->lease[side->leases++] = lease;
    return TRANSPORT_PENDING;
}

static void up_done(struct link *l, uint64_t cookie, int status)
{
    struct peer *peer = l->owner;
    struct side *side = peer->side;
    side->upcalls++;
    CHECK(side->me, cookie > 0 && cookie <= side->cookies);
    side->cookie_times[cookie % SIDE_COOKIES_MAX]++;
    side->cookie_status[cookie % SIDE_COOKIES_MAX] = status;
    CHECK_EQ(side->me, side->cookie_times[cookie % SIDE_COOKIES_MAX], 1);
    if (cookie == peer->held) peer->held = 0;
}

static void up_room(struct link *l)
{
    struct peer *peer = l->owner;
    peer->side->upcalls++;
    peer->rooms++;
}

/* Whether these are message `number` to peer. */
static bool is_message(const struct peer *peer, uint64_t number, const void *head, size_t hlen,
                       const void *body, size_t blen)
{
    size_t want_hlen, want_blen;
    int me = peer->side->me->rank;
    (peer->shape ? peer->shape : shape_small)(number, &want_hlen, &want_blen);
    return hlen == want_hlen && blen == want_blen &&
           job_wrong(head, hlen, me, peer->rank, 2 * number) == hlen &&
           job_wrong(body, blen, me, peer->rank, 2 * number + 1) == blen;
}

/* In order, without a gap, to the last one that was taken (checked in down). */
static void up_undone(struct link *l, const void *head, size_t hlen, const void *body, size_t blen)
{
    struct peer *peer = l->owner;
    struct side *side = peer->side;
    side->upcalls++;
    CHECK(side->me, side->t->caps.wired && l == peer->link);
    while (peer->undone == 0 && peer->undone_at < peer->sent &&
           !is_message(peer, peer->undone_at, head, hlen, body, blen))
        peer->undone_at++;
    CHECK(side->me, peer->undone_at < peer->sent);
    CHECK(side->me, is_message(peer, peer->undone_at, head, hlen, body, blen));
    peer->undone++;
    peer->undone_at++;
}

static void up_down(struct link *l, int status, enum gone gone)
{
    struct peer *peer = l->owner;
    struct side *side = peer->side;
    side->upcalls++;
    CHECK(side->me, l == peer->link && !peer->down_dead && !peer->held);
    if (peer->undone) CHECK(side->me, gone == GONE_BROKEN && peer->undone_at == peer->sent);
    peer->downs++;
    peer->down_status = status;
    peer->gone = gone;
    peer->down_dead = true;
    if (status < 0 && l->why.text[0] == '\0')
        job_fail(side->me, __FILE__, __LINE__, "down with %s says not why",
                 sinew_strstatus(status));
}

static const struct transport_up recorder = {
    .link = up_link,
    .up = up_up,
    .tell = up_tell,
    .recv = up_recv,
    .done = up_done,
    .room = up_room,
    .undone = up_undone,
    .down = up_down,
};

/* ---- open and close ----------------------------------------------------------------------------
 */

static void config_defaults(struct config *config)
{
    *config = (struct config){
#define DEFAULT_N(name, kind, initial, least, most, text) .name = initial,
#define DEFAULT_T(name, initial, text) .name = initial,
        CONFIG_TABLE(DEFAULT_N, DEFAULT_T)
#undef DEFAULT_N
#undef DEFAULT_T
    };
}

/* Those of TEST_SETTINGS: name=value,... */
static void config_settings(struct job_rank *me, struct config *config)
{
    char text[512], *rest = text, *one;
    struct why why;
    const char *given = getenv("TEST_SETTINGS");
    if (!given) return;
    snprintf(text, sizeof(text), "%s", given);
    while ((one = strsep(&rest, ","))) {
        char *value = strchr(one, '=');
        if (!value) continue;
        *value++ = '\0';
        if (config_set(config, one, value, &why) < 0)
            job_fail(me, __FILE__, __LINE__, "TEST_SETTINGS: %s", why.text);
    }
}

static const struct transport_ops *ops_named(struct job_rank *me)
{
    static const struct transport_ops *const all[] = { &transport_sim, &transport_shm,
                                                       &transport_tcp };
    if (contract_extra && strcmp(contract_extra->name, me->transport) == 0) return contract_extra;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(all[i]->name, me->transport) == 0) return all[i];
    job_fail(me, __FILE__, __LINE__, "no transport %s", me->transport);
}

/* What a rank tells the others before anything is connected. */
struct record {
    uint64_t epoch;
    uint32_t address_len;
    uint8_t address[TRANSPORT_ADDRESS_MAX];
};

static void side_meet(struct side *side)
{
    struct job_rank *me = side->me;
    struct record mine = { side->epoch, side->t->address_len, { 0 } }, all[JOB_RANKS_MAX];
    CHECK(me, mine.address_len > 0 && mine.address_len <= TRANSPORT_ADDRESS_MAX);
    memcpy(mine.address, side->t->address, mine.address_len);
    job_allgather(me, &mine, sizeof(mine), all);
    for (int r = 0; r < me->size; r++) {
        struct peer *peer = &side->peer[r];
        peer->side = side;
        peer->rank = r;
        peer->epoch = all[r].epoch;
        peer->address_len = all[r].address_len;
        memcpy(peer->address, all[r].address, sizeof(peer->address));
    }
}

void side_open(struct side *side, struct job_rank *me)
{
    memset(side, 0, sizeof(*side));
    side->me = me;
    side->ops = ops_named(me);
    side->world = me->kind == JOB_SIM ? sim_world(me->sim) : &world_real;
    side->up = recorder;
    config_defaults(&side->config);
    config_settings(me, &side->config);
    control_open(side);
    side->epoch = job_random(me) | 1;
    side->t = world_allocate_aligned(side->world, CACHE_LINE, side->ops->transport_size);
    CHECK(me, side->t != NULL);
    struct transport *t = side->t;
    t->ops = side->ops;
    t->up = &side->up;
    t->owner = side;
    t->fd = -1;
    t->opt = (struct transport_options){ .world = side->world,
                                         .config = &side->config,
                                         .rank = me->rank,
                                         .size = me->size,
                                         .epoch = side->epoch,
                                         .secret = job_secret(me),
                                         .log = &side->log };
    if (side->ops->open(t) < 0) job_fail(me, __FILE__, __LINE__, "open: %s", t->why.text);
    CHECK(me, t->caps.eager_max >= 4096 && t->caps.copy_max >= TRANSPORT_HEAD_MAX);
    side->staging = world_allocate(side->world, t->caps.eager_max);
    CHECK(me, side->staging != NULL);
    side->staging_region = (struct region){ .base = side->staging, .len = t->caps.eager_max };
    CHECK_OK(me, side->ops->reg(t, NULL, &side->staging_region));
    /* Stable here: nobody counts on before all have met. */
    side->rounds = atomic_load(&me->words[WORD_ROUND]) / me->size;
    side_meet(side);
}

/* Messaging's part after a down: the link's memory is its own again. */
static void side_sweep(struct side *side)
{
    for (int i = 0; i < side->leases; i++) side->lease[i]->release(side->lease[i]);
    side->leases = 0;
    for (int r = 0; r < side->me->size; r++) {
        struct peer *peer = &side->peer[r];
        if (!peer->down_dead) continue;
        /* Poisoned, so that a transport that still looks at it is found out. */
        if (side->t->caps.wired) control_down(peer);
        memset(peer->link, 0xa5, side->ops->link_size);
        world_release(side->world, peer->link, side->ops->link_size);
        peer->link = NULL;
        peer->down_dead = false;
    }
}

int side_progress(struct side *side, struct link *l)
{
    side->upcalls = 0;
    bool expects = l && l->expect;
    int made = side->ops->progress(side->t, l);
    /* Without an upcall: only a part of something longer moved, or what was expected was taken. */
    CHECK(side->me, made == side->upcalls || (side->upcalls == 0 && (made == 1 || expects)));
    CHECK(side->me, made <= TRANSPORT_UPCALLS_MAX);
    side_sweep(side);
    if (side->t->caps.wired) control_read(side);
    if (made == 0 && side->me->kind != JOB_SIM) sched_yield();
    return made;
}

int64_t side_limit(struct side *side)
{
    if (side->me->kind == JOB_SIM) return job_now(side->me) + 200000000;
    return job_now(side->me) + job_patience() * INT64_C(20000000000);
}

void side_barrier(struct side *side)
{
    struct job_rank *me = side->me;
    side->rounds++;
    atomic_fetch_add(&me->words[WORD_ROUND], 1);
    SIDE_UNTIL(side, atomic_load(&me->words[WORD_ROUND]) >= side->rounds * me->size);
}

void side_end(struct side *side)
{
    struct job_rank *me = side->me;
    side_barrier(side);
    for (int r = 0; r < me->size; r++) CHECK(me, side->peer[r].link == NULL);
    SIDE_UNTIL(side, side->ops->dereg(side->t, &side->staging_region) == 0);
    side->ops->close(side->t);
    world_release(side->world, side->staging, side->staging_region.len);
    world_release(side->world, side->t, side->ops->transport_size);
    side->t = NULL;
}

void side_close(struct side *side)
{
    struct job_rank *me = side->me;
    side_barrier(side);
    for (int r = 0; r < me->size; r++)
        if (side->peer[r].link) side->ops->disconnect(side->peer[r].link, DISCONNECT_DRAIN);
    for (int r = 0; r < me->size; r++) {
        struct peer *peer = &side->peer[r];
        SIDE_UNTIL(side, peer->link == NULL);
        CHECK_EQ(me, peer->ups, peer->downs);
        if (peer->downs == 0) continue;
        CHECK_EQ(me, peer->down_status, 0);
        CHECK_EQ(me, peer->gone, GONE_LEFT);
    }
    side_end(side);
}

/* ---- connecting --------------------------------------------------------------------------------
 */

void side_connect(struct side *side, int rank)
{
    struct peer *peer = &side->peer[rank];
    if (peer->link) return; /* the other was first */
    peer->link = link_make(peer, side->t->caps.wired ? peer->epoch : 0);
    int status = side->ops->connect(peer->link, peer->address, peer->address_len);
    if (status < 0)
        job_fail(side->me, __FILE__, __LINE__, "connect to %d gave %s: %s", rank,
                 sinew_strstatus(status), peer->link->why.text);
    if (side->t->caps.wired) control_connect(peer);
}

void side_connect_wait(struct side *side, int rank)
{
    side_connect(side, rank);
    SIDE_UNTIL(side, side->peer[rank].ups == 1);
}

void side_connect_all(struct side *side)
{
    for (int r = 0; r < side->me->size; r++)
        if (r != side->me->rank) side_connect(side, r);
    for (int r = 0; r < side->me->size; r++)
        if (r != side->me->rank) SIDE_UNTIL(side, side->peer[r].ups == 1);
}

/* ---- operations --------------------------------------------------------------------------------
 */

uint64_t side_cookie(struct side *side)
{
    uint64_t cookie = ++side->cookies;
    side->cookie_times[cookie % SIDE_COOKIES_MAX] = 0;
    return cookie;
}

int side_cookie_wait(struct side *side, uint64_t cookie)
{
    SIDE_UNTIL(side, side->cookie_times[cookie % SIDE_COOKIES_MAX] == 1);
    return side->cookie_status[cookie % SIDE_COOKIES_MAX];
}

int peer_try_with(struct peer *to, bool may_hold)
{
    struct side *side = to->side;
    uint8_t head[TRANSPORT_HEAD_MAX];
    size_t hlen, blen;
    (to->shape ? to->shape : shape_small)(to->sent, &hlen, &blen);
    job_fill(head, hlen, side->me->rank, to->rank, 2 * to->sent);
    job_fill(side->staging, blen, side->me->rank, to->rank, 2 * to->sent + 1);
    bool lends = blen > side->t->caps.copy_max;
    uint64_t cookie = lends || may_hold ? side_cookie(side) : 0;
    int status = side->ops->send(to->link, head, hlen, side->staging, blen,
                                 lends ? &side->staging_region : NULL, cookie);
    CHECK(side->me, lends || status != TRANSPORT_PENDING);
    CHECK(side->me, (cookie && side->t->caps.holds) || status != TRANSPORT_HELD);
    bool copied = status == 0 || status == TRANSPORT_HELD;
    if (copied || status == TRANSPORT_PENDING) to->sent++;
    if (copied) memset(side->staging, 0x5a, blen);
    if (status == TRANSPORT_HELD) to->held = cookie;
    memset(head, 0x5a, sizeof(head));
    if (status != TRANSPORT_PENDING) return status;
    return side_cookie_wait(side, cookie);
}

int peer_try(struct peer *to)
{
    return peer_try_with(to, false);
}

void peer_send(struct peer *to)
{
    int status = peer_try_with(to, to->sent % 2);
    while (status == TRANSPORT_AGAIN) {
        int rooms = to->rooms;
        SIDE_UNTIL(to->side, to->rooms > rooms);
        status = peer_try_with(to, to->sent % 2);
    }
    if (status < 0)
        job_fail(to->side->me, __FILE__, __LINE__, "send gave %s: %s", sinew_strstatus(status),
                 to->link ? to->link->why.text : "");
}

int peer_put(struct peer *to, struct region *theirs, void *local, size_t len, uint64_t offset)
{
    struct side *side = to->side;
    struct region mine = { .base = local, .len = len };
    CHECK_OK(side->me, side->ops->reg(side->t, NULL, &mine));
    struct rma op = { .kind = RMA_PUT,
                      .local = local,
                      .len = len,
                      .mine = &mine,
                      .peers = theirs,
                      .offset = offset,
                      .cookie = side_cookie(side) };
    int status = side->ops->rma(to->link, &op);
    while (status == TRANSPORT_AGAIN) {
        int rooms = to->rooms;
        SIDE_UNTIL(side, to->rooms > rooms);
        status = side->ops->rma(to->link, &op);
    }
    if (status == TRANSPORT_PENDING) status = side_cookie_wait(side, op.cookie);
    SIDE_UNTIL(side, side->ops->dereg(side->t, &mine) == 0);
    return status;
}

int peer_flush(struct peer *to)
{
    struct side *side = to->side;
    uint64_t cookie = side_cookie(side);
    int status = side->ops->flush(to->link, cookie);
    while (status == TRANSPORT_AGAIN) {
        side_progress(side, NULL);
        status = side->ops->flush(to->link, cookie);
    }
    return status == TRANSPORT_PENDING ? side_cookie_wait(side, cookie) : status;
}
