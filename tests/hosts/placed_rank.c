/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * placed_rank.c - one rank of a job over two hosts: everyone sends to everyone, and each prints
 * which way it went, as sinew_explain says. Exit status 1, and why, when a peer cannot be reached.
 */
#include <stdio.h>
#include <string.h>

#include "sinew/sinew.h"

enum { LEN = 100000, RANKS_MAX = 8 };

static char out[LEN], in[RANKS_MAX][LEN];

static int exchange(struct sinew_team *world, int me, int n)
{
    struct sinew_request *req[2 * RANKS_MAX] = { 0 };
    int results[2 * RANKS_MAX], rc = 0;
    memset(out, 'a' + me, LEN);
    for (int r = 0; r < n && rc >= 0; r++) {
        rc = sinew_recv(world, in[r], LEN, r, 1, NULL, &req[2 * r]);
        if (rc >= 0) rc = sinew_send(world, out, LEN, r, 1, &req[2 * r + 1]);
    }
    if (rc >= 0) rc = sinew_wait_all(req, 2 * n, results, SINEW_FOREVER);
    for (int r = 0; rc == 0 && r < n; r++)
        if (in[r][0] != 'a' + r || memcmp(in[r], in[r] + 1, LEN - 1)) rc = SINEW_EPROTO;
    return rc;
}

int main(void)
{
    struct sinew *s;
    char text[4096];
    if (sinew_open(NULL, &s) < 0) {
        fprintf(stderr, "placed-rank: %s\n", sinew_why(NULL));
        return 1;
    }
    struct sinew_team *world = sinew_world(s);
    int me = sinew_rank(world), n = sinew_size(world);
    int rc = n <= RANKS_MAX ? exchange(world, me, n) : SINEW_EINVAL;
    if (rc < 0) {
        fprintf(stderr, "placed-rank %d: %s\n", me, sinew_why(s));
        sinew_abandon(s);
        return 1;
    }
    for (int r = 0; r < n; r++) {
        sinew_explain(world, r, 8, text, sizeof(text), NULL);
        const char *way = strstr(text, "  from ");
        if (way && r != me) printf("%d to %d: %.*s\n", me, r, (int)strcspn(way + 2, "\n"), way + 2);
    }
    fflush(stdout);
    rc = sinew_barrier(world, NULL);
    return rc < 0 || sinew_close(s) < 0;
}
