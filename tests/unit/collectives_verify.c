/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The verifier finds nothing wrong with any schedule that ranks would execute: every algorithm, in
 * place or not, every number of ranks up to 64 with every root, up to 1,024 where the rounds are a
 * logarithm, and 131,072 by a sample of the blocks. None needs more memory than its row promises.
 *
 *     test-collectives-verify [long]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "collectives/choose.h"
#include "collectives/plan/simulate.h"
#include "tests/support/coll_layout.h"
#include "tests/support/coll_reads.h"

static bool is_long;
#ifdef __SANITIZE_ADDRESS__
enum { ONE_SIZE_IN = 27, LARGE_STRIDE = 479 }; /* each plan costs more */
#else
enum { ONE_SIZE_IN = 9, LARGE_STRIDE = 239 };
#endif

static void verify(const struct algorithm *a, uint32_t size, uint32_t root, bool in_place,
                   uint32_t columns)
{
    struct plan plan;
    struct verified found;
    struct verify_options options = { .columns = columns, .seed = size * 31 + root };
    char why[WHY_MAX] = "";
    int status = plan_make(&plan, a, size, root, in_place, why);
    if (status == 0) {
        status = plan_verify(&plan, &options, &found, why);
        plan_free(&plan);
    }
    if (status < 0)
        fail_msg("%s by %s:%u, %u ranks, root %u, in place %d: %s", collective_name(a->collective),
                 a->name, a->initial, size, root, in_place, why);
}

static unsigned small_team(uint32_t algorithm, uint32_t size, unsigned turn)
{
    struct algorithm a = algorithms[algorithm];
    a.initial = case_parameter(&a, turn);
    uint32_t roots = collective_has_root(a.collective) ? size : 1;
    uint32_t stride = !is_long && size > 9 ? size / 4 + 1 : !is_long && turn && size > 5 ? 3 : 1;
    unsigned plans = 0;
    for (uint32_t root = 0; root < roots; root += stride)
        for (int in_place = 0; in_place < 2; in_place++, plans++)
            verify(&a, size, root, in_place, 0);
    return plans;
}

/* Every size up to 64, every root in the long tier, else some of each; with some parameters. */
static void small_teams_exhaustively(void **state)
{
    (void)state;
    unsigned plans = 0;
    for (uint32_t i = 0; i < algorithm_count; i++)
        for (uint32_t size = 1; size <= 64 && algorithms[i].generate; size++) {
            if (!is_long && size > 20 && size % ONE_SIZE_IN != i % ONE_SIZE_IN && size != 64)
                continue;
            unsigned variants = case_has_variants(&algorithms[i]) ? 4 : 1;
            for (unsigned turn = 0; turn < variants; turn++) plans += small_team(i, size, turn);
        }
    print_message("%u plans\n", plans);
}

/* Whose schedules have a number of instances that grows with the logarithm. */
static bool is_short(const struct algorithm *a)
{
    static const char *const names[] = { "dissemination", "binomial", "recursive-doubling",
                                         "rabenseifner", "tree", "circulant",
                                         "k-nomial", "recursive-multiplying",
                                         "scatter-allgather", "scatter-gather" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(a->name, names[i])) return true;
    return (a->collective == COLLECTIVE_ALLGATHER || a->collective == COLLECTIVE_ALLGATHERV) &&
           !strcmp(a->name, "bruck");
}

/* Whether each block stays the block it is, so that some of them can be looked at alone. */
static bool keeps_columns(const struct algorithm *a)
{
    return a->collective != COLLECTIVE_ALLGATHER && a->collective != COLLECTIVE_ALLGATHERV &&
           a->collective != COLLECTIVE_GATHER && a->collective != COLLECTIVE_SCATTER &&
           a->collective != COLLECTIVE_GATHERV && a->collective != COLLECTIVE_SCATTERV &&
           a->collective != COLLECTIVE_REDUCE_SCATTER &&
           a->collective != COLLECTIVE_REDUCE_SCATTER_BLOCK;
}

/* A barrier has a block a round, all of them few. */
static uint32_t columns_of(const struct algorithm *a, uint32_t columns)
{
    return keeps_columns(a) && a->collective != COLLECTIVE_BARRIER ? columns : 0;
}

