/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Patterns and schedules, exhaustively for up to 64 ranks and for every root: whoever is sent to
 * receives, and everyone is reached.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectives/collective.h"
#include "collectives/pattern/multiplying.h"
#include "collectives/pattern/binomial.h"
#include "collectives/pattern/dissemination.h"
#include "collectives/pattern/doubling.h"
#include "collectives/choose.h"
#include "collectives/pattern/ring.h"

enum { RANKS = 64 };

/* Every rank but the root has one parent, is one of its parent's children, and the subtrees of a
 * rank's children together with it are the contiguous block it leads. */
static void binomial_is_a_tree_of_ranges(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= RANKS; size++)
        for (uint32_t root = 0; root < size; root++) {
            uint32_t children = 0;
            for (uint32_t rank = 0; rank < size; rank++) {
                uint32_t height = binomial_height(rank, root, size), first, n, covered = 1;
                assert_int_equal(binomial_leader(rank, height, root), rank);
                for (uint32_t level = 0; level < height; level++) {
                    uint64_t sibling = binomial_sibling(rank, level);
                    if (!binomial_block(sibling, level, size, &first, &n)) continue;
                    uint32_t child = binomial_leader(first, level, root);
                    assert_in_range(child, first, first + n - 1);
                    assert_int_equal(binomial_height(child, root, size), level);
                    assert_int_equal(binomial_leader(child, level + 1, root), rank);
                    covered += n;
                    children++;
                }
                assert_true(binomial_block(rank, height, size, &first, &n));
                assert_int_equal(covered, n);
                if (rank == root) assert_int_equal(n, size);
            }
            assert_int_equal(children, size - 1);
        }
}

static void dissemination_reaches_all(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= RANKS; size++) {
        uint64_t heard[RANKS], before[RANKS];
        for (uint32_t r = 0; r < size; r++) heard[r] = (uint64_t)1 << r;
        for (uint32_t round = 0; round < dissemination_rounds(size); round++) {
            memcpy(before, heard, sizeof(before));
            for (uint32_t r = 0; r < size; r++) {
                uint32_t from = dissemination_from(r, round, size);
                assert_int_equal(dissemination_to(from, round, size), r);
                heard[r] |= before[from];
            }
        }
        for (uint32_t r = 0; r < size; r++) assert_true(heard[r] == UINT64_MAX >> (64 - size));
    }
}

/* Partners agree, and what a place and its group stand for is a contiguous range of ranks. */
static void doubling_pairs_up_contiguous_ranges(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= RANKS; size++) {
        uint32_t low[RANKS], high[RANKS], others = 0;
        for (uint32_t r = 0; r < size; r++) {
            uint32_t other = r, back = r;
            bool folded = false, also = false;
            low[r] = high[r] = r;
            if (!doubling_fold(r, size, &other, &folded)) continue;
            assert_true(doubling_fold(other, size, &back, &also));
            assert_int_equal(back, r);
            assert_true(also != folded);
            if (folded) others++;
            if (!folded) high[r] = other;
        }
        assert_int_equal(size - others, 1u << doubling_rounds(size));
        for (uint32_t round = 0; round < doubling_rounds(size); round++) {
            uint32_t l[RANKS], h[RANKS];
            for (uint32_t place = 0; place < 1u << doubling_rounds(size); place++) {
                uint32_t r = doubling_rank(place, size), p = doubling_partner(r, round, size);
                assert_int_equal(doubling_place(r, size), place);
                assert_int_equal(doubling_partner(p, round, size), r);
                assert_true(high[r] + 1 == low[p] || high[p] + 1 == low[r]);
                assert_int_equal(high[r] < low[p],
                                 r < p); /* "the lower rank's is left" keeps order */
                l[r] = low[r] < low[p] ? low[r] : low[p];
                h[r] = high[r] > high[p] ? high[r] : high[p];
            }
            memcpy(low, l, sizeof(l));
            memcpy(high, h, sizeof(h));
        }
        uint32_t r = doubling_rank(0, size);
        assert_int_equal(low[r], 0);
        assert_int_equal(high[r], size - 1);
    }
}

