/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wired.c - attempts at a better path: which, when, and what follows when one is over
 */
#include <stdio.h>
#include <string.h>

#include "messaging/wired.h"

static bool leads(const struct peer *p)
{
    return p->context->rank < p->rank;
}

static bool alive(const struct peer *p)
{
    return p->state != PEER_GONE && !p->going && !p->ending && !p->context->closing;
}

static bool has_wired(const struct sinew *s)
{
    for (int i = 0; i < s->transports; i++)
        if (s->transport[i]->caps.wired) return true;
    return false;
}

/* Nothing of an attempt is left; the next one starts clean. */
static void forget_attempt(struct peer *p)
{
    struct wired *w = p->wired;
    w->live = w->was_up = w->mine_down = w->down_told = w->theirs_down = false;
    w->moved = w->switch_came = w->taking = w->lost = false;
    w->want_connect = w->want_break = false;
    w->tells_out = w->tells_in = 0;
    w->theirs_came = 0;
    copies_drop(p, &w->told);
    p->ahead = p->switching = false;
}

/* ---- which ----------------------------------------------------------------------------------- */

/* Why this transport is not (or not yet) a path for the pair; NULL: it could be. */
static const char *objection(const struct peer *p, int i, struct why *why)
{
    const struct wired *w = p->wired;
    struct transport *t = p->context->transport[i];
    if (w->reason[i][0]) return w->reason[i];
    if (p->refused & 1u << i) return "set-up failed";
    if (!choose_precedes(p->context, i)) return "comes after the control link in the order of choice";
    if (!w->heard) return "the peer has not said yet what it has";
    if (!w->address_len[i]) return "the peer does not offer it (sinew-info there says why)";
    return t->ops->reach(t, w->address[i], w->address_len[i], why) < 0 ? why->text : NULL;
}

static int choose(struct peer *p)
{
    struct sinew *s = p->context;
    struct why why;
    for (int i = 0; i < s->transports; i++)
        if (s->transport[i]->caps.wired && !objection(p, i, &why)) return i;
    return -1;
}

static void reasons(const struct peer *p, struct text *t)
{
    const struct sinew *s = p->context;
    struct why why;
    for (int i = 0; i < s->transports; i++) {
        const char *no = s->transport[i]->caps.wired ? objection(p, i, &why) : NULL;
        if (no) text_add(t, "%s%s: %s", t->need ? "; " : "", s->transport[i]->ops->name, no);
    }
}

/* ---- an attempt begins ----------------------------------------------------------------------- */

void wired_begin(struct peer *p, uint16_t attempt, int transport)
{
    struct wired *w = p->wired;
    w->live = true;
    w->attempt = attempt;
    w->chosen = transport;
    w->want_connect = true;
    wireup_defer(p);
}

/* The pair sends over its control link, or over nothing yet. */
static bool wants_better(const struct peer *p)
{
    const struct wired *w = p->wired;
    return w->control && (p->out == w->control || (!p->out && !choose_control_carries(p->context)));
}

void wired_reach(struct peer *p)
{
    if (!leads(p) || p->wired->none) return;
    p->wired->want_start = true;
    wireup_defer(p);
}

static void start(struct peer *p)
{
    struct wired *w = p->wired;
    if (w->live || w->none || !w->heard || !alive(p) || !wants_better(p)) return;
    int i = choose(p);
    if (i >= 0) {
        wired_begin(p, (uint16_t)(w->attempt + 1), i);
        return;
    }
    char text[WHY_MAX];
    struct text t = text_into(text, sizeof(text));
    reasons(p, &t);
    tell_none(p, text);
    wired_none(p, text);
}

/* No wired path will come. Whoever asked for nothing else is told why. */
void wired_none(struct peer *p, const char *why)
{
    struct wired *w = p->wired;
    w->none = true;
    if (p->out || !w->control || !alive(p)) return;
    why_set(&p->why, 0, "%.400s", why);
    p->refused |= 1u << p->context->control; /* for data */
    for (int i = 0; i < p->context->transports; i++)
        if (p->context->transport[i]->caps.wired) p->refused |= 1u << i;
    p->want_connect = true;
    wireup_defer(p);
}

/* connect() of the chosen transport, on either side. < 0: there is no link. */
static int connect_data(struct peer *p)
{
    struct wired *w = p->wired;
    int i = w->chosen;
    struct link *l = wireup_link_new(p, i);
    if (!l) {
        why_set(&p->why, 0, "no memory for a link");
        return SINEW_ENOMEM;
    }
    int rc = l->ops->connect(l, w->address[i], w->address_len[i]);
    if (rc >= 0) {
        w->data = l;
        return 0;
    }
    snprintf(w->reason[i], REASON_MAX, "%.*s", REASON_MAX - 1, l->why.text);
    wireup_link_bury(l);
    return rc;
}