static void log_steps_up_to_1024(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < algorithm_count; i++)
        for (uint32_t size = 65; size <= 1024; size += is_long ? 1 : LARGE_STRIDE) {
            const struct algorithm *a = &algorithms[i];
            if (!is_short(a) || (!keeps_columns(a) && !is_long && size > 400)) continue;
            verify(a, size, size / 3 * collective_has_root(a->collective), size % 2,
                   columns_of(a, 16));
        }
}

/* What the row of an algorithm says of p ranks with N bytes each, in N. */
static double memory_promised(const struct algorithm *a, uint32_t p, bool in_place)
{
    const char *there = strstr(a->memory, "in place "), *text = a->memory;
    double log = 0;
    if (there && in_place) text = there + strlen("in place ");
    while ((1u << (unsigned)log) < p) log++;
    if (!strncmp(text, "0", 1)) return 0;
    if (!strcmp(text, "N")) return 1;
    if (!strcmp(text, "2 N")) return 2;
    if (!strcmp(text, "l N")) return log;
    if (!strcmp(text, "(l + 1) N")) return log + 1;
    if (!strcmp(text, "p N")) return p;
    if (!strcmp(text, "p N / 2")) return p / 2.0;
    if (!strcmp(text, "N / p")) return 1.0 / p;
    if (!strcmp(text, "(k - 1) N")) return parameter_number(a->initial) - 1.0;
    fail_msg("%s by %s: what is '%s'?", collective_name(a->collective), a->name, a->memory);
    return 0;
}

static void memory_is_as_promised(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < algorithm_count; i++)
        for (uint32_t n = 0; n < 2 * 64 && algorithms[i].generate; n++) {
            uint32_t size = n / 2 + 1;
            uint64_t bytes = UINT64_C(1024) * size;
            struct algorithm a = algorithms[i];
            struct plan plan;
            char why[WHY_MAX];
            struct situation at = { .size = size, .node = 1 };
            if (algorithm_objection(&a, &at)) continue; /* another takes its place */
            a.initial = case_parameter(&a, size);
            assert_int_equal(plan_make(&plan, &a, size,
                                       size / 3 * collective_has_root(a.collective), n % 2, why),
                             0);
            double promised = memory_promised(&a, size, n % 2) * (double)bytes;
            for (uint32_t r = 0; r < size; r++) {
                uint32_t blocks = plan.lane[r].blocks[BUFFER_TMP];
                struct op all = { .word = op_word(OP_SEND, FIELD_A, BUFFER_TMP), .n = blocks };
                double needs = (double)plan_bytes(&plan, r, &all, bytes);
                if (needs > promised)
                    fail_msg("%s by %s, %u ranks, in place %u: rank %u needs %.0f bytes of %.0f",
                             collective_name(a.collective), a.name, size, n % 2, r, needs,
                             promised);
            }
            plan_free(&plan);
        }
}

static void a_hundred_thousand_ranks(void **state)
{
    (void)state;
    uint32_t size = is_long ? 131072 : 16384 + 5;
    for (uint32_t i = 0; i < algorithm_count; i++) {
        const struct algorithm *a = &algorithms[i];
        bool prefix = a->collective == COLLECTIVE_SCAN || a->collective == COLLECTIVE_EXSCAN;
        if (!is_short(a) || !keeps_columns(a) || prefix) continue;
        verify(a, size, size / 3 * collective_has_root(a->collective), false, columns_of(a, 4));
    }
}

/* What reads peers' memory, alone and in tiles. */
static void reading_from_peers(void **state)
{
    (void)state;
    for (int i = 0; i < READS; i++)
        for (uint32_t size = 1; size <= READS_RANKS_MAX; size++)
            for (unsigned turn = 0; turn < (case_has_variants(&reads[i]) ? 4 : 1); turn++)
                for (int in_place = 0; in_place < 2; in_place++) {
                    struct algorithm a = reads[i];
                    a.initial = case_parameter(&a, turn);
                    verify(&a, size, collective_has_root(a.collective) ? size / 3 : 0, in_place, 0);
                }
}

int main(int argc, char **argv)
{
    is_long = argc > 1 && !strcmp(argv[1], "long");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_teams_exhaustively),
        cmocka_unit_test(reading_from_peers),
        cmocka_unit_test(log_steps_up_to_1024),
        cmocka_unit_test(memory_is_as_promised),
        cmocka_unit_test(a_hundred_thousand_ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
