/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_CACHE_H
#define COLLECTIVES_CACHE_H
/*
 * cache.h - what a team keeps between its collectives: schedules, and executions to use again
 *
 * Bounded: 16 schedules that nobody uses at the moment, 4 idle executions with at most 64 KiB of
 * scratch memory each. It goes with the team, or, should something still use it, with the last
 * user.
 */
#include "base/list.h"
#include "base/world.h"
#include "collectives/agree.h"
#include "collectives/choose.h"
#include "collectives/collective.h"
#include "messaging/operation.h"

enum { CACHE_SCHEDULES = 16, CACHE_EXECUTIONS = 4, CACHE_SCRATCH = 320 * 1024 };

/* What was chosen lately, to be found again at once. */
struct chosen {
    enum collective collective;
    unsigned need;
    uint64_t bytes;
    struct choice choice;
};
enum { CACHE_CHOICES = 16 };

struct cache {
    struct team_cache base;
    const struct world *world;
    struct list operators; /* of the user's making; in the world's cache only */
    struct list schedules; /* most recently used last                       */
    struct list idle;      /* executions, see execute.c                     */
    uint32_t idle_count;
    struct past_calls calls;
    uint32_t operators_made;
    struct rules *rules; /* of the setting; in the world's cache only */
    bool rules_read;
    struct chosen chosen[CACHE_CHOICES]; /* by collective and bytes */
    uint32_t users; /* executions in use                                    */
    bool orphan;    /* the team is gone                                     */
};

struct cached_schedule {
    struct list entry;
    uint32_t users, parameter;
    bool in_place, once;       /* once: of a graph, for this operation alone */
    size_t bytes;              /* of this allocation */
    struct schedule *schedule; /* behind this, in it */
};

/* The team's cache, made at first use; NULL: no memory. */
struct cache *cache_of(struct sinew_team *team);

/* What all members know alike, but for the call; 0, or < 0 with text: the rules cannot be read. */
int cache_situation(struct sinew_team *team, struct situation *at);
/* The algorithm for bytes, need and arithmetic of `at`; the rest is filled in if it must be. */
int cache_choose(struct sinew_team *team, enum collective collective, struct situation *at,
                 struct choice *choice);

/* The schedule for the call on this rank, made if it is not there; cache_put() gives it back. 0,
 * SINEW_ENOMEM, or SINEW_ENOTSUP with text. */
int cache_get(struct cache *cache, struct sinew_team *team, const struct call *call,
              struct cached_schedule **found);
void cache_put(struct cache *cache, struct cached_schedule *schedule);

/* After the last user of an orphan has gone. */
void cache_release(struct cache *cache);

/* In execute.c: frees an idle execution. */
void execution_free(struct cache *cache, struct list *idle_entry);

#endif
