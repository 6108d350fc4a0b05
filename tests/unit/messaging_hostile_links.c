/* SPDX-License-Identifier: BSD-3-Clause */
/* messaging_hostile_links.c - links that come and go */
#include "tests/unit/messaging_hostile.h"

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

/* Ranks 1 and 2 are asked by both transports in vain; the launcher knows of one that it has
 * left. */
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

int hostile_links(void)
{
    const struct CMUnitTest cases[] = {
        CASE(a_peer_that_comes_first_is_not_called),
        CASE(who_leaves_is_gone_with_his_last_link),
        CASE(a_region_that_lingers_after_its_link),
        CASE(a_refused_send_says_why),
        CASE(who_left_unmet_has_left),
    };
    return cmocka_run_group_tests_name("links", cases, NULL, NULL);
}
