/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream_in.c - bytes on a line that is open, on their way in: frames, and puts that land
 *
 * One receive takes many messages. The body of a put is received straight into the region, with
 * room behind it for the next frames; but what is for a landing is fed to it out of the buffer,
 * which stays in the cache.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/copy.h"
#include "base/crc32c.h"
#include "base/wire.h"
#include "transport/tcp/internal.h"

enum {
    MESSAGE_MAX = TRANSPORT_HEAD_MAX + TCP_EAGER_MAX,
    FRAME_MAX = FRAME_HEADER + FRAME_SUMS + MESSAGE_MAX,
    PAYLOAD_MAX = TCP_PUT_HEAD + TCP_FRAGMENT_MAX,
    AFTER_PUT = 512,  /* received when another put is likely … */
    EXPECT_HEAD = 16,
    BODY_POLLS = 128, /* in vain, in one progress, where the rest of a body is on its way */
    BEHIND_PUT = 512, /* … and with the end of one: what belongs to a body would be copied */
};
_Static_assert((int)TCP_BUFFER >= (int)FRAME_MAX, "the longest frame fits a buffer");
_Static_assert((int)SESSION_WINDOW - (int)SESSION_RESERVE >= (int)FRAME_MAX, "or the window");
_Static_assert((int)PAYLOAD_MAX > (int)MESSAGE_MAX, "the bound of frame_decode");

int stream_begin(struct tcp_link *l)
{
    struct stream *s = &l->stream;
    list_init(&s->puts);
    list_init(&s->moving);
    list_init(&s->finished);
    s->in = world_allocate(l->base.transport->opt.world, TCP_BUFFER);
    if (!s->in)
        return why_set(&l->base.why, SINEW_ENOMEM,
                       "no memory for what comes from rank %d (%d bytes)", l->base.rank, TCP_BUFFER);
    return 0;
}

void stream_release(struct tcp_link *l)
{
    struct stream *s = &l->stream;
    world_release(l->base.transport->opt.world, s->in, TCP_BUFFER);
    s->in = NULL;
}

void stream_restart(struct tcp_link *l)
{
    struct stream *s = &l->stream;
    if (s->in_from != s->in_to || s->land_left > 0) l->session.discarded++;
    s->in_from = s->in_to = 0;
    s->land_left = 0;
    s->damaged = false;
}

enum parsed { PARSED_ALL, PARSED_BUDGET, PARSED_END };

static enum parsed stream_breaks_rules(struct tcp_link *l, const struct why *reason)
{
    if (l->line == LINE_GREETING && l->state != LINK_SETUP) {
        line_refused(l, SINEW_EPROTO, reason); /* a greeting has no checksum that is read first */
        return PARSED_END;
    }
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
    if (s->land_again) return NULL;
    int rc = region_find(&tcp_under(l)->regions, s->land_region, s->land_offset, s->land_left,
                         &place, NULL);
    return rc < 0 ? NULL : place;
}

static void landing_advance(struct tcp_link *l, const void *bytes, size_t n)
{
    struct stream *s = &l->stream;
    if (l->session.sums) s->land_sum = crc32c(s->land_sum, bytes, n);
    s->land_offset += n;
    s->land_left -= n;
    if (s->land_left > 0) return;
    if (l->session.sums && s->land_sum != s->land_sum_due)
        line_damaged(l, "part of a long message");
    else if (!s->land_again)
        session_received(&l->session, &s->landing);
}

/* Who takes the put under way in pieces; NULL: nobody. */
static struct landing *landing_taker(const struct tcp_link *l)
{
    const struct stream *s = &l->stream;
    if (s->land_again || s->land_left == 0) return NULL;
    return region_landing(&tcp_under(l)->regions, s->land_region);
}

/* What of these bytes has not been given to it before the line broke. */
static void landing_feed(struct stream *s, struct landing *to, const uint8_t *bytes, size_t n)
{
    uint64_t from = s->land_offset, end = from + n;
    if (s->landed_frame == s->landing.sequence && s->landed_to > from)
        from = s->landed_to < end ? s->landed_to : end;
    if (from == end) return;
    to->land(to, from, bytes + (from - s->land_offset), (size_t)(end - from));
    s->landed_frame = s->landing.sequence;
    s->landed_to = end;
}

