/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * litmus.c - the explorer tried on programs whose outcomes are known: what RC11 allows is found,
 * what it forbids is not
 */
#include <stdio.h>
#include <string.h>

#include "tests/model/cases.h"
#include "tests/model/memory.h"

enum { X, Y, Z, WORDS, PLAIN = 8 };

static uint64_t block[16];
static uint64_t *const plain = &block[PLAIN];
static struct {
    uint64_t r[MEMORY_THREADS][2];
    bool reached;
    bool (*weak)(uint64_t (*r)[2]);
} litmus;

#define SITE(access, order)                                                                        \
    (__extension__({                                                                               \
        static struct memory_site here = { __FILE__, "litmus", __func__, __LINE__, access, order,  \
                                           0 };                                                    \
        &here;                                                                                     \
    }))
#define LOAD(order, word) memory_load(SITE(ACCESS_LOAD, order), &block[word])
#define STORE(order, word, value) memory_store(SITE(ACCESS_STORE, order), &block[word], value)
#define EXCHANGE(order, word, value)                                                               \
    memory_exchange(SITE(ACCESS_EXCHANGE, order), &block[word], value)
#define OR_NOTHING(order, word) memory_or_nothing(SITE(ACCESS_OR_NOTHING, order), &block[word])
#define BARRIER() memory_barrier(SITE(ACCESS_BARRIER, ORDER_RELAXED))

static void reset(const struct scenario *s)
{
    memory_reset(s->threads, block, sizeof(block));
    memory_location(&block[X], "x");
    memory_location(&block[Y], "y");
    memory_location(&block[Z], "z");
    memset(litmus.r, 0, sizeof(litmus.r));
}

static void end(const struct scenario *s)
{
    (void)s;
    litmus.reached = litmus.reached || litmus.weak(litmus.r);
}

/* Message passing, with and without orders. */
static bool passed_stale(uint64_t (*r)[2]) { return r[1][0] == 1 && r[1][1] == 0; }
static void pass_relaxed(const struct scenario *s, int me)
{
    (void)s;
    if (me == 0) {
        STORE(ORDER_RELAXED, X, 1);
        STORE(ORDER_RELAXED, Y, 1);
    } else {
        litmus.r[1][0] = LOAD(ORDER_ACQUIRE, Y);
        litmus.r[1][1] = LOAD(ORDER_RELAXED, X);
    }
}
static void pass_ordered(const struct scenario *s, int me)
{
    (void)s;
    if (me == 0) {
        STORE(ORDER_RELAXED, X, 1);
        STORE(ORDER_RELEASE, Y, 1);
    } else {
        litmus.r[1][0] = LOAD(ORDER_ACQUIRE, Y);
        litmus.r[1][1] = LOAD(ORDER_RELAXED, X);
    }
}
/* … through a relaxed read-modify-write of a third: the release sequence goes on. */
static bool sequence_stale(uint64_t (*r)[2]) { return r[1][0] == 2 && r[1][1] == 0; }
static void pass_sequence(const struct scenario *s, int me)
{
    (void)s;
    if (me == 0) {
        STORE(ORDER_RELAXED, X, 1);
        STORE(ORDER_RELEASE, Y, 1);
    } else if (me == 2) {
        if (LOAD(ORDER_RELAXED, Y) == 1) EXCHANGE(ORDER_RELAXED, Y, 2);
    } else {
        litmus.r[1][0] = LOAD(ORDER_ACQUIRE, Y);
        litmus.r[1][1] = LOAD(ORDER_RELAXED, X);
    }
}
/* … and through a relaxed store of a third it does not. */
static void pass_store(const struct scenario *s, int me)
{
    (void)s;
    if (me == 2) {
        if (LOAD(ORDER_RELAXED, Y) == 1) STORE(ORDER_RELAXED, Y, 2);
    } else {
        pass_ordered(s, me);
    }
}

/* Store buffering: only what goes through read-modify-writes, or a barrier, is ordered. */
static bool both_missed(uint64_t (*r)[2]) { return r[0][0] == 0 && r[1][0] == 0; }
static void buffer_plain(const struct scenario *s, int me)
{
    (void)s;
    STORE(ORDER_RELEASE, me ? Y : X, 1);
    litmus.r[me][0] = LOAD(ORDER_ACQUIRE, me ? X : Y);
}
static void buffer_modify(const struct scenario *s, int me)
{
    (void)s;
    STORE(ORDER_RELEASE, me ? Y : X, 1);
    EXCHANGE(ORDER_BOTH, Z, (uint64_t)me);
    litmus.r[me][0] = LOAD(ORDER_ACQUIRE, me ? X : Y);
}
static void buffer_modify_released(const struct scenario *s, int me)
{
    (void)s;
    STORE(ORDER_RELEASE, me ? Y : X, 1);
    EXCHANGE(ORDER_RELEASE, Z, (uint64_t)me);
    litmus.r[me][0] = LOAD(ORDER_ACQUIRE, me ? X : Y);
}
static void buffer_barrier(const struct scenario *s, int me)
{
    (void)s;
    STORE(ORDER_RELEASE, me ? Y : X, 1);
    if (me) BARRIER();
    litmus.r[me][0] = LOAD(ORDER_ACQUIRE, me ? X : Y);
}

