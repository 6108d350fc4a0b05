/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * receive.c - what comes in meets what is waited for
 */
#include <string.h>

#include "base/wire.h"
#include "messaging/context.h"

/* ---- a message meets a receive --------------------------------------------------------------- */

/* The body is here: copy what fits, and the receive is over. */
static void receive_finish(struct sinew_request *r, struct peer *from, uint32_t tag,
                           uint32_t digest, uint64_t length)
{
    uint64_t fits = length < r->len ? length : r->len;
    r->sent = length;
    request_status(r, from->rank, tag, fits);
    from->whole_in.messages++;
    from->whole_in.bytes += fits;
    if (r->space == SPACE_COLLECTIVE && digest != r->digest)
        request_end(r, SINEW_EMISMATCH);
    else
        request_end(r, length > r->len ? SINEW_ETRUNCATED : 0);
}

/* A body that is here as a whole. */
static void receive_body(const struct sinew_request *r, const void *body, size_t len)
{
    if (r->landing)
        r->landing->land(r->landing, 0, body, len);
    else if (len)
        memcpy(r->buf, body, len);
}

static size_t fitting(const struct sinew_request *r, uint64_t length)
{
    return length < r->len ? (size_t)length : r->len;
}

/* A long message was announced and is wanted. */
static void receive_announced(struct sinew_request *r, struct peer *p, uint64_t theirs,
                              uint32_t digest, uint64_t length, const struct offer *offer)
{
    if (p->state == PEER_GONE) {
        request_status(r, p->rank, r->key.tag, 0);
        request_end(r, p->gone_status);
    } else if (r->space == SPACE_COLLECTIVE && digest != r->digest) {
        outgoing_answer(p, KIND_NACK, theirs, NACK_ANNOUNCEMENT, SINEW_EMISMATCH, r->space);
        request_end(r, SINEW_EMISMATCH);
    } else {
        rendezvous_accept(r, p, theirs, length, offer);
    }
}

/* What came with an announcement: the message's first bytes, or where to read it. */
static size_t announced_bytes(size_t body_len) { return body_len > OFFER_MAX ? body_len : 0; }

/* Those bytes, if the rest is on its way, too. */
static void receive_begun(struct sinew *s, uint64_t number, const struct sinew_request *r,
                          const void *bytes, size_t begun)
{
    if (request_find(s, number) != r || r->state != STATE_FILLING) return;
    receive_body(r, bytes, begun < r->mine.len ? begun : r->mine.len);
}

void receive_take(struct sinew_request *r, struct unexpected *u)
{
    struct peer *p = u->peer;
    enum space space = r->space, credit = u->credit;
    uint64_t theirs = u->theirs, length = u->length, number = request_number(r);
    uint32_t tag = u->tag, digest = u->digest;
    uint8_t kind = u->kind;
    if (p->rank == p->context->rank) {
        self_take(r, u);
        return;
    }
    r->peer = p;
    r->key.tag = tag;
    if (kind == KIND_RTS || kind == KIND_COLL_RTS) {
        struct offer offer = { .len = u->offered };
        uint32_t begun = u->begun;
        unexpected_copy(p, u, begun ? r->buf : offer.bytes, begun ? fitting(r, begun) : offer.len);
        uint32_t blocks = unexpected_free(p, u);
        if (begun) outgoing_owe(p, credit, blocks, 0);
        bool lands = begun && r->landing;
        receive_announced(r, p, theirs, digest, length, &offer);
        if (lands) receive_begun(p->context, number, r, r->buf, begun);
        return;
    }
    unexpected_copy(p, u, r->buf, fitting(r, length));
    if (r->landing) receive_body(r, r->buf, fitting(r, length));
    outgoing_owe(p, credit, unexpected_free(p, u), 0);
    if (kind == KIND_SYNC) outgoing_answer(p, KIND_ACK, theirs, NACK_SYNC, 0, space);
    receive_finish(r, p, tag, digest, length);
}

void receive_discard(struct unexpected *u, int status)
{
    struct peer *p = u->peer;
    struct match_key key = unexpected_key(u);
    enum space credit = u->credit;
    bool announced = u->kind == KIND_RTS || u->kind == KIND_COLL_RTS, sync = u->kind == KIND_SYNC;
    bool has_bytes = !announced || u->begun;
    uint64_t theirs = u->theirs;
    p->context->counters.messages_dropped++;
    uint32_t blocks = unexpected_free(p, u);
    if (p->rank == p->context->rank || p->state == PEER_GONE) return;
    if (has_bytes) outgoing_owe(p, credit, blocks, 0);
    if (announced || sync)
        outgoing_answer(p, KIND_NACK, theirs, announced ? NACK_ANNOUNCEMENT : NACK_SYNC, status,
                        key.space);
}

