/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * limits.c - command line, table and output of sinew-limits, see limits.h
 */
#include "limits.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES_MAX = 64, EXIT_USAGE = 2 };
static const size_t BYTES_MAX = (size_t)64 << 20;

static const struct limit *const limits[] = {
    &limit_line,           &limit_ring_latency, &limit_copy_latency,     &limit_kernel_latency,
    &limit_tcp_latency,    &limit_ring_rate,    &limit_tcp_rate,         &limit_tcp_batched,
    &limit_ring_bandwidth, &limit_copy_bandwidth, &limit_kernel_bandwidth, &limit_tcp_bandwidth,
    &limit_tcp_exchanges[0], &limit_tcp_exchanges[1], &limit_tcp_exchanges[2],
    &limit_tcp_exchanges[3], &limit_tcp_exchanges[4], &limit_tcp_exchanges[5],
    &limit_tcp_exchanges[6], &limit_ring_exchanges[0], &limit_ring_exchanges[1],
    &limit_ring_exchanges[2], &limit_ring_exchanges[3], &limit_ring_exchanges[4],
    &limit_ring_exchanges[5], &limit_ring_exchanges[6], NULL,
};

struct options {
    const char *test, *transport; /* NULL: all */
    const char *way;              /* NULL: the fastest */
    size_t bytes[SIZES_MAX];
    int sizes;
    int cores[2];
    double seconds;
    bool json;
};

static void limits_help(void)
{
    printf("usage: sinew-limits [TEST] [option ...]\n"
           "\n"
           "What two pinned processes on this host need at least, without any library. Half a round\n"
           "trip in us for latency, 10^6 bytes or messages a second for bandwidth and rate, us of a\n"
           "call for collectives.\n"
           "\n");
    for (int i = 0; limits[i]; i++)
        printf("  %-14s --transport %-12s %s\n", limits[i]->test, limits[i]->transport,
               limits[i]->text);
    printf("\n"
           "options\n"
           "  --transport LIST  only these, as ring,copy\n"
           "  --bytes LIST      sizes, as 8,1K,1M (powers of 1024), 1 to 64M\n"
           "  --way WAY         this one, in the words of the last column, and not the fastest of all\n"
           "  --cores A,B       the two cores; otherwise the first two allowed\n"
           "  --seconds S       of each timed loop, 0.001 to 10; otherwise 0.1\n"
           "  --json            one object per line and nothing else\n");
}

static bool limits_refuse(const char *option, const char *given, const char *wanted)
{
    fprintf(stderr, "sinew-limits: %s %s: %s\n", option, given, wanted);
    return false;
}

/* Whether `name` is one of the words of `list`, which commas part. */
static bool limits_listed(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, len) == 0 && (at[len] == ',' || at[len] == '\0')) return true;
    return false;
}

static bool limits_sizes(struct options *opt, const char *list)
{
    const char *at = list;
    opt->sizes = 0;
    while (*at && opt->sizes < SIZES_MAX) {
        char *end;
        size_t value = strtoull(at, &end, 10);
        if (end == at || value < 1 || value > BYTES_MAX) break;
        if (*end == 'K' || *end == 'M') value <<= *end++ == 'K' ? 10 : 20;
        if (value > BYTES_MAX || (*end && *end != ',')) break;
        opt->bytes[opt->sizes++] = value;
        if (!*end) return true;
        at = end + 1;
    }
    return limits_refuse("--bytes", list, "sizes from 1 to 64M are wanted, as 8,1K,1M");
}

/* As 0-3,8: the cores this process may run on. */
static void limits_list_cores(const cpu_set_t *set, char *text, size_t cap)
{
    size_t used = 0;
    text[0] = '\0';
    for (int core = 0, last; core < CPU_SETSIZE && used < cap; core = last + 1) {
        for (last = core; last < CPU_SETSIZE && CPU_ISSET((size_t)last, set); last++) {
        }
        if (last-- == core) {
            last = core;
            continue;
        }
        used += (size_t)snprintf(text + used, cap - used, used > 0 ? ",%d" : "%d", core);
        if (last > core && used < cap)
            used += (size_t)snprintf(text + used, cap - used, "-%d", last);
    }
}

static bool limits_cores(struct options *opt, const char *text)
{
    char rest, allowed[256], wanted[320];
    cpu_set_t set;
    if (sscanf(text, "%d,%d%c", &opt->cores[0], &opt->cores[1], &rest) != 2 || opt->cores[0] < 0 ||
        opt->cores[1] < 0 || opt->cores[0] >= CPU_SETSIZE || opt->cores[1] >= CPU_SETSIZE ||
        opt->cores[0] == opt->cores[1])
        return limits_refuse("--cores", text, "two different cores are wanted, as 0,1");
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) < 0) return true; /* then pinning tells */
    if (CPU_ISSET((size_t)opt->cores[0], &set) && CPU_ISSET((size_t)opt->cores[1], &set))
        return true;
    limits_list_cores(&set, allowed, sizeof(allowed));
    snprintf(wanted, sizeof(wanted), "cores that this process may run on are wanted: %s", allowed);
    return limits_refuse("--cores", text, wanted);
}

