/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream_out.c - bytes on a line that is open, on their way out: frames, puts, flushes
 *
 * A message is copied into the session's window, from which it goes, and goes again if the
 * connection breaks. It goes at once; from inside progress at its end, and one that may be HELD
 * with the next progress, so that many go by one call, or when there are TCP_HOLD bytes.
 *
 * A put is cut into fragments that go from the caller's memory, several in a call; others
 * begin only when those have gone, so messages get in between. Its memory is lent until the peer
 * has acknowledged.
 *
 * Flush: a put that has left is not yet visible to the target's CPU: its process has to read. So a
 * flush is a PUT of region 0 without bytes, in the queue of puts: its acknowledgement, which is
 * sent at once, says that all before it have landed.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/crc32c.h"
#include "base/wire.h"
#include "transport/tcp/internal.h"

enum {
    /* At once, where the kernel does all the work. What is sent then is behind them: 1 or 2 ms at
     * the speed of memory, 3 ms at 10 Gb/s. */
    FRAGMENTS_WITHIN_HOST = 8,
    FRAGMENTS = 4,
    /* what precedes each, the body, and the end of the window's memory */
    PIECES = 3 * FRAGMENTS_WITHIN_HOST,
};
_Static_assert((int)FRAGMENTS_WITHIN_HOST < (int)SESSION_LENT, "others may be on their way");

bool stream_is_empty(const struct tcp_link *l)
{
    return session_all_sent(&l->session) && list_empty(&l->stream.puts) &&
           !(l->tls && tls_waits(l->tls));
}

bool stream_append(struct tcp_link *l, enum frame_kind kind)
{
    struct frame frame = { .kind = (uint8_t)kind };
    return session_append(&l->session, &frame, NULL, 0, NULL, 0, true);
}

/* An acknowledgement that the peer waits for, if no other frame has carried it. In the middle of a
 * body it does not: who sends more is not held up by the end of what it sent before. */
void stream_owed(struct tcp_link *l)
{
    if (l->stream.land_left > 0 && !session_ack_is_due(&l->session)) return;
    if (session_owes_ack(&l->session) && !l->bye_queued) stream_append(l, FRAME_ACK);
}

static struct flush *flush_of(struct tcp_link *l, const struct rma *op)
{
    for (int i = 0; i < TCP_FLUSHES; i++)
        if (&l->flushes[i].marker == op) return &l->flushes[i];
    return NULL;
}

static void put_not_busy(struct tcp_link *l)
{
    if (list_empty(&l->stream.puts) && list_empty(&l->stream.moving)) list_remove(&l->busy);
}

/* With a checksum of its own: bytes land before the one of the whole can be known. */
static void put_head(const struct tcp_link *l, uint8_t head[TCP_PUT_HEAD], uint64_t region,
                     uint64_t offset)
{
    wire_put64(head, region);
    wire_put64(head + 8, offset);
    wire_put32(head + 16, l->session.sums ? crc32c(0, head, 16) : 0);
    wire_put32(head + 20, 0);
}

static bool flush_append(struct tcp_link *l, struct flush *flush)
{
    uint8_t head[TCP_PUT_HEAD];
    struct frame frame = { .kind = FRAME_PUT, .length = sizeof(head), .flags = FRAME_URGENT };
    put_head(l, head, 0, 0);
    if (!session_append(&l->session, &frame, head, sizeof(head), NULL, 0, false)) return false;
    flush->sequence = frame.sequence;
    list_remove(&flush->marker.entry);
    put_not_busy(l);
    return true;
}

/* Whether fragments are short and go one by one: this end has work with each, or they may go in
 * vain. */
static bool fragments_are_short(const struct tcp_link *l)
{
    return l->tls || l->session.sums || l->losses;
}

/* The last fragment is urgent: with its acknowledgement the whole put is done. */
static bool fragment_append(struct tcp_link *l, struct rma *op)
{
    uint8_t head[TCP_PUT_HEAD];
    size_t most = fragments_are_short(l) ? TCP_FRAGMENT : TCP_FRAGMENT_MAX;
    size_t left = op->len - op->progress, len = left < most ? left : most;
    bool last = len == left;
    struct frame frame = { .kind = FRAME_PUT, .length = (uint32_t)(sizeof(head) + len),
                           .flags = last ? FRAME_URGENT : 0 };
    put_head(l, head, op->peers->id, op->offset + op->progress);
    if (!session_append_lent(&l->session, &frame, head, sizeof(head),
                             (const uint8_t *)op->local + op->progress, len, last ? op : NULL))
        return false;
    op->progress += len;
    if (!last) return true;
    list_remove(&op->entry);
    list_append(&l->stream.moving, &op->entry);
    return true;
}

