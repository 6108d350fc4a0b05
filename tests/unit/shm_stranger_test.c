/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_stranger_test.c - whoever knocks at the socket and is not a peer: refused, at a bounded cost
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
    pid_t child = bounded_fork(); /* a pidfd, but of somebody else */
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
        print_message("skip: root, to become another user\n");
        skip();
    }
    end_open(&b, 1, 2, NULL);
    pid_t child = bounded_fork();
    if (child == 0) {
        struct hello_packet packet;
        int descriptors[HELLO_DESCRIPTORS], n;
        if (setuid(65534) < 0) _exit(3);
        bounded_child(getppid());
        int fd = raw_connect(b.t->self.name);
        WHILE ((status = hello_receive(fd, &packet, descriptors, &n, NULL)) > 0) {}
        _exit(status == SINEW_EPEER ? 0 : 1);
    }
    WHILE (waitpid(child, &status, WNOHANG) == 0) end_progress(&b);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(b.links, 0);
    end_close(&b);
}

/* --- what it costs ---------------------------------------------------------------------------- */

static void count_line(void *arg, int level, const char *line)
{
    int *lines = arg;
    (void)level;
    lines[0]++;
    if (strstr(line, "connections were refused")) lines[1]++;
}

static int64_t late; /* what the clock below is ahead */

static int64_t late_now(void *arg)
{
    return world_real.now(arg) + late;
}

/* However many knock, one line in ten seconds says so, with their number. */
static void test_refusals_do_not_fill_the_log(void **state)
{
    (void)state;
    int lines[2] = { 0 };
    struct log log = { .level = LOG_WARNING, .write = count_line, .arg = lines };
    struct world world = world_real;
    struct end b;
    world.now = late_now;
    end_open(&b, 1, 2, secret);
    b.t->base.opt.log = &log;
    b.t->base.opt.world = &world;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 300; i++) {
            int fd = raw_connect(b.t->self.name);
            raw_send(fd, "garbage", 7, NULL, 0);
            assert_true(raw_answer(fd, &b) < 0);
            close(fd);
        }
        assert_int_equal(lines[0], round + 1);
        assert_int_equal(lines[1], round);
        late += 11 * CONFIG_SECOND;
    }
    end_close(&b);
}

/* The same of another user, who is not even heard. */
static void test_another_user_does_not_fill_the_log(void **state)
{
    (void)state;
    int lines[2] = { 0 }, status;
    struct log log = { .level = LOG_WARNING, .write = count_line, .arg = lines };
    struct end b;
    if (geteuid() != 0) {
        print_message("skip: root, to become another user\n");
        skip();
    }
    end_open(&b, 1, 2, NULL);
    b.t->base.opt.log = &log;
    pid_t child = bounded_fork();
    if (child == 0) {
        if (setuid(65534) < 0) _exit(3);
        bounded_child(getppid());
        for (int i = 0; i < 300; i++) close(raw_connect(b.t->self.name));
        _exit(0);
    }
    WHILE (waitpid(child, &status, WNOHANG) == 0) end_progress(&b);
    for (int i = 0; i < 1000; i++) end_progress(&b);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(lines[0], 1);
    assert_int_equal(b.links, 0);
    end_close(&b);
}

/* --- somebody holds the name ------------------------------------------------------------------ */

static int fixed_random(void *arg, void *bytes, size_t len)
{
    (void)arg;
    memset(bytes, 0x5a, len);
    return 0;
}

/* Whoever it is: the transport does not open, and says which name. */
static void test_a_name_taken_first_is_an_error_at_open(void **state)
{
    (void)state;
    struct world world = world_real;
    struct end a;
    world.random = fixed_random;
    int listener = squat(0x5a5a5a5a5a5a5a5a);
    memset(&a, 0, sizeof(a));
    a.t = aligned_alloc(128, (transport_shm.transport_size + 127) / 128 * 128);
    memset(a.t, 0, transport_shm.transport_size);
    a.t->base.opt = (struct transport_options){ .world = &world, .size = 2, .epoch = 7 };
    assert_int_equal(transport_shm.open(&a.t->base), SINEW_EIO);
    assert_non_null(strstr(a.t->base.why.text, "@sinew-5a5a5a5a5a5a5a5a"));
    assert_non_null(strstr(a.t->base.why.text, "holds that name"));
    close(listener);
    assert_int_equal(transport_shm.open(&a.t->base), 0);
    transport_shm.close(&a.t->base);
    free(a.t);
}

