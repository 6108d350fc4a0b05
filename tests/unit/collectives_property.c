/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every collective, by every algorithm, agrees with a naive reference: for any number of ranks,
 * count, root, type and operator, in place or not, nonblocking, persistent and blocking, whatever
 * the order in which things complete. Inputs stay as they are, nothing is written beside outputs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collectives/pattern/multiplying.h"
#include "collectives/reduce.h"
#include "tests/support/coll_case.h"

static uint64_t seed_base = 20260711;

/* Of the whole product, one case in so many is played; all in the long tier. */
#ifdef __SANITIZE_ADDRESS__
static unsigned one_in = 307; /* each costs more */
#else
static unsigned one_in = 101;
#endif

struct product {
    unsigned at, played;
    uint64_t random;
};

/* 1..17 ranks x counts x in place, of one algorithm, type and operator (0, 0: none). */
static void every_size_and_count(struct product *p, uint32_t a, int type, int op, unsigned each)
{
    for (int size = 1; size <= 17; size++) {
        size_t n = (size_t)size, counts[] = { 0, 1, n - 1, n, n + 1, 700 };
        for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++)
            for (int in_place = 0; in_place < 2; in_place++) {
                if (p->at++ % each) continue;
                struct kase k = {
                    .collective = algorithms[a].collective,
                    .algorithm = case_variant(a, p->played),
                    .size = size,
                    .type = type,
                    .op = op,
                    .count = algorithms[a].collective == COLLECTIVE_BARRIER ? 0 : counts[c],
                    .in_place = in_place,
                    .mode = fake_random(&p->random) % 4 == 0 ? PERSISTENT : NONBLOCKING,
                    .seed = fake_random(&p->random),
                };
                if (case_has_root(&k)) k.root = (int)(fake_random(&p->random) % n);
                case_run(&k);
                p->played++;
            }
    }
}

/* Algorithm x type x operator x 1..17 ranks x counts x in place; roots, modes and orders by the
 * seed. Where there is no arithmetic, all of it always, twice. */
static void every_combination_agrees_with_the_reference(void **state)
{
    (void)state;
    struct product p = { .random = seed_base };
    for (uint32_t a = 0; a < algorithm_count; a++) {
        struct kase like = { .collective = algorithms[a].collective };
        if (!case_has_arithmetic(&like)) {
            for (int twice = 0; twice < 2; twice++) every_size_and_count(&p, a, 0, 0, 1);
            continue;
        }
        for (int type = SINEW_I8; type <= SINEW_I64_I32; type++)
            for (int op = SINEW_SUM; op <= SINEW_LXOR; op++)
                if (reduction_find(type, op).kernel) every_size_and_count(&p, a, type, op, one_in);
        if (algorithms[a].flags & KEEPS_ORDER)
            every_size_and_count(&p, a, OWN_TYPE, OWN_OPERATOR, 1);
    }
    print_message("%u of %u cases, seed %llu\n", p.played, p.at, (unsigned long long)seed_base);
}

/* Any float bits, NaN, infinities and all: an allreduce gives every rank the same. */
static void allreduce_gives_all_ranks_the_same_bits(void **state)
{
    (void)state;
    static const char *const names[] = {
        "ring",   "recursive-doubling", "rabenseifner",          "tree",      "flat",
        "direct", "allgather-reduce",   "recursive-multiplying", "circulant", "pairwise:3",
    };
    uint64_t random = seed_base + 2;
    for (int size = 2; size <= 17; size++)
        for (int type = SINEW_F32; type <= SINEW_I64_I32; type++)
            for (int op = SINEW_SUM; op <= SINEW_MAXLOC; op++)
                for (int a = 0; a < 10 && reduction_find(type, op).kernel; a++) {
                    struct kase k = {
                        .collective = COLLECTIVE_ALLREDUCE,
                        .algorithm = names[a],
                        .size = size,
                        .type = type,
                        .op = op,
                        .count = 40,
                        .wild = true,
                        .seed = fake_random(&random),
                    };
                    case_run(&k);
                }
}

/* All of one case's inputs: sums of them round. */
static void fill_with_fractions(struct rank_state *r, uint64_t *random)
{
    double *in = (double *)(void *)r->in;
    for (size_t i = 0; i < r->in_bytes / sizeof(*in); i++)
        in[i] = (double)(fake_random(random) % 1000003) / 7919;
    memcpy(r->in_copy, r->in, r->in_bytes);
}

