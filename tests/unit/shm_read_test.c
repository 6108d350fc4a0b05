/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_read_test.c - messages read out of the memory of their sender: by process_vm_readv(), through
 * mapped memory, taken back in between, and by or from somebody who lies
 */
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

#include "base/wire.h"
#include "tests/unit/shm_pair.h"

enum { LEN = 600000, PAGE = 4096, SHARED = 1 << 20 };

/* Rank 0 lends, rank 1 reads. */
struct lent {
    struct end lender, reader;
    struct region mine, theirs;
    struct rma op;
    uint8_t *to;
};

static void lent_open(struct lent *t, uint64_t read_from)
{
    memset(t, 0, sizeof(*t));
    pair_up(&t->lender, &t->reader, NULL);
    t->lender.t->read_from = t->reader.t->read_from = read_from;
    t->to = malloc(LEN);
}

static void lent_close(struct lent *t)
{
    free(t->to);
    pair_down(&t->lender, &t->reader);
}

static int lend(struct lent *t, void *base, size_t len)
{
    t->mine = (struct region){
        .base = base, .len = len, .reader = &t->lender.peers[1].link->base
    };
    int status = transport_shm.reg(&t->lender.t->base, NULL, &t->mine);
    if (status < 0) return status;
    t->theirs = (struct region){ .len = len, .key_len = t->mine.key_len };
    memcpy(t->theirs.key, t->mine.key, t->mine.key_len);
    return 0;
}

static int take_key(struct lent *t)
{
    return transport_shm.reg(&t->reader.t->base, &t->reader.peers[0].link->base, &t->theirs);
}

static int read_start(struct lent *t, size_t len, uint64_t offset)
{
    memset(t->to, 0xee, LEN);
    t->op = (struct rma){ .kind = RMA_GET,
                          .local = t->to,
                          .len = len,
                          .peers = &t->theirs,
                          .offset = offset,
                          .cookie = 77 };
    list_init(&t->op.entry);
    return transport_shm.rma(&t->reader.peers[0].link->base, &t->op);
}

static int read_end(struct lent *t, int status)
{
    struct peer *p = &t->reader.peers[0];
    if (status != TRANSPORT_PENDING) return status;
    uint64_t dones = p->dones;
    WHILE (p->dones == dones) end_progress(&t->reader); /* the lender sleeps */
    assert_int_equal(p->done_cookie, 77);
    return p->done_status;
}

static int give_back(struct lent *t)
{
    int status = transport_shm.dereg(&t->reader.t->base, &t->theirs);
    assert_int_equal(transport_shm.dereg(&t->lender.t->base, &t->mine), 0);
    return status;
}

static void fill(uint8_t *at, size_t len, uint64_t n)
{
    for (size_t i = 0; i < len; i++) at[i] = pattern(n, i);
}

static void check(const struct lent *t, size_t len, size_t offset, uint64_t n)
{
    for (size_t i = 0; i < len; i++)
        if (t->to[i] != pattern(n, i + offset)) fail_msg("byte %zu of %zu is wrong", i, len);
    for (size_t i = len; i < len + 64 && i < LEN; i++) assert_int_equal(t->to[i], 0xee);
}

static const size_t lengths[] = { 1, 63, 4096, 4097, 131072, 131073, LEN };
enum { LENGTHS = sizeof(lengths) / sizeof(lengths[0]) };

static void test_private_memory_is_read_whole(void **state)
{
    struct lent t;
    (void)state;
    lent_open(&t, 0);
    assert_true(t.reader.peers[0].link->reads);
    assert_null(strstr(t.reader.peers[0].link->base.note, "copied twice"));
    uint8_t *from = malloc(LEN);
    for (int i = 0; i < LENGTHS; i++) {
        fill(from, LEN, (uint64_t)i);
        assert_int_equal(lend(&t, from, lengths[i]), 0);
        assert_int_equal(take_key(&t), 0);
        assert_int_equal(read_end(&t, read_start(&t, lengths[i], 0)), 0);
        check(&t, lengths[i], 0, (uint64_t)i);
        assert_int_equal(read_end(&t, read_start(&t, lengths[i] / 2, lengths[i] / 3)), 0);
        check(&t, lengths[i] / 2, lengths[i] / 3, (uint64_t)i);
        give_back(&t);
    }
    free(from);
    lent_close(&t);
}

