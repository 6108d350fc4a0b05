/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring_model.c - the ring between two threads that poll: every message arrives once, in order and
 * intact, no byte is raced for, and nobody is stuck, across the wrap of slots, bytes and counters
 */
#include <string.h>

#include "tests/model/cases.h"
#include "transport/shm/ring.h"

enum { KIND = 1, SHORT_KIND = 2, LAST_KIND = 3, MESSAGES_MAX = 8 };

/* What a case is, beside what `reset` and `run` do. */
struct ring_case {
    struct ring_shape shape;
    uint32_t start, body_start;
    int messages[2]; /* from thread 0, from thread 1 */
    const struct message_plan *plan; /* message n of either: plan[n] */
    bool tells_at_will; /* after any message, or not: both are tried */
    bool says_goodbye;  /* in the reserved slot, right after the last message */
    bool peeks;         /* messages are taken from where they lie             */
};

struct message_plan {
    enum ring_class class;
    uint8_t hlen, blen;
};

/* All that a thread knows, hashed as it is. */
struct ring_end {
    struct ring_producer tx;
    struct ring_consumer rx;
    int sent, got;
    bool said_goodbye, heard_goodbye;
};

static alignas(128) uint8_t block[2048];
static struct ring_end ends[2];

/* --- set up ----------------------------------------------------------------------------------- */

static void name_words(struct ring *ring, uint32_t slots, int from)
{
    memory_location(&ring->returned, from ? "1: returned" : "0: returned");
    for (uint32_t i = 0; i < slots; i++)
        memory_location(&ring->slots[i].word, from ? "1: word" : "0: word");
}

static void producer_start_bytes(struct ring_producer *p, uint32_t at)
{
    p->written = p->finished = (struct ring_mark){ at, at };
}

/* One slot, and one unit, before either half of what is given back wraps. */
static void start_returned(struct ring *ring, struct ring_producer *p, struct ring_consumer *c)
{
    p->returned = c->returned = UINT32_MAX;
    memory_begins(&ring->returned, UINT32_MAX);
}

static void ring_reset(const struct scenario *s)
{
    const struct ring_case *c = s->arg;
    if (2 * ring_bytes(&c->shape) > sizeof(block)) explore_fail("the explorer: a larger block");
    memory_reset(2, block, sizeof(block));
    memset(ends, 0, sizeof(ends));
    for (int from = 0; from < 2; from++) {
        void *ring = block + (size_t)from * ring_bytes(&c->shape);
        if (c->messages[from] == 0) continue;
        name_words(ring, c->shape.slots, from);
        ring_producer_init(&ends[from].tx, ring, &c->shape, c->start);
        ring_consumer_init(&ends[!from].rx, ring, &c->shape, c->start);
        producer_start_bytes(&ends[from].tx, c->body_start);
        ends[!from].rx.body_next = c->body_start;
        if (c->start != 0) start_returned(ring, &ends[from].tx, &ends[!from].rx);
    }
}

/* --- sending and receiving -------------------------------------------------------------------- */

static uint8_t content(int from, int n, size_t i)
{
    return (uint8_t)(from * 101 + n * 37 + (int)i * 3 + 1);
}

static bool plan_is_short(const struct message_plan *m)
{
    return m->class == RING_DATA && m->hlen == RING_SHORT_HEAD && m->blen <= RING_SHORT;
}

static int end_put(const struct ring_case *c, struct ring_end *e, int me, uint32_t credit)
{
    const struct message_plan *m = &c->plan[e->sent];
    uint8_t head[RING_HEAD_MAX], body[256];
    for (size_t i = 0; i < m->hlen; i++) head[i] = content(me, e->sent, i);
    for (size_t i = 0; i < m->blen; i++) body[i] = content(me, e->sent, m->hlen + i);
    if (!plan_is_short(m) || e->tx.room <= 0)
        return ring_put(&e->tx, m->class, plan_is_short(m) ? SHORT_KIND : KIND, head, m->hlen, body,
                        m->blen, credit);
    e->tx.room--; /* promised just now: ring_promise() leaves none of so few */
    e->tx.shorts++;
    ring_put_short(&e->tx, SHORT_KIND, body, m->blen, wire_get64(head), credit);
    return 0;
}

static void end_send(const struct ring_case *c, struct ring_end *e, int me)
{
    uint32_t credit = e->rx.ring ? ring_untold(&e->rx) : 0;
    if (e->sent < c->messages[me]) {
        int status = end_put(c, e, me, credit);
        if (status < 0) explore_fail("ring_put: the credit was refused");
        if (status > 0) return;
        e->sent++;
        explore_say("has sent message %d", e->sent);
        if (e->rx.ring) ring_told(&e->rx);
    }
    if (e->sent < c->messages[me] || !c->says_goodbye || e->said_goodbye) return;
    if (ring_put(&e->tx, RING_LAST, LAST_KIND, NULL, 0, NULL, 0, 0) != 0)
        explore_fail("the goodbye found no room");
    e->said_goodbye = true;
}

