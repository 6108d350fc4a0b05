/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_SIM_INTERNAL_H
#define TRANSPORT_SIM_INTERNAL_H
/*
 * internal.h - what the files of the simulated world share
 *
 *   heap.c       what is going to happen, by time
 *   arena.c      the memory of one rank
 *   sim.c        ranks, the baton, virtual time, the report of a failed run
 *   wire.c       channels between two ranks and the parcels on them; cut, heal, crash
 *   put.c        memory regions, and puts as fragments
 *   get.c        reads of memory regions
 *   wired.c      what sim_wired has beyond the rest: tells, confirmations, breaking
 *   transport.c  the operations of transport.h
 *   launch.c     the launch provider
 *
 * Only the thread that holds the baton touches any of this, so nothing here is atomic or locked.
 * What is on the wire belongs to the simulation, never to a rank's arena: it survives its sender.
 *
 * Two clocks. sim->now is the time of the last event taken from the heap; a running rank is at
 * rank->now
 * >= sim->now, ahead by what its sends and receives cost. Before a rank looks at the world it waits
 * until sim->now has caught up, so that it can never miss what others did earlier.
 */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>

#include "base/list.h"
#include "transport/sim/sim.h"

enum {
    SIM_POLL_NS = 100,       /* an empty progress, a yield                                      */
    SIM_QUIET_NS = 100000,   /* of nothing but vain polls, until polls begin to take longer      */
    SIM_FRAGMENT_MAX = 4096, /* bytes of a put that land at once                                */
    SIM_FRAME_BYTES = 32,    /* what a message costs of the window beside its bytes              */
    SIM_AT_ONCE_MAX = 64,    /* a put this short is copied by the call                          */
    SIM_PUTS_MAX = 16,       /* not landed on one link; then AGAIN                              */
};

struct put;
struct sim;

/* heap.c --------------------------------------------------------------------------------------- */

/* Something that will happen. fire NULL: a rank runs again. */
struct event {
    int64_t time;
    uint32_t tie; /* orders events of one time; seeded for ranks, 0 on the wire  */
    uint32_t at;  /* its place in the heap + 1; 0: not in it                     */
    uint64_t sequence;
    void (*fire)(struct sim *s, struct event *e);
    bool wire; /* in flight, as opposed to a rank or a deadline               */
};

struct heap {
    struct event **at;
    size_t count, cap;
};

bool heap_insert(struct heap *h, struct event *e); /* false: no memory */
void heap_remove(struct heap *h, struct event *e); /* allowed when not in it */
static inline struct event *heap_first(const struct heap *h)
{
    return h->count ? h->at[0] : NULL;
}

/* arena.c -------------------------------------------------------------------------------------- */

struct arena {
    struct list blocks;
    size_t live_bytes, peak_bytes;
    uint64_t until_failure; /* 1: the next allocation fails; 0: none does */
};

void arena_init(struct arena *a);
void *arena_allocate(struct arena *a, size_t align, size_t size);
const char *arena_release(struct arena *a, void *memory, size_t size); /* NULL, or what is wrong */
void arena_free(struct arena *a);

/* sim.c ---------------------------------------------------------------------------------------- */

enum activity { STARTING, RUNNING, POLLING, YIELDING, SLEEPING, COMPUTING, FENCING, ENDED };

struct sim_rank {
    struct sim *sim;
    int rank;
    enum activity activity;
    bool doomed;        /* crashed: leaves when it gets the baton              */
    bool vanished;      /* ended without closing what it had open              */
    int64_t now;        /* its own clock                                       */
    int64_t idle_since; /* when something last went right: for the report      */
    struct event wake;
    struct event obituary; /* the others learn of its death */
    pthread_t thread;
    sem_t baton;
    jmp_buf leave; /* out of whatever the rank was doing, to the end of its thread */
    struct world world;
    uint64_t random;
    struct arena arena;
    struct list ports; /* its open transports */
    /* launch.c: */
    bool launched, has_put;
    uint8_t record[LAUNCH_RECORD_MAX];
    size_t record_len;
    uint8_t *death; /* of each rank: 0, 1 known, 2 reported */
    int deaths_known;
};

