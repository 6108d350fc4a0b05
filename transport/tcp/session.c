/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/tcp/session.h"

#include <inttypes.h>
#include <string.h>

#include "base/copy.h"
#include "base/crc32c.h"
#include "base/wire.h"
#include "sinew/sinew.h"

_Static_assert((SESSION_WINDOW & (SESSION_WINDOW - 1)) == 0, "positions wrap by a mask");
_Static_assert((SESSION_LENT & (SESSION_LENT - 1)) == 0, "indices wrap by a mask");

int session_begin(struct session *s, const struct world *world, uint64_t my_epoch, struct why *why)
{
    *s = (struct session){ .my_epoch = my_epoch };
    if (world->random(world->arg, &s->mine, sizeof(s->mine)) < 0)
        return why_set(why, SINEW_EIO, "the system gave no random number for a session");
    if (s->mine == 0) s->mine = 1;
    s->window = world_allocate(world, SESSION_WINDOW);
    if (!s->window)
        return why_set(why, SINEW_ENOMEM, "no memory for a window of %d bytes", SESSION_WINDOW);
    return 0;
}

void session_release(struct session *s, const struct world *world)
{
    world_release(world, s->window, SESSION_WINDOW);
    s->window = NULL;
}

static bool frame_is_numbered(const struct frame *frame)
{
    return frame->kind != FRAME_ACK;
}

/* --- the ring --------------------------------------------------------------------------------- */

static void ring_put(struct session *s, const void *bytes, size_t len)
{
    size_t place = s->to & (SESSION_WINDOW - 1), first = SESSION_WINDOW - place;
    if (len == 0) return;
    if (first > len) first = len;
    copy_short(s->window + place, bytes, first);
    if (len > first) memcpy(s->window, (const uint8_t *)bytes + first, len - first);
    s->to += len;
}

static struct frame ring_frame(const struct session *s, uint64_t at)
{
    uint8_t bytes[FRAME_HEADER];
    struct frame frame;
    struct why why;
    size_t place = at & (SESSION_WINDOW - 1), first = SESSION_WINDOW - place;
    if (first > sizeof(bytes)) first = sizeof(bytes);
    memcpy(bytes, s->window + place, first);
    memcpy(bytes + first, s->window, sizeof(bytes) - first);
    frame_decode(bytes, UINT32_MAX, &frame, &why); /* written here: it cannot be wrong */
    return frame;
}

static struct lent *lent_at(struct session *s, uint32_t index)
{
    return &s->lent[index & (SESSION_LENT - 1)];
}

static const struct lent *lent_next(const struct session *s, uint32_t index)
{
    return index == s->lent_to ? NULL : &s->lent[index & (SESSION_LENT - 1)];
}

static int window_trim(struct session *s, uint64_t acknowledged, bool resuming, struct why *why);

/* --- out -------------------------------------------------------------------------------------- */

static void session_stamp(struct session *s, struct frame *frame)
{
    frame->epoch = s->my_epoch;
    frame->sequence = frame_is_numbered(frame) ? ++s->sent : 0;
    frame->acknowledged = s->told = s->received;
    s->untold_bytes = 0;
}

size_t session_room(const struct session *s)
{
    size_t left = SESSION_WINDOW - (size_t)(s->to - s->from);
    return left > SESSION_RESERVE ? left - SESSION_RESERVE : 0;
}

static bool session_fits(const struct session *s, size_t len, bool reserved)
{
    size_t left = SESSION_WINDOW - (size_t)(s->to - s->from);
    return left >= len + (reserved ? 0 : SESSION_RESERVE);
}

size_t session_header(const struct session *s)
{
    return FRAME_HEADER + (s->sums ? FRAME_SUMS : 0);
}

static void session_put_head(struct session *s, struct frame *frame, const void *head, size_t len,
                             const void *body, size_t body_len)
{
    uint8_t bytes[FRAME_HEADER + FRAME_SUMS];
    session_stamp(s, frame);
    frame_encode(bytes, frame);
    if (s->sums) frame_sum(bytes, crc32c(crc32c(0, head, len), body, body_len));
    ring_put(s, bytes, session_header(s));
    ring_put(s, head, len);
}

