/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * quick.c - the short way, for what most messages are
 *
 * A short message to a peer whose gate is open (linked, nothing waiting before it) is handed to the
 * transport without a request; one of at most 48 bytes, where the link has such, as no more than a
 * key and a body. A blocking receive from one rank with one tag, when nothing is
 * posted and nothing unexpected is kept, tells the peer's link what it expects and polls that link
 * alone. Whatever is not as simple as that (silence, a long message, another message first,
 * arguments that make no sense) goes the general way, with the same effect as if it had gone there
 * from the start.
 *
 * Nonblocking receives of that kind: window.c.
 *
 * The gate, peer->shorts and quick_below: whatever may make a send wait closes it (quick_close); a
 * send that went the general way and found nothing before it opens it again.
 */
#include "base/relax.h"
#include "base/wire.h"
#include "messaging/quick.h"

struct flow peer_sent(const struct peer *p)
{
    return (struct flow){ p->messages_out - p->general_out.messages + p->whole_out.messages,
                          p->bytes_out - p->general_out.bytes + p->whole_out.bytes };
}

struct flow peer_received(const struct peer *p)
{
    return (struct flow){ p->messages_in - p->general_in.messages + p->whole_in.messages,
                          p->bytes_in - p->general_in.bytes + p->whole_in.bytes };
}

void quick_count(const struct sinew *s, struct counters *c)
{
    for (int rank = 0; rank < s->size; rank++) {
        const struct peer *p = s->peer[rank];
        if (!p) continue;
        struct flow out = peer_sent(p), in = peer_received(p);
        c->messages_sent += out.messages;
        c->bytes_sent += out.bytes;
        c->messages_received += in.messages;
        c->bytes_received += in.bytes;
    }
}

/* ---- send ------------------------------------------------------------------------------------ */

const int32_t quick_none = 0;

void quick_open(struct peer *p)
{
    bool is_clear = p->out && !p->stuck && !p->ahead && !p->jumping &&
                    list_empty(&p->queue[SPACE_USER]);
    if (!is_clear) {
        quick_close(p);
        return;
    }
    p->shorts = p->out->shorts;
    p->quick_below = send_eager_limit(p, SPACE_USER) + 1;
}

/* A quarter of the window is for short sends, whose credit the link keeps. */
void quick_lend(struct peer *p)
{
    uint32_t window = p->window_blocks[SPACE_USER], *mine = &p->mine.blocks[SPACE_USER];
    if (!p->out || !quick_has_shorts(p->out)) return;
    p->kept_blocks = window - window / 4;
    if (*mine <= p->kept_blocks) return;
    p->out->ops->allow(p->out, *mine - p->kept_blocks);
    *mine = p->kept_blocks;
}

/* The peer, if the arguments of this send are in order. */
static inline struct peer *quick_to(const struct sinew_team *team, const void *buf, size_t len,
                                    int to, int64_t tag)
{
    if (!team) return NULL;
    const struct team_core *core = team->core;
    if ((unsigned)to >= (unsigned)core->size || (uint64_t)tag > SINEW_TAG_MAX) return NULL;
    if (!quick_allowed(core) || (!buf && len)) return NULL;
    return core->peer[to];
}

static inline int quick_send_short(struct peer *p, const struct sinew_team *team, const void *buf,
                                   size_t len, int64_t tag)
{
    p->messages_out++;
    p->bytes_out += len;
    return p->out->ops->send_short(p->out, buf, len, envelope_key(team->core->id, (uint32_t)tag));
}

/* With the small head. */
static inline int send_headed(struct peer *p, const struct sinew_team *team, const void *buf,
                              size_t len, int64_t tag, uint64_t cookie)
{
    uint8_t head[ENVELOPE_SMALL];
    wire_put64(head, (uint16_t)p->messages_out | (uint64_t)KIND_EAGER << 16 |
                         (uint64_t)p->owed.blocks[SPACE_USER] << 24 | (uint64_t)len << 40);
    wire_put64(head + 8, envelope_key(team->core->id, (uint32_t)tag));
    return p->out->ops->send(p->out, head, sizeof(head), buf, len, NULL, cookie);
}

