/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_WORLD_H
#define BASE_WORLD_H
/*
 * world.h - the outside, injected
 *
 * Clock, randomness, memory and idleness reach the library only through this table, so that the
 * production code runs unchanged in a simulated world with virtual time (transport/sim).
 */
#include <stddef.h>
#include <stdint.h>

struct world {
    void *arg; /* handed to every function below */

    int64_t (*now)(void *arg); /* monotonic nanoseconds */

    /* len unpredictable bytes (seeded in the simulated world). 0 or SINEW_EIO. */
    int (*random)(void *arg, void *bytes, size_t len);

    /* Zeroed memory, NULL when there is none. align is a power of two. */
    void *(*allocate)(void *arg, size_t align, size_t size);
    void (*release)(void *arg, void *memory, size_t size);

    /* Give the processor to whoever else is ready; returns soon. */
    void (*yield)(void *arg);

    /* Sleep until epoll_fd is readable, or the time `until` (INT64_MAX: no limit). */
    void (*sleep)(void *arg, int epoll_fd, int64_t until);
};

/* The real one: CLOCK_MONOTONIC, getrandom, the heap, sched_yield, epoll. */
extern const struct world world_real;

static inline int64_t world_now(const struct world *w) { return w->now(w->arg); }

static inline void *world_allocate(const struct world *w, size_t size)
{
    return w->allocate(w->arg, _Alignof(max_align_t), size);
}

static inline void *world_allocate_aligned(const struct world *w, size_t align, size_t size)
{
    return w->allocate(w->arg, align, size);
}

static inline void world_release(const struct world *w, void *memory, size_t size)
{
    if (memory) w->release(w->arg, memory, size);
}

#endif
