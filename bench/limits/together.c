/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * together.c - what a collective of two ranks has to carry, over the bare ring
 *
 * As exchange.c has it over sockets: both sides put into the ring while there is room, and take
 * what is there, in turn; what comes is copied, or added, out of the ring: two copies, and those of
 * a rank's own block. An allreduce is tried as one exchange of all, and as two of half.
 */
#include "ring.h"

#include <string.h>

enum { BARRIER, BCAST, REDUCE, ALLREDUCE, ALLGATHER, ALLTOALL, REDUCE_SCATTER };
enum { STRING_IN = 1, HALVES = 2, HOWS = 4 };
enum { IN_SLOTS_UP_TO = 4096, LEAST_HALVED = 16 };

/* Of one side: what it sends, what comes, and what it copies itself. */
struct share {
    const uint8_t *from, *with, *own; /* with NULL: what comes is not added to anything */
    uint8_t *to, *own_to;
    size_t sends, comes, keeps;
};

static int together_kind(const struct run *r)
{
    return (int)(r->limit - limit_ring_exchanges);
}

/* The lower half of the floats is side 0's. */
static size_t half_of(const struct run *r, int side)
{
    size_t lower = (r->bytes / sizeof(float) + 1) / 2 * sizeof(float);
    return side == 0 ? lower : r->bytes - lower;
}

static size_t half_at(const struct run *r, int side)
{
    return side == 0 ? 0 : half_of(r, 0);
}

static struct share share_of(const struct run *r)
{
    size_t n = r->bytes, mine = (size_t)r->side * n, others = n - mine;
    int other = 1 - r->side;
    switch (together_kind(r)) {
    case BCAST:
        return (struct share){ .from = r->out, .to = r->in, .sends = others, .comes = mine };
    case REDUCE:
        return (struct share){ .from = r->out, .with = r->out, .to = r->in, .sends = mine,
                               .comes = others };
    case ALLREDUCE:
        return (struct share){ .from = r->out, .with = r->out, .to = r->in, .sends = n,
                               .comes = n };
    case ALLGATHER:
        return (struct share){ r->out, NULL, r->out, r->in + others, r->in + mine, n, n, n };
    case ALLTOALL:
        return (struct share){ r->out + others, NULL, r->out + mine, r->in + others, r->in + mine,
                               n, n, n };
    case REDUCE_SCATTER:
        return (struct share){ .from = r->out + half_at(r, other), .to = r->in,
                               .with = r->out + half_at(r, r->side), .sends = half_of(r, other),
                               .comes = half_of(r, r->side) };
    default:
        return (struct share){ .from = r->out, .to = r->in, .sends = n, .comes = n };
    }
}

static inline void add(float *to, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = a[i] + b[i];
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void add_wide(float *to, const float *a, const float *b,
                                                     size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = a[i] + b[i];
}
#endif

static void added(void *to, const void *a, const void *b, size_t len)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        add_wide(to, a, b, len / sizeof(float));
        return;
    }
#endif
    add(to, a, b, len / sizeof(float));
}

/* The next piece, of those that have `left` bytes still. */
static size_t piece(const struct run *r, size_t left)
{
    size_t most = r->variant->chunk ? r->variant->chunk : IN_SLOT;
    return left < most ? left : most;
}

/* Bytes that were put into the ring now. */
static size_t give(struct run *r, const uint8_t *from, size_t left)
{
    const struct variant *v = r->variant;
    uint64_t room = v->chunk ? v->room : SLOTS;
    size_t len = piece(r, left);
    if (r->tx.next - r->tx.known >= room)
        r->tx.known = atomic_load_explicit(r->tx.credit, memory_order_acquire); /* ring_release */
    if (r->tx.next - r->tx.known >= room) return 0;
    struct ring_slot *slot = &r->tx.slots[r->tx.next % SLOTS];
    if (!v->chunk && len == 8)
        memcpy(slot->data, from, 8);
    else if (!v->chunk)
        memcpy(slot->data, from, len);
    else if (v->how & STRING_IN)
        limit_copy_string(ring_body(r, &r->tx), from, len);
    else
        memcpy(ring_body(r, &r->tx), from, len);
    ring_publish(&r->tx, slot);
    return len;
}

/* Bytes that were taken out of it now; `with` NULL: they are not added to anything. */
static size_t take(struct run *r, uint8_t *to, const uint8_t *with, size_t left)
{
    const struct variant *v = r->variant;
    const struct ring_slot *slot = &r->rx.slots[r->rx.next % SLOTS];
    size_t len = piece(r, left);
    if (atomic_load_explicit(&slot->word, memory_order_acquire) != r->rx.next + 1)
        return 0; /* with ring_publish */
    const uint8_t *from = v->chunk ? ring_body(r, &r->rx) : slot->data;
    if (with)
        added(to, from, with, len);
    else if (!v->chunk && len == 8)
        memcpy(to, from, 8);
    else
        memcpy(to, from, len);
    ring_release(&r->rx, !v->chunk ? TELL_EVERY : v->room < 4 ? 1 : v->room / 4);
    return len;
}

