/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/support/coll_rank.h"

#include <stdlib.h>
#include <string.h>

#include "collectives/reduce.h"
#include "messaging/operation.h"

enum { GUARD = 32, GUARD_BYTE = 0xa5 };

/* ------------------------------------------------------------------------------------ reference */

/* A rank's input, made again: free() is due. */
static unsigned char *input_of(const struct kase *k, int rank, struct layout *l)
{
    case_in(k, rank, l);
    unsigned char *in = malloc(l->end * case_element_bytes(k) + 1);
    if (in) case_fill(k, rank, in, l->end);
    return in;
}

static void expect_moved(const struct rank_state *r)
{
    const struct kase *k = r->k;
    size_t each = case_element_bytes(k);
    for (int i = 0; i < r->out_layout.n; i++) {
        struct layout l;
        int from, part;
        if (!case_source(k, r->rank, i, &from, &part)) continue;
        unsigned char *in = input_of(k, from, &l);
        if (l.counts[part] == r->out_layout.counts[i])
            memcpy(r->wanted + r->out_layout.offsets[i] * each, in + l.offsets[part] * each,
                   l.counts[part] * each);
        free(in);
    }
}

/* One element after the other, from the last rank to the first. */
static void expect_reduced(const struct rank_state *r)
{
    const struct kase *k = r->k;
    struct reduction reduction = reduction_find(k->type, k->op);
    size_t each = case_element_bytes(k), count = r->out_layout.counts[0];
    int calls = 0, operands = case_operands(k, r->rank);
    for (int o = operands; o-- > 0;) {
        struct layout l;
        unsigned char *in = input_of(k, o, &l), *to = r->wanted;
        const unsigned char *mine = in + (l.n > 1 ? l.offsets[r->rank] * each : 0);
        if (o == operands - 1)
            memcpy(to, mine, count * each);
        else if (k->op == OWN_OPERATOR)
            case_compose(&calls, mine, to, count, k->type);
        else
            for (size_t e = 0; e < count; e++)
                reduction_run(&reduction, to + e * each, mine + e * each, to + e * each, 1);
        free(in);
    }
}

const char *rank_wrong(struct rank_state *r)
{
    if (memcmp(r->in, r->in_copy, r->in_bytes) != 0) return "input changed";
    if (!r->k->wild && !case_has_arithmetic(r->k)) expect_moved(r);
    if (!r->k->wild && case_has_arithmetic(r->k) && r->out_layout.n) expect_reduced(r);
    return memcmp(r->out, r->wanted, r->out_bytes) != 0 ? "wrong result" : NULL;
}

/* -------------------------------------------------------------------------------------- a rank */

static unsigned char *guarded(size_t bytes)
{
    unsigned char *m = malloc(bytes + 2 * GUARD);
    memset(m, GUARD_BYTE, bytes + 2 * GUARD);
    return m + GUARD;
}

/* false: something was written beside it. */
static bool guarded_free(unsigned char *m, size_t bytes)
{
    bool whole = true;
    for (size_t i = 0; i < GUARD; i++)
        whole &= m[-1 - (ptrdiff_t)i] == GUARD_BYTE && m[bytes + i] == GUARD_BYTE;
    free(m - GUARD);
    return whole;
}

bool rank_release(struct rank_state *r)
{
    bool whole = guarded_free(r->in, r->in_bytes);
    whole &= guarded_free(r->in_copy, r->in_bytes);
    whole &= guarded_free(r->out, r->out_bytes);
    return guarded_free(r->wanted, r->out_bytes) && whole;
}

bool rank_prepare(struct rank_state *r, struct kase *k, struct sinew_team *team, int rank)
{
    *r = (struct rank_state){ .k = k, .team = team, .rank = rank, .op = k->op };
    case_in(k, rank, &r->in_layout);
    case_out(k, rank, &r->out_layout);
    bool scatters = k->collective == COLLECTIVE_REDUCE_SCATTER ||
                    k->collective == COLLECTIVE_REDUCE_SCATTER_BLOCK;
    r->in_bytes = r->in_layout.end * case_element_bytes(k);
    r->out_bytes = r->out_layout.end * case_element_bytes(k);
    if (scatters && case_placed(k, rank)) r->out_bytes = r->in_bytes;
    r->in = guarded(r->in_bytes);
    r->in_copy = guarded(r->in_bytes);
    r->out = guarded(r->out_bytes);
    r->wanted = guarded(r->out_bytes);
    if (k->op != OWN_OPERATOR) return true;
    struct sinew *s = team_context(team);
    return sinew_operator(s, case_compose, &r->own_calls, 0, &r->op) == 0 && r->op >= OWN_OPERATOR;
}

/* Where the input is in the output beforehand: its parts, by where they go. */
static void place_input(struct rank_state *r)
{
    const struct kase *k = r->k;
    const struct layout *in = &r->in_layout, *out = &r->out_layout;
    size_t each = case_element_bytes(k);
    if (k->collective == COLLECTIVE_SCATTER || k->collective == COLLECTIVE_SCATTERV) return;
    if (in->n > 1 && out->n == in->n) /* all to all */
        for (int i = 0; i < in->n; i++)
            memcpy(r->out + out->offsets[i] * each, r->in + in->offsets[i] * each,
                   in->counts[i] * each);
    else
        memcpy(r->out + (out->n > 1 ? out->offsets[r->rank] * each : 0), r->in, r->in_bytes);
}

