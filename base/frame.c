/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/frame.h"

#include "base/crc32c.h"
#include "base/wire.h"
#include "sinew/sinew.h"

void frame_encode(uint8_t out[FRAME_HEADER], const struct frame *frame)
{
    wire_put32(out, frame->length);
    out[4] = frame->kind;
    out[5] = frame->head;
    wire_put16(out + 6, frame->flags);
    wire_put64(out + 8, frame->epoch);
    wire_put64(out + 16, frame->sequence);
    wire_put64(out + 24, frame->acknowledged);
}

int frame_decode(const uint8_t in[FRAME_HEADER], uint32_t length_max, struct frame *frame,
                 struct why *why)
{
    *frame = (struct frame){
        .length = wire_get32(in),
        .kind = in[4],
        .head = in[5],
        .flags = wire_get16(in + 6),
        .epoch = wire_get64(in + 8),
        .sequence = wire_get64(in + 16),
        .acknowledged = wire_get64(in + 24),
    };
    if (frame->length > length_max)
        return why_set(why, SINEW_EPROTO, "a frame of %u bytes where at most %u are allowed",
                       frame->length, length_max);
    if (frame->head > frame->length)
        return why_set(why, SINEW_EPROTO, "a frame whose head (%u) is longer than itself (%u)",
                       frame->head, frame->length);
    if (frame->flags & ~FRAME_URGENT)
        return why_set(why, SINEW_EPROTO, "a frame with unknown flags 0x%x", frame->flags);
    return 0;
}

void frame_sum(uint8_t out[FRAME_HEADER + FRAME_SUMS], uint32_t payload)
{
    wire_put32(out + FRAME_HEADER, payload);
    wire_put32(out + FRAME_HEADER + 4, crc32c(0, out, FRAME_HEADER + 4));
}

bool frame_is_whole(const uint8_t in[FRAME_HEADER + FRAME_SUMS], uint32_t *payload)
{
    *payload = wire_get32(in + FRAME_HEADER);
    return wire_get32(in + FRAME_HEADER + 4) == crc32c(0, in, FRAME_HEADER + 4);
}
