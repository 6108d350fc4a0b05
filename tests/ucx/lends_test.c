/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lends_test.c - long messages lent with their announcement: read whole, taken back, or lost with
 * their link; their memory comes back once, whatever UCX says
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/ends.h"
#include "tests/ucx/fake_ucx.h"
#include "transport/framed/framed.h"
#include "transport/ucx/ucx.h"

enum { LONG = 200000, RANK = 3, SOME = 20, MANY = FRAMED_LENTS + 20 };
static uint8_t from[LONG], to[SOME][LONG];

static int fresh(void **state)
{
    (void)state;
    fake_reset();
    ends_fresh(from, sizeof(from), to, sizeof(to));
    return 0;
}

/* One long message of end 0's: what it lends, and end 1's view of it. */
struct loan {
    struct region mine, theirs;
    struct rma op;
};

static int lend(struct end e[2], struct loan *loan, int number)
{
    struct link *l = e[0].link[RANK].link;
    loan->mine = (struct region){ .base = from, .len = LONG, .reader = l };
    if (transport_ucx.reg(e[0].t, NULL, &loan->mine) < 0) return SINEW_ENOMEM;
    int status = transport_ucx.send(l, &number, sizeof(number), NULL, 0, &loan->mine, 0);
    if (status != 0) transport_ucx.dereg(e[0].t, &loan->mine);
    return status;
}

static int look_at(struct end e[2], struct loan *loan)
{
    loan->theirs = (struct region){ .len = LONG, .key_len = loan->mine.key_len };
    memcpy(loan->theirs.key, loan->mine.key, loan->mine.key_len);
    return transport_ucx.reg(e[1].t, e[1].link[RANK].link, &loan->theirs);
}

static int read_it(struct end e[2], struct loan *loan, int i, size_t len)
{
    loan->op =
        (struct rma){ .kind = RMA_GET, .local = to[i], .len = len, .peers = &loan->theirs };
    return transport_ucx.rma(e[1].link[RANK].link, &loan->op);
}

static bool is_back(struct end e[2], struct loan *loan)
{
    return transport_ucx.dereg(e[0].t, &loan->mine) == 0;
}

/* Its link is down: nobody is to be told. */
static bool comes_back(struct end e[2], struct loan *loan)
{
    loan->mine.reader = NULL;
    return is_back(e, loan);
}

static void are_read_whole_among_messages_that_overtake(void **state)
{
    struct end e[2];
    struct loan loan[SOME];
    (void)state;
    fake_knobs.disorder = 5;
    ends_open(e);
    ends_connect(e, RANK);
    for (int i = 0; i < SOME; i++) {
        assert_int_equal(lend(e, &loan[i], 2 * i), 0);
        assert_int_equal(end_send(&e[0], RANK, 2 * i + 1, 100), 0);
    }
    ENDS_UNTIL(e, e[1].link[RANK].received == 2 * SOME);
    for (int i = SOME - 1; i >= 0; i--) {
        assert_int_equal(look_at(e, &loan[i]), 0);
        assert_int_equal(read_it(e, &loan[i], i, LONG), TRANSPORT_PENDING);
    }
    ENDS_UNTIL(e, e[1].link[RANK].dones == SOME);
    for (int i = 0; i < SOME; i++) {
        assert_memory_equal(from, to[i], LONG);
        ENDS_UNTIL(e, is_back(e, &loan[i]));
        assert_int_equal(look_at(e, &loan[i]), SINEW_ENOTSUP); /* once */
    }
    assert_int_equal(fake_stats().fetches, SOME);
    ends_close(e);
}

static struct end *reads_at_once;
static struct loan *at_once;

static int recv_and_read(struct link *l, const void *head, size_t hlen, const void *body,
                         size_t blen, struct lease *lease)
{
    (void)l, (void)head, (void)hlen, (void)body, (void)blen, (void)lease;
    assert_int_equal(look_at(reads_at_once, at_once), 0);
    assert_int_equal(read_it(reads_at_once, at_once, 0, LONG), TRANSPORT_PENDING);
    return 0;
}

/* As it is announced, which may be over before that returns. */
static void are_read_as_they_come(void **state)
{
    (void)state;
    for (int prompt = 0; prompt < 2; prompt++) {
        struct end e[2];
        struct loan loan;
        fresh(NULL);
        fake_knobs.prompt = prompt;
        ends_open(e);
        reads_at_once = e;
        at_once = &loan;
        e[1].up.recv = recv_and_read;
        ends_connect(e, RANK);
        assert_int_equal(lend(e, &loan, 0), 0);
        ENDS_UNTIL(e, e[1].link[RANK].dones == 1);
        assert_int_equal(e[1].link[RANK].done_status, 0);
        assert_memory_equal(from, to[0], LONG);
        ENDS_UNTIL(e, is_back(e, &loan));
        ends_close(e);
    }
}

