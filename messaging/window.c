/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window.c - plain receives posted in a row from one peer, met in that order
 *
 *   peer->window -> request -> request -> request     each with the head it expects, chained as the
 *                   oldest                newest      transport looks for them
 *
 * A plain receive is nonblocking, from one rank, with one tag, no deadline, and uses only the first
 * half of its request, much of which stays as it was the last time. It joins the window of its
 * peer when nothing that came could be its message and no receive from that peer is filed under its
 * key (match.c): so all of a window are older than those filed since. The first message that is not
 * for the oldest is looked up after the window was filed too, among them by age. Windows met in
 * order, as most are, are never filed.
 */
#include "base/copy.h"
#include "base/wire.h"
#include "messaging/quick.h"

static inline bool may_post(const struct sinew_team *team, const struct peer *p)
{
    const struct sinew *s = team->core->context;
    return p->out && !team->persistent && !team->is_timed && !s->match.kept_count && !p->filed;
}

/* What stays the same from one plain receive to the next. */
static void window_prepare(struct sinew_request *r)
{
    if (!r->plain) request_clear(r);
    r->kind = REQUEST_RECV;
    r->plain = PLAIN_RECEIVE;
    r->expect.word = (uint64_t)KIND_EAGER << 16;
    r->expect.mask = ENVELOPE_KIND;
    r->expect.done = r->expect.is_short = false;
}

/* The next request was something else before. Same arguments: so the short way ends in a jump. */
static __attribute__((noinline)) int window_receive_afresh(struct sinew_team *team, void *buf,
                                                           size_t cap, int from, int64_t tag,
                                                           struct sinew_status *status,
                                                           struct sinew_request **req)
{
    struct request_pool *pool = &team->core->context->requests;
    struct sinew_request *r = request_take(pool);
    window_prepare(r);
    request_give(pool, r);
    return window_receive(team, buf, cap, from, tag, status, req);
}

static inline void window_append(struct peer *p, struct sinew_request *r)
{
    r->expect.next = NULL;
    if (p->window)
        p->window_last->expect.next = &r->expect;
    else
        p->window = r;
    p->window_last = r;
}

/* The peer, if this receive may join its window. */
static inline struct peer *window_of(const struct sinew_team *team, const void *buf, size_t cap,
                                     int from, int64_t tag)
{
    if (!team || !quick_receive_in_order(team->core, buf, cap, from, tag) ||
        !quick_allowed(team->core))
        return NULL;
    struct peer *p = team->core->peer[from];
    return p && may_post(team, p) ? p : NULL;
}

int window_receive(struct sinew_team *team, void *buf, size_t cap, int from, int64_t tag,
                   struct sinew_status *status, struct sinew_request **req)
{
    struct peer *p = window_of(team, buf, cap, from, tag);
    if (!p || !team->core->context->requests.free)
        return receive_generally(team, buf, cap, from, tag, status, req);
    struct sinew *s = team->core->context;
    if (s->requests.free->plain != PLAIN_RECEIVE)
        return window_receive_afresh(team, buf, cap, from, tag, status, req);
    struct sinew_request *r = request_take(&s->requests);
    r->team = team;
    r->peer = p;
    r->status_out = status;
    r->state = STATE_POSTED;
    r->order = s->match.posts++;
    r->expect.key = envelope_key(team->core->id, (uint32_t)tag);
    r->expect.buf = buf;
    r->expect.cap = cap;
    window_append(p, r);
    *req = r;
    return SINEW_PENDING;
}

static inline struct sinew_request *window_next(const struct sinew_request *r)
{
    return r->expect.next ? LIST_OWNER(r->expect.next, struct sinew_request, expect) : NULL;
}

void window_file(struct peer *p)
{
    struct match *m = &p->context->match;
    struct sinew_request *next;
    if (p->quick_in) p->quick_in->expect = NULL;
    for (struct sinew_request *r = p->window; r; r = next) {
        next = window_next(r);
        request_make_whole(r, p->rank);
        m->posted_count++;
        ++*m->open;
        match_file(m, r);
    }
    p->window = NULL;
}

void window_file_all(struct sinew *s)
{
    for (int rank = 0; rank < s->size; rank++)
        if (s->peer[rank] && s->peer[rank]->window) window_file(s->peer[rank]);
}

/* Somebody wants to know more than that it is done; or more came than there was room for. */
static __attribute__((noinline)) void window_report(struct sinew_request *r, uint64_t len)
{
    size_t cap = r->expect.cap;
    if (r->status_out)
        *r->status_out = (struct sinew_status){ .rank = team_rank_of(r->team->core, r->peer->rank),
                                                .tag = (int64_t)(r->expect.key >> 32),
                                                .bytes = len < cap ? len : cap,
                                                .sent = len };
    if (len <= cap) return;
    r->peer->general_in.bytes += len - cap; /* were not received */
    r->sent = len;
    request_make_whole(r, r->peer->rank);
    request_end(r, SINEW_ETRUNCATED);
}

/* The oldest has its message, of `len` bytes: in its buffer, as far as it fits. */
static inline void window_finish(struct peer *p, struct sinew_request *r, uint64_t len)
{
    p->window = window_next(r);
    r->state = STATE_DONE;
    if (r->status_out || len > r->expect.cap) window_report(r, len);
}

bool window_arrive(struct peer *p, const uint8_t *head, const void *body, size_t blen)
{
    struct sinew_request *r = p->window;
    uint64_t word = wire_get64(head);
    bool is_plain = !((word ^ (uint64_t)KIND_EAGER << 16) & ENVELOPE_KIND);
    if (!r || !is_plain || wire_get64(head + 8) != r->expect.key) return false;
    if (!list_empty(&p->context->match.wild) || quick_account(p, word, blen) < 0) return false;
    copy_short(r->expect.buf, body, blen < r->expect.cap ? blen : r->expect.cap);
    window_finish(p, r, blen);
    return true;
}

bool window_arrive_short(struct peer *p, uint64_t key, const void *body, size_t blen)
{
    struct sinew_request *r = p->window;
    if (!r || key != r->expect.key || !list_empty(&p->context->match.wild)) return false;
    quick_count_in(p, blen);
    outgoing_owe_quick(p, SPACE_USER, blocks_of(blen)); /* not taken straight: no unit */
    copy_short(r->expect.buf, body, blen < r->expect.cap ? blen : r->expect.cap);
    window_finish(p, r, blen);
    return true;
}

void window_expect(struct peer *p, struct link *l)
{
    if (p->quick_in == l && list_empty(&p->context->match.wild)) l->expect = &p->window->expect;
}

/* Its head says more than that it is there. */
static __attribute__((noinline)) bool window_collect_longer(struct peer *p, struct expect *e)
{
    uint64_t word = e->word;
    e->word = (uint64_t)KIND_EAGER << 16;
    return quick_account(p, word, e->len) == 0;
}

void window_collect(struct peer *p)
{
    struct sinew_request *r;
    int n = 0, *until_general = &p->context->state->until_general;
    for (; (r = p->window) && r->expect.done; n++) {
        bool is_short = r->expect.is_short;
        r->expect.done = r->expect.is_short = false;
        if (is_short) {
            quick_count_in(p, r->expect.len);
        } else if (!window_collect_longer(p, &r->expect)) {
            window_file(p); /* they end with the peer */
            break;
        }
        window_finish(p, r, r->expect.len);
    }
    *until_general = *until_general > n ? *until_general - n : 0;
}
