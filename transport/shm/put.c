/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * put.c - one-sided writes as fragments that land in a registered region at the receiver; the queue
 * of what waits, in which gets (read.c) stand too
 *
 *   key       | index 4 | generation 4 | nonce 8 | length 8 |
 *   fragment  head | index 4 | generation 4 | nonce 8 | offset 8 |, body: the bytes
 *
 * The nonce is SipHash of the first two, keyed by 16 bytes drawn at open: no system call per
 * registration. Who has seen other keys cannot work out this one; that is meant for processes of
 * one user, whom nothing stops from tracing each other anyway.
 *
 * A fragment whose generation is over goes nowhere: that is what dereg promises. Any other that
 * does not fit its region breaks the protocol.
 */
#include <inttypes.h>
#include <string.h>

#include "base/relax.h"
#include "base/siphash.h"
#include "base/wire.h"
#include "transport/shm/link.h"

enum { PUT_KEY_LEN = 24, PUT_HEAD_LEN = 24, PUT_REGIONS_FIRST = 16, PUT_BREATHS = 4 };

struct put_flush {
    struct list entry;
    uint64_t cookie, after; /* done when puts_done has come to `after` */
};

static int regions_grow(struct shm_transport *t)
{
    const struct world *world = t->base.opt.world;
    uint32_t count = t->region_count ? 2 * t->region_count : PUT_REGIONS_FIRST;
    if (count > SHM_REGIONS_MAX)
        return why_set(&t->base.why, SINEW_ELIMIT, "more than %d registered regions",
                       SHM_REGIONS_MAX);
    struct shm_region *grown = world_allocate(world, count * sizeof(*grown));
    if (!grown)
        return why_set(&t->base.why, SINEW_ENOMEM, "no memory for %" PRIu32 " regions", count);
    if (t->regions) memcpy(grown, t->regions, t->region_count * sizeof(*grown));
    world_release(world, t->regions, t->region_count * sizeof(*grown));
    for (uint32_t i = count; i-- > t->region_count;) {
        grown[i].next_free = t->region_free;
        t->region_free = i + 1;
    }
    t->regions = grown;
    t->region_count = count;
    return 0;
}

static int reg_mine(struct shm_transport *t, struct region *region)
{
    int status = t->region_free ? 0 : regions_grow(t);
    if (status < 0) return status;
    uint32_t index = t->region_free - 1;
    struct shm_region *r = &t->regions[index];
    t->region_free = r->next_free;
    r->base = region->base;
    r->landing = region->landing;
    r->used = true;
    r->len = region->len;
    wire_put32(region->key, index);
    wire_put32(region->key + 4, r->generation);
    r->nonce = siphash(t->region_key, region->key, 8);
    wire_put64(region->key + 8, r->nonce);
    wire_put64(region->key + 16, region->len);
    region->key_len = PUT_KEY_LEN;
    region->id = index;
    region->private = t;
    return 0;
}

int shm_reg(struct transport *base, struct link *link, struct region *region)
{
    struct shm_transport *t = shm_of(base);
    if (!link && !region->base) return share_create(t, region);
    if (!link) return region->reader ? read_offer(t, region) : reg_mine(t, region);
    if (region->key_len == READ_KEY_LEN) return read_accept((struct shm_link *)link, region);
    if (region->key_len != PUT_KEY_LEN || wire_get64(region->key + 16) != region->len)
        return why_set(&base->why, SINEW_EINVAL,
                       "not a key of shared memory for %zu bytes: %" PRIu32 " bytes long",
                       region->len, region->key_len);
    region->base = NULL;
    region->private = NULL;
    return 0;
}

static bool region_is_queued(struct shm_transport *t, const struct region *region)
{
    for (struct list *e = t->links.next; e != &t->links; e = e->next) {
        struct shm_link *l = LIST_OWNER(e, struct shm_link, of_transport);
        for (struct list *p = l->puts.next; p != &l->puts; p = p->next)
            if (LIST_OWNER(p, struct rma, entry)->peers == region) return true;
    }
    return false;
}