static inline void headed_went(struct peer *p, size_t len, uint32_t cost)
{
    p->owed.blocks[SPACE_USER] = 0;
    p->mine.blocks[SPACE_USER] -= cost;
    p->messages_out++;
    p->bytes_out += len;
}

/* Who sent it may want to know when it is done. */
static __attribute__((noinline)) int quick_send_asked(struct peer *p, struct sinew_team *team,
                                                      const void *buf, size_t len, int64_t tag,
                                                      struct sinew_request **req)
{
    struct sinew_request *r = held_request(team, p, len, (uint32_t)tag);
    int rc = send_headed(p, team, buf, len, tag, r ? request_number(r) : 0);
    if (r && rc == TRANSPORT_HELD)
        held_join(p, r);
    else if (r)
        request_give(&p->context->requests, r);
    if (rc != 0 && rc != TRANSPORT_HELD) return TRANSPORT_AGAIN;
    headed_went(p, len, blocks_of(len));
    *req = rc == 0 ? NULL : r;
    return rc == 0 ? 0 : SINEW_PENDING;
}

/* Longer than a short one, or there is no more room for short ones. AGAIN: go the general way. */
static inline int quick_send_longer(struct peer *p, struct sinew_team *team, const void *buf,
                                    size_t len, int64_t tag, struct sinew_request **req)
{
    uint32_t cost = blocks_of(len);
    if (p->mine.blocks[SPACE_USER] < cost) return TRANSPORT_AGAIN;
    if (req) return quick_send_asked(p, team, buf, len, tag, req);
    if (send_headed(p, team, buf, len, tag, 0) != 0) return TRANSPORT_AGAIN;
    headed_went(p, len, cost);
    return 0;
}

/* The gate is open, but the shortest way is not for this one, or not now. AGAIN: as above. */
static inline int quick_send(struct peer *p, struct sinew_team *team, const void *buf, size_t len,
                             int64_t tag, struct sinew_request **req)
{
    if (len > TRANSPORT_SHORT || !quick_has_shorts(p->out))
        return quick_send_longer(p, team, buf, len, tag, req);
    p->out->ops->allow(p->out, 0);
    if (*p->shorts <= 0) return quick_send_longer(p, team, buf, len, tag, req);
    if (req) *req = NULL;
    return quick_send_short(p, team, buf, len, tag);
}

_Static_assert(SINEW_TAG_MAX <= UINT32_MAX && sizeof(int) <= sizeof(uint32_t),
               "rank and tag in one word of 64 bits");

/* Rank and tag, which are in order, in one word: so that all that is known goes in registers. */
static inline uint64_t place_of(int to, int64_t tag)
{
    return (uint64_t)(unsigned)to << 32 | (uint32_t)tag;
}

/* To a peer that quick_to() has found. */
static __attribute__((noinline)) int send_otherwise(struct peer *p, struct sinew_team *team,
                                                    const void *buf, size_t len, uint64_t place,
                                                    struct sinew_request **req)
{
    int64_t tag = (uint32_t)place;
    int status = len < p->quick_below && !(req && team->persistent)
                     ? quick_send(p, team, buf, len, tag, req)
                     : TRANSPORT_AGAIN;
    return status != TRANSPORT_AGAIN
               ? status
               : send_generally(team, "sinew_send", buf, len, (int)(place >> 32), tag, false, req);
}

int sinew_send(struct sinew_team *team, const void *buf, size_t len, int to, int64_t tag,
               struct sinew_request **req)
{
    struct peer *p = quick_to(team, buf, len, to, tag);
    if (!p) return send_generally(team, "sinew_send", buf, len, to, tag, false, req);
    if (len > TRANSPORT_SHORT || *p->shorts <= 0 || (req && team->persistent))
        return send_otherwise(p, team, buf, len, place_of(to, tag), req);
    if (req) *req = NULL;
    return quick_send_short(p, team, buf, len, tag);
}

