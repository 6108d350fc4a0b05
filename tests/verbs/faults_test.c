/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * faults_test.c - whatever the device says no to, or fails at, ends in words and leaves nothing
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/ends.h"
#include "tests/verbs/fake_verbs.h"
#include "transport/verbs/verbs.h"

static void nothing_is_left(void)
{
    struct fake_stats stats = fake_stats();
    assert_int_equal(stats.objects, 0);
    assert_int_equal(stats.overruns, 0);
    assert_int_equal(stats.misuses, 0);
}

const struct ends_of ends_of = { &transport_verbs, &fake_knobs.fail_at, nothing_is_left };

static int fresh(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

static void contains(const char *text, const char *words)
{
    if (!strstr(text, words)) fail_msg("\"%s\" does not say \"%s\"", text, words);
}

/* ---- what open() answers --------------------------------------------------------------------- */

static void refused(struct end e[2], int status, const char *words)
{
    struct why why;
    assert_int_equal(end_open(&e[0], &why), status);
    contains(why.text, words);
    assert_int_equal(fake_stats().objects, 0);
}

static void no_device(void **state)
{
    struct end e[2];
    (void)state;
    ends_prepare(e);
    fake_knobs.devices = 0;
    refused(e, SINEW_ENOTSUP, "rdma link add");
}

static void port_down(void **state)
{
    struct end e[2];
    (void)state;
    ends_prepare(e);
    fake_knobs.device[0].state = IBV_PORT_DOWN;
    refused(e, SINEW_ENOTSUP, "fake0 port 1: the port is down: `ip link set");
}

static void no_address(void **state)
{
    struct end e[2];
    (void)state;
    ends_prepare(e);
    fake_knobs.device[0].gids = 0;
    refused(e, SINEW_ENOTSUP, "`ip address add");
}

static void no_permission(void **state)
{
    struct end e[2];
    (void)state;
    ends_prepare(e);
    fake_knobs.open_error = EACCES;
    refused(e, SINEW_ENOTSUP, "/dev/infiniband");
}

static void another_device_is_asked_for(void **state)
{
    struct end e[2];
    (void)state;
    ends_prepare(e);
    snprintf(e[0].config.verbs_device, CONFIG_TEXT_MAX, "mlx5_0");
    refused(e, SINEW_ENOTSUP, "verbs_device asks for mlx5_0");
    snprintf(e[0].config.verbs_device, CONFIG_TEXT_MAX, "fake0:2");
    refused(e, SINEW_ENOTSUP, "port 2; it has 1");
    snprintf(e[0].config.verbs_device, CONFIG_TEXT_MAX, "fake0:1");
    assert_int_equal(end_open(&e[0], NULL), 0);
    end_close(&e[0]);
}

static void options_that_cannot_be(void **state)
{
    struct end e[2];
    (void)state;
    ends_prepare(e);
    e[0].config.verbs_gid_index = 7;
    refused(e, SINEW_ENOTSUP, "row 7 of its GID table is empty");
    e[0].config.verbs_gid_index = -1;
    e[0].config.verbs_pkey = 0x1234;
    refused(e, SINEW_EINVAL, "no partition key 0x1234");
    e[0].config.verbs_pkey = 7;
    e[0].config.verbs_srq = 1;
    fake_knobs.max_srq = 0;
    refused(e, SINEW_ENOTSUP, "no shared receive queues");
    e[0].config.verbs_srq = 0;
    fake_knobs.reads = 0;
    refused(e, SINEW_ENOTSUP, "RDMA read");
}

static void too_little_locked_memory(void **state)
{
    struct end e[2];
    (void)state;
    ends_prepare(e);
    fake_knobs.memlock = 65536;
    refused(e, SINEW_ELIMIT, "`ulimit -l` is 64 KiB");
    refused(e, SINEW_ELIMIT, "KiB more: `ulimit -l unlimited`");
}

static void fork_is_made_safe_or_refused(void **state)
{
    struct end e[2];
    (void)state;
    ends_prepare(e);
    fake_knobs.fork_status = IBV_FORK_DISABLED;
    fake_knobs.fork_init = EINVAL;
    refused(e, SINEW_ENOTSUP, "fork");
    fake_knobs.fork_init = 0;
    assert_int_equal(end_open(&e[0], NULL), 0);
    end_close(&e[0]);
}

static void encryption_is_not_loosened(void **state)
{
    struct end e[2];
    (void)state;
    ends_prepare(e);
    e[0].config.security = SINEW_SECURITY_ENCRYPT;
    refused(e, SINEW_ENOTSUP, "encrypt");
}

/* ---- the Nth call fails ---------------------------------------------------------------------- */

/* All of a small life; false: open, connect or a message failed, as it may. */
static bool live(struct end e[2], int wireup)
{
    bool good = true;
    int sent = 0;
    ends_prepare(e);
    for (int i = 0; i < 2; i++) {
        e[i].config.verbs_wireup = wireup;
        if (end_open(&e[i], NULL) < 0) e[i].t = NULL;
    }
    good = e[0].t && e[1].t && end_connect(&e[0], 0) == 0 && end_connect(&e[1], 0) == 0;
    for (int i = 0; good && i < (wireup ? 600 : 60) && sent < 40; i++) {
        ends_turn(e);
        if (e[0].link[0].ups && e[0].link[0].link && sent < 40)
            sent += end_send(&e[0], 0, sent, 100) == 0;
        good = e[0].link[0].downs + e[1].link[0].downs == 0;
    }
    for (int i = 0; i < 2; i++) {
        if (e[i].link[0].downs) assert_true(e[i].link[0].why[0] != '\0');
        if (e[i].t) end_close(&e[i]);
    }
    return good;
}

static void nth_call_fails_by(int wireup)
{
    struct end e[2];
    int n = 1, failures = 0;
    for (;; n++) {
        fake_reset();
        fake_knobs.fail_at = n;
        bool good = live(e, wireup);
        assert_int_equal(fake_stats().objects, 0);
        assert_int_equal(fake_stats().misuses, 0);
        if (fake_knobs.fail_at > 0) break; /* fewer calls than that */
        failures += !good;
    }
    assert_true(n > 100 && failures > 50);
}

static void nth_call_fails(void **state)
{
    (void)state;
    nth_call_fails_by(0);
}

static void nth_call_fails_by_rdma_cm(void **state)
{
    (void)state;
    nth_call_fails_by(1);
}

/* ---- connecting by librdmacm ----------------------------------------------------------------- */

static void open_by_cm(struct end e[2], bool both)
{
    ends_prepare(e);
    e[0].config.verbs_wireup = 1;
    e[1].config.verbs_wireup = both;
    assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
}

static void rdma_cm_connects_pairs(void **state)
{
    struct end e[2];
    (void)state;
    open_by_cm(e, true);
    for (int round = 0; round < 5; round++) {
        for (int r = 0; r < END_LINKS; r++) ends_connect(e, r);
        for (int i = 0; i < 40; i++)
            while (end_send(&e[round % 2], 3, i, 500) == TRANSPORT_AGAIN) ends_turn(e);
        ENDS_UNTIL(e, e[1 - round % 2].link[3].received == 40);
        for (int r = 0; r < END_LINKS; r++)
            transport_verbs.disconnect(e[r % 2].link[r].link,
                                       r % 3 ? DISCONNECT_DRAIN : DISCONNECT_NOW);
        ends_settle(e);
        for (int r = 0; r < END_LINKS; r++)
            for (int i = 0; i < 2; i++)
                if (e[i].link[r].link)
                    transport_verbs.disconnect(e[i].link[r].link, DISCONNECT_BROKEN);
        ends_settle(e);
    }
    ends_close(e);
}

static void rdma_cm_that_fails_is_named(void **state)
{
    static const struct {
        enum rdma_cm_event_type at, instead;
        const char *words;
    } breaks[] = {
        { RDMA_CM_EVENT_ADDR_RESOLVED, RDMA_CM_EVENT_ADDR_ERROR, "no route" },
        { RDMA_CM_EVENT_ROUTE_RESOLVED, RDMA_CM_EVENT_ROUTE_ERROR, "no path" },
        { RDMA_CM_EVENT_CONNECT_RESPONSE, RDMA_CM_EVENT_CONNECT_ERROR, "connecting failed" },
        { RDMA_CM_EVENT_CONNECT_RESPONSE, RDMA_CM_EVENT_UNREACHABLE, "does not answer" },
        { RDMA_CM_EVENT_CONNECT_RESPONSE, RDMA_CM_EVENT_REJECTED, "refused" },
        { RDMA_CM_EVENT_CONNECT_RESPONSE, RDMA_CM_EVENT_DISCONNECTED, "hung up" },
        { RDMA_CM_EVENT_ROUTE_RESOLVED, RDMA_CM_EVENT_DEVICE_REMOVAL, "removed" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
        struct end e[2];
        fake_reset();
        open_by_cm(e, true);
        fake_knobs.cm_breaks = 1 + (int)breaks[i].at;
        fake_knobs.cm_instead = breaks[i].instead;
        assert_int_equal(end_connect(&e[0], 2) | end_connect(&e[1], 2), 0);
        ENDS_UNTIL(e, e[0].link[2].downs || e[1].link[2].downs);
        const struct end_link *l = e[0].link[2].downs ? &e[0].link[2] : &e[1].link[2];
        assert_int_equal(l->gone, GONE_BROKEN);
        contains(l->why, breaks[i].words);
        contains(l->why, "rank 2 on fake0 port 1");
        ends_close(e);
    }
}

static void rdma_cm_is_wanted_by_both_or_neither(void **state)
{
    struct end e[2];
    (void)state;
    open_by_cm(e, false);
    assert_int_equal(end_connect(&e[0], 2) | end_connect(&e[1], 2), 0);
    ENDS_UNTIL(e, e[0].link[2].downs && e[1].link[2].downs);
    contains(e[0].link[2].why, "rdma_cm here and tell there");
    contains(e[1].link[2].why, "tell here and rdma_cm there");
    ends_close(e);
}

static void rdma_cm_is_absent(void **state)
{
    struct end e[2];
    (void)state;
    ends_prepare(e);
    e[0].config.verbs_wireup = 1;
    fake_knobs.cm_absent = true;
    refused(e, SINEW_ENOTSUP, "librdmacm");
    fake_knobs.cm_absent = false;
    fake_knobs.device[0].gid[1].type = IBV_GID_TYPE_ROCE_V1;
    fake_knobs.device[0].gids = 2;
    fake_knobs.device[0].gid[0].type = IBV_GID_TYPE_ROCE_V1;
    refused(e, SINEW_ENOTSUP, "no IP address");
}

/* ---- a link that is up ----------------------------------------------------------------------- */

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
                while (end_send(&e[0], 1, i, 3000) == TRANSPORT_AGAIN) ends_turn(e);
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
            while (end_send(&e[0], 0, i, 20) == TRANSPORT_AGAIN) ends_turn(e);
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

/* ---- bounds ---------------------------------------------------------------------------------- */

static void many_pairs_leak_nothing(void **state)
{
    struct end e[2];
    (void)state;
    ends_open(e);
    ends_connect(e, 0);
    int objects = 0;
    for (int round = 0; round < 30; round++) {
        for (int r = 1; r < END_LINKS; r++) ends_connect(e, r);
        for (int r = 1; r < END_LINKS; r++) {
            assert_int_equal(end_send(&e[0], r, 0, 1000), 0);
            transport_verbs.disconnect(e[r % 2].link[r].link, round % 3 ? DISCONNECT_DRAIN
                                                                        : DISCONNECT_NOW);
            ENDS_UNTIL(e, e[r % 2].link[r].downs);
            if (e[1 - r % 2].link[r].link)
                transport_verbs.disconnect(e[1 - r % 2].link[r].link, DISCONNECT_BROKEN);
            ENDS_UNTIL(e, e[1 - r % 2].link[r].downs);
        }
        if (round == 2) objects = fake_stats().objects;
    }
    assert_true(fake_stats().objects <= objects + 16); /* parked queue pairs come and go */
    ends_close(e);
}

static void sends_of_users_go_at_once(void **state)
{
    struct end e[2];
    (void)state;
    fake_knobs.prompt = true;
    ends_prepare(e);
    e[1].config.verbs_credits = 200;
    assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
    ends_connect(e, 0);
    int before = fake_stats().doorbells;
    for (int i = 0; i < 8; i++) assert_int_equal(end_send(&e[0], 0, i, 8), 0);
    assert_int_equal(fake_stats().doorbells - before, 8); /* a user's go at once */
    ends_close(e);
}

static void memory_for_messages_is_bounded(void **state)
{
    struct end e[2];
    int made = 0;
    (void)state;
    ends_prepare(e);
    e[0].config.verbs_memory = 4 << 20;
    e[0].config.verbs_credits = 100;
    assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
    while (made < END_LINKS && end_connect(&e[0], made) == 0) made++;
    assert_true(made > 1 && made < END_LINKS);
    contains(e[0].link[made].why, "verbs_memory");
    end_connect(&e[1], 0);
    ENDS_UNTIL(e, e[0].link[0].ups && e[1].link[0].ups); /* those that exist work */
    ends_close(e);
}

/* "…, 910 KiB in all" */
static int noted(const struct end *e, int rank)
{
    const char *at = strstr(e->link[rank].link->note, " KiB in all");
    assert_non_null(at);
    while (at[-1] >= '0' && at[-1] <= '9') at--;
    return atoi(at);
}

/* Who is sent a stream gives more credit, and has more registered for it; who answers each message has not;
 * nobody has more than verbs_credits ask for, and the link's note says what it is. */
static void a_window_grows_with_a_stream(void **state)
{
    struct end e[2];
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        fake_reset();
        ends_prepare(e);
        e[0].config.verbs_srq = e[1].config.verbs_srq = shared;
        e[0].config.verbs_credits = e[1].config.verbs_credits = 200;
        assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
        e[0].t->opt.size = e[1].t->opt.size = 20; /* many */
        ends_connect(e, 0);
        ends_connect(e, 1);
        int before = noted(&e[1], 0);
        for (int i = 0; i < 300; i++) { /* to and fro */
            assert_int_equal(end_send(&e[0], 1, i, 10), 0);
            ENDS_UNTIL(e, e[1].link[1].received == i + 1);
            assert_int_equal(end_send(&e[1], 1, i, 10), 0);
            ENDS_UNTIL(e, e[0].link[1].received == i + 1);
        }
        for (int i = 0; i < 5000; i++) ends_turn(e);
        assert_int_equal(noted(&e[1], 0), before);
        for (int i = 0; i < 2000; i++)
            while (end_send(&e[0], 0, i, 100) == TRANSPORT_AGAIN) ends_turn(e);
        ENDS_UNTIL(e, e[1].link[0].received == 2000);
        for (int i = 0; i < 5000; i++) ends_turn(e);
        int more = noted(&e[1], 0) - before;
        assert_in_range(more, (200 - 64) * 8320 / 1024, (200 + 64) * 8320 / 1024);
        assert_int_equal(fake_stats().not_ready, 0);
        ends_close(e);
    }
}

/* ---- what there is, is used ------------------------------------------------------------------ */

static void carries_messages(struct end e[2])
{
    assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
    ends_connect(e, 0);
    for (int i = 0; i < 300; i++) {
        while (end_send(&e[0], 0, i, (size_t)i * 20) == TRANSPORT_AGAIN) ends_turn(e);
        while (end_send(&e[1], 0, i, (size_t)i % 200) == TRANSPORT_AGAIN) ends_turn(e);
    }
    ENDS_UNTIL(e, e[0].link[0].received == 300 && e[1].link[0].received == 300);
    assert_int_equal(fake_stats().not_ready, 0);
    ends_close(e);
}

static void poor_devices_are_enough(void **state)
{
    struct end e[2];
    (void)state;
    for (int lack = 0; lack < 6; lack++) {
        fake_reset();
        ends_prepare(e);
        switch (lack) {
        case 0: fake_knobs.max_inline = 0; break;
        case 1: fake_knobs.max_inline = 60; break;
        case 2: fake_knobs.max_qp_wr = 40; break;
        case 3: fake_knobs.max_cqe = 100; break;
        case 4: fake_knobs.max_srq = 0; break;
        default:
            fake_knobs.device[0].mtu = IBV_MTU_256;
            fake_knobs.reads = 1;
            fake_knobs.atomic_cap = IBV_ATOMIC_NONE;
        }
        carries_messages(e);
    }
}

static void one_credit_is_enough(void **state)
{
    struct end e[2];
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        fake_reset();
        ends_prepare(e);
        for (int i = 0; i < 2; i++) {
            e[i].config.verbs_credits = 1;
            e[i].config.verbs_srq = shared;
        }
        carries_messages(e);
    }
}

