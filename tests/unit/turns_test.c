/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranks that share their cores wait in turns: in virtual time, with yields and sleeps of the
 * test's. */
#include "messaging_fake.h"

static void answer(struct fake *f)
{
    f->comings = 0; /* all were taken */
    say_eager(f, 1, 5, 0, 0);
}

/* Somebody else had the core for a while, and has answered. */
static void others_run(struct fake *f)
{
    f->now += 5000;
    answer(f);
}

static void one_exchange(struct fake *f)
{
    assert_int_equal(sinew_recv(sinew_world(f->s), NULL, 0, 1, 5, NULL, NULL), 0);
    for (; f->sents > 0; f->sents--) free(f->sent[f->sents - 1].body);
}

/* Who shares a core gives it away at once; now and then one sleeps, to be woken where there is
 * room. */
static void ranks_of_a_crowd_take_turns(void **unused)
{
    (void)unused;
    void *state;
    assert_int_equal(open_fake_together(&state, 1), 0);
    struct fake *f = state;
    assert_true(f->s->takes_turns && f->s->spins == 0);
    meet(f);
    move(f);
    f->in_yield = others_run;
    f->in_sleep = answer;
    for (int i = 0; i < 1000; i++) one_exchange(f);
    assert_int_equal(f->s->counters.yields, 1000);
    assert_int_equal(f->s->counters.sleeps, 0);
    for (int i = 0; i < 100; i++) one_exchange(f);
    assert_int_equal(f->s->counters.sleeps, 1);
    assert_int_equal(f->s->spins, 0);
    close_fake(&state);
}

/* Where the others sleep a yield comes back at once: after some of these there is something to spin
 * for. */
static void a_crowd_that_sleeps_is_none(void **unused)
{
    (void)unused;
    void *state;
    assert_int_equal(open_fake_together(&state, 1), 0);
    struct fake *f = state;
    meet(f);
    move(f);
    f->in_yield = answer;
    for (int i = 0; i < 8; i++) one_exchange(f);
    assert_int_equal(f->s->spins, 0);
    for (int i = 0; i < 40; i++) one_exchange(f);
    assert_true(f->s->spins > 0);
    f->in_yield = others_run;
    one_exchange(f); /* they are back */
    assert_int_equal(f->s->spins, 0);
    close_fake(&state);
}

/* A wait for one link alone is short, however long others are told to poll: it sees no death, no
 * deadline. */
static void a_wait_for_one_link_is_short(void **unused)
{
    enum { MANY = 1000000 };
    (void)unused;
    void *state;
    assert_int_equal(open_fake_together(&state, 1), 0);
    struct fake *f = state;
    struct shortly patience = { 0, 0 };
    int looks = 0;
    f->s->yields = 1000000000; /* the most that poll_yields may be */
    while (looks < MANY && wait_shortly(f->s, &patience)) looks++;
    assert_true(looks < MANY);
    close_fake(&state);
}

static void a_poll_takes_long(struct fake *f)
{
    f->now += 1000;
}

/* However long that takes, and however few the cores are. */
static void who_is_told_how_often_to_poll_and_yield_does_so(void **unused)
{
    enum { POLLS = 3000, YIELDS = 5 };
    (void)unused;
    for (int cores = 1; cores <= 64; cores += 63) {
        void *state;
        assert_int_equal(open_fake_told(&state, "poll_spins=3000,poll_yields=5", cores), 0);
        struct fake *f = state;
        meet(f);
        f->in_progress = a_poll_takes_long;
        f->in_sleep = answer;
        for (int i = 1; i <= 3; i++) {
            memset(f->polls, 0, sizeof(f->polls));
            one_exchange(f);
            assert_int_equal(f->s->counters.sleeps, i);
            assert_int_equal(f->s->counters.yields, i * YIELDS);
            assert_in_range(f->polls[0], POLLS, POLLS + 256 + 2 * YIELDS);
        }
        close_fake(&state);
    }
}

/* Of 256 polls, those of the second transport. */
static int polls_of_the_other(struct fake *f, struct link *hint)
{
    f->s->polls = 0;
    memset(f->polls, 0, sizeof(f->polls));
    for (int i = 0; i < 256; i++) context_progress(f->s, hint);
    assert_int_equal(f->polls[0], 256);
    return f->polls[1];
}

/* A waiter looks at its own transport each time, at others every 16th: but at one that is far
 * slower and has no link every 128th, for it is likely to ask the system in vain. */
static void slow_transports_without_links_are_asked_rarely(void **state)
{
    struct fake *f = *state;
    meet(f);
    move(f);
    struct link *hint = f->s->peer[1]->out;
    assert_ptr_equal(hint->transport, f->s->transport[0]);
    assert_int_equal(f->s->links[1], 0);
    assert_int_equal(polls_of_the_other(f, hint), 16);
    f->s->transport[0]->caps.latency_ns = 100;
    f->s->transport[1]->caps.latency_ns = 15000;
    assert_int_equal(polls_of_the_other(f, hint), 2);
    assert_int_equal(polls_of_the_other(f, NULL), 16);
    f->s->links[1] = 1;
    assert_int_equal(polls_of_the_other(f, hint), 16);
    f->s->links[1] = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_of_a_crowd_take_turns),
        cmocka_unit_test(a_crowd_that_sleeps_is_none),
        cmocka_unit_test(a_wait_for_one_link_is_short),
        cmocka_unit_test(who_is_told_how_often_to_poll_and_yield_does_so),
        cmocka_unit_test_setup_teardown(slow_transports_without_links_are_asked_rarely, open_fake,
                                        close_fake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
