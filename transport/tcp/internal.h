/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_TCP_INTERNAL_H
#define TRANSPORT_TCP_INTERNAL_H
/*
 * internal.h - how the files of this folder fit together
 *
 *   tcp.c      the table; epoll, deadlines, progress
 *   address.c  where a rank can be reached, as bytes
 *   here.c     the addresses of this host, best first
 *   route.c    by which of its addresses to go to a peer first
 *   shake.c    from connected to trusted: the handshake, then TLS where asked for
 *   tls.c      TLS 1.3 on a socket, by OpenSSL
 *   pending.c  strangers: accepted connections until they have proven who they are
 *   link.c     the life of a link: setup, up, drain, down
 *   line.c     its connections, one at a time: open, lost, taken from the peer
 *   attempt.c  connections that this end begins, to one address of the peer after the other
 *   silence.c  whether the peer's kernel is still there
 *   stream_out.c, stream_in.c  bytes on a line that is open: frames, puts
 *   session.c  numbers on frames, and what may have to be sent again; no I/O
 *   repair.c   when to try again or to give up, and whose attempt stands; no I/O
 *   region.c   memory that peers may put into
 *   report.c   errno into text, and log lines that cannot flood
 *
 * A link's life:     connect() or link() -> SETUP -> UP -> DRAINING -> ENDING -> down()
 *
 * Its line:          WAITING -> CONNECTING -> SHAKING -> GREETING -> OPEN -> LOST
 *                       ^___________|____________|__________|__________________|  (try again)
 *                       |__________________ (one of the peer's is taken) ______^
 *
 * A link that is up stays up while its line is repaired: messaging sees nothing but delay. On a new
 * connection who connected says JOIN, the other WELCOME, or a BYE of one byte that says why not
 * (enum greeting); both say how far they are, so that each sends again what the other has not
 * (session.h). Crossing: repair.h. Whoever is told BUSY tries again after a pause, in which the
 * other's attempt normally arrives: no message is needed to settle it, and a lost attempt heals.
 *
 * Nothing here waits for a peer's *process* with a clock: deadlines run until the peer's kernel has
 * accepted, in DRAINING until its kernel has everything; that of a relay is another's, see link.c.
 *
 * GONE_DIED: a link that was up, and its host's kernel answers that nobody listens any more, or
 * somebody else does, or the peer knows nothing of the session (it let go without a goodbye:
 * DISCONNECT_NOW, sinew_abandon, which is meant to look so). GONE_BROKEN: every other failure, and
 * so is a refused first connection: the rank may have left, died, or be behind a firewall.
 */
#include <net/if.h>
#include <netinet/in.h>
#include <sys/epoll.h>

#include "base/frame.h"
#include "base/handshake.h"
#include "base/place.h"
#include "base/timer.h"
#include "transport/tcp/region.h"
#include "transport/tcp/repair.h"
#include "transport/tcp/session.h"
#include "transport/tcp/tcp.h"
#include "transport/tcp/tls.h"

enum {
    TCP_EAGER_MAX = 32 * 1024,
    TCP_BEGIN = 16 * 1024,           /* of a long message goes with its announcement */
    TCP_BUFFER = 64 * 1024,          /* of what comes, per link */
    TCP_READ = 20 * 1024,            /* one receive: a message of eager_bytes whole; puts have their
                                        own place */
    TCP_READ_PEEK = 36 * 1024,       /* the longest message whole: behind it is rarely a put */
    TCP_HOLD = 16 * 1024,            /* what is held back goes when there is so much */
    /* of a put: messages go in between, and it may go again whole … */
    TCP_FRAGMENT = 256 * 1024,
    TCP_FRAGMENT_MAX = 1024 * 1024,  /* … where that is unlikely and the kernel does all the work */
    TCP_PUT_HEAD = 24,               /* u64 region, u64 offset, u32 checksum, u32 0 */
    TCP_PUT_COPY = 32 * 1024,        /* shorter puts are copied, so done at once */
    TCP_BURST = 1024 * 1024,         /* when so many bytes were moved it is another link's turn */
    TCP_FLUSHES = 8,                 /* under way at once, per link */
    TCP_PENDING_MAX = 64,            /* strangers at once */
    TCP_ACCEPTS = 16,                /* at once */
    TCP_DAMAGES = 4,                 /* of one frame, in a row: then it will not come whole */
    TCP_REFUSALS = 3,                /* in a row: then nobody there is the peer any more */
    TCP_ADDRESS_MAX = JOIN_ADDRESS_MAX,
    TCP_PUBLISHED_MAX = 19, /* of it, in a record, beside what shared memory publishes */
    TCP_PLACES_MAX = 12,
    TCP_NAME_MAX = 128,
    TCP_PATH_MAX = 320,
    HERE_MAX = 32,
    ROUTES_MAX = 12,
};

