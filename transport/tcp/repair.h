/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_TCP_REPAIR_H
#define TRANSPORT_TCP_REPAIR_H
/*
 * repair.h - when to connect (again), whose attempt stands, and when to give up; no I/O, no clock
 *
 * Back-off    The first attempt is made at once, the next after 10 ms, 20 ms … 1 s, each with a
 *             little that is drawn, so that two ends do not meet for ever. A connection that lived
 *             for a second starts it anew.
 * Deadline    Counts from the last sign of life of the peer's *kernel*. While a connection has been
 *             accepted and the peer's process only has to look at it, time does not count: it may
 *             compute, or be stopped.
 * Crossing    When both ends connect, the lower rank's attempt stands; but not for longer than
 *             REPAIR_STANDS_NS, or one that hangs would keep out one that works.
 * Silence     A kernel that owes an acknowledgement for REPAIR_SUSPECT_NS (or half the deadline, if
 *             that is less) is suspected: another connection may get through. It owes one only
 *             after our kernel has asked again: sent data anew, or probed a full window twice (once
 *             is no proof: Linux answers such probes every 500 ms at most, tcp_invalid_ratelimit,
 *             and a second one comes later than that). What else comes from there proves nothing
 *             once data was sent four times in vain: then one way is cut, and the other is not.
 *             Time counts in which this process looked: what happened while it was not scheduled is
 *             not held against the peer.
 */
#include <stdbool.h>
#include <stdint.h>

#include "transport/tcp/session.h"

#define REPAIR_PAUSE_MIN (10 * INT64_C(1000000))
#define REPAIR_PAUSE_MAX (1000 * INT64_C(1000000))
#define REPAIR_STANDS_NS (1000 * INT64_C(1000000))
#define REPAIR_ANSWER_NS (1000 * INT64_C(1000000)) /* an attempt waits so long for the kernel */
#define REPAIR_LIVED_NS (1000 * INT64_C(1000000))
#define REPAIR_SUSPECT_NS (1000 * INT64_C(1000000))

struct repair {
    int64_t until;      /* give up then                                     */
    int64_t pause;      /* before the next attempt                          */
    int64_t held_since; /* the peer's kernel has accepted; 0: it has not    */
    unsigned attempts;  /* since it began                                   */
};

/* The connection is gone (or there is none yet), silent since `since`: attempts may be made until
 * `deadline` later. `lived`: how long it had been there. */
void repair_begin(struct repair *r, int64_t since, int64_t deadline, int64_t lived);

/* An attempt is made now. Returns how long to wait for the peer's kernel, as a time. */
int64_t repair_attempt(struct repair *r, int64_t now, int64_t patience);
/* Its kernel has accepted: no deadline while its process is waited for. */
void repair_held(struct repair *r, int64_t now);
/* It came to nothing, and the next is made at once. */
void repair_turn(struct repair *r, int64_t now);
/* It came to nothing: when to make the next, or to give up if it is over by then. `draw` is
 * random. */
int64_t repair_failed(struct repair *r, int64_t now, uint64_t draw);
bool repair_is_over(const struct repair *r, int64_t now);
/* The peer's process has answered, though with "not now". */
void repair_answered(struct repair *r, int64_t now, int64_t deadline);

/* What an end is in when a connection comes. */
struct repair_end {
    const struct session *session; /* NULL: no link to that rank */
    bool ends;                     /* it is on its way down      */
    bool attempt_stands;           /* of its own, the peer's process may have seen it */
    uint32_t peer_attempt;         /* the last one taken          */
};
enum verdict {
    VERDICT_NEW,     /* make a link                                     */
    VERDICT_TAKE,    /* it is this session's connection now             */
    VERDICT_BUSY,    /* an attempt of our own stands                    */
    VERDICT_STALE,   /* BUSY: the peer has said more since it said this */
    /* BUSY, and the peer seems to have begun anew: look whether our session lives */
    VERDICT_DOUBT,
    VERDICT_UNKNOWN, /* it speaks of a session that is no more          */
};
enum verdict repair_judge(const struct repair_end *end, const struct join *join);

/* Whether an attempt of our own keeps out one of the peer's. */
bool repair_stands(int my_rank, int peer_rank, int64_t since, int64_t now);

/* What our kernel says of a connection (TCP_INFO). */
struct silence_signs {
    unsigned unacknowledged; /* segments                                             */
    unsigned resent;         /* by a timer, since the last that was acknowledged     */
    unsigned probes;         /* of a full window, since the last that was answered   */
    int64_t heard_ago;       /* the last acknowledgement of any kind                 */
};

/* Looks at that, now and then. */
struct silence {
    int64_t looked_at; /* 0: at nothing that was due */
    int64_t silent;
};
/* For how long the peer's kernel owes an answer; 0 as long as there is no proof that it does.
 * `every`: how often somebody should look. */
int64_t silence_look(struct silence *s, int64_t now, int64_t every,
                     const struct silence_signs *signs);
int64_t silence_patience(int64_t repair_deadline);
int64_t silence_look_every(int64_t repair_deadline);

#endif
