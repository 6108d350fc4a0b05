/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.c - the life of a link: set-up, up, drain, down (internal.h draws the states)
 */
#include <stdio.h>
#include <string.h>

#include "transport/verbs/internal.h"

enum { LINKS_FIRST = 16, INDEX_BITS = 20, LINKS_MAX = 1 << INDEX_BITS, GENERATIONS = 1 << 11 };

/* ---- names: index and generation, in completions; numbers of queue pairs --------------------- */

static int names_grow(struct verbs *t)
{
    const struct world *w = t->base.opt.world;
    uint32_t cap = t->links_cap ? 2 * t->links_cap : LINKS_FIRST;
    if (cap > LINKS_MAX) return SINEW_ELIMIT;
    struct verbs_link **links = world_allocate(w, cap * sizeof(struct verbs_link *));
    uint16_t *generations = world_allocate(w, cap * sizeof(*generations));
    uint32_t *by_qp = world_allocate(w, 2 * (size_t)cap * sizeof(*by_qp));
    struct verbs_link **old = t->links;
    uint32_t n = t->links_cap;
    if (!links || !generations || !by_qp) {
        world_release(w, links, cap * sizeof(struct verbs_link *));
        world_release(w, generations, cap * sizeof(*generations));
        world_release(w, by_qp, 2 * (size_t)cap * sizeof(*by_qp));
        return SINEW_ENOMEM;
    }
    if (n) {
        memcpy(links, old, n * sizeof(struct verbs_link *));
        memcpy(generations, t->generations, n * sizeof(*generations));
    }
    names_release(t);
    t->links = links;
    t->generations = generations;
    t->by_qp = by_qp;
    t->links_cap = cap;
    for (uint32_t i = 0; i < n; i++)
        if (links[i] && links[i]->qp) link_table_add(links[i]);
    return 0;
}

void names_release(struct verbs *t)
{
    const struct world *w = t->base.opt.world;
    world_release(w, t->links, t->links_cap * sizeof(struct verbs_link *));
    world_release(w, t->generations, t->links_cap * sizeof(*t->generations));
    world_release(w, t->by_qp, 2 * (size_t)t->links_cap * sizeof(*t->by_qp));
    t->links = NULL;
    t->generations = NULL;
    t->by_qp = NULL;
    t->links_cap = 0;
}

static int name_take(struct verbs_link *l)
{
    struct verbs *t = verbs_under(l);
    if (t->links_count == t->links_cap) {
        int status = names_grow(t);
        if (status < 0) return why_set(&l->base.why, status, "no room for link %u", t->links_count);
    }
    uint32_t i = 0;
    while (t->links[i]) i++;
    t->links[i] = l;
    t->links_count++;
    t->generations[i] = (uint16_t)(t->generations[i] % (GENERATIONS - 1) + 1);
    l->id = (uint32_t)t->generations[i] << INDEX_BITS | i;
    return 0;
}

static void name_give(struct verbs_link *l)
{
    struct verbs *t = verbs_under(l);
    if (!l->id) return;
    t->links[l->id & (LINKS_MAX - 1)] = NULL;
    t->links_count--;
    l->id = 0;
}

struct verbs_link *link_by_id(struct verbs *t, uint32_t id)
{
    uint32_t i = id & (LINKS_MAX - 1);
    struct verbs_link *l = i < t->links_cap ? t->links[i] : NULL;
    return l && l->id == id ? l : NULL;
}

/* Open addressing; half of the places at least are empty. */
static uint32_t table_place(const struct verbs *t, uint32_t qp_num)
{
    uint32_t mask = 2 * t->links_cap - 1, at = qp_num * 2654435761u & mask;
    while (t->by_qp[at] && t->links[t->by_qp[at] - 1]->qp->qp_num != qp_num) at = (at + 1) & mask;
    return at;
}

void link_table_add(struct verbs_link *l)
{
    struct verbs *t = verbs_under(l);
    t->by_qp[table_place(t, l->qp->qp_num)] = (l->id & (LINKS_MAX - 1)) + 1;
}

