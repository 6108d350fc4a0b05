/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * operation.c - messages of collectives, and operations made of many messages
 */
#include "messaging/context.h"

enum { OPERATION_ASKS_NS = 1000000000 };

static struct match_key collective_match(const struct sinew_team *team, int source_world,
                                         const struct collective_key *key)
{
    return (struct match_key){
        .source = source_world,
        .team = team->core->id,
        .tag = key->sequence,
        .step = key->step,
        .tile = key->tile,
        .space = SPACE_COLLECTIVE,
    };
}

int collective_send(struct sinew_team *team, const void *buf, size_t len, int to,
                    const struct collective_key *key, struct completion *c)
{
    struct sinew_request *r;
    struct match_key match = collective_match(team, team->core->context->rank, key);
    return send_start(team, buf, len, team_world_rank(team->core, to), &match, key->digest, false,
                      false, c, &r);
}

int collective_recv(struct sinew_team *team, void *buf, size_t cap, int from,
                    const struct collective_key *key, struct completion *c)
{
    struct sinew_request *r;
    struct match_key match = collective_match(team, team_world_rank(team->core, from), key);
    return receive_start(team, buf, cap, &match, key->digest, NULL, c, &r);
}

bool collective_lands(const struct sinew_team *team)
{
    const struct team_core *core = team->core;
    for (int i = 0; i < core->size; i++) {
        const struct peer *p = core->peer[i];
        if (i != core->rank && !(p && p->out && link_lands(p->out))) return false;
    }
    return true;
}

int collective_recv_landing(struct sinew_team *team, struct landing *landing, void *room,
                            size_t len, int from, const struct collective_key *key,
                            struct completion *c)
{
    struct sinew_request *r;
    struct match_key match = collective_match(team, team_world_rank(team->core, from), key);
    return receive_start_landing(team, landing, room, len, &match, key->digest, c, &r);
}

static bool belongs(const struct sinew_request *r, uint32_t team, uint32_t sequence)
{
    return r->space == SPACE_COLLECTIVE && r->key.team == team && r->key.tag == sequence;
}

static void collect_posted(struct match *m, uint32_t team, uint32_t sequence, struct list *to)
{
    for (int i = 0; i < MATCH_BUCKETS; i++) {
        struct list *next;
        for (struct list *l = m->posted[i].next; l != &m->posted[i]; l = next) {
            struct sinew_request *r = LIST_OWNER(l, struct sinew_request, entry);
            next = l->next;
            if (!belongs(r, team, sequence)) continue;
            match_unpost(m, r);
            list_append(to, &r->entry);
        }
    }
}

static void collect_queued(struct peer *p, uint32_t team, uint32_t sequence, struct list *to)
{
    struct list *queue = &p->queue[SPACE_COLLECTIVE], *next;
    for (struct list *l = queue->next; l != queue; l = next) {
        struct sinew_request *r = LIST_OWNER(l, struct sinew_request, entry);
        next = l->next;
        if (!belongs(r, team, sequence)) continue;
        list_remove(&r->entry);
        list_append(to, &r->entry);
    }
}

static void collect_asking(struct peer *p, uint32_t team, uint32_t sequence, struct list *to)
{
    for (struct list *l = p->attached.next; l != &p->attached; l = l->next) {
        struct sinew_request *r = LIST_OWNER(l, struct sinew_request, attached);
        if (r->kind == REQUEST_SEND && r->state == STATE_ASKING && belongs(r, team, sequence))
            list_append(to, &r->entry);
    }
}

/* What came for it and was kept. */
static void drop_kept(struct match *m, uint32_t team, uint32_t sequence, int status)
{
    for (int i = 0; i < MATCH_BUCKETS && m->kept_count; i++) {
        struct list *next;
        for (struct list *l = m->unexpected[i].next; l != &m->unexpected[i]; l = next) {
            struct unexpected *u = LIST_OWNER(l, struct unexpected, bucket);
            next = l->next;
            if (u->team == team && u->tag == sequence &&
                unexpected_key(u).space == SPACE_COLLECTIVE)
                receive_discard(u, status);
        }
    }
}

void collective_cancel(struct sinew_team *team, uint32_t sequence, int status)
{
    struct sinew *s = team->core->context;
    uint32_t id = team->core->id;
    struct list cancelled;
    list_init(&cancelled);
    collect_posted(&s->match, id, sequence, &cancelled);
    for (int i = 0; i < team->core->size; i++) {
        struct peer *p = s->peer[team_world_rank(team->core, i)];
        if (!p) continue;
        collect_queued(p, id, sequence, &cancelled);
        collect_asking(p, id, sequence, &cancelled);
    }
    struct list *entry;
    while ((entry = list_take(&cancelled))) {
        struct sinew_request *r = LIST_OWNER(entry, struct sinew_request, entry);
        if (r->parked) self_withdraw(r);
        if (r->state == STATE_QUEUED)
            outgoing_withdraw(r, SINEW_ECANCELED);
        else
            request_end(r, SINEW_ECANCELED);
    }
    drop_kept(&s->match, id, sequence, status == SINEW_ETIMEDOUT ? SINEW_ECANCELED : status);
}

