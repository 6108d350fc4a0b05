/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_SHM_LINK_H
#define TRANSPORT_SHM_LINK_H
/*
 * link.h - the transport and its links, and how one's life goes
 *
 *   IDLE -> TRYING -> ASKED ----------> UP -> DRAINING -> ENDING -> DOWN
 *                       \-> YIELDED --/      (any state) --^
 *
 *   TRYING    connecting, or about to try again
 *   ASKED     HELLO is out
 *   YIELDED   the peer's attempt survives: it is awaited
 *   DRAINING  puts are still queued, then comes our goodbye
 *   ENDING    the verdict is known; what arrived is handed up, cookies are done, then `down`
 *
 * Sleeping    A receiver raises `sleeping` in every ring it reads, then looks at them once more; a
 *             sender publishes, then looks at the flag. One of them sees the other if the two
 *             stores come before the two loads: by membarrier() on the sleeper's side, or, where it
 *             was refused to either, by read-modify-writes on the flag by both.
 * Turns       Where messages and a put both wait for room, a fragment and a message go in turn (or
 *             several messages, of as many bytes together as bulk spares them): neither can keep
 *             the other from going, and what is short goes at once. Slots are room too: once as
 *             many messages of any length have gone past a put as it needs slots free, these are
 *             left to it, and none of them is promised, until a fragment has gone. A put that holds
 *             all that bulk may hold waits for nobody but the receiver, and no message for it.
 * Death       The pidfd is the witness, so a forked child that holds the socket hides nothing. The
 *             end of the socket without a goodbye is a witness only when it is the same process
 *             (ranks as threads); else it is a hint, and without the pidfd's word within
 *             SHM_GRACE_NS the link is GONE_BROKEN.
 */
#include "base/list.h"
#include "base/siphash.h"
#include "transport/shm/hello.h"
#include "transport/shm/host.h"
#include "transport/shm/ring.h"
#include "transport/shm/segment.h"
#include "transport/transport.h"

#define SHM_GRACE_NS 500000000LL
#define SHM_RETRY_NS 2000000LL
#define SHM_HELLO_NS 2000000000LL /* an accepted socket must say something within */
#define SHM_REFUSED_NS 10000000000LL /* refusals in between are counted, not logged */

enum {
    SHM_PENDING_MAX = 16,  /* handshakes that others have begun            */
    SHM_LOOK_AFTER = 4096, /* what polls may cost until sockets are looked at: */
    SHM_LOOK_SOON = 64,    /* … while a link is being made                       */
    SHM_COLD_EVERY = 4,    /* polls of a link that is waited for, to one of another */
    SHM_TURN_EVERY = 16,   /* polls that took what was expected of it, one after the other, to one
                              of everything else: its puts and room, other links */
    SHM_EMPTY_COST = 16,   /* a poll that found nothing; others cost 1           */
    SHM_BUDGET_KEPT = 8,   /* of the upcalls of one progress(): to another link, and as many to what
                              is outside the rings, whatever the link that is waited for takes */
    SHM_PUSH_PART = 8,     /* of a link's share, what receiving leaves to puts and room */
    SHM_REGIONS_MAX = 1 << 20,
    SHM_QUIET_POLLS = 16, /* then room is told back without a message to carry it */
};

enum shm_kind { SHM_MESSAGE = 1, SHM_PUT = 2, SHM_BYE = 3, SHM_SHARE = 4, SHM_SHORT = 5 };

/* Bits of ring->sleeping. */
enum { SHM_SLEEPS = 1, SHM_SLEEPS_FOR_ROOM = 2 };

enum shm_state {
    SHM_IDLE,
    SHM_TRYING,
    SHM_ASKED,
    SHM_YIELDED,
    SHM_UP,
    SHM_DRAINING,
    SHM_ENDING,
    SHM_DOWN,
};

/* Bits of link->wants: what goes once the ring has room. */
enum { SHM_WANTS_MESSAGE = 1, SHM_WANTS_SHARES = 2 };

struct share_maps;

struct shm_link {
    struct link base;
    uint8_t state;
    bool paired;     /* membarrier works on both sides                            */
    uint8_t wants;   /* a message: one was refused; `room` follows when this would fit: */
    bool puts_yield; /* … before any more of a put goes, for some has gone past it    */
    bool peer_left;  /* its goodbye was read: nothing follows                      */
    uint8_t quiet;   /* polls in vain since the last message, up to SHM_QUIET_POLLS       */
    uint16_t wanted_hlen;
    uint32_t wanted_blen;
    uint32_t passed; /* bytes of messages that went past a put since its last fragment */
    uint32_t turn_began; /* tx.head then: messages since are slots that went past it     */
    uint32_t short_due; /* shm_take_short() takes nothing but this; see ring_take_short() */
    struct ring_peeked lent; /* by shm_peek() */
    uint32_t taken; /* messages finished with when last in turn; see shm_poll_cold() */
    struct ring_consumer rx;
    struct ring_producer tx;
    struct list puts;    /* struct rma, queued: gets too */
    struct list flushes; /* struct put_flush   */
    uint64_t puts_begun, puts_done;