void link_table_remove(struct verbs_link *l)
{
    struct verbs *t = verbs_under(l);
    uint32_t mask = 2 * t->links_cap - 1, at = table_place(t, l->qp->qp_num);
    t->by_qp[at] = 0;
    /* Whoever stood behind may have wanted this place. */
    for (at = (at + 1) & mask; t->by_qp[at]; at = (at + 1) & mask) {
        uint32_t moved = t->by_qp[at];
        t->by_qp[at] = 0;
        link_table_add(t->links[moved - 1]);
    }
}

struct verbs_link *link_by_qp(struct verbs *t, uint32_t qp_num)
{
    if (!t->links_cap) return NULL;
    uint32_t found = t->by_qp[table_place(t, qp_num)];
    return found ? t->links[found - 1] : NULL;
}

/* ---- set-up ---------------------------------------------------------------------------------- */

void link_make_due(struct verbs_link *l)
{
    if (l->state >= VERBS_ENDING) return;
    if (list_empty(&l->of_due)) list_append(&verbs_under(l)->due, &l->of_due);
}

void link_set_deadline(struct verbs_link *l, int64_t at)
{
    struct verbs *t = verbs_under(l);
    if (l->deadline != INT64_MAX) t->timed--;
    if (at != INT64_MAX) t->timed++;
    l->deadline = at;
}

static void link_release(struct verbs_link *l)
{
    struct verbs *t = verbs_under(l);
    queue_forget(t, l);
    pair_destroy(l);
    cm_release(l);
    queue_release(l);
    link_set_deadline(l, INT64_MAX);
    list_remove(&l->of_links);
    list_remove(&l->of_due);
    list_remove(&l->of_waiting);
    list_remove(&l->of_ending);
    name_give(l);
}

static int draw(struct verbs_link *l)
{
    const struct world *w = verbs_under(l)->base.opt.world;
    if (w->random(w->arg, &l->attempt, sizeof(l->attempt)) < 0 ||
        w->random(w->arg, &l->psn, sizeof(l->psn)) < 0)
        return why_set(&l->base.why, SINEW_EIO, "no random bytes for a link");
    l->attempt |= 1;
    l->psn &= 0xffffff;
    return 0;
}

static void link_begin(struct verbs_link *l)
{
    struct verbs *t = verbs_under(l);
    list_init(&l->of_due);
    list_init(&l->of_waiting);
    list_init(&l->of_ending);
    list_init(&l->of_links);
    list_init(&l->works);
    list_append(&t->all, &l->of_links);
    l->deadline = INT64_MAX;
    l->window_most = (uint32_t)t->base.opt.config->verbs_credits;
    bool few = t->base.opt.size <= VERBS_FEW || l->window_most < VERBS_WINDOW;
    l->window = few ? l->window_most : VERBS_WINDOW;
    l->told = l->window;
    snprintf(l->name, sizeof(l->name), "rank %d on %.20s port %u", l->base.rank,
             t->chosen.device, t->chosen.port);
}

static int link_may(struct verbs_link *l, const void *address, size_t len)
{
    struct verbs *t = verbs_under(l);
    uint8_t layer;
    int status = gid_decode(address, len, &layer, &l->address, &l->base.why);
    if (status < 0) return status;
    if (t->failed)
        return why_set(&l->base.why, SINEW_EIO, "%s: %s", t->chosen.device, t->failed);
    if (t->port_down)
        return why_set(&l->base.why, SINEW_EUNREACHABLE, "port %u of %s is down", t->chosen.port,
                       t->chosen.device);
    devices_route(t->api, &t->candidates, &t->chosen, &l->address, &l->gid_index, &l->gid);
    return 0;
}

static int link_start(struct verbs_link *l, const void *address, size_t len)
{
    int status = link_may(l, address, len);
    if (status < 0) return status;
    link_begin(l);
    status = draw(l);
    if (status == 0) status = name_take(l);
    if (status == 0) status = pair_make(l);
    if (status < 0) {
        link_release(l);
        return status;
    }
    l->state = VERBS_OFFERING;
    l->offer_due = true;
    link_make_due(l);
    return 0;
}

void link_is_paired(struct verbs_link *l)
{
    l->state = VERBS_PAIRED;
    l->ready_due = true;
    link_make_due(l);
}

