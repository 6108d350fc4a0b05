/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * expects.c - messages that are waited for: taken straight to where they are wanted, or handed up,
 * and either way once and in order
 */
#include "tests/contract/peer.h"
#include "tests/contract/cases.h"

#include <string.h>

#include "base/wire.h"

enum { HEAD = 16, OTHER_HEAD = 28, BODY_MOST = 300, CHAIN = 3, MESSAGES = 3000, UNTOUCHED = 0xa5 };

/* Every fifth has a head that nobody can expect. */
static void shape_expectable(uint64_t number, size_t *hlen, size_t *blen)
{
    *hlen = number % 5 == 4 ? OTHER_HEAD : HEAD;
    *blen = number * 7 % BODY_MOST;
}

/* What is expected of message `number` to come. */
struct wish {
    struct expect expect;
    uint64_t number;
    bool wrong; /* of a key that no message has */
    uint8_t buf[BODY_MOST + 1];
};

static void wish_make(struct wish *w, struct job_rank *me, uint64_t number)
{
    uint8_t head[HEAD];
    uint64_t draw = job_random(me);
    job_fill((char *)head, HEAD, 0, 1, 2 * number);
    *w = (struct wish){ .number = number, .wrong = draw % 8 == 0 };
    memset(w->buf, UNTOUCHED, sizeof(w->buf));
    w->expect = (struct expect){ .key = wire_get64(head + 8) ^ (w->wrong ? 1 : 0),
                                 .word = wire_get64(head) ^ (draw << 32),
                                 .mask = UINT32_MAX, /* the rest is not looked at */
                                 .buf = w->buf,
                                 .cap = draw / 8 % (BODY_MOST + 1) };
}

/* It is done: it had to be, and all of it is right. */
static void wish_check(const struct wish *w, struct job_rank *me)
{
    uint8_t head[HEAD];
    size_t hlen, blen;
    shape_expectable(w->number, &hlen, &blen);
    job_fill((char *)head, HEAD, 0, 1, 2 * w->number);
    CHECK(me, !w->wrong && hlen == HEAD && !w->expect.is_short);
    CHECK_EQ(me, w->expect.len, blen);
    CHECK(me, w->expect.word == wire_get64(head));
    size_t there = blen < w->expect.cap ? blen : w->expect.cap;
    CHECK_CONTENT(me, (const char *)w->buf, there, 0, 1, 2 * w->number + 1);
    for (size_t i = there; i < sizeof(w->buf); i++) CHECK_EQ(me, w->buf[i], UNTOUCHED);
}

/* One progress with the next few messages expected. Returns how many were taken. */
static uint64_t take_some(struct side *side, struct peer *from)
{
    struct wish wish[CHAIN];
    struct link *l = from->link;
    uint64_t taken = 0, before = from->received;
    for (uint64_t i = 0; i < CHAIN; i++) {
        wish_make(&wish[i], side->me, from->received + i);
        if (i > 0) wish[i - 1].expect.next = &wish[i].expect;
    }
    l->expect = &wish[0].expect;
    side_progress(side, l);
    if (from->link) l->expect = NULL;
    while (taken < CHAIN && wish[taken].expect.done) wish_check(&wish[taken++], side->me);
    for (uint64_t i = taken; i < CHAIN; i++) CHECK(side->me, !wish[i].expect.done);
    if (taken > 0) CHECK_EQ(side->me, side->upcalls, 0);
    if (taken > 0) CHECK(side->me, from->received == before);
    from->received += taken;
    return taken;
}

static void the_next_ones_are_taken_in_order(struct job_rank *me)
{
    struct side side;
    uint64_t taken = 0;
    side_open(&side, me);
    struct peer *peer = &side.peer[1 - me->rank];
    peer->shape = shape_expectable;
    side_connect_all(&side);
    side_barrier(&side);
    if (me->rank == 0)
        for (int i = 0; i < MESSAGES; i++) peer_send(peer);
    int64_t until = side_limit(&side);
    while (me->rank == 1 && peer->received < MESSAGES) {
        CHECK(me, job_now(me) < until);
        taken += take_some(&side, peer);
    }
    CHECK(me, taken < MESSAGES); /* some cannot be expected */
    if (me->rank == 1) CHECK(me, side.t->caps.expects ? taken > MESSAGES / 100 : taken == 0);
    side_close(&side);
}

const struct suite_case contract_expects[] = {
    { "the next ones are taken, in order", the_next_ones_are_taken_in_order, 2, 2, 0, 0, 0, 0 },
    SUITE_END,
};
