/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * puts.c - one-sided writes: all of it, there and nowhere else, and only where access was given
 *
 * Rank 1 owns a registered piece in the middle of a larger block; the bytes around it are guards.
 */
#include "tests/contract/peer.h"
#include "tests/contract/cases.h"

#include <stdlib.h>
#include <string.h>

enum { GUARD = 4096, GUARD_BYTE = 0xc3, REGION_MAX = 4 << 20 };

/* The target's memory, and the key that everyone learns. */
struct target {
    uint8_t *block, *memory;
    size_t len;
    struct region region; /* rank 1: mine; others: rank 1's */
    bool deregistered;
};

struct key_record {
    uint32_t len;
    uint8_t bytes[TRANSPORT_KEY_MAX];
    uint64_t size;
};

static void target_open(struct side *side, struct target *target, size_t len)
{
    struct job_rank *me = side->me;
    struct key_record mine = { 0 }, all[JOB_RANKS_MAX];
    memset(target, 0, sizeof(*target));
    target->len = len;
    if (me->rank == 1) {
        target->block = malloc(len + 2 * GUARD);
        CHECK(me, target->block != NULL);
        memset(target->block, GUARD_BYTE, len + 2 * GUARD);
        target->memory = target->block + GUARD;
        target->region = (struct region){ .base = target->memory, .len = len };
        CHECK_OK(me, side->ops->reg(side->t, NULL, &target->region));
        CHECK(me, target->region.key_len > 0 && target->region.key_len <= TRANSPORT_KEY_MAX);
        mine.len = target->region.key_len;
        mine.size = len;
        memcpy(mine.bytes, target->region.key, mine.len);
    }
    job_allgather(me, &mine, sizeof(mine), all);
    if (me->rank == 1) return;
    target->region.len = all[1].size;
    target->region.key_len = all[1].len;
    memcpy(target->region.key, all[1].bytes, all[1].len);
    CHECK_OK(me, side->ops->reg(side->t, side->peer[1].link, &target->region));
}

static void target_untouched(struct job_rank *me, const struct target *target)
{
    for (size_t i = 0; i < GUARD; i++) {
        CHECK_EQ(me, target->block[i], GUARD_BYTE);
        CHECK_EQ(me, target->memory[target->len + i], GUARD_BYTE);
    }
}

static void target_close(struct side *side, struct target *target)
{
    side_barrier(side);
    SIDE_UNTIL(side, side->ops->dereg(side->t, &target->region) == 0);
    if (side->me->rank == 1) target_untouched(side->me, target);
    free(target->block);
    target->block = NULL;
}

/* Rank 0 tells rank 1, in band, that all before has been put. */
static void notify(struct side *side)
{
    if (!side->t->caps.put_ordered) CHECK_OK(side->me, peer_flush(&side->peer[1]));
    peer_send(&side->peer[1]);
}

static const struct {
    size_t len, offset;
} piece[] = {
    { 1, 0 },
    { 7, 1 },
    { 8, 8 },
    { 63, 65 },
    { 4096, 0 },
    { 4095, 13 },
    { 65536, 4096 },
    { 65537, 3 },
    { 1 << 20, 0 },
    { (1 << 20) + 5, 4091 },
    { 0, 100 },
    { REGION_MAX, 0 },
    { 1, REGION_MAX - 1 },
    { 0, REGION_MAX },
};
enum { PIECES = sizeof(piece) / sizeof(piece[0]) };

