/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options.c - the command line of sinew-perf; every refusal names what was given and what may be
 */
#include "perf.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct workload *const perf_workloads[] = {
    &workload_latency,
    &workload_bandwidth,
    &workload_rate,
    &workload_calibrate,
    &workload_barrier,
    &workload_bcast,
    &workload_reduce,
    &workload_allreduce,
    &workload_reduce_scatter,
    &workload_reduce_scatter_block,
    &workload_scan,
    &workload_exscan,
    &workload_gather,
    &workload_gatherv,
    &workload_scatter,
    &workload_scatterv,
    &workload_allgather,
    &workload_allgatherv,
    &workload_alltoall,
    &workload_alltoallv,
    &workload_neighbour_allgather,
    &workload_neighbour_alltoall,
    &workload_neighbour_alltoallv,
    NULL,
};

/* Names that mean something to come, so that they are not called unknown. */
static const char *const options_not_built[] = { "put", "get", "atomic", "am", NULL };

static void options_help(void)
{
    printf("usage: sinewrun -n N sinew-perf TEST [option ...]\n"
           "\n"
           "Measures Sinew itself, under any launcher. Rank 0 prints.\n"
           "\n"
           "tests between 2 ranks\n");
    bool pairs = true;
    for (int i = 0; perf_workloads[i]; i++) {
        if (pairs && !perf_workloads[i]->pair) printf("tests of any number of ranks\n");
        pairs = perf_workloads[i]->pair;
        printf("  %-20s %s\n", perf_workloads[i]->name, perf_workloads[i]->text);
    }
    printf("not built yet\n ");
    for (int i = 0; options_not_built[i]; i++)
        printf("%s%s", i > 0 && i % 12 == 0 ? "\n  " : " ", options_not_built[i]);
    printf("\n\n"
           "options\n"
           "  --transport T    let data travel over T only, or of T,T over the first that reaches\n"
           "                   the peer; all that are named must work here\n"
           "  --algorithm A    of a collective, as \"ring\" or \"bruck:4\"; sinew-plan --algorithms\n"
           "  --bytes LIST     sizes, as 8,1K,1M (powers of 1024), 0 to 1G, up to %d of them;\n"
           "                   otherwise powers of two from 8 to 4M (latency), 4K (rate) or 1M\n"
           "  --iterations N   rounds of the timed loop, 1 to 1000000000; otherwise about 0.1 s\n"
           "  --warmup N       rounds before it, 0 to 1000000000; otherwise about 10 ms\n"
           "  --batch N        rounds in a sample of the percentiles, 1 to 1000; otherwise %d below 4K,\n"
           "                   and 1 from there on\n"
           "  --window N       messages in flight in bandwidth and rate, 1 to %d; otherwise 64\n"
           "  --one-buffer     one buffer for all of a window, not one each (bandwidth, rate)\n"
           "  --memory M       buffers are plain, or shared: from sinew_memory_alloc()\n"
           "  --rewrite        write what is sent before every message or call; that counts\n"
           "  --cold           of a collective: every buffer out of the caches before each call;\n"
           "                   that does not count\n"
           "  --overlap N      of a collective: how much goes on while the caller computes and polls\n"
           "                   N times, 0 to %d, in percent\n"
           "  --persistent     with --overlap: one request, started again and again\n"
           "  --validate       check contents first, 16 rounds of each size\n"
           "  --json           one object per line and nothing else\n"
           "  --help, -h, --version\n"
           "\n"
           "exit status: 0 measured, 1 a call failed, 2 the command line or the number of ranks\n"
           "\n"
           "What is measured, and how to compare it: docs/performance.md\n",
           PERF_SIZES_MAX, PERF_BATCH, PERF_WINDOW_MAX, PERF_POLLS_MAX);
}

static bool options_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

static bool options_refuse(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(stderr, "sinew-perf: %s\n", text);
    return false;
}

static bool options_number(const char *name, const char *text, int64_t least, int64_t most,
                           int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < least || value > most)
        return options_refuse("--%s %s: a number from %lld to %lld is wanted", name, text,
                              (long long)least, (long long)most);
    *out = value;
    return true;
}

