/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_MODEL_MEMORY_H
#define TESTS_MODEL_MEMORY_H
/*
 * memory.h - a weak memory: release/acquire views, as in RC11 without cycles of po and rf
 *
 * Location    every word has the history of its messages, in modification order. A store adds one
 *             at any place that coherence and the atomicity of others leave; so no interleaving
 *             decides that order.
 * View        what a thread knows: per location the newest message it must not read behind, and
 *             per thread how much of it happened before. A load takes any message not behind its
 *             view.
 * Synchronise a release store puts its thread's view into the message, an acquire load takes it
 *             over. A read-modify-write goes right after the message it reads and passes that
 *             one's view on (release sequences). Relaxed ones do neither.
 * Barrier     membarrier(): the views of locations of all threads become one. It orders no plain
 *             bytes.
 * Plain bytes a conflicting pair of accesses that is not ordered by happens-before is a race, in
 *             whichever order it was run: an execution with one fails. Bytes to try may be read
 *             while they are written, if what was read is dropped then.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MEMORY_THREADS = 4,
    MEMORY_LOCATIONS = 16,
    MEMORY_MESSAGES = 64,  /* of one location */
    MEMORY_BYTES = 2048,   /* of plain memory, in granules of 8 */
    MEMORY_SITES = 96,
};

enum memory_order_name { ORDER_RELAXED = 0, ORDER_ACQUIRE = 1, ORDER_RELEASE = 2, ORDER_BOTH = 3 };

enum memory_access {
    ACCESS_LOAD,
    ACCESS_STORE,
    ACCESS_EXCHANGE,
    ACCESS_OR_NOTHING, /* a read-modify-write that leaves the value */
    ACCESS_PAIRED,     /* a relaxed load that the compiler keeps behind earlier stores */
    ACCESS_BARRIER,
};

/* A place in the source. */
struct memory_site {
    const char *file, *operation, *function;
    int line;
    enum memory_access access;
    enum memory_order_name order;
    int id; /* from 1 on, when it was run */
};

enum memory_weakening { WEAKEN_NOTHING, WEAKEN_ORDER, WEAKEN_ATOMICITY, WEAKEN_PLACE, WEAKEN_AWAY };

/* Every site that was ever run; 0 .. count - 1. */
int memory_site_count(void);
const struct memory_site *memory_site(int index);
/* Those run since the last call: bit `index` of each. */
uint64_t memory_sites_met(void);
/* From now on, site `index` is weaker: its order is `order`, or a read-modify-write is a load and a
 * store, or a paired load may go before the last store, or a barrier is away. */
void memory_weaken(int index, enum memory_weakening how, enum memory_order_name order);

/* Before each execution: one block of plain memory, then its words. */
void memory_reset(int threads, void *block, size_t len);
void memory_location(const void *word, const char *name);
/* What it is before anybody stores to it, instead of 0. */
void memory_begins(const void *word, uint64_t value);
/* Whole granules in which a race spoils what was read, and fails only if that is kept. */
void memory_tried(const void *at, size_t len);

/* Steps of the running thread. */
uint64_t memory_load(struct memory_site *site, const void *word);
void memory_store(struct memory_site *site, void *word, uint64_t value);
uint64_t memory_exchange(struct memory_site *site, void *word, uint64_t value);
uint64_t memory_or_nothing(struct memory_site *site, void *word);
void memory_barrier(struct memory_site *site);
void memory_write(void *to, const void *from, size_t len);
void memory_read(void *to, const void *from, size_t len);
/* What the running thread has tried since it last said so: a read like any other from now on, or
 * thrown away. */
void memory_keep(void);
void memory_drop(void);

/* For the explorer. A thread that polls in vain waits until something it has read since
 * memory_mark() is behind; then it must read something newer. */
void memory_mark(int thread);
bool memory_has_news(int thread);
void memory_take_news(int thread);
uint64_t memory_hash(unsigned living); /* a bit for each thread */
/* The end of modification order. */
uint64_t memory_last(const void *word);

#endif
