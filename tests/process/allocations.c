/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * allocations.c - memory runs out at the Nth allocation, for every N, while a context is opened and
 * sends its first messages: an error that says so, nothing broken, nothing leaked
 */
#include "tests/process/cases.h"

#include <string.h>

#include "messaging/origin.h"
#include "transport/sim/sim.h"

/* What a rank's allocator does. The simulated world knows itself by its argument, so this is beside
 * it. */
struct poor {
    const struct world *rich;
    int countdown; /* allocations until the failing one */
    bool failed;
    int64_t held;
};
static _Thread_local struct poor *poor_here;

static void *poor_allocate(void *arg, size_t align, size_t size)
{
    struct poor *poor = poor_here;
    if (poor->countdown-- == 0) {
        poor->failed = true;
        return NULL;
    }
    void *memory = poor->rich->allocate(arg, align, size);
    if (memory) poor->held += (int64_t)size;
    return memory;
}

static void poor_release(void *arg, void *memory, size_t size)
{
    if (memory) poor_here->held -= (int64_t)size;
    poor_here->rich->release(arg, memory, size);
}

static bool tolerable(int status)
{
    return status >= 0 || status == SINEW_ENOMEM || status == SINEW_EPEER ||
           status == SINEW_ETIMEDOUT || status == SINEW_ELAUNCH || status == SINEW_EUNREACHABLE;
}

/* Open, talk to oneself and to the other, make a team; give up at the first error. */
static int first_steps(struct job_rank *me, struct sinew *s)
{
    static _Thread_local char in[20000], out[20000];
    struct sinew_team *world = sinew_world(s), *team = NULL;
    int to = (me->rank + 1) % me->size, from = (me->rank + me->size - 1) % me->size;
    int status = sinew_sendrecv(world, out, 8, me->rank, in, 8, me->rank, 0, NULL, NULL);
    if (status == 0) status = sinew_sendrecv(world, out, 100, to, in, 100, from, 0, NULL, NULL);
    if (status == 0) status = sinew_sendrecv(world, out, 20000, to, in, 20000, from, 0, NULL, NULL);
    if (status == 0) status = sinew_team_split(world, 0, 0, &team);
    if (status == 0) status = sinew_barrier(team, NULL);
    if (team) {
        int freed = sinew_team_free(&team);
        CHECK(me, freed == 0 || status != 0);
    }
    return status;
}

static void say_nothing(void *arg, int level, const char *line)
{
    (void)arg;
    (void)level;
    (void)line;
}

static void open_and_talk(struct job_rank *me, struct poor *poor)
{
    struct world world = *poor->rich;
    poor_here = poor;
    world.allocate = poor_allocate;
    world.release = poor_release;
    static const struct transport_ops *const sim_only[] = { &transport_sim, NULL };
    struct origin origin = { &world, sim_only, NULL, NULL };
    struct sinew_options o = SINEW_OPTIONS_INIT;
    struct sinew *s = NULL;
    o.transports = "sim";
    o.stall_report = SINEW_NEVER;
    o.deadline = 40 * SECOND;
    o.log = say_nothing;
    CHECK_OK(me, sim_launch(me->sim, &origin.launch));
    int status = context_open(&o, &origin, &s);
    if (!tolerable(status))
        job_fail(me, __FILE__, __LINE__, "open gave %s: %s", sinew_strstatus(status),
                 sinew_why(NULL));
    if (status == 0) {
        status = first_steps(me, s);
        if (!tolerable(status))
            job_fail(me, __FILE__, __LINE__, "%s: %s", sinew_strstatus(status), sinew_why(s));
        if (status < 0)
            sinew_abandon(s);
        else
            CHECK(me, tolerable(sinew_close(s)));
    } else {
        CHECK(me, strcmp(sinew_why(NULL), "no failure") != 0);
    }
    if (!poor->failed && me->rank == 0 && me->size == 1) CHECK_EQ(me, status, 0);
    CHECK_EQ(me, poor->held, 0);
}

/* Rank 0 is the poor one. */
static void the_nth_allocation_fails(struct job_rank *me)
{
    struct poor poor = { sim_world(me->sim), me->rank == 0 ? me->round : -1, false, 0 };
    open_and_talk(me, &poor);
    if (me->rank == 0 && me->round == *(const int *)me->arg - 1)
        CHECK(me, !poor.failed); /* that was all of them */
}

static const int rounds = 120;

const struct suite_case process_allocations[] = {
    { "the Nth allocation fails, alone", the_nth_allocation_fails, 1, 1, SUITE_SIMULATED, 0,
      &rounds, 120 },
    { "the Nth allocation fails, for two", the_nth_allocation_fails, 2, 2, SUITE_SIMULATED, 0,
      &rounds, 120 },
    SUITE_END,
};