#define TCP_PENDING_DEADLINE (10 * INT64_C(1000000000)) /* or setup_deadline when shorter */
#define TCP_PENDING_GRACE (100 * INT64_C(1000000)) /* then it gives way if all places are taken */
/* Who leaves waits so long for the peer's word that it has the BYE, when only a relay's kernel
 * has. */
#define TCP_LEAVE_PATIENCE (1000 * INT64_C(1000000))
#define TCP_DRAIN_LOOK (1 * INT64_C(1000000)) /* there is no event for "all acknowledged" */
#define TCP_COMPLAINT_EVERY INT64_C(1000000000)

enum greeting { GREETING_REFUSED = 1, GREETING_BUSY = 2, GREETING_UNKNOWN = 3 };

/* What epoll hands back. */
enum source_kind { SOURCE_LISTENER, SOURCE_TIMER, SOURCE_PENDING, SOURCE_LINK };
struct source {
    enum source_kind kind;
    int fd; /* -1: none */
    uint32_t events; /* 0: not in the set; SOURCE_QUIET alone: in it, but nothing is wanted */
};
#define SOURCE_QUIET ((uint32_t)EPOLLET)

/* An address of this host; see here.c. */
struct here_address {
    union place at;
    unsigned index; /* of the interface */
    int score, wanted; /* the higher, and the lower but 0, the better */
    uint8_t bits; /* of its subnet */
    bool loopback, private;
    char name[IF_NAMESIZE];
    const char *remark; /* why it is not among the best; "" */
};
struct here {
    int n;
    struct here_address list[HERE_MAX]; /* best first */
};

/* One of the places where a peer can be reached. */
struct tcp_place {
    union place at;
    bool advertised; /* by its operator: something between may map it */
};

/* Best first. */
enum route_kind {
    ROUTE_PROVEN,
    ROUTE_DIRECT,
    ROUTE_GATEWAY,
    ROUTE_LINK,
    ROUTE_PRIVATE,
    ROUTE_SELF,
    ROUTE_NONE,
};
struct route {
    enum route_kind kind;
    union place to, from;
    int error; /* of ROUTE_NONE */
    bool forbidden; /* by tcp_interface */
    bool proven; /* its host answers for this peer: when it says that nobody is there, it is so */
    char by[IF_NAMESIZE];
};

struct complaints {
    int64_t next_ns;
    uint64_t silenced;
};

struct tcp {
    struct transport base;
    struct source listener, alarm;
    struct timer timer; /* of alarm */
    struct list links;    /* all, by `entry` */
    struct list ready;    /* links with work that no event announces, by `ready` */
    struct list timed;    /* links with a deadline, by `timed` */
    struct list busy;     /* links with puts under way, by `busy` */
    struct list dirty;    /* links that hold bytes back until progress, or have to tell that they
                             do no longer, by `dirty` */
    struct list looked;   /* that owe or are owed, so that silence would matter, by `looked` */
    struct list pendings; /* oldest first */
    struct list corpses;  /* pendings to be released when progress returns */
    unsigned pending_count;
    bool pending_waits;     /* one is authenticated, to be taken up by the next progress */
    int64_t listen_again;   /* 0: listening; else paused until then */
    int64_t due;            /* no deadline is earlier; INT64_MAX: none */
    int64_t look_at;        /* when to look at those; 0: nobody has looked yet */
    struct tcp_link *awaited; /* somebody waits for this link, or has since the last look */
    bool awaited_again;
    struct tcp_link *hushed; /* it is read again and again: no event of what comes, until arm */
    bool in_progress;
    int budget;             /* upcalls left in this progress */
    bool moved;             /* in this progress: bytes, of links that are up */
    struct tcp_link *took;  /* in this progress: what is expected of it; so no upcalls for it */
    bool has_ended_one;     /* in this progress: messaging holds its memory until the end of it */
    unsigned ticks, peeks;  /* of progress; of peeks that found nothing: turns of their own */
    struct tls_library *tls; /* NULL: no connection was encrypted yet */
    struct region_table regions;
    struct complaints complaints, details; /* of warnings and worse, and of the rest */
    struct here here;
    int64_t here_at; /* when that was found */
    uint16_t port; /* listening */
    uint8_t places[TCP_ADDRESS_MAX]; /* where this rank can be reached; base.address: the best */
    uint32_t places_len;
};

