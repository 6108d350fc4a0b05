/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_TRANSPORT_H
#define TRANSPORT_TRANSPORT_H
/*
 * transport.h - one link to one peer: what a transport must do, and nothing about how
 *
 * Threads     One thread at a time calls a transport and all its links. No locks are needed.
 * Reentrancy  Upcalls are made from inside progress() only. Inside an upcall send, rma, flush and
 *             reg, dereg are allowed; progress, connect, disconnect, arm and close are not:
 *             messaging queues them to the end of progress.
 * Order       Messages on one link arrive in the order send() accepted them, once, or the link goes
 *             down. A send issued after a put's completion is seen after the put if
 *             caps.put_ordered; otherwise messaging flushes first. Nothing else is ordered.
 * Memory      Messaging allocates a transport and its links, zeroed and cache-line aligned, with
 *             the sizes in the table; a transport's own structure begins with the base declared
 *             here. What a transport allocates itself comes from the injected world.
 * Trust       Every length, index and id from a peer is read once into a local and checked. A bad
 *             peer costs its own link only: down with SINEW_EPROTO.
 *
 * Wired       A transport with caps.wired publishes no address and listens to nobody: when a
 *             control link of the pair is up, messaging exchanges the addresses over it and calls
 *             connect(l, peer's address) on both sides, in one the earlier; up.link is not used.
 *             What either end tells reaches the other's connect(l, bytes), in order, each once.
 *             Then both ends get `up`, or one or both `down`; whoever is left is told
 *             DISCONNECT_BROKEN. The peer's death and silence are the control link's matter: such a
 *             link waits without a deadline for its counterpart to tell, and goes down only when it
 *             knows that it cannot work. It keeps a copy of every message that send() took
 *             (returned 0) until that is confirmed: the other end has handed it up, or will before
 *             its `down` whatever happens. What is not confirmed when the link breaks is handed
 *             back by `undone`. And puts: done(0) of a flush, with put_ordered also of a put, says
 *             that the bytes are in the target's memory, so that no later break can undo it.
 *
 * Return values: 0 done; TRANSPORT_PENDING: lent until `done`; TRANSPORT_HELD: copied, not on its
 * way until `done`; TRANSPORT_AGAIN: nothing was taken, wait for `room`; < 0: nothing was taken,
 * the link (or the call) failed, and `down` will follow for a link.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/landing.h"
#include "base/list.h"
#include "base/log.h"
#include "base/text.h"
#include "base/world.h"
#include "sinew/sinew.h"

struct config;
struct lease;
struct link;
struct region;
struct rma;
struct transport;

enum transport_result {
    TRANSPORT_PENDING = SINEW_PENDING,
    TRANSPORT_AGAIN = 2,
    TRANSPORT_HELD = 3,
};

enum transport_no {
    TRANSPORT_NOTHING = -1, /* nothing is there                */
    TRANSPORT_NOT_THIS = -2, /* something else, or not this way */
};

enum {
    TRANSPORT_ADDRESS_MAX = 40, /* so that a rank's whole record fits 64 bytes */
    TRANSPORT_TELL_MAX = 4096,  /* bytes of one tell …                         */
    TRANSPORT_TELLS_MAX = 4,    /* … and tells of each side until `up`         */
    TRANSPORT_UNDONE_MAX = 4096, /* sends of a wired link not confirmed; then AGAIN */
    TRANSPORT_KEY_MAX = 32,
    TRANSPORT_HEAD_MAX = 64, /* every transport takes heads up to here */
    TRANSPORT_UPCALLS_MAX = 64, /* most upcalls one progress() makes */
};

/* How a peer went. */
enum gone {
    GONE_LEFT,   /* said goodbye: everything it sent was handed up before (unless this side was
                    draining too: who leaves need not hear all)                                  */
    /* its process or host is known to be gone, or another incarnation took its place */
    GONE_DIED,
    GONE_BROKEN, /* the link failed; whether the peer lives is not known                        */
};

enum disconnect_how {
    DISCONNECT_DRAIN, /* deliver what send() accepted, say goodbye, then down                    */
    DISCONNECT_NOW,   /* revoke remote access, drop everything, then down                        */
    DISCONNECT_DEAD,  /* the peer is dead: hand up what has arrived, then down(GONE_DIED)         */
    DISCONNECT_BROKEN, /* wired only: its other end is broken. As if it had broken here: revoke
                          access, hand up what has arrived, undone, then down(GONE_BROKEN)       */
};