static void test_short_ones_are_better_put(void **state)
{
    struct lent t;
    uint8_t from[200];
    (void)state;
    lent_open(&t, 100);
    assert_int_equal(lend(&t, from, 99), SINEW_ENOTSUP);
    assert_int_equal(lend(&t, from, 100), 0);
    t.reader.t->read_from = 101; /* each side says for itself */
    assert_int_equal(take_key(&t), SINEW_ENOTSUP);
    t.reader.t->read_from = 100;
    t.reader.peers[0].link->reads = false;
    assert_int_equal(take_key(&t), SINEW_ENOTSUP);
    assert_int_equal(transport_shm.dereg(&t.lender.t->base, &t.mine), 0);
    lent_close(&t);
}

/* Of several that go at once each has to be longer to be read. */
static void test_of_many_longer_ones_are_put(void **state)
{
    struct lent t;
    uint8_t from[200];
    (void)state;
    lent_open(&t, 100);
    t.lender.t->read_many_from = 150;
    t.mine = (struct region){
        .base = from, .len = 149, .reader = &t.lender.peers[1].link->base, .of_many = true
    };
    assert_int_equal(transport_shm.reg(&t.lender.t->base, NULL, &t.mine), SINEW_ENOTSUP);
    t.mine.len = 150;
    assert_int_equal(transport_shm.reg(&t.lender.t->base, NULL, &t.mine), 0);
    assert_int_equal(transport_shm.dereg(&t.lender.t->base, &t.mine), 0);
    lent_close(&t);
}

static struct region share_make(struct end *e, size_t len)
{
    struct region r = { .len = len };
    assert_int_equal(transport_shm.reg(&e->t->base, NULL, &r), 0);
    assert_non_null(r.base);
    for (size_t i = 0; i < len; i += 511) assert_int_equal(((uint8_t *)r.base)[i], 0);
    return r;
}

/* The first key makes the reader ask; what a message later it has mapped. */
static void map_it(struct lent *t, struct region *share)
{
    assert_int_equal(lend(t, share->base, 10), 0);
    assert_int_equal(take_key(t), t->reader.t->read_from ? SINEW_ENOTSUP : 0);
    assert_int_equal(transport_shm.dereg(&t->lender.t->base, &t->mine), 0);
    for (int i = 0; i < 4; i++) {
        end_progress(&t->lender);
        end_progress(&t->reader);
    }
}

static void test_shared_memory_is_read_through_its_mapping(void **state)
{
    struct lent t;
    (void)state;
    lent_open(&t, UINT64_MAX);
    t.reader.peers[0].link->reads = false;
    struct region share = share_make(&t.lender, SHARED);
    uint8_t *from = share.base;
    map_it(&t, &share);
    for (int i = 0; i < LENGTHS; i++) {
        size_t at = SHARED - LEN - (size_t)i * 77;
        fill(from + at, LEN, (uint64_t)i);
        assert_int_equal(lend(&t, from + at, lengths[i]), 0);
        assert_int_equal(take_key(&t), 0);
        assert_int_equal(read_end(&t, read_start(&t, lengths[i], 0)), 0);
        check(&t, lengths[i], 0, (uint64_t)i);
        give_back(&t);
    }
    /* One byte beyond is not of it. */
    assert_int_equal(lend(&t, from + SHARED - 9, 9), 0);
    assert_int_equal(transport_shm.dereg(&t.lender.t->base, &t.mine), 0);
    assert_int_equal(lend(&t, from + SHARED - 9, 10), SINEW_ENOTSUP);
    assert_int_equal(transport_shm.dereg(&t.lender.t->base, &share), 0);
    lent_close(&t);
}

static int count_mappings(void)
{
    FILE *f = fopen("/proc/self/maps", "re");
    char line[512];
    int n = 0;
    while (fgets(line, sizeof(line), f)) n += strstr(line, "memfd:sinew") != NULL;
    fclose(f);
    return n;
}

static void test_freed_memory_is_unmapped_at_the_reader(void **state)
{
    struct lent t;
    (void)state;
    lent_open(&t, UINT64_MAX);
    int before = count_mappings();
    struct region share = share_make(&t.lender, SHARED);
    map_it(&t, &share);
    assert_int_equal(count_mappings(), before + 2);
    assert_int_equal(transport_shm.dereg(&t.lender.t->base, &share), 0);
    assert_int_equal(count_mappings(), before + 1);
    end_progress(&t.reader);
    assert_int_equal(count_mappings(), before);
    lent_close(&t);
}