static void ring_sides_are_inverse(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= RANKS; size++)
        for (uint32_t r = 0; r < size; r++)
            for (uint32_t d = 0; d <= size; d++) {
                assert_true(ring_right(r, d, size) < size);
                assert_int_equal(ring_left(ring_right(r, d, size), d, size), r);
            }
}

/* ------------------------------------------------------------------------------------ schedules */

static struct schedule *schedule_for(const struct algorithm *a, uint32_t size, uint32_t rank,
                                     uint32_t root, bool in_place)
{
    struct build b = { .size = size,
                       .rank = rank,
                       .root = root,
                       .parameter = a->initial,
                       .in_place = in_place };
    struct op op[BUILD_MAX];
    a->generate(&b);
    uint32_t n = build_finish(&b, op);
    if (n == 0)
        fail_msg("%s %s, %u ranks, rank %u, root %u: %s", collective_name(a->collective), a->name,
                 size, rank, root, b.failure);
    struct schedule *s = calloc(1, schedule_bytes(n));
    *s = (struct schedule){ .size = size, .rank = rank, .root = root, .ops = n };
    memcpy(s->blocks, b.blocks, sizeof(b.blocks));
    memcpy(s->op, op, n * sizeof(op[0]));
    return s;
}

/* A message end: who, which ordinal, how long. */
struct end {
    uint32_t from, to, ordinal, n;
};

static int end_compare(const void *x, const void *y)
{
    return memcmp(x, y, sizeof(struct end));
}

/* All message ends of all ranks, sends and receives apart; blocks, fields and dependencies are in
 * bounds. */
static void schedule_ends(const struct schedule *s, struct end *sends, size_t *ns,
                          struct end *receives, size_t *nr)
{
    struct cursor c = { 0 };
    struct step step;
    uint64_t instance = 0;
    while (cursor_next(s, &c, &step)) {
        for (int f = FIELD_A; f <= FIELD_D; f++) {
            enum op_buffer buffer = op_buffer(step.op, (enum op_field)f);
            if (buffer == BUFFER_NONE) continue;
            assert_true((uint64_t)step.at[f] + step.op->n <= s->blocks[buffer]);
        }
        assert_true(step.dep[0] <= instance && step.dep[1] <= instance);
        instance++;
        bool sending = op_kind(step.op) == OP_SEND;
        if (!sending && !op_receives(step.op)) continue;
        uint32_t peer = step.at[FIELD_PEER];
        assert_true(peer < s->size && peer != s->rank);
        if (sending)
            sends[(*ns)++] = (struct end){ s->rank, peer, step.at[FIELD_D], step.op->n };
        else
            receives[(*nr)++] = (struct end){ peer, s->rank, step.at[FIELD_A], step.op->n };
    }
}

static void messages_match(const struct algorithm *a, uint32_t size, uint32_t root, bool in_place)
{
    static struct end sends[4 * RANKS * RANKS], receives[4 * RANKS * RANKS];
    size_t ns = 0, nr = 0;
    for (uint32_t rank = 0; rank < size; rank++) {
        bool placed = in_place && (rank == root || a->collective == COLLECTIVE_ALLREDUCE ||
                                   a->collective == COLLECTIVE_ALLGATHER);
        struct schedule *s = schedule_for(a, size, rank, root, placed);
        schedule_ends(s, sends, &ns, receives, &nr);
        free(s);
    }
    assert_int_equal(ns, nr);
    qsort(sends, ns, sizeof(sends[0]), end_compare);
    qsort(receives, nr, sizeof(receives[0]), end_compare);
    if (memcmp(sends, receives, ns * sizeof(sends[0])) != 0)
        fail_msg("%s %s, %u ranks, root %u: messages do not match", collective_name(a->collective),
                 a->name, size, root);
    for (size_t i = 1; i < ns; i++) /* and no two are alike */
        assert_true(memcmp(&sends[i], &sends[i - 1], offsetof(struct end, n)) != 0);
}

