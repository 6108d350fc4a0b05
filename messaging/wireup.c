/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wireup.c - from "never met" to a link, and back
 *
 *   NEW --peer_meet()--> CONNECTING --up--> UP --down--> GONE
 *    \__ up.link(): a peer came first __/      \__ set-up failed: the next candidate, or GONE
 *
 * Both sides may start at once; the transport makes one link of it. Where the two sides chose
 * different transports each sends on the one that came up first here and takes what comes on both.
 * connect and disconnect are not allowed inside upcalls: they wait in context->deferrals.
 *
 * A link's memory: | struct link_head (64 bytes) | the transport's own link structure |
 */
#include <string.h>

#include "messaging/context.h"

struct link_head {
    _Alignas(64) struct list entry;
    size_t size;
};

static struct link_head *head_of(struct link *l)
{
    return (struct link_head *)(void *)l - 1;
}

static int index_of(const struct sinew *s, const struct transport *t)
{
    int i = 0;
    while (s->transport[i] != t) i++;
    return i;
}

struct link *wireup_link_by(const struct peer *p, const struct transport *t)
{
    return p->link[index_of(p->context, t)];
}

struct link *wireup_link_new(struct peer *p, int i)
{
    struct sinew *s = p->context;
    struct transport *t = s->transport[i];
    size_t size = sizeof(struct link_head) + t->ops->link_size;
    struct link_head *head = world_allocate_aligned(s->world, 64, size);
    if (!head) return NULL;
    s->counters.memory_bytes += size;
    list_init(&head->entry);
    head->size = size;
    struct link *l = (struct link *)(void *)(head + 1);
    l->ops = t->ops;
    l->transport = t;
    l->owner = p;
    l->rank = p->rank;
    l->epoch = p->epoch;
    l->shorts = &quick_none;
    p->link[i] = l;
    s->links[i]++;
    return l;
}

void wireup_link_bury(struct link *l)
{
    struct peer *p = l->owner;
    int i = index_of(p->context, l->transport);
    p->link[i] = NULL;
    p->context->links[i]--;
    if (p->quick_in == l) p->quick_in = NULL;
    if (p->out == l) {
        p->out = NULL;
        p->quick_in = NULL;
        quick_close(p);
    }
    list_append(&p->context->dead_links, &head_of(l)->entry);
}

static void release_dead_links(struct sinew *s)
{
    struct list *entry;
    while ((entry = list_take(&s->dead_links))) {
        struct link_head *head = LIST_OWNER(entry, struct link_head, entry);
        context_release(s, head, head->size);
    }
}

/* ---- meeting --------------------------------------------------------------------------------- */

/* Try the best transport that has not failed; < 0: none is left. */
static int connect_next(struct peer *p)
{
    struct sinew *s = p->context;
    struct why why = { "" };
    for (;;) {
        uint8_t record[RECORD_MAX];
        const uint8_t *address;
        size_t len;
        int i = choose_transport(p, &address, &len, record, &why);
        if (i < 0) return context_fail(s, i, "rank %d cannot be reached: %s", p->rank, why.text);
        struct link *l = wireup_link_new(p, i);
        if (!l) return context_fail(s, SINEW_ENOMEM, "no memory for a link to rank %d", p->rank);
        p->state = PEER_CONNECTING;
        int rc = l->ops->connect(l, address, len);
        if (rc >= 0) return 0;
        log_line(&s->log, LOG_CHOICE, "rank %d by %s: %s", p->rank, l->ops->name, l->why.text);
        why_set(&p->why, 0, "%s: %s", l->ops->name, l->why.text);
        p->refused |= 1u << i;
        wireup_link_bury(l);
    }
}

void wireup_defer(struct peer *p)
{
    if (list_empty(&p->deferral)) list_append(&p->context->deferrals, &p->deferral);
}

int peer_meet(struct peer *p)
{
    struct sinew *s = p->context;
    if (p->state != PEER_NEW) return 0;
    p->connecting_since = world_now(s->world);
    p->state = PEER_CONNECTING;
    if (s->state->in_progress) {
        p->want_connect = true;
        wireup_defer(p);
        return 0;
    }
    int rc = connect_next(p);
    if (rc < 0) {
        struct why why = s->why;
        peer_gone(p, rc, GONE_BROKEN, why.text);
    }
    return rc;
}

void wireup_disconnect(struct peer *p, enum disconnect_how how)
{
    struct sinew *s = p->context;
    if (how != DISCONNECT_DRAIN) p->ending = true;
    if (s->state->in_progress) {
        p->want_disconnect = true;
        p->disconnect_how = how;
        wireup_defer(p);
        return;
    }
    if (how == DISCONNECT_DRAIN && wired_drain(p)) return;
    for (int i = 0; i < s->transports; i++)
        if (p->link[i]) p->link[i]->ops->disconnect(p->link[i], how);
}

