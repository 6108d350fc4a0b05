/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LIMITS_RING_H
#define LIMITS_RING_H
/*
 * ring.h - the ring of ring.c, for whoever fills it in another order
 */
#include "limits.h"

enum { SLOTS = 64, TELL_EVERY = 16, IN_SLOT = 56, IN_SLOTS_MOST = 4096 };
enum { APART = 5 * LIMIT_LINE };

struct ring_slot {
    _Alignas(LIMIT_LINE) _Atomic uint64_t word;
    uint8_t data[IN_SLOT];
};

struct ring_line {
    _Alignas(LIMIT_LINE) _Atomic uint64_t word;
};

static inline void ring_attach(struct ring_end *end, uint8_t *at)
{
    end->slots = (struct ring_slot *)(void *)at;
    end->credit = &((struct ring_line *)(void *)(at + SLOTS * sizeof(struct ring_slot)))->word;
    end->bodies = at + LIMIT_SHARED_BYTES / 8;
    end->next = end->known = 0;
}

static inline void ring_prepare(struct run *r)
{
    ring_attach(r->side == 0 ? &r->tx : &r->rx, r->shared);
    ring_attach(r->side == 0 ? &r->rx : &r->tx, r->shared + LIMIT_SHARED_BYTES / 2);
}

/* The next slot to write, once it is empty; at most `most` are in use. */
static inline struct ring_slot *ring_claim(struct ring_end *tx, uint64_t most)
{
    while (tx->next - tx->known >= most)
        tx->known = atomic_load_explicit(tx->credit, memory_order_acquire); /* with ring_release */
    return &tx->slots[tx->next % SLOTS];
}

static inline void ring_publish(struct ring_end *tx, struct ring_slot *slot)
{
    limit_write(&slot->word, ++tx->next); /* with ring_expect */
}

static inline void ring_release(struct ring_end *rx, uint64_t every)
{
    if (++rx->next - rx->known < every) return;
    rx->known = rx->next;
    limit_write(rx->credit, rx->known); /* with ring_claim */
}

/* Apart by a few lines more than a chunk: pages whose loads and stores alias cost half the
 * speed. */
static inline uint8_t *ring_body(const struct run *r, const struct ring_end *end)
{
    return end->bodies + end->next % r->variant->room * (r->variant->chunk + APART) + APART;
}

#endif
