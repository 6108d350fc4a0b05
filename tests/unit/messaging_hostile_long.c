/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * messaging_hostile_long.c - long messages: announced, begun, read or written, and ended by whoever
 * may
 */
#include "tests/unit/messaging_hostile.h"

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

/* What a collective does when a part of it is done: it begins the next, here to read what is
 * there. */
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

/* The end of a put makes room for a receive, which begins to read: that the put is done does not
 * end it. */
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

/* As the sender: it goes on behind what has gone, or not at all if that was all there is room
 * for. */
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

int hostile_long(void)
{
    const struct CMUnitTest cases[] = {
        CASE(a_long_message_where_transports_differ),
        CASE(the_end_of_a_put_is_not_that_of_the_next),
        CASE(a_message_that_has_begun),
        CASE(a_message_that_we_have_begun),
        CASE(a_buffer_that_cannot_be_registered),
        CASE(status_of_a_long_receive_that_fails),
    };
    return cmocka_run_group_tests_name("long messages", cases, NULL, NULL);
}
