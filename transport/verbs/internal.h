/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_VERBS_INTERNAL_H
#define TRANSPORT_VERBS_INTERNAL_H
/*
 * internal.h - how the files of this folder fit together
 *
 *   verbs.c    the table of operations; open, close, reach
 *   api.c      libibverbs as a table             module.c   what the module exports
 *   devices.c  which device, port and address    device.c   the one in use, and what it can do
 *   offer.c    bytes told to the counterpart     link.c     the life of a link
 *   pair.c     its queue pair: made, connected, destroyed
 *   queue.c    the send queue: post, chain, confirm
 *   message.c  messages and credits, both ways   bare.c     those that need nothing before the body
 *   slots.c    registered memory for them
 *   rma.c      put, get, atomic, flush           register.c the memory they work on
 *   wait.c     completions, sleeping             trouble.c  what the device reports, in words
 *   cm.c       connecting by librdmacm           cm_library.c  which is opened only then
 *
 * A link's life:
 *
 *    connect() -> OFFERING -> PAIRED -> UP -> DRAINING -> ENDING -> down()
 *
 *    OFFERING  a queue pair exists, the counterpart is told of it, its own is not known yet (or is
 *              being connected by librdmacm, cm.c)
 *    PAIRED    both are known and this one can send; READY was told, the other's READY has not come
 *    ENDING    what has arrived is handed up, what is under way fails, the queue pair goes
 *
 * Both ends do the same, so who began does not matter, and two that begin at once make one link.
 * A message that comes in PAIRED says what READY would.
 *
 * One message, in one slot of the receiver's, posted before its credit is given:
 *
 *    byte  0      4       8        12         14     15    16
 *          | seq  | limit | attempt| controls | kind | hlen| head: hlen bytes | body …
 *
 *    seq       of this sender and link, from 1: what comes again (a device may complete one
 *              receive twice) is dropped, a gap ends the link
 *    limit     so many MESSAGEs in all may be sent in the other direction
 *    attempt   low half of the receiver's attempt: what an earlier link left behind is dropped
 *    controls  CREDITs of the other direction that were received: at most two go unheard of, for
 *              which the receiver keeps slots beyond the credit, and one for BYE
 *    kind      MESSAGE, CREDIT (only the header), BYE (likewise; nothing follows)
 *
 * A MESSAGE that header and head would make a packet longer goes bare when it can: the body alone
 * is in the slot, and what the receiver cannot foretell of them is in the 32 bits of immediate data
 * (bare.c).
 *
 * In a job of many ranks the window is small at first, and doubles whenever half of it was used
 * with no message in the other direction that could have told of new credit: a stream, that is. It
 * does not shrink: what was told cannot be taken back.
 *
 * So a receive is always posted before what goes into it is sent, and a receiver-not-ready answer
 * never happens between two that are right; should it, seven retries end the link.
 *
 * Completions of sends come in order, so only every 16th asks for one (all of them when slots or
 * room in the completion queue run short); an error completes by itself. Until confirmed, a message
 * is kept.
 */
#include "base/config.h"
#include "base/list.h"
#include "base/timer.h"
#include "transport/transport.h"
#include "transport/verbs/cm.h"
#include "transport/verbs/devices.h"
#include "transport/verbs/offer.h"
#include "transport/verbs/slots.h"

