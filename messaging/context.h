/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MESSAGING_CONTEXT_H
#define MESSAGING_CONTEXT_H
/*
 * context.h - the objects of messaging and what holds them together
 *
 *   struct sinew ── peer[world rank] ── link per transport          (peer.c, wireup.c)
 *        │               └─ queues of what waits to be sent         (outgoing.c)
 *        ├── match: posted receives and unexpected messages         (match.c, unexpected.c)
 *        ├── requests: a pool with checked numbers                  (request.c)
 *        └── teams and their views                                  (team.c)
 */
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "base/list.h"
#include "base/log.h"
#include "base/text.h"
#include "base/world.h"
#include "launch/launch.h"
#include "messaging/envelope.h"
#include "messaging/operation.h"
#include "sinew/sinew.h"
#include "transport/transport.h"

struct wire_reader;
struct wired;

enum { TRANSPORTS_MAX = 8 };

/* Messages of users and of collectives never meet: each space has its own credit and its own
 * queue. */
enum space { SPACE_USER, SPACE_COLLECTIVE, SPACES };

/* What CTS answers, if no announcement with its space. */
enum { AFTER_JUMP = SPACES, AFTER_AGAIN };

/* ---- matching -------------------------------------------------------------------------------- */

struct match_key {
    int32_t source; /* world rank; SINEW_ANY_RANK in a receive       */
    uint32_t team, tag;
    uint32_t step, tile; /* collectives; else 0                      */
    uint8_t space;
    bool any_tag; /* in a receive                                    */
};

enum { MATCH_BUCKETS = 1024 };

struct match {
    struct list posted[MATCH_BUCKETS];     /* receives from one rank with one tag, by post order  */
    struct list wild;                      /* receives with a wildcard, by post order             */
    struct list unexpected[MATCH_BUCKETS]; /* by arrival                                          */
    struct list arrivals;                  /* every unexpected user message, by arrival           */
    uint64_t posts;                        /* orders the posted lists against each other          */
    uint32_t posted_count, kept_count;     /* in all of the above, collectives' too; no windows   */
    uint32_t *open;                        /* their sum, where quick.c looks                      */
};

/* ---- control messages ------------------------------------------------------------------------ */

/* Whose request a NACK ends. Only an announcement had cost a request's credit. */
enum nack_whose { NACK_RECEIVER, NACK_SYNC, NACK_ANNOUNCEMENT, NACK_JUMP };

/* A message of messaging's own that waits for its turn; lives in the object it speaks of. */
struct control {
    struct list entry; /* peer->controls                               */
    uint8_t kind;      /* 0: none                                      */
    uint64_t theirs;   /* the request it is about, as numbered there   */
    int32_t status;    /* NACK                                         */
    uint8_t space;
    uint8_t whose;     /* NACK: enum nack_whose                        */
    bool orphan;       /* allocated by itself: released when sent      */
};

/* ---- unexpected messages --------------------------------------------------------------------- */

/*
 * Kept in blocks of 256 bytes out of a pool reserved with the peer; the sender counts the same
 * blocks as credit, so a message that was sent always finds room.
 *
 *   first block: struct unexpected (128 bytes) | 128 bytes of body
 *   each more:   u32 next | 4 unused | 248 bytes of body
 */
enum { BLOCK_BYTES = 256, BLOCK_FIRST = 128, BLOCK_MORE = 248, BLOCK_NONE = -1 };

struct unexpected {
    struct list bucket;   /* match->unexpected[]             */
    struct list arrival;  /* match->arrivals                 */
    struct peer *peer;
    uint64_t length;      /* of the whole message            */
    uint64_t theirs;      /* SYNC, RTS: the sender's request */
    uint32_t begun;       /* RTS: bytes of the message kept  */
    uint32_t team, tag, step, tile;
    uint32_t digest;
    int32_t next;         /* block                           */
    uint8_t kind;
    uint8_t offered;      /* RTS: bytes kept that say where it may be read */
    uint8_t credit;       /* enum space: whose blocks it has */
};

static inline uint32_t blocks_of(size_t len)
{
    return len <= BLOCK_FIRST ? 1
                              : (uint32_t)(1 + (len - BLOCK_FIRST + BLOCK_MORE - 1) / BLOCK_MORE);
}

/* ---- requests -------------------------------------------------------------------------------- */

enum request_kind { REQUEST_SEND = 1, REQUEST_RECV, REQUEST_OPERATION };

/* Requests of the short ways, which keep what is the same each time: window.c, held.c. They are
 * not counted as they come and go, see request_live(). */
enum request_plain { PLAIN_NOT, PLAIN_RECEIVE, PLAIN_SEND };

