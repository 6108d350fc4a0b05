/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream.c - bytes of a link that is up: buffers, frames, puts
 *
 * Out    A message goes to the socket at once when nothing is before it; what the socket does not
 *        take, and what comes while it takes nothing, is copied behind it into `out`. A put is cut
 *        into fragments that go from the caller's memory; one begins only when `out` is empty, and
 *        what is sent while it is under way follows it, so the order of stamping is the order of
 *        the stream, and messages get in between fragments.
 * In     One receive takes as much as `in` holds, usually many messages. The body of a put is
 *        received straight into the region, with room behind it for the next frames.
 * Flush  A put that has left is not yet visible to the target's CPU: its process has to read. So a
 *        flush is a PUT of region 0 without bytes, in the queue of puts: its acknowledgement, which
 *        is sent at once, says that all before it have landed.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/wire.h"
#include "transport/tcp/internal.h"

enum {
    MESSAGE_MAX = TRANSPORT_HEAD_MAX + TCP_EAGER_MAX,
    PAYLOAD_MAX = TCP_PUT_HEAD + TCP_FRAGMENT,
    BEHIND_PUT = 4096, /* received with the end of a put; more would be copied needlessly */
};
_Static_assert(TCP_BUFFER >= FRAME_HEADER + MESSAGE_MAX, "the longest frame fits a buffer");
_Static_assert((int)PAYLOAD_MAX > (int)MESSAGE_MAX, "the bound of frame_decode");

static struct tcp *tcp_under(const struct tcp_link *l)
{
    return tcp_of(l->base.transport);
}

int stream_begin(struct tcp_link *l)
{
    struct stream *s = &l->stream;
    s->out = world_allocate(l->base.transport->opt.world, 2 * TCP_BUFFER);
    if (!s->out)
        return why_set(&l->base.why, SINEW_ENOMEM, "%s: no memory for its buffers (%d bytes)",
                       l->name, 2 * TCP_BUFFER);
    s->in = s->out + TCP_BUFFER;
    return 0;
}

void stream_release(struct tcp_link *l)
{
    struct stream *s = &l->stream;
    world_release(l->base.transport->opt.world, s->out, 2 * TCP_BUFFER);
    s->out = s->in = NULL;
    s->out_from = s->out_to = s->in_from = s->in_to = 0;
}

/* --- out -------------------------------------------------------------------------------------- */

static bool put_under_way(const struct stream *s)
{
    return s->put_head_left > 0 || s->put_left > 0;
}

/* Nothing is on its way: what comes now may go straight to the socket. */
static bool stream_is_idle(const struct stream *s)
{
    return s->out_from == s->out_to && !put_under_way(s) && list_empty(&s->puts);
}

bool stream_is_empty(const struct tcp_link *l)
{
    return stream_is_idle(&l->stream);
}

bool stream_wants_write(const struct tcp_link *l)
{
    return l->stream.out && !stream_is_idle(&l->stream);
}

static bool stream_make_room(struct stream *s, size_t len)
{
    if (s->out_from == s->out_to) s->out_from = s->out_to = 0;
    if (TCP_BUFFER - s->out_to >= len) return true;
    if (TCP_BUFFER - (s->out_to - s->out_from) < len) return false;
    memmove(s->out, s->out + s->out_from, s->out_to - s->out_from);
    s->out_to -= s->out_from;
    s->out_from = 0;
    return true;
}

static void stream_copy(struct stream *s, const void *bytes, size_t len)
{
    if (len == 0) return;
    memcpy(s->out + s->out_to, bytes, len);
    s->out_to += (uint32_t)len;
}

/* length and head are set by the caller; head and body may be NULL when empty. */
bool stream_append(struct tcp_link *l, struct frame *frame, const void *head, const void *body)
{
    struct stream *s = &l->stream;
    if (!stream_make_room(s, FRAME_HEADER + frame->length)) return false;
    session_stamp(&l->session, frame);
    frame_encode(s->out + s->out_to, frame);
    s->out_to += FRAME_HEADER;
    stream_copy(s, head, frame->head);
    stream_copy(s, body, frame->length - frame->head);
    return true;
}

