/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a peer can do with the bytes that set links up. It costs its own links, and nobody else
 * notices. Rank 0 looks, rank 1 misbehaves; the second transport of the test is wired.
 */
#include "messaging_fake.h"

#include "messaging/wired.h"

struct tell {
    uint16_t seq;
    uint8_t what, transport;
    uint16_t attempt;
    const void *body;
    size_t len;
};

/* A tell from rank 1, whose sequence of messages does not count it. */
static void say_tell(struct fake *f, const struct tell *t)
{
    uint16_t seq = f->seq[1];
    f->seq[1] = t->seq;
    say(f, &(struct words){ .rank = 1,
                            .kind = KIND_TELL,
                            .team = (uint32_t)t->transport | (uint32_t)t->attempt << 8,
                            .tag = t->what,
                            .body = t->body,
                            .blen = t->len });
    f->seq[1] = seq;
}

/* transport 2 at an address of one byte */
static const uint8_t offer[] = { OFFER_VERSION, 2, 1, 9 };

static void offered(struct fake *f, uint16_t seq, const void *body, size_t len)
{
    say_tell(f, &(struct tell){ .seq = seq, .what = TELL_OFFER, .body = body, .len = len });
}

static void out_of_sequence(struct fake *f)
{
    offered(f, 1, offer, sizeof(offer));
}
static void twice_the_same_number(struct fake *f)
{
    offered(f, 0, offer, sizeof(offer));
    say_tell(f, &(struct tell){ .seq = 0, .what = TELL_NONE });
}
static void two_offers(struct fake *f)
{
    offered(f, 0, offer, sizeof(offer));
    offered(f, 1, offer, sizeof(offer));
}
static void empty_offer(struct fake *f)
{
    offered(f, 0, NULL, 0);
}
static void cut_offer(struct fake *f)
{
    offered(f, 0, offer, 3);
}
static void long_address(struct fake *f)
{
    static const uint8_t bytes[64] = { OFFER_VERSION, 2, TRANSPORT_ADDRESS_MAX + 1 };
    offered(f, 0, bytes, sizeof(bytes));
}
static void no_address(struct fake *f)
{
    static const uint8_t bytes[] = { OFFER_VERSION, 2, 0 };
    offered(f, 0, bytes, sizeof(bytes));
}
static void same_transport_twice(struct fake *f)
{
    static const uint8_t bytes[] = { OFFER_VERSION, 2, 1, 9, 2, 1, 9 };
    offered(f, 0, bytes, sizeof(bytes));
}
static void unknown_word(struct fake *f)
{
    say_tell(f, &(struct tell){ .what = TELL_LAST + 1 });
}
static void no_word(struct fake *f)
{
    say_tell(f, &(struct tell){ .what = 0 });
}
static void bytes_before_any_attempt(struct fake *f)
{
    say_tell(f, &(struct tell){ .what = TELL_BYTES, .transport = 2, .attempt = 1 });
}
static void none_from_who_does_not_lead(struct fake *f)
{
    say_tell(f, &(struct tell){ .what = TELL_NONE });
}

/* From here on the attempt is under way: rank 0 leads, and has begun it. */
static void begin(struct fake *f)
{
    offered(f, 0, offer, sizeof(offer));
    move(f);
    assert_non_null(f->link[1][1]);
}

static void of(struct fake *f, uint16_t seq, uint8_t what, uint16_t attempt, const void *body,
               size_t len)
{
    say_tell(f, &(struct tell){ seq, what, 2, attempt, body, len });
}

