/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_put_test.c - one-sided writes: they land, pass messages, wait for room, and end with their
 * link
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/shm_pair.h"

struct target {
    struct region mine, theirs;
    uint8_t *memory;
};

static void target_make(struct target *g, struct end *owner, struct end *user, int rank, size_t len)
{
    memset(g, 0, sizeof(*g));
    g->memory = calloc(1, len + 1);
    g->mine = (struct region){ .base = g->memory, .len = len };
    assert_int_equal(transport_shm.reg(&owner->t->base, NULL, &g->mine), 0);
    assert_true(g->mine.key_len <= TRANSPORT_KEY_MAX);
    g->theirs.len = len;
    g->theirs.key_len = g->mine.key_len;
    memcpy(g->theirs.key, g->mine.key, TRANSPORT_KEY_MAX);
    assert_int_equal(transport_shm.reg(&user->t->base, &user->peers[rank].link->base, &g->theirs),
                     0);
}

static void target_free(struct target *g, struct end *owner, struct end *user)
{
    assert_int_equal(transport_shm.dereg(&user->t->base, &g->theirs), 0);
    assert_int_equal(transport_shm.dereg(&owner->t->base, &g->mine), 0);
    free(g->memory);
}

static int put(struct end *e, int rank, struct rma *op, const struct region *to, void *local,
               size_t len, uint64_t offset, uint64_t cookie)
{
    *op = (struct rma){ .kind = RMA_PUT, .local = local, .len = len, .peers = to,
                        .offset = offset, .cookie = cookie };
    return transport_shm.rma(&e->peers[rank].link->base, op);
}

static void test_puts_land(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 8, 32, 33, 8191, 8192, 8193, 100000, 8 << 20 };
    struct end a, b;
    pair_up(&a, &b, NULL);
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct target g;
        struct rma op;
        size_t len = sizes[s];
        uint8_t *local = malloc(len + 1);
        target_make(&g, &b, &a, 1, len + 100);
        for (size_t i = 0; i < len; i++) local[i] = pattern(s, i);
        uint64_t dones = a.peers[1].dones, messages = b.peers[0].messages;
        int status = put(&a, 1, &op, &g.theirs, local, len, 50, s + 1);
        assert_true(status == 0 || status == TRANSPORT_PENDING);
        if (len > 65536) assert_int_equal(status, TRANSPORT_PENDING);
        if (status == TRANSPORT_PENDING) UNTIL(a.peers[1].dones == dones + 1, &a, &b);
        if (status == TRANSPORT_PENDING) assert_int_equal(a.peers[1].done_cookie, s + 1);
        memset(local, 0xee, len); /* ours again */
        assert_int_equal(send_to(&a, 1, "after", 5, NULL, 0), 0);
        UNTIL(b.peers[0].messages == messages + 1, &a, &b);
        for (size_t i = 0; i < len; i++)
            if (g.memory[50 + i] != pattern(s, i)) fail_msg("%zu bytes: byte %zu", len, i);
        for (size_t i = 0; i < 50; i++)
            assert_true(g.memory[i] == 0 && g.memory[50 + len + i] == 0);
        target_free(&g, &b, &a);
        free(local);
    }
    pair_down(&a, &b);
}

/* `many` messages with bodies of `len` bytes come, and the put that was there first is not done. */
static void messages_pass_a_long_put(uint64_t many, size_t len)
{
    struct end a, b;
    struct target g;
    struct rma op;
    size_t put_len = 8 << 20;
    uint8_t *local = calloc(1, put_len);
    pair_up(&a, &b, NULL);
    target_make(&g, &b, &a, 1, put_len);
    assert_int_equal(put(&a, 1, &op, &g.theirs, local, put_len, 0, 9), TRANSPORT_PENDING);
    for (uint64_t n = 1; n <= many; n++) {
        int rooms = a.peers[1].rooms;
        if (send_to(&a, 1, "head", 4, local, len) != 0) {
            UNTIL(a.peers[1].rooms > rooms, &a, &b);
            assert_int_equal(send_to(&a, 1, "head", 4, local, len), 0);
        }
        UNTIL(b.peers[0].messages == n, &a, &b);
    }
    assert_int_equal(a.peers[1].dones, 0); /* all the time the put was under way */
    UNTIL(a.peers[1].dones == 1, &a, &b);
    target_free(&g, &b, &a);
    free(local);
    pair_down(&a, &b);
}