static void puts_land_whole_and_nowhere_else(struct job_rank *me)
{
    struct side side;
    struct target target;
    side_open(&side, me);
    side_connect_all(&side);
    target_open(&side, &target, REGION_MAX);
    char *local = me->rank == 0 ? malloc(REGION_MAX) : NULL;
    for (int i = 0; i < PIECES; i++) {
        size_t len = piece[i].len, offset = piece[i].offset;
        if (me->rank == 0) {
            job_fill(local, len, 0, 1, (uint64_t)i);
            CHECK_OK(me, peer_put(&side.peer[1], &target.region, local, len, offset));
            memset(local, 0, len); /* done: it is mine again */
            notify(&side);
        } else {
            SIDE_UNTIL(&side, side.peer[0].received == (uint64_t)i + 1);
            CHECK_CONTENT(me, target.memory + offset, len, 0, 1, (uint64_t)i);
            for (size_t b = 0; b < offset && b < 8192; b++)
                CHECK_EQ(me, target.memory[b], GUARD_BYTE);
            for (size_t b = offset + len; b < REGION_MAX; b++)
                if (target.memory[b] != GUARD_BYTE)
                    job_fail(me, __FILE__, __LINE__, "piece %d wrote byte %zu", i, b);
            memset(target.memory, GUARD_BYTE, REGION_MAX);
        }
        side_barrier(&side);
    }
    free(local);
    target_close(&side, &target);
    side_close(&side);
}

static _Thread_local struct target *heard_target;

/* The n-th message says that the n-th put has landed. */
static void heard_check(struct peer *from)
{
    uint64_t n = from->received - 1;
    size_t len = 1 + n * 97 % 9000;
    CHECK_CONTENT(from->side->me, heard_target->memory, len, 0, 1, n);
}

static void send_after_put_is_seen_after_it(struct job_rank *me)
{
    struct side side;
    struct target target;
    enum { ROUNDS = 300 };
    char local[9100];
    side_open(&side, me);
    side_connect_all(&side);
    target_open(&side, &target, sizeof(local));
    heard_target = &target;
    if (me->rank == 1) side.peer[0].heard = heard_check;
    side_barrier(&side);
    for (uint64_t n = 0; n < ROUNDS; n++) {
        if (me->rank == 0) {
            size_t len = 1 + n * 97 % 9000;
            job_fill(local, len, 0, 1, n);
            CHECK_OK(me, peer_put(&side.peer[1], &target.region, local, len, 0));
            notify(&side);
            /* The next put may overwrite only what has been looked at. */
            SIDE_UNTIL(&side, atomic_load(&me->words[0]) == (int64_t)n + 1);
        } else {
            SIDE_UNTIL(&side, side.peer[0].received == n + 1);
            atomic_store(&me->words[0], (int64_t)n + 1);
        }
    }
    target_close(&side, &target);
    side_close(&side);
}

static const size_t ahead_len[] = { 1, 4097, 65536, 262144, 262145, 1 << 20, REGION_MAX };

static void heard_ahead(struct peer *from)
{
    uint64_t n = from->received - 1;
    CHECK_CONTENT(from->side->me, heard_target->memory, ahead_len[n], 0, 1, n);
}

/* rma() may say that nobody has to wait for a put before what comes behind it is sent. */
static void behind_a_put_that_is_ahead(struct job_rank *me)
{
    struct side side;
    struct target target;
    enum { ROUNDS = sizeof(ahead_len) / sizeof(ahead_len[0]) };
    side_open(&side, me);
    side_connect_all(&side);
    target_open(&side, &target, REGION_MAX);
    heard_target = &target;
    if (me->rank == 1) side.peer[0].heard = heard_ahead;
    struct region mine = { .base = malloc(REGION_MAX), .len = REGION_MAX };
    CHECK_OK(me, side.ops->reg(side.t, NULL, &mine));
    side_barrier(&side);
    for (int n = 0; n < ROUNDS && me->rank == 0; n++) {
        job_fill(mine.base, ahead_len[n], 0, 1, (uint64_t)n);
        struct rma op = { .kind = RMA_PUT, .local = mine.base, .len = ahead_len[n], .mine = &mine,
                          .peers = &target.region, .cookie = side_cookie(&side) };
        int status = side.ops->rma(side.peer[1].link, &op);
        bool ahead = status == TRANSPORT_PENDING && op.ahead;
        if (ahead) peer_send(&side.peer[1]);
        if (status == TRANSPORT_PENDING) CHECK_OK(me, side_cookie_wait(&side, op.cookie));
        if (!ahead) notify(&side);
        SIDE_UNTIL(&side, atomic_load(&me->words[0]) == n + 1);
    }
    for (int n = 0; n < ROUNDS && me->rank == 1; n++) {
        SIDE_UNTIL(&side, side.peer[0].received == (uint64_t)n + 1);
        atomic_store(&me->words[0], n + 1);
    }
    SIDE_UNTIL(&side, side.ops->dereg(side.t, &mine) == 0);
    free(mine.base);
    target_close(&side, &target);
    side_close(&side);
}