/* Filled by open, constant afterwards. */
struct transport_caps {
    uint32_t eager_max;  /* longest body one send() takes                                        */
    uint32_t copy_max;   /* longer bodies are lent until done, and need a registered region      */
    uint32_t begin_max;  /* of a long message's bytes that had better go with its announcement   */
    bool put_ordered;    /* see Order                                                            */
    bool get, atomic;    /* beyond PUT, which every transport has                                */
    bool memory;         /* reg() gives memory that peers reach best, see there                  */
    bool keeps;          /* takes REGION_LASTING                                                 */
    bool local;          /* reaches this host only                                               */
    bool expects;        /* looks for link->expect                                               */
    bool lends;          /* has peek() and drop()                                                */
    bool lands;          /* knows what to do with a landing; and its puts never come twice       */
    bool wired;          /* needs a control link to exchange `tell` bytes, see Wired             */
    bool holds;          /* sends may be HELD, so that many go together                          */
    bool offers;         /* an announcement may take along what it announces, see send()          */
    uint32_t latency_ns; /* of an 8-byte message, declared; choosing starts from it              */
    uint32_t megabytes_per_s; /* of a long message, declared                                     */
};

/* What a transport may know of the process it serves. Constant from open to close. */
struct transport_options {
    const struct world *world;
    const struct config *config;
    int rank, size;
    uint64_t epoch;          /* this incarnation of this rank: random, never 0                   */
    const uint8_t *secret;   /* the job's 32 bytes; NULL when security is none                   */
    const struct log *log;
    bool crowded;            /* more ranks than cores here                                       */
};

/* The eight upcalls: messaging's side. */
struct transport_up {
    /* An authenticated peer wants a link that does not exist yet: zeroed memory for it with rank,
     * epoch and owner set, or NULL to refuse it (unknown rank, closing, a dead incarnation). */
    struct link *(*link)(struct transport *t, int rank, uint64_t epoch);
    /* The link is usable; once, before any recv. l->epoch is the peer's, authenticated. */
    void (*up)(struct link *l);
    /* Carry these bytes to my counterpart's connect() over the control link. */
    void (*tell)(struct link *l, const void *bytes, size_t len);
    /* A message. Head and body are valid until return. Body bytes are contiguous. With lease not
     * NULL the body may be kept: return TRANSPORT_PENDING and call lease->release later. 0: taken;
     * < 0: the bytes break the protocol, the link must go. */
    int (*recv)(struct link *l, const void *head, size_t hlen, const void *body, size_t blen,
                struct lease *lease);
    /* A send, rma or flush that was PENDING is finished; the body is the caller's again. A send
     * that was HELD: it and all that were held before it on this link are with the kernel or the
     * wire, or, with status < 0, dropped. Of those before it nothing else is told. */
    void (*done)(struct link *l, uint64_t cookie, int status);
    /* After TRANSPORT_AGAIN: sending may work again. May come without cause. */
    void (*room)(struct link *l);
    /* Wired only, just before down(GONE_BROKEN): a message that send() or send_short() had taken
     * and that is not confirmed. In the order of sending, with no gap; each one the bytes as given.
     * The peer may have it: messaging finds out. Not after DRAIN is complete, NOW or DEAD. Sending
     * on l is over: it returns < 0. */
    void (*undone)(struct link *l, const void *head, size_t hlen, const void *body, size_t blen);
    /* The last upcall of a link, exactly once for every connect() or link(): every cookie was done,
     * every message that arrived was handed up. The link's memory is messaging's again when
     * progress returns. status: 0 after DRAIN or a goodbye, else why; text in l->why. */
    void (*down)(struct link *l, int status, enum gone gone);
};

struct lease {
    void (*release)(struct lease *lease);
};

/* A message that messaging waits for. A transport that can (caps.expects) takes it straight out of
 * where it arrived, with no upcall: the next message of the link, if it is a short one with this
 * key that fits, or if its head is of 16 bytes: `word` (under `mask`) and the key, little-endian;
 * then that of `next`, and so on. A progress() that took any makes no upcalls for that link. All
 * others come by recv as ever. */
struct expect {
    struct expect *next; /* NULL: no more */
    uint64_t key, word, mask;
    void *buf; /* gets the body, or its first cap bytes */
    size_t cap, len;
    bool done, is_short; /* done: then len is its body's length, and word, if not short, its own */
};

/* The base of a transport's own structure. */
struct transport {
    const struct transport_ops *ops;
    const struct transport_up *up;
    void *owner; /* messaging's */
    struct transport_options opt;
    /* filled by open: */
    struct transport_caps caps;
    uint8_t address[TRANSPORT_ADDRESS_MAX];
    uint32_t address_len;
    int fd; /* readable when progress has work, after arm; -1: none needed */
    char about[64]; /* the library it is made of and its versions, for people; "": it has none */
    /* what it took of what that offers, and why not the others; NULL: nothing */
    const char *choice;
    struct why why; /* of the last call that failed */
};

