/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * outgoing.c - everything that goes to a peer, and what waits for its turn
 *
 * What waits, in the order in which it is tried when there is room: the credit grant, control
 * messages, collectives' messages, puts, users' messages. Control messages live in the objects they
 * speak of and their number is bounded by the credits, so they need no room of their own. Nothing
 * is allocated here but the rare orphan: an answer to a request that nobody remembers, bounded by
 * the sender's credits.
 */
#include <string.h>

#include "base/wire.h"
#include "messaging/context.h"

static enum space space_of(uint8_t kind)
{
    return kind == KIND_COLL || kind == KIND_COLL_RTS ? SPACE_COLLECTIVE : SPACE_USER;
}

int outgoing_send(struct peer *p, const struct outgoing *o)
{
    uint8_t head[TRANSPORT_HEAD_MAX];
    enum space space = space_of(o->kind);
    if (!p->out || p->stuck) return TRANSPORT_AGAIN;
    uint32_t credit = p->owed.blocks[space] < UINT16_MAX ? p->owed.blocks[space] : UINT16_MAX;
    struct envelope e = {
        .seq = (uint16_t)p->messages_out,
        .kind = o->kind,
        .credit = (uint16_t)credit,
        .length = (uint32_t)o->body_len,
        .team = o->team,
        .tag = o->tag,
        .step = o->step,
        .tile = o->tile,
        .digest = o->digest,
    };
    size_t hlen = envelope_encode(head, &e);
    if (o->more_len) memcpy(head + hlen, o->more, o->more_len);
    int rc = p->out->ops->send(p->out, head, hlen + o->more_len, o->body, o->body_len, o->region,
                               0);
    if (rc == 0) {
        p->owed.blocks[space] -= credit;
        p->messages_out++;
        p->bytes_out += o->body_len;
        p->general_out.messages++;
        p->general_out.bytes += o->body_len;
        if (p->ahead) shift_went_ahead(p, o->body_len);
    } else if (rc > 0 || wired_goes_on(p, p->out)) {
        p->stuck = true;
        quick_close(p);
        return TRANSPORT_AGAIN;
    }
    return rc;
}

/* ---- control messages ------------------------------------------------------------------------ */

enum { CTS_FIXED = 26, NACK_MORE = 13, AGAIN_MORE = 16 };

static int send_cts(struct peer *p, struct sinew_request *r)
{
    uint8_t body[CTS_FIXED + TRANSPORT_KEY_MAX];
    wire_put64(body, r->theirs);
    wire_put64(body + 8, request_number(r));
    wire_put64(body + 16, r->mine.len);
    body[24] = r->transport ? r->transport->ops->id : 0;
    body[25] = (uint8_t)r->mine.key_len;
    memcpy(body + CTS_FIXED, r->mine.key, r->mine.key_len);
    return outgoing_send(p, &(struct outgoing){ .kind = KIND_CTS,
                                                .tag = r->cleared_again ? AFTER_AGAIN
                                                       : r->jumped      ? AFTER_JUMP
                                                                        : r->space,
                                                .body = body,
                                                .body_len = CTS_FIXED + r->mine.key_len });
}

static int send_numbered(struct peer *p, const struct control *c)
{
    uint8_t more[AGAIN_MORE];
    wire_put64(more, c->theirs);
    more[8] = c->whose;
    wire_put32(more + 9, (uint32_t)c->status);
    if (c->kind == KIND_AGAIN)
        wire_put64(more + 8, request_number(LIST_OWNER(c, const struct sinew_request, control)));
    return outgoing_send(p, &(struct outgoing){ .kind = c->kind,
                                                .tag = c->space,
                                                .more = more,
                                                .more_len = c->kind == KIND_NACK    ? NACK_MORE
                                                            : c->kind == KIND_AGAIN ? AGAIN_MORE
                                                                                    : 8 });
}

