/* SPDX-License-Identifier: BSD-3-Clause */
/* messaging_hostile_short.c - the short way: order, room, and windows of receives */
#include "tests/unit/messaging_hostile.h"

static void say_sync_then_eager(struct fake *f)
{
    f->in_progress = NULL;
    uint8_t more[8] = { 9 };
    say(f, &(struct words){ .rank = 1,
                            .kind = KIND_SYNC,
                            .tag = 5,
                            .more = more,
                            .more_len = 8,
                            .blen = 1,
                            .fill = 'a' });
    say_eager(f, 1, 5, 1, 'b');
}

/* One round brings a message that the short way does not take, and one that it would. */
static void a_blocking_receive_takes_the_first(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    char in = 0;
    move(f);
    f->in_progress = say_sync_then_eager;
    assert_int_equal(sinew_recv(team, &in, 1, 1, 5, NULL, NULL), 0);
    assert_int_equal(in, 'a');
    assert_int_equal(sinew_recv(team, &in, 1, 1, 5, NULL, NULL), 0);
    assert_int_equal(in, 'b');
}

/* Transports decide by it how long messages travel. */
static void transports_know_at_open_whether_ranks_outnumber_the_cores(void **unused)
{
    (void)unused;
    for (int cores = 1; cores <= RANKS + 1; cores++) {
        void *state;
        assert_int_equal(open_fake_on(&state, cores), 0);
        bool crowded = ((struct fake *)state)->crowded;
        close_fake(&state);
        assert_int_equal(crowded, RANKS > cores);
    }
}

/* Credit is set aside for short messages only where they can be sent. */
static void a_link_without_short_messages_leaves_the_window_whole(void **state)
{
    struct fake *f = *state;
    f->s->transport[0]->caps.expects = true;
    meet(f);
    say(f, &(struct words){ .rank = 1, .kind = KIND_CREDIT, .credit = 80, .team = 32 });
    move(f);
    const struct peer *p = f->s->peer[1];
    assert_non_null(p->quick_in);
    assert_int_equal(p->window_blocks[SPACE_USER], 160);
    assert_int_equal(p->mine.blocks[SPACE_USER], 159); /* meeting it took one */
}

/* As a link that has such hands it up: its head is the key. */
static void say_short(struct fake *f, int rank, uint32_t tag, size_t blen, uint8_t fill)
{
    struct packet *p = say_eager(f, rank, tag, blen, fill);
    p->hlen = TRANSPORT_SHORT_HEAD;
    wire_put64(p->head, envelope_key(0, tag));
}

/* Whatever way a short message comes, a window met in order is never filed. */
static void short_messages_meet_a_window(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    struct sinew_status st[3];
    struct sinew_request *req[3];
    char in[3][8] = { "" };
    const int32_t some = 0;
    move(f);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sinew_recv(team, in[i], i == 2 ? 4 : 8, 1, 7, &st[i], &req[i]),
                         SINEW_PENDING);
    const struct peer *p = f->s->peer[1];
    p->out->shorts = &some;
    for (int i = 0; i < 3; i++) {
        assert_non_null(p->window);
        say_short(f, 1, 7, 8, (uint8_t)(i + 1));
        move(f);
        assert_int_equal(p->filed, 0);
        const struct packet *credit = told(f, 1, KIND_CREDIT); /* for its block */
        assert_true(credit == &f->sent[f->sents - 1] && wire_get16(credit->head + 3) == 1);
    }
    assert_null(p->window);
    assert_int_equal(sinew_wait(&req[0]), 0);
    assert_int_equal(sinew_wait(&req[1]), 0);
    assert_int_equal(sinew_wait(&req[2]), SINEW_ETRUNCATED);
    assert_true(in[0][7] == 1 && in[1][7] == 2 && in[2][3] == 3 && in[2][4] == 0);
    assert_true(st[1].bytes == 8 && st[2].bytes == 4 && st[2].sent == 8);
    rank_2_is_well(f);
}

static void say_stuck_of(struct fake *f, int rank, uint32_t tag)
{
    say(f, &(struct words){ .rank = rank, .kind = KIND_STUCK, .tag = tag });
    move(f);
}

static void say_stuck(struct fake *f, int rank)
{
    say_stuck_of(f, rank, 1);
}