enum {
    VERBS_HEADER = 16,
    VERBS_HEAD = 16, /* heads of this length may be expected, and foretold */
    /* shorter bodies fit into any packet with both */
    VERBS_BARE_LEAST = 256 - VERBS_HEADER - VERBS_HEAD + 1,
    /* two RoCE packets: copying it costs less than a rendezvous' round trip */
    VERBS_EAGER_MAX = 8192,
    VERBS_SLOT = VERBS_HEADER + TRANSPORT_HEAD_MAX + VERBS_EAGER_MAX + 48, /* whole lines */
    VERBS_SLOT_SMALL = 256,
    VERBS_RECEIVE_SLAB = 64, /* slots */
    VERBS_SEND_SLAB = 16,
    VERBS_SMALL_SLAB = 256,
    VERBS_QUEUE = 128, /* most work requests on a send queue; a power of two */
    VERBS_SIGNAL = 16, /* one completion for so many */
    VERBS_CHAIN = 16,  /* one doorbell for so many */
    VERBS_AGAIN = 8,   /* receives that are posted again together */
    VERBS_FEW = 16,   /* ranks; more than that … */
    VERBS_WINDOW = 8, /* … and a link begins with so many credits */
    VERBS_CONTROLS = 2,
    VERBS_RESERVE = VERBS_CONTROLS + 1, /* receives beyond the credit; and sends */
    VERBS_BATCH = 32,                   /* completions looked at together */
    VERBS_CHUNK = 256 * 1024,           /* of a put or get: messages go in between */
    VERBS_CHUNKS = 4,                   /* on one link's queue at once */
    VERBS_GETS = 8,                     /* of one link at once; see rma.c */
    VERBS_REGISTER = 16 * 1024,         /* shorter ones are copied through slots */
    VERBS_FLUSHES = 8,
    VERBS_PARKED = 8,
    VERBS_INLINE = 220,
    VERBS_CQ_LEAST = 512,
    VERBS_LOOK_EVERY = 4096, /* polls between looks at the device's events */
    VERBS_CM_EVERY = 64,     /* and at those of librdmacm, while links are connected by it */
    VERBS_TIMEOUT = 14,      /* 4.096 us * 2^14: 67 ms */
    VERBS_RETRY = 7,
    VERBS_RNR_RETRY = 6, /* 7 would be for ever */
    VERBS_RNR_TIMER = 12,
};

#define VERBS_PARK_NS (200 * INT64_C(1000000))
#define VERBS_PARK_LEAST_NS (2 * INT64_C(1000000)) /* before the transport closes */

enum verbs_wireup { VERBS_WIRED_BY_TELLS, VERBS_WIRED_BY_CM };

enum verbs_kind { VERBS_MESSAGE = 1, VERBS_CREDIT = 2, VERBS_BYE = 3 };

/* A head of VERBS_HEAD bytes, as two little-endian words: see struct expect. */
struct head {
    uint64_t word, key;
};

enum verbs_state {
    VERBS_NEW,
    VERBS_OFFERING,
    VERBS_PAIRED,
    VERBS_UP,
    VERBS_DRAINING,
    VERBS_ENDING,
    VERBS_DOWN,
};

/* Memory that is registered. */
struct registration {
    struct list entry; /* verbs->registrations */
    struct ibv_mr *mr;
    uint8_t *base;
    size_t len;
    unsigned users; /* operations under way that read or write it here */
    bool owned;     /* by a region; else by one operation              */
    /* registered (mr) when first used, and again after it had to make room for others */
    bool lasting;
    bool writable;
    /* to one peer, to read: its owner takes it back at once, so no other may lean on it */
    bool offered;
};

/* An rma or flush under way. */
struct work {
    struct list entry; /* link->works, in order, until it is done */
    struct rma *op;    /* NULL: a flush */
    uint64_t cookie;
    size_t posted, confirmed; /* bytes */
    uint64_t address;         /* of the peer's memory */
    uint32_t rkey;
    uint32_t under_way; /* work requests */
    bool all_posted;
    int status;
    struct registration *memory; /* NULL: copied through slots */
};

/* A work request on the send queue, until it is confirmed. */
enum entry_kind {
    ENTRY_NONE,
    ENTRY_CREDIT,
    ENTRY_MESSAGE,
    ENTRY_BYE,
    ENTRY_PUT, /* from here on with a work */
    ENTRY_GET,
    ENTRY_ATOMIC,
    ENTRY_FLUSH,
};
struct queue_entry {
    uint8_t kind;
    bool small;       /* its slot is of the small pool */
    uint32_t slot;    /* SLOT_NONE: none               */
    uint32_t len;     /* of what is in it              */
    void *to;         /* ENTRY_GET through a slot: where its bytes go */
    struct work *work;
};

