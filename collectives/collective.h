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
    COLLECTIVE_SCATTER,
    COLLECTIVE_ALLTOALL,
    COLLECTIVE_REDUCE_SCATTER,
    COLLECTIVE_REDUCE_SCATTER_BLOCK,
    COLLECTIVE_SCAN,
    COLLECTIVE_EXSCAN,
    COLLECTIVE_GATHERV,
    COLLECTIVE_SCATTERV,
    COLLECTIVE_ALLGATHERV,
    COLLECTIVE_ALLTOALLV,
    COLLECTIVE_NEIGHBOUR_ALLGATHER,
    COLLECTIVE_NEIGHBOUR_ALLTOALL,
    COLLECTIVE_NEIGHBOUR_ALLTOALLV,
    COLLECTIVE_END,
};

enum algorithm_flag {
    KEEPS_ORDER = 1, /* operands combine in the order of the ranks: no need to commute            */
    /* … and by the tree of aligned power-of-two blocks of ranks (pattern/binomial.h): the
     * bracketing depends on nothing but the number of ranks. Of a prefix, the tree cut off at its
     * end.       */
    ALIGNED = 2,
    /* Each operation of each rank has one block, which is the whole vector: it can go in tiles. */
    TILED = 4,
};

/* What the number behind an algorithm's name means: "bruck:4". */
enum parameter {
    PARAMETER_NONE,
    PARAMETER_RADIX,  /* messages of a round, and one more: 2 or more               */
    PARAMETER_PIECES, /* that what goes from rank to rank is cut into: 1 or more    */
    PARAMETER_NODE,   /* ranks on each node, the last one perhaps fewer: 1 or more  */
};
enum { RADIX_MAX = 16, PIECES_MAX = 64, NODE_MAX = 64, TILES_MAX = 64 };

/* The number behind an algorithm's name, and behind that one the tiles, "k-nomial:4/8": as choices,
 * rules, calls and plans carry them, in one word. Tiles 0: nothing was said. */
static inline uint32_t parameter_number(uint32_t parameter)
{
    return parameter & 0xffff;
}

static inline uint32_t parameter_tiles(uint32_t parameter)
{
    return parameter >> 16 ? parameter >> 16 : 1;
}

/* What one call costs, as counted: of the rank that is busiest, and in the order of time. Bytes are
 * those of one rank's input, as sinew-perf has them. See model.h. */
struct work {
    double rounds;   /* messages one after the other                                            */
    double messages; /* sent and received by the busiest rank, or by those on the longest path  */
    double bytes;    /* sent or received by it, whichever is more                               */
    double moved;    /* sent and received by it; 0: twice as much                               */
    double added;    /* bytes of arithmetic                                                     */
    double staged;   /* of these, what nothing else hides where they are put into a stage first */
    double copied;   /* bytes copied within a rank                                              */
    double turns;    /* how often all ranks must have run, where they take turns on few cores   */
    double fan;      /* peers that these bytes are of at the same time; 0: one                  */
    double near_rounds, near_messages, near_bytes; /* further ones, between ranks of one node   */
    bool one_busy;   /* there is a root: the others have less to do                             */
};

/* A way to do one collective, for any number of ranks and any root. */
struct algorithm {
    const char *name;
    enum collective collective;
    /* The program of b->rank; sets b->blocks, too. O(log size) operations. NULL: the graph of the
     * call says it all (neighbours.h). */
    void (*generate)(struct build *b);
    unsigned flags; /* enum algorithm_flag */
    enum parameter parameter;
    uint32_t initial; /* the parameter when nothing else is said                                  */
    struct work (*work)(double ranks, double bytes, double parameter);
    /* The same in words, and what it is for: docs/collectives.md has them too. p ranks, N bytes of
     * one rank, l = log2 p rounded up, k the parameter. */
    const char *rounds, *bytes, *memory, *when;
};

/* Only ever added to: an index here is part of the digest. */
extern const struct algorithm algorithms[];
extern const uint32_t algorithm_count;

const char *collective_name(enum collective collective);
bool collective_has_root(enum collective collective);
/* Whether it has an operator. */
bool collective_adds(enum collective collective);

/* The index of the algorithm of that name for the collective, or SINEW_ENOENT. */
int algorithm_find(enum collective collective, const char *name);
/* The same for a name as users write it, "bruck", "bruck:4", "tree/8": *parameter is what it says,
 * or 0. SINEW_EINVAL: it has no parameter, or not that one; or no tiles, or not so many. */