static void landing_from_buffer(struct tcp_link *l)
{
    struct stream *s = &l->stream;
    struct landing *taker = landing_taker(l);
    size_t n = s->in_to - s->in_from;
    if (n >= s->land_left) {
        n = s->land_left;
    } else if (taker) {
        size_t odd = (s->land_offset + n) % LANDING_ALIGN; /* these wait for those behind them */
        n -= odd < n ? odd : n;
    }
    if (n == 0) return;
    void *place = taker ? NULL : landing_place(l);
    const uint8_t *bytes = s->in + s->in_from;
    if (taker) landing_feed(s, taker, bytes, n);
    if (place) memcpy(place, bytes, n);
    s->in_from += (uint32_t)n;
    landing_advance(l, bytes, n);
}

/* A put's header is there: check it and note where its bytes go. */
static int take_put(struct tcp_link *l, const struct frame *frame, uint32_t sum, struct why *why)
{
    struct stream *s = &l->stream;
    const uint8_t *payload = s->in + s->in_from + session_header(&l->session);
    uint64_t region = wire_get64(payload), offset = wire_get64(payload + 8);
    size_t len = frame->length - TCP_PUT_HEAD;
    void *place;
    if (l->session.sums && wire_get32(payload + 16) != crc32c(0, payload, 16)) {
        line_damaged(l, "the head of a long message's part");
        return 0;
    }
    int rc = session_check(&l->session, frame, why);
    if (rc < 0) return rc;
    bool again = rc == SESSION_AGAIN;
    if (region == 0 && (len || offset))
        return why_set(why, SINEW_EPROTO, "a flush with bytes");
    if (region != 0 && !again) {
        rc = region_find(&tcp_under(l)->regions, region, offset, len, &place, why);
        if (rc < 0) return rc;
    }
    s->in_from += (uint32_t)session_header(&l->session) + TCP_PUT_HEAD;
    s->landing = *frame;
    s->land_again = again;
    s->land_region = region;
    s->land_offset = offset;
    s->land_left = len;
    s->land_sum = l->session.sums ? crc32c(0, payload, TCP_PUT_HEAD) : 0;
    s->land_sum_due = sum;
    s->after_put = len > 0;
    s->bodies_came |= len > 0;
    if (len == 0) landing_advance(l, payload, 0);
    return 0;
}

/* What messaging waits for goes straight into its buffer. */
static bool take_expected(struct tcp_link *l, const uint8_t *payload, const struct frame *frame)
{
    struct expect *e = l->base.expect;
    size_t len = frame->length - (size_t)frame->head;
    if (!e || frame->head != EXPECT_HEAD || l->state != LINK_UP) return false;
    uint64_t word = wire_get64(payload);
    if ((word ^ e->word) & e->mask || wire_get64(payload + 8) != e->key) return false;
    copy_short(e->buf, payload + EXPECT_HEAD, len < e->cap ? len : e->cap);
    e->word = word;
    e->len = len;
    e->done = true;
    l->base.expect = e->next;
    tcp_under(l)->took = l;
    return true;
}

/* > 0: not in this progress. */
static int take_message(struct tcp_link *l, const struct frame *frame, uint32_t sum,
                        struct why *why)
{
    struct tcp *t = tcp_under(l);
    struct stream *s = &l->stream;
    const uint8_t *payload = s->in + s->in_from + session_header(&l->session);
    if (l->session.sums && crc32c(0, payload, frame->length) != sum) {
        line_damaged(l, "a message");
        return 0;
    }
    int rc = session_check(&l->session, frame, why);
    if (rc < 0) return rc;
    bool taken = rc == SESSION_AGAIN || take_expected(l, payload, frame);
    if (!taken && t->took == l) return 1;
    s->in_from += (uint32_t)session_header(&l->session) + frame->length;
    if (rc == SESSION_AGAIN) return 0;
    t->budget--;
    if (!taken) {
        l->base.expect = NULL; /* by now it may expect another */
        rc = t->base.up->recv(&l->base, payload, frame->head, payload + frame->head,
                              frame->length - frame->head, NULL);
    }
    if (rc < 0) return why_set(why, rc, "a message that makes no sense (%s)", sinew_strerror(rc));
    session_received(&l->session, frame);
    return 0;
}

