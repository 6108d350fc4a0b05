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
 * Nonblocking receives of that kind: window.c.
 *
 * The gate, peer->quick_below: whatever may make a send wait closes it (quick_close); a send that
 * went the general way and found nothing before it opens it again.
 */
#include "base/relax.h"
#include "base/wire.h"
#include "messaging/quick.h"

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
    bool is_clear = p->out && !p->stuck && !p->ahead && !p->jumping && list_empty(&p->queue[SPACE_USER]);
    p->quick_below = is_clear ? send_eager_limit(p, SPACE_USER) + 1 : 0;
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

/* Not as a transport takes it with no question asked. AGAIN: go the general way. */
static int quick_send_longer(struct sinew_team *team, const void *buf, size_t len, int to,
                             int64_t tag, struct sinew_request **req)
{
    struct peer *p = quick_to(team, buf, len, to, tag, req);
    uint32_t cost = blocks_of(len);
    if (!p || p->mine.blocks[SPACE_USER] < cost) return TRANSPORT_AGAIN;
    struct sinew_request *r = req ? held_request(team, p, len, (uint32_t)tag) : NULL;
    uint8_t head[ENVELOPE_SMALL];
    wire_put64(head, quick_word(p, len));
    wire_put64(head + 8, envelope_key(team->core->id, (uint32_t)tag));
    int rc = p->out->ops->send(p->out, head, sizeof(head), buf, len, NULL,
                               r ? request_number(r) : 0);
    if (r && rc == TRANSPORT_HELD)
        held_join(p, r);
    else if (r)
        request_give(&p->context->requests, r);
    if (rc != 0 && rc != TRANSPORT_HELD) return TRANSPORT_AGAIN;
    quick_sent(p, len, cost);
    if (req) *req = rc == 0 ? NULL : r;
    return rc == 0 ? 0 : SINEW_PENDING;
}

static __attribute__((noinline)) int send_otherwise(struct sinew_team *team, const void *buf,
                                                    size_t len, int to, int64_t tag,
                                                    struct sinew_request **req)
{
    int status = quick_send_longer(team, buf, len, to, tag, req);
    return status != TRANSPORT_AGAIN ? status : send_generally(team, "sinew_send", buf, len, to, tag, false, req);
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
    return p->out->ops->send_short(p->out, word, envelope_key(team->core->id, (uint32_t)tag), buf, len);
}

/* ---- a receive that waits --------------------------------------------------------------------- */

/* Something turned up that the general way has to see to. */
static inline bool must_turn_back(const struct sinew *s)
{
    return s->match.kept_count || s->match.posted_count || !list_empty(&s->deferrals) ||
           !list_empty(&s->dead_links) || !list_empty(&s->revoking);
}

static inline uint64_t expect_word(const struct peer *p)
{
    return (uint16_t)p->messages_in | (uint64_t)KIND_EAGER << 16;
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

int quick_refuse(struct peer *p)
{
    why_set(&p->why, 0, "rank %d sent a message that breaks the protocol", p->rank);
    if (p->out) p->out->why = p->why;
    wireup_disconnect(p, DISCONNECT_NOW);
    return SINEW_EPROTO;
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
        e->head[0] = expect_word(p);
        if (expect_poll(s, p->quick_in, e, &events) && quick_account(p, e->head[0], e->len) == 0)
            return expect_outcome(team, from, e, status);
    }
    return receive_generally(team, e->buf, e->cap, from, (int64_t)(e->head[1] >> 32), status, NULL);
}

/* ---- receive --------------------------------------------------------------------------------- */

static inline bool quick_may_expect(const struct sinew_team *team, const struct peer *p)
{
    struct sinew *s = team->core->context;
    return p->quick_in && !s->match.posted_count && !s->match.kept_count && --s->until_general > 0;
}

int sinew_recv(struct sinew_team *team, void *buf, size_t cap, int from, int64_t tag,
               struct sinew_status *status, struct sinew_request **req)
{
    if (req) return window_receive(team, buf, cap, from, tag, status, req);
    struct peer *p = quick_from(team, buf, cap, from, tag);
    if (!p || !quick_may_expect(team, p))
        return receive_generally(team, buf, cap, from, tag, status, req);
    struct expect e = {
        .head = { expect_word(p), envelope_key(team->core->id, (uint32_t)tag) },
        .mask = ENVELOPE_SEQ | ENVELOPE_KIND,
        .buf = buf,
        .cap = cap,
    };
    int events;
    if (!expect_poll(p->context, p->quick_in, &e, &events) || quick_account(p, e.head[0], e.len) < 0)
        return receive_otherwise(team, &e, from, status);
    return expect_outcome(team, from, &e, status);
}
