/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * put.c - regions, and puts that land in them piece by piece
 *
 * A put leaves in fragments: each is copied out of the source when it leaves and into the region
 * when it arrives, so a source touched too early or a crash in between shows. The put is done at
 * the source when the last fragment has left, and counts for flush and dereg until the last has
 * landed.
 *
 * A key, little-endian:
 *     | "sIm1" (4) | port (4) | slot (4) | generation (4) | len (8) | rights (1) |
 */
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"
#include "transport/sim/internal.h"

#define KEY_MAGIC 0x316d4973u
enum { KEY_LEN = 25, KEY_RIGHTS = 24, KEY_OFFERED = 128 /* to one reader, of rights */ };
enum { UNREAD_BIT = 1 << 11, READ_BIT = 1 << 12 }; /* of lengths: see sim_options.reads */

struct put {
    struct event event; /* the next fragment leaves */
    struct list entry;
    struct end *from;
    const uint8_t *local;
    size_t len, taken, in_air;
    uint64_t offset, cookie, number;
    uint32_t port, slot, generation;
    bool leaving, counted; /* counted: among the users of the registration */
    bool failed, told;     /* wired: a fragment was lost; done was said    */
};

struct flush {
    struct list entry;
    uint64_t cookie, upto;
    size_t waiting;
};

/* ---- regions --------------------------------------------------------------------------------- */

struct registration *registration_find(struct port *port, uint32_t slot, uint32_t generation)
{
    if (!port || slot >= port->slot_count) return NULL;
    struct registration *r = &port->slots[slot];
    return r->live && r->generation == generation ? r : NULL;
}

static int slot_take(struct port *port, uint32_t *slot)
{
    for (uint32_t i = 0; i < port->slot_count; i++) {
        if (port->slots[i].live) continue;
        *slot = i;
        return 0;
    }
    uint32_t count = port->slot_count ? 2 * port->slot_count : 16;
    struct registration *slots = realloc(port->slots, count * sizeof(*slots));
    if (!slots) return SINEW_ENOMEM;
    memset(slots + port->slot_count, 0, (count - port->slot_count) * sizeof(*slots));
    *slot = port->slot_count;
    port->slots = slots;
    port->slot_count = count;
    return 0;
}

int region_register(struct port *port, struct region *r)
{
    uint32_t slot;
    if (!r->base && r->len > 0) return SINEW_EINVAL;
    if (r->reader && (r->len & UNREAD_BIT)) return SINEW_ENOTSUP;
    int status = slot_take(port, &slot);
    if (status < 0) return status;
    struct registration *to = &port->slots[slot];
    uint32_t generation = to->generation + 1;
    *to = (struct registration){
        .base = r->base, .len = r->len, .generation = generation, .live = true
    };
    wire_put32(r->key, KEY_MAGIC);
    wire_put32(r->key + 4, port->id);
    wire_put32(r->key + 8, slot);
    wire_put32(r->key + 12, generation);
    wire_put64(r->key + 16, r->len);
    unsigned rights = r->rights ? r->rights : REGION_PUT;
    r->key[KEY_RIGHTS] = r->reader ? REGION_GET | KEY_OFFERED : (uint8_t)rights;
    r->key_len = KEY_LEN;
    r->id = (uint64_t)generation << 32 | slot;
    r->private = port; /* mine; NULL in a peer's */
    return 0;
}

int region_check(struct end *e, struct region *r)
{
    struct wire_reader key = wire_read(r->key, r->key_len < KEY_LEN ? r->key_len : KEY_LEN);
    uint32_t magic = wire_take32(&key);
    wire_take32(&key);
    uint32_t slot = wire_take32(&key), generation = wire_take32(&key);
    uint64_t len = wire_take64(&key);
    bool offered = wire_take8(&key) & KEY_OFFERED;
    if (key.bad || r->key_len != KEY_LEN || magic != KEY_MAGIC || len != r->len)
        return SINEW_EINVAL;
    if (offered && (!e->port->transport->caps.get || !(len & READ_BIT))) return SINEW_ENOTSUP;
    r->base = NULL;
    r->id = (uint64_t)generation << 32 | slot;
    r->private = NULL;
    return 0;
}

/* Whether a put from here to the peer's region still has bytes to send. */
static bool region_is_target(const struct port *port, const struct region *r)
{
    uint32_t owner = wire_get32(r->key + 4);
    for (struct list *i = port->ends.next; i != &port->ends; i = i->next) {
        const struct end *e = LIST_OWNER(i, struct end, entry);
        for (struct list *j = e->puts.next; j != &e->puts; j = j->next) {
            const struct put *p = LIST_OWNER(j, struct put, entry);
            uint64_t id = (uint64_t)p->generation << 32 | p->slot;
            if (p->leaving && p->port == owner && id == r->id) return true;
        }
    }
    return false;
}

