/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * message.c - the calls that receive: recv (its general way), sendrecv, probe, message_recv, cancel
 */
#include <string.h>

#include "messaging/context.h"

static int receive_check(struct sinew_team *team, const char *call, const void *buf, size_t cap,
                         int from, int64_t tag, bool blocking)
{
    if (!team) return SINEW_EINVAL;
    int rc = context_check(team->core->context, blocking);
    if (rc) return rc;
    if (from != SINEW_ANY_RANK && from != SINEW_NO_RANK && (from < 0 || from >= team->core->size))
        return team_refuse(team, SINEW_EINVAL,
                           "%s: from is %d; ranks of this team are 0 to %d, or SINEW_ANY_RANK",
                           call, from, team->core->size - 1);
    if (tag != SINEW_ANY_TAG && (tag < 0 || tag > SINEW_TAG_MAX))
        return team_refuse(team, SINEW_EINVAL,
                           "%s: tag is %lld; tags are 0 to %lld, or SINEW_ANY_TAG", call,
                           (long long)tag, SINEW_TAG_MAX);
    if (!buf && cap > 0)
        return team_refuse(team, SINEW_EINVAL, "%s: buf is NULL with cap %zu", call, cap);
    if (cap > PTRDIFF_MAX)
        return team_refuse(team, SINEW_EINVAL, "%s: cap is %zu; at most %td", call, cap,
                           PTRDIFF_MAX);
    return 0;
}

static struct match_key receive_key(const struct sinew_team *team, int from, int64_t tag)
{
    return (struct match_key){
        .source = from < 0 ? from : team_world_rank(team->core, from),
        .team = team->core->id,
        .tag = tag == SINEW_ANY_TAG ? 0 : (uint32_t)tag,
        .any_tag = tag == SINEW_ANY_TAG,
    };
}

static int receive_nothing(struct sinew_status *status)
{
    if (status) *status = (struct sinew_status){ .rank = SINEW_NO_RANK, .tag = SINEW_ANY_TAG };
    return 0;
}

/* ---- persistent receives --------------------------------------------------------------------- */

struct persistent_receive {
    struct completion completion;
    struct sinew_team *team;
    struct sinew_request *request, *inner;
    void *buf;
    size_t cap;
    struct match_key key;
    struct sinew_status *status;
};

static void persistent_receive_ended(struct completion *c, int status)
{
    operation_end(LIST_OWNER(c, struct persistent_receive, completion)->request, status);
}

static int persistent_receive_start(void *state, struct sinew_request *request)
{
    struct persistent_receive *p = state;
    p->request = request;
    if (p->key.source == SINEW_NO_RANK) return receive_nothing(p->status);
    return receive_start(p->team, p->buf, p->cap, &p->key, 0, p->status, &p->completion, &p->inner);
}

static void persistent_receive_cancel(void *state, int status)
{
    (void)state; /* the receive inside has the same deadline and ends by it */
    (void)status;
}

static void persistent_receive_release(void *state)
{
    struct persistent_receive *p = state;
    context_release(p->team->core->context, p, sizeof(*p));
}

static void persistent_receive_describe(const void *state, struct text *t)
{
    const struct persistent_receive *p = state;
    text_add(t, "persistent recv of %zu bytes from rank %d", p->cap, p->key.source);
}

static bool persistent_receive_uses(const void *state, const void *from, size_t len)
{
    return operation_begins_in(((const struct persistent_receive *)state)->buf, from, len);
}

static const struct operation_ops persistent_receive_ops = {
    .start = persistent_receive_start,
    .cancel = persistent_receive_cancel,
    .release = persistent_receive_release,
    .describe = persistent_receive_describe,
    .uses = persistent_receive_uses,
};

