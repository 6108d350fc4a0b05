/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/cache.h"

#include <string.h>

#include "collectives/neighbours.h"
#include "collectives/operators.h"

static void cache_destroy(struct team_cache *base)
{
    struct cache *cache = LIST_OWNER(base, struct cache, base);
    cache->orphan = true;
    if (cache->users == 0) cache_release(cache);
}

static int cache_told(struct team_cache *base, int from, uint32_t sequence, const void *word,
                      size_t len, void *answer)
{
    return agree_told(&LIST_OWNER(base, struct cache, base)->calls, from, sequence, word, len,
                      answer);
}

static int cache_stray(struct team_cache *base, int from, uint32_t sequence, void *word)
{
    return agree_stray(&LIST_OWNER(base, struct cache, base)->calls, from, sequence, word);
}

void cache_release(struct cache *cache)
{
    const struct world *world = cache->world;
    struct list *entry;
    rules_free(world, cache->rules);
    while ((entry = list_take(&cache->operators)))
        world_release(world, LIST_OWNER(entry, struct user_operator, entry),
                      sizeof(struct user_operator));
    while ((entry = list_take(&cache->idle))) execution_free(cache, entry);
    while ((entry = list_take(&cache->schedules))) {
        struct cached_schedule *s = LIST_OWNER(entry, struct cached_schedule, entry);
        world_release(world, s, s->bytes);
    }
    world_release(world, cache, sizeof(*cache));
}

struct cache *cache_of(struct sinew_team *team)
{
    struct team_cache **slot = team_cache(team);
    if (*slot) return LIST_OWNER(*slot, struct cache, base);
    const struct world *world = team_world(team);
    struct cache *cache = world_allocate(world, sizeof(*cache));
    if (!cache) return NULL;
    cache->base.destroy = cache_destroy;
    cache->base.told = cache_told;
    cache->base.stray = cache_stray;
    agree_init(&cache->calls, team);
    cache->world = world;
    list_init(&cache->operators);
    list_init(&cache->schedules);
    list_init(&cache->idle);
    *slot = &cache->base;
    return cache;
}

static int cache_rules(struct sinew_team *team, const struct rules **rules)
{
    struct cache *world = cache_of(sinew_world(team_context(team)));
    const char *file = team_rules(team);
    struct why why = { "" };
    if (!world) return team_refuse(team, SINEW_ENOMEM, "no memory for the cache of collectives");
    if (!world->rules_read && file[0]) {
        int status = rules_load(world->world, file, &world->rules, &why);
        if (status < 0) return team_refuse(team, status, "%s", why.text);
    }
    world->rules_read = true;
    *rules = world->rules;
    return 0;
}

int collectives_open(struct sinew_team *world)
{
    const struct rules *rules;
    return cache_rules(world, &rules);
}

int cache_situation(struct sinew_team *team, struct situation *at)
{
    at->size = (uint32_t)sinew_size(team);
    at->crowded = team_is_crowded(team);
    at->cores = at->crowded ? team_cores(team) : 0;
    at->link = team_link(team);
    at->node = team_node(team);
    return cache_rules(team, &at->rules);
}

int cache_choose(struct sinew_team *team, enum collective collective, struct situation *at,
                 struct choice *choice)
{
    struct cache *cache = cache_of(team);
    if (!cache) return team_refuse(team, SINEW_ENOMEM, "no memory for the cache of collectives");
    uint64_t hash = (at->bytes + (uint64_t)collective) * UINT64_C(0x9e3779b97f4a7c15);
    struct chosen *c = &cache->chosen[hash >> 60];
    if (c->collective != collective || c->bytes != at->bytes || c->need != at->need) {
        int status = cache_situation(team, at);
        if (status < 0) return status;
        *c = (struct chosen){ collective, at->need, at->bytes, algorithm_choose(collective, at) };
    }
    *choice = c->choice;
    return 0;
}