/* The sum by one algorithm, which all ranks have alike. */
static void sum_by(const char *algorithm, int size, uint64_t seed, double *sum, size_t count)
{
    struct kase k = { .collective = COLLECTIVE_ALLREDUCE,
                      .algorithm = algorithm,
                      .size = size,
                      .type = SINEW_F64,
                      .op = SINEW_SUM,
                      .count = count,
                      .seed = seed };
    struct fake_options options = { .seed = seed, .size = size, .eager_bytes = 100, .at_once = 50,
                                    .lands = seed & 1 };
    struct rank_state ranks[RANKS_MAX];
    struct fake *f = fake_new(&options);
    uint64_t random = seed;
    for (int r = 0; r < size; r++) {
        rank_make(&ranks[r], &k, f, r);
        fill_with_fractions(&ranks[r], &random);
        fake_view(f, r, false, algorithm);
        assert_true(rank_call(&ranks[r], &ranks[r].req) >= 0);
    }
    while (fake_progress(f)) {
    }
    for (int r = 0; r < size; r++) assert_int_equal(sinew_test(&ranks[r].req), 0);
    memcpy(sum, ranks[size - 1].out, count * sizeof(*sum));
    for (int r = 0; r < size; r++) {
        if (memcmp(sum, ranks[r].out, count * sizeof(*sum)) != 0)
            fail_msg("%s, %d ranks: rank %d has other bits than the last", algorithm, size, r);
        rank_free(&ranks[r]);
    }
    fake_free(f);
}

/* What few cores may make the library choose is bracketed by the aligned tree, as is what it
 * chooses without: no bit changes. Doubling and halving are, too, among 2^k ranks. */
static void aligned_ones_give_the_bits_of_the_tree(void **state)
{
    (void)state;
    static const char *const always[] = { "flat", "direct", "allgather-reduce",
                                          "recursive-multiplying:2", "recursive-multiplying:4",
                                          "recursive-multiplying:8", "recursive-multiplying:16" };
    static const char *const of_2k[] = { "recursive-doubling", "rabenseifner" };
    double tree[50], other[50];
    for (int size = 2; size <= MULTIPLYING_RANKS; size++) {
        uint64_t seed = seed_base + (uint64_t)size;
        sum_by("tree", size, seed, tree, 50);
        for (int i = 0; i < (int)(sizeof(always) / sizeof(always[0])); i++) {
            sum_by(always[i], size, seed, other, 50);
            if (memcmp(tree, other, sizeof(tree)) != 0)
                fail_msg("%s, %d ranks: other bits than the tree's", always[i], size);
            if (size & (size - 1)) continue;
            sum_by(of_2k[i % 2], size, seed, other, 50);
            if (memcmp(tree, other, sizeof(tree)) != 0)
                fail_msg("%s, %d ranks: other bits than the tree's", of_2k[i % 2], size);
        }
    }
}

/* The sum of values[0] to values[n - 1] of one element by the aligned tree: an independent telling
 * of it, from the top. */
static double aligned_sum(const double *values, size_t stride, int n)
{
    int half = 1;
    if (n == 1) return values[0];
    while (2 * half < n) half *= 2;
    return aligned_sum(values, stride, half) +
           aligned_sum(values + (size_t)half * stride, stride, n - half);
}

/* At level portable, whatever is chosen, of whatever length: the aligned tree's bits. */
static void portable_is_the_aligned_tree(void **state)
{
    (void)state;
    static const enum collective all[] = { COLLECTIVE_REDUCE, COLLECTIVE_ALLREDUCE,
                                           COLLECTIVE_REDUCE_SCATTER_BLOCK, COLLECTIVE_SCAN,
                                           COLLECTIVE_EXSCAN };
    uint64_t random = seed_base + 8;
    for (int size = 1; size <= RANKS_MAX; size++)
        for (int c = 0; c < 5; c++)
            for (size_t count = 1; count <= 4001;
                 count += size == 7 || size == 17 ? 4000 : 100000) {
                struct kase k = { .collective = all[c],
                                  .size = size,
                                  .type = SINEW_F64,
                                  .op = SINEW_SUM,
                                  .count = count,
                                  .seed = random };
                struct fake_options options = {
                    .seed = random, .size = size, .at_once = 50, .eager_bytes = 100
                };
                struct rank_state ranks[RANKS_MAX];
                struct fake *f = fake_new(&options);
                size_t whole = count * (c == 2 ? (size_t)size : 1);
                double *values = malloc((size_t)size * whole * sizeof(*values));
                for (int r = 0; r < size; r++) {
                    rank_make(&ranks[r], &k, f, r);
                    rank_fill(&ranks[r]);
                    fill_with_fractions(&ranks[r], &random);
                    memcpy(values + (size_t)r * whole, ranks[r].in, ranks[r].in_bytes);
                    fake_level(f, r, SINEW_LEVEL_PORTABLE);
                    assert_true(rank_call(&ranks[r], &ranks[r].req) >= 0);
                }
                while (fake_progress(f)) {
                }
                for (int r = 0; r < size; r++) {
                    int operands = case_operands(&k, r);
                    const double *out = (const double *)(const void *)ranks[r].out;
                    assert_int_equal(sinew_test(&ranks[r].req), 0);
                    for (size_t i = 0; operands && ranks[r].out_bytes && i < count;
                         i += 1 + i / 3) {
                        size_t at = i + (c == 2 ? (size_t)r * count : 0);
                        double sum = aligned_sum(values + at, whole, operands);
                        if (memcmp(&sum, &out[i], sizeof(sum)) != 0)
                            fail_msg("%s, %d ranks, rank %d, element %zu of %zu",
                                     collective_name(all[c]), size, r, i, count);
                    }
                    rank_free(&ranks[r]);
                }
                free(values);
                fake_free(f);
            }
}

