/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/wire.h"
#include "sinew/sinew.h"
#include "tests/fuzz/fuzz.h"
#include "transport/tcp/internal.h"

static void addresses(const uint8_t *bytes, size_t len)
{
    struct tcp_place places[TCP_PLACES_MAX];
    struct why why;
    int n = 0;
    if (address_decode(bytes, len, places, &n, &why) < 0) return;
    PROMISE(n >= 0 && n <= TCP_PLACES_MAX);
}

/* What a peer says of itself on a new connection, then headers of frames, one after the other. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct session s;
    struct join join;
    struct frame frame = { .kind = FRAME_MESSAGE, .length = 4 };
    struct why why;
    addresses(bytes, len);
    if (len < JOIN_FRAME || session_begin(&s, &world_real, 3, &why) < 0) return 0;
    s.peer_epoch = wire_get64(bytes + 8);
    for (int i = 0; i < 5; i++) session_append(&s, &frame, NULL, 0, "body", 4, false);
    session_sent(&s, 3 * (FRAME_HEADER + 4));
    session_is_whole(bytes, JOIN_FRAME);
    if (session_join_decode(bytes, FRAME_JOIN, s.peer_epoch, &join, &why) == 0) {
        PROMISE(join.mine && join.address_len <= sizeof(join.address));
        addresses(join.address, join.address_len);
        if (session_is(&s, &join) && session_resume(&s, &join, &why) == 0)
            PROMISE(s.acknowledged == join.received && s.acknowledged <= 3);
    }
    for (size_t at = JOIN_FRAME; at + FRAME_HEADER <= len; at += FRAME_HEADER) {
        uint64_t received = s.received;
        if (frame_decode(bytes + at, 1u << 20, &frame, &why) < 0) continue;
        frame.epoch = s.peer_epoch;
        if (frame.kind == FRAME_ACK) frame.sequence = 0;
        int rc = session_check(&s, &frame, &why);
        if (rc == 0) session_received(&s, &frame);
        PROMISE(s.received == received || s.received == received + 1);
        PROMISE(s.acknowledged <= s.sent && s.from <= s.to && s.at <= s.to);
    }
    session_release(&s, &world_real);
    return 0;
}
