/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_VERBS_SLOTS_H
#define TRANSPORT_VERBS_SLOTS_H
/*
 * slots.h - registered memory in slots of one size, taken and given back
 *
 * A pool grows by a slab (one registration) at a time, up to the budget that all pools of a
 * transport share, and shrinks only when it is closed: registering costs a system call and pinned
 * pages.
 */
#include <stdbool.h>

#include "base/text.h"
#include "base/world.h"
#include "transport/verbs/api.h"

struct slot {
    uint8_t *at;
    uint32_t lkey;
    uint32_t next;       /* free: index + 1 of the next one                          */
    uint32_t owner;      /* posted to the receive queue of this link; 0: a shared one */
    uint16_t generation; /* counts its postings, see `posted`                        */
    bool posted;         /* the device may write into it                             */
};

struct slab {
    struct ibv_mr *mr;
    void *memory;
};

/* What all pools of a transport draw on. */
struct slots_budget {
    const struct world *world;
    const struct verbs_api *api;
    struct ibv_pd *pd;
    uint64_t registered, limit; /* bytes */
};

struct pool {
    struct slots_budget *budget;
    uint32_t slot_len, per_slab;
    struct slot *slots;
    struct slab *slabs;
    uint32_t slab_count, slab_cap, free, first_free; /* free: how many; first_free: index + 1 */
};

enum { SLOT_NONE = UINT32_MAX };

void pool_open(struct pool *pool, struct slots_budget *budget, uint32_t slot_len,
               uint32_t per_slab);
void pool_close(struct pool *pool);
/* One more slab: 0, or SINEW_ENOMEM (the budget, or memory), SINEW_ELIMIT (what may be locked). */
int pool_grow(struct pool *pool, struct why *why);
uint32_t pool_take(struct pool *pool); /* SLOT_NONE: none is free and it cannot grow */
void pool_give(struct pool *pool, uint32_t index);

static inline uint32_t pool_count(const struct pool *pool)
{
    return pool->slab_count * pool->per_slab;
}

/* Why registering len bytes failed with `error`, by how much too little, and what mends it. */
int slots_explain(const struct slots_budget *budget, size_t len, int error, struct why *why);

#endif
