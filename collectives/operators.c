/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/operators.h"

#include <string.h>

#include "collectives/cache.h"
#include "sinew/sinew.h"

struct user_operator *operator_find(struct sinew_team *team, int number)
{
    if (number < OPERATOR_FIRST) return NULL;
    struct cache *cache = cache_of(sinew_world(team_context(team)));
    if (!cache) return NULL;
    for (struct list *e = cache->operators.next; e != &cache->operators; e = e->next) {
        struct user_operator *o = LIST_OWNER(e, struct user_operator, entry);
        if (o->number == number) return o;
    }
    return NULL;
}

void operator_run(const struct user_operator *o, void *d, const void *left, const void *right,
                  size_t n, int type, size_t element_bytes)
{
    if (d != left) { /* the result's place can be the right operand */
        if (d != right) memcpy(d, right, n * element_bytes);
        o->function(o->arg, left, d, n, type);
        return;
    }
    _Alignas(16) unsigned char piece[4096]; /* SINEW_RECORD_MAX: one element fits */
    size_t most = sizeof(piece) / element_bytes;
    unsigned char *to = d;
    const unsigned char *from = right;
    while (n > 0) {
        size_t count = n < most ? n : most, bytes = count * element_bytes;
        memcpy(piece, from, bytes);
        o->function(o->arg, to, piece, count, type);
        memcpy(to, piece, bytes);
        to += bytes;
        from += bytes;
        n -= count;
    }
}

int sinew_operator(struct sinew *s,
                   void (*function)(void *arg, const void *left, void *right, size_t count,
                                    int type),
                   void *arg, int commutes, int *op)
{
    struct sinew_team *world = sinew_world(s);
    if (!world) return SINEW_EINVAL;
    int status = team_enter(world, 0);
    if (status < 0) return status;
    if (!function || !op)
        return team_refuse(world, SINEW_EINVAL, "sinew_operator: %s is NULL",
                           function ? "op" : "function");
    struct cache *cache = cache_of(world);
    struct user_operator *o = cache ? world_allocate(cache->world, sizeof(*o)) : NULL;
    if (!o) return team_refuse(world, SINEW_ENOMEM, "sinew_operator: no memory for an operator");
    *o = (struct user_operator){ .function = function,
                                 .arg = arg,
                                 .commutes = commutes != 0,
                                 .number = OPERATOR_FIRST + (int)cache->operators_made++ };
    list_init(&o->entry);
    list_append(&cache->operators, &o->entry);
    *op = o->number;
    return 0;
}

int sinew_operator_free(struct sinew *s, int *op)
{
    struct sinew_team *world = sinew_world(s);
    if (!world || !op) return SINEW_EINVAL;
    int status = team_enter(world, 0);
    if (status < 0) return status;
    struct user_operator *o = operator_find(world, *op);
    if (!o)
        return team_refuse(world, SINEW_EINVAL,
                           "sinew_operator_free: %d is no operator of sinew_operator()", *op);
    if (o->users)
        return team_refuse(world, SINEW_EBUSY, "sinew_operator_free: %u operations use operator %d",
                           o->users, *op);
    list_remove(&o->entry);
    world_release(cache_of(world)->world, o, sizeof(*o));
    *op = 0;
    return 0;
}