    int side;   /* 0 connected, 1 accepted                                                    */
    bool reads; /* process_vm_readv() works on the peer                                       */
    uint64_t pledged;                   /* bits: slots of mine that are taken, see read.c     */
    uint32_t pledge[SEGMENT_PLEDGES];   /* their last generations                             */
    struct share_maps *maps;            /* memory of the peer's, see share.c; NULL: none yet  */
    uint32_t shares_sent, shares_taken; /* descriptors of mine                                */
    bool owes_gone;                     /* a word of what was freed waits for room: …         */
    uint32_t share_gone;                /* … of this; 0: of everything                        */

    struct list of_transport, of_live, of_ending;
    void *segment;
    int socket, pidfd, peer_wake, memory; /* -1: none; pidfd: also if it is this process */
    pid_t pid; /* the peer's, 0 in another pid namespace */
    uint64_t peer_name;
    struct hello_packet hello; /* sent */
    int64_t deadline, retry_at, grace_until; /* 0: none; deadline: until its kernel has answered */
    int64_t dropped_at; /* since when it closes our attempts unheard; 0: it does not */
    /* the verdict: */
    int status;
    enum gone gone;
    char note[256]; /* base.note, see read.c */
    bool drains;    /* what arrived is handed up first */
    int drain_left; /* … at most so many: what a ring can hold */
};

/* A socket that somebody opened to us. */
struct shm_pending {
    int socket; /* -1: free */
    bool has_hello; /* authenticated; waits for an older link to go down */
    pid_t pid;
    int descriptors[HELLO_DESCRIPTORS], n;
    struct hello_packet packet;
    struct hello hello;
    int64_t deadline;
};

/* Memory that peers put into, see put.c. */
struct shm_region {
    uint8_t *base;
    struct landing *landing; /* or NULL */
    size_t len;
    uint64_t nonce;
    uint32_t generation, next_free;
    bool used;
};

struct share;

struct shm_transport {
    struct transport base;
    struct list live; /* links whose rings are polled */
    struct list *cold; /* in `live`: the next in turn   */
    unsigned calls; /* that had a link to look at first */
    int until_turn, until_look;
    bool armed, look; /* look: something outside the rings is due */
    struct list links, ending;

    struct segment_mapper mapper; /* set before open, or the real one */
    struct host_address self;
    bool membarrier;
    int listener, wake, timer, pidfd;
    pid_t pid;
    int64_t accept_at; /* not before: out of descriptors; 0: any time */
    int64_t refused_at; /* when a refusal was last logged; 0: never       */
    uint64_t refused_since;
    struct shm_pending pending[SHM_PENDING_MAX];
    int deferred, connecting; /* pending ones that wait; links not up yet */
    bool settles; /* a link went down: what waited for it may go on            */

    struct shm_region *regions;
    uint8_t region_key[SIPHASH_KEY]; /* of their nonces, see put.c */
    uint32_t region_count, region_free; /* region_free: index + 1 of the first free one */

    uint64_t read_from; /* messages that long are read by process_vm_readv(); …  */
    uint64_t read_many_from; /* … of several that go at once                     */
    struct share *shares; /* mine, in order of address, see share.c */
    uint32_t share_count, share_cap, last_share;
};

static inline struct shm_transport *shm_of(struct transport *t)
{
    return (struct shm_transport *)t;
}
static inline struct shm_transport *shm_of_link(struct shm_link *l)
{
    return (struct shm_transport *)l->base.transport;
}
/* What is outside the rings is seen to by the next progress(). */
static inline void shm_look_soon(struct shm_transport *t)
{
    t->look = true;
    t->until_turn = t->until_look = 0;
}

static inline int64_t shm_now(struct shm_transport *t) { return world_now(t->base.opt.world); }

/* --- link.c --- */
void link_init(struct shm_link *l);
int link_map(struct shm_link *l, int memory);
/* With the segment mapped: join the live links; `side` 0 connected, 1 accepted. */
void link_open(struct shm_link *l, int side, bool paired);
/* Drop an attempt of one's own: socket and segment. */
void link_abandon(struct shm_link *l);
/* The verdict; text in l->why. `drains`: hand up what arrived first. The first verdict stands,
 * unless `how` is harsher. */
void shm_link_end(struct shm_link *l, int status, enum gone gone, bool drains);
void link_socket_ended(struct shm_link *l);
void link_process_ended(struct shm_link *l);
/* Upcalls made. *budget: what may still be handed up. */
int link_poll(struct shm_link *l, int *budget);
int link_finish(struct shm_link *l, int *budget);
void link_wake_peer(struct shm_link *l);
/* Give room back now. */
void link_tell(struct shm_link *l);
/* Of shm_take_short(), when it took one that brought `credit`, or after 16: returns len. And when
 * it did not: enum transport_no, by what ring_look_short() saw. */
