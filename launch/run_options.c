/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run_options.c - sinewrun's command line
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "launch/run.h"

static const char usage[] = "usage: sinewrun -n N [options] CMD [ARG...]\n"
                            "       sinewrun --rendezvous HOST:PORT --size N --ranks A-B "
                            "--secret-file F [options] CMD [ARG...]\n";

static const char help[] =
    "\n"
    "Starts CMD once per rank and makes one Sinew job of them.\n"
    "\n"
    "  -n N                   N ranks, all on this host\n"
    "  --transport T          data transports allowed, best first; all that are named must work\n"
    "                         (same as --set transports=T)\n"
    "  --set NAME=VALUE       a Sinew setting for all ranks (sinew-info --config lists them)\n"
    "  --env NAME=VALUE       an environment variable for all ranks\n"
    "  --timeout SECONDS      end the job after that long, with status 124\n"
    "  --prefix               \"[rank] \" before every line of output\n"
    "  --on-failure stop      when a rank fails: end the others (default), or\n"
    "  --on-failure continue  let them go on; their Sinew is told that the rank died\n"
    "  --bind none|core       core: rank i runs on the i-th core allowed, modulo; none (default)\n"
    "  --help, -h, --version\n"
    "\n"
    "A job over several hosts: one sinewrun on each, with the same address, size and secret.\n"
    "\n"
    "  --rendezvous HOST:PORT where they meet: the one that has rank 0 listens there, the others\n"
    "                         connect (IPv6 in brackets; port 0: any free one, it is printed)\n"
    "  --size N               ranks in the whole job\n"
    "  --ranks A-B            those that run here (or A)\n"
    "  --secret-file F        the job secret, 32 to 4096 bytes, readable by nobody else. To make "
    "one:\n"
    "                           (umask 077; head -c 32 /dev/urandom > F)\n"
    "                         and copy it to every host over a safe way (scp -p).\n"
    "\n"
    "Ranks see SINEW_RANK and SINEW_SIZE. Lines of output stay whole. Standard input goes to rank "
    "0.\n"
    "Ctrl-C is passed on, a second one kills. The exit status is that of the first rank that "
    "failed:\n"
    "its own, or 128 and the signal's number; 124 time-out, 126 CMD cannot be run, 127 CMD is not "
    "there.\n";

static int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int complain(const char *format, ...)
{
    va_list args;
    fputs("sinewrun: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("; see sinewrun --help\n", stderr);
    return RUN_STATUS_USAGE;
}

/* Decimal digits only, from least to most. */
static int read_number(const char *text, const char **end, int least, int most, int *out)
{
    char *stop;
    if (!isdigit((unsigned char)*text)) return -1;
    errno = 0;
    long value = strtol(text, &stop, 10);
    if (errno || value < least || value > most) return -1;
    *out = (int)value;
    *end = stop;
    return 0;
}

static int parse_count(const char *name, const char *text, int *out)
{
    const char *end;
    if (read_number(text, &end, 1, LAUNCH_SIZE_MAX, out) == 0 && !*end) return 0;
    return complain("%s is \"%s\", allowed are 1 to %d", name, text, LAUNCH_SIZE_MAX);
}

static int parse_ranks(const char *text, struct run_options *o)
{
    const char *end;
    int last;
    if (read_number(text, &end, 0, LAUNCH_SIZE_MAX - 1, &o->first) == 0) {
        last = o->first;
        if ((*end != '-' ||
             read_number(end + 1, &end, o->first, LAUNCH_SIZE_MAX - 1, &last) == 0) &&
            !*end) {
            o->ranks = last - o->first + 1;
            return 0;
        }
    }
    return complain("--ranks is \"%s\", expected A-B with A <= B, or A", text);
}

static int parse_timeout(const char *text, int64_t *out)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end || !(seconds > 0) || seconds > 1e9)
        return complain("--timeout is \"%s\", expected seconds, more than 0", text);
    *out = (int64_t)llround(seconds * 1e9);
    return 0;
}

static int parse_word(const char *name, const char *text, const char *no, const char *yes,
                      bool *out)
{
    *out = strcmp(text, yes) == 0;
    if (*out || strcmp(text, no) == 0) return 0;
    return complain("%s is \"%s\", allowed are %s and %s", name, text, no, yes);
}

/* --- settings --------------------------------------------------------------------------------- */

/* Takes over pair, which may be NULL for want of memory. */
static int add_environment(struct run_options *o, char *pair)
{
    char **more = realloc(o->environment, ((size_t)o->environment_len + 1) * sizeof(*more));
    if (more) o->environment = more;
    if (!more || !pair) {
        free(pair);
        return complain("no memory");
    }
    o->environment[o->environment_len++] = pair;
    return 0;
}

void run_options_release(struct run_options *o)
{
    for (int i = 0; i < o->environment_len; i++) free(o->environment[i]);
    free(o->environment);
}

static int parse_env(struct run_options *o, const char *text)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text) return complain("--env is \"%s\", expected NAME=VALUE", text);
    return add_environment(o, strdup(text));
}

