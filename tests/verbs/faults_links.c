/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * faults_links.c - a link that is up, or about to be: every completion status, every event, what
 * rxe is known to do, silence, and nonsense
 */
#include <errno.h>
#include <poll.h>

#include "tests/verbs/faults.h"

/* ---- completions ----------------------------------------------------------------------------- */

static const enum ibv_wc_status every_status[] = {
    IBV_WC_LOC_LEN_ERR,       IBV_WC_LOC_QP_OP_ERR,     IBV_WC_LOC_EEC_OP_ERR,
    IBV_WC_LOC_PROT_ERR,      IBV_WC_WR_FLUSH_ERR,      IBV_WC_MW_BIND_ERR,
    IBV_WC_BAD_RESP_ERR,      IBV_WC_LOC_ACCESS_ERR,    IBV_WC_REM_INV_REQ_ERR,
    IBV_WC_REM_ACCESS_ERR,    IBV_WC_REM_OP_ERR,        IBV_WC_RETRY_EXC_ERR,
    IBV_WC_RNR_RETRY_EXC_ERR, IBV_WC_LOC_RDD_VIOL_ERR,  IBV_WC_REM_INV_RD_REQ_ERR,
    IBV_WC_REM_ABORT_ERR,     IBV_WC_INV_EECN_ERR,      IBV_WC_INV_EEC_STATE_ERR,
    IBV_WC_FATAL_ERR,         IBV_WC_RESP_TIMEOUT_ERR,  IBV_WC_GENERAL_ERR,
    (enum ibv_wc_status)77,
};
enum { STATUSES = sizeof(every_status) / sizeof(every_status[0]) };

/* The third of five messages fails: it and what follows comes back, the rest has arrived. */
static void every_completion_status(void **state)
{
    (void)state;
    for (int s = 0; s < STATUSES; s++) {
        struct end e[2];
        fake_reset();
        ends_open(e);
        ends_connect(e, 3);
        fake_hold(true);
        fake_knobs.send_status = every_status[s];
        fake_knobs.send_fails = 3;
        for (int i = 0; i < 5; i++) assert_int_equal(end_send(&e[0], 3, i, 50), 0);
        fake_hold(false);
        ENDS_UNTIL(e, e[0].link[3].downs);
        struct end_link *l = &e[0].link[3];
        assert_true(l->status < 0);
        assert_int_equal(l->gone, GONE_BROKEN);
        assert_int_equal(l->undone, 3);
        assert_int_equal(l->undone_first, 2);
        assert_int_equal(e[1].link[3].received, 2);
        contains(l->why, "rank 3 on fake0 port 1: ");
        contains(l->why, "3 messages and 0 other operations were not confirmed");
        if (every_status[s] == IBV_WC_RETRY_EXC_ERR) contains(l->why, "RETRY_EXC_ERR, 12");
        transport_verbs.disconnect(e[1].link[3].link, DISCONNECT_BROKEN);
        ENDS_UNTIL(e, e[1].link[3].downs);
        assert_int_equal(e[1].link[3].undone, 0);
        ends_close(e);
    }
}

static void a_receive_fails(void **state)
{
    struct end e[2];
    (void)state;
    for (int flush = 0; flush < 2; flush++)
        for (int shared = 0; shared < 2; shared++) {
            fake_reset();
            fake_knobs.no_flush = !flush;
            ends_prepare(e);
            e[0].config.verbs_srq = e[1].config.verbs_srq = shared;
            assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
            ends_connect(e, 1);
            fake_knobs.receive_status = IBV_WC_LOC_PROT_ERR;
            assert_int_equal(end_send(&e[0], 1, 0, 10), 0);
            ENDS_UNTIL(e, e[0].link[1].downs && e[1].link[1].downs);
            contains(e[1].link[1].why, "LOC_PROT_ERR");
            contains(e[0].link[1].why, "REM_OP_ERR");
            assert_int_equal(e[0].link[1].undone, 1);
            ends_connect(e, 1); /* and the transport is as good as ever */
            for (int i = 0; i < 100; i++) {
                WHILE (end_send(&e[0], 1, i, 3000) == TRANSPORT_AGAIN) ends_turn(e);
            }
            ENDS_UNTIL(e, e[1].link[1].received == 100);
            ends_close(e);
        }
}

