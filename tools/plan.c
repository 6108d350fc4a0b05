/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan.c - sinew-plan: a collective's schedule, looked at without running it
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/world.h"
#include "plan.h"
#include "sinew/sinew.h"

enum { EXIT_WRONG = 1, EXIT_USAGE = 2, RANKS_MAX = 1 << 20, COLUMNS = 16 };

static const char *const usage =
    "usage: sinew-plan COLLECTIVE --ranks N --bytes B [--algorithm A] [--root R] [--in-place]\n"
    "                  [--verify] [--simulate] [--svg FILE] [--goal FILE] [--compare] [--rank R]\n"
    "                  [--loggp L,o,g,G[,O,calc]] [--link L] [--rules FILE] [--crowded]\n"
    "       sinew-plan [COLLECTIVE] --cliffs [--link L] [--rules FILE]\n"
    "       sinew-plan --algorithms | --help | --version\n"
    "\n"
    "  Prints the schedule of one rank (--rank, else 0) that its ranks would execute; or:\n"
    "  --verify    proves that it does what it is for, however its messages are timed\n"
    "  --simulate  when it ends, in the LogGP model, and the path that took so long\n"
    "  --svg FILE  draws that, and what waits for what\n"
    "  --goal FILE writes it for LogGOPSim\n"
    "  --compare   simulates every algorithm there is for it; without --bytes, over sizes, and\n"
    "              --svg draws that\n"
    "  --cliffs    whether any of 3, 5, 6, 7 and 12 ranks is slower, simulated, by more than a\n"
    "              quarter than both powers of two around it: of 8 bytes to 8 MiB, shm, tcp,\n"
    "              verbs\n"
    "  --link L    with the built-in model of shm, tcp, verbs …, as choices are made by; tcp\n"
    "  --rules     with what a file for collective_rules says\n"
    "  --crowded   as ranks choose that take turns on two cores\n"
    "  --loggp     L, o, g in ns and G, O, calc in ns a byte; 2500,1500,1000,6,0,0,\n"
    "              but of --compare those of --link\n"
    "  --bytes     as sinew-perf counts them: of one rank, K and M allowed\n";

static int plan_refuse(const char *what, const char *value)
{
    fprintf(stderr, "sinew-plan: %s%s%s\n\n%s", what, value ? ": " : "", value ? value : "", usage);
    return EXIT_USAGE;
}

static int plan_refuse_value(const char *option, const char *value)
{
    char text[128];
    snprintf(text, sizeof(text), "--%s %s", option, value);
    return plan_refuse("not a value that it takes", text);
}

static bool parse_number(const char *text, uint64_t most, uint64_t *value)
{
    char *end;
    if (!text || *text < '0' || *text > '9') return false;
    unsigned long long v = strtoull(text, &end, 10);
    uint64_t unit = *end == 'K' ? 1024 : *end == 'M' ? 1024 * 1024 : 1;
    if (unit > 1) end++;
    if (*end || v > most / unit) return false;
    *value = v * unit;
    return true;
}

static bool parse_model(const char *text, struct loggops *m)
{
    double v[6] = { 0 };
    int n = text ? sscanf(text, "%lf,%lf,%lf,%lf,%lf,%lf", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5])
                 : 0;
    for (int i = 0; i < 6; i++)
        if (n < 4 || !(v[i] >= 0 && v[i] <= 1e9)) return false;
    int64_t ps[6];
    for (int i = 0; i < 6; i++) ps[i] = (int64_t)(v[i] * 1000 + 0.5);
    *m = (struct loggops){ .L = ps[0], .o = ps[1], .g = ps[2], .G = ps[3], .O = ps[4],
                           .calc = ps[5], .S = m->S };
    return true;
}

