/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a peer can do with bytes alone, and what links that come and go do. Rank 1 misbehaves; rank
 * 2 must never notice.
 */
#include "messaging_fake.h"

/* ---- bytes that break the protocol ------------------------------------------------------------
 */

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
static void a_grant_that_wraps(struct fake *f)
{
    say(f, &(struct words){ .rank = 1, .kind = KIND_CREDIT, .team = UINT32_MAX });
}
static void short_over_a_link_without(struct fake *f)
{
    struct packet *p = say_eager(f, 1, 1, 8, 0);
    p->hlen = TRANSPORT_SHORT_HEAD;
    wire_put64(p->head, envelope_key(0, 1));
}
static void announce(struct fake *f, uint32_t tag, uint64_t length, size_t begun, uint8_t fill)
{
    uint8_t more[16];
    wire_put64(more, 3);
    wire_put64(more + 8, length);
    say(f, &(struct words){ .rank = 1, .kind = KIND_RTS, .tag = tag, .more = more, .more_len = 16,
                            .blen = begun, .fill = fill });
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
        a_grant_that_wraps,
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
        rank_2_is_well(f);
        assert_true(linked(f, 2));
        assert_int_equal(close_fake(state), 0);
    }
    open_fake(state);
}

/* A send that waits for its clearance, as numbered on the wire. */
static uint64_t number_sent(struct fake *f, int rank, uint8_t kind)
{
    const struct packet *p = told(f, rank, kind);
    assert_non_null(p);
    return wire_get64(p->head + ENVELOPE_SMALL);
}

static char lent[100000];

static struct sinew_request *ask_rank_2(struct fake *f, uint64_t *number)
{
    struct sinew_request *req;
    assert_int_equal(sinew_send(sinew_world(f->s), lent, sizeof(lent), 2, 5, &req), SINEW_PENDING);
    *number = number_sent(f, 2, KIND_RTS);
    return req;
}

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

/* ---- order -------------------------------------------------------------------------------------
 */

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

/* ---- links that come and go -------------------------------------------------------------------
 */

static void both_meet(struct fake *f)
{
    f->in_progress = NULL;
    f->s->peer[1] = peer_get(f->s, 1);
    assert_int_equal(peer_meet(f->s->peer[1]), 0); /* as a collective's next step does */
    struct transport *t = f->s->transport[0];
    assert_null(f->link[0][1]);
    f->link[0][1] = t->up->link(t, 1, EPOCH);
    assert_non_null(f->link[0][1]);
}

/* A first contact that had to wait for the end of progress, and the peer came meanwhile. */
static void a_peer_that_comes_first_is_not_called(void **state)
{
    struct fake *f = *state;
    f->in_progress = both_meet;
    f->silent = true; /* it is not up yet when progress ends */
    move(f);
    assert_int_equal(f->connects, 0);
    f->silent = false;
    move(f);
    assert_int_equal(sinew_send(sinew_world(f->s), NULL, 0, 1, 1, NULL), 0);
}

static void second_link(struct fake *f, int rank)
{
    struct transport *t = f->s->transport[1];
    f->link[1][rank] = t->up->link(t, rank, EPOCH);
    assert_non_null(f->link[1][rank]);
    move(f);
}

/* He chose another transport than this side did. His body comes by his. */
static void a_long_message_where_transports_differ(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    struct sinew_request *req;
    second_link(f, 1);
    assert_int_equal(sinew_recv(team, lent, sizeof(lent), 1, 5, NULL, &req), SINEW_PENDING);
    uint8_t more[16];
    wire_put64(more, 3);
    wire_put64(more + 8, sizeof(lent));
    say(f, &(struct words){
               .rank = 1, .fake = 1, .kind = KIND_RTS, .tag = 5, .more = more, .more_len = 16 });
    move(f);
    const struct packet *cts = told(f, 1, KIND_CTS);
    assert_non_null(cts);
    assert_int_equal(cts->body[24], 2);
    uint8_t number[8];
    memcpy(number, cts->body + 8, 8);
    say(f,
        &(struct words){ .rank = 1, .fake = 1, .kind = KIND_FIN, .more = number, .more_len = 8 });
    assert_int_equal(sinew_wait(&req), 0);
}

