/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan_cliffs.c - no number of ranks is slower than both powers of two around it: what is chosen
 * for each, simulated
 */
#include "plan.h"

#include <stdio.h>
#include <string.h>

/* A quarter: choices go by sums over counted work, in which ranks wait for nobody; the simulator
 * has who waits for whom, so of two algorithms that are near each other the wrong one may be
 * chosen. (What is timed in virtual time, tests/conformance/collective_guidelines.c, has a tenth.) */
static const double slack = 1.25;

enum { RANKS_MOST = 16, FIRST_BYTES = 8, LAST_BYTES = 8 << 20 };

struct cliffs {
    const struct plan_options *o;
    const char *link;
    struct loggops model;
    uint32_t looked, found;
    bool failed;
};

/* What would be chosen, and how long that takes, us. */
struct chosen_time {
    char name[ALGORITHM_NAME_MAX];
    double us;
};

static bool cliffs_time(struct cliffs *c, enum collective collective, uint32_t ranks,
                        uint64_t bytes, struct chosen_time *t)
{
    char why[WHY_MAX];
    struct plan p;
    struct simulation s;
    struct situation at = { .size = ranks,
                            .bytes = bytes,
                            .link = c->link,
                            .rules = c->o->rules,
                            .has_arithmetic = collective_adds(collective) };
    struct choice choice = algorithm_choose(collective, &at);
    struct algorithm a = algorithms[choice.algorithm];
    a.initial = choice.parameter;
    algorithm_text(&a, a.initial, t->name);
    if (plan_make(&p, &a, ranks, 0, false, why) == 0) {
        if (simulate(&p, &c->model, bytes, &s, why) == 0) {
            t->us = (double)s.finish[s.last_rank] / 1e6;
            simulation_free(&s, ranks);
            plan_free(&p);
            return true;
        }
        plan_free(&p);
    }
    fprintf(stderr, "sinew-plan: %s by %s among %u ranks: %s\n", collective_name(collective),
            t->name, ranks, why);
    c->failed = true;
    return false;
}

static void cliffs_of_size(struct cliffs *c, enum collective collective, uint64_t bytes)
{
    static const struct {
        uint32_t ranks, below, above;
    } between[] = { { 3, 2, 4 }, { 5, 4, 8 }, { 6, 4, 8 }, { 7, 4, 8 }, { 12, 8, 16 } };
    static const uint32_t all[] = { 2, 3, 4, 5, 6, 7, 8, 12, 16 };
    struct chosen_time t[RANKS_MOST + 1] = { 0 };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (!cliffs_time(c, collective, all[i], bytes, &t[all[i]])) return;
    for (size_t i = 0; i < sizeof(between) / sizeof(between[0]); i++) {
        uint32_t p = between[i].ranks, worse = between[i].below;
        if (t[between[i].above].us > t[worse].us) worse = between[i].above;
        c->looked++;
        if (t[p].us <= slack * t[worse].us) continue;
        c->found++;
        printf("%s, %s of %llu bytes: %u ranks %.3f us by %s, %u ranks %.3f by %s: %.2f times\n",
               c->link, collective_name(collective), (unsigned long long)bytes, p, t[p].us,
               t[p].name, worse, t[worse].us, t[worse].name, t[p].us / t[worse].us);
    }
}

static void cliffs_of_link(struct cliffs *c)
{
    for (int i = 1; i < COLLECTIVE_NEIGHBOUR_ALLGATHER && !c->failed; i++) {
        enum collective collective = (enum collective)i;
        if (c->o->collective && collective != c->o->collective) continue;
        for (uint64_t bytes = FIRST_BYTES; bytes <= LAST_BYTES; bytes *= 2) {
            cliffs_of_size(c, collective, bytes);
            if (collective == COLLECTIVE_BARRIER) break;
        }
    }
}

int run_cliffs(const struct plan_options *o)
{
    static const char *const links[] = { "shm", "tcp", "verbs" };
    struct cliffs c = { .o = o };
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]) && !c.failed; i++) {
        if (o->has_link && i > 0) break;
        c.link = o->has_link ? o->link : links[i];
        c.model = plan_model(rules_link(o->rules, c.link));
        cliffs_of_link(&c);
    }
    printf("%u numbers of ranks beside both powers of two around them, %u slower than both\n",
           c.looked, c.found);
    return c.failed || c.found > 0;
}
