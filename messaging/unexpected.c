/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unexpected.c - messages nobody has asked for yet, in blocks reserved with the peer
 */
#include <string.h>

#include "messaging/context.h"

_Static_assert(sizeof(struct unexpected) <= BLOCK_BYTES - BLOCK_FIRST, "the head fits its half");

static uint8_t *block_at(const struct peer *p, int32_t i)
{
    return p->blocks + (size_t)i * BLOCK_BYTES;
}

static int32_t *block_next(const struct peer *p, int32_t i)
{
    return (int32_t *)(void *)block_at(p, i);
}

int unexpected_open(struct peer *p)
{
    size_t bytes = (size_t)p->blocks_total * BLOCK_BYTES;
    p->blocks = world_allocate_aligned(p->context->world, 64, bytes);
    if (!p->blocks)
        return context_fail(p->context, SINEW_ENOMEM,
                            "no memory for %zu bytes of unexpected messages from rank %d", bytes,
                            p->rank);
    p->context->counters.memory_bytes += bytes;
    for (uint32_t i = 0; i < p->blocks_total; i++)
        *block_next(p, (int32_t)i) = i + 1 < p->blocks_total ? (int32_t)i + 1 : BLOCK_NONE;
    p->block_free = 0;
    p->blocks_free = p->blocks_total;
    return 0;
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
    while (next != BLOCK_NONE) {
        int32_t after = *block_next(p, next);
        block_give(p, next);
        next = after;
        freed++;
    }
    block_give(p, (int32_t)(((uint8_t *)u - p->blocks) / BLOCK_BYTES));
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