static void many_puts_under_way_end_once_each(struct job_rank *me)
{
    struct side side;
    struct target target;
    enum { PUTS = 64, LEN = 20000 };
    side_open(&side, me);
    side_connect_all(&side);
    target_open(&side, &target, PUTS * LEN);
    if (me->rank == 0) {
        struct rma op[PUTS];
        struct region mine = { .base = malloc(PUTS * LEN), .len = PUTS * LEN };
        int status[PUTS];
        for (int i = 0; i < PUTS; i++)
            job_fill((char *)mine.base + i * LEN, LEN, 0, 1, (uint64_t)i);
        CHECK_OK(me, side.ops->reg(side.t, NULL, &mine));
        for (int i = 0; i < PUTS; i++) {
            op[i] = (struct rma){ .kind = RMA_PUT,
                                  .local = (char *)mine.base + i * LEN,
                                  .len = LEN,
                                  .mine = &mine,
                                  .peers = &target.region,
                                  .offset = (uint64_t)(PUTS - 1 - i) * LEN,
                                  .cookie = side_cookie(&side) };
            while ((status[i] = side.ops->rma(side.peer[1].link, &op[i])) == TRANSPORT_AGAIN)
                side_progress(&side, NULL);
            CHECK(me, status[i] == 0 || status[i] == TRANSPORT_PENDING);
        }
        for (int i = 0; i < PUTS; i++)
            if (status[i] != 0) CHECK_OK(me, side_cookie_wait(&side, op[i].cookie));
        CHECK_OK(me, peer_flush(&side.peer[1]));
        SIDE_UNTIL(&side, side.ops->dereg(side.t, &mine) == 0);
        free(mine.base);
        peer_send(&side.peer[1]);
    } else {
        SIDE_UNTIL(&side, side.peer[0].received == 1);
        for (int i = 0; i < PUTS; i++)
            CHECK_CONTENT(me, target.memory + (PUTS - 1 - i) * LEN, LEN, 0, 1, (uint64_t)i);
    }
    target_close(&side, &target);
    side_close(&side);
}

/* Something that must not be done was asked for: it may fail at once, later, or cost the link. */
static void put_in_vain(struct side *side, struct region *theirs, size_t len, uint64_t offset)
{
    struct peer *peer = &side->peer[1];
    static char local[16384];
    memset(local, 0x11, sizeof(local));
    struct region mine = { .base = local, .len = sizeof(local) };
    CHECK_OK(side->me, side->ops->reg(side->t, NULL, &mine));
    struct rma op = { .kind = RMA_PUT,
                      .local = local,
                      .len = len,
                      .mine = &mine,
                      .peers = theirs,
                      .offset = offset,
                      .cookie = side_cookie(side) };
    int status;
    while ((status = side->ops->rma(peer->link, &op)) == TRANSPORT_AGAIN) side_progress(side, NULL);
    if (status == TRANSPORT_PENDING)
        SIDE_UNTIL(side, side->cookie_times[op.cookie % SIDE_COOKIES_MAX] == 1);
    if (status >= 0 && peer->link) {
        uint64_t cookie = side_cookie(side);
        status = side->ops->flush(peer->link, cookie);
        if (status == TRANSPORT_PENDING)
            SIDE_UNTIL(side, side->cookie_times[cookie % SIDE_COOKIES_MAX] == 1);
    }
    SIDE_UNTIL(side, side->ops->dereg(side->t, &mine) == 0);
}

