/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire.c - channels between two ranks, and the parcels on them
 *
 * A parcel leaves when the way out of its end is free, occupies it for its bytes, and arrives a
 * latency and some jitter later, never before its predecessor on the same way: so a channel is FIFO
 * and channels are not ordered among each other. Arriving means lying in the inbox of the end; the
 * rank's progress makes upcalls of it. A parcel that arrives while the pair is cut is held until it
 * is healed.
 *
 * An end goes down once: it is DYING from the moment the cause is known, what arrived before and
 * every cookie are still handed up, then NOTE_DOWN, then it is GONE. Channels stay until the run is
 * over, so that parcels under way never point at nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "transport/sim/internal.h"

/* ---- parcels --------------------------------------------------------------------------------- */

static void parcel_arrive(struct sim *s, struct event *event);
static void parcel_depart(struct sim *s, struct event *event);

struct parcel *parcel_new(struct channel *c, int to, enum parcel_kind kind, size_t len)
{
    struct parcel *p = sim_allocate(c->sim, sizeof(*p) + len);
    if (!p) return NULL;
    p->kind = kind;
    p->channel = c;
    p->to = to;
    p->event.wire = true;
    p->event.fire = parcel_arrive;
    list_init(&p->entry);
    return p;
}

void parcel_free(struct parcel *p)
{
    list_remove(&p->entry);
    free(p);
}

int64_t wire_depart(struct end *e, int64_t now, size_t bytes)
{
    int64_t start = now > e->free_at ? now : e->free_at;
    double gap = (double)bytes * e->channel->sim->opt.gap_ns_per_byte;
    e->free_at = start + (int64_t)(gap + 0.5);
    return e->free_at;
}

int64_t wire_arrival(struct end *e, int64_t departure, bool ordered)
{
    struct sim *s = e->channel->sim;
    int64_t at = departure + s->opt.latency_ns;
    if (s->opt.jitter_ns) at += (int64_t)(sim_draw(&s->random) % ((uint64_t)s->opt.jitter_ns + 1));
    if (!ordered) return at;
    if (at < e->last_arrival) at = e->last_arrival;
    e->last_arrival = at;
    return at;
}

void wire_send(struct end *from, struct parcel *p, int64_t now)
{
    int64_t departure = wire_depart(from, now, p->hlen + p->blen);
    sim_schedule(from->channel->sim, &p->event, wire_arrival(from, departure, true));
}

/* Its place on the wire is taken now, its body when it leaves. */
void wire_send_lent(struct end *from, struct parcel *p, const void *body, int64_t now)
{
    int64_t departure = wire_depart(from, now, p->hlen + p->blen);
    p->lent = body;
    p->arrival = wire_arrival(from, departure, true);
    p->event.fire = parcel_depart;
    list_append(&from->lent, &p->entry);
    sim_schedule(from->channel->sim, &p->event, departure);
}

static void parcel_depart(struct sim *s, struct event *event)
{
    struct parcel *p = LIST_OWNER(event, struct parcel, event);
    struct end *from = &p->channel->end[!p->to];
    memcpy(p->bytes + p->hlen, p->lent, p->blen);
    p->lent = NULL;
    list_remove(&p->entry);
    p->event.fire = parcel_arrive;
    sim_schedule(s, &p->event, p->arrival);
    end_note(from, NOTE_DONE, p->cookie, 0, GONE_LEFT);
    end_goodbye_when_empty(from);
}

static void control_send(struct end *from, enum parcel_kind kind, uint64_t cookie, int64_t now)
{
    struct parcel *p = parcel_new(from->channel, !from->side, kind, 0);
    if (!p) return;
    p->cookie = cookie;
    wire_send(from, p, now);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void end_expire(struct sim *s, struct event *event);

static void end_init(struct channel *c, int side, int rank)
{
    struct end *e = &c->end[side];
    e->channel = c;
    e->side = side;
    e->rank = rank;
    e->timer.fire = end_expire;
    struct list *lists[] = { &e->entry, &e->ready, &e->inbox,  &e->held,
                             &e->lent,  &e->puts,  &e->flushes, &e->kept, &e->gets };
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) list_init(lists[i]);
}

