/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * messaging_hostile_test.c - what a peer can do with bytes alone: they cost his own link, or
 * nothing at all
 */
#include "tests/unit/messaging_hostile.h"

char lent[100000];

void announce(struct fake *f, uint32_t tag, uint64_t length, size_t begun, uint8_t fill)
{
    uint8_t more[16];
    wire_put64(more, 3);
    wire_put64(more + 8, length);
    say(f, &(struct words){ .rank = 1, .kind = KIND_RTS, .tag = tag, .more = more, .more_len = 16,
                            .blen = begun, .fill = fill });
}

uint64_t number_sent(struct fake *f, int rank, uint8_t kind)
{
    const struct packet *p = told(f, rank, kind);
    assert_non_null(p);
    return wire_get64(p->head + ENVELOPE_SMALL);
}

struct sinew_request *ask_rank_2(struct fake *f, uint64_t *number)
{
    struct sinew_request *req;
    assert_int_equal(sinew_send(sinew_world(f->s), lent, sizeof(lent), 2, 5, &req), SINEW_PENDING);
    *number = number_sent(f, 2, KIND_RTS);
    return req;
}

void second_link(struct fake *f, int rank)
{
    struct transport *t = f->s->transport[1];
    f->link[1][rank] = t->up->link(t, rank, EPOCH);
    assert_non_null(f->link[1][rank]);
    move(f);
}

/* ---- bytes that break the protocol ----------------------------------------------------------- */

static void cut_head(struct fake *f)
{
    say_eager(f, 1, 1, 0, 0)->hlen = 15;
}
static void no_head(struct fake *f)
{
    say_eager(f, 1, 1, 0, 0)->hlen = 0;
}
static void unknown_kind(struct fake *f)
{
    say_eager(f, 1, 1, 0, 0)->head[2] = KIND_LAST + 1;
}
static void reserved_kind(struct fake *f)
{
    say_eager(f, 1, 1, 0, 0)->head[2] = KIND_AM;
}
static void repeated(struct fake *f)
{
    f->seq[1]--, say_eager(f, 1, 1, 0, 0);
}
static void skipped(struct fake *f)
{
    f->seq[1]++, say_eager(f, 1, 1, 0, 0);
}
static void wrong_length(struct fake *f)
{
    say_eager(f, 1, 1, 8, 0)->head[5]++;
}
static void cut_collective(struct fake *f)
{
    say_eager(f, 1, 1, 0, 0)->head[2] = KIND_COLL;
}
static void sync_of_nobody(struct fake *f)
{
    say_numbers(f, 1, KIND_SYNC, 1, 0, 0, 0, 0);
}
static void cut_announcement(struct fake *f)
{
    say_numbers(f, 1, KIND_RTS, 1, 1, 5, 0, 0);
}
static void endless_announcement(struct fake *f)
{
    say_numbers(f, 1, KIND_RTS, 1, 2, 5, UINT64_MAX, 0);
}
static void cut_ack(struct fake *f)
{
    say_numbers(f, 1, KIND_ACK, 0, 0, 0, 0, 0);
}
static void cut_fin(struct fake *f)
{
    say_numbers(f, 1, KIND_FIN, 0, 0, 0, 0, 0);
}
static void cut_want(struct fake *f)
{
    say_numbers(f, 1, KIND_WANT, 0, 1, 5, 0, 0);
}
static void cut_jump(struct fake *f)
{
    say_numbers(f, 1, KIND_JUMP, 0, 2, 5, 8, 0);
}
static void endless_jump(struct fake *f)
{
    say_numbers(f, 1, KIND_JUMP, 0, 3, 5, UINT64_MAX, 1);
}
static void cut_clearance(struct fake *f)
{
    say_numbers(f, 1, KIND_CTS, 0, 3, 1, 2, 3);
}
static void clearance_of_no_space(struct fake *f)
{
    say_cts(f, 1, AFTER_AGAIN + 1, 5, 0, 1);
}
static void refusal_of_success(struct fake *f)
{
    say_nack(f, 1, 5, NACK_SYNC, 0);
}
static void too_much_credit(struct fake *f)
{
    say(f, &(struct words){ .rank = 1, .kind = KIND_EAGER, .tag = 1, .credit = 9 });
}
/* The window would wrap, and then any credit fit it. */
static void a_window_that_grows_twice(struct fake *f)
{
    for (int i = 0; i < 2; i++)
        say(f, &(struct words){ .rank = 1, .kind = KIND_CREDIT, .team = 0xffff0000 });
}
/* Announcements come with a window, its first or its growth, and never by themselves. */
static void announcements_out_of_nothing(struct fake *f)
{
    for (int i = 0; i < 2; i++)
        say(f, &(struct words){ .rank = 1, .kind = KIND_CREDIT, .tag = 15 });
}
static void short_over_a_link_without(struct fake *f)
{
    struct packet *p = say_eager(f, 1, 1, 8, 0);
    p->hlen = TRANSPORT_SHORT_HEAD;
    wire_put64(p->head, envelope_key(0, 1));
}
static void a_beginning_beyond_its_end(struct fake *f)
{
    announce(f, 1, 63, 64, 1);
}
static void a_beginning_that_ends_between(struct fake *f)
{
    announce(f, 1, 1000, 100, 1);
}
static void beginnings_beyond_their_credit(struct fake *f)
{
    for (int i = 0; i < 64; i++) announce(f, 1, 100000, 4096, 1);
}
static void more_than_its_credit(struct fake *f)
{
    for (int i = 0; i < 64; i++) say_eager(f, 1, 1, 4096, 1);
}
static void say_word(struct fake *f, uint32_t team, uint32_t sequence, size_t len, uint8_t fill)
{
    say(f, &(struct words){ .rank = 1,
                            .kind = KIND_COLL_WHY,
                            .team = team,
                            .tag = sequence,
                            .blen = len,
                            .fill = fill });
}
static void a_word_too_long(struct fake *f)
{
    say_word(f, 0, 1, COLLECTIVE_WORD_MAX + 1, 0);
}
static void a_word_of_nonsense(struct fake *f)
{
    struct sinew_request *req; /* the collectives listen from the first one on */
    assert_true(sinew_barrier(sinew_world(f->s), &req) > 0);
    say_word(f, 0, 1, 144, 0xff);
    move(f);
    assert_int_equal(sinew_wait(&req), SINEW_EPEER);
}