struct verbs_link {
    struct link base;
    uint8_t state;
    bool wants_room, credit_due, peer_ready, offer_due, ready_due, revoked;
    bool hand_up;   /* ENDING: what has arrived goes up first */
    bool announced; /* by up() */
    bool peer_left; /* its BYE was read */
    bool bye_posted, bye_confirmed;
    bool queue_failed; /* a completion with an error has come: none behind it confirms anything */
    bool hands_back; /* ENDING: what is not confirmed is handed back, from `undone` on: */
    uint32_t undone;
    bool put_unflushed;
    int status;
    enum gone gone;
    uint32_t id; /* of the link, in completions: index and generation */
    uint64_t attempt;
    struct offer theirs;
    union ibv_gid address; /* of the peer, for the route; zero: not known */
    int64_t deadline;      /* of set-up or draining; INT64_MAX: none */
    uint32_t emptied;      /* ENDING: verbs->emptied when it began */
    char name[48];         /* "rank 3 on rxe0 port 1" */
    char note[256];        /* base.note: way and memory */

    struct ibv_qp *qp;
    struct rdma_cm_id *cm_id; /* NULL: none */
    bool wiring;              /* counted in verbs->cm.wiring */
    uint32_t psn;
    int gid_index;
    union ibv_gid gid;

    /* messages out */
    uint32_t sequence, sent, allowed, controls_sent, controls_heard;
    /* messages in: `returned`: slots posted again, so that limit = returned + window */
    uint32_t heard, received, returned, told, window, window_most, controls_received;
    uint32_t posted; /* receives on its own queue, or its share of the shared one */
    /* the last heads of 16 bytes that were sent and received; packets are of 1 << packet_shift
     * bytes */
    struct head last_out, last_in;
    uint8_t packet_shift;

    /* the send queue: numbers of work requests, and what they were */
    uint32_t head, tail, unsignalled, depth;
    struct queue_entry queue[VERBS_QUEUE];

    struct list works;
    uint32_t chunks, reads, reads_most; /* work requests of works on the queue; those that read */
    uint32_t gets;                      /* works */
    uint32_t flushes;

    struct list of_links, of_waiting, of_due, of_ending;
};

/* The queue pair of a link whose peer has left: its last acknowledgement may have to be
 * repeated. */
struct parked {
    struct ibv_qp *qp; /* NULL: none */
    int64_t until;
    uint32_t id, posted;              /* of its receives */
    uint32_t requests, slots, slot[VERBS_QUEUE]; /* of its send queue; top bit: small */
};

/* Connecting by librdmacm. */
struct cm {
    struct cm_api api;
    struct rdma_event_channel *channel; /* NULL: queue pairs are connected by what is told */
    struct rdma_cm_id *listener;
    uint16_t port;
    unsigned wiring; /* links that are being connected */
};

struct verbs {
    struct transport base;
    const struct verbs_api *api; /* set before open, or the library's */
    struct candidates candidates;
    struct candidate chosen;

    struct ibv_context *context;
    struct ibv_pd *pd;
    struct ibv_comp_channel *channel;
    struct ibv_cq *cq;
    struct ibv_srq *srq; /* NULL: every link has receives of its own */
    struct timer timer;
    struct cm cm;
    struct ibv_device_attr attr;
    uint16_t pkey_index, lid;
    uint8_t mtu, layer; /* mtu: enum ibv_mtu */
    uint32_t max_message, inline_max, inline_asked, depth, reads_max, reads_taken, shared_most;
    bool port_down;
    const char *failed; /* all of it, and how; NULL: it works */

    struct slots_budget budget;
    struct pool receives, large, small;
    /* 64 bytes: peers read 8 of them to flush; own flushes land in the others */
    struct registration *scratch;
    uint8_t *scratch_memory;
    struct list registrations;
    uint64_t registered_bytes; /* beside the slots'; of these lasting: */
    uint64_t kept_bytes;
    uint64_t noted_bytes; /* what the links' notes say that is registered in all */
    struct list spare_works;

