/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/tcp/region.h"

#include <inttypes.h>
#include <string.h>

#include "base/wire.h"
#include "sinew/sinew.h"
#include "transport/transport.h"

#define INDEX_MASK ((UINT64_C(1) << REGION_INDEX_BITS) - 1)
#define GENERATION_ONE (UINT64_C(1) << REGION_INDEX_BITS)
#define GENERATION_MASK (((UINT64_C(1) << REGION_GENERATION_BITS) - 1) << REGION_INDEX_BITS)

static int region_table_grow(struct region_table *table, const struct world *world, struct why *why)
{
    uint32_t cap = table->cap ? table->cap * 2 : 16;
    if (cap > INDEX_MASK + 1)
        return why_set(why, SINEW_ELIMIT, "%u memory regions are registered: release some",
                       table->cap);
    struct region_slot *slots = world_allocate(world, cap * sizeof(*slots));
    if (!slots)
        return why_set(why, SINEW_ENOMEM, "no memory for a table of %u memory regions", cap);
    if (table->count > 0) memcpy(slots, table->slots, table->count * sizeof(*slots));
    world_release(world, table->slots, table->cap * sizeof(*slots));
    table->slots = slots;
    table->cap = cap;
    return 0;
}

static int region_slot_make(struct region_table *table, const struct world *world, struct why *why)
{
    uint64_t nonce;
    if (table->count == table->cap) {
        int rc = region_table_grow(table, world, why);
        if (rc < 0) return rc;
    }
    if (world->random(world->arg, &nonce, sizeof(nonce)) < 0)
        return why_set(why, SINEW_EIO, "the system gave no random bytes for a memory key");
    uint32_t index = table->count++;
    table->slots[index] = (struct region_slot){
        .id = (nonce & ~(INDEX_MASK | GENERATION_MASK)) | index,
        .next_free = table->first_free,
    };
    table->first_free = index + 1;
    return 0;
}

/* Skips generation 0, so that no id is 0. */
static uint64_t region_id_next(uint64_t id)
{
    uint64_t generation = (id + GENERATION_ONE) & GENERATION_MASK;
    return (id & ~GENERATION_MASK) | (generation ? generation : GENERATION_ONE);
}

int region_add(struct region_table *table, const struct world *world, struct region *region,
               struct why *why)
{
    if (table->first_free == 0) {
        int rc = region_slot_make(table, world, why);
        if (rc < 0) return rc;
    }
    struct region_slot *slot = &table->slots[table->first_free - 1];
    table->first_free = slot->next_free;
    slot->id = region_id_next(slot->id);
    slot->region = region;
    table->live++;
    region->id = slot->id;
    region->key_len = REGION_KEY;
    wire_put64(region->key, slot->id);
    wire_put64(region->key + 8, region->len);
    return 0;
}

void region_remove(struct region_table *table, struct region *region)
{
    uint32_t index = (uint32_t)(region->id & INDEX_MASK);
    if (index >= table->count || table->slots[index].region != region) return;
    table->slots[index].region = NULL;
    table->live--;
    table->slots[index].next_free = table->first_free;
    table->first_free = index + 1;
}

/* Whether id names a registration of this slot that has ended. */
static bool region_is_stale(const struct region_slot *slot, uint64_t id)
{
    uint64_t age = ((slot->id - id) & GENERATION_MASK) >> REGION_INDEX_BITS;
    if ((slot->id ^ id) & ~GENERATION_MASK) return false;
    if (!(id & GENERATION_MASK)) return false;
    return age < UINT64_C(1) << (REGION_GENERATION_BITS - 1);
}

int region_find(const struct region_table *table, uint64_t id, uint64_t offset, uint64_t len,
                void **place, struct why *why)
{
    uint64_t index = id & INDEX_MASK;
    const struct region_slot *slot = index < table->count ? &table->slots[index] : NULL;
    if (slot && slot->region && slot->id == id) {
        struct region *region = slot->region;
        if (offset > region->len || len > region->len - offset)
            return why_set(why, SINEW_EPROTO,
                           "a put of %" PRIu64 " bytes at offset %" PRIu64
                           " of a region of %zu bytes",
                           len, offset, region->len);
        *place = region->landing ? region->base : (uint8_t *)region->base + offset;
        return 0;
    }
    if (!slot || !region_is_stale(slot, id))
        return why_set(why, SINEW_EPROTO, "a put into memory that was never granted (%016" PRIx64
                       ")", id);
    *place = NULL;
    return 0;
}

struct landing *region_landing(const struct region_table *table, uint64_t id)
{
    uint64_t index = id & INDEX_MASK;
    const struct region_slot *slot = index < table->count ? &table->slots[index] : NULL;
    return slot && slot->region && slot->id == id ? slot->region->landing : NULL;
}

void region_table_release(struct region_table *table, const struct world *world)
{
    world_release(world, table->slots, table->cap * sizeof(*table->slots));
    *table = (struct region_table){ 0 };
}

int region_import(struct region *region, struct why *why)
{
    if (region->key_len != REGION_KEY)
        return why_set(why, SINEW_EINVAL, "a tcp memory key of %u bytes, not %d", region->key_len,
                       REGION_KEY);
    uint64_t id = wire_get64(region->key), len = wire_get64(region->key + 8);
    if (!(id & GENERATION_MASK) || len < region->len)
        return why_set(why, SINEW_EINVAL,
                       "a tcp memory key for %" PRIu64 " bytes where %zu were announced", len,
                       region->len);
    region->id = id;
    region->base = NULL;
    return 0;
}
