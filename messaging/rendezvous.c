/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rendezvous.c - long messages: announce, clear, put, finish; or announce, read, say so
 *
 *    sender                      receiver
 *    RTS {request, length}  -->  matched: registers its buffer
 *                           <--  CTS {request, its request, accepted, key}
 *    put into the region    ==>
 *    FIN {its request}      -->  revokes the region: done
 *
 * FIN is sent when the put is done; or at once, where what is sent is seen after it anyhow
 * (rma.ahead). RTS may bring the message's first bytes (send.c): they cost credit as those of any
 * message, and the put goes on behind them.
 *
 *    RTS {…, where it is}   -->  matched: reads it there
 *                           <--  GOT {request}
 *
 * Whether a message may be read where it is, and had better be, the transports at both ends say; a
 * read that fails, or is one too many, is followed by CTS, as if nothing had been offered. A sender
 * that gives up while it is read takes its registration back: the reader's transport tells it that
 * what came is worth nothing, and CTS gets the NACK.
 *
 * Once more: what was cleared for a link the pair has left, or that breaks under the put, goes this
 * way:
 *
 *    AGAIN {its request, request} --> takes the registration back, which is final, and registers
 *    for
 *                                <--  the link the pair is on: CTS {…, tag 3: no credit comes with
 *                                     it}
 *
 * The sender asks, for it alone knows what became of the clearance; so of each there is one, and
 * FIN, which says that the body has landed, is never followed by another put.
 *
 * A receiver that gives up revokes first, and sends NACK if CTS has not gone (else what is put goes
 * nowhere); a sender that gave up answers CTS with NACK.
 * The receiver's buffer is the user's again only when nothing can land there any more.
 */
#include <string.h>

#include "base/wire.h"
#include "messaging/context.h"

/* ---- the receiver ---------------------------------------------------------------------------- */

/* The whole body is in the buffer. */
static void rendezvous_filled(struct sinew_request *r)
{
    request_status(r, r->peer->rank, r->key.tag, r->mine.len);
    r->peer->whole_in.messages++;
    r->peer->whole_in.bytes += r->mine.len;
}

/* As what a sender is told that its message will not be had; an announcement's credit goes back. */
static enum nack_whose refusal_of(const struct sinew_request *r)
{
    if (r->cleared_again) return NACK_SYNC;
    return r->jumped ? NACK_JUMP : NACK_ANNOUNCEMENT;
}

/* Ask the sender to put it. */
static void rendezvous_clear(struct sinew_request *r)
{
    struct peer *p = r->peer;
    r->state = STATE_FILLING;
    if (r->mine.len > 0 && r->transport) {
        const struct link *l = wireup_link_by(p, r->transport);
        bool can = !r->landing || (l && link_lands(l));
        r->mine.landing = r->landing;
        int rc = can ? r->transport->ops->reg(r->transport, NULL, &r->mine) : SINEW_ENOTSUP;
        if (rc < 0) {
            outgoing_answer(p, KIND_NACK, r->theirs, refusal_of(r), rc, r->space);
            request_status(r, p->rank, r->key.tag, 0);
            request_end(r, rc);
            return;
        }
        r->mine_registered = true;
        r->mine_at = r->transport;
    }
    outgoing_control(p, &r->control, KIND_CTS, r->theirs);
}

/* The offer is one that this side can and would rather use. */
static bool rendezvous_may_read(struct sinew_request *r, const struct offer *offer)
{
    struct transport *t = r->transport;
    struct link *l = t && offer->len ? wireup_link_by(r->peer, t) : NULL;
    if (!l || r->mine.len == 0 || offer->bytes[0] != t->ops->id) return false;
    /* What is lent moves only while its owner makes progress, and that may be too late. */
    if (t->caps.offers && request_may_expire(r)) return false;
    /* By what was taken: where they came from, the bytes may have changed since the check. */
    r->peers = (struct region){ .len = (size_t)r->sent, .key_len = (uint32_t)offer->len - 2 };
    memcpy(r->peers.key, offer->bytes + 2, r->peers.key_len);
    r->peers_registered = t->ops->reg(t, l, &r->peers) == 0;
    return r->peers_registered;
}

