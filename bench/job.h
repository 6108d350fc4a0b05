/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_JOB_H
#define BENCH_JOB_H
/*
 * job.h - a benchmark that starts itself under the sinewrun beside it, as often as it needs
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t job_now(void);

/* `sinewrun -n ranks THIS role`, THIS being the program that runs. Its standard output into text,
 * as a string. false, said on standard error, if it did not end well. */
bool job_run(int ranks, const char *role, char *text, size_t cap);

/* The median; sorts. n > 0. */
double job_median(double *values, int n);

#endif
