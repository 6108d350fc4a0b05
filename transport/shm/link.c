/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.c - messages through a link's rings, and its end
 */
#include "transport/shm/link.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

void link_init(struct shm_link *l)
{
    struct shm_transport *t = shm_of_link(l);
    l->socket = l->pidfd = l->peer_wake = l->memory = -1;
    list_init(&l->puts);
    list_init(&l->flushes);
    list_init(&l->of_live);
    list_init(&l->of_ending);
    list_append(&t->links, &l->of_transport);
}

int link_map(struct shm_link *l, int memory)
{
    struct shm_transport *t = shm_of_link(l);
    l->segment = t->mapper.map(t->mapper.arg, memory, segment_bytes());
    if (l->segment) return 0;
    bool locked = errno == EAGAIN;
    return why_set(&l->base.why, locked ? SINEW_ELIMIT : SINEW_ENOMEM,
                   "%zu bytes of shared memory cannot be mapped: %s; %s", segment_bytes(),
                   strerror(errno),
                   locked ? "this process locks its memory: raise that limit with ulimit -l"
                          : "address space or mappings run out (ulimit -v, vm.max_map_count)");
}

void link_open(struct shm_link *l, int side, bool paired)
{
    struct shm_transport *t = shm_of_link(l);
    ring_producer_init(&l->tx, segment_ring(l->segment, side), &segment_shape, 0);
    ring_consumer_init(&l->rx, segment_ring(l->segment, !side), &segment_shape, 0);
    l->paired = paired;
    l->side = side;
    l->state = SHM_UP;
    l->base.shorts = &l->tx.shorts;
    l->short_due = ring_due_as(SHM_SHORT, RING_SHORT_HEAD);
    list_append(&t->live, &l->of_live);
}

/* None goes any more; and, if not even that, none is taken. */
static void link_stop_shorts(struct shm_link *l, bool both)
{
    if (both) l->short_due = RING_NEVER_DUE;
    ring_unpromise(&l->tx);
}

static void link_leave_live(struct shm_link *l)
{
    struct shm_transport *t = shm_of_link(l);
    if (t->cold == &l->of_live) t->cold = l->of_live.next;
    list_remove(&l->of_live);
}

