/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.c - the life of a link: set-up, up, drain, down (framed.h draws the states)
 */
#include <stdio.h>
#include <string.h>

#include "transport/framed/framed.h"

enum { LINKS_FIRST = 16, LINKS_MAX = 1 << 20, LOOKS_MOST = 4096, ADDRESS_SLACK = 4096 };

#define LINGER_NS (50 * INT64_C(1000000)) /* for the counterpart to close first */

/* ---- names ---------------------------------------------------------------------------------- */

static void links_release(struct framed *t)
{
    world_release(t->base.opt.world, t->links, t->links_cap * sizeof(*t->links));
    t->links = NULL;
}

static int name_take(struct framed_link *l)
{
    struct framed *t = framed_under(l);
    const struct world *w = t->base.opt.world;
    uint32_t i = 0;
    while (i < t->links_cap && t->links[i]) i++;
    if (i == t->links_cap) {
        uint32_t cap = t->links_cap ? 2 * t->links_cap : LINKS_FIRST;
        struct framed_link **links = cap > LINKS_MAX ? NULL : world_allocate(w, cap * sizeof(l));
        if (!links) return why_set(&l->base.why, SINEW_ENOMEM, "no room for link %u", i);
        if (t->links) memcpy(links, t->links, t->links_cap * sizeof(l));
        links_release(t);
        t->links = links;
        t->links_cap = cap;
    }
    t->links[i] = l;
    l->id = i;
    return 0;
}

/* ---- set-up --------------------------------------------------------------------------------- */

void link_make_due(struct framed_link *l)
{
    if (l->state >= FRAMED_ENDING) return;
    if (list_empty(&l->of_due)) list_append(&framed_under(l)->due, &l->of_due);
}

static void link_set_deadline(struct framed_link *l, int64_t at)
{
    struct framed *t = framed_under(l);
    if (l->deadline != INT64_MAX) t->timed--;
    if (at != INT64_MAX) t->timed++;
    l->deadline = at;
}

void link_mind_gap(struct framed_link *l)
{
    struct framed *t = framed_under(l);
    bool gap = l->early.n > 0 && !reorder_look(&l->early, l->dealt + 1);
    if (l->state != FRAMED_UP || gap == (l->deadline != INT64_MAX)) return;
    link_set_deadline(l, gap ? framed_now(t) + t->base.opt.config->repair_deadline : INT64_MAX);
}

static void link_forget_address(struct framed_link *l)
{
    world_release(framed_under(l)->base.opt.world, l->address, l->address_len + ADDRESS_SLACK);
    l->address = NULL;
}

static int link_start(struct framed_link *l)
{
    struct framed *t = framed_under(l);
    const struct world *w = t->base.opt.world;
    if (w->random(w->arg, &l->token, sizeof(l->token)) < 0)
        return why_set(&l->base.why, SINEW_EIO, "no random bytes for a link");
    l->token |= 1;
    list_init(&l->of_due);
    list_init(&l->of_waiting);
    list_init(&l->of_ending);
    list_init(&l->of_links);
    list_init(&l->works);
    list_init(&l->serves);
    list_init(&l->lents);
    l->deadline = INT64_MAX;
    l->early.most = FRAMED_WINDOW_BYTES + FRAMED_PIECE_MAX;
    snprintf(l->name, sizeof(l->name), "rank %d by %.24s", l->base.rank, t->fabric->name);
    int status = name_take(l);
    if (status < 0) return status;
    list_append(&t->all, &l->of_links);
    l->state = FRAMED_OFFERING;
    l->offer_due = true;
    link_make_due(l);
    return 0;
}

static int endpoint_make(struct framed_link *l)
{
    struct framed *t = framed_under(l);
    struct endpoint *end = world_allocate(t->base.opt.world, sizeof(*end));
    if (!end) return why_set(&l->base.why, SINEW_ENOMEM, "%s: no memory for an endpoint", l->name);
    *end = (struct endpoint){ .t = t, .link = l, .until = INT64_MAX };
    list_init(&end->entry);
    int status = t->fabric->open(end, l->address, l->address_len, &l->base.why);
    if (status < 0) {
        world_release(t->base.opt.world, end, sizeof(*end));
        return why_wrap(&l->base.why, status, "%s", l->name);
    }
    l->end = end;
    return 0;
}