/* A receive that was tried: 0 and gone, or the caller's. */
static int receive_started(struct sinew_request *r, int rc, struct completion *c,
                           struct sinew_request **out)
{
    bool done = r->state == STATE_DONE;
    if (rc == 0 && done && (c || r->status == 0))
        rc = r->status;
    else if (rc == 0)
        rc = SINEW_PENDING;
    if (rc <= 0) {
        if (done && rc < 0) request_explain(r);
        request_free(r);
        return rc;
    }
    r->completion = c;
    if (!done) request_set_deadline(r);
    *out = r;
    return SINEW_PENDING;
}

static struct sinew_request *receive_prepare(struct sinew_team *team, void *buf, size_t cap,
                                             const struct match_key *key,
                                             struct sinew_status *status)
{
    struct sinew_request *r = request_new(team, REQUEST_RECV);
    if (!r) return NULL;
    r->key = *key;
    r->space = key->space;
    r->buf = buf;
    r->len = cap;
    r->status_out = status;
    return r;
}

static int receive_begin(struct sinew_request *r, struct completion *c, struct sinew_request **out)
{
    struct unexpected *u = match_unexpected(&r->context->match, &r->key);
    int rc = 0;
    if (u)
        receive_take(r, u);
    else
        rc = receive_post(r);
    return receive_started(r, rc, c, out);
}

int receive_start(struct sinew_team *team, void *buf, size_t cap, const struct match_key *key,
                  uint32_t digest, struct sinew_status *status, struct completion *c,
                  struct sinew_request **out)
{
    struct sinew_request *r = receive_prepare(team, buf, cap, key, status);
    if (!r) return SINEW_ENOMEM;
    r->digest = digest;
    return receive_begin(r, c, out);
}

int receive_start_landing(struct sinew_team *team, struct landing *landing, void *room, size_t len,
                          const struct match_key *key, uint32_t digest, struct completion *c,
                          struct sinew_request **out)
{
    struct sinew_request *r = receive_prepare(team, room, len, key, NULL);
    if (!r) return SINEW_ENOMEM;
    r->digest = digest;
    r->landing = landing;
    return receive_begin(r, c, out);
}

int receive_message(struct sinew_team *team, void *buf, size_t cap, const struct match_key *key,
                    struct unexpected *u, struct sinew_status *status, struct sinew_request **out)
{
    struct sinew_request *r = receive_prepare(team, buf, cap, key, status);
    if (!r) return SINEW_ENOMEM;
    receive_take(r, u);
    return receive_started(r, 0, NULL, out);
}

/* ---- a receive waits ------------------------------------------------------------------------- */

/* A member that died and that no wildcard receive has told of yet; NULL: none. */
static struct peer *untold_death(const struct team_core *core)
{
    for (int i = 0; core->gone && i < core->size; i++) {
        struct peer *p = core->context->peer[team_world_rank(core, i)];
        if (p && p->state == PEER_GONE && p->gone != GONE_LEFT && !core->told[i]) return p;
    }
    return NULL;
}

static bool nobody_left(const struct team_core *core)
{
    return core->size > 1 && core->gone == core->size - 1;
}

/* A wildcard receive ends once for each member that died, and when nobody is left. */
static bool fail_wildcard(struct sinew_request *r)
{
    struct team_core *core = r->team->core;
    struct peer *p = untold_death(core);
    if (p) {
        core->told[team_rank_of(core, p->rank)] = 1;
        r->peer = p;
        request_status(r, p->rank, r->key.tag, 0);
        request_end(r, SINEW_EPEER);
        return true;
    }
    if (nobody_left(core)) {
        request_status(r, SINEW_ANY_RANK, r->key.tag, 0);
        request_end(r, SINEW_EPEER);
        return true;
    }
    return false;
}

/* A probe that nothing can answer any more; it fails as a receive would. */
bool receive_hopeless(struct sinew_team *team, const struct match_key *key)
{
    const struct team_core *core = team->core;
    if (key->source == SINEW_ANY_RANK) return untold_death(core) || nobody_left(core);
    const struct peer *p = core->context->peer[key->source];
    return p && p->state == PEER_GONE;
}

