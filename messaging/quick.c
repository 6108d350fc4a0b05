/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * quick.c - the short way, for what most messages are
 *
 * A short message to a peer whose gate is open (linked, nothing waiting before it) is handed to the
 * transport without a request. A blocking receive from one rank with one tag, when nothing is
 * posted and nothing unexpected is kept, tells the peer's link what it expects and polls that link
 * alone. Whatever is not as simple as that (silence, a long message, another message first,
 * arguments that make no sense) goes the general way, with the same effect as if it had gone there
 * from the start.
 *
 * A nonblocking receive of that kind is posted with a request of which only the first half is used
 * (is_plain), and is found and finished by quick_arrive().
 *
 * The gate, peer->quick_below: whatever may make a send wait closes it (quick_close); a send that
 * went the general way and found nothing before it opens it again.
 */
#include "base/copy.h"
#include "base/relax.h"
#include "base/wire.h"
#include "messaging/context.h"

static const uint64_t credit_bits = (uint64_t)0xffff << 24, length_bits = ~0ull << 40;

static inline bool quick_allowed(const struct sinew *s)
{
    static const struct context_state idle = { .is_owned = 1 };
    return memcmp(s->state, &idle, sizeof(idle)) == 0;
}

static inline struct peer *quick_peer(const struct team_core *core, int rank)
{
    return core->context->peer[core->world ? core->world[rank] : rank];
}

static inline uint64_t quick_key(const struct team_core *core, int64_t tag)
{
    return (uint64_t)core->id | (uint64_t)tag << 32;
}

void quick_count(const struct sinew *s, struct counters *c)
{
    for (int rank = 0; rank < s->size; rank++) {
        const struct peer *p = s->peer[rank];
        if (!p) continue;
        c->messages_sent += p->messages_out - p->general_out.messages;
        c->bytes_sent += p->bytes_out - p->general_out.bytes;
        c->messages_received += p->messages_in - p->general_in.messages;
        c->bytes_received += p->bytes_in - p->general_in.bytes;
    }
}

/* ---- send ------------------------------------------------------------------------------------ */

void quick_open(struct peer *p)
{
    /* What is owed fits the head: more than an eighth of all blocks is told by itself. */
    bool fits = p->blocks_total / 8 < UINT16_MAX - blocks_of(ENVELOPE_LENGTH_MAX);
    bool is_clear = p->out && !p->stuck && !p->jumping && list_empty(&p->queue[SPACE_USER]);
    p->quick_below = fits && is_clear ? send_eager_limit(p, SPACE_USER) + 1 : 0;
}

/* The peer, if this send may go the short way. */
static inline struct peer *quick_to(const struct sinew_team *team, const void *buf, size_t len,
                                    int to, int64_t tag, struct sinew_request **req)
{
    if (!team || (req && team->persistent)) return NULL;
    const struct team_core *core = team->core;
    if ((unsigned)to >= (unsigned)core->size || (uint64_t)tag > SINEW_TAG_MAX) return NULL;
    if (!quick_allowed(core->context) || (!buf && len)) return NULL;
    struct peer *p = quick_peer(core, to);
    return p && len < p->quick_below ? p : NULL;
}

static inline uint64_t quick_word(const struct peer *p, size_t len)
{
    return (uint16_t)p->messages_out | (uint64_t)KIND_EAGER << 16 |
           (uint64_t)p->owed.blocks[SPACE_USER] << 24 | (uint64_t)len << 40;
}

static inline void quick_sent(struct peer *p, size_t len, uint32_t cost)
{
    p->owed.blocks[SPACE_USER] = 0;
    p->mine.blocks[SPACE_USER] -= cost;
    p->messages_out++;
    p->bytes_out += len;
}

/* Longer than a transport takes with no question asked. > 0: go the general way. */
static int quick_send_longer(struct sinew_team *team, const void *buf, size_t len, int to,
                             int64_t tag, struct sinew_request **req)
{
    struct peer *p = quick_to(team, buf, len, to, tag, req);
    uint32_t cost = blocks_of(len);
    if (!p || p->mine.blocks[SPACE_USER] < cost) return SINEW_PENDING;
    uint8_t head[ENVELOPE_SMALL];
    wire_put64(head, quick_word(p, len));
    wire_put64(head + 8, quick_key(team->core, tag));
    if (p->out->ops->send(p->out, head, sizeof(head), buf, len, NULL, 0) != 0) return SINEW_PENDING;
    quick_sent(p, len, cost);
    if (req) *req = NULL;
    return 0;
}

static __attribute__((noinline)) int send_otherwise(struct sinew_team *team, const void *buf,
                                                    size_t len, int to, int64_t tag,
                                                    struct sinew_request **req)
{
    int status = quick_send_longer(team, buf, len, to, tag, req);
    return status == 0 ? 0 : send_generally(team, "sinew_send", buf, len, to, tag, false, req);
}

