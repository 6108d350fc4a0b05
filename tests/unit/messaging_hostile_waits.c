/* SPDX-License-Identifier: BSD-3-Clause */
/* messaging_hostile_waits.c - deadlines and patience among the busy, and queues that are stuck */
#include "tests/support/bounded.h"
#include "tests/unit/messaging_hostile.h"

/* ---- patience -------------------------------------------------------------------------------- */

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

/* Nor does it wait for one that has to be asked again each time: the rare matters have no end
 * here. */
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

/* ---- stuck queues ---------------------------------------------------------------------------- */

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
    WHILE (sinew_arm(f->s, &timeout) > 0) assert_true(sinew_progress(f->s) >= 0);
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

/* ---- operations ------------------------------------------------------------------------------ */

static struct sinew_request *under_way;

static int operation_begins(void *state, struct sinew_request *request)
{
    (void)state;
    under_way = request;
    return SINEW_PENDING;
}

static void operation_gone(void *state)
{
    (void)state;
    under_way = NULL;
}

static void operation_ends_late(struct fake *f)
{
    f->now += 1000;
    if (f->now > 1000000 && under_way) operation_end(under_way, 0);
}

/* Whoever waits for an operation of two ranks looks at the other's link; of more, at all
 * links alike. */
static void an_operation_of_two_waits_for_the_other(void **state)
{
    static const struct operation_ops ops = { .start = operation_begins,
                                              .release = operation_gone };
    static const int two[] = { 2, 0 };
    struct fake *f = *state;
    struct sinew_request *req;
    struct sinew_team *pair, *world = meet(f);
    move(f);
    assert_int_equal(team_make(world, team_next_id(world), two, 2, &pair), 0);
    for (int i = 0; i < 2; i++) {
        f->hinted = NULL;
        f->now = 0;
        assert_int_equal(operation_run(i ? pair : world, &ops, f, &req), SINEW_PENDING);
        f->in_progress = operation_ends_late;
        assert_int_equal(sinew_wait(&req), 0);
        f->in_progress = NULL;
        assert_ptr_equal(f->hinted, i ? f->s->peer[2]->out : NULL);
    }
    assert_int_equal(sinew_team_free(&pair), 0);
}

int hostile_waits(void)
{
    const struct CMUnitTest cases[] = {
        CASE(an_operation_of_two_waits_for_the_other),
        CASE(a_deadline_of_centuries),
        CASE(patience_among_the_busy),
        CASE(a_deadline_among_the_busy),
        CASE(patience_with_the_stuck),
        CASE(all_is_asked_before_a_sleep),
        CASE(a_queue_goes_on_without_its_head),
        CASE(the_short_way_starves_nobody),
    };
    return cmocka_run_group_tests_name("waits", cases, NULL, NULL);
}