/* New input for a round. */
void rank_fill(struct rank_state *r)
{
    const struct kase *k = r->k;
    case_fill(k, r->rank, r->in, r->in_layout.end);
    memcpy(r->in_copy, r->in, r->in_bytes);
    memset(r->out, 0x5c, r->out_bytes);
    if (k->collective == COLLECTIVE_BCAST && r->rank == k->root) memcpy(r->out, r->in, r->in_bytes);
    if (case_placed(k, r->rank)) place_input(r);
    memcpy(r->wanted, r->out, r->out_bytes);
}

static int rank_reduces(struct rank_state *r, const void *in, struct sinew_request **req)
{
    const struct kase *k = r->k;
    struct sinew_team *team = r->team;
    switch (k->collective) {
    case COLLECTIVE_REDUCE:
        return sinew_reduce(team, in, r->out, k->count, k->type, r->op, k->root, req);
    case COLLECTIVE_ALLREDUCE:
        return sinew_allreduce(team, in, r->out, k->count, k->type, r->op, req);
    case COLLECTIVE_REDUCE_SCATTER:
        return sinew_reduce_scatter(team, in, r->out, r->in_layout.counts, k->type, r->op, req);
    case COLLECTIVE_REDUCE_SCATTER_BLOCK:
        return sinew_reduce_scatter_block(team, in, r->out, k->count, k->type, r->op, req);
    case COLLECTIVE_SCAN:
        return sinew_scan(team, in, r->out, k->count, k->type, r->op, req);
    default:
        return sinew_exscan(team, in, r->out, k->count, k->type, r->op, req);
    }
}

static int rank_neighbours(struct rank_state *r, struct sinew_request **req)
{
    const struct kase *k = r->k;
    struct sinew_team *team = r->team;
    const struct layout *il = &r->in_layout, *ol = &r->out_layout;
    int to[PARTS_MAX], from[PARTS_MAX];
    struct sinew_graph graph = { to, from, case_neighbours(k, r->rank, false, to),
                                 case_neighbours(k, r->rank, true, from) };
    switch (k->collective) {
    case COLLECTIVE_NEIGHBOUR_ALLGATHER:
        return sinew_neighbour_allgather(team, &graph, r->in, k->count, r->out, req);
    case COLLECTIVE_NEIGHBOUR_ALLTOALL:
        return sinew_neighbour_alltoall(team, &graph, r->in, k->count, r->out, req);
    default:
        return sinew_neighbour_alltoallv(team, &graph, r->in, il->counts,
                                         il->apart ? il->offsets : NULL, r->out, ol->counts,
                                         ol->apart ? ol->offsets : NULL, req);
    }
}

int rank_call(struct rank_state *r, struct sinew_request **req)
{
    const struct kase *k = r->k;
    struct sinew_team *team = r->team;
    bool placed = case_placed(k, r->rank);
    const struct layout il = r->in_layout, ol = r->out_layout; /* gone after the call */
    const size_t *in_offsets = il.apart ? il.offsets : NULL;
    const size_t *out_offsets = ol.apart ? ol.offsets : NULL;
    const void *in = placed ? SINEW_IN_PLACE : r->in;
    void *out = placed ? SINEW_IN_PLACE : r->out; /* of a scatter */
    switch (k->collective) {
    case COLLECTIVE_BARRIER:
        return sinew_barrier(team, req);
    case COLLECTIVE_BCAST:
        return sinew_bcast(team, r->out, k->count, k->root, req);
    case COLLECTIVE_GATHER:
        return sinew_gather(team, in, k->count, r->out, k->root, req);
    case COLLECTIVE_GATHERV:
        return sinew_gatherv(team, in, il.end, r->out, ol.counts, out_offsets, k->root, req);
    case COLLECTIVE_SCATTER:
        return sinew_scatter(team, r->in, k->count, out, k->root, req);
    case COLLECTIVE_SCATTERV:
        return sinew_scatterv(team, r->in, il.counts, in_offsets, out, ol.end, k->root, req);
    case COLLECTIVE_ALLGATHER:
        return sinew_allgather(team, in, k->count, r->out, req);
    case COLLECTIVE_ALLGATHERV:
        return sinew_allgatherv(team, in, il.end, r->out, ol.counts, out_offsets, req);
    case COLLECTIVE_ALLTOALL:
        return sinew_alltoall(team, in, k->count, r->out, req);
    case COLLECTIVE_ALLTOALLV:
        return sinew_alltoallv(team, in, il.counts, in_offsets, r->out, ol.counts, out_offsets,
                               req);
    default:
        return case_has_arithmetic(k) ? rank_reduces(r, in, req) : rank_neighbours(r, req);
    }
}
