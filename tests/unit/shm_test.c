/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_test.c - two transports in one process: bring-up, messages, puts, ends, sleeping
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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
        while (from->peers[peer].link) end_progress(from);
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
    pid_t child = fork();
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

/* A peer that computes, or is stopped, is no error, however long: its kernel has answered. Its end is
 * seen meanwhile. */
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
    } cases[] = { { 0, "host" }, { 8, "network namespace" }, { 12, "user" } };
    for (size_t i = 0; i < 3; i++) {
        memcpy(address, of_b, sizeof(address));
        address[cases[i].at] ^= 1;
        int status = transport_shm.reach(&a.t->base, address, sizeof(address), &why);
        assert_int_equal(status, SINEW_EUNREACHABLE);
        assert_non_null(strstr(why.text, cases[i].word));
    }
    assert_int_equal(transport_shm.reach(&a.t->base, of_b, 23, &why), SINEW_EINVAL);
    end_close(&a);
    end_close(&b);
}

static void test_limits_are_asked_before(void **state)
{
    (void)state;
    struct end a, b;
    struct rlimit old, low = { 4096, 4096 };
    end_open(&a, 0, 2, NULL);
    end_open(&b, 1, 2, NULL);
    getrlimit(RLIMIT_FSIZE, &old);
    low.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_FSIZE, &low);
    end_connect(&a, 1, &b);
    setrlimit(RLIMIT_FSIZE, &old);
    UNTIL(a.peers[1].downs == 1, &a, &b);
    assert_int_equal(a.peers[1].status, SINEW_ELIMIT);
    assert_non_null(strstr(a.peers[1].why, "ulimit -f"));
    assert_true(shm_peer_bytes() <= 128 * 1024);
    end_close(&a);
    end_close(&b);
}

/* --- messages --------------------------------------------------------------------------------- */

struct stream {
    uint64_t sent, got, refused;
    uint64_t out, in; /* generator states */
};

