/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring.c - one cache line; and a ring of 64 of them, one in each direction
 *
 *    slot   | word: number of the message, 8 bytes | up to 56 bytes of the message |
 *
 * One release store of the word publishes the slot, one acquire load finds it. The reader tells
 * every 16 slots how many it has emptied. A longer message takes several slots; or it goes in
 * chunks: a slot announces each, and its bytes lie in the chunk of the same number in a ring of
 * chunks. While one side copies a chunk out, the other one copies the next one in.
 */
#include "ring.h"

#include <string.h>

enum how { IN_SLOTS, IN_CHUNKS, IN_CHUNKS_STRING_IN, IN_CHUNKS_STRING_BOTH, HOWS };
enum { STRING_BELOW = 16384 }; /* above, memcpy does the same by itself */

/* Until a whole batch is there, or the last of all. */
static void ring_await_batch(struct ring_end *rx, uint64_t batch)
{
    uint64_t last = rx->next + batch - 1 < rx->end ? rx->next + batch - 1 : rx->end - 1;
    limit_await(&rx->slots[last % SLOTS].word, last + 1); /* with ring_publish */
}

static inline struct ring_slot *ring_expect(struct run *r, uint64_t ahead)
{
    struct ring_end *rx = &r->rx;
    struct ring_slot *slot = &rx->slots[rx->next % SLOTS];
    uint64_t batch = (uint64_t)r->variant->lazy;
    if (ahead > 0) __builtin_prefetch(&rx->slots[(rx->next + ahead) % SLOTS]);
    if (batch > 0 && rx->next % batch == 0) ring_await_batch(rx, batch);
    limit_await(&slot->word, rx->next + 1); /* with ring_publish */
    return slot;
}

static void ring_put_slots(struct run *r, const uint8_t *from)
{
    for (size_t at = 0; at < r->bytes; at += IN_SLOT) {
        struct ring_slot *slot = ring_claim(&r->tx, SLOTS);
        if (r->bytes - at >= IN_SLOT)
            memcpy(slot->data, from + at, IN_SLOT);
        else
            memcpy(slot->data, from + at, r->bytes - at);
        ring_publish(&r->tx, slot);
    }
}

static void ring_get_slots(struct run *r, uint8_t *to)
{
    for (size_t at = 0; at < r->bytes; at += IN_SLOT) {
        struct ring_slot *slot = ring_expect(r, r->variant->room);
        if (r->bytes - at >= IN_SLOT)
            memcpy(to + at, slot->data, IN_SLOT);
        else
            memcpy(to + at, slot->data, r->bytes - at);
        ring_release(&r->rx, TELL_EVERY);
    }
}

static void ring_put_chunks(struct run *r, const uint8_t *from)
{
    const struct variant *v = r->variant;
    for (size_t at = 0; at < r->bytes; at += v->chunk) {
        size_t len = r->bytes - at < v->chunk ? r->bytes - at : v->chunk;
        struct ring_slot *slot = ring_claim(&r->tx, v->room);
        uint8_t *body = ring_body(r, &r->tx);
        if (v->how == IN_CHUNKS)
            memcpy(body, from + at, len);
        else
            limit_copy_string(body, from + at, len);
        ring_publish(&r->tx, slot);
    }
}

static void ring_get_chunks(struct run *r, uint8_t *to)
{
    const struct variant *v = r->variant;
    for (size_t at = 0; at < r->bytes; at += v->chunk) {
        size_t len = r->bytes - at < v->chunk ? r->bytes - at : v->chunk;
        ring_expect(r, 0);
        const uint8_t *body = ring_body(r, &r->rx);
        if (v->how == IN_CHUNKS_STRING_BOTH)
            limit_copy_string(to + at, body, len);
        else
            memcpy(to + at, body, len);
        ring_release(&r->rx, v->room < 4 ? 1 : v->room / 4);
    }
}

static inline void ring_put(struct run *r, const uint8_t *from)
{
    if (r->bytes == 8) {
        struct ring_slot *slot = ring_claim(&r->tx, SLOTS);
        memcpy(slot->data, from, 8);
        ring_publish(&r->tx, slot);
    } else if (r->variant->how == IN_SLOTS) {
        ring_put_slots(r, from);
    } else {
        ring_put_chunks(r, from);
    }
}

static inline void ring_get(struct run *r, uint8_t *to)
{
    if (r->bytes == 8) {
        memcpy(to, ring_expect(r, r->variant->room)->data, 8);
        ring_release(&r->rx, TELL_EVERY);
    } else if (r->variant->how == IN_SLOTS) {
        ring_get_slots(r, to);
    } else {
        ring_get_chunks(r, to);
    }
}

