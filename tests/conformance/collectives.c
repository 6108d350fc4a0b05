/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * collectives.c - in brief: each operation, on any number of ranks, blocking and not
 *
 * What each result must be is computed here by plain loops over the ranks' inputs, which every rank
 * can make for every other. tests/collectives looks at patterns and schedules.
 */
#include "tests/conformance/cases.h"

#include <math.h>
#include <string.h>

static const size_t size_of[] = { 0, 1, 8, 1000, 8192, 8193, LONG };
enum { SIZES = sizeof(size_of) / sizeof(size_of[0]) };

static int finish(int got, struct sinew_request **req)
{
    return got > 0 ? sinew_wait(req) : got;
}

/* Blocking in even rounds, with a request in odd ones. */
static struct sinew_request **manner(uint64_t round, struct sinew_request **req)
{
    *req = NULL;
    return round % 2 ? req : NULL;
}

static void barrier_holds_everyone(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    struct sinew_request *req;
    for (int i = 1; i <= 30; i++) {
        if (me->rank == i % me->size)
            for (int p = 0; p < 20; p++) job_yield(me);
        atomic_fetch_add(&me->words[0], 1);
        CHECK_OK(me, finish(sinew_barrier(world, manner((uint64_t)i, &req)), &req));
        CHECK(me, atomic_load(&me->words[0]) >= i * me->size);
    }
    leave(me);
}

static void bcast_from_every_root(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    struct sinew_request *req;
    for (uint64_t i = 0; i < SIZES; i++)
        for (int root = 0; root < me->size; root++) {
            char *buf = memory_of(me, size_of[i]);
            if (me->rank == root) job_fill(buf, size_of[i], root, 99, i);
            CHECK_OK(me, finish(sinew_bcast(world, buf, size_of[i], root, manner(i, &req)), &req));
            CHECK_CONTENT(me, buf, size_of[i], root, 99, i);
        }
    leave(me);
}

static void gather_and_allgather(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    struct sinew_request *req;
    for (uint64_t i = 0; i < SIZES; i++) {
        size_t len = size_of[i];
        int root = (int)i % me->size;
        char *in = memory_of(me, len), *out = memory_of(me, len * (size_t)me->size);
        job_fill(in, len, me->rank, 99, i);
        CHECK_OK(me, finish(sinew_gather(world, in, len, me->rank == root ? out : NULL, root,
                                         manner(i, &req)),
                            &req));
        for (int r = 0; me->rank == root && r < me->size; r++)
            CHECK_CONTENT(me, out + (size_t)r * len, len, r, 99, i);
        memset(out, 0, len * (size_t)me->size);
        bool in_place = i % 3 == 1;
        if (in_place) memcpy(out + (size_t)me->rank * len, in, len);
        CHECK_OK(me, finish(sinew_allgather(world, in_place ? SINEW_IN_PLACE : in, len, out,
                                            manner(i, &req)),
                            &req));
        for (int r = 0; r < me->size; r++) CHECK_CONTENT(me, out + (size_t)r * len, len, r, 99, i);
    }
    leave(me);
}

/* Element i of a rank's input: small, so that no order of operations rounds. */
static double input(int rank, size_t i)
{
    return (double)((rank * 7 + (int)(i % 13)) % 5 + 1);
}

static double expected(int op, int size, size_t i)
{
    double x = input(0, i);
    for (int r = 1; r < size; r++) {
        double y = input(r, i);
        if (op == SINEW_SUM) x += y;
        if (op == SINEW_PROD) x *= y;
        if (op == SINEW_MIN) x = fmin(x, y);
        if (op == SINEW_MAX) x = fmax(x, y);
    }
    return x;
}

static void store(void *at, int type, size_t i, double x)
{
    switch (type) {
    case SINEW_I8:
        ((int8_t *)at)[i] = (int8_t)(int64_t)x;
        break;
    case SINEW_I16:
        ((int16_t *)at)[i] = (int16_t)(int64_t)x;
        break;
    case SINEW_I32:
        ((int32_t *)at)[i] = (int32_t)(int64_t)x;
        break;
    case SINEW_I64:
        ((int64_t *)at)[i] = (int64_t)x;
        break;
    case SINEW_U8:
        ((uint8_t *)at)[i] = (uint8_t)(uint64_t)x;
        break;
    case SINEW_U16:
        ((uint16_t *)at)[i] = (uint16_t)(uint64_t)x;
        break;
    case SINEW_U32:
        ((uint32_t *)at)[i] = (uint32_t)(uint64_t)x;
        break;
    case SINEW_U64:
        ((uint64_t *)at)[i] = (uint64_t)x;
        break;
    case SINEW_F32:
        ((float *)at)[i] = (float)x;
        break;
    case SINEW_F64:
        ((double *)at)[i] = x;
        break;
    }
}