int receive_despair(struct sinew_team *team, const struct match_key *key,
                    struct sinew_status *status)
{
    struct sinew *s = team->core->context;
    struct sinew_request *r = receive_prepare(team, NULL, 0, key, status);
    if (!r) return SINEW_ENOMEM;
    int rc = receive_post(r);
    if (rc < 0 || r->state != STATE_DONE) {
        if (rc == 0) match_unpost(&s->match, r);
        request_free(r);
        return rc < 0 ? rc : context_fail(s, SINEW_EPEER, "the peer is gone");
    }
    return request_consume(&r);
}

/* Nothing has come yet: find out whether it still can, then wait. */
int receive_post(struct sinew_request *r)
{
    struct sinew *s = r->context;
    if (r->key.source == SINEW_ANY_RANK) {
        if (!fail_wildcard(r)) match_post(&s->match, r);
        return 0;
    }
    r->peer = s->peer[r->key.source];
    if (!r->peer && !(r->peer = peer_get(s, r->key.source))) return SINEW_ENOMEM;
    /* Whom we wait for must be known, or his death would never be. */
    int rc = r->peer->state == PEER_NEW ? peer_meet(r->peer) : 0;
    if (rc < 0 && r->peer->state != PEER_GONE) return rc;
    if (r->peer->state == PEER_GONE) {
        request_status(r, r->peer->rank, r->key.tag, 0);
        request_end(r, r->peer->gone_status);
        return 0;
    }
    match_post(&s->match, r);
    return 0;
}

/* Receives from p alone: all are taken down before the first ends, for an end may post and cancel.
 */
static void fail_exact(struct match *m, struct peer *p)
{
    struct list failed;
    list_init(&failed);
    for (int i = 0; i < MATCH_BUCKETS; i++) {
        struct list *next;
        for (struct list *l = m->posted[i].next; l != &m->posted[i]; l = next) {
            struct sinew_request *r = LIST_OWNER(l, struct sinew_request, entry);
            next = l->next;
            if (r->key.source != p->rank) continue;
            match_unpost(m, r);
            list_append(&failed, &r->entry);
        }
    }
    struct list *entry;
    while ((entry = list_take(&failed))) {
        struct sinew_request *r = LIST_OWNER(entry, struct sinew_request, entry);
        request_status(r, p->rank, r->key.tag, 0);
        request_end(r, p->gone_status);
    }
}

static void fail_wildcards(struct match *m, struct peer *p)
{
    struct list *next;
    for (struct list *l = m->wild.next; l != &m->wild; l = next) {
        struct sinew_request *r = LIST_OWNER(l, struct sinew_request, entry);
        const struct team_core *core = r->team->core;
        bool from_p = r->key.source == p->rank, member = team_rank_of(core, p->rank) >= 0;
        next = l->next;
        if (from_p) {
            match_unpost(m, r);
            request_status(r, p->rank, r->key.tag, 0);
            request_end(r, p->gone_status);
        } else if (r->key.source == SINEW_ANY_RANK && member &&
                   (untold_death(core) || nobody_left(core))) {
            match_unpost(m, r);
            fail_wildcard(r);
        }
    }
}

/* Announcements of the dead can never be answered. */
static void drop_announcements(struct peer *p)
{
    struct match *m = &p->context->match;
    for (int i = 0; i < MATCH_BUCKETS; i++) {
        struct list *next;
        for (struct list *l = m->unexpected[i].next; l != &m->unexpected[i]; l = next) {
            struct unexpected *u = LIST_OWNER(l, struct unexpected, bucket);
            next = l->next;
            if (u->peer == p && (u->kind == KIND_RTS || u->kind == KIND_COLL_RTS))
                unexpected_free(p, u);
        }
    }
}

void receive_peer_gone(struct peer *p)
{
    struct match *m = &p->context->match;
    window_file(p);
    drop_announcements(p);
    fail_exact(m, p);
    fail_wildcards(m, p);
}

/* ---- a message arrives ----------------------------------------------------------------------- */

struct arrival {
    struct peer *peer;
    const struct envelope *e;
    struct match_key key;
    const void *body;
    size_t body_len;
    uint64_t theirs, length;
    bool announced;
    enum space credit;
};