static void test_messages_pass_a_long_put(void **state)
{
    (void)state;
    messages_pass_a_long_put(100, 0);
}

/* It needs more than fragments ever leave free, and must not wait for the last of them. */
static void test_the_longest_message_passes_a_long_put(void **state)
{
    (void)state;
    messages_pass_a_long_put(20, SEGMENT_EAGER_MAX);
}

/* The receiver finishes with `count` messages, of any kind, and tells; it looks at nothing else. */
static void take_some(struct shm_link *l, int count)
{
    struct ring_message m;
    for (int i = 0; i < count && ring_take(&l->rx, &m) > 0; i++) ring_finish(&l->rx, &m);
    ring_tell(&l->rx);
}

/* The receiver computes, and looks in between: what is short does not wait for it beside a put. */
static void test_short_messages_wait_for_no_put(void **state)
{
    (void)state;
    struct end a, b;
    struct target g;
    struct rma op;
    static uint8_t local[8 << 20];
    uint64_t random = 12345;
    size_t spared = ring_spared_bytes(SEGMENT_BODY_BYTES);
    pair_up(&a, &b, NULL);
    target_make(&g, &b, &a, 1, sizeof(local));
    assert_int_equal(put(&a, 1, &op, &g.theirs, local, sizeof(local), 0, 9), TRANSPORT_PENDING);
    for (int i = 0; i < 300; i++) {
        size_t before = op.progress;
        for (int turns = 0; op.progress == before; turns++) {
            assert_true(turns < 100);
            take_some(b.peers[0].link, 1);
            end_progress(&a);
        }
        for (int k = 0; k < 3; k++) end_progress(&a); /* all that goes */
        size_t len = 41 + seeded(&random) % (spared - 41);
        if (send_to(&a, 1, "short", 5, local, len) != 0) fail_msg("%d: %zu bytes wait", i, len);
    }
    UNTIL(a.peers[1].dones == 1, &a, &b);
    target_free(&g, &b, &a);
    pair_down(&a, &b);
}

enum { STREAM_TURNS = 2000 };

struct stream { /* of messages of one length, as many as go */
    size_t len;
    uint64_t sent, most; /* at most so many that have not arrived; 0: no bound */
    const struct peer *receiver;
};

static uint8_t stream_body[SEGMENT_EAGER_MAX];

static void stream_on(struct peer *p)
{
    struct stream *s = p->end->arg;
    while (!s->most || s->sent - s->receiver->messages < s->most) {
        if (send_to(p->end, 1, "x", 1, stream_body, s->len) != 0) return;
        s->sent++;
    }
}

/* A stream that goes on from `room`, or from outside, or that never meets a full ring: it does not
 * starve a put, nor the put the stream. */
static void put_beside(struct stream s, bool inside)
{
    struct end a, b;
    struct target g;
    struct rma op;
    static uint8_t local[1 << 20];
    int turns = 0, rooms = 0;
    pair_up(&a, &b, NULL);
    target_make(&g, &b, &a, 1, sizeof(local));
    s.receiver = &b.peers[0];
    a.arg = &s;
    stream_on(&a.peers[1]);
    if (inside) a.room = stream_on;
    bool may_send = s.most > 0;
    assert_int_equal(put(&a, 1, &op, &g.theirs, local, sizeof(local), 0, 9), TRANSPORT_PENDING);
    while (a.peers[1].dones == 0 && turns++ < STREAM_TURNS) {
        if (may_send || a.peers[1].rooms > rooms) { /* after AGAIN nothing is sent until room */
            rooms = a.peers[1].rooms;
            if (!inside) stream_on(&a.peers[1]);
            may_send = s.most > 0 && !a.peers[1].link->wants;
        }
        end_progress(&a);
        end_progress(&b);
    }
    if (a.peers[1].dones == 0 || 4 * b.peers[0].messages < (uint64_t)turns)
        fail_msg("%zu bytes%s, %d at most: %zu bytes put, %d messages, %d turns", s.len,
                 inside ? ", from room" : "", (int)s.most, op.progress, (int)b.peers[0].messages,
                 turns);
    a.room = NULL;
    target_free(&g, &b, &a);
    pair_down(&a, &b);
}

static void test_a_put_passes_a_stream(void **state)
{
    (void)state;
    static const size_t lens[] = { 100, 4096, 8192, 9000, 11000, 12000, 14000, 16384 };
    for (size_t k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
        put_beside((struct stream){ .len = lens[k] }, false);
        put_beside((struct stream){ .len = lens[k] }, true);
        for (uint64_t most = 1; most <= 4; most++)
            put_beside((struct stream){ .len = lens[k], .most = most }, false);
    }
}