static int link_heard_offer(struct verbs_link *l, const struct offer *o)
{
    struct verbs *t = verbs_under(l);
    if (o->answers && o->answers != l->attempt) return 0; /* to a link that is gone */
    if (l->state != VERBS_OFFERING || l->theirs.attempt)
        return why_set(&l->base.why, SINEW_EPROTO, "%s: its counterpart offered twice", l->name);
    l->theirs = *o;
    l->allowed = o->window;
    link_set_deadline(l, verbs_now(t) + t->base.opt.config->setup_deadline);
    if (t->cm.channel) return cm_begin(l);
    if (o->port)
        return why_set(&l->base.why, SINEW_EUNREACHABLE,
                       "%s: verbs_wireup is tell here and rdma_cm there", l->name);
    int status = pair_connect(l);
    if (status == 0) link_is_paired(l);
    return status;
}

static int link_heard(struct verbs_link *l, const void *bytes, size_t len)
{
    struct offer o;
    int status = offer_decode(bytes, len, &o, &l->base.why);
    if (status < 0) return status;
    if (o.kind == TELL_OFFER) return link_heard_offer(l, &o);
    if (o.answers == l->attempt && o.attempt == l->theirs.attempt) l->peer_ready = true;
    return 0;
}

int verbs_connect(struct link *base, const void *bytes, size_t len)
{
    struct verbs_link *l = verbs_link_of(base);
    if (l->state == VERBS_NEW) return link_start(l, bytes, len);
    if (l->state >= VERBS_ENDING) return 0;
    int status = link_heard(l, bytes, len);
    if (status < 0)
        link_fall(l, status, GONE_BROKEN, false);
    else
        link_make_due(l);
    return 0;
}

static void tell(struct verbs_link *l, enum offer_kind kind)
{
    struct verbs *t = verbs_under(l);
    uint8_t bytes[OFFER_LEN];
    size_t len = offer_encode(bytes, &(struct offer){
                                         .kind = (uint8_t)kind,
                                         .attempt = l->attempt,
                                         .answers = l->theirs.attempt,
                                         .qpn = l->qp->qp_num,
                                         .psn = l->psn,
                                         .window = l->window,
                                         .rkey = t->scratch->mr->rkey,
                                         .gid = t->cm.channel ? t->chosen.gid : l->gid,
                                         .port = t->cm.port,
                                         .lid = t->lid,
                                         .mtu = t->mtu,
                                         .layer = t->layer,
                                         .reads = (uint8_t)t->reads_taken,
                                         .flush = (uintptr_t)t->scratch_memory,
                                     });
    t->budget_left--;
    t->base.up->tell(&l->base, bytes, len);
}

static void link_note(struct verbs_link *l)
{
    const struct verbs *t = verbs_under(l);
    uint64_t all = t->budget.registered + t->registered_bytes;
    snprintf(l->note, sizeof(l->note),
             "%.63s port %u GID %d; registered with it: %u KiB for what comes from this rank%s, %llu "
             "KiB in all", t->chosen.device, t->chosen.port, l->gid_index,
             (l->window + VERBS_RESERVE) * VERBS_SLOT / 1024, t->srq ? " (shared)" : "",
             (unsigned long long)(all / 1024));
    l->base.note = l->note;
}

void links_note(struct verbs *t)
{
    uint64_t all = t->budget.registered + t->registered_bytes;
    if (all == t->noted_bytes) return;
    t->noted_bytes = all;
    for (struct list *e = t->all.next; e != &t->all; e = e->next) {
        struct verbs_link *l = LIST_OWNER(e, struct verbs_link, of_links);
        if (l->base.note) link_note(l);
    }
}

void link_is_up(struct verbs_link *l)
{
    struct verbs *t = verbs_under(l);
    link_note(l);
    if (l->state == VERBS_PAIRED) {
        l->state = VERBS_UP;
        link_set_deadline(l, INT64_MAX);
    }
    l->announced = true;
    t->budget_left--;
    t->base.up->up(&l->base);
    if (l->wants_room && list_empty(&l->of_waiting)) list_append(&t->waiting, &l->of_waiting);
}

/* ---- the end --------------------------------------------------------------------------------- */

