/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rma.c - put, get, atomic and flush: works in order of their coming, in parts, few at once
 *
 * A part is one work request: of registered memory up to VERBS_CHUNK, else what a slot holds. At
 * most VERBS_CHUNKS parts of a link are on its queue, so that messages find a place between them.
 *
 * Flush: a read of 8 bytes of the peer's. The peer's device answers it after every earlier write of
 * the same queue pair (InfiniBand's ordering rules, C9-28), and its answer is fetched over the bus
 * behind them: so they are in memory. Before a message nothing is needed: a receive completes after
 * the writes that came before it are visible, which is what caps.put_ordered says.
 *
 * At most VERBS_GETS are read at once: of more long messages that wait here the bodies are put by
 * their owner, at the same time. Who asks a NIC for bytes has the work of it; on SoftRoCE that is a
 * processor, and now it is both.
 */
#include <inttypes.h>
#include <string.h>

#include "transport/verbs/internal.h"

enum { SCRATCH_LANDING = 8 };

static struct work *work_make(struct verbs *t)
{
    struct list *spare = list_take(&t->spare_works);
    struct work *w = spare ? LIST_OWNER(spare, struct work, entry)
                           : world_allocate(t->base.opt.world, sizeof(*w));
    if (!w) return NULL;
    *w = (struct work){ .op = NULL };
    list_init(&w->entry);
    return w;
}

static void work_release(struct verbs *t, struct work *w)
{
    list_remove(&w->entry);
    if (w->memory && --w->memory->users == 0 && !w->memory->owned) register_release(t, w->memory);
    list_append(&t->spare_works, &w->entry);
}

static bool work_reads(const struct work *w)
{
    return !w->op || w->op->kind != RMA_PUT;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static bool part_fits(const struct verbs_link *l, const struct work *w)
{
    return l->chunks < VERBS_CHUNKS && queue_room(l) > VERBS_RESERVE &&
           (!work_reads(w) || l->reads < l->reads_most);
}

static size_t part_len(const struct verbs *t, const struct work *w)
{
    size_t left = w->op->len - w->posted;
    size_t most = w->memory ? VERBS_CHUNK : VERBS_SLOT;
    if (most > t->max_message) most = t->max_message;
    return left < most ? left : most;
}

/* Through a slot: a put's bytes go into it now, a get's or atomic's come into it. */
static bool part_slot(struct verbs *t, struct work *w, struct request *r, size_t len)
{
    r->small = len <= VERBS_SLOT_SMALL;
    struct pool *pool = r->small ? &t->small : &t->large;
    r->slot = pool_take(pool);
    if (r->slot == SLOT_NONE) return false;
    const struct slot *slot = &pool->slots[r->slot];
    uint8_t *local = (uint8_t *)w->op->local + w->posted;
    if (w->op->kind == RMA_PUT) memcpy(slot->at, local, len);
    r->to = local;
    r->sge = (struct ibv_sge){ (uintptr_t)slot->at, (uint32_t)len, slot->lkey };
    return true;
}

static bool part_describe(struct verbs_link *l, struct work *w, struct request *r)
{
    struct verbs *t = verbs_under(l);
    static const enum entry_kind kinds[] = { ENTRY_PUT, ENTRY_GET, ENTRY_ATOMIC };
    static const enum ibv_wr_opcode opcodes[] = { IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ };
    size_t len = part_len(t, w);
    r->kind = kinds[w->op->kind];
    if (w->op->kind == RMA_ATOMIC) {
        bool adds = w->op->atomic == RMA_FETCH_ADD;
        r->opcode = adds ? IBV_WR_ATOMIC_FETCH_AND_ADD : IBV_WR_ATOMIC_CMP_AND_SWP;
        r->compare = adds ? w->op->operand : w->op->compare;
        r->operand = w->op->operand;
    } else {
        r->opcode = opcodes[w->op->kind];
    }
    r->remote = w->address + w->posted;
    r->rkey = w->rkey;
    if (!w->memory) return part_slot(t, w, r, len);
    r->sge = (struct ibv_sge){ (uintptr_t)w->op->local + w->posted, (uint32_t)len,
                               w->memory->mr->lkey };
    return true;
}

static void flush_describe(const struct verbs_link *l, struct request *r)
{
    const struct verbs *t = verbs_under(l);
    r->kind = ENTRY_FLUSH;
    r->opcode = IBV_WR_RDMA_READ;
    r->remote = l->theirs.flush;
    r->rkey = l->theirs.rkey;
    r->sge = (struct ibv_sge){ (uintptr_t)t->scratch_memory + SCRATCH_LANDING, 8,
                               t->scratch->mr->lkey };
}

/* False: not now. */
static bool part_post(struct verbs_link *l, struct work *w)
{
    struct verbs *t = verbs_under(l);
    struct request r = { .slot = SLOT_NONE, .signal = true, .work = w };
    if (!part_fits(l, w)) return false;
    if (!w->op)
        flush_describe(l, &r);
    else if (!part_describe(l, w, &r))
        return false;
    if (queue_post(l, &r) < 0) {
        if (r.slot != SLOT_NONE) pool_give(r.small ? &t->small : &t->large, r.slot);
        return false;
    }
    w->under_way++;
    l->chunks++;
    if (work_reads(w)) l->reads++;
    if (w->op) w->posted += r.sge.length;
    w->all_posted = !w->op || w->posted == w->op->len;
    return true;
}

void works_advance(struct verbs_link *l)
{
    for (struct list *e = l->works.next; e != &l->works; e = e->next) {
        struct work *w = LIST_OWNER(e, struct work, entry);
        while (!w->all_posted)
            if (l->state > VERBS_DRAINING || !part_post(l, w)) return;
    }
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void work_done(struct verbs_link *l, struct work *w, int status)
{
    struct verbs *t = verbs_under(l);
    uint64_t cookie = w->cookie;
    if (!w->op)
        l->flushes--;
    else if (w->op->kind == RMA_GET)
        l->gets--;
    work_release(t, w);
    t->budget_left--;
    t->base.up->done(&l->base, cookie, status);
}

void works_confirmed(struct verbs_link *l, struct queue_entry *e, int status)
{
    struct verbs *t = verbs_under(l);
    struct work *w = e->work;
    w->under_way--;
    l->chunks--;
    if (work_reads(w)) l->reads--;
    t->moved = true;
    if (status < 0) {
        w->status = status; /* the link ends, and with it this */
        e->kind = ENTRY_CREDIT;
        return;
    }
    if (e->slot != SLOT_NONE && e->kind != ENTRY_PUT)
        memcpy(e->to, (e->small ? &t->small : &t->large)->slots[e->slot].at, e->len);
    if (w->all_posted && w->under_way == 0) work_done(l, w, 0);
    link_make_due(l);
}

bool works_fail(struct verbs_link *l, int status)
{
    while (!list_empty(&l->works)) {
        if (verbs_under(l)->budget_left < 2) return false;
        struct work *w = LIST_OWNER(l->works.next, struct work, entry);
        work_done(l, w, w->status < 0 ? w->status : status);
    }
    return true;
}

/* ---- begins ---------------------------------------------------------------------------------- */

static int rma_check(struct verbs_link *l, const struct rma *op, struct remote *remote)
{
    static const unsigned needs[] = { REGION_PUT, REGION_GET, REGION_ATOMIC };
    struct verbs *t = verbs_under(l);
    struct why *why = &l->base.why;
    if (op->kind > RMA_ATOMIC || !register_remote(op->peers, remote))
        return why_set(why, SINEW_EINVAL, "%s: not a key of its memory", l->name);
    if (op->offset > remote->len || op->len > remote->len - op->offset)
        return why_set(why, SINEW_EINVAL,
                       "%s: %zu bytes at %" PRIu64 " of a region of %" PRIu64, l->name, op->len,
                       op->offset, remote->len);
    if (!(remote->rights & needs[op->kind]))
        return why_set(why, SINEW_EACCESS, "%s: its region is not for %s", l->name,
                       op->kind == RMA_PUT ? "put" : op->kind == RMA_GET ? "get" : "atomics");
    if (op->kind != RMA_ATOMIC) return 0;
    if (!t->base.caps.atomic)
        return why_set(why, SINEW_ENOTSUP, "%s has no atomic operations", t->chosen.device);
    if (op->len != 8 || (remote->address + op->offset) % 8)
        return why_set(why, SINEW_EINVAL, "%s: an atomic operation on %zu bytes at %" PRIu64
                       ", not on an aligned word of 8", l->name, op->len, op->offset);
    return 0;
}

/* What the device reads or writes here; NULL: slots. */
static struct registration *rma_memory(struct verbs *t, const struct rma *op)
{
    bool writes = op->kind != RMA_PUT;
    struct registration *r = op->mine ? op->mine->private : NULL;
    if (op->kind == RMA_ATOMIC) return NULL;
    if (r && r->mr && (r->writable || !writes)) return r;
    if (op->len <= VERBS_REGISTER) return NULL;
    r = register_find(t, op->local, op->len, writes);
    if (!r) register_memory(t, op->local, op->len, writes ? IBV_ACCESS_LOCAL_WRITE : 0, &r, NULL);
    return r;
}

static int rma_state(struct verbs_link *l)
{
    if (l->state == VERBS_UP) return 0;
    if (l->state > VERBS_UP) return l->status < 0 ? l->status : SINEW_EPEER;
    l->wants_room = true;
    return TRANSPORT_AGAIN;
}

static void work_begin(struct verbs_link *l, struct work *w)
{
    list_append(&l->works, &w->entry);
    works_advance(l);
}

int verbs_rma(struct link *base, struct rma *op)
{
    struct verbs_link *l = verbs_link_of(base);
    struct verbs *t = verbs_under(l);
    struct remote remote;
    int status = rma_state(l);
    if (status == 0) status = rma_check(l, op, &remote);
    if (status != 0 || op->len == 0) return status;
    if (op->kind == RMA_GET && l->gets == VERBS_GETS) return TRANSPORT_AGAIN;
    struct work *w = work_make(t);
    if (!w) return why_set(&base->why, SINEW_ENOMEM, "%s: no memory for an operation", l->name);
    w->op = op;
    w->cookie = op->cookie;
    w->address = remote.address + op->offset;
    w->rkey = remote.rkey;
    w->memory = rma_memory(t, op);
    if (w->memory) w->memory->users++;
    if (op->kind == RMA_PUT) l->put_unflushed = true;
    if (op->kind == RMA_GET) l->gets++;
    work_begin(l, w);
    return TRANSPORT_PENDING;
}

int verbs_flush(struct link *base, uint64_t cookie)
{
    struct verbs_link *l = verbs_link_of(base);
    int status = rma_state(l);
    if (status != 0) return status;
    if (!l->put_unflushed && list_empty(&l->works)) return 0;
    struct work *w = l->flushes < VERBS_FLUSHES ? work_make(verbs_under(l)) : NULL;
    if (!w) return TRANSPORT_AGAIN;
    w->cookie = cookie;
    l->flushes++;
    l->put_unflushed = false;
    work_begin(l, w);
    return TRANSPORT_PENDING;
}
