/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sockets.c - TCP over loopback with nothing around it, in each way that may be the fastest
 *
 *   spinning        recv without waiting, until something is there
 *   spinning, msg   the same by sendmsg and recvmsg
 *   spinning, read  the same by write and read of a nonblocking socket
 *   asking          poll without waiting, which takes no lock of the socket's, then recv
 *   blocking        sleeps in the kernel
 *   spinning, reno  as the first, with the kernel's plainest congestion control, whatever is usual
 *                   here
 *
 * The chunk is what one call may carry, of as many messages as it takes when they stream; the room
 * is what the kernel may hold (0: its choice).
 */
#include "limits.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum how { SPIN, SPIN_MSG, SPIN_READ, ASK, BLOCK, SPIN_RENO, HOWS };
static const char *const how_names[] = { "spinning", "spinning, msg", "spinning, read", "asking",
                                         "blocking", "spinning, reno" };
enum { RECORD = 16, STAGING_RECORDS = 4096 };

static void tcp_prepare(struct run *r)
{
    int room = (int)r->variant->room, busy = 50;
    if (room > 0) {
        setsockopt(r->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
        setsockopt(r->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    }
    setsockopt(r->fd, SOL_SOCKET, SO_BUSY_POLL, &busy, sizeof(busy)); /* where it means something */
    if (r->variant->how == SPIN_RENO) setsockopt(r->fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
    if (r->variant->how == SPIN_READ) fcntl(r->fd, F_SETFL, O_NONBLOCK);
}

/* Whether the call has to be made again; dies if it failed. */
static bool tcp_again(ssize_t got, const char *what)
{
    if (got > 0) return false;
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    limit_die(what);
}

static ssize_t tcp_call_send(const struct run *r, const uint8_t *from, size_t len)
{
    struct iovec v = { (uint8_t *)(uintptr_t)from, len };
    const struct msghdr message = { .msg_iov = &v, .msg_iovlen = 1 };
    switch ((enum how)r->variant->how) {
    case SPIN_MSG: return sendmsg(r->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    case SPIN_READ: return write(r->fd, from, len);
    case BLOCK: return send(r->fd, from, len, MSG_NOSIGNAL);
    default: return send(r->fd, from, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

static ssize_t tcp_call_recv(const struct run *r, uint8_t *to, size_t len)
{
    struct iovec v = { to, len };
    struct msghdr message = { .msg_iov = &v, .msg_iovlen = 1 };
    struct pollfd there = { .fd = r->fd, .events = POLLIN };
    switch ((enum how)r->variant->how) {
    case SPIN_MSG: return recvmsg(r->fd, &message, MSG_DONTWAIT);
    case SPIN_READ: return read(r->fd, to, len);
    case ASK:
        while (poll(&there, 1, 0) == 0) continue;
        return recv(r->fd, to, len, MSG_DONTWAIT);
    case BLOCK: return recv(r->fd, to, len, 0);
    default: return recv(r->fd, to, len, MSG_DONTWAIT);
    }
}

static void tcp_send(const struct run *r, const uint8_t *from, size_t len, size_t chunk)
{
    for (size_t at = 0; at < len;) {
        size_t now = len - at < chunk ? len - at : chunk;
        ssize_t sent = tcp_call_send(r, from + at, now);
        if (!tcp_again(sent, "sinew-limits: send")) at += (size_t)sent;
    }
}

static void tcp_recv(const struct run *r, uint8_t *to, size_t len, size_t chunk)
{
    for (size_t at = 0; at < len;) {
        size_t now = len - at < chunk ? len - at : chunk;
        ssize_t got = tcp_call_recv(r, to + at, now);
        if (!tcp_again(got, "sinew-limits: recv")) at += (size_t)got;
    }
}

static int tcp_every_way(size_t chunk, size_t room, struct variant *out)
{
    for (int how = 0; how < HOWS; how++)
        out[how] = (struct variant){ how_names[how], chunk, room, how, 0 };
    return HOWS;
}

static int tcp_variants(size_t bytes, struct variant out[LIMIT_VARIANTS])
{
    int n = 0;
    if (bytes <= 4096) return tcp_every_way(bytes, 0, out);
    for (size_t chunk = 65536; n == 0 || (chunk / 4 < bytes && chunk <= 1 << 20); chunk *= 4)
        n += tcp_every_way(chunk, 0, out + n);
    return n;
}

static int tcp_spinning(size_t chunk, size_t room, struct variant *out)
{
    out[0] = (struct variant){ how_names[SPIN], chunk, room, SPIN, 0 };
    out[1] = (struct variant){ how_names[SPIN_RENO], chunk, room, SPIN_RENO, 0 };
    return 2;
}

/* Where many messages are under way it matters how much the kernel may hold. Not every way in every
 * chunk: the kinds of calls differ less than the lengths. */
static int stream_variants(size_t bytes, struct variant out[LIMIT_VARIANTS])
{
    static const size_t rooms[] = { 256 << 10, 1 << 20, 4 << 20 }, most = 4 << 20;
    size_t window = LIMIT_WINDOW * bytes, usual = window < 256 << 10 ? window : 256 << 10;
    int n = tcp_every_way(usual, 0, out);
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
        n += tcp_spinning(usual, rooms[i], out + n);
        if (window >= most) n += tcp_spinning(most, rooms[i], out + n);
    }
    for (size_t chunk = 64 << 10; chunk <= most && chunk <= window; chunk *= 2)
        if (chunk != usual) n += tcp_spinning(chunk, 0, out + n);
    return n;
}

static void tcp_pingpong(struct run *r, uint64_t n)
{
    size_t chunk = r->variant->chunk;
    for (uint64_t i = 0; i < n; i++) {
        if (r->side == 0) tcp_send(r, r->out, r->bytes, chunk);
        tcp_recv(r, r->in, r->bytes, chunk);
        if (r->side == 1) tcp_send(r, r->out, r->bytes, chunk);
    }
}

/* Messages of a window lie one behind the other, so a call takes as many as the chunk holds. */
static void tcp_stream(struct run *r, uint64_t n)
{
    for (uint64_t left = n; left > 0;) {
        uint64_t now = left < LIMIT_WINDOW ? left : LIMIT_WINDOW;
        if (r->side == 0)
            tcp_send(r, r->out, (size_t)now * r->bytes, r->variant->chunk);
        else
            tcp_recv(r, r->in, (size_t)now * r->bytes, r->variant->chunk);
        left -= now;
    }
}

static void tcp_each(struct run *r, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        size_t at = i % LIMIT_WINDOW * r->bytes;
        if (r->side == 0)
            tcp_send(r, r->out + at, r->bytes, r->bytes);
        else
            tcp_recv(r, r->in + at, r->bytes, r->bytes);
    }
}

static int batched_variants(size_t bytes, struct variant out[LIMIT_VARIANTS])
{
    int n = 0;
    (void)bytes;
    for (size_t records = 16; records < STAGING_RECORDS; records *= 4)
        n += tcp_spinning(records, 0, out + n);
    return n + tcp_every_way(STAGING_RECORDS, 0, out + n);
}

/* Records of a number and 8 bytes, many in a call. */
static void batched_stream(struct run *r, uint64_t n)
{
    uint64_t left = n;
    while (left > 0) {
        size_t now = left < r->variant->chunk ? (size_t)left : r->variant->chunk;
        for (size_t i = 0; i < now && r->side == 0; i++) {
            memcpy(r->staging + i * RECORD, &left, 8);
            memcpy(r->staging + i * RECORD + 8, r->out + i % LIMIT_WINDOW * 8, 8);
        }
        if (r->side == 0)
            tcp_send(r, r->staging, now * RECORD, now * RECORD);
        else
            tcp_recv(r, r->staging, now * RECORD, now * RECORD);
        for (size_t i = 0; i < now && r->side == 1; i++)
            memcpy(r->in + i % LIMIT_WINDOW * 8, r->staging + i * RECORD + 8, 8);
        left -= now;
    }
}

const struct limit limit_tcp_latency = {
    .test = "latency",
    .transport = "tcp",
    .text = "bare sockets over loopback: half a round trip",
    .unit = "us",
    .least = 8,
    .most = 4 << 20,
    .buffers = 1,
    .sockets = true,
    .variants = tcp_variants,
    .prepare = tcp_prepare,
    .rounds = tcp_pingpong,
    .expected = limit_filled,
};

const struct limit limit_tcp_rate = {
    .test = "rate",
    .transport = "tcp",
    .text = "bare sockets, one system call a message on both sides",
    .unit = "Mmsg/s",
    .least = 8,
    .most = 4096,
    .buffers = LIMIT_WINDOW,
    .sockets = true,
    .variants = tcp_variants,
    .prepare = tcp_prepare,
    .rounds = tcp_each,
    .expected = limit_filled,
};

const struct limit limit_tcp_batched = {
    .test = "rate",
    .transport = "tcp-batched",
    .text = "bare sockets, many messages of 16 bytes, 8 of them its own, in a system call",
    .unit = "Mmsg/s",
    .least = 8,
    .most = 8,
    .refuse = 8,
    .buffers = LIMIT_WINDOW,
    .sockets = true,
    .variants = batched_variants,
    .prepare = tcp_prepare,
    .rounds = batched_stream,
    .expected = limit_filled,
};

const struct limit limit_tcp_bandwidth = {
    .test = "bandwidth",
    .transport = "tcp",
    .text = "bare sockets, as much as a system call takes, of one message or several",
    .unit = "MB/s",
    .least = 8,
    .most = 4 << 20,
    .buffers = LIMIT_WINDOW,
    .sockets = true,
    .variants = stream_variants,
    .prepare = tcp_prepare,
    .rounds = tcp_stream,
    .expected = limit_filled,
};