static void every_message_has_two_ends(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < algorithm_count; i++)
        for (uint32_t size = 1; size <= RANKS && algorithms[i].generate;
             size += size < 33 ? 1 : 6) {
            bool rooted = algorithms[i].collective == COLLECTIVE_BCAST ||
                          algorithms[i].collective == COLLECTIVE_REDUCE ||
                          algorithms[i].collective == COLLECTIVE_GATHER;
            uint32_t roots = rooted ? size : 1, stride = size > 24 ? 7 : 1;
            for (uint32_t root = 0; root < roots; root += stride) {
                messages_match(&algorithms[i], size, root, false);
                messages_match(&algorithms[i], size, root, true);
            }
        }
}

/* What is sent as it is goes from where it is. */
static void a_ring_of_two_copies_nothing(void **state)
{
    (void)state;
    int index = algorithm_find(COLLECTIVE_ALLREDUCE, "ring");
    for (uint32_t rank = 0; rank < 2; rank++) {
        struct schedule *s = schedule_for(&algorithms[index], 2, rank, 0, false);
        for (uint32_t i = 0; i < s->ops; i++) assert_int_not_equal(op_kind(&s->op[i]), OP_COPY);
        free(s);
    }
}

/* --------------------------------------------------------------------------------------- rank
 * order */

enum { BINOMIAL_LEVELS_MAX = 7 }; /* of RANKS ranks */

/* A value is the range of ranks that went into it; only neighbours combine, the left one left. */
struct range {
    uint32_t low, high;
};

struct order_rank {
    struct schedule *s;
    struct cursor cursor;
    struct step step;
    bool waits, ended;
    struct range in, out, tmp[BINOMIAL_LEVELS_MAX];
};

static struct range *range_of(struct order_rank *r, enum op_field field)
{
    enum op_buffer buffer = op_buffer(r->step.op, field);
    assert_in_range(r->step.at[field], 0, BINOMIAL_LEVELS_MAX - 1);
    return buffer == BUFFER_IN    ? &r->in
           : buffer == BUFFER_OUT ? &r->out
                                  : &r->tmp[r->step.at[field]];
}

/* What each rank has sent to each other, by ordinal (a pair exchanges two at most, one each way in
 * each). */
static struct range order_sent[RANKS][RANKS][2];
static bool order_is_sent[RANKS][RANKS][2];

static bool order_step(struct order_rank *r)
{
    if (!r->waits && !cursor_next(r->s, &r->cursor, &r->step)) return !(r->ended = true);
    const struct op *op = r->step.op;
    uint32_t me = r->s->rank, peer = r->step.at[FIELD_PEER];
    if (op_kind(op) == OP_COPY) *range_of(r, FIELD_D) = *range_of(r, FIELD_A);
    if (op_kind(op) == OP_REDUCE) {
        struct range left = *range_of(r, FIELD_A), right = *range_of(r, FIELD_B);
        assert_true(op_flags(op) & OP_A_LEFT);
        assert_int_equal(left.high + 1, right.low);
        *range_of(r, FIELD_D) = (struct range){ left.low, right.high };
    }
    if (op_kind(op) == OP_SEND) {
        assert_in_range(r->step.at[FIELD_D], 0, 1);
        order_sent[me][peer][r->step.at[FIELD_D]] = *range_of(r, FIELD_A);
        order_is_sent[me][peer][r->step.at[FIELD_D]] = true;
    }
    if (!op_receives(op)) return true;
    assert_in_range(r->step.at[FIELD_A], 0, 1);
    r->waits = !order_is_sent[peer][me][r->step.at[FIELD_A]];
    if (r->waits) return false;
    struct range arrived = order_sent[peer][me][r->step.at[FIELD_A]], *d = range_of(r, FIELD_D);
    if (op_kind(op) == OP_RECV) {
        *d = arrived;
        return true;
    }
    struct range mine = *range_of(r, FIELD_B);
    bool arrived_left = op_flags(op) & OP_A_LEFT;
    struct range left = arrived_left ? arrived : mine, right = arrived_left ? mine : arrived;
    assert_int_equal(left.high + 1, right.low);
    *d = (struct range){ left.low, right.high };
    return true;
}