/* HELLO goes from link_attend(): a fabric may have to connect first. */
static int link_pair(struct framed_link *l)
{
    struct framed *t = framed_under(l);
    int status = endpoint_make(l);
    link_forget_address(l);
    if (status < 0) return status;
    l->state = FRAMED_PAIRED;
    link_set_deadline(l, framed_now(t) + t->base.opt.config->setup_deadline);
    return 0;
}

static int link_heard(struct framed_link *l, const void *bytes, size_t len)
{
    struct offer o;
    int status = offer_decode(bytes, len, &o, &l->base.why);
    if (status < 0) return status;
    if (l->state != FRAMED_OFFERING || o.at != l->address_got ||
        (o.at && (o.token != l->theirs_token || o.len != l->address_len)))
        return why_set(&l->base.why, SINEW_EPROTO, "%s: its counterpart offers again", l->name);
    if (!l->address) {
        /* Not every fabric is told the length: should the bytes be bad, it finds zeros first. */
        l->address = world_allocate(framed_under(l)->base.opt.world, o.len + ADDRESS_SLACK);
        if (!l->address) return why_set(&l->base.why, SINEW_ENOMEM, "no memory for an address");
        l->address_len = o.len;
        l->theirs_token = o.token;
        l->theirs_id = o.link;
    }
    memcpy(l->address + o.at, o.part, o.part_len);
    l->address_got += (uint32_t)o.part_len;
    return l->address_got == l->address_len ? link_pair(l) : 0;
}

int framed_connect(struct link *base, const void *bytes, size_t len)
{
    struct framed_link *l = framed_link_of(base);
    if (l->state == FRAMED_NEW) {
        int status = base->transport->ops->reach(base->transport, bytes, len, &base->why);
        return status < 0 ? status : link_start(l);
    }
    if (l->state >= FRAMED_ENDING) return 0;
    int status = link_heard(l, bytes, len);
    if (status < 0)
        link_fall(l, status, GONE_BROKEN, false);
    else
        link_make_due(l);
    return 0;
}

static void link_offer(struct framed_link *l)
{
    struct framed *t = framed_under(l);
    uint8_t bytes[TRANSPORT_TELL_MAX];
    struct offer o = { .link = l->id, .token = l->token, .len = (uint32_t)t->address_len };
    l->offer_due = false;
    for (size_t at = 0; at < t->address_len; at += o.part_len) {
        size_t left = t->address_len - at, most = sizeof(bytes) - OFFER_HEADER;
        o.at = (uint32_t)at;
        o.part = t->address + at;
        o.part_len = left < most ? left : most;
        t->budget--;
        t->base.up->tell(&l->base, bytes, offer_encode(bytes, &o));
    }
}