/* What may come, by state and kind, and how much of the payload has to be there. SINEW_EPROTO. */
static int frame_expects(const struct tcp_link *l, const struct frame *frame, size_t *needed,
                         struct why *why)
{
    bool greeting = l->line == LINE_GREETING, fits = false;
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
    case FRAME_ACK: fits = !greeting && frame->length == 0; break;
    case FRAME_WELCOME: fits = greeting && frame->length == JOIN_PAYLOAD; break;
    case FRAME_BYE:
        fits = frame->head == 0 && frame->length == (greeting ? (uint32_t)GREETING_PAYLOAD : 0);
        break;
    }
    if (fits) return 0;
    return why_set(why, SINEW_EPROTO, "a frame of kind %u with a head of %u of %u bytes%s",
                   frame->kind, frame->head, frame->length, greeting ? " as greeting" : "");
}

static enum parsed take_greeting(struct tcp_link *l, const struct frame *frame)
{
    struct stream *s = &l->stream;
    uint8_t bytes[JOIN_FRAME] = { 0 };
    memcpy(bytes, s->in + s->in_from, FRAME_HEADER + frame->length);
    s->in_from += FRAME_HEADER + frame->length;
    line_greeted(l, frame, bytes);
    return l->line == LINE_OPEN && l->state < LINK_ENDING ? PARSED_ALL : PARSED_END;
}

/* The frame at in_from, of which all that is needed is there. */
static enum parsed take_frame(struct tcp_link *l, const struct frame *frame, uint32_t sum)
{
    struct why why;
    int rc = 0;
    if (l->line == LINE_GREETING) return take_greeting(l, frame);
    switch (frame->kind) {
    case FRAME_MESSAGE: rc = take_message(l, frame, sum, &why); break;
    case FRAME_PUT: rc = take_put(l, frame, sum, &why); break;
    default:
        rc = session_check(&l->session, frame, &why);
        l->stream.in_from += (uint32_t)session_header(&l->session);
        break;
    }
    if (rc < 0) return stream_breaks_rules(l, &why);
    if (rc > 0 && frame->kind == FRAME_MESSAGE) return PARSED_BUDGET;
    if (l->stream.damaged) return PARSED_END;
    if (frame->kind != FRAME_BYE) return PARSED_ALL;
    if (rc == 0) session_received(&l->session, frame);
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
    uint32_t sum = 0;
    for (;;) {
        if (s->land_left > 0) landing_from_buffer(l);
        if (s->damaged) return PARSED_END;
        /* A greeting has its checksum at its end. */
        bool sums = l->session.sums && l->line != LINE_GREETING;
        size_t there = s->in_to - s->in_from, header = FRAME_HEADER + (sums ? FRAME_SUMS : 0);
        if (s->land_left > 0 || there < header) return PARSED_ALL;
        if (sums && !frame_is_whole(s->in + s->in_from, &sum)) {
            line_damaged(l, "a header");
            return PARSED_END;
        }
        if (frame_decode(s->in + s->in_from, PAYLOAD_MAX, &frame, &why) < 0 ||
            frame_expects(l, &frame, &needed, &why) < 0)
            return stream_breaks_rules(l, &why);
        if (there < header + needed) return PARSED_ALL;
        if (tcp_under(l)->budget < 1) return PARSED_BUDGET;
        enum parsed parsed = take_frame(l, &frame, sum);
        if (parsed != PARSED_ALL) return parsed;
    }
}