bool region_allows(const struct region *peers, enum region_rights right)
{
    return peers->key[KEY_RIGHTS] & right;
}

int port_region_remove(struct port *port, struct region *r)
{
    if (r->private != port) return region_is_target(port, r) ? TRANSPORT_AGAIN : 0;
    struct registration *mine = registration_find(port, (uint32_t)r->id, (uint32_t)(r->id >> 32));
    if (!mine) return SINEW_EINVAL;
    mine->revoked = true;
    if (mine->users > 0) return TRANSPORT_AGAIN;
    mine->live = false;
    return 0;
}

/* ---- puts ------------------------------------------------------------------------------------ */

static struct registration *put_target(const struct put *p)
{
    struct sim *s = p->from->channel->sim;
    struct list *ports = &s->ranks[end_peer(p->from)->rank].ports;
    for (struct list *i = ports->next; i != ports; i = i->next) {
        struct port *port = LIST_OWNER(i, struct port, entry);
        if (port->id == p->port) return registration_find(port, p->slot, p->generation);
    }
    return NULL;
}

static void flush_progress(struct end *from, uint64_t number)
{
    for (struct list *i = from->flushes.next; i != &from->flushes; i = i->next) {
        struct flush *f = LIST_OWNER(i, struct flush, entry);
        if (number >= f->upto || f->waiting == 0 || --f->waiting > 0) continue;
        struct parcel *answer = parcel_new(from->channel, from->side, PARCEL_FLUSHED, 0);
        if (!answer) return;
        answer->cookie = f->upto;
        wire_send(end_peer(from), answer, from->channel->sim->now);
    }
}

/* Of a wired link a put is done when it has landed, if a message after it is to be seen after
 * it. */
static bool done_is_landed(const struct put *p)
{
    return p->from->channel->wired && !p->from->channel->sim->opt.puts_unordered;
}

static void put_tell(struct put *p, int status)
{
    if (!p->told) end_note(p->from, NOTE_DONE, p->cookie, status, GONE_LEFT);
    p->told = true;
}

/* Nothing of it will land any more. */
static void put_end(struct put *p)
{
    struct end *from = p->from;
    put_tell(p, p->failed ? SINEW_EPEER : 0);
    struct registration *target = p->counted ? put_target(p) : NULL;
    if (target && --target->users == 0 &&
        target->revoked) /* somebody may be waiting for just that */
        rank_rouse(&from->channel->sim->ranks[end_peer(from)->rank]);
    uint64_t number = p->number;
    list_remove(&p->entry);
    from->puts_waiting--;
    bool failed = p->failed;
    free(p);
    if (!failed || !from->channel->wired) flush_progress(from, number);
    end_give_room(from);
    end_goodbye_when_empty(from);
}

static void put_settle(struct put *p)
{
    p->in_air--;
    if (!p->leaving && p->in_air == 0) put_end(p);
}

static size_t put_fragment_len(const struct put *p)
{
    size_t left = p->len - p->taken;
    return left < SIM_FRAGMENT_MAX ? left : SIM_FRAGMENT_MAX;
}

/* One fragment is taken from the source and on its way; it leaves at `departure`. */
static bool put_take(struct put *p, int64_t departure)
{
    struct end *from = p->from;
    size_t n = put_fragment_len(p);
    struct parcel *fragment = parcel_new(from->channel, !from->side, PARCEL_FRAGMENT, n);
    if (!fragment) return false;
    memcpy(fragment->bytes, p->local + p->taken, n);
    fragment->blen = n;
    fragment->put = p;
    fragment->offset = p->taken;
    p->taken += n;
    p->in_air++;
    p->leaving = p->taken < p->len;
    bool ordered = !from->channel->sim->opt.puts_unordered;
    sim_schedule(from->channel->sim, &fragment->event, wire_arrival(from, departure, ordered));
    return true;
}

static void put_leave(struct sim *s, struct event *event)
{
    struct put *p = LIST_OWNER(event, struct put, event);
    if (!put_take(p, s->now)) return;
    if (p->leaving) {
        sim_schedule(s, &p->event, wire_depart(p->from, s->now, put_fragment_len(p)));
        return;
    }
    if (!done_is_landed(p)) put_tell(p, 0);
}

