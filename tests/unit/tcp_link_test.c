/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Links of tcp come up once however they are started, end with exactly one `down` that says the
 * truth, and no clock ends a link while the peer's process computes.
 */
#include "tests/unit/tcp_end.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

static void send_all(struct end *from, int to, int count, struct end *receiver)
{
    for (int i = 0; i < count; i++) {
        int rc;
        WHILE ((rc = end_send(from, to, (size_t)(i % 700))) == TRANSPORT_AGAIN) {
            end_progress(from, NULL);
            if (receiver) end_progress(receiver, NULL);
        }
        assert_int_equal(rc, 0);
    }
}

static void comes_up_and_carries_both_ways(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    (void)state;
    ends_join(a, b);
    assert_int_equal(a->view[1].link->base.epoch, 101);
    assert_int_equal(b->view[0].link->base.epoch, 100);
    assert_int_equal(b->view[0].links, 1);
    assert_int_equal(a->view[1].links, 0);
    assert_false(a->view[1].link->relayed || b->view[0].link->relayed);
    send_all(a, 1, 300, b);
    send_all(b, 0, 300, a);
    ENDS_UNTIL(b->view[0].received == 300 && a->view[1].received == 300, a, b);
    end_close(a);
    end_close(b);
}

static void comes_up_without_secrets_when_neither_has_one(void **state)
{
    struct end *a = end_open(0, 100, NULL), *b = end_open(1, 101, NULL);
    (void)state;
    ends_join(b, a);
    send_all(a, 1, 10, b);
    ENDS_UNTIL(b->view[0].received == 10, a, b);
    end_close(a);
    end_close(b);
}

/* Both connect; who progresses when is drawn. One link comes of it, on both sides, and it works. */
static void crossing_once(struct seed *seed)
{
    struct end *e[2] = { end_open(0, 100, end_secret), end_open(1, 101, end_secret) };
    int first = (int)seed_below(seed, 2);
    bool connected[2] = { false, false };
    int64_t until = world_real.now(NULL) + 10 * SECOND;
    while (!connected[0] || !connected[1] || !e[0]->view[1].ups || !e[1]->view[0].ups) {
        int who = (int)seed_below(seed, 2);
        if (world_real.now(NULL) > until) fail_msg("a crossing does not end");
        if (!connected[who] && (who == first || connected[first]) && seed_below(seed, 4) == 0) {
            /* A passive link may be there already: then messaging does not connect. */
            if (!e[who]->view[!who].link) assert_int_equal(end_connect(e[who], e[!who]), 0);
            connected[who] = true;
        }
        end_progress(e[who], seed_below(seed, 2) && e[who]->view[!who].link
                                 ? &e[who]->view[!who].link->base : NULL);
    }
    send_all(e[0], 1, 20, e[1]);
    send_all(e[1], 0, 20, e[0]);
    ENDS_UNTIL(e[1]->view[0].received == 20 && e[0]->view[1].received == 20, e[0], e[1]);
    clock_advance(5 * SECOND); /* nothing of the loser comes back */
    for (int i = 0; i < 50; i++) end_progress(e[i % 2], NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(e[i]->view[!i].ups, 1);
        assert_int_equal(e[i]->view[!i].downs, 0);
        assert_int_equal(e[i]->t->pending_count, 0);
        assert_int_equal(e[i]->log_lines, 0);
    }
    end_close(e[0]);
    end_close(e[1]);
}

static void crossing_connects_make_one_link(void **state)
{
    struct seed seed = seed_from_environment("tcp crossing");
    (void)state;
    for (int i = 0; i < 200; i++) crossing_once(&seed);
}

/* Both attempts are fully under way before either side looks: the lower rank's survives. */
static void of_two_attempts_the_lower_ranks_survives(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    (void)state;
    end_connect(a, b);
    end_connect(b, a);
    ENDS_UNTIL(a->view[1].ups && b->view[0].ups, a, b);
    union place at;
    socklen_t len = sizeof(at);
    getpeername(a->view[1].link->source.fd, &at.any, &len);
    uint8_t reached[TCP_ADDRESS_MAX];
    address_encode(&at, reached);
    assert_memory_equal(reached, b->t->base.address, b->t->base.address_len);
    assert_int_equal(a->view[1].links + b->view[0].links, 0);
    assert_int_equal(a->log_lines + b->log_lines, 0);
    end_close(a);
    end_close(b);
}

