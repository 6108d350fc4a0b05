/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_link_test.c - how links of two transports in one process come up, and how they end
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/shm_pair.h"

static const uint8_t secret[32] = "a secret of thirty-two bytes...";

/* --- bring-up --------------------------------------------------------------------------------- */

static void bring_up(const uint8_t *key)
{
    struct end a, b;
    pair_up(&a, &b, key);
    assert_int_equal(b.links, 1);
    assert_int_equal(a.peers[1].link->base.epoch, 1001);
    assert_int_equal(b.peers[0].link->base.epoch, 1000);
    assert_int_equal(send_to(&a, 1, "head", 4, "body", 4), 0);
    assert_int_equal(send_to(&b, 0, "head", 4, "body", 4), 0);
    UNTIL(a.peers[1].messages == 1 && b.peers[0].messages == 1, &a, &b);
    pair_down(&a, &b);
    assert_int_equal(a.peers[1].status, 0);
    assert_int_equal(b.peers[0].status, 0);
    assert_int_equal(b.peers[0].gone, GONE_LEFT);
}

static void test_a_link_comes_up_and_goes(void **state)
{
    (void)state;
    bring_up(NULL);
    bring_up(secret);
}

/* A job on one host never maps libcrypto. */
static void test_the_proof_needs_no_library(void **state)
{
    (void)state;
    struct end a, b;
    char line[512];
    pair_up(&a, &b, secret);
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) assert_null(strstr(line, "libcrypto"));
    fclose(maps);
    pair_down(&a, &b);
}

/* All three orders in which two attempts can meet, many times. */
static void test_crossing_connects_make_one_link(void **state)
{
    (void)state;
    for (int order = 0; order < 40; order++) {
        struct end a, b;
        end_open(&a, 0, 2, secret);
        end_open(&b, 1, 2, secret);
        if (order % 2) end_connect(&a, 1, &b);
        end_connect(&b, 0, &a);
        if (order % 2 == 0) end_connect(&a, 1, &b);
        for (int i = 0; i < order; i++) end_progress(order % 4 < 2 ? &a : &b);
        UNTIL(a.peers[1].ups == 1 && b.peers[0].ups == 1, &a, &b);
        assert_int_equal(send_to(&a, 1, "x", 1, NULL, 0), 0);
        assert_int_equal(send_to(&b, 0, "x", 1, NULL, 0), 0);
        UNTIL(a.peers[1].messages == 1 && b.peers[0].messages == 1, &a, &b);
        for (int i = 0; i < 300; i++) UNTIL(true, &a, &b);
        assert_int_equal(a.links + b.links, 0);
        assert_int_equal(a.peers[1].downs + b.peers[0].downs, 0);
        pair_down(&a, &b);
    }
}

static void test_a_peer_may_come_back(void **state)
{
    (void)state;
    struct end a, b;
    pair_up(&a, &b, secret);
    for (int round = 2; round < 12; round++) {
        struct end *from = round % 2 ? &a : &b, *to = round % 2 ? &b : &a;
        int me = round % 2 ? 0 : 1, peer = 1 - me;
        end_disconnect(from, peer, DISCONNECT_DRAIN);
        WHILE (from->peers[peer].link) end_progress(from);
        end_connect(from, peer, to); /* the other side has not yet seen the end of the old one */
        UNTIL(from->peers[peer].ups == round && to->peers[me].ups == round, &a, &b);
        assert_int_equal(to->peers[me].downs, round - 1);
    }
    pair_down(&a, &b);
}

