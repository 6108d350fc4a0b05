/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * send.c - sending: at once, or from the peer's queue when it cannot take it yet
 *
 * A short message (eager) costs blocks of credit; a long one is announced (RTS) and costs one of
 * the requests. Beyond the credits the sender's own request is the queue.
 */
#include <string.h>

#include "base/wire.h"
#include "messaging/context.h"

/* Were there room at the receiver. */
static size_t send_link_limit(const struct peer *p, size_t limit)
{
    if (p->out) {
        const struct transport_caps *caps = &p->out->transport->caps;
        if (limit > caps->eager_max) limit = caps->eager_max;
        if (limit > caps->copy_max) limit = caps->copy_max;
    }
    return limit;
}

/* Of collectives' messages, once their window has grown: to be announced takes a round trip, and
 * where a message is a system call two more of those. A link that changes is bound to the usual. */
static size_t send_grown_limit(const struct peer *p)
{
    size_t usual = (size_t)p->context->config.eager_bytes;
    return send_link_limit(p, p->wired ? usual : 2 * usual);
}

size_t send_eager_limit(const struct peer *p, enum space space)
{
    size_t limit = space == SPACE_COLLECTIVE && p->has_grown
                       ? send_grown_limit(p)
                       : send_link_limit(p, (size_t)p->context->config.eager_bytes);
    /* Half the window, so that a full queue always drains: docs/PROTOCOL.md, "Credits". */
    size_t window = BLOCK_FIRST + (size_t)(p->window_blocks[space] / 2 - 1) * BLOCK_MORE;
    return limit < window ? limit : window;
}

static int send_eager(struct peer *p, const struct match_key *key, uint32_t digest, bool sync,
                      uint64_t number, const void *buf, size_t len)
{
    enum space space = key->space;
    uint32_t cost = blocks_of(len);
    uint8_t more[8];
    if (p->mine.blocks[space] < cost) {
        p->context->counters.unexpected_full++;
        return TRANSPORT_AGAIN;
    }
    wire_put64(more, number);
    int rc = outgoing_send(p, &(struct outgoing){
                                  .kind = space == SPACE_COLLECTIVE ? KIND_COLL
                                          : sync                    ? KIND_SYNC
                                                                    : KIND_EAGER,
                                  .team = key->team,
                                  .tag = key->tag,
                                  .step = key->step,
                                  .tile = key->tile,
                                  .digest = digest,
                                  .more = more,
                                  .more_len = sync ? sizeof(more) : 0,
                                  .body = buf,
                                  .body_len = len,
                              });
    if (rc) return rc;
    p->mine.blocks[space] -= cost;
    p->whole_out.messages++;
    p->whole_out.bytes += len;
    return 0;
}

/* How much of it goes along: the receiver copies that while its answer is on the way. Nothing
 * without the credit, nor where others are under way, for then nobody is idle. */
static size_t send_beginning(const struct sinew_request *r)
{
    const struct peer *p = r->peer;
    size_t most = p->out->transport->caps.begin_max, limit = send_eager_limit(p, r->space);
    if (most > limit) most = limit;
    /* Half as much of a collective's: its receiver is often behind, and then what goes along is
     * kept, and copied twice; and the window is the one that the next messages need. */
    if (r->space == SPACE_COLLECTIVE) most /= 2;
    most -= most % LANDING_ALIGN; /* what is put behind it may land */
    bool is_alone = list_empty(&p->attached);
    return is_alone && most > OFFER_MAX && blocks_of(most) <= p->mine.blocks[r->space] ? most : 0;
}

/* It may have to wait for the receiver's end to let go of it: so it must not be one that may be
 * given up, as those that have a deadline, or an owner who has other plans. */
static bool may_lend(const struct sinew_request *r)
{
    return r->mine_at->caps.offers && !r->completion && !request_may_expire(r);
}

static int send_announce(struct sinew_request *r)
{
    struct peer *p = r->peer;
    uint8_t more[16], offer[OFFER_MAX];
    if (p->mine.requests[r->space] == 0) {
        p->context->counters.unexpected_full++;
        return TRANSPORT_AGAIN;
    }
    wire_put64(more, request_number(r));
    wire_put64(more + 8, r->len);
    size_t offered = rendezvous_offer(r, offer), begun = offered ? 0 : send_beginning(r);
    int rc = outgoing_send(
        p, &(struct outgoing){ .kind = r->space == SPACE_COLLECTIVE ? KIND_COLL_RTS : KIND_RTS,
                               .team = r->key.team,
                               .tag = r->key.tag,
                               .step = r->key.step,
                               .tile = r->key.tile,
                               .digest = r->digest,
                               .more = more,
                               .more_len = sizeof(more),
                               .body = begun ? r->buf : offer,
                               .body_len = begun ? begun : offered,
                               .region = offered && may_lend(r) ? &r->mine : NULL });
    if (rc) return rc;
    r->begun = begun;
    if (begun) p->mine.blocks[r->space] -= blocks_of(begun);
    p->mine.requests[r->space]--;
    p->whole_out.messages++;
    p->context->counters.rendezvous_sent++;
    /* With more room it would not have been announced. */
    if (r->space == SPACE_COLLECTIVE && r->len <= send_grown_limit(p)) jump_tell_waits(p);
    return SINEW_PENDING;
}