static void order_run(const struct algorithm *a, uint32_t size, uint32_t root)
{
    static struct order_rank ranks[RANKS];
    memset(order_is_sent, 0, sizeof(order_is_sent));
    for (uint32_t r = 0; r < size; r++)
        ranks[r] =
            (struct order_rank){ .s = schedule_for(a, size, r, root, false), .in = { r, r } };
    for (bool moved = true; moved;) {
        moved = false;
        for (uint32_t r = 0; r < size; r++)
            while (order_step(&ranks[r])) moved = true;
    }
    for (uint32_t r = 0; r < size; r++) {
        assert_true(ranks[r].ended);
        if (r == root || a->collective == COLLECTIVE_ALLREDUCE) {
            assert_int_equal(ranks[r].out.low, 0);
            assert_int_equal(ranks[r].out.high, size - 1);
        }
        free(ranks[r].s);
    }
}

/* Where the vector is not cut into blocks, operands combine in rank order whatever the root and
 * size: it would do for operators that do not commute. */
static void reductions_keep_rank_order(void **state)
{
    (void)state;
    const struct algorithm *reduce = &algorithms[algorithm_find(COLLECTIVE_REDUCE, "binomial")];
    const struct algorithm *allreduce =
        &algorithms[algorithm_find(COLLECTIVE_ALLREDUCE, "recursive-doubling")];
    const struct algorithm *flat = &algorithms[algorithm_find(COLLECTIVE_ALLREDUCE, "flat")];
    const struct algorithm *direct = &algorithms[algorithm_find(COLLECTIVE_ALLREDUCE, "direct")];
    const struct algorithm *multiplying =
        &algorithms[algorithm_find(COLLECTIVE_ALLREDUCE, "recursive-multiplying")];
    const struct algorithm *knomial = &algorithms[algorithm_find(COLLECTIVE_REDUCE, "k-nomial")];
    for (uint32_t size = 1; size <= RANKS; size++) {
        order_run(allreduce, size, 0);
        order_run(flat, size, 0);
        order_run(direct, size, 0);
        order_run(multiplying, size, 0);
        for (uint32_t root = 0; root < size; root++) order_run(reduce, size, root);
        for (uint32_t root = 0; root < size; root++) order_run(knomial, size, root);
    }
}

/* A schedule of 131,072 ranks, or of 2^31 - 1, is a page, whoever asks. */
static void schedules_are_small(void **state)
{
    (void)state;
    static const uint32_t sizes[] = { 1000, 131072, 131071, 2147483647 };
    for (uint32_t i = 0; i < algorithm_count; i++)
        for (size_t k = 0;
             algorithms[i].generate && algorithms[i].generate != generate_allreduce_flat &&
             algorithms[i].generate != generate_allreduce_direct &&
             k < sizeof(sizes) / sizeof(sizes[0]);
             k++) {
            uint32_t p = sizes[k], ranks[] = { 0, 1, p / 2, p / 3, p - 1 };
            for (size_t r = 0; r < sizeof(ranks) / sizeof(ranks[0]); r++) {
                struct schedule *s = schedule_for(&algorithms[i], p, ranks[r], p / 5, false);
                bool packs = algorithms[i].generate == generate_alltoall_bruck;
                uint32_t pieces =
                    algorithms[i].parameter == PARAMETER_PIECES ? algorithms[i].initial : 0;
                assert_in_range(s->ops, 1,
                                (packs ? 15 : 8) * binomial_levels(p) + 8 + 2 * pieces);
                if (p <= 131072 && !packs) assert_in_range(schedule_bytes(s->ops), 1, 4096);
                if (p == 131072 && algorithms[i].generate == generate_allreduce_doubling)
                    assert_in_range(schedule_bytes(s->ops), 1, 2048);
                free(s);
            }
        }
}