/* The row of the table in the offer that link 0 of `e` tells. */
static const uint8_t *offered(struct end e[2])
{
    assert_int_equal(end_connect(&e[0], 0), 0);
    end_turn(&e[0]);
    assert_int_equal(e[1].tells, 1);
    assert_int_equal(e[1].told[0].bytes[1], 1);
    return e[1].told[0].bytes + 32;
}

static void addresses_are_ranked_and_follow_the_route(void **state)
{
    struct end e[2];
    struct fake_device *d = &fake_knobs.device[0];
    (void)state;
    d->gids = 4;
    d->gid[2] = d->gid[3] = d->gid[1];
    d->gid[1].type = IBV_GID_TYPE_ROCE_V1;
    d->gid[2].gid.raw[15] = 2;
    d->gid[3].gid.raw[15] = 3;
    ends_open(e);
    assert_int_equal(e[0].t->address[5], 2); /* the first of v2 with IPv4 */
    assert_int_equal(offered(e)[15], 2);
    ends_close(e);
    fake_knobs.routed = true;
    fake_knobs.source = d->gid[3].gid;
    ends_open(e);
    assert_int_equal(offered(e)[15], 3);
    ends_close(e);
    ends_prepare(e);
    e[0].config.verbs_gid_index = 0;
    assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
    assert_int_equal(offered(e)[0], 0xfe); /* what the operator says, whatever the route */
    ends_close(e);
}

