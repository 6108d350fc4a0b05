/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pledge_model.c - memory that one side lends and takes back at any time, and that the other copies
 *
 * What runs is read.c and put.c as they are shipped: offer, withdraw, accept, get. Thread 0 writes
 * a buffer, offers it, sends the key through a ring and withdraws, then does so again with the same
 * buffer and the same pledge; thread 1 copies what each key is for. In place of a mapping or of
 * process_vm_readv() there is the buffer itself. A copy that is confirmed is what was written
 * before the withdrawal, and nobody may have written meanwhile; and it is confirmed exactly if the
 * withdrawal has not returned.
 */
#include <string.h>
#include <sys/uio.h>

#include "tests/model/cases.h"
#include "transport/shm/link.h"

/* The linker gives us what read.c asks of the kernel and of share.c. */
uint32_t __wrap_share_of(const struct shm_transport *t, const void *at, size_t len);
const void *__wrap_share_at(struct shm_link *l, uint32_t id, uint64_t address, size_t len);
ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *local, unsigned long locals,
                                const struct iovec *remote, unsigned long remotes,
                                unsigned long flags);

enum { OFFERS_MAX = 3, LENT_LEN = 16, KEY_KIND = 1 };

struct pledge_case {
    int offers;
    bool is_mapped;  /* as memory of sinew_memory_alloc() is */
    bool reads_late; /* every key is here before the first copy is made */
};

/* Only what lies behind the rings of a segment is used, then our own ring and the buffer. */
static const struct ring_shape shape = { 4, 128, 64 };
enum { RINGS = 2 * (256 + SEGMENT_SLOTS * RING_LINE + SEGMENT_BODY_BYTES), SHARED = 1536 };
static alignas(128) uint8_t segment[RINGS + SHARED];

static struct {
    const struct pledge_case *c;
    struct shm_transport t[2];
    struct shm_link l[2];
    struct ring_producer tx;
    struct ring_consumer rx;
    uint8_t *lent;
    int withdrawn; /* of the offers */
} model;

uint32_t __wrap_share_of(const struct shm_transport *t, const void *at, size_t len)
{
    (void)t;
    (void)at;
    (void)len;
    return model.c->is_mapped;
}

const void *__wrap_share_at(struct shm_link *l, uint32_t id, uint64_t address, size_t len)
{
    (void)l;
    (void)len;
    return id ? (const void *)(uintptr_t)address : NULL;
}

ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *local, unsigned long locals,
                                const struct iovec *remote, unsigned long remotes,
                                unsigned long flags)
{
    (void)pid;
    (void)flags;
    if (locals != 1 || remotes != 1) explore_fail("protocol: more than one piece is read");
    memory_read(local->iov_base, remote->iov_base, local->iov_len);
    return (ssize_t)local->iov_len;
}

static uint8_t content(int n, size_t i) { return (uint8_t)(n * 37 + (int)i * 3 + 1); }

static void pledge_reset(const struct scenario *s)
{
    uint8_t *words = (uint8_t *)segment_pledges(segment, 0);
    uint8_t *at = words + 2 * SEGMENT_PLEDGES * sizeof(shared_u32);
    struct ring *ring = (struct ring *)(void *)at;
    memset(&model, 0, sizeof(model));
    model.c = s->arg;
    model.lent = at + ring_bytes(&shape);
    if (words != segment + RINGS || model.lent + LENT_LEN > segment + sizeof(segment))
        explore_fail("the explorer: a segment is not as drawn");
    memory_reset(2, words, SHARED);
    memory_location(segment_pledges(segment, 0), "pledge");
    memory_location(&ring->returned, "returned");
    for (uint32_t i = 0; i < shape.slots; i++) memory_location(&ring->slots[i].word, "word");
    memory_tried(model.lent, LENT_LEN);
    ring_producer_init(&model.tx, ring, &shape, 0);
    ring_consumer_init(&model.rx, ring, &shape, 0);
    for (int me = 0; me < 2; me++) {
        struct shm_link *l = &model.l[me];
        list_init(&model.t[me].links);
        l->base = (struct link){ .transport = &model.t[me].base, .rank = !me };
        link_init(l);
        l->segment = segment;
        l->side = me;
        l->reads = true;
        l->state = SHM_UP;
    }
}

/* --- who lends -------------------------------------------------------------------------------- */