struct channel *channel_new(struct sim *s, int from, int to)
{
    struct channel *c = sim_allocate(s, sizeof(*c));
    if (!c) return NULL;
    c->sim = s;
    list_append(&s->channels, &c->entry);
    end_init(c, 0, from);
    end_init(c, 1, to);
    return c;
}

struct end *end_peer(struct end *e)
{
    return &e->channel->end[!e->side];
}

bool end_is_cut(const struct end *e)
{
    const struct sim *s = e->channel->sim;
    return s->cut[e->rank * s->opt.ranks + e->channel->end[!e->side].rank];
}

bool end_is_open(const struct end *e)
{
    return e->state == END_UP || e->state == END_DRAINING;
}

static bool end_takes(const struct end *e)
{
    return e->state == END_CONNECTING || end_is_open(e);
}

void end_attach(struct end *e, struct port *port, struct link *l, enum end_state state)
{
    e->port = port;
    e->link = l;
    e->state = state;
    list_append(&port->ends, &e->entry);
}

void end_detach(struct end *e)
{
    e->state = END_GONE;
    e->port = NULL;
    e->link = NULL;
    list_remove(&e->entry);
    list_remove(&e->ready);
}

void end_ready(struct end *e)
{
    if (!e->port) return;
    if (list_empty(&e->ready)) list_append(&e->port->ready, &e->ready);
    rank_rouse(e->port->rank);
}

void end_give_room(struct end *e)
{
    if (!e->refused || !end_is_open(e)) return;
    e->refused = false;
    e->room = true;
    end_ready(e);
}

void end_note(struct end *e, enum parcel_kind kind, uint64_t cookie, int status, enum gone gone)
{
    if (!e->port) return;
    struct parcel *note = parcel_new(e->channel, e->side, kind, 0);
    if (!note) return;
    note->cookie = cookie;
    note->status = status;
    note->gone = gone;
    list_append(&e->inbox, &note->entry);
    end_ready(e);
}

/* Bodies that have not left stay with their sender. */
static void end_cancel_lent(struct end *e, int status)
{
    struct list *i;
    while ((i = list_take(&e->lent))) {
        struct parcel *p = LIST_OWNER(i, struct parcel, entry);
        sim_unschedule(e->channel->sim, &p->event);
        end_note(e, NOTE_DONE, p->cookie, status, GONE_LEFT);
        parcel_free(p);
    }
}

/* Puts that wait for heal at an end that is over: what they were to land in may be had back. */
static void end_lose_held(struct end *e)
{
    struct list kept, *i;
    list_init(&kept);
    while ((i = list_take(&e->held))) {
        struct parcel *p = LIST_OWNER(i, struct parcel, entry);
        if (p->kind == PARCEL_FRAGMENT) {
            put_lose(p);
            parcel_free(p);
        } else {
            list_append(&kept, i);
        }
    }
    list_splice(&e->held, &kept);
}

void end_down(struct end *e, int status, enum gone gone, const char *format, ...)
{
    va_list list;
    if (!end_takes(e)) return;
    e->state = END_DYING;
    sim_unschedule(e->channel->sim, &e->timer);
    end_lose_held(e);
    end_cancel_lent(e, status ? status : SINEW_EPEER);
    put_cancel_all(e, status ? status : SINEW_EPEER);
    get_cancel_all(e, status ? status : SINEW_EPEER);
    if (gone == GONE_BROKEN && !e->dropped) wired_hand_back(e);
    va_start(list, format);
    vsnprintf(e->why.text, sizeof(e->why.text), format, list);
    va_end(list);
    end_note(e, NOTE_DOWN, 0, status, gone);
}

void end_reset_peer(struct end *e, int64_t time, int status, enum gone gone, const char *text)
{
    struct parcel *p = parcel_new(e->channel, !e->side, PARCEL_RESET, strlen(text) + 1);
    if (!p) return;
    strcpy((char *)p->bytes, text);
    p->status = status;
    p->gone = gone;
    if (time < e->last_arrival) time = e->last_arrival;
    e->last_arrival = time;
    sim_schedule(e->channel->sim, &p->event, time);
}