/* One size from the list; *text moves behind it. */
static bool options_size(const char **text, size_t *out)
{
    static const char suffixes[] = "KMG";
    char *end;
    if (**text < '0' || **text > '9') return false;
    errno = 0;
    unsigned long long value = strtoull(*text, &end, 10);
    if (errno || value > PERF_BYTES_MAX) return false;
    const char *suffix = *end ? strchr(suffixes, *end >= 'a' ? *end - 'a' + 'A' : *end) : NULL;
    if (suffix) {
        value <<= 10 * (suffix - suffixes + 1);
        end++;
    }
    if (value > PERF_BYTES_MAX || (*end && *end != ',')) return false;
    *text = end;
    *out = (size_t)value;
    return true;
}

static bool options_sizes(struct perf_options *opt, const char *list)
{
    const char *at = list;
    opt->sizes = 0;
    for (;;) {
        if (opt->sizes == PERF_SIZES_MAX)
            return options_refuse("--bytes: at most %d sizes", PERF_SIZES_MAX);
        if (!options_size(&at, &opt->bytes[opt->sizes]))
            return options_refuse("--bytes %s: sizes from 0 to 1G are wanted, as 8,1K,1M", list);
        opt->sizes++;
        if (!*at) return true;
        at++;
    }
}

static bool options_workload(struct perf_options *opt, const char *name)
{
    for (int i = 0; perf_workloads[i]; i++)
        if (strcmp(name, perf_workloads[i]->name) == 0) opt->workload = perf_workloads[i];
    if (opt->workload) return true;
    for (int i = 0; options_not_built[i]; i++)
        if (strcmp(name, options_not_built[i]) == 0)
            return options_refuse("%s: not built yet, see docs/status.md", name);
    return options_refuse("%s: no such test; sinew-perf --help lists them", name);
}

static void options_default_sizes(struct perf_options *opt)
{
    for (size_t bytes = opt->workload->least; bytes <= opt->workload->most; bytes *= 2)
        opt->bytes[opt->sizes++] = bytes;
}

/* What was asked for means something for this test. */
static bool options_fit(const struct perf_options *opt)
{
    const struct workload *load = opt->workload;
    bool windows = load->pair && load->amount, collective = !load->pair, moves = load->most > 0;
    const struct {
        bool given, fits;
        const char *name, *where;
    } only[] = {
        { opt->algorithm, collective, "algorithm", "collectives" },
        { opt->iterations >= 0, !load->report, "iterations", "the other tests" },
        { opt->warmup >= 0, !load->report, "warmup", "the other tests" },
        { opt->batch, !load->report && !load->amount && !opt->cold && opt->polls < 0, "batch",
          "times" },
        { opt->validate, !load->report, "validate", "the other tests" },
        { opt->json, !load->report, "json", "the other tests: this one's output is JSON" },
        { opt->window, windows, "window", "bandwidth and rate" },
        { opt->one_buffer, windows, "one-buffer", "bandwidth and rate" },
        { opt->sizes > 0, moves, "bytes", "tests that move data" },
        { opt->shared, moves, "memory shared", "tests that move data" },
        { opt->rewrite, moves, "rewrite", "tests that move data" },
        { opt->cold, collective && moves, "cold", "collectives that move data" },
        { opt->polls >= 0, collective, "overlap", "collectives" },
        { opt->persistent, opt->polls >= 0, "persistent", "--overlap" },
    };
    for (size_t i = 0; i < sizeof(only) / sizeof(only[0]); i++)
        if (only[i].given && !only[i].fits)
            return options_refuse("--%s means nothing for %s: it is for %s", only[i].name, load->name,
                                  only[i].where);
    if (opt->cold && (opt->polls >= 0 || opt->rewrite))
        return options_refuse("--cold: not with --overlap or --rewrite");
    if (opt->rewrite && opt->polls >= 0) return options_refuse("--rewrite: not with --overlap");
    return true;
}

/* The sizes fit the test; without any, the test's own. */
static bool options_settle(struct perf_options *opt)
{
    const struct workload *load = opt->workload;
    if (!options_fit(opt)) return false;
    if (load->most == 0) {
        opt->bytes[opt->sizes++] = 0;
        return true;
    }
    if (opt->sizes == 0) options_default_sizes(opt);
    for (int i = 0; i < opt->sizes; i++)
        if (opt->bytes[i] % load->element != 0)
            return options_refuse("--bytes %zu: %s works on elements of %zu bytes, so sizes are "
                                  "multiples of that",
                                  opt->bytes[i], load->name, load->element);
    return true;
}