static bool schedule_fits(const struct cached_schedule *s, const struct call *call)
{
    return s->schedule->algorithm == call->algorithm && s->parameter == call->parameter &&
           s->schedule->root == (uint32_t)call->root && s->in_place == call->in_place && !s->once;
}

/* Frees the least recently used ones that nobody uses, until there are few enough. */
static void cache_trim(struct cache *cache)
{
    uint32_t n = 0;
    struct list *entry, *next;
    for (entry = cache->schedules.prev; entry != &cache->schedules; entry = next) {
        struct cached_schedule *s = LIST_OWNER(entry, struct cached_schedule, entry);
        next = entry->prev;
        if ((++n <= CACHE_SCHEDULES && !s->once) || s->users) continue;
        list_remove(entry);
        world_release(cache->world, s, s->bytes);
    }
}

static struct cached_schedule *schedule_new(struct cache *cache, const struct build *build,
                                            const struct call *call, uint32_t ops)
{
    size_t bytes = sizeof(struct cached_schedule) + schedule_bytes(ops);
    struct cached_schedule *s = world_allocate(cache->world, bytes);
    if (!s) return NULL;
    list_init(&s->entry);
    s->users = 0;
    s->parameter = call->parameter;
    s->bytes = bytes;
    s->in_place = call->in_place;
    s->once = call->graph != NULL;
    s->schedule = (struct schedule *)(s + 1);
    *s->schedule = (struct schedule){ .collective = call->collective,
                                      .algorithm = call->algorithm,
                                      .size = build->size,
                                      .rank = build->rank,
                                      .root = build->root,
                                      .tmp_like = build->tmp_like,
                                      .tmp_shift = build->tmp_shift,
                                      .ops = ops };
    memcpy(s->schedule->blocks, build->blocks, sizeof(build->blocks));
    return s;
}

static int schedule_make(struct cache *cache, struct sinew_team *team, const struct call *call,
                         struct cached_schedule **made)
{
    struct build build = {
        .size = (uint32_t)sinew_size(team),
        .rank = (uint32_t)sinew_rank(team),
        .root = (uint32_t)call->root,
        .parameter = parameter_number(call->parameter),
        .in_place = call->in_place,
    };
    struct op op[BUILD_MAX];
    uint32_t n;
    if (call->graph) {
        n = neighbours_count(call->graph);
    } else {
        algorithms[call->algorithm].generate(&build);
        n = build_finish(&build, op);
    }
    if (n == 0)
        return team_refuse(team, SINEW_ENOTSUP, "%s by %s among %u ranks cannot be scheduled: %s",
                           collective_name(call->collective), algorithms[call->algorithm].name,
                           build.size, build.failure);
    struct cached_schedule *s = schedule_new(cache, &build, call, n);
    if (!s)
        return team_refuse(team, SINEW_ENOMEM, "%s: no memory for a schedule of %u operations",
                           collective_name(call->collective), n);
    if (call->graph)
        neighbours_schedule(s->schedule, call->graph,
                            call->collective == COLLECTIVE_NEIGHBOUR_ALLGATHER);
    else
        memcpy(s->schedule->op, op, n * sizeof(op[0]));
    *made = s;
    return 0;
}

int cache_get(struct cache *cache, struct sinew_team *team, const struct call *call,
              struct cached_schedule **found)
{
    struct cached_schedule *s = NULL;
    for (struct list *e = cache->schedules.prev; e != &cache->schedules; e = e->prev) {
        s = LIST_OWNER(e, struct cached_schedule, entry);
        if (schedule_fits(s, call) && !call->graph) break;
        s = NULL;
    }
    if (!s) {
        int status = schedule_make(cache, team, call, &s);
        if (status < 0) return status;
    }
    list_remove(&s->entry);
    list_append(&cache->schedules, &s->entry);
    s->users++;
    *found = s;
    return 0;
}

void cache_put(struct cache *cache, struct cached_schedule *schedule)
{
    schedule->users--;
    cache_trim(cache);
}