enum request_state {
    STATE_FREE,
    STATE_IDLE,    /* persistent, not started                                   */
    STATE_QUEUED,  /* a send that its peer cannot take yet                      */
    STATE_HELD,    /* a send that its transport has, and will push; see held.c  */
    STATE_ASKING,  /* a send that waits for ACK or CTS                          */
    STATE_MOVING,  /* a body is on its way out                                  */
    STATE_ENDING,  /* FIN waits to be sent                                      */
    STATE_POSTED,  /* a receive that has not matched                            */
    STATE_READING, /* a long body is read out of the sender's memory            */
    STATE_FILLING, /* a long body is on its way in                              */
    STATE_REVOKING, /* over, but the transport still holds the region           */
    STATE_RUNNING, /* an operation                                              */
    STATE_DONE,    /* final; the user has not looked yet                        */
};

struct sinew_request {
    /* Two lines, all that a plain one uses: */
    alignas(64) struct list entry; /* free list, a peer's queue, or match->posted / wild   */
    struct sinew *context;
    struct sinew_team *team;
    struct peer *peer; /* NULL: any                                              */
    struct sinew_status *status_out;
    uint64_t order; /* among posted receives, or the sends to a peer */
    uint8_t kind, state, space;
    uint8_t plain; /* enum request_plain: what stands below `expect` was never used */
    bool sync, jumped, persistent, wild;
    struct expect expect;

    uint32_t index, generation;
    int status;
    uint32_t asked; /* a posted receive: the stuck_round in which others were asked */
    void *buf; /* this and len of a plain receive stand in `expect` */
    size_t len; /* to send; or the room for receiving */
    uint64_t sent; /* how long the sender made it      */
    struct match_key key; /* in a window it stands in `expect` */
    struct list attached; /* peer->attached: in flight with it; operations under way: see context */
    struct list timed;   /* context->timed                                       */
    struct completion *completion; /* a collective's message: nobody waits for it */
    struct landing *landing;       /* a receive: gets the body in place of buf; or NULL */
    int64_t deadline;
    int64_t asks; /* an operation under way: when it asks next; 0: not known yet */
    uint32_t digest;
    const struct operation_ops *ops;
    void *state_of;
    bool mine_registered, peers_registered, flushing;
    bool ahead;                /* a send: FIN follows its put before that is done     */
    bool offered;              /* a send: the receiver may have read it               */
    size_t begun;              /* a send: bytes that went with the announcement       */
    bool cleared_again, again; /* see rendezvous.c, "once more"                        */
    bool concluding;           /* an operation: see operation_conclude()               */
    uint8_t asked_again;
    struct unexpected *parked; /* a send to oneself: where it waits                      */
    struct control control;

    /* Only of a rendezvous, and not cleared with the rest: */
    uint64_t theirs; /* their request's number                                   */
    struct region mine, peers;
    struct transport *transport; /* where peers is registered, and moves          */
    struct transport *mine_at;   /* where mine is registered; its link may be gone */
    struct rma rma;
};

enum { REQUEST_CHUNK = 64, REQUEST_CHUNKS_MAX = 1 << 16 };

struct request_pool {
    /* chained by entry.next; the most recently used first: it is warm */
    struct sinew_request *free;
    struct sinew_request **chunk;
    uint32_t chunks, chunks_cap;
    uint32_t live; /* but for plain ones: see request_live() */
};

/* ---- peers ----------------------------------------------------------------------------------- */

enum peer_state { PEER_NEW, PEER_CONNECTING, PEER_UP, PEER_GONE };

/* What one side may still send to the other without being asked. */
struct credit {
    uint32_t blocks[SPACES];
    uint32_t requests[SPACES];
};

struct flow {
    uint64_t messages, bytes;
};