static void bad_bytes_cost_their_own_link(void **state)
{
    static void (*const spoilers[])(struct fake * f) = {
        cut_head,
        no_head,
        unknown_kind,
        reserved_kind,
        repeated,
        skipped,
        wrong_length,
        cut_collective,
        sync_of_nobody,
        cut_announcement,
        endless_announcement,
        cut_ack,
        cut_fin,
        cut_want,
        cut_jump,
        endless_jump,
        cut_clearance,
        clearance_of_no_space,
        refusal_of_success,
        too_much_credit,
        a_window_that_grows_twice,
        announcements_out_of_nothing,
        short_over_a_link_without,
        a_beginning_beyond_its_end,
        a_beginning_that_ends_between,
        beginnings_beyond_their_credit,
        more_than_its_credit,
        a_word_too_long,
        a_word_of_nonsense,
    };
    close_fake(state); /* each has a context of its own */
    for (size_t i = 0; i < sizeof(spoilers) / sizeof(spoilers[0]); i++) {
        open_fake(state);
        struct fake *f = *state;
        struct sinew_team *team = meet(f);
        struct sinew_request *req;
        char in[8];
        assert_int_equal(sinew_recv(team, in, 8, 1, 7, NULL, &req), SINEW_PENDING);
        spoilers[i](f);
        move(f);
        if (linked(f, 1)) fail_msg("the link survived number %zu", i);
        assert_int_equal(sinew_wait(&req), SINEW_EPEER);
        if (!strstr(sinew_why(f->s), "rank 1 broke the protocol: it "))
            fail_msg("number %zu is not told: %s", i, sinew_why(f->s));
        rank_2_is_well(f);
        assert_true(linked(f, 2));
        assert_int_equal(close_fake(state), 0);
    }
    open_fake(state);
}

/* ---- bytes that do not ----------------------------------------------------------------------- */

