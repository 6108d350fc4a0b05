/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MESSAGING_QUICK_H
#define MESSAGING_QUICK_H
/*
 * quick.h - what the short ways (quick.c, window.c) have in common
 */
#include <string.h>

#include "messaging/context.h"

/* A short way may be gone; to receive, only if nothing is posted and nothing kept. */
static inline bool quick_allowed(const struct team_core *core)
{
    static const struct context_state idle = { .is_owned = 1 };
    return memcmp(core->state, &idle, offsetof(struct context_state, open)) == 0;
}

static inline bool quick_alone(const struct team_core *core)
{
    static const struct context_state idle = { .is_owned = 1 };
    return memcmp(core->state, &idle, offsetof(struct context_state, until_look)) == 0;
}

static inline bool quick_receive_in_order(const struct team_core *core, const void *buf, size_t cap,
                                          int from, int64_t tag)
{
    return (unsigned)from < (unsigned)core->size && (uint64_t)tag <= SINEW_TAG_MAX &&
           (buf || !cap) && cap <= PTRDIFF_MAX;
}

static inline void quick_count_in(struct peer *p, uint64_t len)
{
    p->messages_in++;
    p->bytes_in += len;
}

/* A message of the short way has been taken whose head was not looked at: its credit and numbers.
 * < 0: it breaks the protocol, and the link goes. */
static inline int quick_account(struct peer *p, uint64_t word, uint64_t len)
{
    uint32_t credit = (uint32_t)(word >> 24) & 0xffff, room = p->window_blocks[SPACE_USER];
    if (credit > room - p->mine.blocks[SPACE_USER] || word >> 40 != len ||
        (uint16_t)word != (uint16_t)p->messages_in)
        return quick_refuse(p);
    p->mine.blocks[SPACE_USER] += credit;
    if (p->mine.blocks[SPACE_USER] > p->kept_blocks) quick_lend(p);
    quick_count_in(p, len);
    outgoing_owe_quick(p, SPACE_USER, blocks_of(len));
    if (!p->quick_below && credit && !p->stuck) outgoing_room(p);
    return 0;
}

#endif
