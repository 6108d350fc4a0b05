/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * output.c - a table for people, or one JSON object per line for programs
 */
#include "perf.h"

#include <stdio.h>
#include <unistd.h>

static const char *output_meaning(const struct perf *p)
{
    const struct workload *load = p->opt.workload;
    if (p->opt.polls >= 0) return "% of a call that goes on while the caller computes and polls";
    if (p->opt.cold) return "us, slowest rank, buffers in no cache";
    if (load->amount) return load->unit;
    return load->pair ? "half a round trip in us" : "us, slowest rank";
}

static void output_titles(const struct perf *p)
{
    const struct workload *load = p->opt.workload;
    if (load->amount || p->opt.cold || p->opt.polls >= 0) {
        printf("%10s %12s %14s\n", "bytes", "iterations", p->opt.polls >= 0 ? "%" : load->unit);
        return;
    }
    printf("%10s %12s %10s %10s %10s %10s %10s %10s %10s", "bytes", "iterations", "mean", "min",
           "p50", "p90", "p99", "p99.9", "max");
    printf(load->pair ? "\n" : " %10s\n", "separated");
}

void output_head(const struct perf *p, const char *transport)
{
    char host[65] = "?";
    if (p->opt.json) return;
    gethostname(host, sizeof(host) - 1);
    printf("sinew-perf %s   %s over %s   %d rank%s, rank 0 on %s   %s%s\n\n", sinew_version(),
           p->opt.workload->name, transport, p->size, p->size == 1 ? "" : "s", host,
           output_meaning(p), p->opt.validate ? "   contents checked" : "");
    output_titles(p);
    fflush(stdout);
}

/* Four digits that mean something, whatever the size. */
static void output_time(double us)
{
    int decimals = us < 10 ? 3 : us < 100 ? 2 : us < 1000 ? 1 : 0;
    printf(" %10.*f", decimals, us);
}

static void output_row(const struct result *r)
{
    printf("%10zu %12llu", r->bytes, (unsigned long long)r->iterations);
    if (r->unit) {
        printf(" %14.*f\n", r->value < 100 ? 3 : 1, r->value);
        return;
    }
    output_time(r->mean);
    output_time(r->of.min);
    output_time(r->of.p50);
    output_time(r->of.p90);
    output_time(r->of.p99);
    output_time(r->of.p999);
    output_time(r->of.max);
    if (!r->load->pair) output_time(r->separated);
    printf("\n");
}

/* The keys and their order are fixed: programs read this. */
static void output_json(const struct result *r)
{
    printf("{\"test\": \"%s%s\", \"transport\": \"%s\", \"ranks\": %d, \"bytes\": %zu",
           r->load->name, r->suffix, r->transport, r->ranks, r->bytes);
    if (r->unit)
        printf(", \"value\": %.4f", r->value);
    else
        printf(", \"iterations\": %llu, \"mean\": %.4f, \"min\": %.4f, \"p50\": %.4f, "
               "\"p90\": %.4f, \"p99\": %.4f, \"p999\": %.4f, \"max\": %.4f, \"batch\": %d, "
               "\"separated\": %.4f",
               (unsigned long long)r->iterations, r->mean, r->of.min, r->of.p50, r->of.p90,
               r->of.p99, r->of.p999, r->of.max, r->batch, r->separated);
    printf(", \"unit\": \"%s\"}\n", r->unit ? r->unit : r->load->unit);
}

void output_result(const struct perf *p, const struct result *r)
{
    if (p->opt.json)
        output_json(r);
    else
        output_row(r);
    fflush(stdout);
}

void output_foot(const struct perf *p)
{
    if (p->opt.json) return;
    if (p->opt.polls >= 0)
        printf("\nAs OSU has it; %d polls while computing for as long as the call takes alone.\n",
               p->opt.polls);
    else if (p->opt.cold)
        printf("\nMean of calls after a barrier each, their buffers flushed before that.\n");
    else if (p->opt.workload->amount)
        printf("\nOne iteration is a window of %d messages, %s.\n",
               p->opt.window ? p->opt.window : PERF_WINDOW,
               p->opt.one_buffer ? "all with one buffer" : "each with its own buffer");
    else
        printf("\nmean: one loop without a clock inside. Percentiles: a second pass, %d at a time "
               "below %d bytes.\n",
               PERF_BATCH, PERF_BATCH_BELOW);
}