void link_is_up(struct framed_link *l)
{
    struct framed *t = framed_under(l);
    if (l->state == FRAMED_PAIRED) {
        l->state = FRAMED_UP;
        link_set_deadline(l, INT64_MAX);
    }
    l->announced = true;
    t->budget--;
    t->base.up->up(&l->base);
    if (l->state != FRAMED_UP) return;
    if (l->wants_room && list_empty(&l->of_waiting)) list_append(&t->waiting, &l->of_waiting);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void link_unawaited(struct framed_link *l)
{
    struct framed *t = framed_under(l);
    if (t->awaited == l) t->awaited = NULL;
}

void link_fall(struct framed_link *l, int status, enum gone gone, bool hand_up)
{
    struct framed *t = framed_under(l);
    if (l->state >= FRAMED_ENDING) return;
    link_unawaited(l);
    l->hands_back = gone == GONE_BROKEN && l->state >= FRAMED_UP;
    l->hand_up = hand_up && l->state >= FRAMED_PAIRED;
    l->state = FRAMED_ENDING;
    l->status = status;
    l->gone = gone;
    l->looks = t->idle_looks;
    l->first_look = t->looks;
    l->last_look = framed_now(t) + (t->broken ? 0 : FRAMED_LAST_NS);
    link_set_deadline(l, INT64_MAX);
    list_remove(&l->of_due);
    list_remove(&l->of_waiting);
    list_append(&t->ending, &l->of_ending);
}

/* A goodbye, or that one's own was heard, found behind the word that all is over. */
void link_left_after_all(struct framed_link *l)
{
    bool left = l->heard_bye || (l->said_bye && l->acked == l->bye);
    if (!left || l->state != FRAMED_ENDING || l->gone != GONE_BROKEN || !l->hand_up) return;
    l->status = 0;
    l->gone = GONE_LEFT;
    l->hands_back = false;
    l->base.why.text[0] = '\0';
}

int link_trouble(struct framed_link *l, int status, const char *what)
{
    if (l->state < FRAMED_ENDING) {
        if (what) why_set(&l->base.why, status, "%s", what);
        why_wrap(&l->base.why, status, "%s: %u frames were not confirmed", l->name,
                 l->sent - l->acked);
    }
    link_fall(l, status, GONE_BROKEN, true);
    return status;
}

void endpoint_fail(struct endpoint *end, int status, const char *what)
{
    end->failed = true;
    if (end->link) link_trouble(end->link, status, what);
}

void framed_break(struct framed *t, int status, const char *what)
{
    t->broken = true;
    for (struct list *e = t->all.next, *next; e != &t->all; e = next) {
        struct framed_link *l = LIST_OWNER(e, struct framed_link, of_links);
        next = e->next;
        if (l->end) link_trouble(l, status, what);
    }
}

static void link_release(struct framed_link *l)
{
    struct framed *t = framed_under(l);
    early_drop(l);
    serves_drop(l);
    lents_drop(l);
    frames_drop(l);
    if (l->address) link_forget_address(l);
    if (l->end) l->end->link = NULL;
    t->links[l->id] = NULL;
    list_remove(&l->of_links);
    list_remove(&l->of_due);
    list_remove(&l->of_waiting);
    list_remove(&l->of_ending);
}

/* What has arrived is with the fabric: a few looks that find nothing more, and it is handed up. */
static bool link_has_heard_all(struct framed_link *l)
{
    struct framed *t = framed_under(l);
    early_take(l);
    if (!l->hand_up) return true;
    if (l->gone != GONE_LEFT && framed_now(t) < l->last_look) return false;
    return t->idle_looks - l->looks >= FRAMED_LAST_LOOKS || t->looks - l->first_look > LOOKS_MOST;
}

static void endpoint_close(struct endpoint *end, bool by_force)
{
    end->t->fabric->close(end, by_force);
    end->closed = true;
    end->until = framed_now(end->t) + FRAMED_CLOSE_NS;
}

/* Closing a socket in which something is unread resets it, and what it had still to deliver is
 * lost: here the last confirmation. So whoever hears the goodbye lets the other close first. */
static void link_close_endpoint(struct framed_link *l)
{
    struct framed *t = framed_under(l);
    bool confirmed = l->said_bye && l->acked == l->bye;
    updates_drop(l);
    bool lingers = l->gone == GONE_LEFT && l->heard_bye && !confirmed && list_empty(&l->works);
    l->closing = true;
    l->end->lingers = lingers;
    l->end->until = framed_now(t) + (lingers ? LINGER_NS : FRAMED_CLOSE_NS);
    if (l->gone != GONE_LEFT || !list_empty(&l->works) || l->end->lends)
        endpoint_close(l->end, true);
    list_append(&t->closing, &l->end->entry);
}

/* False: not yet. */
static bool link_finish(struct framed_link *l)
{
    struct framed *t = framed_under(l);
    if (!link_has_heard_all(l)) return false;
    l->hand_up = false;
    if (l->end && !l->closing) link_close_endpoint(l);
    if (!works_fail(l, l->status < 0 ? l->status : SINEW_EPEER) || !frames_hand_back(l) ||
        t->budget < 1)
        return false;
    link_release(l);
    l->state = FRAMED_DOWN;
    t->budget--;
    t->base.up->down(&l->base, l->status, l->gone);
    return true;
}

static void link_start_drain(struct framed_link *l)
{
    struct framed *t = framed_under(l);
    if (l->state < FRAMED_UP) {
        link_fall(l, 0, GONE_LEFT, false); /* nothing was accepted */
    } else if (l->state == FRAMED_UP) {
        link_unawaited(l);
        l->state = FRAMED_DRAINING;
        link_set_deadline(l, framed_now(t) + t->base.opt.config->repair_deadline);
        link_make_due(l);
    }
}

void framed_disconnect(struct link *base, enum disconnect_how how)
{
    struct framed_link *l = framed_link_of(base);
    if (l->state == FRAMED_NEW || l->state == FRAMED_DOWN) return;
    bool first = l->state < FRAMED_ENDING;
    switch (how) {
    case DISCONNECT_DRAIN:
        link_start_drain(l);
        break;
    case DISCONNECT_NOW:
        if (first) why_set(&base->why, 0, "%s: cut at this rank's own wish", l->name);
        link_fall(l, SINEW_ECANCELED, GONE_BROKEN, false);
        l->hands_back = l->hand_up = false;
        break;
    case DISCONNECT_DEAD:
        if (first) why_set(&base->why, 0, "rank %d is known to be dead", base->rank);
        link_fall(l, SINEW_EPEER, GONE_DIED, true);
        l->hands_back = false;
        break;
    case DISCONNECT_BROKEN:
        if (first) why_set(&base->why, 0, "%s: its other end is broken", l->name);
        link_fall(l, SINEW_EPEER, GONE_BROKEN, true);
        link_left_after_all(l);
        break;
    }
}

/* ---- what progress looks after -------------------------------------------------------------- */

static void link_drain(struct framed_link *l)
{
    if (!l->said_bye && !l->heard_bye && list_empty(&l->works) && l->serving == 0 &&
        frame_send_control(l, FRAME_BYE, FRAME_ASKS) == 0) {
        l->said_bye = true;
        l->bye = l->sent;
    }
    if (l->said_bye && l->acked == l->bye && !(l->heard_bye && l->ack_due))
        link_fall(l, 0, GONE_LEFT, !l->heard_bye);
}

static void link_attend(struct framed_link *l)
{
    if (l->offer_due) link_offer(l);
    if (l->state == FRAMED_PAIRED && l->sent == 0 &&
        frame_send_control(l, FRAME_HELLO, FRAME_ASKS) == TRANSPORT_AGAIN)
        link_make_due(l);
    if (l->state == FRAMED_PAIRED && !l->heard_hello) early_take(l);
    if (l->state == FRAMED_PAIRED && l->heard_hello && l->acked > 0) link_is_up(l);
    early_take(l);
    if (l->state == FRAMED_UP || l->state == FRAMED_DRAINING) {
        works_look(l);
        works_advance(l);
        updates_advance(l);
        serves_advance(l);
    }
    if (l->state >= FRAMED_PAIRED && l->state < FRAMED_ENDING) ack_send(l);
    if (l->state == FRAMED_DRAINING) link_drain(l);
    if (l->heard_bye && !l->said_bye && !l->ack_due) link_fall(l, 0, GONE_LEFT, false);
    if (l->state >= FRAMED_UP && reorder_look(&l->early, l->dealt + 1))
        link_make_due(l); /* there was no room for its upcalls */
    if (l->end && l->end->full_at == framed_under(l)->looks)
        link_make_due(l); /* what was not offered to the fabric, which takes no more now */
}

/* It has taken what was expected, so there are no upcalls for it now. */
static void link_attend_later(struct framed_link *l)
{
    ack_send(l);
    link_make_due(l);
}

static void look_after_due(struct framed *t)
{
    struct list todo, *e;
    list_init(&todo);
    list_splice(&todo, &t->due);
    while (t->budget > 6 && (e = list_take(&todo))) {
        struct framed_link *l = LIST_OWNER(e, struct framed_link, of_due);
        if (l == t->took)
            link_attend_later(l);
        else
            link_attend(l);
    }
    list_splice(&t->due, &todo);
}

static void look_after_waiting(struct framed *t)
{
    struct list todo, *e;
    list_init(&todo);
    list_splice(&todo, &t->waiting);
    while ((e = list_take(&todo))) {
        struct framed_link *l = LIST_OWNER(e, struct framed_link, of_waiting);
        if (l->state != FRAMED_UP) continue;
        if (t->budget < 2 || l == t->took || !frame_may(l, FRAMED_LARGE, false)) {
            list_append(&t->waiting, &l->of_waiting);
            continue;
        }
        l->wants_room = false;
        t->budget--;
        t->base.up->room(&l->base);
    }
}

static void look_after_ending(struct framed *t)
{
    struct list todo, *e;
    list_init(&todo);
    list_splice(&todo, &t->ending);
    while ((e = list_take(&todo))) {
        struct framed_link *l = LIST_OWNER(e, struct framed_link, of_ending);
        if (l == t->took || !link_finish(l)) list_append(&t->ending, &l->of_ending);
    }
}

static void look_at_deadlines(struct framed *t)
{
    int64_t now = framed_now(t);
    for (struct list *e = t->all.next, *next; t->timed && e != &t->all; e = next) {
        struct framed_link *l = LIST_OWNER(e, struct framed_link, of_links);
        next = e->next;
        if (now < l->deadline) continue;
        const char *late =
            l->state == FRAMED_DRAINING
                ? "its counterpart did not confirm all that was sent within repair_deadline"
            : l->state == FRAMED_UP
                ? "a message was lost: later ones came, and that one not within repair_deadline"
                : "nothing came from its counterpart within setup_deadline";
        why_set(&l->base.why, SINEW_ETIMEDOUT, "%s: %s", l->name, late);
        link_fall(l, SINEW_ETIMEDOUT, GONE_BROKEN, l->state >= FRAMED_UP);
    }
}

static bool endpoints_are_closing(const struct framed *t)
{
    for (const struct list *e = t->closing.next; e != &t->closing; e = e->next)
        if (!LIST_OWNER(e, struct endpoint, entry)->lost) return true;
    return false;
}

/* All that end have only to be looked at again, by and by: who has still to write needs the
 * processor. */
static bool endings_may_wait(const struct framed *t)
{
    int64_t now = framed_now(t);
    for (const struct list *e = t->ending.next; e != &t->ending; e = e->next) {
        const struct framed_link *l = LIST_OWNER(e, struct framed_link, of_ending);
        if (!l->hand_up || l->gone == GONE_LEFT || now >= l->last_look) return false;
    }
    return true;
}

int64_t framed_deadline(const struct framed *t)
{
    int64_t at = INT64_MAX;
    bool full = t->full == t->looks; /* then the fabric is asked again soon */
    bool ends = !list_empty(&t->ending);
    if (t->took && t->took->heard != t->took->acked) return 0;
    if ((ends && !endings_may_wait(t)) || (!list_empty(&t->due) && !full)) return 0;
    /* Fabrics that are connecting do not always wake whoever waits. */
    if (ends || full || (t->timed && !t->fabric->wakes) || endpoints_are_closing(t))
        at = framed_now(t) + FRAMED_AGAIN_NS;
    for (struct list *e = t->all.next; t->timed && e != &t->all; e = e->next) {
        const struct framed_link *l = LIST_OWNER(e, struct framed_link, of_links);
        if (l->deadline < at) at = l->deadline;
    }
    return at;
}

/* ---- endpoints ------------------------------------------------------------------------------ */

/* Whether the fabric is through with it. */
static bool endpoint_is_over(struct endpoint *end)
{
    const struct fabric *fabric = end->t->fabric;
    bool closed = !fabric->is_closed || fabric->is_closed(end);
    return closed && end->busy == 0;
}

/* Its closing takes too long: nobody shall wait for memory that the fabric still has. */
static void endpoint_give_up(struct endpoint *end)
{
    struct framed *t = end->t;
    if (end->lost) return;
    end->lost = true;
    log_line(t->base.opt.log, LOG_WARNING,
             "%s does not let go of an endpoint it was told to close: %u operations are under way "
             "still",
             t->fabric->name, end->busy);
    landings_give_up(t, end);
    lends_give_up(t, end);
}

static void look_after_closing(struct framed *t)
{
    for (struct list *e = t->closing.next, *next; e != &t->closing; e = next) {
        struct endpoint *end = LIST_OWNER(e, struct endpoint, entry);
        next = e->next;
        bool late = framed_now(t) >= end->until;
        if (late && end->closed) endpoint_give_up(end);
        if (end->link) continue;
        if (!end->closed && !late && !end->failed && (end->busy || end->lingers)) continue;
        if (!end->closed) endpoint_close(end, end->failed || end->busy);
        if (!t->finishing && !endpoint_is_over(end)) continue;
        list_remove(&end->entry);
        world_release(t->base.opt.world, end, sizeof(*end));
    }
}

/* ---- all of it ------------------------------------------------------------------------------ */

void framed_init(struct framed *t, const struct fabric *fabric)
{
    struct list *const lists[] = { &t->all,         &t->due,         &t->waiting,
                                   &t->ending,      &t->closing,     &t->flying,
                                   &t->spare_small, &t->spare_large, &t->spare_works,
                                   &t->lost_works,  &t->landings };
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) list_init(lists[i]);
    t->fabric = fabric;
    t->looks = 1; /* 0 is never */
}

