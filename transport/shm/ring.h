/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_SHM_RING_H
#define TRANSPORT_SHM_RING_H
/*
 * ring.h - one direction of messages between two processes, in memory that both map
 *
 *   0          128        256               256 + 64 x slots
 *   | returned | sleeping | slots of one line | bytes of longer bodies |
 *
 *   a slot, one cache line:
 *   | word 8: turn 16, kind 8, head length 8, body length 16, credit 8, units 8 | 56 bytes of data |
 *
 * One producer, one consumer. Head and body up to 56 bytes together live in the line itself;
 * otherwise the head does (or, above 56 bytes, a line of the byte ring), and the body is contiguous
 * in the byte ring, at a place that both sides work out alike: the next multiple of 64, or the
 * start when it would run over the end. So no index ever crosses, and a hostile word can only lie
 * about lengths.
 *
 * Published    by one release store of `word`; the consumer loads it once, with acquire. A word is
 *              new when its turn is the consumer's: the message's number, of which 15 bits. That
 *              position never holds body bytes, and a turn 0x8000 | n is never 0, so neither old
 *              payload nor fresh memory looks like a message.
 * Given back   lazily: as `credit` in the words that go the other way, or, when there are none, by
 *              `returned`, which counts only what was given back through itself. Both only grow, so
 *              their sum is what the consumer has finished with, in whichever order they are seen.
 * Units        A short message (a head of one word, all in the line) costs its producer a unit of
 *              what the consumer keeps unread. A short one that was taken straight into its place
 *              gives it back with its slot; for the others the consumer's owner sees to that.
 * Promised     Slots are set aside for some short messages at a time (`shorts`), so that each needs
 *              one look at one number.
 * Reserved     data never takes the last slot, so a goodbye always fits. Bulk (fragments of puts)
 *              never takes more than three quarters of the bytes, nor the last sixteenth in one
 *              piece, nor what is left of the slots below an eighth, so messages pass between.
 * Laps         Places in the byte ring are counted in laps of a power of two (the span), so that
 *              they wrap at 2^32. Where the ring is shorter, the rest of a lap is skipped, like an
 *              end that is too short for a message.
 *
 * All indices run freely and wrap at 2^32. What is below is private to one side, except struct
 * ring.
 */
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/wire.h"
#include "sinew/sinew.h"
#include "transport/shm/atomics.h"

enum {
    RING_LINE = 64,
    RING_INLINE = RING_LINE - 8,
    RING_HEAD_MAX = 64,
    RING_SHORT_HEAD = 8,
    RING_SHORT = RING_INLINE - RING_SHORT_HEAD, /* longest body of a short message */
    RING_EXPECTED_HEAD = 16, /* of others that are taken straight */
    RING_SHORTS = 32, /* most slots promised to short ones at a time */
    RING_SLOTS_MAX = 64,
    RING_TELL_SLOTS = 16, /* give back after so many slots, or an eighth of the bytes */
    RING_BULK_SLOTS = 32,  /* most slots that bulk may hold */
    RING_SPARED = 16,      /* what part of the bytes it never takes */
};

enum ring_class { RING_DATA, RING_BULK, RING_LAST };

struct ring_slot {
    alignas(RING_LINE) shared_u64 word;
    uint8_t data[RING_INLINE];
};

struct ring {
    alignas(2 * RING_LINE) shared_u32 returned; /* by the consumer, for one out of room */
    alignas(2 * RING_LINE) shared_u32 sleeping; /* by the consumer, see link.h          */
    alignas(2 * RING_LINE) struct ring_slot slots[];
};

_Static_assert(sizeof(struct ring_slot) == RING_LINE, "a slot is one line");
_Static_assert(offsetof(struct ring, slots) == 256, "as drawn");

struct ring_shape {
    uint32_t slots;             /* a power of two, >= 2      */
    uint32_t body_bytes;        /* a multiple of RING_LINE   */
    uint32_t body_max;          /* longest body; at most half of body_bytes */
};

struct ring_mark { /* where the byte ring stood after a message */
    uint32_t body; /* in bytes, skipped ones included */
    uint32_t bulk; /* counting bulk alone             */
};

struct ring_long { /* a message that moved it */
    uint32_t index;
    uint32_t begin; /* of its bytes: what was skipped before them is free already */
    struct ring_mark after;
};

