/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.c - the life of a link: set-up, up, drain, down (internal.h draws the states)
 */
#include <stdio.h>
#include <string.h>

#include "transport/ucx/internal.h"

enum { LINKS_FIRST = 16, LINKS_MAX = 1 << 20, LOOKS_MOST = 4096, ADDRESS_SLACK = 4096 };

/* ---- names ---------------------------------------------------------------------------------- */

static int name_take(struct ucx_link *l)
{
    struct ucx *t = ucx_under(l);
    const struct world *w = t->base.opt.world;
    uint32_t i = 0;
    while (i < t->links_cap && t->links[i]) i++;
    if (i == t->links_cap) {
        uint32_t cap = t->links_cap ? 2 * t->links_cap : LINKS_FIRST;
        struct ucx_link **links = cap > LINKS_MAX ? NULL : world_allocate(w, cap * sizeof(l));
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

void links_release(struct ucx *t)
{
    world_release(t->base.opt.world, t->links, t->links_cap * sizeof(*t->links));
    t->links = NULL;
}

struct ucx_link *link_by_id(struct ucx *t, uint32_t id, uint64_t token)
{
    struct ucx_link *l = id < t->links_cap ? t->links[id] : NULL;
    return l && l->token == token ? l : NULL;
}

/* ---- set-up --------------------------------------------------------------------------------- */

void link_make_due(struct ucx_link *l)
{
    if (l->state >= UCX_ENDING) return;
    if (list_empty(&l->of_due)) list_append(&ucx_under(l)->due, &l->of_due);
}

static void link_set_deadline(struct ucx_link *l, int64_t at)
{
    struct ucx *t = ucx_under(l);
    if (l->deadline != INT64_MAX) t->timed--;
    if (at != INT64_MAX) t->timed++;
    l->deadline = at;
}

static void link_forget_address(struct ucx_link *l)
{
    world_release(ucx_under(l)->base.opt.world, l->address, l->address_len + ADDRESS_SLACK);
    l->address = NULL;
}

static int link_start(struct ucx_link *l)
{
    struct ucx *t = ucx_under(l);
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
    l->early.most = UCX_WINDOW_BYTES + UCX_FRAGMENT;
    l->deadline = INT64_MAX;
    snprintf(l->name, sizeof(l->name), "rank %d by UCX", l->base.rank);
    int status = name_take(l);
    if (status < 0) return status;
    list_append(&t->all, &l->of_links);
    l->state = UCX_OFFERING;
    l->offer_due = true;
    link_make_due(l);
    return 0;
}

/* The whole of it is known: go there. */
static int link_pair(struct ucx_link *l)
{
    struct ucx *t = ucx_under(l);
    int status = endpoint_make(l);
    link_forget_address(l);
    if (status < 0) return status;
    l->state = UCX_PAIRED;
    link_set_deadline(l, ucx_now(t) + t->base.opt.config->setup_deadline);
    status = frame_send_control(l, FRAME_HELLO, FRAME_ASKS);
    return status > 0 ? why_set(&l->base.why, SINEW_ENOMEM, "no memory for a link") : status;
}

static int link_heard(struct ucx_link *l, const void *bytes, size_t len)
{
    struct offer o;
    int status = offer_decode(bytes, len, &o, &l->base.why);
    if (status < 0) return status;
    if (l->state != UCX_OFFERING || o.at != l->address_got ||
        (o.at && (o.token != l->theirs_token || o.len != l->address_len)))
        return why_set(&l->base.why, SINEW_EPROTO, "%s: its counterpart offers again", l->name);
    if (!l->address) {
        /* UCX is not told the length: should the bytes be bad, it finds zeros first. */
        l->address = world_allocate(ucx_under(l)->base.opt.world, o.len + ADDRESS_SLACK);
        if (!l->address) return why_set(&l->base.why, SINEW_ENOMEM, "no memory for an address");
        l->address_len = o.len;
        l->theirs_token = o.token;
        l->theirs_id = o.link;
    }
    memcpy(l->address + o.at, o.part, o.part_len);
    l->address_got += (uint32_t)o.part_len;
    return l->address_got == l->address_len ? link_pair(l) : 0;
}

int ucx_connect(struct link *base, const void *bytes, size_t len)
{
    struct ucx_link *l = ucx_link_of(base);
    struct ucx *t = ucx_under(l);
    if (l->state == UCX_NEW) {
        int status = base->transport->ops->reach(base->transport, bytes, len, &base->why);
        return status < 0 ? status : link_start(l);
    }
    if (l->state >= UCX_ENDING) return 0;
    const struct log *before = api_log_to(t->base.opt.log);
    int status = link_heard(l, bytes, len);
    api_log_to(before);
    if (status < 0)
        link_fall(l, status, GONE_BROKEN, false);
    else
        link_make_due(l);
    return 0;
}

static void link_offer(struct ucx_link *l)
{
    struct ucx *t = ucx_under(l);
    uint8_t bytes[TRANSPORT_TELL_MAX];
    struct offer o = { .link = l->id, .token = l->token, .len = (uint32_t)t->address_len };
    l->offer_due = false;
    for (size_t at = 0; at < t->address_len; at += o.part_len) {
        size_t left = t->address_len - at, most = sizeof(bytes) - OFFER_HEADER;
        o.at = (uint32_t)at;
        o.part = (const uint8_t *)(const void *)t->address + at;
        o.part_len = left < most ? left : most;
        t->budget--;
        t->base.up->tell(&l->base, bytes, offer_encode(bytes, &o));
    }
}

static void link_is_up(struct ucx_link *l)
{
    struct ucx *t = ucx_under(l);
    l->state = UCX_UP;
    link_set_deadline(l, INT64_MAX);
    t->budget--;
    t->base.up->up(&l->base);
    if (l->wants_room && list_empty(&l->of_waiting)) list_append(&t->waiting, &l->of_waiting);
}

/* ---- the end -------------------------------------------------------------------------------- */

void link_fall(struct ucx_link *l, int status, enum gone gone, bool hand_up)
{
    struct ucx *t = ucx_under(l);
    if (l->state >= UCX_ENDING) return;
    l->hands_back = gone == GONE_BROKEN && l->state >= UCX_UP;
    l->hand_up = hand_up && l->state >= UCX_PAIRED;
    l->state = UCX_ENDING;
    l->status = status;
    l->gone = gone;
    l->looks = t->idle_looks;
    l->first_poll = t->polls;
    link_set_deadline(l, INT64_MAX);
    list_remove(&l->of_due);
    list_remove(&l->of_waiting);
    list_append(&t->ending, &l->of_ending);
}

/* A goodbye, or that one's own was heard, found behind the word that all is over. */
void link_left_after_all(struct ucx_link *l)
{
    bool left = l->heard_bye || (l->bye && l->acked == l->bye);
    if (!left || l->state != UCX_ENDING || l->gone != GONE_BROKEN || !l->hand_up) return;
    l->status = 0;
    l->gone = GONE_LEFT;
    l->hands_back = false;
    l->base.why.text[0] = '\0';
}

int link_trouble(struct ucx_link *l, ucs_status_t status, const char *what)
{
    struct ucx *t = ucx_under(l);
    int ours = status == UCS_ERR_NO_MEMORY ? SINEW_ENOMEM : SINEW_EPEER;
    if (l->state < UCX_ENDING)
        why_set(&l->base.why, ours, "%s: %s: %s (UCX status %d); %u frames were not confirmed", l->name,
                what, t->api.status_string(status), (int)status, l->sent - l->acked);
    link_fall(l, ours, GONE_BROKEN, true);
    return ours;
}

static void link_release(struct ucx_link *l)
{
    struct ucx *t = ucx_under(l);
    early_drop(l);
    serves_drop(l);
    frames_drop(l);
    if (l->address) link_forget_address(l);
    if (l->end) l->end->link = NULL;
    t->links[l->id] = NULL;
    list_remove(&l->of_links);
    list_remove(&l->of_due);
    list_remove(&l->of_waiting);
    list_remove(&l->of_ending);
}

/* What has arrived is with UCX: a few looks that find nothing more, and it is handed up. */
static bool link_has_heard_all(struct ucx_link *l)
{
    struct ucx *t = ucx_under(l);
    early_take(l);
    if (!l->hand_up) return true;
    return t->idle_looks - l->looks >= UCX_LAST_LOOKS || t->polls - l->first_poll > LOOKS_MOST;
}

static void link_close_endpoint(struct ucx_link *l)
{
    bool confirmed = l->bye && l->acked == l->bye;
    l->closing = true;
    if (l->gone == GONE_LEFT && l->heard_bye && !confirmed && list_empty(&l->works))
        endpoint_linger(l->end);
    else
        endpoint_close(l->end, l->gone != GONE_LEFT || !list_empty(&l->works));
}

/* False: not yet. */
static bool link_finish(struct ucx_link *l)
{
    struct ucx *t = ucx_under(l);
    if (!link_has_heard_all(l)) return false;
    l->hand_up = false;
    if (l->end && !l->closing) link_close_endpoint(l);
    if (!works_fail(l, l->status < 0 ? l->status : SINEW_EPEER) || !frames_hand_back(l) ||
        t->budget < 1)
        return false;
    link_release(l);
    l->state = UCX_DOWN;
    t->budget--;
    t->base.up->down(&l->base, l->status, l->gone);
    return true;
}

static void link_start_drain(struct ucx_link *l)
{
    struct ucx *t = ucx_under(l);
    if (l->state < UCX_UP) {
        link_fall(l, 0, GONE_LEFT, false); /* nothing was accepted */
    } else if (l->state == UCX_UP) {
        l->state = UCX_DRAINING;
        link_set_deadline(l, ucx_now(t) + t->base.opt.config->repair_deadline);
        link_make_due(l);
    }
}

void ucx_disconnect(struct link *base, enum disconnect_how how)
{
    struct ucx_link *l = ucx_link_of(base);
    if (l->state == UCX_NEW || l->state == UCX_DOWN) return;
    bool first = l->state < UCX_ENDING;
    switch (how) {
    case DISCONNECT_DRAIN: link_start_drain(l); break;
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
        break;
    }
}

/* ---- what progress looks after -------------------------------------------------------------- */

static void link_drain(struct ucx_link *l)
{
    if (!l->bye && list_empty(&l->works) && list_empty(&l->serves) &&
        frame_send_control(l, FRAME_BYE, FRAME_ASKS) == 0)
        l->bye = l->sent;
    if (l->bye && l->acked == l->bye) link_fall(l, 0, GONE_LEFT, !l->heard_bye);
}

static void link_attend(struct ucx_link *l)
{
    if (l->offer_due) link_offer(l);
    if (l->state == UCX_PAIRED && !l->heard_hello) early_take(l);
    if (l->state == UCX_PAIRED && l->heard_hello && l->acked > 0) link_is_up(l);
    early_take(l);
    if (l->state == UCX_UP || l->state == UCX_DRAINING) {
        works_look(l);
        works_advance(l);
        serves_advance(l);
    }
    if (l->state == UCX_DRAINING) link_drain(l);
    if (l->state >= UCX_PAIRED && l->state < UCX_ENDING) ack_send(l);
    if (l->state >= UCX_UP && reorder_look(&l->early, l->dealt + 1))
        link_make_due(l); /* there was no room for its upcalls */
}

/* It has taken what was expected, so there are no upcalls for it now. */
static void link_attend_later(struct ucx_link *l)
{
    ack_send(l);
    link_make_due(l);
}

static void look_after_due(struct ucx *t)
{
    struct list todo, *e;
    list_init(&todo);
    list_splice(&todo, &t->due);
    while (t->budget > 6 && (e = list_take(&todo))) {
        struct ucx_link *l = LIST_OWNER(e, struct ucx_link, of_due);
        if (l == t->took)
            link_attend_later(l);
        else
            link_attend(l);
    }
    list_splice(&t->due, &todo);
}

static void look_after_waiting(struct ucx *t)
{
    struct list todo, *e;
    list_init(&todo);
    list_splice(&todo, &t->waiting);
    while ((e = list_take(&todo))) {
        struct ucx_link *l = LIST_OWNER(e, struct ucx_link, of_waiting);
        if (l->state != UCX_UP) continue;
        if (t->budget < 2 || l == t->took || !frame_may(l, UCX_LARGE, false)) {
            list_append(&t->waiting, &l->of_waiting);
            continue;
        }
        l->wants_room = false;
        t->budget--;
        t->base.up->room(&l->base);
    }
}

static void look_after_ending(struct ucx *t)
{
    struct list todo, *e;
    list_init(&todo);
    list_splice(&todo, &t->ending);
    while ((e = list_take(&todo))) {
        struct ucx_link *l = LIST_OWNER(e, struct ucx_link, of_ending);
        if (l == t->took || !link_finish(l)) list_append(&t->ending, &l->of_ending);
    }
}

static void look_at_deadlines(struct ucx *t)
{
    int64_t now = ucx_now(t);
    for (struct list *e = t->all.next, *next; t->timed && e != &t->all; e = next) {
        struct ucx_link *l = LIST_OWNER(e, struct ucx_link, of_links);
        next = e->next;
        if (now < l->deadline) continue;
        const char *late = l->state == UCX_DRAINING
                               ? "its counterpart did not confirm all that was sent within repair_deadline"
                               : "nothing came from its counterpart within setup_deadline";
        why_set(&l->base.why, SINEW_ETIMEDOUT, "%s: %s", l->name, late);
        link_fall(l, SINEW_ETIMEDOUT, GONE_BROKEN, l->state == UCX_DRAINING);
    }
}

int64_t links_deadline(const struct ucx *t)
{
    int64_t at = INT64_MAX;
    for (struct list *e = t->all.next; t->timed && e != &t->all; e = e->next) {
        const struct ucx_link *l = LIST_OWNER(e, struct ucx_link, of_links);
        if (l->deadline < at) at = l->deadline;
    }
    return at;
}

void links_see_to(struct ucx *t)
{
    if (t->timed) look_at_deadlines(t);
    if (!list_empty(&t->due)) look_after_due(t);
    if (!list_empty(&t->waiting)) look_after_waiting(t);
    if (!list_empty(&t->ending)) look_after_ending(t);
    if (!list_empty(&t->closing)) endpoints_look_after(t);
}