static void test_more_memories_than_are_mapped_at_once(void **state)
{
    struct lent t;
    enum { MANY = 80 };
    struct region share[MANY];
    (void)state;
    lent_open(&t, UINT64_MAX);
    int before = count_mappings();
    for (int i = 0; i < MANY; i++) share[i] = share_make(&t.lender, PAGE);
    for (int i = 0; i < MANY; i++) {
        fill(share[i].base, PAGE, (uint64_t)i);
        map_it(&t, &share[i]);
        assert_int_equal(lend(&t, share[i].base, PAGE), 0);
        assert_int_equal(take_key(&t), 0);
        assert_int_equal(read_end(&t, read_start(&t, PAGE, 0)), 0);
        check(&t, PAGE, 0, (uint64_t)i);
        give_back(&t);
        assert_true(count_mappings() <= before + MANY + 32);
    }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(transport_shm.dereg(&t.lender.t->base, &share[i * 7 % MANY]), 0);
        end_progress(&t.reader);
    }
    assert_int_equal(count_mappings(), before);
    lent_close(&t);
}

/* The ring of `e` to `rank` takes no message more. */
static void fill_ring(struct end *e, int rank)
{
    struct shm_link *l = e->peers[rank].link;
    assert_int_equal(ring_refresh(&l->tx), 0);
    WHILE (ring_would_fit(&l->tx, RING_DATA, 8, 0))
        assert_int_equal(send_to(e, rank, "filling.", 8, NULL, 0), 0);
}

/* A TAKEN that is not told takes one of the places for descriptors under way, for good. */
static void test_what_was_taken_is_told_when_there_is_room(void **state)
{
    struct lent t;
    (void)state;
    lent_open(&t, UINT64_MAX);
    struct shm_link *lender = t.lender.peers[1].link, *reader = t.reader.peers[0].link;
    struct region share = share_make(&t.lender, PAGE);
    assert_int_equal(lend(&t, share.base, 10), 0);
    assert_int_equal(take_key(&t), SINEW_ENOTSUP);
    end_progress(&t.lender);
    assert_int_equal(lender->shares_sent, 1);
    fill_ring(&t.reader, 0);
    WHILE (take_key(&t) != 0) end_progress(&t.reader);
    /* Who sleeps then is woken for room, and looks at what it owes. */
    WHILE (transport_shm.arm(&t.reader.t->base) != 0) end_progress(&t.reader);
    WHILE (lender->rx.next != reader->tx.head) end_progress(&t.lender);
    for (int i = 0; i < SHM_QUIET_POLLS; i++) end_progress(&t.lender);
    assert_true(transport_shm.arm(&t.reader.t->base) > 0);
    end_progress(&t.reader);
    end_progress(&t.lender);
    assert_int_equal(lender->shares_taken, 1);
    assert_int_equal(give_back(&t), 0);
    assert_int_equal(transport_shm.dereg(&t.lender.t->base, &share), 0);
    lent_close(&t);
}

/* A REFUSED that is not told takes one of the places for mappings, for good. */
static void test_what_was_refused_is_told_when_there_is_room(void **state)
{
    struct lent t;
    (void)state;
    lent_open(&t, UINT64_MAX);
    struct region share = share_make(&t.lender, PAGE);
    for (uint32_t i = 0; i < 40; i += 8) {
        ring_tell(&t.reader.peers[0].link->rx); /* no wish brings room along */
        assert_int_equal(lend(&t, share.base, 10), 0);
        for (uint32_t id = 100 + i; id < 108 + i; id++) {
            wire_put32(t.theirs.key + 24, id);
            assert_int_equal(take_key(&t), SINEW_ENOTSUP);
        }
        assert_int_equal(transport_shm.dereg(&t.lender.t->base, &t.mine), 0);
        fill_ring(&t.lender, 1);
        end_progress(&t.lender);
        UNTIL(t.lender.peers[1].link->wants == 0, &t.reader, &t.lender);
        end_progress(&t.reader); /* the last of them */
    }
    int before = count_mappings();
    map_it(&t, &share);
    assert_int_equal(count_mappings(), before + 1);
    assert_int_equal(transport_shm.dereg(&t.lender.t->base, &share), 0);
    lent_close(&t);
}