static int receive_persistent(struct sinew_team *team, void *buf, size_t cap,
                              const struct match_key *key, struct sinew_status *status,
                              struct sinew_request **req)
{
    struct persistent_receive *p = context_allocate(team->core->context, sizeof(*p));
    if (!p) return team_refuse(team, SINEW_ENOMEM, "no memory for a persistent receive");
    *p = (struct persistent_receive){ .completion.ended = persistent_receive_ended,
                                      .team = team,
                                      .buf = buf,
                                      .cap = cap,
                                      .key = *key,
                                      .status = status };
    return operation_run(team, &persistent_receive_ops, p, req);
}

/* ---- recv ------------------------------------------------------------------------------------ */

/* A started receive becomes what the caller asked for. */
static int receive_hand_over(int rc, struct sinew_request *r, struct sinew_request **req)
{
    if (rc < 0) return rc;
    if (!req) return rc == 0 ? 0 : wait_request(r);
    *req = rc == 0 ? NULL : r;
    return rc;
}

int receive_generally(struct sinew_team *team, void *buf, size_t cap, int from, int64_t tag,
                      struct sinew_status *status, struct sinew_request **req)
{
    struct sinew_request *r = NULL;
    int rc = receive_check(team, "sinew_recv", buf, cap, from, tag, !req);
    if (rc) return rc;
    if (!req) wait_see_others(team->core->context);
    struct match_key key = receive_key(team, from, tag);
    if (req && team->persistent) return receive_persistent(team, buf, cap, &key, status, req);
    if (from == SINEW_NO_RANK) {
        if (req) *req = NULL;
        return receive_nothing(status);
    }
    rc = receive_start(team, buf, cap, &key, 0, status, NULL, &r);
    return receive_hand_over(rc, r, req);
}

int sinew_cancel(struct sinew_request *req)
{
    if (!req) return SINEW_EINVAL;
    struct sinew *s = req->context;
    int rc = context_check(s, false);
    if (rc == 0) rc = request_refuse_ended(req, "sinew_cancel");
    if (rc) return rc;
    if (req->ops == &persistent_receive_ops && req->state == STATE_RUNNING)
        req = ((struct persistent_receive *)req->state_of)->inner;
    if (req->kind != REQUEST_RECV)
        return context_fail(s, SINEW_ENOTSUP, "sinew_cancel: only receives can be cancelled");
    if (req->state != STATE_POSTED)
        return context_fail(s, SINEW_EBUSY, "sinew_cancel: the receive has matched already");
    if (req->plain) window_file(req->peer);
    match_unpost(&s->match, req);
    request_status(req, req->peer ? req->peer->rank : SINEW_ANY_RANK, req->key.tag, 0);
    request_end(req, SINEW_ECANCELED);
    return 0;
}

/* ---- sendrecv -------------------------------------------------------------------------------- */

/* Both halves run at once; the last to end ends the operation. */
struct exchange {
    struct completion sent, received;
    struct sinew_team *team;
    struct sinew_request *request;
    const void *send_buf;
    void *recv_buf;
    size_t len, cap;
    int to, open;
    struct match_key out_key, in_key;
    struct sinew_status *status;
    int send_status, recv_status;
};

static void exchange_end(struct exchange *x)
{
    if (--x->open > 0) return;
    operation_end(x->request, x->recv_status ? x->recv_status : x->send_status);
}

static void exchange_sent(struct completion *c, int status)
{
    struct exchange *x = LIST_OWNER(c, struct exchange, sent);
    x->send_status = status;
    exchange_end(x);
}

static void exchange_received(struct completion *c, int status)
{
    struct exchange *x = LIST_OWNER(c, struct exchange, received);
    x->recv_status = status;
    exchange_end(x);
}

static int exchange_start(void *state, struct sinew_request *request)
{
    struct exchange *x = state;
    struct sinew_request *r;
    x->request = request;
    x->open = 0;
    x->send_status = x->recv_status = 0;
    int rc = x->in_key.source == SINEW_NO_RANK
                 ? receive_nothing(x->status)
                 : receive_start(x->team, x->recv_buf, x->cap, &x->in_key, 0, x->status,
                                 &x->received, &r);
    if (rc > 0) x->open++;
    if (rc < 0) x->recv_status = rc;
    rc = x->to == SINEW_NO_RANK ? 0
                                : send_start(x->team, x->send_buf, x->len, x->to, &x->out_key, 0,
                                             false, false, &x->sent, &r);
    if (rc > 0) x->open++;
    if (rc < 0) x->send_status = rc;
    if (x->open) return SINEW_PENDING;
    return x->recv_status ? x->recv_status : x->send_status;
}

