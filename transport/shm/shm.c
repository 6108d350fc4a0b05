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
    t->pidfd = host_pidfd_self();
    t->membarrier = host_membarrier_register();
    status = wireup_open(t);
    if (status < 0) return status;
    host_address_encode(base->address, &t->self);
    base->address_len = HOST_ADDRESS_LEN;
    base->caps = (struct transport_caps){
        .eager_max = SEGMENT_EAGER_MAX,
        .copy_max = SEGMENT_EAGER_MAX,
        .put_ordered = true,
        .get = true,
        .memory = true,
        .local = true,
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
    if (status < 0) return status;
    if (t->pidfd < 0)
        return why_set(why, SINEW_ENOTSUP,
                       "pidfd_open() is refused, so the death of a peer would not be seen: Linux "
                       "5.3 is needed, and a filter that lets it pass");
    return 100;
}

/* The next link in turn: cost follows who talks, not who is connected. */
static int shm_poll_cold(struct shm_transport *t, const struct shm_link *hot, int *budget)
{
    struct list *turn = t->cold == &t->live ? t->live.next : t->cold;
    if (turn == &t->live) return 0;
    struct shm_link *l = LIST_OWNER(turn, struct shm_link, of_live);
    t->cold = turn->next;
    return l == hot ? 0 : link_poll(l, budget);
}

static void shm_disarm(struct shm_transport *t)
{
    for (struct list *e = t->live.next; e != &t->live; e = e->next)
        shared_store_relaxed32(
            &LIST_OWNER(e, struct shm_link, of_live)->rx.ring->sleeping, 0);
    t->armed = false;
    t->look = true;
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
    t->look = !list_empty(&t->ending) || t->deferred > 0 || *budget <= 0;
    t->until_look = t->connecting ? SHM_LOOK_SOON : SHM_LOOK_AFTER;
    return upcalls;
}

static int shm_progress(struct transport *base, struct link *link)
{
    struct shm_transport *t = shm_of(base);
    struct shm_link *hot = (struct shm_link *)link;
    int budget = TRANSPORT_UPCALLS_MAX, upcalls = 0;
    if (__builtin_expect(t->armed, 0)) shm_disarm(t);
    if (hot) upcalls += link_poll(hot, &budget);
    upcalls += shm_poll_cold(t, hot, &budget);
    t->until_look -= budget == TRANSPORT_UPCALLS_MAX ? SHM_EMPTY_COST : 1;
    if (__builtin_expect(t->look || t->until_look <= 0, 0)) upcalls += shm_look(t, &budget);
    /* Fragments that moved are no upcalls, but whoever waits must not take them for idleness. */
    return upcalls > 0 || budget == TRANSPORT_UPCALLS_MAX ? upcalls : 1;
}

static int shm_arm(struct transport *base)
{
    struct shm_transport *t = shm_of(base);
    if (t->look) return SINEW_PENDING;
    t->armed = true;
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
    .rma = shm_rma,
    .flush = shm_flush,
    .reg = shm_reg,
    .dereg = shm_dereg,
    .progress = shm_progress,
    .arm = shm_arm,
};
