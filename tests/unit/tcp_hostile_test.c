/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Strangers cost themselves only: garbage, silence and crowds do not keep a rank out, memory and
 * places are bounded, and a peer that knows the secret but breaks the rules loses its own link.
 */
#include "tests/unit/tcp_end.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

static void a_rank_gets_in(struct end *b)
{
    struct end *a = end_open(0, 100, end_secret);
    int links = b->view[0].links;
    end_connect(a, b);
    for (int64_t until = world_real.now(NULL) + 20 * SECOND; !a->view[1].ups || !b->view[0].link;) {
        if (world_real.now(NULL) > until) fail_msg("a rank is kept out: %s", b->last_log);
        end_progress(a, NULL);
        end_progress(b, NULL);
        clock_advance(SECOND / 1000);
    }
    assert_int_equal(b->view[0].links, links + 1);
    a->view[1].sent = 0;
    b->view[0].received = 0;
    end_send(a, 1, 100);
    ENDS_UNTIL(b->view[0].received == 1, a, b);
    transport_tcp.disconnect(&a->view[1].link->base, DISCONNECT_DRAIN);
    ENDS_UNTIL(!a->view[1].link && !b->view[0].link, a, b);
    end_close(a);
}

static void garbage(void **state)
{
    struct seed seed = seed_from_environment("tcp garbage");
    struct end *b = end_open(1, 101, end_secret);
    int64_t began = clock_now();
    (void)state;
    for (int i = 0; i < 300; i++) {
        uint8_t bytes[600];
        size_t len = seed_below(&seed, sizeof(bytes));
        int fd = raw_connect(b);
        for (size_t k = 0; k < sizeof(bytes); k++) bytes[k] = (uint8_t)seed_next(&seed);
        if (seed_below(&seed, 2)) memcpy(bytes, "SINEW\r\n\x1a", 8);
        if (seed_below(&seed, 3) == 0) memcpy(bytes, "GET / HTTP/1.1\r\n\r\n", 18);
        send(fd, bytes, len, MSG_NOSIGNAL);
        if (len >= HANDSHAKE_HELLO)
            ENDS_UNTIL(raw_is_closed(fd), b);
        else
            end_progress(b, NULL);
        close(fd);
        ENDS_UNTIL(b->t->pending_count == 0, b);
    }
    for (int i = 0; i < ENDS_MAX; i++) assert_int_equal(b->view[i].links, 0);
    /* One a second, not three hundred. */
    assert_in_range(b->log_lines, 1, (clock_now() - began) / SECOND + 1);
    a_rank_gets_in(b);
    end_close(b);
}

/* Who goes away without a word is no more than a detail, and takes no warning's place. */
static void a_detail_hides_no_warning(void **state)
{
    struct end *b = end_open(1, 101, end_secret);
    (void)state;
    int fd = raw_connect(b);
    end_progress(b, NULL);
    close(fd);
    ENDS_UNTIL(b->t->pending_count == 0, b);
    assert_int_equal(b->log_lines, 0);
    uint8_t garbage[HANDSHAKE_HELLO] = "garbage";
    fd = raw_connect(b);
    send(fd, garbage, sizeof(garbage), MSG_NOSIGNAL);
    ENDS_UNTIL(raw_is_closed(fd), b);
    assert_int_equal(b->log_lines, 1);
    close(fd);
    end_close(b);
}

/* More connections than places, none of which says a word. */
static void silence_is_bounded_in_number_and_time(void **state)
{
    enum { CROWD = 3 * TCP_PENDING_MAX };
    struct end *b = end_open(1, 101, end_secret);
    int fd[CROWD], closed = 0;
    unsigned most = 0;
    (void)state;
    for (int i = 0; i < CROWD; i++) fd[i] = raw_connect(b);
    for (int i = 0; i < 200; i++) {
        end_progress(b, NULL);
        if (b->t->pending_count > most) most = b->t->pending_count;
    }
    assert_int_equal(most, TCP_PENDING_MAX); /* on a busy machine the first have given way by now */
    a_rank_gets_in(b); /* the oldest give way */
    for (int i = 0; i < 40; i++) {
        clock_advance(SECOND / 2);
        for (int k = 0; k < 10; k++) end_progress(b, NULL);
    }
    for (int i = 0; i < CROWD; i++) closed += raw_is_closed(fd[i]);
    assert_int_equal(closed, CROWD);
    assert_int_equal(b->t->pending_count, 0);
    for (int i = 0; i < CROWD; i++) close(fd[i]);
    end_close(b);
}