/* Messages finished with: slots, and units << 8. In ring->returned: slots, and units << 16. */
enum { RING_SLOT = 1, RING_UNIT = 1 << 8, RING_CREDIT_BITS = 16 };

struct ring_producer { /* what short messages need stands first */
    struct ring_slot *slots;
    uint32_t slot_mask;
    uint32_t head;                 /* messages written                                     */
    int32_t shorts;                /* short messages that fit, promised                    */
    int32_t room;                  /* others that fit; < 0: the goodbye is out             */
    shared_u32 *sleeping;          /* the consumer's flag                                  */
    struct ring_mark written;
    uint32_t freed;                /* messages given back                                  */
    uint32_t units;                /* not promised yet                                     */
    uint32_t returned;             /* as last seen                                         */
    uint32_t body_bytes, body_mask; /* body_mask: the span, less 1                         */
    struct ring *ring;
    uint8_t *bodies;
    struct ring_mark finished;     /* as `written`, of those given back; see ring_settle() */
    uint32_t first, end;           /* of the ones not finished yet, in:                    */
    struct ring_long longer[RING_SLOTS_MAX];
};

struct ring_untold {
    uint32_t credit; /* as a word carries it */
    uint32_t bytes;
};

struct ring_consumer {
    const struct ring_slot *slots;
    uint32_t slot_mask;
    uint32_t next;                 /* messages finished with            */
    struct ring_untold untold;     /* of these, not given back          */
    uint32_t body_next;
    uint32_t body_bytes, body_mask, body_max;
    uint32_t body_tell;            /* give back after so many bytes      */
    uint32_t returned;             /* given back through ring->returned  */
    struct ring *ring;
    uint8_t *bodies;
};

struct ring_message {
    uint8_t kind;
    uint32_t credit;
    size_t hlen, blen;
    const void *head, *body; /* head: private; body: in the ring if too long for the line */
    uint32_t body_next;      /* where the byte ring stands after it */
    alignas(8) uint8_t line[RING_HEAD_MAX];
};

size_t ring_bytes(const struct ring_shape *shape);
/* `start` is the first index: 0, except in tests of wrap-around. */
void ring_producer_init(struct ring_producer *p, void *memory, const struct ring_shape *shape,
                        uint32_t start);
void ring_consumer_init(struct ring_consumer *c, void *memory, const struct ring_shape *shape,
                        uint32_t start);

enum { RING_TURNS = 0x7fff, RING_TURN = 0x8000, RING_NEVER_DUE = 1 << 16 };

/* The low half of a word, without the turn's number. RING_NEVER_DUE: no word that ring_publish()
 * writes; forged, it is one more message of the peer's own, checked as any. */
static inline uint32_t ring_due_as(uint8_t kind, size_t hlen)
{
    return RING_TURN | (uint32_t)kind << 16 | (uint32_t)hlen << 24;
}

static inline uint32_t ring_due(uint32_t index, uint8_t kind, size_t hlen)
{
    return (index & RING_TURNS) | ring_due_as(kind, hlen);
}

static inline uint32_t ring_lines(size_t len)
{
    return ((uint32_t)len + RING_LINE - 1) & ~(uint32_t)(RING_LINE - 1);
}

/* The start of `len` contiguous bytes at or after *at, which moves behind them. */
static inline uint32_t ring_place(uint32_t *at, uint32_t body_bytes, uint32_t body_mask, size_t len)
{
    uint32_t need = ring_lines(len);
    uint32_t offset = *at & body_mask;
    uint32_t start = body_bytes - offset < need ? (*at | body_mask) + 1 : *at;
    *at = start + need;
    return start & body_mask;
}

/* The most bytes that bulk may hold, and what it leaves in one piece to messages. */
static inline uint32_t ring_bulk_bytes(uint32_t body_bytes) { return body_bytes / 4 * 3; }
static inline uint32_t ring_spared_bytes(uint32_t body_bytes) { return body_bytes / RING_SPARED; }

/* The slots that have to be free for bulk to go. */
static inline int32_t ring_bulk_needs(const struct ring_producer *p)
{
    return p->slot_mask < 16 ? 1 : (int32_t)(p->slot_mask / 8);
}