struct peer {
    struct sinew *context;
    int rank; /* in the world */
    enum peer_state state;
    enum gone gone; /* when PEER_GONE, or going */
    bool going;     /* one link said how it went; the others are still being emptied */
    uint64_t epoch;
    struct link *out;                  /* sends go here; NULL until up               */
    struct transport *in;              /* what it announced last came by this one    */
    const int32_t *shorts;             /* how many short sends may go at once; see quick.c */
    size_t quick_below;                /* others that are shorter may too                */
    struct link *quick_in;             /* = out, if it looks for what one expects    */
    struct sinew_request *window;      /* the oldest in it; NULL: none                */
    struct sinew_request *window_last; /* the newest, if any                          */
    struct sinew_request *held;        /* the oldest send that is held; NULL: none   */
    struct sinew_request *held_last;   /* the newest, if any                         */
    uint32_t filed;                    /* receives of users from it alone, in match   */
    struct link *link[TRANSPORTS_MAX]; /* by transport                               */
    uint32_t refused;                  /* bits: transports that failed at set-up     */
    bool nobody;                       /* one of these was told that nobody is there */
    bool stuck;                        /* out said AGAIN                             */
    bool lost;                         /* the launcher says it is dead               */
    bool want_connect, want_disconnect; /* at the end of progress                    */
    bool ending;                       /* its links were told to go: none is replaced */
    bool switching;                    /* SWITCH is to be sent; see shift.c          */
    bool ahead;                        /* it was sent, and its receipt is not known  */
    struct wired *wired;               /* a better path; NULL: none is thought of    */
    enum disconnect_how disconnect_how;
    bool told_stuck, jumping;          /* see jump.c                               */
    bool they_are_stuck;               /* likewise, as the receiver                  */
    uint64_t queued;                   /* sends queued so far                        */
    int gone_status;                   /* what operations with it end with           */
    struct credit mine;                /* what I may send                            */
    uint32_t window_blocks[SPACES];    /* blocks I may have outstanding in all       */
    uint32_t kept_blocks;              /* … in the users' space, not by short sends  */
    bool granted, grant_sent;          /* the first CREDIT has come, has gone        */
    bool has_grown;                    /* my window at the peer has                  */
    uint32_t told_waits;               /* STUCK of collectives, see jump.c           */
    uint32_t growth;                   /* blocks by which its window here has, not told yet */
    struct credit owed;                /* what I have consumed and not yet told      */
    struct list owing;                 /* context->owing                             */
    uint32_t owed_below;               /* less may be owed without looking; see outgoing_owe() */
    uint32_t worth_telling;            /* blocks, of a space: half of collectives'   */
    uint32_t longest;                  /* a user's message, in blocks: half of users' */
    struct list deferral;              /* context->deferrals                         */
    struct list queue[SPACES];         /* sends that wait, in order                  */
    struct list controls;              /* control messages that wait                 */
    uint32_t words;                    /* of them about collectives; see word.c      */
    struct list puts;                  /* requests whose rma was told AGAIN          */
    struct list attached;              /* requests in flight with this peer          */
    uint8_t *blocks, *more_blocks;     /* the pool of unexpected blocks; see peer_grow() */
    uint32_t blocks_first;             /* of them, in `blocks`                       */
    uint32_t blocks_total, blocks_free;
    uint32_t announcements;            /* of users' messages, that lie there         */
    int32_t block_free;                /* first of the free chain                    */
    int64_t connecting_since;
    uint64_t messages_out, messages_in; /* modulo 2^16 the sequence of each  */
    uint64_t bytes_out, bytes_in;
    uint64_t out_when_taken;           /* bytes_out, at the last straight one taken   */
    struct flow general_out, general_in; /* of these, what did not go the short way     */
    struct flow whole_out, whole_in;   /* messages that went so, of collectives too: no control
                                          messages, but all bytes, however they went  */
    struct why why;                    /* why it is gone                             */
};

/* ---- teams ----------------------------------------------------------------------------------- */

enum crowd { CROWD_UNKNOWN, CROWD_NO, CROWD_YES };

/* What members share; views point to the same one. */
struct team_core {
    struct peer **peer; /* by team rank; NULL: not met. Of the world: the context's */
    struct context_state *state; /* the context's */
    uint32_t id;
    int rank, size;
    struct list entry; /* context->teams */
    struct sinew *context;
    int *world;   /* team rank -> world rank; NULL: the same                        */
    int *reverse; /* world rank -> team rank or -1; NULL: the same                  */
    uint32_t collectives; /* started so far                                         */
    struct team_cache *cache;
    int views;
    uint8_t crowd; /* enum crowd: whether all members take turns on the same cores      */
    const char *link; /* what lies between all members; NULL: not known yet                */
    uint32_t node;    /* 1 + ranks on each node; 0: not known yet                           */
    uint8_t *told; /* per member: 1 its death was reported to a wildcard receive or acknowledged */
    int gone;      /* members known to be gone                                      */
};

struct sinew_team {
    struct team_core *core;
    bool is_view, persistent;
    bool is_timed; /* its operations have a deadline, the team's or everybody's */
    int level;
    int64_t deadline;
    char algorithm[32];
    uint32_t live; /* requests, but for plain ones: see request_live() */
    struct list entry; /* context->handles */
    struct team_cache *cache;
};

/* ---- the context ----------------------------------------------------------------------------- */

#define COUNTER_LIST(X)                                                                            \
    X(messages_sent)                                                                               \
    X(bytes_sent)                                                                                  \
    X(messages_received)                                                                           \
    X(bytes_received)                                                                              \
    X(rendezvous_sent)                                                                             \
    X(rendezvous_read)                                                                             \
    X(unexpected_messages)                                                                         \
    X(messages_jumped)                                                                             \
    X(unexpected_full)                                                                             \
    X(messages_dropped)                                                                            \
    X(controls_sent)                                                                               \
    X(peers_met)                                                                                   \
    X(peers_left)                                                                                  \
    X(peers_died)                                                                                  \
    X(links_failed)                                                                                \
    X(links_switched)                                                                              \
    X(links_broken)                                                                                \
    X(messages_resent)                                                                             \
    X(collectives)                                                                                 \
    X(yields)                                                                                      \
    X(sleeps)                                                                                      \
    X(stall_reports)                                                                               \
    X(memory_bytes)