static void close_descriptor(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

void link_abandon(struct shm_link *l)
{
    struct shm_transport *t = shm_of_link(l);
    wireup_drop(t, &l->socket);
    close_descriptor(&l->memory);
    if (l->segment) t->mapper.unmap(t->mapper.arg, l->segment, segment_bytes());
    l->segment = NULL;
}

static void link_release(struct shm_link *l)
{
    struct shm_transport *t = shm_of_link(l);
    link_abandon(l);
    wireup_drop(t, &l->pidfd);
    close_descriptor(&l->peer_wake);
    share_forget(l);
    list_remove(&l->of_transport);
    list_remove(&l->of_ending);
}

void shm_link_end(struct shm_link *l, int status, enum gone gone, bool drains)
{
    struct shm_transport *t = shm_of_link(l);
    if (l->state == SHM_DOWN || (l->state == SHM_ENDING && (drains || !l->drains))) return;
    if (l->state >= SHM_TRYING && l->state <= SHM_YIELDED) t->connecting--;
    if (l->state != SHM_ENDING) list_append(&t->ending, &l->of_ending);
    link_stop_shorts(l, true);
    l->state = SHM_ENDING;
    l->status = status;
    l->gone = gone;
    l->drains = drains && l->rx.ring;
    l->drain_left = SEGMENT_SLOTS;
    l->wants = 0;
    link_leave_live(l);
    shm_look_soon(t);
}

void link_process_ended(struct shm_link *l)
{
    if (l->pid > 0)
        why_set(&l->base.why, 0, "rank %d has died: its process %d is gone (pidfd)", l->base.rank,
                (int)l->pid);
    else
        why_set(&l->base.why, 0,
                "rank %d has died: its process, in another pid namespace, is gone (pidfd)",
                l->base.rank);
    shm_link_end(l, SINEW_EPEER, GONE_DIED, true);
}

void link_socket_ended(struct shm_link *l)
{
    struct shm_transport *t = shm_of_link(l);
    struct pollfd process = { .fd = l->pidfd, .events = POLLIN };
    wireup_unwatch(t, l->socket);
    if (l->pidfd >= 0 && poll(&process, 1, 0) > 0) {
        link_process_ended(l);
        return;
    }
    why_set(&l->base.why, 0, "rank %d closed its socket without a goodbye", l->base.rank);
    if (l->pidfd < 0)
        shm_link_end(l, SINEW_EPEER, GONE_DIED, true);
    else if (!l->grace_until)
        l->grace_until = shm_now(t) + SHM_GRACE_NS;
}

__attribute__((noinline)) void link_wake_peer(struct shm_link *l)
{
    /* Partner link_sleep(): whoever takes the flag down writes, once. What link_nudge() released to
     * the flag stays in it through every exchange, whatever its order. */
    if (shared_exchange_relaxed32(&l->tx.ring->sleeping, 0) == 0) return;
    uint64_t one = 1;
    ssize_t ignored = write(l->peer_wake, &one, sizeof(one)); /* full: it will wake anyway */
    (void)ignored;
}

void link_sleep(struct shm_link *l)
{
    bool for_room = l->wants || !list_empty(&l->puts);
    if (ring_untold(&l->rx) > 0) {
        ring_tell(&l->rx);
        link_nudge(l, SHM_SLEEPS_FOR_ROOM);
    }
    /* Acquire, partner link_nudge(): see "Sleeping" in link.h. */
    shared_exchange_acquire32(&l->rx.ring->sleeping,
                              SHM_SLEEPS | (for_room ? SHM_SLEEPS_FOR_ROOM : 0));
}

void link_rise(struct shm_link *l)
{
    shared_u32 *flag = &l->rx.ring->sleeping;
    /* Without membarrier a plain store would not do: it would part our next link_sleep() from what
     * the peer's link_nudge() has released to this flag, and so from the message before it. */
    if (l->paired)
        shared_store_relaxed32(flag, 0);
    else
        shared_exchange_relaxed32(flag, 0);
}

/* Whether as many messages have gone past a put as it needs slots. */
static bool link_slots_passed(const struct shm_link *l)
{
    return l->tx.head - l->turn_began >= (uint32_t)ring_bulk_needs(&l->tx);
}

/* Whether the next slot is one of those that a put needs. What breaks the protocol is found when
 * one is to be taken. */
static bool link_slots_are_puts(struct shm_link *l)
{
    int32_t needs = ring_bulk_needs(&l->tx);
    if (!link_slots_passed(l) || l->tx.room > needs || ring_refresh(&l->tx) < 0) return false;
    if (l->tx.room <= needs) ring_unpromise(&l->tx);
    return l->tx.room <= needs;
}

/* Whether a put that is due, and no message of this length, goes next; see "Turns". */
static bool link_turn_is_puts(struct shm_link *l, size_t len)
{
    if (l->puts_yield) return false;
    if (link_slots_are_puts(l)) return true;
    return len > RING_INLINE && l->passed > 0 &&
           l->passed + len > ring_spared_bytes(l->tx.body_bytes);
}

/* For what waits. */
static bool link_has_room(struct shm_link *l)
{
    if (put_is_due(l) && link_turn_is_puts(l, l->wanted_hlen + l->wanted_blen)) return false;
    return ring_would_fit(&l->tx, RING_DATA, l->wanted_hlen, l->wanted_blen);
}

bool link_has_work(struct shm_link *l)
{
    if (ring_ready(&l->rx) || l->peer_left) return true;
    if (l->state == SHM_DRAINING && list_empty(&l->puts)) return true;
    if (!l->wants && list_empty(&l->puts) && list_empty(&l->flushes)) return false;
    if (ring_refresh(&l->tx) < 0 || put_can_move(l) || share_can_settle(l)) return true;
    return link_awaits_room(l) && link_has_room(l);
}

int link_break(struct shm_link *l, const char *what)
{
    why_set(&l->base.why, 0, "rank %d broke the protocol of the shared rings: %s", l->base.rank,
            what);
    shm_link_end(l, SINEW_EPROTO, GONE_BROKEN, false);
    return SINEW_EPROTO;
}

int link_publish(struct shm_link *l, enum ring_class class, enum shm_kind kind, const void *head,
                 size_t hlen, const void *body, size_t blen)
{
    uint32_t credit = ring_untold(&l->rx);
    int status =
        ring_put(&l->tx, class, (uint8_t)kind, head, hlen, body, blen, credit);
    if (__builtin_expect(status == 0, 1)) {
        ring_told(&l->rx);
        link_nudge(l, SHM_SLEEPS);
        return 0;
    }
    return status > 0 ? status : link_break(l, "it gave back slots that it never had");
}

/* Out of line, so that who has no put pays one look. */
static __attribute__((noinline)) void link_promise_beside_put(struct shm_link *l)
{
    ring_promise(&l->tx, link_slots_passed(l) && put_is_due(l) ? ring_bulk_needs(&l->tx) : 1);
}

void shm_allow(struct link *base, uint32_t units)
{
    struct shm_link *l = (struct shm_link *)base;
    l->tx.units += units;
    if (l->state != SHM_UP) return;
    if (ring_refresh(&l->tx) < 0)
        link_break(l, "it gave back slots that it never had");
    else if (__builtin_expect(!list_empty(&l->puts), 0))
        link_promise_beside_put(l);
    else
        ring_promise(&l->tx, 1);
}

int shm_send_short(struct link *base, const void *body, size_t blen, uint64_t key)
{
    struct shm_link *l = (struct shm_link *)base;
    ring_put_short(&l->tx, SHM_SHORT, body, blen, key, ring_untold(&l->rx));
    ring_told(&l->rx);
    link_nudge(l, SHM_SLEEPS);
    return 0;
}

/* Whoever finds every message at once may not come to progress() for long. */
static __attribute__((noinline)) void link_tell_taken(struct shm_link *l)
{
    link_tell(l);
    if (!list_empty(&l->puts)) put_move(l);
}

__attribute__((noinline)) int64_t link_taken(struct shm_link *l, uint64_t credit, int64_t len)
{
    if (ring_returned(&l->tx, (uint32_t)credit) < 0)
        link_break(l, "it gave back slots that it never had");
    else if (ring_tell_slots(&l->rx))
        link_tell_taken(l);
    return len;
}

__attribute__((noinline)) int64_t link_not_taken(const struct shm_link *l, int64_t turn)
{
    return (uint32_t)~turn == ring_due(l->rx.next, 0, 0) ? TRANSPORT_NOT_THIS : TRANSPORT_NOTHING;
}

int64_t shm_take_short(struct link *base, const struct expect *e)
{
    struct shm_link *l = (struct shm_link *)base;
    uint64_t credit;
    int64_t len = ring_take_short(&l->rx, l->short_due, e->key, e->buf, e->cap, &credit);
    if (len < 0) return link_not_taken(l, len);
    return credit || ring_tell_slots(&l->rx) ? link_taken(l, credit, len) : len;
}

int shm_peek(struct link *base, struct peeked *m)
{
    struct shm_link *l = (struct shm_link *)base;
    if (l->state != SHM_UP) return TRANSPORT_NOT_THIS;
    int there = ring_peek(&l->rx, 1 << SHM_MESSAGE | 1 << SHM_SHORT, &l->lent);
    if (there <= 0) return there < 0 ? TRANSPORT_NOTHING : TRANSPORT_NOT_THIS;
    *m = (struct peeked){ l->lent.head, l->lent.body, l->lent.hlen, l->lent.blen };
    return 0;
}

void shm_drop(struct link *base)
{
    struct shm_link *l = (struct shm_link *)base;
    ring_drop(&l->rx, l->lent.body_next, l->lent.kind == SHM_SHORT);
    if (l->lent.credit && ring_returned(&l->tx, l->lent.credit) < 0)
        link_break(l, "it gave back slots that it never had");
    else if (ring_should_tell(&l->rx))
        link_tell_taken(l);
}

/* > 0: there is no room, or it is the put's turn. */
static __attribute__((noinline)) int link_send_beside_put(struct shm_link *l, const void *head,
                                                          size_t hlen, const void *body,
                                                          size_t blen)
{
    bool passes = put_is_due(l);
    if (passes && link_turn_is_puts(l, hlen + blen)) return SINEW_PENDING;
    int status = link_publish(l, RING_DATA, SHM_MESSAGE, head, hlen, body, blen);
    if (passes && status == 0 && hlen + blen > RING_INLINE) l->passed += (uint32_t)(hlen + blen);
    return status;
}

int shm_send(struct link *base, const void *head, size_t hlen, const void *body, size_t blen,
             struct region *region, uint64_t cookie)
{
    struct shm_link *l = (struct shm_link *)base;
    (void)region;
    (void)cookie;
    if (__builtin_expect(l->state != SHM_UP, 0)) {
        if (l->state < SHM_UP) return TRANSPORT_AGAIN;
        return l->status < 0 ? l->status : SINEW_EPEER;
    }
    if (hlen > RING_HEAD_MAX || blen > SEGMENT_EAGER_MAX)
        return why_set(&base->why, SINEW_EINVAL, "a message of %zu + %zu bytes; at most %d + %d",
                       hlen, blen, RING_HEAD_MAX, SEGMENT_EAGER_MAX);
    int status;
    if (__builtin_expect(list_empty(&l->puts), 1))
        status = link_publish(l, RING_DATA, SHM_MESSAGE, head, hlen, body, blen);
    else
        status = link_send_beside_put(l, head, hlen, body, blen);
    if (__builtin_expect(status <= 0, 1)) return status;
    l->wants |= SHM_WANTS_MESSAGE;
    l->puts_yield = false;
    l->wanted_hlen = (uint16_t)hlen;
    l->wanted_blen = (uint32_t)blen;
    return TRANSPORT_AGAIN;
}

/* What is not for messaging. > 0: nothing follows; < 0: the link ends. */
static int link_take_own(struct shm_link *l, const struct ring_message *m)
{
    if (m->kind == SHM_PUT) {
        if (put_land(l, m) == 0) return 0;
        shm_link_end(l, SINEW_EPROTO, GONE_BROKEN, false);
        return SINEW_EPROTO;
    }
    if (m->kind == SHM_SHARE) {
        if (share_deliver(l, m) == 0) return 0;
        return link_break(l, "it spoke nonsense of memory to be mapped");
    }
    if (m->kind != SHM_BYE) return link_break(l, "a message of unknown kind");
    l->peer_left = true;
    return 1;
}

__attribute__((noinline)) void link_tell(struct shm_link *l)
{
    l->quiet = 0;
    ring_tell(&l->rx);
    link_nudge(l, SHM_SLEEPS_FOR_ROOM);
}

/* Hand up what is there; if messaging expects something, one message, for it may expect another
 * after that (nobody does of a link that ends). Returns the upcalls; *budget counts messages of
 * every kind. */
static int link_receive(struct shm_link *l, int *budget)
{
    const struct transport_up *up = l->base.transport->up;
    struct ring_message m;
    int upcalls = 0, got = 0;
    if (l->peer_left || l->base.is_passed_over) return 0;
    while (*budget > 0) {
        got = ring_take(&l->rx, &m);
        if (got <= 0) break;
        --*budget;
        l->quiet = 0;
        if (__builtin_expect(ring_returned(&l->tx, m.credit) < 0, 0)) {
            link_break(l, "it gave back slots that it never had");
            return upcalls;
        }
        if (__builtin_expect(m.kind == SHM_MESSAGE || m.kind == SHM_SHORT, 1)) {
            int status = up->recv(&l->base, m.head, m.hlen, m.body, m.blen, NULL);
            upcalls++;
            if (__builtin_expect(status < 0, 0)) {
                link_break(l, "a message was refused");
                return upcalls;
            }
        } else if (link_take_own(l, &m) != 0) {
            return upcalls;
        }
        ring_finish(&l->rx, &m);
        /* A send inside the upcall may have ended the link. */
        if (__builtin_expect(l->state == SHM_ENDING && !l->drains, 0)) return upcalls;
        if (ring_should_tell(&l->rx)) link_tell(l);
        if (l->base.expect && l->state == SHM_UP) return upcalls;
    }
    if (got < 0)
        link_break(l, "a message with impossible lengths");
    else if (got == 0 && ring_untold(&l->rx) > 0 && ++l->quiet >= SHM_QUIET_POLLS)
        link_tell(l);
    return upcalls;
}

/* Upcalls made: 1, or 0. */
static int link_tell_room(struct shm_link *l, int *budget)
{
    if (*budget == 0 || !link_awaits_room(l)) return 0;
    if (ring_refresh(&l->tx) < 0) {
        link_break(l, "it gave back slots that it never had");
        return 0;
    }
    if (!link_has_room(l)) return 0;
    if (l->puts_yield) l->turn_began = l->tx.head; /* else short ones could have used up its turn */
    l->wants &= (uint8_t)~SHM_WANTS_MESSAGE;
    l->puts_yield = false;
    --*budget;
    shm_of_link(l)->base.up->room(&l->base);
    return 1;
}

/* What waits for room: words of shared memory, puts, the caller's sends, our goodbye. */
static int link_push(struct shm_link *l, int *budget)
{
    int upcalls = 0;
    if (l->wants & SHM_WANTS_SHARES) share_settle(l);
    if (!list_empty(&l->puts) || !list_empty(&l->flushes)) upcalls += put_pump(l, budget);
    upcalls += link_tell_room(l, budget);
    if (l->state == SHM_DRAINING && list_empty(&l->puts) && list_empty(&l->flushes) &&
        link_publish(l, RING_LAST, SHM_BYE, NULL, 0, NULL, 0) == 0)
        shm_link_end(l, 0, GONE_LEFT, true);
    return upcalls;
}

static inline bool link_is_live(const struct shm_link *l)
{
    return l->state == SHM_UP || l->state == SHM_DRAINING;
}

int link_poll(struct shm_link *l, int *budget)
{
    if (__builtin_expect(!link_is_live(l), 0)) return 0;
    int kept = *budget / SHM_PUSH_PART;
    *budget -= kept;
    int upcalls = link_receive(l, budget);
    *budget += kept;
    if (__builtin_expect(l->peer_left, 0)) {
        why_set(&l->base.why, 0, "rank %d has left", l->base.rank);
        shm_link_end(l, 0, GONE_LEFT, false);
        return upcalls;
    }
    bool waits = l->wants || !list_empty(&l->puts) || !list_empty(&l->flushes) ||
                 l->state == SHM_DRAINING;
    if (__builtin_expect(waits && link_is_live(l), 0)) upcalls += link_push(l, budget);
    return upcalls;
}

/* The rest of what arrived, at most what one ring holds: a peer that lives may go on sending. */
static int link_drain(struct shm_link *l, int *budget)
{
    int allowed = l->drain_left < *budget ? l->drain_left : *budget, left = allowed;
    int upcalls = link_receive(l, &left);
    *budget -= allowed - left;
    l->drain_left -= allowed - left;
    if (l->peer_left && l->status != 0) {
        l->status = 0;
        l->gone = GONE_LEFT;
        why_set(&l->base.why, 0, "rank %d has left", l->base.rank);
    }
    if (left > 0 || l->drain_left == 0) l->drains = false;
    return upcalls;
}

int link_finish(struct shm_link *l, int *budget)
{
    int upcalls = 0;
    if (l->drains) upcalls += link_drain(l, budget);
    if (l->drains) return upcalls;
    upcalls += put_cancel(l, l->status < 0 ? l->status : SINEW_EPEER, budget);
    if (*budget == 0) return upcalls;
    --*budget;
    link_release(l);
    l->state = SHM_DOWN;
    shm_of_link(l)->settles = true;
    shm_of_link(l)->base.up->down(&l->base, l->status, l->gone);
    return upcalls + 1;
}

/* Asked, and no answer seen: the peer may have taken the link by now, and would miss a goodbye. */
static void link_leave_unanswered(struct shm_link *l)
{
    struct ring_producer tx;
    ring_producer_init(&tx, segment_ring(l->segment, 0), &segment_shape, 0);
    ring_put(&tx, RING_LAST, SHM_BYE, NULL, 0, NULL, 0, 0); /* the socket's end wakes the peer */
}

void shm_disconnect(struct link *base, enum disconnect_how how)
{
    struct shm_link *l = (struct shm_link *)base;
    bool has_rings = l->rx.ring != NULL;
    if (how == DISCONNECT_DRAIN) {
        if (l->state == SHM_UP) {
            l->state = SHM_DRAINING;
            link_stop_shorts(l, false);
        } else if (l->state < SHM_UP) {
            if (l->state == SHM_ASKED) link_leave_unanswered(l);
            shm_link_end(l, 0, GONE_LEFT, false);
        }
        return;
    }
    if (how == DISCONNECT_DEAD) {
        if (l->state != SHM_ENDING)
            why_set(&base->why, 0, "rank %d is known to be dead", base->rank);
        shm_link_end(l, SINEW_EPEER, GONE_DIED, has_rings);
        return;
    }
    if (l->state != SHM_ENDING && !base->why.text[0])
        why_set(&base->why, 0, "this rank dropped its link to rank %d", base->rank);
    shm_link_end(l, SINEW_ECANCELED, GONE_BROKEN, false);
}
