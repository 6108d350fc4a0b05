/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * relayed_rank.c - one rank of a job whose halves talk through a relay that does harm
 *
 *   relayed-rank SEED      rank r of the lower half and r + size / 2 trade messages, until both
 *                          have seen lines lost, frames sent again and frames discarded: a run
 *                          counts
 *   relayed-rank 0         a few rounds, through a relay that harms none
 *
 * All of a pair's messages have one tag, so each receive gets the next: its content says which it
 * is. Prints "RANK: … rounds, … lost, … sent again, … discarded".
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinew/sinew.h"

enum { EACH = 24, LONG = 300000, ROUNDS = 400, ENOUGH = 1 };

struct counts {
    unsigned long long lost, resent, discarded;
};

static struct counts counts; /* of the one link that is repaired */
static uint64_t seed;

static void hear(void *arg, int level, const char *line)
{
    const char *at = strstr(line, "repaired after ");
    struct counts c;
    (void)arg;
    if (at) at = strchr(at, ';');
    if (at && sscanf(at, "; %llu lost so far, %llu frames sent again, %llu discarded", &c.lost,
                     &c.resent, &c.discarded) == 3)
        counts = c;
    if (level <= 2) fprintf(stderr, "relayed-rank: %s\n", line);
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t key_of(int from, int to, unsigned number)
{
    return mix(seed * 0x9e3779b97f4a7c15u + (uint64_t)from * 4093 + (uint64_t)to * 67 +
               number * 7919u);
}

static size_t len_of(uint64_t key)
{
    uint64_t kind = key >> 32 & 63;
    return (size_t)(key & 0xffffff) % (kind < 48 ? 2000 : kind < 63 ? 32000 : LONG);
}

static unsigned char byte_of(uint64_t key, size_t at)
{
    return (unsigned char)(key >> (at & 7) * 8) ^ (unsigned char)(at * 31 >> 3);
}

static void fill(unsigned char *to, uint64_t key, size_t len)
{
    for (size_t i = 0; i < len; i++) to[i] = byte_of(key, i);
}

static bool is_filled(const unsigned char *at, uint64_t key, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (at[i] != byte_of(key, i)) return false;
    return true;
}

static int trade(struct sinew_team *world, int me, int peer, unsigned round)
{
    static unsigned char out[EACH][LONG], in[EACH][LONG];
    struct sinew_request *req[2 * EACH] = { 0 };
    struct sinew_status status[EACH];
    int rc = 0;
    for (unsigned i = 0; i < EACH && rc >= 0; i++)
        rc = sinew_recv(world, in[i], LONG, peer, 1, &status[i], &req[i]);
    for (unsigned i = 0; i < EACH && rc >= 0; i++) {
        uint64_t key = key_of(me, peer, round * EACH + i);
        fill(out[i], key, len_of(key));
        rc = sinew_send(world, out[i], len_of(key), peer, 1, &req[EACH + i]);
    }
    if (rc >= 0) rc = sinew_wait_all(req, 2 * EACH, NULL, SINEW_FOREVER);
    for (unsigned i = 0; rc == 0 && i < EACH; i++) {
        uint64_t key = key_of(peer, me, round * EACH + i);
        if (status[i].bytes == len_of(key) && is_filled(in[i], key, len_of(key))) continue;
        fprintf(stderr, "rank %d: message %u of round %u from %d came wrong, with %llu bytes\n", me, i,
                round, peer, (unsigned long long)status[i].bytes);
        exit(3);
    }
    return rc;
}

/* Both ends know both ends' counts then, and decide alike. */
static int agree(struct sinew_team *world, int peer, bool *enough)
{
    struct counts mine = counts, theirs = { 0 };
    int rc = sinew_sendrecv(world, &mine, sizeof(mine), peer, &theirs, sizeof(theirs), peer, 2,
                            NULL, NULL);
    *enough = seed == 0 || (mine.lost + theirs.lost && mine.resent + theirs.resent &&
                            mine.discarded + theirs.discarded);
    return rc;
}

int main(int argc, char **argv)
{
    struct sinew_options o = SINEW_OPTIONS_INIT;
    struct sinew *s;
    bool enough = false;
    unsigned round = 0;
    o.log = hear;
    o.log_level = 3;
    if (argc > 1) seed = strtoull(argv[1], NULL, 10);
    if (sinew_open(&o, &s) < 0) {
        fprintf(stderr, "relayed-rank: %s\n", sinew_why(NULL));
        return 1;
    }
    struct sinew_team *world = sinew_world(s);
    int me = sinew_rank(world), n = sinew_size(world), peer = (me + n / 2) % n, rc = 0;
    for (; rc == 0 && round < ROUNDS && !(enough && round >= ENOUGH); round++) {
        rc = trade(world, me, peer, round);
        if (rc == 0) rc = agree(world, peer, &enough);
    }
    if (rc < 0 || !enough) {
        fprintf(stderr, "rank %d: round %u: %s\n", me, round,
                rc < 0 ? sinew_why(s) : "nothing was lost and sent again: this shows nothing");
        return 1;
    }
    printf("%d: %u rounds, %llu lost, %llu sent again, %llu discarded\n", me, round, counts.lost,
           counts.resent, counts.discarded);
    fflush(stdout);
    return sinew_close(s) < 0;
}
