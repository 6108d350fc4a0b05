/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_process_test.c - ranks that are processes: they leave, are killed, and sleep
 */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/shm_pair.h"

static const uint8_t secret[32] = "a secret of thirty-two bytes...";

enum child_end { CHILD_LEAVES, CHILD_IS_KILLED, CHILD_IS_KILLED_BUT_FORKED };

/* The child connects, sends 1000 messages (more than a ring holds) and ends. */
static void child_run(const struct end *parent, enum child_end how, int alive)
{
    struct end me;
    end_open(&me, 1, 2, secret);
    end_connect(&me, 0, parent);
    WHILE (me.peers[0].ups == 0) end_progress(&me);
    for (uint64_t n = 0; n < 1000;) {
        if (send_to(&me, 0, &n, 8, NULL, 0) == 0)
            n++;
        else
            end_progress(&me);
    }
    if (how == CHILD_LEAVES) {
        end_disconnect(&me, 0, DISCONNECT_DRAIN);
        WHILE (me.peers[0].downs == 0) end_progress(&me);
        _exit(0);
    }
    /* A grandchild that holds socket and rings until the test has seen the death. */
    if (how == CHILD_IS_KILLED_BUT_FORKED && fork() == 0) {
        char byte;
        ssize_t n = read(alive, &byte, 1);
        _exit(n == 0 ? 0 : 1);
    }
    kill(getpid(), SIGKILL);
}

static int in_order(struct peer *p, const uint8_t *head, size_t hlen, const uint8_t *body,
                    size_t blen)
{
    uint64_t n;
    (void)body;
    assert_int_equal(hlen, 8);
    assert_int_equal(blen, 0);
    memcpy(&n, head, 8);
    assert_int_equal(n, p->messages);
    return 0;
}

/* Sleep on the descriptor as a waiter would: what must wake it, must wake it. */
static void sleep_until_down(struct end *e, int rank)
{
    WHILE (e->peers[rank].downs == 0) {
        if (end_progress(e) > 0 || transport_shm.arm(&e->t->base) > 0) continue;
        struct pollfd fd = { .fd = e->t->base.fd, .events = POLLIN };
        assert_int_equal(poll(&fd, 1, 10000), 1);
    }
}

static void child_ends(enum child_end how, bool sleeps)
{
    struct end me;
    int alive[2], status;
    assert_int_equal(pipe(alive), 0);
    end_open(&me, 0, 2, secret);
    me.recv = in_order;
    pid_t child = bounded_fork();
    if (child == 0) {
        close(alive[1]);
        child_run(&me, how, alive[0]);
    }
    close(alive[0]);
    if (sleeps) sleep_until_down(&me, 1);
    UNTIL(me.peers[1].downs == 1, &me, &me);
    assert_int_equal(me.peers[1].messages, 1000);
    assert_int_equal(me.peers[1].gone, how == CHILD_LEAVES ? GONE_LEFT : GONE_DIED);
    assert_int_equal(me.peers[1].status, how == CHILD_LEAVES ? 0 : SINEW_EPEER);
    waitpid(child, &status, 0);
    close(alive[1]);
    end_close(&me);
}

static void test_a_process_leaves(void **state)
{
    (void)state;
    child_ends(CHILD_LEAVES, false);
    child_ends(CHILD_LEAVES, true);
}

static void test_a_process_is_killed(void **state)
{
    (void)state;
    child_ends(CHILD_IS_KILLED, false);
    child_ends(CHILD_IS_KILLED, true);
}

static void test_a_forked_child_does_not_hide_death(void **state)
{
    (void)state;
    child_ends(CHILD_IS_KILLED_BUT_FORKED, false);
    child_ends(CHILD_IS_KILLED_BUT_FORKED, true);
}

/* Messaging goes on expecting something else while the dead peer's last messages are in the
 * ring. */
