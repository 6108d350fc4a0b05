/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * choose.c - which algorithm, by size: few rounds for short messages, few bytes for long ones
 *
 * The answer is a function of what all ranks know alike, so they choose alike.
 */
#include "collectives/collective.h"

#include "sinew/sinew.h"

enum { KIB = 1024 };

static const char *choose_name(enum collective collective, uint64_t size, uint64_t bytes)
{
    uint64_t ring_from = size * 4 * KIB > 32 * KIB ? size * 4 * KIB : 32 * KIB;
    switch (collective) {
    case COLLECTIVE_BCAST:
        return size > 3 && bytes >= 2 * ring_from ? "scatter-ring" : "binomial";
    case COLLECTIVE_REDUCE:
        return size > 3 && bytes >= 2 * ring_from ? "ring" : "binomial";
    case COLLECTIVE_ALLREDUCE:
        return bytes >= ring_from ? "ring" : "recursive-doubling";
    case COLLECTIVE_GATHER:
        return bytes > 2 * KIB ? "linear" : "binomial";
    case COLLECTIVE_ALLGATHER:
        return bytes > 2 * KIB ? "ring" : "bruck";
    default:
        return "dissemination";
    }
}

uint32_t algorithm_choose(enum collective collective, uint32_t size, uint64_t bytes)
{
    int index = algorithm_find(collective, choose_name(collective, size, bytes));
    return index < 0 ? 0 : (uint32_t)index;
}