int put_start(struct end *e, struct rma *op, int64_t now)
{
    const struct region *to = op->peers;
    if (op->offset > to->len || op->len > to->len - op->offset) return SINEW_EINVAL;
    if (!region_allows(to, REGION_PUT)) return SINEW_EACCESS;
    if (op->len == 0) return 0;
    if (e->puts_waiting == SIM_PUTS_MAX) {
        e->refused = true;
        return TRANSPORT_AGAIN;
    }
    struct put *p = sim_allocate(e->channel->sim, sizeof(*p));
    if (!p) return SINEW_ENOMEM;
    *p = (struct put){ .event = { .fire = put_leave, .wire = true },
                       .from = e,
                       .local = op->local,
                       .len = op->len,
                       .offset = op->offset,
                       .cookie = op->cookie,
                       .number = e->puts_started++,
                       .port = wire_get32(to->key + 4),
                       .slot = (uint32_t)to->id,
                       .generation = (uint32_t)(to->id >> 32),
                       .leaving = true };
    list_append(&e->puts, &p->entry);
    e->puts_waiting++;
    struct registration *target = put_target(p);
    if (target && !target->revoked) {
        p->counted = true;
        target->users++;
    }
    int64_t departure = wire_depart(e, now, put_fragment_len(p));
    if (p->len <= SIM_AT_ONCE_MAX && !done_is_landed(p)) {
        p->told = true;
        return put_take(p, departure) ? 0 : SINEW_ENOMEM;
    }
    sim_schedule(e->channel->sim, &p->event, departure);
    return TRANSPORT_PENDING;
}

void sim_put_land(struct parcel *fragment)
{
    struct put *p = fragment->put;
    struct end *to = &fragment->channel->end[fragment->to];
    struct registration *r = to->port && to->port->id == p->port
                                 ? registration_find(to->port, p->slot, p->generation)
                                 : NULL;
    uint64_t offset = p->offset + fragment->offset;
    if (p->counted && r && offset <= r->len && fragment->blen <= r->len - offset) {
        memcpy(r->base + offset, fragment->bytes, fragment->blen);
    } else {
        end_reset_peer(to, to->channel->sim->now + to->channel->sim->opt.latency_ns, SINEW_EACCESS,
                       GONE_BROKEN, "the peer refused a put: its region is not registered");
        end_drop_inbox(to);
        end_down(to, SINEW_EPROTO, GONE_BROKEN, "rank %d put where nothing is registered",
                 p->from->rank);
    }
    put_settle(p);
}

void put_lose(struct parcel *fragment)
{
    fragment->put->failed = true;
    put_settle(fragment->put);
}

static void put_cancel(struct put *p, int status)
{
    bool was_leaving = p->leaving;
    p->failed = true;
    put_tell(p, status);
    if (!was_leaving) return;
    sim_unschedule(p->from->channel->sim, &p->event);
    p->leaving = false;
    if (p->in_air == 0) put_end(p);
}

void put_cancel_all(struct end *e, int status)
{
    struct list *i, *next;
    while ((i = list_take(&e->flushes))) {
        struct flush *f = LIST_OWNER(i, struct flush, entry);
        end_note(e, NOTE_DONE, f->cookie, status, GONE_LEFT);
        free(f);
    }
    for (i = e->puts.next; i != &e->puts; i = next) {
        next = i->next;
        put_cancel(LIST_OWNER(i, struct put, entry), status);
    }
}

void put_free(struct end *e)
{
    struct list *i;
    while ((i = list_take(&e->puts))) free(LIST_OWNER(i, struct put, entry));
    while ((i = list_take(&e->flushes))) free(LIST_OWNER(i, struct flush, entry));
}

/* ---- flush ----------------------------------------------------------------------------------- */

int put_flush(struct end *e, uint64_t cookie)
{
    if (e->puts_waiting == 0) return 0;
    struct flush *f = sim_allocate(e->channel->sim, sizeof(*f));
    if (!f) return SINEW_ENOMEM;
    *f = (struct flush){ .cookie = cookie, .upto = e->puts_started, .waiting = e->puts_waiting };
    list_append(&e->flushes, &f->entry);
    return TRANSPORT_PENDING;
}

/* The answer for every flush up to `upto` that waits for nothing more. */
void put_flushed(struct end *e, uint64_t upto)
{
    struct list *i, *next;
    for (i = e->flushes.next; i != &e->flushes; i = next) {
        struct flush *f = LIST_OWNER(i, struct flush, entry);
        next = i->next;
        if (f->upto > upto || f->waiting > 0) continue;
        end_note(e, NOTE_DONE, f->cookie, 0, GONE_LEFT);
        list_remove(&f->entry);
        free(f);
    }
}