void end_goodbye_when_empty(struct end *e)
{
    if (e->state != END_DRAINING || e->said_goodbye) return;
    if (!list_empty(&e->lent) || !list_empty(&e->puts) || !list_empty(&e->gets)) return;
    e->said_goodbye = true;
    control_send(e, PARCEL_GOODBYE, 0, e->channel->sim->now);
}

/* Messages nobody will take any more; notes stay. */
void end_drop_inbox(struct end *e)
{
    struct list kept, *i;
    list_init(&kept);
    while ((i = list_take(&e->inbox))) {
        struct parcel *p = LIST_OWNER(i, struct parcel, entry);
        if (p->kind == NOTE_DONE || p->kind == NOTE_DOWN)
            list_append(&kept, i);
        else
            parcel_free(p);
    }
    list_splice(&e->inbox, &kept);
}

/* ---- arrival --------------------------------------------------------------------------------- */

static struct port *port_find(struct sim *s, int rank, uint64_t id)
{
    struct list *ports = &s->ranks[rank].ports;
    for (struct list *i = ports->next; i != ports; i = i->next)
        if (LIST_OWNER(i, struct port, entry)->id == id) return LIST_OWNER(i, struct port, entry);
    return NULL;
}

struct end *port_end_to(struct port *port, int rank)
{
    for (struct list *i = port->ends.next; i != &port->ends; i = i->next) {
        struct end *e = LIST_OWNER(i, struct end, entry);
        if (end_peer(e)->rank == rank) return e;
    }
    return NULL;
}

/* The peer's side of the network answers at once; its rank, when it next makes progress. */
static void request_arrive(struct sim *s, struct parcel *p)
{
    struct end *to = &p->channel->end[1], *from = &p->channel->end[0];
    struct port *port = port_find(s, to->rank, p->cookie);
    char text[64];
    sim_unschedule(s, &from->timer);
    if (port) {
        list_append(&port->requests, &p->entry);
        rank_rouse(port->rank);
        return;
    }
    bool died = s->ranks[to->rank].vanished;
    snprintf(text, sizeof(text), "rank %d %s", to->rank, died ? "is dead" : "has left");
    end_reset_peer(to, s->now + s->opt.latency_ns, SINEW_EPEER, died ? GONE_DIED : GONE_LEFT, text);
    parcel_free(p);
}

/* The attempt of a higher rank was dropped in favour of this one, which has just been given up. */
static void reset_crossing(struct sim *s, struct end *unborn, const struct parcel *p)
{
    struct list *ports = &s->ranks[unborn->rank].ports;
    for (struct list *i = ports->next; i != ports; i = i->next) {
        struct end *mine = port_end_to(LIST_OWNER(i, struct port, entry), end_peer(unborn)->rank);
        if (mine && mine->state == END_CONNECTING && mine->channel->abandoned)
            end_down(mine, p->status, p->gone, "%s", (const char *)p->bytes);
    }
}

static void goodbye_arrive(struct sim *s, struct end *e)
{
    /* What came before it was lost here: an end that is broken confirms nothing. */
    if (e->channel->broken && !end_takes(e)) return;
    control_send(e, PARCEL_GOODBYE_ACK, 0, s->now);
    end_down(e, 0, GONE_LEFT, "rank %d said goodbye", end_peer(e)->rank);
}

static void credit_arrive(struct end *e, size_t cost)
{
    e->in_flight -= cost;
    end_give_room(e);
}