static int keep(const struct arrival *a)
{
    struct sinew *s = a->peer->context;
    struct unexpected *u = unexpected_new(a->peer, a->body, a->body_len);
    if (!u) return peer_breaks(a->peer, "sent more than its credit");
    u->kind = a->e->kind;
    u->team = a->key.team;
    u->tag = a->key.tag;
    u->step = a->key.step;
    u->tile = a->key.tile;
    u->digest = a->e->digest;
    u->length = a->length;
    u->theirs = a->theirs;
    if (a->announced) {
        u->begun = (uint32_t)announced_bytes(a->body_len);
        u->offered = u->begun ? 0 : (uint8_t)a->body_len;
        if (u->kind == KIND_RTS) a->peer->announcements++;
    }
    u->credit = (uint8_t)a->credit;
    match_keep(&s->match, u);
    /* It may be what is waited for; what comes behind it must not overtake. */
    if (a->peer->quick_in) a->peer->quick_in->expect = NULL;
    s->counters.unexpected_messages++;
    return 0;
}

/* For a team that was freed here, or a collective that is over: nobody will ever ask for it. */
static int drop(const struct arrival *a, int status)
{
    struct sinew *s = a->peer->context;
    s->counters.messages_dropped++;
    if (!a->announced || announced_bytes(a->body_len))
        outgoing_owe(a->peer, a->credit, blocks_of(a->body_len), 0);
    if (!a->announced && a->e->kind != KIND_SYNC) return 0;
    return outgoing_answer(a->peer, KIND_NACK, a->theirs,
                           a->announced ? NACK_ANNOUNCEMENT : NACK_SYNC, status, a->key.space);
}

/* Nobody waits for it: yet, or ever. */
static int arrive_unexpected(const struct arrival *a, struct team_core *core)
{
    bool collective = a->key.space == SPACE_COLLECTIVE;
    int status = collective && core ? word_stray(a->peer, core, a->key.tag) : 0;
    return status < 0 ? drop(a, status) : keep(a);
}

/* The answer goes first: while it is on its way, and the sender writes on, this copies. */
static void arrive_announced(const struct arrival *a, struct sinew_request *r)
{
    struct peer *p = a->peer;
    size_t begun = announced_bytes(a->body_len);
    struct offer offer = { .len = begun ? 0 : a->body_len };
    uint64_t number = request_number(r);
    if (offer.len) memcpy(offer.bytes, a->body, offer.len);
    if (begun) p->owed.blocks[a->credit] += blocks_of(begun); /* it may tell that too */
    receive_announced(r, p, a->theirs, a->e->digest, a->length, &offer);
    if (!begun) return;
    receive_begun(p->context, number, r, a->body, begun);
    outgoing_owe(p, a->credit, 0, 0);
}

static int arrive(const struct arrival *a)
{
    struct sinew *s = a->peer->context;
    struct team_core *core = a->key.team < s->next_team ? team_find(s, a->key.team) : NULL;
    if (!core && a->key.team < s->next_team) return drop(a, SINEW_ESTATE);
    if (core && team_rank_of(core, a->peer->rank) < 0)
        return peer_breaks(a->peer, "sent to team %u, which it is no member of", a->key.team);
    if (a->peer->window) window_file(a->peer);
    struct sinew_request *r = match_posted(&s->match, &a->key);
    if (!r) return arrive_unexpected(a, core);
    match_unpost(&s->match, r);
    r->peer = a->peer;
    r->key.tag = a->key.tag;
    if (a->announced) {
        arrive_announced(a, r);
        return 0;
    }
    outgoing_owe(a->peer, a->credit, blocks_of(a->body_len), 0);
    receive_body(r, a->body, fitting(r, a->length));
    int rc = 0;
    if (a->e->kind == KIND_SYNC)
        rc = outgoing_answer(a->peer, KIND_ACK, a->theirs, NACK_SYNC, 0, SPACE_USER);
    receive_finish(r, a->peer, a->key.tag, a->e->digest, a->length);
    return rc;
}

/* by NULL: a short one, which never has an announcement; its blocks are of what was lent to the
 * link. */
