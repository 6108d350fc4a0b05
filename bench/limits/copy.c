/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * copy.c - messages copied once, straight from where the sender has them
 *
 * copy     the sender's buffer lies in memory that both see, and it is written anew before every
 *          message, as a program would: the reader always meets lines that the other core owns
 * kernel   any buffer, copied by process_vm_readv; nothing rewrites it, as in sinew-perf
 *
 * A line each way carries the number of messages ready, and of those taken.
 */
#include "limits.h"

#include <string.h>
#include <sys/uio.h>

struct copy_line {
    _Alignas(4 * LIMIT_LINE) _Atomic uint64_t word;
};

enum { READY_0, READY_1, TAKEN };

static struct copy_line *copy_lines(const struct run *r)
{
    return (struct copy_line *)(void *)r->shared;
}

/* The room is how many messages the sender may be ahead: hides the hop, or fills the caches. */
static int copy_variants(size_t bytes, struct variant out[LIMIT_VARIANTS])
{
    int n = 0;
    (void)bytes;
    for (size_t ahead = 1; ahead <= LIMIT_WINDOW / 2; ahead *= 2) {
        out[n++] = (struct variant){ .name = "memcpy", .room = ahead, .how = 0 };
        out[n++] = (struct variant){ .name = "rep movsb", .room = ahead, .how = 1 };
    }
    return n;
}

static int copy_pingpong_variants(size_t bytes, struct variant out[LIMIT_VARIANTS])
{
    copy_variants(bytes, out);
    return 2;
}

static int kernel_variants(size_t bytes, struct variant out[LIMIT_VARIANTS])
{
    (void)bytes;
    out[0] = (struct variant){ .name = "process_vm_readv" };
    return 1;
}

static void copy_prepare(struct run *r)
{
    (void)r;
}

static void copy_from(const struct run *r, uint8_t *to, const uint8_t *from)
{
    if (r->variant->how == 1)
        limit_copy_string(to, from, r->bytes);
    else
        memcpy(to, from, r->bytes);
}

static void copy_pingpong(struct run *r, uint64_t n)
{
    struct copy_line *lines = copy_lines(r);
    _Atomic uint64_t *mine = &lines[READY_0 + r->side].word;
    _Atomic uint64_t *theirs = &lines[READY_0 + 1 - r->side].word;
    const uint8_t *from = r->sent[1 - r->side];
    for (uint64_t i = 0; i < n; i++) {
        uint64_t now = ++r->count;
        for (int step = 0; step < 2; step++) {
            if (step == r->side) {
                memset(r->out, (int)now, r->bytes);
                limit_write(mine, now);
            } else {
                limit_await(theirs, now);
                copy_from(r, r->in, from);
            }
        }
    }
}

static uint8_t copy_pingpong_expected(const struct run *r)
{
    return (uint8_t)r->count;
}

static void copy_stream(struct run *r, uint64_t n)
{
    struct copy_line *lines = copy_lines(r);
    _Atomic uint64_t *ready = &lines[READY_0].word, *taken = &lines[TAKEN].word;
    for (uint64_t i = 0; i < n; i++, r->count++) {
        size_t at = r->count % LIMIT_WINDOW * r->bytes;
        if (r->side == 0) {
            while (r->count - atomic_load_explicit(taken, memory_order_acquire) >= r->variant->room)
                ; /* with the write below */
            memset(r->out + at, (int)r->count, r->bytes);
            limit_write(ready, r->count + 1);
        } else {
            while (atomic_load_explicit(ready, memory_order_acquire) <= r->count)
                ; /* with the write above */
            copy_from(r, r->in + at, r->sent[0] + at);
            limit_write(taken, r->count + 1);
        }
    }
}

static uint8_t copy_stream_expected(const struct run *r)
{
    return (uint8_t)((r->count - 1) / LIMIT_WINDOW * LIMIT_WINDOW);
}

/* The other's buffer i, by its address there, which it left at the end of the shared part. */
static void kernel_read(struct run *r, size_t at)
{
    uint8_t *address;
    memcpy(&address, r->shared + LIMIT_SHARED_BYTES - LIMIT_LINE + 8 * (1 - r->side),
           sizeof(address));
    struct iovec local = { r->in + at, r->bytes }, remote = { address + at, r->bytes };
    if (process_vm_readv(r->pids[1 - r->side], &local, 1, &remote, 1, 0) != (ssize_t)r->bytes)
        limit_die("sinew-limits: process_vm_readv");
}

static void kernel_pingpong(struct run *r, uint64_t n)
{
    struct copy_line *lines = copy_lines(r);
    _Atomic uint64_t *mine = &lines[READY_0 + r->side].word;
    _Atomic uint64_t *theirs = &lines[READY_0 + 1 - r->side].word;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t now = ++r->count;
        if (r->side == 0) limit_write(mine, now);
        limit_await(theirs, now);
        kernel_read(r, 0);
        if (r->side == 1) limit_write(mine, now);
    }
}

static void kernel_stream(struct run *r, uint64_t n)
{
    if (r->side == 0) return; /* the reader needs nobody */
    for (uint64_t i = 0; i < n; i++) kernel_read(r, i % LIMIT_WINDOW * r->bytes);
}

const struct limit limit_copy_latency = {
    .test = "latency",
    .transport = "copy",
    .text = "a buffer both see, rewritten before every message, copied once: half a round trip",
    .unit = "us",
    .least = 1024,
    .most = 4 << 20,
    .buffers = 1,
    .shared_out = true,
    .variants = copy_pingpong_variants,
    .prepare = copy_prepare,
    .rounds = copy_pingpong,
    .expected = copy_pingpong_expected,
};

const struct limit limit_copy_bandwidth = {
    .test = "bandwidth",
    .transport = "copy",
    .text = "64 buffers both see, rewritten before every message, copied once",
    .unit = "MB/s",
    .least = 1024,
    .most = 4 << 20,
    .buffers = LIMIT_WINDOW,
    .shared_out = true,
    .variants = copy_variants,
    .prepare = copy_prepare,
    .rounds = copy_stream,
    .expected = copy_stream_expected,
};

const struct limit limit_kernel_latency = {
    .test = "latency",
    .transport = "kernel",
    .text = "any buffer, copied once by process_vm_readv: half a round trip",
    .unit = "us",
    .least = 1024,
    .most = 4 << 20,
    .buffers = 1,
    .variants = kernel_variants,
    .prepare = copy_prepare,
    .rounds = kernel_pingpong,
    .expected = limit_filled,
};

const struct limit limit_kernel_bandwidth = {
    .test = "bandwidth",
    .transport = "kernel",
    .text = "64 buffers, copied once by process_vm_readv",
    .unit = "MB/s",
    .least = 1024,
    .most = 4 << 20,
    .buffers = LIMIT_WINDOW,
    .variants = kernel_variants,
    .prepare = copy_prepare,
    .rounds = kernel_stream,
    .expected = limit_filled,
};