/* ---- a receive that waits -------------------------------------------------------------------- */

enum { LOOK_ABOUT = 4 }; /* looks for one message, the last of them with all that belongs to it */

/* What the call was told, in memory from the start: it is rarely looked at again. */
struct wanted {
    struct peer *p;
    struct sinew_team *team;
    struct sinew_status *status;
    int from;
    struct expect e;
};

/* Something turned up that the general way has to see to. */
static inline bool must_turn_back(const struct peer *p)
{
    const struct sinew *s = p->context;
    return s->match.kept_count || s->match.posted_count || p->window ||
           !list_empty(&s->deferrals) || !list_empty(&s->dead_links) || !list_empty(&s->revoking);
}

static bool expect_poll(struct sinew *s, struct link *l, struct expect *e, int *events)
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
    int status = peer_breaks(p, "sent a short message that makes no sense");
    if (p->out) p->out->why = p->why;
    wireup_disconnect(p, DISCONNECT_NOW);
    return status;
}

static int wanted_truncated(const struct wanted *w, size_t len)
{
    w->p->general_in.bytes += len - w->e.cap; /* were not received */
    return team_refuse(
        w->team, SINEW_ETRUNCATED,
        "receive of %zu bytes from rank %d, tag %u: the message is longer than the buffer, %zu "
        "bytes; the rest is gone, the next message is intact; probe first, or post a larger buffer",
        w->e.cap, w->from, (unsigned)(w->e.key >> 32), len);
}

static inline void wanted_status(const struct wanted *w, size_t len, struct sinew_status *status)
{
    bool is_cut = len > w->e.cap;
    *status = (struct sinew_status){ .code = is_cut ? SINEW_ETRUNCATED : 0,
                                     .rank = w->from,
                                     .tag = (int64_t)(w->e.key >> 32),
                                     .bytes = is_cut ? w->e.cap : len,
                                     .sent = len };
}

/* One look with all that belongs to it; true: it has come. */
static bool wanted_poll(struct wanted *w, int *events)
{
    struct peer *p = w->p;
    struct expect *e = &w->e;
    e->word = (uint16_t)p->messages_in | (uint64_t)KIND_EAGER << 16;
    e->mask = ENVELOPE_SEQ | ENVELOPE_KIND;
    if (!expect_poll(p->context, p->quick_in, e, events)) return false;
    if (!e->is_short) return quick_account(p, e->word, e->len) == 0;
    quick_count_in(p, e->len);
    return true;
}

/* A long message may come: a posted receive gets it straight, one that only looks does not. */
static __attribute__((noinline)) int receive_posted(const struct wanted *w)
{
    struct sinew_request *r = NULL;
    int rc = window_receive(w->team, w->e.buf, w->e.cap, w->from, (int64_t)(w->e.key >> 32),
                            w->status, &r);
    return rc > 0 ? wait_request(r) : rc;
}

/* It was not there at the first look. By value: so the caller needs no register for it. */
static __attribute__((noinline)) int receive_otherwise(struct wanted wanted)
{
    struct wanted *w = &wanted;
    struct peer *p = w->p;
    struct sinew *s = p->context;
    int events = 1;
    if (s->credit_due) outgoing_tell_due(s);
    /* Through a persistent view a request would be one that nobody starts. */
    if (w->e.cap > ENVELOPE_BODY_MAX && !w->team->persistent) return receive_posted(w);
    w->e.next = NULL;
    w->e.done = w->e.is_short = false;
    for (int polls = 1; polls < s->quick_polls && !w->e.done; polls++) {
        if (events && (!p->quick_in || must_turn_back(p))) break;
        if (quick_has_shorts(p->quick_in)) cpu_relax(); /* else a look is long enough by itself */
        /* A look that finds nothing takes the line from its writer: one each time, not two. */
        int64_t len = polls % LOOK_ABOUT ? p->quick_in->ops->take_short(p->quick_in, &w->e)
                                         : TRANSPORT_NOT_THIS;
        if (len >= 0) {
            quick_count_in(p, (uint64_t)len);
            if (w->status) wanted_status(w, (size_t)len, w->status);
            return 0;
        }
        events = 0;
        if (len == TRANSPORT_NOTHING || !wanted_poll(w, &events)) continue;
        if (w->status) wanted_status(w, w->e.len, w->status);
        return w->e.len > w->e.cap ? wanted_truncated(w, w->e.len) : 0;
    }
    return receive_generally(w->team, w->e.buf, w->e.cap, w->from, (int64_t)(w->e.key >> 32),
                             w->status, NULL);
}