bool session_append(struct session *s, struct frame *frame, const void *head, size_t head_len,
                    const void *body, size_t body_len, bool reserved)
{
    if (!session_fits(s, session_header(s) + head_len + body_len, reserved)) return false;
    session_put_head(s, frame, head, head_len, body, body_len);
    ring_put(s, body, body_len);
    return true;
}

bool session_append_lent(struct session *s, struct frame *frame, const void *head, size_t head_len,
                         const void *body, size_t body_len, void *owner)
{
    if (s->lent_to - s->lent_back == SESSION_LENT) return false;
    if (!session_fits(s, session_header(s) + head_len, false)) return false;
    session_put_head(s, frame, head, head_len, body, body_len);
    *lent_at(s, s->lent_to++) = (struct lent){
        .at = s->to, .sequence = frame->sequence, .body = body, .len = body_len, .owner = owner };
    return true;
}

size_t session_gather(const struct session *s, struct iovec *v, int max, int *count)
{
    uint64_t at = s->at;
    uint32_t index = s->lent_at;
    size_t body_at = s->body_at, bytes = 0;
    int n = 0;
    while (n < max) {
        const struct lent *lent = lent_next(s, index);
        if (lent && lent->at == at) {
            v[n++] = (struct iovec){ (uint8_t *)(uintptr_t)lent->body + body_at,
                                     lent->len - body_at };
            body_at = 0;
            index++;
        } else {
            size_t place = at & (SESSION_WINDOW - 1);
            size_t len = (size_t)((lent ? lent->at : s->to) - at);
            if (len == 0) break;
            if (len > SESSION_WINDOW - place) len = SESSION_WINDOW - place;
            v[n++] = (struct iovec){ s->window + place, len };
            at += len;
        }
        bytes += v[n - 1].iov_len;
    }
    *count = n;
    return bytes;
}

void session_sent(struct session *s, size_t len)
{
    while (len > 0) {
        const struct lent *lent = lent_next(s, s->lent_at);
        bool in_body = lent && lent->at == s->at;
        size_t left = in_body ? lent->len - s->body_at
                              : (size_t)((lent ? lent->at : s->to) - s->at);
        size_t n = len < left ? len : left;
        len -= n;
        if (!in_body) {
            s->at += n;
        } else if ((s->body_at += n) == lent->len) {
            s->body_at = 0;
            s->lent_at++;
        }
    }
    if (s->trims_later) window_trim(s, s->acknowledged, false, NULL);
    /* Nothing numbered is left: acknowledgements of my own are not worth keeping. */
    if (s->acknowledged == s->sent && session_all_sent(s)) s->from = s->to;
}

bool session_has_gone(const struct session *s, uint64_t to)
{
    return s->at >= to || s->far >= to;
}

bool session_returned(struct session *s, void **owner)
{
    if (s->lent_back == s->lent_from) return false;
    *owner = lent_at(s, s->lent_back++)->owner;
    return true;
}

/* --- acknowledgements ------------------------------------------------------------------------- */

/* The frame at `from`: where it ends, and how many lent bodies it has (0 or 1). */
static uint64_t window_first(const struct session *s, struct frame *frame, uint32_t *lent)
{
    const struct lent *next = lent_next(s, s->lent_from);
    *frame = ring_frame(s, s->from);
    *lent = next && next->sequence == frame->sequence;
    return *lent ? next->at : s->from + session_header(s) + frame->length;
}

/* Whether all of that frame has gone over this connection. */
static bool window_first_is_sent(const struct session *s, uint64_t end, uint32_t lent)
{
    return end <= s->at && (!lent || s->lent_from != s->lent_at);
}

