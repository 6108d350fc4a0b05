/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * launch.c - the launcher of the simulated world: records change hands without a wire, and every
 * death is told to every other rank once
 */
#include <string.h>

#include "transport/sim/internal.h"

enum { DEATH_NONE, DEATH_KNOWN, DEATH_REPORTED };

struct sim_launcher {
    struct launch base;
    struct sim_rank *me;
};

static struct sim_rank *launch_me(struct launch *l)
{
    return ((struct sim_launcher *)(void *)l)->me;
}

static int launch_put(struct launch *l, const void *record, size_t len)
{
    struct sim_rank *me = launch_me(l);
    struct sim *s = me->sim;
    if (len > LAUNCH_RECORD_MAX)
        return why_set(&l->why, SINEW_EINVAL, "a record has at most %d bytes, not %zu",
                       LAUNCH_RECORD_MAX, len);
    if (me->has_put)
        return why_set(&l->why, SINEW_ESTATE, "rank %d has put its record already", me->rank);
    rank_catch_up(me);
    memcpy(me->record, record, len);
    me->record_len = len;
    me->has_put = true;
    for (int i = 0; i < s->opt.ranks; i++)
        if (s->ranks[i].activity == FENCING) rank_rouse(&s->ranks[i]);
    return 0;
}

/* The first rank that has not put, or -1. */
static int launch_missing(const struct sim *s, int from)
{
    for (int i = from; i < s->opt.ranks; i++)
        if (!s->ranks[i].has_put) return i;
    return -1;
}

static int launch_name_missing(struct launch *l, const struct sim *s, int status, const char *what)
{
    struct text t = text_into(l->why.text, sizeof(l->why.text));
    text_add(&t, "%s: no record from rank", what);
    for (int i = launch_missing(s, 0); i >= 0; i = launch_missing(s, i + 1)) text_add(&t, " %d", i);
    return status;
}

static int launch_fence(struct launch *l, int64_t until)
{
    struct sim_rank *me = launch_me(l);
    struct sim *s = me->sim;
    rank_catch_up(me);
    while (launch_missing(s, 0) >= 0) {
        for (int i = launch_missing(s, 0); i >= 0; i = launch_missing(s, i + 1))
            if (me->death[i])
                return launch_name_missing(l, s, SINEW_EPEER, "a rank died before the fence");
        if (me->now >= until)
            return launch_name_missing(l, s, SINEW_ETIMEDOUT, "not all ranks came in time");
        rank_wait(me, FENCING, until);
    }
    me->idle_since = me->now;
    return 0;
}

static int launch_get(struct launch *l, int rank, void *record)
{
    struct sim *s = launch_me(l)->sim;
    if (rank < 0 || rank >= s->opt.ranks)
        return why_set(&l->why, SINEW_EINVAL, "rank %d is not in 0 to %d", rank, s->opt.ranks - 1);
    const struct sim_rank *r = &s->ranks[rank];
    if (!r->has_put) return why_set(&l->why, SINEW_ENOENT, "rank %d has not put a record", rank);
    memcpy(record, r->record, r->record_len);
    return (int)r->record_len;
}

static int launch_failed(struct launch *l, int *rank)
{
    struct sim_rank *me = launch_me(l);
    if (me->deaths_known == 0) return 0;
    for (int i = 0; i < me->sim->opt.ranks; i++) {
        if (me->death[i] != DEATH_KNOWN) continue;
        me->death[i] = DEATH_REPORTED;
        me->deaths_known--;
        *rank = i;
        return 1;
    }
    return 0;
}

static int launch_abort(struct launch *l, int status, const char *text)
{
    struct sim_rank *me = launch_me(l);
    sim_fail(me->sim, SINEW_EABORTED, "rank %d aborted the job with status %d: %s", me->rank,
             status, text ? text : "no reason given");
    return 0;
}

static void launch_close(struct launch *l)
{
    struct sim_rank *me = launch_me(l);
    me->launched = false;
    world_release(&me->world, l, sizeof(struct sim_launcher));
}

/* Says nothing: the rank counts as dead when its body returns. */
static void launch_abandon(struct launch *l)
{
    world_release(&launch_me(l)->world, l, sizeof(struct sim_launcher));
}

static const struct launch_ops launch_sim = {
    .name = "sim",
    .put = launch_put,
    .fence = launch_fence,
    .get = launch_get,
    .failed = launch_failed,
    .abort = launch_abort,
    .close = launch_close,
    .abandon = launch_abandon,
};

int sim_launch(struct sim_rank *me, struct launch **out)
{
    struct sim *s = me->sim;
    uint64_t state = ~s->opt.seed;
    if (me->launched) return SINEW_ESTATE;
    struct sim_launcher *l = world_allocate(&me->world, sizeof(*l));
    if (!l) return SINEW_ENOMEM;
    l->me = me;
    l->base = (struct launch){ .ops = &launch_sim,
                               .world = &me->world,
                               .rank = me->rank,
                               .size = s->opt.ranks,
                               .ranks_here = s->opt.ranks, /* they run one at a time … */
                               .cores_here = 1,
                               .cores_name = (uint32_t)me->rank + 1, /* … on hosts of their own */
                               .has_secret = true,
                               .fd = -1 };
    for (size_t i = 0; i < LAUNCH_SECRET_LEN; i++) l->base.secret[i] = (uint8_t)sim_draw(&state);
    me->launched = true;
    *out = &l->base;
    return 0;
}

/* ---- deaths ---------------------------------------------------------------------------------- */

static void obituary_arrive(struct sim *s, struct event *event)
{
    int dead = LIST_OWNER(event, struct sim_rank, obituary)->rank;
    for (int i = 0; i < s->opt.ranks; i++) {
        struct sim_rank *r = &s->ranks[i];
        if (i == dead || r->activity == ENDED || r->death[dead]) continue;
        r->death[dead] = DEATH_KNOWN;
        r->deaths_known++;
        rank_rouse(r);
    }
}

void launch_tell_death(struct sim *s, int rank, int64_t time)
{
    struct event *obituary = &s->ranks[rank].obituary;
    if (obituary->fire) return; /* one dies once */
    obituary->fire = obituary_arrive;
    obituary->wire = true;
    sim_schedule(s, obituary, time);
}
