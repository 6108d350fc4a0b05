/* SPDX-License-Identifier: BSD-3-Clause */
#include "perf.h"

#include <stdlib.h>
#include <time.h>

int64_t statistics_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Nearest rank: the least sample that at least `share` of all samples do not exceed. */
static double percentile(const double *sorted, size_t n, double share)
{
    size_t at = (size_t)(share * (double)n);
    if ((double)at < share * (double)n) at++;
    return sorted[at > 0 ? at - 1 : 0];
}

void statistics_of(double *samples, size_t n, struct statistics *out)
{
    qsort(samples, n, sizeof(*samples), compare);
    out->min = samples[0];
    out->p50 = percentile(samples, n, 0.5);
    out->p90 = percentile(samples, n, 0.9);
    out->p99 = percentile(samples, n, 0.99);
    out->p999 = percentile(samples, n, 0.999);
    out->max = samples[n - 1];
}

double statistics_clock_cost(void)
{
    enum { READS = 1001 };
    double cost[READS];
    struct statistics s;
    for (int i = 0; i < READS; i++) {
        int64_t before = statistics_now();
        cost[i] = (double)(statistics_now() - before);
    }
    statistics_of(cost, READS, &s);
    return s.p50;
}
