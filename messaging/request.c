/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * request.c - the pool of requests, their numbers, and how they end
 *
 * A request ends exactly once, through request_end(): a user's becomes DONE and waits to be
 * consumed by test or wait; a collective's message (completion not NULL) tells its owner and is
 * free again. A number on the wire is index | generation << 32; the generation moves on when the
 * request is freed, so that a late answer finds nothing.
 */
#include <string.h>

#include "messaging/context.h"

static int pool_grow(struct sinew *s)
{
    struct request_pool *pool = &s->requests;
    if (pool->chunks == REQUEST_CHUNKS_MAX) return SINEW_ENOMEM;
    if (pool->chunks == pool->chunks_cap) {
        uint32_t cap = pool->chunks_cap ? pool->chunks_cap * 2 : 16;
        struct sinew_request **chunk = context_allocate(s, cap * sizeof(*chunk));
        if (!chunk) return SINEW_ENOMEM;
        if (pool->chunk) memcpy(chunk, pool->chunk, pool->chunks * sizeof(*chunk));
        context_release(s, pool->chunk, pool->chunks_cap * sizeof(*chunk));
        pool->chunk = chunk;
        pool->chunks_cap = cap;
    }
    size_t bytes = REQUEST_CHUNK * sizeof(struct sinew_request);
    struct sinew_request *fresh =
        world_allocate_aligned(s->world, _Alignof(struct sinew_request), bytes);
    if (!fresh) return SINEW_ENOMEM;
    s->counters.memory_bytes += bytes;
    for (uint32_t i = 0; i < REQUEST_CHUNK; i++) {
        fresh[i].index = pool->chunks * REQUEST_CHUNK + i;
        fresh[i].generation = 1;
        fresh[i].context = s;
        request_give(pool, &fresh[i]);
    }
    pool->chunk[pool->chunks++] = fresh;
    return 0;
}

void request_clear(struct sinew_request *r)
{
    struct sinew *s = r->context;
    uint32_t index = r->index, generation = r->generation;
    memset(r, 0, offsetof(struct sinew_request, theirs));
    r->context = s;
    r->index = index;
    r->generation = generation;
    list_init(&r->entry);
    list_init(&r->attached);
    list_init(&r->timed);
    list_init(&r->control.entry);
}

struct sinew_request *request_new(struct sinew_team *team, enum request_kind kind)
{
    struct sinew *s = team->core->context;
    struct sinew_request *r = request_take(&s->requests);
    if (!r) {
        if (pool_grow(s)) {
            context_fail(s, SINEW_ENOMEM, "no memory for another request (%u are live)",
                         request_live(s, NULL));
            return NULL;
        }
        r = request_take(&s->requests);
    }
    request_clear(r);
    r->team = team;
    r->kind = (uint8_t)kind;
    team->live++;
    s->requests.live++;
    return r;
}

void request_free(struct sinew_request *r)
{
    struct sinew *s = r->context;
    list_remove(&r->entry);
    list_remove(&r->attached);
    list_remove(&r->timed);
    list_remove(&r->control.entry);
    rendezvous_cleanup(r);
    r->team->live--;
    s->requests.live--;
    if (++r->generation == 0) r->generation = 1;
    request_give(&s->requests, r);
}

void request_make_whole(struct sinew_request *r, int source)
{
    uint64_t key = r->expect.key;
    r->key = (struct match_key){ .source = source,
                                 .team = (uint32_t)key,
                                 .tag = (uint32_t)(key >> 32) };
    if (r->plain == PLAIN_RECEIVE) {
        r->buf = r->expect.buf;
        r->len = r->expect.cap;
        r->expect.done = r->expect.is_short = false;
    }
    r->plain = PLAIN_NOT;
    r->asked = 0;
    list_init(&r->entry);
    r->team->live++;
    r->context->requests.live++;
}

int request_refuse_ended(const struct sinew_request *r, const char *call)
{
    if (r->state != STATE_FREE) return 0;
    return context_fail(r->context, SINEW_EINVAL,
                        "%s: the request has ended: test, wait or free has set another copy of its "
                        "handle NULL; keep one handle for a request",
                        call);
}

uint32_t request_live(const struct sinew *s, const struct sinew_team *team)
{
    uint32_t live = team ? team->live : s->requests.live;
    for (uint32_t i = 0; i < s->requests.chunks; i++)
        for (int j = 0; j < REQUEST_CHUNK; j++) {
            const struct sinew_request *r = &s->requests.chunk[i][j];
            if (r->state != STATE_FREE && r->plain && (!team || r->team == team)) live++;
        }
    return live;
}

