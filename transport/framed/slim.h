/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_FRAMED_SLIM_H
#define TRANSPORT_FRAMED_SLIM_H
/*
 * slim.h - messages whose head can be told by the one before it, as TCP's headers over slow lines
 * (RFC 1144)
 *
 * A head begins with a word (docs/PROTOCOL.md, "Envelope"); the small one is that and a key:
 *
 *    bit 0        16     24       40      64
 *        | number | kind | credit | length |    key
 *
 * Numbers count on, a number after the other, most messages are of one kind, the length is the
 * body's, and not much credit is given at a time. So both ends remember a word: the number of the
 * last message, of whatever head, and the kind of the last one with a small head and a body. A
 * slim frame says what cannot be told from that: credit below 256, and the key. With a body of 8
 * bytes that is 32, the first line of a place in UCX's shared memory.
 *
 * It is judged by what both know at that frame of their common order, so nothing has to be agreed:
 * where a head does not follow, the frame is a whole one, which sets both right again.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SLIM_HEADER = 16, /* token, link, credit, SLIM_MARK, seq, heard */
    SLIM_MARK = 0x80, /* where a whole header has the top of its link, which is less */
    SLIM_HEAD = 16,   /* of a message that may be slim: word and key */
    SLIM_KEY = 8,
    SLIM_LEAST = SLIM_HEADER + SLIM_KEY,
    SLIM_LINE = 64,       /* bytes of a body that is copied without a call */
    SLIM_LINKS = 1 << 16, /* links that 16 bits name */
};

/* `next`: number and kind of a head that follows, of which the rest is 0. */
static inline uint64_t slim_word(uint64_t next, uint64_t credit, size_t blen)
{
    return next | credit << 24 | (uint64_t)blen << 40;
}

static inline uint64_t slim_credit(uint64_t word)
{
    return word >> 24 & 0xff;
}

static inline bool slim_follows(uint64_t next, uint64_t word, size_t blen)
{
    return word == slim_word(next, slim_credit(word), blen);
}

/* What follows on a head that began with that. */
static inline uint64_t slim_next(uint64_t word)
{
    return (word & 0xff0000) | (uint16_t)(word + 1);
}

/* … and on one that went whole. */
static inline uint64_t slim_after(uint64_t next, uint64_t word, size_t hlen, size_t blen)
{
    if (hlen < SLIM_HEAD) return next;
    uint64_t form = hlen == SLIM_HEAD && blen ? word : next;
    return (form & 0xff0000) | (uint16_t)(word + 1);
}

#endif