void link_fall(struct verbs_link *l, int status, enum gone gone, bool hand_up)
{
    struct verbs *t = verbs_under(l);
    if (l->state >= VERBS_ENDING) return;
    l->hands_back = gone == GONE_BROKEN && l->state >= VERBS_UP;
    l->hand_up = hand_up && l->state >= VERBS_PAIRED;
    l->state = VERBS_ENDING;
    l->status = status;
    l->gone = gone;
    l->emptied = t->emptied;
    if (t->again_link == l) receives_return(t);
    queue_forget(t, l);
    if (gone != GONE_LEFT) pair_revoke(l);
    link_set_deadline(l, INT64_MAX);
    list_remove(&l->of_due);
    list_remove(&l->of_waiting);
    list_append(&t->ending, &l->of_ending);
}

/* A goodbye, found behind a failure: of what it did not wait for. */
static void link_left_after_all(struct verbs_link *l)
{
    if (l->state != VERBS_ENDING || l->gone != GONE_BROKEN || l->status == SINEW_ECANCELED) return;
    l->status = 0;
    l->gone = GONE_LEFT;
    l->hands_back = false;
    l->base.why.text[0] = '\0';
}

void link_peer_left(struct verbs_link *l)
{
    l->peer_left = true;
    link_left_after_all(l);
    link_fall(l, 0, GONE_LEFT, false);
}

void link_bye_heard(struct verbs_link *l)
{
    l->bye_confirmed = true;
    link_left_after_all(l);
    if (l->state == VERBS_DRAINING) link_make_due(l);
}

/* What was sent and is not confirmed goes back, in order. False: later. */
static bool link_hand_back(struct verbs_link *l)
{
    struct verbs *t = verbs_under(l);
    for (; l->hands_back && l->undone != l->head; l->undone++) {
        const struct queue_entry *e = &l->queue[l->undone & (VERBS_QUEUE - 1)];
        if (e->kind != ENTRY_MESSAGE) continue;
        if (t->budget_left < 2) return false;
        const uint8_t *at = (e->small ? &t->small : &t->large)->slots[e->slot].at;
        uint8_t hlen = at[VERBS_HEADER - 1]; /* of a bare one, too */
        t->budget_left--;
        t->base.up->undone(&l->base, at + VERBS_HEADER, hlen, at + VERBS_HEADER + hlen,
                           e->len - VERBS_HEADER - hlen);
    }
    return true;
}

/* False: not yet. What the device has acknowledged is in the completion queue, or comes within two
 * looks that find it empty: the queue pair was stopped before. */
static bool link_finish(struct verbs_link *l)
{
    struct verbs *t = verbs_under(l);
    if (l->hand_up && t->emptied - l->emptied < 2) return false;
    if (l->qp) {
        l->hand_up = false;
        l->undone = l->tail;
        if (l->peer_left && list_empty(&l->works))
            pair_park(l);
        else
            pair_destroy(l);
    }
    if (!works_fail(l, l->status < 0 ? l->status : SINEW_EPEER) || !link_hand_back(l) ||
        t->budget_left < 1)
        return false;
    link_release(l);
    l->state = VERBS_DOWN;
    t->budget_left--;
    t->base.up->down(&l->base, l->status, l->gone);
    return true;
}

static int64_t drain_until(const struct verbs *t)
{
    return verbs_now(t) + t->base.opt.config->repair_deadline;
}

static void link_drain(struct verbs_link *l)
{
    if (list_empty(&l->works) && !l->bye_posted && message_bye(l) > 0) link_make_due(l);
    if (l->bye_confirmed) link_fall(l, 0, GONE_LEFT, true);
}

static void link_start_drain(struct verbs_link *l)
{
    if (l->state < VERBS_UP) {
        link_fall(l, 0, GONE_LEFT, false); /* nothing was accepted */
    } else if (l->state == VERBS_UP) {
        l->state = VERBS_DRAINING;
        link_set_deadline(l, drain_until(verbs_under(l)));
        link_make_due(l);
    }
}

