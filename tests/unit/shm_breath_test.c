/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_breath_test.c - who breathes between looks for room: a put that waits for the receiver, and
 * no put that waits for a message of its own rank; with put.c as it is but for a pause that is
 * counted
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/relax.h"
#include "tests/unit/shm_pair.h"

static int pauses;

static void count_pause(void) { pauses++; }

#define cpu_relax count_pause
#include "transport/shm/put.c"

static int pauses_of_progress(struct end *e)
{
    int before = pauses;
    end_progress(e);
    return pauses - before;
}

static void test_only_who_waits_for_the_receiver_breathes(void **state)
{
    (void)state;
    struct end a, b;
    static uint8_t local[1 << 20];
    uint8_t *memory = calloc(1, sizeof(local));
    struct region mine = { .base = memory, .len = sizeof(local) }, theirs;
    pair_up(&a, &b, NULL);
    pair_grant(&a, &b, &mine, &theirs);
    struct shm_link *l = a.peers[1].link;
    struct rma op = { .kind = RMA_PUT, .local = local, .len = sizeof(local), .peers = &theirs };
    assert_int_equal(pauses_of_progress(&a), 0);
    assert_int_equal(shm_rma(&l->base, &op), TRANSPORT_PENDING);
    for (int i = 0; i < 3; i++) assert_int_equal(pauses_of_progress(&a), PUT_BREATHS);

    WHILE (send_to(&a, 1, "x", 1, local, SEGMENT_EAGER_MAX) == 0) {}
    WHILE (!put_yields(l)) { /* a fragment goes, and the message is next */
        struct ring_message m;
        if (ring_take(&b.peers[0].link->rx, &m) > 0) ring_finish(&b.peers[0].link->rx, &m);
        ring_tell(&b.peers[0].link->rx);
        end_progress(&a);
    }
    for (int i = 0; i < 3; i++) assert_int_equal(pauses_of_progress(&a), 0);
    assert_true(put_yields(l));

    UNTIL(a.peers[1].dones == 1, &a, &b);
    assert_int_equal(shm_dereg(&a.t->base, &theirs), 0);
    assert_int_equal(shm_dereg(&b.t->base, &mine), 0);
    free(memory);
    pair_down(&a, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_only_who_waits_for_the_receiver_breathes,
                                        end_no_residue, end_no_residue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