static void begin_here(struct peer *p)
{
    struct wired *w = p->wired;
    w->want_connect = false;
    if (!w->theirs_down && alive(p) && connect_data(p) == 0) return;
    w->want_break = false;
    w->mine_down = true;
    memcpy(w->down_text, w->reason[w->chosen], REASON_MAX);
    wired_over(p);
}

static void hand_told(struct peer *p)
{
    struct wired *w = p->wired;
    while (w->data && !list_empty(&w->told)) {
        struct copy *c = LIST_OWNER(w->told.next, struct copy, entry);
        list_remove(&c->entry);
        int rc = w->data->ops->connect(w->data, c->bytes, c->blen);
        context_release(p->context, c, sizeof(*c) + c->hlen + c->blen);
        if (rc < 0) w->data->ops->disconnect(w->data, DISCONNECT_BROKEN);
    }
}

void wired_deferred(struct peer *p)
{
    struct wired *w = p->wired;
    if (w->want_start) {
        w->want_start = false;
        start(p);
    }
    if (w->want_connect) begin_here(p);
    hand_told(p);
    if (w->want_break && w->data) w->data->ops->disconnect(w->data, DISCONNECT_BROKEN);
    w->want_break = false;
    if (w->want_drain && w->control) w->control->ops->disconnect(w->control, DISCONNECT_DRAIN);
    w->want_drain = false;
}

/* ---- links come up --------------------------------------------------------------------------- */

void wired_control_up(struct peer *p, struct link *l)
{
    struct sinew *s = p->context;
    if (!has_wired(s)) return;
    struct wired *w = wired_of(p, l);
    if (!w) {
        log_line(&s->log, LOG_WARNING, "no memory to think of a better path to rank %d", p->rank);
        return;
    }
    if (!w->offer_sent) tell_offer(p);
    wired_reach(p);
}

void wired_up(struct link *l)
{
    struct peer *p = l->owner;
    struct wired *w = p->wired;
    if (!w || l != w->data || !alive(p) || w->mine_down || w->theirs_down) return;
    w->was_up = true;
    if (!p->out) { /* it was to carry no data; what it carries now is SWITCH */
        p->out = w->control;
        p->state = PEER_UP;
    }
    p->context->counters.links_switched++;
    log_line(&p->context->log, LOG_CHOICE, "rank %d goes on by %s; %s stays as its control link",
             p->rank, l->ops->name, w->control->ops->name);
    p->switching = true;
    outgoing_room(p);
}

void wired_told(struct link *l, const void *bytes, size_t len)
{
    struct peer *p = l->owner;
    struct wired *w = p->wired;
    if (!w || l != w->data || w->mine_down) return;
    if (len > TRANSPORT_TELL_MAX || w->tells_out == TRANSPORT_TELLS_MAX) {
        log_line(&p->context->log, LOG_ERROR, "%s tells more than a link may: %zu bytes, after %u",
                 l->ops->name, len, w->tells_out);
        w->want_break = true;
        wireup_defer(p);
        return;
    }
    w->tells_out++;
    tell_bytes(p, bytes, len);
}

/* ---- links go down --------------------------------------------------------------------------- */

bool wired_goes_on(const struct peer *p, const struct link *l)
{
    const struct wired *w = p->wired;
    return w && l && l == w->data && w->control && !p->ending && !p->going && p->state != PEER_GONE;
}

/* Everything that was to go over the data link has gone the other way. */
bool wired_settled(const struct peer *p)
{
    const struct wired *w = p->wired;
    return !w || (!w->mine_down && list_empty(&w->resend));
}

static void give_up(struct peer *p, int status, const char *text)
{
    p->ending = true;
    wireup_going(p, status, GONE_BROKEN, text);
}

/* A transport that worked may be tried again, but not for ever. */
static void judge(struct peer *p)
{
    struct wired *w = p->wired;
    int i = w->chosen;
    if (w->was_up && ++w->tries[i] < WIRED_TRIES) return;
    p->refused |= 1u << i;
    snprintf(w->reason[i], REASON_MAX, "%s%.230s", w->was_up ? "it broke: " : "set-up failed: ",
             w->down_text);
}

