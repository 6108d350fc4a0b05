/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window.c - plain receives posted in a row from one peer, met in that order
 *
 *   peer->window -> request -> request -> request     each with the head it expects, chained as the
 *                   oldest                newest      transport looks for them
 *
 * A plain receive is nonblocking, from one rank, with one tag, no deadline, and uses only the first
 * half of its request (is_plain). It joins the window of its peer when nothing that came could be
 * its message and no receive from that peer is filed under its key (match.c): so all of a window
 * are older than those filed since. The first message that is not for the oldest is looked up after
 * the window was filed too, among them by age. Windows met in order, as most are, are never filed.
 */
#include "base/copy.h"
#include "base/wire.h"
#include "messaging/quick.h"

static inline bool may_post(const struct sinew_team *team, const struct peer *p)
{
    const struct sinew *s = team->core->context;
    return p->out && !team->persistent && !team->deadline && !s->has_deadline &&
           !s->match.kept_count && !p->filed;
}

static inline bool window_post(struct sinew_team *team, void *buf, size_t cap, struct peer *p,
                               uint32_t tag, struct sinew_status *status,
                               struct sinew_request **req)
{
    struct sinew *s = team->core->context;
    if (s->state->until_general > 0) s->state->until_general--;
    struct sinew_request *r = may_post(team, p) ? request_take(&s->requests) : NULL;
    if (!r) return false;
    if (!r->is_plain) request_clear(r);
    r->context = s;
    r->team = team;
    r->peer = p;
    r->status_out = status;
    r->kind = REQUEST_RECV;
    r->state = STATE_POSTED;
    r->is_plain = r->in_window = true;
    r->asked = 0;
    r->len = cap;
    r->buf = buf;
    /* One by one: cleared as a whole it would be by `rep stos`, which costs more than all of this. */
    r->expect.next = NULL;
    r->expect.key = envelope_key(team->core->id, tag);
    r->expect.word = (uint64_t)KIND_EAGER << 16;
    r->expect.mask = ENVELOPE_KIND;
    r->expect.buf = buf;
    r->expect.cap = cap;
    r->expect.done = r->expect.is_short = false;
    r->order = s->match.posts++;
    if (p->window)
        p->window_last->expect.next = &r->expect;
    else
        p->window = r;
    p->window_last = r;
    s->match.posted_count++;
    s->state->open++;
    team->live++;
    s->requests.live++;
    *req = r;
    return true;
}

int window_receive(struct sinew_team *team, void *buf, size_t cap, int from, int64_t tag,
                   struct sinew_status *status, struct sinew_request **req)
{
    bool is_in_order = team && quick_receive_in_order(team->core, buf, cap, from, tag) &&
                       quick_allowed(team->core);
    struct peer *p = is_in_order ? team->core->peer[from] : NULL;
    if (p && window_post(team, buf, cap, p, (uint32_t)tag, status, req)) return SINEW_PENDING;
    return receive_generally(team, buf, cap, from, tag, status, req);
}

static inline struct sinew_request *window_next(const struct sinew_request *r)
{
    return r->expect.next ? LIST_OWNER(r->expect.next, struct sinew_request, expect) : NULL;
}

/* From here on it is a request like others. */
static void window_leave(struct sinew_request *r)
{
    uint64_t key = r->expect.key;
    r->key = (struct match_key){ .source = r->peer->rank,
                                 .team = (uint32_t)key,
                                 .tag = (uint32_t)(key >> 32) };
    r->in_window = r->is_plain = false;
    list_init(&r->entry);
}

void window_file(struct peer *p)
{
    struct match *m = &p->context->match;
    struct sinew_request *next;
    if (p->quick_in) p->quick_in->expect = NULL;
    for (struct sinew_request *r = p->window; r; r = next) {
        next = window_next(r);
        window_leave(r);
        match_file(m, r);
    }
    p->window = NULL;
}

void window_file_all(struct sinew *s)
{
    for (int rank = 0; rank < s->size; rank++)
        if (s->peer[rank] && s->peer[rank]->window) window_file(s->peer[rank]);
}

/* The oldest has its message, of `len` bytes: in its buffer, as far as it fits. */
static inline void window_finish(struct peer *p, struct sinew_request *r, uint64_t len)
{
    p->window = window_next(r);
    p->context->match.posted_count--;
    p->context->state->open--;
    r->in_window = false;
    r->state = STATE_DONE;
    r->status = 0;
    if (r->status_out)
        *r->status_out = (struct sinew_status){ .rank = team_rank_of(r->team->core, p->rank),
                                                .tag = (int64_t)(r->expect.key >> 32),
                                                .bytes = len < r->len ? len : r->len,
                                                .sent = len };
    if (len <= r->len) return;
    p->general_in.bytes += len - r->len; /* were not received */
    r->sent = len;
    window_leave(r);
    request_end(r, SINEW_ETRUNCATED);
}

bool window_arrive(struct peer *p, const uint8_t *head, const void *body, size_t blen)
{
    struct sinew_request *r = p->window;
    uint64_t word = wire_get64(head);
    bool is_plain = !((word ^ (uint64_t)KIND_EAGER << 16) & ENVELOPE_KIND);
    if (!r || !is_plain || wire_get64(head + 8) != r->expect.key) return false;
    if (!list_empty(&p->context->match.wild) || quick_account(p, word, blen) < 0) return false;
    copy_short(r->buf, body, blen < r->len ? blen : r->len);
    window_finish(p, r, blen);
    return true;
}

bool window_arrive_short(struct peer *p, uint64_t key, const void *body, size_t blen)
{
    struct sinew_request *r = p->window;
    if (!r || key != r->expect.key || !list_empty(&p->context->match.wild)) return false;
    quick_count_in(p, blen);
    outgoing_owe_quick(p, SPACE_USER, blocks_of(blen)); /* not taken straight: no unit */
    copy_short(r->buf, body, blen < r->len ? blen : r->len);
    window_finish(p, r, blen);
    return true;
}

void window_expect(struct peer *p, struct link *l)
{
    if (p->quick_in == l && list_empty(&p->context->match.wild)) l->expect = &p->window->expect;
}

void window_collect(struct peer *p)
{
    while (p->window && p->window->expect.done) {
        struct sinew_request *r = p->window;
        if (r->expect.is_short) {
            quick_count_in(p, r->expect.len);
        } else if (quick_account(p, r->expect.word, r->expect.len) < 0) {
            window_file(p); /* they end with the peer */
            return;
        }
        window_finish(p, r, r->expect.len);
    }
}
