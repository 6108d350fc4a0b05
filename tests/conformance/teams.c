/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * teams.c - ordered sets of ranks, each with a matching space of its own
 */
#include "tests/conformance/cases.h"

#include <string.h>

static void world_is_everyone(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    CHECK_EQ(me, sinew_rank(world), me->rank);
    CHECK_EQ(me, sinew_size(world), me->size);
    CHECK(me, sinew_world(me->s) == world);
    CHECK_IS(me, sinew_team_free(&world), SINEW_EINVAL);
    CHECK(me, world != NULL);
    leave(me);
}

/* A ring of messages through the team: everyone is reachable by its team rank. */
static void ring_in(struct job_rank *me, struct sinew_team *team, uint64_t sequence)
{
    int rank = sinew_rank(team), size = sinew_size(team);
    char in[100], out[100];
    job_fill(out, 100, rank, (rank + 1) % size, sequence);
    CHECK_OK(me, sinew_sendrecv(team, out, 100, (rank + 1) % size, in, 100,
                                (rank + size - 1) % size, 9, NULL, NULL));
    CHECK_CONTENT(me, in, 100, (rank + size - 1) % size, rank, sequence);
}

static void split_by_colour_ordered_by_key(struct job_rank *me)
{
    struct sinew_team *world = enter(me), *team = NULL;
    int colour = me->rank % 2;
    CHECK_OK(me, sinew_team_split(world, colour, -me->rank, &team));
    CHECK(me, team != NULL);
    int size = (me->size + 1 - colour) / 2;
    CHECK_EQ(me, sinew_size(team), size);
    CHECK_EQ(me, sinew_rank(team), size - 1 - me->rank / 2); /* keys turn the order round */
    for (int r = 0; r < size; r++)
        CHECK_EQ(me, sinew_team_translate(team, r, world), 2 * (size - 1 - r) + colour);
    for (int r = 0; r < me->size; r++)
        CHECK_EQ(me, sinew_team_translate(world, r, team),
                 r % 2 == colour ? size - 1 - r / 2 : SINEW_ENOENT);
    CHECK_EQ(me, sinew_team_translate(team, size, world), SINEW_EINVAL);
    ring_in(me, team, 1);
    CHECK_OK(me, sinew_team_free(&team));
    CHECK(me, team == NULL);
    meet(me);
    leave(me);
}

static void split_with_equal_keys_keeps_the_order(struct job_rank *me)
{
    struct sinew_team *world = enter(me), *team = NULL;
    CHECK_OK(me, sinew_team_split(world, 5, 0, &team));
    CHECK_EQ(me, sinew_rank(team), me->rank);
    CHECK_EQ(me, sinew_size(team), me->size);
    ring_in(me, team, 2);
    CHECK_OK(me, sinew_team_free(&team));
    meet(me);
    leave(me);
}

static void split_without_me(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    struct sinew_team *team = (struct sinew_team *)me;
    CHECK_OK(me, sinew_team_split(world, me->rank == 0 ? -1 : 0, 0, &team));
    CHECK(me, (team == NULL) == (me->rank == 0));
    if (team) {
        CHECK_EQ(me, sinew_size(team), me->size - 1);
        ring_in(me, team, 3);
        CHECK_OK(me, sinew_team_free(&team));
    }
    CHECK_OK(me, sinew_team_free(&team));
    CHECK_OK(me, sinew_team_free(NULL));
    meet(me);
    leave(me);
}

static void subset_in_the_listed_order(struct job_rank *me)
{
    struct sinew_team *world = enter(me), *team = NULL;
    int list[JOB_RANKS_MAX], n = 0;
    for (int r = me->size - 1; r >= 0; r -= 2) list[n++] = r;
    CHECK_OK(me, sinew_team_subset(world, list, n, &team));
    int mine = -1;
    for (int i = 0; i < n; i++)
        if (list[i] == me->rank) mine = i;
    CHECK_EQ(me, team != NULL, mine >= 0);
    if (team) {
        CHECK_EQ(me, sinew_rank(team), mine);
        CHECK_EQ(me, sinew_size(team), n);
        for (int i = 0; i < n; i++) CHECK_EQ(me, sinew_team_translate(team, i, world), list[i]);
        ring_in(me, team, 4);
        struct sinew_team *again = NULL; /* a team of a team */
        int last = n - 1;
        CHECK_OK(me, sinew_team_subset(team, &last, 1, &again));
        CHECK_EQ(me, again != NULL, mine == last);
        if (again) ring_in(me, again, 5);
        CHECK_OK(me, sinew_team_free(&again));
        CHECK_OK(me, sinew_team_free(&team));
    }
    meet(me);
    leave(me);
}

