/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * faults_test.c - whatever the device says no to, or fails at, ends in words and leaves nothing:
 * here when it is opened, and at any call
 */
#include <errno.h>
#include <stdio.h>

#include "tests/verbs/faults.h"

static void nothing_is_left(void)
{
    struct fake_stats stats = fake_stats();
    assert_int_equal(stats.objects, 0);
    assert_int_equal(stats.overruns, 0);
    assert_int_equal(stats.misuses, 0);
}

const struct ends_of ends_of = { &transport_verbs, &fake_knobs.fail_at, nothing_is_left };

int faults_fresh(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

void refused(struct end e[2], int status, const char *words)
{
    struct why why;
    assert_int_equal(end_open(&e[0], &why), status);
    contains(why.text, words);
    assert_int_equal(fake_stats().objects, 0);
}

/* ---- what open() answers --------------------------------------------------------------------- */

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

static int faults_of_open(void)
{
    const struct CMUnitTest cases[] = {
        FAULT(no_device),
        FAULT(port_down),
        FAULT(no_address),
        FAULT(no_permission),
        FAULT(another_device_is_asked_for),
        FAULT(options_that_cannot_be),
        FAULT(too_little_locked_memory),
        FAULT(fork_is_made_safe_or_refused),
        FAULT(encryption_is_not_loosened),
        FAULT(nth_call_fails),
        FAULT(nth_call_fails_by_rdma_cm),
    };
    return cmocka_run_group_tests_name("opening", cases, NULL, NULL);
}

int main(void)
{
    return faults_of_open() + faults_of_cm() + faults_of_links() + faults_of_memory() +
           faults_of_messages() + faults_of_peers() + faults_of_rma() + faults_of_bare() +
           faults_of_devices();
}