int send_try(struct sinew_request *r)
{
    struct peer *p = r->peer;
    if (!p->out || p->stuck) return TRANSPORT_AGAIN;
    int rc = r->len <= send_eager_limit(p, r->space)
                 ? send_eager(p, &r->key, r->digest, r->sync, request_number(r), r->buf, r->len)
                 : send_announce(r);
    if (rc == 0 && r->sync) rc = SINEW_PENDING;
    if (rc == SINEW_PENDING) {
        r->state = STATE_ASKING;
        list_append(&p->attached, &r->attached);
    }
    return rc;
}

static bool may_go_at_once(const struct peer *p, enum space space)
{
    return p->out && !p->stuck && list_empty(&p->queue[space]) &&
           !(p->jumping && space == SPACE_USER);
}

/* The first collective's message in the queue would go if there were room at the receiver; one that
 * waits for an announcement, and what stands behind that, would not. */
static bool waits_for_room(const struct peer *p)
{
    const struct list *first = p->queue[SPACE_COLLECTIVE].next;
    const struct sinew_request *r = LIST_OWNER(first, const struct sinew_request, entry);
    return p->out && !p->stuck && r->len <= send_eager_limit(p, SPACE_COLLECTIVE) &&
           p->mine.blocks[SPACE_COLLECTIVE] < blocks_of(r->len);
}

/* The general way: a request that is tried now, or waits in the peer's queue. */
static int send_request(struct sinew_request *r)
{
    struct peer *p = r->peer;
    bool at_once = may_go_at_once(p, r->space);
    r->state = STATE_QUEUED;
    int rc = at_once ? send_try(r) : TRANSPORT_AGAIN;
    if (rc == TRANSPORT_AGAIN) {
        r->order = p->queued++;
        list_append(&p->queue[r->space], &r->entry);
        quick_close(p);
        if (r->space == SPACE_USER && p->out && !p->stuck) jump_tell_stuck(p);
        if (r->space == SPACE_COLLECTIVE && waits_for_room(p)) jump_tell_waits(p);
        return SINEW_PENDING;
    }
    return rc;
}

static int refuse_gone(struct peer *p)
{
    return context_fail(p->context, p->gone_status, "send to rank %d: %s", p->rank,
                        peer_gone_text(p));
}

static struct sinew_request *send_prepare(struct sinew_team *team, const void *buf, size_t len,
                                          struct peer *p, const struct match_key *key,
                                          uint32_t digest, bool sync, struct completion *c)
{
    struct sinew_request *r = request_new(team, REQUEST_SEND);
    if (!r) return NULL;
    r->peer = p;
    r->key = *key;
    r->space = key->space;
    r->digest = digest;
    r->sync = sync;
    r->completion = c;
    r->buf = (void *)(uintptr_t)buf; /* only read: a send never writes through it */
    r->len = len;
    return r;
}

int send_start(struct sinew_team *team, const void *buf, size_t len, int to_world,
               const struct match_key *key, uint32_t digest, bool sync, bool blocking,
               struct completion *c, struct sinew_request **out)
{
    struct sinew *s = team->core->context;
    struct peer *p = s->peer[to_world];
    if (!p && !(p = peer_get(s, to_world))) return SINEW_ENOMEM;
    if (p->state == PEER_NEW) {
        int rc = peer_meet(p);
        if (rc < 0) return rc;
    }
    if (p->state == PEER_GONE) return refuse_gone(p);
    if (!sync && may_go_at_once(p, key->space) && len <= send_eager_limit(p, key->space)) {
        int rc = send_eager(p, key, digest, false, 0, buf, len);
        if (rc == 0) {
            quick_open(p);
            return 0;
        }
        if (rc < 0)
            return context_fail(s, SINEW_EPEER, "send to rank %d: %s", p->rank, peer_gone_text(p));
    }
    struct sinew_request *r = send_prepare(team, buf, len, p, key, digest, sync, c);
    if (!r) return SINEW_ENOMEM;
    int rc = p->rank == s->rank ? self_send(r, blocking) : send_request(r);
    if (rc <= 0) {
        if (rc < 0 && rc != SINEW_ESTATE && rc != SINEW_ENOMEM)
            rc = context_fail(s, SINEW_EPEER, "send to rank %d: %s", p->rank, peer_gone_text(p));
        request_free(r);
        return rc;
    }
    request_set_deadline(r);
    *out = r;
    return SINEW_PENDING;
}

