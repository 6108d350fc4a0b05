/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/support/suite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transport/sim/sim.h"

enum { SUITE_TESTS_MAX = 1024 };

struct suite_args {
    int kind, ranks, repeat;
    const char *transport, *only, *except;
    uint64_t seed;
    bool list;
};

/* One case with one number of ranks. */
struct suite_test {
    const struct suite_args *args;
    const struct suite_case *what;
    int ranks;
    char name[96];
};

/* Where messages are read, and where announcements bring beginnings: each case in one of the ways,
 * by seed and number of ranks. */
static const struct sim_options *suite_way(uint64_t seed, int ranks)
{
    static const struct sim_options ways[] = { { .reads = true }, { .begin_max = 1024 }, { 0 } };
    return &ways[(seed + (uint64_t)ranks) % (sizeof(ways) / sizeof(ways[0]))];
}

static void suite_run(void **state)
{
    const struct suite_test *test = *state;
    const struct suite_case *c = test->what;
    struct job_options o = { .kind = (enum job_kind)test->args->kind,
                             .transport = test->args->transport,
                             .ranks = test->ranks,
                             .arg = c->arg,
                             .tells_failures = (c->flags & SUITE_FAILURES) != 0 };
    int rounds = c->repeat ? c->repeat : 1;
    if (c->repeat && test->args->repeat) rounds = test->args->repeat;
    for (int i = 0; i < rounds; i++) {
        o.seed = test->args->seed + (uint64_t)i;
        o.round = i;
        o.sim = c->sim ? c->sim : suite_way(o.seed, test->ranks);
        if (!job_run(&o, c->body)) fail_msg("%s", test->name);
    }
}

static bool suite_applies(const struct suite_args *args, const struct suite_case *c, int ranks)
{
    if ((c->flags & SUITE_PROCESSES) && args->kind == JOB_THREADS) return false;
    if ((c->flags & SUITE_REAL) && args->kind == JOB_SIM) return false;
    if ((c->flags & SUITE_SIMULATED) && args->kind != JOB_SIM) return false;
    return !args->ranks || args->ranks == ranks || c->ranks_least == c->ranks_most;
}

/* The least, the most, and what is in the middle: neither every number nor only powers of two. */
static bool suite_wants(const struct suite_case *c, int ranks)
{
    return ranks == c->ranks_least || ranks == c->ranks_most || ranks == 3 || ranks == 5;
}

/* Whether the name contains one of the texts, which have a | between them. */
static bool suite_named(const char *name, const char *texts)
{
    while (*texts) {
        size_t len = strcspn(texts, "|");
        if (len > 0 && memmem(name, strlen(name), texts, len)) return true;
        texts += len + (texts[len] == '|');
    }
    return false;
}

static int suite_collect(const struct suite_args *args, const struct suite_case *const *tables,
                         struct suite_test *tests)
{
    int n = 0;
    for (; *tables; tables++) {
        for (const struct suite_case *c = *tables; c->name; c++) {
            for (int ranks = c->ranks_least; ranks <= c->ranks_most; ranks++) {
                bool wanted = args->ranks ? true : suite_wants(c, ranks);
                if (!wanted || !suite_applies(args, c, ranks) || n == SUITE_TESTS_MAX) continue;
                tests[n] = (struct suite_test){ args, c, ranks, "" };
                snprintf(tests[n].name, sizeof(tests[n].name), "%s, %d rank%s over %s", c->name,
                         ranks, ranks == 1 ? "" : "s", args->transport);
                if (args->only && !suite_named(tests[n].name, args->only)) continue;
                if (args->except && suite_named(tests[n].name, args->except)) continue;
                n++;
            }
        }
    }
    return n;
}

static bool suite_parse(struct suite_args *args, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--list") == 0) {
            args->list = true;
            continue;
        }
        if (strcmp(argv[i], "--kind") == 0)
            args->kind = job_kind_named(value);
        else if (strcmp(argv[i], "--transport") == 0)
            args->transport = value;
        else if (strcmp(argv[i], "--ranks") == 0)
            args->ranks = atoi(value);
        else if (strcmp(argv[i], "--repeat") == 0)
            args->repeat = atoi(value);
        else if (strcmp(argv[i], "--seed") == 0)
            args->seed = strtoull(value, NULL, 0);
        else if (strcmp(argv[i], "--only") == 0)
            args->only = value;
        else if (strcmp(argv[i], "--except") == 0)
            args->except = value;
        else
            return false;
        i++;
    }
    return args->repeat >= 0 && args->kind >= 0 && args->ranks >= 0 && args->ranks <= JOB_RANKS_MAX;
}

int suite_main(int argc, char **argv, const struct suite_case *const *tables)
{
    static struct suite_test tests[SUITE_TESTS_MAX];
    static struct CMUnitTest units[SUITE_TESTS_MAX];
    static struct suite_args args = { .kind = JOB_SIM, .transport = "sim" };
    if (!suite_parse(&args, argc, argv)) {
        fprintf(stderr,
                "usage: %s --kind sim|threads|processes --transport NAME [--ranks N] "
                "[--seed S] [--repeat N] [--only TEXT|TEXT...] [--except TEXT|TEXT...] [--list]\n",
                argv[0]);
        return 2;
    }
    if (!args.seed) args.seed = job_seed();
    int n = suite_collect(&args, tables, tests);
    if (n == 0) {
        printf("skipped: no case of this suite applies here\n");
        return 77;
    }
    for (int i = 0; i < n; i++) {
        if (args.list) puts(tests[i].name);
        units[i] = (struct CMUnitTest){ tests[i].name, suite_run, NULL, NULL, &tests[i] };
    }
    if (args.list) return 0;
    return _cmocka_run_group_tests("suite", units, (size_t)n, NULL, NULL) ? 1 : 0;
}