static uint64_t seeded(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static void lengths(uint64_t *state, size_t *hlen, size_t *blen)
{
    uint64_t r = seeded(state);
    *hlen = (size_t)(r % 65);
    *blen = (size_t)((r >> 16) % 10 < 7 ? (r >> 32) % 257 : (r >> 32) % 16385);
}

static int stream_recv(struct peer *p, const uint8_t *head, size_t hlen, const uint8_t *body,
                       size_t blen)
{
    struct stream *s = p->end->arg;
    size_t want_hlen, want_blen;
    lengths(&s->in, &want_hlen, &want_blen);
    if (hlen != want_hlen || blen != want_blen) fail_msg("message %lu has wrong lengths", s->got);
    for (size_t i = 0; i < hlen; i++)
        if (head[i] != pattern(s->got, i)) fail_msg("message %lu: head byte %zu", s->got, i);
    for (size_t i = 0; i < blen; i++)
        if (body[i] != pattern(s->got, hlen + i)) fail_msg("message %lu: body byte %zu", s->got, i);
    s->got++;
    return 0;
}

static void stream_send(struct end *e, int rank)
{
    struct stream *s = e->arg;
    uint8_t bytes[64 + 16384];
    for (;;) {
        uint64_t next = s->out;
        size_t hlen, blen;
        lengths(&next, &hlen, &blen);
        for (size_t i = 0; i < hlen + blen; i++) bytes[i] = pattern(s->sent, i);
        int status = send_to(e, rank, bytes, hlen, bytes + hlen, blen);
        assert_true(status >= 0);
        if (status > 0) {
            s->refused++;
            return;
        }
        s->out = next;
        s->sent++;
    }
}

static void test_messages_under_back_pressure(void **state)
{
    (void)state;
    struct end a, b;
    struct stream of_a = { .out = 11, .in = 22 }, of_b = { .out = 22, .in = 11 };
    pair_up(&a, &b, NULL);
    a.arg = &of_a;
    b.arg = &of_b;
    a.recv = b.recv = stream_recv;
    uint64_t choose = 0xbacc, rooms = 0;
    while (of_a.got < 10000 || of_b.got < 10000) {
        uint64_t r = seeded(&choose);
        if (r & 1) stream_send(&a, 1);
        if (r & 2) stream_send(&b, 0);
        if (r & 12) end_progress(&a);
        if (r & 48) end_progress(&b);
    }
    rooms = (uint64_t)(a.peers[1].rooms + b.peers[0].rooms);
    assert_true(of_a.refused > 100 && of_b.refused > 100 && rooms > 100);
    uint64_t to_a = of_b.sent, to_b = of_a.sent;
    end_disconnect(&a, 1, DISCONNECT_DRAIN);
    UNTIL(a.peers[1].downs && b.peers[0].downs, &a, &b);
    assert_int_equal(of_b.got, to_b); /* what a had sent was handed up before its goodbye */
    assert_true(of_a.got <= to_a);
    end_close(&a);
    end_close(&b);
}

static void test_every_length(void **state)
{
    (void)state;
    struct end a, b;
    static uint8_t bytes[16384 + 1];
    pair_up(&a, &b, NULL);
    uint64_t total = 0, n = 0;
    for (size_t len = 0; len <= 16384; len += len < 300 ? 1 : 97, n++) {
        assert_int_equal(send_to(&a, 1, bytes, 16, bytes, len), 0);
        total += len;
        UNTIL(b.peers[0].messages == n + 1, &a, &b);
    }
    assert_int_equal(send_to(&a, 1, bytes, 16, bytes, 16384), 0);
    total += 16384;
    UNTIL(b.peers[0].bytes == total, &a, &b);
    assert_int_equal(send_to(&a, 1, bytes, 65, bytes, 0), SINEW_EINVAL);
    assert_int_equal(send_to(&a, 1, bytes, 16, bytes, 16385), SINEW_EINVAL);
    pair_down(&a, &b);
}

static void test_sending_inside_an_upcall(void **state)
{
    (void)state;
    struct end a, b;
    pair_up(&a, &b, NULL);
    b.recv = peer_echo;
    for (uint64_t n = 1; n <= 1000; n++) {
        assert_int_equal(send_to(&a, 1, "ping", 4, &n, 8), 0);
        UNTIL(a.peers[1].messages == n, &a, &b);
    }
    pair_down(&a, &b);
}

static int never(struct peer *p, const uint8_t *head, size_t hlen, const uint8_t *body, size_t blen)
{
    (void)p;
    (void)head;
    (void)hlen;
    (void)body;
    (void)blen;
    return SINEW_EPROTO;
}

static void test_refused_bytes_cost_the_link(void **state)
{
    (void)state;
    struct end a, b;
    pair_up(&a, &b, NULL);
    b.recv = never;
    assert_int_equal(send_to(&a, 1, "bad", 3, NULL, 0), 0);
    UNTIL(a.peers[1].downs && b.peers[0].downs, &a, &b);
    assert_int_equal(b.peers[0].status, SINEW_EPROTO);
    assert_int_equal(b.peers[0].gone, GONE_BROKEN);
    assert_int_not_equal(a.peers[1].status, 0);
    end_close(&a);
    end_close(&b);
}

/* --- puts ------------------------------------------------------------------------------------- */

struct target {
    struct region mine, theirs;
    uint8_t *memory;
};

static void target_make(struct target *g, struct end *owner, struct end *user, int rank, size_t len)
{
    memset(g, 0, sizeof(*g));
    g->memory = calloc(1, len + 1);
    g->mine = (struct region){ .base = g->memory, .len = len };
    assert_int_equal(transport_shm.reg(&owner->t->base, NULL, &g->mine), 0);
    assert_true(g->mine.key_len <= TRANSPORT_KEY_MAX);
    g->theirs.len = len;
    g->theirs.key_len = g->mine.key_len;
    memcpy(g->theirs.key, g->mine.key, TRANSPORT_KEY_MAX);
    assert_int_equal(transport_shm.reg(&user->t->base, &user->peers[rank].link->base, &g->theirs),
                     0);
}

static void target_free(struct target *g, struct end *owner, struct end *user)
{
    assert_int_equal(transport_shm.dereg(&user->t->base, &g->theirs), 0);
    assert_int_equal(transport_shm.dereg(&owner->t->base, &g->mine), 0);
    free(g->memory);
}

static int put(struct end *e, int rank, struct rma *op, const struct region *to, void *local,
               size_t len, uint64_t offset, uint64_t cookie)
{
    *op = (struct rma){ .kind = RMA_PUT, .local = local, .len = len, .peers = to,
                        .offset = offset, .cookie = cookie };
    return transport_shm.rma(&e->peers[rank].link->base, op);
}

static void test_puts_land(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 8, 32, 33, 8191, 8192, 8193, 100000, 8 << 20 };
    struct end a, b;
    pair_up(&a, &b, NULL);
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct target g;
        struct rma op;
        size_t len = sizes[s];
        uint8_t *local = malloc(len + 1);
        target_make(&g, &b, &a, 1, len + 100);
        for (size_t i = 0; i < len; i++) local[i] = pattern(s, i);
        uint64_t dones = a.peers[1].dones, messages = b.peers[0].messages;
        int status = put(&a, 1, &op, &g.theirs, local, len, 50, s + 1);
        assert_true(status == 0 || status == TRANSPORT_PENDING);
        if (len > 65536) assert_int_equal(status, TRANSPORT_PENDING);
        if (status == TRANSPORT_PENDING) UNTIL(a.peers[1].dones == dones + 1, &a, &b);
        if (status == TRANSPORT_PENDING) assert_int_equal(a.peers[1].done_cookie, s + 1);
        memset(local, 0xee, len); /* ours again */
        assert_int_equal(send_to(&a, 1, "after", 5, NULL, 0), 0);
        UNTIL(b.peers[0].messages == messages + 1, &a, &b);
        for (size_t i = 0; i < len; i++)
            if (g.memory[50 + i] != pattern(s, i)) fail_msg("%zu bytes: byte %zu", len, i);
        for (size_t i = 0; i < 50; i++)
            assert_true(g.memory[i] == 0 && g.memory[50 + len + i] == 0);
        target_free(&g, &b, &a);
        free(local);
    }
    pair_down(&a, &b);
}