static bool limits_default_cores(struct options *opt)
{
    cpu_set_t set;
    int n = 0;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) < 0) return false;
    for (int core = 0; core < CPU_SETSIZE && n < 2; core++)
        if (CPU_ISSET((size_t)core, &set)) opt->cores[n++] = core;
    if (n < 2) fprintf(stderr, "sinew-limits: two cores are needed, and only one is allowed here\n");
    return n == 2;
}

static bool limits_seconds(struct options *opt, const char *text)
{
    char *end;
    opt->seconds = strtod(text, &end);
    if (end == text || *end || !(opt->seconds >= 0.001 && opt->seconds <= 10))
        return limits_refuse("--seconds", text, "a number from 0.001 to 10 is wanted");
    return true;
}

static bool limits_selected(const struct options *opt, const struct limit *limit)
{
    return (!opt->test || strcmp(opt->test, limit->test) == 0) &&
           (!opt->transport || limits_listed(opt->transport, limit->transport));
}

static bool limits_parse(struct options *opt, int argc, char **argv)
{
    static const struct option table[] = {
        { "transport", required_argument, NULL, 't' }, { "bytes", required_argument, NULL, 'b' },
        { "cores", required_argument, NULL, 'c' },     { "seconds", required_argument, NULL, 's' },
        { "json", no_argument, NULL, 'j' },            { "help", no_argument, NULL, 'h' },
        { "way", required_argument, NULL, 'w' },
        { NULL, 0, NULL, 0 },
    };
    bool cores = false;
    int which;
    while ((which = getopt_long(argc, argv, "h", table, NULL)) != -1) {
        bool fine = which != '?';
        if (which == 'h') {
            limits_help();
            exit(0);
        }
        if (which == 't') opt->transport = optarg;
        if (which == 'w') opt->way = optarg;
        if (which == 'b') fine = limits_sizes(opt, optarg);
        if (which == 'c') fine = cores = limits_cores(opt, optarg);
        if (which == 's') fine = limits_seconds(opt, optarg);
        if (which == 'j') opt->json = true;
        if (!fine) return false;
    }
    if (optind < argc) opt->test = argv[optind++];
    if (optind < argc) return limits_refuse(argv[optind - 1], argv[optind], "one test at a time");
    for (int i = 0; limits[i]; i++)
        if (limits_selected(opt, limits[i])) return cores || limits_default_cores(opt);
    return limits_refuse(opt->test ? opt->test : "all tests",
                         opt->transport ? opt->transport : "of any transport",
                         "no such limit; sinew-limits --help lists them");
}

/* A time is half a round, which is a message there and one back; or a whole one. */
static double limits_value(const struct limit *limit, size_t bytes, double round_ns)
{
    if (strcmp(limit->unit, "us") == 0) return round_ns / (limit->whole ? 1000 : 2000);
    return (strcmp(limit->unit, "MB/s") == 0 ? (double)bytes : 1.0) / round_ns * 1000;
}

static bool limits_run(const struct options *opt, const struct limit *limit, size_t bytes)
{
    char way[VARIANT_TEXT];
    struct variant v;
    if (limit->refuse > 0 && bytes > limit->refuse) return true;
    double round_ns = pair_measure(limit, bytes, opt->way, opt->cores, opt->seconds, &v);
    if (!v.name) return limits_refuse("--way", opt->way, "no such way of that limit and size; the "
                                      "last column has them");
    double value = limits_value(limit, bytes, round_ns);
    if (opt->json) {
        printf("{\"test\": \"%s\", \"transport\": \"%s\", \"ranks\": 2, \"bytes\": %zu, "
               "\"value\": %.6g, \"unit\": \"%s\"}\n",
               limit->test, limit->transport, bytes, value, limit->unit);
    } else {
        variant_text(&v, way, sizeof(way));
        printf("%-14s %-12s %9zu %14.*f %-7s %s\n", limit->test, limit->transport, bytes,
               value < 100 ? 4 : 1, value, limit->unit, way);
    }
    fflush(stdout);
    return true;
}

static bool limits_all(const struct options *opt, const struct limit *limit)
{
    bool fine = true;
    for (int i = 0; i < opt->sizes && fine; i++) fine = limits_run(opt, limit, opt->bytes[i]);
    if (opt->sizes > 0) return fine;
    for (size_t bytes = limit->least; bytes <= limit->most && fine; bytes *= 2)
        fine = limits_run(opt, limit, bytes);
    return fine;
}

int main(int argc, char **argv)
{
    struct options opt = { .seconds = 0.1 };
    if (!limits_parse(&opt, argc, argv)) return EXIT_USAGE;
    if (!opt.json)
        printf("%-14s %-12s %9s %14s %-7s fastest by   (cores %d and %d)\n", "test", "transport",
               "bytes", "value", "unit", opt.cores[0], opt.cores[1]);
    for (int i = 0; limits[i]; i++)
        if (limits_selected(&opt, limits[i]) && !limits_all(&opt, limits[i])) return EXIT_USAGE;
    return 0;
}