/* One link says that he left, the other still has a body of ours and a message of his. */
static void who_leaves_is_gone_with_his_last_link(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    struct sinew_request *send, *recv;
    char in = 0;
    second_link(f, 1);
    assert_int_equal(sinew_send(team, lent, sizeof(lent), 1, 5, &send), SINEW_PENDING);
    assert_int_equal(sinew_recv(team, &in, 1, 1, 5, NULL, &recv), SINEW_PENDING);
    f->put_pending = true;
    say_cts(f, 1, 0, number_sent(f, 1, KIND_RTS), sizeof(lent), 1);
    move(f);
    assert_non_null(f->rma);
    end_link(f->link[1][1], 0, GONE_LEFT);
    f->s->transport[1]->ops->progress(f->s->transport[1], NULL);
    assert_true(send->state != STATE_DONE); /* the transport still reads the body */
    say_eager(f, 1, 5, 1, 'x');
    assert_int_equal(sinew_wait(&recv), 0);
    assert_int_equal(in, 'x');
    assert_int_equal(sinew_wait(&send), SINEW_EPEER);
    int died = 7;
    assert_int_equal(sinew_team_failed(team, NULL, NULL, 0), 1);
    assert_int_equal(sinew_team_failed(team, (int[1]){ 0 }, &died, 1), 1);
    assert_int_equal(died, 0);
}

struct step {
    struct completion completion;
    struct sinew_team *team;
    struct sinew_request *next;
    int ended;
};

static void no_more(struct completion *c, int status)
{
    (void)status;
    LIST_OWNER(c, struct step, completion)->ended++;
}

static struct step second_step = { .completion.ended = no_more };

/* What a collective does when a part of it is done: it begins the next, here to read what is there. */
static void begin_reading(struct completion *c, int status)
{
    struct step *first = LIST_OWNER(c, struct step, completion);
    struct match_key key = { .source = 1, .tag = 9 };
    assert_int_equal(status, 0);
    first->ended++;
    assert_int_equal(receive_start(first->team, lent, sizeof(lent), &key, 0, NULL,
                                   &second_step.completion, &second_step.next),
                     SINEW_PENDING);
}

static void body_is_out(struct fake *f)
{
    struct rma *put = f->rma;
    if (!put || put->kind != RMA_PUT) return;
    f->rma = NULL;
    f->s->transport[0]->up->done(f->link[0][1], put->cookie, 0);
}

/* The end of a put makes room for a receive, which begins to read: that the put is done does not end it. */
static void the_end_of_a_put_is_not_that_of_the_next(void **state)
{
    static char out[sizeof(lent)];
    static const uint8_t offer[] = { 1, 1, 1 };
    struct fake *f = *state;
    struct step first = { .completion.ended = begin_reading, .team = meet(f) };
    struct match_key key = { .source = 0, .tag = 5 };
    struct sinew_request *send;
    uint8_t more[16];
    second_step.ended = 0;
    move(f);
    assert_int_equal(send_start(first.team, out, sizeof(out), 1, &key, 0, false, false,
                                &first.completion, &send),
                     SINEW_PENDING);
    f->s->transport[0]->caps.get = true;
    wire_put64(more, 3);
    wire_put64(more + 8, sizeof(lent));
    say(f, &(struct words){ .rank = 1, .kind = KIND_RTS, .tag = 9, .more = more, .more_len = 16,
                            .body = offer, .blen = sizeof(offer) });
    f->put_pending = true;
    say_cts(f, 1, 0, number_sent(f, 1, KIND_RTS), sizeof(out), 1);
    f->in_progress = body_is_out;
    move(f);
    assert_int_equal(first.ended, 1);
    assert_int_equal(second_step.ended, 0);
    assert_int_equal(second_step.next->state, STATE_READING);
    f->s->transport[0]->up->done(f->link[0][1], f->rma->cookie, 0);
    f->rma = NULL;
    assert_int_equal(second_step.ended, 1);
}

