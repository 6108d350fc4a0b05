/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/verbs/slots.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "sinew/sinew.h"

enum { PAGE = 4096, SLABS_FIRST = 4 };

void pool_open(struct pool *pool, struct slots_budget *budget, uint32_t slot_len, uint32_t per_slab)
{
    *pool = (struct pool){ .budget = budget, .slot_len = slot_len, .per_slab = per_slab };
}

static size_t slab_len(const struct pool *pool)
{
    return ((size_t)pool->slot_len * pool->per_slab + PAGE - 1) / PAGE * PAGE;
}

void pool_close(struct pool *pool)
{
    struct slots_budget *b = pool->budget;
    if (!b) return;
    for (uint32_t i = 0; i < pool->slab_count; i++) {
        b->api->dereg_mr(pool->slabs[i].mr);
        world_release(b->world, pool->slabs[i].memory, slab_len(pool));
        b->registered -= slab_len(pool);
    }
    world_release(b->world, pool->slabs, pool->slab_cap * sizeof(*pool->slabs));
    world_release(b->world, pool->slots,
                  (size_t)pool->slab_cap * pool->per_slab * sizeof(*pool->slots));
    *pool = (struct pool){ 0 };
}

int slots_explain(const struct slots_budget *budget, size_t len, int error, struct why *why)
{
    uint64_t limit = budget->api->memlock_limit(), need = budget->registered + len;
    if (error == EPERM) error = ENOMEM; /* said by kernels that allow no locked memory at all */
    if (error != ENOMEM || limit == UINT64_MAX)
        return why_set(why, error == ENOMEM ? SINEW_ENOMEM : SINEW_EIO,
                       "registering %zu bytes with the device: %s", len, strerror(error));
    return why_set(why, SINEW_ELIMIT,
                   "registering %zu bytes with the device: `ulimit -l` is %" PRIu64
                   " KiB, and with what is registered already at least %" PRIu64
                   " are needed, %" PRIu64
                   " KiB more: `ulimit -l unlimited`, or `* - memlock unlimited` in "
                   "/etc/security/limits.conf",
                   len, limit / 1024, (need + 1023) / 1024,
                   need > limit ? (need - limit + 1023) / 1024 : (uint64_t)len / 1024);
}

/* Room in the tables for one more slab. */
static int tables_grow(struct pool *pool)
{
    const struct world *w = pool->budget->world;
    uint32_t cap = pool->slab_cap ? pool->slab_cap * 2 : SLABS_FIRST, per = pool->per_slab;
    if (pool->slab_count < pool->slab_cap) return 0;
    if ((uint64_t)cap * per >= SLOT_NONE) return SINEW_ENOMEM;
    struct slab *slabs = world_allocate(w, cap * sizeof(*slabs));
    struct slot *slots = world_allocate(w, (size_t)cap * per * sizeof(*slots));
    if (!slabs || !slots) {
        world_release(w, slabs, cap * sizeof(*slabs));
        world_release(w, slots, (size_t)cap * per * sizeof(*slots));
        return SINEW_ENOMEM;
    }
    if (pool->slab_count) {
        memcpy(slabs, pool->slabs, pool->slab_count * sizeof(*slabs));
        memcpy(slots, pool->slots, (size_t)pool->slab_count * per * sizeof(*slots));
    }
    world_release(w, pool->slabs, pool->slab_cap * sizeof(*slabs));
    world_release(w, pool->slots, (size_t)pool->slab_cap * per * sizeof(*slots));
    pool->slabs = slabs;
    pool->slots = slots;
    pool->slab_cap = cap;
    return 0;
}

static void slab_add(struct pool *pool, struct ibv_mr *mr, uint8_t *memory)
{
    uint32_t first = pool_count(pool);
    pool->slabs[pool->slab_count++] = (struct slab){ mr, memory };
    for (uint32_t i = pool->per_slab; i-- > 0;) {
        pool->slots[first + i] = (struct slot){ .at = memory + (size_t)i * pool->slot_len,
                                                .lkey = mr->lkey };
        pool_give(pool, first + i);
    }
}

int pool_grow(struct pool *pool, struct why *why)
{
    struct slots_budget *b = pool->budget;
    size_t len = slab_len(pool);
    if (b->registered + len > b->limit)
        return why_set(why, SINEW_ENOMEM,
                       "%" PRIu64 " KiB of memory are registered for messages, and verbs_memory "
                       "allows %" PRIu64 ": %zu more are needed",
                       b->registered / 1024, b->limit / 1024, (len + 1023) / 1024);
    uint8_t *memory = tables_grow(pool) == 0 ? world_allocate_aligned(b->world, PAGE, len) : NULL;
    if (!memory) return why_set(why, SINEW_ENOMEM, "no memory for %zu bytes of slots", len);
    struct ibv_mr *mr = b->api->reg_mr(b->pd, memory, len, IBV_ACCESS_LOCAL_WRITE);
    if (!mr) {
        int error = errno;
        world_release(b->world, memory, len);
        return slots_explain(b, len, error, why);
    }
    b->registered += len;
    slab_add(pool, mr, memory);
    return 0;
}

uint32_t pool_take(struct pool *pool)
{
    if (!pool->first_free && pool_grow(pool, NULL) < 0) return SLOT_NONE;
    uint32_t index = pool->first_free - 1;
    pool->first_free = pool->slots[index].next;
    pool->free--;
    return index;
}

void pool_give(struct pool *pool, uint32_t index)
{
    pool->slots[index].next = pool->first_free;
    pool->first_free = index + 1;
    pool->free++;
}