/* Beyond what it is for, every rank alike says so. */
static void a_flat_reduction_has_a_limit(void **state)
{
    (void)state;
    for (uint32_t rank = 0; rank < 65; rank += 64) {
        struct build b = { .size = 65, .rank = rank };
        struct op op[BUILD_MAX];
        generate_allreduce_flat(&b);
        assert_int_equal(build_finish(&b, op), 0);
        assert_string_equal(b.failure, "flat is for up to 64 ranks");
    }
}

static bool chosen(enum collective collective, const struct situation *at, const char *name)
{
    return (int)algorithm_choose(collective, at).algorithm == algorithm_find(collective, name);
}

/* Direct is chosen for up to 4, else flat, where ranks take turns, for short messages and few
 * ranks, and nowhere else. */
static void a_crowd_goes_flat(void **state)
{
    (void)state;
    static const enum collective both[] = { COLLECTIVE_BARRIER, COLLECTIVE_ALLREDUCE };
    for (size_t i = 0; i < 2; i++) {
        struct situation at = { .size = 16, .crowded = true, .link = "shm", .has_arithmetic = i };
        assert_true(chosen(both[i], &at, "flat"));
        at.size = 5;
        assert_true(chosen(both[i], &at, "flat"));
        for (at.size = 3; at.size <= 4; at.size++) assert_true(chosen(both[i], &at, "direct"));
        at.size = 2;
        assert_false(chosen(both[i], &at, "flat"));
        at.size = 65;
        assert_false(chosen(both[i], &at, "flat"));
        at.size = 16;
        at.bytes = 1 << 20;
        assert_false(chosen(COLLECTIVE_ALLREDUCE, &at, "flat"));
    }
}

/* Whether it gives the aligned tree's bits, as collectives_property.c shows. */
static bool as_the_tree(const struct algorithm *a, uint32_t size)
{
    bool multiplies = !strcmp(a->name, "recursive-multiplying");
    bool doubles = !strcmp(a->name, "recursive-doubling") || !strcmp(a->name, "rabenseifner");
    bool whole = (size & (size - 1)) == 0 || (multiplies && size <= MULTIPLYING_RANKS);
    return a->flags & ALIGNED ||
           (a->collective == COLLECTIVE_ALLREDUCE && (doubles || multiplies) && whole);
}

/* However many cores there are. */
static void brackets_alike(enum collective collective, struct situation at,
                           const struct algorithm *a)
{
    at.crowded = true;
    for (at.cores = 1; at.cores <= 64; at.cores *= 4) {
        const struct algorithm *b = &algorithms[algorithm_choose(collective, &at).algorithm];
        if (a == b || (as_the_tree(a, at.size) && as_the_tree(b, at.size))) continue;
        fail_msg("%u ranks, %u cores: %s, and %s", at.size, at.cores, a->name, b->name);
    }
}

/* What is chosen can be done: it has what is needed, and is for so many ranks; and the number of
 * cores changes no bracket of it. */