static void receive_of(struct sinew_team *team, size_t cap, struct sinew_status *status,
                       struct sinew_request **req)
{
    assert_int_equal(sinew_recv(team, lent, cap, 1, 5, status, req), SINEW_PENDING);
}

static void land_lent(struct landing *landing, size_t offset, const void *piece, size_t len)
{
    (void)landing;
    memcpy(lent + offset, piece, len);
}

/* The same, but what comes lands, and the room for it is as long as what is kept of it. */
static void landing_of(struct sinew_team *team, size_t cap, struct sinew_status *status,
                       struct sinew_request **req)
{
    static struct landing landing = { land_lent };
    static char room[640];
    struct match_key key = { .source = 1, .tag = 5, .space = SPACE_USER };
    assert_int_equal(receive_start_landing(team, &landing, room, cap, &key, 0, NULL, req),
                     SINEW_PENDING);
    (*req)->status_out = status;
}

/* The first bytes come with the announcement: asked for or not, and more of them than there is room
 * for; the message is there with FIN, and the credit that they cost goes back. */
static void a_message_that_has_begun(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    move(f);
    f->s->transport[0]->caps.lands = true;
    for (int i = 0; i < 8; i++) {
        bool is_late = i % 2, is_cut = i / 2 % 2;
        void (*post)(struct sinew_team *, size_t, struct sinew_status *, struct sinew_request **) =
            i < 4 ? receive_of : landing_of;
        size_t cap = is_cut ? 100 : 1000;
        struct sinew_status status;
        struct sinew_request *req;
        uint32_t free = f->s->peer[1]->blocks_free;
        memset(lent, 7, sizeof(lent));
        if (!is_late) post(team, cap, &status, &req);
        int before = f->sents;
        announce(f, 5, 1000, 640, (uint8_t)(20 + i));
        move(f);
        if (is_late) post(team, cap, &status, &req);
        assert_int_equal(f->s->peer[1]->blocks_free, free);
        const struct packet *cts = told(f, 1, KIND_CTS);
        assert_ptr_equal(cts, &f->sent[f->sents - 1]);
        assert_int_equal(wire_get64(cts->body + 16), cap);
        uint32_t credit = f->s->peer[1]->owed.blocks[SPACE_USER];
        for (int k = before; k < f->sents; k++) credit += wire_get16(f->sent[k].head + 3);
        assert_int_equal(credit, blocks_of(640));
        f->s->peer[1]->owed.blocks[SPACE_USER] = 0;
        for (size_t k = 0; k < 640; k++) assert_int_equal(lent[k], k < cap ? 20 + i : 7);
        assert_int_equal(lent[640], 7);
        assert_int_equal(sinew_test(&req), SINEW_PENDING);
        say_numbers(f, 1, KIND_FIN, 0, 1, wire_get64(cts->body + 8), 0, 0);
        assert_int_equal(sinew_wait(&req), is_cut ? SINEW_ETRUNCATED : 0);
        assert_int_equal(status.bytes, cap);
        assert_int_equal(status.sent, 1000);
    }
}