static void a_peer_that_refuses_is_gone(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    (void)state;
    b->refuses = true;
    end_connect(a, b);
    ENDS_UNTIL(a->view[1].downs, a, b);
    assert_int_equal(a->view[1].ups, 0);
    assert_int_equal(a->view[1].status, SINEW_EPEER);
    assert_int_equal(a->view[1].gone, GONE_LEFT);
    end_close(a);
    end_close(b);
}

static void nobody_listening_is_told_at_once(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    (void)state;
    transport_tcp.close(&b->t->base);
    end_connect(a, b);
    ENDS_UNTIL(a->view[1].downs, a);
    assert_int_equal(a->view[1].status, SINEW_EPEER);
    assert_int_equal(a->view[1].gone, GONE_BROKEN);
    assert_non_null(strstr(a->view[1].why, "rank 1 at 127.0.0.1:"));
    assert_non_null(strstr(a->view[1].why, "ECONNREFUSED"));
    end_close(a);
    world_release(&world_real, b->t, transport_tcp.transport_size);
    world_release(&world_real, b, sizeof(*b));
}

static void an_address_that_is_none_ends_the_link(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    (void)state;
    b->t->base.address[2] = 9;
    assert_true(transport_tcp.reach(&a->t->base, b->t->base.address, 7, &a->t->base.why) < 0);
    end_connect(a, b);
    ENDS_UNTIL(a->view[1].downs, a);
    assert_int_equal(a->view[1].status, SINEW_EINVAL);
    end_close(a);
    end_close(b);
}

static void drain_needs_the_peers_kernel_only(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    (void)state;
    ends_join(a, b);
    send_all(a, 1, 150, NULL); /* b does not look */
    transport_tcp.disconnect(&a->view[1].link->base, DISCONNECT_DRAIN);
    assert_true(transport_tcp.send(&a->view[1].link->base, "", 0, "", 0, NULL, 0) < 0);
    ENDS_UNTIL(a->view[1].downs, a);
    assert_int_equal(a->view[1].status, 0);
    ENDS_UNTIL(b->view[0].downs, b);
    assert_int_equal(b->view[0].received, 150);
    assert_int_equal(b->view[0].status, 0);
    assert_int_equal(b->view[0].gone, GONE_LEFT);
    assert_non_null(strstr(b->view[0].why, "rank 0 has left"));
    end_close(a);
    end_close(b);
}

/* The reader has unread bytes when the writer closes, and writes itself: it still reads all, and
 * the goodbye. */
static void what_was_sent_before_a_goodbye_survives_a_reset(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    (void)state;
    ends_join(a, b);
    send_all(a, 1, 100, NULL);
    send_all(b, 0, 100, NULL);
    transport_tcp.disconnect(&a->view[1].link->base, DISCONNECT_DRAIN);
    ENDS_UNTIL(a->view[1].downs, a);
    assert_int_equal(a->view[1].received, 100);
    for (int i = 0; i < 5; i++) end_send(b, 0, 1000); /* into the closed socket: fails at last */
    ENDS_UNTIL(b->view[0].downs, b);
    assert_int_equal(b->view[0].received, 100);
    assert_int_equal(b->view[0].gone, GONE_LEFT);
    assert_non_null(strstr(b->view[0].why, "rank 0 has left"));
    assert_int_equal(b->view[0].status, 0);
    end_close(a);
    end_close(b);
}

static void drain_gives_up_at_the_repair_deadline(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    int rc;
    (void)state;
    ends_join(a, b);
    WHILE ((rc = end_send(a, 1, TCP_EAGER_MAX)) == 0) continue;
    assert_int_equal(rc, TRANSPORT_AGAIN);
    transport_tcp.disconnect(&a->view[1].link->base, DISCONNECT_DRAIN);
    for (int i = 0; i < 20; i++) end_progress(a, NULL);
    assert_int_equal(a->view[1].downs, 0);
    clock_advance(16 * SECOND);
    ENDS_UNTIL(a->view[1].downs, a);
    assert_int_equal(a->view[1].status, SINEW_ETIMEDOUT);
    assert_int_equal(a->view[1].gone, GONE_BROKEN);
    end_close(a);
    end_close(b);
}

