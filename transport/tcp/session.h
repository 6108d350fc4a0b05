/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_TCP_SESSION_H
#define TRANSPORT_TCP_SESSION_H
/*
 * session.h - what outlives a connection: numbers on frames, and the window to send again from
 *
 * No I/O and no clock: bytes are gathered from here, and what a connection took of them is told.
 *
 * Numbers   Every frame but ACK is numbered, from 1, in the order it enters the stream. `received`
 *           moves when a frame was handed up or has landed *whole*, so that an acknowledgement of a
 *           put means that the target's CPU sees its bytes. Acknowledgements are cumulative and
 *           ride on every frame; one of its own is owed when the peer waits for it (FRAME_URGENT),
 *           or when it has heard nothing for so many frames or bytes.
 * Window    Whole frames, from the oldest that is not acknowledged to the newest. Positions count
 *           bytes for ever; modulo SESSION_WINDOW they are places in the ring:
 *
 *                from               at                to
 *           ------|--- may be lost --|--- not sent ----|------
 *
 *           The body of a long put is not in the ring but lent: a list says at which position it
 *           comes, from where. It is given back when its frame is acknowledged.
 * Resuming  Over a new connection each side says how much it has; the other drops that much, and
 *           sends again from there, in the same frames. So every frame is taken once and in order.
 * Which one Both ends draw a number for the session. A connection that names others, or comes from
 *           another incarnation of the process, is not this session's: nothing can be taken twice
 *           by a restarted process, nor by one that has forgotten.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/frame.h"
#include "base/text.h"
#include "base/world.h"

enum {
    SESSION_WINDOW = 128 * 1024,
    SESSION_RESERVE = 4096, /* of it: kept for frames that must go, acknowledgements above all */
    SESSION_LENT = 32,      /* bodies of puts under way */
    SESSION_HEAD_MAX = 128, /* of what precedes a lent body */
    SESSION_ACK_FRAMES = 256,
    SESSION_ACK_BYTES = SESSION_WINDOW / 2,
    SESSION_COPIED = 36 * 1024, /* a longer put, and one that is urgent, is lent */
    SESSION_ACK_LENT = SESSION_ACK_BYTES / (SESSION_LENT / 4), /* a long put counts as so many */
};

struct lent {
    uint64_t at, sequence;
    const uint8_t *body;
    size_t len;
    void *owner;
};

struct session {
    uint64_t my_epoch, peer_epoch;
    uint64_t mine, theirs; /* this session, as drawn here and there; theirs 0: not known yet */
    uint64_t sent;         /* number of my last numbered frame                     */
    uint64_t acknowledged; /* of mine: the peer has all up to here                 */
    uint64_t received;     /* of the peer's: all up to here are whole              */
    uint64_t told;         /* `received`, as the peer has heard it last            */
    uint64_t awaited;      /* the peer waits to hear this number acknowledged      */
    size_t untold_bytes;
    uint8_t *window;
    uint64_t from, at, to;
    /* lent[]: given back up to `back`, acknowledged up to `from`, sent up to `at`; modulo its
     * size */
    uint32_t lent_back, lent_from, lent_at, lent_to;
    size_t body_at; /* how much of the lent body at `at` has gone */
    uint64_t far;   /* how far earlier connections had come: `at`, lent_at */
    uint32_t lent_far;
    bool trims_later; /* the peer has more than this connection has carried again */
    struct lent lent[SESSION_LENT];
    bool sums;          /* frames carry checksums: agreed before the first one       */
    uint64_t resent;    /* frames that were sent again, in whole or in part          */
    uint64_t discarded; /* that came again, or whose beginning came in vain          */
};

/* SINEW_ENOMEM, SINEW_EIO (no random number) with why. `world` releases it too. */
int session_begin(struct session *s, const struct world *world, uint64_t my_epoch, struct why *why);
void session_release(struct session *s, const struct world *world);

/* --- out */

/* Give a frame its epoch, number and acknowledgement and put it, head and body, at the end of the
 * window. false: there is no room; `reserved` may take the reserve too. */