/* ---- operations ------------------------------------------------------------------------------ */

/* What went wrong inside is known now; the user asks later. */
static void operation_cause(const struct sinew_request *r)
{
    struct sinew *s = r->context;
    s->cause = s->why;
    s->cause_of = request_number(r);
}

void operation_end(struct sinew_request *r, int status)
{
    /* A deadline that has passed asked the operation to end: that is the outcome. */
    if (r->status == SINEW_ETIMEDOUT)
        status = SINEW_ETIMEDOUT;
    else if (status < 0)
        operation_cause(r);
    list_remove(&r->timed);
    list_remove(&r->attached);
    if (r->persistent) {
        r->state = STATE_DONE;
        r->status = status;
    } else {
        request_end(r, status);
    }
}

void operation_conclude(struct sinew_request *r, int64_t patience)
{
    struct sinew *s = r->context;
    r->concluding = true;
    r->deadline = world_now(s->world) + patience;
    if (list_empty(&r->timed)) list_append(&s->timed, &r->timed);
}

void operations_ask(struct sinew *s)
{
    int64_t now = world_now(s->world);
    struct list held;
    list_init(&held);
    list_splice(&held, &s->operations);
    for (struct list *entry; (entry = list_take(&held));) {
        struct sinew_request *r = LIST_OWNER(entry, struct sinew_request, attached);
        bool asks = r->asks && now >= r->asks;
        list_append(&s->operations, &r->attached);
        if (asks || !r->asks) r->asks = now + OPERATION_ASKS_NS;
        if (asks) r->ops->stalled(r->state_of);
    }
}

/* Begin a round: 0 or < 0 is final, and the request is DONE. */
static int operation_start(struct sinew_request *r)
{
    r->state = STATE_RUNNING;
    r->status = 0;
    r->concluding = false;
    request_set_deadline(r);
    int rc = r->ops->start(r->state_of, r);
    if (rc > 0 && r->ops->stalled) list_append(&r->context->operations, &r->attached);
    r->asks = 0;
    if (rc > 0) return SINEW_PENDING;
    list_remove(&r->timed);
    r->state = STATE_DONE;
    r->status = rc;
    if (rc < 0) operation_cause(r);
    return rc;
}

int operation_run(struct sinew_team *team, const struct operation_ops *ops, void *state,
                  struct sinew_request **req)
{
    struct sinew_request *r = request_new(team, REQUEST_OPERATION);
    if (!r) {
        ops->release(state);
        return SINEW_ENOMEM;
    }
    r->ops = ops;
    r->state_of = state;
    if (req && team->persistent) {
        r->persistent = true;
        r->state = STATE_IDLE;
        *req = r;
        return 0;
    }
    int rc = operation_start(r);
    if (rc != 0 && req) { /* a failure is an outcome too: something was started */
        *req = r;
        return SINEW_PENDING;
    }
    if (rc > 0) return wait_request(r);
    if (rc < 0) request_explain(r);
    ops->release(state);
    request_free(r);
    if (rc == 0 && req) *req = NULL;
    return rc;
}

int sinew_start(struct sinew_request *req)
{
    if (!req) return SINEW_EINVAL;
    struct sinew *s = req->context;
    int rc = context_check(s, false);
    if (rc == 0) rc = request_refuse_ended(req, "sinew_start");
    if (rc) return rc;
    if (!req->persistent)
        return context_fail(s, SINEW_EINVAL,
                            "sinew_start: the request was not made through a persistent "
                            "view");
    if (req->state != STATE_IDLE)
        return context_fail(s, SINEW_ESTATE,
                            "sinew_start: the request is under way, or has an outcome "
                            "nobody has waited for");
    rc = operation_start(req);
    if (rc == 0) req->state = STATE_IDLE;
    return rc == 0 ? 0 : SINEW_PENDING;
}

int sinew_request_free(struct sinew_request **req)
{
    if (!req || !*req) return 0;
    struct sinew_request *r = *req;
    struct sinew *s = r->context;
    int rc = context_check(s, false);
    if (rc == 0) rc = request_refuse_ended(r, "sinew_request_free");
    if (rc) return rc;
    if (!r->persistent)
        return context_fail(s, SINEW_EINVAL,
                            "sinew_request_free: only persistent requests are freed; "
                            "others end by wait or test");
    if (r->state == STATE_RUNNING)
        return context_fail(s, SINEW_EBUSY,
                            "sinew_request_free: the request is under way; wait first");
    r->ops->release(r->state_of);
    request_free(r);
    *req = NULL;
    return 0;
}
