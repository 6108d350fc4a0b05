/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LAUNCH_CHANNEL_H
#define LAUNCH_CHANNEL_H
/*
 * channel.h - frames over a connected socket, never blocking
 *
 * Frames go out in order; what the socket does not take is kept, up to a limit that ends it
 * (the other end does not read). A channel that ended stays so, and `why` says by what.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/frame.h"
#include "base/text.h"
#include "base/world.h"
#include "launch/protocol.h"

enum { CHANNEL_IN = FRAME_HEADER + LAUNCH_PAYLOAD_MAX };

struct channel {
    const struct world *world;
    int fd;        /* -1 once closed */
    bool ended;    /* nothing more will come, `why` says by what */
    bool in_order; /* by FRAME_BYE */
    uint8_t in[CHANNEL_IN];
    size_t in_len;
    size_t in_used; /* bytes of `in` that the frame handed out last occupies */
    uint8_t *out;
    size_t out_at, out_len, out_cap, out_limit;
    struct why why;
};

/* Takes over fd (made non-blocking). */
void channel_init(struct channel *s, const struct world *world, int fd, size_t out_limit);
void channel_close(struct channel *s);

/* 1: a frame; payload is valid until the next call. 0: nothing now. < 0: it has ended. */
int channel_receive(struct channel *s, struct frame *frame, const uint8_t **payload);

/* Another whole frame has been read already: the socket need not become readable for it. */
bool channel_buffered(struct channel *s);

/* 0 or < 0: ended. */
int channel_send(struct channel *s, int kind, const void *payload, size_t len);

/* 0: all is in the kernel's hands; > 0: bytes are waiting; < 0: ended. */
int channel_flush(struct channel *s);

static inline bool channel_waits(const struct channel *s)
{
    return s->out_len > s->out_at;
}

/* Wait until the time `until`: for the next frame, its kind is returned; or until all is flushed,
 * 0. SINEW_ETIMEDOUT, or how it ended. */
int channel_await(struct channel *s, int64_t until, struct frame *frame, const uint8_t **payload);
int channel_drain(struct channel *s, int64_t until);

/* Sleep until fd (-1: nothing) has one of the epoll events, or the time `until`. 0 or SINEW_EIO. */
int channel_sleep(const struct world *world, int fd, uint32_t events, int64_t until);

#endif
