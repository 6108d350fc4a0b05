/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The verifier rejects wrong schedules. Each mutant is a schedule of one rank with one thing
 * changed. Those count that change an outcome when carried out in random orders by an interpreter
 * that shares nothing with the verifier: of them 99 in 100 must be rejected, and the others are
 * listed. What the verifier rejects beyond that are races and rules that no order tried has shown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/seed.h"
#include "tests/support/coll_interpret.h"
#include "tests/support/coll_layout.h"
#include "tests/support/coll_reads.h"

enum { ORDERS = 10, PER_SIZE = 60 };

enum mutation { PEER, BLOCK, KIND, SIDE, DEPENDENCY, DROP, LENGTH, ORDINAL, LOOPS, MUTATIONS };
static const char *const mutation_names[] = { "peer", "block",  "kind",    "side", "dependency",
                                              "drop", "length", "ordinal", "loop" };

/* false: nothing there to change. */
static bool mutate(struct schedule *s, struct op *op, enum mutation how, uint64_t *random)
{
    static const enum op_field fields[] = { FIELD_A, FIELD_B, FIELD_D };
    enum op_field f = fields[case_random(random) % 3],
                  ordinal = op_receives(op) ? FIELD_A : FIELD_D;
    bool loop = op_kind(op) == OP_LOOP, message = op_kind(op) == OP_SEND || op_receives(op);
    uint32_t by = case_random(random) % 2 ? 1 : UINT32_MAX; /* one more or less */
    int d = (int)(case_random(random) % 2);
    if (loop != (how == LOOPS)) return false;
    switch (how) {
    case PEER:
        if (!message || s->size < 3) return false;
        op->at[FIELD_PEER] =
            (op->at[FIELD_PEER] + 1 + (uint32_t)(case_random(random) % (s->size - 1))) % s->size;
        return op->at[FIELD_PEER] != s->rank;
    case BLOCK:
        if (op_buffer(op, f) == BUFFER_NONE) return false;
        op->at[f] += by;
        return true;
    case KIND:
        op->word = (op->word & ~15u) | (uint32_t)(case_random(random) % OP_LOOP);
        return true;
    case SIDE:
        if (op_kind(op) != OP_RECV_REDUCE && op_kind(op) != OP_REDUCE) return false;
        op->word ^= OP_A_LEFT << 4;
        return true;
    case DEPENDENCY:
        if (op_flags(op) & OP_FENCE) {
            op->word &= ~((uint32_t)OP_FENCE << 4);
            return true;
        }
        if (!op->dep[d]) return false;
        op->dep[d] = case_random(random) % 2 ? 0 : op->dep[d] - 1;
        return true;
    case DROP:
        if (op_kind(op) == OP_NOP) return false;
        *op = (struct op){ .word = OP_NOP };
        return true;
    case LENGTH:
        if (op_kind(op) == OP_NOP) return false;
        op->n += by;
        return true;
    case ORDINAL:
        if (!message) return false;
        op->at[ordinal] += by;
        return true;
    default:
        if (case_random(random) % 2) {
            op->at[fields[case_random(random) % 3]] += by;
            return true;
        }
        op->n += by;
        return op->n > 0;
    }
}

static bool outcome_differs(const struct outcome *a, const struct outcome *b)
{
    return a->broken || a->ended != b->ended || a->n != b->n ||
           memcmp(a->out, b->out, a->n * sizeof(a->out[0])) != 0;
}

/* Whether any of some random orders shows it. */
static bool plan_differs(const struct plan *p, const struct outcome *right, uint64_t *random)
{
    static struct outcome o;
    bool barrier = p->algorithm->collective == COLLECTIVE_BARRIER;
    bool commutes = !(p->algorithm->flags & KEEPS_ORDER);
    for (int k = 0; k < ORDERS; k++) {
        interpret(p, case_random(random), commutes, UINT32_MAX, &o);
        if (outcome_differs(&o, right)) return true;
    }
    for (uint32_t held = 0; barrier && held < p->size; held++) {
        interpret(p, case_random(random), commutes, held, &o);
        if (o.early) return true;
    }
    return false;
}

struct score {
    unsigned made, differ, rejected_of_them, rejected, of[MUTATIONS];
};