int shm_dereg(struct transport *base, struct region *region)
{
    struct shm_transport *t = shm_of(base);
    if (region->reader) return read_withdraw(region);
    if (region->private == &t->shares) return share_destroy(t, region);
    if (!region->private) return region_is_queued(t, region) ? TRANSPORT_AGAIN : 0;
    struct shm_region *r = &t->regions[region->id];
    r->used = false;
    r->generation++;
    r->next_free = t->region_free;
    t->region_free = (uint32_t)region->id + 1;
    region->private = NULL;
    return 0;
}

int put_land(struct shm_link *l, const struct ring_message *m)
{
    struct shm_transport *t = shm_of_link(l);
    struct wire_reader head = wire_read(m->head, m->hlen);
    uint32_t index = wire_take32(&head), generation = wire_take32(&head);
    uint64_t nonce = wire_take64(&head), offset = wire_take64(&head);
    if (head.bad || head.left > 0 || index >= t->region_count)
        return why_set(&l->base.why, SINEW_EPROTO, "a put names no region");
    const struct shm_region *r = &t->regions[index];
    int32_t age = (int32_t)(r->generation - generation);
    if (age > 0) return 0;
    if (age < 0 || !r->used || nonce != r->nonce)
        return why_set(&l->base.why, SINEW_EPROTO, "a put with a forged key");
    if (offset > r->len || m->blen > r->len - offset)
        return why_set(&l->base.why, SINEW_EPROTO,
                       "a put of %zu bytes at %" PRIu64 " into a region of %zu", m->blen, offset,
                       r->len);
    if (r->landing)
        r->landing->land(r->landing, offset, m->body, m->blen);
    else
        shared_read(r->base + offset, m->body, m->blen);
    return 0;
}

static size_t next_fragment(const struct rma *op)
{
    size_t left = op->len - op->progress;
    return left < SEGMENT_FRAGMENT ? left : SEGMENT_FRAGMENT;
}

static bool put_yields(const struct shm_link *l) { return l->puts_yield && link_awaits_room(l); }

/* As many fragments as fit, and as it is their turn: 0 all, > 0 some, < 0 the link ends. */
static int put_advance(struct shm_link *l, struct rma *op)
{
    uint8_t head[PUT_HEAD_LEN];
    memcpy(head, op->peers->key, 16);
    while (op->progress < op->len) {
        if (put_yields(l)) return SINEW_PENDING;
        size_t len = next_fragment(op);
        wire_put64(head + 16, op->offset + op->progress);
        int status = link_publish(l, RING_BULK, SHM_PUT, head, sizeof(head),
                                  (const uint8_t *)op->local + op->progress, len);
        if (status != 0) return status;
        op->progress += len;
        l->puts_yield = l->wants & SHM_WANTS_MESSAGE;
        l->passed = 0;
        l->turn_began = l->tx.head;
    }
    return 0;
}

static int rma_advance(struct shm_link *l, struct rma *op)
{
    return op->kind == RMA_GET ? read_advance(l, op) : put_advance(l, op);
}

int shm_rma(struct link *base, struct rma *op)
{
    struct shm_link *l = (struct shm_link *)base;
    if (op->kind == RMA_ATOMIC || (op->kind == RMA_GET) != (op->peers->key_len == READ_KEY_LEN))
        return why_set(&base->why, SINEW_ENOTSUP,
                       "shared memory can put, and get what was offered for it, but not update");
    if (l->state < SHM_UP) return TRANSPORT_AGAIN;
    if (l->state != SHM_UP) return l->status < 0 ? l->status : SINEW_EPEER;
    size_t room = op->peers->len;
    if (op->offset > room || op->len > room - op->offset)
        return why_set(&base->why, SINEW_EINVAL,
                       "a put or get of %zu bytes at %" PRIu64 " in a region of %zu", op->len,
                       op->offset, room);
    op->progress = 0;
    int status = list_empty(&l->puts) ? rma_advance(l, op) : SINEW_PENDING;
    if (status <= 0) return status;
    if (list_empty(&l->puts)) l->turn_began = l->tx.head;
    list_append(&l->puts, &op->entry);
    l->puts_begun++;
    return TRANSPORT_PENDING;
}

