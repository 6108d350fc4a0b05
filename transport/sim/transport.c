/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * transport.c - the operations of transport.h over the simulated wire: the reference the others are
 * held to
 *
 * An address, little-endian:   | "sIm0" (4) | rank (4) | port (4) | epoch (8) |
 *
 * Two attempts to connect that cross: each side finds its own attempt under way when the other's
 * request comes. The lower rank drops the request; the higher one moves its link over to it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/wire.h"
#include "transport/sim/internal.h"
#include "transport/stub.h"

#define ADDRESS_MAGIC 0x306d4973u
enum {
    ADDRESS_LEN = 20,
    WANTED_FIRST = 32,   /* upcalls of the link waited on before the others have their turn */
    EACH_TURN = 4,       /* of every other                                                  */
    REQUEST_UPCALLS = 2, /* link, up                                                        */
};

struct sim_transport {
    struct transport base;
    struct port *port;
};

struct sim_link {
    struct link base;
    struct end *end;
};

static struct port *port_of(struct transport *t)
{
    return ((struct sim_transport *)(void *)t)->port;
}
static struct end *end_of(struct link *l)
{
    return ((struct sim_link *)(void *)l)->end;
}

static void link_set_end(struct link *l, struct end *e)
{
    ((struct sim_link *)(void *)l)->end = e;
}

/* What messaging must queue to the end of progress fails the run when it does not. */
static bool port_misused(struct port *port, const char *what)
{
    if (port->in_upcall)
        sim_fail(port->rank->sim, SINEW_ESTATE, "rank %d called %s inside an upcall",
                 port->rank->rank, what);
    return port->in_upcall;
}

/* ---- open, close, reach ---------------------------------------------------------------------- */

static void caps_fill(struct transport *t, const struct sim_options *o, bool wired)
{
    t->caps = (struct transport_caps){ .eager_max = o->eager_max,
                                       .copy_max = wired ? o->eager_max : o->copy_max,
                                       .put_ordered = !o->puts_unordered,
                                       .wired = wired,
                                       .begin_max = o->begin_max,
                                       .get = o->reads,
                                       .latency_ns = (uint32_t)(o->latency_ns + 2 * o->overhead_ns),
                                       .megabytes_per_s = (uint32_t)(1000 / o->gap_ns_per_byte) };
}

static int sim_transport_open(struct transport *t)
{
    struct sim_rank *me = rank_of_world(t->opt.world);
    if (!me)
        return why_set(&t->why, SINEW_ENOTSUP,
                       "sim works in a simulated world only: use sim_run()");
    if (t->opt.rank != me->rank || t->opt.size != me->sim->opt.ranks)
        return why_set(&t->why, SINEW_EINVAL,
                       "rank %d of %d is rank %d of %d in the simulated world", t->opt.rank,
                       t->opt.size, me->rank, me->sim->opt.ranks);
    struct port *port = sim_allocate(me->sim, sizeof(*port));
    if (!port) return why_set(&t->why, SINEW_ENOMEM, "no memory");
    port->rank = me;
    port->transport = t;
    port->id = me->sim->next_port++;
    port->epoch = t->opt.epoch;
    list_init(&port->ends);
    list_init(&port->ready);
    list_init(&port->requests);
    list_append(&me->ports, &port->entry);
    ((struct sim_transport *)(void *)t)->port = port;
    port->wired = t->ops == &transport_sim_wired;
    caps_fill(t, &me->sim->opt, port->wired);
    wire_put32(t->address, ADDRESS_MAGIC);
    wire_put32(t->address + 4, (uint32_t)me->rank);
    wire_put32(t->address + 8, port->id);
    wire_put64(t->address + 12, t->opt.epoch);
    t->address_len = ADDRESS_LEN;
    t->fd = -1;
    return 0;
}

static void sim_transport_close(struct transport *t)
{
    struct port *port = port_of(t);
    struct sim_rank *me = port->rank;
    char text[64];
    port_misused(port, "close");
    if (!list_empty(&port->ends))
        sim_fail(me->sim, SINEW_ESTATE, "rank %d closed its transport with links that are not down",
                 me->rank);
    for (uint32_t i = 0; i < port->slot_count; i++)
        if (port->slots[i].live)
            sim_fail(me->sim, SINEW_ESTATE, "rank %d closed its transport with memory registered",
                     me->rank);
    rank_catch_up(me);
    snprintf(text, sizeof(text), "rank %d has left", me->rank);
    port_close(port, GONE_LEFT, me->now + me->sim->opt.latency_ns, text);
}

