/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MESSAGING_ENVELOPE_H
#define MESSAGING_ENVELOPE_H
/*
 * envelope.h - the head of every message between two ranks
 *
 *   bit 0        16     24       40        64 | 32 bits | 32 bits |
 *   word: | seq  | kind | credit | length     | team    | tag     |     16 bytes: small messages
 *
 *   word | team | sequence | step | tile | digest                       28 bytes: of a collective
 *
 * Little-endian. seq counts every message of this pair in this direction, modulo 2^16. credit gives
 * back room for unexpected messages, in blocks of 256 bytes, of the space (user or collective) that
 * the kind belongs to. length is the body's. What more a kind needs follows the head:
 *
 *   SYNC               u64 sender's request
 *   RTS, COLL_RTS      u64 sender's request, u64 length; in body, when the receiver may read the
 *                      sender's buffer: u8 transport, u8 key length, key
 *   CTS      (in body) u64 sender's request, u64 receiver's request, u64 accepted, u8 transport,
 *                      u8 key length, key; tag: the space, 2 after JUMP, 3 after AGAIN
 *   ACK                u64 sender's request
 *   FIN                u64 receiver's request
 *   GOT                u64 sender's request; tag: the space
 *   NACK               u64 request, u8 whose (enum nack_whose), i32 status; tag: the space
 *   WANT               u64 receiver's request, u8 any tag
 *   JUMP               u64 sender's request, u64 length, u64 receiver's request
 *   AGAIN              u64 receiver's request, u64 sender's request
 *   COLL_WHY           tag: the collective's sequence; body: what collectives have to say of it
 *   CREDIT             team: collective blocks, below 2^16, tag: user requests | collective
 *                      requests << 16
 *
 * A request's number is its index in the low 32 bits and its generation in the high ones; both are
 * checked.
 */
#include <stddef.h>
#include <stdint.h>

enum envelope_kind {
    KIND_EAGER = 1, /* the whole message                                          */
    KIND_SYNC,      /* likewise, and the sender waits for ACK                     */
    KIND_ACK,       /* a SYNC was matched                                         */
    KIND_RTS,       /* a long message: may I send?                                */
    KIND_CTS,       /* put it here                                                */
    KIND_FIN,       /* it is there                                                */
    KIND_NACK,      /* that request has failed here                               */
    KIND_CREDIT,    /* room given back, or granted                                */
    KIND_BYE,       /* reserved                                                   */
    KIND_TELL,      /* no message of the pair: its links are set up; see tell.c   */
    KIND_SWITCH,    /* the last on this link (tag: attempt); see shift.c          */
    KIND_REVOKE,    /* reserved, as the one below                                 */
    KIND_AM,
    KIND_COLL,      /* the whole message of a collective                          */
    KIND_COLL_WHY,  /* a word about a collective: see collectives/agree.h         */
    KIND_PING,      /* reserved                                                   */
    KIND_COLL_RTS,  /* RTS of a collective                                        */
    /* my queue waits for credit (tag 1), or does no more (tag 0); or STUCK_COLLECTIVE */
    KIND_STUCK,
    KIND_WANT,      /* I wait for this; let it jump the queue                     */
    KIND_JUMP,      /* here it is: an RTS for that receive only                   */
    KIND_GOT,       /* I have read it out of your buffer                          */
    KIND_AGAIN,     /* that clearance is of no use (any more): clear once more    */
    KIND_LAST = KIND_AGAIN,
};

/* A tag of STUCK: a collective's message waited for credit. So much must have been received for
 * it. */
enum { STUCK_COLLECTIVE = 2, STREAM_BYTES = 1 << 20 };

enum {
    ENVELOPE_SMALL = 16,
    ENVELOPE_COLLECTIVE = 28,
    ENVELOPE_LENGTH_MAX = (1 << 24) - 1,
    ENVELOPE_BODY_MAX = 16384, /* of a user's: eager_bytes cannot be more; send_grown_limit() */
};

/* Bits of the first word. */
static const uint64_t ENVELOPE_SEQ = 0xffff, ENVELOPE_KIND = (uint64_t)0xff << 16;

static inline uint64_t envelope_word(uint16_t seq, uint8_t kind, uint16_t credit, uint32_t length)
{
    return (uint64_t)seq | (uint64_t)kind << 16 | (uint64_t)credit << 24 | (uint64_t)length << 40;
}

/* The second word of a small message. */
static inline uint64_t envelope_key(uint32_t team, uint32_t tag)
{
    return (uint64_t)team | (uint64_t)tag << 32;
}

/*
 * A short message (transport.h) has a key for a head: that second word. Of a collective the team
 * has its top bit set and the tag is the sequence; what more it is matched by stands before its
 * body:
 *
 *   key: | team 31, 1 | sequence 32 |, then  step 32 | digest 32 | body of at most 40 bytes
 */
enum { SHORT_MATCH = 8, SHORT_COLLECTIVE_MAX = 40 };
static const uint32_t ENVELOPE_OF_COLLECTIVE = (uint32_t)1 << 31;

struct envelope {
    uint16_t seq, credit;
    uint8_t kind;
    uint32_t length, team;
    uint32_t tag;                /* of a collective: its sequence   */
    uint32_t step, tile, digest; /* of a collective; else 0         */
};

/* The head's length for this kind, without what more it needs. */
static inline size_t envelope_size(uint8_t kind)
{
    return kind == KIND_COLL || kind == KIND_COLL_RTS ? ENVELOPE_COLLECTIVE : ENVELOPE_SMALL;
}

/* Writes envelope_size() bytes and returns their number. */
size_t envelope_encode(uint8_t *out, const struct envelope *e);

/* The number of bytes read, 0 if len is too short or the kind unknown. */
size_t envelope_decode(const uint8_t *in, size_t len, struct envelope *e);

#endif