/* The message is out: what it belonged to goes on. */
static void control_sent(struct peer *p, struct control *c)
{
    uint8_t kind = c->kind;
    c->kind = 0;
    p->context->counters.controls_sent++;
    if (kind == KIND_COLL_WHY) {
        word_sent(p, c);
        return;
    }
    if (c->orphan) {
        context_release(p->context, c, sizeof(*c));
        return;
    }
    struct sinew_request *r = LIST_OWNER(c, struct sinew_request, control);
    if (kind == KIND_FIN) rendezvous_fin_sent(r);
}

static int send_controls(struct peer *p)
{
    while (!list_empty(&p->controls)) {
        struct control *c = LIST_OWNER(p->controls.next, struct control, entry);
        int rc = c->kind == KIND_CTS ? send_cts(p, LIST_OWNER(c, struct sinew_request, control))
                 : c->kind == KIND_COLL_WHY ? word_send(p, c)
                                            : send_numbered(p, c);
        if (rc) return rc;
        list_remove(&c->entry);
        control_sent(p, c);
    }
    return 0;
}

void outgoing_control(struct peer *p, struct control *c, uint8_t kind, uint64_t theirs)
{
    c->kind = kind;
    c->theirs = theirs;
    list_append(&p->controls, &c->entry);
    if (!p->stuck) send_controls(p);
}

int outgoing_answer(struct peer *p, uint8_t kind, uint64_t theirs, enum nack_whose whose,
                    int status, enum space space)
{
    struct control now = { .kind = kind,
                           .theirs = theirs,
                           .whose = (uint8_t)whose,
                           .status = status,
                           .space = (uint8_t)space };
    if (list_empty(&p->controls) && send_numbered(p, &now) == 0) {
        p->context->counters.controls_sent++;
        return 0;
    }
    struct control *c = context_allocate(p->context, sizeof(*c));
    if (!c) { /* without the answer the peer would wait for ever: better without the link */
        log_line(&p->context->log, LOG_ERROR, "no memory to answer rank %d: its links are dropped",
                 p->rank);
        wireup_disconnect(p, DISCONNECT_NOW);
        return SINEW_ENOMEM;
    }
    *c = now;
    c->orphan = true;
    list_append(&p->controls, &c->entry);
    return 0;
}

/* ---- credit ---------------------------------------------------------------------------------- */

static bool owes(const struct peer *p)
{
    return !p->grant_sent || p->growth || p->owed.blocks[SPACE_USER] ||
           p->owed.blocks[SPACE_COLLECTIVE] || p->owed.requests[SPACE_USER] ||
           p->owed.requests[SPACE_COLLECTIVE];
}

static bool owes_much(const struct peer *p)
{
    return p->growth || p->owed.blocks[SPACE_USER] >= p->owed_below ||
           p->owed.blocks[SPACE_COLLECTIVE] >= p->owed_below;
}

void outgoing_grant(struct peer *p)
{
    if (owes(p) && p->out && !p->stuck) {
        struct credit *owed = &p->owed;
        uint32_t collective = owed->blocks[SPACE_COLLECTIVE];
        if (collective > UINT16_MAX) collective = UINT16_MAX;
        int rc =
            outgoing_send(p, &(struct outgoing){ .kind = KIND_CREDIT,
                                                 .team = collective | p->growth << 16,
                                                 .tag = owed->requests[SPACE_USER] |
                                                        owed->requests[SPACE_COLLECTIVE] << 16 });
        if (rc == 0) {
            p->grant_sent = true;
            owed->blocks[SPACE_COLLECTIVE] -= collective;
            p->growth = 0;
            owed->requests[SPACE_USER] = owed->requests[SPACE_COLLECTIVE] = 0;
            p->context->counters.controls_sent++;
        }
    }
    if (!owes(p) || p->state == PEER_GONE) {
        list_remove(&p->owing);
        p->owed_below = 0;
    }
}

/* Only who overspends comes here. */
static void refuse_overspent(struct peer *p)
{
    why_set(&p->why, 0, "rank %d sent more than its credit", p->rank);
    if (p->out) p->out->why = p->why;
    quick_close(p);
    wireup_disconnect(p, DISCONNECT_NOW);
}