static void test_what_is_expected_cuts_nothing_off(void **state)
{
    (void)state;
    struct end me;
    struct expect never = { .mask = UINT64_MAX };
    end_open(&me, 0, 2, secret);
    me.recv = in_order;
    pid_t child = bounded_fork();
    if (child == 0) child_run(&me, CHILD_IS_KILLED, -1);
    /* So many that the rest fits the ring and the child can die. */
    UNTIL(me.peers[1].messages > 1000 - SEGMENT_SLOTS, &me, &me);
    transport_shm.arm(&me.t->base); /* gives room back; and the next progress looks at pidfds too */
    assert_int_equal(waitpid(child, NULL, 0), child);
    WHILE (me.peers[1].downs == 0) {
        struct link *l = &me.peers[1].link->base;
        l->expect = &never;
        transport_shm.progress(&me.t->base, l);
    }
    assert_int_equal(me.peers[1].messages, 1000);
    end_progress(&me); /* releases the link */
    end_close(&me);
}

/* Ping-pong between processes that sleep for every message: no wake-up may be lost. */
static void ping_pong_asleep(bool fencing)
{
    enum { ROUNDS = 2000 };
    struct end me;
    int status;
    end_open(&me, 0, 2, secret);
    if (fencing) me.t->membarrier = false; /* as if it had been refused: told at connect */
    me.recv = peer_echo;
    pid_t child = bounded_fork();
    if (child == 0) {
        struct end c;
        end_open(&c, 1, 2, secret);
        end_connect(&c, 0, &me);
        WHILE (c.peers[0].ups == 0) end_progress(&c);
        for (uint64_t n = 1; n <= ROUNDS; n++) {
            send_to(&c, 0, "ping", 4, NULL, 0);
            WHILE (c.peers[0].messages < n) {
                if (end_progress(&c) > 0 || transport_shm.arm(&c.t->base) > 0) continue;
                struct pollfd fd = { .fd = c.t->base.fd, .events = POLLIN };
                if (poll(&fd, 1, 10000) != 1) _exit(2);
            }
        }
        end_disconnect(&c, 0, DISCONNECT_DRAIN);
        WHILE (c.peers[0].downs == 0) end_progress(&c);
        _exit(0);
    }
    sleep_until_down(&me, 1);
    assert_int_equal(me.peers[1].messages, ROUNDS);
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    end_close(&me);
}

static void test_no_wake_up_is_lost(void **state)
{
    (void)state;
    ping_pong_asleep(false);
    ping_pong_asleep(true);
}

/* Killed at any moment, while messages go both ways: what came is whole and in order, and the
 * survivor knows within a second. */
static void child_is_killed_after(int steps)
{
    struct end me;
    int status;
    end_open(&me, 0, 2, secret);
    me.recv = in_order;
    pid_t child = bounded_fork();
    if (child == 0) {
        struct end c;
        end_open(&c, 1, 2, secret);
        end_connect(&c, 0, &me);
        for (uint64_t n = 0;;) {
            bool up = c.peers[0].ups && c.peers[0].link;
            if (up && send_to(&c, 0, &n, 8, NULL, 0) == 0) n++;
            end_progress(&c);
        }
    }
    for (int i = 0; i < steps || (steps > 200 && me.peers[1].messages == 0); i++) {
        end_progress(&me);
        if (me.peers[1].link) send_to(&me, 1, "x", 1, "y", 1);
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    int64_t dead = world_now(&world_real);
    for (int i = 0; i < 600 && me.peers[1].ups == 0; i++) end_progress(&me); /* may have knocked */
    WHILE (me.peers[1].link) end_progress(&me);
    assert_true(world_now(&world_real) - dead < CONFIG_SECOND);
    if (me.peers[1].downs) assert_int_equal(me.peers[1].status, SINEW_EPEER);
    end_close(&me);
}

static void test_killed_at_any_moment(void **state)
{
    (void)state;
    for (int round = 0; round < 150; round++) child_is_killed_after(round * 17 % 2500);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, end_no_residue, end_no_residue)
    const struct CMUnitTest tests[] = {
        TEST(test_a_process_leaves),
        TEST(test_a_process_is_killed),
        TEST(test_a_forked_child_does_not_hide_death),
        TEST(test_what_is_expected_cuts_nothing_off),
        TEST(test_killed_at_any_moment),
        TEST(test_no_wake_up_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
