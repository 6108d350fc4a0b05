/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * launch_hub.c - a hub that runs out of descriptors
 */
#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "launch/hub.h"
#include "tests/support/bounded.h"

struct heard {
    int times;
    char last[256];
};

static void on_refused(void *arg, const char *from, const char *why)
{
    struct heard *heard = arg;
    (void)from;
    heard->times++;
    snprintf(heard->last, sizeof(heard->last), "%s", why);
}

static bool awake(const struct node *n, int timeout_ms)
{
    struct pollfd fd = { n->fd, POLLIN, 0 };
    return poll(&fd, 1, timeout_ms) > 0;
}

/* It says so, sleeps, and takes in who waited once it can again. */
static void test_out_of_descriptors_it_says_so_and_sleeps(void **state)
{
    (void)state;
    static const struct node_events nothing;
    static const uint8_t secret[32] = "a secret of thirty-two bytes...";
    struct heard heard = { 0 };
    struct node node;
    struct hub hub;
    struct rlimit old, low;
    struct sockaddr_in at;
    socklen_t len = sizeof(at);
    assert_int_equal(node_init(&node, &world_real, 2, &nothing, NULL), 0);
    assert_int_equal(hub_open(&hub, &node, "127.0.0.1:0", secret, 0, 1), 0);
    hub.refused = on_refused;
    hub.arg = &heard;
    assert_int_equal(getsockname(hub.fd, (struct sockaddr *)&at, &len), 0);
    int guest = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int highest = dup(guest);
    getrlimit(RLIMIT_NOFILE, &old);
    low = old;
    low.rlim_cur = (rlim_t)highest; /* no number below it is free */
    close(highest);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(connect(guest, (struct sockaddr *)&at, len), 0);
    assert_true(awake(&node, 5000));
    node_progress(&node, 64);
    bool sleeps = !awake(&node, 0);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_true(sleeps);
    assert_int_equal(heard.times, 1);
    assert_non_null(strstr(heard.last, "ulimit -n"));
    WHILE (hub.guest_count == 0) {
        assert_true(awake(&node, 5000));
        node_progress(&node, 64);
    }
    assert_int_equal(heard.times, 1);
    close(guest);
    hub_close(&hub);
    node_fini(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_out_of_descriptors_it_says_so_and_sleeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