/* Where the next receive puts its bytes. Returns how many that can be. */
static size_t stream_spread(struct tcp_link *l, size_t usual, struct iovec v[2], int *count)
{
    struct stream *s = &l->stream;
    bool lands = landing_taker(l);
    void *place = s->land_left > 0 && !lands ? landing_place(l) : NULL;
    if (s->in_from == s->in_to) {
        s->in_from = s->in_to = 0;
    } else if (lands || TCP_BUFFER - s->in_from < FRAME_MAX) {
        memmove(s->in, s->in + s->in_from, s->in_to - s->in_from);
        s->in_to -= s->in_from;
        s->in_from = 0;
    }
    uint8_t *behind = s->in + s->in_to;
    if (place) {
        *count = 2;
        v[0] = (struct iovec){ place, s->land_left };
        v[1] = (struct iovec){ behind, BEHIND_PUT };
        return s->land_left + BEHIND_PUT;
    }
    size_t room = TCP_BUFFER - s->in_to, most = lands          ? s->land_left + BEHIND_PUT
                                                : s->after_put ? AFTER_PUT
                                                               : usual;
    if (room > most) room = most;
    if (!lands) s->after_put = false;
    *count = 1;
    v[0] = (struct iovec){ behind, room };
    return room;
}

static ssize_t stream_no_more(struct tcp_link *l, ssize_t n)
{
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (n < 0 && errno == EBADMSG && l->line >= LINE_OPEN) {
        line_damaged(l, "an encrypted record");
        return -1;
    }
    if (n < 0) return line_failed(l, errno, "receiving");
    line_closed_by_peer(l);
    return -1;
}

/* Bytes received, 0 when there are none now, < 0 when there will be no more. */
static ssize_t stream_fill_parts(struct tcp_link *l, size_t usual, bool *dry)
{
    struct stream *s = &l->stream;
    struct iovec v[2];
    struct msghdr message = { .msg_iov = v };
    int count;
    size_t asked = stream_spread(l, usual, v, &count), landed = 0;
    message.msg_iovlen = (size_t)count;
    ssize_t n = count == 1 || l->tls
                    ? tcp_bytes_in(l->tls, l->source.fd, v[0].iov_base, v[0].iov_len, dry)
                    : recvmsg(l->source.fd, &message, MSG_DONTWAIT);
    if (n <= 0) return stream_no_more(l, n);
    if (!l->tls) *dry = (size_t)n < asked;
    if (count == 2) {
        landed = (size_t)n < s->land_left ? (size_t)n : s->land_left;
        landing_advance(l, v[0].iov_base, landed);
        if (s->damaged) return -1;
    }
    s->in_to += (uint32_t)((size_t)n - landed);
    tcp_under(l)->moved = true;
    return n;
}

/* Likewise, at most `usual` if it is no body. Who polls asks again and again: what is usual comes
 * first. */
static ssize_t stream_fill(struct tcp_link *l, size_t usual, bool *dry)
{
    struct stream *s = &l->stream;
    if (l->tls || s->land_left > 0 || s->in_from != s->in_to || s->after_put)
        return stream_fill_parts(l, usual, dry);
    ssize_t n = recv(l->source.fd, s->in, usual, MSG_DONTWAIT);
    if (n <= 0) return stream_no_more(l, n);
    s->in_from = 0;
    s->in_to = (uint32_t)n;
    *dry = (size_t)n < usual;
    tcp_under(l)->moved = true;
    return n;
}

enum received stream_receive(struct tcp_link *l)
{
    const struct stream *s = &l->stream;
    int polls = tcp_under(l)->base.opt.crowded ? 0 : BODY_POLLS;
    bool dry = false;
    size_t moved = 0;
    for (;;) {
        bool nothing = s->in_from == s->in_to && !s->damaged;
        enum parsed parsed = nothing ? PARSED_ALL : stream_parse(l);
        if (parsed == PARSED_END) return RECEIVED_END;
        if (parsed == PARSED_BUDGET) {
            link_make_ready(l);
            return RECEIVED_MORE;
        }
        bool flows = moved > 0 && s->land_left > 0 && polls > 0;
        /* A short receive has emptied the socket; only what ends has to be seen to the very end. */
        if (dry && !flows && l->state != LINK_ENDING && l->line != LINE_LOST) return RECEIVED_ALL;
        if (moved >= TCP_BURST) {
            if (l->tls) link_make_ready(l); /* bytes may wait where no event tells of them */
            return RECEIVED_MORE;
        }
        ssize_t n = stream_fill(l, TCP_READ, &dry);
        if (n < 0) return RECEIVED_END;
        if (n == 0 && !flows) return RECEIVED_ALL;
        polls -= n == 0;
        moved += (size_t)n;
    }
}

