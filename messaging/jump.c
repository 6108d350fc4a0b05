/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * jump.c - a receive asks for a message that is stuck behind others
 *
 * Sends wait in their peer's queue when the room for unexpected messages is used up. The receiver
 * may then wait for a message that stands behind those nobody has asked for: legal, and with a
 * bounded budget a deadlock, unless the receiver says what it wants:
 *
 *    sender                                receiver
 *    its queue is stuck:  STUCK 1   -->    remembers it
 *                                   <--    about to wait: WANT {team, tag, receive} for what is
 * posted the first match in the queue jumps: JUMP {its request, length, receive} --> that receive
 * still is the one to match: CTS as ever,
 *                                   <--    else NACK: it goes back to its place
 *    nothing is stuck:    STUCK 0   -->
 *
 * A jumped message is never kept, so it needs no credit, and it is matched only with the receive
 * that wanted it: all that was sent before it did not match that receive. While one jump is
 * unanswered no other user message goes to that peer, so a rejected one keeps its place in the
 * order.
 */
#include "base/wire.h"
#include "messaging/context.h"

enum { ASKS_AT_ONCE = 16 };

/* ---- the sender ------------------------------------------------------------------------------ */

static int tell_stuck(struct peer *p, bool stuck)
{
    return outgoing_send(p, &(struct outgoing){ .kind = KIND_STUCK, .tag = stuck });
}

/* A send had to wait for credit; once until the receiver asks. */
void jump_tell_stuck(struct peer *p)
{
    if (!p->told_stuck && tell_stuck(p, true) == 0) p->told_stuck = true;
}

/*
 * A collective's message did: nothing of that space ever jumps, but the receiver may have more room
 * for whom it has received enough of; what is on its way is not, so a little later. It answers no
 * refusal: who hears nothing after a few times is not one of those that get more.
 */
void jump_tell_waits(struct peer *p)
{
    enum { TOLD_MOST = 8, TOLD_EVERY = STREAM_BYTES + STREAM_BYTES / 8 };
    uint64_t next = ((uint64_t)p->told_waits + 1) * TOLD_EVERY;
    if (p->has_grown || p->told_waits == TOLD_MOST || peer_sent(p).bytes < next) return;
    if (outgoing_send(p, &(struct outgoing){ .kind = KIND_STUCK, .tag = STUCK_COLLECTIVE }) == 0)
        p->told_waits++;
}

static struct sinew_request *jump_first(struct peer *p, const struct match_key *want)
{
    struct list *queue = &p->queue[SPACE_USER];
    for (struct list *l = queue->next; l != queue; l = l->next) {
        struct sinew_request *r = LIST_OWNER(l, struct sinew_request, entry);
        if (match_accepts(want, &r->key)) return r;
    }
    return NULL;
}

static int jump_send(struct sinew_request *r, uint64_t receive)
{
    struct peer *p = r->peer;
    uint8_t more[24];
    wire_put64(more, request_number(r));
    wire_put64(more + 8, r->len);
    wire_put64(more + 16, receive);
    int rc = outgoing_send(p, &(struct outgoing){ .kind = KIND_JUMP,
                                                  .team = r->key.team,
                                                  .tag = r->key.tag,
                                                  .more = more,
                                                  .more_len = sizeof(more) });
    if (rc) return rc;
    list_remove(&r->entry);
    r->state = STATE_ASKING;
    r->jumped = p->jumping = true;
    quick_close(p);
    list_append(&p->attached, &r->attached);
    p->context->counters.messages_jumped++;
    return 0;
}

int jump_take_want(struct peer *p, const struct envelope *e, struct wire_reader *more)
{
    uint64_t receive = wire_take64(more);
    bool any_tag = wire_take8(more) != 0;
    struct match_key want = {
        .source = p->context->rank, .team = e->team, .tag = e->tag, .any_tag = any_tag
    };
    if (more->bad) return peer_breaks(p, "sent a wish for a message that is cut off");
    p->told_stuck = false;
    if (p->stuck || p->jumping) return 0;
    struct sinew_request *r = jump_first(p, &want);
    if (r)
        jump_send(r, receive);
    else if (list_empty(&p->queue[SPACE_USER]))
        tell_stuck(p, false);
    return 0;
}

