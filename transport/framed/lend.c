/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lend.c - long messages on offer: what an announcement tells of goes along with it, lent
 *
 *    owner                              reader
 *    LEND {key, announcement}     -->   handed up as any message; what is lent waits
 *                                 <==   fetched into place, when that is asked for (RMA_GET)
 *    or, taken back before
 *    WITHDRAW {key}               -->   lets go of it
 *
 * The owner's fabric has hold of the memory until its end of the frame is over; until then the
 * region is not deregistered. What a reader has no room to remember it lets go of at once, and the
 * message is put.
 */
#include <string.h>

#include "base/copy.h"
#include "transport/framed/framed.h"

/* ---- the owner ------------------------------------------------------------------------------- */

bool lend_may(const struct framed *t, const struct region *region, size_t len)
{
    return len <= t->lends && region->len >= t->fabric->fetches;
}

void lend_mark(struct frame *f, const struct region *region, struct header *h)
{
    struct key key;
    region_key(region, &key);
    *h = (struct header){ .region = key.region, .secret = key.secret, .amount = region->len };
    f->kind = FRAME_LEND;
    f->away = region->base;
    f->away_len = region->len;
    f->lent = key.region;
}

void lend_starts(struct frame *f)
{
    f->lends = true;
    f->end->lends++;
    region_hold(f->end->t, f->lent, 1);
}

void lend_is_over(struct frame *f)
{
    f->lends = false;
    f->end->lends--;
    region_hold(f->end->t, f->lent, -1);
}

void lends_give_up(struct framed *t, const struct endpoint *end)
{
    for (struct list *e = t->flying.next; e != &t->flying; e = e->next) {
        struct frame *f = LIST_OWNER(e, struct frame, entry);
        if (f->end == end && f->lends) lend_is_over(f);
    }
}

void lend_withdraw(struct registered *r)
{
    struct framed_link *l = framed_link_of(r->region->reader);
    struct key key;
    if (r->withdrawn || l->state < FRAMED_UP || l->state > FRAMED_DRAINING) return;
    struct frame *f = frame_may(l, 0, true) ? frame_take(framed_under(l), 0) : NULL;
    if (!f) return; /* dereg will be asked again */
    region_key(r->region, &key);
    struct header h = { .region = key.region, .secret = key.secret };
    f->kind = FRAME_WITHDRAW;
    r->withdrawn = frame_send(l, f, &h) == 0;
    if (!r->withdrawn) frame_give(framed_under(l), f);
}

/* ---- the reader ------------------------------------------------------------------------------ */

void lent_keep(struct framed_link *l, const struct header *h)
{
    struct framed *t = framed_under(l);
    struct lent *kept = NULL;
    if (!h->fetch) return;
    if (l->lents_n < FRAMED_LENTS) kept = world_allocate(t->base.opt.world, sizeof(*kept));
    if (!kept) {
        fill_refuse(t, h);
        return;
    }
    *kept = (struct lent){ .region = h->region, .secret = h->secret, .len = h->amount,
                           .fetch = h->fetch };
    list_init(&kept->entry);
    list_append(&l->lents, &kept->entry);
    l->lents_n++;
    if (!h->waited) t->kept = h->fetch;
}

struct lent *lent_find(const struct framed_link *l, uint64_t region, uint64_t secret)
{
    for (struct list *e = l->lents.next; e != &l->lents; e = e->next) {
        struct lent *kept = LIST_OWNER(e, struct lent, entry);
        if (kept->region == region && kept->secret == secret) return kept;
    }
    return NULL;
}

static void *lent_release(struct framed_link *l, struct lent *kept)
{
    struct framed *t = framed_under(l);
    void *fetch = kept->fetch;
    list_remove(&kept->entry);
    l->lents_n--;
    world_release(t->base.opt.world, kept, sizeof(*kept));
    return fetch;
}

/* It is not to be had any more. What came in this very call the fabric takes back by itself. */
static void lent_refuse(struct framed_link *l, struct lent *kept)
{
    struct framed *t = framed_under(l);
    void *fetch = lent_release(l, kept);
    if (t->kept == fetch)
        t->kept = NULL;
    else
        t->fabric->refuse(t, fetch);
}

void lent_withdrawn(struct framed_link *l, const struct header *h)
{
    struct lent *kept = lent_find(l, h->region, h->secret);
    if (kept) lent_refuse(l, kept); /* else it has been read, or refused */
}

void lents_drop(struct framed_link *l)
{
    while (!list_empty(&l->lents)) lent_refuse(l, LIST_OWNER(l->lents.next, struct lent, entry));
}

/* PENDING: until it is there. */
int lent_read(struct framed_link *l, struct lent *kept, struct work *w)
{
    struct framed *t = framed_under(l);
    struct framed_landing *g = world_allocate(t->base.opt.world, sizeof(*g));
    struct why why;
    if (!g) return why_set(&l->base.why, SINEW_ENOMEM, "%s: no memory for a long message", l->name);
    *g = (struct framed_landing){ .end = l->end, .get = w };
    list_init(&g->entry);
    list_append(&t->landings, &g->entry);
    w->lent = w->all_sent = true;
    w->busy++;
    l->end->busy++;
    void *fetch = lent_release(l, kept);
    bool in_hand = t->kept == fetch; /* then the fabric takes back what is not fetched */
    if (in_hand) t->kept = NULL;
    int status = t->fabric->fetch(g, fetch, w->op->local, w->op->len, &why);
    if (status < 0 && !in_hand) t->fabric->refuse(t, fetch);
    if (status != TRANSPORT_PENDING) landing_is_over(g, status, why.text);
    return TRANSPORT_PENDING;
}