/* Written and not given back. */
static inline uint32_t ring_outstanding(const struct ring_producer *p)
{
    return p->head - p->freed;
}

/* `credit` came in a word. SINEW_EPROTO: more than there was. */
static inline int ring_returned(struct ring_producer *p, uint32_t credit)
{
    uint32_t slots = credit & (RING_UNIT - 1), units = credit / RING_UNIT;
    if (slots > ring_outstanding(p) || units > slots) return SINEW_EPROTO;
    p->freed += slots;
    p->room += (int32_t)slots;
    p->units += units;
    return 0;
}

/* The bytes that came free with those messages; only longer ones ask. */
static inline void ring_settle(struct ring_producer *p)
{
    for (; p->first != p->end; p->first++) {
        const struct ring_long *m = &p->longer[p->first % RING_SLOTS_MAX];
        if ((int32_t)(m->index - p->freed) >= 0) {
            p->finished.body = m->begin;
            return;
        }
        p->finished = m->after;
    }
}

/* Look at what was given back. Acquire, partner ring_tell(): the consumer's reads of those slots
 * come before our next writes to them. */
static inline int ring_refresh(struct ring_producer *p)
{
    uint32_t returned = shared_load_acquire32(&p->ring->returned);
    uint32_t slots = (uint16_t)(returned - p->returned);
    uint32_t units = (uint16_t)((returned >> 16) - (p->returned >> 16));
    if (slots >= RING_UNIT || units >= RING_UNIT) return SINEW_EPROTO;
    int status = ring_returned(p, slots | units * RING_UNIT);
    if (status == 0) p->returned = returned;
    return status;
}

/* Set slots aside for short messages, as far as there are units; `left`, at least 1, stay for
 * others. */
static inline void ring_promise(struct ring_producer *p, int32_t left)
{
    int32_t more = RING_SHORTS - p->shorts;
    if (more > p->room - left) more = p->room - left;
    if (more > 0 && (uint32_t)more > p->units) more = (int32_t)p->units;
    if (more <= 0) return;
    p->shorts += more;
    p->room -= more;
    p->units -= (uint32_t)more;
}

/* Slots set aside are free for others again. */
static inline void ring_unpromise(struct ring_producer *p)
{
    p->room += p->shorts;
    p->units += (uint32_t)p->shorts;
    p->shorts = 0;
}

/* Whether bulk that would leave the ring at `after` is within what it may hold. */
static inline bool ring_bulk_may(const struct ring_producer *p, struct ring_mark after)
{
    return after.bulk - p->finished.bulk <= ring_bulk_bytes(p->body_bytes);
}

/* Whether a message fits now that would leave the ring at `after`. When no other slot is left it
 * takes back the promised ones: no answer waits, at a rank that goes on to compute, for messages
 * that may never be. */
static inline bool ring_fits(struct ring_producer *p, enum ring_class class, struct ring_mark after)
{
    if (p->room < (class == RING_LAST ? 0 : 1)) {
        if (class != RING_DATA || p->shorts == 0) return false;
        ring_unpromise(p);
    }
    if (class == RING_BULK && p->room < ring_bulk_needs(p)) return false;
    if (after.body == p->written.body && class != RING_BULK) return true;
    ring_settle(p);
    if (class == RING_BULK) {
        if (!ring_bulk_may(p, after)) return false;
        ring_place(&after.body, p->body_bytes, p->body_mask, ring_spared_bytes(p->body_bytes));
    }
    return after.body - p->finished.body <= p->body_mask + 1;
}

/* A small fragment counts for more than it is, so that bulk leaves slots free too. */
static inline uint32_t ring_bulk_weight(const struct ring_producer *p, size_t blen)
{
    uint32_t least = ring_bulk_bytes(p->body_bytes) / RING_BULK_SLOTS;
    return blen > least ? (uint32_t)blen : least;
}

/* Whether bulk of this length waits for nothing but what others hold, as far as is known. */
static inline bool ring_bulk_is_due(struct ring_producer *p, size_t blen)
{
    struct ring_mark after = p->written;
    ring_settle(p);
    after.bulk += ring_bulk_weight(p, blen);
    return ring_bulk_may(p, after);
}

