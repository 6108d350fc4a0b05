/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_FRAMED_FRAMED_H
#define TRANSPORT_FRAMED_FRAMED_H
/*
 * framed.h - wired links made of frames, over a fabric that carries messages to whoever is named
 *
 *   link.c      the life of a link                offer.c     bytes told to the counterpart
 *   frame.c     frames out: sequence, window,     arrive.c    frames in: order, what they say,
 *               confirmation                                  answers
 *   rma.c       put, get, atomic, flush           region.c    the memory they work on
 *   fill.c      long puts that the target fetches
 *   lend.c      long messages lent with their announcement
 *   slim.h      short messages whose head follows on the one before
 *   update.c    words of this end's own that only the fabric updates
 *
 * What is the fabric's own is in its table, struct fabric: UCX's is transport/ucx, libfabric's
 * transport/ofi. A fabric need not keep order, nor know who may talk to whom; it must not lose a
 * message without saying so.
 *
 * A frame, little-endian: a header, and data
 *
 *    byte  0        8       12      16       20      21      22
 *          | token  | link  | seq   | heard  | kind  | flags | hlen (2) |
 *         24        40       48       56        64
 *          | key    | offset | amount | compare | work |     of what concerns puts, gets, atomics
 *
 *    token   the receiver's, random, told over the control link: who does not know it is not heard
 *    link    the receiver's, likewise
 *    seq     of this direction, from 1; 0: only `heard` counts
 *    heard   so many frames of the other direction have been dealt with, in order: it confirms them
 *    flags   FRAME_ASKS: confirm soon
 *    hlen    of a message: so many bytes of the data are its head
 *
 * or, of a message whose head follows on the one before it (slim.h), slim:
 *
 *    byte  0        8          10       11     12        14          16
 *          | token  | link (2) | credit | 0x80 | seq (2) | heard (2) | key (8), body
 *
 * link, seq and heard are the low 16 bits of what they are above; links beyond have no slim frames.
 *
 * At most FRAMED_WINDOW frames and FRAMED_WINDOW_BYTES bytes of a direction are not confirmed. That
 * is credit, the bound of what a receiver may have to keep for order's sake, and of what is handed
 * back, in one.
 *
 * A link's life:
 *
 *    connect() -> OFFERING -> PAIRED -> UP -> DRAINING -> ENDING -> down()
 *
 *    OFFERING  told of this end's address; the counterpart's is not known yet
 *    PAIRED    the endpoint exists and HELLO was sent. UP when HELLO has come and this one's is
 *              confirmed
 *    ENDING    what has arrived is handed up, the endpoint closes, what is not confirmed goes back
 */
#include "base/config.h"
#include "base/list.h"
#include "transport/framed/slim.h"
#include "transport/reorder.h"
#include "transport/transport.h"

enum {
    FRAMED_HEADER = 24,
    FRAMED_HEADER_WIDE = 72,
    FRAMED_EAGER_MAX = 8192,
    FRAMED_PIECE = 8192,      /* of a get's answer: copied, so that nobody's memory is in use */
    FRAMED_PIECE_MAX = 32768, /* of a put */
    FRAMED_WINDOW = REORDER_WINDOW,
    FRAMED_RESERVE = 8, /* of it, for goodbyes and answers                          */
    FRAMED_WINDOW_BYTES = 1 << 20,
    FRAMED_SMALL = 256,
    FRAMED_LARGE = TRANSPORT_HEAD_MAX + FRAMED_EAGER_MAX,
    FRAMED_SPARE = 1024, /* frames of each size kept for later */
    FRAMED_ASKED = 16,   /* gets and atomics of one end that are not answered */
    FRAMED_LENTS = 256,  /* of a peer's, remembered */
    FRAMED_ADDRESS_MAX = 3 * (TRANSPORT_TELL_MAX - 32),
    FRAMED_KEY = 32,
    FRAMED_ROOM = 8, /* words of a mark that are the fabric's */
};

