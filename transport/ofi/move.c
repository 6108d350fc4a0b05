/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * move.c - one-sided parts by the provider itself, and the memory that is registered for it
 *
 * Registration modes are handled, not demanded: memory that only this side uses is registered where
 * FI_MR_LOCAL says so; keys are ours (random) unless FI_MR_PROV_KEY; addresses count from the
 * region's start unless FI_MR_VIRT_ADDR.
 */
#include "transport/ofi/internal.h"

#include <string.h>

/* ---- registrations --------------------------------------------------------------------------- */

int move_register(struct ofi *t, void *memory, size_t len, uint64_t access, uint64_t key,
                  struct fid_mr **mr)
{
    int status = fi_mr_reg(t->domain, memory, len, access, 0, t->mr_mode & FI_MR_PROV_KEY ? 0 : key,
                           0, mr, NULL);
    if (status == 0 && t->mr_mode & FI_MR_ENDPOINT) {
        status = fi_mr_bind(*mr, &t->ep->fid, 0);
        if (status == 0) status = fi_mr_enable(*mr);
        if (status < 0) fi_close(&(*mr)->fid);
    }
    if (status < 0) *mr = NULL;
    return status;
}

int move_expose(struct framed *base, struct registered *r, unsigned rights, uint64_t *address)
{
    struct ofi *t = ofi_of(base);
    struct fid_mr *mr = NULL;
    uint64_t access =
        (rights & REGION_GET ? FI_REMOTE_READ : 0) | (rights & REGION_PUT ? FI_REMOTE_WRITE : 0);
    if (!t->ep || r->region->len == 0) return SINEW_ENOTSUP;
    if (move_register(t, r->region->base, r->region->len, access, r->secret, &mr) < 0)
        return SINEW_ENOTSUP;
    r->memory = mr;
    r->secret = fi_mr_key(mr);
    *address = t->mr_mode & FI_MR_VIRT_ADDR ? (uint64_t)(uintptr_t)r->region->base : 0;
    return 0;
}

void move_hide(struct framed *base, struct registered *r)
{
    struct fid_mr *mr = r->memory;
    (void)base;
    fi_close(&mr->fid);
}

void move_frame_made(struct framed *base, struct frame *f)
{
    struct ofi *t = ofi_of(base);
    struct fid_mr *mr = NULL;
    if (!(t->mr_mode & FI_MR_LOCAL)) return;
    /* Should it fail, it is tried once more when the frame is sent. */
    move_register(t, f->header, sizeof(f->header) + f->cap, FI_SEND, ++t->keys, &mr);
    f->memory = mr;
}

void move_frame_gone(struct framed *base, struct frame *f)
{
    struct fid_mr *mr = f->memory;
    (void)base;
    if (mr) fi_close(&mr->fid);
    f->memory = NULL;
}

int move_describe(struct work *w, void **desc)
{
    struct ofi *t = ofi_of(w->end->t);
    struct fid_mr *mr = w->memory;
    uint64_t access = w->op->kind == RMA_GET ? FI_READ : FI_WRITE;
    *desc = NULL;
    if (!(t->mr_mode & FI_MR_LOCAL) || w->op->kind == RMA_ATOMIC) return 0;
    if (!mr) {
        int status = move_register(t, w->op->local, w->op->len, access, ++t->keys, &mr);
        if (status < 0) return status;
        w->memory = mr;
    }
    *desc = fi_mr_desc(mr);
    return 0;
}