/* --- lent -------------------------------------------------------------------------------------
 *
 * A peek reads as a progress does, but what it brings stays in `in`. No event tells of that, so the
 * link is ready as long as there is any.
 */

/* The next frame, of which `there` bytes have come. 0: it is lent; NOTHING: more has to come. */
static int peek_frame(struct tcp_link *l, size_t there, struct peeked *m)
{
    struct stream *s = &l->stream;
    size_t header = session_header(&l->session), needed;
    const uint8_t *at = s->in + s->in_from, *payload = at + header;
    struct frame *frame = &s->lent;
    uint32_t sum = 0;
    struct why why;
    if (l->session.sums && !frame_is_whole(at, &sum)) return TRANSPORT_NOT_THIS;
    if (frame_decode(at, PAYLOAD_MAX, frame, &why) < 0 || frame->kind != FRAME_MESSAGE ||
        frame_expects(l, frame, &needed, &why) < 0)
        return TRANSPORT_NOT_THIS;
    if (there < header + needed) return TRANSPORT_NOTHING;
    if (l->session.sums && crc32c(0, payload, frame->length) != sum) return TRANSPORT_NOT_THIS;
    if (frame->sequence != l->session.received + 1 || session_check(&l->session, frame, &why) != 0)
        return TRANSPORT_NOT_THIS;
    *m = (struct peeked){ payload, payload + frame->head, frame->head,
                          frame->length - (size_t)frame->head };
    return 0;
}

/* What is odd, and all but messages, is left where it is for stream_parse(). */
static int peek_next(struct tcp_link *l, struct peeked *m)
{
    struct stream *s = &l->stream;
    for (bool dry = false;;) {
        size_t there = s->in_to - s->in_from;
        int status = there < session_header(&l->session) ? TRANSPORT_NOTHING
                                                         : peek_frame(l, there, m);
        if (status != TRANSPORT_NOTHING || dry) return status;
        ssize_t n = stream_fill(l, TCP_READ_PEEK, &dry);
        s->peek_more = l->tls && n > 0 && !dry;
        if (n <= 0) return n < 0 ? TRANSPORT_NOT_THIS : TRANSPORT_NOTHING;
    }
}

static bool peek_leaves(const struct stream *s)
{
    return s->in_from != s->in_to || s->peek_more;
}

int stream_peek(struct tcp_link *l, struct peeked *m)
{
    struct tcp *t = tcp_under(l);
    struct stream *s = &l->stream;
    if (s->peeked) list_remove(&l->ready);
    s->peeked = false;
    int status = TRANSPORT_NOT_THIS;
    /* Where progress has work, nobody waits past it. */
    if (list_empty(&t->ready) && list_empty(&t->dirty) && !l->blocked && s->land_left == 0 &&
        !s->damaged)
        status = peek_next(l, m);
    if (peek_leaves(s) && list_empty(&l->ready)) {
        link_make_ready(l); /* no event tells of what is here */
        s->peeked = true;
    }
    return status;
}

/* What the peer has acknowledged may be somebody's to hear. */
static bool somebody_waits(const struct tcp_link *l)
{
    return l->wants_room || l->wants_flush || l->flushing || !list_empty(&l->busy);
}

void stream_drop(struct tcp_link *l)
{
    struct stream *s = &l->stream;
    s->in_from += (uint32_t)session_header(&l->session) + s->lent.length;
    session_received(&l->session, &s->lent);
    if (s->peeked && !peek_leaves(s)) {
        list_remove(&l->ready);
        s->peeked = false;
    }
    if (somebody_waits(l)) link_make_ready(l);
    if (!session_owes_ack(&l->session)) return;
    stream_owed(l);
    stream_push(l);
}
