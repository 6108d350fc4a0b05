/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The simulator computes what LogGOPSim does: its two published examples to the nanosecond, and
 * what its formulas say of a single message. GOAL text and pictures are the same every time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "collectives/plan/simulate.h"

static const struct algorithm *algorithm(enum collective collective, const char *name)
{
    return &algorithms[algorithm_find(collective, name)];
}

static void dissemination_of_16(void **state)
{
    (void)state;
    struct plan p;
    struct simulation s;
    char why[WHY_MAX];
    assert_int_equal(
        plan_make(&p, algorithm(COLLECTIVE_BARRIER, "dissemination"), 16, 0, false, why), 0);
    assert_int_equal(simulate(&p, &loggops_default, 1, &s, why), 0);
    for (uint32_t r = 0; r < 16; r++) assert_int_equal(s.finish[r], 22000000);
    simulation_free(&s, 16);
    plan_free(&p);
}

/* A rank of LogGOPSim's binomial tree: from r + 4, r + 2, r + 1, those that are its children, each
 * after the one before; then to its parent, r without its highest bit. */
static uint32_t distant_tree(uint32_t rank, struct op *op)
{
    uint32_t n = 0, parent = rank;
    for (uint32_t distance = 4; distance > rank; distance /= 2, n++)
        op[n] = (struct op){ .word = op_word(OP_RECV, FIELD_D, BUFFER_TMP),
                             .n = 1,
                             .at = { rank + distance },
                             .dep = { n ? 1 : 0, 0 } };
    for (uint32_t bit = 4; bit && parent == rank; bit /= 2) parent = rank & ~bit;
    if (rank == 0) return n;
    op[n] = (struct op){ .word = op_word(OP_SEND, FIELD_A, BUFFER_TMP),
                         .n = 1,
                         .at = { parent },
                         .dep = { n ? 1 : 0, 0 } };
    return n + 1;
}

static void binomial_reduce_of_8(void **state)
{
    (void)state;
    static const int64_t golden[] = { 34914, 24776, 13138, 13138, 1500, 1500, 1500, 1500 };
    struct lane lane[8];
    struct op op[8][5];
    struct simulation s;
    char why[WHY_MAX] = "";
    struct plan p = { .algorithm = algorithm(COLLECTIVE_BCAST, "binomial"),
                      .size = 8,
                      .lane = lane };
    for (uint32_t r = 0; r < 8; r++) {
        lane[r] = (struct lane){
            .op = op[r], .has_out = true, .tmp_like = BUFFER_OUT, .blocks = { 0, 1, 1, 1 }
        };
        lane[r].n = distant_tree(r, op[r]);
    }
    if (simulate(&p, &loggops_default, 1024, &s, why) < 0) fail_msg("%s", why);
    for (uint32_t r = 0; r < 8; r++) assert_int_equal(s.finish[r], 1000 * golden[r]);
    simulation_free(&s, 8);
}

/* T = L + 2 o + (s - 1) G; arithmetic comes on top of it. */
static void one_message(void **state)
{
    (void)state;
    for (uint64_t bytes = 1; bytes < 60000; bytes = bytes * 3 + 1) {
        struct plan p;
        struct simulation s;
        char why[WHY_MAX];
        struct loggops model = loggops_default;
        int64_t wanted = model.L + 2 * model.o + (int64_t)(bytes - 1) * model.G;
        model.calc = 500;
        assert_int_equal(plan_make(&p, algorithm(COLLECTIVE_REDUCE, "binomial"), 2, 0, false, why),
                         0);
        assert_int_equal(simulate(&p, &model, bytes, &s, why), 0);
        assert_int_equal(s.finish[0], wanted + (int64_t)bytes * model.calc);
        assert_int_equal(s.bytes, bytes);
        simulation_free(&s, 2);
        plan_free(&p);
    }
}

/* Over a link of ours: what is so long that it is announced costs both ends that, and comes later;
 * and a byte costs the wire G, and each processor O. */
static void a_long_message_is_announced(void **state)
{
    (void)state;
    const struct loggops model = { .L = 5000, .o = 700, .g = 700, .G = 3, .O = 2, .S = UINT64_MAX,
                                   .asked = 1000, .R = 400, .ask = 90 };
    for (uint64_t bytes = 998; bytes <= 1002; bytes++) {
        struct plan p;
        struct simulation s;
        char why[WHY_MAX];
        int64_t more = (int64_t)bytes - 1, wanted = model.L + 2 * model.o + more * (3 + 2);
        if (bytes >= model.asked) wanted += model.R + 2 * model.ask;
        assert_int_equal(plan_make(&p, algorithm(COLLECTIVE_BCAST, "binomial"), 2, 0, false, why),
                         0);
        assert_int_equal(simulate(&p, &model, bytes, &s, why), 0);
        assert_int_equal(s.finish[1], wanted);
        simulation_free(&s, 2);
        plan_free(&p);
    }
}