struct counters {
#define COUNTER_FIELD(name) uint64_t name;
    COUNTER_LIST(COUNTER_FIELD)
#undef COUNTER_FIELD
};

/* What calls are allowed now. In a page of its own that a forked child finds wiped. */
struct context_state {
    uint8_t is_owned, in_progress, in_callback, unused;
    uint32_t open;     /* receives filed and messages kept: then none is received the short way */
    /* Receives of the short way, before what they pass by is seen to: on their link's transport, and
     * everywhere. */
    int until_look, until_general;
};

struct sinew {
    const struct world *world;
    struct config config;
    struct config_sources sources;
    struct log log;
    struct launch *launch;
    int rank, size;
    uint64_t epoch;
    bool closing;
    struct context_state *state;

    struct transport *transport[TRANSPORTS_MAX]; /* in the order of choice                 */
    void *module[TRANSPORTS_MAX];                /* of which it is part; NULL: of this library */
    int transports;
    int control;       /* the one whose links carry the tells of wired ones; -1: none */
    bool control_only; /* it is not among the transports that data may take           */
    int links[TRANSPORTS_MAX];          /* by transport: links that are not down  */
    struct why refused[TRANSPORTS_MAX]; /* transports that would not open, and why */
    const char *refused_name[TRANSPORTS_MAX];
    bool unnamed[TRANSPORTS_MAX]; /* … because no setting names it */
    int refusals;

    struct peer **peer;
    struct request_pool requests;
    struct match match;
    struct list teams, handles;
    struct sinew_team *world_team;
    uint32_t next_team;

    struct list deferrals; /* peers with something to connect or disconnect */
    struct list owing;     /* peers owed credit                             */
    bool credit_due;       /* one of them is owed much: told with the next look for messages */
    struct list timed;     /* requests with a deadline                      */
    struct list operations; /* under way, that have somebody to ask         */
    struct list dead_links; /* link memory to release after progress        */
    struct list revoking;  /* receives whose region a transport still holds  */
    struct list messages;  /* taken by matched probes                       */
    struct list memories;

    int epoll_fd;
    uint32_t cores_name; /* see crowd.c                              */
    int cores, ranks_here;
    bool takes_turns; /* spins changes with who else wants the core … */
    uint32_t turns_alone, turns_shared; /* … so many times in a row: nobody, somebody */
    int64_t spins, yields;
    int quick_polls; /* of the short way before the general one */
    uint32_t polls;
    uint32_t idle_steps; /* since the last sleep */
    uint32_t stuck_round; /* of STUCK messages that came */
    int stuck_peers, unasked;
    int grown; /* peers that have more room here than others, see peer_grow() */
    uint32_t asked_round; /* every receive posted so far was asked for in this round … */
    uint64_t asked_posts; /* … when there had been so many                             */
    bool launch_gone;
    int exchange_polls;

    struct counters counters;
    struct why why;
    struct why cause;  /* why the operation `cause_of` failed, until it is consumed */
    uint64_t cause_of;
};

