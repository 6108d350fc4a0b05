/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What users may rely on of speed, in virtual time, where nothing else runs: no collective is
 * slower than others that do its work together, none gets faster by being given more to do, and no
 * number of ranks is slower than both powers of two around it.
 *
 *     test-collective-guidelines
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/seed.h"
#include "tests/support/job.h"
#include "transport/sim/sim.h"

/* Two polls of the simulator: what comes a moment after one is seen by the next. */
enum { GRAIN_NS = 200 };
enum { SIZES = 4, MOST = 256 << 10, WARM = 1, ROUNDS = 24, ROUNDS_OF_MOST = 2, RANKS = 16 };
enum {
    BARRIER,
    BCAST,
    REDUCE,
    ALLREDUCE,
    GATHER,
    SCATTER,
    ALLGATHER,
    ALLTOALL,
    REDUCE_SCATTER,
    ALL
};

static const char *const names[ALL] = { "barrier", "bcast",     "reduce",   "allreduce",     "gather",
                                        "scatter", "allgather", "alltoall", "reduce_scatter" };
static const size_t sizes[SIZES] = { 8, 1 << 10, 16 << 10, MOST };

/* ns of a round, by ranks, collective, size of what a rank has; and of what all have together. */
static int64_t times[RANKS + 1][ALL][SIZES], of_all[RANKS + 1][ALL][SIZES];

static int call(struct sinew_team *w, int which, size_t bytes, void *in, void *out)
{
    size_t n = bytes / 4, p = (size_t)sinew_size(w);
    switch (which) {
    case BARRIER:
        return sinew_barrier(w, NULL);
    case BCAST:
        return sinew_bcast(w, out, bytes, 0, NULL);
    case REDUCE:
        return sinew_reduce(w, in, out, n, SINEW_F32, SINEW_SUM, 0, NULL);
    case ALLREDUCE:
        return sinew_allreduce(w, in, out, n, SINEW_F32, SINEW_SUM, NULL);
    case GATHER:
        return sinew_gather(w, in, bytes, out, 0, NULL);
    case SCATTER:
        return sinew_scatter(w, in, bytes, out, 0, NULL);
    case ALLGATHER:
        return sinew_allgather(w, in, bytes, out, NULL);
    case ALLTOALL:
        return sinew_alltoall(w, in, bytes, out, NULL);
    default:
        return sinew_reduce_scatter_block(w, in, out, n / p, SINEW_F32, SINEW_SUM, NULL);
    }
}

/* All begin, within two polls of each other: who looks a moment before a message comes, and who a
 * moment after, is chance. */
static int64_t together(struct job_rank *me, struct seed *chance)
{
    enum { AHEAD_NS = 50000 };
    int64_t mine = sim_now(me->sim), last = 0;
    CHECK_OK(me, sinew_allreduce(sinew_world(me->s), &mine, &last, 1, SINEW_I64, SINEW_MAX, NULL));
    int64_t begin = last + AHEAD_NS, now = sim_now(me->sim);
    CHECK(me, now <= begin);
    sim_compute(me->sim, begin - now + (int64_t)seed_below(chance, GRAIN_NS));
    return begin;
}

/* The mean from then to when the last one is done, after one for warming. */
static int64_t timed(struct job_rank *me, int which, size_t bytes, void *in, void *out)
{
    struct sinew_team *w = sinew_world(me->s);
    int rounds = bytes < MOST ? ROUNDS : ROUNDS_OF_MOST;
    struct seed chance = { (uint64_t)me->rank };
    int64_t all = 0;
    for (int round = 0; round < WARM + rounds; round++) {
        int64_t begin = together(me, &chance), took = 0;
        CHECK_OK(me, call(w, which, bytes, in, out));
        int64_t mine = sim_now(me->sim) - begin;
        CHECK_OK(me, sinew_allreduce(w, &mine, &took, 1, SINEW_I64, SINEW_MAX, NULL));
        if (round >= WARM) all += took;
    }
    return all / rounds;
}

/* Windows grow for whom a mebibyte was received, with the next message that waits for room: what is
 * timed before and what is timed after would not be of one state. */
static void grow(struct job_rank *me, void *in, void *out)
{
    enum { LONG = 5, SHORT = 3 };
    for (int i = 0; i < LONG + SHORT; i++)
        CHECK_OK(me, sinew_alltoall(sinew_world(me->s), in, i < LONG ? MOST : 16 << 10, out, NULL));
}