static void test_a_name_taken_by_another_user_is_refused(void **state)
{
    (void)state;
    struct end a;
    struct host_address address;
    struct why why;
    uint8_t bytes[HOST_ADDRESS_LEN];
    int ready[2], status;
    char byte;
    if (geteuid() != 0) {
        print_message("skip: root, to become another user\n");
        skip();
    }
    end_open(&a, 0, 2, secret);
    assert_int_equal(host_address_self(&world_real, &address, &why), 0);
    host_address_encode(bytes, &address);
    assert_int_equal(pipe(ready), 0);
    pid_t child = bounded_fork();
    if (child == 0) {
        if (setuid(65534) < 0) _exit(3);
        bounded_child(getppid());
        squat(address.name);
        if (write(ready[1], "x", 1) == 1) pause();
        _exit(4);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    end_connect_address(&a, 1, bytes, sizeof(bytes));
    UNTIL(a.peers[1].downs == 1, &a, &a);
    assert_int_equal(a.peers[1].status, SINEW_EAUTH);
    assert_non_null(strstr(a.peers[1].why, "user 65534"));
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    close(ready[0]);
    close(ready[1]);
    end_close(&a);
}

/* It accepts, and closes unheard, for ever: that is not for ever. */
static void test_being_dropped_unheard_ends_at_the_setup_deadline(void **state)
{
    (void)state;
    struct world world = world_real;
    struct end a;
    struct host_address address;
    struct why why;
    uint8_t bytes[HOST_ADDRESS_LEN];
    int attempts = 0;
    world.now = late_now;
    end_open(&a, 0, 2, secret);
    a.t->base.opt.world = &world;
    assert_int_equal(host_address_self(&world_real, &address, &why), 0);
    host_address_encode(bytes, &address);
    int listener = squat(address.name);
    end_connect_address(&a, 1, bytes, sizeof(bytes));
    int64_t began = world_now(&world);
    while (a.peers[1].downs == 0) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd >= 0) {
            attempts++;
            close(fd);
        }
        end_progress(&a);
        late += CONFIG_SECOND / 1000;
        assert_true(world_now(&world) - began < 40 * CONFIG_SECOND);
    }
    assert_true(attempts > 10);
    assert_true(world_now(&world) - began >= 30 * CONFIG_SECOND);
    assert_int_equal(a.peers[1].status, SINEW_ETIMEDOUT);
    assert_non_null(strstr(a.peers[1].why, "unheard"));
    close(listener);
    end_close(&a);
}

/* It answers as it should, but has made a hole in the memory that it was handed. */
static void test_an_answer_with_a_hole_in_the_memory_is_refused(void **state)
{
    (void)state;
    struct end a;
    struct host_address address;
    struct hello_packet packet, answer;
    struct hello hello = { .kind = HELLO_ACCEPT, .flags = HELLO_PIDFD, .size = 2, .from = 1,
                           .to = 0, .epoch = 9, .segment = (uint32_t)segment_bytes() };
    struct why why;
    uint8_t bytes[HOST_ADDRESS_LEN];
    int got[HELLO_DESCRIPTORS], n;
    end_open(&a, 0, 2, secret);
    assert_int_equal(host_address_self(&world_real, &address, &why), 0);
    host_address_encode(bytes, &address);
    int listener = squat(address.name);
    end_connect_address(&a, 1, bytes, sizeof(bytes));
    int fd = accept(listener, NULL, NULL);
    assert_int_equal(hello_receive(fd, &packet, got, &n, &why), 0);
    assert_int_equal(n, 3);
    assert_int_equal(fallocate(got[0], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
    hello_encode(&answer, &hello, secret, &packet);
    raw_send(fd, answer.bytes, HELLO_LEN, got + 1, 2);
    UNTIL(a.peers[1].downs == 1, &a, &a);
    assert_int_equal(a.peers[1].status, SINEW_EPROTO);
    assert_non_null(strstr(a.peers[1].why, "not allocated in full"));
    assert_int_equal(a.peers[1].ups, 0);
    for (int i = 0; i < n; i++) close(got[i]);
    close(fd);
    close(listener);
    end_close(&a);
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
        TEST(test_refusals_do_not_fill_the_log),
        TEST(test_another_user_does_not_fill_the_log),
        TEST(test_a_name_taken_first_is_an_error_at_open),
        TEST(test_a_name_taken_by_another_user_is_refused),
        TEST(test_being_dropped_unheard_ends_at_the_setup_deadline),
        TEST(test_an_answer_with_a_hole_in_the_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