/* ---- the public calls ------------------------------------------------------------------------ */

struct persistent_send {
    struct completion completion;
    struct sinew_team *team;
    struct sinew_request *request;
    const void *buf;
    size_t len;
    int to;
    struct match_key key;
    bool sync;
};

static void persistent_send_ended(struct completion *c, int status)
{
    struct persistent_send *p = LIST_OWNER(c, struct persistent_send, completion);
    operation_end(p->request, status);
}

static int persistent_send_start(void *state, struct sinew_request *request)
{
    struct persistent_send *p = state;
    struct sinew_request *r;
    p->request = request;
    if (p->to == SINEW_NO_RANK) return 0;
    return send_start(p->team, p->buf, p->len, p->to, &p->key, 0, p->sync, false, &p->completion,
                      &r);
}

static void persistent_send_cancel(void *state, int status)
{
    (void)state; /* its message has the same deadline and ends by it */
    (void)status;
}

static void persistent_send_release(void *state)
{
    struct persistent_send *p = state;
    context_release(p->team->core->context, p, sizeof(*p));
}

static void persistent_send_describe(const void *state, struct text *t)
{
    const struct persistent_send *p = state;
    text_add(t, "persistent send of %zu bytes to rank %d, tag %u", p->len, p->to, p->key.tag);
}

static bool persistent_send_uses(const void *state, const void *from, size_t len)
{
    return operation_begins_in(((const struct persistent_send *)state)->buf, from, len);
}

static const struct operation_ops persistent_send_ops = {
    .start = persistent_send_start,
    .cancel = persistent_send_cancel,
    .release = persistent_send_release,
    .describe = persistent_send_describe,
    .uses = persistent_send_uses,
};

static int send_persistent(struct sinew_team *team, const void *buf, size_t len, int to,
                           const struct match_key *key, bool sync, struct sinew_request **req)
{
    struct persistent_send *p = context_allocate(team->core->context, sizeof(*p));
    if (!p) return team_refuse(team, SINEW_ENOMEM, "no memory for a persistent send");
    *p = (struct persistent_send){ .completion.ended = persistent_send_ended,
                                   .team = team,
                                   .buf = buf,
                                   .len = len,
                                   .to = to,
                                   .key = *key,
                                   .sync = sync };
    return operation_run(team, &persistent_send_ops, p, req);
}

static int send_check(struct sinew_team *team, const char *call, const void *buf, size_t len,
                      int to, int64_t tag, bool blocking)
{
    if (!team) return SINEW_EINVAL;
    int rc = context_check(team->core->context, blocking);
    if (rc) return rc;
    if (to != SINEW_NO_RANK && (to < 0 || to >= team->core->size))
        return team_refuse(team, SINEW_EINVAL, "%s: to is %d; ranks of this team are 0 to %d", call,
                           to, team->core->size - 1);
    if (tag < 0 || tag > SINEW_TAG_MAX)
        return team_refuse(team, SINEW_EINVAL, "%s: tag is %lld; tags are 0 to %lld", call,
                           (long long)tag, SINEW_TAG_MAX);
    if (!buf && len > 0)
        return team_refuse(team, SINEW_EINVAL, "%s: buf is NULL with len %zu", call, len);
    if (len > PTRDIFF_MAX)
        return team_refuse(team, SINEW_EINVAL, "%s: len is %zu; at most %td", call, len,
                           PTRDIFF_MAX);
    return 0;
}

int send_generally(struct sinew_team *team, const char *call, const void *buf, size_t len, int to,
                   int64_t tag, bool sync, struct sinew_request **req)
{
    struct sinew_request *r = NULL;
    int rc = send_check(team, call, buf, len, to, tag, !req);
    if (rc) return rc;
    struct match_key key = { .source = team->core->context->rank,
                             .team = team->core->id,
                             .tag = (uint32_t)tag };
    int world = to == SINEW_NO_RANK ? to : team_world_rank(team->core, to);
    if (req && team->persistent) return send_persistent(team, buf, len, world, &key, sync, req);
    if (to == SINEW_NO_RANK) {
        if (req) *req = NULL;
        return 0;
    }
    rc = send_start(team, buf, len, world, &key, 0, sync, !req, NULL, &r);
    if (rc < 0) return rc;
    if (!req) return rc == 0 ? 0 : wait_request(r);
    *req = rc == 0 ? NULL : r;
    return rc;
}

int sinew_send_sync(struct sinew_team *team, const void *buf, size_t len, int to, int64_t tag,
                    struct sinew_request **req)
{
    return send_generally(team, "sinew_send_sync", buf, len, to, tag, true, req);
}