enum link_state {
    LINK_NEW,
    LINK_SETUP,    /* messaging does not know it as up yet */
    LINK_UP,
    LINK_DRAINING,
    LINK_ENDING,   /* arrived bytes are handed up, lent memory goes back, then down */
    LINK_DOWN,
};

enum line_state {
    LINE_WAITING,    /* for the next attempt, or one of the peer's */
    LINE_CONNECTING, /* the peer's kernel has not answered */
    LINE_SHAKING,
    LINE_GREETING,   /* authenticated; the peer has not yet said whether it wants this connection */
    LINE_OPEN,
    LINE_LOST,       /* what has arrived is handed up, then it goes */
};

/* Of a connection that is not trusted yet. */
struct shake {
    bool done; /* the handshake; encryption may still have to be agreed on */
    struct handshake handshake;
    struct tls *tls; /* NULL: in clear, or not so far yet */
};

struct flush {
    struct rma marker; /* travels in the queue of puts; peers NULL */
    uint64_t cookie;
    uint64_t sequence; /* 0: not in the window yet */
    bool used;
};

struct stream {
    uint8_t *in; /* TCP_BUFFER: bytes that came */
    uint32_t in_from, in_to;
    /* The fragment on its way in. Its place is looked up for each piece: dereg may come between. */
    struct frame landing;
    uint64_t land_region, land_offset;
    size_t land_left;
    bool land_again; /* it has landed before */
    /* How far frame landed_frame has been given to a landing: if the line breaks in the middle it
     * comes again, and that must not be added twice. */
    uint64_t landed_frame, landed_to;
    uint32_t land_sum, land_sum_due; /* with checksums: so far, and in the end */
    bool damaged;    /* what comes on this line is worth nothing any more */
    bool bodies_came; /* since those under way began … */
    bool exchanges;   /* … and before: the peer sends bodies while this end does */
    bool after_put;  /* the next receive comes behind the body of one */
    bool peeked;     /* what a peek has left is why the link is ready, if it is … */
    bool peek_more;  /* … and, with TLS, there may be more of it than what is in `in` */
    struct frame lent; /* the message that peek lends */
    /* Puts that are not wholly in the session's window; those that are; those acknowledged. */
    struct list puts, moving, finished;
};

struct tcp_link {
    struct link base;
    struct source source;
    enum link_state state;
    enum line_state line;
    enum gone gone;
    int status;
    bool hand_up;    /* ENDING: what has arrived is handed up first */
    bool bye_may_come; /* ENDING because writing failed: then the peer may have left in order */
    bool bye_queued;
    bool bye_out;     /* all that was accepted, and BYE, was written once … */
    bool bye_written; /* … and on this line */
    bool bye_taken;  /* and the next kernel on this line has it all */
    bool drained;    /* and the peer's has, or the peer */
    bool within_host; /* this line */
    bool relayed;    /* a relay or NAT stands between: the next kernel is not the peer's */
    bool blocked;    /* the socket takes no more for now */
    bool wants_room, wants_flush, put_unflushed;
    uint64_t held_cookie, held_to; /* the last send that is HELD, and where it ends; 0: none is */
    unsigned flushing;
    int64_t line_due, drain_due, drain_until;
    /* its own word on the BYE is awaited so long; 0: no relay has had it all */
    int64_t leave_until;
    int64_t attempt_at; /* SHAKING and GREETING: since when */
    int64_t opened_at, probed_at;
    int64_t lost_at; /* the last sign of life of the line before */
    uint32_t attempt, peer_attempt;
    uint8_t address[TCP_ADDRESS_MAX]; /* where the peer listens */
    uint32_t address_len;
    struct repair repair;
    struct silence silence;
    uint64_t losses; /* of lines that were open */
    uint64_t damages;  /* lines lost by a checksum that did not fit, or a record of TLS */
    uint64_t damaged_at;
    unsigned damages_here; /* in a row, of frame damaged_at */
    unsigned refusals; /* in a row, of attempts to repair */
    uint8_t turn, turns; /* the address that is tried, of so many; a round ends with the last */
    uint8_t rounds;
    bool hopeful; /* in this round: some may answer better next time */
    bool proven_turn; /* see struct route */
    int round_status; /* of the first failure in this round */
    union place proven; /* where the last line led */
    char tried[TCP_PATH_MAX]; /* in this round, and what came of it */
    char path[TCP_PATH_MAX]; /* of the line that is open, for people */
    struct list entry, ready, timed, busy, dirty, looked;
    struct shake *shake; /* only while a line comes up by an attempt of our own */
    struct tls *tls;     /* NULL: this line is in clear */
    struct session session;
    struct stream stream;
    struct flush flushes[TCP_FLUSHES];
    char name[TCP_NAME_MAX]; /* "rank 3 at 10.0.0.2:4711" */
};