static void a_post_is_refused(void **state)
{
    struct end e[2];
    (void)state;
    ends_open(e);
    ends_connect(e, 0);
    assert_int_equal(end_send(&e[0], 0, 0, 8), 0);
    fake_knobs.post_error = ENOMEM;
    assert_true(end_send(&e[0], 0, 1, 8) < 0); /* not taken, so not handed back */
    fake_knobs.post_error = 0;
    ENDS_UNTIL(e, e[0].link[0].downs);
    contains(e[0].link[0].why, "ibv_post_send");
    assert_true(e[0].link[0].undone <= 1);
    assert_true(e[0].link[0].undone == 0 || e[0].link[0].undone_first == 0);
    ends_close(e);
}

/* A completion queue that can be read no more: links end all the same, and what was sent goes
 * back. */
static void a_queue_that_cannot_be_read_ends_its_links(void **state)
{
    struct end e[2];
    (void)state;
    ends_open(e);
    ends_connect(e, 0);
    fake_hold(true);
    assert_int_equal(end_send(&e[0], 0, 0, 100), 0);
    fake_knobs.poll_fails = true;
    ENDS_UNTIL(e, e[0].link[0].downs && e[1].link[0].downs);
    assert_int_equal(e[0].link[0].undone, 1);
    contains(e[0].link[0].why, "cannot be read");
    fake_knobs.poll_fails = false;
    fake_hold(false);
    ends_close(e);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void turns_with_events(struct end e[2])
{
    /* They are looked for after sleeping. */
    for (int i = 0; i < 2; i++) (void)transport_verbs.arm(e[i].t);
    ends_settle(e);
}

static void every_event(void **state)
{
    static const struct {
        enum ibv_event_type type;
        const char *words; /* NULL: nothing happens to links */
    } events[] = {
        { IBV_EVENT_CQ_ERR, "completion queue" },
        { IBV_EVENT_QP_FATAL, "queue pair failed" },
        { IBV_EVENT_QP_REQ_ERR, "invalid" },
        { IBV_EVENT_QP_ACCESS_ERR, "memory" },
        { IBV_EVENT_PATH_MIG_ERR, "path" },
        { IBV_EVENT_SRQ_ERR, "shared receive queue" },
        { IBV_EVENT_DEVICE_FATAL, "device failed" },
        { IBV_EVENT_COMM_EST, NULL },
        { IBV_EVENT_SQ_DRAINED, NULL },
        { IBV_EVENT_PATH_MIG, NULL },
        { IBV_EVENT_PORT_ACTIVE, NULL },
        { IBV_EVENT_PORT_ERR, NULL },
        { IBV_EVENT_LID_CHANGE, NULL },
        { IBV_EVENT_PKEY_CHANGE, NULL },
        { IBV_EVENT_SM_CHANGE, NULL },
        { IBV_EVENT_SRQ_LIMIT_REACHED, NULL },
        { IBV_EVENT_QP_LAST_WQE_REACHED, NULL },
        { IBV_EVENT_CLIENT_REREGISTER, NULL },
        { IBV_EVENT_GID_CHANGE, NULL },
        { IBV_EVENT_WQ_FATAL, NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        struct end e[2];
        fake_reset();
        ends_open(e);
        e[0].log.level = e[1].log.level = 0;
        ends_connect(e, 2);
        fake_event(events[i].type, false);
        turns_with_events(e);
        int downs = e[0].link[2].downs + e[1].link[2].downs;
        if (events[i].words) {
            const char *why = e[0].link[2].downs ? e[0].link[2].why : e[1].link[2].why;
            assert_true(downs > 0);
            contains(why, events[i].words);
            contains(why, "rank 2 on fake0");
        } else {
            assert_int_equal(downs, 0);
            assert_int_equal(end_send(&e[0], 2, 0, 8), 0);
            ENDS_UNTIL(e, e[1].link[2].received == 1);
        }
        ends_close(e);
    }
}

static void a_port_goes_down_and_up(void **state)
{
    struct end e[2];
    struct why why;
    (void)state;
    ends_open(e);
    e[0].log.level = e[1].log.level = 0;
    fake_knobs.event_port = 2; /* which is not ours */
    fake_event(IBV_EVENT_PORT_ERR, false);
    turns_with_events(e);
    assert_true(transport_verbs.reach(e[0].t, e[1].t->address, e[1].t->address_len, &why) > 0);
    fake_knobs.event_port = 1;
    fake_event(IBV_EVENT_PORT_ERR, false);
    turns_with_events(e);
    assert_int_equal(end_connect(&e[0], 0), SINEW_EUNREACHABLE);
    contains(e[0].link[0].why, "port 1 of fake0 is down");
    assert_true(transport_verbs.reach(e[0].t, e[1].t->address, e[1].t->address_len, &why) < 0);
    fake_event(IBV_EVENT_PORT_ACTIVE, false);
    turns_with_events(e);
    ends_connect(e, 0);
    ends_close(e);
}

static void a_failed_device_refuses_links(void **state)
{
    struct end e[2];
    (void)state;
    ends_open(e);
    fake_event(IBV_EVENT_DEVICE_FATAL, false);
    turns_with_events(e);
    assert_int_equal(end_connect(&e[0], 0), SINEW_EIO);
    contains(e[0].link[0].why, "the device failed");
    ends_close(e);
}

/* ---- what rxe is known to do ----------------------------------------------------------------- */

static void receives_that_complete_often(void **state)
{
    struct end e[2];
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        fake_reset();
        ends_prepare(e);
        e[0].config.verbs_srq = e[1].config.verbs_srq = shared;
        assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
        ends_connect(e, 0);
        fake_knobs.duplicates = 20;
        for (int i = 0; i < 500; i++)
            WHILE (end_send(&e[0], 0, i, 20) == TRANSPORT_AGAIN) ends_turn(e);
        ENDS_UNTIL(e, e[1].link[0].received == 500);
        assert_int_equal(fake_stats().not_ready, 0);
        ends_close(e);
    }
}

static void silence_ends_by_the_retries(void **state)
{
    struct end e[2];
    (void)state;
    fake_knobs.no_flush = true;
    ends_open(e);
    ends_connect(e, 4);
    transport_verbs.disconnect(e[1].link[4].link, DISCONNECT_NOW); /* as a killed process would */
    ENDS_UNTIL(e, e[1].link[4].downs);
    assert_int_equal(e[1].link[4].status, SINEW_ECANCELED);
    assert_int_equal(end_send(&e[0], 4, 0, 8), 0);
    ENDS_UNTIL(e, e[0].link[4].downs);
    assert_int_equal(e[0].link[4].status, SINEW_EPEER);
    assert_int_equal(e[0].link[4].undone, 1);
    contains(e[0].link[4].why, "did not acknowledge");
    ends_close(e);
}

static void a_counterpart_that_goes_silent_times_out(void **state)
{
    struct end e[2];
    (void)state;
    ends_prepare(e);
    e[0].config.setup_deadline = 20000000;
    assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
    assert_int_equal(end_connect(&e[0], 0) | end_connect(&e[1], 0), 0);
    e[1].deaf = true; /* hears no offer, so will never be ready */
    int64_t until = world_now(&world_real) + 5000000000;
    while (!e[0].link[0].downs && world_now(&world_real) < until) {
        struct pollfd fd = { e[0].t->fd, POLLIN, 0 };
        ends_turn(e);
        if (e[0].link[0].link && transport_verbs.arm(e[0].t) == 0) poll(&fd, 1, 1000);
    }
    assert_int_equal(e[0].link[0].downs, 1);
    assert_int_equal(e[0].link[0].status, SINEW_ETIMEDOUT);
    contains(e[0].link[0].why, "setup_deadline");
    ends_close(e);
}

static void nonsense_is_told(void **state)
{
    (void)state;
    for (int i = 0; i < 400; i++) {
        struct end e[2];
        uint8_t bytes[96];
        fake_reset();
        ends_open(e);
        e[0].deaf = true;
        assert_int_equal(end_connect(&e[0], 0), 0);
        world_real.random(world_real.arg, bytes, sizeof(bytes));
        bytes[0] = i % 4 ? 1 : bytes[0];
        bytes[1] = i % 3 ? 1 + bytes[1] % 2 : bytes[1];
        size_t len = i % 2 ? 72 : bytes[95] % 90;
        assert_int_equal(transport_verbs.connect(e[0].link[0].link, bytes, len), 0);
        ends_settle(e);
        ends_close(e);
    }
}

int faults_of_links(void)
{
    const struct CMUnitTest cases[] = {
        FAULT(every_completion_status),
        FAULT(a_receive_fails),
        FAULT(a_post_is_refused),
        FAULT(a_queue_that_cannot_be_read_ends_its_links),
        FAULT(every_event),
        FAULT(a_port_goes_down_and_up),
        FAULT(a_failed_device_refuses_links),
        FAULT(receives_that_complete_often),
        FAULT(silence_ends_by_the_retries),
        FAULT(a_counterpart_that_goes_silent_times_out),
        FAULT(nonsense_is_told),
    };
    return cmocka_run_group_tests_name("links", cases, NULL, NULL);
}