static void another_attempt(struct fake *f)
{
    begin(f);
    of(f, 1, TELL_BYTES, 2, "x", 1);
}
static void another_transport(struct fake *f)
{
    begin(f);
    say_tell(f, &(struct tell){ 1, TELL_BYTES, 1, 1, "x", 1 });
}
static void too_many_bytes(struct fake *f)
{
    static const uint8_t bytes[TRANSPORT_TELL_MAX + 1];
    begin(f);
    of(f, 1, TELL_BYTES, 1, bytes, sizeof(bytes));
}
static void too_many_tells(struct fake *f)
{
    begin(f);
    for (uint16_t i = 0; i <= TRANSPORT_TELLS_MAX; i++) of(f, (uint16_t)(1 + i), TELL_BYTES, 1, "x", 1);
}
static void cut_down(struct fake *f)
{
    begin(f);
    of(f, 1, TELL_DOWN, 1, "1234567", 7);
}
static void switch_without_link(struct fake *f)
{
    say(f, &(struct words){ .rank = 1, .kind = KIND_SWITCH, .tag = 0 });
}
static void switch_of_another_attempt(struct fake *f)
{
    begin(f);
    say(f, &(struct words){ .rank = 1, .kind = KIND_SWITCH, .tag = 2 });
}
static void switch_twice(struct fake *f)
{
    begin(f);
    say(f, &(struct words){ .rank = 1, .kind = KIND_SWITCH, .tag = 1 });
    say(f, &(struct words){ .rank = 1, .kind = KIND_SWITCH, .tag = 1 });
}
static void tell_over_the_data_link(struct fake *f)
{
    begin(f);
    say(f, &(struct words){ .rank = 1, .fake = 1, .kind = KIND_TELL, .tag = TELL_OFFER });
    say(f, &(struct words){ .rank = 1, .kind = KIND_SWITCH, .tag = 1 });
}
static void too_far_ahead(struct fake *f)
{
    begin(f);
    for (int i = 0; i <= AHEAD_MESSAGES; i++)
        say(f, &(struct words){ .rank = 1, .fake = 1, .kind = KIND_EAGER, .tag = 1 });
}
static void too_many_bytes_ahead(struct fake *f)
{
    begin(f);
    for (int i = 0; i < 5; i++)
        say(f,
            &(struct words){ .rank = 1, .fake = 1, .kind = KIND_EAGER, .tag = 1, .blen = 16384 });
}
static void on_the_link_it_has_left(struct fake *f)
{
    begin(f);
    say(f, &(struct words){ .rank = 1, .kind = KIND_SWITCH, .tag = 1 });
    say(f, &(struct words){ .rank = 1, .kind = KIND_EAGER, .tag = 1 });
}
static void more_than_was_sent(struct fake *f)
{
    uint8_t count[8];
    begin(f);
    wire_put64(count, UINT64_MAX);
    of(f, 1, TELL_DOWN, 1, count, 8);
}

static void bytes_that_set_links_up_cost_their_own_pair(void **state)
{
    static void (*const spoilers[])(struct fake * f) = {
        out_of_sequence,
        twice_the_same_number,
        two_offers,
        empty_offer,
        cut_offer,
        long_address,
        no_address,
        same_transport_twice,
        unknown_word,
        no_word,
        bytes_before_any_attempt,
        none_from_who_does_not_lead,
        another_attempt,
        another_transport,
        too_many_bytes,
        too_many_tells,
        cut_down,
        switch_without_link,
        switch_of_another_attempt,
        switch_twice,
        tell_over_the_data_link,
        too_far_ahead,
        too_many_bytes_ahead,
        on_the_link_it_has_left,
        more_than_was_sent,
    };
    close_fake(state);
    for (size_t i = 0; i < sizeof(spoilers) / sizeof(spoilers[0]); i++) {
        open_fake_wired(state);
        struct fake *f = *state;
        struct sinew_team *team = meet(f);
        struct sinew_request *req;
        char in[8];
        move(f);
        assert_int_equal(sinew_recv(team, in, 8, 1, 7, NULL, &req), SINEW_PENDING);
        spoilers[i](f);
        move(f);
        move(f);
        if (linked(f, 1)) fail_msg("the links survived number %zu", i);
        assert_int_equal(sinew_wait(&req), SINEW_EPEER);
        rank_2_is_well(f);
        assert_int_equal(close_fake(state), 0);
    }
    open_fake_wired(state);
}

