/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link_model.c - two links, whole, that sleep when there is nothing to do
 *
 * What runs is link.c and shm.c as they are shipped: send, progress, arm, disconnect. In place of
 * an eventfd there is a token that wakes, and orders nothing; in place of the socket, nothing. Each
 * end may also wake once by chance, as for a timer or another link. Messages arrive in order, no
 * wake-up is lost, and a goodbye gets through a full ring. Puts that wait in line with messages all
 * land, each once, and before what was sent after it was done.
 */
#include <string.h>
#include <unistd.h>

#include "tests/model/cases.h"
#include "transport/shm/link.h"
#include "transport/shm/shm.h"

/* The linker gives us what link.c and shm.c ask of the kernel and of wireup.c. */
ssize_t __wrap_write(int fd, const void *bytes, size_t len);
void __wrap_host_membarrier(void);
int __wrap_wireup_look(struct shm_transport *t, int *budget);
void __wrap_wireup_set_timer(struct shm_transport *t);

struct link_case {
    uint32_t start;
    int messages[2]; /* from either end */
    bool membarrier;
    bool drains[2]; /* says goodbye after its last message */
    int chances;    /* times an end may wake by chance */
    uint32_t slots; /* 0: two */
    int puts[2];    /* from either end, before its messages */
};

enum { EXPECTS = 2, PUTS_MAX = 2, PUT_LEN = 100, REGIONS_BYTES = 4096 };

struct link_end {
    struct shm_transport t;
    struct shm_link l;
    struct expect expect[EXPECTS];
    uint8_t expected[EXPECTS][256];
    int me, sent, got;
    int put, done, landed;   /* puts: begun, done, come from the peer */
    int done_before[8];      /* of them done when message n was sent  */
    bool is_refused, is_draining, is_down;
    struct landing landing;
    struct region mine, theirs;
    struct rma ops[PUTS_MAX];
    uint8_t bytes[PUTS_MAX][PUT_LEN];
    alignas(max_align_t) uint8_t regions[REGIONS_BYTES]; /* what the transport allocates */
};

enum { WAKE_FD = 1000 }; /* + the end it wakes */

static struct ring_shape shape = { 2, 256, 128 };
static const struct link_case *current;
static alignas(128) uint8_t block[1536]; /* both rings */
static struct link_end ends[2];

/* --- what the transport asks for -------------------------------------------------------------- */

ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
    (void)bytes;
    explore_wake(fd - WAKE_FD);
    return (ssize_t)len;
}

void __wrap_host_membarrier(void)
{
    static struct memory_site here = { "transport/shm/shm.c", "host_membarrier", "shm_arm", 0,
                                       ACCESS_BARRIER, ORDER_RELAXED, 0 };
    memory_barrier(&here);
}

int __wrap_wireup_look(struct shm_transport *t, int *budget)
{
    (void)t;
    (void)budget;
    return 0;
}

void __wrap_wireup_set_timer(struct shm_transport *t) { (void)t; }

static void *map(void *arg, int fd, size_t len)
{
    (void)arg;
    (void)fd;
    (void)len;
    return NULL;
}

static void unmap(void *arg, void *at, size_t len)
{
    (void)arg;
    (void)at;
    (void)len;
}

static uint8_t content(int from, int n, size_t i)
{
    return (uint8_t)(from * 101 + n * 37 + (int)i * 3 + 1);
}

static size_t body_len(int n) { return n % 3 ? 8 : 100; }

static uint8_t put_content(int from, int n, size_t i)
{
    return (uint8_t)(from * 59 + n * 83 + (int)i * 5 + 7);
}

static void end_land(struct landing *landing, size_t offset, const void *bytes, size_t len)
{
    struct link_end *e = LIST_OWNER(landing, struct link_end, landing);
    uint8_t copy[PUT_LEN];
    if (len != PUT_LEN || offset != (uint64_t)e->landed * PUT_LEN)
        explore_fail("content: %zu bytes put at %d, not put %d", len, (int)offset, e->landed);
    memory_read(copy, bytes, len);
    for (size_t i = 0; i < len; i++)
        if (copy[i] != put_content(!e->me, e->landed, i)) explore_fail("content: of a put");
    e->landed++;
    explore_say("has put %d", e->landed);
}