int algorithm_parse(enum collective collective, const char *text, uint32_t *parameter);
/* The parameter with the tiles that a vector of so many bytes goes in, unless they were said. */
uint32_t algorithm_tiles(const struct algorithm *a, uint32_t parameter, uint64_t bytes);
/* "bruck:4", "tree/8": into the caller's buffer, which is returned. */
enum { ALGORITHM_NAME_MAX = 48 };
const char *algorithm_text(const struct algorithm *a, uint32_t parameter,
                           char name[ALGORITHM_NAME_MAX]);
/* Why algorithm_parse() refused it: "it must be one of: ring, tree", "behind ring: stands a number
 * of pieces, from 1 to 64". Into the caller's buffer, which is returned. */
enum { ALGORITHM_NAMES_MAX = 320 };
const char *algorithm_refusal(enum collective collective, const char *text,
                              char why[ALGORITHM_NAMES_MAX]);

/* A buffer whose blocks are of different lengths. */
struct parts {
    const size_t *counts; /* of each block; NULL: they are even                                   */
    const size_t *offsets; /* where each begins; NULL: one after the other */
};

/* One call of a collective, its arguments checked. */
struct call {
    enum collective collective;
    uint32_t algorithm, parameter;
    int root;
    int type, op;              /* 0 where there is no arithmetic                                */
    struct user_operator *own; /* op, if it is one of the user's                           */
    size_t element_bytes;      /* 1 where there is no arithmetic                                */
    size_t in_count;           /* elements of this rank's input                                 */
    size_t out_count;          /* elements of the whole output, where this rank has one         */
    struct parts in_parts, out_parts;
    uint64_t agreed; /* all ranks must have the same: a count, a digest of counts …   */
    uint64_t bytes;  /* for choosing: all ranks know the same                         */
    bool in_place;   /* the input is at its place in `out`                            */
    bool comes_again; /* the user's: straight.c may remember it                        */
    const void *in;
    void *out;
    const struct sinew_graph *graph;
};

/* What all ranks must agree on. */
uint32_t call_digest(const struct call *call, int level);
uint64_t counts_digest(const size_t *counts, size_t n);
/* What a message of `len` bytes carries: both its ends have the same length in mind, or it is a
 * mismatch, also where no rank knows all counts. */
uint32_t message_digest(uint32_t digest, size_t len);

void generate_allgather_bruck(struct build *b);
void generate_allgather_circulant(struct build *b);
void generate_allgather_neighbour(struct build *b);
void generate_allgather_pairwise(struct build *b);
void generate_allgather_ring(struct build *b);
void generate_allreduce_allgather(struct build *b);
void generate_allreduce_circulant(struct build *b);
void generate_allreduce_direct(struct build *b);
void generate_allreduce_doubling(struct build *b);
void generate_allreduce_flat(struct build *b);
void generate_allreduce_multiplying(struct build *b);
void generate_allreduce_pairwise(struct build *b);
void generate_allreduce_rabenseifner(struct build *b);
void generate_allreduce_ring(struct build *b);
void generate_allreduce_tree(struct build *b);
void generate_allreduce_two_level(struct build *b);
void generate_alltoall_bruck(struct build *b);
void generate_alltoall_pairwise(struct build *b);
void generate_barrier_direct(struct build *b);
void generate_barrier_dissemination(struct build *b);
void generate_barrier_flat(struct build *b);
void generate_bcast_binomial(struct build *b);
void generate_bcast_chain(struct build *b);
void generate_bcast_circulant(struct build *b);
void generate_bcast_knomial(struct build *b);
void generate_bcast_scatter_allgather(struct build *b);
void generate_bcast_scatter_ring(struct build *b);
void generate_bcast_two_level(struct build *b);
void generate_exscan_chain(struct build *b);
void generate_exscan_doubling(struct build *b);
void generate_gather_binomial(struct build *b);
void generate_gather_linear(struct build *b);
void generate_gatherv_binomial(struct build *b);
void generate_reduce_binomial(struct build *b);
void generate_reduce_chain(struct build *b);
void generate_reduce_circulant(struct build *b);
void generate_reduce_knomial(struct build *b);
void generate_reduce_ring(struct build *b);
void generate_reduce_pairwise(struct build *b);
void generate_reduce_scatter_circulant(struct build *b);
void generate_reduce_scatter_gather(struct build *b);
void generate_reduce_scatter_pairwise(struct build *b);
void generate_reduce_scatter_ring(struct build *b);
void generate_reduce_scatter_tree(struct build *b);
void generate_reduce_two_level(struct build *b);
void generate_scan_chain(struct build *b);
void generate_scan_doubling(struct build *b);
void generate_scatter_binomial(struct build *b);
void generate_scatter_linear(struct build *b);
void generate_scatterv_binomial(struct build *b);

#endif