static int take_message(struct peer *p, struct transport *by, const struct envelope *e,
                        struct wire_reader *more, const void *body, size_t blen)
{
    bool collective = e->kind == KIND_COLL || e->kind == KIND_COLL_RTS;
    struct arrival a = {
        .peer = p,
        .e = e,
        .key = { .source = p->rank,
                 .team = e->team,
                 .tag = e->tag,
                 .step = e->step,
                 .tile = e->tile,
                 .space = collective ? SPACE_COLLECTIVE : SPACE_USER },
        .body = body,
        .body_len = blen,
        .length = blen,
        .announced = e->kind == KIND_RTS || e->kind == KIND_COLL_RTS,
        .credit = collective && by ? SPACE_COLLECTIVE : SPACE_USER,
    };
    if (e->kind != KIND_EAGER && e->kind != KIND_COLL) a.theirs = wire_take64(more);
    if (a.announced) {
        p->in = by;
        a.length = wire_take64(more);
        bool is_offer = blen && !announced_bytes(blen);
        bool odd = is_offer ? blen < 2 || ((const uint8_t *)body)[1] != blen - 2
                            : blen > a.length || blen % LANDING_ALIGN;
        if (odd || a.length > PTRDIFF_MAX)
            return peer_breaks(p, "sent an announcement of %llu bytes, in %zu",
                               (unsigned long long)a.length, blen);
    }
    if (more->bad) return peer_breaks(p, "sent a message whose head is cut off");
    return arrive(&a);
}

static int take_ack(struct peer *p, struct wire_reader *more)
{
    struct sinew_request *r = request_find(p->context, wire_take64(more));
    if (more->bad) return peer_breaks(p, "sent an acknowledgement that is cut off");
    /* None: its deadline has passed. */
    if (!r || r->kind != REQUEST_SEND || r->state != STATE_ASKING || r->peer != p) return 0;
    request_end(r, 0);
    return 0;
}

/* My window at the peer is larger from now on, a quarter of it for collectives; once. */
static int take_growth(struct peer *p, uint32_t blocks)
{
    if (p->has_grown)
        return peer_breaks(p, "grants more than anybody has");
    p->has_grown = true;
    uint32_t more[SPACES] = { blocks - blocks / 4, blocks / 4 };
    for (int i = 0; i < SPACES; i++) {
        p->window_blocks[i] += more[i];
        p->mine.blocks[i] += more[i];
    }
    return 0;
}

/* Room given back. The first one also says how large the window is. */
static int take_credit(struct peer *p, const struct envelope *e)
{
    uint32_t user = e->kind == KIND_COLL || e->kind == KIND_COLL_RTS ? 0 : e->credit;
    uint32_t collective = e->credit - user;
    if (e->kind == KIND_CREDIT) {
        uint32_t growth = e->team >> 16;
        collective = (uint16_t)e->team;
        if (e->tag && p->granted && !growth)
            return peer_breaks(p, "grants announcements that nobody has");
        if (growth && take_growth(p, growth) < 0) return SINEW_EPROTO;
        if (!p->granted) {
            p->window_blocks[SPACE_USER] += user;
            p->window_blocks[SPACE_COLLECTIVE] += collective;
            p->granted = true;
        }
        p->mine.requests[SPACE_USER] += e->tag & 0xffff;
        p->mine.requests[SPACE_COLLECTIVE] += e->tag >> 16;
    }
    if (user > p->window_blocks[SPACE_USER] - p->mine.blocks[SPACE_USER] ||
        collective > p->window_blocks[SPACE_COLLECTIVE] - p->mine.blocks[SPACE_COLLECTIVE])
        return peer_breaks(p, "gave back more credit than it had");
    p->mine.blocks[SPACE_USER] += user;
    p->mine.blocks[SPACE_COLLECTIVE] += collective;
    quick_lend(p);
    return 0;
}

bool receive_mere_credit(struct peer *p, const void *head, size_t hlen, size_t blen)
{
    struct envelope e;
    if (hlen != ENVELOPE_SMALL || blen || envelope_decode(head, hlen, &e) != hlen ||
        e.kind != KIND_CREDIT || e.seq != (uint16_t)p->messages_in || e.length)
        return false;
    if (p->wired || !p->granted || e.team >> 16 || e.tag || outgoing_waits(p) ||
        e.credit > p->window_blocks[SPACE_USER] - p->mine.blocks[SPACE_USER] ||
        e.team > p->window_blocks[SPACE_COLLECTIVE] - p->mine.blocks[SPACE_COLLECTIVE])
        return false;
    return receive_from(p, NULL, head, hlen, NULL, 0) == 0;
}