/* What its sender knew to have landed, has. */
static void end_has_message(struct link_end *e)
{
    if (e->landed < ends[!e->me].done_before[e->got])
        explore_fail("content: message %d came before a put that was done", e->got);
    e->got++;
}

static void end_done(struct link *base, uint64_t cookie, int status)
{
    struct link_end *e = base->owner;
    if (status != 0 || cookie != (uint64_t)e->done)
        explore_fail("protocol: put %d is done with %d", (int)cookie, status);
    e->done++;
    explore_say("is done with put %d", e->done);
}

static int end_recv(struct link *base, const void *head, size_t hlen, const void *body, size_t blen,
                    struct lease *lease)
{
    struct link_end *e = base->owner;
    const uint8_t *number = head;
    uint8_t copy[256];
    (void)lease;
    if ((hlen != RING_SHORT_HEAD && hlen != RING_EXPECTED_HEAD) || *number != e->got ||
        blen != body_len(e->got))
        explore_fail("content: message %d of %zu bytes, not %d", *number, blen, e->got);
    memory_read(copy, body, blen);
    for (size_t i = 0; i < blen; i++)
        if (copy[i] != content(!e->me, e->got, i)) explore_fail("content: byte of %d", e->got);
    end_has_message(e);
    explore_say("has message %d", e->got);
    return 0;
}

static void end_room(struct link *base) { ((struct link_end *)base->owner)->is_refused = false; }

static void end_down(struct link *base, int status, enum gone gone)
{
    struct link_end *e = base->owner;
    if (status != 0 || gone != GONE_LEFT)
        explore_fail("protocol: the link went down with %d: %s", status, base->why.text);
    e->is_down = true;
    explore_say("is down");
}

static const struct transport_up up = {
    .recv = end_recv, .done = end_done, .room = end_room, .down = end_down
};

/* The transport allocates once: its table of regions. */
static void *end_allocate(void *arg, size_t align, size_t size)
{
    struct link_end *e = arg;
    (void)align;
    return size <= sizeof(e->regions) ? e->regions : NULL;
}

static void end_release(void *arg, void *memory, size_t size)
{
    (void)arg;
    (void)memory;
    (void)size;
}

static struct world worlds[2];

/* --- an end ----------------------------------------------------------------------------------- */

static void end_init(struct link_end *e, int me)
{
    struct shm_link *l = &e->l;
    void *rings[2] = { block, block + ring_bytes(&shape) };
    memset(e, 0, sizeof(*e));
    e->me = me;
    list_init(&e->t.live);
    list_init(&e->t.links);
    list_init(&e->t.ending);
    e->t.cold = &e->t.live;
    e->t.base.up = &up;
    e->t.mapper = (struct segment_mapper){ map, unmap, NULL };
    e->t.membarrier = current->membarrier;
    l->base = (struct link){ .transport = &e->t.base, .owner = e, .rank = !me };
    link_init(l);
    l->segment = block;
    ring_producer_init(&l->tx, rings[me], &shape, current->start);
    ring_consumer_init(&l->rx, rings[!me], &shape, current->start);
    l->paired = current->membarrier;
    l->peer_wake = WAKE_FD + !me;
    l->base.shorts = &l->tx.shorts;
    l->short_due = ring_due_as(SHM_SHORT, RING_SHORT_HEAD);
    l->state = SHM_UP;
    list_append(&e->t.live, &l->of_live);
    worlds[me] = (struct world){ .arg = e, .allocate = end_allocate, .release = end_release };
    e->t.base.opt.world = &worlds[me];
    e->landing.land = end_land;
    e->mine = (struct region){ .base = e->bytes, .len = sizeof(e->bytes), .landing = &e->landing };
    if (current->puts[!me] && transport_shm.reg(&e->t.base, NULL, &e->mine) != 0)
        explore_fail("protocol: no region");
}