    uint32_t cq_size, cq_taken; /* completions that may come: of receives and sends */
    uint32_t shared_posted, shared_promised; /* receives on the shared queue; of them to links */

    struct verbs_link **links; /* by the index in their id */
    uint16_t *generations;
    uint32_t links_cap, links_count;
    struct list all, waiting, due, ending;
    unsigned timed; /* links with a deadline */
    unsigned parks; /* of these: */
    struct parked parked[VERBS_PARKED];
    uint32_t *by_qp, by_qp_cap; /* links by their queue pair's number: index + 1; a power of two */

    struct ibv_wc batch[VERBS_BATCH];
    int batch_at, batch_n;
    uint32_t emptied; /* times the completion queue was found empty */
    bool in_progress, armed, moved;
    int budget_left;
    unsigned polls, takes_left;
    /* this progress gave a message of its to who expects it: no upcalls for it */
    struct verbs_link *took;
    uint64_t duplicates, strays;

    /* work requests of one link that wait for the end of progress, for one doorbell */
    struct verbs_link *chain_link;
    unsigned chain_n;
    struct ibv_send_wr chain[VERBS_CHAIN];
    struct ibv_sge chain_sge[VERBS_CHAIN];

    /* receives of one link that were read, to be posted again */
    struct verbs_link *again_link;
    unsigned again_n, again_credited;
    struct ibv_recv_wr again[VERBS_AGAIN];
    struct ibv_sge again_sge[VERBS_AGAIN];
};

static inline struct verbs *verbs_of(struct transport *t) { return (struct verbs *)t; }
static inline struct verbs_link *verbs_link_of(struct link *l) { return (struct verbs_link *)l; }
static inline struct verbs *verbs_under(const struct verbs_link *l)
{
    return (struct verbs *)l->base.transport;
}
static inline int64_t verbs_now(const struct verbs *t) { return world_now(t->base.opt.world); }

/* device.c: the one that is used. */
int device_open(struct verbs *t);
void device_close(struct verbs *t);

/* pair.c. 0 or < 0 with l->base.why. */
int pair_make(struct verbs_link *l);
int pair_connect(struct verbs_link *l);
void pair_revoke(struct verbs_link *l); /* nothing goes out or comes in any more */
void pair_destroy(struct verbs_link *l); /* and its receives; queue_release() is the other half */
/* Like it, but the device still acknowledges what the peer sent last, for a moment. */
void pair_park(struct verbs_link *l);
void pairs_unpark(struct verbs *t, bool all);

/* cm.c */
int cm_open(struct verbs *t); /* 0, also when it is not wanted */
void cm_close(struct verbs *t);
int cm_begin(struct verbs_link *l); /* its offer has come */
void cm_release(struct verbs_link *l);
void cm_events(struct verbs *t);
/* What librdmacm knows for the step to attr->qp_state; no IBV_QP_STATE in mask: it takes that step
 * itself. */
int cm_path(struct verbs_link *l, struct ibv_qp_attr *attr, int *mask);

/* link.c */
int verbs_connect(struct link *base, const void *bytes, size_t len);
void verbs_disconnect(struct link *base, enum disconnect_how how);
void link_is_paired(struct verbs_link *l);
void link_is_up(struct verbs_link *l); /* or was, before what has arrived is handed up */
/* No more from this link; the first reason stands, l->base.why says it already. */
void link_fall(struct verbs_link *l, int status, enum gone gone, bool hand_up);
void link_peer_left(struct verbs_link *l); /* its BYE came     */
void link_bye_heard(struct verbs_link *l); /* ours is confirmed */
void names_release(struct verbs *t);
void link_table_add(struct verbs_link *l); /* of queue pair numbers */
void link_table_remove(struct verbs_link *l);
void link_set_deadline(struct verbs_link *l, int64_t at);
void link_make_due(struct verbs_link *l); /* looked after by the next progress */
void links_look_after(struct verbs *t);   /* tell, drain, end */
void links_note(struct verbs *t); /* what is registered may be more or less by now */
int64_t links_deadline(const struct verbs *t); /* the earliest; INT64_MAX: none */
struct verbs_link *link_by_id(struct verbs *t, uint32_t id);
struct verbs_link *link_by_qp(struct verbs *t, uint32_t qp_num);