/* NaN, infinity and both zeros at every rank and place: all ranks get the same bits, by every
 * algorithm, and NaN wherever one operand is NaN or infinities meet. */
static void special_values_anywhere(void **state)
{
    (void)state;
    static const double special[] = { NAN, -NAN, INFINITY, -INFINITY, -0.0, 0.0 };
    uint64_t random = seed_base + 9;
    for (uint32_t a = 0; a < algorithm_count; a++) {
        if (algorithms[a].collective != COLLECTIVE_ALLREDUCE) continue;
        for (int size = 2; size <= 7; size++)
            for (int at = 0; at < size * size; at++) { /* two ranks, perhaps the same */
                enum { COUNT = 36 };
                double out[COUNT];
                struct fake_options options = { .seed = fake_random(&random), .size = size };
                struct fake *f = fake_new(&options);
                struct sinew_request *req[RANKS_MAX];
                double in[7][COUNT], got[7][COUNT];
                for (int r = 0; r < size; r++) {
                    for (int i = 0; i < COUNT; i++) {
                        in[r][i] = -0.0;
                        if (r == at % size) in[r][i] = special[i % 6];
                        if (r == at / size) in[r][i] = special[i / 6];
                    }
                    fake_view(f, r, false, algorithms[a].name);
                    assert_true(sinew_allreduce(fake_team(f, r), in[r], got[r], COUNT, SINEW_F64,
                                                SINEW_SUM, &req[r]) >= 0);
                }
                while (fake_progress(f)) {
                }
                for (int i = 0; i < COUNT; i++) {
                    out[i] = in[0][i];
                    for (int r = 1; r < size; r++) out[i] += in[r][i];
                    if (isnan(out[i])) out[i] = NAN;
                }
                for (int r = 0; r < size; r++) {
                    assert_int_equal(sinew_test(&req[r]), 0);
                    assert_memory_equal(got[r], out, sizeof(out));
                }
                fake_free(f);
            }
    }
}

/* What is chosen for long vectors works, too. */
static void long_vectors_agree(void **state)
{
    (void)state;
    uint64_t random = seed_base + 3;
    static const enum collective all[] = { COLLECTIVE_BCAST, COLLECTIVE_REDUCE,
                                           COLLECTIVE_ALLREDUCE, COLLECTIVE_GATHER,
                                           COLLECTIVE_ALLGATHER };
    static const int sizes[] = { 1, 2, 4, 7, 33 };
    for (size_t c = 0; c < sizeof(all) / sizeof(all[0]); c++)
        for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            struct kase k = {
                .collective = all[c],
                .size = sizes[s],
                .count = 30000 + fake_random(&random) % 10000,
                .seed = fake_random(&random),
            };
            if (case_has_arithmetic(&k)) k.type = SINEW_F64, k.op = SINEW_SUM;
            if (case_has_root(&k)) k.root = (int)(fake_random(&random) % (uint64_t)k.size);
            case_run(&k);
        }
}

/* Blocking calls, a thread for each rank, three in a row. */
static void blocking_calls_agree(void **state)
{
    (void)state;
    uint64_t random = seed_base + 4;
    for (uint32_t a = 0; a < algorithm_count; a++)
        for (int size = 1; size <= 9; size += 2) {
            struct kase k = {
                .collective = algorithms[a].collective,
                .algorithm = algorithms[a].name,
                .size = size,
                .count = fake_random(&random) % 300,
                .mode = BLOCKING,
                .seed = fake_random(&random),
            };
            if (case_has_root(&k)) k.root = (int)(fake_random(&random) % (uint64_t)size);
            case_pick(&k, &random);
            case_run(&k);
        }
}