bool session_append(struct session *s, struct frame *frame, const void *head, size_t head_len,
                    const void *body, size_t body_len, bool reserved);

/* Likewise, but the body stays where it is until session_returned() gives its owner back. */
bool session_append_lent(struct session *s, struct frame *frame, const void *head, size_t head_len,
                         const void *body, size_t body_len, void *owner);

static inline bool session_all_sent(const struct session *s)
{
    return s->at == s->to && s->lent_at == s->lent_to;
}
/* The peer has said that it has all that was ever appended. */
static inline bool session_all_known(const struct session *s) { return s->acknowledged == s->sent; }
size_t session_room(const struct session *s); /* bytes that may be appended, without the reserve */

/* What precedes a frame's payload. */
size_t session_header(const struct session *s);

/* What goes next, in at most `max` pieces: returns the bytes. */
size_t session_gather(const struct session *s, struct iovec *v, int max, int *count);
/* So many bytes of that were taken by the connection. */
void session_sent(struct session *s, size_t len);

/* Whether a connection, this or an earlier one, has taken all before position `to`. */
bool session_has_gone(const struct session *s, uint64_t to);

/* The next lent body whose frame is acknowledged: true, and its owner. */
bool session_returned(struct session *s, void **owner);

/* --- in */

enum { SESSION_AGAIN = 1 };
/* A header has come. 0: it is the next one; SESSION_AGAIN: it has been taken before, discard it;
 * SINEW_EPROTO with why. Its acknowledgement is taken. */
int session_check(struct session *s, const struct frame *frame, struct why *why);

/* The frame that session_check() let pass is whole. */
void session_received(struct session *s, const struct frame *frame);

/* Whether an ACK frame should be sent if nothing else is … */
static inline bool session_owes_ack(const struct session *s) { return s->awaited > s->told; }
/* … and now, or the peer's window may become too small for it. */
static inline bool session_ack_is_due(const struct session *s)
{
    return s->received - s->told >= SESSION_ACK_FRAMES || s->untold_bytes >= SESSION_ACK_BYTES;
}

/* --- over a new connection */

enum { JOIN_ADDRESS_MAX = 64 };

/* The first thing that is said on it: by who connected (JOIN), answered by the other (WELCOME). */
struct join {
    uint64_t mine, yours; /* the session as its two ends call it; yours 0: not known */
    uint64_t received;
    uint32_t attempt;     /* the sender's last: those up to the last that was heard of are stale */
    uint32_t ends;        /* of the connection, as the sender sees them: 24 bits of a checksum */
    uint8_t address_len;
    uint8_t address[JOIN_ADDRESS_MAX]; /* where the sender listens: the other may connect too */
};
enum { JOIN_PAYLOAD = 28 + JOIN_ADDRESS_MAX, JOIN_FRAME = FRAME_HEADER + JOIN_PAYLOAD };

void session_join_encode(uint8_t out[JOIN_FRAME], enum frame_kind kind, uint64_t epoch,
                 const struct join *join);
/* SINEW_EPROTO with why: no join of this kind and epoch. */
int session_join_decode(const uint8_t in[JOIN_FRAME], enum frame_kind kind, uint64_t epoch,
                struct join *join, struct why *why);

/* BYE as the answer to a JOIN: a number that says why. */
enum { GREETING_PAYLOAD = 5, GREETING_FRAME = FRAME_HEADER + GREETING_PAYLOAD };
void session_greeting_encode(uint8_t out[GREETING_FRAME], uint64_t epoch, uint8_t greeting);

/* Both end with a checksum, always: whether it fits the len bytes. */
bool session_is_whole(const uint8_t *frame, size_t len);

/* Whether it speaks of this session. */
bool session_is(const struct session *s, const struct join *join);

/* The other end has said what it has: what comes next goes over the new connection, from there on.
 * SINEW_EPROTO: it has forgotten what it had acknowledged, or has what was never sent. */
int session_resume(struct session *s, const struct join *join, struct why *why);

#endif
