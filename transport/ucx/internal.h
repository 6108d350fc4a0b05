/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_UCX_INTERNAL_H
#define TRANSPORT_UCX_INTERNAL_H
/*
 * internal.h - how the files of this folder fit together
 *
 *   ucx.c       the table of operations; open, close, reach, progress, sleeping
 *   api.c       libucp as a table                 module.c    what the module exports
 *   offer.c     bytes told to the counterpart     link.c      the life of a link
 *   endpoint.c  one of UCX's endpoints, which may outlive its link by a moment
 *   frame.c     frames out: sequence, window, confirmation
 *   arrive.c    frames in: order, what they say, answers
 *   rma.c       put, get, atomic, flush           region.c    the memory they work on
 *
 * Everything between two ends is active messages. Those that UCX carries in one piece (eager) are frames; long
 * puts are a frame whose data the target fetches straight into the region, by UCX's rendezvous, after
 * it has looked at the key (docs/decisions/ucx-by-active-messages.md).
 *
 * A frame: this header, little-endian, and data
 *
 *    byte  0       8      12    16      20     21      22
 *          | token | link | seq | heard | kind | flags | hlen (2) |
 *         24    40       48       56        64
 *          | key | offset | amount | compare | work |      of puts, gets, atomics, answers
 *
 *    token   the receiver's, random, told over the control link: who does not know it is not heard
 *    link    the receiver's, likewise
 *    seq     of this direction, from 1, since UCX keeps no order among active messages; 0: only
 *            `heard` counts
 *    heard   so many frames of the other direction have been dealt with, in order: it confirms them
 *    flags   FRAME_ASKS: confirm soon
 *    hlen    of a message: so many bytes of the data are its head
 *
 * A header that lies before its data goes as data of UCX's, with no header in its sense: only so does it
 * copy a short message straight to the wire. Where the data is elsewhere (puts), it is UCX's header.
 *
 * At most UCX_WINDOW frames and UCX_WINDOW_BYTES bytes of a direction are not confirmed. That is
 * credit, the bound of what a receiver may have to keep for order's sake, and of what is handed back,
 * in one.
 *
 * A link's life:
 *
 *    connect() -> OFFERING -> PAIRED -> UP -> DRAINING -> ENDING -> down()
 *
 *    OFFERING  told of this worker; the counterpart's is not known yet
 *    PAIRED    the endpoint exists and HELLO was sent. UP when HELLO has come and this one's
 *              is confirmed
 *    ENDING    what has arrived is handed up, the endpoint closes, what is not confirmed goes back
 */
#include "base/config.h"
#include "base/list.h"
#include "transport/reorder.h"
#include "transport/sleeper.h"
#include "transport/transport.h"
#include "transport/ucx/api.h"

enum {
    UCX_HEADER = 24,
    UCX_HEADER_WIDE = 72,
    UCX_EAGER_MAX = 8192,
    UCX_FRAGMENT = 32768, /* of a put, which is sent from where it lies                  */
    UCX_LONG = 65536,     /* puts from here on are fetched                               */
    UCX_ANSWER = 8192,    /* of a get: copied, so that what is read may be taken back    */
    UCX_WINDOW = REORDER_WINDOW,
    UCX_RESERVE = 8,      /* of it, for goodbyes and answers                             */
    UCX_WINDOW_BYTES = 1 << 20,
    UCX_SMALL = 256,
    UCX_LARGE = UCX_HEADER_WIDE + TRANSPORT_HEAD_MAX + UCX_EAGER_MAX,
    UCX_SPARE = 1024, /* frames of each size kept for later */
    UCX_ASKED = 16,   /* gets and atomics of one end that are not answered */
    UCX_ADDRESS_BYTES_MAX = 3 * (TRANSPORT_TELL_MAX - 32),
    UCX_POLLS = 16,     /* of UCX in one progress() */
    UCX_PUSHES = 4,     /* … and in one send() that it did not take to the wire at once */
    UCX_KEY = 32,
};

/* For what has arrived when the link fell: so many looks at UCX that find nothing. */
enum { UCX_LAST_LOOKS = 3 };

#define UCX_CLOSE_NS (2 * INT64_C(1000000000)) /* for an endpoint to close         */
#define UCX_LINGER_NS (50 * INT64_C(1000000)) /* for the counterpart to close first */

enum frame_kind {
    FRAME_ACK,
    FRAME_HELLO,
    FRAME_BYE,
    FRAME_MESSAGE,
    FRAME_PUT,
    FRAME_GET,
    FRAME_ADD,
    FRAME_SWAP,
    FRAME_DATA,   /* of a get: from `offset` of it; of an atomic: 8 bytes, the former value */
    FRAME_DENIED, /* of a get */
    FRAME_FILL,   /* a long put: `amount` bytes, to be fetched */
    FRAME_FILLED, /* they are there */
    FRAME_LAST = FRAME_FILLED,
};
enum { FRAME_ASKS = 1 };

