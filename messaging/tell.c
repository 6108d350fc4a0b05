/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tell.c - what goes over the control link of a pair beside its messages
 *
 *   word | team: transport u8, attempt u16, 0 u8 | tag: what u8, 0 | body
 *
 *   OFFER  u8 version, { u8 transport, u8 length, address } …
 *   BYTES  the transport's own, at most TRANSPORT_TELL_MAX
 *   TAKEN  nothing
 *   DOWN   u64 messages that have come, text
 *   NONE   text
 *
 * They are no messages of the pair: their sequence is their own. A pair has few under way: those of
 * one attempt are bounded, and there is one attempt at a time.
 */
#include <string.h>

#include "base/wire.h"
#include "messaging/wired.h"

enum { OFFER_MAX_BYTES = 1 + TRANSPORTS_MAX * (2 + TRANSPORT_ADDRESS_MAX) };

/* ---- sending --------------------------------------------------------------------------------- */

struct wired *wired_of(struct peer *p, struct link *control)
{
    struct wired *w = p->wired;
    if (w) return w;
    w = context_allocate(p->context, sizeof(*w));
    if (!w) return NULL;
    w->control = control;
    w->chosen = -1;
    list_init(&w->tells);
    list_init(&w->told);
    list_init(&w->parked);
    list_init(&w->undone);
    list_init(&w->resend);
    return p->wired = w;
}

void tell_room(struct peer *p)
{
    struct wired *w = p->wired;
    while (w->control && !list_empty(&w->tells)) {
        struct copy *c = LIST_OWNER(w->tells.next, struct copy, entry);
        int rc = w->control->ops->send(w->control, c->bytes, c->hlen, c->bytes + c->hlen, c->blen,
                                       NULL, 0);
        if (rc) return; /* later; or the link is going, and the pair with it */
        list_remove(&c->entry);
        w->tells_count--;
        context_release(p->context, c, sizeof(*c) + c->hlen + c->blen);
        p->context->counters.controls_sent++;
    }
}

/* Without it the other side would wait for ever: better without the pair. */
static void give_up(struct peer *p, const char *why)
{
    log_line(&p->context->log, LOG_ERROR, "rank %d cannot be told how to go on, its links are dropped: %s",
             p->rank, why);
    wireup_disconnect(p, DISCONNECT_NOW);
}

static void tell(struct peer *p, enum tell_what what, const void *body, size_t len)
{
    struct wired *w = p->wired;
    uint8_t head[ENVELOPE_SMALL];
    uint8_t id = w->chosen < 0 ? 0 : p->context->transport[w->chosen]->ops->id;
    struct envelope e = {
        .seq = w->tell_out++,
        .kind = KIND_TELL,
        .length = (uint32_t)len,
        .team = (uint32_t)id | (uint32_t)w->attempt << 8,
        .tag = what,
    };
    size_t hlen = envelope_encode(head, &e);
    if (p->ending) return;
    if (w->tells_count == TELLS_WAITING_MAX) {
        give_up(p, "it begins one attempt after the other and takes no answer");
        return;
    }
    if (!copy_keep(p, &w->tells, head, hlen, body, len)) {
        give_up(p, "no memory");
        return;
    }
    w->tells_count++;
    tell_room(p);
}

void tell_offer(struct peer *p)
{
    struct sinew *s = p->context;
    uint8_t body[OFFER_MAX_BYTES];
    size_t at = 0;
    p->wired->offer_sent = true;
    body[at++] = OFFER_VERSION;
    for (int i = 0; i < s->transports; i++) {
        const struct transport *t = s->transport[i];
        if (!t->caps.wired) continue;
        body[at++] = t->ops->id;
        body[at++] = (uint8_t)t->address_len;
        memcpy(body + at, t->address, t->address_len);
        at += t->address_len;
    }
    tell(p, TELL_OFFER, body, at);
}

void tell_bytes(struct peer *p, const void *bytes, size_t len)
{
    tell(p, TELL_BYTES, bytes, len);
}

void tell_taken(struct peer *p)
{
    tell(p, TELL_TAKEN, NULL, 0);
}

void tell_down(struct peer *p)
{
    struct wired *w = p->wired;
    uint8_t body[8 + REASON_MAX];
    size_t len = strlen(w->down_text);
    wire_put64(body, p->messages_in);
    memcpy(body + 8, w->down_text, len);
    w->down_told = true;
    tell(p, TELL_DOWN, body, 8 + len);
}

