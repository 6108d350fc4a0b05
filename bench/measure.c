/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * measure.c - the same treatment for every workload, see perf.h
 */
#include "perf.h"

#include <stdlib.h>
#include <string.h>

#include "same.h"

enum {
    WARM_NS = 10000000,     /* by time: warm for this long …             */
    MEASURE_NS = 100000000, /* … and measure about this long, each pass  */
    ITERATIONS_LEAST = 10,
    ITERATIONS_MOST = 1000000,
    VALIDATE_ROUNDS = 16,
};

void work_rewrite(struct work *w, uint8_t *at, size_t len)
{
    if (w->perf->opt.rewrite) same_rewrite(at, len, &w->written);
}

void work_rounds(struct work *w, uint64_t n)
{
    bool gives = !w->load->from_root || w->perf->rank == 0;
    if (!w->load->call) {
        w->load->rounds(w, n);
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        if (gives) work_rewrite(w, w->out, w->out_len);
        perf_check(w->perf, w->load->call(w, NULL), w->load->name);
    }
}

static void measure_barrier(const struct work *w)
{
    perf_check(w->perf, sinew_barrier(w->perf->plain, NULL), "barrier between passes");
}

/* What rank 0 says, everyone does. */
static uint64_t measure_agree(const struct work *w, uint64_t n)
{
    perf_check(w->perf, sinew_bcast(w->perf->plain, &n, sizeof(n), 0, NULL), "agree on iterations");
    return n;
}

static double measure_max(const struct work *w, double *values, size_t n)
{
    if (!w->load->pair) {
        int status = sinew_allreduce(w->perf->plain, SINEW_IN_PLACE, values, n, SINEW_F64,
                                     SINEW_MAX, NULL);
        perf_check(w->perf, status, "maximum over ranks");
    }
    return values[0];
}

/* New contents, so that no pass gains from what an earlier one left in a cache. */
static void measure_rewrite(struct work *w, uint64_t seed)
{
    w->load->fill(w, seed);
    measure_barrier(w);
}

static uint64_t measure_iterations(double round_ns)
{
    double n = MEASURE_NS / (round_ns > 1 ? round_ns : 1);
    if (n < ITERATIONS_LEAST) return ITERATIONS_LEAST;
    return n < ITERATIONS_MOST ? (uint64_t)n : ITERATIONS_MOST;
}

/* Rounds 1, 2, 4, … until they took WARM_NS; returns how many to measure in MEASURE_NS. */
static uint64_t measure_warm_by_time(struct work *w)
{
    uint64_t n = 1;
    double round_ns = 0;
    while (n > 0) {
        int64_t before = statistics_now();
        work_rounds(w, n);
        int64_t took = statistics_now() - before;
        round_ns = (double)took / (double)n;
        n = measure_agree(w, took < WARM_NS && n < ITERATIONS_MOST ? 2 * n : 0);
    }
    return measure_agree(w, measure_iterations(round_ns));
}

static uint64_t measure_warm(struct work *w)
{
    const struct perf_options *opt = &w->perf->opt;
    uint64_t n = 0;
    measure_rewrite(w, 1);
    if (opt->warmup >= 0) work_rounds(w, (uint64_t)opt->warmup);
    if (opt->warmup < 0 || opt->iterations < 0) n = measure_warm_by_time(w);
    return opt->iterations >= 0 ? (uint64_t)opt->iterations : n;
}

static void measure_validate(struct work *w)
{
    for (uint64_t seed = 100; seed < 100 + VALIDATE_ROUNDS; seed++) {
        if (w->in_len > 0) memset(w->in, 0, w->in_len);
        w->load->fill(w, seed);
        work_rounds(w, 1);
        if (!w->load->check(w, seed))
            perf_die(w->perf, "%s of %zu bytes: what arrived is not what was sent (round %d)",
                     w->load->name, w->bytes, (int)(seed - 99));
    }
}