static void subset_checks_its_list(struct job_rank *me)
{
    struct sinew_team *world = enter(me), *team = NULL;
    int twice[] = { 0, 0 }, beyond[] = { me->size }, below[] = { -1 };
    CHECK_IS(me, sinew_team_subset(world, twice, 2, &team), SINEW_EINVAL);
    check_why(me, "twice");
    CHECK_IS(me, sinew_team_subset(world, beyond, 1, &team), SINEW_EINVAL);
    check_why(me, "rank");
    CHECK_IS(me, sinew_team_subset(world, below, 1, &team), SINEW_EINVAL);
    CHECK_IS(me, sinew_team_subset(world, below, 0, &team), SINEW_EINVAL);
    CHECK_IS(me, sinew_team_subset(world, NULL, 1, &team), SINEW_EINVAL);
    CHECK(me, team == NULL);
    leave(me);
}

/* The same tag and rank in two teams are two different messages. */
static void teams_do_not_mix(struct job_rank *me)
{
    struct sinew_team *world = enter(me), *team = NULL;
    CHECK_OK(me, sinew_team_split(world, 0, 0, &team));
    if (me->rank == 0) {
        give(me, world, 10, 1, 1, 10);
        give(me, team, 10, 1, 1, 20);
    } else {
        take(me, team, 10, 0, 1, 20);
        CHECK(me, sinew_probe(team, SINEW_ANY_RANK, SINEW_ANY_TAG, NULL, NULL, 0) > 0);
        take(me, world, 10, 0, 1, 10);
    }
    CHECK_OK(me, sinew_team_free(&team));
    meet(me);
    leave(me);
}

/* A rank that is through with making a team may send before another has made it. */
static void messages_for_a_team_not_made_here_yet(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    for (uint64_t i = 0; i < 20; i++) {
        struct sinew_team *team = NULL;
        if (me->rank == (int)i % me->size)
            for (int p = 0; p < 300; p++) job_yield(me);
        CHECK_OK(me, sinew_team_split(world, 0, 0, &team));
        struct sinew_request *req[JOB_RANKS_MAX] = { 0 };
        char out[JOB_RANKS_MAX][64];
        for (int r = 0; r < me->size; r++) {
            job_fill(out[r], 64, me->rank, r, i);
            CHECK(me, sinew_send(team, out[r], 64, r, 0, &req[r]) >= 0);
        }
        for (int r = 0; r < me->size; r++) take(me, team, 64, r, 0, i);
        CHECK_OK(me, sinew_wait_all(req, me->size, NULL, SINEW_FOREVER));
        CHECK_OK(me, sinew_team_free(&team));
    }
    meet(me);
    leave(me);
}

static void free_with_live_requests_is_busy(struct job_rank *me)
{
    struct sinew_team *world = enter(me), *team = NULL;
    struct sinew_request *req = NULL;
    char buf[8];
    CHECK_OK(me, sinew_team_split(world, 0, 0, &team));
    CHECK(me, sinew_recv(team, buf, 8, me->rank, 0, NULL, &req) > 0);
    CHECK_IS(me, sinew_team_free(&team), SINEW_EBUSY);
    CHECK(me, team != NULL);
    CHECK_OK(me, sinew_cancel(req));
    CHECK_IS(me, sinew_wait(&req), SINEW_ECANCELED);
    CHECK_OK(me, sinew_team_free(&team));
    meet(me);
    leave(me);
}