static void ports_that_work_come_first(void **state)
{
    struct end e[2];
    (void)state;
    fake_knobs.devices = 3;
    fake_knobs.device[1] = fake_knobs.device[2] = fake_knobs.device[0];
    fake_knobs.device[1].name = "fake1";
    fake_knobs.device[2].name = "fake2";
    fake_knobs.device[0].state = IBV_PORT_DOWN;
    fake_knobs.device[2].layer = IBV_LINK_LAYER_INFINIBAND;
    ends_open(e);
    ends_connect(e, 5);
    transport_verbs.disconnect(e[0].link[5].link, DISCONNECT_BROKEN);
    ENDS_UNTIL(e, e[0].link[5].downs);
    contains(e[0].link[5].why, "fake2 port 1");
    ends_close(e);
    ends_prepare(e);
    snprintf(e[0].config.verbs_device, CONFIG_TEXT_MAX, "fake1");
    assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
    struct why why; /* one on Ethernet, one on InfiniBand */
    assert_true(transport_verbs.reach(e[0].t, e[1].t->address, e[1].t->address_len, &why) < 0);
    contains(why.text, "InfiniBand");
    ends_close(e);
}

static void a_route_by_another_port_is_said(void **state)
{
    struct end e[2];
    struct why why;
    (void)state;
    fake_knobs.devices = 2;
    fake_knobs.device[1] = fake_knobs.device[0];
    fake_knobs.device[1].name = "fake1";
    fake_knobs.device[1].gid[1].gid.raw[14] = 9;
    fake_knobs.routed = true;
    fake_knobs.source = fake_knobs.device[1].gid[1].gid;
    ends_open(e);
    assert_true(transport_verbs.reach(e[0].t, e[1].t->address, e[1].t->address_len, &why) < 0);
    contains(why.text, "leaves by fake1 port 1, and fake0 port 1 is in use");
    fake_knobs.source = fake_knobs.device[0].gid[1].gid;
    assert_true(transport_verbs.reach(e[0].t, e[1].t->address, e[1].t->address_len, &why) > 0);
    ends_close(e);
}