int sinew_send(struct sinew_team *team, const void *buf, size_t len, int to, int64_t tag,
               struct sinew_request **req)
{
    struct peer *p = quick_to(team, buf, len, to, tag, req);
    if (!p || len > TRANSPORT_SHORT || *p->out->short_room <= 0 || !p->mine.blocks[SPACE_USER])
        return send_otherwise(team, buf, len, to, tag, req);
    uint64_t word = quick_word(p, len);
    quick_sent(p, len, 1);
    if (req) *req = NULL;
    return p->out->ops->send_short(p->out, word, quick_key(team->core, tag), buf, len);
}

/* ---- a receive that waits --------------------------------------------------------------------- */

/* Something turned up that the general way has to see to. */
static inline bool must_turn_back(const struct sinew *s)
{
    return s->match.kept_count || s->match.posted_count || !list_empty(&s->deferrals) || !list_empty(&s->dead_links) ||
           !list_empty(&s->revoking);
}

static inline bool expect_poll(struct sinew *s, struct link *l, struct expect *e, int *events)
{
    l->expect = e;
    s->state->in_progress = true;
    *events = l->transport->ops->progress(l->transport, l);
    s->state->in_progress = false;
    l->expect = NULL;
    return e->done;
}

/* The message is in the user's buffer; what its head says has not been looked at. */
static inline int expect_account(struct peer *p, const struct expect *e)
{
    uint32_t credit = (uint32_t)(e->head[0] >> 24) & 0xffff, room = p->window[SPACE_USER];
    if (credit > room - p->mine.blocks[SPACE_USER] || e->head[0] >> 40 != e->len) {
        why_set(&p->why, 0, "rank %d sent a message that breaks the protocol", p->rank);
        wireup_disconnect(p, DISCONNECT_NOW);
        return SINEW_EPROTO;
    }
    p->mine.blocks[SPACE_USER] += credit;
    p->messages_in++;
    p->bytes_in += e->len;
    outgoing_owe_quick(p, SPACE_USER, blocks_of(e->len));
    if (!p->quick_below && credit && !p->stuck) outgoing_room(p);
    return 0;
}

static __attribute__((noinline)) int expect_truncated(struct sinew_team *team, int from,
                                                      const struct expect *e)
{
    struct peer *p = quick_peer(team->core, from);
    p->general_in.bytes += e->len - e->cap; /* were not received */
    return team_refuse(
        team, SINEW_ETRUNCATED,
        "receive of %zu bytes from rank %d, tag %u: the message is longer than the buffer, %zu "
        "bytes; the rest is gone, the next message is intact; probe first, or post a larger buffer",
        e->cap, from, (unsigned)(e->head[1] >> 32), e->len);
}

static inline int expect_outcome(struct sinew_team *team, int from, const struct expect *e,
                                 struct sinew_status *status)
{
    bool is_cut = e->len > e->cap;
    if (status)
        *status = (struct sinew_status){ .code = is_cut ? SINEW_ETRUNCATED : 0,
                                         .rank = from,
                                         .tag = (int64_t)(e->head[1] >> 32),
                                         .bytes = is_cut ? e->cap : e->len,
                                         .sent = e->len };
    return is_cut ? expect_truncated(team, from, e) : 0;
}

/* It was not there at the first look. */
static __attribute__((noinline)) int receive_otherwise(struct sinew_team *team, struct expect *e,
                                                       int from, struct sinew_status *status)
{
    struct sinew *s = team->core->context;
    struct peer *p = quick_peer(team->core, from);
    int events = 1;
    for (int polls = 1; polls < s->quick_polls && !e->done; polls++) {
        if (events && (!p->quick_in || must_turn_back(s))) break;
        cpu_relax();
        if (expect_poll(s, p->quick_in, e, &events) && expect_account(p, e) == 0)
            return expect_outcome(team, from, e, status);
    }
    return receive_generally(team, e->buf, e->cap, from, (int64_t)(e->head[1] >> 32), status, NULL);
}

/* ---- receive into a window ------------------------------------------------------------------- */

static inline struct match_key plain_key(int source, uint32_t team, uint32_t tag)
{
    return (struct match_key){ .source = source, .team = team, .tag = tag };
}

static inline bool plain_is(const struct match_key *key, int source, uint64_t team_and_tag)
{
    return key->source == source && key->team == (uint32_t)team_and_tag &&
           key->tag == (uint32_t)(team_and_tag >> 32) && key->space == SPACE_USER;
}