/* Two readers of two independent writers disagree on who was first. */
static bool disagree(uint64_t (*r)[2])
{
    return r[2][0] == 1 && r[2][1] == 0 && r[3][0] == 1 && r[3][1] == 0;
}
static void independent(const struct scenario *s, int me)
{
    (void)s;
    if (me < 2) {
        STORE(ORDER_RELEASE, me ? Y : X, 1);
    } else {
        litmus.r[me][0] = LOAD(ORDER_ACQUIRE, me == 2 ? X : Y);
        litmus.r[me][1] = LOAD(ORDER_ACQUIRE, me == 2 ? Y : X);
    }
}

/* Coherence: nobody reads backwards. */
static bool backwards(uint64_t (*r)[2]) { return r[1][0] == 2 && r[1][1] == 1; }
static void coherence(const struct scenario *s, int me)
{
    (void)s;
    if (me == 0) {
        STORE(ORDER_RELAXED, X, 1);
        STORE(ORDER_RELAXED, X, 2);
    } else {
        litmus.r[1][0] = LOAD(ORDER_RELAXED, X);
        litmus.r[1][1] = LOAD(ORDER_RELAXED, X);
    }
}

/* Each thread's first store may end up behind the other's second. */
static bool both_first(uint64_t (*r)[2]) { return r[2][0] == 1 && r[2][1] == 1; }
static void two_writes(const struct scenario *s, int me)
{
    (void)s;
    STORE(ORDER_RELAXED, me ? Y : X, 1);
    STORE(ORDER_RELAXED, me ? X : Y, 2);
}
static void two_writes_end(const struct scenario *s)
{
    /* What a last reader, who knows all, finds. */
    litmus.r[2][0] = memory_last(&block[X]);
    litmus.r[2][1] = memory_last(&block[Y]);
    end(s);
}

/* Two exchanges never take the same message. */
static bool both_took(uint64_t (*r)[2]) { return r[0][0] == 0 && r[1][0] == 0; }
static void atomicity(const struct scenario *s, int me)
{
    (void)s;
    litmus.r[me][0] = EXCHANGE(ORDER_RELAXED, X, 1);
}

/* Plain bytes behind a flag. */
static void publish(int me, enum memory_order_name store, enum memory_order_name load)
{
    uint64_t value = 7;
    if (me == 0) {
        memory_write(plain, &value, sizeof(value));
        if (store == ORDER_RELEASE)
            STORE(ORDER_RELEASE, X, 1);
        else
            STORE(ORDER_RELAXED, X, 1);
    } else if ((load == ORDER_ACQUIRE ? LOAD(ORDER_ACQUIRE, X) : LOAD(ORDER_RELAXED, X)) == 1) {
        memory_read(&value, plain, sizeof(value));
    }
}
static bool nothing(uint64_t (*r)[2]) { return r == NULL; }
static void publish_ordered(const struct scenario *s, int me)
{
    (void)s;
    publish(me, ORDER_RELEASE, ORDER_ACQUIRE);
}
static void publish_relaxed_store(const struct scenario *s, int me)
{
    (void)s;
    publish(me, ORDER_RELAXED, ORDER_ACQUIRE);
}
static void publish_relaxed_load(const struct scenario *s, int me)
{
    (void)s;
    publish(me, ORDER_RELEASE, ORDER_RELAXED);
}
/* The reader gives the bytes back, and they are written again: only an order makes that right. */
static void reuse(int me, bool ordered)
{
    uint64_t value = 7;
    if (me == 1) {
        memory_read(&value, plain, sizeof(value));
        if (ordered)
            STORE(ORDER_RELEASE, X, 1);
        else
            STORE(ORDER_RELAXED, X, 1);
    } else if (LOAD(ORDER_ACQUIRE, X) == 1) {
        memory_write(plain, &value, sizeof(value));
    }
}
static void reuse_ordered(const struct scenario *s, int me)
{
    (void)s;
    reuse(me, true);
}
static void reuse_relaxed(const struct scenario *s, int me)
{
    (void)s;
    reuse(me, false);
}

/* Bytes that are read at any time, and kept only if the owner's word to write them came later. */
static void lend(int me, enum memory_order_name ask, enum memory_order_name take)
{
    uint64_t value = 7;
    if (me == 0) {
        if (take == ORDER_ACQUIRE)
            EXCHANGE(ORDER_ACQUIRE, X, 1);
        else
            EXCHANGE(ORDER_RELAXED, X, 1);
        memory_write(plain, &value, sizeof(value));
        return;
    }
    memory_read(&value, plain, sizeof(value));
    litmus.r[1][0] = ask == ORDER_RELEASE ? OR_NOTHING(ORDER_RELEASE, X) : LOAD(ORDER_ACQUIRE, X);
    litmus.r[1][1] = value;
    if (litmus.r[1][0] == 0)
        memory_keep();
    else
        memory_drop();
}
static bool kept_new(uint64_t (*r)[2]) { return r[1][0] == 0 && r[1][1] == 7; }
static bool dropped_new(uint64_t (*r)[2]) { return r[1][0] == 1 && r[1][1] == 7; }
static void lend_reset(const struct scenario *s)
{
    reset(s);
    memory_tried(plain, sizeof(*plain));
}
static void lend_ordered(const struct scenario *s, int me)
{
    (void)s;
    lend(me, ORDER_RELEASE, ORDER_ACQUIRE);
}
static void lend_load(const struct scenario *s, int me)
{
    (void)s;
    lend(me, ORDER_ACQUIRE, ORDER_ACQUIRE);
}
static void lend_relaxed(const struct scenario *s, int me)
{
    (void)s;
    lend(me, ORDER_RELEASE, ORDER_RELAXED);
}

