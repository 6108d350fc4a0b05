/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exchange.c - what a collective of two ranks has to carry, over bare sockets
 *
 *   exchange   both send and receive the same: barrier (one byte), allgather, alltoall, allreduce,
 *              reduce_scatter (half of it)
 *   one way    side 0 sends: bcast; side 1 does: reduce
 *
 * and beside it what cannot be left out: a rank's own block copied, floats added. Each side writes
 * as much as a call takes and reads as much as is there: in turn, or reads until nothing is there
 * before it writes again. An allreduce is tried as one exchange of all, and as two of half; what
 * comes is added call by call, or when all is there. Each with the system's congestion control and
 * with the plainest: one that paces costs half of a long exchange.
 */
#include "limits.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

/* Bits of a way. */
enum { HALVES = 1, DRAINS = 2, RENO = 4, HOWS = 8 };
enum { AS_THEY_COME, AT_THE_END };

static void exchange_prepare(struct run *r)
{
    if (r->variant->how & RENO) setsockopt(r->fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

static const char *way_name(int how, int lazy)
{
    static const char *const names[HOWS][2] = {
        { "whole", "whole, then added" },
        { "halves", "halves, then added" },
        { "whole, draining", "whole, draining, then added" },
        { "halves, draining", "halves, draining, then added" },
        { "whole, reno", "whole, reno, then added" },
        { "halves, reno", "halves, reno, then added" },
        { "whole, draining, reno", "whole, draining, reno, then added" },
        { "halves, draining, reno", "halves, draining, reno, then added" },
    };
    return names[how][lazy];
}

static int ways_of(size_t bytes, bool halves, int lazies, struct variant *out)
{
    int n = 0;
    for (size_t chunk = 16 << 10; chunk <= 4 << 20; chunk *= 4) {
        for (int how = 0; how < HOWS; how++)
            for (int lazy = 0; lazy < lazies && (halves || !(how & HALVES)); lazy++)
                out[n++] = (struct variant){ way_name(how, lazy), chunk, 0, how, lazy };
        if (chunk >= bytes) break;
    }
    return n;
}

static int plain_variants(size_t bytes, struct variant out[LIMIT_VARIANTS])
{
    return ways_of(bytes, false, 1, out);
}

static int adding_variants(size_t bytes, struct variant out[LIMIT_VARIANTS])
{
    return ways_of(bytes, false, 2, out);
}

static int allreduce_variants(size_t bytes, struct variant out[LIMIT_VARIANTS])
{
    return ways_of(bytes, bytes >= 16, 2, out);
}

/* Bytes that a nonblocking call moved; 0: none now. */
static size_t moved(ssize_t n)
{
    if (n > 0) return (size_t)n;
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) limit_die("sinew-limits: exchange");
    return 0;
}

/* What comes, and what is done with it: to[i] = from[i] + with[i]; `with` NULL: it goes to `to`. */
struct taken {
    uint8_t *to;
    const uint8_t *with;
    size_t len, came, added;
};

static void add(struct taken *t, size_t until)
{
    float *to = (float *)(void *)(t->to + t->added);
    const float *with = (const float *)(const void *)(t->with + t->added);
    for (size_t i = 0; i < (until - t->added) / sizeof(float); i++) to[i] += with[i];
    t->added = until;
}

/* Whether there may be more now. */
static bool take(const struct run *r, struct taken *t)
{
    size_t left = t->len - t->came, chunk = r->variant->chunk;
    if (left == 0) return false;
    size_t n = moved(recv(r->fd, t->to + t->came, left < chunk ? left : chunk, MSG_DONTWAIT));
    t->came += n;
    if (t->with && (r->variant->lazy == AS_THEY_COME || t->came == t->len))
        add(t, t->came / sizeof(float) * sizeof(float));
    return n > 0;
}

/* Sends `len` bytes of `from` (NULL: none), and takes what is to come. */
static void exchange(const struct run *r, const uint8_t *from, size_t len, struct taken *t)
{
    size_t sent = 0, chunk = r->variant->chunk;
    if (!from) len = 0;
    while (sent < len || t->came < t->len) {
        if (sent < len) {
            size_t now = len - sent < chunk ? len - sent : chunk;
            sent += moved(send(r->fd, from + sent, now, MSG_DONTWAIT | MSG_NOSIGNAL));
        }
        while (take(r, t) && r->variant->how & DRAINS) continue;
    }
}

/* Of a buffer for both ranks' parts. */
static uint8_t *part(uint8_t *at, int side, size_t len)
{
    return at + (size_t)side * len;
}

static void barrier_rounds(struct run *r, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        struct taken t = { .to = r->in, .len = 1 };
        exchange(r, r->out, 1, &t);
    }
}

static void bcast_rounds(struct run *r, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        struct taken t = { .to = r->in, .len = r->side ? r->bytes : 0 };
        exchange(r, r->side ? NULL : r->out, r->bytes, &t);
    }
}

static void reduce_rounds(struct run *r, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        struct taken t = { .to = r->in, .with = r->out, .len = r->side ? 0 : r->bytes };
        exchange(r, r->side ? r->out : NULL, r->bytes, &t);
    }
}

static void allgather_rounds(struct run *r, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        struct taken t = { .to = part(r->in, 1 - r->side, r->bytes), .len = r->bytes };
        memcpy(part(r->in, r->side, r->bytes), r->out, r->bytes);
        exchange(r, r->out, r->bytes, &t);
    }
}

static void alltoall_rounds(struct run *r, uint64_t n)
{
    int other = 1 - r->side;
    for (uint64_t i = 0; i < n; i++) {
        struct taken t = { .to = part(r->in, other, r->bytes), .len = r->bytes };
        memcpy(part(r->in, r->side, r->bytes), part(r->out, r->side, r->bytes), r->bytes);
        exchange(r, part(r->out, other, r->bytes), r->bytes, &t);
    }
}

