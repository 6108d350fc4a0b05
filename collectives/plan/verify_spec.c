/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verify_spec.c - what each collective is for: where inputs are, and what outputs must be
 */
#include <stdlib.h>
#include <string.h>

#include "collectives/plan/verify.h"

static const struct value nothing;

/* How many blocks of OUT are one rank's; spec_counts() has seen to it that none are left over. */
static uint32_t pieces(const struct plan *p, uint32_t rank)
{
    uint32_t each = p->lane[rank].blocks[BUFFER_OUT] / p->size;
    return each ? each : 1;
}

/* Of IN and OUT, in units that are the same number of blocks on every rank; 0: any number. */
static void units_of(const struct plan *p, uint32_t rank, uint32_t *in, uint32_t *out)
{
    *in = *out = 1;
    switch (p->algorithm->collective) {
    case COLLECTIVE_BARRIER:
        *in = *out = 0;
        break;
    case COLLECTIVE_BCAST:
        *in = 0;
        break;
    case COLLECTIVE_GATHER:
    case COLLECTIVE_GATHERV:
        *out = rank == p->root ? p->size : 0;
        break;
    case COLLECTIVE_SCATTER:
    case COLLECTIVE_SCATTERV:
        *in = rank == p->root ? p->size : 0;
        break;
    case COLLECTIVE_ALLGATHER:
    case COLLECTIVE_ALLGATHERV:
        *out = p->size;
        break;
    case COLLECTIVE_ALLTOALL:
    case COLLECTIVE_ALLTOALLV:
        *in = *out = p->size;
        break;
    case COLLECTIVE_REDUCE_SCATTER:
    case COLLECTIVE_REDUCE_SCATTER_BLOCK:
        *in = p->size;
        break;
    default:
        break;
    }
}

static int count_check(const struct check *c, uint32_t rank, const char *name, uint32_t blocks,
                       uint32_t units, uint32_t *each)
{
    if (units == 0) return 0;
    if (*each == 0) *each = blocks / units;
    return *each > 0 && blocks == *each * units
               ? 0
               : check_fail(c, rank, UINT32_MAX, "%s has %u blocks, where %u times %u are due", name,
                            blocks, units, *each ? *each : 1);
}

int spec_counts(const struct check *c)
{
    uint32_t each = 0;
    for (uint32_t r = 0; r < c->plan->size; r++) {
        const struct lane *lane = &c->plan->lane[r];
        uint32_t in, out;
        int status = 0;
        units_of(c->plan, r, &in, &out);
        if (!lane->in_place)
            status = count_check(c, r, "IN", lane->blocks[BUFFER_IN], in, &each);
        if (status == 0 && lane->has_out)
            status = count_check(c, r, "OUT", lane->blocks[BUFFER_OUT], out, &each);
        if (status < 0) return status;
    }
    return 0;
}

/* The block of a rank's input that its OUT block holds beforehand when it is in place. */
static struct value placed(const struct plan *p, uint32_t rank, uint32_t block)
{
    uint32_t k = pieces(p, rank);
    switch (p->algorithm->collective) {
    case COLLECTIVE_GATHER:
    case COLLECTIVE_GATHERV:
        return block == rank ? value_token(rank, 0) : nothing;
    case COLLECTIVE_ALLGATHER:
    case COLLECTIVE_ALLGATHERV:
        return block / k == rank ? value_token(rank, block % k) : nothing;
    case COLLECTIVE_REDUCE_SCATTER:
    case COLLECTIVE_REDUCE_SCATTER_BLOCK: /* IN has it */
    case COLLECTIVE_SCATTER:
    case COLLECTIVE_SCATTERV:
        return nothing;
    default:
        return value_token(rank, block);
    }
}

struct value spec_begin(const struct plan *p, uint32_t rank, enum op_buffer buffer, uint32_t block)
{
    if (buffer == BUFFER_TMP) return nothing;
    if (buffer == BUFFER_CNT) { /* its own, and at the root of a scatter all */
        bool knows = p->algorithm->collective == COLLECTIVE_SCATTERV && rank == p->root;
        uint32_t of = p->lane[rank].first + block;
        return knows || (p->algorithm->collective == COLLECTIVE_GATHERV && of == rank)
                   ? value_length(of)
                   : nothing;
    }
    if (p->algorithm->collective == COLLECTIVE_BCAST)
        return buffer == BUFFER_OUT && rank == p->root ? value_token(rank, block) : nothing;
    if (buffer == BUFFER_IN) return value_token(rank, block);
    return p->lane[rank].in_place ? placed(p, rank, block) : nothing;
}