static void end_check(const struct ring_case *c, const struct ring_end *e,
                      const struct ring_message *m, int from)
{
    const struct message_plan *plan = &c->plan[e->got];
    const uint8_t *head = m->head;
    uint8_t body[256];
    if (m->kind != (plan_is_short(plan) ? SHORT_KIND : KIND) || m->hlen != plan->hlen ||
        m->blen != plan->blen)
        explore_fail("content: message %d: kind %d, %zu + %zu bytes", e->got, m->kind, m->hlen,
                     m->blen);
    memory_read(body, m->body, m->blen);
    for (size_t i = 0; i < m->hlen; i++)
        if (head[i] != content(from, e->got, i)) explore_fail("content: head of %d", e->got);
    for (size_t i = 0; i < m->blen; i++)
        if (body[i] != content(from, e->got, m->hlen + i))
            explore_fail("content: body of %d", e->got);
}

/* What is expected is taken straight out of the ring. */
static bool end_take_expected(const struct ring_case *c, struct ring_end *e, int me)
{
    const struct message_plan *plan = &c->plan[e->got];
    uint8_t head[RING_EXPECTED_HEAD], body[256];
    if (e->got == c->messages[!me]) return false;
    for (size_t i = 0; i < sizeof(head); i++) head[i] = content(!me, e->got, i);
    struct ring_expected x = { .head = { wire_get64(head), wire_get64(head + 8) },
                               .mask = UINT64_MAX,
                               .kind = KIND };
    if (plan_is_short(plan)) {
        uint32_t due = ring_due_as(SHORT_KIND, RING_SHORT_HEAD);
        uint64_t credit;
        int64_t len = ring_take_short(&e->rx, due, x.head[0], body, sizeof(body), &credit);
        if (len < 0) return false;
        x.credit = (uint32_t)credit;
        x.blen = (size_t)len;
    } else if (!ring_take_expected(&e->rx, &x, body, sizeof(body))) {
        return false;
    }
    if (x.blen != plan->blen) explore_fail("content: %zu expected bytes", x.blen);
    for (size_t i = 0; i < x.blen; i++)
        if (body[i] != content(!me, e->got, plan->hlen + i)) explore_fail("content: expected body");
    if (e->tx.ring && ring_returned(&e->tx, x.credit) < 0)
        explore_fail("ring_returned: the credit was refused");
    e->got++;
    explore_say("has message %d, as expected", e->got);
    return true;
}

/* The next message is looked at where it lies, and dropped. */
static bool end_take_peeked(const struct ring_case *c, struct ring_end *e, int me)
{
    struct ring_peeked there = { 0 };
    uint8_t head[RING_INLINE];
    if (!c->peeks || e->got == c->messages[!me]) return false;
    if (ring_peek(&e->rx, 1 << KIND | 1 << SHORT_KIND, &there) <= 0) return false;
    memory_read(head, there.head, there.hlen);
    struct ring_message m = {
        .kind = there.kind, .hlen = there.hlen, .blen = there.blen, .head = head, .body = there.body
    };
    end_check(c, e, &m, !me);
    e->got++;
    explore_say("has message %d, peeked at", e->got);
    ring_drop(&e->rx, there.body_next, there.kind == SHORT_KIND);
    if (e->tx.ring && ring_returned(&e->tx, there.credit) < 0)
        explore_fail("ring_returned: the credit was refused");
    return true;
}

static void end_receive(const struct ring_case *c, struct ring_end *e, int me)
{
    struct ring_message m;
    if (end_take_peeked(c, e, me)) return;
    if (end_take_expected(c, e, me)) {
        if (c->tells_at_will && explore_pick(2)) ring_tell(&e->rx);
        return;
    }
    int got = ring_take(&e->rx, &m);
    if (got < 0) explore_fail("ring_take: the word was refused");
    if (got == 0) return;
    if (e->tx.ring && ring_returned(&e->tx, m.credit) < 0)
        explore_fail("ring_returned: the credit was refused");
    if (e->got == c->messages[!me]) {
        if (m.kind != LAST_KIND || e->heard_goodbye) explore_fail("content: a message too many");
        e->heard_goodbye = true;
    } else {
        end_check(c, e, &m, !me);
        e->got++;
        explore_say("has message %d", e->got);
    }
    ring_finish(&e->rx, &m);
    if (c->tells_at_will && explore_pick(2)) ring_tell(&e->rx);
}

static bool end_is_done(const struct ring_case *c, const struct ring_end *e, int me)
{
    bool bye_said = e->said_goodbye || !c->says_goodbye || c->messages[me] == 0;
    bool bye_heard = e->heard_goodbye || !c->says_goodbye || c->messages[!me] == 0;
    return e->sent == c->messages[me] && e->got == c->messages[!me] && bye_said && bye_heard;
}

/* A rank: sends while it can, receives what is there, gives back when idle, then waits. */
static void ring_run(const struct scenario *s, int me)
{
    const struct ring_case *c = s->arg;
    struct ring_end *e = &ends[me], before;
    while (!end_is_done(c, e, me)) {
        explore_state(0, e, sizeof(*e));
        explore_poll();
        before = *e;
        if (c->messages[me] > 0) end_send(c, e, me);
        if (c->messages[!me] > 0) end_receive(c, e, me);
        if (memcmp(&before, e, sizeof(before)) != 0) continue;
        if (e->rx.ring && ring_untold(&e->rx) > 0)
            ring_tell(&e->rx);
        else
            explore_await();
    }
    explore_state(1, e, sizeof(*e));
}

