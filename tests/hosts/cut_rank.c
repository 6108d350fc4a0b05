/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cut_rank.c - one rank of four over two hosts between which the network is cut
 *
 *   cut-rank FOLDER mend     long and short messages go on until FOLDER/mended is there; all arrive
 *   cut-rank FOLDER forever [SECONDS]  they go on until SINEW_EPEER, which says after how long:
 *                            repair_deadline, 3 s if not told, or a little later
 *
 * Ranks 0 and 1 are on one host, 2 and 3 on the other: r talks to r + 2. FOLDER/moving.RANK says
 * that messages are under way. Who saw all he wanted says "RANK is done".
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sinew/sinew.h"

enum { LONG = 3 << 20, SHORT = 50, WARM = 10 };

static char out[LONG], in[LONG];

static void fill(char *at, size_t len, int from, unsigned round)
{
    for (size_t i = 0; i < len; i++) at[i] = (char)(i * 7 + i / 253 + round * 31 + (unsigned)from);
}

static bool is_filled(const char *at, size_t len, int from, unsigned round)
{
    for (size_t i = 0; i < len; i++)
        if (at[i] != (char)(i * 7 + i / 253 + round * 31 + (unsigned)from)) return false;
    return true;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int trade(struct sinew_team *world, int me, int peer, unsigned round, size_t len)
{
    fill(out, len, me, round);
    int rc = sinew_sendrecv(world, out, len, peer, in, len, peer, round, NULL, NULL);
    if (rc == 0 && !is_filled(in, len, peer, round)) {
        fprintf(stderr, "rank %d: round %u came wrong\n", me, round);
        exit(3);
    }
    return rc;
}

/* The lower rank of a pair says whether this was the last round. */
static int agree(struct sinew_team *world, int me, int peer, unsigned round, char *last)
{
    if (me < peer) return sinew_send(world, last, 1, peer, round, NULL);
    return sinew_recv(world, last, 1, peer, round, NULL, NULL);
}

static bool exists(const char *folder, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void say(const char *folder, int me)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/moving.%d", folder, me);
    FILE *f = fopen(path, "w");
    if (f) fclose(f);
}

int main(int argc, char **argv)
{
    struct sinew *s;
    if (argc < 3 || sinew_open(NULL, &s) < 0) {
        fprintf(stderr, "cut-rank: %s\n", sinew_why(NULL));
        return 2;
    }
    struct sinew_team *world = sinew_world(s);
    int me = sinew_rank(world), peer = (me + 2) % 4, rc = 0;
    bool for_ever = !strcmp(argv[2], "forever");
    char last = 0;
    double well = seconds();
    for (unsigned round = 1; rc == 0 && !last; round++) {
        rc = trade(world, me, peer, round, round % 2 ? LONG : SHORT);
        last = !for_ever && exists(argv[1], "mended");
        if (rc == 0) rc = agree(world, me, peer, round, &last);
        if (rc == 0) well = seconds();
        if (round == WARM) say(argv[1], me);
    }
    if (rc < 0) fprintf(stderr, "rank %d: %s\n", me, sinew_why(s));
    if (for_ever ? rc != SINEW_EPEER : rc != 0) return 3;
    if (for_ever) fprintf(stderr, "rank %d: told after %.1f s\n", me, seconds() - well);
    double took = seconds() - well;
    double deadline = argc > 3 ? atof(argv[3]) : 3;
    if (for_ever && (took < deadline - 0.5 || took > deadline + 3)) return 4;
    printf("%d is done\n", me);
    fflush(stdout);
    if (for_ever) sinew_abandon(s);
    return for_ever || sinew_close(s) == 0 ? 0 : 5;
}