void tell_none(struct peer *p, const char *why)
{
    size_t len = strnlen(why, REASON_MAX - 1);
    tell(p, TELL_NONE, why, len);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static int refuse(struct peer *p, const char *what)
{
    return peer_breaks(p, "tells what makes no sense: %s", what);
}

static int transport_of(const struct sinew *s, uint8_t id)
{
    for (int i = 0; i < s->transports; i++)
        if (s->transport[i]->caps.wired && s->transport[i]->ops->id == id) return i;
    return -1;
}

/* What people will read: no more than fits, and nothing but text. */
static void take_text(char out[REASON_MAX], struct wire_reader *r)
{
    size_t len = r->left < REASON_MAX - 1 ? r->left : REASON_MAX - 1;
    const uint8_t *bytes = r->at;
    for (size_t i = 0; i < len; i++)
        out[i] = bytes[i] >= 32 && bytes[i] < 127 ? (char)bytes[i] : '?';
    out[len] = '\0';
}

static int take_offer(struct peer *p, struct wire_reader *r)
{
    struct wired *w = p->wired;
    if (w->heard) return refuse(p, "a second offer");
    uint8_t version = wire_take8(r);
    if (r->bad) return refuse(p, "an offer of nothing");
    w->heard = true;
    if (!w->offer_sent) tell_offer(p);
    /* A later version may say what is not understood here: then there is nothing in common. */
    while (version == OFFER_VERSION && r->left > 0) {
        uint8_t id = wire_take8(r), len = wire_take8(r);
        const uint8_t *address = len <= TRANSPORT_ADDRESS_MAX ? wire_take(r, len) : NULL;
        if (r->bad || !address || len == 0) return refuse(p, "an address that is none");
        int i = transport_of(p->context, id);
        if (i < 0) continue;
        if (w->address_len[i]) return refuse(p, "two addresses of one transport");
        memcpy(w->address[i], address, len);
        w->address_len[i] = len;
    }
    wired_reach(p);
    return 0;
}

static int take_bytes(struct peer *p, const void *body, size_t len)
{
    struct wired *w = p->wired;
    if (w->tells_in == TRANSPORT_TELLS_MAX || len > TRANSPORT_TELL_MAX)
        return refuse(p, "more than one attempt may");
    w->tells_in++;
    if (w->mine_down) return 0;
    if (!copy_keep(p, &w->told, NULL, 0, body, len)) return SINEW_ENOMEM;
    wireup_defer(p);
    return 0;
}

static int take_down(struct peer *p, struct wire_reader *r)
{
    struct wired *w = p->wired;
    char text[REASON_MAX];
    uint64_t came = wire_take64(r);
    if (r->bad || w->theirs_down) return refuse(p, "an end that is down");
    if (w->moved && came > p->messages_out) return refuse(p, "messages that were never sent");
    take_text(text, r);
    w->theirs_down = true;
    w->theirs_came = came;
    if (!w->mine_down) {
        memcpy(w->down_text, text, sizeof(text));
        w->want_break = true;
        wireup_defer(p);
    }
    wired_over(p);
    return 0;
}

/* Of the attempt that is under way, or the first word of the next: then it begins here too. */
static int take_attempt(struct peer *p, const struct envelope *e)
{
    struct wired *w = p->wired;
    uint16_t attempt = (uint16_t)(e->team >> 8);
    int i = transport_of(p->context, (uint8_t)e->team);
    if (w->live) return attempt == w->attempt && i == w->chosen ? 0 : refuse(p, "another attempt");
    bool leads = p->context->rank < p->rank, first = attempt == (uint16_t)(w->attempt + 1);
    if (leads || !first || i < 0 || !w->heard || !w->address_len[i])
        return refuse(p, "an attempt at what was not offered");
    wired_begin(p, attempt, i);
    return 0;
}

static int take_none(struct peer *p, struct wire_reader *r)
{
    char text[REASON_MAX];
    if (p->context->rank < p->rank || p->wired->live) return refuse(p, "what the leader says");
    take_text(text, r);
    wired_none(p, text);
    return 0;
}

static int dispatch(struct peer *p, const struct envelope *e, const void *body, size_t blen)
{
    struct wire_reader r = wire_read(body, blen);
    int rc = 0;
    bool of_attempt = e->tag == TELL_BYTES || e->tag == TELL_TAKEN || e->tag == TELL_DOWN;
    if (of_attempt) rc = take_attempt(p, e);
    if (rc) return rc;
    switch ((enum tell_what)e->tag) {
    case TELL_OFFER:
        return take_offer(p, &r);
    case TELL_BYTES:
        return take_bytes(p, body, blen);
    case TELL_TAKEN:
        p->ahead = false;
        if (p->out && p->wired->data == p->out) outgoing_room(p);
        return 0;
    case TELL_DOWN:
        return take_down(p, &r);
    case TELL_NONE:
        return take_none(p, &r);
    default:
        return refuse(p, "an unknown word");
    }
}

int tell_arrive(struct link *l, const void *head, size_t hlen, const void *body, size_t blen)
{
    struct peer *p = l->owner;
    struct envelope e;
    if (!l->ops->control) return refuse(p, "it tells over a link that is no control link");
    struct wired *w = wired_of(p, l);
    if (!w) return SINEW_ENOMEM;
    if (envelope_decode(head, hlen, &e) != hlen || e.seq != w->tell_in || e.length != blen)
        return refuse(p, "out of sequence");
    w->tell_in++;
    if (p->state == PEER_GONE || p->going || p->ending) return 0;
    return dispatch(p, &e, body, blen);
}