/* For what has arrived when the link fell: so many looks at the fabric that find nothing. Where no
 * goodbye was said they prove nothing: in a queue that several write to (UCX's shared memory) one
 * who has taken a place, and no processor to fill it, keeps back what others wrote behind him. */
enum { FRAMED_LAST_LOOKS = 3 };
#define FRAMED_LAST_NS (200 * INT64_C(1000000)) /* … so they are repeated so long */

#define FRAMED_CLOSE_NS (2 * INT64_C(1000000000)) /* for what is under way when a link falls */
#define FRAMED_AGAIN_NS INT64_C(1000000) /* a fabric that takes no more is asked again so soon */

enum frame_kind {
    FRAME_ACK,
    FRAME_HELLO,
    FRAME_BYE,
    FRAME_MESSAGE,
    FRAME_PUT,
    FRAME_GET,
    FRAME_LOOK, /* is what the fabric moved itself still allowed? Answered as a get of nothing */
    FRAME_ADD,
    FRAME_SWAP,
    FRAME_DATA,   /* of a get: from `offset` of it; of an atomic: 8 bytes, the former value */
    FRAME_DENIED, /* of a get or a look */
    FRAME_FILL,   /* a long put: `amount` bytes, to be fetched */
    FRAME_FILLED, /* they are there */
    FRAME_LEND,   /* a message, and with it the memory of its key: `amount` bytes */
    FRAME_WITHDRAW, /* which is not to be had any more */
    FRAME_LAST = FRAME_WITHDRAW,
    FRAME_SLIM = 256, /* a message, too; no header says that in a byte */
};
enum { FRAME_ASKS = 1 };

/* What a header says. */
struct header {
    uint64_t token;
    uint32_t link, seq, heard;
    uint16_t kind, hlen;
    uint8_t flags, credit; /* credit: of a slim one */
    uint64_t region, secret; /* the key */
    uint64_t offset, amount, compare, work;
    void *fetch; /* of a FILL or LEND: what the fabric fetches it by; NULL: it came along */
    bool waited; /* before its turn: `fetch` was kept, and is to be given back */
};

enum framed_state {
    FRAMED_NEW,
    FRAMED_OFFERING,
    FRAMED_PAIRED,
    FRAMED_UP,
    FRAMED_DRAINING,
    FRAMED_ENDING,
    FRAMED_DOWN,
};

struct framed;
struct framed_link;

/* What the fabric is given with each thing it does, and hands back when it is through with it. */
enum mark_kind { MARK_FRAME, MARK_PART, MARK_BUFFER };
struct mark {
    void *room[FRAMED_ROOM]; /* the fabric's, until then */
    uint32_t kind;
};

/* The way to a counterpart's fabric address; it may outlive its link by a moment. */
struct endpoint {
    struct list entry; /* t->closing */
    struct framed *t;
    struct framed_link *link; /* NULL: it is down */
    uint64_t to;              /* the fabric's own: the counterpart */
    void *ending;             /* the fabric's own: what tells that it is closed, or then ends */
    uint32_t full_at;         /* t->looks when the fabric took no more; 0: never */
    uint32_t busy;            /* frames, parts and fetches that the fabric still has */
    int64_t until;            /* that is waited for no longer */
    uint32_t lends;           /* of these frames, that lend memory */
    bool lingers, closed;     /* until the counterpart has gone, or `until`; with the fabric */
    bool failed, lost;        /* says the fabric; it does not let go of what it has */
};

/* Out: until it is confirmed and the fabric has let go of it. Header and bytes lie behind each
 * other: a header that is not wide begins later. */
struct frame {
    struct mark mark;
    struct list entry; /* t->flying, while it is busy; or a list of spare ones */
    struct endpoint *end;
    void *memory;        /* the fabric's: its registration */
    struct work *work;   /* not NULL: its data lies in the caller's memory … */
    const uint8_t *away; /* … there, so long; of a FILL it is fetched, and len is 0 */
    size_t away_len;
    uint64_t lent; /* of a LEND: the region */
    bool busy, confirmed, lends;
    uint16_t kind;
    uint16_t hlen; /* of a slim one SLIM_KEY … */
    uint64_t word; /* … and this, which is not in it */
    size_t len, cap; /* of data; cap: of bytes[] */
    uint8_t header[FRAMED_HEADER_WIDE];
    uint8_t bytes[];
};

