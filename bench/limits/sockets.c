/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sockets.c - TCP over loopback with nothing around it, in each way that may be the fastest
 *
 * A reader that spins asks without waiting until something is there; one that blocks sleeps in the
 * kernel. The chunk is what one call may carry, the room what the kernel may hold (0: its choice).
 */
#include "limits.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum how { SPIN, BLOCK };
enum { RECORD = 16, STAGING_RECORDS = 4096 };

static void tcp_prepare(struct run *r)
{
    int room = (int)r->variant->room, busy = 50;
    if (room > 0) {
        setsockopt(r->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
        setsockopt(r->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    }
    setsockopt(r->fd, SOL_SOCKET, SO_BUSY_POLL, &busy, sizeof(busy)); /* where it means something */
}

static int tcp_flags(const struct run *r)
{
    return r->variant->how == BLOCK ? 0 : MSG_DONTWAIT;
}

/* Whether the call has to be made again; dies if it failed. */
static bool tcp_again(ssize_t got, const char *what)
{
    if (got > 0) return false;
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    limit_die(what);
}

static void tcp_send(const struct run *r, const uint8_t *from, size_t len, size_t chunk)
{
    for (size_t at = 0; at < len;) {
        size_t now = len - at < chunk ? len - at : chunk;
        ssize_t sent = send(r->fd, from + at, now, tcp_flags(r) | MSG_NOSIGNAL);
        if (!tcp_again(sent, "sinew-limits: send")) at += (size_t)sent;
    }
}

static void tcp_recv(const struct run *r, uint8_t *to, size_t len, size_t chunk)
{
    for (size_t at = 0; at < len;) {
        size_t now = len - at < chunk ? len - at : chunk;
        ssize_t got = recv(r->fd, to + at, now, tcp_flags(r));
        if (!tcp_again(got, "sinew-limits: recv")) at += (size_t)got;
    }
}

static int tcp_variants(size_t bytes, struct variant out[LIMIT_VARIANTS])
{
    static const size_t rooms[] = { 0, 1 << 20, 4 << 20 };
    int n = 0;
    if (bytes <= 4096) {
        out[n++] = (struct variant){ "spinning", bytes, 0, SPIN, 0 };
        out[n++] = (struct variant){ "blocking", bytes, 0, BLOCK, 0 };
        return n;
    }
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
        for (int how = SPIN; how <= BLOCK; how++)
            for (size_t chunk = 65536; chunk / 4 < bytes && chunk <= 1 << 20; chunk *= 4)
                out[n++] = (struct variant){ how == BLOCK ? "blocking" : "spinning", chunk,
                                             rooms[i], how, 0 };
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

static void tcp_stream(struct run *r, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        size_t at = i % LIMIT_WINDOW * r->bytes;
        if (r->side == 0)
            tcp_send(r, r->out + at, r->bytes, r->variant->chunk);
        else
            tcp_recv(r, r->in + at, r->bytes, r->variant->chunk);
    }
}

static int batched_variants(size_t bytes, struct variant out[LIMIT_VARIANTS])
{
    int n = 0;
    (void)bytes;
    for (size_t records = 16; records <= STAGING_RECORDS; records *= 4) {
        out[n++] = (struct variant){ "spinning", records, 0, SPIN, 0 };
        out[n++] = (struct variant){ "blocking", records, 0, BLOCK, 0 };
    }
    return n;
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
    .rounds = tcp_stream,
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
    .text = "bare sockets, as much as a system call takes",
    .unit = "MB/s",
    .least = 8,
    .most = 4 << 20,
    .buffers = LIMIT_WINDOW,
    .sockets = true,
    .variants = tcp_variants,
    .prepare = tcp_prepare,
    .rounds = tcp_stream,
    .expected = limit_filled,
};