static bool linked(const struct peer *p)
{
    for (int i = 0; i < p->context->transports; i++)
        if (p->link[i]) return true;
    return false;
}

/* A link that no data may take does not count. */
static bool data_linked(const struct peer *p)
{
    const struct sinew *s = p->context;
    for (int i = 0; i < s->transports; i++)
        if (p->link[i] && !(s->control_only && i == s->control && p->refused & 1u << i))
            return true;
    return false;
}

static bool known_to_have_left(const struct peer *p)
{
    const struct launch *l = p->context->launch;
    return l->ops->left && l->ops->left(l, p->rank);
}

/* No transport leads there; perhaps because it is not there any more, which is the better word. */
static void give_up(struct peer *p, const char *unreachable)
{
    struct why why, last = p->why;
    context_ask_launcher(p->context); /* which may know that it died */
    if (p->state == PEER_GONE) return;
    if (known_to_have_left(p)) {
        why_set(&why, 0, "rank %d left the job before this rank met it", p->rank);
        peer_gone(p, SINEW_EPEER, GONE_LEFT, why.text);
    } else if (p->nobody) {
        why_set(&why, 0,
                "rank %d cannot be reached: nobody listens there: it has left the job, or its "
                "process has ended (%s)", p->rank, last.text);
        peer_gone(p, SINEW_EPEER, GONE_BROKEN, why.text);
    } else {
        peer_gone(p, SINEW_EUNREACHABLE, GONE_BROKEN, unreachable);
    }
}

void wireup_deferred(struct sinew *s)
{
    struct list *entry;
    while ((entry = list_take(&s->deferrals))) {
        struct peer *p = LIST_OWNER(entry, struct peer, deferral);
        bool connect = p->want_connect, disconnect = p->want_disconnect;
        p->want_connect = p->want_disconnect = false;
        if (disconnect) wireup_disconnect(p, p->disconnect_how);
        /* With a link already it came first: that ends in up, or in down and the next attempt. */
        if (connect && p->state == PEER_CONNECTING && !data_linked(p) && connect_next(p) < 0) {
            struct why why = s->why;
            give_up(p, why.text);
            if (linked(p)) wireup_disconnect(p, DISCONNECT_DRAIN); /* what was told still arrives */
        }
        if (p->wired) wired_deferred(p);
    }
    release_dead_links(s);
}

bool wireup_links_left(const struct sinew *s)
{
    for (int rank = 0; rank < s->size; rank++)
        for (int i = 0; s->peer[rank] && i < s->transports; i++)
            if (s->peer[rank]->link[i]) return true;
    return false;
}

/* The launcher says that this rank is dead: what has arrived is still handed up. */
void peer_lost(struct sinew *s, int world_rank, const char *why)
{
    struct peer *p = peer_get(s, world_rank);
    if (!p || p->state == PEER_GONE || world_rank == s->rank) return;
    why_set(&p->why, 0, "%s", why);
    p->lost = true;
    if (linked(p))
        wireup_disconnect(p, DISCONNECT_DEAD);
    else
        peer_gone(p, SINEW_EPEER, GONE_DIED, why);
}

/* ---- upcalls --------------------------------------------------------------------------------- */

static struct link *upcall_link(struct transport *t, int rank, uint64_t epoch)
{
    struct sinew *s = t->owner;
    struct why why;
    uint64_t published;
    if (rank < 0 || rank >= s->size || rank == s->rank || s->closing) return NULL;
    struct peer *p = peer_get(s, rank);
    if (!p || p->state == PEER_GONE || p->going || p->link[index_of(s, t)]) return NULL;
    if (choose_epoch(p, &published, &why) || published != epoch) {
        log_line(&s->log, LOG_WARNING, "rank %d: another incarnation of it wants a link; refused",
                 rank);
        return NULL;
    }
    p->epoch = epoch;
    if (p->state == PEER_NEW) p->state = PEER_CONNECTING;
    return wireup_link_new(p, index_of(s, t));
}

static void upcall_up(struct link *l)
{
    struct peer *p = l->owner;
    log_line(&p->context->log, LOG_DETAIL, "rank %d is linked by %s", p->rank, l->ops->name);
    if (l->transport->caps.wired) {
        wired_up(l);
        return;
    }
    bool is_control = index_of(p->context, l->transport) == p->context->control;
    if (is_control && !p->going && p->state != PEER_GONE) wired_control_up(p, l);
    if (is_control && !choose_control_carries(p->context)) return;
    if (p->out || p->going || p->state == PEER_GONE) return;
    p->out = l;
    p->quick_in = l->transport->caps.expects ? l : NULL;
    quick_lend(p);
    p->state = PEER_UP;
    outgoing_room(p);
}