static void rendezvous_read(struct sinew_request *r)
{
    struct link *l = wireup_link_by(r->peer, r->transport);
    r->state = STATE_READING;
    r->rma = (struct rma){ .kind = RMA_GET,
                           .local = r->buf,
                           .len = r->mine.len,
                           .peers = &r->peers,
                           .landing = r->landing,
                           .cookie = request_number(r) };
    list_init(&r->rma.entry);
    int rc = l->ops->rma(l, &r->rma);
    if (rc != TRANSPORT_PENDING) rendezvous_read_done(r, rc > 0 ? SINEW_EACCESS : rc);
}

void rendezvous_accept(struct sinew_request *r, struct peer *p, uint64_t theirs, uint64_t length,
                       const struct offer *offer)
{
    r->peer = p;
    r->theirs = theirs;
    r->sent = length;
    r->transport = p->in; /* the body comes where its announcement did */
    list_append(&p->attached, &r->attached);
    r->mine = (struct region){ .base = r->buf, .len = length < r->len ? (size_t)length : r->len };
    if (rendezvous_may_read(r, offer))
        rendezvous_read(r);
    else
        rendezvous_clear(r);
}

void rendezvous_read_done(struct sinew_request *r, int status)
{
    struct peer *p = r->peer;
    r->transport->ops->dereg(r->transport, &r->peers);
    r->peers_registered = false;
    if (status < 0 && r->landing && r->rma.progress > 0) { /* what has landed must not land again */
        outgoing_answer(p, KIND_NACK, r->theirs, refusal_of(r), SINEW_ECANCELED, r->space);
        request_end(r, status);
        return;
    }
    if (status < 0) { /* or the link is going, and `down` will end this */
        if (r->deadline && list_empty(&r->timed)) list_append(&r->context->timed, &r->timed);
        rendezvous_clear(r);
        return;
    }
    r->context->counters.rendezvous_read++;
    rendezvous_filled(r);
    outgoing_answer(p, KIND_GOT, r->theirs, NACK_SYNC, 0, r->jumped ? SPACES : r->space);
    request_end(r, r->sent > r->len ? SINEW_ETRUNCATED : 0);
}

int rendezvous_fin(struct peer *p, struct wire_reader *more)
{
    struct sinew_request *r = request_find(p->context, wire_take64(more));
    if (more->bad) return peer_breaks(p, "sent an end of a message that is cut off");
    /* None, or another's: it was given up. */
    if (!r || r->kind != REQUEST_RECV || r->state != STATE_FILLING || r->peer != p) return 0;
    rendezvous_filled(r);
    rendezvous_abandon(r, r->sent > r->len ? SINEW_ETRUNCATED : 0, false);
    return 0;
}

/* Nothing can land any more: register for the link the pair is on now. */
static void clear_once_more(struct sinew_request *r)
{
    struct peer *p = r->peer;
    r->again = false;
    list_remove(&r->entry);
    if (p->state == PEER_GONE) {
        request_status(r, p->rank, r->key.tag, 0);
        request_end(r, p->gone_status);
        return;
    }
    r->transport = p->in;
    r->mine = (struct region){ .base = r->buf, .len = r->mine.len };
    if (r->deadline && list_empty(&r->timed)) list_append(&r->context->timed, &r->timed);
    rendezvous_clear(r);
}

bool rendezvous_revoked(struct sinew_request *r)
{
    if (r->mine_registered) {
        if (r->mine_at->ops->dereg(r->mine_at, &r->mine) == TRANSPORT_AGAIN) return false;
        r->mine_registered = false;
    }
    if (r->again)
        clear_once_more(r);
    else
        request_end(r, r->status);
    return true;
}

