/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * straight.c - messages of collectives by the short way
 *
 * One of at most 40 bytes goes as a short message, over links that have such; a longer one, up to
 * the eager limit, at once, if nothing waits before it. Whoever waits looks at that one link alone
 * and uses the body where it lies. As in quick.c, whatever is not as simple as that is left for the
 * general way: another message first, silence, a link that is not up. Credit that was given back is
 * no such message: it is taken on the way; and between two ranks a sender waits for it, and for
 * room.
 */
#include "base/copy.h"
#include "base/wire.h"
#include "messaging/quick.h"

bool collective_begin(struct sinew_team *team, uint32_t *sequence)
{
    struct team_core *core = team->core;
    if (!quick_allowed(core)) return false;
    if (--core->state->until_general < 0) wait_see_others(core->context);
    core->context->counters.collectives++;
    *sequence = ++core->collectives;
    return true;
}

/* ---- send ------------------------------------------------------------------------------------ */

static inline uint64_t short_key(const struct sinew_team *team, const struct collective_key *key)
{
    return envelope_key(team->core->id | ENVELOPE_OF_COLLECTIVE, key->sequence);
}

static inline uint64_t short_match(const struct collective_key *key)
{
    return (uint64_t)key->step | (uint64_t)key->digest << 32;
}

static inline bool send_line(struct peer *p, const struct sinew_team *team, const void *buf,
                             size_t len, const struct collective_key *key)
{
    uint8_t body[TRANSPORT_SHORT];
    wire_put64(body, short_match(key));
    copy_line(body + SHORT_MATCH, buf, len);
    p->messages_out++;
    p->bytes_out += len;
    p->out->ops->send_short(p->out, body, SHORT_MATCH + len, short_key(team, key));
    return true;
}

/* A CREDIT was next, and is taken. The peer may write where it lies: its head is judged and used as
 * it was read, once. */
static bool took_credit(struct peer *p, const struct peeked *m)
{
    uint8_t head[ENVELOPE_SMALL];
    if (m->hlen != sizeof(head)) return false;
    wire_put64(head, wire_get64(m->head));
    wire_put64(head + 8, wire_get64((const uint8_t *)m->head + 8));
    if (!receive_mere_credit(p, head, sizeof(head), m->blen)) return false;
    p->quick_in->ops->drop(p->quick_in);
    return true;
}

/* Not for long. Among more than two there are others to send to meanwhile; and who has the core of
 * the receiver gives it away in the general way. */
static bool send_may_wait(const struct sinew_team *team, const struct peer *p)
{
    return team->core->size == 2 && !team->core->context->takes_turns && p->quick_in &&
           p->quick_in->transport->caps.lends;
}

/* Until credit is there. */
static bool send_gets_credit(const struct sinew_team *team, struct peer *p, uint32_t cost,
                             struct shortly *patience)
{
    struct peeked m;
    if (p->mine.blocks[SPACE_COLLECTIVE] >= cost) return true;
    if (!send_may_wait(team, p)) return false;
    jump_tell_waits(p);
    if (p->stuck) return false;
    while (p->mine.blocks[SPACE_COLLECTIVE] < cost) {
        int status = p->quick_in->ops->peek(p->quick_in, &m);
        if (status == 0 ? !took_credit(p, &m) : status != TRANSPORT_NOTHING) return false;
        if (!wait_shortly(team->core->context, patience)) return false;
    }
    return true;
}

/* With the full head. */
static bool send_longer(struct peer *p, const struct sinew_team *team, const void *buf, size_t len,
                        const struct collective_key *key)
{
    uint32_t cost = blocks_of(len), *owed = &p->owed.blocks[SPACE_COLLECTIVE];
    uint32_t credit = *owed < UINT16_MAX ? *owed : UINT16_MAX;
    struct shortly patience = { 0, 0 };
    uint8_t head[ENVELOPE_COLLECTIVE];
    if (!p->out || p->stuck || p->ahead || !list_empty(&p->queue[SPACE_COLLECTIVE]) ||
        len > send_eager_limit(p, SPACE_COLLECTIVE) || !send_gets_credit(team, p, cost, &patience))
        return false;
    wire_put64(head, envelope_word((uint16_t)p->messages_out, KIND_COLL, (uint16_t)credit,
                                   (uint32_t)len));
    wire_put64(head + 8, envelope_key(team->core->id, key->sequence));
    wire_put32(head + 16, key->step);
    wire_put32(head + 20, key->tile);
    wire_put32(head + 24, key->digest);
    int status;
    /* Room that the peer makes by itself; what holds messages for it has to hear of that. */
    while ((status = p->out->ops->send(p->out, head, sizeof(head), buf, len, NULL, 0)) != 0)
        if (status != TRANSPORT_AGAIN || !send_may_wait(team, p) || p->out->transport->caps.holds ||
            !wait_shortly(team->core->context, &patience))
            return false;
    *owed -= credit;
    p->mine.blocks[SPACE_COLLECTIVE] -= cost;
    p->messages_out++;
    p->bytes_out += len;
    return true;
}

