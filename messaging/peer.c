/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peer.c - what is known of a rank once it was met, and how it goes
 */
#include <stdio.h>
#include <string.h>

#include "messaging/context.h"

/*
 * The unexpected pool: of unexpected_bytes, 5/8 for users' short messages, 2/8 for collectives',
 * the rest (and one block per request beyond it) for announcements. A sender starts with what the
 * smallest configuration grants, and is told the rest in the first CREDIT.
 */
enum { LEAST_BYTES = 32768, LEAST_REQUESTS = 1 };

/*
 * A stream is as fast as its credit comes back: a peer whose messages are consumed as they come,
 * and which has to wait for room all the same, gets as much again GROWTH times, once and for good;
 * a quarter of it is for collectives. So do the first GROWN_MAX of them, which bounds the memory;
 * the place of one that is gone is another's, once what it left there is consumed.
 * In a collective messages come before anybody has asked for them: what lies here says nothing,
 * what was received does.
 *
 * It may announce more at once, too, with a block for each, up to as many as shared memory lets a
 * peer read at a time.
 */
enum { GROWTH = 4, GROWTH_BYTES_MAX = 262144, GROWN_MAX = 8, GROWN_REQUESTS = 64 };

static struct credit credit_of(uint64_t bytes, uint32_t requests)
{
    uint32_t eighth = (uint32_t)(bytes / BLOCK_BYTES / 8);
    return (struct credit){ .blocks = { 5 * eighth, 2 * eighth },
                            .requests = { requests, requests } };
}

static void credit_open(struct peer *p)
{
    const struct config *c = &p->context->config;
    struct credit least = credit_of(LEAST_BYTES, LEAST_REQUESTS);
    struct credit all = credit_of((uint64_t)c->unexpected_bytes, (uint32_t)c->unexpected_requests);
    p->mine = least;
    p->kept_blocks = UINT32_MAX;
    for (int i = 0; i < SPACES; i++) {
        p->window_blocks[i] = least.blocks[i];
        p->owed.blocks[i] = all.blocks[i] - least.blocks[i];
        p->owed.requests[i] = all.requests[i] - least.requests[i];
        p->blocks_total += all.blocks[i] + all.requests[i];
    }
    p->worth_telling = all.blocks[SPACE_COLLECTIVE] / 2;
    p->longest = all.blocks[SPACE_USER] / 2;
}

/* It is a stream, and what it sends is consumed, as what it announces is. */
static bool peer_is_heard(const struct peer *p, enum space space)
{
    if (space == SPACE_COLLECTIVE) return peer_received(p).bytes >= STREAM_BYTES;
    uint32_t announced = (uint32_t)p->context->config.unexpected_requests;
    return p->blocks_free >= p->blocks_total - p->blocks_total / 8 &&
           p->announcements <= announced / 8;
}

/* Announcements of users by which one that grows has more. */
static uint32_t more_requests(const struct config *c)
{
    uint32_t now = (uint32_t)c->unexpected_requests, more = GROWTH * now;
    if (now >= GROWN_REQUESTS) return 0;
    return more < GROWN_REQUESTS - now ? more : GROWN_REQUESTS - now;
}

/* A message for credit alone is a system call, or comes before what a straight call looks for. */
static bool credit_is_dear(const struct peer *p)
{
    return (p->quick_in && p->quick_in->transport->caps.lends) ||
           (p->out && p->out->transport->caps.holds);
}

void peer_grow(struct peer *p, enum space space)
{
    struct sinew *s = p->context;
    uint64_t bytes = GROWTH * (uint64_t)s->config.unexpected_bytes;
    if (p->more_blocks || s->grown == GROWN_MAX || p->state == PEER_GONE ||
        !peer_is_heard(p, space))
        return;
    if (bytes > GROWTH_BYTES_MAX) bytes = GROWTH_BYTES_MAX;
    uint32_t blocks = (uint32_t)(bytes / BLOCK_BYTES), requests = more_requests(&s->config);
    if (!unexpected_grow(p, blocks + requests)) return;
    /* As half of its window was told before, so of the larger one. */
    if (credit_is_dear(p)) p->worth_telling += blocks / 8;
    p->longest += (blocks - blocks / 4) / 2;
    s->grown++;
    p->growth = blocks;
    p->owed.requests[SPACE_USER] += requests;
    outgoing_grant(p); /* or with the first that finds room */
}

static void peer_init(struct peer *p, struct sinew *s, int rank)
{
    p->context = s;
    p->rank = rank;
    p->gone_status = SINEW_EPEER;
    quick_close(p);
    list_init(&p->owing);
    list_init(&p->deferral);
    list_init(&p->controls);
    list_init(&p->puts);
    list_init(&p->attached);
    for (int i = 0; i < SPACES; i++) list_init(&p->queue[i]);
}

