/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_COLLECTIVE_H
#define COLLECTIVES_COLLECTIVE_H
/*
 * collective.h - which collectives there are, by which algorithms, and one call of one
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectives/build.h"

/* These numbers are part of the digest that ranks compare: only ever added to. */
enum collective {
    COLLECTIVE_BARRIER = 1,
    COLLECTIVE_BCAST,
    COLLECTIVE_REDUCE,
    COLLECTIVE_ALLREDUCE,
    COLLECTIVE_GATHER,
    COLLECTIVE_ALLGATHER,
    COLLECTIVE_END,
};

/* A way to do one collective, for any number of ranks and any root. */
struct algorithm {
    const char *name;
    enum collective collective;
    /* The program of b->rank; sets b->blocks, too. O(log size) operations. */
    void (*generate)(struct build *b);
};

/* Only ever added to: an index here is part of the digest. */
extern const struct algorithm algorithms[];
extern const uint32_t algorithm_count;

const char *collective_name(enum collective collective);

/* The index of the algorithm of that name for the collective, or SINEW_ENOENT. */
int algorithm_find(enum collective collective, const char *name);
/* "ring, recursive-doubling": into the caller's buffer, which is returned. */
enum { ALGORITHM_NAMES_MAX = 160 };
const char *algorithm_names(enum collective collective, char names[ALGORITHM_NAMES_MAX]);

/* What a choice depends on; all ranks know it alike. */
struct situation {
    uint32_t size;
    uint64_t bytes; /* of one rank's input                                                   */
    bool crowded;   /* all ranks are on one host, and take turns on its cores                */
};

/* The index of the algorithm for it. */
uint32_t algorithm_choose(enum collective collective, const struct situation *at);

/* One call of a collective, its arguments checked. */
struct call {
    enum collective collective;
    uint32_t algorithm;
    int root;
    int type, op;         /* 0 where there is no arithmetic                                */
    size_t element_bytes; /* 1 where there is no arithmetic                                */
    size_t in_count;      /* elements of this rank's input                                 */
    size_t out_count;     /* elements of the whole output, where this rank has one         */
    const void *in;       /* SINEW_IN_PLACE: the input is at its place in `out`            */
    void *out;
};

/* What all ranks must agree on. */
uint32_t call_digest(const struct call *call, int level);

void generate_barrier_dissemination(struct build *b);
void generate_barrier_direct(struct build *b);
void generate_barrier_flat(struct build *b);
void generate_bcast_binomial(struct build *b);
void generate_bcast_scatter_ring(struct build *b);
void generate_reduce_binomial(struct build *b);
void generate_reduce_ring(struct build *b);
void generate_allreduce_direct(struct build *b);
void generate_allreduce_doubling(struct build *b);
void generate_allreduce_flat(struct build *b);
void generate_allreduce_ring(struct build *b);
void generate_gather_binomial(struct build *b);
void generate_gather_linear(struct build *b);
void generate_allgather_bruck(struct build *b);
void generate_allgather_ring(struct build *b);

#endif