static void test_a_new_incarnation_ends_the_old_link(void **state)
{
    (void)state;
    struct end a, b, again;
    pair_up(&a, &b, secret);
    assert_int_equal(send_to(&a, 1, "last", 4, NULL, 0), 0);
    end_open(&again, 0, 2, secret);
    again.t->base.opt.epoch = 77;
    end_connect(&again, 1, &b);
    UNTIL(b.peers[0].ups == 2 && again.peers[1].ups == 1, &b, &again);
    assert_int_equal(b.peers[0].messages, 1); /* what it sent came first */
    assert_int_equal(b.peers[0].downs, 1);
    assert_int_equal(b.peers[0].status, SINEW_EPEER);
    assert_int_equal(b.peers[0].gone, GONE_DIED);
    assert_int_equal(b.peers[0].link->base.epoch, 77);
    UNTIL(a.peers[1].downs == 1, &a, &a);
    end_close(&a);
    pair_down(&again, &b);
}

/* A newcomer waits for an older link to go down: its host sleeps meanwhile, and notices if it is
 * given up. */
static void newcomer_waits(bool gives_up)
{
    static uint8_t memory[100000], local[100000];
    struct end a, b, again;
    struct region mine = { .base = memory, .len = sizeof(memory) }, theirs;
    pair_up(&a, &b, secret);
    assert_int_equal(transport_shm.reg(&a.t->base, NULL, &mine), 0);
    theirs = mine;
    assert_int_equal(transport_shm.reg(&b.t->base, &b.peers[0].link->base, &theirs), 0);
    struct rma op = { .kind = RMA_PUT, .local = local, .len = sizeof(local), .peers = &theirs };
    assert_int_equal(transport_shm.rma(&b.peers[0].link->base, &op), TRANSPORT_PENDING);
    end_disconnect(&b, 0, DISCONNECT_DRAIN); /* which takes as long as a does nothing */
    end_open(&again, 0, 2, secret);
    again.t->base.opt.epoch = 77;
    end_connect(&again, 1, &b);
    UNTIL(b.t->deferred == 1, &b, &again);
    for (int i = 0; i < 1000; i++) end_progress(&b);
    assert_int_equal(transport_shm.arm(&b.t->base), 0);
    struct pollfd fd = { .fd = b.t->base.fd, .events = POLLIN };
    assert_int_equal(poll(&fd, 1, 0), 0);
    if (gives_up) {
        end_disconnect(&again, 1, DISCONNECT_NOW);
        UNTIL(again.peers[1].downs == 1, &again, &again);
        assert_int_equal(poll(&fd, 1, 1000), 1);
        UNTIL(b.t->deferred == 0, &b, &b);
    }
    UNTIL(a.peers[1].downs == 1 && b.peers[0].downs == 1, &a, &b);
    assert_int_equal(transport_shm.dereg(&a.t->base, &mine), 0);
    end_close(&a);
    if (!gives_up) {
        UNTIL(b.peers[0].ups == 2 && again.peers[1].ups == 1, &b, &again);
        end_disconnect(&again, 1, DISCONNECT_DRAIN);
        UNTIL(!b.peers[0].link && !again.peers[1].link, &b, &again);
    }
    assert_int_equal(b.links, gives_up ? 1 : 2);
    end_close(&again);
    end_close(&b);
}

static void test_a_newcomer_waits_asleep(void **state)
{
    (void)state;
    newcomer_waits(false);
    newcomer_waits(true);
}

static void test_messaging_may_refuse(void **state)
{
    (void)state;
    struct end a, b;
    end_open(&a, 0, 2, secret);
    end_open(&b, 1, 2, secret);
    b.refuses = true;
    end_connect(&a, 1, &b);
    UNTIL(a.peers[1].downs == 1, &a, &b);
    assert_int_equal(a.peers[1].status, SINEW_EPEER);
    assert_non_null(strstr(a.peers[1].why, "rank 1"));
    assert_int_equal(b.links, 1);
    end_close(&a);
    end_close(&b);
}

static void test_nobody_there(void **state)
{
    (void)state;
    struct end a, b;
    uint8_t address[HOST_ADDRESS_LEN];
    end_open(&a, 0, 2, secret);
    end_open(&b, 1, 2, secret);
    memcpy(address, b.t->base.address, sizeof(address));
    end_close(&b);
    end_connect_address(&a, 1, address, sizeof(address));
    UNTIL(a.peers[1].downs == 1, &a, &a);
    assert_int_equal(a.peers[1].status, SINEW_EPEER);
    end_close(&a);
}

