/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crowd.c - ranks and the cores they share
 *
 * Every rank publishes a name for the processors it may use (base/cores.h). Those with the same
 * name share the same cores, whoever started them; where there are more of them than cores they take
 * turns. Waiting depends on it, and so does the choice of algorithms, which must come out alike on
 * all members of a team: it is made from the names alone, and equal names mean equal numbers.
 *
 * Masks that overlap without being the same, and other jobs, are not seen.
 */
#include "base/cores.h"
#include "messaging/context.h"

void crowd_name(struct sinew *s)
{
    const struct launch *l = s->launch;
    bool told = l->cores_here > 0 && l->cores_name;
    s->cores_name = told ? l->cores_name : cores_name();
    s->cores = told ? l->cores_here : cores_allowed();
}

void crowd_count(struct sinew *s)
{
    s->ranks_here = 0;
    for (int rank = 0; rank < s->size; rank++)
        if (rank == s->rank || choose_cores(s, rank) == s->cores_name) s->ranks_here++;
}

static bool all_here(const struct sinew_team *team)
{
    struct sinew *s = team->core->context;
    if (s->ranks_here <= s->cores || s->ranks_here < team->core->size) return false;
    for (int i = 0; i < team->core->size; i++) {
        int rank = team_world_rank(team->core, i);
        if (rank != s->rank && choose_cores(s, rank) != s->cores_name) return false;
    }
    return true;
}

bool team_is_crowded(const struct sinew_team *team)
{
    struct team_core *core = team->core;
    if (core->crowd == CROWD_UNKNOWN) core->crowd = all_here(team) ? CROWD_YES : CROWD_NO;
    return core->crowd == CROWD_YES;
}
