/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_LIMITS_H
#define BENCH_LIMITS_H
/*
 * limits.h - what this machine allows: the least that two pinned processes need for a message
 *
 * A limit does the work of one test of sinew-perf with nothing around it: no tags, no matching, no
 * errors, no way out. It is not something to use, it is something to divide by. Where several ways
 * of doing it exist (chunk sizes, kinds of system call), each is tried for some milliseconds and
 * the fastest is measured: a limit slower than any library is a fault of this program.
 *
 *   limits.c   command line, table of limits, output
 *   pair.c     two pinned processes that run the same number of rounds, timed
 *   ring.c     a cache line; a ring of such lines, with or without bodies
 *   copy.c     one copy: from memory both can see, or made by the kernel
 *   sockets.c  TCP over loopback
 *   exchange.c collectives of two ranks over it
 *   together.c the same over the ring
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { LIMIT_LINE = 64, LIMIT_VARIANTS = 192, LIMIT_WINDOW = 64, VARIANT_TEXT = 128 };

/* One way of doing it; what the fields mean is the limit's own affair. */
struct variant {
    const char *name;
    size_t chunk, room;
    int how;
    /* a reader that waits for so many, for one that looks all the time takes lines away */
    int lazy;
};

struct run;

/* Constant. */
struct limit {
    const char *test, *transport, *text, *unit;
    size_t least, most; /* default sizes: powers of two between them */
    size_t refuse;      /* sizes above this make no sense; 0: any    */
    size_t buffers;     /* of one message each: 1, or a window       */
    bool shared_out;    /* what is sent lies where the other sees it */
    bool sockets;
    bool whole;         /* a round is one call of both, and its time is told, not half of it */
    int (*variants)(size_t bytes, struct variant out[LIMIT_VARIANTS]);
    /* After the fork, in both processes. */
    void (*prepare)(struct run *r);
    /* n rounds of this side; the other one runs as many. A round is a message there and one back,
     * or one message from side 0. */
    void (*rounds)(struct run *r, uint64_t n);
    /* Every byte of the last message into the first buffer is this; NULL: no message is carried. */
    uint8_t (*expected)(const struct run *r);
    /* In place of that, where more or something else is to be there. */
    bool (*arrived)(const struct run *r);
};

/* One end of a ring in one direction, see ring.c. */
struct ring_end {
    struct ring_slot *slots;
    _Atomic uint64_t *credit; /* slots the reader has emptied, told now and then */
    uint8_t *bodies;
    uint64_t next, known; /* slot to use next; slots known (writer) or told (reader) to be empty */
    uint64_t end;         /* a lazy reader's: the slot after the last that will come */
};

/* One limit, one size, one variant; each process has its own copy. */
struct run {
    const struct limit *limit;
    const struct variant *variant;
    size_t bytes;
    int side;            /* 0 measures */
    uint8_t *shared;     /* rings      */
    uint8_t *sent[2];    /* of each side, shared if the limit says so; buffers * bytes each */
    uint8_t *out, *in;   /* buffers * bytes each */
    int pids[2];
    int fd;
    uint8_t *staging;    /* sockets: what one system call carries */
    struct ring_end tx, rx;
    uint64_t count;
};

extern const struct limit limit_line, limit_ring_latency, limit_ring_rate, limit_ring_bandwidth;
extern const struct limit limit_copy_latency, limit_copy_bandwidth, limit_kernel_latency,
    limit_kernel_bandwidth;
extern const struct limit limit_tcp_latency, limit_tcp_rate, limit_tcp_batched,
    limit_tcp_bandwidth;
enum { LIMIT_EXCHANGES = 7 };
extern const struct limit limit_tcp_exchanges[LIMIT_EXCHANGES];
extern const struct limit limit_ring_exchanges[LIMIT_EXCHANGES];

#define LIMIT_SHARED_BYTES ((size_t)8 << 20)

/* ns of a round, of a timed loop of about `seconds`; *fastest is the variant: of all, or the one
 * whose text is `way`. Without a name: there is no such. */
double pair_measure(const struct limit *limit, size_t bytes, const char *way, const int cores[2],
                    double seconds, struct variant *fastest);
void variant_text(const struct variant *v, char *text, size_t cap);
_Noreturn void limit_die(const char *what);
/* What the other side's buffers were filled with at the start. */
uint8_t limit_filled(const struct run *r);

static inline void limit_write(_Atomic uint64_t *at, uint64_t value)
{
    atomic_store_explicit(at, value, memory_order_release); /* with limit_await's load */
}

static inline void limit_await(_Atomic uint64_t *at, uint64_t value)
{
    while (atomic_load_explicit(at, memory_order_acquire) != value) /* with limit_write */
        ;
}

/* One instruction; it may take lines of the target without fetching what is in them. */
static inline void limit_copy_string(void *to, const void *from, size_t len)
{
#if defined(__x86_64__)
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len) : : "memory");
#else
    memcpy(to, from, len);
#endif
}

#endif