/* What the other end has told of its region. */
static void end_learn(struct link_end *e)
{
    const struct region *r = &ends[!e->me].mine;
    e->theirs = (struct region){ .len = r->len, .key_len = r->key_len };
    memcpy(e->theirs.key, r->key, sizeof(r->key));
    for (int n = 0; n < PUTS_MAX; n++)
        for (size_t i = 0; i < PUT_LEN; i++) e->bytes[n][i] = put_content(e->me, n, i);
}

static void link_reset(const struct scenario *s)
{
    static const char *const names[2][3] = { { "0: returned", "0: sleeping of 1", "0: word" },
                                             { "1: returned", "1: sleeping of 0", "1: word" } };
    current = s->arg;
    shape.slots = current->slots ? current->slots : 2;
    memory_reset(2, block, sizeof(block));
    for (int from = 0; from < 2; from++) {
        struct ring *ring = (struct ring *)(block + (size_t)from * ring_bytes(&shape));
        memory_location(&ring->returned, names[from][0]);
        memory_location(&ring->sleeping, names[from][1]);
        for (uint32_t i = 0; i < shape.slots; i++)
            memory_location(&ring->slots[i].word, names[from][2]);
    }
    for (int me = 0; me < 2; me++) end_init(&ends[me], me);
    for (int me = 0; me < 2; me++) end_learn(&ends[me]);
}

/* All that its course depends on. `until_look` counts until the sockets are looked at, where
 * nothing is found; no execution is long enough for it to end by counting. */
static void end_state(int place, struct link_end *e)
{
    const char *from = (const char *)&e->l.state, *to = (const char *)&e->l.of_transport;
    explore_state(place, from, (size_t)(to - from));
    struct {
        int sent, got, status, drain_left;
        int put, done, landed;
        bool is_refused, is_draining, is_down, drains, armed, look, is_live, is_ending, is_due;
    } rest = { e->sent, e->got, e->l.status, e->l.drain_left, e->put, e->done, e->landed,
               e->is_refused, e->is_draining,
               e->is_down, e->l.drains, e->t.armed, e->t.look, !list_empty(&e->t.live),
               !list_empty(&e->t.ending), e->t.until_look <= 0 };
    explore_state_more(&rest, sizeof(rest));
    explore_state_more(e->done_before, sizeof(e->done_before));
}

static void end_put(struct link_end *e)
{
    struct rma *op = &e->ops[e->put];
    *op = (struct rma){ .kind = RMA_PUT, .local = e->bytes[e->put], .len = PUT_LEN,
                        .peers = &e->theirs, .offset = (uint64_t)e->put * PUT_LEN,
                        .cookie = (uint64_t)e->put };
    int status = shm_rma(&e->l.base, op);
    if (status < 0) explore_fail("protocol: put: %d", status);
    if (status == 0) e->done++;
    e->put++;
    explore_say("has begun put %d", e->put);
}

static void end_send(struct link_end *e)
{
    uint8_t head[RING_EXPECTED_HEAD] = { 0 }, body[256];
    size_t blen = body_len(e->sent);
    int status = 0;
    for (size_t i = 0; i < blen; i++) body[i] = content(e->me, e->sent, i);
    head[0] = head[8] = (uint8_t)e->sent;
    if (blen <= TRANSPORT_SHORT && e->l.tx.room > 0) {
        e->l.tx.room--; /* promised just now: ring_promise() leaves none of so few */
        e->l.tx.shorts++;
        shm_send_short(&e->l.base, body, blen, (uint64_t)e->sent);
    } else {
        status = shm_send(&e->l.base, head, sizeof(head), body, blen, NULL, 0);
    }
    if (status == SINEW_EPEER) explore_fail("protocol: a send met the peer's goodbye");
    if (status < 0) explore_fail("protocol: send: %d", status);
    if (status == TRANSPORT_AGAIN) {
        e->is_refused = true;
        return;
    }
    e->done_before[e->sent++] = e->done;
    explore_say("has sent message %d", e->sent);
}