static long resident_kib(void)
{
    long kib = 0;
    char line[128];
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmRSS: %ld", &kib) == 1) break;
    if (f) fclose(f);
    return kib;
}

/* Ten thousand that say nothing, a part, garbage, or a good hello and no proof, 2,000 a second,
 * while two ranks talk. How much slower these get is measured by build/bin/flood. */
static void a_flood_costs_little_and_breaks_nothing(void **state)
{
    enum { FLOOD = 10000, OPEN = 128, WARM = 200, MEMORY_KIB = 4096 };
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    const struct handshake_identity me = { 3, ENDS_MAX, 103, HANDSHAKE_LINK, 0 };
    static const uint8_t garbage[HANDSHAKE_HELLO] = "GET / HTTP/1.1\r\n\r\n";
    struct handshake h;
    const void *hello;
    unsigned most = 0;
    long before = 0;
    int fd[OPEN];
    (void)state;
    handshake_begin(&h, HANDSHAKE_CLIENT, &world_real, end_secret, &me, -1, 0);
    handshake_output(&h, &hello);
    ends_join(a, b);
    int64_t began = clock_now();
    for (int i = 0; i < OPEN; i++) fd[i] = -1;
    for (int i = 0; i < FLOOD; i++) {
        static const size_t lens[] = { 0, 20, HANDSHAKE_HELLO, HANDSHAKE_HELLO };
        int *slot = &fd[i % OPEN];
        if (i == WARM) before = resident_kib();
        if (*slot >= 0) close(*slot);
        *slot = raw_connect(b);
        send(*slot, i % 4 == 3 ? hello : garbage, lens[i % 4], MSG_NOSIGNAL);
        clock_advance(SECOND / 2000);
        end_send(a, 1, 8);
        ENDS_UNTIL(b->view[0].received == a->view[1].sent, a, b);
        if (b->t->pending_count > most) most = b->t->pending_count;
    }
    long more = resident_kib() - before;
    int seconds = (int)((clock_now() - began) / SECOND); /* 5, and those that this machine took */
    for (int i = 0; i < OPEN; i++) close(fd[i]);
    print_message("%d bad connections: at most %u pending (bar %d), %ld KiB more memory (bar %d), "
                  "%d lines logged in %d s (bar: one a second)\n",
                  FLOOD, most, TCP_PENDING_MAX, more, MEMORY_KIB, b->log_lines, seconds);
    assert_true(most > 0 && most <= TCP_PENDING_MAX);
    assert_in_range(b->log_lines, 1, seconds + 1);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(more < MEMORY_KIB);
#endif
    assert_int_equal(a->view[1].downs + b->view[0].downs, 0);
    ENDS_UNTIL(b->t->pending_count == 0, b);
    end_close(a);
    end_close(b);
}

static void slow_loris(void **state)
{
    struct end *b = end_open(1, 101, end_secret);
    int fd = raw_connect(b);
    (void)state;
    for (int i = 0; i < 25; i++) {
        send(fd, i ? "" : "S", 1, MSG_NOSIGNAL);
        clock_advance(SECOND / 2);
        end_progress(b, NULL);
        end_progress(b, NULL);
    }
    assert_true(raw_is_closed(fd));
    assert_int_equal(b->t->pending_count, 0);
    close(fd);
    end_close(b);
}

/* A sleeper is woken to put a silent stranger out. */
static void the_deadline_of_a_stranger_wakes_a_sleeper(void **state)
{
    struct end *b = end_open(1, 101, end_secret);
    (void)state;
    b->config.setup_deadline = SECOND / 10;
    int fd = raw_connect(b);
    ENDS_UNTIL(b->t->pending_count == 1, b);
    for (int64_t until = world_real.now(NULL) + 10 * SECOND; b->t->pending_count;) {
        struct pollfd p = { .fd = b->t->base.fd, .events = POLLIN };
        if (world_real.now(NULL) > until) fail_msg("slept through a deadline");
        if (transport_tcp.arm(&b->t->base) == 0) poll(&p, 1, 10000);
        end_progress(b, NULL);
    }
    close(fd);
    end_close(b);
}

