/* SPDX-License-Identifier: BSD-3-Clause */
#include "launch/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/wire.h"

void channel_init(struct channel *s, const struct world *world, int fd, size_t out_limit)
{
    memset(s, 0, sizeof(*s));
    s->world = world;
    s->fd = fd;
    s->out_limit = out_limit;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void channel_close(struct channel *s)
{
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
    s->ended = true;
    explicit_bzero(s->in, sizeof(s->in));
    world_release(s->world, s->out, s->out_cap);
    s->out = NULL;
    s->out_at = s->out_len = s->out_cap = 0;
}

static int channel_end(struct channel *s, int status)
{
    s->ended = true;
    return status;
}

static int channel_read(struct channel *s)
{
    for (;;) {
        ssize_t n = recv(s->fd, s->in + s->in_len, sizeof(s->in) - s->in_len, 0);
        if (n > 0) {
            s->in_len += (size_t)n;
            return 1;
        }
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
        why_set(&s->why, 0, "%s", n == 0 ? "the connection was closed" : strerror(errno));
        return channel_end(s, SINEW_ELAUNCH);
    }
}

/* A whole frame at the start of `in`? 1, 0 or SINEW_EPROTO. */
static int channel_frame(struct channel *s, struct frame *frame)
{
    if (s->in_len < FRAME_HEADER) return 0;
    int rc = frame_decode(s->in, LAUNCH_PAYLOAD_MAX, frame, &s->why);
    if (rc == 0 && (frame->head || frame->epoch || frame->sequence || frame->acknowledged))
        rc = why_set(&s->why, SINEW_EPROTO, "a frame of a link where the launcher's are spoken");
    if (rc < 0) return channel_end(s, rc);
    if (s->in_len < FRAME_HEADER + (size_t)frame->length) return 0;
    return 1;
}

bool channel_buffered(struct channel *s)
{
    size_t have = s->in_len - s->in_used;
    if (s->ended || have < FRAME_HEADER) return false;
    return have - FRAME_HEADER >= wire_get32(s->in + s->in_used);
}

int channel_receive(struct channel *s, struct frame *frame, const uint8_t **payload)
{
    if (s->in_used > 0) {
        memmove(s->in, s->in + s->in_used, s->in_len - s->in_used);
        s->in_len -= s->in_used;
        s->in_used = 0;
    }
    if (s->ended) return SINEW_ELAUNCH;
    int rc;
    while ((rc = channel_frame(s, frame)) == 0)
        if ((rc = channel_read(s)) <= 0) return rc;
    if (rc < 0) return rc;
    s->in_used = FRAME_HEADER + (size_t)frame->length;
    *payload = s->in + FRAME_HEADER;
    if (frame->kind != FRAME_BYE) return 1;
    s->in_order = true;
    why_set(&s->why, 0, "the other end has left");
    return channel_end(s, SINEW_ELAUNCH);
}

int channel_flush(struct channel *s)
{
    if (s->ended) return SINEW_ELAUNCH;
    while (channel_waits(s)) {
        ssize_t n = send(s->fd, s->out + s->out_at, s->out_len - s->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return SINEW_PENDING;
        if (n < 0) {
            /* What the other end said before it went is still to be read: that end comes first. */
            s->out_at = s->out_len = 0;
            return why_set(&s->why, SINEW_ELAUNCH, "%s", strerror(errno));
        }
        s->out_at += (size_t)n;
    }
    s->out_at = s->out_len = 0;
    return 0;
}

/* Room for len more bytes behind out_len. */
static int channel_room(struct channel *s, size_t len)
{
    if (s->out_at > 0) {
        memmove(s->out, s->out + s->out_at, s->out_len - s->out_at);
        s->out_len -= s->out_at;
        s->out_at = 0;
    }
    size_t need = s->out_len + len;
    if (need <= s->out_cap) return 0;
    if (need > s->out_limit) {
        why_set(&s->why, 0, "the other end does not read: %zu bytes are waiting for it",
                s->out_len);
        return channel_end(s, SINEW_ELAUNCH);
    }
    size_t cap = s->out_cap ? s->out_cap : 512;
    while (cap < need) cap *= 2;
    uint8_t *more = world_allocate(s->world, cap);
    if (!more) {
        why_set(&s->why, 0, "no memory for %zu bytes to be sent", cap);
        return channel_end(s, SINEW_ENOMEM);
    }
    if (s->out_len > 0) memcpy(more, s->out, s->out_len);
    world_release(s->world, s->out, s->out_cap);
    s->out = more;
    s->out_cap = cap;
    return 0;
}

int channel_send(struct channel *s, int kind, const void *payload, size_t len)
{
    struct frame frame = { .length = (uint32_t)len, .kind = (uint8_t)kind };
    if (s->ended) return SINEW_ELAUNCH;
    int rc = channel_room(s, FRAME_HEADER + len);
    if (rc < 0) return rc;
    frame_encode(s->out + s->out_len, &frame);
    if (len > 0) memcpy(s->out + s->out_len + FRAME_HEADER, payload, len);
    s->out_len += FRAME_HEADER + len;
    rc = channel_flush(s);
    return rc < 0 ? rc : 0;
}

int channel_sleep(const struct world *world, int fd, uint32_t events, int64_t until)
{
    struct epoll_event event = { .events = events };
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) return SINEW_EIO;
    int rc = fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) ? SINEW_EIO : 0;
    if (rc == 0) world->sleep(world->arg, epoll_fd, until);
    close(epoll_fd);
    return rc;
}

int channel_await(struct channel *s, int64_t until, struct frame *frame, const uint8_t **payload)
{
    for (;;) {
        int rc = channel_receive(s, frame, payload);
        if (rc > 0) return frame->kind;
        if (rc < 0) return rc;
        if (world_now(s->world) >= until)
            return why_set(&s->why, SINEW_ETIMEDOUT, "no answer in time");
        rc = channel_sleep(s->world, s->fd, EPOLLIN, until);
        if (rc < 0) return why_set(&s->why, rc, "cannot wait: %s", strerror(errno));
    }
}

int channel_drain(struct channel *s, int64_t until)
{
    int rc;
    while ((rc = channel_flush(s)) > 0) {
        if (world_now(s->world) >= until) return SINEW_ETIMEDOUT;
        if (channel_sleep(s->world, s->fd, EPOLLOUT, until) < 0) return SINEW_EIO;
    }
    return rc;
}
