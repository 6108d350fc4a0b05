/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tables of lengths and of neighbours that come again: such a call goes straight, and what its
 * caller has changed in them since, in place, is noticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectives/neighbours.h"
#include "sinew/sinew.h"
#include "tests/support/coll_fake.h"

static struct fake *three_ranks(void)
{
    struct fake_options options = { .seed = 1, .size = 3, .eager_bytes = 64, .at_once = 100 };
    return fake_new(&options);
}

/* ------------------------------------------------------------------------------------- lengths */

enum { PART = 8, ROOM = 64 };

/* Ranks 1 and 2 give len bytes, of 'b' and of 'c', rank 0 lens[0] of 'a', and has all in `out`. Its
 * outcome. */
static int gather(struct fake *f, size_t len, const size_t lens[3], const size_t offsets[3],
                  char out[ROOM])
{
    char in[3][PART];
    for (int r = 0; r < 3; r++) memset(in[r], 'a' + r, PART);
    memset(out, '.', ROOM);
    for (int r = 2; r > 0; r--)
        assert_int_equal(sinew_gatherv(fake_team(f, r), in[r], len, NULL, NULL, NULL, 0, NULL), 0);
    return sinew_gatherv(fake_team(f, 0), in[0], lens[0], out, lens, offsets, 0, NULL);
}

/* Called three times it goes straight, with all its messages. */
static void gather_straight(struct fake *f, size_t len, const size_t lens[3],
                            const size_t offsets[3], char out[ROOM])
{
    for (int i = 0; i < 3; i++) {
        uint64_t before = fake_straight(f);
        assert_int_equal(gather(f, len, lens, offsets, out), 0);
        assert_true(i < 2 || fake_straight(f) == before + 2);
    }
}

static void tables_changed_in_place_are_noticed(void **state)
{
    (void)state;
    struct fake *f = three_ranks();
    size_t lens[3] = { 2, 4, 4 }, offsets[3] = { 0, 2, 6 };
    char out[ROOM];
    gather_straight(f, 4, lens, offsets, out);
    assert_memory_equal(out, "aabbbbcccc....", 14);
    offsets[1] = 6, offsets[2] = 2;
    gather_straight(f, 4, lens, offsets, out);
    assert_memory_equal(out, "aaccccbbbb....", 14);
    offsets[1] = 2, offsets[2] = 6; /* which it still knows */
    assert_int_equal(gather(f, 4, lens, offsets, out), 0);
    assert_memory_equal(out, "aabbbbcccc....", 14);
    lens[0] = 1, lens[1] = 3, lens[2] = 3;
    gather_straight(f, 3, lens, offsets, out);
    assert_memory_equal(out, "a.bbb.ccc.....", 14);
    fake_free(f);
}

/* The senders go straight, the root by a request: what they carry tells. */
static void another_length_than_was_sent_is_a_mismatch(void **state)
{
    (void)state;
    struct fake *f = three_ranks();
    size_t lens[3] = { 2, 4, 4 };
    char out[ROOM];
    gather_straight(f, 4, lens, NULL, out);
    lens[2] = 3;
    struct sinew_request *req = NULL;
    char in[PART] = "aa";
    for (int r = 2; r > 0; r--)
        assert_int_equal(sinew_gatherv(fake_team(f, r), in, 4, NULL, NULL, NULL, 0, NULL), 0);
    int status = sinew_gatherv(fake_team(f, 0), in, 2, out, lens, NULL, 0, &req);
    while (fake_progress(f)) {
    }
    if (status > 0) status = sinew_test(&req);
    assert_int_equal(status, SINEW_EMISMATCH);
    fake_free(f);
}