/* The lower half of the floats is side 0's. */
static size_t lower_half(const struct run *r)
{
    size_t floats = r->bytes / sizeof(float);
    return (floats + 1) / 2 * sizeof(float);
}

static void reduce_scatter_rounds(struct run *r, uint64_t n)
{
    size_t half = lower_half(r), mine = r->side ? half : 0,
           length = r->side ? r->bytes - half : half;
    size_t others = r->side ? 0 : half;
    for (uint64_t i = 0; i < n; i++) {
        struct taken t = { .to = r->in, .with = r->out + mine, .len = length };
        exchange(r, r->out + others, r->bytes - length, &t);
    }
}

static void allreduce_halves(struct run *r)
{
    size_t half = lower_half(r), mine = r->side ? half : 0,
           length = r->side ? r->bytes - half : half;
    size_t others = r->side ? 0 : half;
    struct taken sum = { .to = r->in + mine, .with = r->out + mine, .len = length };
    exchange(r, r->out + others, r->bytes - length, &sum);
    struct taken rest = { .to = r->in + others, .len = r->bytes - length };
    exchange(r, r->in + mine, length, &rest);
}

static void allreduce_rounds(struct run *r, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        struct taken t = { .to = r->in, .with = r->out, .len = r->bytes };
        if (r->variant->how & HALVES)
            allreduce_halves(r);
        else
            exchange(r, r->out, r->bytes, &t);
    }
}

/* ------------------------------------------------------------------------------- what has
 * arrived */

static bool all_are(const uint8_t *at, size_t len, uint8_t value)
{
    for (size_t i = 0; i < len; i++)
        if (at[i] != value) return false;
    return true;
}

/* Of side 0's bytes all are 1, of side 1's 2. */
static bool sums_are_there(const uint8_t *at, size_t len)
{
    float one, two, sum;
    memset(&one, 1, sizeof(one));
    memset(&two, 2, sizeof(two));
    for (size_t i = 0; i + sizeof(sum) <= len; i += sizeof(sum)) {
        memcpy(&sum, at + i, sizeof(sum));
        if (sum < one + two || sum > one + two) return false;
    }
    return true;
}

static bool barrier_arrived(const struct run *r)
{
    return all_are(r->in, 1, limit_filled(r));
}

static bool bcast_arrived(const struct run *r)
{
    return r->side == 0 || all_are(r->in, r->bytes, 1);
}

static bool reduce_arrived(const struct run *r)
{
    return r->side == 1 || sums_are_there(r->in, r->bytes);
}

static bool parts_arrived(const struct run *r)
{
    return all_are(part(r->in, 0, r->bytes), r->bytes, 1) &&
           all_are(part(r->in, 1, r->bytes), r->bytes, 2);
}

static bool allreduce_arrived(const struct run *r)
{
    return sums_are_there(r->in, r->bytes);
}

static bool reduce_scatter_arrived(const struct run *r)
{
    return sums_are_there(r->in, r->side ? r->bytes - lower_half(r) : lower_half(r));
}

const struct limit limit_tcp_exchanges[LIMIT_EXCHANGES] = {
    { .test = "barrier", .transport = "tcp", .text = "bare sockets: a byte each way",
      .unit = "us", .whole = true, .least = 8, .most = 8, .refuse = 8, .buffers = 2, .sockets = true,
      .variants = plain_variants, .prepare = exchange_prepare, .rounds = barrier_rounds,
      .arrived = barrier_arrived },
    { .test = "bcast", .transport = "tcp", .text = "bare sockets: one way",
      .unit = "us", .whole = true, .least = 8, .most = 8 << 20, .buffers = 2, .sockets = true,
      .variants = plain_variants, .prepare = exchange_prepare, .rounds = bcast_rounds,
      .arrived = bcast_arrived },
    { .test = "reduce", .transport = "tcp", .text = "bare sockets: one way, and floats added",
      .unit = "us", .whole = true, .least = 8, .most = 8 << 20, .buffers = 2, .sockets = true,
      .variants = adding_variants, .prepare = exchange_prepare, .rounds = reduce_rounds,
      .arrived = reduce_arrived },
    { .test = "allreduce", .transport = "tcp", .text = "bare sockets: both ways at once, and floats added",
      .unit = "us", .whole = true, .least = 8, .most = 8 << 20, .buffers = 2, .sockets = true,
      .variants = allreduce_variants, .prepare = exchange_prepare, .rounds = allreduce_rounds,
      .arrived = allreduce_arrived },
    { .test = "allgather", .transport = "tcp", .text = "bare sockets: both ways at once, and one's own block copied",
      .unit = "us", .whole = true, .least = 8, .most = 8 << 20, .buffers = 2, .sockets = true,
      .variants = plain_variants, .prepare = exchange_prepare, .rounds = allgather_rounds,
      .arrived = parts_arrived },
    { .test = "alltoall", .transport = "tcp", .text = "bare sockets: both ways at once, and one's own block copied",
      .unit = "us", .whole = true, .least = 8, .most = 8 << 20, .buffers = 2, .sockets = true,
      .variants = plain_variants, .prepare = exchange_prepare, .rounds = alltoall_rounds,
      .arrived = parts_arrived },
    { .test = "reduce_scatter", .transport = "tcp", .text = "bare sockets: half of it both ways at once, and floats added",
      .unit = "us", .whole = true, .least = 8, .most = 8 << 20, .buffers = 2, .sockets = true,
      .variants = adding_variants, .prepare = exchange_prepare, .rounds = reduce_scatter_rounds,
      .arrived = reduce_scatter_arrived },
};