/* Whether the parcel was kept. */
static bool parcel_deliver(struct sim *s, struct parcel *p)
{
    struct end *e = &p->channel->end[p->to];
    switch (p->kind) {
    case PARCEL_REQUEST:
        request_arrive(s, p);
        return true;
    case PARCEL_ACCEPT:
    case PARCEL_MESSAGE:
        if (!end_takes(e)) return false;
        list_append(&e->inbox, &p->entry);
        end_ready(e);
        if (p->kind == PARCEL_MESSAGE && e->channel->wired) wired_arrived(e);
        return true;
    case PARCEL_CONFIRM:
        wired_confirmed(e, p->cookie);
        return false;
    case PARCEL_READ:
        if (end_takes(e)) get_serve(e, p);
        return false;
    case PARCEL_DATA:
        if (end_takes(e)) get_arrive(e, p);
        return false;
    case PARCEL_FRAGMENT:
        if (end_takes(e))
            sim_put_land(p);
        else
            put_lose(p);
        return false;
    case PARCEL_CREDIT:
        credit_arrive(e, p->cost);
        return false;
    case PARCEL_FLUSHED:
        put_flushed(e, p->cookie);
        return false;
    case PARCEL_GOODBYE:
        goodbye_arrive(s, e);
        return false;
    case PARCEL_GOODBYE_ACK:
        end_down(e, 0, GONE_LEFT, "closed");
        return false;
    case PARCEL_RESET:
        if (e->state == END_NONE) reset_crossing(s, e, p);
        end_down(e, p->status, p->gone, "%s", (const char *)p->bytes);
        return false;
    default:
        return false;
    }
}

static void parcel_arrive(struct sim *s, struct event *event)
{
    struct parcel *p = LIST_OWNER(event, struct parcel, event);
    struct end *e = &p->channel->end[p->to];
    s->hash =
        (s->hash ^ ((uint64_t)p->kind << 56 | (uint64_t)e->rank << 40 | (p->hlen + p->blen))) *
        0x100000001b3u;
    if (wired_loses(p))
        return;
    if (end_is_cut(e))
        list_append(&e->held, &p->entry);
    else if (!parcel_deliver(s, p))
        parcel_free(p);
}

/* ---- cut, heal, deadlines -------------------------------------------------------------------- */

/* The deadline of an end: to be set up, or to be repaired. */
static void end_expire(struct sim *s, struct event *event)
{
    struct end *e = LIST_OWNER(event, struct end, timer);
    int peer = end_peer(e)->rank;
    char text[96];
    if (e->channel->broken) {
        end_down(e, SINEW_EPEER, GONE_BROKEN, "the wire to rank %d broke", peer);
        return;
    }
    if (e->repairing) {
        end_down(e, SINEW_EPEER, GONE_BROKEN, "rank %d has not answered within repair_deadline",
                 peer);
    } else {
        end_down(e, SINEW_ETIMEDOUT, GONE_BROKEN, "rank %d has not answered within setup_deadline",
                 peer);
    }
    snprintf(text, sizeof(text), "rank %d gave the link up: a deadline passed", e->rank);
    end_reset_peer(e, s->now + s->opt.latency_ns, SINEW_EPEER, GONE_BROKEN, text);
}

void end_watch(struct end *e)
{
    struct sim *s = e->channel->sim;
    if (!end_takes(e) || e->timer.at || !end_is_cut(e)) return;
    const struct config *config = e->port->transport->opt.config;
    e->repairing = true;
    sim_schedule(s, &e->timer, s->now + (config ? config->repair_deadline : 15 * CONFIG_SECOND));
}

static void end_heal(struct sim *s, struct end *e)
{
    struct list *i;
    if (e->repairing) sim_unschedule(s, &e->timer);
    e->repairing = false;
    while ((i = list_take(&e->held))) {
        struct parcel *p = LIST_OWNER(i, struct parcel, entry);
        if (!parcel_deliver(s, p)) parcel_free(p);
    }
}

static bool pair_set(struct sim_rank *me, int a, int b, uint8_t cut)
{
    struct sim *s = me->sim;
    int n = s->opt.ranks;
    if (a < 0 || b < 0 || a >= n || b >= n || a == b) return false;
    rank_catch_up(me);
    s->cut[a * n + b] = s->cut[b * n + a] = cut;
    return true;
}

static bool channel_joins(const struct channel *c, int a, int b)
{
    return (c->end[0].rank == a && c->end[1].rank == b) ||
           (c->end[0].rank == b && c->end[1].rank == a);
}