/* 1 MiB in parts of 256 KiB: four at once, by one doorbell of progress. */
static void progress_rings_once_for_many(void **state)
{
    struct end e[2];
    static uint8_t from[2 << 20], to[2 << 20];
    (void)state;
    fake_knobs.prompt = true;
    ends_open(e);
    ends_connect(e, 0);
    for (size_t i = 0; i < sizeof(from); i++) from[i] = (uint8_t)(i * 7 >> 3);
    struct region mine = { .base = to, .len = sizeof(to) }, theirs = { .len = sizeof(to) };
    assert_int_equal(transport_verbs.reg(e[1].t, NULL, &mine), 0);
    theirs.key_len = mine.key_len;
    memcpy(theirs.key, mine.key, mine.key_len);
    assert_int_equal(transport_verbs.reg(e[0].t, e[0].link[0].link, &theirs), 0);
    struct rma op = { .kind = RMA_PUT, .local = from, .len = sizeof(from), .peers = &theirs };
    assert_int_equal(transport_verbs.rma(e[0].link[0].link, &op), TRANSPORT_PENDING);
    int doorbells = fake_stats().doorbells;
    ENDS_UNTIL(e, e[0].link[0].dones == 1);
    assert_int_equal(e[0].link[0].done_status, 0);
    assert_int_equal(fake_stats().doorbells - doorbells, 1);
    assert_memory_equal(from, to, sizeof(to));
    assert_int_equal(transport_verbs.dereg(e[0].t, &theirs), 0);
    assert_int_equal(transport_verbs.dereg(e[1].t, &mine), 0);
    ends_close(e);
}

