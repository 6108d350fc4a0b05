/* SPDX-License-Identifier: BSD-3-Clause */
#include "heat2d.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIDE_LEAST = 8, SIDE_MOST = 16384, STEPS_MOST = 100000000 };

static void heat_help(void)
{
    printf("usage: sinewrun -n N heat2d [option ...]\n"
           "\n"
           "Heat spreads from a glowing word into a cold plate that N ranks share.\n"
           "\n"
           "  --size WxH       cells, each side %d to %d; otherwise 1000x777\n"
           "  --steps N        at most, 1 to %d; otherwise 2000\n"
           "  --tolerance T    stop when no cell changes more in a step; otherwise 1e-6\n"
           "  --out F.png      where the image goes; otherwise heat2d.png\n"
           "  --check          compare bit for bit with what one rank computes alone\n"
           "  --help, --version\n"
           "\n"
           "exit status: 0 done, 1 failed or different, 2 the command line\n",
           SIDE_LEAST, SIDE_MOST, STEPS_MOST);
}

static bool heat_refuse(const char *option, const char *given, const char *wanted)
{
    fprintf(stderr, "heat2d: %s %s: %s\n", option, given, wanted);
    return false;
}

static bool heat_size(struct heat_options *opt, const char *text)
{
    char *end, *last;
    long width = strtol(text, &end, 10);
    long height = *end == 'x' ? strtol(end + 1, &last, 10) : 0;
    if (*end != 'x' || *last || width < SIDE_LEAST || width > SIDE_MOST || height < SIDE_LEAST ||
        height > SIDE_MOST)
        return heat_refuse("--size", text, "WxH is wanted, each from 8 to 16384");
    opt->width = (int)width;
    opt->height = (int)height;
    return true;
}

static bool heat_steps(struct heat_options *opt, const char *text)
{
    char *end;
    errno = 0;
    long steps = strtol(text, &end, 10);
    if (errno || end == text || *end || steps < 1 || steps > STEPS_MOST)
        return heat_refuse("--steps", text, "a number from 1 to 100000000 is wanted");
    opt->steps = (int)steps;
    return true;
}

static bool heat_tolerance(struct heat_options *opt, const char *text)
{
    char *end;
    double tolerance = strtod(text, &end);
    if (end == text || *end || !(tolerance >= 0 && tolerance <= 1))
        return heat_refuse("--tolerance", text, "a number from 0 to 1 is wanted");
    opt->tolerance = tolerance;
    return true;
}

enum { SIZE = 256, STEPS, TOLERANCE, OUT, CHECK, SKIP_HALO, HELP, VERSION };

static const struct option heat_table[] = {
    { "size", required_argument, NULL, SIZE },
    { "steps", required_argument, NULL, STEPS },
    { "tolerance", required_argument, NULL, TOLERANCE },
    { "out", required_argument, NULL, OUT },
    { "check", no_argument, NULL, CHECK },
    { "skip-halo", no_argument, NULL, SKIP_HALO }, /* for the tests: --check must notice */
    { "help", no_argument, NULL, HELP },
    { "version", no_argument, NULL, VERSION },
    { NULL, 0, NULL, 0 },
};

static bool heat_take(struct heat_options *opt, int which)
{
    switch (which) {
    case SIZE:
        return heat_size(opt, optarg);
    case STEPS:
        return heat_steps(opt, optarg);
    case TOLERANCE:
        return heat_tolerance(opt, optarg);
    case OUT:
        opt->out = optarg;
        return true;
    case CHECK:
        return opt->check = true;
    case SKIP_HALO:
        return opt->skip_halo = true;
    default:
        fprintf(stderr, "heat2d: heat2d --help lists the options\n");
        return false;
    }
}

bool heat_options_parse(struct heat_options *opt, int argc, char **argv, int *status)
{
    int which;
    *opt = (struct heat_options){ 1000, 777, 2000, 1e-6, "heat2d.png", false, false };
    *status = 2;
    while ((which = getopt_long(argc, argv, "", heat_table, NULL)) != -1) {
        if (which == HELP || which == VERSION) {
            *status = 0;
            if (which == HELP)
                heat_help();
            else
                printf("heat2d %s\n", sinew_version());
            return false;
        }
        if (!heat_take(opt, which)) return false;
    }
    if (optind == argc) return true;
    return heat_refuse(argv[optind], "", "no such argument; heat2d --help lists the options");
}