/* What a header says. */
struct header {
    uint64_t token;
    uint32_t link, seq, heard;
    uint8_t kind, flags;
    uint16_t hlen;
    uint64_t region, secret; /* the key */
    uint64_t offset, amount, compare, work;
    void *fetch; /* of a FILL: what UCX fetches it by; NULL: it came along */
    bool waited; /* before its turn: `fetch` was kept, and is to be given back */
};

enum ucx_state {
    UCX_NEW,
    UCX_OFFERING,
    UCX_PAIRED,
    UCX_UP,
    UCX_DRAINING,
    UCX_ENDING,
    UCX_DOWN,
};

struct endpoint {
    struct list entry; /* ucx->closing */
    struct ucx *t;
    struct ucx_link *link; /* NULL: it is down */
    ucp_ep_h ep;
    void *closing; /* request */
    bool failed, closed, lost;
    int64_t until; /* lingering: then it closes; closing: then it is waited for no longer */
    uint32_t busy; /* frames that UCX still has, and those it fetches */
    bool ack_busy;
    uint8_t ack[UCX_HEADER];
};

/* Out: until it is confirmed and UCX has let go of it. */
struct frame {
    struct list entry;
    struct endpoint *end;
    struct work *work; /* FRAME_PUT: whose bytes these are */
    bool busy, confirmed;
    uint8_t kind;
    uint16_t hlen;
    size_t len, cap; /* of data; cap: of bytes[] */
    uint8_t *data;   /* behind the header */
    uint8_t bytes[];
};

/* A FILL that is being fetched. */
struct ucx_landing {
    struct list entry; /* t->landings */
    struct ucx *t;
    struct endpoint *end;
    uint64_t region, work;
    bool given_up;
};

/* An rma or flush under way. */
struct work {
    struct list entry; /* link->works, until it is done */
    struct rma *op;    /* NULL: a flush */
    uint64_t cookie, id;
    size_t sent, got;
    uint32_t last_seq; /* of its frames */
    uint32_t busy;     /* its frames that UCX still has */
    bool all_sent, answered;
    int status;
};

/* What a peer has asked for and is not answered yet. */
struct serve {
    struct list entry; /* link->serves */
    uint64_t work, region, secret, offset, len, at;
    uint64_t value;
    enum frame_kind asked; /* GET, ADD, SWAP or FILL */
};

/* Memory of mine that peers may reach. */
struct registered {
    struct region *region; /* NULL: free */
    uint32_t generation;
    uint64_t secret;
    unsigned rights;
    uint32_t next_free, landings;
};

struct ucx_link {
    struct link base;
    uint8_t state;
    bool wants_room, offer_due, ack_due, heard_hello, heard_bye, hand_up, hands_back, closing;
    int status;
    enum gone gone;
    uint32_t id;
    uint64_t token;
    char name[32];
    int64_t deadline;
    uint32_t looks, first_poll; /* ENDING: idle_looks and polls when it began */
    struct endpoint *end;

    /* the counterpart: its worker's address, in parts */
    uint64_t theirs_token;
    uint32_t theirs_id;
    uint8_t *address;
    uint32_t address_len, address_got;

    /* out: frames acked + 1 … sent are not confirmed, at out[seq % UCX_WINDOW] */
    uint32_t sent, acked;
    size_t unconfirmed;
    struct frame *out[UCX_WINDOW];
    uint32_t bye; /* its sequence; 0: not sent */

    /* in: 1 … dealt were dealt with */
    uint32_t dealt, told;
    size_t dealt_bytes; /* since told */
    struct reorder early; /* came before its turn, or when progress() had made enough upcalls */

    struct list works, serves;
    uint32_t asked, serving; /* questions; those of the counterpart's */
    uint64_t work_ids;

    struct list of_links, of_waiting, of_due, of_ending;
};

struct ucx {
    struct transport base;
    struct ucx_api api;
    bool loaded; /* api */
    ucp_context_h context;
    ucp_worker_h worker;
    ucp_address_t *address;
    size_t address_len;
    int efd;
    struct sleeper sleeper;
    bool armed, moved, in_progress;
    bool kept; /* of what has just arrived, what UCX fetches it by */
    struct ucx_link *took; /* in this progress, what it expected */
    int budget;
    uint32_t idle_looks, polls; /* looks at UCX: that found nothing; all */
    uint64_t strays;

    struct ucx_link **links;
    uint32_t links_cap;
    struct registered *regions;
    uint32_t regions_cap, regions_free; /* index + 1 of the first free; 0: none */

    struct list all, due, waiting, ending, closing;
    uint32_t timed; /* links with a deadline */
    struct list spare_small, spare_large;
    uint32_t spare_small_n, spare_large_n;
    struct list spare_works, lost_works; /* lost: UCX would not let go of their memory */
    struct list landings, busy; /* frames that UCX has */
};

static inline struct ucx *ucx_of(struct transport *t) { return (struct ucx *)(void *)t; }
static inline struct ucx_link *ucx_link_of(struct link *l) { return (struct ucx_link *)(void *)l; }
static inline struct ucx *ucx_under(const struct ucx_link *l) { return ucx_of(l->base.transport); }
static inline int64_t ucx_now(const struct ucx *t) { return world_now(t->base.opt.world); }

