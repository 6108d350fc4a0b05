/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shift.c - a pair goes on over another link, with nothing lost, doubled or overtaken
 *
 * To the data link, each direction by itself:
 *
 *    sender                              receiver
 *    … SWITCH  over the control link --> takes from the data link from here on: first what it
 *    next …    over the data link    --> had parked; until then it parks what comes there
 *                                    <-- TAKEN
 *
 * Until TAKEN the sender goes ahead by AHEAD_MESSAGES or AHEAD_BYTES at most, so the receiver parks
 * no more. A long message whose body is on its way over the old link is finished there first: FIN
 * must not overtake it. One that was cleared for the old link and has not begun asks to be cleared
 * again.
 *
 * Back to the control link, when both ends of the data link are down and know it: what the
 * transport handed back (undone), less what the peer says has come, is sent again as it was, then
 * all else.
 */
#include <string.h>

#include "base/wire.h"
#include "messaging/wired.h"

/* ---- copies ---------------------------------------------------------------------------------- */

struct copy *copy_keep(struct peer *p, struct list *list, const void *head, size_t hlen,
                       const void *body, size_t blen)
{
    struct copy *c = context_allocate(p->context, sizeof(*c) + hlen + blen);
    if (!c) return NULL;
    c->hlen = hlen;
    c->blen = blen;
    if (hlen) memcpy(c->bytes, head, hlen);
    if (blen) memcpy(c->bytes + hlen, body, blen);
    list_init(&c->entry);
    list_append(list, &c->entry);
    return c;
}

static void copy_drop(struct peer *p, struct copy *c)
{
    list_remove(&c->entry);
    context_release(p->context, c, sizeof(*c) + c->hlen + c->blen);
}

void copies_drop(struct peer *p, struct list *list)
{
    while (!list_empty(list)) copy_drop(p, LIST_OWNER(list->next, struct copy, entry));
}

/* ---- sending: to the data link --------------------------------------------------------------- */

/* A body is on its way over the old link. */
static bool body_under_way(const struct peer *p)
{
    for (const struct list *l = p->attached.next; l != &p->attached; l = l->next) {
        const struct sinew_request *r = LIST_OWNER(l, const struct sinew_request, attached);
        if (r->kind == REQUEST_SEND && r->state == STATE_MOVING && list_empty(&r->entry))
            return true;
    }
    return false;
}

void shift_out(struct peer *p)
{
    struct wired *w = p->wired;
    if (p->stuck || !list_empty(&p->controls) || body_under_way(p)) return;
    if (outgoing_send(p, &(struct outgoing){ .kind = KIND_SWITCH, .tag = w->attempt })) return;
    p->switching = false;
    p->ahead = w->moved = true;
    w->ahead_messages = w->ahead_bytes = 0;
    w->switched_at = p->messages_out;
    p->out = w->data;
    quick_close(p);
}

/* Called for each message while p->ahead. */
void shift_went_ahead(struct peer *p, size_t len)
{
    struct wired *w = p->wired;
    w->ahead_messages++;
    w->ahead_bytes += (uint32_t)len;
    if (shift_may_send(p)) return;
    p->stuck = true;
    quick_close(p);
}