/* Which of a reduction's blocks an output block is, and of how many ranks. */
static void combined(const struct plan *p, uint32_t rank, uint32_t *block, uint32_t *ranks)
{
    *ranks = p->size;
    switch (p->algorithm->collective) {
    case COLLECTIVE_REDUCE_SCATTER:
    case COLLECTIVE_REDUCE_SCATTER_BLOCK:
        *block += rank * p->lane[rank].blocks[BUFFER_OUT];
        break;
    case COLLECTIVE_SCAN:
        *ranks = rank + 1;
        break;
    case COLLECTIVE_EXSCAN:
        *ranks = rank;
        break;
    default:
        break;
    }
}

static struct value moved(const struct plan *p, uint32_t rank, uint32_t block)
{
    uint32_t k = pieces(p, rank);
    switch (p->algorithm->collective) {
    case COLLECTIVE_BCAST:
        return value_token(p->root, block);
    case COLLECTIVE_SCATTER:
    case COLLECTIVE_SCATTERV:
        return value_token(p->root, rank);
    case COLLECTIVE_ALLTOALL:
    case COLLECTIVE_ALLTOALLV:
        return value_token(block / k, rank * k + block % k);
    case COLLECTIVE_ALLGATHER:
    case COLLECTIVE_ALLGATHERV:
        return value_token(block / k, block % k);
    default:
        return value_token(block, 0);
    }
}

/* All ranks' block `of`, at slot k: made once. */
static struct value whole(const struct check *c, uint32_t of, uint32_t k)
{
    if (c->whole[k].count == 0) c->whole[k] = value_aligned(c->plan->size, of);
    return c->whole[k];
}

static int spec_bracket(const struct check *c, uint32_t rank, struct value got, uint32_t block,
                        uint32_t k)
{
    if (c->first[k].count == 0) c->first[k] = got;
    if (got.tree == c->first[k].tree) return 0;
    return check_fail(c, rank, UINT32_MAX, "OUT[%u] is bracketed otherwise than on other ranks",
                      block);
}

static int spec_reduced(const struct check *c, uint32_t rank, struct value got, uint32_t block,
                        uint32_t k)
{
    const struct plan *p = c->plan;
    uint32_t of = block, ranks;
    combined(p, rank, &of, &ranks);
    if (ranks == 0) /* exscan at rank 0: as it was */
        return value_same(got, p->lane[rank].in_place ? placed(p, rank, block) : nothing)
                   ? 0
                   : check_fail(c, rank, UINT32_MAX, "OUT[%u] is written", block);
    bool everywhere = p->algorithm->collective == COLLECTIVE_ALLREDUCE;
    struct value want = everywhere ? whole(c, of, k) : value_aligned(ranks, of);
    unsigned flags = p->algorithm->flags;
    if (got.count != want.count)
        return check_fail(c, rank, UINT32_MAX, "OUT[%u] has %u inputs combined, not %u", block,
                          got.count, want.count);
    if (!value_same_inputs(got, want))
        return check_fail(c, rank, UINT32_MAX, "OUT[%u] has an input twice and lacks another",
                          block);
    if (flags & KEEPS_ORDER && got.word != want.word)
        return check_fail(c, rank, UINT32_MAX, "OUT[%u] is not in the ranks' order", block);
    if (flags & ALIGNED && got.tree != want.tree)
        return check_fail(c, rank, UINT32_MAX, "OUT[%u] is not bracketed by the aligned tree",
                          block);
    return everywhere ? spec_bracket(c, rank, got, block, k) : 0;
}

int spec_end(const struct check *c, uint32_t rank, const struct value *out, const uint32_t *blocks,
             uint32_t n)
{
    const struct plan *p = c->plan;
    bool reduces = collective_reduces(p->algorithm->collective);
    if (!p->lane[rank].has_out) return 0;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t block = c->columns.n ? blocks[k] : k;
        if (reduces) {
            int status = spec_reduced(c, rank, out[k], block, k);
            if (status < 0) return status;
        } else if (!value_same(out[k], moved(p, rank, block))) {
            return check_fail(c, rank, UINT32_MAX,
                              out[k].count ? "OUT[%u] has something else" : "OUT[%u] is missing",
                              block);
        }
    }
    return 0;
}