/* It holds a copy of the listening socket, on which nobody would ever answer. */
static void test_a_forked_child_does_not_listen_on(void **state)
{
    (void)state;
    struct end a, b;
    int hold[2];
    char byte;
    end_open(&a, 0, 2, secret);
    end_open(&b, 1, 2, secret);
    struct host_address gone = b.t->self;
    assert_int_equal(pipe(hold), 0);
    pid_t child = bounded_fork();
    if (child == 0) {
        close(hold[1]);
        _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
    }
    end_close(&b);
    uint8_t address[HOST_ADDRESS_LEN];
    host_address_encode(address, &gone);
    end_connect_address(&a, 1, address, sizeof(address));
    for (int i = 0; i < 1000; i++) end_progress(&a);
    assert_int_equal(a.peers[1].downs, 1);
    assert_int_equal(a.peers[1].status, SINEW_EPEER);
    end_close(&a);
    close(hold[0]);
    close(hold[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static int64_t late; /* what the clock below is ahead */

static int64_t late_now(void *arg)
{
    return world_real.now(arg) + late;
}

/* A peer that computes, or is stopped, is no error, however long: its kernel has answered. Its end
 * is seen meanwhile. */
static void test_a_peer_that_computes_is_waited_for(void **state)
{
    (void)state;
    struct world world = world_real;
    struct end a, b;
    world.now = late_now;
    for (int answers = 0; answers < 2; answers++) {
        end_open(&a, 0, 2, secret);
        end_open(&b, 1, 2, secret);
        a.t->base.opt.world = &world;
        end_connect(&a, 1, &b);
        late += CONFIG_HOUR;
        for (int i = 0; i < 1000; i++) end_progress(&a);
        assert_int_equal(a.peers[1].downs, 0);
        if (answers) {
            UNTIL(a.peers[1].ups == 1 && b.peers[0].ups == 1, &a, &b);
            pair_down(&a, &b);
        } else {
            end_close(&b);
            UNTIL(a.peers[1].downs == 1, &a, &a);
            assert_int_equal(a.peers[1].status, SINEW_EPEER);
            end_close(&a);
        }
    }
}

/* Who cannot even be asked. */
static void test_a_full_queue_ends_at_the_setup_deadline(void **state)
{
    (void)state;
    struct end a;
    struct sockaddr_un at;
    struct host_address host;
    struct why why;
    uint8_t address[HOST_ADDRESS_LEN];
    int sockets[8], n = 0;
    assert_int_equal(host_address_self(&world_real, &host, &why), 0);
    host_address_encode(address, &host);
    socklen_t len = host_socket_address(host.name, &at);
    for (; n < 8; n++) {
        sockets[n] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (n == 0)
            assert_int_equal(bind(sockets[0], (struct sockaddr *)&at, len) | listen(sockets[0], 0),
                             0);
        else if (connect(sockets[n], (struct sockaddr *)&at, len) < 0)
            break;
    }
    assert_true(n < 8);
    end_open(&a, 0, 2, secret);
    a.config.setup_deadline = CONFIG_SECOND / 20;
    end_connect_address(&a, 1, address, sizeof(address));
    UNTIL(a.peers[1].downs == 1, &a, &a);
    assert_int_equal(a.peers[1].status, SINEW_ETIMEDOUT);
    end_close(&a);
    for (int i = 0; i <= n; i++) close(sockets[i]);
}

static void test_reach_says_why_not(void **state)
{
    (void)state;
    struct end a, b;
    struct why why;
    uint8_t address[HOST_ADDRESS_LEN];
    end_open(&a, 0, 2, NULL);
    end_open(&b, 1, 2, NULL);
    const uint8_t *of_b = b.t->base.address;
    assert_true(transport_shm.reach(&a.t->base, of_b, HOST_ADDRESS_LEN, &why) >= 0);
    assert_int_equal(b.t->base.address_len, HOST_ADDRESS_LEN);
    static const struct {
        int at;
        const char *word;
    } cases[] = {
        { 0, "host" }, { 8, "network namespace" }, { 12, "as user" }, { 24, "user namespace" }
    };
    for (size_t i = 0; i < 4; i++) {
        memcpy(address, of_b, sizeof(address));
        address[cases[i].at] ^= 1;
        int status = transport_shm.reach(&a.t->base, address, sizeof(address), &why);
        assert_int_equal(status, SINEW_EUNREACHABLE);
        assert_non_null(strstr(why.text, cases[i].word));
    }
    assert_int_equal(transport_shm.reach(&a.t->base, of_b, HOST_ADDRESS_LEN - 1, &why),
                     SINEW_EINVAL);
    end_close(&a);
    end_close(&b);
}

/* --- ends ------------------------------------------------------------------------------------- */

static void test_both_leave_at_once(void **state)
{
    (void)state;
    struct end a, b;
    pair_up(&a, &b, NULL);
    end_disconnect(&a, 1, DISCONNECT_DRAIN);
    end_disconnect(&b, 0, DISCONNECT_DRAIN);
    UNTIL(a.peers[1].downs && b.peers[0].downs, &a, &b);
    assert_int_equal(a.peers[1].status, 0);
    assert_int_equal(b.peers[0].status, 0);
    end_close(&a);
    end_close(&b);
}

/* Taken by its peer while it has not seen the answer: it leaves, and does not die. */
static void test_who_leaves_unanswered_has_left(void **state)
{
    (void)state;
    struct end a, b;
    end_open(&a, 0, 2, secret);
    end_open(&b, 1, 2, secret);
    end_connect(&a, 1, &b);
    UNTIL(b.peers[0].ups == 1, &b, &b);
    assert_int_equal(a.peers[1].ups, 0);
    end_disconnect(&a, 1, DISCONNECT_DRAIN);
    UNTIL(a.peers[1].downs == 1, &a, &a);
    end_close(&a);
    UNTIL(b.peers[0].downs == 1, &b, &b);
    assert_int_equal(b.peers[0].status, 0);
    assert_int_equal(b.peers[0].gone, GONE_LEFT);
    end_close(&b);
}

static void test_dead_hands_up_what_arrived(void **state)
{
    (void)state;
    struct end a, b;
    pair_up(&a, &b, NULL);
    for (int i = 0; i < 63; i++) assert_int_equal(send_to(&a, 1, "sent", 4, NULL, 0), 0);
    end_disconnect(&b, 0, DISCONNECT_DEAD);
    UNTIL(b.peers[0].downs, &b, &b);
    assert_int_equal(b.peers[0].messages, 63);
    assert_int_equal(b.peers[0].status, SINEW_EPEER);
    assert_int_equal(b.peers[0].gone, GONE_DIED);
    UNTIL(a.peers[1].downs, &a, &b);
    end_close(&a);
    end_close(&b);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, end_no_residue, end_no_residue)
    const struct CMUnitTest tests[] = {
        TEST(test_a_link_comes_up_and_goes),
        TEST(test_the_proof_needs_no_library),
        TEST(test_crossing_connects_make_one_link),
        TEST(test_a_peer_may_come_back),
        TEST(test_a_new_incarnation_ends_the_old_link),
        TEST(test_a_newcomer_waits_asleep),
        TEST(test_messaging_may_refuse),
        TEST(test_nobody_there),
        TEST(test_a_forked_child_does_not_listen_on),
        TEST(test_a_peer_that_computes_is_waited_for),
        TEST(test_a_full_queue_ends_at_the_setup_deadline),
        TEST(test_reach_says_why_not),
        TEST(test_both_leave_at_once),
        TEST(test_who_leaves_unanswered_has_left),
        TEST(test_dead_hands_up_what_arrived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