static inline size_t frame_header_len(const struct frame *f)
{
    if (f->kind == FRAME_SLIM) return SLIM_HEADER;
    return f->kind >= FRAME_PUT ? FRAMED_HEADER_WIDE : FRAMED_HEADER;
}
static inline uint8_t *frame_start(struct frame *f)
{
    return f->header + FRAMED_HEADER_WIDE - frame_header_len(f);
}

/* An rma or flush under way. */
struct work {
    struct list entry; /* link->works, until it is done */
    struct endpoint *end;
    struct rma *op; /* NULL: a flush */
    uint64_t cookie, id;
    size_t sent, got;
    uint32_t last_seq; /* of its frames */
    uint32_t busy;     /* its parts and frames that the fabric still has */
    bool native;       /* moved by the fabric itself, in parts; then LOOK */
    bool fills;        /* one FILL */
    bool lent;         /* fetched from what was lent */
    bool all_sent, asked, answered;
    int status;
    void *memory; /* the fabric's: a registration of op->local */
};

/* What a peer asked for, and the fabric is to do here: a FILL that is being fetched, or a word that
 * is being updated; or, of this end's own, what was lent, for a get. */
struct framed_landing {
    struct list entry; /* t->landings */
    struct endpoint *end;
    struct work *get; /* NULL: asked for by the peer */
    uint64_t region, work;
    uint16_t kind;
    bool given_up; /* it holds its region no more */
    bool waits;    /* of a word: the fabric has not taken it yet */
    struct {       /* … where it is to the fabric, and what is to be done */
        uint64_t address, secret, operand, compare, former;
    } word;
};

/* A peer's memory on offer. */
struct lent {
    struct list entry; /* link->lents */
    uint64_t region, secret, len;
    void *fetch; /* by which the fabric fetches it */
};

/* What a peer has asked for and is not answered yet. */
struct serve {
    struct list entry; /* link->serves */
    uint64_t work, region, secret, offset, len, at, value;
    unsigned right;
    uint16_t kind;
};

/* Memory of mine that a key names. */
struct registered {
    struct region *region; /* NULL: free */
    uint32_t generation, next_free;
    uint32_t landings; /* the fabric writes there, of its own accord, or has it to lend */
    bool withdrawn;    /* what was lent: the reader was told */
    unsigned rights, native; /* native: of these, those that the fabric has */
    uint64_t secret;
    void *memory; /* the fabric's registration; NULL: peers reach it by frames alone */
};

/* A key of a peer's memory. native: of the rights, those for which the fabric itself moves it,
 * under `secret`, at `address`. */
struct key {
    uint64_t region, secret, address, len;
    unsigned rights, native;
    bool read_once; /* by one reader, who may refuse */
};