/* The memory of a GONE that is not told stays, though its owner freed it: of one, and of many. */
static void test_what_is_freed_is_told_when_there_is_room(void **state)
{
    enum { MANY = 5 };
    struct region share[MANY];
    (void)state;
    for (int freed = 1; freed <= MANY; freed += MANY - 1) {
        struct lent t;
        lent_open(&t, UINT64_MAX);
        t.reader.peers[0].link->reads = false;
        int before = count_mappings();
        for (int i = 0; i < MANY; i++) share[i] = share_make(&t.lender, PAGE);
        for (int i = 0; i < MANY; i++) map_it(&t, &share[i]);
        assert_int_equal(count_mappings(), before + 2 * MANY);
        fill_ring(&t.lender, 1);
        for (int i = 0; i < freed; i++)
            assert_int_equal(transport_shm.dereg(&t.lender.t->base, &share[i]), 0);
        UNTIL(t.lender.peers[1].link->wants == 0, &t.reader, &t.lender);
        UNTIL(count_mappings() == before + 2 * (MANY - freed), &t.lender, &t.reader);
        for (int i = freed; i < MANY; i++)
            assert_int_equal(transport_shm.dereg(&t.lender.t->base, &share[i]), 0);
        lent_close(&t);
    }
}

/* What still exists is asked for again after a word that meant everything. */
static void test_what_was_unmapped_with_others_is_mapped_again(void **state)
{
    struct lent t;
    struct region share[3];
    (void)state;
    lent_open(&t, UINT64_MAX);
    t.reader.peers[0].link->reads = false;
    int before = count_mappings();
    for (int i = 0; i < 3; i++) share[i] = share_make(&t.lender, PAGE);
    for (int i = 0; i < 3; i++) map_it(&t, &share[i]);
    fill_ring(&t.lender, 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(transport_shm.dereg(&t.lender.t->base, &share[i]), 0);
    UNTIL(count_mappings() == before + 1, &t.lender, &t.reader);
    map_it(&t, &share[2]);
    assert_int_equal(count_mappings(), before + 2);
    assert_int_equal(lend(&t, share[2].base, PAGE), 0);
    assert_int_equal(take_key(&t), 0);
    assert_int_equal(read_end(&t, read_start(&t, PAGE, 0)), 0);
    give_back(&t);
    assert_int_equal(transport_shm.dereg(&t.lender.t->base, &share[2]), 0);
    lent_close(&t);
}

/* Its descriptor lies on the socket, of which no word tells the reader but that it was freed. */
static void test_what_is_freed_on_its_way_is_not_mapped(void **state)
{
    struct lent t;
    (void)state;
    lent_open(&t, UINT64_MAX);
    int before = count_mappings();
    struct region share = share_make(&t.lender, PAGE);
    assert_int_equal(lend(&t, share.base, 10), 0);
    assert_int_equal(take_key(&t), SINEW_ENOTSUP);
    ring_tell(&t.reader.peers[0].link->rx); /* no wish brings room along */
    fill_ring(&t.lender, 1);
    end_progress(&t.lender);
    assert_int_equal(t.lender.peers[1].link->shares_sent, 1);
    assert_int_equal(give_back(&t), 0);
    assert_int_equal(transport_shm.dereg(&t.lender.t->base, &share), 0);
    UNTIL(t.lender.peers[1].link->shares_taken == 1, &t.lender, &t.reader);
    for (int i = 0; i < 2000; i++) {
        end_progress(&t.lender);
        end_progress(&t.reader);
    }
    assert_int_equal(count_mappings(), before);
    lent_close(&t);
}

/* Whatever the lender does with its memory then, no read of it succeeds. */
static void test_what_was_taken_back_is_worth_nothing(void **state)
{
    struct lent t;
    (void)state;
    lent_open(&t, 0);
    struct region share = share_make(&t.lender, SHARED);
    uint8_t *private = malloc(LEN), *from[] = { private, share.base };
    map_it(&t, &share);
    for (int i = 0; i < 2; i++) {
        fill(from[i], LEN, 1);
        assert_int_equal(lend(&t, from[i], LEN), 0);
        assert_int_equal(take_key(&t), 0);
        assert_int_equal(read_start(&t, LEN, 0), TRANSPORT_PENDING);
        assert_int_equal(transport_shm.dereg(&t.lender.t->base, &t.mine), 0);
        memset(from[i], 0, LEN);
        assert_int_equal(read_end(&t, TRANSPORT_PENDING), SINEW_EACCESS);
        /* The same place lent again is another pledge. */
        assert_int_equal(lend(&t, from[i], 100), 0);
        struct region again = t.theirs;
        assert_int_equal(transport_shm.dereg(&t.lender.t->base, &t.mine), 0);
        assert_int_equal(lend(&t, from[i], 100), 0);
        t.theirs = again;
        assert_int_equal(take_key(&t), 0);
        assert_int_equal(read_end(&t, read_start(&t, 100, 0)), SINEW_EACCESS);
        assert_int_equal(transport_shm.dereg(&t.lender.t->base, &t.mine), 0);
    }
    assert_int_equal(transport_shm.dereg(&t.lender.t->base, &share), 0);
    free(private);
    lent_close(&t);
}

static void test_memory_that_is_not_there_costs_the_read_alone(void **state)
{
    struct lent t;
    (void)state;
    lent_open(&t, 0);
    uint8_t *from =
        mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(lend(&t, from, 8 * PAGE), 0);
    munmap(from + 4 * PAGE, 4 * PAGE); /* half of it can be read */
    assert_int_equal(take_key(&t), 0);
    assert_int_equal(read_end(&t, read_start(&t, 8 * PAGE, 0)), SINEW_EACCESS);
    give_back(&t);
    munmap(from, 4 * PAGE);
    assert_int_equal(t.reader.peers[0].downs, 0);
    lent_close(&t);
}

static void test_pledges_are_bounded(void **state)
{
    struct lent t;
    struct region r[SEGMENT_PLEDGES];
    uint8_t from[64];
    (void)state;
    lent_open(&t, 0);
    for (int i = 0; i < SEGMENT_PLEDGES; i++) {
        assert_int_equal(lend(&t, from, sizeof(from)), 0);
        r[i] = t.mine;
    }
    assert_int_equal(lend(&t, from, sizeof(from)), SINEW_ELIMIT);
    for (int i = 0; i < SEGMENT_PLEDGES; i++)
        assert_int_equal(transport_shm.dereg(&t.lender.t->base, &r[i]), 0);
    assert_int_equal(lend(&t, from, sizeof(from)), 0);
    assert_int_equal(transport_shm.dereg(&t.lender.t->base, &t.mine), 0);
    lent_close(&t);
}

/* A pledge of 0 is none: its generations leave that out. */
static void test_generations_wrap(void **state)
{
    struct lent t;
    uint8_t from[100];
    (void)state;
    lent_open(&t, 0);
    t.lender.peers[1].link->pledge[0] = UINT32_MAX - 1;
    for (uint64_t i = 0; i < 3; i++) {
        fill(from, sizeof(from), i);
        assert_int_equal(lend(&t, from, sizeof(from)), 0);
        assert_int_equal(wire_get32(t.mine.key + 4), i == 0 ? UINT32_MAX : (uint32_t)i);
        assert_int_equal(take_key(&t), 0);
        assert_int_equal(read_end(&t, read_start(&t, sizeof(from), 0)), 0);
        check(&t, sizeof(from), 0, i);
        give_back(&t);
        assert_int_equal(read_end(&t, read_start(&t, sizeof(from), 0)), SINEW_EACCESS);
    }
    lent_close(&t);
}

/* No two pieces of memory have one id, nor any 0. */
static void test_ids_of_memory_wrap(void **state)
{
    struct lent t;
    (void)state;
    lent_open(&t, 0);
    struct region first = share_make(&t.lender, PAGE);
    assert_int_equal(first.id, 1);
    t.lender.t->last_share = UINT32_MAX - 1;
    struct region last = share_make(&t.lender, PAGE), next = share_make(&t.lender, PAGE);
    assert_int_equal(last.id, UINT32_MAX);
    assert_int_equal(next.id, 2);
    assert_int_equal(transport_shm.dereg(&t.lender.t->base, &next), 0);
    assert_int_equal(transport_shm.dereg(&t.lender.t->base, &last), 0);
    assert_int_equal(transport_shm.dereg(&t.lender.t->base, &first), 0);
    lent_close(&t);
}

static void test_keys_that_cannot_be_right(void **state)
{
    struct lent t;
    uint8_t from[64];
    (void)state;
    lent_open(&t, 0);
    assert_int_equal(lend(&t, from, sizeof(from)), 0);
    struct region good = t.theirs;
    wire_put32(t.theirs.key, SEGMENT_PLEDGES);
    assert_int_equal(take_key(&t), SINEW_EINVAL);
    t.theirs = good;
    wire_put32(t.theirs.key + 4, 0);
    assert_int_equal(take_key(&t), SINEW_EINVAL);
    t.theirs = good;
    t.theirs.len = 65;
    assert_int_equal(take_key(&t), SINEW_EINVAL);
    t.theirs = good;
    assert_int_equal(take_key(&t), 0);
    assert_true(read_start(&t, 65, 0) < 0);
    assert_true(read_start(&t, 1, 64) < 0);
    assert_true(read_start(&t, 2, UINT64_MAX) < 0);
    give_back(&t);
    lent_close(&t);
}

/* --- a hostile owner -------------------------------------------------------------------------- */

/* The reader wants share 99 of the lender, which this test answers in its place. */
static void want_99(struct lent *t)
{
    uint8_t from[64];
    assert_int_equal(lend(t, from, sizeof(from)), 0);
    wire_put32(t->theirs.key + 24, 99);
    t->reader.t->read_from = UINT64_MAX;
    assert_int_equal(take_key(t), SINEW_ENOTSUP);
    assert_int_equal(transport_shm.dereg(&t->lender.t->base, &t->mine), 0);
}

static void answer(struct lent *t, uint32_t magic, uint32_t id, uint64_t base, uint64_t len, int fd)
{
    uint8_t packet[24];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec io = { packet, sizeof(packet) };
    struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };
    wire_put32(packet, magic);
    wire_put32(packet + 4, id);
    wire_put64(packet + 8, base);
    wire_put64(packet + 16, len);
    if (fd >= 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    assert_int_equal(sendmsg(t->lender.peers[1].link->socket, &m, MSG_NOSIGNAL), 24);
}

static int memory(size_t len, bool sealed)
{
    int fd = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(fallocate(fd, 0, 0, (off_t)len), 0);
    if (sealed)
        assert_int_equal(fcntl(fd, F_ADD_SEALS,
                               F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL),
                         0);
    return fd;
}

static void expect_broken(struct lent *t)
{
    for (int i = 0; i < 2000 && !t->reader.peers[0].downs; i++) end_progress(&t->reader);
    assert_int_equal(t->reader.peers[0].downs, 1);
    assert_int_equal(t->reader.peers[0].status, SINEW_EPROTO);
    UNTIL(t->lender.peers[1].downs, &t->lender, &t->reader);
    lent_close(t);
}

enum { MAGIC = 0x65726873 };

static void test_memory_that_was_not_asked_for(void **state)
{
    struct lent t;
    (void)state;
    lent_open(&t, 0);
    int fd = memory(PAGE, true);
    answer(&t, MAGIC, 99, 0, PAGE, fd);
    close(fd);
    expect_broken(&t);
}

static void test_memory_that_could_shrink(void **state)
{
    struct lent t;
    (void)state;
    lent_open(&t, 0);
    want_99(&t);
    int fd = memory(PAGE, false);
    answer(&t, MAGIC, 99, 0, PAGE, fd);
    close(fd);
    expect_broken(&t);
}

static void test_memory_shorter_than_it_says(void **state)
{
    struct lent t;
    (void)state;
    lent_open(&t, 0);
    want_99(&t);
    int fd = memory(PAGE, true);
    answer(&t, MAGIC, 99, 0, 2 * PAGE, fd);
    close(fd);
    expect_broken(&t);
}

static void test_an_answer_without_memory(void **state)
{
    struct lent t;
    (void)state;
    lent_open(&t, 0);
    want_99(&t);
    answer(&t, MAGIC, 99, 0, PAGE, -1);
    expect_broken(&t);
}

static void test_lengths_that_wrap(void **state)
{
    struct lent t;
    (void)state;
    lent_open(&t, 0);
    want_99(&t);
    int fd = memory(PAGE, true);
    answer(&t, MAGIC, 99, UINT64_MAX - 100, PAGE, fd);
    close(fd);
    expect_broken(&t);
}

/* Good memory for a range the key then leaves: nothing outside the mapping is read. */
static void test_a_key_beyond_its_memory_is_not_followed(void **state)
{
    struct lent t;
    uint8_t from[64];
    (void)state;
    lent_open(&t, 0);
    want_99(&t);
    int fd = memory(PAGE, true);
    answer(&t, MAGIC, 99, 1 << 20, PAGE, fd);
    close(fd);
    for (int i = 0; i < 2000; i++) end_progress(&t.reader);
    static const uint64_t at[] = { (1 << 20) - 1, (1 << 20) + PAGE - 63, UINT64_MAX - 5, 0 };
    assert_int_equal(lend(&t, from, sizeof(from)), 0);
    wire_put32(t.theirs.key + 24, 99);
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        wire_put64(t.theirs.key + 8, at[i]);
        assert_int_equal(take_key(&t), SINEW_ENOTSUP);
    }
    wire_put64(t.theirs.key + 8, (1 << 20) + PAGE - 64);
    assert_int_equal(take_key(&t), 0);
    give_back(&t);
    assert_int_equal(t.reader.peers[0].downs, 0);
    lent_close(&t);
}