void verbs_disconnect(struct link *base, enum disconnect_how how)
{
    struct verbs_link *l = verbs_link_of(base);
    if (l->state == VERBS_NEW || l->state == VERBS_DOWN) return;
    bool first = l->state < VERBS_ENDING;
    switch (how) {
    case DISCONNECT_DRAIN: link_start_drain(l); break;
    case DISCONNECT_NOW:
        if (first) why_set(&base->why, 0, "%s: cut at this rank's own wish", l->name);
        link_fall(l, SINEW_ECANCELED, GONE_BROKEN, false);
        l->hands_back = l->hand_up = false;
        pair_revoke(l);
        break;
    case DISCONNECT_DEAD:
        if (first) why_set(&base->why, 0, "rank %d is known to be dead", base->rank);
        link_fall(l, SINEW_EPEER, GONE_DIED, true);
        l->hands_back = false;
        break;
    case DISCONNECT_BROKEN:
        if (first) why_set(&base->why, 0, "%s: its other end is broken", l->name);
        link_fall(l, SINEW_EPEER, GONE_BROKEN, true);
        break;
    }
}

/* ---- what progress looks after --------------------------------------------------------------- */

static void link_attend(struct verbs_link *l)
{
    struct verbs *t = verbs_under(l);
    if (l->offer_due) {
        l->offer_due = false;
        tell(l, TELL_OFFER);
    }
    if (l->ready_due) {
        l->ready_due = false;
        tell(l, TELL_READY);
    }
    if (l->state == VERBS_PAIRED && l->peer_ready) link_is_up(l);
    if (l->state != VERBS_UP && l->state != VERBS_DRAINING) return;
    works_advance(l);
    message_credit(l);
    if (l->state == VERBS_DRAINING) link_drain(l);
    if (l->wants_room && list_empty(&l->of_waiting)) list_append(&t->waiting, &l->of_waiting);
}

static void look_after_due(struct verbs *t)
{
    struct list todo, *e;
    list_init(&todo);
    list_splice(&todo, &t->due);
    while (t->budget_left > 4 && (e = list_take(&todo)))
        link_attend(LIST_OWNER(e, struct verbs_link, of_due));
    list_splice(&t->due, &todo);
}

static void look_after_waiting(struct verbs *t)
{
    struct list todo, *e;
    list_init(&todo);
    list_splice(&todo, &t->waiting);
    while ((e = list_take(&todo))) {
        struct verbs_link *l = LIST_OWNER(e, struct verbs_link, of_waiting);
        if (l->state != VERBS_UP) continue;
        if (t->budget_left < 2 || l == t->took || !message_room(l)) {
            list_append(&t->waiting, &l->of_waiting);
            continue;
        }
        l->wants_room = false;
        t->budget_left--;
        t->base.up->room(&l->base);
    }
}

static void look_after_ending(struct verbs *t)
{
    struct list todo, *e;
    list_init(&todo);
    list_splice(&todo, &t->ending);
    while ((e = list_take(&todo))) {
        struct verbs_link *l = LIST_OWNER(e, struct verbs_link, of_ending);
        if (l == t->took || !link_finish(l)) list_append(&t->ending, &l->of_ending);
    }
}

static void look_at_deadlines(struct verbs *t)
{
    int64_t now = verbs_now(t);
    if (t->parks) pairs_unpark(t, false);
    for (struct list *e = t->all.next, *next; t->timed && e != &t->all; e = next) {
        struct verbs_link *l = LIST_OWNER(e, struct verbs_link, of_links);
        next = e->next;
        if (now < l->deadline) continue;
        const char *late = l->state == VERBS_DRAINING
                               ? "its device did not take all that was sent within repair_deadline"
                               : "its counterpart did not connect within setup_deadline";
        why_set(&l->base.why, SINEW_ETIMEDOUT, "%s: %s", l->name, late);
        link_fall(l, SINEW_ETIMEDOUT, GONE_BROKEN, l->state == VERBS_DRAINING);
    }
}

int64_t links_deadline(const struct verbs *t)
{
    int64_t at = INT64_MAX;
    for (struct list *e = t->all.next; t->timed && e != &t->all; e = e->next) {
        const struct verbs_link *l = LIST_OWNER(e, struct verbs_link, of_links);
        if (l->deadline < at) at = l->deadline;
    }
    for (int i = 0; t->parks && i < VERBS_PARKED; i++)
        if (t->parked[i].qp && t->parked[i].until < at) at = t->parked[i].until;
    return at;
}

void links_look_after(struct verbs *t)
{
    if (t->timed || t->parks) look_at_deadlines(t);
    if (!list_empty(&t->due)) look_after_due(t);
    if (!list_empty(&t->waiting)) look_after_waiting(t);
    if (!list_empty(&t->ending)) look_after_ending(t);
}