static bool end_is_done(const struct link_end *e)
{
    int me = e->me;
    if (current->drains[0] || current->drains[1]) return e->is_down;
    return e->sent == current->messages[me] && e->got == current->messages[!me] &&
           e->done == current->puts[me] && e->landed == current->puts[!me];
}

/* As a waiter does it, who expects two messages in three, and two at a time. */
static int end_progress(struct link_end *e)
{
    struct link *l = &e->l.base;
    if (e->is_down) return transport_shm.progress(&e->t.base, NULL);
    for (int i = 0; i < EXPECTS; i++)
        e->expect[i] = (struct expect){ .next = i + 1 < EXPECTS ? &e->expect[i + 1] : NULL,
                                        .key = (uint64_t)(e->got + i),
                                        .word = (uint64_t)(e->got + i),
                                        .mask = UINT64_MAX,
                                        .buf = e->expected[i],
                                        .cap = sizeof(e->expected[i]) };
    l->expect = e->got % 3 ? e->expect : NULL;
    int status = transport_shm.progress(&e->t.base, l);
    l->expect = NULL;
    for (int i = 0; i < EXPECTS && e->expect[i].done; i++) {
        if (e->expect[i].len != body_len(e->got))
            explore_fail("content: %zu expected", e->expect[i].len);
        for (size_t k = 0; k < e->expect[i].len; k++)
            if (e->expected[i][k] != content(!e->me, e->got, k))
                explore_fail("content: of %d", e->got);
        end_has_message(e);
        explore_say("has message %d, as expected", e->got);
    }
    return status;
}

static void end_turn(struct link_end *e)
{
    struct transport *t = &e->t.base;
    while (e->put < current->puts[e->me] && e->l.state == SHM_UP) end_put(e);
    while (e->sent < current->messages[e->me] && !e->is_refused && e->l.state == SHM_UP)
        end_send(e);
    if (current->drains[e->me] && !e->is_draining && e->sent == current->messages[e->me]) {
        e->is_draining = true;
        shm_disconnect(&e->l.base, DISCONNECT_DRAIN);
    }
    if (end_is_done(e)) return;
    if (end_progress(e) > 0) return;
    if (transport_shm.arm(t) == 0) explore_sleep();
}

static void link_run(const struct scenario *s, int me)
{
    struct link_end *e = &ends[me];
    (void)s;
    explore_allow_chance(current->chances);
    while (!end_is_done(e)) {
        end_state(0, e);
        end_turn(e);
    }
    end_state(1, e);
}

/* Who leaves need not hear all, but is heard. */
static void link_end_check(const struct scenario *s)
{
    (void)s;
    for (int me = 0; me < 2; me++) {
        if (current->drains[!me]) continue;
        if (ends[!me].got < current->messages[me])
            explore_fail("content: %d of %d messages of thread %d arrived", ends[!me].got,
                         current->messages[me], me);
        if (ends[!me].landed < current->puts[me])
            explore_fail("content: %d of %d puts of thread %d landed", ends[!me].landed,
                         current->puts[me], me);
    }
}

/* --- the cases -------------------------------------------------------------------------------- */

static const struct link_case modify = { 0, { 2, 1 }, false, { false, false }, 1, 0, { 0, 0 } };
static const struct link_case barrier = { 0, { 2, 1 }, true, { false, false }, 1, 0, { 0, 0 } };
static const struct link_case modify_one_way = { UINT32_MAX - 1, { 2, 0 }, false, { 0, 0 }, 1, 0,
                                                 { 0, 0 } };
static const struct link_case barrier_one_way = { UINT32_MAX - 1, { 2, 0 }, true, { 0, 0 }, 1, 0,
                                                  { 0, 0 } };