/* As the sender: it goes on behind what has gone, or not at all if that was all there is room for. */
static void a_message_that_we_have_begun(void **state)
{
    struct fake *f = *state;
    meet(f);
    move(f);
    f->s->transport[0]->caps.begin_max = 4096;
    for (size_t i = 0; i < sizeof(lent); i++) lent[i] = (char)(i * 7 + i / 256);
    for (int i = 0; i < 3; i++) {
        uint64_t number, accepted = i == 0 ? sizeof(lent) : i == 1 ? 4096 : 0;
        uint32_t had = f->s->peer[2]->mine.blocks[SPACE_USER];
        struct sinew_request *req = ask_rank_2(f, &number);
        const struct packet *rts = told(f, 2, KIND_RTS);
        assert_int_equal(rts->blen, 4096);
        assert_memory_equal(rts->body, lent, 4096);
        assert_int_equal(had - f->s->peer[2]->mine.blocks[SPACE_USER], blocks_of(4096));
        f->rma = NULL;
        say_cts(f, 2, 0, number, accepted, 1);
        move(f);
        assert_true((f->rma != NULL) == (i == 0));
        if (f->rma) {
            assert_ptr_equal(f->rma->local, lent + 4096);
            assert_int_equal(f->rma->len, sizeof(lent) - 4096);
            assert_int_equal(f->rma->offset, 4096);
        }
        assert_non_null(told(f, 2, KIND_FIN));
        assert_int_equal(sinew_wait(&req), 0);
    }
    /* Without the credit for it, the announcement goes alone. */
    uint64_t number;
    f->s->peer[2]->mine.blocks[SPACE_USER] = blocks_of(4096) - 1;
    struct sinew_request *req = ask_rank_2(f, &number);
    assert_int_equal(told(f, 2, KIND_RTS)->blen, 0);
    say_cts(f, 2, 0, number, sizeof(lent), 1);
    assert_int_equal(sinew_wait(&req), 0);
}

static void let_go(struct fake *f)
{
    if (f->now > 1000000) f->dereg_again = false;
}

/* His link is gone, and its memory; the region is not free yet, and no event will say when it is.
 */
static void a_region_that_lingers_after_its_link(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    struct sinew_request *req;
    struct sinew_status status = { .rank = 77, .bytes = 77 };
    move(f);
    assert_int_equal(sinew_recv(team, lent, sizeof(lent), 1, 5, &status, &req), SINEW_PENDING);
    say_numbers(f, 1, KIND_RTS, 5, 2, 3, sizeof(lent), 0);
    move(f);
    f->dereg_again = true;
    f->in_progress = let_go;
    end_link(f->link[0][1], SINEW_EPEER, GONE_DIED);
    assert_int_equal(sinew_wait(&req), SINEW_EPEER);
    assert_int_equal(status.rank, 1);
    assert_int_equal(status.bytes, 0);
}

/* The link refuses, and has no words for it; or has. */
static void a_refused_send_says_why(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    move(f);
    end_link(f->link[0][1], 0, GONE_LEFT);
    assert_int_equal(sinew_send(team, lent, 100, 1, 5, NULL), SINEW_EPEER);
    assert_non_null(strstr(sinew_why(f->s), "send to rank 1: its link ends"));
    why_set(&f->link[0][1]->why, 0, "rank 1 has left");
    assert_int_equal(sinew_send(team, lent, 100, 1, 5, NULL), SINEW_EPEER);
    assert_non_null(strstr(sinew_why(f->s), "send to rank 1: rank 1 has left"));
}

/* Ranks 1 and 2 are asked by both transports in vain; the launcher knows of one that it has left. */
static void who_left_unmet_has_left(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = sinew_world(f->s);
    struct sinew_request *req[RANKS];
    f->silent = true;
    f->has_left[1] = true;
    for (int rank = 1; rank < RANKS; rank++)
        assert_int_equal(sinew_send(team, lent, 100, rank, 5, &req[rank]), SINEW_PENDING);
    for (int i = 0; i < FAKES; i++) {
        for (int rank = 1; rank < RANKS; rank++) {
            why_set(&f->link[i][rank]->why, 0, "connection refused");
            end_link(f->link[i][rank], SINEW_EPEER, GONE_BROKEN);
        }
        move(f);
    }
    assert_int_equal(sinew_wait(&req[1]), SINEW_EPEER);
    assert_non_null(strstr(sinew_why(f->s), "rank 1 left the job before this rank met it"));
    assert_null(strstr(sinew_why(f->s), "refused"));
    assert_int_equal(f->s->peer[1]->gone, GONE_LEFT);
    assert_int_equal(sinew_wait(&req[2]), SINEW_EPEER);
    assert_non_null(strstr(sinew_why(f->s), "nobody listens there"));
    assert_non_null(strstr(sinew_why(f->s), "connection refused"));
    assert_null(strstr(sinew_why(f->s), "left out"));
    assert_int_equal(f->s->peer[2]->gone, GONE_BROKEN);
}