struct pending {
    struct source source;
    struct list entry;
    int64_t since_ns;
    struct shake shake;
    uint8_t join[JOIN_FRAME];
    size_t join_len;
    char name[TCP_NAME_MAX];
};

static inline struct tcp *tcp_of(struct transport *t) { return (struct tcp *)t; }
static inline struct tcp_link *tcp_link_of(struct link *l) { return (struct tcp_link *)l; }
/* Leaves before the peer has answered its JOIN: it may have taken the connection already, and would
 * take its end for a death. So the goodbye goes behind the JOIN, unasked. */
static inline bool link_leaves_unmet(const struct tcp_link *l)
{
    return l->state == LINK_DRAINING && l->line == LINE_GREETING && l->session.theirs == 0;
}
static inline bool line_carries(const struct tcp_link *l)
{
    return l->line == LINE_OPEN || link_leaves_unmet(l);
}
static inline struct tcp *tcp_under(const struct tcp_link *l) { return tcp_of(l->base.transport); }

/* tcp.c */
int tcp_watch(struct tcp *t, struct source *source, uint32_t events); /* 0 or -errno */
void tcp_unwatch(struct tcp *t, struct source *source); /* and close */
void tcp_due(struct tcp *t, int64_t at_ns);
int64_t tcp_now(const struct tcp *t);
int tcp_socket_ready(const struct tcp *t, int fd); /* its options; 0 or -errno */
bool tcp_within_host(int fd); /* both ends of the connection are on this host */
bool tcp_accepts(const struct tcp *t, int fd); /* it came to an address that is wanted */

/* address.c */
uint32_t address_begin(uint8_t *out, uint16_t port);
/* false: it does not fit. */
bool address_add(uint8_t *out, uint32_t *len, uint32_t cap, const union place *at, bool advertised);
uint32_t address_encode(const union place *at, uint8_t out[TCP_ADDRESS_MAX]); /* of one place */
uint32_t address_ends(int fd, bool is_client); /* for struct join; 0: the connection has broken */
int address_decode(const void *bytes, size_t len, struct tcp_place places[TCP_PLACES_MAX], int *n,
                   struct why *why);
const char *address_text(const union place *at, char out[TCP_NAME_MAX]);
void address_set_port(union place *at, uint16_t port);
bool address_is_loopback(const union place *at);
bool address_is_link_local(const union place *at);
int tcp_reach(struct transport *base, const void *address, size_t len, struct why *why);

/* here.c */
int here_find(const char *wanted, struct here *here, struct why *why);
/* Which of them to be reached at: how many, best first, or < 0. */
int here_choose(const struct here *here, const char *wanted,
                const struct here_address *chosen[HERE_MAX], struct why *why);
const struct here_address *here_has(const struct here *here, const union place *at); /* or NULL */

/* route.c */
int routes_find(const struct here *here, const uint8_t *address, uint32_t len,
                const union place *proven, struct route list[ROUTES_MAX]);
const char *route_kind_text(enum route_kind kind);
/* "from A by eth0 to B" of a connected socket. */
void route_between(const struct here *here, int fd, struct text *text);

/* pending.c */
void pending_accept(struct tcp *t);
void pending_event(struct tcp *t, struct pending *p);
void pending_deadlines(struct tcp *t, int64_t now);
void pending_finish_waiting(struct tcp *t);
void pending_release_corpses(struct tcp *t);
void pending_close_all(struct tcp *t);

/* shake.c */
/* SINEW_ENOTSUP (no OpenSSL), SINEW_EIO, SINEW_ENOMEM with why. */
int shake_begin(struct tcp *t, struct shake *s, enum handshake_role role, int expect_rank,
                struct why *why);
/* 0: the peer is who it says, the bytes that come next are a JOIN or its answer; > 0: not yet,
 * *events says what to wait for; < 0: refused or the connection is gone (SINEW_EPEER), with why. */
int shake_run(struct tcp *t, struct shake *s, int fd, uint32_t *events, struct why *why);
void shake_end(struct tcp *t, struct shake *s); /* and wipe */
/* Of that, the handshake alone; 0: done and all sent. */
int tcp_shake(struct handshake *h, bool *shaken, int fd, uint32_t *events, struct why *why);
/* As send() and recv() that do not wait; tls NULL: in clear. */
ssize_t tcp_bytes_out(struct tls *tls, int fd, const void *bytes, size_t len);
ssize_t tcp_bytes_in(struct tls *tls, int fd, void *bytes, size_t cap, bool *dry);

