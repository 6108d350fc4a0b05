/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * split.c - making teams out of teams
 *
 * The members agree on the new id by the maximum, over the whole parent, of the least ids they have
 * never seen; all new teams of one split share it, for no rank is in two of them.
 */
#include <stdbool.h>
#include <string.h>

#include "base/world.h"
#include "collectives/cache.h"
#include "collectives/execute.h"
#include "messaging/operation.h"
#include "sinew/sinew.h"

/* Blocking, by the algorithm that is best: the one of a view is meant for the user's calls. */
static int split_run(struct sinew_team *parent, struct call *call)
{
    uint64_t bytes = (uint64_t)call->in_count * call->element_bytes;
    call->agreed = call->in_count;
    struct situation at = { .bytes = bytes, .has_arithmetic = call->op != 0 };
    struct choice choice;
    int status = cache_choose(parent, call->collective, &at, &choice);
    if (status < 0) return status;
    call->algorithm = choice.algorithm;
    call->parameter = choice.parameter;
    return execution_run(parent, call, NULL);
}

/* What every rank tells about itself: 12 bytes, all in the byte order of the hosts, which is one.
 */
struct split_record {
    int32_t colour, key;
    uint32_t id;
};

/* Members sort by key, then by rank in the parent: no two are alike. */
static bool split_before(const struct split_record *all, int a, int b)
{
    return all[a].key != all[b].key ? all[a].key < all[b].key : a < b;
}

static void split_sift(const struct split_record *all, int *members, int at, int n)
{
    for (int child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && split_before(all, members[child], members[child + 1])) child++;
        if (!split_before(all, members[at], members[child])) return;
        int swap = members[at];
        members[at] = members[child];
        members[child] = swap;
    }
}

/* Heap sort: no memory, and no bad case, at any size. */
static void split_sort(const struct split_record *all, int *members, int n)
{
    for (int at = n / 2; at-- > 0;) split_sift(all, members, at, n);
    for (int end = n; end-- > 1;) {
        int swap = members[0];
        members[0] = members[end];
        members[end] = swap;
        split_sift(all, members, 0, end);
    }
}

static int split_make(struct sinew_team *parent, const struct split_record *all, int *members,
                      struct sinew_team **out)
{
    int size = sinew_size(parent), mine = sinew_rank(parent), n = 0;
    uint32_t id = 0;
    for (int r = 0; r < size; r++) {
        if (all[r].id > id) id = all[r].id;
        if (all[mine].colour >= 0 && all[r].colour == all[mine].colour) members[n++] = r;
    }
    split_sort(all, members, n);
    team_reserve_id(parent, id);
    return team_make(parent, id, members, n, out);
}

static int split_enter(struct sinew_team *parent, const char *name, struct sinew_team **out)
{
    if (!parent) return SINEW_EINVAL;
    if (!out) return team_refuse(parent, SINEW_EINVAL, "%s: out is NULL", name);
    return team_enter(parent, 1);
}

int sinew_team_split(struct sinew_team *parent, int colour, int key, struct sinew_team **out)
{
    int status = split_enter(parent, "sinew_team_split", out);
    if (status < 0) return status;
    const struct world *world = team_world(parent);
    size_t size = (size_t)sinew_size(parent);
    size_t bytes = size * (sizeof(struct split_record) + sizeof(int));
    struct split_record *all = world_allocate(world, bytes);
    if (!all)
        return team_refuse(parent, SINEW_ENOMEM, "sinew_team_split: no memory for %zu bytes",
                           bytes);
    struct split_record mine = { colour, key, team_next_id(parent) };
    struct call call = {
        .collective = COLLECTIVE_ALLGATHER,
        .element_bytes = 1,
        .in = &mine,
        .out = all,
        .in_count = sizeof(mine),
        .out_count = size * sizeof(mine),
    };
    status = split_run(parent, &call);
    if (status == 0) status = split_make(parent, all, (int *)(all + size), out);
    world_release(world, all, bytes);
    return status;
}

/* The list in 32 bits, so that ranks can find out that they were given different ones. */
static uint32_t subset_digest(const int *ranks, int n)
{
    uint32_t h = 2166136261u; /* FNV-1a, a rank at a time */
    for (int i = 0; i < n; i++) h = (h ^ (uint32_t)ranks[i]) * 16777619u;
    return (h ^ (uint32_t)n) * 16777619u;
}

static int subset_check(struct sinew_team *parent, const int *ranks, int n, unsigned char *seen)
{
    int size = sinew_size(parent);
    for (int i = 0; i < n; i++) {
        if (ranks[i] < 0 || ranks[i] >= size)
            return team_refuse(parent, SINEW_EINVAL,
                               "sinew_team_subset: ranks[%d] is %d, it must be from 0 to %d", i,
                               ranks[i], size - 1);
        if (seen[ranks[i]]++)
            return team_refuse(parent, SINEW_EINVAL,
                               "sinew_team_subset: ranks[%d] is %d, which is "
                               "there twice",
                               i, ranks[i]);
    }
    return 0;
}

/* Agree on the id, and that all mean the same list; `member`: this rank is in it. */
static int subset_make(struct sinew_team *parent, const int *ranks, int n, bool member,
                       struct sinew_team **out)
{
    uint32_t digest = subset_digest(ranks, n);
    uint32_t mine[3] = { team_next_id(parent), digest, ~digest }, max[3];
    struct call call = {
        .collective = COLLECTIVE_ALLREDUCE,
        .type = SINEW_U32,
        .op = SINEW_MAX,
        .element_bytes = sizeof(mine[0]),
        .in_count = 3,
        .out_count = 3,
        .in = mine,
        .out = max,
    };
    int status = split_run(parent, &call);
    if (status < 0) return status;
    if (max[1] != ~max[2])
        return team_refuse(parent, SINEW_EMISMATCH,
                           "sinew_team_subset: the ranks of the parent gave different lists");
    team_reserve_id(parent, max[0]);
    return team_make(parent, max[0], ranks, member ? n : 0, out);
}

int sinew_team_subset(struct sinew_team *parent, const int *ranks, int n, struct sinew_team **out)
{
    int status = split_enter(parent, "sinew_team_subset", out);
    if (status < 0) return status;
    int size = sinew_size(parent);
    if (n < 1 || n > size)
        return team_refuse(parent, SINEW_EINVAL,
                           "sinew_team_subset: n is %d, it must be from 1 to %d", n, size);
    if (!ranks) return team_refuse(parent, SINEW_EINVAL, "sinew_team_subset: ranks is NULL");
    const struct world *world = team_world(parent);
    unsigned char *seen = world_allocate(world, (size_t)size);
    if (!seen)
        return team_refuse(parent, SINEW_ENOMEM, "sinew_team_subset: no memory for %d bytes", size);
    status = subset_check(parent, ranks, n, seen);
    bool member = seen[sinew_rank(parent)];
    world_release(world, seen, (size_t)size);
    return status < 0 ? status : subset_make(parent, ranks, n, member, out);
}
