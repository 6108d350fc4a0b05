/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MESSAGING_QUICK_H
#define MESSAGING_QUICK_H
/*
 * quick.h - what the short ways (quick.c, window.c) have in common
 */
#include <string.h>

#include "messaging/context.h"

static inline bool quick_allowed(const struct sinew *s)
{
    static const struct context_state idle = { .is_owned = 1 };
    return memcmp(s->state, &idle, sizeof(idle)) == 0;
}

static inline struct peer *quick_peer(const struct team_core *core, int rank)
{
    return core->context->peer[core->world ? core->world[rank] : rank];
}

/* The peer, if the arguments of this receive are in order. */
static inline struct peer *quick_from(const struct sinew_team *team, const void *buf, size_t cap,
                                      int from, int64_t tag)
{
    if (!team) return NULL;
    const struct team_core *core = team->core;
    if ((unsigned)from >= (unsigned)core->size || (uint64_t)tag > SINEW_TAG_MAX) return NULL;
    if (!quick_allowed(core->context) || (!buf && cap) || cap > PTRDIFF_MAX) return NULL;
    return quick_peer(core, from);
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
    p->messages_in++;
    p->bytes_in += len;
    outgoing_owe_quick(p, SPACE_USER, blocks_of(len));
    if (!p->quick_below && credit && !p->stuck) outgoing_room(p);
    return 0;
}

#endif
