/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_SHM_SEGMENT_H
#define TRANSPORT_SHM_SEGMENT_H
/*
 * segment.h - the memory of one pair: two rings in one sealed memfd
 *
 *   | ring: connecting side to accepting side | ring: the other way | pledges, 256 each | up to a page |
 *
 * A pledge is a word for a piece of memory that one side lets the other read: see read.c.
 *
 * Allocated in full and sealed, so that touching it can neither fault nor need memory: against
 * shrinking and growing from the start; and, once both have mapped it, against what is left, which
 * is punching holes and mapping it anew (F_SEAL_FUTURE_WRITE). Neither side relies on the other for
 * that: each checks seals, size and allocation, before it maps what it was handed and after the
 * last seal.
 */
#include <stddef.h>

#include "base/text.h"
#include "transport/shm/ring.h"

enum {
    SEGMENT_SLOTS = 64,
    SEGMENT_BODY_BYTES = 57344, /* at least twice eager: that always fits an empty ring */
    SEGMENT_EAGER_MAX = 16384,
    SEGMENT_FRAGMENT = 14336, /* three in flight: what bulk may hold */
    SEGMENT_BEGIN = SEGMENT_EAGER_MAX, /* of a longer message, with its announcement */
    SEGMENT_PLEDGES = 64,
    SEGMENT_LIMIT = 128 * 1024, /* per connected peer, both directions */
};

static const struct ring_shape segment_shape = { SEGMENT_SLOTS, SEGMENT_BODY_BYTES,
                                                 SEGMENT_EAGER_MAX };

size_t segment_bytes(void);

/* A new one: its descriptor, or < 0. */
int segment_create(struct why *why);
int segment_check(int fd, struct why *why);
/* Both have mapped it: from now on nobody can change anything but the bytes. */
int segment_seal(int fd, struct why *why);

/* The same for memory of any length, a multiple of the page. */
int segment_memory(size_t len, struct why *why);
void segment_seal_memory(int fd); /* when it is mapped */
int segment_check_memory(int fd, size_t len, struct why *why);

/* Tests put both ends in one place by replacing these. */
struct segment_mapper {
    void *(*map)(void *arg, int fd, size_t len); /* NULL: refused */
    void (*unmap)(void *arg, void *at, size_t len);
    void *arg;
};
extern const struct segment_mapper segment_mapper_real;

/* The two ends of a mapped segment. */
static inline void *segment_ring(void *segment, int which)
{
    return (char *)segment + (which ? ring_bytes(&segment_shape) : 0);
}

/* Those that side `which` writes. */
static inline shared_u32 *segment_pledges(void *segment, int which)
{
    char *at = (char *)segment + 2 * ring_bytes(&segment_shape);
    return (shared_u32 *)(void *)at + (which ? SEGMENT_PLEDGES : 0);
}

#endif