/* ---- outcomes ----------------------------------------------------------------------------------
 */

/* The memory cannot be registered: that is this receive's failure, not the link's. */
static void a_buffer_that_cannot_be_registered(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    move(f);
    for (int jumps = 0; jumps < 2; jumps++) {
        struct sinew_status status = { .rank = 77, .tag = 77, .bytes = 77 };
        struct sinew_request *req;
        f->reg_fails = 1;
        assert_int_equal(sinew_recv(team, lent, sizeof(lent), 1, 5, &status, &req), SINEW_PENDING);
        uint64_t number = request_number(req);
        if (jumps)
            say_numbers(f, 1, KIND_JUMP, 5, 3, 3, sizeof(lent), number);
        else
            say_numbers(f, 1, KIND_RTS, 5, 2, 3, sizeof(lent), 0);
        assert_int_equal(sinew_wait(&req), SINEW_ELIMIT);
        assert_int_equal(status.rank, 1);
        assert_int_equal(status.tag, 5);
        assert_int_equal(status.bytes, 0);
        move(f);
        assert_true(linked(f, 1));
        assert_non_null(told(f, 1, KIND_NACK));
    }
}

/* A receive that has matched, and whose body never comes. */
static void status_of_a_long_receive_that_fails(void **state)
{
    struct fake *f = *state;
    meet(f);
    struct sinew_team *view;
    struct sinew_view_options how = SINEW_VIEW_OPTIONS_INIT;
    how.deadline = 1000000;
    assert_int_equal(sinew_team_view(sinew_world(f->s), &how, &view), 0);
    for (int late = 0; late < 2; late++) {
        struct sinew_status status = { .rank = 77, .tag = 77, .bytes = 77, .sent = 77 };
        struct sinew_request *req;
        move(f);
        assert_int_equal(sinew_recv(view, lent, sizeof(lent), 1, 5, &status, &req), SINEW_PENDING);
        say_numbers(f, 1, KIND_RTS, 5, 2, 3, 50000, 0);
        move(f);
        assert_non_null(told(f, 1, KIND_CTS));
        if (!late) say_nack(f, 1, request_number(req), NACK_RECEIVER, SINEW_ECANCELED);
        assert_int_equal(sinew_wait(&req), late ? SINEW_ETIMEDOUT : SINEW_ECANCELED);
        assert_int_equal(status.code, late ? SINEW_ETIMEDOUT : SINEW_ECANCELED);
        assert_int_equal(status.rank, 1);
        assert_int_equal(status.tag, 5);
        assert_int_equal(status.bytes, 0);
        assert_int_equal(status.sent, 50000);
    }
    assert_int_equal(sinew_team_free(&view), 0);
}

static void a_deadline_of_centuries(void **state)
{
    struct fake *f = *state;
    struct sinew_team *view;
    struct sinew_request *req;
    struct sinew_view_options how = SINEW_VIEW_OPTIONS_INIT;
    how.deadline = INT64_MAX - 1;
    meet(f);
    assert_int_equal(sinew_team_view(sinew_world(f->s), &how, &view), 0);
    assert_int_equal(sinew_recv(view, NULL, 0, 1, 5, NULL, &req), SINEW_PENDING);
    assert_int_equal(sinew_wait_for(&req, 1000000), SINEW_PENDING);
    assert_int_equal(sinew_cancel(req), 0);
    assert_int_equal(sinew_wait(&req), SINEW_ECANCELED);
    assert_int_equal(sinew_team_free(&view), 0);
}

static void say_without_end(struct fake *f)
{
    if (f->comings && f->coming[f->comings - 1].link) return;
    f->comings = 0; /* all were handed up */
    say_eager(f, 2, 3, 0, 0);
    struct unexpected *u =
        match_unexpected(&f->s->match, &(struct match_key){ .source = 2, .tag = 3 });
    if (u) receive_discard(u, SINEW_ESTATE);
    for (int i = 0; i < f->sents; i++) free(f->sent[i].body);
    f->sents = 0;
    if (f->now > 1000000000) fail_msg("patience of a millisecond was not looked at in a second");
    f->now += 1000;
}

