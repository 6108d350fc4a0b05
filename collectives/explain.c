/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * explain.c - sinew_explain_collective
 */
#include "collectives/cache.h"
#include "collectives/check.h"

static int explain_named(struct sinew_team *team, enum collective collective, const char *name,
                         const struct situation *at, struct choice *choice)
{
    char why[ALGORITHM_NAMES_MAX];
    int index = algorithm_parse(collective, name, &choice->parameter);
    if (index < 0)
        return team_refuse(team, SINEW_EINVAL,
                           "sinew_explain_collective: the view's algorithm is '%s', for %s %s",
                           name, collective_name(collective),
                           algorithm_refusal(collective, name, why));
    choice->algorithm = (uint32_t)index;
    if (!choice->parameter) choice->parameter = algorithms[index].initial;
    choice->parameter = algorithm_tiles(&algorithms[index], choice->parameter, at->bytes);
    choice->by = "the view";
    choice->ns = algorithm_time(&algorithms[index], choice->parameter, at);
    return 0;
}

static int refuse_name(struct sinew_team *team, const char *name)
{
    char names[WHY_MAX];
    struct text t = text_into(names, sizeof(names));
    for (int c = 1; c < COLLECTIVE_END; c++)
        text_add(&t, "%s%s", c > 1 ? ", " : "", collective_name((enum collective)c));
    return team_refuse(team, SINEW_EINVAL,
                       "sinew_explain_collective: name is %.40s; the names are %s",
                       name ? name : "NULL", names);
}

int sinew_explain_collective(struct sinew_team *team, const char *name, size_t bytes, char *text,
                             size_t cap, size_t *need)
{
    enum collective collective = 0;
    struct choice choice;
    if (!team) return SINEW_EINVAL;
    int status = team_enter(team, 0);
    if (status < 0) return status;
    for (int c = 1; name && c < COLLECTIVE_END; c++)
        if (!strcmp(name, collective_name((enum collective)c))) collective = (enum collective)c;
    if (!collective) return refuse_name(team, name);
    if (!text && cap > 0)
        return team_refuse(team, SINEW_EINVAL,
                           "sinew_explain_collective: text is NULL and cap is %zu; NULL only with "
                           "cap 0",
                           cap);
    struct situation at = { .bytes = bytes, .has_arithmetic = collective_adds(collective) };
    if (at.has_arithmetic && team_level(team) == SINEW_LEVEL_PORTABLE)
        at.need = KEEPS_ORDER | ALIGNED;
    status = cache_situation(team, &at);
    if (status < 0) return status;
    const char *named = team_algorithm(team);
    if (!named)
        choice = algorithm_choose(collective, &at);
    else
        status = explain_named(team, collective, named, &at, &choice);
    if (status < 0) return status;
    struct text t = text_into(text, cap);
    if (at.size == 1)
        text_add(&t, "%s of %zu bytes by one rank: copied inside the process\n", name, bytes);
    else
        choice_explain(collective, &at, &choice, &t);
    if (need) *need = t.need + 1;
    return 0;
}