/* What a first call is refused for, one that comes again is, too. */
static void tables_that_cannot_be_are_refused_again(void **state)
{
    (void)state;
    struct fake *f = three_ranks();
    struct sinew_team *team = fake_team(f, 0);
    size_t lens[3] = { 2, 4, 4 };
    int to[1] = { 1 };
    struct sinew_graph graph = { to, NULL, 0, 0 };
    char in[PART] = "aa", out[ROOM];
    gather_straight(f, 4, lens, NULL, out);
    assert_int_equal(sinew_gatherv(team, in, 3, out, lens, NULL, 0, NULL), SINEW_EINVAL);
    assert_int_equal(sinew_gatherv(team, in, 2, out, NULL, NULL, 0, NULL), SINEW_EINVAL);
    assert_int_equal(sinew_gatherv(team, in, 2, NULL, lens, NULL, 0, NULL), SINEW_EINVAL);
    assert_int_equal(sinew_gatherv(team, out + 4, 2, out, lens, NULL, 0, NULL), SINEW_EINVAL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sinew_neighbour_alltoall(team, &graph, NULL, 0, NULL, NULL), 0);
    assert_int_equal(sinew_neighbour_alltoall(team, NULL, NULL, 0, NULL, NULL), SINEW_EINVAL);
    graph.from_count = 1; /* of which there is no table */
    assert_int_equal(sinew_neighbour_alltoall(team, &graph, NULL, 0, NULL, NULL), SINEW_EINVAL);
    graph.from_count = -1;
    assert_int_equal(sinew_neighbour_alltoall(team, &graph, NULL, 0, NULL, NULL), SINEW_EINVAL);
    fake_free(f);
}

/* ---------------------------------------------------------------------------------- neighbours */

/* Rank 0 tells whom `to` says; each of the others hears it, or nothing. */
static void tell(struct fake *f, const int to[1])
{
    int zero = 0;
    uint64_t told = 7;
    for (int r = 0; r < 3; r++) {
        uint64_t heard = 0;
        struct sinew_graph graph = { to, &zero, r == 0, r > 0 && r == to[0] };
        assert_int_equal(
            sinew_neighbour_alltoall(fake_team(f, r), &graph, &told, sizeof(told), &heard, NULL),
            0);
        assert_int_equal(heard, r == to[0] ? told : 0);
    }
}

static void neighbours_changed_in_place_are_noticed(void **state)
{
    (void)state;
    struct fake *f = three_ranks();
    int to[1] = { 1 };
    for (int turn = 0; turn < 6; turn++) {
        to[0] = 1 + (turn / 3 + turn) % 2;
        for (int i = 0; i < 3; i++) tell(f, to);
    }
    uint64_t before = fake_straight(f);
    to[0] = 1;
    tell(f, to);
    assert_true(fake_straight(f) == before + 1);
    fake_free(f);
}

/* One neighbour on both sides, as on a ring of two: who had to receive first would make one way
 * wait for the other. */
static void neighbours_are_sent_to_first(void **state)
{
    (void)state;
    enum { OPS = 4 };
    int peers[2][2] = { { 1, 1 }, { 0, 0 } };
    for (uint32_t rank = 0; rank < 2; rank++) {
        struct sinew_graph graph = { peers[rank], peers[rank], 2, 2 };
        struct schedule *s = calloc(1, schedule_bytes(OPS));
        assert_non_null(s);
        s->size = 2, s->rank = rank, s->ops = neighbours_count(&graph);
        assert_int_equal(s->ops, OPS);
        neighbours_schedule(s, &graph, false);
        for (int i = 0; i < OPS; i++) {
            assert_int_equal(op_kind(&s->op[i]), i < 2 ? OP_SEND : OP_RECV);
            assert_int_equal(s->op[i].at[i < 2 ? FIELD_D : FIELD_A], i % 2);
        }
        free(s);
    }
}

/* A list of 65 numbers is not kept; but a call without tables has none, whatever its ranks. */
static void calls_without_tables_go_straight_among_many(void **state)
{
    enum { MANY = 70 };
    struct fake_options options = { .seed = 1, .size = MANY, .eager_bytes = 64, .at_once = 100 };
    (void)state;
    struct fake *f = fake_new(&options);
    for (int r = 0; r < MANY; r++) fake_view(f, r, false, "binomial");
    for (int i = 0; i < 3; i++) {
        uint64_t before = fake_straight(f);
        for (int r = 0; r < MANY; r++) {
            char bytes[PART];
            memset(bytes, r ? '.' : 'a' + i, PART);
            assert_int_equal(sinew_bcast(fake_team(f, r), bytes, PART, 0, NULL), 0);
            assert_int_equal(bytes[PART - 1], 'a' + i);
        }
        assert_true(i < 2 || fake_straight(f) == before + MANY - 1);
    }
    fake_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_changed_in_place_are_noticed),
        cmocka_unit_test(another_length_than_was_sent_is_a_mismatch),
        cmocka_unit_test(tables_that_cannot_be_are_refused_again),
        cmocka_unit_test(neighbours_changed_in_place_are_noticed),
        cmocka_unit_test(neighbours_are_sent_to_first),
        cmocka_unit_test(calls_without_tables_go_straight_among_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