/* In the order in which it was sent, before all that has not been sent yet. */
static void go_back(struct peer *p)
{
    struct wired *w = p->wired;
    bool moved = w->moved;
    log_line(&p->context->log, moved ? LOG_WARNING : LOG_CHOICE,
             "rank %d by %s is over: %s; %s%s", p->rank,
             p->context->transport[w->chosen]->ops->name, w->down_text,
             p->out || moved ? "it goes on by " : "not by ", w->control->ops->name);
    judge(p);
    forget_attempt(p);
    if (moved) {
        p->out = w->control;
        p->context->counters.links_broken++;
    }
    if (p->out) outgoing_room(p);
    wired_reach(p);
    if (w->draining && list_empty(&w->resend)) {
        w->want_drain = true;
        wireup_defer(p);
    }
}

void wired_over(struct peer *p)
{
    struct wired *w = p->wired;
    struct why why = { "" };
    if (!w->live || !w->mine_down || !w->control) return;
    /* What is parked counts as come only when SWITCH has told where it belongs. */
    if (!w->down_told && list_empty(&w->parked)) tell_down(p);
    if (!w->down_told || !w->theirs_down) return;
    if (shift_settle(p, &why))
        go_back(p);
    else
        give_up(p, SINEW_EPROTO, why.text);
}

/* The peer said goodbye on it, or this side has drained it: the control link says the rest. */
static void data_closed(struct peer *p)
{
    struct wired *w = p->wired;
    if (!w->draining) return;
    w->want_drain = true;
    wireup_defer(p);
}

/* text: how the peer went, should this be the end of it. */
void wired_down(struct link *l, int status, enum gone gone, const char *text)
{
    struct peer *p = l->owner;
    struct wired *w = p->wired;
    bool was_out = p->out == l;
    rendezvous_unoffer(p, l);
    wireup_link_bury(l);
    if (!w || l != w->data) return;
    w->data = NULL;
    w->taking = false;
    p->switching = false;
    if (w->control) p->in = w->control->transport;
    if (p->state == PEER_GONE) return;
    if (p->going || (p->ending && !p->context->closing)) {
        wireup_going(p, SINEW_EPEER, gone, text);
        return;
    }
    if (p->ending || !w->control) return;
    if (status == 0 || gone == GONE_LEFT || (w->draining && !was_out)) {
        data_closed(p);
        return;
    }
    if (!w->theirs_down) snprintf(w->down_text, REASON_MAX, "%.*s", REASON_MAX - 1, l->why.text);
    w->mine_down = true;
    wired_over(p);
}

/* Nobody knows any more whether the peer lives, and nothing can be told: the pair is over. */
bool wired_control_down(struct link *l)
{
    struct peer *p = l->owner;
    struct wired *w = p->wired;
    if (!w || l != w->control) return false;
    w->control = NULL;
    if (w->data && p->context->closing) wireup_disconnect(p, DISCONNECT_DEAD);
    return true;
}

bool wired_unreachable(const struct peer *p)
{
    return p->wired->none && p->state == PEER_CONNECTING;
}

bool wired_drain(struct peer *p)
{
    struct wired *w = p->wired;
    if (!w) return false;
    w->draining = true;
    if (w->data)
        w->data->ops->disconnect(w->data, w->was_up ? DISCONNECT_DRAIN : DISCONNECT_NOW);
    return w->data || !wired_settled(p);
}

/* ---- the rest -------------------------------------------------------------------------------- */

void wired_room(struct peer *p, struct link *l)
{
    if (l == p->wired->control) tell_room(p);
}

/* What was to be sent again has gone by now, if it could. */
void wired_drain_on(struct peer *p, struct link *l)
{
    struct wired *w = p->wired;
    if (l != w->control) return;
    if (!w->draining || !wired_settled(p) || w->data) return;
    w->want_drain = true;
    wireup_defer(p);
}

void wired_release(struct peer *p)
{
    struct wired *w = p->wired;
    if (!w) return;
    copies_drop(p, &w->tells);
    copies_drop(p, &w->told);
    copies_drop(p, &w->parked);
    copies_drop(p, &w->undone);
    copies_drop(p, &w->resend);
    p->wired = NULL;
    context_release(p->context, w, sizeof(*w));
}

const char *wired_control_name(const struct peer *p)
{
    return p->wired && p->wired->control ? p->wired->control->ops->name : NULL;
}

const char *wired_objection(const struct peer *p, int i, struct why *why)
{
    if (p->wired) return objection(p, i, why);
    return "its links are set up through a control link, and there is none (yet)";
}