void move_work_over(struct framed *base, struct work *w)
{
    struct fid_mr *mr = w->memory;
    (void)base;
    if (mr) fi_close(&mr->fid);
    w->memory = NULL;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static struct part *part_take(struct ofi *t, struct work *w, struct framed_landing *update)
{
    struct list *spare = list_take(&t->spare_parts);
    struct part *p = spare ? LIST_OWNER(spare, struct part, entry)
                           : world_allocate(t->base.base.opt.world, sizeof(*p));
    if (!p) return NULL;
    *p = (struct part){ .mark.kind = MARK_PART, .work = w, .update = update };
    list_init(&p->entry);
    return p;
}

static void part_forget_words(struct part *p)
{
    if (p->memory) fi_close(&p->memory->fid);
    p->memory = NULL;
}

void parts_release(struct ofi *t)
{
    struct list *e;
    list_splice(&t->spare_parts, &t->flying_parts); /* whoever had them is closed */
    while ((e = list_take(&t->spare_parts)))
        world_release(t->base.base.opt.world, LIST_OWNER(e, struct part, entry),
                      sizeof(struct part));
}

void parts_forget_words(struct ofi *t)
{
    for (struct list *e = t->flying_parts.next; e != &t->flying_parts; e = e->next)
        part_forget_words(LIST_OWNER(e, struct part, entry));
}

/* p->words: operand, compare, and then the former value. They stay in the part: the provider may
 * have them after its link is gone. */
static int64_t atomic_start(struct ofi *t, struct part *p, bool adds, fi_addr_t to, uint64_t at,
                            uint64_t key)
{
    uint64_t *word = p->words;
    if (t->mr_mode & FI_MR_LOCAL) {
        int status = move_register(t, word, sizeof(p->words), FI_READ | FI_WRITE, ++t->keys,
                                   &p->memory);
        if (status < 0) return status;
    }
    void *desc = p->memory ? fi_mr_desc(p->memory) : NULL;
    if (adds)
        return fi_fetch_atomic(t->ep, &word[0], 1, desc, &word[2], desc, to, at, key, FI_UINT64,
                               FI_SUM, &p->mark);
    return fi_compare_atomic(t->ep, &word[0], 1, desc, &word[1], desc, &word[2], desc, to, at, key,
                             FI_UINT64, FI_CSWAP, &p->mark);
}

static int64_t work_atomic_start(struct ofi *t, struct part *p, const struct key *key)
{
    const struct rma *op = p->work->op;
    p->words[0] = op->operand;
    p->words[1] = op->compare;
    return atomic_start(t, p, op->atomic == RMA_FETCH_ADD, p->work->end->to,
                        key->address + op->offset, key->secret);
}

static int64_t part_start(struct ofi *t, struct part *p, const struct key *key, void *desc,
                          size_t len)
{
    const struct work *w = p->work;
    if (w->op->kind == RMA_ATOMIC) return work_atomic_start(t, p, key);
    uint8_t *local = (uint8_t *)w->op->local + w->sent;
    uint64_t at = key->address + w->op->offset + w->sent;
    if (w->op->kind == RMA_GET)
        return fi_read(t->ep, local, len, desc, w->end->to, at, key->secret, &p->mark);
    return fi_write(t->ep, local, len, desc, w->end->to, at, key->secret, &p->mark);
}

static void part_began(struct ofi *t, struct part *p, int64_t status)
{
    if (status < 0) part_forget_words(p);
    list_append(status < 0 ? &t->spare_parts : &t->flying_parts, &p->entry);
}

int move_start(struct work *w, const struct key *key, struct why *why)
{
    struct ofi *t = ofi_of(w->end->t);
    void *desc;
    int64_t status = t->ep ? move_describe(w, &desc) : -FI_EOPBADSTATE;
    while (status == 0 && w->sent < w->op->len && w->busy < OFI_PARTS) {
        size_t left = w->op->len - w->sent, len = left < t->part ? left : t->part;
        struct part *p = part_take(t, w, NULL);
        if (!p) return TRANSPORT_AGAIN;
        status = part_start(t, p, key, desc, len);
        part_began(t, p, status);
        if (status < 0) break;
        w->sent += len;
        w->busy++;
        w->end->busy++;
    }
    if (status == -FI_EAGAIN) return TRANSPORT_AGAIN;
    if (status < 0)
        return why_set(why, SINEW_EPEER, "libfabric does not %s: %s (%d)",
                       w->op->kind == RMA_GET   ? "read"
                       : w->op->kind == RMA_PUT ? "write"
                                                : "update a word",
                       t->api.strerror((int)-status), (int)status);
    return 0;
}

/* Of this end's own memory, by a message to itself. */
int move_update(struct framed_landing *g, struct why *why)
{
    struct ofi *t = ofi_of(g->end->t);
    if (!t->ep) return why_set(why, SINEW_EIO, "libfabric's endpoint was closed after a failure");
    if (t->self == FI_ADDR_NOTAVAIL && fi_av_insert(t->av, t->name, 1, &t->self, 0, NULL) != 1) {
        t->self = FI_ADDR_NOTAVAIL;
        return why_set(why, SINEW_EIO, "libfabric does not take this end's own address");
    }
    struct part *p = part_take(t, NULL, g);
    if (!p) return TRANSPORT_AGAIN;
    p->words[0] = g->word.operand;
    p->words[1] = g->word.compare;
    int64_t status = atomic_start(t, p, g->kind == FRAME_ADD, t->self, g->word.address,
                                  g->word.secret);
    part_began(t, p, status);
    if (status == -FI_EAGAIN) return TRANSPORT_AGAIN;
    if (status < 0)
        return why_set(why, SINEW_EIO, "libfabric does not update a word of its own end: %s (%d)",
                       t->api.strerror((int)-status), (int)status);
    return TRANSPORT_PENDING;
}

void part_over(struct ofi *t, struct part *p, const char *why)
{
    struct work *w = p->work;
    struct framed_landing *g = p->update;
    if (g)
        g->word.former = p->words[2];
    else if (!why && w->op && w->op->kind == RMA_ATOMIC)
        memcpy(w->op->local, &p->words[2], 8);
    part_forget_words(p);
    list_remove(&p->entry);
    list_append(&t->spare_parts, &p->entry);
    if (g)
        landing_is_over(g, why ? SINEW_EIO : 0, why);
    else
        work_part_over(w, why);
}