/* After misuse the link may be down at either side, or as good as ever; nothing was written. */
static void misuse_close(struct side *side, struct target *target)
{
    struct job_rank *me = side->me;
    struct peer *peer = &side->peer[1 - me->rank];
    side_barrier(side);
    for (int i = 0; i < 200; i++) side_progress(side, NULL);
    if (me->rank == 1)
        for (size_t i = 0; i < target->len; i++) CHECK_EQ(me, target->memory[i], GUARD_BYTE);
    if (me->rank == 1) target_untouched(me, target);
    side_barrier(side);
    if (peer->link) side->ops->disconnect(peer->link, DISCONNECT_NOW);
    SIDE_UNTIL(side, peer->link == NULL);
    if (!target->deregistered) SIDE_UNTIL(side, side->ops->dereg(side->t, &target->region) == 0);
    free(target->block);
    side_end(side);
}

static void misuse(struct job_rank *me, size_t len, uint64_t offset)
{
    struct side side;
    struct target target;
    side_open(&side, me);
    side_connect_all(&side);
    target_open(&side, &target, 8192);
    side_barrier(&side);
    if (me->rank == 0) {
        target.region.len = SIZE_MAX; /* so that only the target's check is left */
        put_in_vain(&side, &target.region, len, offset);
    }
    misuse_close(&side, &target);
}

static void put_past_the_end(struct job_rank *me)
{
    misuse(me, 2, 8191);
}
static void put_far_away(struct job_rank *me)
{
    misuse(me, 64, 1u << 30);
}
static void put_with_overflowing_offset(struct job_rank *me)
{
    misuse(me, 64, UINT64_MAX - 15);
}

static void put_with_a_forged_key(struct job_rank *me)
{
    struct side side;
    struct target target;
    side_open(&side, me);
    side_connect_all(&side);
    target_open(&side, &target, 8192);
    side_barrier(&side);
    for (int i = 0; me->rank == 0 && i < 20 && side.peer[1].link; i++) {
        struct region forged = { .len = 8192, .key_len = target.region.key_len };
        for (uint32_t b = 0; b < forged.key_len; b++) forged.key[b] = (uint8_t)job_random(me);
        if (side.ops->reg(side.t, side.peer[1].link, &forged) < 0) continue;
        put_in_vain(&side, &forged, 64, 0);
        SIDE_UNTIL(&side, side.ops->dereg(side.t, &forged) == 0);
    }
    misuse_close(&side, &target);
}

static void key_of_impossible_length(struct job_rank *me)
{
    struct side side;
    side_open(&side, me);
    side_connect_all(&side);
    struct region bad = { .len = 100, .key_len = 0 };
    CHECK_IS(me, side.ops->reg(side.t, side.peer[1 - me->rank].link, &bad), SINEW_EINVAL);
    bad.key_len = TRANSPORT_KEY_MAX + 1;
    CHECK_IS(me, side.ops->reg(side.t, side.peer[1 - me->rank].link, &bad), SINEW_EINVAL);
    side_close(&side);
}

static void nothing_lands_after_dereg(struct job_rank *me)
{
    struct side side;
    struct target target;
    side_open(&side, me);
    side_connect_all(&side);
    target_open(&side, &target, 8192);
    side_barrier(&side);
    if (me->rank == 1) {
        /* A direct pointer holds it up until the other has let go; so it may be AGAIN for now. */
        target.deregistered = side.ops->dereg(side.t, &target.region) == 0;
        atomic_store(&me->words[0], target.deregistered ? 1 : 2);
    }
    SIDE_UNTIL(&side, atomic_load(&me->words[0]) != 0);
    if (me->rank == 0 && atomic_load(&me->words[0]) == 1)
        put_in_vain(&side, &target.region, 4096, 0);
    misuse_close(&side, &target);
}