struct sinew_request *request_find(struct sinew *s, uint64_t number)
{
    uint32_t index = (uint32_t)number, generation = (uint32_t)(number >> 32);
    if (index / REQUEST_CHUNK >= s->requests.chunks) return NULL;
    struct sinew_request *r = &s->requests.chunk[index / REQUEST_CHUNK][index % REQUEST_CHUNK];
    return r->generation == generation && r->state != STATE_FREE ? r : NULL;
}

uint64_t request_number(const struct sinew_request *r)
{
    return (uint64_t)r->generation << 32 | r->index;
}

void request_status(struct sinew_request *r, int source_world, uint32_t tag, uint64_t bytes)
{
    if (!r->status_out) return;
    *r->status_out = (struct sinew_status){
        .rank = source_world < 0 ? source_world : team_rank_of(r->team->core, source_world),
        .tag = tag,
        .bytes = bytes,
        .sent = r->sent,
    };
}

void request_end(struct sinew_request *r, int status)
{
    struct completion *c = r->completion;
    list_remove(&r->entry);
    list_remove(&r->attached);
    list_remove(&r->timed);
    r->status = status;
    if (!rendezvous_cleanup(r)) { /* rendezvous_revoked() comes here again */
        r->state = STATE_REVOKING;
        list_append(&r->context->revoking, &r->entry);
        return;
    }
    if (r->status_out) r->status_out->code = status;
    r->state = STATE_DONE;
    if (!c) return;
    /* What is given up after a failure must not hide the text of that failure. */
    if (status < 0 && status != SINEW_ECANCELED) request_explain(r);
    request_free(r);
    c->ended(c, status);
}

static int64_t request_patience(const struct sinew_request *r)
{
    return r->team->deadline ? r->team->deadline : r->context->config.deadline;
}

/* Whose deadline it was. */
static void explain_deadline(const struct sinew_request *r, const char *what)
{
    char duration[TEXT_DURATION_MAX];
    bool of_view = r->team->deadline != 0;
    context_fail(r->context, r->status,
                 "%s: not done within %s, the deadline of the %s; allow more, or see why the other "
                 "side does not come to it",
                 what, text_duration(request_patience(r), duration),
                 of_view ? "view (sinew_view_options.deadline)"
                         : "context (the setting `deadline`)");
}

/* Composed when the user asks for the outcome. */
void request_explain(struct sinew_request *r)
{
    char what[WHY_MAX];
    struct text t = text_into(what, sizeof(what));
    request_describe(r, &t);
    struct sinew *s = r->context;
    char cause[WHY_MAX] = "";
    struct text c = text_into(cause, sizeof(cause));
    if (r->kind == REQUEST_OPERATION && r->ops->explain) r->ops->explain(r->state_of, &c);
    if (c.need)
        context_fail(s, r->status, "%.200s: %.300s", what, cause);
    else if (r->kind == REQUEST_OPERATION && s->cause_of == request_number(r))
        context_fail(s, r->status, "%.200s: %.300s", what, s->cause.text);
    else if (r->status == SINEW_EPEER && r->peer)
        context_fail(s, r->status, "%s: %s", what, peer_gone_text(r->peer));
    else if (r->status == SINEW_EPEER)
        context_fail(s, r->status, "%s: no member of the team is left that could send", what);
    else if (r->status == SINEW_ETRUNCATED)
        context_fail(
            s, r->status,
            "%s: the message is longer than the buffer, %llu bytes; the rest is gone, the next "
            "message is intact; probe first, or post a larger buffer",
            what, (unsigned long long)r->sent);
    else if (r->status == SINEW_EMISMATCH)
        context_fail(s, r->status,
                     "%s: that rank called another collective, or the same with other arguments; "
                     "all ranks must call the same ones in the same order",
                     what);
    else if (r->status == SINEW_ETIMEDOUT && request_may_expire(r))
        explain_deadline(r, what);
    else
        context_fail(s, r->status, "%s: %s", what, sinew_strerror(r->status));
}

int request_consume(struct sinew_request **req)
{
    struct sinew_request *r = *req;
    int status = r->status;
    if (r->plain) {
        *req = NULL;
        request_free_plain(r);
        return 0;
    }
    if (status < 0) request_explain(r);
    if (r->persistent) {
        r->state = STATE_IDLE;
        r->status = 0;
        return status;
    }
    *req = NULL;
    const struct operation_ops *ops = r->ops;
    void *state = r->state_of;
    request_free(r);
    if (ops) ops->release(state);
    return status;
}