static void test_messages_pass_a_long_put(void **state)
{
    (void)state;
    struct end a, b;
    struct target g;
    struct rma op;
    size_t len = 4 << 20;
    uint8_t *local = calloc(1, len);
    pair_up(&a, &b, NULL);
    target_make(&g, &b, &a, 1, len);
    assert_int_equal(put(&a, 1, &op, &g.theirs, local, len, 0, 9), TRANSPORT_PENDING);
    for (uint64_t n = 1; n <= 100; n++) {
        assert_int_equal(send_to(&a, 1, "small", 5, NULL, 0), 0);
        UNTIL(b.peers[0].messages == n, &a, &b);
    }
    assert_int_equal(a.peers[1].dones, 0); /* all the time the put was under way */
    UNTIL(a.peers[1].dones == 1, &a, &b);
    target_free(&g, &b, &a);
    free(local);
    pair_down(&a, &b);
}

/* A saturating stream of long messages must not starve a put, nor the put the stream. */
static void test_a_put_passes_a_stream(void **state)
{
    (void)state;
    struct end a, b;
    struct target g;
    struct rma op;
    static uint8_t local[1 << 20];
    pair_up(&a, &b, NULL);
    target_make(&g, &b, &a, 1, sizeof(local));
    assert_int_equal(put(&a, 1, &op, &g.theirs, local, sizeof(local), 0, 9), TRANSPORT_PENDING);
    int turns = 0, rooms = -1;
    while (a.peers[1].dones == 0 && turns++ < 20000) {
        if (a.peers[1].rooms > rooms) { /* after AGAIN nothing is sent until room */
            rooms = a.peers[1].rooms;
            while (send_to(&a, 1, "x", 1, local, 4096) == 0) {}
        }
        end_progress(&a);
        end_progress(&b);
    }
    assert_int_equal(a.peers[1].dones, 1);
    assert_true(b.peers[0].messages > 50);
    target_free(&g, &b, &a);
    pair_down(&a, &b);
}