struct address {
    int rank;
    uint32_t port;
    uint64_t epoch;
};

static int address_read(struct transport *t, const void *bytes, size_t len, struct address *a,
                        struct why *why)
{
    struct wire_reader r = wire_read(bytes, len);
    uint32_t magic = wire_take32(&r), rank = wire_take32(&r);
    a->port = wire_take32(&r);
    a->epoch = wire_take64(&r);
    if (r.bad || r.left || magic != ADDRESS_MAGIC)
        return why_set(why, SINEW_EINVAL, "%zu bytes that are no address of sim", len);
    if (rank >= (uint32_t)t->opt.size)
        return why_set(why, SINEW_EINVAL, "an address of rank %u in a world of %d", rank,
                       t->opt.size);
    a->rank = (int)rank;
    if (a->rank == t->opt.rank)
        return why_set(why, SINEW_EUNREACHABLE, "sim does not connect a rank to itself");
    return 0;
}

static int sim_transport_reach(struct transport *t, const void *address, size_t len,
                               struct why *why)
{
    struct address a = { 0 };
    int status = address_read(t, address, len, &a, why);
    return status < 0 ? SINEW_EUNREACHABLE : 1;
}

/* ---- connect, disconnect --------------------------------------------------------------------- */

static int sim_transport_connect(struct link *l, const void *bytes, size_t len)
{
    struct port *port = port_of(l->transport);
    struct sim_rank *me = port->rank;
    struct sim *s = me->sim;
    struct address a = { 0 };
    if (port_misused(port, "connect")) return SINEW_ESTATE;
    if (port->wired && end_of(l)) return wired_connect(port, l, end_of(l), bytes, len);
    int status = address_read(l->transport, bytes, len, &a, &l->why);
    if (status < 0) return status;
    if (end_of(l) || port_end_to(port, a.rank))
        return why_set(&l->why, SINEW_ESTATE, "there is a link to rank %d already", a.rank);
    struct channel *c = channel_new(s, me->rank, a.rank);
    struct parcel *request = c ? parcel_new(c, 1, PARCEL_REQUEST, 0) : NULL;
    if (!request) return why_set(&l->why, SINEW_ENOMEM, "no memory");
    struct end *e = &c->end[0];
    end_attach(e, port, l, END_CONNECTING);
    link_set_end(l, e);
    if (port->wired) {
        c->wired = true;
        e->peer_port = a.port;
        parcel_free(request);
        end_note(e, NOTE_TELL, 0, 0, GONE_LEFT);
        return 0;
    }
    request->cookie = a.port;
    const struct config *config = l->transport->opt.config;
    sim_schedule(s, &e->timer, me->now + (config ? config->setup_deadline : 30 * CONFIG_SECOND));
    wire_send(e, request, me->now);
    return 0;
}

static void disconnect_now(struct end *e, enum gone peer_sees)
{
    struct sim_rank *me = e->port->rank;
    char text[64];
    snprintf(text, sizeof(text), "rank %d dropped the link", me->rank);
    e->dropped = true;
    if (e->state != END_DYING)
        end_reset_peer(e, me->now + me->sim->opt.latency_ns, SINEW_EPEER, peer_sees, text);
    end_drop_inbox(e);
    end_down(e, SINEW_ECANCELED, GONE_BROKEN, "dropped");
}

/* What the dead have put on the wire arrives first, unless nothing arrives. */
static void disconnect_dead(struct end *e)
{
    struct end *peer = end_peer(e);
    struct sim_rank *me = e->port->rank;
    char text[64];
    snprintf(text, sizeof(text), "rank %d is dead", peer->rank);
    if (e->state == END_DYING) return;
    end_reset_peer(e, me->now + me->sim->opt.latency_ns, SINEW_EPEER, GONE_BROKEN,
                   "taken for dead");
    if (e->state == END_CONNECTING || end_is_cut(e))
        end_down(e, SINEW_EPEER, GONE_DIED, "%s", text);
    else
        end_reset_peer(peer, me->now, SINEW_EPEER, GONE_DIED, text);
}