static const struct link_case two_at_a_time = { 65534, { 3, 0 }, true, { 0, 0 }, 0, 4, { 0, 0 } };
static const struct link_case bye_modify = {
    65534, { 2, 0 }, false, { true, false }, 1, 0, { 0, 0 }
};
static const struct link_case bye_barrier = {
    65534, { 2, 0 }, true, { true, false }, 1, 0, { 0, 0 }
};
static const struct link_case byes_cross = { 0, { 1, 1 }, false, { true, true }, 1, 0, { 0, 0 } };
static const struct link_case large_modify = {
    0, { 2, 2 }, false, { false, false }, 1, 0, { 0, 0 }
};
static const struct link_case large_barrier = {
    0, { 2, 2 }, true, { false, false }, 1, 0, { 0, 0 }
};
static const struct link_case four_modify = { 65534, { 4, 0 }, false,   { false, false },
                                              1,     0,        { 0, 0 } };
static const struct link_case four_barrier = { 65534, { 4, 0 }, true,    { false, false },
                                               1,     0,        { 0, 0 } };
static const struct link_case put_modify = { 65534, { 1, 0 }, false, { 0, 0 }, 1, 0, { 1, 0 } };
static const struct link_case put_barrier = { 65534, { 1, 0 }, true, { 0, 0 }, 0, 0, { 1, 0 } };
static const struct link_case two_puts = { 65534, { 1, 0 }, true, { 0, 0 }, 1, 0, { 2, 0 } };
static const struct link_case put_bye = { 65534, { 1, 0 }, true, { true, false }, 0, 0, { 2, 0 } };
static const struct link_case puts_modify = { 65534, { 2, 0 }, false, { 0, 0 }, 1, 4, { 2, 0 } };
static const struct link_case puts_barrier = { 65534, { 2, 1 }, true, { 0, 0 }, 0, 4, { 2, 1 } };
static const struct link_case large_byes = { 0, { 2, 2 }, true, { true, true }, 1, 0, { 0, 0 } };

const struct scenario link_scenarios[] = {
    { "sleep by exchange, one way", 2, link_reset, link_run, link_end_check, &modify_one_way,
      false },
    { "sleep by membarrier, one way", 2, link_reset, link_run, link_end_check, &barrier_one_way,
      false },
    { "sleep by exchange, both ways", 2, link_reset, link_run, link_end_check, &modify, false },
    { "sleep by membarrier, both ways", 2, link_reset, link_run, link_end_check, &barrier, false },
    { "two expected at a time, 4 slots", 2, link_reset, link_run, link_end_check, &two_at_a_time,
      false },
    { "goodbye, exchange", 2, link_reset, link_run, link_end_check, &bye_modify, false },
    { "goodbye, membarrier", 2, link_reset, link_run, link_end_check, &bye_barrier, false },
    { "goodbyes that cross", 2, link_reset, link_run, link_end_check, &byes_cross, false },
    { "a put and a message, exchange", 2, link_reset, link_run, link_end_check, &put_modify, false },
    { "a put and a message, membarrier", 2, link_reset, link_run, link_end_check, &put_barrier,
      false },
    { "two puts and a message, membarrier", 2, link_reset, link_run, link_end_check, &two_puts,
      true },
    { "two puts, a message, goodbye", 2, link_reset, link_run, link_end_check, &put_bye, true },
    { "two puts, 2 messages, exchange, 4 slots", 2, link_reset, link_run, link_end_check,
      &puts_modify, true },
    { "puts and messages both ways, 4 slots", 2, link_reset, link_run, link_end_check,
      &puts_barrier, true },
    { "sleep by exchange, 4 messages", 2, link_reset, link_run, link_end_check, &four_modify,
      true },
    { "sleep by membarrier, 4 messages", 2, link_reset, link_run, link_end_check, &four_barrier,
      true },
    { "sleep by exchange, 2 and 2 messages", 2, link_reset, link_run, link_end_check, &large_modify,
      true },
    { "sleep by membarrier, 2 and 2 messages", 2, link_reset, link_run, link_end_check,
      &large_barrier, true },
    { "goodbyes that cross, 2 messages", 2, link_reset, link_run, link_end_check, &large_byes,
      true },
};
const size_t link_scenario_count = sizeof(link_scenarios) / sizeof(link_scenarios[0]);
