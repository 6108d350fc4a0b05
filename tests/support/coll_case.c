/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/support/coll_case.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "collectives/reduce.h"

enum { GUARD = 32, GUARD_BYTE = 0xa5 };

/* ------------------------------------------------------------------------------------ reference */

/* What rank r must find in its output, from what it was before. */
static void expect(const struct kase *k, struct rank_state *ranks, struct rank_state *r)
{
    size_t each = case_element_bytes(k);
    struct reduction reduction = reduction_find(k->type, k->op);
    int calls = 0;
    for (int i = 0; i < r->out_layout.n; i++) {
        unsigned char *to = r->wanted + r->out_layout.offsets[i] * each;
        size_t count = r->out_layout.counts[i];
        int from, part;
        if (case_source(k, r->rank, i, &from, &part)) {
            const struct layout *l = &ranks[from].in_layout;
            assert_int_equal(l->counts[part], count);
            memcpy(to, ranks[from].in_copy + l->offsets[part] * each, count * each);
        }
        size_t first = ranks[0].in_layout.n > 1 ? ranks[0].in_layout.offsets[r->rank] : 0;
        for (int o = case_has_arithmetic(k) ? case_operands(k, r->rank) : 0; o-- > 0;) {
            const unsigned char *in = ranks[o].in_copy + first * each;
            if (o == case_operands(k, r->rank) - 1)
                memcpy(to, in, count * each);
            else if (k->op == OWN_OPERATOR)
                case_compose(&calls, in, to, count, k->type);
            else
                for (size_t e = 0; e < count; e++)
                    reduction_run(&reduction, to + e * each, in + e * each, to + e * each, 1);
        }
    }
}

/* -------------------------------------------------------------------------------------- a case */

static void describe_case(const struct kase *k, const char *what, int rank)
{
    fail_msg(
        "%s by %s: %s at rank %d of %d, root %d, type %d, op %d, count %zu, in place %d, mode %d, "
        "seed %llu",
        collective_name(k->collective), k->algorithm ? k->algorithm : "choice", what, rank, k->size,
        k->root, k->type, k->op, k->count, k->in_place, (int)k->mode, (unsigned long long)k->seed);
}

static unsigned char *guarded(size_t bytes)
{
    unsigned char *m = malloc(bytes + 2 * GUARD);
    assert_non_null(m);
    memset(m, GUARD_BYTE, bytes + 2 * GUARD);
    return m + GUARD;
}

static void guarded_free(const struct rank_state *r, unsigned char *m, size_t bytes)
{
    for (size_t i = 0; i < GUARD; i++)
        if (m[-1 - (ptrdiff_t)i] != GUARD_BYTE || m[bytes + i] != GUARD_BYTE)
            describe_case(r->k, "wrote beside a buffer", r->rank);
    free(m - GUARD);
}

void rank_free(struct rank_state *r)
{
    guarded_free(r, r->in, r->in_bytes);
    guarded_free(r, r->in_copy, r->in_bytes);
    guarded_free(r, r->out, r->out_bytes);
    guarded_free(r, r->wanted, r->out_bytes);
}

