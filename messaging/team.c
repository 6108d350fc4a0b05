/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * team.c - ordered sets of ranks, and views of them
 *
 * struct sinew_team is a handle: how things are done. struct team_core is what the members share;
 * the handles of one team point to one core. Ids grow and are never used twice, so a message that
 * carries a smaller unknown id is for a team that was freed, and a larger one for a team not yet
 * made here.
 */
#include <stdio.h>
#include <string.h>

#include "messaging/context.h"

int team_world_rank(const struct team_core *core, int rank)
{
    return core->world ? core->world[rank] : rank;
}

int team_rank_of(const struct team_core *core, int world_rank)
{
    return core->reverse ? core->reverse[world_rank] : world_rank;
}

struct team_core *team_find(struct sinew *s, uint32_t id)
{
    for (struct list *l = s->teams.next; l != &s->teams; l = l->next) {
        struct team_core *core = LIST_OWNER(l, struct team_core, entry);
        if (core->id == id) return core;
    }
    return NULL;
}

static void core_free(struct team_core *core)
{
    struct sinew *s = core->context;
    if (core->cache) core->cache->destroy(core->cache);
    list_remove(&core->entry);
    if (core->peer != s->peer)
        context_release(s, core->peer, (size_t)core->size * sizeof(struct peer *));
    context_release(s, core->world, (size_t)core->size * sizeof(int));
    context_release(s, core->reverse, (size_t)s->size * sizeof(int));
    context_release(s, core->told, (size_t)core->size);
    context_release(s, core, sizeof(*core));
}

static struct team_core *core_new(struct sinew *s, uint32_t id, int size)
{
    struct team_core *core = context_allocate(s, sizeof(*core));
    if (!core) return NULL;
    core->context = s;
    core->state = s->state;
    core->peer = s->peer;
    core->id = id;
    core->size = size;
    list_init(&core->entry);
    core->told = context_allocate(s, (size_t)size);
    if (!core->told) {
        context_release(s, core, sizeof(*core));
        return NULL;
    }
    return core;
}

static struct sinew_team *handle_new(struct team_core *core)
{
    struct sinew *s = core->context;
    struct sinew_team *team = context_allocate(s, sizeof(*team));
    if (!team) return NULL;
    team->core = core;
    team->level = SINEW_LEVEL_IDENTICAL;
    team->is_timed = s->config.deadline != INT64_MAX;
    list_init(&team->entry);
    list_append(&s->handles, &team->entry);
    return team;
}

static void handle_free(struct sinew_team *team)
{
    if (team->cache) team->cache->destroy(team->cache);
    list_remove(&team->entry);
    context_release(team->core->context, team, sizeof(*team));
}

int team_open_world(struct sinew *s)
{
    struct team_core *core = core_new(s, 0, s->size);
    if (!core) return SINEW_ENOMEM;
    core->rank = s->rank;
    s->world_team = handle_new(core);
    if (!s->world_team) {
        core_free(core);
        return SINEW_ENOMEM;
    }
    list_append(&s->teams, &core->entry);
    s->next_team = 1;
    return 0;
}

/* Unexpected messages of a freed team go nowhere: their senders are answered. Of a new one (members
 * not NULL), those that came before it was made and whose senders are no members. */
static void drop_unexpected(struct sinew *s, uint32_t id, const struct team_core *members)
{
    for (int i = 0; i < MATCH_BUCKETS; i++) {
        struct list *next;
        for (struct list *l = s->match.unexpected[i].next; l != &s->match.unexpected[i]; l = next) {
            struct unexpected *u = LIST_OWNER(l, struct unexpected, bucket);
            next = l->next;
            if (u->team != id || (members && team_rank_of(members, u->peer->rank) >= 0)) continue;
            receive_discard(u, SINEW_ESTATE);
        }
    }
}

void team_destroy_all(struct sinew *s)
{
    struct list *entry;
    while ((entry = list_take(&s->handles)))
        handle_free(LIST_OWNER(entry, struct sinew_team, entry));
    while (!list_empty(&s->teams)) core_free(LIST_OWNER(s->teams.next, struct team_core, entry));
    s->world_team = NULL;
}

/* ---- what collectives use -------------------------------------------------------------------- */

uint32_t team_next_id(struct sinew_team *parent)
{
    return parent->core->context->next_team;
}

void team_reserve_id(struct sinew_team *parent, uint32_t id)
{
    struct sinew *s = parent->core->context;
    if (id >= s->next_team) s->next_team = id + 1;
}

void team_meet(struct peer *p)
{
    for (struct list *l = p->context->teams.next; l != &p->context->teams; l = l->next) {
        struct team_core *core = LIST_OWNER(l, struct team_core, entry);
        int rank = team_rank_of(core, p->rank);
        if (rank >= 0) core->peer[rank] = p;
    }
}