/* ns into ps. */
struct loggops plan_model(const struct link_model *m)
{
    return (struct loggops){ .L = (int64_t)(m->latency_ns * 1000),
                             .o = (int64_t)(m->overhead_ns * 1000),
                             .g = (int64_t)(m->overhead_ns * 1000),
                             .G = (int64_t)(m->byte_ns * 1000),
                             .O = (int64_t)(m->touch_ns * 1000),
                             .calc = (int64_t)(m->add_ns * 1000),
                             .S = UINT64_MAX,
                             .asked = (uint64_t)m->long_bytes,
                             .R = (int64_t)(m->long_ns * 1000),
                             .ask = (int64_t)(m->ask_ns * 1000) };
}

static bool parse_link(struct plan_options *o, const char *name)
{
    const struct link_model *m = rules_link(o->rules, name);
    if (strcmp(m->name, name) != 0) return false;
    o->link = m->name;
    o->model = plan_model(m);
    return true;
}

/* The table that docs/collectives.md has. */
static int print_algorithms(void)
{
    printf("| collective | algorithm | rounds | bytes | memory | chosen for |\n"
           "|---|---|---|---|---|---|\n");
    for (uint32_t c = 1; c < COLLECTIVE_END; c++)
        for (uint32_t i = 0; i < algorithm_count; i++) {
            const struct algorithm *a = &algorithms[i];
            char name[ALGORITHM_NAME_MAX];
            if (a->collective != c) continue;
            printf("| %s | %s%s | %s | %s | %s | %s |\n", collective_name(a->collective),
                   algorithm_text(a, a->initial, name),
                   a->flags & ALIGNED       ? " (portable)"
                   : a->flags & KEEPS_ORDER ? " (ordered)"
                                            : "",
                   a->rounds, a->bytes, a->memory, a->when);
        }
    return 0;
}

enum plan_option {
    OPTION_RANKS = 256,
    OPTION_BYTES,
    OPTION_ALGORITHM,
    OPTION_ROOT,
    OPTION_RANK,
    OPTION_IN_PLACE,
    OPTION_VERIFY,
    OPTION_SIMULATE,
    OPTION_COMPARE,
    OPTION_CLIFFS,
    OPTION_SVG,
    OPTION_GOAL,
    OPTION_LOGGP,
    OPTION_LINK,
    OPTION_RULES,
    OPTION_CROWDED,
    OPTION_ALGORITHMS,
    OPTION_HELP,
    OPTION_VERSION,
};

static const struct option long_options[] = {
    { "ranks", required_argument, NULL, OPTION_RANKS },
    { "bytes", required_argument, NULL, OPTION_BYTES },
    { "algorithm", required_argument, NULL, OPTION_ALGORITHM },
    { "root", required_argument, NULL, OPTION_ROOT },
    { "rank", required_argument, NULL, OPTION_RANK },
    { "in-place", no_argument, NULL, OPTION_IN_PLACE },
    { "verify", no_argument, NULL, OPTION_VERIFY },
    { "simulate", no_argument, NULL, OPTION_SIMULATE },
    { "compare", no_argument, NULL, OPTION_COMPARE },
    { "cliffs", no_argument, NULL, OPTION_CLIFFS },
    { "svg", required_argument, NULL, OPTION_SVG },
    { "goal", required_argument, NULL, OPTION_GOAL },
    { "loggp", required_argument, NULL, OPTION_LOGGP },
    { "link", required_argument, NULL, OPTION_LINK },
    { "rules", required_argument, NULL, OPTION_RULES },
    { "crowded", no_argument, NULL, OPTION_CROWDED },
    { "algorithms", no_argument, NULL, OPTION_ALGORITHMS },
    { "help", no_argument, NULL, OPTION_HELP },
    { "version", no_argument, NULL, OPTION_VERSION },
    { NULL, 0, NULL, 0 },
};

static bool parse_rules(struct plan_options *o, const char *file)
{
    struct why why;
    if (o->rules) return false; /* one file */
    int status = rules_load(&world_real, file, &o->rules, &why);
    if (status < 0) fprintf(stderr, "sinew-plan: %s\n", why.text);
    return status == 0;
}

