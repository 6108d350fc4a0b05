/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_SIMULATE_H
#define COLLECTIVES_SIMULATE_H
/*
 * simulate.h - when everything of a plan happens, in the LogGOPS model as LogGOPSim computes it
 *
 *   a message of s bytes     costs the sender's processor o + (s - 1) O, keeps its network
 *                            interface busy for g + (s - 1) G, begins to arrive L + o after its
 *                            start, and costs the receiver's processor
 *                            o + max((s - 1) O, (s - 1) G)
 *   longer than S bytes      the sender is done when the receiver has it
 *   arithmetic, copies       cost the processor their bytes times `calc`
 *   over a link of ours      (asked > 0) the wire brings it while the receiver's processor does
 *                            something else, and this costs it o + (s - 1) O; of `asked` bytes or
 *                            more both processors have `ask` more to do, and it comes R later
 *   READ                     costs the reader's processor o + (s - 1) G, and what it adds up
 *
 * Not in the model: congestion, distances that differ.
 */
#include "collectives/plan/plan.h"

/* In ps, and ps per byte. */
struct loggops {
    int64_t L, o, g, G, O, calc;
    uint64_t S;
    uint64_t asked; /* 0: as LogGOPSim */
    int64_t R, ask;
};

/* LogGOPSim's defaults: L 2500, o 1500, g 1000 ns, G 6 ns a byte. */
extern const struct loggops loggops_default;

/* When an instance began and ended to use its processor, and what it had to wait for last. */
struct happening {
    int64_t begin, end;
    uint32_t cause_rank, cause; /* rank UINT32_MAX: nothing */
};

struct simulation {
    struct happening **at;  /* by rank and instance */
    int64_t *finish;        /* of each rank */
    uint32_t last_rank;     /* to finish */
    uint64_t events, bytes; /* of all messages */
};

/* The bytes of instance i of a rank when `bytes` is what sinew-perf calls a collective's bytes. */
uint64_t plan_bytes(const struct plan *p, uint32_t rank, const struct op *op, uint64_t bytes);

/* How long it takes to read so many of a peer's, ps. */
int64_t read_time(const struct loggops *l, uint64_t bytes, enum op_kind kind);

/* 0, or < 0 with why; simulation_free() is due after 0. */
int simulate(const struct plan *p, const struct loggops *model, uint64_t bytes,
             struct simulation *s, char why[WHY_MAX]);
void simulation_free(struct simulation *s, uint32_t size);

/* --------------------------------------------------------------------------- draw.c and goal.c */
#include <stdio.h>

/* A page: the space-time diagram, or for more than 64 ranks quantile bands, with the critical path;
 * below the dependencies of the rank that finishes last. */
void draw_svg(FILE *out, const struct plan *p, const struct simulation *s, uint64_t bytes);

/* The plan as GOAL text, as LogGOPSim's txt2bin reads it. */
void write_goal(FILE *out, const struct plan *p, uint64_t bytes, const struct loggops *model);

#endif