static void reduce_one(struct job_rank *me, struct sinew_team *world, size_t count, int type,
                       int op, int root)
{
    size_t bytes = sinew_type_size(type) * count;
    char *in = memory_of(me, bytes), *out = memory_of(me, bytes), *want = memory_of(me, bytes);
    struct sinew_request *req;
    for (size_t i = 0; i < count; i++) {
        store(in, type, i, input(me->rank, i));
        store(want, type, i, expected(op, me->size, i));
    }
    CHECK_OK(me,
             finish(sinew_allreduce(world, in, out, count, type, op, manner(count, &req)), &req));
    CHECK(me, memcmp(out, want, bytes) == 0);
    memset(out, 0, bytes);
    CHECK_OK(me, finish(sinew_reduce(world, in, me->rank == root ? out : NULL, count, type, op,
                                     root, manner(count + 1, &req)),
                        &req));
    if (me->rank == root) CHECK(me, memcmp(out, want, bytes) == 0);
    CHECK_OK(
        me, finish(sinew_allreduce(world, SINEW_IN_PLACE, in, count, type, op, manner(count, &req)),
                   &req));
    CHECK(me, memcmp(in, want, bytes) == 0);
}

static void reductions_of_every_type(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    for (int type = SINEW_I8; type <= SINEW_F64; type++)
        for (int op = SINEW_SUM; op <= SINEW_MAX; op++)
            reduce_one(me, world, 17, type, op, (type + op) % me->size);
    leave(me);
}

/* Calls that come again go another way, if they are not too long for their link. */
static void reduce_again(struct job_rank *me, struct sinew_team *world, size_t count)
{
    enum { CALLS = 5 };
    size_t bytes = count * sizeof(int64_t), n = (size_t)me->size;
    int64_t *in = memory_of(me, bytes), *out = memory_of(me, bytes);
    for (size_t call = 0; call < CALLS; call++) {
        for (size_t i = 0; i < count; i++) in[i] = (int64_t)((size_t)me->rank + call * i);
        CHECK_OK(me, sinew_allreduce(world, in, out, count, SINEW_I64, SINEW_SUM, NULL));
        for (size_t i = 0; i < count; i++)
            CHECK_EQ(me, out[i], (int64_t)(n * (n - 1) / 2 + n * call * i));
        int root = (int)(call % 2) % me->size;
        if (me->rank == root) job_fill((char *)in, bytes, root, 99, call);
        CHECK_OK(me, sinew_bcast(world, in, bytes, root, NULL));
        CHECK_CONTENT(me, (char *)in, bytes, root, 99, call);
    }
}

static void reductions_of_many_lengths(struct job_rank *me)
{
    static const size_t count[] = { 0, 1, 2, 7, 1024, 1025, 30000 };
    static const size_t again[] = { 1, 2048, 2049, 4096, 4097, 8192, 8193 };
    struct sinew_team *world = enter(me);
    for (size_t i = 0; i < sizeof(count) / sizeof(count[0]); i++)
        reduce_one(me, world, count[i], SINEW_F64, SINEW_SUM, 0);
    for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++)
        reduce_again(me, world, again[i]);
    leave(me);
}

/* Values that round: all ranks must still have the same bits. */
static void allreduce_gives_everyone_the_same_bits(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    enum { COUNT = 500 };
    double in[COUNT], out[COUNT], *all = memory_of(me, sizeof(out) * (size_t)me->size);
    for (int i = 0; i < COUNT; i++)
        in[i] = i == 7 ? NAN : ldexp((double)job_random(me), (int)job_below(me, 80) - 40);
    CHECK_OK(me, sinew_allreduce(world, in, out, COUNT, SINEW_F64, SINEW_SUM, NULL));
    CHECK_OK(me, sinew_allgather(world, out, sizeof(out), all, NULL));
    for (int r = 0; r < me->size; r++)
        CHECK(me, memcmp(all + (size_t)r * COUNT, out, sizeof(out)) == 0);
    CHECK(me, isnan(out[7]));
    leave(me);
}

static void integers_wrap(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    uint8_t u = 200, got_u = 0;
    int32_t i = INT32_MAX, got_i = 0;
    CHECK_OK(me, sinew_allreduce(world, &u, &got_u, 1, SINEW_U8, SINEW_SUM, NULL));
    CHECK_EQ(me, got_u, (uint8_t)(200 * me->size));
    CHECK_OK(me, sinew_allreduce(world, &i, &got_i, 1, SINEW_I32, SINEW_SUM, NULL));
    CHECK_EQ(me, (uint32_t)got_i, (uint32_t)INT32_MAX * (uint32_t)me->size);
    leave(me);
}