static bool parse_flag(struct plan_options *o, int option)
{
    bool *flag = option == OPTION_VERIFY     ? &o->verify
                 : option == OPTION_SIMULATE ? &o->simulate
                 : option == OPTION_COMPARE  ? &o->compare
                 : option == OPTION_CLIFFS   ? &o->cliffs
                 : option == OPTION_IN_PLACE ? &o->in_place
                 : option == OPTION_CROWDED  ? &o->crowded
                                             : NULL;
    if (flag) *flag = true;
    return flag != NULL;
}

static bool parse_rank(const char *text, uint32_t *rank)
{
    uint64_t v;
    if (!parse_number(text, RANKS_MAX, &v)) return false;
    *rank = (uint32_t)v;
    return true;
}

/* false: a value that it does not take. */
static bool parse_value(struct plan_options *o, int option, const char *value)
{
    switch (option) {
    case OPTION_RANKS:
        return parse_rank(value, &o->ranks);
    case OPTION_ROOT:
        return parse_rank(value, &o->root);
    case OPTION_RANK:
        o->has_rank = true;
        return parse_rank(value, &o->rank);
    case OPTION_BYTES:
        o->has_bytes = true;
        return parse_number(value, UINT64_C(1) << 40, &o->bytes);
    case OPTION_LOGGP:
        o->has_model = true;
        return parse_model(value, &o->model);
    case OPTION_LINK:
        o->has_link = true;
        o->link = value;
        return true;
    case OPTION_RULES:
        return parse_rules(o, value);
    case OPTION_ALGORITHM:
        o->algorithm = value;
        return true;
    case OPTION_SVG:
        o->svg = value;
        return true;
    default:
        o->goal = value;
        return true;
    }
}

/* What was asked for is said, and that is all: *code is how the program ends. */
static bool parse_question(int option, int *code)
{
    if (option == OPTION_HELP || option == 'h')
        printf("%s", usage);
    else if (option == OPTION_VERSION)
        printf("sinew-plan %s\n", sinew_version());
    else if (option == OPTION_ALGORITHMS)
        *code = print_algorithms();
    else
        return false;
    return true;
}

/* Numbers of ranks, sizes and algorithms are its own. */
static int cliffs_check(struct plan_options *o)
{
    if (o->ranks || o->root || o->has_rank || o->has_bytes || o->algorithm || o->in_place ||
        o->verify || o->simulate || o->compare || o->svg || o->goal || o->has_model || o->crowded)
        return plan_refuse("--cliffs takes a collective, --link and --rules, and no more", NULL);
    return !o->has_link || parse_link(o, o->link) ? 0 : plan_refuse_value("link", o->link);
}

static int options_check(struct plan_options *o, const char *collective)
{
    if (!collective && !o->cliffs) return plan_refuse("no collective", NULL);
    for (int c = 1; collective && c < COLLECTIVE_END; c++)
        if (!strcmp(collective, collective_name((enum collective)c)))
            o->collective = (enum collective)c;
    if (collective && !o->collective) return plan_refuse("no such collective", collective);
    if (o->collective >= COLLECTIVE_NEIGHBOUR_ALLGATHER)
        return plan_refuse("nothing to plan, its schedule is the graph of the call", collective);
    if (o->cliffs) return cliffs_check(o);
    if (o->ranks < 1) return plan_refuse("--ranks N is needed, from 1 to 1048576", NULL);
    if (o->root >= o->ranks || o->rank >= o->ranks)
        return plan_refuse("--root and --rank must be less than --ranks", NULL);
    /* Beside what would be chosen only the model it is chosen by means something. */
    if (!o->has_link && (!o->compare || o->has_model)) return 0;
    if (o->has_link && o->has_model)
        return plan_refuse("--loggp and --link are both a model: give one of them", NULL);
    return parse_link(o, o->link) ? 0 : plan_refuse_value("link", o->link);
}