static int core_members(struct team_core *core, const struct team_core *parent, const int *members)
{
    struct sinew *s = core->context;
    core->world = context_allocate(s, (size_t)core->size * sizeof(int));
    core->reverse = context_allocate(s, (size_t)s->size * sizeof(int));
    core->peer = context_allocate(s, (size_t)core->size * sizeof(struct peer *));
    if (!core->world || !core->reverse || !core->peer) return SINEW_ENOMEM;
    for (int i = 0; i < s->size; i++) core->reverse[i] = -1;
    for (int i = 0; i < core->size; i++) {
        int world = team_world_rank(parent, members[i]);
        const struct peer *p = s->peer[world];
        core->world[i] = world;
        core->peer[i] = s->peer[world];
        core->reverse[world] = i;
        if (p && p->state == PEER_GONE) core->gone++;
    }
    core->rank = core->reverse[s->rank];
    return 0;
}

int team_make(struct sinew_team *parent, uint32_t id, const int *members, int n,
              struct sinew_team **out)
{
    struct sinew *s = parent->core->context;
    team_reserve_id(parent, id);
    if (n == 0) {
        *out = NULL;
        return 0;
    }
    if (id >= ENVELOPE_OF_COLLECTIVE)
        return context_fail(s, SINEW_ELIMIT, "no id is left for a team: %u were made", id);
    struct team_core *core = core_new(s, id, n);
    struct sinew_team *team = NULL;
    if (core && core_members(core, parent->core, members) == 0) team = handle_new(core);
    if (!team) {
        if (core) core_free(core);
        return context_fail(s, SINEW_ENOMEM, "no memory for a team of %d ranks", n);
    }
    list_append(&s->teams, &core->entry);
    drop_unexpected(s, id, core);
    *out = team;
    return 0;
}

const struct world *team_world(const struct sinew_team *team)
{
    return team->core->context->world;
}
struct sinew *team_context(const struct sinew_team *team)
{
    return team->core->context;
}

const struct log *team_log(const struct sinew_team *team)
{
    return &team->core->context->log;
}

uint32_t team_next_collective(struct sinew_team *team)
{
    team->core->context->counters.collectives++;
    return ++team->core->collectives;
}

int team_level(const struct sinew_team *team)
{
    return team->level;
}

const char *team_algorithm(const struct sinew_team *team)
{
    return team->algorithm[0] ? team->algorithm : NULL;
}

struct team_cache **team_cache(struct sinew_team *team)
{
    return &team->core->cache;
}

struct team_cache **team_view_cache(struct sinew_team *team)
{
    return &team->cache;
}

void team_describe_rank(const struct sinew_team *team, int rank, struct text *text)
{
    const struct team_core *core = team->core;
    text_add(text, "rank %d", rank);
    if (core->id)
        text_add(text, " of team %u (rank %d of the job)", core->id, team_world_rank(core, rank));
}

int team_refuse(struct sinew_team *team, int status, const char *format, ...)
{
    struct why *why = &team->core->context->why;
    va_list args;
    va_start(args, format);
    vsnprintf(why->text, sizeof(why->text), format, args);
    va_end(args);
    return status;
}

int team_enter(struct sinew_team *team, int blocking)
{
    return context_check(team->core->context, blocking != 0);
}

/* ---- the public calls ------------------------------------------------------------------------ */

struct sinew_team *sinew_world(struct sinew *s)
{
    return s ? s->world_team : NULL;
}

int sinew_rank(const struct sinew_team *team)
{
    return team ? team->core->rank : SINEW_EINVAL;
}

int sinew_size(const struct sinew_team *team)
{
    return team ? team->core->size : SINEW_EINVAL;
}

int sinew_team_translate(const struct sinew_team *other, int rank, const struct sinew_team *team)
{
    if (!other || !team) return SINEW_EINVAL;
    struct sinew *s = team->core->context;
    if (other->core->context != s)
        return context_fail(s, SINEW_EINVAL,
                            "sinew_team_translate: the teams are of two contexts; give two of one");
    if (rank < 0 || rank >= other->core->size)
        return context_fail(s, SINEW_EINVAL,
                            "sinew_team_translate: rank is %d; ranks of that team are 0 to %d", rank,
                            other->core->size - 1);
    int there = team_rank_of(team->core, team_world_rank(other->core, rank));
    if (there >= 0) return there;
    return context_fail(s, SINEW_ENOENT,
                        "sinew_team_translate: rank %d of the job is no member of the team",
                        team_world_rank(other->core, rank));
}

