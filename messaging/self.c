/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * self.c - messages to oneself
 *
 * A receive that is posted gets them at once. Otherwise a short one is kept like any unexpected
 * message, and a long or synchronous one waits as an entry that points to its send request; nothing
 * of its body is copied until a receive takes it. Such entries are allocated one by one: the user's
 * requests bound them.
 */
#include <string.h>

#include "messaging/context.h"

static void self_finish(struct sinew_request *r, const struct unexpected *u)
{
    uint64_t fits = u->length < r->len ? u->length : r->len;
    r->sent = u->length;
    request_status(r, u->peer->rank, u->tag, fits);
    r->context->counters.messages_received++;
    r->context->counters.bytes_received += fits;
    if (r->space == SPACE_COLLECTIVE && u->digest != r->digest)
        request_end(r, SINEW_EMISMATCH);
    else
        request_end(r, u->length > r->len ? SINEW_ETRUNCATED : 0);
}

static void copy_body(struct sinew_request *recv, const struct sinew_request *send)
{
    size_t fits = send->len < recv->len ? send->len : recv->len;
    if (fits) memmove(recv->buf, send->buf, fits);
}

/* A receive is posted: it gets the message now. */
static int self_deliver(struct sinew_request *send, struct sinew_request *recv)
{
    struct unexpected u = {
        .peer = send->peer, .length = send->len, .tag = send->key.tag, .digest = send->digest
    };
    match_unpost(&recv->context->match, recv);
    recv->peer = send->peer;
    recv->key.tag = send->key.tag;
    copy_body(recv, send);
    self_finish(recv, &u);
    return 0;
}

static void describe_entry(struct unexpected *u, const struct sinew_request *r, uint8_t kind)
{
    bool collective = r->space == SPACE_COLLECTIVE;
    u->peer = r->peer;
    u->kind = (uint8_t)(kind == KIND_RTS ? (collective ? KIND_COLL_RTS : KIND_RTS)
                                         : (collective ? KIND_COLL : KIND_EAGER));
    u->team = r->key.team;
    u->tag = r->key.tag;
    u->step = r->key.step;
    u->tile = r->key.tile;
    u->digest = r->digest;
    u->length = r->len;
}

static int self_park(struct sinew_request *r)
{
    struct sinew *s = r->context;
    struct unexpected *u = context_allocate(s, sizeof(*u));
    if (!u) return context_fail(s, SINEW_ENOMEM, "no memory for a message to oneself");
    list_init(&u->bucket);
    list_init(&u->arrival);
    describe_entry(u, r, KIND_RTS);
    u->theirs = request_number(r);
    r->parked = u;
    r->state = STATE_ASKING;
    match_keep(&s->match, u);
    return SINEW_PENDING;
}

int self_send(struct sinew_request *r, bool blocking)
{
    struct sinew *s = r->context;
    s->counters.messages_sent++;
    s->counters.bytes_sent += r->len;
    struct sinew_request *posted = match_posted(&s->match, &r->key);
    if (posted) return self_deliver(r, posted);
    struct unexpected *u = NULL;
    if (!r->sync && r->len <= send_eager_limit(r->peer, r->space))
        u = unexpected_new(r->peer, r->buf, r->len);
    if (u) {
        describe_entry(u, r, KIND_EAGER);
        match_keep(&s->match, u);
        s->counters.unexpected_messages++;
        return 0;
    }
    if (blocking)
        return context_fail(
            s, SINEW_ESTATE,
            "a blocking send of %zu bytes to oneself, tag %u, would wait for ever: no "
            "receive is posted and it is too long to keep; post the receive first, or "
            "take a request",
            r->len, r->key.tag);
    return self_park(r);
}

void self_release(struct unexpected *u)
{
    struct sinew *s = u->peer->context;
    match_drop(&s->match, u);
    context_release(s, u, sizeof(*u));
}

/* Its deadline has passed. A matched probe may hold the entry: then it stays, and means nothing. */
void self_withdraw(struct sinew_request *r)
{
    struct unexpected *u = r->parked;
    r->parked = NULL;
    u->theirs = 0;
    if (!list_empty(&u->bucket)) self_release(u);
}

static void self_take_parked(struct sinew_request *r, struct unexpected *u)
{
    struct sinew_request *send = u->theirs ? request_find(r->context, u->theirs) : NULL;
    struct unexpected copy = *u;
    self_release(u);
    if (!send) {
        request_status(r, copy.peer->rank, copy.tag, 0);
        request_end(r, SINEW_ECANCELED);
        return;
    }
    copy_body(r, send);
    send->parked = NULL;
    request_end(send, 0);
    self_finish(r, &copy);
}

void self_take(struct sinew_request *r, struct unexpected *u)
{
    r->peer = u->peer;
    r->key.tag = u->tag;
    if (u->kind == KIND_RTS || u->kind == KIND_COLL_RTS) {
        self_take_parked(r, u);
        return;
    }
    struct unexpected copy = *u;
    unexpected_copy(u->peer, u, r->buf, u->length < r->len ? (size_t)u->length : r->len);
    unexpected_free(u->peer, u);
    self_finish(r, &copy);
}