/* The fabric's side. What it has no use for is NULL. */
struct fabric {
    const char *name; /* for people */
    bool wakes;       /* whoever sleeps on it, while it connects too */
    bool in_place;    /* data of a put goes from where it lies, apart from its header */
    uint32_t piece;   /* of a put, in one frame: at most FRAMED_PIECE_MAX; a copy: FRAMED_LARGE */
    uint32_t fetches; /* puts from so many bytes on are fetched by the target; 0: none are */
    /* The address is what the counterpart's framed->address is. 0, and end->to is set; or why not.
     * */
    int (*open)(struct endpoint *end, const uint8_t *address, size_t len, struct why *why);
    /* Once. By force: what is still under way is dropped. */
    void (*close)(struct endpoint *end, bool by_force);
    bool (*is_closed)(struct endpoint *end); /* after close(); NULL: at once */
    /* It still has memory of a caller's who must have it back: from here on nothing may touch that,
     * and nothing else need work (framed_break). */
    void (*give_up)(struct framed *t);
    /* From frame_start(), header and bytes. 0: copied or gone. PENDING: until frame_is_free().
     * AGAIN: not taken, ask again after a look. < 0: it is broken, why in why. */
    int (*send)(struct endpoint *end, struct frame *f, struct why *why);
    /* What it still has of a frame goes now, if it can, though its sender should not look again. */
    void (*push)(struct endpoint *end);
    /* Bounded. Whether anything had happened. */
    bool (*look)(struct framed *t);
    /* What was to be fetched, as it came: into `to`. 0: it is there. PENDING: until
     * landing_is_over(). */
    int (*fetch)(struct framed_landing *g, void *what, uint8_t *to, size_t len, struct why *why);
    void (*refuse)(struct framed *t, void *what); /* it was kept, and will not be fetched */
    /* g->word, of this end's own memory. PENDING: until landing_is_over(), and word.former is set.
     * AGAIN: not taken. */
    int (*update)(struct framed_landing *g, struct why *why);
    /* Start what is left of a native work: w->sent, w->busy, until op->len. 0, AGAIN, < 0. */
    int (*move)(struct work *w, const struct key *key, struct why *why);
    /* Register what peers may have moved; r->secret may change. 0, or it goes by frames. */
    int (*expose)(struct framed *t, struct registered *r, unsigned rights, uint64_t *address);
    void (*hide)(struct framed *t, struct registered *r);
    void (*frame_made)(struct framed *t, struct frame *f);
    void (*frame_gone)(struct framed *t, struct frame *f);
    void (*work_over)(struct framed *t, struct work *w);
};

struct framed_link {
    struct link base;
    uint8_t state;
    bool wants_room, offer_due, ack_due, ack_busy, heard_hello, heard_bye, said_bye, hand_up,
        hands_back, closing;
    bool announced; /* by up() */
    int status;
    enum gone gone;
    uint32_t id;
    uint64_t token;
    char name[48];
    int64_t deadline;
    uint32_t looks, first_look; /* ENDING: idle_looks and looks when it began … */
    int64_t last_look;          /* … and when the last one may be */
    struct endpoint *end;

    /* the counterpart: its fabric address, in parts */
    uint64_t theirs_token;
    uint32_t theirs_id;
    uint8_t *address;
    uint32_t address_len, address_got;

    /* out: frames acked + 1 … sent are not confirmed, at out[seq % FRAMED_WINDOW] */
    uint32_t sent, acked;
    size_t unconfirmed;
    struct frame *out[FRAMED_WINDOW];
    uint64_t next_out; /* what a head that follows begins with (slim.h); 0 at first, at both ends */
    uint32_t bye;      /* its sequence, if said_bye */

    /* in: 1 … dealt were dealt with */
    uint32_t dealt, told;
    size_t dealt_bytes;   /* since told */
    uint64_t next_in;     /* as next_out, after the frames dealt with */
    uint32_t heard;       /* so much is confirmed, and seen to by the next progress: link_settle.
                             Never behind acked: they are compared, and wrap */
    struct reorder early; /* came before its turn, or when progress() had made enough upcalls */

    struct list works, serves, lents;
    uint32_t asked, serving, lents_n;
    uint64_t work_ids;

    struct list of_links, of_waiting, of_due, of_ending;
};

/* What a fabric's transport begins with. */
struct framed {
    struct transport base;
    const struct fabric *fabric;
    const uint8_t *address; /* of this end, in the fabric */
    size_t address_len;
    unsigned native; /* enum region_rights that the fabric grants and uses itself */
    bool moved, in_progress, broken, finishing;
    void *kept;               /* of what has just arrived, what it is fetched by, if that is kept */
    size_t lends;             /* the longest message that can lend what it tells of; 0: none */
    struct framed_link *took; /* in the last progress, or this one, what it expected */
    /* Whose next slim frames have only to be compared: so many, and bytes 8 to 15 of the next, but
     * for credit and heard. NULL: nobody's. Until any other frame comes, or the link drains. */
    struct framed_link *awaited;
    uint64_t awaited_names;
    int awaited_more;
    int budget;
    uint32_t idle_looks, looks; /* at the fabric: that found nothing; all */
    uint64_t strays;