static void out_of_descriptors_is_named_and_survived(void **state)
{
    struct end *b = end_open(1, 101, end_secret);
    struct rlimit before, none;
    (void)state;
    int fd = raw_connect(b);
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = (rlim_t)fd + 1;
    setrlimit(RLIMIT_NOFILE, &none);
    int lowest[64], filled_up = 0;
    while (filled_up < 64 && (lowest[filled_up] = dup(fd)) >= 0) filled_up++;
    for (int i = 0; i < 100; i++) end_progress(b, NULL);
    for (int i = 0; i < filled_up; i++) close(lowest[i]);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(b->t->pending_count, 0);
    assert_int_equal(b->log_lines, 1);
    assert_non_null(strstr(b->last_log, "EMFILE"));
    assert_non_null(strstr(b->last_log, "ulimit -n"));
    clock_advance(SECOND);
    ENDS_UNTIL(b->t->pending_count == 1, b);
    close(fd);
    a_rank_gets_in(b);
    end_close(b);
}

static void open_without_descriptors_fails_and_leaves_nothing(void **state)
{
    struct rlimit before, none;
    (void)state;
    getrlimit(RLIMIT_NOFILE, &before);
    int probe = dup(0);
    close(probe);
    for (int allowed = 0; allowed < 3; allowed++) { /* listener, epoll, timer */
        struct end *e = end_open(1, 101, end_secret);
        transport_tcp.close(&e->t->base);
        memset((char *)e->t + sizeof(e->t->base), 0, sizeof(*e->t) - sizeof(e->t->base));
        none = before;
        none.rlim_cur = (rlim_t)(probe + allowed);
        setrlimit(RLIMIT_NOFILE, &none);
        int rc = transport_tcp.open(&e->t->base);
        setrlimit(RLIMIT_NOFILE, &before);
        assert_true(rc < 0);
        assert_true(e->t->base.why.text[0]);
        int again = dup(0);
        assert_int_equal(again, probe);
        close(again);
        world_release(&world_real, e->t, transport_tcp.transport_size);
        world_release(&world_real, e, sizeof(*e));
    }
}

/* A rank by hand: does the handshake, then says what it likes. */
static int impostor(struct end *b, uint64_t epoch)
{
    const struct handshake_identity me = { 3, ENDS_MAX, epoch, HANDSHAKE_LINK, 0 };
    struct handshake h;
    struct why why;
    uint32_t events;
    bool shaken = false;
    int fd = raw_connect(b), rc;
    assert_int_equal(handshake_begin(&h, HANDSHAKE_CLIENT, &world_real, end_secret, &me, 1, 0), 0);
    uint8_t bytes[JOIN_FRAME];
    struct join join = { .mine = 77, .attempt = 1 };
    union place nobody; /* listens at this end of the connection */
    socklen_t nobody_len = sizeof(nobody);
    getsockname(fd, &nobody.any, &nobody_len);
    join.address_len = (uint8_t)address_encode(&nobody, join.address);
    WHILE ((rc = tcp_shake(&h, &shaken, fd, &events, &why)) > 0) end_progress(b, NULL);
    assert_int_equal(rc, 0);
    session_join_encode(bytes, FRAME_JOIN, epoch, &join);
    assert_int_equal(send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL), sizeof(bytes));
    ENDS_UNTIL(b->view[3].link, b);
    return fd;
}

static void frame_bytes(uint8_t *out, struct frame frame)
{
    frame_encode(out, &frame);
}

static void a_peer_that_breaks_the_rules_loses_its_link(void **state)
{
    const struct frame good = { .kind = FRAME_MESSAGE, .length = 12, .head = 12, .epoch = 103,
                                .sequence = 1 };
    struct frame bad[] = { good, good, good, good, good, good, good, good, good, good, good };
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    (void)state;
    bad[0].epoch = 104;
    bad[1].sequence = 2;
    bad[2].sequence = 0;
    bad[3].acknowledged = 7;
    bad[4].kind = 0;
    bad[5].kind = FRAME_LAUNCH;
    bad[6].length = UINT32_MAX;
    bad[7].head = 13;
    bad[8].flags = 2;
    bad[9] = (struct frame){
        .kind = FRAME_PUT, .length = TCP_PUT_HEAD - 1, .epoch = 103, .sequence = 1
    };
    bad[10] = (struct frame){ .kind = FRAME_BYE, .length = 1, .epoch = 103, .sequence = 1 };
    ends_join(a, b);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t bytes[FRAME_HEADER + TCP_PUT_HEAD] = { 0 };
        int downs = b->view[3].downs;
        int fd = impostor(b, 103);
        frame_bytes(bytes, bad[i]);
        send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
        ENDS_UNTIL(b->view[3].downs > downs, b);
        if (b->view[3].status != SINEW_EPROTO) fail_msg("frame %zu: %s", i, b->view[3].why);
        assert_int_equal(b->view[3].received, 0);
        close(fd);
    }
    end_send(a, 1, 10);
    ENDS_UNTIL(b->view[0].received == 1, a, b);
    end_close(a);
    end_close(b);
}

