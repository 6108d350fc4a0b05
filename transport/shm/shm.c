/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm.c - the transport's table: open, reach, the turn of the links, sleeping
 */
#include "transport/shm/shm.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "transport/shm/link.h"

size_t shm_peer_bytes(void) { return segment_bytes(); }

/* Without one the death of a rank would be hidden by any child that it forked. */
static int shm_open_pidfd(struct shm_transport *t)
{
    t->pidfd = host_pidfd_self();
    if (t->pidfd >= 0) return 0;
    if (errno == EMFILE || errno == ENFILE)
        return why_set(&t->base.why, SINEW_ELIMIT, "pidfd_open: %s", strerror(errno));
    return why_set(&t->base.why, SINEW_ENOTSUP,
                   "pidfd_open() is refused (%s), so the death of a peer would not be seen: Linux "
                   "5.3 is needed, and a filter that lets it pass",
                   strerror(errno));
}

static int shm_open_transport(struct transport *base)
{
    struct shm_transport *t = shm_of(base);
    list_init(&t->live);
    list_init(&t->links);
    list_init(&t->ending);
    t->cold = &t->live;
    base->fd = t->pidfd = -1;
    if (!t->mapper.map) t->mapper = segment_mapper_real;
    if (segment_bytes() > SEGMENT_LIMIT)
        return why_set(&base->why, SINEW_ENOTSUP, "pages are too large for %zu bytes per peer",
                       segment_bytes());
    int status = host_address_self(base->opt.world, &t->self, &base->why);
    if (status < 0) return status;
    status = base->opt.world->random(base->opt.world->arg, t->region_key, SIPHASH_KEY);
    if (status < 0) return why_set(&base->why, status, "no random bytes for keys to memory");
    read_open(t);
    t->pid = getpid();
    status = shm_open_pidfd(t);
    if (status < 0) return status;
    t->membarrier = host_membarrier_register();
    status = wireup_open(t);
    if (status < 0) return status;
    host_address_encode(base->address, &t->self);
    base->address_len = HOST_ADDRESS_LEN;
    base->caps = (struct transport_caps){
        .eager_max = SEGMENT_EAGER_MAX,
        .copy_max = SEGMENT_EAGER_MAX,
        .begin_max = SEGMENT_BEGIN,
        .put_ordered = true,
        .get = true,
        .memory = true,
        .local = true,
        .expects = true,
        .lends = true,
        .lands = true,
        .latency_ns = 100,
        .megabytes_per_s = 8000,
    };
    return 0;
}

static void shm_close_transport(struct transport *base)
{
    struct shm_transport *t = shm_of(base);
    wireup_close(t);
    put_close(t);
}

static int shm_reach(struct transport *base, const void *address, size_t len, struct why *why)
{
    struct shm_transport *t = shm_of(base);
    struct host_address peer;
    int status = host_address_decode(address, len, &peer, why);
    if (status == 0) status = host_reach(&t->self, &peer, why);
    return status < 0 ? status : 100;
}

/* The next link in turn: cost follows who talks, not who is connected. */
static int shm_poll_cold(struct shm_transport *t, const struct shm_link *hot, int *budget)
{
    struct list *turn = t->cold == &t->live ? t->live.next : t->cold;
    if (turn == &t->live) return 0;
    struct shm_link *l = LIST_OWNER(turn, struct shm_link, of_live);
    t->cold = turn->next;
    /* What was taken with no progress() counts too. */
    uint32_t taken = l->rx.next - l->taken;
    t->until_look -= taken < SHM_LOOK_AFTER ? (int)taken : SHM_LOOK_AFTER;
    l->taken = l->rx.next;
    return l == hot ? 0 : link_poll(l, budget);
}

static void shm_disarm(struct shm_transport *t)
{
    for (struct list *e = t->live.next; e != &t->live; e = e->next)
        link_rise(LIST_OWNER(e, struct shm_link, of_live));
    t->armed = false;
    shm_look_soon(t);
}

/* Everything that is not in a ring. */
static int shm_look(struct shm_transport *t, int *budget)
{
    t->look = false;
    int upcalls = wireup_look(t, budget);
    for (struct list *e = t->ending.next, *next; e != &t->ending && *budget > 0; e = next) {
        next = e->next;
        upcalls += link_finish(LIST_OWNER(e, struct shm_link, of_ending), budget);
    }
    t->until_look = t->connecting ? SHM_LOOK_SOON : SHM_LOOK_AFTER;
    bool settles = t->settles && t->deferred > 0;
    if (!list_empty(&t->ending) || settles || *budget <= 0) shm_look_soon(t);
    return upcalls;
}

static inline bool shm_expects(const struct shm_link *l)
{
    return l && l->base.expect && l->state == SHM_UP;
}

/* A longer message that messaging expects, out of the ring into the user's memory. */
static bool shm_take_longer(struct shm_link *l, struct expect *e)
{
    struct ring_expected r = { .head = { e->word, e->key }, .mask = e->mask, .kind = SHM_MESSAGE };
    if (!ring_take_expected(&l->rx, &r, e->buf, e->cap)) return false;
    e->word = r.head[0];
    e->len = r.blen;
    if (__builtin_expect(ring_returned(&l->tx, r.credit) < 0, 0))
        link_break(l, "it gave back slots that it never had");
    else if (ring_should_tell(&l->rx))
        link_tell(l);
    return true;
}