    struct framed_link **links;
    uint32_t links_cap;
    struct registered *regions;
    uint32_t regions_cap, regions_free; /* index + 1 of the first free; 0: none */

    struct list all, due, waiting, ending, closing;
    uint32_t timed;     /* links with a deadline */
    uint32_t full;      /* looks, when the fabric last took no more */
    struct list flying; /* frames that the fabric has */
    struct list landings;
    struct list spare_small, spare_large;
    uint32_t spare_small_n, spare_large_n;
    struct list spare_works, lost_works; /* lost: the fabric would not let go of their memory */
};

static inline struct framed *framed_of(struct transport *t)
{
    return (struct framed *)(void *)t;
}
static inline struct framed_link *framed_link_of(struct link *l)
{
    return (struct framed_link *)(void *)l;
}
static inline struct framed *framed_under(const struct framed_link *l)
{
    return framed_of(l->base.transport);
}
static inline int64_t framed_now(const struct framed *t)
{
    return world_now(t->base.opt.world);
}

/* link.c: what a fabric's transport calls, and the operations of its table */
void framed_init(struct framed *t, const struct fabric *fabric);
int framed_progress(struct transport *base, struct link *l);
/* When progress() has to be called at the latest; 0: now; INT64_MAX: never. */
int64_t framed_deadline(const struct framed *t);
void framed_finish(
    struct framed *t); /* every link is down: what still is on its way gets a moment */
void framed_release(struct framed *t);
int framed_connect(struct link *base, const void *bytes, size_t len);
void framed_disconnect(struct link *base, enum disconnect_how how);
/* The fabric says that the way there is no more. */
void endpoint_fail(struct endpoint *end, int status, const char *what);
/* The fabric itself does not work any more. */
void framed_break(struct framed *t, int status, const char *what);

static inline struct framed_link *link_by_id(const struct framed *t, uint32_t id, uint64_t token)
{
    struct framed_link *l = id < t->links_cap ? t->links[id] : NULL;
    return l && l->token == token ? l : NULL;
}
void link_make_due(struct framed_link *l);
void link_is_up(struct framed_link *l); /* or was, before what has arrived is handed up */
/* Frames wait for one before them, or do not any more: it does not stay away for ever. */
void link_mind_gap(struct framed_link *l);
/* It ends. hand_up: what has arrived first. */
void link_fall(struct framed_link *l, int status, enum gone gone, bool hand_up);
void link_left_after_all(struct framed_link *l);
/* An answer of the fabric's that is an error; the text is the link's, or `what`. Returns its
 * status. */
int link_trouble(struct framed_link *l, int status, const char *what);

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

/* frame.c */
bool frame_may(const struct framed_link *l, size_t len, bool reserved);
struct frame *frame_take(struct framed *t, size_t len);
void frame_give(struct framed *t, struct frame *f);
/* In f: bytes, len, hlen, kind. 0, or AGAIN or < 0 and f is still the caller's. */
int frame_send(struct framed_link *l, struct frame *f, const struct header *h);
int frame_send_control(struct framed_link *l, enum frame_kind kind, unsigned flags);
/* The fabric has let go of it. 0: it was sent; < 0: why. */
void frame_is_free(struct frame *f, int status, const char *why);
void frames_confirm(struct framed_link *l, uint32_t upto);
bool frames_hand_back(struct framed_link *l); /* false: later */
void frames_drop(struct framed_link *l);
void frames_release(struct framed *t);
void ack_send(struct framed_link *l);
int framed_send(struct link *base, const void *head, size_t hlen, const void *body, size_t blen,
                struct region *region, uint64_t cookie);

