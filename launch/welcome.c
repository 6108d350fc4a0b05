/* SPDX-License-Identifier: BSD-3-Clause */
#include "launch/welcome.h"

#include <string.h>

#include "base/wire.h"

size_t join_encode(const struct join *join, uint8_t out[LAUNCH_JOIN_LEN])
{
    wire_put32(out, (uint32_t)join->first);
    wire_put32(out + 4, (uint32_t)join->count);
    wire_put32(out + 8, (uint32_t)join->size);
    return LAUNCH_JOIN_LEN;
}

int join_decode(struct join *join, const uint8_t *in, size_t len, struct why *why)
{
    struct wire_reader r = wire_read(in, len);
    int first = (int32_t)wire_take32(&r), count = (int32_t)wire_take32(&r);
    int size = (int32_t)wire_take32(&r);
    if (r.bad || r.left || size < 1 || size > LAUNCH_SIZE_MAX || first < 0 || count < 1 ||
        count > size || first > size - count)
        return why_set(why, SINEW_EPROTO, "%d ranks from %d of %d cannot be", count, first, size);
    *join = (struct join){ first, count, size };
    return 0;
}

size_t welcome_encode(const struct welcome *welcome, uint8_t out[LAUNCH_PAYLOAD_MAX])
{
    uint32_t flags = (welcome->has_secret ? (uint32_t)LAUNCH_HAS_SECRET : 0) |
                     (welcome->ends ? (uint32_t)LAUNCH_ENDS : 0);
    wire_put32(out, (uint32_t)welcome->rank);
    wire_put32(out + 4, (uint32_t)welcome->size);
    wire_put32(out + 8, (uint32_t)welcome->here);
    wire_put32(out + 12, (uint32_t)welcome->cores);
    wire_put32(out + 16, welcome->cores_name);
    wire_put32(out + 20, flags);
    if (!welcome->has_secret) return LAUNCH_WELCOME_LEN;
    memcpy(out + LAUNCH_WELCOME_LEN, welcome->secret, LAUNCH_SECRET_LEN);
    return LAUNCH_WELCOME_LEN + LAUNCH_SECRET_LEN;
}

int welcome_decode(struct welcome *welcome, const uint8_t *in, size_t len, struct why *why)
{
    struct wire_reader r = wire_read(in, len);
    struct welcome w = { .rank = (int32_t)wire_take32(&r), .size = 0 };
    w.size = (int32_t)wire_take32(&r);
    w.here = (int32_t)wire_take32(&r);
    w.cores = (int32_t)wire_take32(&r);
    w.cores_name = wire_take32(&r);
    uint32_t flags = wire_take32(&r);
    w.has_secret = flags & LAUNCH_HAS_SECRET;
    w.ends = flags & LAUNCH_ENDS;
    if (r.bad || r.left != (w.has_secret ? (size_t)LAUNCH_SECRET_LEN : 0) ||
        (flags & ~(uint32_t)(LAUNCH_HAS_SECRET | LAUNCH_ENDS)) || w.size < 1 ||
        w.size > LAUNCH_SIZE_MAX || w.rank < 0 || w.rank >= w.size || w.here < 0 ||
        w.here > w.size || w.cores < 0)
        return why_set(why, SINEW_EPROTO, "a malformed welcome");
    if (w.has_secret) memcpy(w.secret, r.at, LAUNCH_SECRET_LEN);
    *welcome = w;
    return 0;
}

int welcome_await(struct channel *s, int64_t until, struct welcome *welcome, struct why *why)
{
    struct frame frame;
    const uint8_t *payload;
    int rc = channel_await(s, until, &frame, &payload);
    if (rc < 0) return why_set(why, rc, "%s", s->why.text);
    switch (frame.kind) {
    case LAUNCH_WELCOME:
        return welcome_decode(welcome, payload, frame.length, why);
    case LAUNCH_REFUSE:
        return why_set(why, SINEW_ELAUNCH, "%.*s", (int)frame.length, (const char *)payload);
    default:
        return why_set(why, SINEW_EPROTO, "the answer is a frame of kind %u", frame.kind);
    }
}