/* The same stream, cut anywhere: bytes come one by one, or in pieces of any length. */
static void slices_of_any_length_make_the_same_messages(void **state)
{
    struct seed seed = seed_from_environment("tcp slices");
    struct end *b = end_open(1, 101, end_secret);
    static uint8_t stream[200000], target[5000];
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct region region = { .base = target, .len = sizeof(target) };
        size_t len = 0, sent = 0;
        uint64_t sequence = 0, messages = 0;
        int fd = impostor(b, 103);
        b->view[3].received = 0;
        transport_tcp.reg(&b->t->base, NULL, &region);
        memset(target, 0, sizeof(target));
        while (len < 60000) {
            size_t n = (size_t)seed_below(&seed, 3000);
            bool put = seed_below(&seed, 4) == 0;
            struct frame f = { .kind = put ? FRAME_PUT : FRAME_MESSAGE, .epoch = 103,
                               .sequence = ++sequence, .head = put ? 0 : 12,
                               .length = (uint32_t)(n + (put ? TCP_PUT_HEAD : 12)) };
            frame_bytes(stream + len, f);
            len += FRAME_HEADER;
            memcpy(stream + len, put ? region.key : (uint8_t *)&messages, 8);
            memset(stream + len + 8, 0, TCP_PUT_HEAD - 8);
            if (!put) {
                uint32_t n32 = (uint32_t)n;
                memcpy(stream + len + 8, &n32, 4);
            }
            len += put ? TCP_PUT_HEAD : 12;
            fill(stream + len, n, put ? 77 : (uint64_t)3 << 40 | (uint64_t)1 << 32 | messages);
            len += n;
            messages += !put;
        }
        WHILE (sent < len) {
            size_t n = 1 + (size_t)seed_below(&seed, seed_below(&seed, 3) ? 40 : 5000);
            if (n > len - sent) n = len - sent;
            ssize_t took = send(fd, stream + sent, n, MSG_NOSIGNAL);
            if (took > 0) sent += (size_t)took;
            end_progress(b, seed_below(&seed, 2) ? &b->view[3].link->base : NULL);
        }
        ENDS_UNTIL(b->view[3].received == messages, b);
        close(fd);
        ENDS_UNTIL(!b->view[3].link, b);
        assert_int_equal(b->view[3].gone, GONE_DIED);
        transport_tcp.dereg(&b->t->base, &region);
    }
    end_close(b);
}

/* A good stream with one bit turned: it may be noticed or be another message, but nothing else
 * suffers. */
static void a_turned_bit_hurts_nobody_else(void **state)
{
    struct seed seed = seed_from_environment("tcp bits");
    struct end *b = end_open(1, 101, end_secret);
    (void)state;
    b->breaks = true; /* whatever gets through is refused above */
    for (int round = 0; round < 300; round++) {
        uint8_t bytes[FRAME_HEADER + 64] = { 0 };
        int fd = impostor(b, 103);
        frame_bytes(bytes, (struct frame){ .kind = (uint8_t)(1 + seed_below(&seed, 4)),
                                           .epoch = 103,
                                           .length = 64 * (uint32_t)seed_below(&seed, 2),
                                           .sequence = seed_below(&seed, 2) });
        bytes[seed_below(&seed, FRAME_HEADER)] ^= (uint8_t)(1u << seed_below(&seed, 8));
        send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
        for (int i = 0; i < 5; i++) end_progress(b, NULL);
        close(fd);
        ENDS_UNTIL(!b->view[3].link, b);
    }
    b->breaks = false;
    a_rank_gets_in(b);
    end_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(garbage),
        cmocka_unit_test(a_detail_hides_no_warning),
        cmocka_unit_test(silence_is_bounded_in_number_and_time),
        cmocka_unit_test(a_flood_costs_little_and_breaks_nothing),
        cmocka_unit_test(slow_loris),
        cmocka_unit_test(the_deadline_of_a_stranger_wakes_a_sleeper),
        cmocka_unit_test(out_of_descriptors_is_named_and_survived),
        cmocka_unit_test(open_without_descriptors_fails_and_leaves_nothing),
        cmocka_unit_test(a_peer_that_breaks_the_rules_loses_its_link),
        cmocka_unit_test(slices_of_any_length_make_the_same_messages),
        cmocka_unit_test(a_turned_bit_hurts_nobody_else),
    };
    return cmocka_run_group_tests_name("tcp and strangers", tests, NULL, NULL);
}