static void both_may_drain_at_once(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    (void)state;
    ends_join(a, b);
    transport_tcp.disconnect(&a->view[1].link->base, DISCONNECT_DRAIN);
    transport_tcp.disconnect(&b->view[0].link->base, DISCONNECT_DRAIN);
    ENDS_UNTIL(a->view[1].downs && b->view[0].downs, a, b);
    assert_int_equal(a->view[1].status, 0);
    assert_int_equal(b->view[0].status, 0);
    end_close(a);
    end_close(b);
}

static void wait_until_the_kernel_has_all(struct end *from, int to)
{
    int left = 1;
    int64_t until = world_real.now(NULL) + 10 * SECOND;
    while (left > 0) {
        assert_int_equal(ioctl(from->view[to].link->source.fd, SIOCOUTQ, &left), 0);
        if (world_real.now(NULL) > until) fail_msg("%d bytes are never acknowledged", left);
    }
}

/* One end leaves at any moment while a link is made, by either's attempt or both. Whoever had it up
 * by then is told that the other has left, never that it died. */
static void leaving_once(struct seed *seed)
{
    struct end *end[] = { end_open(0, 100, end_secret), end_open(1, 101, end_secret) };
    int who = (int)(seed_below(seed, 2)), starts = 1 + (int)(seed_below(seed, 3));
    struct end *leaves = end[who], *stays = end[!who];
    if (starts & 1) end_connect(leaves, stays);
    for (uint64_t n = seed_below(seed, 4); starts == 3 && n > 0; n--)
        end_progress(end[seed_below(seed, 2)], NULL);
    if (starts & 2 && !stays->view[who].link) end_connect(stays, leaves);
    for (uint64_t n = seed_below(seed, 14); n > 0; n--)
        end_progress(end[seed_below(seed, 2)], NULL);
    leaves->refuses = true;
    if (leaves->view[!who].link)
        transport_tcp.disconnect(&leaves->view[!who].link->base, DISCONNECT_DRAIN);
    if (seed_below(seed, 2)) /* the peer's process may compute meanwhile */
        ENDS_UNTIL(!leaves->view[!who].link, leaves);
    else
        ENDS_UNTIL(!leaves->view[!who].link, end[0], end[1]);
    if (seed_below(seed, 2)) {
        end_close(leaves);
        leaves = NULL;
    }
    for (int i = 0; i < 100; i++) end_progress(stays, NULL); /* what has come may make a link */
    if (leaves)
        ENDS_UNTIL(!stays->view[who].link, end[0], end[1]);
    else
        ENDS_UNTIL(!stays->view[who].link, stays);
    const struct view *v = &stays->view[who];
    if (v->ups ? v->gone != GONE_LEFT : v->downs && v->gone == GONE_DIED)
        fail_msg("rank %d left: ups %d, gone %d, %s", who, v->ups, v->gone, v->why);
    if (leaves) end_close(leaves);
    end_close(stays);
}

static void who_leaves_while_a_link_is_made_has_left(void **state)
{
    struct seed seed = seed_from_environment("tcp leaving");
    (void)state;
    for (int i = 0; i < 200; i++) leaving_once(&seed);
}

static void an_end_without_goodbye_is_a_death(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    (void)state;
    ends_join(a, b);
    send_all(a, 1, 200, NULL);
    wait_until_the_kernel_has_all(a, 1);
    transport_tcp.disconnect(&a->view[1].link->base, DISCONNECT_NOW);
    ENDS_UNTIL(a->view[1].downs, a);
    assert_int_equal(a->view[1].status, SINEW_ECANCELED);
    ENDS_UNTIL(b->view[0].downs, a, b); /* it connects anew and hears that nobody knows it */
    assert_int_equal(b->view[0].received, 200); /* what had arrived was handed up */
    assert_int_equal(b->view[0].status, SINEW_EPEER);
    assert_int_equal(b->view[0].gone, GONE_DIED);
    end_close(a);
    end_close(b);
}