/* The ranks would find a mistake too, all of them; here it is found once, before they start. */
static int set_value(struct run_options *o, const char *name, const char *value)
{
    struct config config;
    struct why why;
    char *pair;
    int rc = config_load(&config, NULL, NULL, NULL, NULL, &why);
    if (rc == 0) rc = config_set(&config, name, value, &why);
    if (rc < 0) return complain("--set %s=%s: %s", name, value, why.text);
    if (strcmp(name, "setup_deadline") == 0) o->setup_ns = config.setup_deadline;
    int len = asprintf(&pair, "SINEW_%s=%s", name, value);
    for (char *p = pair; len > 0 && *p != '='; p++) *p = (char)toupper((unsigned char)*p);
    return add_environment(o, len > 0 ? pair : NULL);
}

static int parse_set(struct run_options *o, const char *text)
{
    const char *equals = strchr(text, '=');
    char name[64];
    if (!equals || equals == text || (size_t)(equals - text) >= sizeof(name))
        return complain("--set is \"%s\", expected NAME=VALUE", text);
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = '\0';
    return set_value(o, name, equals + 1);
}

/* --- the whole -------------------------------------------------------------------------------- */

enum {
    OPT_TRANSPORT = 256,
    OPT_SET,
    OPT_ENV,
    OPT_TIMEOUT,
    OPT_PREFIX,
    OPT_ON_FAILURE,
    OPT_BIND,
    OPT_RENDEZVOUS,
    OPT_SIZE,
    OPT_RANKS,
    OPT_SECRET_FILE,
    OPT_VERSION
};

static const struct option options[] = {
    { "transport", required_argument, NULL, OPT_TRANSPORT },
    { "set", required_argument, NULL, OPT_SET },
    { "env", required_argument, NULL, OPT_ENV },
    { "timeout", required_argument, NULL, OPT_TIMEOUT },
    { "prefix", no_argument, NULL, OPT_PREFIX },
    { "on-failure", required_argument, NULL, OPT_ON_FAILURE },
    { "bind", required_argument, NULL, OPT_BIND },
    { "rendezvous", required_argument, NULL, OPT_RENDEZVOUS },
    { "size", required_argument, NULL, OPT_SIZE },
    { "ranks", required_argument, NULL, OPT_RANKS },
    { "secret-file", required_argument, NULL, OPT_SECRET_FILE },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, OPT_VERSION },
    { NULL, 0, NULL, 0 },
};

/* -n, --size and --ranks as given; 0 and -1: not. */
struct given {
    int n, size;
    bool ranks, print;
};

static int parse_one(struct run_options *o, struct given *g, int option)
{
    switch (option) {
    case 'n':
        if (strcmp(optarg, "p") == 0) return complain("-np is spelled -n here: sinewrun -n 4 CMD");
        return parse_count("-n", optarg, &g->n);
    case OPT_TRANSPORT:
        return set_value(o, "transports", optarg);
    case OPT_SET:
        return parse_set(o, optarg);
    case OPT_ENV:
        return parse_env(o, optarg);
    case OPT_TIMEOUT:
        return parse_timeout(optarg, &o->timeout_ns);
    case OPT_PREFIX:
        o->prefix = true;
        return 0;
    case OPT_ON_FAILURE:
        return parse_word("--on-failure", optarg, "stop", "continue", &o->go_on);
    case OPT_BIND:
        return parse_word("--bind", optarg, "none", "core", &o->bind);
    case OPT_RENDEZVOUS:
        o->rendezvous = optarg;
        return 0;
    case OPT_SIZE:
        return parse_count("--size", optarg, &g->size);
    case OPT_RANKS:
        g->ranks = true;
        return parse_ranks(optarg, o);
    case OPT_SECRET_FILE:
        o->secret_file = optarg;
        return 0;
    case 'h':
        fputs(usage, stdout);
        fputs(help, stdout);
        g->print = true;
        return 0;
    case OPT_VERSION:
        printf("sinewrun %s\n", SINEW_VERSION);
        g->print = true;
        return 0;
    default:
        fputs(usage, stderr);
        return RUN_STATUS_USAGE;
    }
}

static int check_share(struct run_options *o, const struct given *g)
{
    if (!o->rendezvous) {
        if (g->size || g->ranks || o->secret_file)
            return complain("--size, --ranks and --secret-file go with --rendezvous");
        if (!g->n) return complain("-n is missing: how many ranks?");
        o->first = 0;
        o->ranks = o->size = g->n;
        return 0;
    }
    if (g->n) return complain("-n does not go with --rendezvous: --size and --ranks say it");
    if (!g->size || !g->ranks || !o->secret_file)
        return complain("--rendezvous needs --size, --ranks and --secret-file; missing:%s%s%s",
                        g->size ? "" : " --size", g->ranks ? "" : " --ranks",
                        o->secret_file ? "" : " --secret-file");
    if (o->first + o->ranks > g->size)
        return complain("--ranks goes to %d, but --size is %d", o->first + o->ranks - 1, g->size);
    o->size = g->size;
    return 0;
}

int run_options_parse(struct run_options *o, int argc, char **argv)
{
    struct given g = { 0 };
    int option;
    *o = (struct run_options){ .setup_ns = 30 * RUN_SECOND };
    while ((option = getopt_long(argc, argv, "+n:h", options, NULL)) != -1) {
        int rc = parse_one(o, &g, option);
        if (rc > 0 || g.print) return rc;
    }
    int rc = check_share(o, &g);
    if (rc > 0) return rc;
    if (optind >= argc) return complain("CMD is missing: what shall the ranks run?");
    o->command = argv + optind;
    return -1;
}