/* Who leads may begin as many attempts as he likes, but must take the answers. */
static void attempts_without_end_cost_their_own_pair(void **state)
{
    struct fake *f = *state;
    static const uint8_t none_came[8];
    meet(f);
    move(f);
    f->s->rank = RANKS; /* so that rank 1 leads */
    offered(f, 0, offer, sizeof(offer));
    move(f);
    f->full = true;
    for (uint16_t i = 1; i <= 2 * TELLS_WAITING_MAX && linked(f, 1); i++) {
        of(f, i, TELL_DOWN, i, none_came, sizeof(none_came));
        move(f);
    }
    f->full = false;
    f->s->rank = 0;
    assert_false(linked(f, 1));
    rank_2_is_well(f);
}

/* What it keeps for a peer is bounded, and given back. */
static void parked_messages_come_in_their_order(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    char in[8];
    move(f);
    say_eager(f, 1, 5, 8, 0x10);
    begin(f);
    struct packet *last = say(f, &(struct words){ .rank = 1, .kind = KIND_SWITCH, .tag = 1 });
    struct packet switched = *last; /* it comes after what follows it */
    last->link = NULL;
    for (uint8_t i = 1; i < 9; i++)
        say(f, &(struct words){ .rank = 1,
                                .fake = 1,
                                .kind = KIND_EAGER,
                                .tag = 5,
                                .blen = 8,
                                .fill = (uint8_t)(0x10 + i) });
    move(f);
    assert_int_equal(f->s->peer[1]->wired->parked_count, 8);
    f->coming[f->comings++] = switched;
    move(f);
    assert_int_equal(f->s->peer[1]->wired->parked_count, 0);
    for (char i = 0; i < 9; i++) {
        assert_int_equal(sinew_recv(team, in, 8, 1, 5, NULL, NULL), 0);
        assert_int_equal(in[0], 0x10 + i);
    }
    assert_non_null(told(f, 1, KIND_TELL));
}

static void hand_back(struct fake *f)
{
    for (int i = 0; i < f->sents; i++) {
        const struct packet *p = &f->sent[i];
        if (p->link != f->link[1][1] || !p->link) continue;
        f->s->transport[0]->up->undone(p->link, p->head, p->hlen, p->body, p->blen);
    }
    f->in_progress = NULL;
}

static void give_room(struct fake *f)
{
    f->in_progress = NULL;
    f->s->transport[1]->up->room(f->link[0][1]);
}

/* The data link breaks as it is drained, and the control link is full: what was sent goes over it
 * when there is room again, and then it is drained as well. */
static void what_breaks_while_draining_is_drained(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    struct peer *p = f->s->peer[1];
    uint8_t came[8];
    move(f);
    begin(f);
    move(f);
    assert_ptr_equal(p->out, f->link[1][1]);
    wire_put64(came, p->messages_out);
    assert_int_equal(sinew_send(team, "last", 4, 1, 7, NULL), 0);
    f->s->closing = true;
    end_link(f->link[1][1], SINEW_EPEER, GONE_BROKEN);
    wireup_disconnect(p, DISCONNECT_DRAIN);
    f->full = true;
    f->in_progress = hand_back;
    move(f);
    of(f, 1, TELL_DOWN, 1, came, sizeof(came));
    move(f);
    assert_int_equal(f->s->counters.messages_resent, 0);
    assert_true(f->up[0][1]);
    f->full = false;
    f->in_progress = give_room;
    move(f);
    assert_int_equal(f->s->counters.messages_resent, 1);
    assert_false(linked(f, 1));
    f->s->closing = false;
}

/* A message was announced, and offered to be read, on a data link that has broken: on the next one
 * the offer is nothing that its device knows. The body is asked for. */