static void regions_come_and_go(struct job_rank *me)
{
    struct side side;
    enum { REGIONS = 200 };
    static char memory[REGIONS][64];
    struct region region[REGIONS];
    side_open(&side, me);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < REGIONS; i++) {
            region[i] = (struct region){ .base = memory[i], .len = 64 };
            CHECK_OK(me, side.ops->reg(side.t, NULL, &region[i]));
            for (int other = 0; other < i; other++)
                CHECK(me, region[other].key_len != region[i].key_len ||
                              memcmp(region[other].key, region[i].key, region[i].key_len) != 0);
        }
        for (int i = 0; i < REGIONS; i++)
            CHECK_OK(me, side.ops->dereg(side.t, &region[i * 7 % REGIONS]));
    }
    side_end(&side);
}

static void flush_of_nothing(struct job_rank *me)
{
    struct side side;
    side_open(&side, me);
    side_connect_all(&side);
    for (int i = 0; i < 10; i++) CHECK_OK(me, peer_flush(&side.peer[1 - me->rank]));
    side_close(&side);
}

/* A get of rank 1's memory: its outcome. */
static int get(struct side *side, const struct region *theirs, void *local, size_t len,
               uint64_t offset)
{
    struct rma op = { .kind = RMA_GET,
                      .local = local,
                      .len = len,
                      .peers = theirs,
                      .offset = offset,
                      .cookie = side_cookie(side) };
    int status;
    while ((status = side->ops->rma(side->peer[1].link, &op)) == TRANSPORT_AGAIN)
        side_progress(side, NULL);
    return status == TRANSPORT_PENDING ? side_cookie_wait(side, op.cookie) : status;
}

/* Rank 1 lends memory of the transport's own to rank 0, which learns to reach it by trying. Where
 * there is no such thing, that is said. */
static void gets_bring_what_is_lent_until_it_is_taken_back(struct job_rank *me)
{
    struct side side;
    struct key_record mine = { 0 }, all[JOB_RANKS_MAX];
    struct region lent = { .len = 0 }, memory = { .len = 1 << 20 }, theirs = { .len = 1 << 20 };
    char *local = malloc(1 << 20);
    side_open(&side, me);
    side_connect_all(&side);
    if (side.t->caps.get && !side.t->caps.memory) { /* see gets_of_registered_memory */
        side_close(&side);
        free(local);
        return;
    }
    if (!side.t->caps.get) {
        struct region put = { .base = local, .len = 64 };
        CHECK_OK(me, side.ops->reg(side.t, NULL, &put));
        struct rma op = { .kind = RMA_GET, .local = local, .len = 64, .peers = &put };
        CHECK_IS(me, side.ops->rma(side.peer[1 - me->rank].link, &op), SINEW_ENOTSUP);
        SIDE_UNTIL(&side, side.ops->dereg(side.t, &put) == 0);
        side_close(&side);
        free(local);
        return;
    }
    if (me->rank == 1) {
        CHECK_OK(me, side.ops->reg(side.t, NULL, &memory));
        job_fill(memory.base, memory.len, 1, 0, 1);
        lent = (struct region){
            .base = memory.base, .len = memory.len, .reader = side.peer[0].link
        };
        CHECK_OK(me, side.ops->reg(side.t, NULL, &lent));
        mine.len = lent.key_len;
        memcpy(mine.bytes, lent.key, lent.key_len);
    }
    job_allgather(me, &mine, sizeof(mine), all);
    if (me->rank == 0) {
        theirs.key_len = all[1].len;
        memcpy(theirs.key, all[1].bytes, all[1].len);
        SIDE_UNTIL(&side, side.ops->reg(side.t, side.peer[1].link, &theirs) == 0);
        for (int i = 0; i < PIECES; i++) {
            size_t len = piece[i].len, offset = piece[i].offset;
            if (offset > theirs.len || len > theirs.len - offset) continue;
            memset(local, GUARD_BYTE, 1 << 20);
            CHECK_OK(me, get(&side, &theirs, local, len, offset));
            char *whole = malloc(1 << 20);
            job_fill(whole, 1 << 20, 1, 0, 1);
            CHECK(me, memcmp(local, whole + offset, len) == 0);
            free(whole);
            if (len < 1 << 20) CHECK_EQ(me, (uint8_t)local[len], GUARD_BYTE);
        }
        CHECK(me, get(&side, &theirs, local, 2, (1 << 20) - 1) < 0); /* beyond: refused here */
        CHECK(me, side.peer[1].link != NULL);
        atomic_store(&me->words[0], 1);
        SIDE_UNTIL(&side, atomic_load(&me->words[0]) == 2);
        CHECK_IS(me, get(&side, &theirs, local, 1 << 20, 0), SINEW_EACCESS);
        CHECK_OK(me, side.ops->dereg(side.t, &theirs));
    } else {
        SIDE_UNTIL(&side, atomic_load(&me->words[0]) == 1);
        SIDE_UNTIL(&side, side.ops->dereg(side.t, &lent) == 0);
        atomic_store(&me->words[0], 2);
    }
    side_barrier(&side);
    if (me->rank == 1) SIDE_UNTIL(&side, side.ops->dereg(side.t, &memory) == 0);
    side_close(&side);
    free(local);
}