/* A completion queue that can be read no more: links end all the same, and what was sent goes back. */
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

/* A buffer that one peer may read is sent to another at the same time. What the first was allowed ends
 * when its owner says so, whatever the other does: nothing stays registered behind his back. */
static void what_one_may_read_is_not_held_by_another(void **state)
{
    struct end e[2];
    static uint8_t from[1 << 20], to[1 << 20];
    (void)state;
    ends_open(e);
    ends_connect(e, 0);
    ends_connect(e, 1);
    int objects = fake_stats().objects;
    struct region offered = { .base = from, .len = sizeof(from), .reader = e[0].link[1].link };
    struct region mine = { .base = to, .len = sizeof(to) }, theirs = { .len = sizeof(to) };
    assert_int_equal(transport_verbs.reg(e[0].t, NULL, &offered), 0);
    assert_int_equal(transport_verbs.reg(e[1].t, NULL, &mine), 0);
    theirs.key_len = mine.key_len;
    memcpy(theirs.key, mine.key, mine.key_len);
    assert_int_equal(transport_verbs.reg(e[0].t, e[0].link[0].link, &theirs), 0);
    struct rma op = { .kind = RMA_PUT, .local = from, .len = sizeof(from), .peers = &theirs };
    assert_int_equal(transport_verbs.rma(e[0].link[0].link, &op), TRANSPORT_PENDING);
    assert_int_equal(transport_verbs.dereg(e[0].t, &offered), 0);
    ENDS_UNTIL(e, e[0].link[0].dones == 1);
    assert_int_equal(e[0].link[0].done_status, 0);
    assert_int_equal(transport_verbs.dereg(e[0].t, &theirs), 0);
    assert_int_equal(transport_verbs.dereg(e[1].t, &mine), 0);
    assert_int_equal(fake_stats().objects, objects);
    ends_close(e);
}