/* arrive.c */
/* The fabric calls it, from look(), with what has come from whomever. */
void frame_arrived(struct framed *t, const uint8_t *bytes, size_t len);
/* Its data apart from its header; or, fetch not NULL, to be fetched by that. True: which was kept.
 */
bool frame_arrived_apart(struct framed *t, const uint8_t *header, size_t header_len,
                         const uint8_t *data, size_t len, void *fetch);
void early_take(struct framed_link *l); /* what came before its turn, as far as it goes */
void early_drop(struct framed_link *l);
void slim_await(struct framed *t, struct framed_link *l); /* a frame that can be taken at once */
void link_settle(struct framed_link *l); /* what was taken at once had confirmed */

/* rma.c */
int framed_rma(struct link *base, struct rma *op);
int framed_flush(struct link *base, uint64_t cookie);
void works_advance(struct framed_link *l);
void works_look(struct framed_link *l);             /* which are done by now */
bool works_fail(struct framed_link *l, int status); /* false: later */
void works_release(struct framed *t);
/* A part of a native work is over. why NULL: it was moved. */
void work_part_over(struct work *w, const char *why);
int work_answered(struct framed_link *l, const struct header *h, const uint8_t *data, size_t len);
int serve_put(struct framed_link *l, const struct header *h, const uint8_t *data, size_t len);
int serve_asked(struct framed_link *l, const struct header *h);
int serve_keep(struct framed_link *l, const struct serve *s);
/* 0: *to is where a put goes, NULL when the memory has been taken back: then it goes nowhere. */
int put_target(struct framed_link *l, const struct header *h, uint64_t len, uint8_t **to);
void serves_advance(struct framed_link *l);
void serves_drop(struct framed_link *l);

/* fill.c */
int serve_fill(struct framed_link *l, const struct header *h, const uint8_t *data, size_t len);
void fill_refuse(struct framed *t, const struct header *h); /* it will not be fetched */
/* The fabric writes there no more: the bytes have come (0), or will not. */
void landing_is_over(struct framed_landing *g, int status, const char *why);
struct framed_landing *landing_make(struct framed_link *l, const struct header *h);
void landing_release(struct framed_landing *g); /* it was never with the fabric */
void landings_give_up(struct framed *t, const struct endpoint *end);
void landings_release(struct framed *t);

/* update.c */
int update_begin(struct framed_link *l, const struct header *h);
void updates_advance(struct framed_link *l);
void updates_drop(struct framed_link *l); /* those that the fabric has not taken */

/* lend.c */
bool lend_may(const struct framed *t, const struct region *region, size_t len);
void lend_mark(struct frame *f, const struct region *region, struct header *h);
void lend_starts(struct frame *f);  /* the fabric has it */
void lend_is_over(struct frame *f); /* … no longer */
void lends_give_up(struct framed *t, const struct endpoint *end);
void lend_withdraw(struct registered *r);
void lent_keep(struct framed_link *l, const struct header *h);
struct lent *lent_find(const struct framed_link *l, uint64_t region, uint64_t secret);
int lent_read(struct framed_link *l, struct lent *kept, struct work *w);
void lent_withdrawn(struct framed_link *l, const struct header *h);
void lents_drop(struct framed_link *l);

/* region.c */
int framed_reg(struct transport *base, struct link *l, struct region *region);
int framed_dereg(struct transport *base, struct region *region);
/* len bytes at offset of a region of mine, if the key allows that; NULL: why not in why. */
uint8_t *region_memory(struct framed *t, uint64_t id, uint64_t secret, unsigned right,
                       uint64_t offset, uint64_t len, struct why *why);
bool region_key(const struct region *region, struct key *key);
/* The key of one of mine, that is registered. */
void region_own_key(const struct framed *t, uint64_t id, struct key *key);
bool region_was(const struct framed *t, uint64_t id); /* registered, and is no more */
/* The fabric has hold of it (1), and has no longer (-1). */
void region_hold(struct framed *t, uint64_t id, int more);
void regions_release(struct framed *t);

#endif