static void exchange_cancel(void *state, int status)
{
    (void)state; /* both halves have the same deadline and end by it */
    (void)status;
}

static void exchange_release(void *state)
{
    struct exchange *x = state;
    context_release(x->team->core->context, x, sizeof(*x));
}

static void exchange_describe(const void *state, struct text *t)
{
    const struct exchange *x = state;
    text_add(t, "sendrecv of %zu bytes to rank %d and from rank %d, tag %u (%d of 2 open)", x->len,
             x->to, x->in_key.source, x->in_key.tag, x->open);
}

static bool exchange_uses(const void *state, const void *from, size_t len)
{
    const struct exchange *x = state;
    return operation_begins_in(x->send_buf, from, len) ||
           operation_begins_in(x->recv_buf, from, len);
}

static const struct operation_ops exchange_ops = {
    .start = exchange_start,
    .cancel = exchange_cancel,
    .release = exchange_release,
    .describe = exchange_describe,
    .uses = exchange_uses,
};

static bool overlap(const void *a, size_t a_len, const void *b, size_t b_len)
{
    uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
    return a_len && b_len && x < y + b_len && y < x + a_len;
}

int sinew_sendrecv(struct sinew_team *team, const void *send_buf, size_t len, int to,
                   void *recv_buf, size_t cap, int from, int64_t tag, struct sinew_status *status,
                   struct sinew_request **req)
{
    int rc = receive_check(team, "sinew_sendrecv", recv_buf, cap, from, tag, !req);
    if (rc) return rc;
    if (tag < 0)
        return team_refuse(team, SINEW_EINVAL,
                           "sinew_sendrecv: tag is %lld; it is sent too, so it must be 0 "
                           "to %lld",
                           (long long)tag, SINEW_TAG_MAX);
    if (to != SINEW_NO_RANK && (to < 0 || to >= team->core->size))
        return team_refuse(team, SINEW_EINVAL,
                           "sinew_sendrecv: to is %d; ranks of this team are 0 to %d", to,
                           team->core->size - 1);
    if (!send_buf && len > 0)
        return team_refuse(team, SINEW_EINVAL, "sinew_sendrecv: send_buf is NULL with len %zu",
                           len);
    if (len > PTRDIFF_MAX)
        return team_refuse(team, SINEW_EINVAL, "sinew_sendrecv: len is %zu; at most %td", len,
                           PTRDIFF_MAX);
    if (overlap(send_buf, len, recv_buf, cap))
        return team_refuse(team, SINEW_EINVAL, "sinew_sendrecv: send_buf and recv_buf overlap");
    struct exchange *x = context_allocate(team->core->context, sizeof(*x));
    if (!x) return team_refuse(team, SINEW_ENOMEM, "no memory for a sendrecv");
    *x = (struct exchange){
        .sent.ended = exchange_sent,
        .received.ended = exchange_received,
        .team = team,
        .send_buf = send_buf,
        .recv_buf = recv_buf,
        .len = len,
        .cap = cap,
        .to = to < 0 ? to : team_world_rank(team->core, to),
        .in_key = receive_key(team, from, tag),
        .status = status,
    };
    x->out_key = (struct match_key){ .source = team->core->context->rank,
                                     .team = team->core->id,
                                     .tag = (uint32_t)tag };
    return operation_run(team, &exchange_ops, x, req);
}

/* ---- probe ----------------------------------------------------------------------------------- */

struct sinew_message {
    struct list entry; /* context->messages */
    struct sinew_team *team;
    struct unexpected *unexpected;
};

struct waiting_probe {
    struct waiting base;
    struct sinew_team *team;
    struct match_key key;
    struct unexpected *found;
};