int rendezvous_again(struct peer *p, struct wire_reader *more)
{
    struct sinew_request *r = request_find(p->context, wire_take64(more));
    uint64_t theirs = wire_take64(more);
    if (more->bad) return peer_breaks(p, "sent a request for a clearance that is cut off");
    bool waits = r && r->kind == REQUEST_RECV && r->state == STATE_FILLING && r->peer == p;
    if (waits && r->theirs != theirs)
        return peer_breaks(p, "sent a request for the clearance of another message");
    if (!waits) /* it was given up */
        return outgoing_answer(p, KIND_NACK, theirs, NACK_SYNC, SINEW_ECANCELED, SPACE_USER);
    if (r->control.kind)
        return peer_breaks(p, "sent a request for a clearance that has not gone yet");
    r->again = r->cleared_again = true;
    r->state = STATE_REVOKING;
    list_remove(&r->timed);
    list_append(&r->context->revoking, &r->entry);
    rendezvous_revoked(r);
    return 0;
}

void rendezvous_abandon(struct sinew_request *r, int status, bool tell)
{
    struct sinew *s = r->context;
    r->status = status;
    r->state = STATE_REVOKING;
    if (r->control.kind == KIND_CTS) {
        /* The clearance has not even gone: answer the announcement instead. */
        list_remove(&r->control.entry);
        r->control.kind = 0;
        if (tell)
            outgoing_answer(r->peer, KIND_NACK, r->theirs, refusal_of(r), status, r->space);
    }
    list_append(&s->revoking, &r->entry);
    rendezvous_revoked(r);
}

/* ---- the sender ------------------------------------------------------------------------------ */

/* Nobody reads it there any more. False: it was lent, and the other end still has hold of it. */
static bool rendezvous_take_back(struct sinew_request *r)
{
    if (r->mine_registered)
        r->mine_registered = r->mine_at->ops->dereg(r->mine_at, &r->mine) == TRANSPORT_AGAIN;
    return !r->mine_registered;
}

size_t rendezvous_offer(struct sinew_request *r, uint8_t offer[OFFER_MAX])
{
    struct link *l = r->peer->out;
    struct transport *t = l->transport;
    if (!t->caps.get) return 0;
    if (r->mine.reader != l && !rendezvous_take_back(r)) return 0;
    if (!r->mine_registered) { /* else it was told AGAIN before */
        r->mine = (struct region){ .base = r->buf,
                                   .len = r->len,
                                   .reader = l,
                                   .of_many = r->space == SPACE_COLLECTIVE };
        r->mine_registered = t->ops->reg(t, NULL, &r->mine) == 0;
        r->transport = r->mine_at = t;
    }
    if (!r->mine_registered) return 0;
    r->offered = true;
    offer[0] = t->ops->id;
    offer[1] = (uint8_t)r->mine.key_len;
    memcpy(offer + 2, r->mine.key, r->mine.key_len);
    return 2 + r->mine.key_len;
}

/* An announcement was answered: its credit is back. */
static void rendezvous_answered(struct peer *p, uint32_t space)
{
    if (space == AFTER_JUMP)
        p->jumping = false; /* it had cost none */
    else if (space != AFTER_AGAIN)
        p->mine.requests[space]++;
}

int rendezvous_got(struct peer *p, const struct envelope *e, struct wire_reader *more)
{
    struct sinew_request *r = request_find(p->context, wire_take64(more));
    if (more->bad || e->tag > AFTER_JUMP)
        return peer_breaks(p, "sent a confirmation that makes no sense");
    rendezvous_answered(p, e->tag);
    /* None: it was given up, and the reader has not seen it in time; or never offered. */
    if (!r || r->kind != REQUEST_SEND || r->state != STATE_ASKING || r->peer != p) return 0;
    if (!r->offered) return peer_breaks(p, "sent word that it has read what was not offered");
    p->whole_out.bytes += r->len;
    request_end(r, 0);
    return 0;
}

struct clearance {
    uint64_t mine, theirs, accepted;
    uint8_t transport, key_len;
    const uint8_t *key;
};

