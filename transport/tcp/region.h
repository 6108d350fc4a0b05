/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_TCP_REGION_H
#define TRANSPORT_TCP_REGION_H
/*
 * region.h - the memory peers may put into, found by ids that came off a wire
 *
 *  id    63       40 39         20 19         0        key    0        8        16
 *        |  nonce   | generation  |   index   |               | id     | length  |  little-endian
 *
 * The nonce is random and belongs to the slot; the generation counts the slot's registrations. A
 * wrong nonce or an index that was never given out is a broken peer; a right one of an earlier
 * generation is a put that crossed with dereg: its bytes are dropped. No id is 0.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "base/world.h"

struct landing;
struct region;

enum { REGION_KEY = 16, REGION_INDEX_BITS = 20, REGION_GENERATION_BITS = 20 };

struct region_slot {
    uint64_t id;           /* of the current or, when free, the last registration */
    struct region *region; /* NULL: free */
    uint32_t next_free;
};

struct region_table {
    struct region_slot *slots;
    uint32_t live; /* of them now */
    uint32_t count, cap, first_free; /* first_free: index + 1, 0 for none */
};

/* Give region an id and a key. SINEW_ENOMEM, SINEW_ELIMIT (a million), SINEW_EIO (no
 * randomness). */
int region_add(struct region_table *table, const struct world *world, struct region *region,
               struct why *why);
void region_remove(struct region_table *table, struct region *region);

/* The place of len bytes at offset of region id. 0: *place, or NULL when they are to be dropped,
 * and of what lands its room, if anything; SINEW_EPROTO: never granted. */
int region_find(const struct region_table *table, uint64_t id, uint64_t offset, uint64_t len,
                void **place, struct why *why);

/* What takes the bytes that region id is granted for, now; NULL: memory, or nothing. */
struct landing *region_landing(const struct region_table *table, uint64_t id);

void region_table_release(struct region_table *table, const struct world *world);

/* The owner's key bytes into a region that stands for it here. SINEW_EINVAL. */
int region_import(struct region *region, struct why *why);

#endif
