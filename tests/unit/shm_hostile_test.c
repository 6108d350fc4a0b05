/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_hostile_test.c - peers and strangers that do not play by the rules: their own link is the
 * price
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/shm_pair.h"

static const uint8_t secret[32] = "a secret of thirty-two bytes...";
static const uint8_t other_secret[32] = "another one of thirty-two bytes";

/* --- strangers at the door -------------------------------------------------------------------- */

static int raw_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    return fd;
}

static int raw_connect(uint64_t name)
{
    struct sockaddr_un address;
    socklen_t len = host_socket_address(name, &address);
    int fd = raw_socket();
    assert_int_equal(connect(fd, (struct sockaddr *)&address, len), 0);
    return fd;
}

static void raw_send(int fd, const void *bytes, size_t len, const int *descriptors, size_t n)
{
    char control[CMSG_SPACE(256 * sizeof(int))] = { 0 };
    struct iovec io = { (void *)bytes, len };
    struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1 };
    if (n > 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(n * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(c), descriptors, n * sizeof(int));
    }
    assert_int_equal(sendmsg(fd, &message, MSG_NOSIGNAL), (ssize_t)len);
}

/* The answer's status: 0 for ACCEPT (its descriptors are closed), the status of REFUSE, SINEW_EPEER
 * when the socket was closed. */
static int raw_answer(int fd, struct end *server)
{
    struct hello_packet packet;
    struct hello hello;
    struct why why;
    int descriptors[HELLO_DESCRIPTORS], n = 0, status;
    int64_t until = world_now(&world_real) + 10 * CONFIG_SECOND;
    while ((status = hello_receive(fd, &packet, descriptors, &n, &why)) > 0) {
        end_progress(server);
        if (world_now(&world_real) > until) fail_msg("no answer");
    }
    if (status < 0) return status;
    for (int i = 0; i < n; i++) close(descriptors[i]);
    assert_int_equal(hello_decode(&packet, NULL, NULL, &hello, &why), 0);
    return hello.kind == HELLO_ACCEPT ? 0 : (int)hello.segment;
}

struct forgery {
    struct hello hello;
    const uint8_t *secret;
    int memory, wake, pidfd;
};

static struct forgery forgery_make(const struct end *server)
{
    struct why why;
    struct forgery f = {
        .hello = { .kind = HELLO_HELLO, .flags = HELLO_PIDFD | HELLO_MEMBARRIER, .size = 2,
                   .from = 0, .to = 1, .segment = (uint32_t)segment_bytes(), .epoch = 5,
                   .name = server->t->self.name },
        .secret = secret,
        .memory = segment_create(&why),
        .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .pidfd = host_pidfd_self(),
    };
    assert_true(f.memory >= 0 && f.wake >= 0 && f.pidfd >= 0);
    return f;
}

/* Sends it and says what came of it. */
static int forgery_try(struct forgery *f, struct end *server)
{
    struct hello_packet packet;
    int fd = raw_connect(server->t->self.name);
    int descriptors[] = { f->memory, f->wake, f->pidfd };
    hello_encode(&packet, &f->hello, f->secret, NULL);
    raw_send(fd, packet.bytes, HELLO_LEN, descriptors, 3);
    int status = raw_answer(fd, server);
    close(fd);
    close(f->memory);
    close(f->wake);
    close(f->pidfd);
    return status;
}

static void test_an_honest_forgery_is_accepted(void **state)
{
    (void)state;
    struct end b;
    end_open(&b, 1, 2, secret);
    struct forgery f = forgery_make(&b); /* so that what follows is refused for its fault alone */
    assert_int_equal(forgery_try(&f, &b), 0);
    UNTIL(b.peers[0].ups == 1 && b.peers[0].downs == 1, &b, &b);
    end_close(&b);
}

static int memory_unsealed(void)
{
    int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fd, (off_t)segment_bytes()), 0);
    assert_int_equal(posix_fallocate(fd, 0, (off_t)segment_bytes()), 0);
    return fd;
}

static int memory_sealed(off_t len, bool allocated)
{
    int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fd, len), 0);
    if (allocated) assert_int_equal(posix_fallocate(fd, 0, len), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
    return fd;
}