/* Or over an earlier one. */
static bool window_first_was_sent(const struct session *s, uint64_t end, uint32_t lent)
{
    return window_first_is_sent(s, end, lent) ||
           (end <= s->far && (!lent || (int32_t)(s->lent_far - s->lent_from) > 0));
}

/* Drop what the peer has. Only what was sent whole can be acknowledged; what is being sent again is
 * dropped when it has gone, for a frame must not be left in the middle. */
static int window_trim(struct session *s, uint64_t acknowledged, bool resuming, struct why *why)
{
    s->trims_later = false;
    if (acknowledged == s->sent && session_all_sent(s)) { /* all of it, as in most dialogues */
        s->from = s->to;
        s->lent_from = s->lent_to;
    }
    while (s->from != s->to) {
        struct frame frame;
        uint32_t lent;
        uint64_t end = window_first(s, &frame, &lent);
        bool sent = window_first_is_sent(s, end, lent);
        if (frame.sequence > acknowledged || (!frame.sequence && !sent && !resuming)) break;
        if (frame.sequence && !window_first_was_sent(s, end, lent))
            return why_set(why, SINEW_EPROTO, "frame %" PRIu64 " acknowledged before it was sent",
                           frame.sequence);
        if (!sent && !resuming) {
            s->trims_later = true;
            break;
        }
        s->from = end;
        s->lent_from += lent;
    }
    s->acknowledged = acknowledged;
    return 0;
}

static int session_take_acknowledged(struct session *s, uint64_t acknowledged, struct why *why)
{
    if (acknowledged > s->sent)
        return why_set(why, SINEW_EPROTO,
                       "frame %" PRIu64 " acknowledged where only %" PRIu64 " were sent",
                       acknowledged, s->sent);
    if (acknowledged <= s->acknowledged) return 0; /* a frame sent again says what it said first */
    return window_trim(s, acknowledged, false, why);
}

int session_check(struct session *s, const struct frame *frame, struct why *why)
{
    if (frame->epoch != s->peer_epoch)
        return why_set(why, SINEW_EPROTO,
                       "a frame of epoch %016" PRIx64 " on a link to epoch %016" PRIx64,
                       frame->epoch, s->peer_epoch);
    if (frame_is_numbered(frame) ? frame->sequence == 0 || frame->sequence > s->received + 1
                                 : frame->sequence != 0)
        return why_set(why, SINEW_EPROTO, "frame %" PRIu64 " where %" PRIu64 " was due",
                       frame->sequence, frame_is_numbered(frame) ? s->received + 1 : 0);
    int rc = session_take_acknowledged(s, frame->acknowledged, why);
    if (rc < 0 || !frame_is_numbered(frame) || frame->sequence == s->received + 1) return rc;
    s->discarded++;
    s->awaited = s->received;
    s->told = s->received - 1; /* it has missed what it was told: tell it again */
    return SESSION_AGAIN;
}

void session_received(struct session *s, const struct frame *frame)
{
    if (!frame_is_numbered(frame)) return;
    s->received = frame->sequence;
    /* The body of a long put is lent: it takes a place among SESSION_LENT, none in the window. */
    size_t len = session_header(s) + (size_t)frame->length;
    bool lent = frame->kind == FRAME_PUT && len > SESSION_ACK_LENT &&
                (frame->flags & FRAME_URGENT || len > SESSION_COPIED);
    s->untold_bytes += lent ? SESSION_ACK_LENT : len;
    if (frame->flags & FRAME_URGENT || session_ack_is_due(s)) s->awaited = s->received;
}

/* --- over a new connection -------------------------------------------------------------------- */

static void session_sum(uint8_t *frame, size_t len)
{
    wire_put32(frame + len - 4, crc32c(0, frame, len - 4));
}

bool session_is_whole(const uint8_t *frame, size_t len)
{
    return wire_get32(frame + len - 4) == crc32c(0, frame, len - 4);
}

/* byte 0      8       16        20        21     24          88                      92
 *      | mine | yours | attempt | address | ends | address …  | checksum of the frame |
 *                                 length                      */