static int ring_chunks(size_t bytes, size_t chunk, struct variant *out, int n)
{
    static const size_t rooms[] = { 1, 2, 4, 16, 64 };
    static const char *const names[] = { "", "chunks", "chunks, rep movsb in",
                                         "chunks, rep movsb in and out" };
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
        if (chunk * rooms[i] > LIMIT_SHARED_BYTES / 8 || chunk * rooms[i] < bytes / 64) continue;
        for (int how = IN_CHUNKS; how < HOWS && n < LIMIT_VARIANTS; how++)
            if (how == IN_CHUNKS || chunk < STRING_BELOW)
                out[n++] = (struct variant){ names[how], chunk, rooms[i], how, 0 };
    }
    return n;
}

static int ring_variants(size_t bytes, struct variant out[LIMIT_VARIANTS])
{
    int n = 0;
    for (size_t ahead = 0; ahead <= 16 && bytes <= IN_SLOTS_MOST; ahead += ahead < 4 ? 2 : 4)
        out[n++] = (struct variant){ .name = "slots", .room = ahead, .how = IN_SLOTS };
    if (bytes <= IN_SLOT) return n;
    for (size_t chunk = 256; chunk <= 65536 && chunk < 2 * bytes; chunk *= 2)
        if (bytes / chunk <= 256) n = ring_chunks(bytes, chunk, out, n);
    return n;
}

/* The same, and each with a reader that waits until half of the room is full. */
static int ring_stream_variants(size_t bytes, struct variant out[LIMIT_VARIANTS])
{
    int eager = ring_variants(bytes, out), n = eager;
    for (int i = 0; i < eager && n < LIMIT_VARIANTS; i++) {
        if (out[i].how != IN_SLOTS && out[i].room < 16) continue;
        out[n] = out[i];
        out[n++].lazy = out[i].how == IN_SLOTS ? SLOTS / 2 : (int)out[i].room / 2;
    }
    return n;
}

static void ring_pingpong(struct run *r, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        if (r->side == 0) ring_put(r, r->out);
        ring_get(r, r->in);
        if (r->side == 1) ring_put(r, r->out);
    }
}

/* Slots that a message takes. */
static uint64_t ring_slots(const struct run *r)
{
    size_t each = r->variant->how == IN_SLOTS ? IN_SLOT : r->variant->chunk;
    return (r->bytes + each - 1) / each;
}

static void ring_stream(struct run *r, uint64_t n)
{
    r->rx.end = r->rx.next + n * ring_slots(r);
    for (uint64_t i = 0; i < n; i++) {
        size_t at = i % LIMIT_WINDOW * r->bytes;
        if (r->side == 0)
            ring_put(r, r->out + at);
        else
            ring_get(r, r->in + at);
    }
}

static int line_variants(size_t bytes, struct variant out[LIMIT_VARIANTS])
{
    (void)bytes;
    out[0] = (struct variant){ .name = "one line for both", .how = 0 };
    out[1] = (struct variant){ .name = "one line each way", .how = 1 };
    return 2;
}

static void line_pingpong(struct run *r, uint64_t n)
{
    struct ring_line *lines = (struct ring_line *)(void *)r->shared;
    _Atomic uint64_t *mine = &lines[0].word, *theirs = &lines[0].word;
    if (r->variant->how == 1) {
        mine = &lines[4 * r->side].word; /* apart: lines are fetched in pairs */
        theirs = &lines[4 * (1 - r->side)].word;
    }
    for (uint64_t i = 0; i < n; i++, r->count += 2) {
        if (r->side == 0) limit_write(mine, r->count + 1);
        limit_await(theirs, r->count + (r->side == 0 ? 2 : 1));
        if (r->side == 1) limit_write(mine, r->count + 2);
    }
}

const struct limit limit_line = {
    .test = "latency",
    .transport = "line",
    .text = "one cache line handed to and fro: half a round trip, which is one hop",
    .unit = "us",
    .least = 8,
    .most = 8,
    .refuse = 8,
    .buffers = 1,
    .variants = line_variants,
    .prepare = ring_prepare,
    .rounds = line_pingpong,
};

const struct limit limit_ring_latency = {
    .test = "latency",
    .transport = "ring",
    .text = "a bare ring of cache lines, longer messages in chunks: half a round trip",
    .unit = "us",
    .least = 8,
    .most = 4 << 20,
    .buffers = 1,
    .variants = ring_variants,
    .prepare = ring_prepare,
    .rounds = ring_pingpong,
    .expected = limit_filled,
};

const struct limit limit_ring_rate = {
    .test = "rate",
    .transport = "ring",
    .text = "the same ring, one message after the other one way",
    .unit = "Mmsg/s",
    .least = 8,
    .most = 4096,
    .buffers = LIMIT_WINDOW,
    .variants = ring_stream_variants,
    .prepare = ring_prepare,
    .rounds = ring_stream,
    .expected = limit_filled,
};

const struct limit limit_ring_bandwidth = {
    .test = "bandwidth",
    .transport = "ring",
    .text = "the same ring: copied in and copied out",
    .unit = "MB/s",
    .least = 8,
    .most = 4 << 20,
    .buffers = LIMIT_WINDOW,
    .variants = ring_stream_variants,
    .prepare = ring_prepare,
    .rounds = ring_stream,
    .expected = limit_filled,
};