/* Puts whose last fragment is acknowledged. */
static void puts_collect(struct tcp_link *l)
{
    void *owner;
    while (session_returned(&l->session, &owner)) {
        struct rma *op = owner;
        if (!op) continue;
        list_remove(&op->entry);
        list_append(&l->stream.finished, &op->entry);
        put_not_busy(l);
    }
}

/* Bodies are due here, and came while these or the last went out: both ends write, and what one
 * writes at once waits in the kernel, out of the caches, until the other has written as much. */
static bool both_ways(const struct tcp_link *l)
{
    const struct stream *s = &l->stream;
    return (s->exchanges || s->bodies_came) && tcp_under(l)->regions.live > 0;
}

static uint32_t fragments_at_once(const struct tcp_link *l)
{
    if (fragments_are_short(l) || both_ways(l)) return 1;
    return l->within_host ? FRAGMENTS_WITHIN_HOST : FRAGMENTS;
}

/* One is about to be queued. */
static void puts_begin(struct stream *s)
{
    if (!list_empty(&s->puts) || !list_empty(&s->moving)) return;
    s->exchanges = s->bodies_came;
    s->bodies_came = false;
}

/* The next fragments, when few others have still to go. */
static void puts_append(struct tcp_link *l)
{
    struct stream *s = &l->stream;
    uint32_t most = fragments_at_once(l);
    puts_collect(l); /* makes room */
    while (!list_empty(&s->puts) && l->session.lent_to - l->session.lent_at < most) {
        struct rma *op = LIST_OWNER(s->puts.next, struct rma, entry);
        if (!(op->peers ? fragment_append(l, op) : flush_append(l, flush_of(l, op)))) return;
    }
}

/* Bytes sent, 0 when the socket takes none, < 0 when the line has failed. */
static ssize_t stream_sendmsg(struct tcp_link *l, struct iovec *v, int count)
{
    struct msghdr message = { .msg_iov = v, .msg_iovlen = (size_t)count };
    const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    for (;;) {
        ssize_t n = l->tls     ? tls_send(l->tls, v, count)
                    : count == 1 ? send(l->source.fd, v[0].iov_base, v[0].iov_len, flags)
                               : sendmsg(l->source.fd, &message, flags);
        if (n >= 0) return n;
        if (errno == EAGAIN) return 0;
        if (errno != EINTR) return line_failed(l, errno, "sending");
    }
}

void stream_write(struct tcp_link *l, size_t burst)
{
    struct iovec v[PIECES];
    size_t moved = 0;
    int count;
    while (moved < burst && line_carries(l)) {
        if (!list_empty(&l->stream.puts)) puts_append(l);
        size_t bytes = session_gather(&l->session, v, PIECES, &count);
        if (bytes == 0 && !(l->tls && tls_waits(l->tls))) return;
        ssize_t n = stream_sendmsg(l, v, count);
        if (n < 0) return;
        session_sent(&l->session, (size_t)n);
        moved += (size_t)n;
        if (n > 0) tcp_under(l)->moved = true;
        /* epoll tells when the socket takes more */
        l->blocked = (size_t)n < bytes || (l->tls && tls_waits(l->tls));
        if (l->blocked) return;
    }
    link_make_ready(l); /* that was much: the others' turn */
}

static void stream_done(struct tcp_link *l, uint64_t cookie, int status)
{
    struct tcp *t = tcp_under(l);
    t->budget--;
    t->base.up->done(&l->base, cookie, status);
}

static bool held_has_gone(const struct tcp_link *l)
{
    return l->held_cookie && session_has_gone(&l->session, l->held_to);
}