static void play(struct job_rank *me)
{
    job_open(me, NULL);
    size_t room = (size_t)MOST * (size_t)me->size;
    char *in = calloc(1, room), *out = calloc(1, room);
    CHECK(me, in && out);
    grow(me, in, out);
    for (int which = 0; which < ALL; which++)
        for (int s = 0; s < SIZES; s++) {
            int64_t one = timed(me, which, sizes[s], in, out);
            bool blocks = which == BCAST || which == SCATTER;
            size_t all = sizes[s] * (size_t)me->size;
            int64_t whole = blocks ? timed(me, which, which == BCAST ? all : sizes[s], in, out) : 0;
            if (me->rank) continue;
            times[me->size][which][s] = one;
            of_all[me->size][which][s] = whole;
        }
    free(in);
    free(out);
    job_close(me, me->s);
}

static int wrong;

static void expect(int64_t is, int64_t most, double slack, int ranks, size_t bytes,
                   const char *what)
{
    if ((double)is <= (double)most * slack + GRAIN_NS) return;
    printf("%2d ranks, %7zu bytes: %s: %.2f us beside %.2f\n", ranks, bytes, what,
           (double)is / 1000, (double)most / 1000);
    wrong++;
}

/* The whole beside its parts. */
static void parts(int p)
{
    enum { SLACK = 110 };
    for (int s = 0; s < SIZES; s++) {
        int64_t(*t)[SIZES] = times[p];
        double slack = SLACK / 100.0;
        expect(t[ALLREDUCE][s], t[REDUCE][s] + t[BCAST][s], slack, p, sizes[s],
               "allreduce, and reduce with bcast");
        expect(t[ALLGATHER][s], t[GATHER][s] + of_all[p][BCAST][s], slack, p, sizes[s],
               "allgather, and gather with bcast of all");
        expect(t[REDUCE][s], t[ALLREDUCE][s], slack, p, sizes[s], "reduce, and allreduce");
        expect(t[GATHER][s], t[ALLGATHER][s], slack, p, sizes[s], "gather, and allgather");
        expect(t[ALLGATHER][s], t[ALLTOALL][s], slack, p, sizes[s], "allgather, and alltoall");
        expect(t[SCATTER][s], of_all[p][BCAST][s], slack, p, sizes[s],
               "scatter, and bcast of all");
        expect(t[REDUCE_SCATTER][s], t[REDUCE][s] + t[SCATTER][s], slack, p, sizes[s],
               "reduce_scatter, and reduce with scatter of as much to each");
        expect(t[REDUCE_SCATTER][s], t[ALLREDUCE][s], slack, p, sizes[s],
               "reduce_scatter, and allreduce");
        expect(t[BARRIER][0], t[ALLREDUCE][0], slack, p, 8, "barrier, and allreduce of 8 bytes");
        for (int which = BCAST; s > 0 && which < ALL; which++)
            expect(t[which][s - 1], t[which][s], slack, p, sizes[s - 1], names[which]);
    }
}

/* Not slower, by a tenth, than both powers of two around it. */
static void cliffs(int p, int below, int above)
{
    for (int which = 0; which < ALL; which++)
        for (int s = 0; s < SIZES; s++) {
            int64_t b = times[below][which][s], a = times[above][which][s];
            char what[80];
            snprintf(what, sizeof(what), "%s, and among %d or %d ranks", names[which], below, above);
            expect(times[p][which][s], a > b ? a : b, 1.1, p, sizes[s], what);
        }
}

int main(void)
{
    static const int ranks[] = { 2, 3, 4, 5, 6, 7, 8, 12, 16 };
    struct sim_options wire = { .jitter_ns = -1 };
    struct job_options o = { .kind = JOB_SIM, .transport = "sim", .timeout_s = 100, .sim = &wire };
    /* an order of the ranks like any other: times are compared, which it hardly moves */
    o.seed = 1;
    for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++) {
        o.ranks = ranks[i];
        if (!job_run(&o, play)) return 1;
        parts(ranks[i]);
    }
    cliffs(3, 2, 4);
    for (int p = 5; p < 8; p++) cliffs(p, 4, 8);
    cliffs(12, 8, 16);
    printf("%d guidelines broken\n", wrong);
    return wrong != 0;
}