/* Rank 1 registers memory of its own for all that there is; rank 0 gets and updates it. */
static void gets_of_registered_memory(struct job_rank *me)
{
    struct side side;
    enum { LEN = 1 << 20 };
    struct key_record mine = { 0 }, all[JOB_RANKS_MAX];
    uint8_t *memory = malloc(LEN), *whole = malloc(LEN);
    struct region region = { .base = memory, .len = LEN, .rights = REGION_GET };
    side_open(&side, me);
    side_connect_all(&side);
    bool here = side.t->caps.get && !side.t->caps.memory; /* others: the case above */
    job_fill(whole, LEN, 1, 0, 1);
    if (here && me->rank == 1) {
        memcpy(memory, whole, LEN);
        CHECK_OK(me, side.ops->reg(side.t, NULL, &region));
        mine.len = region.key_len;
        memcpy(mine.bytes, region.key, region.key_len);
    }
    job_allgather(me, &mine, sizeof(mine), all);
    if (here && me->rank == 0) {
        struct region theirs = { .len = LEN, .key_len = all[1].len };
        memcpy(theirs.key, all[1].bytes, all[1].len);
        CHECK_OK(me, side.ops->reg(side.t, side.peer[1].link, &theirs));
        for (int i = 0; i < PIECES; i++) {
            size_t len = piece[i].len, offset = piece[i].offset;
            if (offset > LEN || len > LEN - offset) continue;
            memset(memory, GUARD_BYTE, LEN);
            CHECK_OK(me, get(&side, &theirs, memory, len, offset));
            CHECK(me, memcmp(memory, whole + offset, len) == 0);
            if (len < LEN) CHECK_EQ(me, memory[len], GUARD_BYTE);
        }
        struct rma put = { .kind = RMA_PUT, .local = memory, .len = 8, .peers = &theirs };
        CHECK_IS(me, side.ops->rma(side.peer[1].link, &put), SINEW_EACCESS);
        CHECK_OK(me, side.ops->dereg(side.t, &theirs));
    }
    side_barrier(&side);
    if (here && me->rank == 1) CHECK_OK(me, side.ops->dereg(side.t, &region));
    side_close(&side);
    free(memory);
    free(whole);
}

static uint64_t atomic_wait(struct side *side, int rank, struct rma *op)
{
    uint64_t before = 0;
    int status;
    op->kind = RMA_ATOMIC;
    op->local = &before;
    op->len = 8;
    op->cookie = side_cookie(side);
    while ((status = side->ops->rma(side->peer[rank].link, op)) == TRANSPORT_AGAIN)
        side_progress(side, NULL);
    CHECK_OK(side->me, status == TRANSPORT_PENDING ? side_cookie_wait(side, op->cookie) : status);
    return before;
}

