/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crowd.c - ranks and the cores they share
 *
 * Every rank publishes a name for the processors it may use (base/cores.h). Those with the same
 * name share the same cores, whoever started them; where there are more of them than cores they
 * take turns. Waiting depends on it, and so does the choice of algorithms, which must come out
 * alike on all members of a team: it is made from the names alone, and equal names mean equal
 * numbers.
 *
 * Masks that overlap without being the same, and other jobs, are not seen.
 */
#include <string.h>

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

uint32_t team_cores(const struct sinew_team *team)
{
    return (uint32_t)team->core->context->cores;
}

/* ---- what lies between members --------------------------------------------------------------- */

/* Whether all others can be reached by it. Being on one host is the same for all of them; elsewhere
 * what all publish decides. */
static bool all_reach(const struct team_core *core, int transport)
{
    struct sinew *s = core->context;
    for (int i = 0; i < core->size; i++) {
        int rank = team_world_rank(core, i);
        if (rank != s->rank && !choose_reaches(s, rank, transport)) return false;
    }
    return true;
}

const char *team_link(const struct sinew_team *team)
{
    struct team_core *core = team->core;
    struct sinew *s = core->context;
    for (int i = 0; i < s->transports && !core->link; i++) {
        const struct transport *t = s->transport[i];
        bool wired = t->caps.wired, named = strstr(s->config.transports, t->ops->name);
        if (i == s->control && s->control_only) continue;
        if (wired ? named : all_reach(core, i)) core->link = t->ops->name;
    }
    return core->link ? core->link : "tcp";
}

uint32_t team_node(const struct sinew_team *team)
{
    struct team_core *core = team->core;
    struct sinew *s = core->context;
    uint32_t each = 0, last = 0;
    if (core->node) return core->node - 1;
    for (int i = 0; i < core->size; i++) {
        int rank = team_world_rank(core, i);
        uint32_t name = rank == s->rank ? s->cores_name : choose_cores(s, rank);
        bool same = i > 0 && name == last, begins = each > 0 && (uint32_t)i % each == 0;
        if (i > 0 && !same && each == 0) each = (uint32_t)i;
        if (i > 0 && each > 0 && same == begins) each = UINT32_MAX; /* in no order */
        last = name;
    }
    core->node = each > 1 && each < UINT32_MAX ? each + 1 : 1;
    return core->node - 1;
}

const char *team_rules(const struct sinew_team *team)
{
    return team->core->context->config.collective_rules;
}