/* link.c */
int ucx_connect(struct link *base, const void *bytes, size_t len);
void ucx_disconnect(struct link *base, enum disconnect_how how);
struct ucx_link *link_by_id(struct ucx *t, uint32_t id, uint64_t token);
void link_make_due(struct ucx_link *l);
/* It ends. hand_up: what has arrived first. */
void link_fall(struct ucx_link *l, int status, enum gone gone, bool hand_up);
void link_left_after_all(struct ucx_link *l);
/* An answer of UCX's that is an error. Returns its status in Sinew's terms. */
int link_trouble(struct ucx_link *l, ucs_status_t status, const char *what);
void links_see_to(struct ucx *t);
static inline void links_look_after(struct ucx *t)
{
    if (t->timed || !list_empty(&t->due) || !list_empty(&t->waiting) || !list_empty(&t->ending) ||
        !list_empty(&t->closing))
        links_see_to(t);
}
int64_t links_deadline(const struct ucx *t);
void links_release(struct ucx *t);

/* offer.c */
enum { OFFER_HEADER = 24 };
struct offer {
    uint32_t link, len, at; /* of the whole address; where this part begins */
    uint64_t token;
    const uint8_t *part;
    size_t part_len;
};
size_t offer_encode(uint8_t out[TRANSPORT_TELL_MAX], const struct offer *o);
int offer_decode(const void *bytes, size_t len, struct offer *o, struct why *why);

/* endpoint.c */
int endpoint_make(struct ucx_link *l);
/* The link has no more use for it. by_force: what UCX still has is dropped. */
void endpoint_close(struct endpoint *end, bool by_force);
void endpoint_linger(struct endpoint *end); /* closes when the counterpart has, or soon */
void endpoints_look_after(struct ucx *t);
void endpoints_finish(struct ucx *t);
void endpoints_release(struct ucx *t);

/* frame.c */
bool frame_may(const struct ucx_link *l, size_t len, bool reserved);
struct frame *frame_take(struct ucx *t, enum frame_kind kind, size_t len);
void frame_give(struct ucx *t, struct frame *f);
/* In f: hlen; its data, or elsewhere work's (NULL otherwise). 0, or < 0 and f is still the caller's. */
int frame_send(struct ucx_link *l, struct frame *f, struct header *h, const void *elsewhere);
int frame_send_control(struct ucx_link *l, enum frame_kind kind, unsigned flags);
void frames_confirm(struct ucx_link *l, uint32_t upto);
bool frames_hand_back(struct ucx_link *l); /* false: later */
void frames_drop(struct ucx_link *l);
void frames_release(struct ucx *t);
void ack_send(struct ucx_link *l);
int ucx_send(struct link *base, const void *head, size_t hlen, const void *body, size_t blen,
             struct region *region, uint64_t cookie);
void header_encode(uint8_t *out, const struct header *h, bool wide);

/* arrive.c */
ucs_status_t frame_arrived(void *arg, const void *header, size_t header_len, void *data, size_t len,
                           const ucp_am_recv_param_t *param);
void early_take(struct ucx_link *l); /* what came before its turn, as far as it goes */
void early_drop(struct ucx_link *l);

/* rma.c */
int ucx_rma(struct link *base, struct rma *op);
int ucx_flush(struct link *base, uint64_t cookie);
void works_advance(struct ucx_link *l);
void works_look(struct ucx_link *l); /* which are done by now */
bool works_fail(struct ucx_link *l, int status); /* false: later */
void works_release(struct ucx *t);
int work_answered(struct ucx_link *l, const struct header *h, const uint8_t *data, size_t len);
int serve_put(struct ucx_link *l, const struct header *h, const uint8_t *data, size_t len);
int serve_fill(struct ucx_link *l, const struct header *h, const uint8_t *data, size_t len);
void fill_refuse(struct ucx *t, const struct header *h); /* it will not be fetched */
void landings_give_up(struct ucx *t, const struct endpoint *end);
void landings_release(struct ucx *t);
int serve_asked(struct ucx_link *l, const struct header *h);
void serves_advance(struct ucx_link *l);
void serves_drop(struct ucx_link *l);

/* region.c */
int ucx_reg(struct transport *base, struct link *l, struct region *region);
int ucx_dereg(struct transport *base, struct region *region);
/* len bytes at offset of a region of mine, if the key allows that; NULL: why not in why. */
uint8_t *region_memory(struct ucx *t, uint64_t id, uint64_t secret, unsigned right, uint64_t offset,
                       uint64_t len, struct why *why);
bool region_key(const struct region *region, struct header *h, unsigned *rights, uint64_t *len);
bool region_was(const struct ucx *t, uint64_t id); /* registered, and is no more */
/* UCX writes there (1), and does no longer (-1). */
void region_hold(struct ucx *t, uint64_t id, int more);
void regions_release(struct ucx *t);

#endif