/* The short ones, one after the other, until room is to be told or has come back. Returns how many;
 * what is next: 0 or more, TRANSPORT_NOTHING, TRANSPORT_NOT_THIS. */
static inline int shm_take_shorts(struct shm_link *l, int64_t *what_is_next)
{
    struct ring_consumer *c = &l->rx;
    struct expect *e = l->base.expect;
    const struct ring_slot *slots = c->slots, *slot;
    uint32_t next = c->next, last = next + RING_TELL_SLOTS - (uint8_t)c->untold.credit;
    uint32_t mask = c->slot_mask, due = l->short_due;
    uint64_t credit = 0;
    int64_t len;
    do {
        slot = &slots[next & mask];
        /* Not written yet: nothing is fetched, for the line is here as it was a lap ago. */
        __builtin_prefetch(&slots[(next + RING_TELL_SLOTS) & mask]);
        len = ring_look_short(slot, (next & RING_TURNS) | due, e->key, e->cap, &credit);
        if (len < 0) break;
        e->len = (size_t)len;
        e->done = e->is_short = true;
        shared_read_line(e->buf, slot->data + RING_SHORT_HEAD, (size_t)len);
        next++;
        e = e->next;
        if (credit) break;
    } while (e && next != last);
    uint32_t taken = next - c->next;
    c->next = next;
    c->untold.credit += taken * (RING_SLOT + RING_UNIT);
    l->base.expect = e;
    *what_is_next = len < 0 ? link_not_taken(l, len) : len;
    if (credit || ring_tell_slots(c)) link_taken(l, credit, 0);
    return (int)taken;
}

/* All that are expected and there. Returns how many. */
static int shm_take_expected(struct shm_link *l)
{
    int taken = 0;
    int64_t next = 0;
    int most = TRANSPORT_UPCALLS_MAX - RING_TELL_SLOTS;
    while (taken <= most && next != TRANSPORT_NOTHING && shm_expects(l)) {
        taken += shm_take_shorts(l, &next);
        if (next != TRANSPORT_NOT_THIS) continue;
        struct expect *e = l->base.expect;
        if (!shm_expects(l) || !shm_take_longer(l, e)) break;
        e->done = true;
        l->base.expect = e->next;
        taken++;
    }
    return taken;
}

/* Whoever comes later has a share of the budget that nobody before it can use up. */
static __attribute__((noinline)) int shm_progress_all(struct shm_transport *t, struct shm_link *hot)
{
    int budget = TRANSPORT_UPCALLS_MAX - 2 * SHM_BUDGET_KEPT, upcalls = 0;
    bool is_turn = t->until_turn <= 0 || (hot && hot->base.is_passed_over);
    if (__builtin_expect(t->armed, 0)) shm_disarm(t);
    t->until_look -= SHM_TURN_EVERY - t->until_turn;
    t->until_turn = SHM_TURN_EVERY;
    if (hot) upcalls += link_poll(hot, &budget);
    budget += SHM_BUDGET_KEPT;
    /* Who waits for one link looks at the others more rarely: they cost a cache line each. */
    if (!hot || is_turn || t->calls++ % SHM_COLD_EVERY == 0)
        upcalls += shm_poll_cold(t, hot, &budget);
    budget += SHM_BUDGET_KEPT;
    bool moved = budget < TRANSPORT_UPCALLS_MAX;
    t->until_look -= moved ? 1 : SHM_EMPTY_COST;
    if (__builtin_expect(t->until_look <= 0, 0)) upcalls += shm_look(t, &budget);
    /* Fragments that moved are no upcalls, but whoever waits must not take them for idleness. */
    return upcalls > 0 || !moved ? upcalls : 1;
}

static int shm_progress(struct transport *base, struct link *link)
{
    struct shm_transport *t = shm_of(base);
    struct shm_link *hot = (struct shm_link *)link;
    /* The shortest way, so many times in a row. What is armed or due makes until_turn 0. */
    if (shm_expects(hot) && --t->until_turn > 0) {
        int taken = shm_take_expected(hot);
        if (taken) return taken;
    }
    return shm_progress_all(t, hot);
}

static int shm_arm(struct transport *base)
{
    struct shm_transport *t = shm_of(base);
    if (t->look) return SINEW_PENDING;
    t->armed = true;
    t->until_turn = t->until_look = 0;
    for (struct list *e = t->live.next; e != &t->live; e = e->next)
        link_sleep(LIST_OWNER(e, struct shm_link, of_live));
    if (t->membarrier && !list_empty(&t->live)) host_membarrier();
    for (struct list *e = t->live.next; e != &t->live; e = e->next)
        if (link_has_work(LIST_OWNER(e, struct shm_link, of_live))) return SINEW_PENDING;
    wireup_set_timer(t);
    return 0;
}

const struct transport_ops transport_shm = {
    .name = "shm",
    .id = 2,
    .transport_size = sizeof(struct shm_transport),
    .link_size = sizeof(struct shm_link),
    .open = shm_open_transport,
    .close = shm_close_transport,
    .reach = shm_reach,
    .connect = shm_connect,
    .disconnect = shm_disconnect,
    .send = shm_send,
    .allow = shm_allow,
    .send_short = shm_send_short,
    .take_short = shm_take_short,
    .peek = shm_peek,
    .drop = shm_drop,
    .rma = shm_rma,
    .flush = shm_flush,
    .reg = shm_reg,
    .dereg = shm_dereg,
    .progress = shm_progress,
    .arm = shm_arm,
};