bool collective_send_short(struct sinew_team *team, const void *buf, size_t len, int to,
                           const struct collective_key *key)
{
    struct peer *p = team->core->peer[to];
    if (!p) return false;
    if (len > SHORT_COLLECTIVE_MAX || key->tile) return send_longer(p, team, buf, len, key);
    if (*p->shorts > 0) return send_line(p, team, buf, len, key);
    if (p->shorts == &quick_none) return send_longer(p, team, buf, len, key);
    p->out->ops->allow(p->out, 0);
    return *p->shorts > 0 ? send_line(p, team, buf, len, key)
                          : send_longer(p, team, buf, len, key);
}

/* ---- receive --------------------------------------------------------------------------------- */

static struct unexpected *kept_message(const struct sinew_team *team, int source,
                                       const struct collective_key *key)
{
    struct match *m = &team->core->context->match;
    struct match_key match = { .source = source,
                               .team = team->core->id,
                               .tag = key->sequence,
                               .step = key->step,
                               .tile = key->tile,
                               .space = SPACE_COLLECTIVE };
    return match_unexpected(m, &match);
}

bool collective_take_kept(struct sinew_team *team, void *buf, size_t len, int from,
                          const struct collective_key *key)
{
    struct peer *p = team->core->peer[from];
    struct unexpected *u = p ? kept_message(team, p->rank, key) : NULL;
    if (!u || u->kind != KIND_COLL || u->length != len || u->digest != key->digest) return false;
    enum space credit = u->credit;
    unexpected_copy(p, u, buf, len);
    outgoing_owe(p, credit, unexpected_free(p, u), 0);
    p->whole_in.messages++;
    p->whole_in.bytes += len;
    return true;
}

/* The next message of p is the one, in order: what it brings is kept for collective_taken(). */
static bool is_awaited(const struct peer *p, const struct sinew_team *team, size_t len,
                       const struct collective_key *key, const struct peeked *m,
                       struct collective_lent *out)
{
    if (m->hlen == TRANSPORT_SHORT_HEAD) {
        if (wire_get64(m->head) != short_key(team, key) || m->blen != SHORT_MATCH + len ||
            key->tile || wire_get64(m->body) != short_match(key))
            return false;
        out->body = m->body + SHORT_MATCH;
        out->word = 0;
        return true;
    }
    if (m->hlen != ENVELOPE_COLLECTIVE || m->blen != len) return false;
    uint64_t word = wire_get64(m->head);
    uint32_t credit = (uint16_t)(word >> 24);
    out->body = m->body;
    out->word = word;
    return word == envelope_word((uint16_t)p->messages_in, KIND_COLL, (uint16_t)credit,
                                 (uint32_t)len) &&
           wire_get64(m->head + 8) == envelope_key(team->core->id, key->sequence) &&
           wire_get32(m->head + 16) == key->step && wire_get32(m->head + 20) == key->tile &&
           wire_get32(m->head + 24) == key->digest &&
           credit <= p->window_blocks[SPACE_COLLECTIVE] - p->mine.blocks[SPACE_COLLECTIVE];
}

bool collective_await_short(struct sinew_team *team, size_t len, int from,
                            const struct collective_key *key, struct collective_lent *out)
{
    struct peer *p = team->core->peer[from];
    struct sinew *s = team->core->context;
    struct link *l = p ? p->quick_in : NULL;
    struct shortly patience = { 0, 0 };
    struct peeked m;
    if (!l || !l->transport->caps.lends) return false;
    if (s->match.kept_count && kept_message(team, p->rank, key)) return false;
    out->peer = p;
    out->len = len;
    for (;;) {
        int status = l->ops->peek(l, &m);
        if (status == 0 && is_awaited(p, team, len, key, &m, out)) return true;
        if (status == 0 ? !took_credit(p, &m) : status != TRANSPORT_NOTHING) return false;
        if (!wait_shortly(s, &patience)) return false;
    }
}

/* Nothing went the other way since the last one, so nothing will take credit along; and of what the
 * peer has not heard of, twice such a message would not fit: it would stand still between two. */
static bool is_told_now(struct peer *p, uint32_t cost)
{
    uint32_t window = 2 * p->worth_telling, owed = p->owed.blocks[SPACE_COLLECTIVE];
    bool answers = p->bytes_out != p->out_when_taken;
    p->out_when_taken = p->bytes_out;
    return !answers && owed && (owed > window || window - owed < 2 * cost);
}

static void account(struct peer *p, uint64_t word, size_t len)
{
    uint32_t credit = (uint16_t)(word >> 24), cost = blocks_of(len);
    p->mine.blocks[SPACE_COLLECTIVE] += credit;
    outgoing_owe_quick(p, SPACE_COLLECTIVE, cost);
    if (is_told_now(p, cost)) outgoing_grant(p);
    if (credit && !p->stuck && outgoing_waits(p)) outgoing_room(p);
}

void collective_taken(const struct collective_lent *m)
{
    struct peer *p = m->peer;
    quick_count_in(p, m->len);
    p->quick_in->ops->drop(p->quick_in);
    if (m->word) account(p, m->word, m->len);
}