static bool probe_ready(struct waiting *w)
{
    struct waiting_probe *q = LIST_OWNER(w, struct waiting_probe, base);
    q->found = match_unexpected(&q->team->core->context->match, &q->key);
    return q->found || receive_hopeless(q->team, &q->key);
}

static void probe_describe(const struct waiting *w, struct text *t)
{
    const struct waiting_probe *q = LIST_OWNER(w, const struct waiting_probe, base);
    text_add(t, "probe of team %u from rank %d", q->key.team, q->key.source);
}

static const struct waiting_kind probe_kind = { .describe = probe_describe };

static void probe_status(const struct sinew_team *team, const struct unexpected *u,
                         struct sinew_status *status)
{
    if (!status) return;
    *status = (struct sinew_status){
        .rank = team_rank_of(team->core, u->peer->rank),
        .tag = u->tag,
        .bytes = u->length,
        .sent = u->length,
    };
}

static int message_take(struct sinew_team *team, struct unexpected *u,
                        struct sinew_message **message)
{
    struct sinew *s = team->core->context;
    struct sinew_message *m = context_allocate(s, sizeof(*m));
    if (!m) return team_refuse(team, SINEW_ENOMEM, "no memory for a matched probe");
    m->team = team;
    m->unexpected = u;
    match_drop(&s->match, u);
    team->live++;
    s->requests.live++;
    list_init(&m->entry);
    list_append(&s->messages, &m->entry);
    *message = m;
    return 0;
}

static int probe_meet(struct sinew_team *team, int from)
{
    struct sinew *s = team->core->context;
    if (from < 0) return 0;
    struct peer *p = peer_get(s, team_world_rank(team->core, from));
    if (!p) return SINEW_ENOMEM;
    int rc = p->state == PEER_NEW ? peer_meet(p) : 0;
    return rc < 0 && p->state != PEER_GONE ? rc : 0;
}

int sinew_probe(struct sinew_team *team, int from, int64_t tag, struct sinew_status *status,
                struct sinew_message **message, int64_t patience)
{
    int rc = receive_check(team, "sinew_probe", NULL, 0, from, tag, true);
    if (rc) return rc;
    if (from == SINEW_NO_RANK) {
        if (message) *message = NULL;
        return receive_nothing(status);
    }
    rc = probe_meet(team, from);
    if (rc) return rc;
    struct waiting_probe q = { .base = { .ready = probe_ready, .kind = &probe_kind },
                               .team = team,
                               .key = receive_key(team, from, tag) };
    rc = wait_patiently(team->core->context, &q.base, patience);
    if (rc) return rc;
    if (!q.found) return receive_despair(team, &q.key, status);
    if (message && (rc = message_take(team, q.found, message))) return rc;
    probe_status(team, q.found, status);
    return 0;
}

int sinew_message_recv(struct sinew_message **message, void *buf, size_t cap,
                       struct sinew_status *status, struct sinew_request **req)
{
    if (!message) return SINEW_EINVAL;
    struct sinew_message *m = *message;
    if (!m) {
        if (req) *req = NULL;
        return receive_nothing(status);
    }
    struct sinew_team *team = m->team;
    struct sinew *s = team->core->context;
    int rc = context_check(s, !req);
    if (rc == 0) rc = receive_check(team, "sinew_message_recv", buf, cap, SINEW_ANY_RANK, 0, !req);
    if (rc) return rc;
    struct sinew_request *r = NULL;
    struct match_key key = unexpected_key(m->unexpected);
    rc = receive_message(team, buf, cap, &key, m->unexpected, status, &r);
    if (rc < 0) return rc;
    list_remove(&m->entry);
    context_release(s, m, sizeof(*m));
    team->live--;
    s->requests.live--;
    *message = NULL;
    return receive_hand_over(rc, r, req);
}

void message_release_all(struct sinew *s)
{
    struct list *entry;
    while ((entry = list_take(&s->messages)))
        context_release(s, LIST_OWNER(entry, struct sinew_message, entry),
                        sizeof(struct sinew_message));
}