/* And the wire brings a message while its receiver copies; where LogGOPSim is followed, that waits
 * for the processor. What comes from two at once comes one after the other. */
static void the_wire_works_beside_the_processor(void **state)
{
    (void)state;
    struct loggops model = { .L = 50, .o = 7, .g = 10, .G = 3, .calc = 1000, .S = UINT64_MAX };
    const uint64_t bytes = 101;
    const int64_t copied = 101 * 1000, wire = 100 * 3;
    for (int ours = 0; ours < 2; ours++) {
        struct plan p;
        struct simulation s;
        char why[WHY_MAX];
        model.asked = ours ? 1000000 : 0;
        assert_int_equal(plan_make(&p, algorithm(COLLECTIVE_GATHER, "linear"), 2, 0, false, why), 0);
        assert_int_equal(simulate(&p, &model, bytes, &s, why), 0);
        assert_int_equal(s.finish[0], copied + model.o + (ours ? 0 : wire));
        simulation_free(&s, 2);
        plan_free(&p);
    }
    model.calc = 0;
    struct plan p;
    struct simulation s;
    char why[WHY_MAX];
    assert_int_equal(plan_make(&p, algorithm(COLLECTIVE_GATHER, "linear"), 3, 0, false, why), 0);
    assert_int_equal(simulate(&p, &model, bytes, &s, why), 0);
    assert_int_equal(s.finish[0], model.o + model.L + wire + model.g + wire + model.o);
    simulation_free(&s, 3);
    plan_free(&p);
}

/* Every algorithm has an end in the model, and bytes that fit: what is sent is at least what must
 * reach others. */
static void every_algorithm_ends(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < algorithm_count; i++)
        for (uint32_t size = 1; size <= 33 && algorithms[i].generate; size += 4) {
            struct plan p;
            struct simulation s;
            char why[WHY_MAX];
            assert_int_equal(plan_make(&p, &algorithms[i], size, 0, false, why), 0);
            for (uint64_t bytes = 8; bytes <= 80000; bytes *= 10000) {
                if (simulate(&p, &loggops_default, bytes, &s, why) < 0)
                    fail_msg("%s by %s, %u ranks: %s", collective_name(p.algorithm->collective),
                             p.algorithm->name, size, why);
                assert_true(size == 1 || s.finish[s.last_rank] >= loggops_default.L);
                simulation_free(&s, size);
            }
            plan_free(&p);
        }
}

static char *text_of(bool goal, const struct plan *p, const struct simulation *s)
{
    char *text = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);
    assert_non_null(f);
    if (goal)
        write_goal(f, p, 64, &loggops_default);
    else
        draw_svg(f, p, s, 64);
    fclose(f);
    return text;
}

static void texts_are_whole_and_repeatable(void **state)
{
    (void)state;
    for (uint32_t size = 3; size <= 100; size += 97) {
        struct plan p;
        struct simulation s;
        char why[WHY_MAX];
        assert_int_equal(plan_make(&p, algorithm(COLLECTIVE_ALLREDUCE, "recursive-doubling"), size,
                                   0, false, why),
                         0);
        assert_int_equal(simulate(&p, &loggops_default, 64, &s, why), 0);
        char *svg = text_of(false, &p, &s), *again = text_of(false, &p, &s);
        char *goal = text_of(true, &p, &s);
        assert_string_equal(svg, again);
        assert_non_null(strstr(svg, "</svg>"));
        assert_non_null(strstr(svg, "class='crit'"));
        assert_int_equal(strstr(svg, "class='band k0'") != NULL, size > 64);
        assert_non_null(strstr(goal, size == 3 ? "num_ranks 3" : "num_ranks 100"));
        if (size == 3) /* rank 1 hands its part to rank 0 and gets the result */
            assert_non_null(strstr(goal, "rank 1 {\nl0: send 64b to 0 tag 0\n"
                                         "l1: recv 64b from 0 tag 0\n}"));
        free(svg);
        free(again);
        free(goal);
        simulation_free(&s, size);
        plan_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dissemination_of_16),
        cmocka_unit_test(binomial_reduce_of_8),
        cmocka_unit_test(one_message),
        cmocka_unit_test(a_long_message_is_announced),
        cmocka_unit_test(the_wire_works_beside_the_processor),
        cmocka_unit_test(every_algorithm_ends),
        cmocka_unit_test(texts_are_whole_and_repeatable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