/* ---- receive --------------------------------------------------------------------------------- */

enum { QUICK_LOOK = 128 }; /* receives of the short way to a look at what they pass by */

/* The peer, if this receive may look at its link alone. */
static inline struct peer *quick_from(const struct sinew_team *team, const void *buf, size_t cap,
                                      int from, int64_t tag)
{
    if (!team) return NULL;
    const struct team_core *core = team->core;
    if (!quick_receive_in_order(core, buf, cap, from, tag) || !quick_alone(core) ||
        (core->state->until_look -= 1) < 0)
        return NULL;
    struct peer *p = core->peer[from];
    return p && p->quick_in && !p->window ? p : NULL;
}

/* The peer, if this receive could go the short way, but for its turn to see to what that passes
 * by. */
static struct peer *seldom_from(const struct sinew_team *team, const void *buf, size_t cap,
                                int from, int64_t tag)
{
    if (!team) return NULL;
    const struct team_core *core = team->core;
    if (!quick_receive_in_order(core, buf, cap, from, tag) || !quick_alone(core) ||
        core->state->until_look >= 0)
        return NULL;
    core->state->until_look = QUICK_LOOK - 1;
    if ((core->state->until_general -= QUICK_LOOK) <= 0) return NULL;
    struct peer *p = core->peer[from];
    return p && p->quick_in && !p->window ? p : NULL;
}

/* Takes what is there first: then nothing else of that link has to be taken. */
static __attribute__((noinline)) int receive_seldom(struct sinew_team *team, void *buf, size_t cap,
                                                    int from, int64_t tag,
                                                    struct sinew_status *status)
{
    struct peer *p = seldom_from(team, buf, cap, from, tag);
    if (!p) return receive_generally(team, buf, cap, from, tag, status, NULL);
    struct wanted w = { .p = p, .team = team, .status = status, .from = from };
    w.e = (struct expect){ .key = envelope_key(team->core->id, (uint32_t)tag),
                           .buf = buf,
                           .cap = cap };
    int64_t len = p->quick_in->ops->take_short(p->quick_in, &w.e);
    if (len < 0) return receive_otherwise(w);
    quick_count_in(p, (uint64_t)len);
    if (status) wanted_status(&w, (size_t)len, status);
    context_pass_over(p->context, p->quick_in);
    return 0;
}

int sinew_recv(struct sinew_team *team, void *buf, size_t cap, int from, int64_t tag,
               struct sinew_status *status, struct sinew_request **req)
{
    struct wanted w;
    if (req) return window_receive(team, buf, cap, from, tag, status, req);
    struct peer *p = quick_from(team, buf, cap, from, tag);
    if (!p) return receive_seldom(team, buf, cap, from, tag, status);
    w.e.key = envelope_key(team->core->id, (uint32_t)tag);
    w.e.buf = buf;
    w.e.cap = cap;
    w.team = team;
    w.p = p;
    w.from = from;
    w.status = status;
    int64_t len = p->quick_in->ops->take_short(p->quick_in, &w.e);
    if (len < 0) return receive_otherwise(w);
    quick_count_in(w.p, (uint64_t)len);
    if (w.status) wanted_status(&w, (size_t)len, w.status);
    return 0;
}