/* A receive with a request, when nothing that came could be its message. */
static int quick_post(struct sinew_team *team, void *buf, size_t cap, struct peer *p, uint32_t tag,
                      struct sinew_status *status, struct sinew_request **req)
{
    struct sinew *s = team->core->context;
    struct list *entry = list_take(&s->requests.free);
    if (!entry) return TRANSPORT_AGAIN;
    struct sinew_request *r = LIST_OWNER(entry, struct sinew_request, entry);
    if (!r->is_plain) request_clear(r);
    r->context = s;
    r->team = team;
    r->peer = p;
    r->status_out = status;
    r->kind = REQUEST_RECV;
    r->state = STATE_POSTED;
    r->is_plain = true;
    r->asked = 0;
    r->buf = buf;
    r->len = cap;
    r->key = plain_key(p->rank, team->core->id, tag);
    r->order = s->match.posts++;
    list_append(&s->match.posted[match_bucket(&r->key)], &r->entry);
    s->match.posted_count++;
    team->live++;
    s->requests.live++;
    *req = r;
    return SINEW_PENDING;
}

static inline bool quick_may_post(const struct sinew_team *team, const struct peer *p)
{
    const struct sinew *s = team->core->context;
    return p->out && !team->persistent && !team->deadline && !s->has_deadline &&
           !s->match.kept_count;
}

static inline struct sinew_request *plain_find(struct match *m, const struct peer *p, uint64_t key)
{
    struct match_key sought = plain_key(p->rank, (uint32_t)key, (uint32_t)(key >> 32));
    struct list *bucket = &m->posted[match_bucket(&sought)];
    for (struct list *l = bucket->next; l != bucket; l = l->next) {
        struct sinew_request *r = LIST_OWNER(l, struct sinew_request, entry);
        if (plain_is(&r->key, p->rank, key)) return r->is_plain ? r : NULL;
    }
    return NULL;
}

bool quick_arrive(struct peer *p, const uint8_t *head, const void *body, size_t blen)
{
    struct sinew *s = p->context;
    uint64_t word = wire_get64(head), key = wire_get64(head + 8);
    uint64_t plain = (uint16_t)p->messages_in | (uint64_t)KIND_EAGER << 16 | (uint64_t)blen << 40;
    uint32_t credit = (uint32_t)(word >> 24) & 0xffff;
    if ((word & ~credit_bits) != plain || !list_empty(&s->match.wild)) return false;
    if (credit > p->window[SPACE_USER] - p->mine.blocks[SPACE_USER]) return false;
    if (credit && !p->quick_below) return false;
    struct sinew_request *r = plain_find(&s->match, p, key);
    if (!r || blen > r->len) return false;
    list_remove(&r->entry);
    s->match.posted_count--;
    copy_short(r->buf, body, blen);
    r->status = 0;
    r->state = STATE_DONE;
    if (r->status_out)
        *r->status_out = (struct sinew_status){ .rank = team_rank_of(r->team->core, p->rank),
                                                .tag = r->key.tag,
                                                .bytes = blen,
                                                .sent = blen };
    p->mine.blocks[SPACE_USER] += credit;
    p->messages_in++;
    p->bytes_in += blen;
    outgoing_owe_quick(p, SPACE_USER, blocks_of(blen));
    return true;
}

/* ---- receive --------------------------------------------------------------------------------- */

/* The peer, if the arguments of this receive are in order. */
static inline struct peer *quick_from(const struct sinew_team *team, const void *buf, size_t cap,
                                      int from, int64_t tag)
{
    if (!team) return NULL;
    const struct team_core *core = team->core;
    if ((unsigned)from >= (unsigned)core->size || (uint64_t)tag > SINEW_TAG_MAX) return NULL;
    if (!quick_allowed(core->context) || (!buf && cap) || cap > PTRDIFF_MAX) return NULL;
    return quick_peer(core, from);
}

static inline bool quick_may_expect(const struct sinew_team *team, const struct peer *p)
{
    const struct match *m = &team->core->context->match;
    return p->quick_in && !m->posted_count && !m->kept_count && p->messages_in % QUICK_ALONE;
}

int sinew_recv(struct sinew_team *team, void *buf, size_t cap, int from, int64_t tag,
               struct sinew_status *status, struct sinew_request **req)
{
    struct peer *p = quick_from(team, buf, cap, from, tag);
    if (req && p && quick_may_post(team, p) &&
        quick_post(team, buf, cap, p, (uint32_t)tag, status, req) == SINEW_PENDING)
        return SINEW_PENDING;
    if (req || !p || !quick_may_expect(team, p))
        return receive_generally(team, buf, cap, from, tag, status, req);
    struct expect e = {
        .head = { (uint16_t)p->messages_in | (uint64_t)KIND_EAGER << 16,
                  quick_key(team->core, tag) },
        .mask = ~(credit_bits | length_bits),
        .buf = buf,
        .cap = cap,
    };
    int events;
    if (!expect_poll(p->context, p->quick_in, &e, &events) || expect_account(p, &e) < 0)
        return receive_otherwise(team, &e, from, status);
    return expect_outcome(team, from, &e, status);
}
