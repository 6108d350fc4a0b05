/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rendezvous.c - long messages: announce, clear, put, finish
 *
 *    sender                      receiver
 *    RTS {request, length}  -->  matched: registers its buffer
 *                           <--  CTS {request, its request, accepted, key}
 *    put into the region    ==>
 *    FIN {its request}      -->  revokes the region: done
 *
 * A receiver that gives up revokes first, and sends NACK if CTS has not gone (else what is put goes
 * nowhere); a sender that gave up answers CTS with NACK.
 * The receiver's buffer is the user's again only when nothing can land there any more.
 */
#include <string.h>

#include "base/wire.h"
#include "messaging/context.h"

/* ---- the receiver ---------------------------------------------------------------------------- */

void rendezvous_accept(struct sinew_request *r, struct peer *p, uint64_t theirs, uint64_t length)
{
    r->peer = p;
    r->theirs = theirs;
    r->sent = length;
    r->state = STATE_FILLING;
    r->transport = p->in; /* the body comes where its announcement did */
    list_append(&p->attached, &r->attached);
    r->mine = (struct region){ .base = r->buf, .len = length < r->len ? (size_t)length : r->len };
    if (r->mine.len > 0 && r->transport) {
        int rc = r->transport->ops->reg(r->transport, NULL, &r->mine);
        if (rc < 0) {
            outgoing_answer(p, KIND_NACK, theirs, r->jumped ? NACK_JUMP : NACK_ANNOUNCEMENT, rc,
                            r->space);
            request_status(r, p->rank, r->key.tag, 0);
            request_end(r, rc);
            return;
        }
        r->mine_registered = true;
    }
    outgoing_control(p, &r->control, KIND_CTS, theirs);
}

int rendezvous_fin(struct peer *p, struct wire_reader *more)
{
    struct sinew_request *r = request_find(p->context, wire_take64(more));
    if (more->bad) return SINEW_EPROTO;
    /* None, or another's: it was given up. */
    if (!r || r->kind != REQUEST_RECV || r->state != STATE_FILLING || r->peer != p) return 0;
    request_status(r, p->rank, r->key.tag, r->mine.len);
    p->context->counters.messages_received++;
    p->context->counters.bytes_received += r->mine.len;
    rendezvous_abandon(r, r->sent > r->len ? SINEW_ETRUNCATED : 0, false);
    return 0;
}

bool rendezvous_revoked(struct sinew_request *r)
{
    if (r->mine_registered) {
        if (r->transport->ops->dereg(r->transport, &r->mine) == TRANSPORT_AGAIN) return false;
        r->mine_registered = false;
    }
    request_end(r, r->status);
    return true;
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
            outgoing_answer(r->peer, KIND_NACK, r->theirs,
                            r->jumped ? NACK_JUMP : NACK_ANNOUNCEMENT, status, r->space);
    }
    list_append(&s->revoking, &r->entry);
    rendezvous_revoked(r);
}

/* ---- the sender ------------------------------------------------------------------------------ */

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

int rendezvous_cts(struct peer *p, const struct envelope *e, const void *body, size_t len)
{
    struct clearance c;
    if (!read_clearance(body, len, &c) || e->tag > SPACES) return SINEW_EPROTO;
    struct sinew_request *r = request_find(p->context, c.mine);
    if (e->tag == SPACES)
        p->jumping = false; /* it had cost no credit */
    else
        p->mine.requests[e->tag]++;
    if (!r || r->kind != REQUEST_SEND || r->state != STATE_ASKING || r->peer != p)
        return outgoing_answer(p, KIND_NACK, c.theirs, NACK_RECEIVER, SINEW_ECANCELED, SPACE_USER);
    if (c.accepted > r->len) return SINEW_EPROTO;
    list_remove(&r->timed);                              /* from here on it ends by itself */
    if (r->jumped) p->context->counters.messages_sent++; /* never announced */
    r->theirs = c.theirs;
    r->len = (size_t)c.accepted;
    p->context->counters.bytes_sent += r->len;
    if (r->len == 0) {
        r->state = STATE_ENDING;
        outgoing_control(p, &r->control, KIND_FIN, c.theirs);
        return 0;
    }
    if (!p->out || c.transport != p->out->transport->ops->id) return SINEW_EPROTO;
    r->peers = (struct region){ .len = r->len, .key_len = c.key_len };
    memcpy(r->peers.key, c.key, c.key_len);
    r->transport = p->out->transport;
    if (r->transport->ops->reg(r->transport, p->out, &r->peers) < 0) return SINEW_EPROTO;
    r->peers_registered = true;
    rendezvous_put(r);
    return 0;
}

void rendezvous_put(struct sinew_request *r)
{
    struct peer *p = r->peer;
    r->state = STATE_MOVING;
    r->rma = (struct rma){ .kind = RMA_PUT,
                           .local = r->buf,
                           .len = r->len,
                           .peers = &r->peers,
                           .cookie = request_number(r) };
    list_init(&r->rma.entry);
    int rc = p->out ? p->out->ops->rma(p->out, &r->rma) : SINEW_EPEER;
    if (rc == TRANSPORT_AGAIN) {
        p->stuck = true;
        quick_close(p);
        list_append(&p->puts, &r->entry);
    } else if (rc != TRANSPORT_PENDING) {
        rendezvous_put_done(r, rc);
    }
}

void rendezvous_put_done(struct sinew_request *r, int status)
{
    struct peer *p = r->peer;
    if (status < 0) {
        request_end(r, SINEW_EPEER);
        return;
    }
    if (!r->flushing && p->out && !p->out->transport->caps.put_ordered) {
        r->flushing = true;
        int rc = p->out->ops->flush(p->out, request_number(r));
        if (rc == TRANSPORT_PENDING) return;
        if (rc < 0) {
            request_end(r, SINEW_EPEER);
            return;
        }
    }
    r->state = STATE_ENDING;
    outgoing_control(p, &r->control, KIND_FIN, r->theirs);
}

/* ---- both ------------------------------------------------------------------------------------ */

int rendezvous_nack(struct peer *p, const struct envelope *e, struct wire_reader *more)
{
    uint64_t number = wire_take64(more);
    uint8_t whose = wire_take8(more);
    int32_t status = (int32_t)wire_take32(more);
    if (more->bad || e->tag >= SPACES || status >= 0 || status < SINEW_EABORTED)
        return SINEW_EPROTO;
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

void rendezvous_cleanup(struct sinew_request *r)
{
    if (r->peers_registered) r->transport->ops->dereg(r->transport, &r->peers);
    if (r->mine_registered) r->transport->ops->dereg(r->transport, &r->mine);
    r->peers_registered = r->mine_registered = false;
}
