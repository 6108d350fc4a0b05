/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_MODEL_SHARED_H
#define TESTS_MODEL_SHARED_H
/*
 * shared.h - transport/shm/atomics.h for the explorer: every access becomes a step of the model
 *
 * Each place in the source that makes one is a site of its own, and can be weakened. The words are
 * structures here, so that an access which goes round these functions does not compile.
 */
#include <stddef.h>
#include <stdint.h>

#include "tests/model/memory.h"

typedef struct shared_u32 {
    uint32_t hidden;
} shared_u32;
typedef struct shared_u64 {
    uint64_t hidden;
} shared_u64;

#define MODEL_SITE(name, access, order)                                                            \
    (__extension__({                                                                               \
        static struct memory_site here = { __FILE__, name, __func__, __LINE__, access, order, 0 }; \
        &here;                                                                                     \
    }))

#define shared_load_acquire64(p)                                                                   \
    memory_load(MODEL_SITE("shared_load_acquire64", ACCESS_LOAD, ORDER_ACQUIRE), (p))
#define shared_load_relaxed64(p)                                                                   \
    memory_load(MODEL_SITE("shared_load_relaxed64", ACCESS_LOAD, ORDER_RELAXED), (p))
#define shared_store_release64(p, v)                                                               \
    memory_store(MODEL_SITE("shared_store_release64", ACCESS_STORE, ORDER_RELEASE), (p), (v))
#define shared_load_acquire32(p)                                                                   \
    ((uint32_t)memory_load(MODEL_SITE("shared_load_acquire32", ACCESS_LOAD, ORDER_ACQUIRE), (p)))
#define shared_store_release32(p, v)                                                               \
    memory_store(MODEL_SITE("shared_store_release32", ACCESS_STORE, ORDER_RELEASE), (p), (v))
#define shared_store_relaxed32(p, v)                                                               \
    memory_store(MODEL_SITE("shared_store_relaxed32", ACCESS_STORE, ORDER_RELAXED), (p), (v))
#define shared_exchange_acquire32(p, v)                                                            \
    memory_exchange(MODEL_SITE("shared_exchange_acquire32", ACCESS_EXCHANGE, ORDER_ACQUIRE), (p),  \
                    (v))
#define shared_exchange_relaxed32(p, v)                                                            \
    memory_exchange(MODEL_SITE("shared_exchange_relaxed32", ACCESS_EXCHANGE, ORDER_RELAXED), (p),  \
                    (v))
#define shared_load_after_stores32(p)                                                              \
    ((uint32_t)memory_or_nothing(                                                                  \
        MODEL_SITE("shared_load_after_stores32", ACCESS_OR_NOTHING, ORDER_RELEASE), (p)))
#define shared_load_after_stores_paired32(p)                                                       \
    ((uint32_t)memory_load(                                                                        \
        MODEL_SITE("shared_load_after_stores_paired32", ACCESS_PAIRED, ORDER_RELAXED), (p)))

/* Bytes that only one side touches at a time, or that are thrown away: the model proves it. */
#define shared_write(to, from, len) memory_write((to), (from), (len))
#define shared_read(to, from, len) memory_read((to), (from), (len))
#define shared_write_line(to, from, len) memory_write((to), (from), (len))
#define shared_read_line(to, from, len) memory_read((to), (from), (len))

#endif