static void owner_write(int n)
{
    uint8_t bytes[LENT_LEN];
    for (size_t i = 0; i < LENT_LEN; i++) bytes[i] = content(n, i);
    memory_write(model.lent, bytes, LENT_LEN);
}

static void owner_run(void)
{
    struct transport *t = &model.t[0].base;
    for (int n = 0; n < model.c->offers; n++) {
        struct region region = { .base = model.lent, .len = LENT_LEN, .reader = &model.l[0].base };
        owner_write(n);
        if (shm_reg(t, NULL, &region) != 0) explore_fail("protocol: offer: %s", t->why.text);
        if (ring_put(&model.tx, RING_DATA, KEY_KIND, region.key, region.key_len, NULL, 0, 0) != 0)
            explore_fail("protocol: no room for a key");
        if (shm_dereg(t, &region) != 0) explore_fail("protocol: withdraw");
        model.withdrawn++;
        explore_say("has withdrawn offer %d", n);
    }
    owner_write(model.c->offers);
}

/* --- who reads -------------------------------------------------------------------------------- */

static void reader_take(uint8_t *key)
{
    struct ring_message m = { 0 };
    for (;;) {
        explore_poll();
        int got = ring_take(&model.rx, &m);
        if (got < 0) explore_fail("ring_take: the word was refused");
        if (got > 0) break;
        explore_await();
    }
    if (m.kind != KEY_KIND || m.hlen != READ_KEY_LEN) explore_fail("content: not a key");
    memcpy(key, m.head, READ_KEY_LEN);
    ring_finish(&model.rx, &m);
}

static void reader_read(int n, const uint8_t *key)
{
    struct link *l = &model.l[1].base;
    struct region peers = { .len = LENT_LEN, .key_len = READ_KEY_LEN };
    uint8_t copy[LENT_LEN] = { 0 };
    struct rma op = { .kind = RMA_GET, .local = copy, .len = LENT_LEN, .peers = &peers };
    memcpy(peers.key, key, READ_KEY_LEN);
    if (shm_reg(l->transport, l, &peers) != 0) explore_fail("protocol: the key was refused");
    int status = shm_rma(l, &op);
    if (status != 0 && status != SINEW_EACCESS) explore_fail("protocol: get: %d", status);
    if (status == 0 && model.withdrawn > n) explore_fail("content: a get of what was withdrawn");
    if (status != 0 && model.withdrawn <= n) explore_fail("content: a get of what is offered");
    if (status != 0) {
        memory_drop();
        return;
    }
    memory_keep();
    for (size_t i = 0; i < LENT_LEN; i++)
        if (copy[i] != content(n, i)) explore_fail("content: byte %zu of copy %d", i, n);
}

static void reader_run(void)
{
    uint8_t keys[OFFERS_MAX][READ_KEY_LEN];
    for (int n = 0; n < model.c->offers; n++) {
        reader_take(keys[n]);
        if (!model.c->reads_late) reader_read(n, keys[n]);
    }
    for (int n = 0; model.c->reads_late && n < model.c->offers; n++) reader_read(n, keys[n]);
}

static void pledge_run(const struct scenario *s, int me)
{
    (void)s;
    if (me == 0)
        owner_run();
    else
        reader_run();
}

/* --- the cases -------------------------------------------------------------------------------- */

static const struct pledge_case mapped = { 2, true, false };
static const struct pledge_case by_kernel = { 2, false, false };
static const struct pledge_case late = { 2, true, true };
static const struct pledge_case many = { 3, true, false };
static const struct pledge_case many_late = { 3, true, true };

const struct scenario pledge_scenarios[] = {
    { "pledge, of a mapping", 2, pledge_reset, pledge_run, NULL, &mapped, false },
    { "pledge, by process_vm_readv()", 2, pledge_reset, pledge_run, NULL, &by_kernel, false },
    { "pledge, both keys before the copies", 2, pledge_reset, pledge_run, NULL, &late, false },
    { "pledge, 3 offers", 2, pledge_reset, pledge_run, NULL, &many, true },
    { "pledge, 3 keys before the copies", 2, pledge_reset, pledge_run, NULL, &many_late, true },
};
const size_t pledge_scenario_count = sizeof(pledge_scenarios) / sizeof(pledge_scenarios[0]);