static void offers_end_with_their_link(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    static const uint8_t readable[] = { 2, 1, 2 };
    static char in[100000];
    uint8_t more[16], came[8];
    struct sinew_request *req;
    move(f);
    begin(f);
    f->s->transport[0]->caps.get = true;
    say(f, &(struct words){ .rank = 1, .kind = KIND_SWITCH, .tag = 1 });
    move(f);
    wire_put64(more, 3);
    wire_put64(more + 8, sizeof(in));
    say(f, &(struct words){ .rank = 1, .fake = 1, .kind = KIND_RTS, .tag = 9, .more = more,
                            .more_len = 16, .body = readable, .blen = sizeof(readable) });
    move(f);
    end_link(f->link[1][1], SINEW_EPEER, GONE_BROKEN);
    move(f);
    wire_put64(came, f->s->peer[1]->messages_out);
    of(f, 1, TELL_DOWN, 1, came, sizeof(came));
    move(f);
    assert_non_null(f->link[1][1]); /* the next attempt */
    say(f, &(struct words){ .rank = 1, .kind = KIND_SWITCH, .tag = 2 });
    move(f);
    assert_true(f->s->peer[1]->wired->taking);
    f->put_pending = true;
    assert_int_equal(sinew_recv(team, in, sizeof(in), 1, 9, NULL, &req), SINEW_PENDING);
    assert_null(f->rma);
    move(f);
    end_link(f->link[0][1], 0, GONE_DIED);
    assert_int_equal(sinew_wait(&req), SINEW_EPEER);
}

/* A long message was lent along with its announcement and is refused; but its memory is not back
 * when the link goes. */
static void a_loan_outlives_its_link(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    static const char lent[100000];
    struct sinew_request *req;
    move(f);
    begin(f);
    move(f);
    f->s->transport[0]->caps.get = f->s->transport[0]->caps.offers = true;
    assert_ptr_equal(f->s->peer[1]->out, f->link[1][1]);
    assert_int_equal(sinew_send(team, lent, sizeof(lent), 1, 9, &req), SINEW_PENDING);
    const struct packet *rts = told(f, 1, KIND_RTS);
    assert_ptr_equal(rts->link, f->link[1][1]);
    f->dereg_again = true;
    say(f, &(struct words){ .rank = 1, .kind = KIND_SWITCH, .tag = 1 });
    struct packet *nack =
        say_nack(f, 1, wire_get64(rts->head + rts->hlen - 16), NACK_ANNOUNCEMENT, SINEW_ESTATE);
    nack->link = f->link[1][1];
    move(f);
    assert_false(list_empty(&f->s->revoking));
    end_link(f->link[1][1], SINEW_EPEER, GONE_BROKEN);
    for (int i = 0; i < 4; i++) move(f);
    assert_int_equal(sinew_test(&req), SINEW_PENDING);
    f->dereg_again = false;
    assert_int_equal(sinew_wait(&req), SINEW_ESTATE);
    end_link(f->link[0][1], 0, GONE_DIED);
    move(f);
}

/* Its bytes would go past TLS: it is left out, is offered to nobody, and who asks hears why. */
static void what_cannot_encrypt_is_left_out(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    char text[2048];
    move(f);
    assert_int_equal(f->s->transports, 1);
    assert_false(f->s->transport[0]->caps.wired);
    offered(f, 0, offer, sizeof(offer));
    move(f);
    assert_null(f->link[1][1]);
    assert_int_equal(sinew_explain(team, 1, 8, text, sizeof(text), NULL), 0);
    if (!strstr(text, "fake2: rejected, it cannot encrypt, and security is encrypt")) fail_msg("%s", text);
    rank_2_is_well(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_that_set_links_up_cost_their_own_pair,
                                        open_fake_wired, close_fake),
        cmocka_unit_test_setup_teardown(attempts_without_end_cost_their_own_pair, open_fake_wired,
                                        close_fake),
        cmocka_unit_test_setup_teardown(parked_messages_come_in_their_order, open_fake_wired,
                                        close_fake),
        cmocka_unit_test_setup_teardown(what_breaks_while_draining_is_drained, open_fake_wired,
                                        close_fake),
        cmocka_unit_test_setup_teardown(offers_end_with_their_link, open_fake_wired, close_fake),
        cmocka_unit_test_setup_teardown(a_loan_outlives_its_link, open_fake_wired, close_fake),
        cmocka_unit_test_setup_teardown(what_cannot_encrypt_is_left_out, open_fake_wired_encrypted,
                                        close_fake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
