/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_SHM_ONCE_H
#define TESTS_UNIT_SHM_ONCE_H
/*
 * shm_once.h - transport/shm/atomics.h beside a peer that is always the quickest: whatever was read
 * is another thing a moment later
 *
 * The words are structures, so that an access which goes round these functions does not compile.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct shared_u32 {
    uint32_t hidden;
} shared_u32;
typedef struct shared_u64 {
    uint64_t hidden;
} shared_u64;

/* What every word becomes when it was read; and how often one was. */
extern uint64_t once_forged;
extern int once_loads;

static inline uint64_t once_load64(const shared_u64 *p)
{
    uint64_t value = p->hidden;
    ((shared_u64 *)(uintptr_t)p)->hidden = once_forged;
    once_loads++;
    return value;
}

static inline uint32_t once_load32(const shared_u32 *p)
{
    uint32_t value = p->hidden;
    ((shared_u32 *)(uintptr_t)p)->hidden = (uint32_t)once_forged;
    once_loads++;
    return value;
}

#define shared_load_acquire64(p) once_load64(p)
#define shared_load_relaxed64(p) once_load64(p)
#define shared_load_acquire32(p) once_load32(p)
#define shared_store_release64(p, v) ((void)((p)->hidden = (v)))
#define shared_store_release32(p, v) ((void)((p)->hidden = (v)))

static inline void shared_write(void *to, const void *from, size_t len)
{
    if (len) memcpy(to, from, len);
}

static inline void shared_read(void *to, const void *from, size_t len)
{
    if (len == 0) return;
    memcpy(to, from, len);
    memset((void *)(uintptr_t)from, 0xee, len);
}

#define shared_write_line(to, from, len) shared_write((to), (from), (len))
#define shared_read_line(to, from, len) shared_read((to), (from), (len))

#endif