enum { LOOKS = 20000, PUT_BYTES = 1 << 20 };

/* All that a sender whose ring is full has: a put, and messages in the line, as often as they
 * go. */
struct lines {
    size_t len;    /* of those by send(), with a head of one byte; */
    bool sends;
    bool shorts;   /* by send_short()                              */
    bool may_send; /* not before the next `room`                   */
    uint64_t sent, shorts_sent;
};

static void lines_send(struct peer *p)
{
    struct lines *s = p->end->arg;
    while (s->sends && s->may_send) {
        s->may_send = send_to(p->end, 1, "x", 1, stream_body, s->len) == 0;
        s->sent += s->may_send;
    }
}

static void lines_room(struct peer *p)
{
    ((struct lines *)p->end->arg)->may_send = true;
    lines_send(p);
}

static void lines_send_short(struct link *l, struct lines *s)
{
    transport_shm.allow(l, 0);
    while (s->shorts && *l->shorts > 0) {
        transport_shm.send_short(l, stream_body, 8, 1);
        s->shorts_sent++;
        if (*l->shorts == 0) transport_shm.allow(l, 0);
    }
}

/* The receiver gives back `each` slots a look. */
static void put_beside_lines(struct lines s, int each)
{
    struct end a, b;
    struct target g;
    struct rma op;
    static uint8_t local[PUT_BYTES];
    /* each leaves a turn to every other */
    uint64_t looks = 0, fragments = PUT_BYTES / SEGMENT_FRAGMENT;
    pair_up(&a, &b, NULL);
    target_make(&g, &b, &a, 1, sizeof(local));
    struct link *l = &a.peers[1].link->base;
    s.may_send = true;
    a.arg = &s;
    a.room = lines_room;
    transport_shm.allow(l, 1 << 28);
    lines_send_short(l, &s);
    lines_send(&a.peers[1]);
    assert_int_equal(put(&a, 1, &op, &g.theirs, local, sizeof(local), 0, 9), TRANSPORT_PENDING);
    s.sent = s.shorts_sent = 0;
    for (; a.peers[1].dones == 0 && looks < LOOKS; looks++) {
        take_some(b.peers[0].link, each);
        lines_send_short(l, &s);
        end_progress(&a);
    }
    if (a.peers[1].dones == 0 || (s.sends && s.sent < fragments) ||
        (s.shorts && s.shorts_sent < fragments))
        fail_msg("%zu bytes%s%s, %d slots a look: %zu bytes put in %d looks, beside %d and %d short",
                 s.len, s.sends ? "" : ", not sent", s.shorts ? " and short" : "", each, op.progress,
                 (int)looks, (int)s.sent, (int)s.shorts_sent);
    a.room = NULL;
    target_free(&g, &b, &a);
    pair_down(&a, &b);
}

/* They take no bytes of the ring, only the slots that a fragment needs. */
static void test_a_put_passes_messages_that_are_lines(void **state)
{
    (void)state;
    static const size_t lens[] = { 0, 40, 55 };
    static const int gives[] = { 1, 2, 6 };
    for (size_t i = 0; i < sizeof(gives) / sizeof(gives[0]); i++) {
        for (size_t k = 0; k < sizeof(lens) / sizeof(lens[0]); k++)
            put_beside_lines((struct lines){ .len = lens[k], .sends = true }, gives[i]);
        put_beside_lines((struct lines){ .shorts = true }, gives[i]);
    }
}

/* Short messages that go past both leave a turn to each. */
static void test_a_put_and_a_long_message_pass_short_ones(void **state)
{
    (void)state;
    for (int each = 1; each <= 7; each++) {
        put_beside_lines((struct lines){ .len = 4096, .sends = true, .shorts = true }, each);
        put_beside_lines((struct lines){ .len = 16384, .sends = true, .shorts = true }, each);
    }
}

