/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/support/coll_case.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { GUARD = 32, GUARD_BYTE = 0xa5 };

/* ------------------------------------------------------------------------------------ reference */

static size_t element_bytes(const struct kase *k)
{
    return k->type ? sinew_type_size(k->type) : 1;
}

bool case_has_root(const struct kase *k)
{
    return k->collective == COLLECTIVE_BCAST || k->collective == COLLECTIVE_REDUCE ||
           k->collective == COLLECTIVE_GATHER;
}

static bool gathers(const struct kase *k)
{
    return k->collective == COLLECTIVE_GATHER || k->collective == COLLECTIVE_ALLGATHER;
}

/* Values for which any bracketing gives the same result: small integers, powers of two for
 * products. */
static double tame_value(const struct kase *k, uint64_t random)
{
    static const double factors[] = { 1, -1, 2, 0.5, 1, 1 };
    if (k->op == SINEW_PROD) return factors[random % 6];
    return (double)(random % 2001) - 1000;
}

static void fill(const struct kase *k, int rank, unsigned char *at, size_t bytes)
{
    uint64_t state = k->seed ^ (uint64_t)rank * 0x10001;
    for (size_t i = 0; i < bytes; i++) at[i] = (unsigned char)fake_random(&state);
    if (k->wild || (k->type != SINEW_F32 && k->type != SINEW_F64)) return;
    size_t each = element_bytes(k);
    for (size_t i = 0; i + each <= bytes; i += each) {
        double d = tame_value(k, fake_random(&state));
        float f = (float)d;
        memcpy(at + i, each == 4 ? (void *)&f : (void *)&d, each);
    }
}

static uint64_t load_bits(const unsigned char *at, size_t each)
{
    uint64_t v = 0;
    memcpy(&v, at, each);
    return v;
}

static int64_t extend(uint64_t v, size_t each)
{
    int shift = (int)(64 - 8 * each);
    return (int64_t)(v << shift) >> shift;
}

static uint64_t combine_integer(const struct kase *k, uint64_t a, uint64_t b)
{
    size_t each = element_bytes(k);
    bool less = k->type <= SINEW_I64 ? extend(a, each) < extend(b, each) : a < b;
    switch (k->op) {
    case SINEW_SUM:
        return a + b;
    case SINEW_PROD:
        return a * b;
    case SINEW_MIN:
        return less ? a : b;
    default:
        return less ? b : a;
    }
}

static double combine_float(const struct kase *k, double a, double b)
{
    switch (k->op) {
    case SINEW_SUM:
        return a + b;
    case SINEW_PROD:
        return a * b;
    case SINEW_MIN:
        return a < b ? a : b;
    default:
        return a < b ? b : a;
    }
}

static void combine(const struct kase *k, unsigned char *acc, const unsigned char *with)
{
    size_t each = element_bytes(k);
    for (size_t i = 0; i < k->count; i++, acc += each, with += each) {
        if (k->type == SINEW_F32) {
            float a, b;
            memcpy(&a, acc, each);
            memcpy(&b, with, each);
            a = (float)combine_float(k, (double)a, (double)b);
            memcpy(acc, &a, each);
        } else if (k->type == SINEW_F64) {
            double a, b;
            memcpy(&a, acc, each);
            memcpy(&b, with, each);
            a = combine_float(k, a, b);
            memcpy(acc, &a, each);
        } else {
            uint64_t v = combine_integer(k, load_bits(acc, each), load_bits(with, each));
            memcpy(acc, &v, each);
        }
    }
}

/* What rank `rank` must find in its output. */
static void expect(const struct kase *k, struct rank_state *ranks, unsigned char *out)
{
    size_t bytes = k->count * element_bytes(k);
    for (int r = 0; r < k->size; r++) {
        if (k->collective == COLLECTIVE_BCAST && r == k->root) memcpy(out, ranks[r].in_copy, bytes);
        if (gathers(k)) memcpy(out + (size_t)r * bytes, ranks[r].in_copy, bytes);
        if (k->collective == COLLECTIVE_REDUCE || k->collective == COLLECTIVE_ALLREDUCE) {
            if (r == 0) memcpy(out, ranks[r].in_copy, bytes);
            if (r > 0) combine(k, out, ranks[r].in_copy);
        }
    }
}

/* ------------------------------------------------------------------------------------------- a
 * case */