/* Not before the other end has let go; and then it is not to be had. */
static void are_taken_back(void **state)
{
    (void)state;
    for (int seen = 0; seen < 2; seen++) {
        struct end e[2];
        struct loan loan;
        fresh(NULL);
        ends_open(e);
        ends_connect(e, RANK);
        assert_int_equal(lend(e, &loan, 0), 0);
        if (seen) ENDS_UNTIL(e, e[1].link[RANK].received == 1);
        for (int i = 0; i < 20; i++) {
            assert_false(is_back(e, &loan));
            end_turn(&e[0]); /* of the owner's alone nothing comes */
        }
        ENDS_UNTIL(e, is_back(e, &loan));
        assert_int_equal(e[1].link[RANK].received, 1);
        assert_int_equal(look_at(e, &loan), SINEW_ENOTSUP);
        assert_int_equal(end_send(&e[0], RANK, 1, 10), 0);
        ENDS_UNTIL(e, e[1].link[RANK].received == 2);
        ends_close(e);
    }
}

static void a_part_is_not_to_be_had(void **state)
{
    struct end e[2];
    struct loan loan;
    (void)state;
    ends_open(e);
    ends_connect(e, RANK);
    assert_int_equal(lend(e, &loan, 0), 0);
    ENDS_UNTIL(e, e[1].link[RANK].received == 1);
    assert_int_equal(look_at(e, &loan), 0);
    assert_int_equal(read_it(e, &loan, 0, LONG - 1), SINEW_EACCESS);
    assert_int_equal(read_it(e, &loan, 0, LONG), TRANSPORT_PENDING);
    ENDS_UNTIL(e, e[1].link[RANK].dones == 1 && is_back(e, &loan));
    ends_close(e);
}

/* What there is no room to remember comes back by itself. */
static void too_many_come_back(void **state)
{
    static struct loan loan[MANY];
    struct end e[2];
    int back = 0;
    (void)state;
    ends_open(e);
    ends_connect(e, RANK);
    for (int i = 0; i < MANY; i++) ENDS_UNTIL(e, lend(e, &loan[i], i) == 0);
    ENDS_UNTIL(e, e[1].link[RANK].received == MANY);
    ends_settle(e);
    for (int i = 0; i < MANY; i++) back += look_at(e, &loan[i]) < 0;
    assert_int_equal(back, MANY - FRAMED_LENTS);
    for (int i = 0; i < MANY; i++) ENDS_UNTIL(e, is_back(e, &loan[i]));
    ends_close(e);
}

static void a_read_fails_with_every_status(void **state)
{
    static const ucs_status_t every[] = { UCS_ERR_IO_ERROR, UCS_ERR_NO_MEMORY, UCS_ERR_CANCELED,
                                          UCS_ERR_CONNECTION_RESET, UCS_ERR_ENDPOINT_TIMEOUT,
                                          UCS_ERR_MESSAGE_TRUNCATED, (ucs_status_t)-99 };
    (void)state;
    for (size_t s = 0; s < sizeof(every) / sizeof(every[0]); s++) {
        struct end e[2];
        struct loan loan;
        fresh(NULL);
        ends_open(e);
        ends_connect(e, RANK);
        assert_int_equal(lend(e, &loan, 0), 0);
        ENDS_UNTIL(e, e[1].link[RANK].received == 1);
        assert_int_equal(look_at(e, &loan), 0);
        fake_knobs.fetch_fails = 1;
        fake_knobs.status = every[s];
        assert_int_equal(read_it(e, &loan, 0, LONG), TRANSPORT_PENDING);
        ENDS_UNTIL(e, e[1].link[RANK].downs);
        assert_int_equal(e[1].link[RANK].dones, 1);
        assert_true(e[1].link[RANK].done_status < 0);
        if (e[0].link[RANK].link) transport_ucx.disconnect(e[0].link[RANK].link, DISCONNECT_BROKEN);
        ENDS_UNTIL(e, e[0].link[RANK].downs && comes_back(e, &loan));
        ends_close(e);
    }
}