static int dispatch(struct peer *p, struct transport *by, const struct envelope *e,
                    struct wire_reader *more, const void *body, size_t blen)
{
    switch ((enum envelope_kind)e->kind) {
    case KIND_EAGER:
    case KIND_SYNC:
    case KIND_RTS:
    case KIND_COLL:
    case KIND_COLL_RTS:
        return take_message(p, by, e, more, body, blen);
    case KIND_ACK:
        return take_ack(p, more);
    case KIND_CTS:
        return rendezvous_cts(p, e, body, blen);
    case KIND_FIN:
        return rendezvous_fin(p, more);
    case KIND_GOT:
        return rendezvous_got(p, e, more);
    case KIND_NACK:
        return rendezvous_nack(p, e, more);
    case KIND_CREDIT:
        return 0;
    case KIND_STUCK:
        jump_take_stuck(p, e);
        return 0;
    case KIND_WANT:
        return jump_take_want(p, e, more);
    case KIND_JUMP:
        p->in = by;
        return jump_take(p, e, more);
    case KIND_SWITCH:
        return shift_take(p, by, e);
    case KIND_AGAIN:
        return rendezvous_again(p, more);
    case KIND_COLL_WHY:
        return word_arrive(p, e, body, blen);
    default:
        return peer_breaks(p, "sent a message of kind %u, which is not built", e->kind);
    }
}

/* A short message that nobody took: its head is the key. */
static int take_short(struct peer *p, uint64_t key, const uint8_t *body, size_t blen)
{
    struct envelope e = { .kind = KIND_EAGER, .team = (uint32_t)key, .tag = (uint32_t)(key >> 32) };
    struct wire_reader none = wire_read(NULL, 0);
    bool collective = e.team & ENVELOPE_OF_COLLECTIVE;
    if (blen > TRANSPORT_SHORT || (collective && blen < SHORT_MATCH))
        return peer_breaks(p, "sent a short message of %zu bytes", blen);
    if (window_arrive_short(p, key, body, blen)) return 0;
    if (collective) {
        e.kind = KIND_COLL;
        e.team &= ~ENVELOPE_OF_COLLECTIVE;
        e.step = wire_get32(body);
        e.digest = wire_get32(body + 4);
        body += SHORT_MATCH;
        blen -= SHORT_MATCH;
    }
    e.length = (uint32_t)blen;
    p->messages_in++;
    p->bytes_in += blen;
    p->general_in.messages++;
    p->general_in.bytes += blen;
    return take_message(p, NULL, &e, &none, body, blen);
}

int receive_from(struct peer *p, struct transport *by, const void *head, size_t hlen,
                 const void *body, size_t blen)
{
    struct envelope e;
    if (hlen == TRANSPORT_SHORT_HEAD) return take_short(p, wire_get64(head), body, blen);
    if (hlen == ENVELOPE_SMALL && window_arrive(p, head, body, blen)) return 0;
    size_t used = envelope_decode(head, hlen, &e);
    if (!used || e.seq != (uint16_t)p->messages_in || e.length != blen)
        return peer_breaks(p, "sent a message whose head, length or number makes no sense");
    struct wire_reader more = wire_read((const uint8_t *)head + used, hlen - used);
    p->messages_in++;
    p->bytes_in += blen;
    p->general_in.messages++;
    p->general_in.bytes += blen;
    int rc = take_credit(p, &e);
    if (rc == 0) rc = dispatch(p, by, &e, &more, body, blen);
    if (rc == 0 && !p->stuck && outgoing_waits(p) &&
        (e.credit || e.kind == KIND_CREDIT || e.kind == KIND_CTS || e.kind == KIND_GOT ||
         e.kind == KIND_NACK))
        outgoing_room(p);
    return rc;
}

int receive_upcall(struct link *l, const void *head, size_t hlen, const void *body, size_t blen,
                   struct lease *lease)
{
    struct peer *p = l->owner;
    (void)lease; /* bodies are taken at once */
    if (hlen == TRANSPORT_SHORT_HEAD && !quick_has_shorts(l)) {
        p->ending = true;
        return peer_breaks(p, "sent a short message over %s, which has none", l->ops->name);
    }
    int rc = p->wired ? shift_arrive(l, head, hlen, body, blen) : SINEW_PENDING;
    if (rc == SINEW_PENDING && hlen >= ENVELOPE_SMALL && ((const uint8_t *)head)[2] == KIND_TELL)
        rc = tell_arrive(l, head, hlen, body, blen);
    else if (rc == SINEW_PENDING)
        rc = receive_from(p, l->transport, head, hlen, body, blen);
    if (rc < 0) p->ending = true; /* who breaks the protocol gets no other link */
    return rc;
}