/* The base of a transport's own link. ops, transport and owner are set by messaging for both active
 * and passive links; rank and epoch too (epoch 0 while an active one does not know it yet). */
struct link {
    const struct transport_ops *ops;
    struct transport *transport;
    void *owner; /* messaging's peer */
    uint64_t epoch;
    int rank;
    /* set by messaging for one progress(); moves to the first not done */
    struct expect *expect;
    /* likewise, of one with take_short(): it sees to all else, but takes no message of this link */
    bool is_passed_over;
    bool lands_not; /* though the transport does, set before up: what comes is checked whole */
    const int32_t *shorts;     /* how many send_short() it takes now; messaging starts it at 0 */
    struct why why; /* why it went down, for people */
    const char *note; /* what it cannot do, and why, for people;
                          or which way it goes; there as long as the link; NULL: nothing */
};

/* Short messages: a head of one little-endian word, the key, and at most TRANSPORT_SHORT bytes.
 * Each costs its sender a unit of what the receiver can keep unread, which the transport gives back
 * by itself if the message was taken straight (take_short(), expect); of one that came by recv
 * messaging does. */
enum { TRANSPORT_SHORT = 48, TRANSPORT_SHORT_HEAD = 8 };

/* The next message of a link where it lies, in memory that the peer may be able to write: of the
 * head each byte is read once, and of the body any value will do. */
struct peeked {
    const uint8_t *head, *body;
    size_t hlen, blen;
};

/* What peers may do with a region. Atomic operations on one have one agent, fixed when it is
 * registered: with REGION_ATOMIC it is the transport's (a NIC's are not atomic beside a CPU's), and
 * everybody, its owner too, updates it by RMA_ATOMIC of that transport alone. */
enum region_rights { REGION_PUT = 1, REGION_GET = 2, REGION_ATOMIC = 4,
                     /* Alone, with caps.keeps: peers get nothing, but the memory stays what it is
                      * until dereg, so what it costs rma to reach it here may be paid once. */
                     REGION_LASTING = 8 };

/* Memory that rma works on. Whoever registers keeps the structure until dereg has returned 0. */
struct region {
    void *base;  /* mine; a peer's: a direct pointer when the transport can give one, else NULL */
    size_t len;
    struct link *reader; /* mine: who alone is given the key, to read (RMA_GET); NULL: peers put */
    /* mine, with caps.lands: gets what is put, in place of base; or NULL */
    struct landing *landing;
    unsigned rights; /* mine: enum region_rights; 0: with a reader GET, else PUT                 */
    bool of_many; /* mine, with a reader: one of several that go at once, as a collective's      */
    uint8_t key[TRANSPORT_KEY_MAX]; /* mine: written by reg. A peer's: what it sent              */
    uint32_t key_len;
    uint64_t id;   /* the transport's own */
    void *private; /* likewise */
};

enum rma_kind { RMA_PUT, RMA_GET, RMA_ATOMIC };

/* On an aligned word of 8 bytes in the peer's byte order; its former value goes to `local`. */
enum rma_atomic { RMA_FETCH_ADD, RMA_COMPARE_SWAP };

/* One one-sided operation. Messaging keeps it, unchanged, until it is done. */
struct rma {
    enum rma_kind kind;
    void *local;                /* len bytes: source of a put, target of a get                   */
    size_t len;                 /* may exceed every other limit: the transport cuts it           */
    struct region *mine;        /* covers local; NULL if the transport does not need it          */
    const struct region *peers; /* registered for this link                                      */
    uint64_t offset;            /* into the peer's region; checked there                          */
    uint64_t cookie;            /* of done                                                       */
    enum rma_atomic atomic;     /* RMA_ATOMIC: which, on len = 8 bytes, and with what:           */
    uint64_t operand, compare;  /* add operand; or, if it is `compare`, becomes operand          */
    struct landing *landing;    /* a get, with caps.lands: gets it, and `local` is room; or NULL */
    bool ahead; /* set by rma(): PENDING, yet what is sent from now on is seen after it */
    /* the transport's own, while it is under way: */
    struct list entry;
    size_t progress;
};

/* The seventeen operations. Those a transport cannot do are typed stubs, never NULL (see
 * stub.h). */
struct transport_ops {
    const char *name;
    uint8_t id; /* in a rank's published record; never reused: 1 sim, 2 shm, 3 tcp, 4 verbs, 5 ucx,
                   6 ofi, 7 sim_wired */
    bool control; /* its links may be control links: authenticated, reaching everywhere, and they
                     know whether the peer lives */
    size_t transport_size, link_size;

    /* Probe, claim what is needed, fill caps, address and fd. No peer I/O. < 0: it cannot work
     * here, t->why says why and what to do; nothing is left behind. */
    int (*open)(struct transport *t);