/* link.c */
int tcp_connect(struct link *base, const void *bytes, size_t len);
void tcp_disconnect(struct link *base, enum disconnect_how how);
void link_work(struct tcp_link *l);
void link_deadlines(struct tcp *t, int64_t now);
void link_make_ready(struct tcp_link *l);
void link_set_due(struct tcp_link *l, int64_t *which, int64_t at);
int link_begin(struct tcp_link *l);
struct tcp_link *link_find(struct tcp *t, int rank); /* or its attempt; NULL */
/* No more from this link, the first reason stands; l->base.why says it already. */
void link_end(struct tcp_link *l, int status, enum gone gone, bool hand_up);
void link_came_up(struct tcp_link *l);
/* The other end is gone for good, by what its host answers; why says how that is known. */
void link_peer_gone(struct tcp_link *l, const struct why *why);
void link_bye_came(struct tcp_link *l);
void link_watch(struct tcp_link *l);

/* line.c */
void line_close(struct tcp_link *l); /* the connection or attempt; the session stays */
void line_shake_release(struct tcp_link *l);
void line_work(struct tcp_link *l);  /* in every state but OPEN */
void line_deadline(struct tcp_link *l);
void line_greeted(struct tcp_link *l, const struct frame *frame, const uint8_t *bytes);
int line_failed(struct tcp_link *l, int error, const char *doing); /* returns < 0 */
/* Silent since `since`; the reason is in l->base.why. What has arrived is handed up first. */
void line_lost(struct tcp_link *l, int64_t since);
/* What came is not what was sent: it comes again over another line, until that is hopeless. */
void line_damaged(struct tcp_link *l, const char *what);
void line_closed_by_peer(struct tcp_link *l);
/* An authenticated connection of a rank has come: 0: fd, and s->tls, are the link's; else the
 * greeting to send. */
int line_adopt(struct tcp *t, int fd, struct shake *s, const struct join *join);

/* attempt.c */
void line_attempt(struct tcp_link *l);
void line_event_connecting(struct tcp_link *l);
void line_shake(struct tcp_link *l);
int line_say(struct tcp_link *l, enum frame_kind kind);
/* What answers there is not the peer, or what it says was damaged. */
void line_refused(struct tcp_link *l, int status, const struct why *reason);
void line_turn_failed(struct tcp_link *l, int status, bool hopeful, const char *brief,
                      const struct why *why);
void line_retry(struct tcp_link *l, const struct why *reason);
void line_give_up(struct tcp_link *l); /* a deadline has passed: the reason is in l->base.why */

/* silence.c */
bool line_signs(const struct tcp_link *l, struct silence_signs *signs);
void line_mark(struct tcp_link *l); /* silence would matter from now on */
void line_look_all(struct tcp *t, int64_t now);

/* stream_in.c */
int stream_begin(struct tcp_link *l);
void stream_release(struct tcp_link *l);
void stream_restart(struct tcp_link *l); /* what had come in part is forgotten */
enum received { RECEIVED_ALL, RECEIVED_MORE, RECEIVED_END };
enum received stream_receive(struct tcp_link *l);
/* The link is up, and its line open. */
int stream_peek(struct tcp_link *l, struct peeked *m);
void stream_drop(struct tcp_link *l);

/* stream_out.c */
void stream_write(struct tcp_link *l, size_t burst);
void stream_push(struct tcp_link *l); /* what was appended goes */
bool stream_is_empty(const struct tcp_link *l);
bool stream_append(struct tcp_link *l, enum frame_kind kind); /* a frame without payload */
void stream_owed(struct tcp_link *l);
bool stream_report(struct tcp_link *l); /* done and room upcalls; false: the budget is used up */
bool stream_return_all(struct tcp_link *l, int status); /* likewise, at the end */
int tcp_send(struct link *base, const void *head, size_t hlen, const void *body, size_t blen,
             struct region *region, uint64_t cookie);
int tcp_rma(struct link *base, struct rma *op);
int tcp_flush(struct link *base, uint64_t cookie);
bool stream_uses(const struct tcp_link *l, const struct region *region);

/* report.c */
int tcp_status(int error); /* the SINEW_E… nearest to an errno */
/* "…: Connection refused (ECONNREFUSED): what to do". Returns `status`. */
int report_errno(struct why *why, int status, int error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* A line at `level`, but one a second at most; the next says how many were left out. */
void tcp_complain(struct tcp *t, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
