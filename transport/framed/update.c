/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * update.c - words of this end's own that only the fabric updates, and a peer asks for by frames
 *
 *    peer                               owner
 *    ADD or SWAP {key}            -->   its own fabric does it, in its own memory
 *                                 <--   DATA, the former value, when that is over
 *
 * Words have one agent. Where that is the fabric, peers update them by it; one whose fabric has no
 * atomic operations cannot, and the owner's processor must not, since a device does not see what a
 * processor is about to do. So the owner's fabric does it, as it would for a peer. Meanwhile the
 * region is not deregistered.
 */
#include "transport/framed/framed.h"

static void update_start(struct framed_landing *g)
{
    struct framed *t = g->end->t;
    struct why why;
    int status = t->fabric->update(g, &why);
    g->waits = status == TRANSPORT_AGAIN;
    if (g->waits) {
        g->end->full_at = t->full = t->looks;
        link_make_due(g->end->link);
    } else if (status < 0) {
        landing_is_over(g, status, why.text);
    }
}

int update_begin(struct framed_link *l, const struct header *h)
{
    struct framed_landing *g = landing_make(l, h);
    struct key key;
    if (!g) return SINEW_ENOMEM;
    region_own_key(framed_under(l), h->region, &key);
    g->word.address = key.address + h->offset;
    g->word.secret = key.secret;
    g->word.operand = h->amount;
    g->word.compare = h->compare;
    update_start(g);
    return 0;
}

static struct framed_landing *update_waiting(const struct framed_link *l)
{
    const struct framed *t = framed_under(l);
    for (struct list *e = t->landings.next; e != &t->landings; e = e->next) {
        struct framed_landing *g = LIST_OWNER(e, struct framed_landing, entry);
        if (g->end == l->end && g->waits) return g;
    }
    return NULL;
}

void updates_advance(struct framed_link *l)
{
    struct framed_landing *g;
    while (l->state < FRAMED_ENDING && l->end->full_at != framed_under(l)->looks &&
           (g = update_waiting(l)))
        update_start(g);
}

void updates_drop(struct framed_link *l)
{
    struct framed_landing *g;
    while ((g = update_waiting(l))) landing_release(g);
}
