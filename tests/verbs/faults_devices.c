/* SPDX-License-Identifier: BSD-3-Clause */
/* faults_devices.c - what devices, ports and addresses there are, is used as well as it can be */
#include <stdio.h>

#include "tests/verbs/faults.h"

static void carries_messages(struct end e[2])
{
    assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
    ends_connect(e, 0);
    for (int i = 0; i < 300; i++) {
        WHILE (end_send(&e[0], 0, i, (size_t)i * 20) == TRANSPORT_AGAIN) ends_turn(e);
        WHILE (end_send(&e[1], 0, i, (size_t)i % 200) == TRANSPORT_AGAIN) ends_turn(e);
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

static void what_the_operator_asks_of_the_network_is_done(void **state)
{
    struct end e[2];
    (void)state;
    ends_prepare(e);
    for (int i = 0; i < 2; i++) {
        e[i].config.verbs_pkey = 0x8007;
        e[i].config.verbs_service_level = 3;
        e[i].config.verbs_traffic_class = 104;
        e[i].config.verbs_mtu = 512;
    }
    assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
    ends_connect(e, 0);
    struct fake_stats stats = fake_stats();
    assert_int_equal(stats.pkey_index, 1);
    assert_int_equal(stats.way.sl, 3);
    assert_int_equal(stats.way.grh.traffic_class, 104);
    assert_int_equal(stats.mtu, IBV_MTU_512);
    ends_close(e);
}

static char shown[4096];

static void show(void *arg, int level, const char *line)
{
    (void)arg;
    (void)level;
    size_t at = strlen(shown);
    snprintf(shown + at, sizeof(shown) - at, "%s\n", line);
}

static void what_there_is_is_shown_with_reasons(void **state)
{
    struct end e[2];
    (void)state;
    fake_knobs.devices = 2;
    fake_knobs.device[1] = fake_knobs.device[0];
    fake_knobs.device[1].name = "fake1";
    fake_knobs.device[1].state = IBV_PORT_DOWN;
    ends_prepare(e);
    e[0].log = (struct log){ .level = LOG_CHOICE, .write = show };
    shown[0] = '\0';
    assert_int_equal(end_open(&e[0], NULL), 0);
    contains(shown, "RDMA: uses fake0 port 1 GID 1 ::ffff:10.0.0.1: RoCE v2, IPv4\n");
    contains(shown, "RDMA: could use fake0 port 1 GID 0 fe80::1: RoCE v2, but link-local");
    contains(shown, "RDMA: cannot use fake1 port 1: the port is down: `ip link set");
    end_close(&e[0]);
}

/* What both ends take, whichever of them takes less. */
static void the_lesser_end_counts(void **state)
{
    struct end e[2];
    (void)state;
    for (int less = 0; less < 2; less++) {
        fake_reset();
        fake_knobs.reads = 3;
        fake_knobs.reads_out = less ? 2 : 16;
        ends_prepare(e);
        e[less].config.verbs_mtu = 512;
        assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
        assert_int_equal(end_connect(&e[0], 0) | end_connect(&e[1], 0), 0);
        for (int i = 0; i < 100; i++) {
            end_turn(&e[i % 2]);
            if (fake_stats().mtu) assert_int_equal(fake_stats().mtu, IBV_MTU_512);
            if (fake_stats().reads_out) assert_int_equal(fake_stats().reads_out, less ? 2 : 3);
        }
        assert_true(e[0].link[0].ups && e[1].link[0].ups);
        ends_close(e);
    }
}

/* Among many ranks receives are shared, as many as the device takes; where it has no such queue,
 * each link has its own. */
static void many_ranks_share_receives_where_they_can(void **state)
{
    struct end e[2];
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        fake_reset();
        if (kind == 1) fake_knobs.max_srq = 0;
        if (kind == 2) fake_knobs.max_srq_wr = 100;
        ends_prepare(e);
        for (int i = 0; i < 2; i++) e[i].size = 20;
        assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
        ends_connect(e, 0);
        bool shared = strstr(e[0].link[0].link->note, "(shared)") != NULL;
        assert_int_equal(shared, kind != 1);
        for (int i = 0; i < 300; i++)
            WHILE (end_send(&e[0], 0, i, 100) == TRANSPORT_AGAIN) ends_turn(e);
        ENDS_UNTIL(e, e[1].link[0].received == 300);
        assert_int_equal(fake_stats().not_ready, 0);
        ends_close(e);
    }
}

/* Devices grant more than they are asked for; nobody who asked for none wants any. */
static void no_more_goes_inline_than_was_asked(void **state)
{
    struct end e[2];
    (void)state;
    fake_knobs.inline_least = 64;
    ends_prepare(e);
    e[0].config.verbs_inline = 0;
    e[1].config.verbs_inline = 40;
    assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
    ends_connect(e, 0);
    int before = fake_stats().inlined;
    for (int i = 0; i < 5; i++) assert_int_equal(end_send(&e[0], 0, i, 8), 0);
    assert_int_equal(end_send(&e[1], 0, 0, 30), 0); /* 16 + 4 + 30 */
    assert_int_equal(fake_stats().inlined, before);
    assert_int_equal(end_send(&e[1], 0, 1, 20), 0);
    assert_int_equal(fake_stats().inlined, before + 1);
    ends_close(e);
}

/* Two ports of InfiniBand, by LID within a subnet; between two by global address, and with less
 * score. */
static void infiniband_goes_by_subnet(void **state)
{
    struct end e[2];
    struct why why;
    int score[2];
    (void)state;
    fake_knobs.devices = 2;
    fake_knobs.device[0].layer = IBV_LINK_LAYER_INFINIBAND;
    fake_knobs.device[0].gids = 1;
    fake_knobs.device[0].lid = 17;
    fake_knobs.device[1] = fake_knobs.device[0];
    fake_knobs.device[1].name = "fake1";
    fake_knobs.device[1].lid = 18;
    fake_knobs.device[1].gid[0].gid.raw[15] = 2;
    for (int other = 0; other < 2; other++) {
        fake_knobs.device[1].gid[0].gid.raw[7] = (uint8_t)other;
        ends_prepare(e);
        snprintf(e[0].config.verbs_device, CONFIG_TEXT_MAX, "fake0");
        snprintf(e[1].config.verbs_device, CONFIG_TEXT_MAX, "fake1");
        assert_int_equal(end_open(&e[0], NULL) | end_open(&e[1], NULL), 0);
        score[other] = transport_verbs.reach(e[0].t, e[1].t->address, e[1].t->address_len, &why);
        ends_connect(e, 0);
        struct ibv_ah_attr way = fake_stats().way;
        assert_int_equal(way.is_global, other);
        assert_true(way.dlid == 17 || way.dlid == 18);
        ends_close(e);
    }
    assert_true(score[0] > score[1] && score[1] > 0);
}

int faults_of_devices(void)
{
    const struct CMUnitTest cases[] = {
        FAULT(poor_devices_are_enough),
        FAULT(one_credit_is_enough),
        FAULT(addresses_are_ranked_and_follow_the_route),
        FAULT(ports_that_work_come_first),
        FAULT(a_route_by_another_port_is_said),
        FAULT(what_the_operator_asks_of_the_network_is_done),
        FAULT(what_there_is_is_shown_with_reasons),
        FAULT(the_lesser_end_counts),
        FAULT(many_ranks_share_receives_where_they_can),
        FAULT(no_more_goes_inline_than_was_asked),
        FAULT(infiniband_goes_by_subnet),
    };
    return cmocka_run_group_tests_name("devices", cases, NULL, NULL);
}
