/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_JOB_BOARD_H
#define TESTS_SUPPORT_JOB_BOARD_H
/*
 * job_board.h - the memory that the ranks of one job_run() share; for job.c and job_run.c
 */
#include <pthread.h>

#include "tests/support/job.h"

enum { JOB_LOG_LINES = 64, JOB_LOG_LINE = 256 };

/* Lines of one rank's contexts; written by that rank only. The oldest are overwritten. */
struct job_log {
    int count;
    char line[JOB_LOG_LINES][JOB_LOG_LINE];
};

struct job_board {
    pthread_barrier_t barrier; /* shared between processes; not used in a simulation */
    int64_t sim_arrived;
    unsigned char records[JOB_RANKS_MAX][64];
    unsigned char secret[32];
    bool tells_failures;
    atomic_int failing; /* whoever sets it first writes text, then sets failed */
    atomic_int failed;
    char text[4096];
    _Atomic int64_t pid[JOB_RANKS_MAX];
    atomic_int may_die[JOB_RANKS_MAX];
    atomic_int ended[JOB_RANKS_MAX]; /* set by the parent of processes */
    atomic_int returned;             /* bodies that have, threads only */
    _Atomic int64_t words[JOB_WORDS];
    struct job_log log[JOB_RANKS_MAX];
};

void job_record(struct job_board *board, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