int64_t link_taken(struct shm_link *l, uint64_t credit, int64_t len);
int64_t link_not_taken(const struct shm_link *l, int64_t turn);
/* The peer broke the protocol: SINEW_EPROTO. */
int link_break(struct shm_link *l, const char *what);
void shm_allow(struct link *base, uint32_t units);
int shm_send_short(struct link *base, const void *body, size_t blen, uint64_t key);
int64_t shm_take_short(struct link *base, const struct expect *e);
int shm_peek(struct link *base, struct peeked *m);
void shm_drop(struct link *base);
int shm_send(struct link *base, const void *head, size_t hlen, const void *body, size_t blen,
             struct region *region, uint64_t cookie);
void shm_disconnect(struct link *base, enum disconnect_how how);
bool link_has_work(struct shm_link *l);
void link_sleep(struct shm_link *l);
void link_rise(struct shm_link *l);
/* Publish one message of any class: 0, > 0 no room, < 0 the link ends. */
int link_publish(struct shm_link *l, enum ring_class class, enum shm_kind kind, const void *head,
                 size_t hlen, const void *body, size_t blen);

/* A message waits, and may still go. */
static inline bool link_awaits_room(const struct shm_link *l)
{
    return (l->wants & SHM_WANTS_MESSAGE) && l->state == SHM_UP;
}

/* The peer sleeps? Called after a store that it should notice. */
static inline void link_nudge(struct shm_link *l, uint32_t reason)
{
    shared_u32 *flag = l->tx.sleeping;
    uint32_t asleep = l->paired ? shared_load_after_stores_paired32(flag)
                                : shared_load_after_stores32(flag);
    if (__builtin_expect((asleep & reason) != 0, 0)) link_wake_peer(l);
}

/* --- put.c --- */
int shm_rma(struct link *base, struct rma *op);
int shm_flush(struct link *base, uint64_t cookie);
int shm_reg(struct transport *base, struct link *link, struct region *region);
int shm_dereg(struct transport *base, struct region *region);
int put_pump(struct shm_link *l, int *budget);
/* The first put goes on, with no upcall: of its end put_pump() tells. */
void put_move(struct shm_link *l);
/* Whether put_pump() would do something, as far as is known. */
bool put_can_move(struct shm_link *l);
/* Whether a put waits for room that messages have; see "Turns". */
bool put_is_due(struct shm_link *l);
/* A fragment has come: it lands, or goes nowhere. SINEW_EPROTO. */
int put_land(struct shm_link *l, const struct ring_message *m);
/* Every cookie is done with `status`. Returns the upcalls made; *budget as link_poll(). */
int put_cancel(struct shm_link *l, int status, int *budget);
void put_close(struct shm_transport *t);

/* --- read.c --- */
enum { READ_KEY_LEN = 32 };
void read_open(struct shm_transport *t);
/* Whether the peer's memory can be read: `self` is where its epoch should be. */
void read_probe(struct shm_link *l, uint64_t self, uint64_t epoch);
/* Mine, for region->reader to read. SINEW_ENOTSUP, SINEW_ELIMIT: better put. */
int read_offer(struct shm_transport *t, struct region *region);
int read_withdraw(struct region *region);
int read_accept(struct shm_link *l, struct region *region);
/* Some of it: 0 all is here, > 0 not yet, SINEW_EACCESS, or < 0 and the link ends. */
int read_advance(struct shm_link *l, struct rma *op);

/* --- share.c --- */
int share_create(struct shm_transport *t, struct region *region);
int share_destroy(struct shm_transport *t, struct region *region);
void share_close(struct shm_transport *t);
/* The id of my memory that holds these bytes; 0: none. */
uint32_t share_of(const struct shm_transport *t, const void *at, size_t len);
/* The peer's bytes at `address` of its, in memory of that id; NULL: not mapped. */
const void *share_at(struct shm_link *l, uint32_t id, uint64_t address, size_t len);
/* Ask for it, if nobody has. */
void share_want(struct shm_link *l, uint32_t id);
void share_forget(struct shm_link *l);
/* What the ring had no room for, as far as it has some now. */
void share_settle(struct shm_link *l);
/* Whether that would do something, as far as is known. */
bool share_can_settle(struct shm_link *l);
/* What came on the ring: SINEW_EPROTO. On the socket: > 0 nothing, SINEW_EPEER its end. */
int share_deliver(struct shm_link *l, const struct ring_message *m);
int share_heard(struct shm_link *l);

/* --- wireup.c --- */
int shm_connect(struct link *base, const void *bytes, size_t len);
int wireup_open(struct shm_transport *t);
void wireup_close(struct shm_transport *t);
/* Sockets, pidfds and deadlines. Upcalls made. */
int wireup_look(struct shm_transport *t, int *budget);
/* The earliest deadline into the timer. */
void wireup_set_timer(struct shm_transport *t);
void wireup_unwatch(struct shm_transport *t, int fd);
/* Closes *fd, out of the epoll set as well. */
void wireup_drop(struct shm_transport *t, int *fd);

#endif