enum options_code {
    TRANSPORT = 256,
    ALGORITHM,
    BYTES,
    ITERATIONS,
    WARMUP,
    BATCH,
    WINDOW,
    ONE_BUFFER,
    MEMORY,
    REWRITE,
    COLD,
    OVERLAP,
    PERSISTENT,
    VALIDATE,
    JSON,
    HELP,
    VERSION,
};

static const struct option options_table[] = {
    { "transport", required_argument, NULL, TRANSPORT },
    { "algorithm", required_argument, NULL, ALGORITHM },
    { "bytes", required_argument, NULL, BYTES },
    { "iterations", required_argument, NULL, ITERATIONS },
    { "warmup", required_argument, NULL, WARMUP },
    { "batch", required_argument, NULL, BATCH },
    { "window", required_argument, NULL, WINDOW },
    { "one-buffer", no_argument, NULL, ONE_BUFFER },
    { "memory", required_argument, NULL, MEMORY },
    { "rewrite", no_argument, NULL, REWRITE },
    { "cold", no_argument, NULL, COLD },
    { "overlap", required_argument, NULL, OVERLAP },
    { "persistent", no_argument, NULL, PERSISTENT },
    { "validate", no_argument, NULL, VALIDATE },
    { "json", no_argument, NULL, JSON },
    { "help", no_argument, NULL, HELP },
    { "version", no_argument, NULL, VERSION },
    { NULL, 0, NULL, 0 },
};

static bool options_take(struct perf_options *opt, int which)
{
    int64_t number = 0;
    switch (which) {
    case TRANSPORT:
        opt->transport = optarg;
        return true;
    case ALGORITHM:
        opt->algorithm = optarg;
        return true;
    case BYTES:
        return options_sizes(opt, optarg);
    case ITERATIONS:
        return options_number("iterations", optarg, 1, PERF_COUNT_MAX, &opt->iterations);
    case WARMUP:
        return options_number("warmup", optarg, 0, PERF_COUNT_MAX, &opt->warmup);
    case BATCH:
        if (!options_number("batch", optarg, 1, PERF_BATCH_MAX, &number)) return false;
        opt->batch = (int)number;
        return true;
    case WINDOW:
        if (!options_number("window", optarg, 1, PERF_WINDOW_MAX, &number)) return false;
        opt->window = (int)number;
        return true;
    case ONE_BUFFER:
        opt->one_buffer = true;
        return true;
    case MEMORY:
        opt->shared = strcmp(optarg, "shared") == 0;
        if (opt->shared || strcmp(optarg, "plain") == 0) return true;
        return options_refuse("--memory %s: plain or shared", optarg);
    case REWRITE:
        opt->rewrite = true;
        return true;
    case COLD:
        opt->cold = true;
        return true;
    case OVERLAP:
        if (!options_number("overlap", optarg, 0, PERF_POLLS_MAX, &number)) return false;
        opt->polls = (int)number;
        return true;
    case PERSISTENT:
        opt->persistent = true;
        return true;
    case VALIDATE:
        opt->validate = true;
        return true;
    case JSON:
        opt->json = true;
        return true;
    default:
        return options_refuse("sinew-perf --help lists the options"); /* getopt named the culprit */
    }
}

bool options_parse(struct perf_options *opt, int argc, char **argv, int *status)
{
    int which;
    opt->iterations = opt->warmup = -1;
    opt->polls = -1;
    *status = PERF_USAGE;
    while ((which = getopt_long(argc, argv, "h", options_table, NULL)) != -1) {
        if (which == 'h') which = HELP;
        if (which == HELP || which == VERSION) {
            *status = PERF_OK;
            if (which == HELP)
                options_help();
            else
                printf("sinew-perf %s\n", sinew_version());
            return false;
        }
        if (!options_take(opt, which)) return false;
    }
    if (optind == argc) return options_refuse("which test? sinew-perf --help lists them");
    if (optind + 1 < argc)
        return options_refuse("%s: one test at a time, and %s is one already", argv[optind + 1],
                              argv[optind]);
    return options_workload(opt, argv[optind]) && options_settle(opt);
}