    /* Every link is down and every region deregistered. Bounded, cannot fail. */
    void (*close)(struct transport *t);

    /* Pure: would a link to the owner of this address work? >= 0 a score (higher is nearer), < 0
     * with the reason in why. Choosing and explaining both ask here. */
    int (*reach)(struct transport *t, const void *address, size_t len, struct why *why);

    /* Start a link. First call: the peer's address; later calls: what the counterpart told. Never
     * blocks. Both sides may call at once: one link comes of it, for both (the lower rank's attempt
     * survives). Ends in one `up`, or one `down` (after opt.config's setup deadline at the latest,
     * which runs until the peer's kernel has answered; of a wired link, from what the counterpart
     * told last). < 0: no link, and no `down` follows; but a later call, with what was told, cannot
     * do that: it returns 0, and `down` follows. */
    int (*connect)(struct link *l, const void *bytes, size_t len);

    /* End a link, see enum disconnect_how; `down` follows from progress. Allowed in any state after
     * connect() or up.link(), and again with a harsher how. */
    void (*disconnect)(struct link *l, enum disconnect_how how);

    /* One message, all or nothing: hlen <= TRANSPORT_HEAD_MAX, blen <= caps.eager_max. Before `up`
     * it returns TRANSPORT_AGAIN. PENDING only for bodies above caps.copy_max, given with their
     * region. With caps.offers the region may also be memory, with l for its reader, that the
     * message tells of: then it is on offer, and dereg is AGAIN until the other end has read it or
     * let go of it, for which both have to make progress.
     * HELD only with caps.holds and a cookie that is not 0: it goes with the next progress(), the
     * next send() without a cookie, or when enough are held; those without a cookie go at once,
     * inside upcalls at the end of progress. Not HELD: the cookie is forgotten. */
    int (*send)(struct link *l, const void *head, size_t hlen, const void *body, size_t blen,
                struct region *region, uint64_t cookie);

    /* So many units more for short messages; 0: see what has come back. Then *l->shorts says how
     * many there are room and units for, or some of them. What a link was allowed goes with it, so
     * a wired one, after which the pair goes on, has no short messages. */
    void (*allow)(struct link *l, uint32_t units);

    /* A short message: only when *l->shorts > 0, and then it cannot fail. Returns 0. */
    int (*send_short)(struct link *l, const void *body, size_t blen, uint64_t key);

    /* Take the next message if it is there, short, for e->key, and fits e->buf: its length. */
    int64_t (*take_short)(struct link *l, const struct expect *e); /* or < 0: enum transport_no */

    /* The next message, if it is there: 0 and *m, or < 0: enum transport_no. It is lent until
     * drop(), the next call of all on l, which counts it as taken (a short one: straight); what is
     * not dropped comes by recv as ever. Neither makes upcalls. */
    int (*peek)(struct link *l, struct peeked *m);
    void (*drop)(struct link *l);

    /* 0: the local memory is free again and the data is on its way (of a get: it is here). PENDING:
     * until done. A get alone may fail without its link: EACCESS, at once or as status of done,
     * when the memory cannot be read or its owner has taken it back: what has come is worth
     * nothing. It alone may be AGAIN with no room to follow: as many as are good for it are under
     * way; let the owner put it, or ask again. */
    int (*rma)(struct link *l, struct rma *op);

    /* 0 now, or done(cookie): every earlier rma on l is visible to the target's CPU. */
    int (*flush)(struct link *l, uint64_t cookie);

    /* l NULL: region->base, len are mine; write key and key_len. Else key, key_len and len are the
     * peer's: make them usable on l. SINEW_EINVAL for a key that cannot be right, SINEW_ENOTSUP for
     * one to read that is better, or only, put. With caps.memory, l and base NULL: give memory,
     * zeroed, into base; it goes with dereg. SINEW_ELIMIT or another reason why there is none: any
     * other memory does. */
    int (*reg)(struct transport *t, struct link *l, struct region *region);

    /* 0: nothing remote can land there (or, for a peer's, be sent there) any more, and who reads
     * it still will know. AGAIN: not yet. */
    int (*dereg)(struct transport *t, struct region *region);

    /* Move data: l first (may be NULL), then the others, fairly. Returns the upcalls made, at most
     * TRANSPORT_UPCALLS_MAX, or 1 when only parts of something longer moved: 0 means idle. Bounded;
     * never blocks. */
    int (*progress)(struct transport *t, struct link *l);

    /* 0: t->fd fires on the next event. > 0: there is something already. It makes no upcalls; what
     * it finds is handed up by progress(). */
    int (*arm)(struct transport *t);
};

#endif