static void choices_are_allowed(void **state)
{
    (void)state;
    static const char *const links[] = { "shm", "tcp", "verbs", "sim", "of no such name" };
    for (int c = 1; c < COLLECTIVE_END; c++)
        for (uint32_t size = 1; size <= 200; size += size < 20 ? 1 : 37)
            for (uint64_t bytes = 0; bytes <= 1 << 24; bytes = bytes ? bytes * 8 : 8)
                for (int way = 0; way < 30; way++) {
                    enum collective collective = (enum collective)c;
                    struct situation at = { .size = size,
                                            .bytes = bytes,
                                            .crowded = way % 2,
                                            .link = links[way / 2 % 5],
                                            .has_arithmetic = collective_adds(collective) };
                    if (at.has_arithmetic && way >= 10) at.need = KEEPS_ORDER;
                    if (at.has_arithmetic && way >= 20) at.need |= ALIGNED;
                    struct choice choice = algorithm_choose(collective, &at);
                    const struct algorithm *a = &algorithms[choice.algorithm];
                    assert_int_equal(a->collective, collective);
                    assert_null(algorithm_objection(a, &at));
                    if (at.has_arithmetic && size > 2) brackets_alike(collective, at, a);
                }
}

/* The builder's word on a program whose dependencies are known: a chain, a join, a fence, a loop.
 */
static void dependencies_are_derived(void **state)
{
    (void)state;
    struct build b = { .size = 8, .rank = 3, .blocks = { 0, 8, 8, 8 } };
    struct op op[BUILD_MAX];
    build_recv(&b, 0, place_at(BUFFER_TMP, 0), 1);         /* 0                            */
    build_recv(&b, 1, place_at(BUFFER_TMP, 1), 1);         /* 1                            */
    build_recv(&b, 2, place_at(BUFFER_TMP, 2), 1);         /* 2                            */
    build_send(&b, 4, place_at(BUFFER_TMP, 0), 2);         /* 3 after 0, 1                 */
    build_send(&b, 5, place_at(BUFFER_TMP, 0), 3);         /* 5 after 4 = 2 + 1, and 0     */
    build_recv(&b, 0, place_at(BUFFER_TMP, 0), 1);         /* 6 after 3, 5: 0 follows      */
    build_loop(&b, 7);                                     /* 7 a fence, 8 the loop        */
    build_send(&b, 4, place_moving(BUFFER_TMP, 3, -1), 1); /* 9 after 10, once round       */
    build_recv(&b, 2, place_moving(BUFFER_TMP, 2, -1), 1); /* 10                           */
    build_loop_end(&b);
    uint32_t n = build_finish(&b, op);
    static const uint32_t deps[][2] = { { 0, 0 }, { 0, 0 }, { 0, 0 }, { 2, 3 }, { 2, 3 }, { 1, 5 },
                                        { 1, 3 }, { 0, 0 }, { 2, 0 }, { 1, 0 }, { 0, 0 } };
    assert_int_equal(n, 11);
    for (uint32_t i = 0; i < n; i++) {
        if (op_kind(&op[i]) == OP_LOOP) continue;
        assert_int_equal(op[i].dep[0], deps[i][0]);
        assert_int_equal(op[i].dep[1], deps[i][1]);
    }
    assert_int_equal(op_kind(&op[4]), OP_NOP);
    assert_int_equal(op_flags(&op[7]), OP_FENCE);
    assert_int_equal(op[6].at[FIELD_A], 1); /* the second message from rank 0 */
    assert_int_equal(op[9].at[FIELD_D], 1); /* rank 4 has had one             */
    assert_int_equal(op_multiplier(&op[9], FIELD_D), 1);
    assert_int_equal(op[10].at[FIELD_A], 1); /* rank 2 as well                 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_of_two_copies_nothing),
        cmocka_unit_test(binomial_is_a_tree_of_ranges),
        cmocka_unit_test(dissemination_reaches_all),
        cmocka_unit_test(doubling_pairs_up_contiguous_ranges),
        cmocka_unit_test(ring_sides_are_inverse),
        cmocka_unit_test(every_message_has_two_ends),
        cmocka_unit_test(reductions_keep_rank_order),
        cmocka_unit_test(schedules_are_small),
        cmocka_unit_test(a_flat_reduction_has_a_limit),
        cmocka_unit_test(a_crowd_goes_flat),
        cmocka_unit_test(choices_are_allowed),
        cmocka_unit_test(dependencies_are_derived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
