/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sleepers.c - what peers cost that are connected and do nothing
 *
 *     sleepers [pairs]
 *
 * Ranks 0 and 1 exchange messages of 8 bytes, once alone on the host and once with 63 other ranks
 * that have talked with both of them and now sleep in a receive. Jobs of either kind alternate;
 * the median of the ratios of neighbouring ones must be at most 1.10.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "sinew/sinew.h"

enum { TALKERS = 2, SLEEPERS = 63, PAIRS = 9, PAIRS_MAX = 99, TEXT = 4096 };
enum { TAG_MEET = 1, TAG_WAKE, TAG_PING, TAG_READY };
enum { WARM = 20000, ROUNDS = 200000, BATCHES = 20 };

#define BAR 1.10

static void check(struct sinew *s, int status)
{
    if (status >= 0) return;
    fprintf(stderr, "sleepers: %s\n", sinew_why(s));
    exit(1);
}

static void ping_pong(struct sinew *s, int n)
{
    struct sinew_team *w = sinew_world(s);
    int me = sinew_rank(w);
    uint64_t word = 0;
    for (int i = 0; i < n; i++) {
        if (me == 0) check(s, sinew_send(w, &word, sizeof(word), 1, TAG_PING, NULL));
        check(s, sinew_recv(w, &word, sizeof(word), 1 - me, TAG_PING, NULL, NULL));
        if (me == 1) check(s, sinew_send(w, &word, sizeof(word), 0, TAG_PING, NULL));
    }
}

/* The median of batches: half a round trip in us. */
static double latency(struct sinew *s)
{
    double us[BATCHES];
    ping_pong(s, WARM);
    for (int b = 0; b < BATCHES; b++) {
        int64_t before = job_now();
        ping_pong(s, ROUNDS / BATCHES);
        us[b] = (double)(job_now() - before) / 1000 / (ROUNDS / BATCHES) / 2;
    }
    return job_median(us, BATCHES);
}

/* Every sleeper has talked with both, both ways, and goes to sleep. */
static void meet(struct sinew *s)
{
    struct sinew_team *w = sinew_world(s);
    int me = sinew_rank(w), n = sinew_size(w);
    uint64_t word = 0, theirs;
    for (int other = me < TALKERS ? TALKERS : 0; other < (me < TALKERS ? n : TALKERS); other++)
        check(s, sinew_sendrecv(w, &word, sizeof(word), other, &theirs, sizeof(theirs), other,
                                TAG_MEET, NULL, NULL));
    if (me >= TALKERS) check(s, sinew_send(w, &word, sizeof(word), 0, TAG_READY, NULL));
    for (int other = TALKERS; me == 0 && other < n; other++)
        check(s, sinew_recv(w, &word, sizeof(word), other, TAG_READY, NULL, NULL));
}

static int be_rank(void)
{
    struct sinew *s;
    if (sinew_open(NULL, &s) < 0) {
        fprintf(stderr, "sleepers: %s\n", sinew_why(NULL));
        return 1;
    }
    struct sinew_team *w = sinew_world(s);
    int me = sinew_rank(w), n = sinew_size(w);
    uint64_t word = 0;
    meet(s);
    if (me < TALKERS) {
        double us = latency(s);
        if (me == 0) printf("%.5f\n", us);
        for (int other = TALKERS; me == 0 && other < n; other++)
            check(s, sinew_send(w, &word, sizeof(word), other, TAG_WAKE, NULL));
    } else {
        uint64_t before = 0, after = 0;
        sinew_counter(s, "sleeps", &before);
        check(s, sinew_recv(w, &word, sizeof(word), 0, TAG_WAKE, NULL, NULL));
        sinew_counter(s, "sleeps", &after);
        if (after == before) {
            fprintf(stderr, "sleepers: rank %d did not sleep: nothing was measured\n", me);
            return 1;
        }
    }
    check(s, sinew_close(s));
    return 0;
}

static double run(int ranks)
{
    char text[TEXT];
    double us = 0;
    if (!job_run(ranks, "rank", text, sizeof(text)) || sscanf(text, "%lf", &us) != 1 || us <= 0)
        exit(1);
    return us;
}

int main(int argc, char **argv)
{
    double alone[PAIRS_MAX], among[PAIRS_MAX], ratio[PAIRS_MAX];
    int pairs = argc == 2 ? atoi(argv[1]) : PAIRS;
    if (argc == 2 && strcmp(argv[1], "rank") == 0) return be_rank();
    if (argc > 2 || pairs < 1 || pairs > PAIRS_MAX) {
        fprintf(stderr, "usage: sleepers [pairs, 1 to %d]\n", PAIRS_MAX);
        return 2;
    }
    for (int i = 0; i < pairs; i++) {
        alone[i] = run(TALKERS);
        among[i] = run(TALKERS + SLEEPERS);
        ratio[i] = among[i] / alone[i];
    }
    double grows = job_median(ratio, pairs);
    printf("8 bytes, us           alone  with %d asleep  ratio (least, most)    bar\n", SLEEPERS);
    printf("  median of %2d pairs  %6.4f  %14.4f  %5.3f (%5.3f, %5.3f)  %5.2f\n", pairs,
           job_median(alone, pairs), job_median(among, pairs), grows, ratio[0], ratio[pairs - 1],
           BAR);
    return grows > BAR;
}