static void test_bad_segments_are_refused(void **state)
{
    (void)state;
    struct end b;
    end_open(&b, 1, 2, secret);
    for (int i = 0; i < 5; i++) {
        struct forgery f = forgery_make(&b);
        close(f.memory);
        switch (i) {
        case 0: f.memory = memory_unsealed(); break;
        case 1: f.memory = memory_sealed((off_t)segment_bytes() - 4096, true); break;
        case 2: f.memory = memory_sealed((off_t)segment_bytes(), false); break;
        case 3: f.memory = open("/dev/null", O_RDWR | O_CLOEXEC); break;
        case 4: f.memory = memory_sealed(0, false); break;
        }
        assert_int_equal(forgery_try(&f, &b), SINEW_EPROTO);
    }
    assert_int_equal(b.links, 0);
    end_close(&b);
}

static void test_bad_witnesses_are_refused(void **state)
{
    (void)state;
    struct end b;
    int status;
    end_open(&b, 1, 2, secret);
    struct forgery f = forgery_make(&b);
    close(f.wake);
    f.wake = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(forgery_try(&f, &b), SINEW_EPROTO);
    f = forgery_make(&b);
    close(f.wake);
    f.wake = eventfd(0, EFD_CLOEXEC); /* full, it would hold us up */
    assert_int_equal(forgery_try(&f, &b), SINEW_EPROTO);
    f = forgery_make(&b);
    close(f.pidfd);
    f.pidfd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(forgery_try(&f, &b), SINEW_EPROTO);
    f = forgery_make(&b);
    pid_t child = fork(); /* a pidfd, but of somebody else */
    if (child == 0) {
        pause();
        _exit(0);
    }
    close(f.pidfd);
    f.pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    assert_true(f.pidfd >= 0);
    assert_int_equal(forgery_try(&f, &b), SINEW_EPROTO);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    assert_int_equal(b.links, 0);
    end_close(&b);
}

static void test_wrong_hellos_are_refused(void **state)
{
    (void)state;
    struct end b;
    end_open(&b, 1, 2, secret);
    for (int i = 0; i < 9; i++) {
        struct forgery f = forgery_make(&b);
        switch (i) {
        case 0: f.hello.from = 1; break;  /* the server itself */
        case 1: f.hello.from = 2; break;  /* beyond the job */
        case 2: f.hello.to = 0; break;
        case 3: f.hello.size = 3; break;
        case 4: f.hello.name++; break;
        case 5: f.hello.segment = 4096; break;
        case 6: f.hello.epoch = 0; break;
        case 7: f.hello.kind = HELLO_ACCEPT; break;
        case 8: f.hello.from = UINT32_MAX; break;
        }
        assert_int_equal(forgery_try(&f, &b), SINEW_EPROTO);
    }
    assert_int_equal(b.links, 0);
    end_close(&b);
}

static void test_wrong_proofs_are_refused(void **state)
{
    (void)state;
    struct end a, b;
    end_open(&b, 1, 2, secret);
    struct forgery f = forgery_make(&b);
    f.secret = other_secret;
    assert_int_equal(forgery_try(&f, &b), SINEW_EAUTH);
    f = forgery_make(&b);
    f.secret = NULL;
    assert_int_equal(forgery_try(&f, &b), SINEW_EAUTH);
    const uint8_t *wrong[] = { other_secret, NULL };
    for (int i = 0; i < 2; i++) {
        end_open(&a, 0, 2, wrong[i]);
        end_connect(&a, 1, &b);
        UNTIL(a.peers[1].downs == 1, &a, &b);
        assert_int_equal(a.peers[1].status, SINEW_EAUTH);
        assert_non_null(strstr(a.peers[1].why, "secret"));
        end_close(&a);
    }
    assert_int_equal(b.links, 0);
    end_close(&b);
}

/* Every byte that is proven: one bit changed is refused. */
static void test_no_signed_byte_may_change(void **state)
{
    (void)state;
    struct hello hello = { .kind = HELLO_HELLO, .size = 2, .epoch = 5 }, out;
    struct hello_packet packet, answer;
    struct why why;
    hello_encode(&packet, &hello, secret, NULL);
    assert_int_equal(hello_decode(&packet, secret, NULL, &out, &why), 0);
    for (size_t i = 0; i < HELLO_LEN; i++) {
        packet.bytes[i] ^= 0x10;
        assert_true(hello_decode(&packet, secret, NULL, &out, &why) < 0);
        packet.bytes[i] ^= 0x10;
    }
    hello.kind = HELLO_ACCEPT;
    hello_encode(&answer, &hello, secret, &packet);
    assert_int_equal(hello_decode(&answer, secret, &packet, &out, &why), 0);
    packet.bytes[45] ^= 1; /* an answer to another HELLO */
    assert_int_equal(hello_decode(&answer, secret, &packet, &out, &why), SINEW_EAUTH);
    assert_int_equal(hello_decode(&answer, secret, NULL, &out, &why), SINEW_EAUTH);
}