/* Whatever waits: when progress finds nothing to do, arm says that there is nothing. */
static void test_who_can_do_nothing_may_sleep(void **state)
{
    (void)state;
    struct end a, b;
    struct target g;
    static struct rma ops[400];
    static uint8_t local[100000];
    uint64_t random = 20261123;
    int used = 0, refused = -1;
    pair_up(&a, &b, NULL);
    target_make(&g, &b, &a, 1, sizeof(local));
    for (int i = 0; i < 3000; i++) {
        uint64_t what = seeded(&random) % 8;
        size_t len = seeded(&random) % 3 ? seeded(&random) % SEGMENT_EAGER_MAX : 100;
        if (what == 0 && used < 400)
            put(&a, 1, &ops[used++], &g.theirs, local, seeded(&random) % 2 ? len : 5 * len, 0, 9);
        else if (what < 4)
            take_some(b.peers[0].link, (int)(seeded(&random) % 3));
        else if (a.peers[1].rooms > refused && send_to(&a, 1, "x", 1, local, len) != 0)
            refused = a.peers[1].rooms;
        int turns = 0;
        while (end_progress(&a) > 0) assert_true(turns++ < 100);
        if (transport_shm.arm(&a.t->base) != 0) fail_msg("step %d: nothing to do, and no rest", i);
        end_progress(&a);
    }
    UNTIL(!a.peers[1].link->wants && list_empty(&a.peers[1].link->puts), &a, &b);
    target_free(&g, &b, &a);
    pair_down(&a, &b);
}