/* An acknowledgement that the peer waits for, if no other frame has carried it. */
void stream_owed(struct tcp_link *l)
{
    struct frame ack = { .kind = FRAME_ACK };
    if (session_owes_ack(&l->session) && !l->bye_queued) stream_append(l, &ack, NULL, NULL);
}

static struct flush *flush_of(struct tcp_link *l, const struct rma *op)
{
    for (int i = 0; i < TCP_FLUSHES; i++)
        if (&l->flushes[i].marker == op) return &l->flushes[i];
    return NULL;
}

static void put_begin_fragment(struct tcp_link *l, struct rma *op)
{
    struct stream *s = &l->stream;
    struct flush *flush = op->peers ? NULL : flush_of(l, op);
    size_t left = op->len - op->progress;
    s->put_left = left < TCP_FRAGMENT ? left : TCP_FRAGMENT;
    struct frame frame = { .kind = FRAME_PUT, .length = (uint32_t)(TCP_PUT_HEAD + s->put_left) };
    session_stamp(&l->session, &frame);
    frame_encode(s->put_head, &frame);
    wire_put64(s->put_head + FRAME_HEADER, flush ? 0 : op->peers->id);
    wire_put64(s->put_head + FRAME_HEADER + 8, flush ? 0 : op->offset + op->progress);
    s->put_head_left = sizeof(s->put_head);
    if (flush) flush->sequence = frame.sequence;
}

static struct rma *put_first(struct stream *s)
{
    return list_empty(&s->puts) ? NULL : LIST_OWNER(s->puts.next, struct rma, entry);
}

static void put_end(struct tcp_link *l, struct rma *op)
{
    list_remove(&op->entry);
    if (op->peers) list_append(&l->stream.finished, &op->entry);
    if (list_empty(&l->stream.puts)) list_remove(&l->busy);
}

/* What goes next: the rest of a fragment and all of `out` behind it. Returns the bytes. */
static size_t stream_gather(struct stream *s, struct iovec v[3], int *count)
{
    size_t bytes = 0;
    int n = 0;
    if (s->put_head_left > 0)
        v[n++] = (struct iovec){ s->put_head + sizeof(s->put_head) - s->put_head_left,
                                 s->put_head_left };
    if (s->put_left > 0) {
        struct rma *op = put_first(s);
        v[n++] = (struct iovec){ (uint8_t *)op->local + op->progress, s->put_left };
    }
    if (s->out_to > s->out_from)
        v[n++] = (struct iovec){ s->out + s->out_from, s->out_to - s->out_from };
    for (int i = 0; i < n; i++) bytes += v[i].iov_len;
    *count = n;
    return bytes;
}

static size_t take_off(size_t *sent, size_t part)
{
    size_t n = *sent < part ? *sent : part;
    *sent -= n;
    return n;
}

static void stream_sent(struct tcp_link *l, size_t sent)
{
    struct stream *s = &l->stream;
    if (put_under_way(s)) {
        struct rma *op = put_first(s);
        s->put_head_left -= (uint32_t)take_off(&sent, s->put_head_left);
        size_t body = take_off(&sent, s->put_left);
        s->put_left -= body;
        op->progress += body;
        if (!put_under_way(s) && op->progress == op->len) put_end(l, op);
    }
    s->out_from += (uint32_t)take_off(&sent, s->out_to - s->out_from);
}

/* Bytes sent, 0 when the socket takes none, < 0 when the link has failed. */
static ssize_t stream_sendmsg(struct tcp_link *l, struct iovec *v, int count)
{
    struct msghdr message = { .msg_iov = v, .msg_iovlen = (size_t)count };
    for (;;) {
        ssize_t n = sendmsg(l->source.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) return n;
        if (errno == EAGAIN) return 0;
        if (errno != EINTR) return link_failed(l, errno, "sending");
    }
}