/* Late, doubled or forged answers find nothing: no link goes, and nobody's request ends. */
static void answers_of_others_mean_nothing(void **state)
{
    struct fake *f = *state;
    meet(f);
    move(f);
    uint64_t number;
    struct sinew_request *req = ask_rank_2(f, &number);
    say_numbers(f, 1, KIND_ACK, 0, 1, number, 0, 0);
    say_numbers(f, 1, KIND_FIN, 0, 1, number, 0, 0);
    say_numbers(f, 1, KIND_FIN, 0, 1, UINT64_MAX, 0, 0);
    say_cts(f, 1, 0, number, 8, 1);
    say_nack(f, 1, number, NACK_ANNOUNCEMENT, SINEW_ESTATE);
    say_nack(f, 1, number, NACK_JUMP, SINEW_EBUSY);
    say_nack(f, 1, number, 200, SINEW_ESTATE);
    say_numbers(f, 1, KIND_JUMP, 5, 3, 1, 8, number);
    move(f);
    assert_true(linked(f, 1));
    assert_int_equal(sinew_test(&req), SINEW_PENDING);
    say_cts(f, 2, 0, number, sizeof(lent), 1);
    say_cts(f, 2, 0, number, sizeof(lent), 1);
    assert_int_equal(sinew_wait(&req), 0);
    move(f);
    say_cts(f, 2, 0, number, sizeof(lent), 1);
    say_numbers(f, 2, KIND_ACK, 0, 1, number, 0, 0);
    move(f);
    assert_true(linked(f, 2));
    rank_2_is_well(f);
}

/* Only a jump can be refused as one. */
static void a_refused_jump_that_was_none(void **state)
{
    struct fake *f = *state;
    meet(f);
    move(f);
    uint64_t number;
    struct sinew_request *req = ask_rank_2(f, &number);
    int before = f->sents;
    say_nack(f, 2, number, NACK_JUMP, SINEW_EBUSY);
    move(f);
    assert_int_equal(f->sents, before); /* not announced once more */
    say_cts(f, 2, 0, number, sizeof(lent), 1);
    assert_int_equal(sinew_wait(&req), 0);
}

/* A message carries a team its sender is no member of. */
static void a_stranger_in_a_team(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f), *pair;
    struct sinew_status status;
    char in[8];
    static const int members[] = { 0, 2 };
    say(f, &(struct words){
               .rank = 1, .kind = KIND_EAGER, .team = 1, .tag = 4 }); /* before it is made */
    move(f);
    assert_int_equal(team_make(team, 1, members, 2, &pair), 0);
    assert_true(sinew_probe(pair, SINEW_ANY_RANK, SINEW_ANY_TAG, NULL, NULL, 0) > 0);
    say(f, &(struct words){ .rank = 1, .kind = KIND_EAGER, .team = 1, .tag = 4 });
    say(f, &(struct words){ .rank = 2, .kind = KIND_EAGER, .team = 1, .tag = 4 });
    assert_int_equal(sinew_recv(pair, in, 8, SINEW_ANY_RANK, 4, &status, NULL), 0);
    assert_int_equal(status.rank, 1);
    move(f);
    assert_false(linked(f, 1));
    assert_int_equal(sinew_team_free(&pair), 0);
}

/* Who asks and asks, and takes no answer, costs some of them and no more. */
static void words_without_end(void **state)
{
    struct fake *f = *state;
    meet(f);
    move(f);
    f->full = true;
    uint64_t least = 0;
    for (int i = 0; i < 4 * COMING_MAX; i++) {
        say_word(f, i % 2 ? 78 : 77, (uint32_t)i, 144, 1);
        move(f);
        f->comings = 0;
        if (i == 200) least = f->s->counters.memory_bytes;
    }
    assert_true(linked(f, 1));
    assert_in_range(f->s->peer[1]->words, 1, 64);
    assert_int_equal(f->s->counters.memory_bytes, least);
    rank_2_is_well(f);
    f->full = false;
    move(f);
}

static int hostile_bytes(void)
{
    const struct CMUnitTest cases[] = {
        CASE(bad_bytes_cost_their_own_link),
        CASE(answers_of_others_mean_nothing),
        CASE(a_refused_jump_that_was_none),
        CASE(a_stranger_in_a_team),
        CASE(words_without_end),
    };
    return cmocka_run_group_tests_name("bytes", cases, NULL, NULL);
}

int main(void)
{
    return hostile_bytes() + hostile_links() + hostile_long() + hostile_waits() + hostile_short();
}
