/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unexpected.c - messages nobody has asked for yet, in blocks reserved with the peer
 */
#include <string.h>

#include "messaging/context.h"

_Static_assert(sizeof(struct unexpected) <= BLOCK_BYTES - BLOCK_FIRST, "the head fits its half");

static uint8_t *block_at(const struct peer *p, int32_t i)
{
    uint32_t n = (uint32_t)i, first = p->blocks_first;
    return n < first ? p->blocks + (size_t)n * BLOCK_BYTES
                     : p->more_blocks + (size_t)(n - first) * BLOCK_BYTES;
}

static int32_t block_index(const struct peer *p, const void *block)
{
    size_t at = (uintptr_t)block - (uintptr_t)p->blocks, first = p->blocks_first;
    if (at < first * BLOCK_BYTES) return (int32_t)(at / BLOCK_BYTES);
    return (int32_t)(first + ((uintptr_t)block - (uintptr_t)p->more_blocks) / BLOCK_BYTES);
}

static int32_t *block_next(const struct peer *p, int32_t i)
{
    return (int32_t *)(void *)block_at(p, i);
}

/* Those from `from` on are free, before all others. */
static void blocks_add(struct peer *p, uint32_t from, size_t bytes)
{
    p->context->counters.memory_bytes += bytes;
    for (uint32_t i = p->blocks_total; i-- > from;) {
        *block_next(p, (int32_t)i) = p->block_free;
        p->block_free = (int32_t)i;
        p->blocks_free++;
    }
}

int unexpected_open(struct peer *p)
{
    size_t bytes = (size_t)p->blocks_total * BLOCK_BYTES;
    p->blocks = world_allocate_aligned(p->context->world, 64, bytes);
    if (!p->blocks)
        return context_fail(p->context, SINEW_ENOMEM,
                            "no memory for %zu bytes of unexpected messages from rank %d", bytes,
                            p->rank);
    p->blocks_first = p->blocks_total;
    p->block_free = BLOCK_NONE;
    blocks_add(p, 0, bytes);
    return 0;
}

bool unexpected_grow(struct peer *p, uint32_t blocks)
{
    size_t bytes = (size_t)blocks * BLOCK_BYTES;
    p->more_blocks = world_allocate_aligned(p->context->world, 64, bytes);
    if (!p->more_blocks) return false;
    p->blocks_total += blocks;
    blocks_add(p, p->blocks_first, bytes);
    return true;
}

void unexpected_shrink(struct peer *p)
{
    struct sinew *s = p->context;
    if (!p->more_blocks || p->blocks_free < p->blocks_total) return;
    context_release(s, p->more_blocks, (size_t)(p->blocks_total - p->blocks_first) * BLOCK_BYTES);
    p->more_blocks = NULL;
    s->grown--;
    p->blocks_total = p->blocks_first;
    p->blocks_free = 0;
    p->block_free = BLOCK_NONE;
    blocks_add(p, 0, 0);
}

static int32_t block_take(struct peer *p)
{
    int32_t i = p->block_free;
    p->block_free = *block_next(p, i);
    p->blocks_free--;
    return i;
}

static void block_give(struct peer *p, int32_t i)
{
    *block_next(p, i) = p->block_free;
    p->block_free = i;
    p->blocks_free++;
}

struct unexpected *unexpected_new(struct peer *p, const void *body, size_t len)
{
    const uint8_t *from = body;
    if (blocks_of(len) > p->blocks_free) return NULL;
    uint8_t *first = block_at(p, block_take(p));
    struct unexpected *u = (struct unexpected *)(void *)first;
    memset(u, 0, sizeof(*u));
    list_init(&u->bucket);
    list_init(&u->arrival);
    u->peer = p;
    size_t part = len < BLOCK_FIRST ? len : BLOCK_FIRST;
    if (part) memcpy(first + BLOCK_BYTES - BLOCK_FIRST, from, part);
    int32_t *link = &u->next;
    *link = BLOCK_NONE;
    if (len == part) return u;
    for (from += part, len -= part; len > 0; from += part, len -= part) {
        int32_t more = block_take(p);
        part = len < BLOCK_MORE ? len : BLOCK_MORE;
        memcpy(block_at(p, more) + BLOCK_BYTES - BLOCK_MORE, from, part);
        *link = more;
        link = block_next(p, more);
        *link = BLOCK_NONE;
    }
    return u;
}

void unexpected_copy(struct peer *p, const struct unexpected *u, void *buf, size_t len)
{
    uint8_t *to = buf;
    size_t part = len < BLOCK_FIRST ? len : BLOCK_FIRST;
    if (part) memcpy(to, (const uint8_t *)u + BLOCK_BYTES - BLOCK_FIRST, part);
    for (int32_t i = u->next; len > part; i = *block_next(p, i)) {
        to += part;
        len -= part;
        part = len < BLOCK_MORE ? len : BLOCK_MORE;
        memcpy(to, block_at(p, i) + BLOCK_BYTES - BLOCK_MORE, part);
    }
}

uint32_t unexpected_free(struct peer *p, struct unexpected *u)
{
    uint32_t freed = 1;
    int32_t next = u->next;
    match_drop(&p->context->match, u);
    if (u->kind == KIND_RTS && p->rank != p->context->rank) p->announcements--;
    while (next != BLOCK_NONE) {
        int32_t after = *block_next(p, next);
        block_give(p, next);
        next = after;
        freed++;
    }
    block_give(p, block_index(p, u));
    if (p->state == PEER_GONE) unexpected_shrink(p);
    return freed;
}

struct match_key unexpected_key(const struct unexpected *u)
{
    bool collective = u->kind == KIND_COLL || u->kind == KIND_COLL_RTS;
    return (struct match_key){
        .source = u->peer->rank,
        .team = u->team,
        .tag = u->tag,
        .step = u->step,
        .tile = u->tile,
        .space = collective ? SPACE_COLLECTIVE : SPACE_USER,
    };
}