struct sim {
    struct sim_options opt;
    void (*body)(struct sim_rank *me, void *arg);
    void *arg;
    struct sim_rank *ranks;
    int live;
    int64_t now, quiet_since;
    uint64_t random, sequence, hash;
    struct heap heap;
    size_t in_flight;
    struct list channels, leases;
    uint32_t next_port;
    uint8_t *cut; /* [a * ranks + b] */
    bool over;    /* failed: every rank leaves when it gets the baton */
    int status;
    sem_t done;
    struct sim_result *result;
};

uint64_t sim_draw(uint64_t *state); /* splitmix64 */

void sim_schedule(struct sim *s, struct event *e, int64_t time);
void sim_unschedule(struct sim *s, struct event *e);

/* Memory of the simulation; without it the run fails and the calling rank leaves. */
void *sim_allocate(struct sim *s, size_t size);

/* The run has failed, for a reason in words. The calling rank goes on until it next waits. */
void sim_fail(struct sim *s, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Wait: until the time `until`, or, SLEEPING or FENCING, until rank_rouse(). */
void rank_wait(struct sim_rank *me, enum activity activity, int64_t until);
void rank_poll(struct sim_rank *me, enum activity activity);
void rank_catch_up(struct sim_rank *me);
void rank_rouse(struct sim_rank *r);
struct sim_rank *rank_of_world(const struct world *w); /* NULL: not a simulated world */

/* wire.c --------------------------------------------------------------------------------------- */

enum parcel_kind {
    PARCEL_REQUEST, /* a link is wanted; hlen 0; cookie: the port           */
    PARCEL_ACCEPT,  /* it is there                                          */
    PARCEL_MESSAGE,
    PARCEL_FRAGMENT, /* of a put                                             */
    PARCEL_CREDIT,   /* window given back: cost                              */
    PARCEL_CONFIRM,  /* wired: so many messages have arrived: cookie         */
    PARCEL_READ,     /* send me that                                         */
    PARCEL_DATA,     /* here it is; or status                                */
    PARCEL_FLUSHED,  /* puts have landed: cookie                             */
    PARCEL_GOODBYE,
    PARCEL_GOODBYE_ACK,
    PARCEL_RESET, /* the link is over: status, gone, text                 */
    NOTE_DONE,    /* never on the wire: an upcall to be made              */
    NOTE_DOWN,
    NOTE_TELL,
    NOTE_UNDONE,
};

struct parcel {
    struct event event;
    struct list entry;
    struct lease lease;
    enum parcel_kind kind;
    struct channel *channel;
    int to; /* which end */
    size_t hlen, blen, cost;
    uint64_t cookie;
    const void *lent; /* the body is still the sender's */
    int64_t arrival;  /* of a lent one                  */
    int status;
    enum gone gone;
    struct put *put; /* of a fragment */
    size_t offset;
    uint8_t bytes[]; /* head, body; or text */
};

enum end_state { END_NONE, END_CONNECTING, END_UP, END_DRAINING, END_DYING, END_GONE };

/* One side of a channel. */
struct end {
    struct channel *channel;
    int side, rank;
    enum end_state state;
    struct port *port; /* NULL: no link here (yet, or any more) */
    struct link *link;
    struct list entry, ready;
    struct list inbox; /* parcels and notes, each becomes an upcall            */
    struct list held;  /* parcels to this end that wait for heal               */
    struct list lent;  /* parcels from here whose body is still the sender's   */
    struct list puts;  /* from here, not all landed                            */
    struct list flushes;
    struct list kept;  /* wired: messages from here, not confirmed             */
    struct list gets;  /* reads from here, not answered                        */
    uint64_t sent, arrived; /* wired                                           */
    uint64_t gets_started;
    bool losing;       /* on a broken channel: nothing more arrives here       */
    bool dropped;      /* by its own rank: nothing is handed back              */
    uint32_t peer_port;
    uint64_t puts_started;
    size_t puts_waiting; /* their number */

    size_t in_flight, owed;
    bool refused, room, repairing, said_goodbye;
    int64_t free_at, last_arrival; /* of the way out */
    struct event timer;
    int down_status;
    struct why why;
};

struct channel {
    struct list entry;
    struct sim *sim;
    bool abandoned; /* the losing attempt of two that crossed */
    bool wired, broken;
    struct end end[2];
};

/* A transport opened by a rank. */
struct port {
    struct list entry;
    struct sim_rank *rank;
    struct transport *transport;
    uint32_t id;
    uint64_t epoch;
    bool wired;
    struct list ends, ready, requests;
    struct registration *slots;
    uint32_t slot_count;
    bool in_upcall;
};

struct channel *channel_new(struct sim *s, int from, int to);
struct end *end_peer(struct end *e);
bool end_is_cut(const struct end *e);
bool end_is_open(const struct end *e); /* up or draining */
void end_attach(struct end *e, struct port *port, struct link *l, enum end_state state);
void end_detach(struct end *e);
void end_ready(struct end *e);
void end_give_room(struct end *e); /* if it had refused something */
void end_watch(struct end *e);     /* start the repair deadline when cut */
void end_note(struct end *e, enum parcel_kind kind, uint64_t cookie, int status, enum gone gone);
void end_down(struct end *e, int status, enum gone gone, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void end_reset_peer(struct end *e, int64_t time, int status, enum gone gone, const char *text);
void end_goodbye_when_empty(struct end *e);
void end_drop_inbox(struct end *e);

struct parcel *parcel_new(struct channel *c, int to, enum parcel_kind kind, size_t len);
void parcel_free(struct parcel *p);
/* Occupies the way out of e from `now` for `bytes`; when the last has left. */
int64_t wire_depart(struct end *e, int64_t now, size_t bytes);
int64_t wire_arrival(struct end *e, int64_t departure, bool ordered);
void wire_send(struct end *from, struct parcel *p, int64_t now);
void wire_send_lent(struct end *from, struct parcel *p, const void *body, int64_t now);
struct end *port_end_to(struct port *port, int rank);
void port_close(struct port *port, enum gone gone, int64_t detected, const char *text);
void rank_vanish(struct sim_rank *r, int64_t now, bool launcher_knows);
void wire_free(struct sim *s);

/* put.c ---------------------------------------------------------------------------------------- */

struct registration {
    uint8_t *base;
    size_t len;
    uint32_t generation;
    uint32_t users; /* puts under way to it                     */
    bool live, revoked;
};

int put_start(struct end *e, struct rma *op, int64_t now);
int put_flush(struct end *e, uint64_t cookie);
void put_flushed(struct end *e, uint64_t upto);
void sim_put_land(struct parcel *fragment);     /* arrived, at an open end */
void put_lose(struct parcel *fragment);         /* will never land          */
void put_cancel_all(struct end *e, int status); /* what has not left e will not */
void put_free(struct end *e);
int region_register(struct port *port, struct region *r);
int region_check(struct end *e, struct region *r);
bool region_allows(const struct region *peers, enum region_rights right);
int port_region_remove(struct port *port, struct region *r);
struct registration *registration_find(struct port *port, uint32_t slot, uint32_t generation);

/* get.c ---------------------------------------------------------------------------------------- */

int get_start(struct end *e, struct rma *op, int64_t now);
void get_serve(struct end *e, const struct parcel *read);
void get_arrive(struct end *e, const struct parcel *data);
void get_cancel_all(struct end *e, int status);
void get_free(struct end *e);

/* wired.c -------------------------------------------------------------------------------------- */

int wired_connect(struct port *port, struct link *l, struct end *e, const void *bytes, size_t len);
/* until confirmed; false: no memory */
bool wired_keep(struct end *e, const struct parcel *message);
void wired_arrived(struct end *e);
void wired_confirmed(struct end *e, uint64_t upto);
void wired_hand_back(struct end *e); /* what is kept, as notes */
void wired_break(struct channel *c);
void wired_notice(struct end *e); /* soon, if its channel is broken */
bool wired_loses(struct parcel *p); /* on a broken channel */
void wired_free(struct end *e);

/* launch.c ------------------------------------------------------------------------------------- */
void launch_tell_death(struct sim *s, int rank, int64_t time);

#endif