struct peer *peer_get(struct sinew *s, int world_rank)
{
    struct peer *p = s->peer[world_rank];
    if (p) return p;
    p = context_allocate(s, sizeof(*p));
    if (!p) {
        context_fail(s, SINEW_ENOMEM, "no memory to meet rank %d", world_rank);
        return NULL;
    }
    peer_init(p, s, world_rank);
    credit_open(p);
    if (unexpected_open(p)) {
        context_release(s, p, sizeof(*p));
        return NULL;
    }
    if (world_rank == s->rank) p->state = PEER_UP;
    s->peer[world_rank] = p;
    team_meet(p);
    s->counters.peers_met++;
    return p;
}

void peer_destroy(struct peer *p)
{
    struct sinew *s = p->context;
    list_remove(&p->owing);
    list_remove(&p->deferral);
    while (!list_empty(&p->controls)) {
        struct control *c = LIST_OWNER(list_take(&p->controls), struct control, entry);
        if (c->kind == KIND_COLL_WHY)
            word_sent(p, c);
        else if (c->orphan)
            context_release(s, c, sizeof(*c));
    }
    wired_release(p);
    s->peer[p->rank] = NULL;
    context_release(s, p->blocks, (size_t)p->blocks_first * BLOCK_BYTES);
    if (p->more_blocks) {
        context_release(s, p->more_blocks,
                        (size_t)(p->blocks_total - p->blocks_first) * BLOCK_BYTES);
        s->grown--;
    }
    context_release(s, p, sizeof(*p));
}

const char *peer_gone_text(const struct peer *p)
{
    /* What its link has in hand ends before its `down` comes, and says why already. */
    if (p->out && !p->going && p->out->why.text[0]) return p->out->why.text;
    if (p->why.text[0]) return p->why.text;
    for (int i = 0; i < p->context->transports; i++)
        if (p->link[i] && p->link[i]->why.text[0]) return p->link[i]->why.text;
    return "its link ends, for a reason not known here: it leaves the job, or has died";
}

static void end_requests(struct list *queue, int status)
{
    struct list *entry;
    while ((entry = list_take(queue)))
        request_end(LIST_OWNER(entry, struct sinew_request, entry), status);
}

/* Controls die with the link: an orphan is released, a request's is ended with its request. */
static void drop_controls(struct peer *p)
{
    struct list *entry;
    while ((entry = list_take(&p->controls))) {
        struct control *c = LIST_OWNER(entry, struct control, entry);
        uint8_t kind = c->kind;
        c->kind = 0;
        if (kind == KIND_COLL_WHY)
            word_sent(p, c);
        else if (c->orphan)
            context_release(p->context, c, sizeof(*c));
    }
}

static void end_attached(struct peer *p)
{
    struct list held;
    list_init(&held);
    list_splice(&held, &p->attached);
    struct list *entry;
    while ((entry = list_take(&held))) {
        struct sinew_request *r = LIST_OWNER(entry, struct sinew_request, attached);
        if (r->kind == REQUEST_RECV && r->state == STATE_FILLING) {
            request_status(r, p->rank, r->key.tag, 0);
            rendezvous_abandon(r, p->gone_status, false);
        } else if (r->kind == REQUEST_SEND) {
            request_end(r, p->gone_status);
        }
    }
}

static void count_in_teams(struct peer *p)
{
    struct sinew *s = p->context;
    for (struct list *l = s->teams.next; l != &s->teams; l = l->next) {
        struct team_core *core = LIST_OWNER(l, struct team_core, entry);
        if (team_rank_of(core, p->rank) >= 0) core->gone++;
    }
}

int peer_breaks(struct peer *p, const char *format, ...)
{
    va_list args;
    char what[WHY_MAX];
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    return why_set(&p->why, SINEW_EPROTO, "rank %d broke the protocol: it %.400s", p->rank, what);
}

void peer_gone(struct peer *p, int status, enum gone gone, const char *why)
{
    struct sinew *s = p->context;
    if (p->state == PEER_GONE) return;
    p->state = PEER_GONE;
    p->gone = gone;
    p->gone_status = status;
    p->out = p->quick_in = NULL;
    quick_close(p);
    why_set(&p->why, 0, "%s", why);
    if (gone == GONE_LEFT)
        s->counters.peers_left++;
    else
        s->counters.peers_died++;
    log_line(&s->log, gone == GONE_LEFT ? LOG_CHOICE : LOG_WARNING, "%s", why);
    list_remove(&p->owing);
    jump_forget(p);
    count_in_teams(p);
    drop_controls(p);
    end_attached(p);
    for (int i = 0; i < SPACES; i++) end_requests(&p->queue[i], status);
    end_requests(&p->puts, status);
    receive_peer_gone(p);
    unexpected_shrink(p); /* or with the last message that lies there */
}