/* Whether a message would fit, as far as is known. */
static inline bool ring_would_fit(struct ring_producer *p, enum ring_class class, size_t hlen,
                                  size_t blen)
{
    struct ring_mark after = p->written;
    if (hlen + blen > RING_INLINE) {
        if (hlen > RING_INLINE) ring_place(&after.body, p->body_bytes, p->body_mask, hlen);
        ring_place(&after.body, p->body_bytes, p->body_mask, blen);
    }
    if (class == RING_BULK) after.bulk += ring_bulk_weight(p, blen);
    return ring_fits(p, class, after);
}

/* Release, partner ring_take(): the bytes written before, and our reads of what `credit` gives
 * back. */
static inline void ring_publish(struct ring_producer *p, uint8_t kind, size_t hlen, size_t blen,
                                uint32_t credit)
{
    uint32_t head = p->head;
    struct ring_slot *slot = &p->slots[head & p->slot_mask];
    p->head = head + 1;
    shared_store_release64(&slot->word, ring_due(head, kind, hlen) | (uint64_t)blen << 32 |
                                                   (uint64_t)credit << 48);
}

/* Is there room after a look at what was given back? 0, > 0 no, SINEW_EPROTO. */
static inline int ring_find_room(struct ring_producer *p, enum ring_class class,
                                 struct ring_mark after)
{
    if (__builtin_expect(ring_fits(p, class, after), 1)) return 0;
    int status = ring_refresh(p);
    if (status < 0) return status;
    return ring_fits(p, class, after) ? 0 : SINEW_PENDING;
}

/* Write and publish one message: 0, or > 0 when it does not fit (nothing happened), or SINEW_EPROTO
 * when the consumer gave back what it never had. credit: what to give back with it. */
static inline int ring_put(struct ring_producer *p, enum ring_class class, uint8_t kind,
                           const void *head, size_t hlen, const void *body, size_t blen,
                           uint32_t credit)
{
    uint8_t *line = p->slots[p->head & p->slot_mask].data;
    struct ring_mark after = p->written;
    uint32_t begin = after.body, head_at = 0, body_at = 0;
    bool is_long = hlen + blen > RING_INLINE;
    if (is_long) {
        if (hlen > RING_INLINE)
            head_at = ring_place(&after.body, p->body_bytes, p->body_mask, hlen);
        body_at = ring_place(&after.body, p->body_bytes, p->body_mask, blen);
        if (hlen <= RING_INLINE) begin = after.body - ring_lines(blen);
    }
    if (class == RING_BULK) after.bulk += ring_bulk_weight(p, blen);
    int status = ring_find_room(p, class, after);
    if (__builtin_expect(status != 0, 0)) return status;
    if (is_long || class == RING_BULK)
        p->longer[p->end++ % RING_SLOTS_MAX] = (struct ring_long){ p->head, begin, after };
    p->written = after;
    shared_write_line(is_long && hlen > RING_INLINE ? p->bodies + head_at : line, head, hlen);
    shared_write(is_long ? p->bodies + body_at : line + hlen, body, blen);
    ring_publish(p, kind, hlen, blen, credit);
    p->room--;
    return 0;
}

/* A short message, when p->shorts > 0. What it needs is read, and counted, before its bytes are
 * written, which the compiler must take for anything. */
static inline void ring_put_short(struct ring_producer *p, uint8_t kind, const void *body,
                                  size_t blen, uint64_t key, uint32_t credit)
{
    uint32_t head = p->head;
    struct ring_slot *slot = &p->slots[head & p->slot_mask];
    uint8_t bytes[RING_SHORT_HEAD];
    wire_put64(bytes, key);
    p->head = head + 1;
    p->shorts--;
    shared_write_line(slot->data, bytes, sizeof(bytes));
    shared_write_line(slot->data + RING_SHORT_HEAD, body, blen);
    /* Release, as ring_publish(). */
    shared_store_release64(&slot->word, ring_due(head, kind, RING_SHORT_HEAD) |
                                            (uint64_t)blen << 32 | (uint64_t)credit << 48);
}

/* Relaxed: it tells that ring_take() would find something, and that looks itself. */
static inline bool ring_ready(const struct ring_consumer *c)
{
    const struct ring_slot *slot = &c->slots[c->next & c->slot_mask];
    return (uint16_t)shared_load_relaxed64(&slot->word) == ring_due(c->next, 0, 0);
}