/* Seven collectives at once on each rank, started in one order, finishing in any. */
static void several_at_once_agree(void **state)
{
    (void)state;
    enum { AT_ONCE = 7 };
    uint64_t random = seed_base + 5;
    for (int round = 0; round < 200; round++) {
        struct kase k[AT_ONCE];
        static struct rank_state ranks[AT_ONCE][RANKS_MAX];
        struct fake_options options = { .seed = fake_random(&random),
                                        .size = 1 + (int)(fake_random(&random) % 9),
                                        .eager_bytes = 100,
                                        .at_once = 50, .lands = fake_random(&random) & 1 };
        struct fake *f = fake_new(&options);
        for (int i = 0; i < AT_ONCE; i++) {
            uint32_t a = (uint32_t)(fake_random(&random) % algorithm_count);
            k[i] = (struct kase){ .collective = algorithms[a].collective,
                                  .size = options.size,
                                  .algorithm = algorithms[a].name,
                                  .seed = fake_random(&random),
                                  .count = fake_random(&random) % 100,
                                  .in_place = fake_random(&random) % 2 };
            if (case_has_root(&k[i]))
                k[i].root = (int)(fake_random(&random) % (uint64_t)options.size);
            case_pick(&k[i], &random);
            for (int r = 0; r < options.size; r++) {
                rank_make(&ranks[i][r], &k[i], f, r);
                rank_fill(&ranks[i][r]);
            }
        }
        for (int r = 0; r < options.size; r++)
            for (int i = 0; i < AT_ONCE; i++) {
                fake_view(f, r, false, k[i].algorithm);
                assert_true(rank_call(&ranks[i][r], &ranks[i][r].req) >= 0);
                if (fake_random(&random) % 3 == 0) fake_progress(f);
            }
        while (fake_progress(f)) {
        }
        for (int i = 0; i < AT_ONCE; i++) {
            for (int r = 0; r < options.size; r++)
                assert_int_equal(sinew_test(&ranks[i][r].req), 0);
            case_check(&k[i], ranks[i]);
            for (int r = 0; r < options.size; r++) rank_free(&ranks[i][r]);
        }
        fake_free(f);
    }
}

/* Whoever comes last to a barrier, nobody leaves before; crowded or not. */
static void nobody_leaves_a_barrier_early(void **state)
{
    (void)state;
    uint64_t random = seed_base + 6;
    for (int n = 2 * 2; n <= 2 * 17 + 1; n++)
        for (int size = n / 2, crowded = n % 2, last = 0; last < size; last++) {
            struct sinew_request *req[RANKS_MAX] = { NULL };
            struct fake_options options = { .seed = fake_random(&random),
                                            .size = size,
                                            .crowded = crowded,
                                            .eager_bytes = 64,
                                            .at_once = 50, .lands = fake_random(&random) & 1 };
            struct fake *f = fake_new(&options);
            for (int r = 0; r < size; r++)
                if (r != last) assert_true(sinew_barrier(fake_team(f, r), &req[r]) > 0);
            while (fake_progress(f)) {
            }
            for (int r = 0; r < size; r++)
                if (r != last) assert_int_equal(sinew_test(&req[r]), SINEW_PENDING);
            assert_true(sinew_barrier(fake_team(f, last), &req[last]) >= 0);
            while (fake_progress(f)) {
            }
            for (int r = 0; r < size; r++) assert_int_equal(sinew_test(&req[r]), 0);
            fake_free(f);
        }
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "long")) {
        const struct CMUnitTest all[] = {
            cmocka_unit_test(every_combination_agrees_with_the_reference),
        };
        one_in = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;
        return cmocka_run_group_tests(all, NULL, NULL);
    }
    if (argc > 1) seed_base = strtoull(argv[1], NULL, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_combination_agrees_with_the_reference),
        cmocka_unit_test(allreduce_gives_all_ranks_the_same_bits),
        cmocka_unit_test(aligned_ones_give_the_bits_of_the_tree),
        cmocka_unit_test(portable_is_the_aligned_tree),
        cmocka_unit_test(special_values_anywhere),
        cmocka_unit_test(long_vectors_agree),
        cmocka_unit_test(blocking_calls_agree),
        cmocka_unit_test(several_at_once_agree),
        cmocka_unit_test(nobody_leaves_a_barrier_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
