/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_LAUNCH_JOB_H
#define TESTS_LAUNCH_JOB_H
/*
 * launch_job.h - sinewrun as a child of a test: its arguments, what it writes, how it ends, and
 * whether every process of its job is gone afterwards
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

enum { PATIENCE_MS = 30000, ARGS_MAX = 48 };

struct stream_text {
    int fd;
    char *text;
    size_t len;
};

struct job {
    pid_t pid;
    int status; /* like a shell's */
    int life;   /* readable end of a pipe that every process of the job holds as LIFE_FD */
    struct stream_text out, err;
};

/* The programs sinewrun and launch-rank. */
void job_programs(const char *run, const char *rank);
const char *job_sinewrun(void);
const char *job_rank(void);

/* Words separated by single spaces, after the program's own name; "RANK" is the rank program. */
void job_split(char *command, char **argv);

void job_start_args(struct job *j, char **argv, const char *input);
void job_start(struct job *j, const char *command);

/* A shell script as the command of the ranks. */
void job_start_script(struct job *j, const char *options, const char *script);

/* What is there to be read, at least a byte. */
void job_take(struct stream_text *s);
/* Read until `what` was seen on either stream. */
void job_pump(struct job *j, const char *what);
/* Read to the end and reap. */
void job_finish(struct job *j);
/* Assert that every process of the job, grandchildren too, is gone; free what the job has. */
void job_drop(struct job *j);

bool has(const struct stream_text *s, const char *what);
int count(const char *text, const char *what);
void assert_status(const struct job *j, int status);
void assert_says(const struct job *j, const char *what);

/* A whole job: its status, its output (unless NULL), something it says on standard error. */
void assert_runs(const char *command, int status, const char *out, const char *says);

#endif