/* ---- what is kept registered ----------------------------------------------------------------- */

enum { LONG_ONE = 64 * 1024 };

static void get_into(struct end e[2], const struct region *theirs, uint8_t *to)
{
    struct rma op = { .kind = RMA_GET, .local = to, .len = LONG_ONE, .peers = theirs };
    int dones = e[0].link[0].dones;
    assert_int_equal(transport_verbs.rma(e[0].link[0].link, &op), TRANSPORT_PENDING);
    ENDS_UNTIL(e, e[0].link[0].dones == dones + 1);
    assert_int_equal(e[0].link[0].done_status, 0);
}

static void memory_that_lasts_is_registered_once(void **state)
{
    static uint8_t from[LONG_ONE], plain[LONG_ONE], lasting[3][2 * LONG_ONE];
    struct end e[2];
    (void)state;
    ends_prepare(e);
    e[0].config.verbs_kept = sizeof(lasting[0]) * 2;
    assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
    ends_connect(e, 0);
    struct region mine = { .base = from, .len = sizeof(from), .rights = REGION_GET }, theirs;
    assert_int_equal(transport_verbs.reg(e[1].t, NULL, &mine), 0);
    theirs = (struct region){ .len = mine.len, .key_len = mine.key_len };
    memcpy(theirs.key, mine.key, mine.key_len);
    assert_int_equal(transport_verbs.reg(e[0].t, e[0].link[0].link, &theirs), 0);
    struct region kept[3];
    for (int i = 0; i < 3; i++) {
        kept[i] = (struct region){ .base = lasting[i], .len = sizeof(lasting[i]),
                                   .rights = REGION_LASTING };
        assert_int_equal(transport_verbs.reg(e[0].t, NULL, &kept[i]), 0);
    }
    int objects = fake_stats().objects, calls = fake_stats().calls;
    get_into(e, &theirs, plain);
    assert_int_equal(fake_stats().objects, objects); /* for itself alone */
    get_into(e, &theirs, lasting[0]);
    assert_int_equal(fake_stats().objects, objects + 1);
    calls = fake_stats().calls;
    for (int i = 0; i < 5; i++) get_into(e, &theirs, lasting[0] + (i % 2 ? LONG_ONE : 0));
    assert_int_equal(fake_stats().calls, calls);
    get_into(e, &theirs, lasting[1]);
    get_into(e, &theirs, lasting[0]);
    get_into(e, &theirs, lasting[2]); /* no room for three: that of 1 goes */
    assert_int_equal(fake_stats().objects, objects + 2);
    calls = fake_stats().calls;
    get_into(e, &theirs, lasting[0]);
    assert_int_equal(fake_stats().calls, calls);
    get_into(e, &theirs, lasting[1]); /* again */
    assert_int_equal(fake_stats().calls, calls + 1);
    for (int i = 0; i < 3; i++) assert_int_equal(transport_verbs.dereg(e[0].t, &kept[i]), 0);
    assert_int_equal(fake_stats().objects, objects);
    assert_int_equal(transport_verbs.dereg(e[0].t, &theirs), 0);
    assert_int_equal(transport_verbs.dereg(e[1].t, &mine), 0);
    ends_close(e);
}

