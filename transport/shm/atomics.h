/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_SHM_ATOMICS_H
#define TRANSPORT_SHM_ATOMICS_H
/*
 * atomics.h - every access of the ring to memory that the other side sees
 *
 * A model checker replaces this file (define SHARED_HEADER to its own), and so sees each of them.
 * Orders are those of C11; there are no stand-alone fences. What one side of a pair relies on is
 * said where it is used.
 */
#ifdef SHARED_HEADER
#include SHARED_HEADER
#else
#include <stdatomic.h>
#include <stdint.h>

#include "base/copy.h"

typedef _Atomic uint32_t shared_u32;
typedef _Atomic uint64_t shared_u64;

_Static_assert(sizeof(shared_u64) == 8 && ATOMIC_LLONG_LOCK_FREE == 2,
               "words in shared memory are plain and lock free");

static inline uint64_t shared_load_acquire64(const shared_u64 *p)
{
    return atomic_load_explicit(p, memory_order_acquire);
}

static inline uint64_t shared_load_relaxed64(const shared_u64 *p)
{
    return atomic_load_explicit(p, memory_order_relaxed);
}

static inline void shared_store_release64(shared_u64 *p, uint64_t v)
{
    atomic_store_explicit(p, v, memory_order_release);
}

static inline uint32_t shared_load_acquire32(const shared_u32 *p)
{
    return atomic_load_explicit(p, memory_order_acquire);
}

static inline void shared_store_release32(shared_u32 *p, uint32_t v)
{
    atomic_store_explicit(p, v, memory_order_release);
}

static inline void shared_store_relaxed32(shared_u32 *p, uint32_t v)
{
    atomic_store_explicit(p, v, memory_order_relaxed);
}

static inline uint32_t shared_exchange_acquire32(shared_u32 *p, uint32_t v)
{
    return atomic_exchange_explicit(p, v, memory_order_acquire);
}

static inline uint32_t shared_exchange_relaxed32(shared_u32 *p, uint32_t v)
{
    return atomic_exchange_explicit(p, v, memory_order_relaxed);
}

/* A load that is not missed: whoever exchanges the word afterwards, with acquire, sees the earlier
 * stores of this thread, for this is a read-modify-write and a release. */
static inline uint32_t shared_load_after_stores32(shared_u32 *p)
{
    return atomic_fetch_or_explicit(p, 0, memory_order_release);
}

/* The same when the other side runs membarrier() between its store and its loads: here the compiler
 * alone has to keep the order. */
static inline uint32_t shared_load_after_stores_paired32(const shared_u32 *p)
{
    atomic_signal_fence(memory_order_seq_cst);
    return atomic_load_explicit(p, memory_order_relaxed);
}

/* Bytes that only one side touches at a time. */
static inline void shared_write(void *to, const void *from, size_t len)
{
    copy_short(to, from, len);
}

/* The same for at most 64 bytes. */
static inline void shared_write_line(void *to, const void *from, size_t len)
{
    copy_line(to, from, len);
}

static inline void shared_read(void *to, const void *from, size_t len)
{
    copy_short(to, from, len);
}

static inline void shared_read_line(void *to, const void *from, size_t len)
{
    copy_line(to, from, len);
}
#endif
#endif
