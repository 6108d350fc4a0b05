/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * choose.c - which algorithm, by size: few rounds for short messages, few bytes for long ones, and
 * few turns where ranks take turns on few cores: a round then costs a turn of every rank
 *
 * The answer is a function of what all ranks know alike, so they choose alike. Whether it is
 * crowded changes no bit of a result.
 */
#include "collectives/collective.h"

#include "collectives/pattern/flat.h"
#include "sinew/sinew.h"

enum {
    KIB = 1024,
    DIRECT_UP_TO = 4, /* with more the messages of all to all cost more than the turns they save */
};

/* For short messages where ranks take turns; NULL: nothing of the kind. */
static const char *choose_crowded(const struct situation *at)
{
    if (!at->crowded || at->size <= 2 || at->size > FLAT_RANKS || at->bytes > 2 * KIB) return NULL;
    return at->size <= DIRECT_UP_TO ? "direct" : "flat";
}

/* With as many ranks in a ring each one's piece is still worth a message of its own. */
static uint64_t ring_from(uint64_t size)
{
    return size * 4 * KIB > 32 * KIB ? size * 4 * KIB : 32 * KIB;
}

static const char *choose_reduction(enum collective collective, const struct situation *at)
{
    const char *crowded = choose_crowded(at);
    uint64_t from = ring_from(at->size);
    bool ordered = at->need & KEEPS_ORDER, aligned = at->need & ALIGNED;
    switch (collective) {
    case COLLECTIVE_REDUCE:
        return !ordered && at->size > 3 && at->bytes >= 2 * from ? "ring" : "binomial";
    case COLLECTIVE_ALLREDUCE:
        if (aligned) return "tree";
        if (at->bytes >= from && at->size > 2) return ordered ? "rabenseifner" : "ring";
        return crowded ? crowded : "recursive-doubling";
    case COLLECTIVE_REDUCE_SCATTER:
    case COLLECTIVE_REDUCE_SCATTER_BLOCK:
        return !ordered && (at->size == 2 || at->bytes >= 2 * KIB) ? "ring" : "tree";
    default: /* prefixes */
        return !aligned && at->size <= 16 && at->bytes >= 256 * KIB ? "chain"
                                                                    : "recursive-doubling";
    }
}

static const char *choose_name(enum collective collective, const struct situation *at)
{
    const char *crowded = choose_crowded(at);
    bool is_short = at->bytes <= 2 * KIB;
    switch (collective) {
    case COLLECTIVE_BARRIER:
        return crowded ? crowded : "dissemination";
    case COLLECTIVE_BCAST:
        return at->size > 3 && at->bytes >= 2 * ring_from(at->size) ? "scatter-ring" : "binomial";
    case COLLECTIVE_GATHER:
    case COLLECTIVE_SCATTER:
        return is_short ? "binomial" : "linear";
    case COLLECTIVE_ALLGATHER:
    case COLLECTIVE_ALLGATHERV:
        return is_short && at->size > 2 ? "bruck" : "ring";
    case COLLECTIVE_ALLTOALL: /* few messages, but each block several times */
        return at->size > 4 && at->bytes <= 64 ? "bruck" : "pairwise";
    case COLLECTIVE_ALLTOALLV:
        return "pairwise";
    case COLLECTIVE_GATHERV:
    case COLLECTIVE_SCATTERV:
        return "linear";
    case COLLECTIVE_NEIGHBOUR_ALLGATHER:
    case COLLECTIVE_NEIGHBOUR_ALLTOALL:
    case COLLECTIVE_NEIGHBOUR_ALLTOALLV:
        return "direct";
    default:
        return choose_reduction(collective, at);
    }
}

uint32_t algorithm_choose(enum collective collective, const struct situation *at)
{
    int index = algorithm_find(collective, choose_name(collective, at));
    return index < 0 ? 0 : (uint32_t)index;
}