/* The next message: > 0 with *m filled, until ring_finish(); 0: none; SINEW_EPROTO. */
static inline int ring_take(struct ring_consumer *c, struct ring_message *m)
{
    const struct ring_slot *slot = &c->slots[c->next & c->slot_mask];
    /* Acquire, partner ring_put(): what the word announces is there, and what it gives back is
     * free. */
    uint64_t word = shared_load_acquire64(&slot->word);
    if ((uint16_t)word != ring_due(c->next, 0, 0)) return 0;
    m->kind = (uint8_t)(word >> 16);
    m->hlen = (uint8_t)(word >> 24);
    m->blen = (uint16_t)(word >> 32);
    m->credit = (uint32_t)(word >> 48);
    m->body_next = c->body_next;
    if (m->hlen > RING_HEAD_MAX || m->blen > c->body_max) return SINEW_EPROTO;
    /* The line is copied, so that nobody can change a head, or a short body, between check and
     * use; all of it, for that is cheaper than just what is needed. */
    shared_read(m->line, slot->data, RING_INLINE);
    m->head = m->line;
    if (__builtin_expect(m->hlen + m->blen <= RING_INLINE, 1)) {
        m->body = m->line + m->hlen;
        return 1;
    }
    if (m->hlen > RING_INLINE)
        shared_read_line(
            m->line, c->bodies + ring_place(&m->body_next, c->body_bytes, c->body_mask, m->hlen),
            m->hlen);
    m->body = c->bodies + ring_place(&m->body_next, c->body_bytes, c->body_mask, m->blen);
    return 1;
}

/* What ring_take_expected() looks for, and what it found. */
struct ring_expected {
    uint64_t head[2], mask; /* of the head: its first word under `mask`, and its second */
    uint8_t kind;
    uint32_t credit;
    size_t blen;
};

/* Take the next message if it is of this kind, with a head of two words that are as expected; of
 * its body buf gets the first `cap` bytes. False: nothing happened. */
static inline bool ring_take_expected(struct ring_consumer *c, struct ring_expected *e, void *buf,
                                      size_t cap)
{
    uint32_t next = c->next, body_next = c->body_next;
    const struct ring_slot *slot = &c->slots[next & c->slot_mask];
    /* Acquire, partner ring_publish(), as in ring_take(). */
    uint64_t word = shared_load_acquire64(&slot->word);
    size_t len = (uint16_t)(word >> 32), part = len < cap ? len : cap;
    if ((uint32_t)word != ring_due(next, e->kind, RING_EXPECTED_HEAD) || len > c->body_max)
        return false;
    uint8_t head[RING_EXPECTED_HEAD];
    shared_read(head, slot->data, sizeof(head));
    uint64_t first = wire_get64(head);
    if (((first ^ e->head[0]) & e->mask) || wire_get64(head + 8) != e->head[1]) return false;
    if (len <= RING_INLINE - RING_EXPECTED_HEAD)
        shared_read_line(buf, slot->data + RING_EXPECTED_HEAD, part);
    else
        shared_read(buf, c->bodies + ring_place(&body_next, c->body_bytes, c->body_mask, len),
                    part);
    e->head[0] = first;
    e->blen = len;
    e->credit = (uint32_t)(word >> 48);
    c->untold.credit += RING_SLOT;
    c->untold.bytes += body_next - c->body_next;
    c->body_next = body_next;
    c->next = next + 1;
    return true;
}

/* Is what lies in the slot a short message, `due`, with this key and of at most `cap` bytes? Its
 * length; or < 0: ~ the turn that was seen. */
static inline int64_t ring_look_short(const struct ring_slot *slot, uint32_t due, uint64_t key,
                                      size_t cap, uint64_t *credit)
{
    /* Acquire, partner ring_put_short(), as in ring_take(). */
    uint64_t word = shared_load_acquire64(&slot->word);
    if ((uint32_t)word != due) return ~(int64_t)(uint16_t)word;
    uint8_t head[RING_SHORT_HEAD];
    shared_read_line(head, slot->data, sizeof(head));
    size_t len = (uint16_t)(word >> 32);
    if (wire_get64(head) != key || len > RING_SHORT) return ~(int64_t)(uint16_t)word;
    if (len > cap) return ~(int64_t)(uint16_t)word;
    *credit = word >> 48;
    return (int64_t)len;
}