void sim_cut(struct sim_rank *me, int a, int b)
{
    struct list *channels = &me->sim->channels;
    if (!pair_set(me, a, b, 1)) return;
    for (struct list *i = channels->next; i != channels; i = i->next) {
        struct channel *c = LIST_OWNER(i, struct channel, entry);
        if (!channel_joins(c, a, b)) continue;
        end_watch(&c->end[0]);
        end_watch(&c->end[1]);
    }
}

void sim_break(struct sim_rank *me, int a, int b)
{
    struct list *channels = &me->sim->channels;
    rank_catch_up(me);
    for (struct list *i = channels->next; i != channels; i = i->next) {
        struct channel *c = LIST_OWNER(i, struct channel, entry);
        if (c->wired && channel_joins(c, a, b)) wired_break(c);
    }
}

void sim_heal(struct sim_rank *me, int a, int b)
{
    struct list *channels = &me->sim->channels;
    if (!pair_set(me, a, b, 0)) return;
    for (struct list *i = channels->next; i != channels; i = i->next) {
        struct channel *c = LIST_OWNER(i, struct channel, entry);
        if (!channel_joins(c, a, b)) continue;
        end_heal(me->sim, &c->end[0]);
        end_heal(me->sim, &c->end[1]);
    }
}

/* ---- the end of a port, of a rank, of all ---------------------------------------------------- */

static void end_abandon(struct end *e, int64_t time, enum gone gone, const char *text)
{
    struct list *i;
    sim_unschedule(e->channel->sim, &e->timer);
    if (end_takes(e)) end_reset_peer(e, time, SINEW_EPEER, gone, text);
    end_cancel_lent(e, SINEW_EPEER);
    put_cancel_all(e, SINEW_EPEER);
    get_cancel_all(e, SINEW_EPEER);
    while ((i = list_take(&e->inbox))) parcel_free(LIST_OWNER(i, struct parcel, entry));
    end_detach(e);
}

/* Peers learn of it at `time`, after all that was on the wire before. */
void port_close(struct port *port, enum gone gone, int64_t time, const char *text)
{
    struct list *i;
    while (!list_empty(&port->ends))
        end_abandon(LIST_OWNER(port->ends.next, struct end, entry), time, gone, text);
    while ((i = list_take(&port->requests))) {
        struct parcel *p = LIST_OWNER(i, struct parcel, entry);
        end_reset_peer(&p->channel->end[1], time, SINEW_EPEER, gone, text);
        parcel_free(p);
    }
    list_remove(&port->entry);
    free(port->slots);
    free(port);
}

void rank_vanish(struct sim_rank *r, int64_t now, bool launcher_knows)
{
    struct sim *s = r->sim;
    char text[64];
    int64_t time = now + s->opt.detect_ns;
    r->vanished = true;
    snprintf(text, sizeof(text), "rank %d died", r->rank);
    while (!list_empty(&r->ports))
        port_close(LIST_OWNER(r->ports.next, struct port, entry), GONE_DIED, time, text);
    if (launcher_knows) launch_tell_death(s, r->rank, time);
}

static void list_free_parcels(struct list *l)
{
    struct list *i;
    while ((i = list_take(l))) free(LIST_OWNER(i, struct parcel, entry));
}

void wire_free(struct sim *s)
{
    struct list *i;
    while (s->heap.count) {
        struct event *e = heap_first(&s->heap);
        heap_remove(&s->heap, e);
        if (e->fire != parcel_arrive) continue;
        struct parcel *p = LIST_OWNER(e, struct parcel, event);
        if (p->kind == PARCEL_FRAGMENT) put_lose(p);
        parcel_free(p);
    }
    list_free_parcels(&s->leases);
    while ((i = list_take(&s->channels))) {
        struct channel *c = LIST_OWNER(i, struct channel, entry);
        for (int side = 0; side < 2; side++) {
            list_free_parcels(&c->end[side].inbox);
            list_free_parcels(&c->end[side].held);
            put_free(&c->end[side]);
            get_free(&c->end[side]);
            wired_free(&c->end[side]);
        }
        free(c);
    }
}