static void sim_transport_disconnect(struct link *l, enum disconnect_how how)
{
    struct end *e = end_of(l);
    if (!e || port_misused(e->port, "disconnect")) return;
    rank_catch_up(e->port->rank);
    if (how == DISCONNECT_BROKEN) {
        end_down(e, SINEW_EPEER, GONE_BROKEN, "rank %d says that its end is broken",
                 end_peer(e)->rank);
    } else if (how == DISCONNECT_NOW) {
        disconnect_now(e, GONE_BROKEN);
    } else if (how == DISCONNECT_DEAD) {
        disconnect_dead(e);
    } else if (e->state == END_CONNECTING) {
        disconnect_now(e, GONE_LEFT);
    } else if (e->state == END_UP) {
        e->state = END_DRAINING;
        end_goodbye_when_empty(e);
    }
}

/* ---- send, rma, flush, regions --------------------------------------------------------------- */

/* 0, AGAIN while the link is not up, or why it will take nothing any more. */
static int end_accepts(struct end *e)
{
    if (!e) return SINEW_ESTATE;
    if (e->state == END_UP) return 0;
    if (e->state != END_CONNECTING) return SINEW_EPEER;
    e->refused = true;
    return TRANSPORT_AGAIN;
}

static int send_check(struct link *l, size_t hlen, size_t blen, const struct region *region)
{
    const struct transport_caps *caps = &l->transport->caps;
    if (hlen > TRANSPORT_HEAD_MAX)
        return why_set(&l->why, SINEW_EINVAL, "a head of %zu bytes: at most %d", hlen,
                       TRANSPORT_HEAD_MAX);
    if (blen > caps->eager_max)
        return why_set(&l->why, SINEW_EINVAL, "a body of %zu bytes: at most %u", blen,
                       caps->eager_max);
    if (blen > caps->copy_max && !region)
        return why_set(&l->why, SINEW_EINVAL,
                       "a body of %zu bytes to be lent comes with its region", blen);
    return 0;
}

static int sim_transport_send(struct link *l, const void *head, size_t hlen, const void *body,
                              size_t blen, struct region *region, uint64_t cookie)
{
    struct end *e = end_of(l);
    int status = end_accepts(e);
    if (!status) status = send_check(l, hlen, blen, region);
    if (status) return status;
    size_t cost = hlen + blen + SIM_FRAME_BYTES;
    struct sim_rank *me = e->port->rank;
    if (e->in_flight > 0 && e->in_flight + cost > me->sim->opt.window_bytes) {
        e->refused = true;
        return TRANSPORT_AGAIN;
    }
    struct parcel *p = parcel_new(e->channel, !e->side, PARCEL_MESSAGE, hlen + blen);
    if (!p) return SINEW_ENOMEM;
    p->hlen = hlen;
    p->blen = blen;
    p->cost = cost;
    p->cookie = cookie;
    if (hlen) memcpy(p->bytes, head, hlen);
    e->in_flight += cost;
    me->now += me->sim->opt.overhead_ns;
    me->idle_since = me->now;
    if (blen > l->transport->caps.copy_max) {
        wire_send_lent(e, p, body, me->now);
        return TRANSPORT_PENDING;
    }
    if (blen) memcpy(p->bytes + hlen, body, blen);
    if (e->channel->wired && !wired_keep(e, p)) {
        parcel_free(p);
        return SINEW_ENOMEM;
    }
    wire_send(e, p, me->now);
    return 0;
}

static int sim_transport_rma(struct link *l, struct rma *op)
{
    struct end *e = end_of(l);
    int status = end_accepts(e);
    if (status) return status;
    if (op->kind == RMA_GET && l->transport->caps.get) return get_start(e, op, e->port->rank->now);
    if (op->kind != RMA_PUT)
        return why_set(&l->why, SINEW_ENOTSUP, "sim can put, and get if told to, nothing else");
    struct sim_rank *me = e->port->rank;
    me->now += me->sim->opt.overhead_ns;
    me->idle_since = me->now;
    return put_start(e, op, me->now);
}

static int sim_transport_flush(struct link *l, uint64_t cookie)
{
    struct end *e = end_of(l);
    int status = end_accepts(e);
    return status ? status : put_flush(e, cookie);
}

static int sim_transport_reg(struct transport *t, struct link *l, struct region *region)
{
    if (!l) return region_register(port_of(t), region);
    return end_of(l) ? region_check(end_of(l), region) : SINEW_ESTATE;
}

static int sim_transport_dereg(struct transport *t, struct region *region)
{
    struct port *port = port_of(t);
    return port_region_remove(port, region);
}

/* ---- progress -------------------------------------------------------------------------------- */

static void lease_release(struct lease *lease)
{
    parcel_free(LIST_OWNER(lease, struct parcel, lease));
}