static void describe_case(const struct kase *k, const char *what, int rank)
{
    fail_msg(
        "%s by %s: %s at rank %d of %d, root %d, type %d, op %d, count %zu, in place %d, mode %d, "
        "seed %llu",
        collective_name(k->collective), k->algorithm ? k->algorithm : "choice", what, rank, k->size,
        k->root, k->type, k->op, k->count, k->in_place, (int)k->mode, (unsigned long long)k->seed);
}

static bool placed(const struct kase *k, int rank)
{
    return k->in_place && k->collective != COLLECTIVE_BCAST &&
           (!case_has_root(k) || rank == k->root);
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
}

void rank_make(struct rank_state *r, struct kase *k, struct fake *f, int rank)
{
    bool output = k->collective != COLLECTIVE_BARRIER &&
                  (!case_has_root(k) || rank == k->root || k->collective == COLLECTIVE_BCAST);
    *r = (struct rank_state){ .k = k, .f = f, .rank = rank };
    r->in_bytes = k->count * element_bytes(k);
    r->out_bytes = output ? r->in_bytes * (gathers(k) ? (size_t)k->size : 1) : 0;
    r->in = guarded(r->in_bytes);
    r->in_copy = guarded(r->in_bytes);
    r->out = guarded(r->out_bytes);
}

/* New input for a round. */
void rank_fill(struct rank_state *r)
{
    const struct kase *k = r->k;
    fill(k, r->rank, r->in, r->in_bytes);
    memcpy(r->in_copy, r->in, r->in_bytes);
    memset(r->out, 0x5c, r->out_bytes);
    if (placed(k, r->rank))
        memcpy(r->out + (gathers(k) ? (size_t)r->rank * r->in_bytes : 0), r->in, r->in_bytes);
    if (k->collective == COLLECTIVE_BCAST && r->rank == k->root) memcpy(r->out, r->in, r->in_bytes);
}

int rank_call(struct rank_state *r, struct sinew_request **req)
{
    const struct kase *k = r->k;
    struct sinew_team *team = fake_team(r->f, r->rank);
    const void *in = placed(k, r->rank) ? SINEW_IN_PLACE : r->in;
    switch (k->collective) {
    case COLLECTIVE_BARRIER:
        return sinew_barrier(team, req);
    case COLLECTIVE_BCAST:
        return sinew_bcast(team, r->out, k->count, k->root, req);
    case COLLECTIVE_REDUCE:
        return sinew_reduce(team, in, r->out, k->count, k->type, k->op, k->root, req);
    case COLLECTIVE_ALLREDUCE:
        return sinew_allreduce(team, in, r->out, k->count, k->type, k->op, req);
    case COLLECTIVE_GATHER:
        return sinew_gather(team, in, k->count, r->out, k->root, req);
    default:
        return sinew_allgather(team, in, k->count, r->out, req);
    }
}

void case_check(struct kase *k, struct rank_state *ranks)
{
    size_t bytes = k->count * element_bytes(k) * (gathers(k) ? (size_t)k->size : 1);
    unsigned char *wanted = malloc(bytes + 1);
    expect(k, ranks, wanted);
    if (k->wild && ranks[k->root].out_bytes) memcpy(wanted, ranks[k->root].out, bytes);
    for (int r = 0; r < k->size; r++) {
        if (ranks[r].status != 0) describe_case(k, "failed", r);
        if (memcmp(ranks[r].in, ranks[r].in_copy, ranks[r].in_bytes) != 0)
            describe_case(k, "input changed", r);
        if (ranks[r].out_bytes && memcmp(ranks[r].out, wanted, bytes) != 0)
            describe_case(k, "wrong result", r);
    }
    free(wanted);
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
        k->seed += 1;
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

bool case_has_arithmetic(const struct kase *k)
{
    return k->collective == COLLECTIVE_REDUCE || k->collective == COLLECTIVE_ALLREDUCE;
}

void case_pick(struct kase *k, uint64_t *random)
{
    k->type = k->op = 0;
    if (k->collective == COLLECTIVE_BARRIER) k->count = 0;
    if (!case_has_arithmetic(k)) return;
    k->type = SINEW_I8 + (int)(fake_random(random) % 10);
    k->op = SINEW_SUM + (int)(fake_random(random) % 4);
}