static void several_under_way_at_once(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    enum { N = 10 };
    struct sinew_request *req[2 * N] = { 0 };
    int64_t in[N], out[N];
    char *buf[N];
    for (int i = 0; i < N; i++) {
        in[i] = me->rank + i;
        buf[i] = memory_of(me, 3000);
        if (me->rank == i % me->size) job_fill(buf[i], 3000, me->rank, 99, (uint64_t)i);
        CHECK(me,
              sinew_allreduce(world, &in[i], &out[i], 1, SINEW_I64, SINEW_SUM, &req[2 * i]) >= 0);
        CHECK(me, sinew_bcast(world, buf[i], 3000, i % me->size, &req[2 * i + 1]) >= 0);
    }
    CHECK_OK(me, sinew_wait_all(req, 2 * N, NULL, SINEW_FOREVER));
    for (int i = 0; i < N; i++) {
        CHECK_EQ(me, out[i], me->size * (me->size - 1) / 2 + i * me->size);
        CHECK_CONTENT(me, buf[i], 3000, i % me->size, 99, (uint64_t)i);
    }
    leave(me);
}

/* Receives from anyone with any tag never see what collectives send. */
static void collectives_are_not_seen_by_wildcards(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    struct sinew_request *req = NULL;
    char buf[64];
    int64_t one = 1, n = 0;
    CHECK(me, sinew_recv(world, buf, 64, SINEW_ANY_RANK, SINEW_ANY_TAG, NULL, &req) > 0);
    for (int i = 0; i < 10; i++)
        CHECK_OK(me, sinew_allreduce(world, &one, &n, 1, SINEW_I64, SINEW_SUM, NULL));
    CHECK_EQ(me, n, me->size);
    CHECK(me, sinew_test(&req) > 0);
    CHECK_OK(me, sinew_cancel(req));
    CHECK_IS(me, sinew_wait(&req), SINEW_ECANCELED);
    meet(me);
    leave(me);
}

static void persistent_collectives_go_round(struct job_rank *me)
{
    struct sinew_team *world = enter(me), *view = NULL;
    struct sinew_view_options how = SINEW_VIEW_OPTIONS_INIT;
    struct sinew_request *req = NULL;
    int64_t in = 0, out = 0;
    how.persistent = 1;
    CHECK_OK(me, sinew_team_view(world, &how, &view));
    CHECK_OK(me, sinew_allreduce(view, &in, &out, 1, SINEW_I64, SINEW_SUM, &req));
    CHECK(me, req != NULL);
    for (int i = 0; i < 20; i++) {
        in = i;
        CHECK(me, sinew_start(req) >= 0);
        CHECK_OK(me, sinew_wait(&req));
        CHECK_EQ(me, out, i * me->size);
        CHECK_OK(me, sinew_barrier(world, NULL)); /* others in between keep their order */
    }
    CHECK_OK(me, sinew_request_free(&req));
    CHECK_OK(me, sinew_team_free(&view));
    leave(me);
}

static void collectives_in_a_split(struct job_rank *me)
{
    struct sinew_team *world = enter(me), *team = NULL;
    int64_t in = me->rank, out = 0, want = 0;
    CHECK_OK(me, sinew_team_split(world, me->rank % 2, 0, &team));
    for (int r = me->rank % 2; r < me->size; r += 2) want += r;
    for (int i = 0; i < 10; i++) {
        CHECK_OK(me, sinew_allreduce(team, &in, &out, 1, SINEW_I64, SINEW_SUM, NULL));
        CHECK_EQ(me, out, want);
    }
    CHECK_OK(me, sinew_team_free(&team));
    CHECK_OK(me, sinew_barrier(world, NULL));
    leave(me);
}

static void different_arguments_are_told(struct job_rank *me)
{
    struct sinew_team *world = enter(me);
    int64_t in = 1, out = 0;
    int status =
        sinew_allreduce(world, &in, &out, 1, SINEW_I64, me->rank ? SINEW_SUM : SINEW_MAX, NULL);
    CHECK_IS(me, status, SINEW_EMISMATCH);
    meet(me);
    leave(me);
}

const struct suite_case conformance_collectives[] = {
    { "barrier holds everyone", barrier_holds_everyone, 1, 8, 0, 0, 0, 0 },
    { "bcast from every root", bcast_from_every_root, 1, 8, 0, 0, 0, 0 },
    { "gather and allgather", gather_and_allgather, 1, 8, 0, 0, 0, 0 },
    { "reductions of every type", reductions_of_every_type, 1, 8, 0, 0, 0, 0 },
    { "reductions of many lengths", reductions_of_many_lengths, 1, 8, 0, 0, 0, 0 },
    { "allreduce gives everyone the same bits", allreduce_gives_everyone_the_same_bits, 2, 8, 0, 0,
      0, 0 },
    { "integers wrap", integers_wrap, 1, 3, 0, 0, 0, 0 },
    { "several under way at once", several_under_way_at_once, 1, 8, 0, 0, 0, 0 },
    { "collectives are not seen by wildcards", collectives_are_not_seen_by_wildcards, 1, 3, 0, 0, 0,
      0 },
    { "persistent collectives go round", persistent_collectives_go_round, 1, 5, 0, 0, 0, 0 },
    { "collectives in a split", collectives_in_a_split, 2, 8, 0, 0, 0, 0 },
    { "different arguments are told", different_arguments_are_told, 2, 2, 0, 0, 0, 0 },
    SUITE_END,
};