/* The longest is half of a window; of one with short messages the link has a quarter
 * (quick_lend()). What is left when less than this is owed still has room for the longest. */
static uint32_t told_at_once(const struct peer *p)
{
    return p->out && quick_has_shorts(p->out) ? p->longest / 2 : p->longest;
}

void outgoing_owe(struct peer *p, enum space space, uint32_t blocks, uint32_t requests)
{
    if (p->state == PEER_GONE) return;
    p->owed.blocks[space] += blocks;
    if (p->owed.blocks[space] > p->blocks_total) refuse_overspent(p);
    p->owed.requests[space] += requests;
    if (list_empty(&p->owing)) list_append(&p->context->owing, &p->owing);
    /* Told when it is worth a message, and a user's answer, which may come first, has not taken it
     * along; but at once where the peer could not send its longest any more. The idle step tells
     * the rest, before a wait sleeps. */
    p->owed_below = p->worth_telling;
    if (p->owed.blocks[space] < p->owed_below) return;
    if (space == SPACE_USER && p->owed.blocks[space] < told_at_once(p))
        p->context->credit_due = true;
    else
        outgoing_grant(p);
}

void outgoing_tell_due(struct sinew *s)
{
    struct list *next;
    s->credit_due = false;
    for (struct list *l = s->owing.next; l != &s->owing; l = next) {
        struct peer *p = LIST_OWNER(l, struct peer, owing);
        next = l->next;
        if (owes_much(p)) outgoing_grant(p);
    }
}

/* ---- what waits ------------------------------------------------------------------------------ */

static void send_puts(struct peer *p)
{
    struct list again;
    list_init(&again);
    list_splice(&again, &p->puts);
    struct list *entry;
    while ((entry = list_take(&again))) {
        struct sinew_request *r = LIST_OWNER(entry, struct sinew_request, entry);
        if (p->stuck)
            list_append(&p->puts, &r->entry);
        else
            rendezvous_put(r);
    }
}

static void send_queue(struct peer *p, enum space space)
{
    struct list *queue = &p->queue[space];
    while (!list_empty(queue)) {
        struct sinew_request *r = LIST_OWNER(queue->next, struct sinew_request, entry);
        int rc = send_try(r);
        if (rc == TRANSPORT_AGAIN) return;
        list_remove(&r->entry);
        if (rc <= 0) request_end(r, rc < 0 ? SINEW_EPEER : 0);
    }
}

/* Not for what is owed alone: answering credit with credit, two would never stop. */
bool outgoing_waits(const struct peer *p)
{
    return !p->grant_sent || !list_empty(&p->controls) || !list_empty(&p->puts) ||
           !list_empty(&p->queue[SPACE_COLLECTIVE]) || !list_empty(&p->queue[SPACE_USER]);
}

/* First what a broken link has left; and no further ahead of SWITCH than is allowed. */
static bool may_go_on(struct peer *p)
{
    shift_resend(p);
    return shift_may_send(p);
}

void outgoing_room(struct peer *p)
{
    if (!p->out) return;
    p->stuck = false;
    if (p->wired && !may_go_on(p)) {
        p->stuck = true;
        return;
    }
    /* Little is told by the next message that goes, or before a wait sleeps. */
    if (!p->grant_sent || owes_much(p)) outgoing_grant(p);
    if (send_controls(p)) return;
    if (p->switching) shift_out(p);
    send_queue(p, SPACE_COLLECTIVE);
    if (p->stuck) return;
    send_puts(p);
    if (p->stuck || p->jumping) return;
    send_queue(p, SPACE_USER);
    if (!p->stuck && !list_empty(&p->queue[SPACE_USER])) jump_tell_stuck(p);
}

void outgoing_withdraw(struct sinew_request *r, int status)
{
    struct peer *p = r->peer;
    request_end(r, status);
    if (!p->stuck) outgoing_room(p);
}