static void test_nonsense_about_memory_on_the_ring(void **state)
{
    static const struct {
        uint8_t bytes[6];
        size_t len;
    } nonsense[] = {
        { { 1, 0, 0, 0 }, 4 },       /* too short        */
        { { 1, 0, 0, 0, 1, 0 }, 6 }, /* too long         */
        { { 1, 0, 0, 0, 0 }, 5 },    /* of unknown kinds */
        { { 1, 0, 0, 0, 6 }, 5 },
        { { 1, 0, 0, 0, 4 }, 5 },    /* took what was not sent */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        struct lent t;
        lent_open(&t, 0);
        assert_int_equal(link_publish(t.lender.peers[1].link, RING_DATA, SHM_SHARE,
                                      nonsense[i].bytes, nonsense[i].len, NULL, 0),
                         0);
        expect_broken(&t);
    }
}

/* Whoever asks for ever and takes nothing gets no more than he may map. */
static void test_a_flood_of_wishes_is_bounded(void **state)
{
    struct lent t;
    uint8_t head[5] = { 0 };
    (void)state;
    lent_open(&t, 0);
    struct region share = share_make(&t.lender, PAGE);
    wire_put32(head, (uint32_t)share.id);
    head[4] = 1;
    for (int i = 0; i < 300; i++) {
        link_publish(t.reader.peers[0].link, RING_DATA, SHM_SHARE, head, sizeof(head), NULL, 0);
        end_progress(&t.lender);
        ring_tell(&t.reader.peers[0].link->rx);
    }
    assert_true(t.lender.peers[1].link->shares_sent <= 32);
    assert_int_equal(transport_shm.dereg(&t.lender.t->base, &share), 0);
    end_disconnect(&t.lender, 1, DISCONNECT_NOW);
    expect_broken(&t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, end_no_residue, end_no_residue)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_private_memory_is_read_whole),
        TEST(test_short_ones_are_better_put),
        TEST(test_of_many_longer_ones_are_put),
        TEST(test_shared_memory_is_read_through_its_mapping),
        TEST(test_freed_memory_is_unmapped_at_the_reader),
        TEST(test_more_memories_than_are_mapped_at_once),
        TEST(test_what_was_taken_is_told_when_there_is_room),
        TEST(test_what_was_refused_is_told_when_there_is_room),
        TEST(test_what_is_freed_is_told_when_there_is_room),
        TEST(test_what_was_unmapped_with_others_is_mapped_again),
        TEST(test_what_is_freed_on_its_way_is_not_mapped),
        TEST(test_what_was_taken_back_is_worth_nothing),
        TEST(test_memory_that_is_not_there_costs_the_read_alone),
        TEST(test_pledges_are_bounded),
        TEST(test_generations_wrap),
        TEST(test_ids_of_memory_wrap),
        TEST(test_keys_that_cannot_be_right),
        TEST(test_memory_that_was_not_asked_for),
        TEST(test_memory_that_could_shrink),
        TEST(test_memory_shorter_than_it_says),
        TEST(test_an_answer_without_memory),
        TEST(test_lengths_that_wrap),
        TEST(test_a_key_beyond_its_memory_is_not_followed),
        TEST(test_nonsense_about_memory_on_the_ring),
        TEST(test_a_flood_of_wishes_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
