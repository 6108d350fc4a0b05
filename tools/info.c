/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info.c - sinew-info: what this machine offers, what would be chosen, and why
 */
#include "info.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct info_options {
    bool json, config;
    const char *to, *root;
};

static void info_help(void)
{
    printf("usage: sinew-info [option ...]\n"
           "\n"
           "Says which transports work here or why not, what would be chosen for a rank on this\n"
           "host and on another, and how many cores and how much of the limits this process has;\n"
           "for RDMA also what is wrong, with the command that mends it.\n"
           "\n"
           "  --to HOST   also: how TCP would go to HOST, and whether its kernel answers: one\n"
           "              connection is tried, to the port of HOST:PORT, tcp_ports, or 9\n"
           "  --config    instead: every setting with value, default, range and its source\n"
           "  --json      one object per line and nothing else\n"
           "  --root DIR  RDMA as DIR/sys, DIR/proc and DIR/dev tell it: a copy of another host's\n"
           "  --help, -h, --version\n"
           "\n"
           "exit status: 0 told, 1 HOST is out of reach or a setting wrong, 2 the command line\n");
}

enum { TO = 256, CONFIG, JSON, ROOT, HELP, VERSION };

static const struct option info_table[] = {
    { "to", required_argument, NULL, TO },
    { "config", no_argument, NULL, CONFIG },
    { "json", no_argument, NULL, JSON },
    { "root", required_argument, NULL, ROOT },
    { "help", no_argument, NULL, HELP },
    { "version", no_argument, NULL, VERSION },
    { NULL, 0, NULL, 0 },
};

/* What a copy of a host has to have: it is told about, whatever else it lacks. */
static bool info_root(const char *root)
{
    char path[PATH_MAX];
    struct stat at;
    const char *wrong = "no such directory";
    if (stat(root, &at) == 0) {
        int n = snprintf(path, sizeof(path), "%s/sys", root);
        bool fits = n > 0 && n < (int)sizeof(path);
        if (fits && S_ISDIR(at.st_mode) && stat(path, &at) == 0) return true;
        wrong = "it has no sys below it; a copy of a host's /sys, /proc and /dev is wanted";
    } else if (errno != ENOENT) {
        wrong = strerrordesc_np(errno);
    }
    fprintf(stderr, "sinew-info: --root %s: %s\n", root, wrong);
    return false;
}

/* False, with the exit status, when there is nothing to tell. */
static bool info_parse(struct info_options *opt, int argc, char **argv, int *status)
{
    int which;
    while ((which = getopt_long(argc, argv, "h", info_table, NULL)) != -1) {
        *status = EXIT_FINE;
        switch (which) {
        case TO:
            opt->to = optarg;
            break;
        case CONFIG:
            opt->config = true;
            break;
        case JSON:
            opt->json = true;
            break;
        case ROOT:
            opt->root = optarg;
            break;
        case 'h':
        case HELP:
            info_help();
            return false;
        case VERSION:
            printf("sinew-info %s\n", sinew_version());
            return false;
        default:
            fprintf(stderr, "sinew-info: sinew-info --help lists the options\n");
            *status = EXIT_USAGE;
            return false;
        }
    }
    if (opt->config && (opt->to || opt->root)) {
        fprintf(stderr, "sinew-info: --config tells of settings alone: it goes without --to and --root\n");
        *status = EXIT_USAGE;
        return false;
    }
    if (optind == argc) {
        if (!opt->root || info_root(opt->root)) return true;
        *status = EXIT_USAGE;
        return false;
    }
    fprintf(stderr, "sinew-info: %s: no such argument; sinew-info --help lists the options\n",
            argv[optind]);
    *status = EXIT_USAGE;
    return false;
}

int main(int argc, char **argv)
{
    struct info_options opt = { 0 };
    struct info info = { 0 };
    struct why why = { { 0 } };
    struct log log = { .level = LOG_WARNING, .prefix = "sinew-info: " };
    int code = EXIT_FINE;
    if (!info_parse(&opt, argc, argv, &code)) return code;
    info.json = opt.json;
    if (config_load(&info.config, NULL, environ, &log, &info.sources, &why) < 0) {
        fprintf(stderr, "sinew-info: %s\n", why.text);
        return EXIT_FAILED;
    }
    if (opt.config) {
        info_config(&info);
        return EXIT_FINE;
    }
    info_host(&info);
    info_cores(&info);
    info_launcher(&info);
    info_transports(&info);
    info_rdma(&info, opt.root ? opt.root : "");
    if (opt.to && !info_route(&info, opt.to)) code = EXIT_FAILED;
    return code;
}