static void end_protocol_error(struct end *e, int status)
{
    struct sim_rank *me = e->port->rank;
    char text[64];
    e->dropped = true;
    snprintf(text, sizeof(text), "rank %d could not understand a message", me->rank);
    end_reset_peer(e, me->now + me->sim->opt.latency_ns, SINEW_EPEER, GONE_BROKEN, text);
    end_drop_inbox(e);
    end_down(e, SINEW_EPROTO, GONE_BROKEN, "rank %d sent bytes that break the protocol (status %d)",
             end_peer(e)->rank, status);
}

static void message_hand_up(struct end *e, struct parcel *p)
{
    struct sim_rank *me = e->port->rank;
    struct sim *s = me->sim;
    struct lease *lease = s->opt.with_lease ? &p->lease : NULL;
    me->now += s->opt.overhead_ns;
    s->result->messages++;
    s->result->bytes += p->hlen + p->blen;
    e->owed += p->cost;
    p->lease.release = lease_release;
    list_append(&s->leases, &p->entry);
    int status = e->port->transport->up->recv(e->link, p->bytes, p->hlen, p->bytes + p->hlen,
                                              p->blen, lease);
    if (status == TRANSPORT_PENDING && lease) return;
    parcel_free(p);
    if (status < 0) end_protocol_error(e, status);
}

static void end_hand_up(struct end *e, struct parcel *p)
{
    const struct transport_up *up = e->port->transport->up;
    struct link *l = e->link;
    switch (p->kind) {
    case PARCEL_MESSAGE:
        message_hand_up(e, p);
        return;
    case PARCEL_ACCEPT:
        if (e->state == END_CONNECTING) e->state = END_UP;
        l->epoch = p->cookie;
        e->room = e->refused;
        e->refused = false;
        up->up(l);
        break;
    case NOTE_DONE:
        up->done(l, p->cookie, p->status);
        break;
    case NOTE_TELL:
        up->tell(l, "sim", 4);
        break;
    case NOTE_UNDONE:
        up->undone(l, p->bytes, p->hlen, p->bytes + p->hlen, p->blen);
        break;
    case NOTE_DOWN:
        l->why = e->why;
        link_set_end(l, NULL);
        end_detach(e);
        up->down(l, p->status, p->gone);
        break;
    default:
        break;
    }
    parcel_free(p);
}

static void end_give_back_window(struct end *e)
{
    if (!e->owed || !e->port) return;
    struct parcel *credit = parcel_new(e->channel, !e->side, PARCEL_CREDIT, 0);
    if (!credit) return;
    credit->cost = e->owed;
    e->owed = 0;
    wire_send(e, credit, e->port->rank->now);
}

/* At most `most` upcalls of one end. */
static int end_pump(struct end *e, int most)
{
    int made = 0;
    while (made < most && e->port) {
        struct list *i = list_take(&e->inbox);
        if (i) {
            end_hand_up(e, LIST_OWNER(i, struct parcel, entry));
        } else if (e->room && e->state == END_UP) {
            e->room = false;
            e->port->transport->up->room(e->link);
        } else {
            break;
        }
        made++;
    }
    end_give_back_window(e);
    if (!e->port) return made;
    list_remove(&e->ready);
    if (!list_empty(&e->inbox) || (e->room && e->state == END_UP)) end_ready(e);
    return made;
}

/* The link takes the other's channel instead of its own. */
static void end_adopt(struct end *mine, struct end *to)
{
    struct port *port = mine->port;
    struct link *l = mine->link;
    bool refused = mine->refused;
    sim_unschedule(port->rank->sim, &mine->timer);
    end_detach(mine);
    end_attach(to, port, l, END_UP);
    to->room = refused;
    link_set_end(l, to);
}

static void request_refuse(struct end *e, struct sim_rank *me)
{
    char text[64];
    snprintf(text, sizeof(text), "rank %d refused the link", me->rank);
    end_reset_peer(e, me->now + me->sim->opt.latency_ns, SINEW_EPEER, GONE_BROKEN, text);
    e->state = END_GONE;
}

static void request_accept(struct port *port, struct end *e)
{
    struct parcel *accept = parcel_new(e->channel, 0, PARCEL_ACCEPT, 0);
    if (!accept) return;
    accept->cookie = port->epoch;
    wire_send(e, accept, port->rank->now);
    end_watch(e);
    wired_notice(e); /* it may have broken while the request lay here */
    port->transport->up->up(e->link);
    if (e->room) end_ready(e);
}