/* queue.c */
struct request { /* one work request */
    enum entry_kind kind;
    enum ibv_wr_opcode opcode;
    bool small, signal;
    uint32_t slot; /* SLOT_NONE, or whose bytes it sends or fills */
    struct ibv_sge sge;
    uint32_t before; /* bytes of the slot that are not sent */
    uint32_t immediate;
    uint64_t remote;
    uint32_t rkey;
    uint64_t operand, compare;
    void *to;
    struct work *work;
};
uint32_t queue_room(const struct verbs_link *l);
/* There is room. A failure ends the link, and r is not on its queue. */
int queue_post(struct verbs_link *l, const struct request *r);
void queue_ring(struct verbs *t); /* the doorbell, for what is chained */
void queue_forget(struct verbs *t, const struct verbs_link *l); /* what is chained for it */
void queue_confirmed(struct verbs_link *l, const struct ibv_wc *wc);
void queue_release(struct verbs_link *l); /* the queue pair is gone */
uint32_t queue_slots(const struct verbs_link *l, uint32_t slot[VERBS_QUEUE]); /* of what is on it */

/* message.c */
int verbs_send(struct link *base, const void *head, size_t hlen, const void *body, size_t blen,
               struct region *region, uint64_t cookie);
bool message_room(struct verbs_link *l); /* another MESSAGE can be taken */
void message_credit(struct verbs_link *l); /* tell it by itself if that is due */
int message_bye(struct verbs_link *l); /* 0: it is on its way; > 0: not yet */
bool message_came(struct verbs *t, const struct ibv_wc *wc); /* false: not in this progress */
void receives_return(struct verbs *t); /* those that were read */
int receives_post(struct verbs_link *l); /* as many as its window needs */
void receives_release(struct verbs *t, uint32_t id, uint32_t posted);

/* bare.c */
struct incoming { /* a message as it came */
    uint32_t sequence, limit, attempt;
    uint16_t controls;
    uint8_t kind, hlen;
    const uint8_t *head, *body;
    size_t len; /* of both */
    uint8_t foretold[VERBS_HEAD];
};
/* Whether the next message of l had better go so, and can. */
bool bare_may(const struct verbs_link *l, const struct head *head, size_t blen,
              uint32_t *immediate);
void bare_read(const struct verbs_link *l, struct incoming *m, const uint8_t *body, uint32_t len,
               uint32_t immediate);

/* rma.c */
int verbs_rma(struct link *base, struct rma *op);
int verbs_flush(struct link *base, uint64_t cookie);
void works_advance(struct verbs_link *l);
void works_confirmed(struct verbs_link *l, struct queue_entry *e, int status);
bool works_fail(struct verbs_link *l, int status); /* false: the budget of upcalls is used up */

/* register.c */
int verbs_reg(struct transport *base, struct link *l, struct region *region);
int verbs_dereg(struct transport *base, struct region *region);
int register_memory(struct verbs *t, void *base, size_t len, int access,
                    struct registration **made, struct why *why);
void register_release(struct verbs *t, struct registration *r);
/* One that covers it: the owner keeps it alive, and a user keeps it registered. */
struct registration *register_find(struct verbs *t, const void *base, size_t len, bool writable);
struct remote { uint64_t address, len; uint32_t rkey; unsigned rights; };
bool register_remote(const struct region *region, struct remote *remote);

/* wait.c */
int verbs_progress(struct transport *base, struct link *l);
int verbs_arm(struct transport *base);

/* trouble.c */
/* A completion with an error: in words, and which status it is. */
int trouble_completion(struct verbs_link *l, const struct ibv_wc *wc);
void trouble_events(struct verbs *t); /* what the device reports, if anything */
void trouble_fail(struct verbs *t, const char *what); /* all of it */

#endif