/* context.c */
int context_check(struct sinew *s, bool blocking); /* 0, or ESTATE: in a callback, forked */
int context_fail(struct sinew *s, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void *context_allocate(struct sinew *s, size_t size);
void context_release(struct sinew *s, void *memory, size_t size);

/* progress.c: data moves; returns the events handled. hint may be NULL. */
int context_progress(struct sinew *s, struct link *hint);
/* The next link of each transport that has some. */
int context_look_again(struct sinew *s);
/* Sees to all that is its transport's, but takes no message of l. */
void context_pass_over(struct sinew *s, struct link *l);
void context_tell_credit(struct sinew *s);
/* Rare matters: deadlines, the launcher's word, credit owed. Returns the events handled. */
int context_idle_step(struct sinew *s);
/* Operations that are under way for long ask those they wait for; see operation_ops.stalled. */
void operations_ask(struct sinew *s);
int context_ask_launcher(struct sinew *s); /* who died, and in passing who left */
/* Of a caller that polls: data, and the rare matters when there is none, or now and then. */
int context_look(struct sinew *s);

/* request.c */
struct sinew_request *request_new(struct sinew_team *team, enum request_kind kind);
void request_clear(struct sinew_request *r); /* as new */
void request_free(struct sinew_request *r);

static inline struct sinew_request *request_take(struct request_pool *pool)
{
    struct sinew_request *r = pool->free;
    if (r)
        pool->free = r->entry.next ? LIST_OWNER(r->entry.next, struct sinew_request, entry) : NULL;
    return r;
}

static inline void request_give(struct request_pool *pool, struct sinew_request *r)
{
    r->state = STATE_FREE;
    r->entry.next = pool->free ? &pool->free->entry : NULL;
    pool->free = r;
}

/* As request_consume(), of a plain one that is done. */
static inline void request_free_plain(struct sinew_request *r)
{
    request_give(&r->context->requests, r);
}

/* A plain one becomes a request like others; source: as in its key. */
void request_make_whole(struct sinew_request *r, int source);
/* 0, or SINEW_EINVAL with the text that `call` was given a handle of a request that is over. */
int request_refuse_ended(const struct sinew_request *r, const char *call);
/* Requests, messages and memories that live: of this team, or, NULL, all. */
uint32_t request_live(const struct sinew *s, const struct sinew_team *team);
struct sinew_request *request_find(struct sinew *s, uint64_t number);
uint64_t request_number(const struct sinew_request *r);
void request_end(struct sinew_request *r, int status); /* exactly once */
/* The outcome in words, for sinew_why(). */
void request_explain(struct sinew_request *r);
void request_status(struct sinew_request *r, int source_world, uint32_t tag, uint64_t bytes);
int request_consume(struct sinew_request **req); /* a final one: its outcome */
void request_describe(const struct sinew_request *r, struct text *text);
void request_set_deadline(struct sinew_request *r);
bool request_may_expire(const struct sinew_request *r);
void request_expire(struct sinew_request *r);
void request_pool_destroy(struct sinew *s);

/* match.c */
void match_init(struct match *m);
/* The unexpected message that a receive with this key matches first, or NULL. */
struct unexpected *match_unexpected(struct match *m, const struct match_key *key);
/* The posted receive that a message with this (exact) key matches first, or NULL. */
struct sinew_request *match_posted(struct match *m, const struct match_key *key);
void match_post(struct match *m, struct sinew_request *r);
void match_file(struct match *m, struct sinew_request *r); /* one counted and ordered already */
void match_unpost(struct match *m, struct sinew_request *r);
void match_keep(struct match *m, struct unexpected *u); /* becomes findable */
void match_forget_offers(struct match *m, const struct peer *p); /* what it offered to be read */
void match_drop(struct match *m, struct unexpected *u); /* is findable no more; twice is once */
bool match_accepts(const struct match_key *receive, const struct match_key *message);

static inline uint32_t match_bucket(const struct match_key *k)
{
    uint32_t h = (uint32_t)k->source * 0x9e3779b1u + k->team * 0x85ebca6bu + k->tag * 0xc2b2ae35u +
                 k->step * 0x27d4eb2fu + (k->tile ^ (uint32_t)k->space << 7) * 0x165667b1u;
    return (h ^ h >> 15) * 0x2c1b3c6du >> 22;
}
_Static_assert(MATCH_BUCKETS == 1 << (32 - 22), "ten bits choose the bucket");

/* unexpected.c */
int unexpected_open(struct peer *p);
bool unexpected_grow(struct peer *p, uint32_t blocks); /* once; false: no memory */
/* Of one that is gone: what it has grown by, once nothing of it lies there. */
void unexpected_shrink(struct peer *p);
struct unexpected *unexpected_new(struct peer *p, const void *body, size_t len); /* NULL: no room */
void unexpected_copy(struct peer *p, const struct unexpected *u, void *buf, size_t len);
uint32_t unexpected_free(struct peer *p, struct unexpected *u); /* blocks freed */
struct match_key unexpected_key(const struct unexpected *u);

/* outgoing.c */
struct outgoing {
    uint8_t kind;
    uint32_t team, tag, step, tile, digest;
    const void *more; /* what the kind needs after the envelope */
    size_t more_len;
    const void *body;
    size_t body_len;
    struct region *region; /* what an announcement takes along; NULL: nothing */
};
int outgoing_send(struct peer *p, const struct outgoing *o); /* as transport send */
void outgoing_control(struct peer *p, struct control *c, uint8_t kind, uint64_t theirs);
/* An answer that belongs to no request of ours. < 0: no memory for it, and the peer's links go. */
int outgoing_answer(struct peer *p, uint8_t kind, uint64_t theirs, enum nack_whose whose,
                    int status, enum space space);
bool outgoing_waits(const struct peer *p); /* whether room would be of use */
void outgoing_room(struct peer *p); /* send what waits, as far as it goes */
/* A queued send is given up; what stood behind it may have the room to go. */
void outgoing_withdraw(struct sinew_request *r, int status);
void outgoing_owe(struct peer *p, enum space space, uint32_t blocks, uint32_t requests);
void outgoing_grant(struct peer *p); /* tell what is owed, now */
void outgoing_tell_due(struct sinew *s); /* whoever is owed much, when credit_due */

/* The same as outgoing_owe(), which is only called when there is more to do than to count. */
static inline void outgoing_owe_quick(struct peer *p, enum space space, uint32_t blocks)
{
    p->owed.blocks[space] += blocks;
    if (p->owed.blocks[space] >= p->owed_below) outgoing_owe(p, space, 0, 0);
}

/* send.c */
size_t send_eager_limit(const struct peer *p, enum space space);
int send_start(struct sinew_team *team, const void *buf, size_t len, int to_world,
               const struct match_key *key, uint32_t digest, bool sync, bool blocking,
               struct completion *c, struct sinew_request **out);
int send_generally(struct sinew_team *team, const char *call, const void *buf, size_t len, int to,
                   int64_t tag, bool sync, struct sinew_request **req);
int send_try(struct sinew_request *r); /* a queued send: 0 done or asking, AGAIN, < 0 */

/* receive.c */
int receive_start(struct sinew_team *team, void *buf, size_t cap, const struct match_key *key,
                  uint32_t digest, struct sinew_status *status, struct completion *c,
                  struct sinew_request **out);
/* The same for what is to land (base/landing.h): its body never comes to room as a whole. */
int receive_start_landing(struct sinew_team *team, struct landing *landing, void *room, size_t len,
                          const struct match_key *key, uint32_t digest, struct completion *c,
                          struct sinew_request **out);
int receive_from(struct peer *p, struct transport *by, const void *head, size_t hlen,
                 const void *body, size_t blen);
/* A CREDIT that gives room back, and nothing waits for that here: true, it was one. Whatever else,
 * and a wrong one, is for receive_from(). */
bool receive_mere_credit(struct peer *p, const void *head, size_t hlen, size_t blen);
int receive_upcall(struct link *l, const void *head, size_t hlen, const void *body, size_t blen,
                   struct lease *lease);
int receive_message(struct sinew_team *team, void *buf, size_t cap, const struct match_key *key,
                    struct unexpected *u, struct sinew_status *status, struct sinew_request **out);
int receive_post(struct sinew_request *r);
/* Nobody is left who could send what such a receive would match; and its failure. */
bool receive_hopeless(struct sinew_team *team, const struct match_key *key);
int receive_despair(struct sinew_team *team, const struct match_key *key,
                    struct sinew_status *status);
int receive_generally(struct sinew_team *team, void *buf, size_t cap, int from, int64_t tag,
                      struct sinew_status *status, struct sinew_request **req);
/* Give an unexpected message to a receive, which ends or is on its way. */
void receive_take(struct sinew_request *r, struct unexpected *u);
/* Nobody will ever ask for it: give its room back and tell a sender that waits. */
void receive_discard(struct unexpected *u, int status);
/* p is gone: fail the receives that wait for it, alone or among others. */
void receive_peer_gone(struct peer *p);

/* rendezvous.c */
enum { OFFER_MAX = 2 + TRANSPORT_KEY_MAX };
/* What an announcement of r says of where to read it: its length, 0 for nothing. */
size_t rendezvous_offer(struct sinew_request *r, uint8_t offer[OFFER_MAX]);
/* What came with the announcement: read once, by whoever keeps it. */
struct offer {
    size_t len;
    uint8_t bytes[OFFER_MAX];
};
void rendezvous_accept(struct sinew_request *r, struct peer *p, uint64_t theirs, uint64_t length,
                       const struct offer *offer);
void rendezvous_read_done(struct sinew_request *r, int status);
int rendezvous_got(struct peer *p, const struct envelope *e, struct wire_reader *more);
int rendezvous_cts(struct peer *p, const struct envelope *e, const void *body, size_t len);
void rendezvous_put(struct sinew_request *r);
void rendezvous_put_done(struct sinew_request *r, int status);
void rendezvous_fin_sent(struct sinew_request *r);
int rendezvous_fin(struct peer *p, struct wire_reader *more);
int rendezvous_again(struct peer *p, struct wire_reader *more);
void rendezvous_unoffer(struct peer *p, struct link *l); /* nobody reads over l any more */
int rendezvous_nack(struct peer *p, const struct envelope *e, struct wire_reader *more);
bool rendezvous_cleanup(struct sinew_request *r); /* false: its memory is still lent */
/* A receive under way ends with `status` as soon as nothing can land in its buffer any more. */
void rendezvous_abandon(struct sinew_request *r, int status, bool tell);
bool rendezvous_revoked(struct sinew_request *r); /* try again; true: it has ended */

/* window.c */
/* sinew_recv() with a request. */
int window_receive(struct sinew_team *team, void *buf, size_t cap, int from, int64_t tag,
                   struct sinew_status *status, struct sinew_request **req);
/* All of them are filed under their keys; before anybody looks there for a receive. */
void window_file(struct peer *p);
void window_file_all(struct sinew *s);
/* A message for the oldest is taken: true, or false and nothing happened. */
bool window_arrive(struct peer *p, const uint8_t *head, const void *body, size_t blen);
bool window_arrive_short(struct peer *p, uint64_t key, const void *body, size_t blen);
/* Around one progress() of l: it may take what the window of p (not empty) waits for. */
void window_expect(struct peer *p, struct link *l);
void window_collect(struct peer *p);

/* held.c */
struct sinew_request *held_request(struct sinew_team *team, struct peer *p, size_t len,
                                   uint32_t tag);
void held_join(struct peer *p, struct sinew_request *r); /* it was HELD */
/* All up to this one: with the kernel, or with status < 0 dropped. */
void held_done(struct peer *p, const struct sinew_request *last, int status);

/* quick.c */
/* Sends to p must not overtake: the short way is closed until the general one finds it clear. */
extern const int32_t quick_none;
static inline void quick_close(struct peer *p)
{
    p->shorts = &quick_none;
    p->quick_below = 0;
}
static inline bool quick_has_shorts(const struct link *l) { return l->shorts != &quick_none; }
/* What came back beyond kept_blocks is for short sends, where the link has such. */
void quick_lend(struct peer *p);
void quick_open(struct peer *p);
int quick_refuse(struct peer *p);
/* Adds what went the short way, which counts by peer alone. */
void quick_count(const struct sinew *s, struct counters *c);
/* Messages and bytes with one peer, those of collectives too. */
struct flow peer_sent(const struct peer *p);
struct flow peer_received(const struct peer *p);

/* jump.c */
void jump_tell_stuck(struct peer *p);
void jump_tell_waits(struct peer *p);
int jump_take_want(struct peer *p, const struct envelope *e, struct wire_reader *more);
void jump_refused(struct sinew_request *r);
void jump_take_stuck(struct peer *p, const struct envelope *e);
void jump_forget(struct peer *p); /* it is gone: nobody there is stuck */
int jump_take(struct peer *p, const struct envelope *e, struct wire_reader *more);
int jump_ask(struct sinew *s); /* the number asked now */

/* word.c */
struct word; /* one that waits for room: its control is first */
int word_send(struct peer *p, const struct control *c);
void word_sent(struct peer *p, struct control *c);
int word_arrive(struct peer *p, const struct envelope *e, const void *body, size_t len);
/* For a collective that was begun here and is over, or not: then 0. Else it was told. */
int word_stray(struct peer *p, struct team_core *core, uint32_t sequence);

/* self.c */
int self_send(struct sinew_request *r, bool blocking); /* 0 done, > 0 waits, < 0 */
void self_take(struct sinew_request *r, struct unexpected *u);
void self_withdraw(struct sinew_request *r);
void self_release(struct unexpected *u);

/* transports.c */
/* NULL: the built-in */
int transports_open(struct sinew *s, const struct transport_ops *const *all);
void transports_close(struct sinew *s);

/* peer.c, wireup.c */
extern const struct transport_up wireup_upcalls;
struct peer *peer_get(struct sinew *s, int world_rank); /* NULL: ENOMEM, sinew_why set */
int peer_meet(struct peer *p);                          /* start connecting, if nobody has */
void peer_gone(struct peer *p, int status, enum gone gone, const char *why);
/* It did what is said, as "sent a clearance that makes no sense": its link goes. SINEW_EPROTO. */
int peer_breaks(struct peer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void peer_destroy(struct peer *p);
/* Its sends wait for room here: more of it, where that is what keeps them. */
void peer_grow(struct peer *p, enum space space);
void peer_lost(struct sinew *s, int world_rank, const char *why); /* the launcher's word */
void wireup_deferred(struct sinew *s);
void wireup_defer(struct peer *p); /* something is to be done at the end of progress */
/* A link's memory, in p->link; < 0: ENOMEM, or one is there. And back, at the end of progress. */
struct link *wireup_link_new(struct peer *p, int transport);
void wireup_link_bury(struct link *l);
void wireup_going(struct peer *p, int status, enum gone gone, const char *text);
void wireup_next(struct peer *p); /* connect by what has not failed; or the peer is gone */
void wireup_disconnect(struct peer *p, enum disconnect_how how);
struct link *wireup_link_by(const struct peer *p, const struct transport *t); /* NULL: none */
static inline bool link_lands(const struct link *l)
{
    return l->transport->caps.lands && !l->lands_not;
}
bool wireup_links_left(const struct sinew *s);
const char *peer_gone_text(const struct peer *p);

/* wired.c: wired.h says what it is about */
void wired_control_up(struct peer *p, struct link *l);
void wired_up(struct link *l);
void wired_down(struct link *l, int status, enum gone gone, const char *text);
bool wired_control_down(struct link *l); /* whether it was that of a pair */
const char *wired_control_name(const struct peer *p); /* NULL: it has none */
bool wired_unreachable(const struct peer *p); /* data had no way from the start */
void wired_told(struct link *l, const void *bytes, size_t len); /* by a transport */
void wired_deferred(struct peer *p);
bool wired_drain(struct peer *p); /* true: the control link is seen to when the data link is down */
bool wired_goes_on(const struct peer *p, const struct link *l); /* when l breaks */
bool wired_settled(const struct peer *p);
void wired_room(struct peer *p, struct link *l);
void wired_drain_on(struct peer *p, struct link *l);
void wired_release(struct peer *p);
/* Why this one is not in use for the pair; NULL: nothing speaks against it. */
const char *wired_objection(const struct peer *p, int transport, struct why *why);

/* shift.c */
int shift_arrive(struct link *l, const void *head, size_t hlen, const void *body, size_t blen);
int shift_take(struct peer *p, struct transport *by, const struct envelope *e);
void shift_out(struct peer *p);    /* SWITCH, as soon as it may go */
void shift_resend(struct peer *p); /* what a broken link has left  */
bool shift_may_send(const struct peer *p);
void shift_went_ahead(struct peer *p, size_t len);
void shift_undone(struct peer *p, const void *head, size_t hlen, const void *body, size_t blen);

/* tell.c */
int tell_arrive(struct link *l, const void *head, size_t hlen, const void *body, size_t blen);

/* choose.c */
enum { RECORD_MAX = LAUNCH_RECORD_MAX, RECORD_VERSION = 3 };
int choose_record(struct sinew *s, uint8_t record[RECORD_MAX], size_t *len, struct why *why);
/* The transport (index) to reach p by, skipping p->refused; < 0 with the reasons in why. */
int choose_transport(struct peer *p, const uint8_t **address, size_t *len,
                     uint8_t record[RECORD_MAX], struct why *why);
/* Whether data of this pair may take the control link from the start. */
bool choose_control_carries(const struct sinew *s);
/* Whether this wired transport is better than the control link's, by the order of choice. */
bool choose_precedes(const struct sinew *s, int transport);
int choose_epoch(struct peer *p, uint64_t *epoch, struct why *why);
/* The name of the cores a rank runs on, as it published; 0: not known. */
uint32_t choose_cores(struct sinew *s, int world_rank);
/* Whether that transport can reach a rank of the job, by what it publishes. */
bool choose_reaches(struct sinew *s, int world_rank, int transport);

/* crowd.c: ranks and the cores they share */
void crowd_name(struct sinew *s);  /* before the record is published */
void crowd_count(struct sinew *s); /* when all records are there     */

/* team.c */
int team_world_rank(const struct team_core *core, int rank);
int team_rank_of(const struct team_core *core, int world_rank); /* -1: no member */
void team_meet(struct peer *p); /* it is known from now on */
struct team_core *team_find(struct sinew *s, uint32_t id);
int team_open_world(struct sinew *s);
void team_destroy_all(struct sinew *s);

/* message.c, memory.c: what an abandoned context still holds */
void message_release_all(struct sinew *s);
void memory_release_all(struct sinew *s);

/* wait.c */
bool wait_crowded(const struct sinew *s); /* more ranks than cores here */
int wait_request(struct sinew_request *r); /* blocking calls: until final, consumed */
/* Until ready(arg) or `until`; for the stall report describe(arg, text) says for what. 0, > 0:
 * late, < 0: hopeless. */
struct waiting {
    bool (*ready)(struct waiting *w);
    const struct waiting_kind *kind;
    const struct peer *from; /* whose link is looked at first; NULL: nobody's */
};
struct waiting_kind {
    void (*describe)(const struct waiting *w, struct text *text);
    /* After each second in vain; false: there is nobody to be asked. NULL: likewise. */
    bool (*stalled)(const struct waiting *w);
    /* 0, or < 0 where it can never be ready, and its text is set. Asked where a wait would go on.
     * NULL: 0. */
    int (*hopeless)(const struct waiting *w);
};
int wait_until(struct sinew *s, struct waiting *w, int64_t until);
/* Of a short way, which looks at one link alone: whether to look once more, and if others want the
 * core they had it. For a bounded time; then the general way goes on. */
struct shortly {
    int polls;
    int64_t yields;
};
bool wait_shortly(struct sinew *s, struct shortly *w);
/* Every so many receives of the short way, which looks at one link alone. */
void wait_see_others(struct sinew *s);
int wait_patiently(struct sinew *s, struct waiting *w, int64_t patience); /* <= 0 looks once */
int wait_open(struct sinew *s);
void wait_close(struct sinew *s);
/* The time of the next thing that no event announces; INT64_MAX: none. */
int64_t wait_next_deadline(const struct sinew *s);

#endif
