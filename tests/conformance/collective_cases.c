/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random cases of every collective, by every algorithm, over real links: each rank checks its own
 * output against a naive reference. Values of each dimension meet in pairs: collective and
 * algorithm go round, the others are drawn evenly.
 *
 *     test-collective-cases --kind K --transport T [--cases N] [--seed S]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/coll_rank.h"
#include "tests/support/job.h"

struct round {
    uint64_t cases;
    uint64_t seed;
};

static struct kase draw(uint32_t algorithm, int size, uint64_t *random)
{
    size_t p = (size_t)size, counts[] = { 0, 1, p - 1, p, p + 1, 100, 700, 2500 };
    struct kase k = {
        .collective = algorithms[algorithm].collective,
        .algorithm = case_random(random) % 4 ? algorithms[algorithm].name : NULL,
        .size = size,
        .count = counts[case_random(random) % 8],
        .in_place = case_random(random) % 2,
        .mode = (enum mode)(case_random(random) % 3),
        .seed = case_random(random),
    };
    if (case_has_root(&k)) k.root = (int)(case_random(random) % p);
    case_pick(&k, random);
    return k;
}

static void play_case(struct job_rank *me, struct kase *k)
{
    struct rank_state r;
    struct sinew_team *world = sinew_world(me->s), *view = NULL;
    struct sinew_view_options how = SINEW_VIEW_OPTIONS_INIT;
    const char *wrong = NULL;
    how.algorithm = k->algorithm;
    how.persistent = k->mode == PERSISTENT;
    CHECK_OK(me, sinew_team_view(world, &how, &view));
    CHECK(me, rank_prepare(&r, k, view, me->rank));
    rank_fill(&r);
    int status = rank_call(&r, k->mode == BLOCKING ? NULL : &r.req);
    /* Again, and the third time straight through; now and then one rank alone takes a request. */
    for (int round = 1; k->mode == BLOCKING && round < 5 && status == 0 && !wrong; round++) {
        bool apart = (k->seed >> round & 3) == 0 && (int)(k->seed >> 8 & 255) % k->size == me->rank;
        wrong = rank_wrong(&r);
        rank_fill(&r);
        status = rank_call(&r, apart ? &r.req : NULL);
        if (apart && status > 0) status = sinew_wait(&r.req);
    }
    for (int round = 0; k->mode == PERSISTENT && round < 2 && status == 0 && !wrong; round++) {
        if (round) rank_fill(&r);
        status = sinew_start(r.req);
        if (status > 0) status = sinew_wait(&r.req);
        if (status == 0) wrong = rank_wrong(&r);
    }
    if (k->mode == NONBLOCKING && status > 0) status = sinew_wait(&r.req);
    if (status == 0 && !wrong && k->mode != PERSISTENT) wrong = rank_wrong(&r);
    if (status != 0 || wrong)
        fprintf(stderr,
                "%s by %s: %s at rank %d of %d, root %d, type %d, op %d, count %zu, in place %d, "
                "mode %d, seed %llu\n",
                collective_name(k->collective), k->algorithm ? k->algorithm : "choice",
                wrong ? wrong : sinew_why(me->s), me->rank, k->size, k->root, k->type, k->op,
                k->count, k->in_place, (int)k->mode, (unsigned long long)k->seed);
    CHECK_OK(me, status);
    CHECK(me, wrong == NULL);
    if (k->mode == PERSISTENT) CHECK_OK(me, sinew_request_free(&r.req));
    if (k->op == OWN_OPERATOR) CHECK_OK(me, sinew_operator_free(me->s, &r.op));
    CHECK(me, rank_release(&r));
    CHECK_OK(me, sinew_team_free(&view));
}

static void play(struct job_rank *me)
{
    const struct round *round = me->arg;
    uint64_t random = round->seed;
    job_open(me, NULL);
    for (uint64_t i = 0; i < round->cases; i++) {
        struct kase k = draw((uint32_t)(i % algorithm_count), me->size, &random);
        play_case(me, &k);
    }
    job_close(me, me->s);
}

int main(int argc, char **argv)
{
    static const int sizes[] = { 3, 7, 17, 2, 1, 5, 8 }, percent[] = { 35, 20, 5, 15, 10, 10, 5 };
    struct job_options o = { .kind = JOB_SIM, .transport = "sim", .timeout_s = 1500 };
    struct round round = { .cases = 3000 };
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--kind") == 0)
            o.kind = (enum job_kind)job_kind_named(argv[i + 1]);
        else if (strcmp(argv[i], "--transport") == 0)
            o.transport = argv[i + 1];
        else if (strcmp(argv[i], "--cases") == 0)
            round.cases = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0)
            o.seed = strtoull(argv[i + 1], NULL, 0);
        else
            return 2;
    }
    if (!o.seed) o.seed = job_seed();
    uint64_t cases = round.cases, played = 0;
    for (int i = 0; i < 7; i++, played += round.cases) {
        o.ranks = sizes[i];
        round.cases = cases * (uint64_t)percent[i] / 100 + algorithm_count;
        round.seed = o.seed + (uint64_t)i;
        o.arg = &round;
        if (!job_run(&o, play)) return 1;
    }
    printf("%llu cases, seed %llu\n", (unsigned long long)played, (unsigned long long)o.seed);
    return 0;
}