static void test_flush_waits_for_queued_puts(void **state)
{
    (void)state;
    struct end a, b;
    struct target g;
    struct rma ops[3];
    static uint8_t local[100000];
    pair_up(&a, &b, NULL);
    target_make(&g, &b, &a, 1, sizeof(local));
    struct link *l = &a.peers[1].link->base;
    assert_int_equal(transport_shm.flush(l, 1), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(put(&a, 1, &ops[i], &g.theirs, local, sizeof(local), 0, 10),
                         TRANSPORT_PENDING);
    assert_int_equal(transport_shm.flush(l, 77), TRANSPORT_PENDING);
    UNTIL(a.peers[1].dones == 4, &a, &b);
    assert_int_equal(a.peers[1].done_cookie, 77); /* last */
    assert_int_equal(a.peers[1].done_status, 0);
    assert_int_equal(transport_shm.flush(l, 78), 0);
    target_free(&g, &b, &a);
    pair_down(&a, &b);
}

/* The last put before it is done by the last upcall that one progress lets its link make. */
static void test_a_flush_outlives_the_last_put(void **state)
{
    (void)state;
    struct end a, b;
    struct target g;
    enum { MOST = TRANSPORT_UPCALLS_MAX - SHM_BUDGET_KEPT, KEPT = MOST / SHM_PUSH_PART };
    struct rma ops[1 + KEPT];
    static uint8_t local[3 * SEGMENT_FRAGMENT]; /* what fits */
    pair_up(&a, &b, NULL);
    target_make(&g, &b, &a, 1, sizeof(local));
    assert_int_equal(put(&a, 1, &ops[0], &g.theirs, local, sizeof(local), 0, 10), 0);
    for (int i = 1; i <= KEPT; i++)
        assert_int_equal(put(&a, 1, &ops[i], &g.theirs, local, 8, 0, 11), TRANSPORT_PENDING);
    assert_int_equal(transport_shm.flush(&a.peers[1].link->base, 77), TRANSPORT_PENDING);
    for (int i = 0; i < 100; i++) end_progress(&b);
    for (int i = 0; i < TRANSPORT_UPCALLS_MAX - 1; i++)
        assert_int_equal(send_to(&b, 0, "x", 1, NULL, 0), 0);
    assert_int_equal(end_progress(&a), MOST);
    assert_int_equal(a.peers[1].dones, KEPT);
    for (int i = 0; i < 100; i++) end_progress(&a);
    assert_int_equal(a.peers[1].dones, KEPT + 1);
    assert_int_equal(a.peers[1].done_cookie, 77);
    target_free(&g, &b, &a);
    pair_down(&a, &b);
}

static void test_dereg_in_the_middle_of_a_put(void **state)
{
    (void)state;
    struct end a, b;
    struct target g;
    struct rma op;
    size_t len = 1 << 20;
    uint8_t *local = malloc(len);
    memset(local, 0x5a, len);
    pair_up(&a, &b, NULL);
    target_make(&g, &b, &a, 1, len);
    assert_int_equal(put(&a, 1, &op, &g.theirs, local, len, 0, 9), TRANSPORT_PENDING);
    UNTIL(g.memory[len / 4] == 0x5a, &a, &b);
    assert_int_equal(transport_shm.dereg(&a.t->base, &g.theirs), TRANSPORT_AGAIN);
    assert_int_equal(transport_shm.dereg(&b.t->base, &g.mine), 0);
    memset(g.memory, 0, len);
    struct target next; /* takes the place in the table */
    target_make(&next, &b, &a, 1, len);
    UNTIL(a.peers[1].dones == 1, &a, &b);
    assert_int_equal(send_to(&a, 1, "after", 5, NULL, 0), 0);
    UNTIL(b.peers[0].messages == 1, &a, &b);
    for (size_t i = 0; i < len; i++) assert_true(g.memory[i] == 0 && next.memory[i] == 0);
    assert_int_equal(transport_shm.dereg(&a.t->base, &g.theirs), 0);
    target_free(&next, &b, &a);
    free(g.memory);
    free(local);
    pair_down(&a, &b);
}

/* What was put by the last key before the wrap goes nowhere after it; what is put then lands. */
static void test_generations_of_regions_wrap(void **state)
{
    (void)state;
    struct end a, b;
    struct rma op;
    uint8_t local[8] = "bytes";
    pair_up(&a, &b, NULL);
    struct target first;
    target_make(&first, &b, &a, 1, sizeof(local));
    struct shm_region *r = &b.t->regions[first.mine.id];
    target_free(&first, &b, &a);
    r->generation = UINT32_MAX - 1;
    for (uint32_t n = 0; n < 4; n++) {
        struct target old, g;
        target_make(&old, &b, &a, 1, sizeof(local));
        assert_ptr_equal(&b.t->regions[old.mine.id], r);
        assert_int_equal(wire_get32(old.mine.key + 4), UINT32_MAX - 1 + 2 * n);
        assert_int_equal(put(&a, 1, &op, &old.theirs, local, sizeof(local), 0, 1), 0);
        assert_int_equal(transport_shm.dereg(&b.t->base, &old.mine), 0);
        target_make(&g, &b, &a, 1, sizeof(local));
        assert_ptr_equal(&b.t->regions[g.mine.id], r);
        assert_int_equal(put(&a, 1, &op, &g.theirs, local, sizeof(local), 0, 1), 0);
        assert_int_equal(send_to(&a, 1, "after", 5, NULL, 0), 0);
        UNTIL(b.peers[0].messages == n + 1, &a, &b);
        assert_int_equal(old.memory[0], 0);
        assert_memory_equal(g.memory, local, sizeof(local));
        assert_int_equal(transport_shm.dereg(&a.t->base, &old.theirs), 0);
        free(old.memory);
        target_free(&g, &b, &a);
    }
    assert_int_equal(b.peers[0].downs, 0);
    pair_down(&a, &b);
}

static int no_random(void *arg, void *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    (void)len;
    return SINEW_EIO;
}

/* A rendezvous registers per message: it must not cost a system call. */
static void test_keys_differ_and_are_drawn_once(void **state)
{
    (void)state;
    struct end a;
    struct region r = { .base = &a, .len = 8 };
    uint8_t keys[10][16];
    end_open(&a, 0, 2, NULL);
    struct world dry = *a.t->base.opt.world;
    dry.random = no_random;
    a.t->base.opt.world = &dry;
    for (int i = 0; i < 10; i++) { /* one place, ten generations */
        assert_int_equal(transport_shm.reg(&a.t->base, NULL, &r), 0);
        memcpy(keys[i], r.key, 16);
        for (int k = 0; k < i; k++) assert_memory_not_equal(keys[i] + 8, keys[k] + 8, 8);
        assert_int_equal(transport_shm.dereg(&a.t->base, &r), 0);
    }
    end_close(&a);
}

static void test_atomics_and_gets_of_what_was_not_offered_are_refused(void **state)
{
    (void)state;
    struct end a, b;
    struct region to_put = { .key_len = 24 };
    struct rma op = { .kind = RMA_GET, .peers = &to_put };
    pair_up(&a, &b, NULL);
    assert_int_equal(transport_shm.rma(&a.peers[1].link->base, &op), SINEW_ENOTSUP);
    op.kind = RMA_ATOMIC;
    assert_int_equal(transport_shm.rma(&a.peers[1].link->base, &op), SINEW_ENOTSUP);
    assert_int_equal(a.peers[1].downs, 0);
    pair_down(&a, &b);
}

static void test_drain_delivers_queued_puts(void **state)
{
    (void)state;
    struct end a, b;
    struct target g;
    struct rma op;
    size_t len = 1 << 20;
    uint8_t *local = malloc(len);
    memset(local, 0x77, len);
    pair_up(&a, &b, NULL);
    target_make(&g, &b, &a, 1, len);
    assert_int_equal(put(&a, 1, &op, &g.theirs, local, len, 0, 9), TRANSPORT_PENDING);
    end_disconnect(&a, 1, DISCONNECT_DRAIN);
    assert_true(send_to(&a, 1, "late", 4, NULL, 0) < 0);
    UNTIL(a.peers[1].downs && b.peers[0].downs, &a, &b);
    assert_int_equal(a.peers[1].done_status, 0);
    assert_int_equal(b.peers[0].gone, GONE_LEFT);
    for (size_t i = 0; i < len; i++) assert_int_equal(g.memory[i], 0x77);
    target_free(&g, &b, &a);
    free(local);
    end_close(&a);
    end_close(&b);
}

static void test_now_drops_and_is_not_leaving(void **state)
{
    (void)state;
    struct end a, b;
    struct target g;
    struct rma op;
    static uint8_t local[1 << 20];
    pair_up(&a, &b, NULL);
    target_make(&g, &b, &a, 1, sizeof(local));
    assert_int_equal(put(&a, 1, &op, &g.theirs, local, sizeof(local), 0, 9), TRANSPORT_PENDING);
    assert_int_equal(transport_shm.flush(&a.peers[1].link->base, 10), TRANSPORT_PENDING);
    assert_int_equal(send_to(&a, 1, "sent", 4, NULL, 0), 0);
    end_disconnect(&a, 1, DISCONNECT_DRAIN);
    end_disconnect(&a, 1, DISCONNECT_NOW); /* harsher */
    UNTIL(a.peers[1].downs && b.peers[0].downs, &a, &b);
    assert_int_equal(a.peers[1].dones, 2);
    assert_true(a.peers[1].done_status < 0);
    assert_int_equal(b.peers[0].messages, 1);
    assert_int_equal(b.peers[0].status, SINEW_EPEER);
    assert_int_not_equal(b.peers[0].gone, GONE_LEFT);
    target_free(&g, &b, &a);
    end_close(&a);
    end_close(&b);
}

/* Work that arm() has seen stays work until it is done: the link's turn may be a while away. */
static void test_arm_goes_on_saying_that_there_is_work(void **state)
{
    (void)state;
    struct end a, b;
    struct target g;
    struct rma op;
    static uint8_t local[100000];
    pair_up(&a, &b, NULL);
    target_make(&g, &b, &a, 1, sizeof(local));
    assert_int_equal(put(&a, 1, &op, &g.theirs, local, sizeof(local), 0, 9), TRANSPORT_PENDING);
    WHILE (end_progress(&a) > 0 || transport_shm.arm(&a.t->base) > 0) {}
    end_progress(&b);
    for (int i = 0; i < 3; i++) assert_true(transport_shm.arm(&a.t->base) > 0);
    UNTIL(a.peers[1].dones == 1, &a, &b);
    target_free(&g, &b, &a);
    WHILE (send_to(&a, 1, "x", 1, local, 8192) == 0) {}
    WHILE (end_progress(&a) > 0 || transport_shm.arm(&a.t->base) > 0) {}
    end_progress(&b);
    for (int i = 0; i < 3; i++) assert_true(transport_shm.arm(&a.t->base) > 0);
    pair_down(&a, &b);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, end_no_residue, end_no_residue)
    const struct CMUnitTest tests[] = {
        TEST(test_puts_land),
        TEST(test_messages_pass_a_long_put),
        TEST(test_the_longest_message_passes_a_long_put),
        TEST(test_short_messages_wait_for_no_put),
        TEST(test_a_put_passes_a_stream),
        TEST(test_a_put_passes_messages_that_are_lines),
        TEST(test_a_put_and_a_long_message_pass_short_ones),
        TEST(test_who_can_do_nothing_may_sleep),
        TEST(test_flush_waits_for_queued_puts),
        TEST(test_a_flush_outlives_the_last_put),
        TEST(test_dereg_in_the_middle_of_a_put),
        TEST(test_generations_of_regions_wrap),
        TEST(test_keys_differ_and_are_drawn_once),
        TEST(test_atomics_and_gets_of_what_was_not_offered_are_refused),
        TEST(test_drain_delivers_queued_puts),
        TEST(test_now_drops_and_is_not_leaving),
        TEST(test_arm_goes_on_saying_that_there_is_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