/* A poller sees in the end what was stored; who polls for what never comes is stuck. */
static void poll_for(int me, uint64_t wanted)
{
    if (me == 0) {
        STORE(ORDER_RELAXED, X, 1);
        STORE(ORDER_RELAXED, X, 2);
        return;
    }
    for (;;) {
        explore_state(0, NULL, 0);
        explore_poll();
        if (LOAD(ORDER_RELAXED, X) == wanted) return;
        explore_await();
    }
}
static void poll_last(const struct scenario *s, int me)
{
    (void)s;
    poll_for(me, 2);
}
static void poll_never(const struct scenario *s, int me)
{
    (void)s;
    poll_for(me, 3);
}

enum expected { FOUND, ABSENT, FAILS };
static const struct {
    struct scenario s;
    bool (*weak)(uint64_t (*r)[2]);
    enum expected expected;
} tests[] = {
    { { "passing, relaxed", 2, reset, pass_relaxed, end, NULL, 0 }, passed_stale, FOUND },
    { { "passing, ordered", 2, reset, pass_ordered, end, NULL, 0 }, passed_stale, ABSENT },
    { { "release sequence", 3, reset, pass_sequence, end, NULL, 0 }, sequence_stale, ABSENT },
    { { "broken release sequence", 3, reset, pass_store, end, NULL, 0 }, sequence_stale, FOUND },
    { { "buffering", 2, reset, buffer_plain, end, NULL, 0 }, both_missed, FOUND },
    { { "buffering, exchanged", 2, reset, buffer_modify, end, NULL, 0 }, both_missed, ABSENT },
    { { "buffering, released", 2, reset, buffer_modify_released, end, NULL, 0 }, both_missed,
      FOUND },
    { { "buffering, membarrier", 2, reset, buffer_barrier, end, NULL, 0 }, both_missed, ABSENT },
    { { "independent readers", 4, reset, independent, end, NULL, 0 }, disagree, FOUND },
    { { "coherence", 2, reset, coherence, end, NULL, 0 }, backwards, ABSENT },
    { { "two writes", 2, reset, two_writes, two_writes_end, NULL, 0 }, both_first, FOUND },
    { { "atomicity", 2, reset, atomicity, end, NULL, 0 }, both_took, ABSENT },
    { { "plain bytes, ordered", 2, reset, publish_ordered, end, NULL, 0 }, nothing, ABSENT },
    { { "plain bytes, store", 2, reset, publish_relaxed_store, end, NULL, 0 }, nothing, FAILS },
    { { "plain bytes, load", 2, reset, publish_relaxed_load, end, NULL, 0 }, nothing, FAILS },
    { { "reuse, ordered", 2, reset, reuse_ordered, end, NULL, 0 }, nothing, ABSENT },
    { { "reuse, relaxed", 2, reset, reuse_relaxed, end, NULL, 0 }, nothing, FAILS },
    { { "lent bytes, kept", 2, lend_reset, lend_ordered, end, NULL, 0 }, kept_new, ABSENT },
    { { "lent bytes, dropped", 2, lend_reset, lend_ordered, end, NULL, 0 }, dropped_new, FOUND },
    { { "lent bytes, load", 2, lend_reset, lend_load, end, NULL, 0 }, nothing, FAILS },
    { { "lent bytes, relaxed", 2, lend_reset, lend_relaxed, end, NULL, 0 }, nothing, FAILS },
    { { "poll", 2, reset, poll_last, end, NULL, 0 }, nothing, ABSENT },
    { { "poll in vain", 2, reset, poll_never, end, NULL, 0 }, nothing, FAILS },
};

static bool litmus_is_right(size_t index, bool forgets)
{
    const struct scenario *s = &tests[index].s;
    struct outcome out;
    litmus.reached = false;
    litmus.weak = tests[index].weak;
    explore_forget(forgets);
    explore(s, false, &out);
    explore_forget(false);
    enum expected got = out.failed ? FAILS : litmus.reached ? FOUND : ABSENT;
    if (got == tests[index].expected && !out.cut_off) return true;
    printf("%s: %s\n", s->name,
           got == FAILS ? out.property : got == FOUND ? "was found" : "was not found");
    return false;
}

int litmus_run(void)
{
    int wrong = 0;
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        wrong += !litmus_is_right(i, false) + !litmus_is_right(i, true);
    return wrong;
}