int shm_flush(struct link *base, uint64_t cookie)
{
    struct shm_link *l = (struct shm_link *)base;
    if (l->state < SHM_UP) return 0; /* nothing can have been put */
    if (l->state == SHM_ENDING || l->state == SHM_DOWN)
        return l->status < 0 ? l->status : SINEW_EPEER;
    if (list_empty(&l->puts)) return 0; /* all in the ring, in order */
    struct put_flush *flush =
        world_allocate(base->transport->opt.world, sizeof(struct put_flush));
    if (!flush) return why_set(&base->why, SINEW_ENOMEM, "no memory for a flush");
    flush->cookie = cookie;
    flush->after = l->puts_begun;
    list_append(&l->flushes, &flush->entry);
    return TRANSPORT_PENDING;
}

static void put_done(struct shm_link *l, int status)
{
    struct rma *op = LIST_OWNER(list_take(&l->puts), struct rma, entry);
    l->puts_done++;
    l->base.transport->up->done(&l->base, op->cookie, status);
}

static void flush_done(struct shm_link *l, int status)
{
    struct put_flush *flush = LIST_OWNER(list_take(&l->flushes), struct put_flush, entry);
    uint64_t cookie = flush->cookie;
    world_release(l->base.transport->opt.world, flush, sizeof(*flush));
    l->base.transport->up->done(&l->base, cookie, status);
}

static bool flush_is_due(const struct shm_link *l)
{
    return !list_empty(&l->flushes) &&
           LIST_OWNER(l->flushes.next, struct put_flush, entry)->after <= l->puts_done;
}

bool put_can_move(struct shm_link *l)
{
    if (flush_is_due(l)) return true;
    if (list_empty(&l->puts)) return false;
    const struct rma *op = LIST_OWNER(l->puts.next, const struct rma, entry);
    if (op->kind == RMA_GET) return true;
    return !put_yields(l) && ring_would_fit(&l->tx, RING_BULK, PUT_HEAD_LEN, next_fragment(op));
}

bool put_is_due(struct shm_link *l)
{
    if (list_empty(&l->puts)) return false;
    const struct rma *op = LIST_OWNER(l->puts.next, const struct rma, entry);
    return op->kind == RMA_PUT && ring_bulk_is_due(&l->tx, next_fragment(op));
}

/* The receiver copies for a while yet. Looks in between would slow it down: they take its line, or,
 * of two threads of one core, its turns. */
static void put_breathe(void)
{
    for (int i = 0; i < PUT_BREATHS; i++) cpu_relax();
}

int put_pump(struct shm_link *l, int *budget)
{
    int upcalls = 0;
    while (*budget > 0 && l->state != SHM_ENDING) {
        if (flush_is_due(l)) {
            flush_done(l, 0);
        } else {
            if (list_empty(&l->puts)) break;
            struct rma *op = LIST_OWNER(l->puts.next, struct rma, entry);
            size_t before = op->progress;
            int status = rma_advance(l, op);
            if (status > 0 || l->state == SHM_ENDING) {
                if (op->progress != before)
                    --*budget;
                else if (!put_yields(l)) /* the message before it may go now */
                    put_breathe();
                break;
            }
            put_done(l, status);
        }
        --*budget;
        upcalls++;
    }
    return upcalls;
}

void put_move(struct shm_link *l)
{
    struct rma *op = LIST_OWNER(l->puts.next, struct rma, entry);
    if (op->kind == RMA_PUT && (l->state == SHM_UP || l->state == SHM_DRAINING)) put_advance(l, op);
}

int put_cancel(struct shm_link *l, int status, int *budget)
{
    int upcalls = 0;
    while (*budget > 0 && (!list_empty(&l->puts) || !list_empty(&l->flushes))) {
        if (!list_empty(&l->puts))
            put_done(l, status);
        else
            flush_done(l, status);
        --*budget;
        upcalls++;
    }
    return upcalls;
}

void put_close(struct shm_transport *t)
{
    world_release(t->base.opt.world, t->regions, t->region_count * sizeof(*t->regions));
    t->regions = NULL;
    t->region_count = t->region_free = 0;
    share_close(t);
}
