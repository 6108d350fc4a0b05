/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/shm/ring.h"

size_t ring_bytes(const struct ring_shape *shape)
{
    return sizeof(struct ring) + (size_t)shape->slots * RING_LINE + shape->body_bytes;
}

/* Less 1. */
static uint32_t span_of(uint32_t bytes)
{
    uint32_t span = 1;
    while (span < bytes) span *= 2;
    return span - 1;
}

void ring_producer_init(struct ring_producer *p, void *memory, const struct ring_shape *shape,
                        uint32_t start)
{
    struct ring *ring = memory;
    *p = (struct ring_producer){
        .ring = ring,
        .slots = ring->slots,
        .sleeping = &ring->sleeping,
        .bodies = (uint8_t *)&ring->slots[shape->slots],
        .slot_mask = shape->slots - 1,
        .body_bytes = shape->body_bytes,
        .body_mask = span_of(shape->body_bytes),
        .head = start,
        .freed = start,
        .room = (int32_t)shape->slots - 1,
    };
}

void ring_consumer_init(struct ring_consumer *c, void *memory, const struct ring_shape *shape,
                        uint32_t start)
{
    struct ring *ring = memory;
    *c = (struct ring_consumer){
        .ring = ring,
        .slots = ring->slots,
        .bodies = (uint8_t *)&ring->slots[shape->slots],
        .slot_mask = shape->slots - 1,
        .body_bytes = shape->body_bytes,
        .body_mask = span_of(shape->body_bytes),
        .body_max = shape->body_max,
        .body_tell = shape->body_bytes / 8,
        .next = start,
    };
}