/* Take the next message if it is a short one with this key and fits buf: its length; *credit is
 * what it gives back. < 0: nothing happened, and it is ~ the turn that was seen. `due`: as
 * ring_due_as(), or RING_NEVER_DUE. */
static inline int64_t ring_take_short(struct ring_consumer *c, uint32_t due, uint64_t key,
                                      void *buf, size_t cap, uint64_t *credit)
{
    uint32_t next = c->next;
    const struct ring_slot *slot = &c->slots[next & c->slot_mask];
    int64_t len = ring_look_short(slot, (next & RING_TURNS) | due, key, cap, credit);
    if (len < 0) return len;
    c->untold.credit += RING_SLOT + RING_UNIT;
    c->next = next + 1;
    shared_read_line(buf, slot->data + RING_SHORT_HEAD, (size_t)len);
    return len;
}

/* The next message where it lies, by ring_peek(). */
struct ring_peeked {
    const uint8_t *head, *body;
    size_t hlen, blen;
    uint32_t credit, body_next; /* what it gives back; where the byte ring stands after it */
    uint8_t kind;
};

/* > 0: the next message, of a kind whose bit is in `kinds`; 0: something else, or not of lengths
 * that ring_take() would take; < 0: none. Nothing happens until ring_drop(). */
static inline int ring_peek(const struct ring_consumer *c, uint32_t kinds, struct ring_peeked *m)
{
    uint32_t next = c->next;
    const struct ring_slot *slot = &c->slots[next & c->slot_mask];
    /* Acquire, partner ring_publish(), as in ring_take(). */
    uint64_t word = shared_load_acquire64(&slot->word);
    if ((uint16_t)word != ring_due(next, 0, 0)) return -1;
    m->kind = (uint8_t)(word >> 16);
    m->hlen = (uint8_t)(word >> 24);
    m->blen = (uint16_t)(word >> 32);
    m->credit = (uint32_t)(word >> 48);
    m->body_next = c->body_next;
    m->head = slot->data;
    if (m->kind >= 32 || !(kinds >> m->kind & 1) || m->hlen > RING_INLINE) return 0;
    if (m->blen > c->body_max) return 0;
    m->body = slot->data + m->hlen;
    if (m->hlen + m->blen > RING_INLINE)
        m->body = c->bodies + ring_place(&m->body_next, c->body_bytes, c->body_mask, m->blen);
    return 1;
}

/* That message is taken. `unit`: it was a short one. */
static inline void ring_drop(struct ring_consumer *c, uint32_t body_next, bool unit)
{
    c->untold.credit += unit ? RING_SLOT + RING_UNIT : RING_SLOT;
    c->untold.bytes += body_next - c->body_next;
    c->body_next = body_next;
    c->next++;
}

/* Done with the message taken: its room may be given back. */
static inline void ring_finish(struct ring_consumer *c, const struct ring_message *m)
{
    c->untold.credit += RING_SLOT;
    c->untold.bytes += m->body_next - c->body_next;
    c->body_next = m->body_next;
    c->next++;
}

/* What the next ring_put() of the other direction shall give back. */
static inline uint32_t ring_untold(const struct ring_consumer *c) { return c->untold.credit; }

static inline bool ring_tell_slots(const struct ring_consumer *c)
{
    return (uint8_t)c->untold.credit >= RING_TELL_SLOTS;
}

static inline bool ring_should_tell(const struct ring_consumer *c)
{
    return ring_tell_slots(c) || c->untold.bytes >= c->body_tell;
}

/* That has happened. */
static inline void ring_told(struct ring_consumer *c)
{
    c->untold = (struct ring_untold){ 0 };
}

/* Give back now. Release, partner ring_refresh(): our reads of the slots come before. */
static inline void ring_tell(struct ring_consumer *c)
{
    uint32_t slots = c->untold.credit & (RING_UNIT - 1), units = c->untold.credit / RING_UNIT;
    c->returned = (uint16_t)(c->returned + slots) | ((c->returned >> 16) + units) << 16;
    ring_told(c);
    shared_store_release32(&c->ring->returned, c->returned);
}

#endif