static bool read_clearance(const uint8_t *body, size_t len, struct clearance *c)
{
    struct wire_reader w = wire_read(body, len);
    c->mine = wire_take64(&w);
    c->theirs = wire_take64(&w);
    c->accepted = wire_take64(&w);
    c->transport = wire_take8(&w);
    c->key_len = wire_take8(&w);
    if (w.bad || c->key_len > TRANSPORT_KEY_MAX || w.left != c->key_len) return false;
    c->key = w.at;
    return true;
}

enum { ASKS_MAX = 32 };

/* What was cleared is of no use. It waits for the next clearance as for the first. */
static void ask_again(struct sinew_request *r)
{
    struct peer *p = r->peer;
    if (++r->asked_again == ASKS_MAX) { /* links that come up, and break as soon as they are used */
        request_end(r, SINEW_EPEER);
        return;
    }
    if (r->peers_registered) r->transport->ops->dereg(r->transport, &r->peers);
    r->peers_registered = r->flushing = false;
    r->state = STATE_ASKING;
    outgoing_control(p, &r->control, KIND_AGAIN, r->theirs);
}

int rendezvous_cts(struct peer *p, const struct envelope *e, const void *body, size_t len)
{
    struct clearance c;
    if (!read_clearance(body, len, &c) || e->tag > AFTER_AGAIN)
        return peer_breaks(p, "sent a clearance that makes no sense");
    struct sinew_request *r = request_find(p->context, c.mine);
    rendezvous_answered(p, e->tag);
    if (!r || r->kind != REQUEST_SEND || r->state != STATE_ASKING || r->peer != p)
        return outgoing_answer(p, KIND_NACK, c.theirs, NACK_RECEIVER, SINEW_ECANCELED, SPACE_USER);
    if (c.accepted > r->len || (r->asked_again && c.accepted != r->len))
        return peer_breaks(p, "sent a clearance for more than was announced, or less than before");
    rendezvous_take_back(r);
    list_remove(&r->timed);                              /* from here on it ends by itself */
    r->theirs = c.theirs;
    if (!r->asked_again) {
        if (r->jumped) p->whole_out.messages++; /* never announced */
        r->len = (size_t)c.accepted;
        p->whole_out.bytes += r->len;
    }
    if (r->len <= r->begun) { /* it has all there is room for */
        r->state = STATE_ENDING;
        outgoing_control(p, &r->control, KIND_FIN, c.theirs);
        return 0;
    }
    if (p->wired && (!p->out || c.transport != p->out->transport->ops->id)) {
        ask_again(r);
        return 0;
    }
    if (!p->out || c.transport != p->out->transport->ops->id)
        return peer_breaks(p, "sent a clearance for another transport than the link's");
    r->peers = (struct region){ .len = r->len, .key_len = c.key_len };
    memcpy(r->peers.key, c.key, c.key_len);
    r->transport = p->out->transport;
    if (r->transport->ops->reg(r->transport, p->out, &r->peers) < 0)
        return peer_breaks(p, "sent a key of memory that its transport does not know");
    r->peers_registered = true;
    rendezvous_put(r);
    return 0;
}

void rendezvous_put(struct sinew_request *r)
{
    struct peer *p = r->peer;
    r->state = STATE_MOVING;
    if (p->switching) { /* it would hold up what is to come */
        list_append(&p->puts, &r->entry);
        return;
    }
    if (p->out && r->transport != p->out->transport) {
        ask_again(r);
        return;
    }
    r->rma = (struct rma){ .kind = RMA_PUT,
                           .local = (uint8_t *)r->buf + r->begun,
                           .len = r->len - r->begun,
                           .peers = &r->peers,
                           .offset = r->begun,
                           .cookie = request_number(r) };
    list_init(&r->rma.entry);
    int rc = p->out ? p->out->ops->rma(p->out, &r->rma) : SINEW_EPEER;
    r->ahead = rc == TRANSPORT_PENDING && r->rma.ahead;
    if (r->ahead) {
        outgoing_control(p, &r->control, KIND_FIN, r->theirs);
    } else if (rc == TRANSPORT_AGAIN) {
        p->stuck = true;
        quick_close(p);
        list_append(&p->puts, &r->entry);
    } else if (rc != TRANSPORT_PENDING) {
        rendezvous_put_done(r, rc);
    }
}