/* By either end, while it is read or before, and where UCX lets go of nothing. */
static void a_link_ends_under_a_loan(void **state)
{
    (void)state;
    for (int which = 0; which < 8; which++) {
        struct end e[2];
        struct loan loan;
        int first = which & 1;
        fresh(NULL);
        ends_open(e);
        ends_connect(e, RANK);
        assert_int_equal(lend(e, &loan, 0), 0);
        ENDS_UNTIL(e, e[1].link[RANK].received == 1);
        assert_int_equal(look_at(e, &loan), 0);
        if (which & 4) assert_int_equal(read_it(e, &loan, 0, LONG), TRANSPORT_PENDING);
        fake_knobs.stuck = fake_knobs.held = which & 2;
        transport_ucx.disconnect(e[first].link[RANK].link, DISCONNECT_BROKEN);
        transport_ucx.disconnect(e[1 - first].link[RANK].link, DISCONNECT_BROKEN);
        ends_settle(e);
        ends_skipped_ns += 3000000000; /* what never ends is waited for no longer */
        ENDS_UNTIL(e, e[0].link[RANK].downs && e[1].link[RANK].downs);
        assert_int_equal(e[1].link[RANK].dones, which & 4 ? 1 : 0);
        ENDS_UNTIL(e, comes_back(e, &loan));
        ends_close(e);
    }
}

/* What breaks before the other end has it is handed back as it was sent. */
static void a_loan_is_handed_back(void **state)
{
    struct end e[2];
    struct loan loan;
    (void)state;
    ends_open(e);
    ends_connect(e, RANK);
    fake_knobs.held = true;
    assert_int_equal(lend(e, &loan, 0), 0);
    assert_int_equal(end_send(&e[0], RANK, 1, 300), 0);
    transport_ucx.disconnect(e[0].link[RANK].link, DISCONNECT_BROKEN);
    ENDS_UNTIL(e, e[0].link[RANK].downs);
    assert_int_equal(e[0].link[RANK].undone, 2);
    ENDS_UNTIL(e, comes_back(e, &loan));
    fake_knobs.held = false;
    ends_close(e);
}

/* A small life with loans; false: something of it failed, as it may. */
static bool live(struct end e[2])
{
    struct loan loan[4];
    int lent = 0;
    bool good;
    ends_prepare(e);
    for (int i = 0; i < 2; i++)
        if (end_open(&e[i], NULL) < 0) e[i].t = NULL;
    good = e[0].t && e[1].t && end_connect(&e[0], RANK) == 0 && end_connect(&e[1], RANK) == 0;
    for (int i = 0; good && i < 60; i++) {
        ends_turn(e);
        good = e[0].link[RANK].downs + e[1].link[RANK].downs == 0;
        if (good && lent < 4 && e[0].link[RANK].ups) lent += lend(e, &loan[lent], lent) == 0;
    }
    for (int i = 0; good && i < e[1].link[RANK].received; i++)
        if (i != 2 && look_at(e, &loan[i]) == 0) read_it(e, &loan[i], i, LONG);
    for (int i = 0; good && i < 60; i++) ends_turn(e);
    for (int i = 0; i < lent; i++) {
        if (e[0].link[RANK].downs) loan[i].mine.reader = NULL;
        for (int turn = 0; turn < 200 && !is_back(e, &loan[i]); turn++) {
            ends_turn(e);
            if (e[0].link[RANK].downs) loan[i].mine.reader = NULL;
        }
    }
    good = good && lent == 4 && memcmp(from, to[3], LONG) == 0;
    for (int i = 0; i < 2; i++)
        if (e[i].t) end_close(&e[i]);
    return good;
}

static void nth_call_fails(void **state)
{
    struct end e[2];
    int n = 1, failures = 0;
    (void)state;
    for (;; n++) {
        fresh(NULL);
        fake_knobs.fail_at = n;
        failures += !live(e);
        ends_of.check();
        if (fake_knobs.fail_at > 0) break; /* fewer calls than that */
    }
    assert_true(n > 40 && failures > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(are_read_whole_among_messages_that_overtake, fresh),
        cmocka_unit_test_setup(are_read_as_they_come, fresh),
        cmocka_unit_test_setup(are_taken_back, fresh),
        cmocka_unit_test_setup(a_part_is_not_to_be_had, fresh),
        cmocka_unit_test_setup(too_many_come_back, fresh),
        cmocka_unit_test_setup(a_read_fails_with_every_status, fresh),
        cmocka_unit_test_setup(a_link_ends_under_a_loan, fresh),
        cmocka_unit_test_setup(a_loan_is_handed_back, fresh),
        cmocka_unit_test_setup(nth_call_fails, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
