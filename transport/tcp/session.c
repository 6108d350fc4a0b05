/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/tcp/session.h"

#include <inttypes.h>

#include "sinew/sinew.h"

void session_begin(struct session *s, uint64_t my_epoch, uint64_t peer_epoch)
{
    *s = (struct session){ .my_epoch = my_epoch, .peer_epoch = peer_epoch };
}

static bool frame_is_numbered(const struct frame *frame)
{
    return frame->kind != FRAME_ACK;
}

void session_stamp(struct session *s, struct frame *frame)
{
    frame->epoch = s->my_epoch;
    frame->sequence = frame_is_numbered(frame) ? ++s->sent : 0;
    frame->acknowledged = s->told = s->received;
}

static int session_check_acknowledged(struct session *s, uint64_t acknowledged, struct why *why)
{
    if (acknowledged > s->sent)
        return why_set(why, SINEW_EPROTO,
                       "frame %" PRIu64 " acknowledged where only %" PRIu64 " were sent",
                       acknowledged, s->sent);
    if (acknowledged < s->acknowledged)
        return why_set(why, SINEW_EPROTO,
                       "frame %" PRIu64 " acknowledged after %" PRIu64 " was", acknowledged,
                       s->acknowledged);
    s->acknowledged = acknowledged;
    return 0;
}

int session_check(struct session *s, const struct frame *frame, struct why *why)
{
    uint64_t expected = frame_is_numbered(frame) ? s->received + 1 : 0;
    if (frame->epoch != s->peer_epoch)
        return why_set(why, SINEW_EPROTO,
                       "a frame of epoch %016" PRIx64 " on a link to epoch %016" PRIx64,
                       frame->epoch, s->peer_epoch);
    if (frame->sequence != expected)
        return why_set(why, SINEW_EPROTO, "frame %" PRIu64 " where %" PRIu64 " was due",
                       frame->sequence, expected);
    return session_check_acknowledged(s, frame->acknowledged, why);
}

void session_received(struct session *s, const struct frame *frame, bool urgent)
{
    if (!frame_is_numbered(frame)) return;
    s->received = frame->sequence;
    if (urgent || s->received - s->told >= SESSION_ACK_EVERY) s->awaited = s->received;
}

bool session_owes_ack(const struct session *s)
{
    return s->awaited > s->told;
}