static const char *state_text(const struct sinew_request *r)
{
    switch ((enum request_state)r->state) {
    case STATE_QUEUED:
        return r->peer->state == PEER_UP ? "the receiver has no room for it yet"
                                         : "the link is not up yet";
    case STATE_HELD:
        return "its connection takes no more for now";
    case STATE_ASKING:
        return "the receiver has not asked for it yet";
    case STATE_MOVING:
        return "the body is on its way";
    case STATE_ENDING:
        return "the end is being told";
    case STATE_POSTED:
        return "nothing that matches has come";
    case STATE_FILLING:
    case STATE_READING:
        return "the body is on its way";
    case STATE_REVOKING:
        return "its memory is still lent";
    case STATE_IDLE:
        return "not started";
    default:
        return "";
    }
}

static void describe_peer(const struct sinew_request *r, struct text *t)
{
    const struct team_core *core = r->team->core;
    bool any = r->kind == REQUEST_RECV && r->key.source == SINEW_ANY_RANK;
    if (r->peer && !any) {
        team_describe_rank(r->team, team_rank_of(core, r->peer->rank), t);
        return;
    }
    text_add(t, "any rank");
    if (core->id) text_add(t, " of team %u", core->id);
}

static uint32_t request_tag(const struct sinew_request *r)
{
    return r->plain ? (uint32_t)(r->expect.key >> 32) : r->key.tag;
}

static size_t request_length(const struct sinew_request *r)
{
    return r->plain == PLAIN_RECEIVE ? r->expect.cap : r->len;
}

void request_describe(const struct sinew_request *r, struct text *t)
{
    if (r->kind == REQUEST_OPERATION) {
        r->ops->describe(r->state_of, t);
        return;
    }
    text_add(t, "%s of %zu bytes %s ", r->kind == REQUEST_SEND ? "send" : "receive",
             request_length(r),
             r->kind == REQUEST_SEND ? "to" : "from");
    describe_peer(r, t);
    if (r->space == SPACE_COLLECTIVE)
        text_add(t, ", collective %u step %u", r->key.tag, r->key.step);
    else if (r->key.any_tag)
        text_add(t, ", any tag");
    else
        text_add(t, ", tag %u", request_tag(r));
    if (r->state != STATE_DONE) text_add(t, " (%s)", state_text(r));
}

bool request_may_expire(const struct sinew_request *r)
{
    return request_patience(r) != INT64_MAX;
}

void request_set_deadline(struct sinew_request *r)
{
    struct sinew *s = r->context;
    int64_t patience = request_patience(r);
    if (patience == INT64_MAX) return;
    int64_t now = world_now(s->world);
    if (patience > INT64_MAX - now) return;
    r->deadline = now + patience;
    list_append(&s->timed, &r->timed);
}

/* The deadline has passed. What is lent to a transport ends when it comes back. */
void request_expire(struct sinew_request *r)
{
    list_remove(&r->timed);
    switch ((enum request_state)r->state) {
    case STATE_POSTED:
        match_unpost(&r->context->match, r);
        request_status(r, r->peer ? r->peer->rank : SINEW_ANY_RANK, r->key.tag, 0);
        request_end(r, SINEW_ETIMEDOUT);
        break;
    case STATE_QUEUED:
        outgoing_withdraw(r, SINEW_ETIMEDOUT);
        break;
    case STATE_ASKING:
        if (r->parked) self_withdraw(r);
        request_end(r, SINEW_ETIMEDOUT);
        break;
    case STATE_FILLING:
        /* Tell the sender that nobody wants it any more; the region is revoked at once. */
        request_status(r, r->peer->rank, r->key.tag, 0);
        rendezvous_abandon(r, SINEW_ETIMEDOUT, true);
        break;
    case STATE_RUNNING:
        if (!r->concluding) r->status = SINEW_ETIMEDOUT;
        r->ops->cancel(r->state_of, SINEW_ETIMEDOUT);
        break;
    default:
        break; /* the body is on its way out: it ends by itself */
    }
}

void request_pool_destroy(struct sinew *s)
{
    struct request_pool *pool = &s->requests;
    for (uint32_t i = 0; i < pool->chunks; i++)
        context_release(s, pool->chunk[i], REQUEST_CHUNK * sizeof(struct sinew_request));
    context_release(s, pool->chunk, pool->chunks_cap * sizeof(*pool->chunk));
    pool->chunk = NULL;
    pool->chunks = pool->chunks_cap = 0;
}
