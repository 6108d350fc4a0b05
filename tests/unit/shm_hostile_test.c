/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_hostile_test.c - a peer gone bad: its own link is the price, and nothing else is touched
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/shm_pair.h"

/* --- its memory, not its bytes ---------------------------------------------------------------- */

static int kept; /* the segment's descriptor, which one side keeps */

static void *map_and_keep(void *arg, int fd, size_t len)
{
    kept = dup(fd);
    return segment_mapper_real.map(arg, fd, len);
}

static void unmap(void *arg, void *at, size_t len)
{
    segment_mapper_real.unmap(arg, at, len);
}

static void refused(int result)
{
    assert_int_equal(result, -1);
    assert_int_equal(errno, EPERM);
}

/* Once the link is up: no way to make the other side's access fail, by either. */
static void nothing_can_change(bool accepts)
{
    struct end a, b;
    struct segment_mapper keeps = { map_and_keep, unmap, NULL };
    end_open_mapped(&a, 0, 2, NULL, accepts ? NULL : &keeps);
    end_open_mapped(&b, 1, 2, NULL, accepts ? &keeps : NULL);
    end_connect(&a, 1, &b);
    UNTIL(a.peers[1].ups == 1 && b.peers[0].ups == 1, &a, &b);
    struct shm_link *mine = accepts ? b.peers[0].link : a.peers[1].link;
    size_t len = segment_bytes();
    refused(ftruncate(kept, 0));
    refused(ftruncate(kept, (off_t)len - 4096));
    refused(ftruncate(kept, (off_t)len + 4096));
    refused(fallocate(kept, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    refused(madvise(mine->segment, 4096, MADV_REMOVE));
    refused(fcntl(kept, F_ADD_SEALS, F_SEAL_WRITE));
    refused(mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, kept, 0) == MAP_FAILED ? -1 : 0);
    assert_int_equal(send_to(&a, 1, "x", 1, NULL, 0), 0);
    assert_int_equal(send_to(&b, 0, "x", 1, NULL, 0), 0);
    UNTIL(a.peers[1].messages == 1 && b.peers[0].messages == 1, &a, &b);
    close(kept);
    pair_down(&a, &b);
}

static void test_nothing_but_bytes_can_change(void **state)
{
    (void)state;
    nothing_can_change(false);
    nothing_can_change(true);
}

static void *map_and_punch(void *arg, int fd, size_t len)
{
    void *at = segment_mapper_real.map(arg, fd, len);
    assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
    return at;
}

/* Between the check of what was handed over and the last seal. */
static void test_a_hole_made_in_time_is_seen(void **state)
{
    (void)state;
    struct end a, b;
    struct segment_mapper punches = { map_and_punch, unmap, NULL };
    end_open(&a, 0, 2, NULL);
    end_open_mapped(&b, 1, 2, NULL, &punches);
    end_connect(&a, 1, &b);
    UNTIL(a.peers[1].downs == 1 && b.peers[0].downs == 1, &a, &b);
    assert_int_equal(b.peers[0].status, SINEW_EPROTO);
    assert_int_equal(a.peers[1].status, SINEW_EPROTO);
    end_close(&a);
    end_close(&b);
}

/* --- its socket ------------------------------------------------------------------------------- */

static void test_descriptors_on_the_socket_are_not_taken(void **state)
{
    (void)state;
    enum { MANY = 200 };
    struct end a, b;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(MANY * sizeof(int))];
    } control = { 0 };
    char byte = 'x';
    struct iovec io = { &byte, 1 };
    struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = control.bytes,
                              .msg_controllen = sizeof(control.bytes) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(MANY * sizeof(int));
    pair_up(&a, &b, NULL);
    for (int i = 0; i < MANY; i++)
        memcpy(CMSG_DATA(c) + (size_t)i * sizeof(int), &a.t->wake, sizeof(int));
    int before = count_descriptors();
    assert_int_equal(sendmsg(a.peers[1].link->socket, &message, 0), 1);
    UNTIL(b.peers[0].downs == 1 && a.peers[1].downs == 1, &a, &b);
    assert_int_equal(b.peers[0].status, SINEW_EPROTO);
    assert_true(count_descriptors() < before);
    end_close(&a);
    end_close(&b);
}

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
    pair_grant(&a, &b, &mine, &theirs);
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
        TEST(test_nothing_but_bytes_can_change),
        TEST(test_a_hole_made_in_time_is_seen),
        TEST(test_descriptors_on_the_socket_are_not_taken),
        TEST(test_bytes_on_the_socket_cost_the_link),
        TEST(test_forged_puts_cost_the_link),
        TEST(test_bad_keys_are_refused),
        TEST(test_a_fuzzed_segment_harms_its_own_link_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