static void carry(struct run *r, const struct share *s)
{
    size_t sent = 0, came = 0;
    if (s->sends > 0) sent = give(r, s->from, s->sends);
    if (s->keeps > 0) memcpy(s->own_to, s->own, s->keeps);
    while (sent < s->sends || came < s->comes) {
        if (sent < s->sends) sent += give(r, s->from + sent, s->sends - sent);
        if (came < s->comes)
            came += take(r, s->to + came, s->with ? s->with + came : NULL, s->comes - came);
    }
}

static void together_rounds(struct run *r, uint64_t n)
{
    struct share s = share_of(r), back = s;
    bool halves = r->variant->how & HALVES;
    if (halves) {
        size_t mine = half_at(r, r->side), others = half_at(r, 1 - r->side);
        s.from += others;
        s.with += mine;
        s.to += mine;
        s.sends = half_of(r, 1 - r->side);
        s.comes = half_of(r, r->side);
        back = (struct share){ .from = s.to, .to = r->in + others, .sends = s.comes,
                               .comes = s.sends };
    }
    for (uint64_t i = 0; i < n; i++) {
        carry(r, &s);
        if (halves) carry(r, &back);
    }
}

static int together_variants(size_t bytes, bool halves, struct variant *out)
{
    static const char *const names[HOWS] = { "chunks", "chunks, rep movsb in", "halves, chunks",
                                             "halves, chunks, rep movsb in" };
    int n = 0;
    if (bytes <= IN_SLOTS_UP_TO) out[n++] = (struct variant){ .name = "slots" };
    if (bytes <= IN_SLOTS_UP_TO && halves)
        out[n++] = (struct variant){ .name = "halves, slots", .how = HALVES };
    if (bytes <= IN_SLOT) return n;
    for (size_t chunk = 512; chunk <= 65536 && chunk < 4 * bytes; chunk *= 4)
        for (size_t room = 2; room <= 32; room *= 4)
            for (int how = 0; how < HOWS && chunk * room <= LIMIT_SHARED_BYTES / 8; how++)
                if (halves || !(how & HALVES))
                    out[n++] = (struct variant){ names[how], chunk, room, how, 0 };
    return n;
}

static int whole_variants(size_t bytes, struct variant out[LIMIT_VARIANTS])
{
    return together_variants(bytes, false, out);
}

static int allreduce_variants(size_t bytes, struct variant out[LIMIT_VARIANTS])
{
    return together_variants(bytes, bytes >= LEAST_HALVED, out);
}

/* Of side 0's bytes all are 1, of side 1's 2; the sum of such floats is no other than that. */
static bool together_arrived(const struct run *r)
{
    struct share s = share_of(r);
    float one, two, sum;
    memset(&one, 1, sizeof(one));
    memset(&two, 2, sizeof(two));
    for (size_t i = 0; i < s.keeps; i++)
        if (s.own_to[i] != 1 + r->side) return false;
    for (size_t i = 0; !s.with && i < s.comes; i++)
        if (s.to[i] != limit_filled(r)) return false;
    for (size_t i = 0; s.with && i + sizeof(sum) <= s.comes; i += sizeof(sum)) {
        memcpy(&sum, s.to + i, sizeof(sum));
        if (sum < one + two || sum > one + two) return false;
    }
    return true;
}

#define TOGETHER(name, most_bytes, words, ways)                                                    \
    { .test = name, .transport = "ring", .text = words, .unit = "us", .whole = true, .least = 8,  \
      .most = most_bytes, .refuse = (most_bytes) == 8 ? 8 : 0, .buffers = 2, .variants = ways,    \
      .prepare = ring_prepare, .rounds = together_rounds, .arrived = together_arrived }

const struct limit limit_ring_exchanges[LIMIT_EXCHANGES] = {
    [BARRIER] = TOGETHER("barrier", 8, "the bare ring: a line each way", whole_variants),
    [BCAST] = TOGETHER("bcast", 8 << 20, "the bare ring: one way", whole_variants),
    [REDUCE] = TOGETHER("reduce", 8 << 20, "the bare ring: one way, added out of it",
                        whole_variants),
    [ALLREDUCE] = TOGETHER("allreduce", 8 << 20, "the bare ring: both ways, added out of it",
                           allreduce_variants),
    [ALLGATHER] = TOGETHER("allgather", 8 << 20,
                           "the bare ring: both ways, and one's own block copied", whole_variants),
    [ALLTOALL] = TOGETHER("alltoall", 8 << 20,
                          "the bare ring: both ways, and one's own block copied", whole_variants),
    [REDUCE_SCATTER] = TOGETHER("reduce_scatter", 8 << 20,
                                "the bare ring: half of it both ways, added out of it",
                                whole_variants),
};