static void look_at_fabric(struct framed *t)
{
    t->looks += t->looks + 1 ? 1 : 2;
    if (!t->fabric->look(t)) t->idle_looks++;
}

static bool links_need_nothing(const struct framed *t)
{
    return !t->timed && list_empty(&t->due) && list_empty(&t->waiting) && list_empty(&t->ending) &&
           list_empty(&t->closing);
}

static __attribute__((noinline)) void links_look_after(struct framed *t)
{
    if (t->timed) look_at_deadlines(t);
    if (!list_empty(&t->due)) look_after_due(t);
    if (!list_empty(&t->waiting)) look_after_waiting(t);
    if (!list_empty(&t->ending)) look_after_ending(t);
    if (!list_empty(&t->closing)) look_after_closing(t);
}

int framed_progress(struct transport *base, struct link *l)
{
    struct framed *t = framed_of(base);
    t->budget = TRANSPORT_UPCALLS_MAX;
    t->moved = false;
    if (t->took) link_settle(t->took);
    t->took = NULL;
    if (l && l->expect && t->awaited != framed_link_of(l)) slim_await(t, framed_link_of(l));
    t->in_progress = true;
    look_at_fabric(t);
    if (!links_need_nothing(t)) links_look_after(t);
    int upcalls = TRANSPORT_UPCALLS_MAX - t->budget;
    t->in_progress = false;
    t->budget = 0;
    return upcalls > 0 ? upcalls : t->moved;
}

void framed_finish(struct framed *t)
{
    const struct world *w = t->base.opt.world;
    int64_t until = framed_now(t) + FRAMED_CLOSE_NS;
    look_after_closing(t);
    while (!list_empty(&t->closing) && framed_now(t) < until) {
        if (!t->fabric->look(t)) w->yield(w->arg);
        look_after_closing(t);
    }
    for (struct list *e = t->closing.next; e != &t->closing; e = e->next) {
        struct endpoint *end = LIST_OWNER(e, struct endpoint, entry);
        if (!end->closed) endpoint_close(end, true);
    }
}

void framed_release(struct framed *t)
{
    t->finishing = true; /* the fabric is closed: nothing of it is busy any more */
    look_after_closing(t);
    landings_release(t);
    frames_release(t);
    works_release(t);
    links_release(t);
    regions_release(t);
    t->finishing = false;
}