void session_join_encode(uint8_t out[JOIN_FRAME], enum frame_kind kind, uint64_t epoch,
                 const struct join *join)
{
    const struct frame frame = { .length = JOIN_PAYLOAD, .kind = (uint8_t)kind, .epoch = epoch,
                                 .acknowledged = join->received };
    uint8_t *payload = out + FRAME_HEADER;
    memset(out, 0, JOIN_FRAME);
    frame_encode(out, &frame);
    wire_put64(payload, join->mine);
    wire_put64(payload + 8, join->yours);
    wire_put32(payload + 16, join->attempt);
    wire_put32(payload + 20, join->address_len | join->ends << 8);
    memcpy(payload + 24, join->address, sizeof(join->address));
    session_sum(out, JOIN_FRAME);
}

void session_greeting_encode(uint8_t out[GREETING_FRAME], uint64_t epoch, uint8_t greeting)
{
    const struct frame frame = { .length = GREETING_PAYLOAD, .kind = FRAME_BYE, .epoch = epoch };
    frame_encode(out, &frame);
    out[FRAME_HEADER] = greeting;
    session_sum(out, GREETING_FRAME);
}

int session_join_decode(const uint8_t in[JOIN_FRAME], enum frame_kind kind, uint64_t epoch,
                struct join *join, struct why *why)
{
    const uint8_t *payload = in + FRAME_HEADER;
    struct frame frame;
    int rc = frame_decode(in, JOIN_PAYLOAD, &frame, why);
    if (rc < 0) return rc;
    *join = (struct join){ .mine = wire_get64(payload), .yours = wire_get64(payload + 8),
                           .received = frame.acknowledged, .attempt = wire_get32(payload + 16),
                           .ends = wire_get32(payload + 20) >> 8, .address_len = payload[20] };
    memcpy(join->address, payload + 24, sizeof(join->address));
    if (frame.kind == kind && frame.length == JOIN_PAYLOAD && frame.epoch == epoch &&
        !frame.flags && !frame.head && !frame.sequence && join->mine &&
        join->address_len <= sizeof(join->address))
        return 0;
    return why_set(why, SINEW_EPROTO,
                   "the first frame after the handshake (kind %u, %u bytes, epoch %016" PRIx64
                   ") is none that begins a link",
                   frame.kind, frame.length, frame.epoch);
}

bool session_is(const struct session *s, const struct join *join)
{
    return (!join->yours || join->yours == s->mine) && (!s->theirs || join->mine == s->theirs);
}

/* The frames that were sent at least in part. */
static uint64_t window_again(const struct session *s)
{
    struct session walk = *s;
    uint64_t frames = 0;
    while (walk.from != walk.to && walk.from < s->far) {
        struct frame frame;
        uint32_t lent;
        walk.from = window_first(&walk, &frame, &lent);
        walk.lent_from += lent;
        frames += frame.sequence != 0;
    }
    return frames;
}

static void window_rewind(struct session *s)
{
    if (s->at > s->far || (s->at == s->far && (int32_t)(s->lent_at - s->lent_far) > 0)) {
        s->far = s->at;
        s->lent_far = s->lent_at;
    }
    s->at = s->from;
    s->lent_at = s->lent_from;
    s->body_at = 0;
}

int session_resume(struct session *s, const struct join *join, struct why *why)
{
    if (join->received < s->acknowledged || join->received > s->sent)
        return why_set(why, SINEW_EPROTO,
                       "it has frames up to %" PRIu64 ", of %" PRIu64
                       " sent, of which it had acknowledged %" PRIu64,
                       join->received, s->sent, s->acknowledged);
    window_rewind(s);
    int rc = window_trim(s, join->received, true, why);
    if (rc < 0) return rc;
    s->at = s->from;
    s->lent_at = s->lent_from;
    s->theirs = join->mine;
    s->resent += window_again(s);
    s->told = s->received; /* the join has told it, or the welcome does */
    s->untold_bytes = 0;
    return 0;
}