/* All add to a word of rank 0's, then one after the other changes another by comparing. */
static void atomics_lose_nothing(struct job_rank *me)
{
    struct side side;
    enum { ADDS = 50 };
    struct key_record mine = { 0 }, all[JOB_RANKS_MAX];
    _Alignas(8) static uint64_t words[2];
    struct region region = { .base = words, .len = sizeof(words), .rights = REGION_ATOMIC };
    side_open(&side, me);
    side_connect_all(&side);
    if (side.t->caps.atomic && me->rank == 0) {
        words[0] = words[1] = 0;
        CHECK_OK(me, side.ops->reg(side.t, NULL, &region));
        mine.len = region.key_len;
        memcpy(mine.bytes, region.key, region.key_len);
    }
    job_allgather(me, &mine, sizeof(mine), all);
    if (side.t->caps.atomic && me->rank > 0) {
        struct region theirs = { .len = sizeof(words), .key_len = all[0].len };
        memcpy(theirs.key, all[0].bytes, all[0].len);
        CHECK_OK(me, side.ops->reg(side.t, side.peer[0].link, &theirs));
        struct rma op = { .peers = &theirs };
        for (int i = 0; i < ADDS; i++) {
            op.atomic = RMA_FETCH_ADD;
            op.offset = 0;
            op.operand = 3;
            CHECK(me, atomic_wait(&side, 0, &op) % 3 == 0);
        }
        op.atomic = RMA_COMPARE_SWAP;
        op.offset = 8;
        op.compare = (uint64_t)me->rank - 1;
        op.operand = (uint64_t)me->rank;
        while (atomic_wait(&side, 0, &op) != op.compare) {
        }
        CHECK_OK(me, side.ops->dereg(side.t, &theirs));
    }
    side_barrier(&side);
    if (side.t->caps.atomic && me->rank == 0) {
        CHECK_OK(me, side.ops->dereg(side.t, &region));
        CHECK_EQ(me, words[0], 3 * ADDS * (me->size - 1));
        CHECK_EQ(me, words[1], me->size - 1);
    }
    side_close(&side);
}

const struct suite_case contract_puts[] = {
    { "puts land whole and nowhere else", puts_land_whole_and_nowhere_else, 2, 2, 0, 0, 0, 0 },
    { "a send after a put is seen after it", send_after_put_is_seen_after_it, 2, 2, 0, 0, 0, 0 },
    { "what is sent behind a put that is ahead", behind_a_put_that_is_ahead, 2, 2, 0, 0, 0, 0 },
    { "many puts under way end once each", many_puts_under_way_end_once_each, 2, 2, 0, 0, 0, 0 },
    { "put past the end", put_past_the_end, 2, 2, 0, 0, 0, 0 },
    { "put far away", put_far_away, 2, 2, 0, 0, 0, 0 },
    { "put with an overflowing offset", put_with_overflowing_offset, 2, 2, 0, 0, 0, 0 },
    { "put with a forged key", put_with_a_forged_key, 2, 2, 0, 0, 0, 0 },
    { "a key of impossible length", key_of_impossible_length, 2, 2, 0, 0, 0, 0 },
    { "nothing lands after dereg", nothing_lands_after_dereg, 2, 2, 0, 0, 0, 0 },
    { "regions come and go", regions_come_and_go, 1, 1, 0, 0, 0, 0 },
    { "gets bring what is lent until it is taken back",
      gets_bring_what_is_lent_until_it_is_taken_back, 2, 2, 0, 0, 0, 0 },
    { "gets of registered memory", gets_of_registered_memory, 2, 2, 0, 0, 0, 0 },
    { "atomics lose nothing", atomics_lose_nothing, 2, 4, 0, 0, 0, 0 },
    { "flush of nothing", flush_of_nothing, 2, 2, 0, 0, 0, 0 },
    SUITE_END,
};
