/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_CONTRACT_PEER_H
#define TESTS_CONTRACT_PEER_H
/*
 * peer.h - messaging's side of a transport, reduced to a recorder
 *
 * A `side` drives one transport of one rank. Every message is numbered per direction, its head and
 * body are a function of (source, destination, number), and its lengths of the number alone
 * (`shape`), so the recording upcall checks content, order and lengths of everything that ever
 * arrives.
 */
#include "tests/support/suite.h"
#include "base/config.h"
#include "tests/contract/control.h"
#include "transport/transport.h"

/* A transport that only this program has; NULL: none. */
extern const struct transport_ops *const contract_extra;

enum {
    SIDE_COOKIES_MAX = 4096,
    SIDE_LEASES_MAX = 64,
    /* Words of the job's that sides use among themselves; the cases use those below. */
    WORD_ROUND = JOB_WORDS - 1,
};

struct side;

/* One other rank. */
struct peer {
    struct side *side;
    int rank;
    uint64_t epoch;
    uint8_t address[TRANSPORT_ADDRESS_MAX];
    uint32_t address_len;
    struct link *link; /* from connect() or the link upcall, until after down */
    bool refuse;       /* the link upcall says no                             */
    bool breaks;       /* the recv upcall says that bytes are bad             */
    bool echoes;       /* every message received is answered inside recv      */
    int links, ups, downs, rooms;
    int down_status;
    enum gone gone;
    bool down_dead; /* link memory to release once progress has returned   */
    uint64_t sent, received;
    uint64_t undone, undone_at; /* messages handed back, of a wired link; the next one's number */
    uint64_t number, theirs; /* of the link and its counterpart, see control.h */
    uint64_t held;     /* the cookie of the last send that is HELD; 0: none is   */
    /* The lengths of message `number`; NULL: shape_small. */
    void (*shape)(uint64_t number, size_t *hlen, size_t *blen);
    void (*heard)(struct peer *from); /* after each message, when not NULL */
};

struct side {
    struct job_rank *me;
    const struct transport_ops *ops;
    const struct world *world;
    struct transport *t;
    struct transport_up up;
    struct config config;
    struct log log;
    uint64_t epoch;
    struct peer peer[JOB_RANKS_MAX];
    uint8_t *staging; /* eager_max bytes of a body being sent */
    struct region staging_region;
    int upcalls;      /* in the progress() that runs now */
    int64_t rounds;   /* of side_barrier                */
    uint64_t cookies; /* given out; cookie n is cookie_done[n % MAX]: 0 under way, else 1 + times */
    int cookie_times[SIDE_COOKIES_MAX];
    int cookie_status[SIDE_COOKIES_MAX];
    uint64_t numbers; /* of links, see control.h */
    int leases;
    struct lease *lease[SIDE_LEASES_MAX];
};

/* Open the rank's transport; learn the addresses of the others. Ends the body on failure. */
void side_open(struct side *side, struct job_rank *me);
/* Drain every link, wait for the others to have done the same, close. Checks up and down counts. */
void side_close(struct side *side);
/* The same without links: all must be down already. */
void side_end(struct side *side);

void side_connect(struct side *side, int rank);
void side_connect_wait(struct side *side, int rank); /* until up */
/* Connect, crossing, with everyone. */
void side_connect_all(struct side *side);

/* Once; checks what progress() promises. Returns the upcalls made. */
int side_progress(struct side *side, struct link *l);
/* Wait for all ranks while moving data. */
void side_barrier(struct side *side);
/* A time by which a wait has certainly gone wrong. */
int64_t side_limit(struct side *side);

/* Progress until expr holds. */
#define SIDE_UNTIL(side, expr)                                                             \
    do {                                                                                   \
        int64_t side_until_ = side_limit(side);                                            \
        while (!(expr)) {                                                                  \
            if (job_now((side)->me) > side_until_)                                         \
                job_fail((side)->me, __FILE__, __LINE__, "in vain waited for: %s", #expr); \
            side_progress(side, NULL);                                                     \
        }                                                                                  \
    } while (0)

/* Send the next message. peer_try: what send() said; PENDING has been waited for. */
int peer_try(struct peer *to);
int peer_try_with(struct peer *to, bool may_hold); /* or held back, where the transport does */
void peer_send(struct peer *to); /* through AGAIN, until taken; every other may be held */

/* A cookie for an operation, and its end: checks that it came once, returns its status. */
uint64_t side_cookie(struct side *side);
int side_cookie_wait(struct side *side, uint64_t cookie);
/* Put and wait until it is done: 0 or the failure. */
int peer_put(struct peer *to, struct region *theirs, void *local, size_t len, uint64_t offset);
int peer_flush(struct peer *to);

void shape_small(uint64_t number, size_t *hlen, size_t *blen); /* heads 0..64, bodies 0..255 */

#endif