static int view_check(struct sinew_team *team, const struct sinew_view_options *how)
{
    if (!how || how->size < sizeof(size_t))
        return team_refuse(team, SINEW_EINVAL,
                           "sinew_team_view: how is NULL or its size is not set; start "
                           "from SINEW_VIEW_OPTIONS_INIT");
    if (how->size > sizeof(*how))
        return team_refuse(team, SINEW_ENOTSUP,
                           "sinew_team_view: the program was built for a newer "
                           "library");
    return 0;
}

static int view_values(struct sinew_team *team, const struct sinew_view_options *how)
{
    if (how->level < 0 || how->level > SINEW_LEVEL_PORTABLE)
        return team_refuse(team, SINEW_EINVAL, "sinew_team_view: level is %d; levels are 0 to %d",
                           how->level, SINEW_LEVEL_PORTABLE);
    if (how->persistent < 0 || how->persistent > 1)
        return team_refuse(team, SINEW_EINVAL, "sinew_team_view: persistent is %d; 0 or 1",
                           how->persistent);
    if (how->deadline != 0 && how->deadline < 1000)
        return team_refuse(team, SINEW_EINVAL,
                           "sinew_team_view: deadline is %lldns; from 1us, or 0 for the team's",
                           (long long)how->deadline);
    if (how->algorithm && strlen(how->algorithm) >= sizeof(team->algorithm))
        return team_refuse(team, SINEW_EINVAL, "sinew_team_view: no algorithm is called \"%.40s\"",
                           how->algorithm);
    return 0;
}

int sinew_team_view(struct sinew_team *team, const struct sinew_view_options *how,
                    struct sinew_team **view)
{
    if (!team || !view) return SINEW_EINVAL;
    struct sinew_view_options o = SINEW_VIEW_OPTIONS_INIT;
    int rc = team_enter(team, 0);
    if (rc == 0) rc = view_check(team, how);
    if (rc) return rc;
    memcpy(&o, how, how->size);
    rc = view_values(team, &o);
    if (rc) return rc;
    struct sinew_team *v = handle_new(team->core);
    if (!v) return team_refuse(team, SINEW_ENOMEM, "no memory for a view");
    v->is_view = true;
    v->persistent = o.persistent || team->persistent;
    v->level = o.level ? o.level : team->level;
    v->deadline = o.deadline ? o.deadline : team->deadline;
    v->is_timed = v->deadline || team->is_timed;
    snprintf(v->algorithm, sizeof(v->algorithm), "%s", o.algorithm ? o.algorithm : team->algorithm);
    team->core->views++;
    *view = v;
    return 0;
}

int sinew_team_free(struct sinew_team **team)
{
    if (!team || !*team) return 0;
    struct sinew_team *t = *team;
    struct team_core *core = t->core;
    int rc = team_enter(t, 0);
    if (rc) return rc;
    if (t == core->context->world_team)
        return team_refuse(t, SINEW_EINVAL, "sinew_team_free: the world lives until sinew_close()");
    uint32_t live = request_live(core->context, t);
    if (live)
        return team_refuse(t, SINEW_EBUSY,
                           "sinew_team_free: %u request%s of this team not ended; wait for what is "
                           "under way, free what is persistent",
                           live, live == 1 ? "" : "s");
    if (!t->is_view && core->views)
        return team_refuse(t, SINEW_EBUSY,
                           "sinew_team_free: %d view%s of this team not freed; free views first",
                           core->views, core->views == 1 ? "" : "s");
    bool whole = !t->is_view;
    if (t->is_view) core->views--;
    handle_free(t);
    if (whole) {
        drop_unexpected(core->context, core->id, NULL);
        core_free(core);
    }
    *team = NULL;
    return 0;
}

int sinew_team_failed(struct sinew_team *team, int *ranks, int *died, int cap)
{
    if (!team) return SINEW_EINVAL;
    if (cap < 0)
        return team_refuse(team, SINEW_EINVAL, "sinew_team_failed: cap is %d; from 0", cap);
    struct team_core *core = team->core;
    int n = 0;
    for (int i = 0; core->gone && i < core->size; i++) {
        const struct peer *p = core->context->peer[team_world_rank(core, i)];
        if (!p || p->state != PEER_GONE) continue;
        if (n < cap && ranks) ranks[n] = i;
        if (n < cap && died) died[n] = p->gone != GONE_LEFT;
        n++;
    }
    return n;
}

int sinew_team_acknowledge(struct sinew_team *team)
{
    if (!team) return SINEW_EINVAL;
    struct team_core *core = team->core;
    for (int i = 0; core->gone && i < core->size; i++) {
        const struct peer *p = core->context->peer[team_world_rank(core, i)];
        if (p && p->state == PEER_GONE) core->told[i] = 1;
    }
    return 0;
}