/* One more message of any length still is within the bound. */
bool shift_may_send(const struct peer *p)
{
    const struct wired *w = p->wired;
    if (!list_empty(&w->resend)) return false;
    return !p->ahead || (w->ahead_messages < AHEAD_MESSAGES &&
                         w->ahead_bytes + ENVELOPE_BODY_MAX <= AHEAD_BYTES);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static int shift_park(struct peer *p, const void *head, size_t hlen, const void *body, size_t blen)
{
    struct wired *w = p->wired;
    if (w->parked_count == AHEAD_MESSAGES || w->parked_bytes + blen > AHEAD_BYTES)
        return peer_breaks(p, "goes ahead of SWITCH further than it may");
    if (!copy_keep(p, &w->parked, head, hlen, body, blen)) return SINEW_ENOMEM;
    w->parked_count++;
    w->parked_bytes += blen;
    return 0;
}

int shift_arrive(struct link *l, const void *head, size_t hlen, const void *body, size_t blen)
{
    struct peer *p = l->owner;
    struct wired *w = p->wired;
    bool on_data = l == w->data;
    if (on_data == w->taking || (!on_data && l != w->control)) return SINEW_PENDING;
    if (on_data) return shift_park(p, head, hlen, body, blen);
    /* A tell is no message of the pair. */
    if (hlen >= ENVELOPE_SMALL && ((const uint8_t *)head)[2] == KIND_TELL) return SINEW_PENDING;
    return peer_breaks(p, "goes on over a link it had left");
}

static int unpark(struct peer *p, struct transport *by)
{
    struct wired *w = p->wired;
    int rc = 0;
    while (rc == 0 && !list_empty(&w->parked)) {
        struct copy *c = LIST_OWNER(w->parked.next, struct copy, entry);
        rc = receive_from(p, by, c->bytes, c->hlen, c->bytes + c->hlen, c->blen);
        copy_drop(p, c);
    }
    w->parked_count = 0;
    w->parked_bytes = 0;
    return rc;
}

int shift_take(struct peer *p, struct transport *by, const struct envelope *e)
{
    struct wired *w = p->wired;
    if (!w || !w->live || w->taking || !w->control || by != w->control->transport ||
        e->tag != w->attempt || w->switch_came)
        return peer_breaks(p, "switches to no link");
    w->switch_came = true;
    if (!w->data) { /* it has broken since: what came before that is parked */
        int rc = unpark(p, by);
        if (rc == 0) wired_over(p);
        return rc;
    }
    w->taking = true;
    /* an earlier link's: reading there could break this one */
    match_forget_offers(&p->context->match, p);
    p->in = w->data->transport;
    p->quick_in = w->data->transport->caps.expects ? w->data : NULL;
    tell_taken(p);
    return unpark(p, p->in);
}

/* ---- sending: back to the control link ------------------------------------------------------- */

/* The transport has handed back all from there on. */
static bool numbered_from(const struct wired *w, uint64_t number)
{
    if (w->lost) return false;
    for (const struct list *l = w->undone.next; l != &w->undone; l = l->next, number++)
        if (wire_get16(LIST_OWNER(l, const struct copy, entry)->bytes) != (uint16_t)number)
            return false;
    return true;
}

/* What the peer has already is dropped: the rest follows on exactly where it stopped. */
bool shift_settle(struct peer *p, struct why *why)
{
    struct wired *w = p->wired;
    uint64_t first = p->messages_out - w->undone_count;
    uint64_t next = w->theirs_came > w->switched_at ? w->theirs_came : w->switched_at;
    if (!w->moved) next = first;
    if (!w->moved && !w->undone_count) return true;
    if (!numbered_from(w, first) || first > next || next > p->messages_out || !w->moved) {
        why_set(why, 0, "messages are lost: %s had confirmed up to number %llu, rank %d has %llu",
                p->context->transport[w->chosen]->ops->name, (unsigned long long)first, p->rank,
                (unsigned long long)next);
        return false;
    }
    for (uint64_t number = first; !list_empty(&w->undone) && number < next; number++)
        copy_drop(p, LIST_OWNER(w->undone.next, struct copy, entry));
    list_splice(&w->resend, &w->undone);
    w->undone_count = 0;
    return true;
}

void shift_resend(struct peer *p)
{
    struct wired *w = p->wired;
    while (!list_empty(&w->resend)) {
        struct copy *c = LIST_OWNER(w->resend.next, struct copy, entry);
        int rc = p->out->ops->send(p->out, c->bytes, c->hlen, c->bytes + c->hlen, c->blen, NULL, 0);
        if (rc) return;
        copy_drop(p, c);
        p->context->counters.messages_resent++;
    }
}

/* The transport hands back what the peer may not have. In the order of sending, the last one
 * last. */
void shift_undone(struct peer *p, const void *head, size_t hlen, const void *body, size_t blen)
{
    struct wired *w = p->wired;
    if (p->ending || p->going || p->state == PEER_GONE) return;
    w->undone_count++;
    if (w->undone_count > TRANSPORT_UNDONE_MAX || hlen < ENVELOPE_SMALL ||
        hlen > TRANSPORT_HEAD_MAX || !copy_keep(p, &w->undone, head, hlen, body, blen))
        w->lost = true;
}