static void known_to_be_dead_hands_up_what_came(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    (void)state;
    ends_join(a, b);
    send_all(a, 1, 150, NULL);
    transport_tcp.disconnect(&b->view[0].link->base, DISCONNECT_DEAD);
    ENDS_UNTIL(b->view[0].downs, b);
    assert_int_equal(b->view[0].received, 150);
    assert_int_equal(b->view[0].gone, GONE_DIED);
    end_close(a);
    end_close(b);
}

static void disconnect_before_up_is_one_down(void **state)
{
    (void)state;
    for (int how = DISCONNECT_DRAIN; how <= DISCONNECT_DEAD; how++) {
        for (int steps = 0; steps < 8; steps++) {
            struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
            end_connect(a, b);
            for (int i = 0; i < steps; i++) end_progress(i % 2 ? b : a, NULL);
            transport_tcp.disconnect(&a->view[1].link->base, (enum disconnect_how)how);
            transport_tcp.disconnect(&a->view[1].link->base, DISCONNECT_NOW);
            ENDS_UNTIL(!a->view[1].link, a, b);
            assert_int_equal(a->view[1].downs, 1);
            ENDS_UNTIL(!b->view[0].link, a, b);
            assert_int_equal(b->view[0].downs, b->view[0].links);
            end_close(a);
            end_close(b);
        }
    }
}

static void a_wrong_secret_gets_no_link(void **state)
{
    static const uint8_t wrong[32] = "another secret";
    const uint8_t *secrets[] = { wrong, NULL };
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct end *a = end_open(0, 100, secrets[i]), *b = end_open(1, 101, end_secret);
        end_connect(a, b);
        ENDS_UNTIL(a->view[1].downs, a, b);
        assert_int_equal(a->view[1].status, SINEW_EAUTH);
        assert_int_equal(a->view[1].ups, 0);
        end_close(a);
        ENDS_UNTIL(b->t->pending_count == 0, b);
        assert_int_equal(b->view[0].links, 0);
        assert_int_equal(b->log_lines, 1);
        end_close(b);
    }
}

