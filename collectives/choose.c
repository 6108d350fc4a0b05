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

enum { KIB = 1024 };

static const char *choose_name(enum collective collective, uint64_t size, uint64_t bytes, bool flat)
{
    uint64_t ring_from = size * 4 * KIB > 32 * KIB ? size * 4 * KIB : 32 * KIB;
    switch (collective) {
    case COLLECTIVE_BCAST:
        return size > 3 && bytes >= 2 * ring_from ? "scatter-ring" : "binomial";
    case COLLECTIVE_REDUCE:
        return size > 3 && bytes >= 2 * ring_from ? "ring" : "binomial";
    case COLLECTIVE_ALLREDUCE:
        return bytes >= ring_from ? "ring" : flat ? "flat" : "recursive-doubling";
    case COLLECTIVE_GATHER:
        return bytes > 2 * KIB ? "linear" : "binomial";
    case COLLECTIVE_ALLGATHER:
        return bytes > 2 * KIB ? "ring" : "bruck";
    default:
        return flat ? "flat" : "dissemination";
    }
}

uint32_t algorithm_choose(enum collective collective, const struct situation *at)
{
    bool flat = at->crowded && at->size > 2 && at->size <= FLAT_RANKS && at->bytes <= 2 * KIB;
    int index = algorithm_find(collective, choose_name(collective, at->size, at->bytes, flat));
    return index < 0 ? 0 : (uint32_t)index;
}