/* ---- what messaging waits for ----------------------------------------------------------------- */

static void send_number(struct end *e, uint64_t word, uint64_t key, uint8_t body)
{
    uint64_t head[2] = { word, key }; /* as on the wire, on this machine */
    assert_int_equal(transport_verbs.send(e->link[0].link, head, sizeof(head), &body, 1, NULL, 0), 0);
}

/* Three are expected, four come, then one of another kind: the three are taken with no upcall, the others
 * wait for the next progress and come by recv. */
static void what_is_expected_is_taken_with_no_upcall(void **state)
{
    struct end e[2];
    uint8_t got[3] = { 0 };
    struct expect x[3];
    (void)state;
    fake_knobs.prompt = true;
    ends_open(e);
    ends_connect(e, 0);
    struct link *l = e[1].link[0].link;
    for (int i = 0; i < 3; i++)
        x[i] = (struct expect){ .next = i < 2 ? &x[i + 1] : NULL, .key = 7, .word = 0x10000,
                                .mask = 0xff0000, .buf = &got[i], .cap = 1 };
    for (int i = 0; i < 3; i++) send_number(&e[0], 0x10000 | (uint64_t)i, 7, (uint8_t)(5 + i));
    int number = 0;
    assert_int_equal(end_send(&e[0], 0, number, 1), 0);
    l->expect = &x[0];
    assert_int_equal(transport_verbs.progress(e[1].t, l), 1);
    assert_null(l->expect);
    for (int i = 0; i < 3; i++) {
        assert_true(x[i].done && x[i].len == 1 && x[i].word == (0x10000 | (uint64_t)i));
        assert_int_equal(got[i], 5 + i);
    }
    assert_int_equal(e[1].link[0].received, 0);
    ENDS_UNTIL(e, e[1].link[0].received == 1);
    ends_close(e);
}

