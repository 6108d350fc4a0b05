/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * startup.c - what starting costs: 8 ranks of an empty program with one allreduce
 *
 *     startup [--memory]
 *
 * Time: from before sinewrun until it is gone, median of the runs; beside it, as the limit, the
 * same with ranks that do nothing at all. Memory: the peak of the largest rank. Fails when either
 * is over its bar; with --memory the time is told but does not decide, as on a busy machine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peak.h"
#include "job.h"
#include "sinew/sinew.h"

enum { RANKS = 8, RUNS = 9, TEXT = 4096 };

#define BAR_SECONDS 0.1
#define BAR_MB 8.0

static int be_rank(void)
{
    struct sinew *s;
    double one = 1, all = 0;
    if (sinew_open(NULL, &s) < 0 ||
        sinew_allreduce(sinew_world(s), &one, &all, 1, SINEW_F64, SINEW_SUM, NULL) < 0) {
        fprintf(stderr, "startup: %s\n", sinew_why(NULL));
        return 1;
    }
    int ranks = sinew_size(sinew_world(s));
    if (sinew_close(s) < 0 || all != ranks) return 1;
    printf("%ld\n", peak_kib());
    return 0;
}

/* Seconds, the median; *peak_mb of the largest rank in any run. < 0: it failed. */
static double measure(const char *role, double *peak_mb)
{
    double seconds[RUNS];
    for (int i = 0; i < RUNS; i++) {
        char text[TEXT];
        int64_t before = job_now();
        if (!job_run(RANKS, role, text, sizeof(text))) return -1;
        seconds[i] = (double)(job_now() - before) / 1e9;
        int lines = 0;
        for (char *at = text, *end; *at; at = end + 1, lines++) {
            double mb = (double)strtol(at, &end, 10) * 1024 / 1e6;
            if (end == at || *end != '\n') return -1;
            if (mb > *peak_mb) *peak_mb = mb;
        }
        if (lines != 0 && lines != RANKS) return -1;
    }
    return job_median(seconds, RUNS);
}

int main(int argc, char **argv)
{
    double peak_mb = 0, none = 0;
    bool memory_only = argc == 2 && strcmp(argv[1], "--memory") == 0;
    if (argc == 2 && strcmp(argv[1], "rank") == 0) return be_rank();
    if (argc == 2 && strcmp(argv[1], "nothing") == 0) return 0;
    if (argc > 2 || (argc == 2 && !memory_only)) {
        fprintf(stderr, "usage: startup [--memory]\n");
        return 2;
    }
    double limit = measure("nothing", &none), took = measure("rank", &peak_mb);
    if (limit < 0 || took < 0 || peak_mb <= 0) return 1;
    printf("start-up of %d ranks  measured   limit     bar\n", RANKS);
    printf("  seconds            %8.4f  %6.4f  %6.2f\n", took, limit, BAR_SECONDS);
    printf("  MB, peak of a rank %8.2f       -  %6.2f\n", peak_mb, BAR_MB);
    return peak_mb > BAR_MB || (took > BAR_SECONDS && !memory_only);
}