static void upcall_done(struct link *l, uint64_t cookie, int status)
{
    struct peer *p = l->owner;
    struct sinew_request *r = request_find(p->context, cookie);
    /* Each may end it, and whoever waited for that may begin another in its place: one of these. */
    if (r && r->state == STATE_HELD && r->peer == p)
        held_done(p, r, status);
    else if (r && r->state == STATE_MOVING)
        rendezvous_put_done(r, status);
    else if (r && r->state == STATE_READING)
        rendezvous_read_done(r, status);
    if (p->switching) outgoing_room(p); /* it may have waited for this */
}

static void upcall_room(struct link *l)
{
    struct peer *p = l->owner;
    if (p->wired) wired_room(p, l);
    if (p->out == l) outgoing_room(p);
    if (p->wired) wired_drain_on(p, l);
}

static void upcall_undone(struct link *l, const void *head, size_t hlen, const void *body,
                          size_t blen)
{
    struct peer *p = l->owner;
    if (p->wired) shift_undone(p, head, hlen, body, blen);
}

static void describe_down(struct peer *p, const struct link *l, int status, enum gone gone,
                          struct why *why)
{
    static const char *const how[] = { "left: it closed its context", "died", "is lost" };
    /* Where this side ended it, or refused what came, the transport knows no more than that. */
    bool ours = (status == SINEW_ECANCELED || status == SINEW_EPROTO) && p->ending && !p->going &&
                p->why.text[0];
    const char *cause = l->why.text[0] && !ours ? l->why.text : p->why.text;
    if (p->lost && gone == GONE_DIED)
        why_set(why, 0, "%s", p->why.text);
    else if (cause[0])
        why_set(why, 0, "rank %d %s (by %s: %s)", p->rank, how[gone], l->ops->name, cause);
    else
        why_set(why, 0, "rank %d %s (known by %s)", p->rank, how[gone], l->ops->name);
}

/* A link of a peer that was never heard on it: perhaps another transport does better. */
static bool try_another(struct peer *p, struct link *l, int status)
{
    struct sinew *s = p->context;
    int i = index_of(s, l->transport);
    log_line(&s->log, LOG_CHOICE, "rank %d by %s: %s", p->rank, l->ops->name, l->why.text);
    why_set(&p->why, 0, "%s: %s", l->ops->name, l->why.text);
    p->refused |= 1u << i;
    if (status == SINEW_EPEER) p->nobody = true;
    s->counters.links_failed++;
    if (status == SINEW_EAUTH || status == SINEW_EVERSION || s->closing) return false;
    p->want_connect = true;
    wireup_defer(p);
    return true;
}

/* It is gone once its last link is down: until then messages of its may come, and a transport may
 * still read what it was lent. The first word on how it went counts. */
void wireup_going(struct peer *p, int status, enum gone gone, const char *text)
{
    if (!p->going) {
        p->going = true;
        p->gone = gone;
        p->gone_status = status;
        why_set(&p->why, 0, "%s", text);
        wireup_disconnect(p, DISCONNECT_DEAD);
    }
    if (linked(p)) return;
    struct why why = p->why;
    peer_gone(p, p->gone_status, p->gone, why.text);
}

static void upcall_down(struct link *l, int status, enum gone gone)
{
    struct peer *p = l->owner;
    bool was_out = p->out == l, was_up = p->state == PEER_UP;
    struct why why;
    describe_down(p, l, status, gone, &why);
    if (l->transport->caps.wired) {
        wired_down(l, status, gone, why.text);
        return;
    }
    if (gone == GONE_DIED && known_to_have_left(p)) { /* its goodbye did not come this way */
        gone = GONE_LEFT;
        why_set(&why, 0, "rank %d left: it closed its context (the launcher says so)", p->rank);
    }
    bool of_pair = wired_control_down(l);
    wireup_link_bury(l);
    if (p->state == PEER_GONE || p->context->closing) return;
    if (gone == GONE_BROKEN && !was_out && !p->going && !of_pair) {
        if (was_up || try_another(p, l, status)) return;
    }
    if (of_pair && wired_unreachable(p)) { /* it has said so, and then goodbye */
        why_set(&why, 0, "rank %d cannot be reached: %.400s", p->rank, p->why.text);
        wireup_going(p, SINEW_EUNREACHABLE, GONE_BROKEN, why.text);
        return;
    }
    bool first_contact = !was_up && status < 0 && gone == GONE_BROKEN;
    wireup_going(p, first_contact ? status : SINEW_EPEER, gone, why.text);
}

const struct transport_up wireup_upcalls = {
    .link = upcall_link,
    .up = upcall_up,
    .tell = wired_told,
    .recv = receive_upcall,
    .done = upcall_done,
    .room = upcall_room,
    .undone = upcall_undone,
    .down = upcall_down,
};