/* Or, with a status < 0, whether they have or not. */
static bool report_held(struct tcp_link *l, int status)
{
    uint64_t cookie = l->held_cookie;
    bool gone = held_has_gone(l);
    if (!gone && (!cookie || status == 0)) return true;
    if (tcp_under(l)->budget < 1) return false;
    l->held_cookie = 0;
    stream_done(l, cookie, gone ? 0 : status);
    return true;
}

static void stream_make_dirty(struct tcp_link *l)
{
    if (list_empty(&l->dirty)) list_append(&tcp_under(l)->dirty, &l->dirty);
}

void stream_push(struct tcp_link *l)
{
    list_remove(&l->dirty);
    if (l->line != LINE_OPEN || l->state >= LINK_ENDING) return;
    if (!l->blocked) {
        stream_write(l, TCP_BURST);
        if (l->line == LINE_OPEN && l->blocked) link_watch(l);
    }
    if (!held_has_gone(l)) return;
    bool may_report = tcp_under(l)->in_progress && tcp_under(l)->took != l;
    if (!may_report || !report_held(l, 0)) stream_make_dirty(l);
}

/* Something new is in the window. */
static void stream_added(struct tcp_link *l, bool may_wait)
{
    struct session *s = &l->session;
    if (list_empty(&l->looked)) line_mark(l);
    if ((may_wait || tcp_under(l)->in_progress) && s->to - s->at < TCP_HOLD)
        stream_make_dirty(l);
    else
        stream_push(l);
}

/* 0: sending may go on; else what send, rma and flush return. */
static int stream_refuses(struct tcp_link *l)
{
    if (l->state < LINK_UP) {
        l->wants_room = true;
        return TRANSPORT_AGAIN;
    }
    if (l->state == LINK_UP) return 0;
    return l->status < 0 ? l->status : SINEW_EPEER;
}

int tcp_send(struct link *base, const void *head, size_t hlen, const void *body, size_t blen,
             struct region *region, uint64_t cookie)
{
    struct tcp_link *l = tcp_link_of(base);
    (void)region; /* every body up to eager_max is copied */
    if (hlen > TRANSPORT_HEAD_MAX || blen > TCP_EAGER_MAX)
        return why_set(&base->transport->why, SINEW_EINVAL,
                       "a head of %zu and a body of %zu bytes where tcp takes %d and %d",
                       hlen, blen, TRANSPORT_HEAD_MAX, TCP_EAGER_MAX);
    int rc = stream_refuses(l);
    if (rc) return rc;
    struct frame frame = { .kind = FRAME_MESSAGE, .head = (uint8_t)hlen,
                           .length = (uint32_t)(hlen + blen) };
    if (!session_append(&l->session, &frame, head, hlen, body, blen, false)) {
        l->wants_room = true;
        return TRANSPORT_AGAIN;
    }
    if (cookie) {
        l->held_cookie = cookie;
        l->held_to = l->session.to;
    }
    stream_added(l, cookie != 0);
    return cookie ? TRANSPORT_HELD : 0;
}

static bool put_copy(struct tcp_link *l, const struct rma *op)
{
    uint8_t head[TCP_PUT_HEAD];
    struct frame frame = { .kind = FRAME_PUT, .length = (uint32_t)(sizeof(head) + op->len) };
    put_head(l, head, op->peers->id, op->offset);
    return session_append(&l->session, &frame, head, sizeof(head), op->local, op->len, false);
}

static void put_queue(struct tcp_link *l, struct rma *op)
{
    struct tcp *t = tcp_under(l);
    op->progress = 0;
    if (op->peers) puts_begin(&l->stream);
    list_append(&l->stream.puts, &op->entry);
    if (list_empty(&l->busy)) list_append(&t->busy, &l->busy);
    puts_append(l); /* the first few of one that is alone are before what is sent from now on */
    stream_added(l, false);
}

int tcp_rma(struct link *base, struct rma *op)
{
    struct tcp_link *l = tcp_link_of(base);
    if (op->kind != RMA_PUT)
        return why_set(&base->transport->why, SINEW_ENOTSUP, "tcp has put only");
    if (!op->peers || op->offset > op->peers->len || op->len > op->peers->len - op->offset)
        return why_set(&base->transport->why, SINEW_EINVAL,
                       "a put of %zu bytes outside of the region it names", op->len);
    int rc = stream_refuses(l);
    if (rc) return rc;
    l->put_unflushed = true;
    if (op->len <= TCP_PUT_COPY && list_empty(&l->stream.puts) && put_copy(l, op)) {
        if (tcp_under(l)->in_progress)
            stream_make_dirty(l); /* what says that it is there goes along */
        else
            stream_added(l, false);
        return 0;
    }
    put_queue(l, op);
    op->ahead = op->progress == op->len;
    return TRANSPORT_PENDING;
}

