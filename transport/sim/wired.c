/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wired.c - what sim_wired has beyond the rest
 *
 * Set-up: each side tells "sim"; when it has come, the lower rank asks on the wire as ever, and the
 * higher one moves its link over. A message is kept by its sender until the wire's confirmation of
 * its arrival is back, so of what broke in between the peer may have some. A put is done when it
 * has landed, or, unordered, when it is flushed.
 *
 * A broken channel still lets through some of what is under way, in order, also what lands in
 * memory; then nothing. Each end learns of it later, at a time of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "transport/sim/internal.h"

enum { NOTICE_NS = 50000 };

struct kept {
    struct list entry;
    uint64_t number;
    size_t hlen, blen;
    uint8_t bytes[];
};

/* ---- set-up ---------------------------------------------------------------------------------- */

int wired_connect(struct port *port, struct link *l, struct end *e, const void *bytes, size_t len)
{
    struct sim_rank *me = port->rank;
    struct sim *s = me->sim;
    if (e->state != END_CONNECTING || e->channel->broken) return 0; /* it will notice */
    if (len != 4 || memcmp(bytes, "sim", 4) != 0) {
        end_down(e, SINEW_EPROTO, GONE_BROKEN, "rank %d told %zu strange bytes",
                 end_peer(e)->rank, len);
        return 0;
    }
    if (s->opt.wired_fails && sim_draw(&s->random) % s->opt.wired_fails == 0) {
        end_down(e, SINEW_EUNREACHABLE, GONE_BROKEN, "the dice say no");
        return 0;
    }
    if (me->rank > end_peer(e)->rank) return 0; /* its link goes over to the other's channel */
    struct parcel *request = parcel_new(e->channel, 1, PARCEL_REQUEST, 0);
    if (!request) return 0;
    request->cookie = e->peer_port;
    const struct config *config = l->transport->opt.config;
    sim_schedule(s, &e->timer, me->now + (config ? config->setup_deadline : 30 * CONFIG_SECOND));
    wire_send(e, request, me->now);
    return 0;
}

/* ---- confirmation ---------------------------------------------------------------------------- */

bool wired_keep(struct end *e, const struct parcel *p)
{
    size_t len = p->hlen + p->blen;
    struct kept *k = sim_allocate(e->channel->sim, sizeof(*k) + len);
    if (!k) return false;
    k->number = ++e->sent;
    k->hlen = p->hlen;
    k->blen = p->blen;
    memcpy(k->bytes, p->bytes, len);
    list_init(&k->entry);
    list_append(&e->kept, &k->entry);
    return true;
}

void wired_arrived(struct end *e)
{
    struct parcel *confirm = parcel_new(e->channel, !e->side, PARCEL_CONFIRM, 0);
    if (!confirm) return;
    confirm->cookie = ++e->arrived;
    wire_send(e, confirm, e->channel->sim->now);
}

void wired_confirmed(struct end *e, uint64_t upto)
{
    while (!list_empty(&e->kept)) {
        struct kept *k = LIST_OWNER(e->kept.next, struct kept, entry);
        if (k->number > upto) return;
        list_remove(&k->entry);
        free(k);
    }
}

void wired_hand_back(struct end *e)
{
    for (struct list *l = e->kept.next; l != &e->kept; l = l->next) {
        const struct kept *k = LIST_OWNER(l, const struct kept, entry);
        struct parcel *note = parcel_new(e->channel, e->side, NOTE_UNDONE, k->hlen + k->blen);
        if (!note) return;
        note->hlen = k->hlen;
        note->blen = k->blen;
        memcpy(note->bytes, k->bytes, k->hlen + k->blen);
        list_append(&e->inbox, &note->entry);
    }
    wired_confirmed(e, e->sent);
}

/* ---- breaking -------------------------------------------------------------------------------- */

void wired_notice(struct end *e)
{
    struct sim *s = e->channel->sim;
    if (!e->channel->broken) return;
    if (e->state == END_NONE || e->state == END_GONE || e->state == END_DYING) return;
    sim_unschedule(s, &e->timer);
    sim_schedule(s, &e->timer, s->now + (int64_t)(sim_draw(&s->random) % NOTICE_NS));
}

void wired_break(struct channel *c)
{
    if (c->broken) return;
    c->broken = true;
    wired_notice(&c->end[0]);
    wired_notice(&c->end[1]);
}

bool wired_loses(struct parcel *p)
{
    struct channel *c = p->channel;
    struct end *to = &c->end[p->to];
    if (!c->broken) return false;
    to->losing |= sim_draw(&c->sim->random) % 4 == 0;
    if (!to->losing && p->kind != PARCEL_REQUEST) return false;
    if (p->kind == PARCEL_FRAGMENT) put_lose(p);
    parcel_free(p);
    return true;
}

void wired_free(struct end *e)
{
    wired_confirmed(e, UINT64_MAX);
}
