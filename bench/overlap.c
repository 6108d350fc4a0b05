/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * overlap.c - how much of a collective goes on while the caller computes and polls, as OSU has it
 *
 *   alone     call, wait                                                   takes `pure`
 *   overlap   call, compute for `pure` and poll at even steps, wait        takes `overall`
 *
 *   100 - (overall - computed) / pure * 100        computed: without what the polls took
 *
 * Each is the mean of rounds that begin with a barrier, and then of the ranks. With a persistent
 * view a round begins with sinew_start().
 */
#include "perf.h"

#include "same.h"

enum { LEAST_ROUNDS = 10, SPEED_STEPS = 200000 };

struct overlap {
    struct sinew_request *request;
    uint64_t steps, x; /* of computing, between two polls */
    double pure, overall, computed; /* ns */
};

static void overlap_begin(struct work *w, struct overlap *o)
{
    bool persistent = w->perf->opt.persistent;
    if (!persistent || !o->request)
        perf_check(w->perf, w->load->call(w, &o->request), w->load->name);
    if (persistent) perf_check(w->perf, sinew_start(o->request), w->load->name);
}

static void overlap_compute(struct work *w, struct overlap *o)
{
    for (int polls = w->perf->opt.polls;; polls--) {
        int64_t before = statistics_now();
        o->x = same_compute(o->steps, o->x);
        o->computed += (double)(statistics_now() - before);
        if (polls == 0) return;
        perf_check(w->perf, sinew_test(&o->request), w->load->name);
    }
}

/* Sums over n rounds, of pure or of the others. */
static void overlap_rounds(struct work *w, struct overlap *o, uint64_t n, bool computes)
{
    double *sum = computes ? &o->overall : &o->pure;
    *sum = o->computed = 0;
    for (uint64_t i = 0; i < n; i++) {
        perf_check(w->perf, sinew_barrier(w->perf->plain, NULL), "barrier between rounds");
        int64_t before = statistics_now();
        overlap_begin(w, o);
        if (computes) overlap_compute(w, o);
        perf_check(w->perf, sinew_wait(&o->request), w->load->name);
        *sum += (double)(statistics_now() - before);
    }
}

/* Mean over rounds and ranks. */
static void overlap_mean(const struct work *w, double *sum, uint64_t n)
{
    int status =
        sinew_allreduce(w->perf->plain, SINEW_IN_PLACE, sum, 1, SINEW_F64, SINEW_SUM, NULL);
    perf_check(w->perf, status, "mean over ranks");
    *sum /= (double)n * w->perf->size;
}

/* Steps of computing in a nanosecond. */
static double overlap_speed(struct overlap *o)
{
    int64_t before = statistics_now();
    o->x = same_compute(SPEED_STEPS, o->x);
    return SPEED_STEPS / (double)(statistics_now() - before);
}

double overlap_measure(struct work *w, uint64_t n)
{
    struct overlap o = { .x = 1 };
    if (n < LEAST_ROUNDS) n = LEAST_ROUNDS;
    overlap_rounds(w, &o, LEAST_ROUNDS, false);
    overlap_rounds(w, &o, n, false);
    overlap_mean(w, &o.pure, n);
    o.steps = (uint64_t)(o.pure * overlap_speed(&o) / (w->perf->opt.polls + 1));
    overlap_rounds(w, &o, n, true);
    overlap_mean(w, &o.overall, n);
    overlap_mean(w, &o.computed, n);
    if (w->perf->opt.persistent) perf_check(w->perf, sinew_request_free(&o.request), "free");
    return same_overlap(o.pure, o.overall, o.computed);
}