int tcp_flush(struct link *base, uint64_t cookie)
{
    struct tcp_link *l = tcp_link_of(base);
    int rc = stream_refuses(l);
    if (rc) return rc;
    if (!l->put_unflushed && l->flushing == 0) return 0;
    for (int i = 0; i < TCP_FLUSHES; i++) {
        struct flush *flush = &l->flushes[i];
        if (flush->used) continue;
        *flush = (struct flush){ .marker = { .kind = RMA_PUT }, .cookie = cookie, .used = true };
        l->flushing++;
        l->put_unflushed = false;
        put_queue(l, &flush->marker);
        return TRANSPORT_PENDING;
    }
    l->wants_flush = true;
    return TRANSPORT_AGAIN;
}

static bool list_uses(const struct list *puts, const struct region *region)
{
    for (const struct list *e = puts->next; e != puts; e = e->next) {
        const struct rma *op = LIST_OWNER(e, const struct rma, entry);
        if (op->peers == region || op->mine == region) return true;
    }
    return false;
}

bool stream_uses(const struct tcp_link *l, const struct region *region)
{
    return list_uses(&l->stream.puts, region) || list_uses(&l->stream.moving, region);
}

/* --- telling what was sent -------------------------------------------------------------------- */

static bool report_finished(struct tcp_link *l)
{
    puts_collect(l);
    while (!list_empty(&l->stream.finished)) {
        if (tcp_under(l)->budget < 1) return false;
        struct rma *op = LIST_OWNER(list_take(&l->stream.finished), struct rma, entry);
        stream_done(l, op->cookie, 0);
    }
    return true;
}

/* Flushes that are acknowledged, or, with a status < 0, all. */
static bool report_flushes(struct tcp_link *l, int status)
{
    for (int i = 0; i < TCP_FLUSHES && l->flushing > 0; i++) {
        struct flush *flush = &l->flushes[i];
        bool landed = flush->sequence && flush->sequence <= l->session.acknowledged;
        if (!flush->used || !(landed || status < 0)) continue;
        if (tcp_under(l)->budget < 1) return false;
        flush->used = false;
        l->flushing--;
        stream_done(l, flush->cookie, landed ? 0 : status);
    }
    return true;
}

static bool report_room(struct tcp_link *l)
{
    struct tcp *t = tcp_under(l);
    if (l->state != LINK_UP) return true;
    bool room = l->wants_room && session_room(&l->session) >= SESSION_WINDOW / 2;
    bool flush = l->wants_flush && l->flushing < TCP_FLUSHES;
    if (!room && !flush) return true;
    if (t->budget < 1) return false;
    l->wants_room = l->wants_flush = false;
    t->budget--;
    t->base.up->room(&l->base);
    return true;
}

bool stream_report(struct tcp_link *l)
{
    if (tcp_under(l)->took == l) return false;
    if (!report_finished(l) || !report_held(l, 0)) return false;
    if (l->flushing > 0 && !report_flushes(l, 0)) return false;
    return report_room(l);
}

/* What the peer's kernel has taken before this end left is as good as done. */
static bool return_puts(struct tcp_link *l, struct list *puts, int status)
{
    while (!list_empty(puts)) {
        struct rma *op = LIST_OWNER(puts->next, struct rma, entry);
        bool is_put = op->peers;
        if (is_put && tcp_under(l)->budget < 1) return false;
        list_remove(&op->entry);
        put_not_busy(l);
        if (is_put) stream_done(l, op->cookie, status);
    }
    return true;
}

bool stream_return_all(struct tcp_link *l, int status)
{
    return report_finished(l) && report_held(l, status) &&
           return_puts(l, &l->stream.moving, l->drained ? 0 : status) &&
           return_puts(l, &l->stream.puts, status) && report_flushes(l, status);
}