static void put_failed(struct sinew_request *r)
{
    struct peer *p = r->peer;
    if (p->wired && wired_goes_on(p, wireup_link_by(p, r->transport)))
        ask_again(r);
    else
        request_end(r, SINEW_EPEER);
}

/* The buffer is the user's again, and FIN is on its way: whichever comes last. */
void rendezvous_fin_sent(struct sinew_request *r)
{
    if (r->state == STATE_ENDING) request_end(r, 0);
}

/* FIN is behind the put already, or waits to be sent. */
static void put_done_ahead(struct sinew_request *r, int status)
{
    r->state = STATE_ENDING;
    if (status >= 0 && r->control.kind) return;
    list_remove(&r->control.entry);
    r->control.kind = 0;
    request_end(r, status < 0 ? SINEW_EPEER : 0);
}

void rendezvous_put_done(struct sinew_request *r, int status)
{
    struct peer *p = r->peer;
    if (r->ahead) {
        put_done_ahead(r, status);
        return;
    }
    if (status < 0) {
        put_failed(r);
        return;
    }
    if (!r->flushing && p->out && !p->out->transport->caps.put_ordered) {
        r->flushing = true;
        int rc = p->out->ops->flush(p->out, request_number(r));
        if (rc == TRANSPORT_PENDING) return;
        if (rc < 0) {
            put_failed(r);
            return;
        }
    }
    r->state = STATE_ENDING;
    outgoing_control(p, &r->control, KIND_FIN, r->theirs);
}

static void unoffer(struct sinew_request *r, const struct link *l)
{
    if (r->kind != REQUEST_SEND || !r->mine_registered || r->mine.reader != l) return;
    if (!rendezvous_take_back(r)) r->mine.reader = NULL;
}

void rendezvous_unoffer(struct peer *p, struct link *l)
{
    for (struct list *i = p->attached.next; i != &p->attached; i = i->next)
        unoffer(LIST_OWNER(i, struct sinew_request, attached), l);
    /* Those that are over and not back yet are no peer's any more. */
    for (struct list *i = p->context->revoking.next; i != &p->context->revoking; i = i->next)
        unoffer(LIST_OWNER(i, struct sinew_request, entry), l);
}

/* ---- both ------------------------------------------------------------------------------------ */

int rendezvous_nack(struct peer *p, const struct envelope *e, struct wire_reader *more)
{
    uint64_t number = wire_take64(more);
    uint8_t whose = wire_take8(more);
    int32_t status = (int32_t)wire_take32(more);
    if (more->bad || e->tag >= SPACES || status >= 0 || status < SINEW_EABORTED)
        return peer_breaks(p, "sent a refusal that makes no sense");
    /* Their deadline is not this request's own. */
    if (status == SINEW_ETIMEDOUT) status = SINEW_ECANCELED;
    struct sinew_request *r = request_find(p->context, number);
    if (whose == NACK_ANNOUNCEMENT) p->mine.requests[e->tag]++;
    if (whose == NACK_JUMP) p->jumping = false;
    if (!r || r->peer != p || (whose == NACK_JUMP && !r->jumped)) return 0;
    if (whose == NACK_JUMP && status == SINEW_EBUSY && r->state == STATE_ASKING)
        jump_refused(r);
    else if (whose != NACK_RECEIVER && r->kind == REQUEST_SEND && r->state == STATE_ASKING)
        request_end(r, status);
    else if (whose == NACK_RECEIVER && r->kind == REQUEST_RECV && r->state == STATE_FILLING) {
        request_status(r, p->rank, r->key.tag, 0);
        rendezvous_abandon(r, status, false);
    }
    return 0;
}

bool rendezvous_cleanup(struct sinew_request *r)
{
    if (r->peers_registered) r->transport->ops->dereg(r->transport, &r->peers);
    r->peers_registered = false;
    if (rendezvous_take_back(r)) return true;
    return r->kind != REQUEST_SEND || r->completion;
}