static void test_flush_waits_for_queued_puts(void **state)
{
    (void)state;
    struct end a, b;
    struct target g;
    struct rma ops[3];
    static uint8_t local[100000];
    pair_up(&a, &b, NULL);
    target_make(&g, &b, &a, 1, sizeof(local));
    struct link *l = &a.peers[1].link->base;
    assert_int_equal(transport_shm.flush(l, 1), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(put(&a, 1, &ops[i], &g.theirs, local, sizeof(local), 0, 10),
                         TRANSPORT_PENDING);
    assert_int_equal(transport_shm.flush(l, 77), TRANSPORT_PENDING);
    UNTIL(a.peers[1].dones == 4, &a, &b);
    assert_int_equal(a.peers[1].done_cookie, 77); /* last */
    assert_int_equal(a.peers[1].done_status, 0);
    assert_int_equal(transport_shm.flush(l, 78), 0);
    target_free(&g, &b, &a);
    pair_down(&a, &b);
}

/* The last put before it is done by the last upcall that one progress may make. */
static void test_a_flush_outlives_the_last_put(void **state)
{
    (void)state;
    struct end a, b;
    struct target g;
    struct rma ops[2];
    static uint8_t local[2 * SEGMENT_FRAGMENT];
    pair_up(&a, &b, NULL);
    target_make(&g, &b, &a, 1, sizeof(local));
    assert_int_equal(put(&a, 1, &ops[0], &g.theirs, local, sizeof(local), 0, 10), 0);
    assert_int_equal(put(&a, 1, &ops[1], &g.theirs, local, 8, 0, 11), TRANSPORT_PENDING);
    assert_int_equal(transport_shm.flush(&a.peers[1].link->base, 77), TRANSPORT_PENDING);
    for (int i = 0; i < 100; i++) end_progress(&b);
    for (int i = 0; i < TRANSPORT_UPCALLS_MAX - 1; i++)
        assert_int_equal(send_to(&b, 0, "x", 1, NULL, 0), 0);
    assert_int_equal(end_progress(&a), TRANSPORT_UPCALLS_MAX);
    assert_int_equal(a.peers[1].dones, 1);
    for (int i = 0; i < 100; i++) end_progress(&a);
    assert_int_equal(a.peers[1].dones, 2);
    assert_int_equal(a.peers[1].done_cookie, 77);
    target_free(&g, &b, &a);
    pair_down(&a, &b);
}

static void test_dereg_in_the_middle_of_a_put(void **state)
{
    (void)state;
    struct end a, b;
    struct target g;
    struct rma op;
    size_t len = 1 << 20;
    uint8_t *local = malloc(len);
    memset(local, 0x5a, len);
    pair_up(&a, &b, NULL);
    target_make(&g, &b, &a, 1, len);
    assert_int_equal(put(&a, 1, &op, &g.theirs, local, len, 0, 9), TRANSPORT_PENDING);
    UNTIL(g.memory[len / 4] == 0x5a, &a, &b);
    assert_int_equal(transport_shm.dereg(&a.t->base, &g.theirs), TRANSPORT_AGAIN);
    assert_int_equal(transport_shm.dereg(&b.t->base, &g.mine), 0);
    memset(g.memory, 0, len);
    struct target next; /* takes the place in the table */
    target_make(&next, &b, &a, 1, len);
    UNTIL(a.peers[1].dones == 1, &a, &b);
    assert_int_equal(send_to(&a, 1, "after", 5, NULL, 0), 0);
    UNTIL(b.peers[0].messages == 1, &a, &b);
    for (size_t i = 0; i < len; i++) assert_true(g.memory[i] == 0 && next.memory[i] == 0);
    assert_int_equal(transport_shm.dereg(&a.t->base, &g.theirs), 0);
    target_free(&next, &b, &a);
    free(g.memory);
    free(local);
    pair_down(&a, &b);
}

static int no_random(void *arg, void *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    (void)len;
    return SINEW_EIO;
}

/* A rendezvous registers per message: it must not cost a system call. */
static void test_keys_differ_and_are_drawn_once(void **state)
{
    (void)state;
    struct end a;
    struct region r = { .base = &a, .len = 8 };
    uint8_t keys[10][16];
    end_open(&a, 0, 2, NULL);
    struct world dry = *a.t->base.opt.world;
    dry.random = no_random;
    a.t->base.opt.world = &dry;
    for (int i = 0; i < 10; i++) { /* one place, ten generations */
        assert_int_equal(transport_shm.reg(&a.t->base, NULL, &r), 0);
        memcpy(keys[i], r.key, 16);
        for (int k = 0; k < i; k++) assert_memory_not_equal(keys[i] + 8, keys[k] + 8, 8);
        assert_int_equal(transport_shm.dereg(&a.t->base, &r), 0);
    }
    end_close(&a);
}

static void test_atomics_and_gets_of_what_was_not_offered_are_refused(void **state)
{
    (void)state;
    struct end a, b;
    struct region to_put = { .key_len = 24 };
    struct rma op = { .kind = RMA_GET, .peers = &to_put };
    pair_up(&a, &b, NULL);
    assert_int_equal(transport_shm.rma(&a.peers[1].link->base, &op), SINEW_ENOTSUP);
    op.kind = RMA_ATOMIC;
    assert_int_equal(transport_shm.rma(&a.peers[1].link->base, &op), SINEW_ENOTSUP);
    assert_int_equal(a.peers[1].downs, 0);
    pair_down(&a, &b);
}

/* --- ends ------------------------------------------------------------------------------------- */

static void test_drain_delivers_queued_puts(void **state)
{
    (void)state;
    struct end a, b;
    struct target g;
    struct rma op;
    size_t len = 1 << 20;
    uint8_t *local = malloc(len);
    memset(local, 0x77, len);
    pair_up(&a, &b, NULL);
    target_make(&g, &b, &a, 1, len);
    assert_int_equal(put(&a, 1, &op, &g.theirs, local, len, 0, 9), TRANSPORT_PENDING);
    end_disconnect(&a, 1, DISCONNECT_DRAIN);
    assert_true(send_to(&a, 1, "late", 4, NULL, 0) < 0);
    UNTIL(a.peers[1].downs && b.peers[0].downs, &a, &b);
    assert_int_equal(a.peers[1].done_status, 0);
    assert_int_equal(b.peers[0].gone, GONE_LEFT);
    for (size_t i = 0; i < len; i++) assert_int_equal(g.memory[i], 0x77);
    target_free(&g, &b, &a);
    free(local);
    end_close(&a);
    end_close(&b);
}

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

static void test_now_drops_and_is_not_leaving(void **state)
{
    (void)state;
    struct end a, b;
    struct target g;
    struct rma op;
    static uint8_t local[1 << 20];
    pair_up(&a, &b, NULL);
    target_make(&g, &b, &a, 1, sizeof(local));
    assert_int_equal(put(&a, 1, &op, &g.theirs, local, sizeof(local), 0, 9), TRANSPORT_PENDING);
    assert_int_equal(transport_shm.flush(&a.peers[1].link->base, 10), TRANSPORT_PENDING);
    assert_int_equal(send_to(&a, 1, "sent", 4, NULL, 0), 0);
    end_disconnect(&a, 1, DISCONNECT_DRAIN);
    end_disconnect(&a, 1, DISCONNECT_NOW); /* harsher */
    UNTIL(a.peers[1].downs && b.peers[0].downs, &a, &b);
    assert_int_equal(a.peers[1].dones, 2);
    assert_true(a.peers[1].done_status < 0);
    assert_int_equal(b.peers[0].messages, 1);
    assert_int_equal(b.peers[0].status, SINEW_EPEER);
    assert_int_not_equal(b.peers[0].gone, GONE_LEFT);
    target_free(&g, &b, &a);
    end_close(&a);
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

/* --- sleeping --------------------------------------------------------------------------------- */

/* A sender out of room sleeps, and is woken by room alone. */
static void test_room_wakes_a_sender(void **state)
{
    (void)state;
    struct end a, b;
    static uint8_t body[8192];
    pair_up(&a, &b, NULL);
    while (send_to(&a, 1, "x", 1, body, sizeof(body)) == 0) {}
    while (end_progress(&a) > 0 || transport_shm.arm(&a.t->base) > 0) {}
    struct pollfd fd = { .fd = a.t->base.fd, .events = POLLIN };
    assert_int_equal(poll(&fd, 1, 0), 0);
    while (b.peers[0].messages == 0) end_progress(&b);
    assert_int_equal(poll(&fd, 1, 1000), 1);
    UNTIL(a.peers[1].rooms == 1, &a, &a);
    pair_down(&a, &b);
}

/* Work that arm() has seen stays work until it is done: the link's turn may be a while away. */
static void test_arm_goes_on_saying_that_there_is_work(void **state)
{
    (void)state;
    struct end a, b;
    struct target g;
    struct rma op;
    static uint8_t local[100000];
    pair_up(&a, &b, NULL);
    target_make(&g, &b, &a, 1, sizeof(local));
    assert_int_equal(put(&a, 1, &op, &g.theirs, local, sizeof(local), 0, 9), TRANSPORT_PENDING);
    while (end_progress(&a) > 0 || transport_shm.arm(&a.t->base) > 0) {}
    end_progress(&b);
    for (int i = 0; i < 3; i++) assert_true(transport_shm.arm(&a.t->base) > 0);
    UNTIL(a.peers[1].dones == 1, &a, &b);
    target_free(&g, &b, &a);
    while (send_to(&a, 1, "x", 1, local, 8192) == 0) {}
    while (end_progress(&a) > 0 || transport_shm.arm(&a.t->base) > 0) {}
    end_progress(&b);
    for (int i = 0; i < 3; i++) assert_true(transport_shm.arm(&a.t->base) > 0);
    pair_down(&a, &b);
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
        TEST(test_messaging_may_refuse),
        TEST(test_nobody_there),
        TEST(test_a_forked_child_does_not_listen_on),
        TEST(test_a_peer_that_computes_is_waited_for),
        TEST(test_a_full_queue_ends_at_the_setup_deadline),
        TEST(test_reach_says_why_not),
        TEST(test_limits_are_asked_before),
        TEST(test_messages_under_back_pressure),
        TEST(test_every_length),
        TEST(test_sending_inside_an_upcall),
        TEST(test_refused_bytes_cost_the_link),
        TEST(test_puts_land),
        TEST(test_messages_pass_a_long_put),
        TEST(test_a_put_passes_a_stream),
        TEST(test_flush_waits_for_queued_puts),
        TEST(test_a_flush_outlives_the_last_put),
        TEST(test_dereg_in_the_middle_of_a_put),
        TEST(test_keys_differ_and_are_drawn_once),
        TEST(test_atomics_and_gets_of_what_was_not_offered_are_refused),
        TEST(test_drain_delivers_queued_puts),
        TEST(test_both_leave_at_once),
        TEST(test_now_drops_and_is_not_leaving),
        TEST(test_dead_hands_up_what_arrived),
        TEST(test_room_wakes_a_sender),
        TEST(test_arm_goes_on_saying_that_there_is_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