/* --- the cases -------------------------------------------------------------------------------- */

/* Inline, with a body, the short way to its last byte, head in the byte ring, the longest, empty,
 * and one that is expected and long. */
static const struct message_plan mixed[MESSAGES_MAX] = {
    { RING_DATA, 8, 0 },   { RING_DATA, 8, 100 }, { RING_DATA, 8, 48 }, { RING_DATA, 64, 60 },
    { RING_DATA, 16, 128 }, { RING_DATA, 0, 0 },  { RING_DATA, 16, 70 }, { RING_DATA, 8, 8 },
};
static const struct message_plan bulk[MESSAGES_MAX] = {
    { RING_BULK, 24, 64 }, { RING_DATA, 8, 8 },   { RING_BULK, 24, 128 }, { RING_DATA, 8, 100 },
    { RING_BULK, 24, 8 },  { RING_BULK, 24, 100 }, { RING_DATA, 8, 0 },   { RING_DATA, 8, 0 },
};

#define TWO { 2, 256, 128 }
#define FOUR { 4, 512, 128 }
#define SHORT { 4, 384, 128 } /* shorter than its laps */

static const struct ring_case one_way = { TWO, 0, 0, { 6, 0 }, mixed, true, false, false };
static const struct ring_case one_way_peeked = { TWO, 0, 0, { 6, 0 }, mixed, true, false, true };
static const struct ring_case one_way_four = { FOUR, 0, 0, { 7, 0 }, mixed, true, false, false };
static const struct ring_case index_wraps = { FOUR, UINT32_MAX - 2, UINT32_MAX - 191, { 7, 0 },
                                              mixed, true, false, false };
static const struct ring_case short_wraps = { SHORT, UINT32_MAX - 2, UINT32_MAX - 319, { 7, 0 },
                                              mixed, true, false, false };
static const struct ring_case turn_wraps = {
    TWO, 32768 - 2, 0, { 6, 0 }, mixed, true, false, false
};
static const struct ring_case goodbye = { TWO, 0, 0, { 3, 3 }, mixed, true, true, false };
static const struct ring_case bulk_and_data = { FOUR, 0, 0, { 6, 0 }, bulk, true, false, false };
static const struct ring_case both_ways = { TWO, 0, 0, { 4, 4 }, mixed, true, false, false };
static const struct ring_case both_wrap = { TWO, UINT32_MAX - 1, UINT32_MAX - 191, { 4, 4 }, mixed,
                                            true, false, false };
static const struct ring_case both_ways_four = { FOUR, 0, 0, { 4, 4 }, mixed, false, false, false };
static const struct ring_case both_ways_five = { FOUR, 0, 0, { 5, 5 }, mixed, false, false, false };
static const struct ring_case both_ways_many = { TWO,   32768 - 3, 0,    { 5, 5 },
                                                 mixed, true,      true, false };
static const struct ring_case four_at_will = { FOUR, UINT32_MAX - 2, UINT32_MAX - 191, { 4, 4 },
                                               mixed, true, false, false };

const struct scenario ring_scenarios[] = {
    { "2 slots, one way", 2, ring_reset, ring_run, NULL, &one_way, false },
    { "2 slots, peeked at", 2, ring_reset, ring_run, NULL, &one_way_peeked, false },
    { "4 slots, one way", 2, ring_reset, ring_run, NULL, &one_way_four, false },
    { "4 slots, index and bytes wrap at 2^32", 2, ring_reset, ring_run, NULL, &index_wraps, false },
    { "4 slots, bytes shorter than a lap", 2, ring_reset, ring_run, NULL, &short_wraps, false },
    { "2 slots, turn wraps at 2^15", 2, ring_reset, ring_run, NULL, &turn_wraps, false },
    { "4 slots, bulk between messages", 2, ring_reset, ring_run, NULL, &bulk_and_data, false },
    { "2 slots, goodbyes in the reserved one", 2, ring_reset, ring_run, NULL, &goodbye, false },
    { "2 slots, both ways", 2, ring_reset, ring_run, NULL, &both_ways, true },
    { "2 slots, both ways, index wraps at 2^32", 2, ring_reset, ring_run, NULL, &both_wrap, false },
    { "4 slots, both ways", 2, ring_reset, ring_run, NULL, &both_ways_four, true },
    { "4 slots, both ways, 5 messages", 2, ring_reset, ring_run, NULL, &both_ways_five, true },
    { "2 slots, both ways, turn wraps, 5 messages", 2, ring_reset, ring_run, NULL, &both_ways_many,
      true },
    { "4 slots, both ways, index and bytes wrap", 2, ring_reset, ring_run, NULL, &four_at_will,
      true },
};
const size_t ring_scenario_count = sizeof(ring_scenarios) / sizeof(ring_scenarios[0]);