static void judge(const struct algorithm *a, struct plan *p, const struct outcome *right,
                  enum mutation how, uint32_t rank, uint32_t i, struct score *score,
                  uint64_t *random)
{
    struct verified found;
    struct verify_options options = { 0 };
    char why[WHY_MAX] = "";
    bool differs = plan_differs(p, right, random);
    bool rejected = plan_verify(p, &options, &found, why) < 0;
    score->made++;
    score->of[how]++;
    score->rejected += rejected;
    score->differ += differs;
    score->rejected_of_them += differs && rejected;
    if (differs && !rejected)
        print_message("survivor: %s by %s, %u ranks, root %u: %s of rank %u's operation %u\n",
                      collective_name(a->collective), a->name, p->size, p->root,
                      mutation_names[how], rank, i);
}

/* Mutants of one algorithm among so many ranks. */
static void mutants_of(const struct algorithm *a, uint32_t size, bool in_place, struct score *score,
                       uint64_t *random)
{
    static struct outcome right;
    struct plan p;
    char why[WHY_MAX];
    uint32_t root = collective_has_root(a->collective) ? (uint32_t)(case_random(random) % size) : 0;
    assert_int_equal(plan_make(&p, a, size, root, in_place, why), 0);
    interpret(&p, 1, !(a->flags & KEEPS_ORDER), UINT32_MAX, &right);
    assert_true(right.ended && !right.broken);
    assert_false(plan_differs(&p, &right, random)); /* no order changes what is right */
    for (int k = 0; k < PER_SIZE; k++) {
        uint32_t rank = (uint32_t)(case_random(random) % size);
        struct schedule *s = plan_schedule(a, size, rank, root, in_place, why);
        uint32_t i = (uint32_t)(case_random(random) % s->ops);
        enum mutation how = (enum mutation)(case_random(random) % MUTATIONS);
        struct lane sound = p.lane[rank];
        if (mutate(s, &s->op[i], how, random)) {
            if (lane_unroll(&p.lane[rank], s, p.tiles, why) == 0) {
                if (p.lane[rank].n <= 400) judge(a, &p, &right, how, rank, i, score, random);
                free(p.lane[rank].op);
            }
            p.lane[rank] = sound;
        }
        free(s);
    }
    plan_free(&p);
}

static void mutants_are_rejected(void **state)
{
    (void)state;
    static const uint32_t sizes[] = { 2, 3, 4, 5, 6, 7, 8 };
    uint64_t seed = seed_from_environment("collectives-mutation").state, random = seed;
    struct score score = { 0 };
    for (uint32_t i = 0; i < algorithm_count + READS; i++)
        for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
            struct algorithm a = i < READS ? reads[i] : algorithms[i - READS];
            if (!a.generate) continue;
            a.initial = case_parameter(&a, k + i);
            mutants_of(&a, sizes[k], k % 2, &score, &random);
        }
    print_message("%u mutants", score.made);
    for (int how = 0; how < MUTATIONS; how++)
        print_message("%s %u %s", how ? "," : ":", score.of[how], mutation_names[how]);
    print_message("\n%u change an outcome, %u of them rejected: %.2f %%; %u rejected in all; "
                  "seed %llu\n",
                  score.differ, score.rejected_of_them,
                  100.0 * score.rejected_of_them / score.differ, score.rejected,
                  (unsigned long long)seed);
    assert_true(score.differ >= 1000);
    assert_true(100 * score.rejected_of_them >= 99 * score.differ);
}

/* A plan of which nothing is left, and that counts no block of OUT: none of them is wrong. */
static void nothing_passes(const struct algorithm *a, uint32_t size, bool in_place)
{
    struct verified found;
    struct verify_options options = { 0 };
    struct plan p;
    char why[WHY_MAX] = "";
    assert_int_equal(plan_make(&p, a, size, 0, in_place, why), 0);
    assert_int_equal(plan_verify(&p, &options, &found, why), 0);
    for (uint32_t r = 0; r < size; r++) {
        p.lane[r].blocks[BUFFER_OUT] = 0;
        for (uint32_t i = 0; i < p.lane[r].n; i++) p.lane[r].op[i] = (struct op){ .word = OP_NOP };
    }
    if (plan_verify(&p, &options, &found, why) == 0)
        fail_msg("%s by %s passes, with no OUT and nothing done", collective_name(a->collective),
                 a->name);
    plan_free(&p);
}

static void what_out_does_not_count_is_missed(void **state)
{
    (void)state;
    enum { SIZE = 4 };
    for (uint32_t i = 0; i < algorithm_count; i++) {
        if (!algorithms[i].generate || algorithms[i].collective == COLLECTIVE_BARRIER) continue;
        nothing_passes(&algorithms[i], SIZE, false);
        nothing_passes(&algorithms[i], SIZE, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(mutants_are_rejected),
                                        cmocka_unit_test(what_out_does_not_count_is_missed) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
