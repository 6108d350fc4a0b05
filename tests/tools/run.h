/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_TOOLS_RUN_H
#define TESTS_TOOLS_RUN_H
/*
 * run.h - run a program to its end and keep what it said
 */
#include <stddef.h>

enum { RUN_TIMED_OUT = -1, RUN_OUTPUT_MAX = 65536, RUN_ARGUMENTS_MAX = 32 };

struct run {
    int status; /* exit status, 128 + signal, or RUN_TIMED_OUT */
    char out[RUN_OUTPUT_MAX], err[RUN_OUTPUT_MAX];
};

/* argv[0] is a program of ours, by name. What does not end in two minutes is killed, with all it
 * started. */
void run_argv(struct run *r, const char *const argv[]);

/* The same, "sinew-perf latency --json", cut at blanks. */
void run_line(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Under sinewrun with n ranks, over a transport ("": chosen). The program gets its path. */
void run_ranks(struct run *r, int n, const char *transport, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The next line of text, with its end cut off; *at moves behind it. NULL at the end. */
char *run_next_line(char **at);

/* Fail the running test, with everything the program said, unless it ended with `status`. */
void run_expect(const struct run *r, int status);

#endif