/* Others keep this rank busy: patience runs out all the same. */
static void patience_among_the_busy(void **state)
{
    struct fake *f = *state;
    struct sinew_request *req;
    struct sinew_team *team = meet(f);
    move(f);
    assert_int_equal(sinew_recv(team, NULL, 0, 1, 5, NULL, &req), SINEW_PENDING);
    f->in_progress = say_without_end;
    assert_int_equal(sinew_wait_for(&req, 1000000), SINEW_PENDING);
    f->in_progress = NULL;
    assert_int_equal(sinew_cancel(req), 0);
    assert_int_equal(sinew_wait(&req), SINEW_ECANCELED);
}

/* Nor may they keep a deadline from one that only tests. */
static void a_deadline_among_the_busy(void **state)
{
    struct fake *f = *state;
    struct sinew_view_options how = SINEW_VIEW_OPTIONS_INIT;
    struct sinew_request *req;
    struct sinew_team *view, *team = meet(f);
    int rc;
    move(f);
    how.deadline = 1000000;
    assert_int_equal(sinew_team_view(team, &how, &view), 0);
    assert_int_equal(sinew_recv(view, NULL, 0, 1, 5, NULL, &req), SINEW_PENDING);
    f->in_progress = say_without_end;
    while ((rc = sinew_test(&req)) > 0)
        if (f->now > 500000000) break;
    f->in_progress = NULL;
    assert_int_equal(rc, SINEW_ETIMEDOUT);
    assert_int_equal(sinew_recv(view, NULL, 0, 1, 5, NULL, &req), SINEW_PENDING);
    int64_t began = f->now;
    f->in_progress = say_without_end;
    while (f->now - began < 400000000) assert_true(sinew_progress(f->s) >= 0);
    f->in_progress = NULL;
    assert_int_equal(sinew_cancel(req), SINEW_EBUSY); /* over already */
    assert_int_equal(sinew_wait(&req), SINEW_ETIMEDOUT);
    assert_int_equal(sinew_team_free(&view), 0);
}

static void be_stuck_without_end(struct fake *f)
{
    if (f->comings && f->coming[f->comings - 1].link) return;
    f->comings = 0;
    say(f, &(struct words){ .rank = 1, .kind = KIND_STUCK, .tag = 1 });
    for (int i = 0; i < f->sents; i++) free(f->sent[i].body);
    f->sents = 0;
    if (f->now > 1000000000) fail_msg("patience of a millisecond was not looked at in a second");
    f->now += 1000;
}

