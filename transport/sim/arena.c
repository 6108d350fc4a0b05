/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena.c - the memory of one rank: counted, checked, and freed whole when the rank is gone
 *
 * Every block is a heap block of its own, ending with the caller's last byte, so that the address
 * sanitizer sees overruns; without it a mark behind the block does:
 *
 *     | struct block ... | size bytes, aligned | mark (8) |
 */
#include <stdlib.h>
#include <string.h>

#include "transport/sim/internal.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_MARK_LEN 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_MARK_LEN 0
#endif
#endif
#ifndef ARENA_MARK_LEN
#define ARENA_MARK_LEN 8
#endif

static const uint8_t mark[8] = { 0xa5, 0x5a, 0xc3, 0x3c, 0x96, 0x69, 0xf0, 0x0f };

struct block {
    struct list entry;
    struct arena *arena; /* a block released to another rank's arena is a mistake worth finding */
    void *start;
    size_t size;
};

void arena_init(struct arena *a)
{
    list_init(&a->blocks);
}

static size_t arena_lead(size_t align)
{
    return (sizeof(struct block) + align - 1) & ~(align - 1);
}

void *arena_allocate(struct arena *a, size_t align, size_t size)
{
    if (a->until_failure && --a->until_failure == 0) return NULL;
    if (align < _Alignof(max_align_t)) align = _Alignof(max_align_t);
    size_t lead = arena_lead(align);
    void *start;
    if (size > SIZE_MAX - lead - ARENA_MARK_LEN) return NULL;
    if (posix_memalign(&start, align, lead + size + ARENA_MARK_LEN)) return NULL;
    uint8_t *memory = (uint8_t *)start + lead;
    struct block *b = (struct block *)(void *)(memory - sizeof(struct block));
    *b = (struct block){ .arena = a, .start = start, .size = size };
    list_append(&a->blocks, &b->entry);
    memset(memory, 0, size);
    memcpy(memory + size, mark, ARENA_MARK_LEN);
    a->live_bytes += size;
    if (a->live_bytes > a->peak_bytes) a->peak_bytes = a->live_bytes;
    return memory;
}

static void block_free(struct block *b)
{
    list_remove(&b->entry);
    b->arena->live_bytes -= b->size;
    b->arena = NULL;
    free(b->start);
}

const char *arena_release(struct arena *a, void *memory, size_t size)
{
    struct block *b = (struct block *)(void *)((uint8_t *)memory - sizeof(struct block));
    if (b->arena != a) return "memory that is not this rank's";
    if (b->size != size) return "memory with another size than it was allocated with";
    if (memcmp((uint8_t *)memory + size, mark, ARENA_MARK_LEN))
        return "memory written past its end";
    block_free(b);
    return NULL;
}

void arena_free(struct arena *a)
{
    while (!list_empty(&a->blocks)) block_free(LIST_OWNER(a->blocks.next, struct block, entry));
}