static void views_are_the_same_team(struct job_rank *me)
{
    struct sinew_team *world = enter(me), *team = NULL, *view = NULL;
    struct sinew_view_options how = SINEW_VIEW_OPTIONS_INIT;
    how.deadline = 10000 * MS;
    CHECK_OK(me, sinew_team_split(world, 0, -me->rank, &team));
    CHECK_OK(me, sinew_team_view(team, &how, &view));
    CHECK_EQ(me, sinew_rank(view), sinew_rank(team));
    CHECK_EQ(me, sinew_size(view), me->size);
    CHECK_EQ(me, sinew_team_translate(view, 0, world), me->size - 1);
    CHECK_IS(me, sinew_team_free(&team), SINEW_EBUSY);
    /* One matching space: sent through one, received through the other. */
    int rank = sinew_rank(team), other = (rank + 1) % me->size;
    struct sinew_request *req = NULL;
    char out[30];
    job_fill(out, 30, rank, other, 1);
    CHECK(me, sinew_send(view, out, 30, other, 0, &req) >= 0);
    take(me, team, 30, (rank + me->size - 1) % me->size, 0, 1);
    CHECK_OK(me, sinew_wait(&req));
    CHECK_OK(me, sinew_team_free(&view));
    CHECK_OK(me, sinew_team_free(&team));
    meet(me);
    leave(me);
}

static void views_check_their_options(struct job_rank *me)
{
    struct sinew_team *world = enter(me), *view = NULL;
    struct sinew_view_options how = SINEW_VIEW_OPTIONS_INIT;
    how.level = 77;
    CHECK_IS(me, sinew_team_view(world, &how, &view), SINEW_EINVAL);
    check_why(me, "level");
    how.level = 0;
    how.deadline = 10;
    CHECK_IS(me, sinew_team_view(world, &how, &view), SINEW_EINVAL);
    check_why(me, "deadline");
    how.deadline = 0;
    how.persistent = 2;
    CHECK_IS(me, sinew_team_view(world, &how, &view), SINEW_EINVAL);
    check_why(me, "persistent");
    CHECK_IS(me, sinew_team_view(world, NULL, &view), SINEW_EINVAL);
    CHECK(me, view == NULL);
    leave(me);
}

static void many_teams_have_different_ids(struct job_rank *me)
{
    struct sinew_team *world = enter(me), *team[10];
    for (int i = 0; i < 10; i++)
        CHECK_OK(me, sinew_team_split(world, i % 2 ? me->rank % 2 : 0, 0, &team[i]));
    for (int i = 9; i >= 0; i--) ring_in(me, team[i], (uint64_t)i);
    for (int i = 0; i < 10; i++) CHECK_OK(me, sinew_team_free(&team[i]));
    meet(me);
    leave(me);
}

const struct suite_case conformance_teams[] = {
    { "the world is everyone", world_is_everyone, 1, 3, 0, 0, 0, 0 },
    { "split by colour, ordered by key", split_by_colour_ordered_by_key, 2, 8, 0, 0, 0, 0 },
    { "split with equal keys", split_with_equal_keys_keeps_the_order, 1, 3, 0, 0, 0, 0 },
    { "split without me", split_without_me, 2, 8, 0, 0, 0, 0 },
    { "subset in the listed order", subset_in_the_listed_order, 1, 8, 0, 0, 0, 0 },
    { "subset checks its list", subset_checks_its_list, 2, 2, 0, 0, 0, 0 },
    { "teams do not mix", teams_do_not_mix, 2, 2, 0, 0, 0, 0 },
    { "messages for a team not made here yet", messages_for_a_team_not_made_here_yet, 2, 8, 0, 0, 0,
      0 },
    { "free with live requests is busy", free_with_live_requests_is_busy, 1, 2, 0, 0, 0, 0 },
    { "views are the same team", views_are_the_same_team, 1, 3, 0, 0, 0, 0 },
    { "views check their options", views_check_their_options, 1, 1, 0, 0, 0, 0 },
    { "many teams have different ids", many_teams_have_different_ids, 2, 5, 0, 0, 0, 0 },
    SUITE_END,
};
