/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LAUNCH_RUN_H
#define LAUNCH_RUN_H
/*
 * run.h - the parts of the program sinewrun
 *
 *   run_main.c        the one loop, and how a job ends
 *   run_options.c     the command line
 *   run_children.c    the ranks: started, let in through their doors, signalled, reaped
 *   run_output.c      their lines out, the terminal's input in
 *   run_keeper.c      a small process that outlives sinewrun just long enough to kill what it
 * started run_rendezvous.c  the other sinewruns of the job
 *
 * One process, one thread, one poll(). Every part says before each poll what it waits for.
 */
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "launch/hub.h"
#include "launch/node.h"

struct run;

enum { RUN_STATUS_TIMEOUT = 124, RUN_STATUS_CANNOT_RUN = 126, RUN_STATUS_MISSING = 127 };
enum { RUN_STATUS_USAGE = 2, RUN_STATUS_FAILED = 1 };

#define RUN_SECOND 1000000000LL

/* --- the command line ------------------------------------------------------------------------- */

struct run_options {
    int first, ranks, size; /* this sinewrun's share of the job */
    const char *rendezvous, *secret_file;
    char **environment; /* "NAME=value" for the ranks, NULL-terminated */
    int environment_len;
    int64_t timeout_ns, setup_ns;
    bool prefix, go_on, bind;
    char **command;
};

/* >= 0: the exit status, everything has been said. -1: go on. */
int run_options_parse(struct run_options *o, int argc, char **argv);
void run_options_release(struct run_options *o);

/* --- lines out -------------------------------------------------------------------------------- */

/* Where lines go: standard output or error. */
struct sink {
    int fd;
    char *bytes;
    size_t at, len, cap;
    const void *unfinished; /* who wrote last, without a newline */
    bool broken;            /* nobody reads any more */
};

/* Where they come from: one stream of one rank. */
struct source {
    int fd; /* -1: ended */
    struct sink *sink;
    char prefix[16];
    bool whole; /* keep lines until they are whole */
    char *bytes;
    size_t len, cap;
};

/* The terminal's input on its way to rank 0. */
struct feeder {
    int to; /* -1: nothing to do */
    size_t at, len;
    char bytes[4096];
};

void sink_add(struct sink *s, const void *who, const char *bytes, size_t len);
void sink_flush(struct sink *s);
bool sink_full(const struct sink *s);
static inline bool sink_waits(const struct sink *s)
{
    return s->len > s->at && !s->broken;
}

void source_read(struct source *s);
void source_end(struct source *s);

void feeder_read(struct feeder *f);
void feeder_write(struct feeder *f);

/* --- ranks ------------------------------------------------------------------------------------ */

struct child {
    int rank;
    pid_t pid;               /* and process group; 0: not started */
    bool ending, ended;      /* ending: has ended but is not reaped yet */
    bool signalled;          /* so, and by a signal */
    bool joined, left, told; /* told: the others know that it died */
    pid_t joined_pid;
    int64_t orphaned_ns; /* when its connection ended without a goodbye; 0: no */
    int64_t tell_ns;     /* when the others are told of that, if its process has not ended */
    int door;            /* -1: closed */
    struct node_peer peer;
    struct source out, err;
};

/* Start one rank. 0, or the exit status of sinewrun after saying why. */
int child_start(struct run *run, struct child *c);
void child_knocked(struct run *run, struct child *c);
/* The process that joined is on its way out, or out; this one's end may follow. */
bool child_is_ending(const struct child *c);
/* The process has ended: reap it and say how. */
void child_reap(struct run *run, struct child *c, struct launch_exit *how);
void children_signal(struct run *run, int signal);
/* "0, 2-3": those that run. */
void children_running(const struct run *run, char *text, size_t cap);

/* --- the keeper ------------------------------------------------------------------------------- */

struct keeper {
    int fd;
    pid_t pid;
};

int keeper_start(struct keeper *k);
/* A group that dies with us; called in the child itself, so that there is no moment without. */
void keeper_add(const struct keeper *k, pid_t group);
void keeper_drop(const struct keeper *k, pid_t group);
void keeper_end(struct keeper *k);

/* --- the whole -------------------------------------------------------------------------------- */

struct run {
    struct run_options options;
    const struct world *world;
    struct node node;
    struct hub hub;            /* in the sinewrun with rank 0 */
    struct node_peer upstream; /* in the others */
    bool is_hub, is_member;    /* connected so */
    int refusals;              /* strangers turned away */
    bool hub_ends;             /* the hub is a bare process: it goes when all records are told */
    uint8_t secret[LAUNCH_SECRET_LEN];
    int cores;           /* that the ranks here share … */
    uint32_t cores_name; /* … and their name            */
    struct child *children;
    int running; /* ranks that have not ended */
    struct sink out, err;
    struct sink *err_sink; /* &out when both are the same file */
    struct feeder feeder;
    struct keeper keeper;
    int signals;         /* signalfd */
    struct rlimit files; /* as we were started with, and as the ranks get it */
    int status;          /* of sinewrun, once `decided` */
    int status_held;     /* of who failed while the first to fail still runs, and its end decides */
    const struct child *first_orphan; /* whose connection was the first to end without a goodbye */
    bool decided, stopping, interrupted, killed;
    int64_t stop_ns, kill_ns, timeout_ns, setup_ns; /* when to; INT64_MAX: not */
};

/* A line of sinewrun's own. */
void run_say(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The exit status, if none has been decided before. */
void run_decide(struct run *run, int status);
/* Ask all ranks to end, and kill them a second later. */
void run_stop(struct run *run);

extern const struct node_events run_events;

/* 0, or the exit status after saying why. */
int run_rendezvous_open(struct run *run);
/* Nothing is left to tell or to hear between sinewruns. */
bool run_rendezvous_over(struct run *run);
void run_rendezvous_close(struct run *run);
/* The connection to another sinewrun is gone. */
void run_rendezvous_lost(struct run *run, struct node_peer *peer);
/* The set-up deadline has passed. */
void run_rendezvous_late(struct run *run);

#endif