/* Garbage and silence at the door, far more than may wait there, and still the honest one comes
 * in. */
static void test_a_flood_does_not_keep_the_peer_out(void **state)
{
    (void)state;
    enum { FLOOD = 100 };
    struct end a, b;
    int fds[FLOOD];
    uint64_t seed = 0xf100d;
    uint8_t garbage[300];
    end_open(&a, 0, 2, secret);
    end_open(&b, 1, 2, secret);
    for (int i = 0; i < FLOOD; i++) {
        fds[i] = raw_connect(b.t->self.name);
        if (i % 2 == 0) continue; /* these say nothing */
        for (size_t k = 0; k < sizeof(garbage); k++) garbage[k] = (uint8_t)seeded(&seed);
        raw_send(fds[i], garbage, i % 4 == 1 ? HELLO_LEN : 1 + seeded(&seed) % 299, NULL, 0);
    }
    end_connect(&a, 1, &b);
    UNTIL(a.peers[1].ups == 1 && b.peers[0].ups == 1, &a, &b);
    assert_int_equal(b.links, 1);
    assert_int_equal(a.peers[1].downs, 0);
    for (int i = 0; i < FLOOD; i++) close(fds[i]);
    pair_down(&a, &b);
}

static void test_floods_of_descriptors_are_closed(void **state)
{
    (void)state;
    struct end b;
    int descriptors[250];
    uint8_t packet[HELLO_LEN] = { 0 };
    end_open(&b, 1, 2, secret);
    int before = count_descriptors();
    for (int i = 0; i < 250; i++) descriptors[i] = 0;
    static const size_t counts[] = { 1, 3, 4, 16, 17, 250 };
    for (size_t i = 0; i < 6; i++) {
        int fd = raw_connect(b.t->self.name);
        raw_send(fd, packet, sizeof(packet), descriptors, counts[i]);
        assert_true(raw_answer(fd, &b) < 0);
        close(fd);
        for (int k = 0; k < 300; k++) end_progress(&b);
        assert_int_equal(count_descriptors(), before);
    }
    assert_int_equal(b.links, 0);
    end_close(&b);
}