void stream_write(struct tcp_link *l, size_t burst)
{
    struct stream *s = &l->stream;
    struct iovec v[3];
    size_t moved = 0;
    int count;
    while (moved < burst) {
        struct rma *op = put_first(s);
        if (op && !put_under_way(s) && s->out_from == s->out_to) put_begin_fragment(l, op);
        size_t bytes = stream_gather(s, v, &count);
        if (bytes == 0) return;
        ssize_t n = stream_sendmsg(l, v, count);
        if (n < 0) return;
        stream_sent(l, (size_t)n);
        moved += (size_t)n;
        if (n > 0) tcp_under(l)->moved = true;
        if ((size_t)n < bytes) return;
    }
}

/* After a write that did not finish: epoll tells when the socket takes more. */
static void stream_wait(struct tcp_link *l)
{
    if (l->state >= LINK_ENDING) return;
    link_watch(l);
}

static int stream_send_direct(struct tcp_link *l, struct frame *frame, const void *head,
                              const void *body)
{
    struct stream *s = &l->stream;
    uint8_t front[FRAME_HEADER + TRANSPORT_HEAD_MAX];
    size_t front_len = FRAME_HEADER + (size_t)frame->head, body_len = frame->length - frame->head;
    session_stamp(&l->session, frame);
    frame_encode(front, frame);
    if (frame->head) memcpy(front + FRAME_HEADER, head, frame->head);
    struct iovec v[2] = { { front, front_len }, { (void *)(uintptr_t)body, body_len } };
    ssize_t n = stream_sendmsg(l, v, body_len ? 2 : 1);
    if (n < 0) return (int)n;
    size_t sent = (size_t)n;
    if (sent == front_len + body_len) return 0;
    size_t from_front = take_off(&sent, front_len);
    stream_make_room(s, front_len + body_len);
    stream_copy(s, front + from_front, front_len - from_front);
    stream_copy(s, (const uint8_t *)body + sent, body_len - sent);
    stream_wait(l);
    return 0;
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

static int stream_is_full(struct tcp_link *l)
{
    l->wants_room = true;
    return TRANSPORT_AGAIN;
}

int tcp_send(struct link *base, const void *head, size_t hlen, const void *body, size_t blen,
             struct region *region, uint64_t cookie)
{
    struct tcp_link *l = tcp_link_of(base);
    (void)region; /* every body up to eager_max is copied */
    (void)cookie;
    if (hlen > TRANSPORT_HEAD_MAX || blen > TCP_EAGER_MAX)
        return why_set(&base->transport->why, SINEW_EINVAL,
                       "a head of %zu and a body of %zu bytes where tcp takes %d and %d",
                       hlen, blen, TRANSPORT_HEAD_MAX, TCP_EAGER_MAX);
    int rc = stream_refuses(l);
    if (rc) return rc;
    struct frame frame = { .kind = FRAME_MESSAGE, .head = (uint8_t)hlen,
                           .length = (uint32_t)(hlen + blen) };
    if (stream_is_idle(&l->stream)) return stream_send_direct(l, &frame, head, body);
    return stream_append(l, &frame, head, body) ? 0 : stream_is_full(l);
}

static void put_queue(struct tcp_link *l, struct rma *op)
{
    struct tcp *t = tcp_under(l);
    bool idle = stream_is_idle(&l->stream);
    op->progress = 0;
    list_append(&l->stream.puts, &op->entry);
    if (list_empty(&l->busy)) list_append(&t->busy, &l->busy);
    if (!idle) return;
    stream_write(l, TCP_BURST);
    if (!stream_is_idle(&l->stream)) stream_wait(l);
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
    put_queue(l, op);
    if (l->stream.finished.prev == &op->entry) {
        list_remove(&op->entry);
        return 0;
    }
    if (l->state == LINK_UP) return TRANSPORT_PENDING;
    /* Failed while it was begun: it is not ours to report. */
    put_end(l, op);
    list_remove(&op->entry);
    l->stream.put_head_left = 0;
    l->stream.put_left = 0;
    return SINEW_EPEER;
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
    return stream_is_full(l);
}

bool stream_uses(const struct tcp_link *l, const struct region *region)
{
    for (struct list *e = l->stream.puts.next; e != &l->stream.puts; e = e->next) {
        const struct rma *op = LIST_OWNER(e, struct rma, entry);
        if (op->peers == region || op->mine == region) return true;
    }
    return false;
}

/* --- telling what was sent -------------------------------------------------------------------- */

static void stream_done(struct tcp_link *l, uint64_t cookie, int status)
{
    struct tcp *t = tcp_under(l);
    t->budget--;
    t->base.up->done(&l->base, cookie, status);
}

static bool report_finished(struct tcp_link *l)
{
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

bool stream_report(struct tcp_link *l)
{
    struct tcp *t = tcp_under(l);
    struct stream *s = &l->stream;
    if (!list_empty(&s->finished) && !report_finished(l)) return false;
    if (l->flushing > 0 && !report_flushes(l, 0)) return false;
    if (!l->wants_room || l->state != LINK_UP) return true;
    if (s->out_to - s->out_from > TCP_BUFFER / 2) return true;
    if (t->budget < 1) return false;
    l->wants_room = false;
    t->budget--;
    t->base.up->room(&l->base);
    return true;
}

bool stream_return_all(struct tcp_link *l, int status)
{
    struct rma *op;
    if (!report_finished(l)) return false;
    while ((op = put_first(&l->stream))) {
        if (tcp_under(l)->budget < 1) return false;
        bool is_put = op->peers;
        put_end(l, op);
        list_remove(&op->entry);
        if (is_put) stream_done(l, op->cookie, status);
    }
    return report_flushes(l, status);
}

/* --- in --------------------------------------------------------------------------------------- */

enum parsed { PARSED_ALL, PARSED_BUDGET, PARSED_END };

static enum parsed stream_breaks_rules(struct tcp_link *l, const struct why *reason)
{
    if (l->state < LINK_ENDING)
        why_set(&l->base.why, SINEW_EPROTO, "%s breaks the protocol: %s", l->name, reason->text);
    link_end(l, SINEW_EPROTO, GONE_BROKEN, false);
    return PARSED_END;
}

/* Where the next bytes of the put under way belong; NULL: nowhere, they are dropped. */
static void *landing_place(const struct tcp_link *l)
{
    const struct stream *s = &l->stream;
    void *place = NULL;
    int rc = region_find(&tcp_under(l)->regions, s->land_region, s->land_offset, s->land_left,
                         &place, NULL);
    return rc < 0 ? NULL : place;
}

static void landing_advance(struct tcp_link *l, size_t n)
{
    struct stream *s = &l->stream;
    s->land_offset += n;
    s->land_left -= n;
    if (s->land_left == 0) session_received(&l->session, &s->landing, s->land_region == 0);
}

static void landing_from_buffer(struct tcp_link *l)
{
    struct stream *s = &l->stream;
    size_t n = s->in_to - s->in_from;
    if (n > s->land_left) n = s->land_left;
    if (n == 0) return;
    void *place = landing_place(l);
    if (place) memcpy(place, s->in + s->in_from, n);
    s->in_from += (uint32_t)n;
    landing_advance(l, n);
}

/* A put's header is there: check it and note where its bytes go. */
static int take_put(struct tcp_link *l, const struct frame *frame, struct why *why)
{
    struct stream *s = &l->stream;
    const uint8_t *payload = s->in + s->in_from + FRAME_HEADER;
    uint64_t region = wire_get64(payload), offset = wire_get64(payload + 8);
    size_t len = frame->length - TCP_PUT_HEAD;
    void *place;
    int rc = session_check(&l->session, frame, why);
    if (rc < 0) return rc;
    if (region == 0 && (len || offset))
        return why_set(why, SINEW_EPROTO, "a flush with bytes");
    if (region != 0) {
        rc = region_find(&tcp_under(l)->regions, region, offset, len, &place, why);
        if (rc < 0) return rc;
    }
    s->in_from += FRAME_HEADER + TCP_PUT_HEAD;
    s->landing = *frame;
    s->land_region = region;
    s->land_offset = offset;
    s->land_left = len;
    if (len == 0) landing_advance(l, 0);
    return 0;
}

static int take_message(struct tcp_link *l, const struct frame *frame, struct why *why)
{
    struct tcp *t = tcp_under(l);
    struct stream *s = &l->stream;
    const uint8_t *payload = s->in + s->in_from + FRAME_HEADER;
    int rc = session_check(&l->session, frame, why);
    if (rc < 0) return rc;
    s->in_from += FRAME_HEADER + frame->length;
    t->budget--;
    rc = t->base.up->recv(&l->base, payload, frame->head, payload + frame->head,
                          frame->length - frame->head, NULL);
    if (rc < 0) return why_set(why, rc, "a message that makes no sense (%s)", sinew_strerror(rc));
    session_received(&l->session, frame, false);
    return 0;
}

/* What may come, by state and kind, and how much of the payload has to be there. SINEW_EPROTO. */
static int frame_expects(const struct tcp_link *l, const struct frame *frame, size_t *needed,
                         struct why *why)
{
    bool greeting = l->state == LINK_GREETING, fits = false;
    *needed = frame->length;
    switch (frame->kind) {
    case FRAME_MESSAGE:
        fits = !greeting && frame->head <= TRANSPORT_HEAD_MAX &&
               frame->length - frame->head <= TCP_EAGER_MAX;
        break;
    case FRAME_PUT:
        fits = !greeting && frame->head == 0 && frame->length >= TCP_PUT_HEAD;
        *needed = TCP_PUT_HEAD;
        break;
    case FRAME_ACK: fits = frame->length == 0; break;
    case FRAME_BYE: fits = frame->head == 0 && frame->length == (greeting ? 1u : 0u); break;
    }
    if (fits) return 0;
    return why_set(why, SINEW_EPROTO, "a frame of kind %u with a head of %u of %u bytes%s",
                   frame->kind, frame->head, frame->length, greeting ? " as greeting" : "");
}

static enum parsed take_greeting(struct tcp_link *l, const struct frame *frame)
{
    struct why why;
    const uint8_t *payload = l->stream.in + l->stream.in_from + FRAME_HEADER;
    if (frame->epoch != l->session.peer_epoch || frame->sequence || frame->acknowledged) {
        why_set(&why, SINEW_EPROTO, "a greeting of another epoch");
        return stream_breaks_rules(l, &why);
    }
    l->stream.in_from += FRAME_HEADER + frame->length;
    link_greeted(l, frame, payload);
    return l->state == LINK_UP ? PARSED_ALL : PARSED_END;
}

/* The frame at in_from, of which all that is needed is there. */
static enum parsed take_frame(struct tcp_link *l, const struct frame *frame)
{
    struct why why;
    int rc = 0;
    if (l->state == LINK_GREETING) return take_greeting(l, frame);
    switch (frame->kind) {
    case FRAME_MESSAGE: rc = take_message(l, frame, &why); break;
    case FRAME_PUT: rc = take_put(l, frame, &why); break;
    default:
        rc = session_check(&l->session, frame, &why);
        l->stream.in_from += FRAME_HEADER;
        break;
    }
    if (rc < 0) return stream_breaks_rules(l, &why);
    if (frame->kind != FRAME_BYE) return PARSED_ALL;
    link_bye_came(l);
    return PARSED_END;
}

/* Everything in `in` that is complete. */
static enum parsed stream_parse(struct tcp_link *l)
{
    struct stream *s = &l->stream;
    struct frame frame;
    struct why why;
    size_t needed;
    for (;;) {
        if (s->land_left > 0) landing_from_buffer(l);
        size_t there = s->in_to - s->in_from;
        if (s->land_left > 0 || there < FRAME_HEADER) return PARSED_ALL;
        if (frame_decode(s->in + s->in_from, PAYLOAD_MAX, &frame, &why) < 0 ||
            frame_expects(l, &frame, &needed, &why) < 0)
            return stream_breaks_rules(l, &why);
        if (there < FRAME_HEADER + needed) return PARSED_ALL;
        if (tcp_under(l)->budget < 1) return PARSED_BUDGET;
        enum parsed parsed = take_frame(l, &frame);
        if (parsed != PARSED_ALL) return parsed;
    }
}

/* Where the next receive puts its bytes. Returns how many that can be. */
static size_t stream_spread(struct tcp_link *l, struct iovec v[2], int *count)
{
    struct stream *s = &l->stream;
    void *place = s->land_left > 0 ? landing_place(l) : NULL;
    if (s->in_from == s->in_to) {
        s->in_from = s->in_to = 0;
    } else if (TCP_BUFFER - s->in_from < FRAME_HEADER + MESSAGE_MAX) {
        memmove(s->in, s->in + s->in_from, s->in_to - s->in_from);
        s->in_to -= s->in_from;
        s->in_from = 0;
    }
    size_t room = TCP_BUFFER - s->in_to;
    *count = 1;
    v[0] = (struct iovec){ s->in + s->in_to, room };
    if (!place) return room;
    *count = 2;
    v[0] = (struct iovec){ place, s->land_left };
    v[1] = (struct iovec){ s->in + s->in_to, BEHIND_PUT };
    return s->land_left + BEHIND_PUT;
}

/* Bytes received, 0 when there are none now, < 0 when there will be no more. */
static ssize_t stream_fill(struct tcp_link *l, bool *dry)
{
    struct stream *s = &l->stream;
    struct iovec v[2];
    struct msghdr message = { .msg_iov = v };
    int count;
    size_t asked = stream_spread(l, v, &count), landed = 0;
    message.msg_iovlen = (size_t)count;
    ssize_t n = count == 1 ? recv(l->source.fd, v[0].iov_base, v[0].iov_len, MSG_DONTWAIT)
                           : recvmsg(l->source.fd, &message, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (n < 0) return link_failed(l, errno, "receiving");
    if (n == 0) {
        link_closed_by_peer(l);
        return -1;
    }
    *dry = (size_t)n < asked;
    if (count == 2) {
        landed = (size_t)n < s->land_left ? (size_t)n : s->land_left;
        landing_advance(l, landed);
    }
    s->in_to += (uint32_t)((size_t)n - landed);
    tcp_under(l)->moved = true;
    return n;
}

enum received stream_receive(struct tcp_link *l)
{
    bool dry = false;
    size_t moved = 0;
    for (;;) {
        enum parsed parsed = stream_parse(l);
        if (parsed == PARSED_END) return RECEIVED_END;
        if (parsed == PARSED_BUDGET) {
            link_make_ready(l);
            return RECEIVED_MORE;
        }
        /* A short receive has emptied the socket; only an ending link has to see the very end. */
        if (dry && l->state != LINK_ENDING) return RECEIVED_ALL;
        if (moved >= TCP_BURST) return RECEIVED_MORE;
        ssize_t n = stream_fill(l, &dry);
        if (n < 0) return RECEIVED_END;
        if (n == 0) return RECEIVED_ALL;
        moved += (size_t)n;
    }
}