/* true: that was all, the program ends with *code. */
static bool options_parse(struct plan_options *o, int argc, char **argv, int *code)
{
    *o = (struct plan_options){ .bytes = 8, .model = loggops_default, .link = "tcp" };
    *code = 0;
    opterr = 0;
    for (int option, i; (option = getopt_long(argc, argv, ":h", long_options, &i)) != -1;) {
        if (parse_question(option, code)) return true;
        if (option == '?' || option == ':')
            *code = plan_refuse(option == ':' ? "a value is missing" : "no such option",
                                argv[optind - 1]);
        else if (!parse_flag(o, option) && !parse_value(o, option, optarg))
            *code = plan_refuse_value(long_options[i].name, optarg);
        if (*code) return true;
    }
    if (argc > optind + 1) *code = plan_refuse("more than one collective", argv[optind + 1]);
    if (!*code) *code = options_check(o, argc > optind ? argv[optind] : NULL);
    return *code != 0;
}

/* What the library would choose, or the one asked for. */
static const struct algorithm *plan_algorithm(const struct plan_options *o,
                                              struct algorithm *chosen)
{
    char why[ALGORITHM_NAMES_MAX];
    struct situation at = { .size = o->ranks,
                            .bytes = o->bytes,
                            .link = o->link,
                            .rules = o->rules,
                            .crowded = o->crowded,
                            .has_arithmetic = collective_adds(o->collective) };
    uint32_t parameter = 0;
    int i = o->algorithm ? algorithm_parse(o->collective, o->algorithm, &parameter) : 0;
    if (!o->algorithm) {
        struct choice choice = algorithm_choose(o->collective, &at);
        i = (int)choice.algorithm;
        parameter = choice.parameter;
    }
    if (i >= 0) {
        *chosen = algorithms[i];
        if (parameter) chosen->initial = parameter;
        chosen->initial = algorithm_tiles(chosen, chosen->initial, o->bytes);
        return chosen;
    }
    fprintf(stderr, "sinew-plan: the algorithm of %s is '%s', %s\n", collective_name(o->collective),
            o->algorithm, algorithm_refusal(o->collective, o->algorithm, why));
    return NULL;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_schedule(const struct plan_options *o, const struct plan *p)
{
    const struct lane *lane = &p->lane[o->rank];
    for (uint32_t i = 0; i < lane->n && i < 2000; i++) {
        char text[WHY_MAX];
        const struct op *op = &lane->op[i];
        instance_text(p, o->rank, i, text, sizeof(text));
        printf("%s", text);
        for (int d = 0; d < 2; d++)
            if (op->dep[d]) printf("%s%u", d && op->dep[0] ? ", " : "  after ", i - op->dep[d]);
        printf("\n");
    }
    printf("blocks: IN %u, OUT %u, TMP %u\n", lane->blocks[BUFFER_IN], lane->blocks[BUFFER_OUT],
           lane->blocks[BUFFER_TMP]);
}

static int run_verify(const struct plan *p)
{
    struct verified found;
    struct verify_options options = { .columns = p->size > 1024 ? COLUMNS : 0, .seed = p->size };
    char why[WHY_MAX];
    double began = seconds();
    int status = plan_verify(p, &options, &found, why);
    if (status < 0) {
        printf("WRONG: %s\n", why);
        return EXIT_WRONG;
    }
    printf("verified in %.2f s: bounds, matching, progress, races, dataflow\n", seconds() - began);
    printf("  %llu messages, %u of %u blocks looked at\n", (unsigned long long)found.messages,
           found.columns, found.column_count);
    printf("  at one rank at most: schedule %zu bytes, %u blocks between, %u early messages\n",
           schedule_bytes(found.most_ops), found.most_tmp, found.most_buffered);
    return 0;
}

static void print_critical(const struct plan *p, const struct simulation *s)
{
    uint32_t rank = s->last_rank, i = 0, steps = 0;
    for (uint32_t k = 0; k < p->lane[rank].n; k++)
        if (s->at[rank][k].end > s->at[rank][i].end) i = k;
    printf("  critical path, from its end:\n");
    while (p->lane[rank].n && steps++ < 40) {
        const struct happening *h = &s->at[rank][i];
        char text[WHY_MAX];
        instance_text(p, rank, i, text, sizeof(text));
        printf("    %10.3f us  %s\n", (double)h->end / 1e6, text);
        if (h->cause_rank == UINT32_MAX) return;
        rank = h->cause_rank;
        i = h->cause;
    }
}

static void print_simulation(const struct plan *p, const struct simulation *s, double took)
{
    int64_t least = s->finish[0], sum = 0;
    for (uint32_t r = 0; r < p->size; r++) {
        if (s->finish[r] < least) least = s->finish[r];
        sum += s->finish[r] / p->size;
    }
    printf("simulated in %.2f s, %llu events\n", took, (unsigned long long)s->events);
    printf("  ranks finish from %.3f to %.3f us (rank %u), mean %.3f\n", (double)least / 1e6,
           (double)s->finish[s->last_rank] / 1e6, s->last_rank, (double)sum / 1e6);
    printf("  %llu bytes in messages\n", (unsigned long long)s->bytes);
    for (uint32_t r = 0; p->size <= 16 && r < p->size; r++)
        printf("  rank %-3u %12.3f us\n", r, (double)s->finish[r] / 1e6);
    print_critical(p, s);
}

static FILE *plan_file(const char *name)
{
    FILE *f = fopen(name, "w");
    if (!f) fprintf(stderr, "sinew-plan: cannot write %s\n", name);
    return f;
}

static int run_simulate(const struct plan_options *o, const struct plan *p)
{
    struct simulation s;
    char why[WHY_MAX];
    double began = seconds();
    if (simulate(p, &o->model, o->bytes, &s, why) < 0) {
        printf("WRONG: %s\n", why);
        return EXIT_WRONG;
    }
    if (o->simulate) print_simulation(p, &s, seconds() - began);
    FILE *f = o->svg ? plan_file(o->svg) : NULL;
    bool failed = o->svg && !f;
    if (f) draw_svg(f, p, &s, o->bytes);
    if (f && fclose(f) != 0) failed = true;
    simulation_free(&s, p->size);
    return failed ? EXIT_WRONG : 0;
}

static int run_goal(const struct plan_options *o, const struct plan *p)
{
    FILE *f = plan_file(o->goal);
    if (!f) return EXIT_WRONG;
    write_goal(f, p, o->bytes, &o->model);
    return fclose(f) == 0 ? 0 : EXIT_WRONG;
}

static int run(const struct plan_options *o)
{
    char why[WHY_MAX];
    struct plan p;
    int code = 0;
    if (o->cliffs) return run_cliffs(o);
    if (o->compare) return run_compare(o);
    struct algorithm chosen;
    const struct algorithm *a = plan_algorithm(o, &chosen);
    if (!a) return EXIT_USAGE;
    double began = seconds();
    if (plan_make(&p, a, o->ranks, o->root, o->in_place, why) < 0) {
        fprintf(stderr, "sinew-plan: %s by %s: %s\n", collective_name(o->collective), a->name, why);
        return EXIT_WRONG;
    }
    char name[ALGORITHM_NAME_MAX];
    printf("%s by %s, %u ranks, %llu bytes; generated in %.2f s\n", collective_name(o->collective),
           algorithm_text(a, a->initial, name), o->ranks, (unsigned long long)o->bytes,
           seconds() - began);
    bool print = !o->verify && !o->simulate && !o->svg && !o->goal;
    if (print || o->has_rank) print_schedule(o, &p);
    if (o->verify) code = run_verify(&p);
    if (code == 0 && (o->simulate || o->svg)) code = run_simulate(o, &p);
    if (code == 0 && o->goal) code = run_goal(o, &p);
    plan_free(&p);
    return code;
}

int main(int argc, char **argv)
{
    struct plan_options o;
    int code;
    if (!options_parse(&o, argc, argv, &code)) code = run(&o);
    rules_free(&world_real, o.rules);
    return code;
}