static int squat(uint64_t name)
{
    struct sockaddr_un address;
    socklen_t len = host_socket_address(name, &address);
    int fd = raw_socket();
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static void squatter_answers(enum hello_kind kind, const uint8_t *key, int expected)
{
    struct end a;
    struct host_address address;
    struct hello_packet packet;
    struct why why;
    uint8_t bytes[HOST_ADDRESS_LEN];
    end_open(&a, 0, 2, secret);
    assert_int_equal(host_address_self(&world_real, &address, &why), 0);
    host_address_encode(bytes, &address);
    int listener = squat(address.name);
    end_connect_address(&a, 1, bytes, sizeof(bytes));
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    struct hello hello = { .kind = (uint8_t)kind, .size = 2, .from = 1, .to = 0, .epoch = 9,
                           .segment = (uint32_t)segment_bytes() };
    hello_encode(&packet, &hello, key, NULL);
    raw_send(fd, packet.bytes, HELLO_LEN, NULL, 0);
    UNTIL(a.peers[1].downs == 1, &a, &a);
    assert_int_equal(a.peers[1].status, expected);
    assert_int_equal(a.peers[1].ups, 0);
    close(fd);
    close(listener);
    end_close(&a);
}

static void test_a_squatted_name_gains_nothing(void **state)
{
    (void)state;
    squatter_answers(HELLO_ACCEPT, NULL, SINEW_EAUTH);
    squatter_answers(HELLO_ACCEPT, other_secret, SINEW_EAUTH);
    squatter_answers(HELLO_HELLO, NULL, SINEW_EAUTH);
    squatter_answers(HELLO_REFUSE, NULL, SINEW_EPROTO);
}

static void test_another_user_is_refused(void **state)
{
    (void)state;
    struct end b;
    int status;
    if (geteuid() != 0) {
        print_message("not run as root: cannot become another user\n");
        skip();
    }
    end_open(&b, 1, 2, NULL);
    pid_t child = fork();
    if (child == 0) {
        struct hello_packet packet;
        int descriptors[HELLO_DESCRIPTORS], n;
        if (setuid(65534) < 0) _exit(3);
        int fd = raw_connect(b.t->self.name);
        while ((status = hello_receive(fd, &packet, descriptors, &n, NULL)) > 0) {}
        _exit(status == SINEW_EPEER ? 0 : 1);
    }
    while (waitpid(child, &status, WNOHANG) == 0) end_progress(&b);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(b.links, 0);
    end_close(&b);
}

/* --- a peer gone bad -------------------------------------------------------------------------- */

static void test_bytes_on_the_socket_cost_the_link(void **state)
{
    (void)state;
    struct end a, b;
    pair_up(&a, &b, NULL);
    assert_int_equal(send(a.peers[1].link->socket, "x", 1, 0), 1);
    UNTIL(b.peers[0].downs == 1 && a.peers[1].downs == 1, &a, &b);
    assert_int_equal(b.peers[0].status, SINEW_EPROTO);
    end_close(&a);
    end_close(&b);
}

static void forged_put(int what)
{
    struct end a, b;
    static uint8_t memory[4096], local[4096];
    struct region mine = { .base = memory, .len = sizeof(memory) }, theirs;
    memset(local, 0x66, sizeof(local));
    pair_up(&a, &b, NULL);
    assert_int_equal(transport_shm.reg(&b.t->base, NULL, &mine), 0);
    theirs = mine;
    assert_int_equal(transport_shm.reg(&a.t->base, &a.peers[1].link->base, &theirs), 0);
    struct rma op = { .kind = RMA_PUT, .local = local, .len = 100, .peers = &theirs };
    switch (what) {
    case 0: theirs.key[0] += 1; break;       /* a place that is free */
    case 1: theirs.key[3] = 0xff; break;     /* a place that is not there */
    case 2: theirs.key[4] += 1; break;       /* a generation to come */
    case 3: theirs.key[12] ^= 1; break;      /* another nonce */
    case 4: theirs.len += 100; op.offset = sizeof(memory); break;
    case 5: theirs.len = SIZE_MAX; op.offset = UINT64_MAX - 100; break;
    }
    assert_true(transport_shm.rma(&a.peers[1].link->base, &op) >= 0);
    UNTIL(b.peers[0].downs == 1 && a.peers[1].downs == 1, &a, &b);
    assert_int_equal(b.peers[0].status, SINEW_EPROTO);
    for (size_t i = 0; i < sizeof(memory); i++) assert_int_equal(memory[i], 0);
    assert_int_equal(transport_shm.dereg(&b.t->base, &mine), 0);
    end_close(&a);
    end_close(&b);
}

static void test_forged_puts_cost_the_link(void **state)
{
    (void)state;
    for (int what = 0; what < 6; what++) forged_put(what);
}

static void test_bad_keys_are_refused(void **state)
{
    (void)state;
    struct end a, b;
    struct region theirs = { .len = 100, .key_len = 23 };
    pair_up(&a, &b, NULL);
    struct link *l = &a.peers[1].link->base;
    assert_int_equal(transport_shm.reg(&a.t->base, l, &theirs), SINEW_EINVAL);
    theirs.key_len = 24; /* names another length */
    assert_int_equal(transport_shm.reg(&a.t->base, l, &theirs), SINEW_EINVAL);
    pair_down(&a, &b);
}

/* Random words over the segment while both ends use it; a third rank's link must not notice. */
static int touch(struct peer *p, const uint8_t *head, size_t hlen, const uint8_t *body, size_t blen)
{
    volatile uint8_t sum = 0;
    (void)p;
    for (size_t i = 0; i < hlen; i++) sum = (uint8_t)(sum + head[i]);
    for (size_t i = 0; i < blen; i++) sum = (uint8_t)(sum + body[i]);
    return 0;
}

static void scribble(uint8_t *segment, uint64_t *seed)
{
    size_t ring = ring_bytes(&segment_shape), slots = 256 + 64 * 64;
    for (uint64_t n = seeded(seed) % 8; n > 0; n--) {
        uint64_t r = seeded(seed), v = seeded(seed);
        size_t at = (r >> 8) % (r & 1 ? slots : ring);
        at = (at + (r & 2 ? ring : 0)) & ~(size_t)7;
        if (r & 4) at &= ~(size_t)63;               /* a word of a slot, */
        if (r & 8) v &= 0x003f3fff3f03ffff;          /* with plausible lengths */
        if (r & 8) v |= 0x8000;                     /* and lap */
        memcpy(segment + at, &v, 8);
    }
}

static void fuzz_once(uint64_t seed, int *broken)
{
    struct end a, b, c;
    static uint8_t local[20000];
    struct { uint8_t before[64], memory[20000], after[64]; } *area = calloc(1, sizeof(*area));
    struct region mine = { .base = area->memory, .len = sizeof(area->memory) }, theirs;
    end_open(&a, 0, 3, NULL);
    end_open(&b, 1, 3, NULL);
    end_open(&c, 2, 3, NULL);
    end_connect(&a, 1, &b);
    end_connect(&c, 1, &b);
    UNTIL(a.peers[1].ups && b.peers[0].ups, &a, &b);
    UNTIL(c.peers[1].ups && b.peers[2].ups, &c, &b);
    a.recv = b.recv = touch;
    assert_int_equal(transport_shm.reg(&b.t->base, NULL, &mine), 0);
    theirs = mine;
    struct rma op = { .kind = RMA_PUT, .local = local, .len = sizeof(local), .peers = &theirs };
    bool putting = transport_shm.rma(&a.peers[1].link->base, &op) > 0;
    for (int i = 0; i < 300 && a.peers[1].link && b.peers[0].link; i++) {
        uint64_t r = seeded(&seed);
        size_t len = r & 1 ? 0 : (r >> 8) % 16385;
        if (a.peers[1].link->segment && i > 10) scribble(a.peers[1].link->segment, &seed);
        transport_shm.send(&a.peers[1].link->base, "head", 4, local, len, NULL, 0);
        transport_shm.send(&b.peers[0].link->base, "head", 4, local, len, NULL, 0);
        end_progress(&a);
        end_progress(&b);
        if (r & 16) transport_shm.arm(&b.t->base);
    }
    *broken += b.peers[0].status == SINEW_EPROTO || a.peers[1].status == SINEW_EPROTO;
    (void)putting;
    uint64_t n = b.peers[2].messages;
    assert_int_equal(transport_shm.send(&c.peers[1].link->base, "ok", 2, NULL, 0, NULL, 0), 0);
    UNTIL(b.peers[2].messages == n + 1, &c, &b);
    for (int i = 0; i < 64; i++) assert_true(area->before[i] == 0 && area->after[i] == 0);
    if (a.peers[1].link) end_disconnect(&a, 1, DISCONNECT_NOW);
    if (b.peers[0].link) end_disconnect(&b, 0, DISCONNECT_NOW);
    end_disconnect(&c, 1, DISCONNECT_DRAIN);
    UNTIL(!a.peers[1].link && !b.peers[0].link, &a, &b);
    UNTIL(!c.peers[1].link && !b.peers[2].link, &c, &b);
    assert_int_equal(transport_shm.dereg(&b.t->base, &mine), 0);
    end_close(&a);
    end_close(&b);
    end_close(&c);
    free(area);
}

static void test_a_fuzzed_segment_harms_its_own_link_only(void **state)
{
    (void)state;
    int broken = 0;
    uint64_t seed = 0x5eed5e9;
    print_message("seeds from %llx\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < 150; i++) fuzz_once(seed + i * 7919, &broken);
    assert_true(broken > 50); /* else the fuzzer does not hit */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, end_no_residue, end_no_residue)
    const struct CMUnitTest tests[] = {
        TEST(test_an_honest_forgery_is_accepted),
        TEST(test_bad_segments_are_refused),
        TEST(test_bad_witnesses_are_refused),
        TEST(test_wrong_hellos_are_refused),
        TEST(test_wrong_proofs_are_refused),
        TEST(test_no_signed_byte_may_change),
        TEST(test_a_flood_does_not_keep_the_peer_out),
        TEST(test_floods_of_descriptors_are_closed),
        TEST(test_a_squatted_name_gains_nothing),
        TEST(test_another_user_is_refused),
        TEST(test_bytes_on_the_socket_cost_the_link),
        TEST(test_forged_puts_cost_the_link),
        TEST(test_bad_keys_are_refused),
        TEST(test_a_fuzzed_segment_harms_its_own_link_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