/* The upper half of a CREDIT's team is what the window has grown by; 0: none was told. */
static uint32_t growth_told(const struct fake *f, int rank)
{
    const struct link *l = f->s->peer[rank]->out;
    uint32_t all = 0;
    for (int i = 0; i < f->sents; i++)
        if (f->sent[i].link == l && f->sent[i].head[2] == KIND_CREDIT)
            all += wire_get32(f->sent[i].head + 8) >> 16;
    return all;
}

/* Whose messages are taken as they come, and who waits for room all the same, gets more of it, once;
 * and then that much can be kept. */
static void a_stream_gets_more_room_once(void **state)
{
    enum { MESSAGES = 12, LEN = 16000 };
    struct fake *f = *state;
    static uint8_t in[LEN];
    struct sinew_team *team = meet(f);
    move(f);
    const struct peer *p = f->s->peer[1];
    uint64_t memory = f->s->counters.memory_bytes;
    for (int i = 0; i < 3; i++) {
        say_stuck(f, 1);
        assert_int_equal(growth_told(f, 1), 262144 / BLOCK_BYTES);
        assert_int_equal(f->s->counters.memory_bytes, memory + 262144);
    }
    for (int i = 0; i < MESSAGES; i++) say_eager(f, 1, 3, LEN, (uint8_t)(i + 1));
    move(f);
    assert_true(p->blocks_total - p->blocks_free == MESSAGES * blocks_of(LEN));
    for (int i = 0; i < MESSAGES; i++) {
        assert_int_equal(sinew_recv(team, in, LEN, 1, 3, NULL, NULL), 0);
        assert_true(in[0] == i + 1 && in[LEN / 2] == i + 1 && in[LEN - 1] == i + 1);
    }
    assert_int_equal(p->blocks_free, p->blocks_total);
    assert_true(linked(f, 1));
    rank_2_is_well(f);
}

/* Who sends what nobody takes waits, as ever; and where there is no memory nothing is lost. */
static void what_nobody_takes_gets_no_more_room(void **state)
{
    struct fake *f = *state;
    meet(f);
    for (int i = 0; i < 2; i++) say_eager(f, 1, 3, 16000, 1);
    say_stuck(f, 1);
    assert_int_equal(growth_told(f, 1), 0);
    assert_null(f->s->peer[1]->more_blocks);
    f->s->grown = 8; /* as many as may */
    say_stuck(f, 2);
    assert_int_equal(growth_told(f, 2), 0);
    f->s->grown = 0;
    assert_true(linked(f, 1) && linked(f, 2));
}

/* A collective's messages come before they are asked for: who has been heard for long gets more room,
 * whatever lies here; who begins with what nobody takes does not. No receive is asked what it wants. */
static void collectives_that_wait_get_more_room(void **state)
{
    enum { LEN = 16000, HEARD = 1 << 20 };
    struct fake *f = *state;
    static uint8_t in[LEN];
    struct sinew_team *team = meet(f);
    for (int i = 0; i < 2; i++) say_eager(f, 1, 3, LEN, 1);
    say_stuck_of(f, 1, STUCK_COLLECTIVE);
    assert_int_equal(growth_told(f, 1), 0);
    for (int sent = 2 * LEN; sent < HEARD; sent += LEN) {
        assert_int_equal(sinew_recv(team, in, LEN, 1, 3, NULL, NULL), 0);
        say_eager(f, 1, 3, LEN, 1);
        move(f);
    }
    say_stuck_of(f, 1, STUCK_COLLECTIVE);
    assert_int_equal(growth_told(f, 1), 262144 / BLOCK_BYTES);
    assert_int_equal(f->s->stuck_peers, 0);
    say_stuck_of(f, 2, STUCK_COLLECTIVE); /* nothing of it lies here */
    assert_int_equal(growth_told(f, 2), 262144 / BLOCK_BYTES);
    assert_true(linked(f, 1));
}

/* The other end of it. */
static void a_window_grows_by_what_is_granted(void **state)
{
    struct fake *f = *state;
    meet(f);
    move(f);
    const struct peer *p = f->s->peer[1];
    uint32_t window = p->window_blocks[SPACE_USER], mine = p->mine.blocks[SPACE_USER];
    uint32_t collective = p->window_blocks[SPACE_COLLECTIVE];
    say(f, &(struct words){ .rank = 1, .kind = KIND_CREDIT, .team = 102 << 16 });
    move(f);
    assert_int_equal(p->window_blocks[SPACE_USER], window + 77);
    assert_int_equal(p->mine.blocks[SPACE_USER], mine + 77);
    assert_int_equal(p->window_blocks[SPACE_COLLECTIVE], collective + 25);
    assert_true(linked(f, 1));
}

