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

static const char *choose_name(enum collective collective, uint64_t size, uint64_t bytes,
                               const char *crowded)
{
    uint64_t ring_from = size * 4 * KIB > 32 * KIB ? size * 4 * KIB : 32 * KIB;
    switch (collective) {
    case COLLECTIVE_BCAST:
        return size > 3 && bytes >= 2 * ring_from ? "scatter-ring" : "binomial";
    case COLLECTIVE_REDUCE:
        return size > 3 && bytes >= 2 * ring_from ? "ring" : "binomial";
    case COLLECTIVE_ALLREDUCE:
        return bytes >= ring_from ? "ring" : crowded ? crowded : "recursive-doubling";
    case COLLECTIVE_GATHER:
        return bytes > 2 * KIB ? "linear" : "binomial";
    case COLLECTIVE_ALLGATHER:
        return bytes > 2 * KIB ? "ring" : "bruck";
    default:
        return crowded ? crowded : "dissemination";
    }
}

uint32_t algorithm_choose(enum collective collective, const struct situation *at)
{
    const char *name = choose_name(collective, at->size, at->bytes, choose_crowded(at));
    int index = algorithm_find(collective, name);
    return index < 0 ? 0 : (uint32_t)index;
}