/* One timed loop with no clock inside: ns of a round. */
static double measure_mean(struct work *w, uint64_t n)
{
    measure_rewrite(w, 2);
    int64_t before = statistics_now();
    work_rounds(w, n);
    double took = (double)(statistics_now() - before);
    return measure_max(w, &took, 1) / (double)n;
}

/* A clock around every batch of rounds, less what the clock costs. */
static void measure_samples(struct work *w, uint64_t n, int batch, struct statistics *of)
{
    double clock_cost = statistics_clock_cost();
    double *samples = malloc(n * sizeof(*samples));
    if (!samples) perf_die(w->perf, "no memory for %llu samples", (unsigned long long)n);
    measure_rewrite(w, 3);
    for (uint64_t i = 0; i < n; i++) {
        int64_t before = statistics_now();
        work_rounds(w, (uint64_t)batch);
        double took = (double)(statistics_now() - before) - clock_cost;
        samples[i] = took > 0 ? took / batch : 0;
    }
    measure_max(w, samples, (size_t)n);
    statistics_of(samples, (size_t)n, of);
    free(samples);
}

static void measure_flush(const struct work *w)
{
    if (!w->perf->opt.cold) return;
    same_flush(w->out, w->out_len);
    same_flush(w->in, w->in_len);
}

/* Each round alone, after a barrier: ns of a round. */
static double measure_separated(struct work *w, uint64_t n)
{
    double clock_cost = statistics_clock_cost(), took = 0;
    measure_rewrite(w, 4);
    for (uint64_t i = 0; i < n; i++) {
        measure_flush(w);
        measure_barrier(w);
        int64_t before = statistics_now();
        work_rounds(w, 1);
        took += (double)(statistics_now() - before) - clock_cost;
    }
    took = measure_max(w, &took, 1) / (double)n;
    return took > 0 ? took : 0;
}

/* From nanoseconds a round to the microseconds that are reported. */
static double measure_reported(const struct work *w, double ns)
{
    return ns / 1000 / (w->load->pair ? 2 : 1);
}

static void measure_times(struct work *w, struct result *r)
{
    uint64_t n = r->iterations;
    r->batch = w->perf->opt.batch > 0 ? w->perf->opt.batch
               : w->bytes < PERF_BATCH_BELOW ? PERF_BATCH : 1;
    if ((uint64_t)r->batch > n) r->batch = (int)n;
    uint64_t samples = n / (uint64_t)r->batch;
    if (samples > PERF_SAMPLES_MAX) samples = PERF_SAMPLES_MAX;

    r->mean = measure_reported(w, measure_mean(w, n));
    measure_samples(w, samples, r->batch, &r->of);
    double *all[] = { &r->of.min, &r->of.p50, &r->of.p90, &r->of.p99, &r->of.p999, &r->of.max };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        *all[i] = measure_reported(w, *all[i]);
    r->separated = w->load->pair ? 0 : measure_reported(w, measure_separated(w, n));
}

static void measure_what(struct work *w, struct result *r)
{
    const struct perf_options *opt = &w->perf->opt;
    r->suffix = opt->polls >= 0 ? "-overlap" : opt->cold ? "-cold" : "";
    if (opt->polls >= 0) {
        r->value = overlap_measure(w, r->iterations);
        r->unit = "%";
    } else if (opt->cold) {
        r->value = measure_reported(w, measure_separated(w, r->iterations));
        r->unit = w->load->unit;
    } else if (w->load->amount) {
        r->value = w->load->amount(w) / (measure_mean(w, r->iterations) / 1000);
        r->unit = w->load->unit;
    } else {
        measure_times(w, r);
    }
}

void measure(struct work *w, struct result *r)
{
    r->load = w->load;
    r->ranks = w->perf->size;
    r->bytes = w->bytes;
    r->iterations = measure_warm(w);
    if (w->perf->opt.validate) measure_validate(w);
    measure_what(w, r);
}
