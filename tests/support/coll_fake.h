/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_COLL_FAKE_H
#define TESTS_SUPPORT_COLL_FAKE_H
/*
 * coll_fake.h - messaging as collectives see it, for all ranks in one process
 *
 * Implements messaging/operation.h and the few calls of sinew.h that go with it. What may happen in
 * any order happens in a seeded random order: whether a call finishes at once or later, which
 * message arrives next, whether a send ends when it is copied or when it is received.
 *
 * Ranks may be driven by one thread (nonblocking calls, then fake_progress()) or be a thread each
 * (blocking calls): one lock is held except while a rank waits.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "messaging/operation.h"

struct fake;

struct fake_options {
    uint64_t seed;
    int size;
    bool crowded, lands;
    size_t eager_bytes;  /* longer sends end when they are received           */
    unsigned at_once;    /* percent of calls that may end inside the call     */
    uint64_t fail_after; /* the message call of this number fails; 0: none    */
    bool fail_later;     /* ... in its completion, not in the call            */
    int fail_allocation; /* the allocation of this number fails; 0: none      */
    const char *link, *rules; /* NULL: shm, none                                          */
    uint32_t node;
    bool one_at_a_time;  /* an operation that ends must leave nothing behind  */
};

struct fake *fake_new(const struct fake_options *options);
void fake_free(struct fake *f); /* fails the test if anything is left */
/* Ends what still waits for a peer with SINEW_EPEER. */
void fake_fail_waiting(struct fake *f);

struct sinew_team *fake_team(struct fake *f, int rank);
/* The team seen through options; the same object until changed again. */
void fake_view(struct fake *f, int rank, bool persistent, const char *algorithm);

/* enum sinew_level of one rank's team. */
void fake_level(struct fake *f, int rank, int level);
/* Its context, as operators are made in. */
struct sinew *fake_context(struct fake *f, int rank);

/* One event, if there is one: false, nothing can happen any more. */
bool fake_progress(struct fake *f);

/* Held by threads around everything but their waits. */
void fake_lock(struct fake *f);
void fake_unlock(struct fake *f);

/* A generator for tests, seeded. */
uint64_t fake_random(uint64_t *state);

/* What the last refusal said. */
const char *fake_why(struct fake *f);
/* Messages and allocations asked for so far. */
int fake_allocations(const struct fake *f);
size_t fake_allocated(const struct fake *f); /* bytes held now, by all ranks */
uint64_t fake_messages(const struct fake *f);
/* Messages that went the short way. */
uint64_t fake_straight(const struct fake *f);
/* The operation's deadline has passed. */
void fake_deadline(struct sinew_request *request);
/* It has been waited for in vain for a second. */
void fake_stalled(struct sinew_request *request);
/* Under way; NULL is not. */
bool fake_is_active(const struct sinew_request *request);
/* What the operation says of itself. */
void fake_describe(struct sinew_request *request, struct text *text);

#endif
