/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fill.c - long puts, seen by their target: it looks at the key, and fetches the bytes into the
 * region
 *
 * Where the fabric can, that is read or written by hardware. FILLED says that they are there. A
 * region that is being filled is not deregistered before that is over. One that is, is never
 * reached again: a put that comes too late goes nowhere.
 */
#include <string.h>

#include "transport/framed/framed.h"

static int fill_answer(struct framed_link *l, uint64_t work)
{
    const struct serve s = { .work = work, .kind = FRAME_FILL };
    return serve_keep(l, &s);
}

static int landing_answer(struct framed_link *l, const struct framed_landing *g)
{
    const struct serve s = { .work = g->work, .kind = g->kind, .value = g->word.former,
                             .len = g->kind == FRAME_FILL ? 0 : sizeof(s.value) };
    return serve_keep(l, &s);
}

void fill_refuse(struct framed *t, const struct header *h)
{
    if (h->fetch && h->waited) t->fabric->refuse(t, h->fetch);
}

/* Of an endpoint that was closed: the region is nobody's hostage. */
void landings_give_up(struct framed *t, const struct endpoint *end)
{
    for (struct list *e = t->landings.next; e != &t->landings; e = e->next) {
        struct framed_landing *g = LIST_OWNER(e, struct framed_landing, entry);
        if (g->end != end || g->given_up || g->get) continue;
        g->given_up = true;
        region_hold(t, g->region, -1);
    }
}

void landings_release(struct framed *t)
{
    struct list *e;
    while ((e = list_take(&t->landings)))
        world_release(t->base.opt.world, LIST_OWNER(e, struct framed_landing, entry),
                      sizeof(struct framed_landing));
}

void landing_release(struct framed_landing *g)
{
    struct framed *t = g->end->t;
    g->end->busy--;
    if (g->get) g->get->busy--;
    if (!g->given_up && !g->get) region_hold(t, g->region, -1);
    list_remove(&g->entry);
    world_release(t->base.opt.world, g, sizeof(*g));
}

void landing_is_over(struct framed_landing *g, int status, const char *why)
{
    struct framed_link *l = g->end->link;
    g->end->t->moved = true;
    if (l && status < 0)
        link_trouble(l, status, why);
    else if (l && g->get)
        link_make_due(l);
    else if (l && landing_answer(l, g) < 0)
        link_fall(l, SINEW_ENOMEM, GONE_BROKEN, true);
    landing_release(g);
}

struct framed_landing *landing_make(struct framed_link *l, const struct header *h)
{
    struct framed *t = framed_under(l);
    struct framed_landing *g = world_allocate(t->base.opt.world, sizeof(*g));
    if (!g) {
        why_set(&l->base.why, SINEW_ENOMEM, "%s: no memory for what it asks", l->name);
        return NULL;
    }
    *g = (struct framed_landing){ .end = l->end, .region = h->region, .work = h->work,
                                  .kind = h->kind };
    list_init(&g->entry);
    list_append(&t->landings, &g->entry);
    region_hold(t, g->region, 1);
    l->end->busy++;
    return g;
}

static int fill_start(struct framed_link *l, const struct header *h, uint8_t *to)
{
    struct framed *t = framed_under(l);
    struct framed_landing *g = landing_make(l, h);
    struct why why;
    if (!g) {
        fill_refuse(t, h);
        return SINEW_ENOMEM;
    }
    int status = t->fabric->fetch(g, h->fetch, to, h->amount, &why);
    if (status == TRANSPORT_PENDING) return 0;
    landing_release(g);
    if (status < 0) fill_refuse(t, h);
    return status < 0 ? link_trouble(l, status, why.text) : fill_answer(l, h->work);
}

int serve_fill(struct framed_link *l, const struct header *h, const uint8_t *data, size_t len)
{
    struct why *why = &l->base.why;
    uint8_t *to = NULL;
    int status = l->serving == FRAMED_ASKED
                     ? why_set(why, SINEW_EPROTO, "%s: it asks more than it may at once", l->name)
                     : put_target(l, h, h->amount, &to);
    if (status == 0 && !h->fetch && h->amount != len)
        status = why_set(why, SINEW_EPROTO, "%s: it fills with too little", l->name);
    if (status < 0) {
        fill_refuse(framed_under(l), h);
        return status;
    }
    l->serving++;
    if (to && h->fetch) return fill_start(l, h, to);
    if (to && len) memcpy(to, data, len);
    fill_refuse(framed_under(l), h);
    return fill_answer(l, h->work);
}