static int request_take(struct port *port, struct end *e, uint64_t epoch)
{
    struct transport *t = port->transport;
    struct end *mine = port_end_to(port, end_peer(e)->rank);
    int made = 1;
    if (mine) {
        end_adopt(mine, e);
        e->link->epoch = epoch;
    } else {
        struct link *l = port->wired ? NULL : t->up->link(t, end_peer(e)->rank, epoch);
        if (!l) {
            request_refuse(e, port->rank);
            return 1;
        }
        made++;
        end_attach(e, port, l, END_UP);
        link_set_end(l, e);
    }
    request_accept(port, e);
    return made;
}

/* The first request. What it replaces goes down first: then *again. */
static int port_take_request(struct port *port, bool *again)
{
    struct parcel *p = LIST_OWNER(port->requests.next, struct parcel, entry);
    struct end *theirs = &p->channel->end[0], *e = &p->channel->end[1];
    struct end *mine = port_end_to(port, theirs->rank);
    *again = false;
    if (!p->channel->abandoned && theirs->port && mine && mine->state != END_CONNECTING) {
        bool other = mine->link->epoch != theirs->port->epoch;
        end_down(mine, SINEW_EPEER, other ? GONE_DIED : GONE_BROKEN, "rank %d connects anew",
                 theirs->rank);
        *again = true;
        return 0;
    }
    int made = 0;
    bool lost = mine && mine->channel != e->channel && port->rank->rank < theirs->rank;
    if (!p->channel->abandoned && theirs->port && lost)
        p->channel->abandoned = true;
    else if (!p->channel->abandoned && theirs->port)
        made = request_take(port, e, theirs->port->epoch);
    parcel_free(p);
    return made;
}

static int port_pump_ready(struct port *port, int most)
{
    int made = 0;
    struct list turn, *i;
    list_init(&turn);
    list_splice(&turn, &port->ready);
    while (made < most && (i = list_take(&turn))) {
        struct end *e = LIST_OWNER(i, struct end, ready);
        made += end_pump(e, most - made < EACH_TURN ? most - made : EACH_TURN);
    }
    /* Those that had no turn stay in front of those that had. */
    list_splice(&turn, &port->ready);
    list_splice(&port->ready, &turn);
    return made;
}

static int port_pump(struct port *port, struct link *wanted)
{
    int made = wanted && end_of(wanted) ? end_pump(end_of(wanted), WANTED_FIRST) : 0;
    bool again = false;
    while (made < TRANSPORT_UPCALLS_MAX && !list_empty(&port->ready))
        made += port_pump_ready(port, TRANSPORT_UPCALLS_MAX - made);
    while (!again && made <= TRANSPORT_UPCALLS_MAX - REQUEST_UPCALLS &&
           !list_empty(&port->requests))
        made += port_take_request(port, &again);
    return made;
}

static int sim_transport_progress(struct transport *t, struct link *l)
{
    struct port *port = port_of(t);
    struct sim_rank *me = port->rank;
    if (port_misused(port, "progress")) return 0;
    rank_catch_up(me);
    port->in_upcall = true;
    int made = port_pump(port, l);
    port->in_upcall = false;
    if (made > 0)
        me->idle_since = me->now;
    else
        rank_poll(me, POLLING);
    return made;
}

static int sim_transport_arm(struct transport *t)
{
    struct port *port = port_of(t);
    port_misused(port, "arm");
    return !list_empty(&port->ready) || !list_empty(&port->requests);
}

#define SIM_OPS(NAME, ID, CONTROL)                                                                 \
    {                                                                                              \
        .name = NAME, .id = ID, .control = CONTROL, .transport_size = sizeof(struct sim_transport),\
        .link_size = sizeof(struct sim_link), .open = sim_transport_open,                          \
        .close = sim_transport_close, .reach = sim_transport_reach,                                \
        .connect = sim_transport_connect, .disconnect = sim_transport_disconnect,                  \
        .send = sim_transport_send, .allow = stub_allow, .send_short = stub_send_short,            \
        .take_short = stub_take_short, .peek = stub_peek, .drop = stub_drop,                       \
        .rma = sim_transport_rma,                                                                  \
        .flush = sim_transport_flush, .reg = sim_transport_reg, .dereg = sim_transport_dereg,      \
        .progress = sim_transport_progress, .arm = sim_transport_arm,                              \
    }

const struct transport_ops transport_sim = SIM_OPS("sim", 1, true);
const struct transport_ops transport_sim_wired = SIM_OPS("sim_wired", 7, false);