/* The jump was refused: back to its place in the order. */
void jump_refused(struct sinew_request *r)
{
    struct peer *p = r->peer;
    struct list *before = p->queue[SPACE_USER].next;
    while (before != &p->queue[SPACE_USER] &&
           LIST_OWNER(before, struct sinew_request, entry)->order < r->order)
        before = before->next;
    list_remove(&r->attached);
    r->jumped = false;
    r->state = STATE_QUEUED;
    list_append(before, &r->entry);
}

/* ---- the receiver ---------------------------------------------------------------------------- */

void jump_take_stuck(struct peer *p, const struct envelope *e)
{
    struct sinew *s = p->context;
    bool is_stuck = e->tag != 0;
    if (p->state == PEER_GONE) return;
    if (e->tag == STUCK_COLLECTIVE) {
        peer_grow(p, SPACE_COLLECTIVE);
        return;
    }
    if (is_stuck) s->stuck_round++;
    if (is_stuck != p->they_are_stuck) s->stuck_peers += is_stuck ? 1 : -1;
    p->they_are_stuck = is_stuck;
    if (is_stuck) peer_grow(p, SPACE_USER);
}

void jump_forget(struct peer *p)
{
    if (p->they_are_stuck) p->context->stuck_peers--;
    p->they_are_stuck = false;
}

static int ask(struct peer *p, const struct sinew_request *r)
{
    uint8_t more[9];
    wire_put64(more, request_number(r));
    more[8] = r->key.any_tag;
    return outgoing_send(p, &(struct outgoing){ .kind = KIND_WANT,
                                                .team = r->key.team,
                                                .tag = r->key.tag,
                                                .more = more,
                                                .more_len = sizeof(more) });
}

/* Ask whoever is stuck and could send what r matches. */
static int ask_all(struct sinew *s, struct sinew_request *r)
{
    int asked = 0, unasked = 0;
    for (int rank = 0; rank < s->size; rank++) {
        struct peer *p = s->peer[rank];
        if (!p || !p->they_are_stuck || p->state != PEER_UP) continue;
        if (r->key.source != SINEW_ANY_RANK && r->key.source != rank) continue;
        if (team_rank_of(r->team->core, rank) < 0) continue;
        if (ask(p, r) == 0)
            asked++;
        else
            unasked++;
    }
    if (!unasked) r->asked = s->stuck_round;
    s->unasked += unasked;
    return asked;
}

static int ask_list(struct sinew *s, struct list *posted, int budget)
{
    int asked = 0;
    for (struct list *l = posted->next; l != posted && asked < budget; l = l->next) {
        struct sinew_request *r = LIST_OWNER(l, struct sinew_request, entry);
        if (r->space == SPACE_USER && r->asked != s->stuck_round) asked += ask_all(s, r);
    }
    return asked;
}

/* The context is about to wait: say what for, to those whose queues are stuck. */
int jump_ask(struct sinew *s)
{
    int budget = ASKS_AT_ONCE;
    uint64_t posts = s->match.posts;
    bool asked_all = s->asked_round == s->stuck_round && s->asked_posts == posts;
    if (s->stuck_peers == 0 || asked_all) return 0;
    s->unasked = 0;
    window_file_all(s);
    budget -= ask_list(s, &s->match.wild, budget);
    for (int i = 0; i < MATCH_BUCKETS && budget > 0; i++)
        budget -= ask_list(s, &s->match.posted[i], budget);
    if (budget > 0 && !s->unasked) {
        s->asked_round = s->stuck_round;
        s->asked_posts = posts;
    }
    return ASKS_AT_ONCE - budget;
}

int jump_take(struct peer *p, const struct envelope *e, struct wire_reader *more)
{
    uint64_t theirs = wire_take64(more), length = wire_take64(more), receive = wire_take64(more);
    struct match_key key = { .source = p->rank, .team = e->team, .tag = e->tag };
    if (more->bad || length > PTRDIFF_MAX) return peer_breaks(p, "sent a jump that makes no sense");
    window_file(p);
    struct sinew_request *r = match_posted(&p->context->match, &key);
    if (!r || request_number(r) != receive || p->state == PEER_GONE)
        return outgoing_answer(p, KIND_NACK, theirs, NACK_JUMP, SINEW_EBUSY, SPACE_USER);
    match_unpost(&p->context->match, r);
    r->key.tag = key.tag;
    r->jumped = true;
    rendezvous_accept(r, p, theirs, length, &(struct offer){ 0 });
    return 0;
}