static void nothing_ended(struct completion *c, int status)
{
    (void)c;
    (void)status;
}

/* A collective's message for which there is no credit says so, and not with each that follows. */
static void a_collective_that_waits_says_so(void **state)
{
    enum { LEN = 3500, SENDS = 8 }; /* two find room in what the least window grants */
    struct fake *f = *state;
    static const uint8_t out[LEN];
    struct sinew_team *team = meet(f);
    struct completion c[SENDS];
    int told_so = 0;
    move(f);
    for (uint32_t i = 0; i < SENDS; i++) {
        struct collective_key key = { .sequence = 1, .step = i };
        c[i].ended = nothing_ended;
        int rc = collective_send(team, out, LEN, 1, &key, &c[i]);
        assert_int_equal(rc, i < 2 ? 0 : SINEW_PENDING);
    }
    for (int i = 0; i < f->sents; i++)
        told_so += f->sent[i].head[2] == KIND_STUCK &&
                   wire_get32(f->sent[i].head + 12) == STUCK_COLLECTIVE;
    assert_int_equal(told_so, 1);
    collective_cancel(team, 1, SINEW_ECANCELED);
}

static int credits_told(const struct fake *f)
{
    int n = 0;
    for (int i = 0; i < f->sents; i++)
        n += f->sent[i].link->rank == 1 && f->sent[i].head[2] == KIND_CREDIT;
    return n;
}

/* An eighth of the window is owed: the answer takes it along; without one the next look tells. */
static void an_answer_takes_the_credit_along(void **state)
{
    enum { LONG = 8192 };
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    uint8_t *in = test_malloc(FAKE_BODY), one = 0;
    move(f);
    int told_before = credits_told(f);
    say_eager(f, 1, 5, LONG, 'a');
    assert_int_equal(sinew_recv(team, in, LONG, 1, 5, NULL, NULL), 0);
    assert_int_equal(credits_told(f), told_before);
    assert_int_equal(sinew_send(team, &one, 1, 1, 6, NULL), 0);
    const struct packet *answer = told(f, 1, KIND_EAGER);
    assert_int_equal(wire_get16(answer->head + 3), blocks_of(LONG));

    say_eager(f, 1, 5, LONG, 'b');
    assert_int_equal(sinew_recv(team, in, LONG, 1, 5, NULL, NULL), 0);
    assert_int_equal(credits_told(f), told_before);
    say_eager(f, 1, 5, 1, 'c');
    assert_int_equal(sinew_recv(team, in, LONG, 1, 5, NULL, NULL), 0);
    assert_int_equal(credits_told(f), told_before + 1);
    assert_int_equal(wire_get16(told(f, 1, KIND_CREDIT)->head + 3), blocks_of(LONG));

    move(f); /* and the one for 'c' */
    told_before = credits_told(f);
    say_eager(f, 1, 5, FAKE_BODY, 'd');
    assert_int_equal(sinew_recv(team, in, FAKE_BODY, 1, 5, NULL, NULL), 0);
    assert_int_equal(credits_told(f), told_before);
    assert_int_equal(sinew_send(team, &one, 1, 1, 6, NULL), 0);
    test_free(in);
}

int hostile_short(void)
{
    const struct CMUnitTest cases[] = {
        CASE(a_blocking_receive_takes_the_first),
        CASE(a_link_without_short_messages_leaves_the_window_whole),
        CASE(short_messages_meet_a_window),
        CASE(a_stream_gets_more_room_once),
        CASE(what_nobody_takes_gets_no_more_room),
        CASE(collectives_that_wait_get_more_room),
        CASE(a_collective_that_waits_says_so),
        CASE(a_window_grows_by_what_is_granted),
        CASE(an_answer_takes_the_credit_along),
        cmocka_unit_test(transports_know_at_open_whether_ranks_outnumber_the_cores),
    };
    return cmocka_run_group_tests_name("the short way", cases, NULL, NULL);
}