/* Nor does it wait for one that has to be asked again each time: the rare matters have no end here. */
static void patience_with_the_stuck(void **state)
{
    struct fake *f = *state;
    struct sinew_request *req;
    struct sinew_team *team = meet(f);
    move(f);
    assert_int_equal(sinew_recv(team, NULL, 0, 1, 5, NULL, &req), SINEW_PENDING);
    f->in_progress = be_stuck_without_end;
    assert_int_equal(sinew_wait_for(&req, 1000000), SINEW_PENDING);
    f->in_progress = NULL;
    assert_int_equal(sinew_cancel(req), 0);
    assert_int_equal(sinew_wait(&req), SINEW_ECANCELED);
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
        say_word(f, i % 2 ? 0 : 77, (uint32_t)i, 144, 1);
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

/* ---- stuck queues ------------------------------------------------------------------------------
 */

static int wants(const struct fake *f)
{
    int n = 0;
    for (int i = 0; i < f->sents; i++) n += f->sent[i].head[2] == KIND_WANT;
    return n;
}

/* Before the caller's own loop sleeps, all that is posted was asked for. */
static void all_is_asked_before_a_sleep(void **state)
{
    enum { POSTED = 100 };
    struct fake *f = *state;
    struct sinew_request *req[POSTED];
    struct sinew_team *team = meet(f);
    int64_t timeout;
    say(f, &(struct words){ .rank = 1, .kind = KIND_STUCK, .tag = 1 });
    move(f);
    for (int i = 0; i < POSTED; i++)
        assert_int_equal(sinew_recv(team, NULL, 0, 1, i + 1, NULL, &req[i]), SINEW_PENDING);
    while (sinew_arm(f->s, &timeout) > 0) assert_true(sinew_progress(f->s) >= 0);
    assert_int_equal(wants(f), POSTED);
    end_link(f->link[0][1], SINEW_EPEER, GONE_DIED);
    assert_int_equal(sinew_wait_all(req, POSTED, NULL, SINEW_FOREVER), SINEW_EPEER);
    assert_int_equal(f->s->stuck_peers, 0);
}

/* What stood at the head of a queue is given up: what stands behind it may have the room to go. */
static void a_queue_goes_on_without_its_head(void **state)
{
    struct fake *f = *state;
    struct sinew_request *late, *small;
    struct sinew_team *team = meet(f), *view;
    struct sinew_view_options how = SINEW_VIEW_OPTIONS_INIT;
    how.deadline = 1000000;
    move(f);
    assert_int_equal(sinew_team_view(team, &how, &view), 0);
    for (int i = 0; i < 2; i++) assert_int_equal(sinew_send(team, lent, 8000, 1, 1, NULL), 0);
    assert_int_equal(sinew_send(view, lent, 8000, 1, 1, &late), SINEW_PENDING);
    assert_int_equal(sinew_send(team, lent, 8, 1, 2, &small), SINEW_PENDING);
    assert_int_equal(sinew_wait(&late), SINEW_ETIMEDOUT);
    assert_int_equal(sinew_wait_for(&small, 1000000), 0);
    assert_int_equal(sinew_team_free(&view), 0);
}

/* ---- the short way ------------------------------------------------------------------------------
 */

static void say_from_1(struct fake *f)
{
    if (f->comings && f->coming[f->comings - 1].link) return;
    f->comings = 0;
    say_eager(f, 1, 5, 0, 0);
}

/* Who talks over one transport alone still answers on the other. */
static void the_short_way_starves_nobody(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    move(f);
    struct transport *t = f->s->transport[1];
    f->link[1][2] = t->up->link(t, 2, EPOCH); /* comes up in this transport's progress */
    f->in_progress = say_from_1;
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(sinew_recv(team, NULL, 0, 1, 5, NULL, NULL), 0);
        for (; f->sents > 0; f->sents--) free(f->sent[f->sents - 1].body);
    }
    assert_true(f->up[1][2]);
    f->in_progress = NULL;
    move(f);
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

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_fake, close_fake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(bad_bytes_cost_their_own_link),
        CASE(answers_of_others_mean_nothing),
        CASE(a_refused_jump_that_was_none),
        CASE(a_stranger_in_a_team),
        CASE(a_blocking_receive_takes_the_first),
        CASE(a_peer_that_comes_first_is_not_called),
        CASE(a_long_message_where_transports_differ),
        CASE(who_leaves_is_gone_with_his_last_link),
        CASE(the_end_of_a_put_is_not_that_of_the_next),
        CASE(a_region_that_lingers_after_its_link),
        CASE(a_refused_send_says_why),
        CASE(who_left_unmet_has_left),
        CASE(a_buffer_that_cannot_be_registered),
        CASE(status_of_a_long_receive_that_fails),
        CASE(a_deadline_of_centuries),
        CASE(patience_among_the_busy),
        CASE(a_deadline_among_the_busy),
        CASE(patience_with_the_stuck),
        CASE(words_without_end),
        CASE(a_link_without_short_messages_leaves_the_window_whole),
        CASE(a_message_that_has_begun),
        CASE(a_message_that_we_have_begun),
        CASE(short_messages_meet_a_window),
        cmocka_unit_test(transports_know_at_open_whether_ranks_outnumber_the_cores),
        CASE(all_is_asked_before_a_sleep),
        CASE(a_queue_goes_on_without_its_head),
        CASE(the_short_way_starves_nobody),
    };
    return cmocka_run_group_tests_name("messaging-hostile", tests, NULL, NULL);
}
