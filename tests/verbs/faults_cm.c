/* SPDX-License-Identifier: BSD-3-Clause */
/* faults_cm.c - connecting by librdmacm: all that it refuses, at every step */
#include "tests/verbs/faults.h"

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
            WHILE (end_send(&e[round % 2], 3, i, 500) == TRANSPORT_AGAIN) ends_turn(e);
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

/* One end is up, sends, and leaves, while the other has not heard yet that both are ready. It hears
 * first that its counterpart has hung up; what was sent before that arrives all the same. */
static void who_hangs_up_early_has_left(void **state)
{
    struct end e[2];
    (void)state;
    fake_knobs.prompt = true;
    open_by_cm(e, true);
    assert_int_equal(end_connect(&e[0], 2) | end_connect(&e[1], 2), 0);
    ends_turn(e);
    e[0].deaf = true; /* it has heard the offer, and nothing more */
    ENDS_UNTIL(e, e[1].link[2].ups);
    assert_int_equal(e[0].link[2].ups, 0);
    for (int i = 0; i < 5; i++) assert_int_equal(end_send(&e[1], 2, i, 100), 0);
    transport_verbs.disconnect(e[1].link[2].link, DISCONNECT_DRAIN);
    WHILE (!e[1].link[2].downs) end_turn(&e[1]);
    assert_int_equal(e[1].link[2].status, 0);
    (void)transport_verbs.arm(e[0].t); /* it was asleep */
    ENDS_UNTIL(e, e[0].link[2].downs);
    assert_int_equal(e[0].link[2].received, 5);
    assert_int_equal(e[0].link[2].ups, 1);
    assert_int_equal(e[0].link[2].gone, GONE_LEFT);
    assert_int_equal(e[0].link[2].status, 0);
    ends_close(e);
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

int faults_of_cm(void)
{
    const struct CMUnitTest cases[] = {
        FAULT(rdma_cm_connects_pairs),
        FAULT(rdma_cm_that_fails_is_named),
        FAULT(who_hangs_up_early_has_left),
        FAULT(rdma_cm_is_wanted_by_both_or_neither),
        FAULT(rdma_cm_is_absent),
    };
    return cmocka_run_group_tests_name("librdmacm", cases, NULL, NULL);
}
