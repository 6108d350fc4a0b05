/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random cases of every collective, by every algorithm, over real links: each rank checks its own
 * output against a naive reference. Any value of one dimension meets any of another: of some random
 * cases the one is played that brings most pairs together which have not met. Pairs that 300,000
 * random cases do not show are taken to be impossible; all others must meet.
 *
 *     test-collective-cases --kind K --transport T [--cases N] [--most RANKS] [--seed S]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/coll_rank.h"
#include "tests/support/job.h"

struct round {
    uint64_t cases;
    const struct kase *kase;
};

static struct kase draw(uint32_t algorithm, int size, uint64_t *random)
{
    size_t p = (size_t)size, counts[] = { 0, 1, p - 1, p, p + 1, 100, 700, 2500 };
    struct kase k = {
        .collective = algorithms[algorithm].collective,
        .algorithm = case_random(random) % 4 ? case_variant(algorithm, case_random(random)) : NULL,
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
    job_open(me, NULL);
    for (uint64_t i = 0; i < round->cases; i++) {
        struct kase k = round->kase[i];
        play_case(me, &k);
    }
    job_close(me, me->s);
}

/* ------------------------------------------------------------------------------ what has met
 * what */

enum dimension { ALGORITHM, NAMED, SIZE, COUNT, PLACE, MODE, TYPE, OPERATOR, ROOT, DIMENSIONS };
enum { VALUES = 128, SAMPLE = 300000, CANDIDATES = 12 };

static const int sizes[] = { 3, 7, 17, 2, 1, 5, 8 }, percent[] = { 35, 20, 5, 15, 10, 10, 5 };
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

struct coverage {
    bool met[DIMENSIONS * VALUES][DIMENSIONS * VALUES];
    unsigned pairs;
};

static int count_class(const struct kase *k)
{
    size_t p = (size_t)k->size;
    return k->count == 0       ? 0
           : k->count == 1     ? 1
           : k->count + 1 == p ? 2
           : k->count == p     ? 3
           : k->count == p + 1 ? 4
           : k->count <= 100   ? 5
           : k->count <= 700   ? 6
                               : 7;
}

/* The value of each dimension; -1: it has none. */
static void values_of(const struct kase *k, uint32_t algorithm, int value[DIMENSIONS])
{
    int size = 0;
    while (sizes[size] != k->size) size++;
    int root = k->root == 0 ? 0 : k->root == k->size - 1 ? 1 : 2;
    value[ALGORITHM] = (int)algorithm;
    value[NAMED] = k->algorithm != NULL;
    value[SIZE] = size;
    value[COUNT] = count_class(k);
    value[PLACE] = k->in_place;
    value[MODE] = (int)k->mode;
    value[TYPE] = k->type == 0 ? -1 : k->type == OWN_TYPE ? 0 : k->type;
    value[OPERATOR] = k->op == 0 ? -1 : k->op == OWN_OPERATOR ? 0 : k->op;
    value[ROOT] = case_has_root(k) ? root : -1;
    for (int d = 0; d < DIMENSIONS; d++)
        if (value[d] >= 0) value[d] += d * VALUES;
}

/* How many pairs meet in it for the first time; they are noted, if `note`. */
static unsigned coverage_gain(struct coverage *c, const struct kase *k, uint32_t algorithm,
                              bool note)
{
    int value[DIMENSIONS];
    unsigned gain = 0;
    values_of(k, algorithm, value);
    for (int i = 0; i < DIMENSIONS; i++)
        for (int j = i + 1; j < DIMENSIONS; j++) {
            if (value[i] < 0 || value[j] < 0 || c->met[value[i]][value[j]]) continue;
            if (note) c->met[value[i]][value[j]] = true;
            gain++;
        }
    if (note) c->pairs += gain;
    return gain;
}

/* The next case of so many ranks. */
static struct kase choose(struct coverage *met, uint32_t algorithm, int size, uint64_t *random)
{
    struct kase best = draw(algorithm, size, random);
    unsigned most = coverage_gain(met, &best, algorithm, false);
    for (int i = 1; i < CANDIDATES; i++) {
        struct kase k = draw(algorithm, size, random);
        unsigned gain = coverage_gain(met, &k, algorithm, false);
        if (gain <= most) continue;
        best = k;
        most = gain;
    }
    coverage_gain(met, &best, algorithm, true);
    return best;
}

static unsigned pairs_possible(uint64_t seed)
{
    static struct coverage possible;
    for (uint32_t i = 0; i < SAMPLE; i++) {
        struct kase k = draw(i % algorithm_count, sizes[i / algorithm_count % SIZES], &seed);
        coverage_gain(&possible, &k, i % algorithm_count, true);
    }
    return possible.pairs;
}

/* All cases, those of each number of ranks together: list[SIZES]. */
static unsigned choose_all(struct round list[SIZES], uint64_t cases, int most, uint64_t seed)
{
    static struct coverage met;
    for (int i = 0; i < SIZES; i++) {
        uint64_t n = cases * (uint64_t)percent[i] / 100 + (cases < 600 ? 1 : 2) * algorithm_count;
        if (sizes[i] > most) n = 0;
        struct kase *k = malloc((n + 1) * sizeof(*k));
        for (uint64_t at = 0; at < n; at++)
            k[at] = choose(&met, (uint32_t)(at % algorithm_count), sizes[i], &seed);
        list[i] = (struct round){ n, k };
    }
    return met.pairs;
}

int main(int argc, char **argv)
{
    struct job_options o = { .kind = JOB_SIM, .transport = "sim", .timeout_s = 1500 };
    struct round list[SIZES];
    uint64_t cases = 3000, played = 0;
    int most = JOB_RANKS_MAX;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--kind") == 0)
            o.kind = (enum job_kind)job_kind_named(argv[i + 1]);
        else if (strcmp(argv[i], "--transport") == 0)
            o.transport = argv[i + 1];
        else if (strcmp(argv[i], "--cases") == 0)
            cases = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--most") == 0)
            most = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--seed") == 0)
            o.seed = strtoull(argv[i + 1], NULL, 0);
        else
            return 2;
    }
    if (!o.seed) o.seed = job_seed();
    if (algorithm_count > VALUES) return 2;
    unsigned possible = pairs_possible(o.seed + 1), met = choose_all(list, cases, most, o.seed);
    bool whole = true;
    for (int i = 0; i < SIZES; i++) {
        o.ranks = sizes[i];
        o.arg = &list[i];
        whole = whole && (o.ranks > most || job_run(&o, play));
        played += list[i].cases;
        free((void *)(uintptr_t)list[i].kase);
    }
    printf("%llu cases, %u of %u pairs of algorithm, ranks, count, in place, mode, type, operator "
           "and root; seed %llu\n",
           (unsigned long long)played, met, possible, (unsigned long long)o.seed);
    return whole && (met >= possible || cases < 3000) ? 0 : 1;
}
