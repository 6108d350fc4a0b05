/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_threads_test.c - two ranks as two threads, both ends at one address
 *
 * The thread sanitizer sees a race only between accesses to the same address, so the segment is
 * mapped once for both. Streams of messages and puts both ways; every waiter sleeps on its
 * descriptor.
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/shm_pair.h"

enum { MESSAGES = 4000, PUT_BYTES = 300000 };

/* --- one mapping per segment ------------------------------------------------------------------ */

struct shared_map {
    pthread_mutex_t lock;
    ino_t inode[8];
    void *at[8];
    int users[8];
};

static void *map_once(void *arg, int fd, size_t len)
{
    struct shared_map *m = arg;
    struct stat file;
    int i = 0;
    fstat(fd, &file);
    pthread_mutex_lock(&m->lock);
    while (m->users[i] && m->inode[i] != file.st_ino) i++;
    if (m->users[i]++ == 0) {
        m->inode[i] = file.st_ino;
        m->at[i] = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    pthread_mutex_unlock(&m->lock);
    return m->at[i];
}

static void unmap_once(void *arg, void *at, size_t len)
{
    struct shared_map *m = arg;
    int i = 0;
    pthread_mutex_lock(&m->lock);
    while (m->at[i] != at || !m->users[i]) i++;
    if (--m->users[i] == 0) munmap(at, len);
    pthread_mutex_unlock(&m->lock);
}

/* --- a rank ----------------------------------------------------------------------------------- */

struct rank {
    struct end end;
    struct rank *other;
    int me;
    bool fencing;
    uint64_t sent, got;
    uint8_t key[TRANSPORT_KEY_MAX];
    struct region mine, theirs;
    struct rma op;
    uint8_t *memory, *local;
    bool is_told, put_done;
    int failed; /* the line of the first check that failed: assertions are for the main thread */
};

#define CHECK(r, condition)                                                                        \
    do {                                                                                           \
        if (!(condition) && !(r)->failed) (r)->failed = __LINE__;                                  \
    } while (0)

static size_t length_of(uint64_t n) { return n % 5 == 0 ? n * 37 % 16385 : n % 120; }

/* The first message carries the key, the last says that the put is over, those between are
 * numbered. */
static int rank_recv(struct peer *p, const uint8_t *head, size_t hlen, const uint8_t *body,
                     size_t blen)
{
    struct rank *r = p->end->arg;
    uint64_t n;
    CHECK(r, hlen == 8);
    memcpy(&n, head, 8);
    CHECK(r, n == r->got);
    if (r->got == 0) {
        CHECK(r, blen == TRANSPORT_KEY_MAX);
        memcpy(r->theirs.key, body, TRANSPORT_KEY_MAX);
        r->is_told = true;
    } else if (r->got < MESSAGES) {
        CHECK(r, blen == length_of(n));
        for (size_t i = 0; i < blen; i++) CHECK(r, body[i] == pattern(n, i));
    } else {
        for (size_t i = 0; i < PUT_BYTES; i++)
            CHECK(r, r->memory[i] == pattern((uint64_t)r->other->me, i));
    }
    r->got++;
    return 0;
}

static void rank_done(struct peer *p, uint64_t cookie, int status)
{
    struct rank *r = p->end->arg;
    CHECK(r, cookie == 42 && status == 0);
    r->put_done = true;
}

/* As much as can be sent now. */
static void rank_send(struct rank *r)
{
    struct link *l = &r->end.peers[r->other->me].link->base;
    uint8_t body[16384];
    WHILE (r->sent <= MESSAGES) {
        size_t len = r->sent == 0 ? TRANSPORT_KEY_MAX : r->sent < MESSAGES ? length_of(r->sent) : 0;
        if (r->sent == MESSAGES && !r->put_done) return; /* put before send: it is seen before */
        for (size_t i = 0; i < len; i++) body[i] = pattern(r->sent, i);
        if (r->sent == 0) memcpy(body, r->mine.key, TRANSPORT_KEY_MAX);
        int status = transport_shm.send(l, &r->sent, 8, body, len, NULL, 0);
        CHECK(r, status >= 0);
        if (status != 0) return;
        r->sent++;
    }
}

static void rank_put(struct rank *r)
{
    struct link *l = &r->end.peers[r->other->me].link->base;
    r->theirs.len = PUT_BYTES;
    r->theirs.key_len = r->mine.key_len;
    CHECK(r, transport_shm.reg(l->transport, l, &r->theirs) == 0);
    r->op = (struct rma){ .kind = RMA_PUT, .local = r->local, .len = PUT_BYTES,
                          .peers = &r->theirs, .cookie = 42 };
    CHECK(r, transport_shm.rma(l, &r->op) == TRANSPORT_PENDING);
    r->is_told = false;
}

static void rank_sleep(struct rank *r)
{
    if (transport_shm.arm(&r->end.t->base) > 0) return;
    struct pollfd fd = { .fd = r->end.t->base.fd, .events = POLLIN };
    CHECK(r, poll(&fd, 1, 20000) == 1); /* nothing came: a wake-up was lost */
}

static bool rank_is_done(const struct rank *r)
{
    return r->failed || (r->sent > MESSAGES && r->got > MESSAGES);
}

static void *rank_run(void *arg)
{
    struct rank *r = arg;
    struct peer *p = &r->end.peers[r->other->me];
    end_connect(&r->end, r->other->me, &r->other->end); /* both do: they cross */
    WHILE (p->ups == 0 && !p->downs && !r->failed)
        if (end_progress(&r->end) == 0) rank_sleep(r);
    WHILE (!rank_is_done(r)) {
        rank_send(r);
        if (r->is_told) rank_put(r);
        if (end_progress(&r->end) == 0) rank_sleep(r);
    }
    if (p->link) end_disconnect(&r->end, r->other->me, DISCONNECT_DRAIN);
    WHILE (p->link)
        if (end_progress(&r->end) == 0) rank_sleep(r);
    return NULL;
}

static void run(bool membarrier)
{
    struct shared_map map = { .lock = PTHREAD_MUTEX_INITIALIZER };
    struct segment_mapper mapper = { map_once, unmap_once, &map };
    struct rank *ranks[2];
    pthread_t threads[2];
    int before = count_descriptors();
    for (int i = 0; i < 2; i++) {
        struct rank *r = ranks[i] = calloc(1, sizeof(*r));
        end_open_mapped(&r->end, i, 2, NULL, &mapper);
        if (!membarrier) r->end.t->membarrier = false;
        r->me = i;
        r->end.arg = r;
        r->end.recv = rank_recv;
        r->end.done = rank_done;
        r->memory = calloc(1, PUT_BYTES);
        r->local = malloc(PUT_BYTES);
        for (size_t k = 0; k < PUT_BYTES; k++) r->local[k] = pattern((uint64_t)i, k);
        r->mine = (struct region){ .base = r->memory, .len = PUT_BYTES };
        assert_int_equal(transport_shm.reg(&r->end.t->base, NULL, &r->mine), 0);
    }
    ranks[0]->other = ranks[1];
    ranks[1]->other = ranks[0];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, rank_run, ranks[i]), 0);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) {
        struct rank *r = ranks[i];
        if (r->failed) fail_msg("rank %d: line %d", i, r->failed);
        assert_int_equal(r->got, MESSAGES + 1);
        assert_int_equal(r->end.peers[1 - i].status, 0);
        assert_int_equal(transport_shm.dereg(&r->end.t->base, &r->mine), 0);
        end_close(&r->end);
        free(r->memory);
        free(r->local);
    }
    for (int i = 0; i < 8; i++) assert_int_equal(map.users[i], 0);
    free(ranks[0]);
    free(ranks[1]);
    assert_int_equal(count_descriptors(), before);
}

static void test_threads_with_membarrier(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) run(true);
}

static void test_threads_with_read_modify_writes(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) run(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_with_membarrier),
        cmocka_unit_test(test_threads_with_read_modify_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