/* Nobody but who expects receives, for long: credits go back all the same. */
static void credits_flow_while_messages_are_expected(void **state)
{
    struct end e[2];
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        fake_reset();
        fake_knobs.prompt = true;
        ends_prepare(e);
        e[0].config.verbs_credits = e[1].config.verbs_credits = shared ? 32 : 2;
        e[0].config.verbs_srq = e[1].config.verbs_srq = shared;
        assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
        ends_connect(e, 0);
        struct link *l = e[1].link[0].link;
        for (int i = 0; i < 500; i++) {
            uint64_t head[2] = { 0x10000, 7 };
            uint8_t body = (uint8_t)i, got = 0;
            struct expect x = { .key = 7, .word = 0x10000, .mask = 0xff0000, .buf = &got,
                                .cap = 1 };
            int turns = 0;
            while (transport_verbs.send(e[0].link[0].link, head, sizeof(head), &body, 1, NULL, 0) !=
                   0) {
                assert_true(turns++ < 100);
                end_turn(&e[0]);
                transport_verbs.progress(e[1].t, l); /* it waits */
            }
            while (!x.done) {
                assert_true(turns++ < 100);
                l->expect = &x;
                transport_verbs.progress(e[1].t, l);
                l->expect = NULL;
            }
            assert_int_equal(got, body);
        }
        assert_int_equal(fake_stats().not_ready, 0);
        ends_close(e);
    }
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_device),
        TEST(port_down),
        TEST(no_address),
        TEST(no_permission),
        TEST(another_device_is_asked_for),
        TEST(options_that_cannot_be),
        TEST(too_little_locked_memory),
        TEST(fork_is_made_safe_or_refused),
        TEST(encryption_is_not_loosened),
        TEST(nth_call_fails),
        TEST(nth_call_fails_by_rdma_cm),
        TEST(rdma_cm_connects_pairs),
        TEST(rdma_cm_that_fails_is_named),
        TEST(rdma_cm_is_wanted_by_both_or_neither),
        TEST(rdma_cm_is_absent),
        TEST(every_completion_status),
        TEST(a_receive_fails),
        TEST(a_post_is_refused),
        TEST(every_event),
        TEST(a_port_goes_down_and_up),
        TEST(a_failed_device_refuses_links),
        TEST(receives_that_complete_often),
        TEST(silence_ends_by_the_retries),
        TEST(a_counterpart_that_goes_silent_times_out),
        TEST(nonsense_is_told),
        TEST(many_pairs_leak_nothing),
        TEST(sends_of_users_go_at_once),
        TEST(memory_for_messages_is_bounded),
        TEST(a_window_grows_with_a_stream),
        TEST(poor_devices_are_enough),
        TEST(one_credit_is_enough),
        TEST(addresses_are_ranked_and_follow_the_route),
        TEST(ports_that_work_come_first),
        TEST(a_route_by_another_port_is_said),
        TEST(progress_rings_once_for_many),
        TEST(a_queue_that_cannot_be_read_ends_its_links),
        TEST(what_one_may_read_is_not_held_by_another),
        TEST(memory_that_lasts_is_registered_once),
        TEST(what_is_expected_is_taken_with_no_upcall),
        TEST(credits_flow_while_messages_are_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