/* It holds copies of all descriptors: ends are seen all the same, and nothing fires afterwards. */
static void a_forked_child_keeps_nothing_alive(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    int hold[2];
    uint8_t byte;
    (void)state;
    ends_join(a, b);
    assert_int_equal(pipe(hold), 0);
    pid_t child = fork();
    if (child == 0) {
        close(hold[1]);
        _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(hold[0]);
    transport_tcp.disconnect(&a->view[1].link->base, DISCONNECT_NOW);
    ENDS_UNTIL(a->view[1].downs == 1, a);
    ENDS_UNTIL(b->view[0].downs == 1, a, b);
    for (int i = 0; i < 10; i++) assert_int_equal(end_progress(a, NULL) + end_progress(b, NULL), 0);
    struct pollfd fd = { .fd = a->t->base.fd, .events = POLLIN };
    assert_int_equal(poll(&fd, 1, 0), 0); /* no event of a socket that is closed */
    end_close(b);
    close(hold[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    end_close(a);
}

static void a_restarted_peer_ends_the_old_link(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    (void)state;
    ends_join(a, b);
    struct end *again = end_open(0, 200, end_secret);
    end_connect(again, b);
    ENDS_UNTIL(again->view[1].ups, b, again);
    assert_int_equal(b->view[0].downs, 1);
    assert_int_equal(b->view[0].gone, GONE_DIED);
    assert_non_null(strstr(b->view[0].why, "another process has taken its place"));
    assert_int_equal(b->view[0].link->base.epoch, 200);
    end_close(a);
    end_close(again);
    end_close(b);
}

static void a_peer_that_computes_is_never_an_error(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    (void)state;
    end_connect(a, b);
    for (int i = 0; i < 10; i++) end_progress(a, NULL);
    clock_advance(3600 * SECOND);
    for (int i = 0; i < 10; i++) end_progress(a, NULL);
    assert_int_equal(a->view[1].downs, 0);
    ENDS_UNTIL(a->view[1].ups && b->view[0].ups, a, b);
    /* The other way round: the one that connects computes, and is turned away meanwhile. */
    struct end *c = end_open(2, 102, end_secret);
    end_connect(c, b);
    end_progress(c, NULL);
    for (int i = 0; i < 10; i++) end_progress(b, NULL);
    clock_advance(3600 * SECOND);
    for (int i = 0; i < 10; i++) end_progress(b, NULL);
    assert_int_equal(b->t->pending_count, 0);
    for (int i = 0; i < 200 && !c->view[1].ups; i++) {
        end_progress(c, NULL);
        end_progress(b, NULL);
        clock_advance(SECOND / 100);
    }
    assert_int_equal(c->view[1].ups, 1);
    end_close(a);
    end_close(b);
    end_close(c);
}

/* A listener whose queue is full: its host drops what comes, as one that is off does. */
static int listener_that_does_not_answer(struct end *stands_for, int filler[8])
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bind(fd, (struct sockaddr *)&at, len);
    listen(fd, 0);
    getsockname(fd, (struct sockaddr *)&at, &len);
    for (int i = 0; i < 8; i++) {
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(filler[i], (struct sockaddr *)&at, len);
    }
    end_reached_at(stands_for, &(union place){ .v4 = at });
    return fd;
}

static void a_host_that_does_not_answer_times_out(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    int filler[8];
    (void)state;
    int fd = listener_that_does_not_answer(b, filler);
    end_connect(a, b);
    for (int i = 0; i < 10; i++) end_progress(a, NULL);
    clock_advance(29 * SECOND);
    for (int i = 0; i < 10; i++) end_progress(a, NULL);
    assert_int_equal(a->view[1].downs, 0);
    clock_advance(2 * SECOND);
    ENDS_UNTIL(a->view[1].downs, a);
    assert_int_equal(a->view[1].status, SINEW_ETIMEDOUT);
    assert_non_null(strstr(a->view[1].why, "within setup_deadline (30 s)"));
    assert_non_null(strstr(a->view[1].why, "its host did not answer"));
    for (int i = 0; i < 8; i++) close(filler[i]);
    close(fd);
    end_close(a);
    end_close(b);
}

/* From now on its host drops what comes to this connection, and says nothing. */
static void falls_silent(const struct tcp_link *l)
{
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = { 1, &drop };
    assert_int_equal(
        setsockopt(l->source.fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
}

/* To b, and with `both_ways` to a, nothing comes any more while ten messages are under way. */
static void silence_falls(struct end *a, struct end *b, int64_t repair_deadline, bool both_ways)
{
    a->config.repair_deadline = b->config.repair_deadline = repair_deadline;
    ends_join(a, b);
    send_all(a, 1, 10, b);
    ENDS_UNTIL(b->view[0].received == 10, a, b);
    falls_silent(b->view[0].link);
    if (both_ways) falls_silent(a->view[1].link);
    send_all(a, 1, 10, NULL);
}

/* The line is made anew, and all arrives. Either end may be the first to see it. */
static void a_silent_host_is_told_of(bool both_ways)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    silence_falls(a, b, 15 * SECOND, both_ways);
    ENDS_UNTIL(b->view[0].received == 20, a, b);
    assert_int_equal(a->view[1].link->losses, 1);
    assert_int_equal(a->view[1].downs + b->view[0].downs, 0);
    assert_int_not_equal(a->log_lines + b->log_lines, 0);
    const struct end *told = a->log_lines ? a : b;
    assert_true(strstr(told->last_log, "its host has been silent for ") ||
                strstr(told->last_log, "repaired after "));
    end_close(a);
    end_close(b);
}

static void a_host_that_is_silent_for_a_second_is_told_of(void **state)
{
    (void)state;
    a_silent_host_is_told_of(true);
}

/* What it sends comes, and again, for no answer reaches it. */
static void a_host_that_hears_nothing_is_told_of(void **state)
{
    (void)state;
    a_silent_host_is_told_of(false);
}

/* Who wants to know soon has it tried anew soon; but it may be no more than a machine that is busy,
 * as this one may be: then it took a second, or all of the deadline. */
static void a_host_that_is_silent_for_a_moment_is_not(void **state)
{
    const int64_t deadline = 1200 * SECOND / 1000;
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    (void)state;
    int64_t began = clock_now();
    silence_falls(a, b, deadline, true);
    ENDS_UNTIL(b->view[0].received == 20 || b->view[0].downs || a->view[1].downs, a, b);
    int64_t took = clock_now() - began;
    if (a->view[1].downs || b->view[0].downs) assert_true(took >= deadline);
    if (a->log_lines || b->log_lines) assert_true(took >= SECOND);
    end_close(a);
    end_close(b);
}

/* Suspected before a second is over, so not told; but the repair takes half a second more. */
static void a_repair_of_a_second_is_told_of(void **state)
{
    const int64_t deadline = 1600 * SECOND / 1000;
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    (void)state;
    int64_t began = clock_now();
    silence_falls(a, b, deadline, true);
    ENDS_UNTIL(a->view[1].link->losses || b->view[0].link->losses, a, b);
    clock_advance(SECOND / 2);
    ENDS_UNTIL(b->view[0].received == 20 || b->view[0].downs || a->view[1].downs, a, b);
    if (a->view[1].downs || b->view[0].downs) /* a busy machine was silent longer */
        assert_true(clock_now() - began >= deadline);
    else
        assert_int_not_equal(a->log_lines + b->log_lines, 0);
    end_close(a);
    end_close(b);
}

static bool fires(const struct end *e, int ms)
{
    struct pollfd p = { .fd = e->t->base.fd, .events = POLLIN };
    return poll(&p, 1, ms) == 1;
}

static void an_armed_end_sleeps_until_something_happens(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    (void)state;
    ends_join(a, b);
    WHILE (end_progress(b, NULL) > 0) continue;
    assert_int_equal(transport_tcp.arm(&b->t->base), 0);
    assert_false(fires(b, 0));
    end_send(a, 1, 10);
    assert_true(fires(b, 10000));
    ENDS_UNTIL(b->view[0].received == 1, b);
    /* More messages than one progress hands up: the rest is not forgotten. */
    for (int i = 0; i < 200; i++) assert_int_equal(end_send(a, 1, 10), 0);
    WHILE (b->view[0].received < 201) {
        if (transport_tcp.arm(&b->t->base) == 0) assert_true(fires(b, 10000));
        end_progress(b, NULL);
    }
    end_close(a);
    end_close(b);
}

/* A socket that is read again and again is out of the set, until somebody sleeps or waits for
 * another. */
static void who_was_read_again_and_again_wakes_a_sleeper(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    struct end *c = end_open(2, 102, end_secret);
    (void)state;
    ends_join(a, b);
    ends_join(c, b);
    struct tcp_link *l = b->view[0].link, *other = b->view[2].link;
    for (int sleeps = 0; sleeps < 3; sleeps++) {
        for (int i = 0; i < 100; i++) end_progress(b, &l->base);
        assert_int_equal(l->source.events, 0);
        assert_true(other->source.events == EPOLLIN);
        WHILE (transport_tcp.arm(&b->t->base) != 0) end_progress(b, &l->base);
        assert_true(l->source.events == EPOLLIN); /* the timer, too, would wake it, but later */
        end_send(a, 1, 10);
        assert_true(fires(b, 10000));
        ENDS_UNTIL(b->view[0].received == (uint64_t)sleeps + 1, b);
    }
    for (int i = 0; i < 100; i++) end_progress(b, &l->base);
    assert_int_equal(l->source.events, 0);
    end_send(a, 1, 10);
    for (int i = 0; i < 10000 && b->view[0].received < 4; i++) end_progress(b, &other->base);
    assert_int_equal(b->view[0].received, 4);
    end_close(a);
    end_close(b);
    end_close(c);
}

/* A deadline wakes a sleeper: the pause between two attempts ends. */
static void a_deadline_wakes_a_sleeper(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    (void)state;
    ends_join(a, b);
    struct end *again = end_open(0, 200, end_secret); /* told BUSY first, as b has the old link */
    end_connect(again, b);
    ENDS_UNTIL(again->view[1].link->line == LINE_WAITING, b, again);
    ENDS_UNTIL(b->view[0].downs == 1, b);
    WHILE (transport_tcp.arm(&again->t->base) > 0) end_progress(again, NULL);
    assert_true(fires(again, 10000));
    ENDS_UNTIL(again->view[1].ups, b, again);
    end_close(a);
    end_close(again);
    end_close(b);
}

static int allocations_until_failure;

static void *allocate_but_one(void *arg, size_t align, size_t size)
{
    if (allocations_until_failure-- == 0) return NULL;
    return world_real.allocate(arg, align, size);
}

/* Whichever allocation fails, on either side: a link comes all the same, or each end hears of it
 * once. */
static void a_failed_allocation_is_survived(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
        struct end *poor = i % 2 ? a : b;
        allocations_until_failure = i / 2;
        poor->world.allocate = allocate_but_one;
        end_connect(a, b);
        ENDS_UNTIL((a->view[1].ups && b->view[0].ups) || a->view[1].downs, a, b);
        if (a->view[1].downs) assert_int_equal(a->view[1].status, SINEW_ENOMEM);
        if (b->view[0].downs) assert_int_equal(b->view[0].status, SINEW_ENOMEM);
        end_close(a);
        end_close(b);
    }
}

static int choose(const char *wanted, struct here *here,
                  const struct here_address *chosen[HERE_MAX], struct why *why)
{
    int rc = here_find(wanted, here, why);
    return rc < 0 ? rc : here_choose(here, wanted, chosen, why);
}

static void an_interface_that_is_not_there_is_named(void **state)
{
    struct end *a = end_open(0, 100, end_secret);
    const struct here_address *chosen[HERE_MAX];
    static struct here here;
    struct why why;
    (void)state;
    assert_int_equal(choose("no-such-if0", &here, chosen, &why), SINEW_ENOENT);
    assert_non_null(strstr(why.text, "no-such-if0"));
    assert_non_null(strstr(why.text, "127.0.0.1"));
    assert_true(choose("lo", &here, chosen, &why) >= 1);
    assert_true(chosen[0]->loopback);
    int n = choose("", &here, chosen, &why);
    assert_true(n >= 1);
    for (int i = 1; i < n; i++) assert_false(chosen[i]->loopback);
    n = choose("^lo", &here, chosen, &why);
    for (int i = 0; i < n; i++) assert_string_not_equal(chosen[i]->name, "lo");
    assert_true(a->t->base.address_len <= TCP_PUBLISHED_MAX);
    end_close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_up_and_carries_both_ways),
        cmocka_unit_test(comes_up_without_secrets_when_neither_has_one),
        cmocka_unit_test(crossing_connects_make_one_link),
        cmocka_unit_test(of_two_attempts_the_lower_ranks_survives),
        cmocka_unit_test(a_peer_that_refuses_is_gone),
        cmocka_unit_test(nobody_listening_is_told_at_once),
        cmocka_unit_test(an_address_that_is_none_ends_the_link),
        cmocka_unit_test(drain_needs_the_peers_kernel_only),
        cmocka_unit_test(what_was_sent_before_a_goodbye_survives_a_reset),
        cmocka_unit_test(drain_gives_up_at_the_repair_deadline),
        cmocka_unit_test(both_may_drain_at_once),
        cmocka_unit_test(who_leaves_while_a_link_is_made_has_left),
        cmocka_unit_test(an_end_without_goodbye_is_a_death),
        cmocka_unit_test(known_to_be_dead_hands_up_what_came),
        cmocka_unit_test(disconnect_before_up_is_one_down),
        cmocka_unit_test(a_wrong_secret_gets_no_link),
        cmocka_unit_test(a_forked_child_keeps_nothing_alive),
        cmocka_unit_test(a_restarted_peer_ends_the_old_link),
        cmocka_unit_test(a_peer_that_computes_is_never_an_error),
        cmocka_unit_test(a_host_that_does_not_answer_times_out),
        cmocka_unit_test(a_host_that_is_silent_for_a_second_is_told_of),
        cmocka_unit_test(a_host_that_hears_nothing_is_told_of),
        cmocka_unit_test(a_host_that_is_silent_for_a_moment_is_not),
        cmocka_unit_test(a_repair_of_a_second_is_told_of),
        cmocka_unit_test(an_armed_end_sleeps_until_something_happens),
        cmocka_unit_test(who_was_read_again_and_again_wakes_a_sleeper),
        cmocka_unit_test(a_deadline_wakes_a_sleeper),
        cmocka_unit_test(a_failed_allocation_is_survived),
        cmocka_unit_test(an_interface_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests_name("tcp links", tests, NULL, NULL);
}
