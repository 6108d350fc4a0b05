/* SPDX-License-Identifier: BSD-3-Clause */
/* The order of what goes along a graph. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectives/neighbours.h"
#include "sinew/sinew.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_are_sent_to_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