void rank_make(struct rank_state *r, struct kase *k, struct fake *f, int rank)
{
    *r = (struct rank_state){ .k = k, .f = f, .rank = rank, .op = k->op };
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
    if (k->op == OWN_OPERATOR) {
        assert_int_equal(
            sinew_operator(fake_context(f, rank), case_compose, &r->own_calls, 0, &r->op), 0);
        assert_true(r->op >= OWN_OPERATOR);
    }
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
    struct sinew_team *team = fake_team(r->f, r->rank);
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
    struct sinew_team *team = fake_team(r->f, r->rank);
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
    struct sinew_team *team = fake_team(r->f, r->rank);
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

void case_check(struct kase *k, struct rank_state *ranks)
{
    for (int r = 0; r < k->size; r++) {
        if (ranks[r].status != 0) describe_case(k, "failed", r);
        if (memcmp(ranks[r].in, ranks[r].in_copy, ranks[r].in_bytes) != 0)
            describe_case(k, "input changed", r);
        if (k->wild)
            memcpy(ranks[r].wanted, ranks[k->root].out, ranks[r].out_bytes);
        else
            expect(k, ranks, &ranks[r]);
        if (memcmp(ranks[r].out, ranks[r].wanted, ranks[r].out_bytes) != 0)
            describe_case(k, "wrong result", r);
    }
}

/* Everyone begins in a random order with progress between; then progress until all are done. */
static void round_nonblocking(struct kase *k, struct fake *f, struct rank_state *ranks, bool start)
{
    uint64_t random = k->seed;
    int order[RANKS_MAX];
    for (int r = 0; r < k->size; r++) {
        int swap = (int)(fake_random(&random) % (uint64_t)(r + 1));
        order[r] = order[swap];
        order[swap] = r;
    }
    for (int i = 0; i < k->size; i++) {
        struct rank_state *r = &ranks[order[i]];
        r->status = start ? sinew_start(r->req) : rank_call(r, &r->req);
        if (r->status < 0) describe_case(k, fake_why(f), r->rank);
        for (uint64_t n = fake_random(&random) % 4; n > 0; n--) fake_progress(f);
    }
    while (fake_progress(f)) {
    }
    for (int r = 0; r < k->size; r++) {
        if (sinew_test(&ranks[r].req) > 0) describe_case(k, "never ended", r);
        ranks[r].status = 0;
    }
}

static void *rank_thread(void *arg)
{
    struct rank_state *r = arg;
    fake_lock(r->f);
    for (int round = 0; round < 3; round++) r->status = r->status ? r->status : rank_call(r, NULL);
    fake_unlock(r->f);
    return NULL;
}

static void round_blocking(struct kase *k, struct rank_state *ranks)
{
    pthread_t thread[RANKS_MAX];
    for (int r = 0; r < k->size; r++)
        assert_int_equal(pthread_create(&thread[r], NULL, rank_thread, &ranks[r]), 0);
    for (int r = 0; r < k->size; r++) pthread_join(thread[r], NULL);
}

static void run_persistent(struct kase *k, struct fake *f, struct rank_state *ranks)
{
    for (int r = 0; r < k->size; r++) {
        fake_view(f, r, true, k->algorithm);
        assert_int_equal(rank_call(&ranks[r], &ranks[r].req), 0);
        assert_non_null(ranks[r].req);
    }
    for (int round = 0; round < 3; round++) {
        k->round++;
        for (int r = 0; r < k->size; r++) rank_fill(&ranks[r]);
        round_nonblocking(k, f, ranks, true);
        case_check(k, ranks);
    }
    for (int r = 0; r < k->size; r++) assert_int_equal(sinew_request_free(&ranks[r].req), 0);
}

void case_run(struct kase *k)
{
    static const size_t eager[] = { 0, 64, 4096 };
    static const unsigned at_once[] = { 0, 50, 100 };
    static struct rank_state ranks[RANKS_MAX];
    uint64_t random = k->seed;
    struct fake_options options = {
        .seed = k->seed,
        .size = k->size,
        .eager_bytes = eager[fake_random(&random) % 3],
        .at_once = at_once[fake_random(&random) % 3],
    };
    struct fake *f = fake_new(&options);
    for (int r = 0; r < k->size; r++) {
        rank_make(&ranks[r], k, f, r);
        rank_fill(&ranks[r]);
        fake_view(f, r, false, k->algorithm);
    }
    if (k->mode == PERSISTENT) {
        run_persistent(k, f, ranks);
    } else {
        if (k->mode == BLOCKING)
            round_blocking(k, ranks);
        else
            round_nonblocking(k, f, ranks, false);
        case_check(k, ranks);
    }
    for (int r = 0; r < k->size; r++) rank_free(&ranks[r]);
    fake_free(f);
}
