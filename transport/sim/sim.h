/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_SIM_SIM_H
#define TRANSPORT_SIM_SIM_H
/*
 * sim.h - N ranks in one process, under virtual time
 *
 * Each rank is a thread; a baton makes exactly one of them run, and the order depends on the seed
 * alone. A rank hands the baton on when it polls in vain (an empty progress costs 100 virtual ns),
 * sleeps, yields or computes. Virtual time moves to the next event when every rank waits. (When
 * nothing has been in flight for 100 us, vain polls take a sixteenth of that silence, up to the
 * next event: polling through an hour is cheap.) When all wait, nothing is in flight, nobody
 * computes and no deadline is due, the run has failed: deadlock; the result says who was waiting.
 *
 * The wire between a pair: latency + bytes x per-byte gap + seeded jitter; FIFO per link, links are
 * reordered against each other freely. sim_cut() loses connectivity (nothing arrives, nothing is
 * lost: it waits for sim_heal(), or for the repair deadline, which ends the links as GONE_BROKEN);
 * sim_crash() kills a rank.
 *
 * A static library for tests and sinew-plan; not part of the shared one.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/world.h"
#include "launch/launch.h"
#include "transport/transport.h"

struct sim_rank;

struct sim_options {
    int ranks;
    uint64_t seed;
    int64_t latency_ns;       /* 0: 1000                                                       */
    int64_t jitter_ns;        /* 0: as latency; < 0: none                                      */
    double gap_ns_per_byte;   /* 0: 0.1                                                        */
    int64_t overhead_ns;      /* of each send and receive on the CPU; 0: 100                   */
    size_t window_bytes;      /* in flight per link until AGAIN; 0: 32 KiB                     */
    uint32_t eager_max;       /* 0: 16 KiB                                                     */
    uint32_t copy_max;        /* longer bodies are lent; 0: none are                           */
    bool puts_unordered;      /* puts overtake and are overtaken: messaging must flush         */
    bool reads;               /* messages are offered to be read, unless bit 11 of their length is
                                 set, and are read if bit 12 is                                */
    uint32_t begin_max;       /* caps.begin_max; 0: none                                       */
    uint32_t wired_fails;     /* one in so many set-ups of sim_wired fails; 0: none            */
    bool with_lease;          /* hand out leases in recv                                       */
    int64_t detect_ns;        /* from a death until peers and launchers know; 0: 1 ms          */
    int64_t time_limit_ns;    /* virtual; 0: one virtual day                                   */
};

struct sim_result {
    bool deadlock, out_of_time; /* both: polled, or slept to deadlines, with nothing in flight */
    int64_t now_ns;        /* virtual time at the end  */
    uint64_t messages, bytes, events;
    uint64_t trace_hash;   /* of everything that happened: the same for the same seed          */
    uint64_t leaked_bytes; /* what ranks that returned had not released                       */
    char text[2048];       /* for a failure: who waits for whom; names the seed */
};

/* Run body(rank, arg) on every rank; returns when all have returned, crashed or deadlocked. 0, or
 * SINEW_ESTATE after a deadlock, when out of time or after a misuse the text names, SINEW_EABORTED
 * after an abort through the launcher, SINEW_ENOMEM. A rank that returns with a transport or its
 * launcher still open has died, for the others. result may be NULL. */
int sim_run(const struct sim_options *options, void (*body)(struct sim_rank *me, void *arg),
            void *arg, struct sim_result *result);

int sim_rank(const struct sim_rank *me);
int sim_size(const struct sim_rank *me);
int64_t sim_now(struct sim_rank *me);
uint64_t sim_random(struct sim_rank *me); /* seeded, of this rank */

/* The injected world of this rank; its allocator is one arena, freed whole when the rank ends or
 * crashes. Memory released wrongly fails the run. */
const struct world *sim_world(struct sim_rank *me);
size_t sim_live_bytes(const struct sim_rank *me);
size_t sim_peak_bytes(const struct sim_rank *me);
/* Let the nth allocation from now fail, 1 being the next; 0: none. */
void sim_fail_allocation(struct sim_rank *me, uint64_t nth);

/* A launch provider over the simulated world (exact failure events), and the transport. */
int sim_launch(struct sim_rank *me, struct launch **out);
extern const struct transport_ops transport_sim;
/* The same wire, as a wired transport: set up by tells, confirming what has arrived, handing back
 * what was not confirmed; and it can break alone. */
extern const struct transport_ops transport_sim_wired;

/* Compute for ns of virtual time: nothing of this rank's progresses. */
void sim_compute(struct sim_rank *me, int64_t ns);

/* Kill a rank (another than me, or me: then it does not return): what it had put on the wire
 * arrives, nothing else. */
void sim_crash(struct sim_rank *me, int rank);
void sim_cut(struct sim_rank *me, int a, int b);
void sim_heal(struct sim_rank *me, int a, int b);
/* The wired link of these two breaks for good, if there is one: some of what is under way still
 * arrives, each end notices at a time of its own. New ones can be set up. */
void sim_break(struct sim_rank *me, int a, int b);

#endif
