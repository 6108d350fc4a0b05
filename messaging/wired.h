/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MESSAGING_WIRED_H
#define MESSAGING_WIRED_H
/*
 * wired.h - a better path for a pair, set up through its control link
 *
 *   control link   up as long as the pair is: authenticated, it carries what the ends of the wired
 *                  link tell each other (TELL), and it alone knows whether the peer lives
 *   data link      of a wired transport; messages and puts, from SWITCH on; when it breaks, the
 *                  pair goes on over the control link
 *
 * One attempt at a time, numbered, begun by the lower rank:
 *
 *   NONE --leader starts, or its first tell comes--> LIVE --this end down: DOWN told-->
 *        --the other's DOWN came as well--> NONE, and the leader starts the next, if there is one
 *
 * So both ends agree on when a link is over: neither sends again before both are down, and nothing
 * of the dead link can come between. How much had come says DOWN; the rest is sent once more.
 *
 * Which transport: the leader goes through its own order of choice and takes the first that the
 * peer offered and that reach() accepts. The other side follows; what it cannot do it answers with
 * DOWN.
 */
#include "messaging/context.h"

enum tell_what {
    TELL_OFFER = 1, /* which wired transports I have, and their addresses            */
    TELL_BYTES,     /* of the transport, for its counterpart                         */
    TELL_TAKEN,     /* SWITCH has come                                               */
    TELL_DOWN,      /* my end is down, and so many messages of the pair have come    */
    TELL_NONE,      /* there is no wired path for this pair (any more), and why      */
    TELL_LAST = TELL_NONE,
};

enum {
    OFFER_VERSION = 1,
    AHEAD_MESSAGES = 32,  /* sent on the new link before its end has told of SWITCH; … */
    AHEAD_BYTES = 65536,  /* … the other side keeps as much                            */
    WIRED_TRIES = 3,      /* of one transport, if it has worked                        */
    REASON_MAX = 256, /* so that a device's own words and what was outstanding fit */
    /* an offer and two attempts' are 15: the next needs the peer to have heard */
    TELLS_WAITING_MAX = 32,
};

/* A message of which a copy is kept: to be told, handed to connect(), parked, or sent again. */
struct copy {
    struct list entry;
    size_t hlen, blen;
    uint8_t bytes[]; /* head, body */
};

struct wired {
    struct link *control, *data; /* data: NULL when there is none */
    int chosen;                  /* the transport of this attempt, or the last */
    uint16_t attempt;
    bool live;                   /* an attempt that is not over                */
    bool was_up;                 /* data is up, or was before it went          */
    bool offer_sent, heard;      /* offers                                     */
    bool none;                   /* nothing (more) will come of it             */
    bool mine_down, down_told, theirs_down;
    bool moved;                  /* sending goes over data (or did before it broke) */
    bool switch_came, taking;    /* SWITCH has come; and receiving goes over data */
    bool draining;
    bool lost;                   /* what is to be sent again could not be kept */
    bool want_start, want_connect, want_break, want_drain; /* at the end of progress */
    uint64_t switched_at; /* the number of the first message after SWITCH          */
    uint64_t theirs_came; /* as DOWN said                                          */
    uint32_t ahead_messages, ahead_bytes;
    uint16_t tell_out, tell_in; /* sequence */
    uint8_t tells_out, tells_in; /* BYTES of this attempt */
    uint8_t tries[TRANSPORTS_MAX];
    uint8_t address[TRANSPORTS_MAX][TRANSPORT_ADDRESS_MAX]; /* what the peer offered    */
    uint8_t address_len[TRANSPORTS_MAX];                    /* 0: nothing               */
    char reason[TRANSPORTS_MAX][REASON_MAX];                /* why not (any more)       */
    char down_text[REASON_MAX];
    struct list tells;  /* for the control link, when it has room   */
    struct list told;   /* for connect()                            */
    struct list parked; /* came on data before SWITCH               */
    struct list undone; /* handed back, of this attempt             */
    struct list resend; /* of these, and of earlier ones, what the peer has not; before all else */
    uint32_t parked_count, undone_count, tells_count;
    size_t parked_bytes;
};

/* wired.c */
void wired_reach(struct peer *p);  /* at the end of progress: the leader looks for a path */
void wired_begin(struct peer *p, uint16_t attempt, int transport);
void wired_over(struct peer *p);   /* if both ends are down: go on over the control link */
void wired_none(struct peer *p, const char *why);

/* tell.c */
struct wired *wired_of(struct peer *p, struct link *control); /* made if need be; NULL: no memory */
void tell_offer(struct peer *p);
void tell_bytes(struct peer *p, const void *bytes, size_t len);
void tell_taken(struct peer *p);
void tell_down(struct peer *p);
void tell_none(struct peer *p, const char *why);
void tell_room(struct peer *p); /* what waits goes, as far as it goes */

/* shift.c */
struct copy *copy_keep(struct peer *p, struct list *list, const void *head, size_t hlen,
                       const void *body, size_t blen);
void copies_drop(struct peer *p, struct list *list);
/* Of what was handed back, what the peer has not is to be sent again; false: something is lost for
 * good. */
bool shift_settle(struct peer *p, struct why *why);

#endif
