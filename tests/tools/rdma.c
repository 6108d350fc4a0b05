/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rdma.c - sinew-info finds what keeps RDMA from working, and says which command mends it
 *
 * A host is a folder with the files of /sys, /proc and /dev that matter. A healthy one is made, one
 * thing is broken, and that alone is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "json.h"
#include "run.h"

static struct run r;
static struct json j;
static char root[] = "/tmp/sinew-rdma-XXXXXX";

#define PORT "/sys/class/infiniband/rxe0/ports/1"
#define ZERO "0000:0000:0000:0000:0000:0000:0000:0000"
#define LOCAL "fe80:0000:0000:0000:1040:5ff:fe06:0001"
#define MAPPED "0000:0000:0000:0000:0000:ffff:0a6f:0007" /* 10.111.0.7 */
#define GLOBAL "2001:0db8:0000:0000:0000:0000:0000:0005"

/* ---- hosts ----------------------------------------------------------------------------------- */

/* A file below the root, with the directories to it; NULL takes it away. */
static void put(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof(full), "%s%s", root, path);
    if (!text) {
        assert_int_equal(unlink(full), 0);
        return;
    }
    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0755);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fprintf(file, "%s\n", text);
    fclose(file);
}

static void put_gid(int index, const char *gid, const char *type)
{
    char path[128];
    snprintf(path, sizeof(path), PORT "/gids/%d", index);
    put(path, gid);
    snprintf(path, sizeof(path), PORT "/gid_attrs/types/%d", index);
    put(path, type);
    snprintf(path, sizeof(path), PORT "/gid_attrs/ndevs/%d", index);
    put(path, "eth7");
}

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *at)
{
    (void)s, (void)kind, (void)at;
    return remove(path);
}

static int clean(void **state)
{
    (void)state;
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int bare_host(void **state)
{
    (void)state;
    strcpy(root + strlen(root) - 6, "XXXXXX");
    if (!mkdtemp(root) || chmod(root, 0755) < 0) return -1;
    put("/proc/sys/kernel/osrelease", "6.1.0-56-amd64");
    put("/proc/self/limits", "Limit  Soft  Hard  Units\nMax locked memory  unlimited  unlimited  bytes");
    put("/proc/self/status", "Name: x\nCapEff:\t0000000000000000");
    put("/sys/class/net/lo/type", "772");
    put("/sys/class/net/lo/operstate", "unknown");
    put("/sys/class/net/eth3/type", "1");
    put("/sys/class/net/eth3/operstate", "down");
    put("/sys/class/net/eth7/type", "1");
    put("/sys/class/net/eth7/operstate", "up");
    put("/sys/class/net/eth7/mtu", "4200");
    return 0;
}

static int healthy_host(void **state)
{
    if (bare_host(state) < 0) return -1;
    put("/sys/module/rdma_rxe/refcnt", "1");
    put("/sys/class/misc/rdma_cm/abi_version", "4");
    put("/sys/class/infiniband_verbs/uverbs0/ibdev", "other0");
    put("/sys/class/infiniband_verbs/uverbs1/ibdev", "rxe0");
    put("/dev/infiniband/uverbs1", "");
    put("/sys/class/infiniband/rxe0/parent", "eth7");
    put(PORT "/state", "4: ACTIVE");
    put(PORT "/link_layer", "Ethernet");
    put_gid(0, LOCAL, "RoCE v2");
    put_gid(1, MAPPED, "RoCE v2");
    put_gid(2, ZERO, "");
    return 0;
}

/* ---- what is told ---------------------------------------------------------------------------- */

/* The value of an item, the nth of that name; NULL if there is none. */
static const char *told(const char *name, int nth)
{
    static char value[JSON_TEXT_MAX], copy[RUN_OUTPUT_MAX];
    char *line, *at = copy;
    memcpy(copy, r.out, sizeof(copy));
    while ((line = run_next_line(&at)) != NULL) {
        if (!json_parse(line, &j)) fail_msg("not one flat JSON object: %s", line);
        if (strcmp(json_text(&j, "section"), "rdma") != 0) continue;
        if (strcmp(json_text(&j, "name"), name) != 0 || nth-- > 0) continue;
        memcpy(value, json_text(&j, "value"), sizeof(value));
        return value;
    }
    return NULL;
}

static void look(void)
{
    run_line(&r, "sinew-info --json --root %s", root);
    run_expect(&r, 0);
}

static void expect(const char *name, const char *words)
{
    const char *value = told(name, 0);
    if (!value) fail_msg("nothing is said of %s:\n%s", name, r.out);
    if (!strstr(value, words)) fail_msg("%s is: %s; and not: %s", name, value, words);
}

/* One thing is wrong, and no other. */
static void expect_wrong(const char *words, const char *mend)
{
    look();
    expect("wrong", words);
    expect("wrong", mend);
    if (told("wrong", 1)) fail_msg("also: %s", told("wrong", 1));
}

static void a_healthy_host_has_nothing_wrong_and_a_preferred_address(void **state)
{
    (void)state;
    look();
    if (told("wrong", 0)) fail_msg("%s", told("wrong", 0));
    expect("rxe0", "may be opened: /dev/infiniband/uverbs1");
    expect("rxe0/1", "ACTIVE, Ethernet on eth7, packets of 4096 bytes (MTU 4200)");
    expect("rxe0/1", "\nGID 0: fe80::1040:5ff:fe06:1, RoCE v2 on eth7");
    expect("rxe0/1", "\nGID 1: 10.111.0.7, RoCE v2 on eth7\npreferred: GID 1, 10.111.0.7");
    assert_null(strstr(told("rxe0/1", 0), "GID 2"));
    expect("rdma_cm", "there");
    expect("memlock", "unlimited");
    expect("fork", "safe");
}

static void a_host_without_soft_roce_is_told_where_it_is(void **state)
{
    (void)state;
    look();
    expect("devices", "this kernel has no SoftRoCE");
    expect("devices", "ci/softroce");
    assert_null(told("wrong", 0));
}

/* Nothing is what a healthy host without RDMA looks like. */
static void a_root_that_is_no_host_is_refused(void **state)
{
    (void)state;
    run_line(&r, "sinew-info --root %s/nowhere", root);
    run_expect(&r, 2);
    assert_non_null(strstr(r.err, "/nowhere: no such directory"));
    run_line(&r, "sinew-info --root %s/sys", root);
    run_expect(&r, 2);
    assert_non_null(strstr(r.err, "it has no sys below it"));
    assert_string_equal(r.out, "");
}

static void a_nic_is_one_command_away(void **state)
{
    (void)state;
    put("/lib/modules/6.1.0-56-amd64/kernel/drivers/infiniband/sw/rxe/rdma_rxe.ko.xz", "");
    expect_wrong("no RDMA device", "modprobe rdma_rxe && rdma link add rxe0 type rxe netdev eth7");
    put("/sys/module/rdma_rxe/refcnt", "0");
    expect_wrong("its module is loaded", "to mend it: rdma link add rxe0 type rxe netdev eth7");
}

static void a_port_that_is_down_is_named(void **state)
{
    (void)state;
    put(PORT "/state", "1: DOWN");
    expect_wrong("rxe0 port 1 is not active, it is DOWN", "ip link set eth7 up");
}

static void an_infiniband_port_may_lack_a_subnet_manager(void **state)
{
    (void)state;
    put(PORT "/link_layer", "InfiniBand");
    put(PORT "/state", "2: INIT");
    expect_wrong("it is INIT", "systemctl start opensm");
}

static void a_device_that_programs_cannot_open(void **state)
{
    (void)state;
    put("/dev/infiniband/uverbs1", NULL);
    expect_wrong("rxe0 has no /dev/infiniband/uverbs1", "udevadm trigger");
    put("/sys/class/infiniband_verbs/uverbs1/ibdev", NULL);
    expect_wrong("rxe0 cannot be opened by programs", "modprobe ib_uverbs");
}

/* Root may open everything: then the program is run as nobody. */
static void a_device_that_is_somebody_elses(void **state)
{
    char path[64];
    uid_t me = geteuid();
    (void)state;
    snprintf(path, sizeof(path), "%s/dev/infiniband/uverbs1", root);
    assert_int_equal(chmod(path, 0), 0);
    if (me == 0) assert_int_equal(setresuid(65534, 65534, 0), 0);
    run_line(&r, "sinew-info --json --root %s", root);
    if (me == 0) assert_int_equal(setresuid(0, 0, 0), 0);
    if (r.status == 127 || r.status == 126) {
        print_message("skip: a build directory that every user may enter\n");
        skip();
    }
    run_expect(&r, 0);
    expect("wrong", "rxe0 may not be opened by this user");
    expect("wrong", "chmod a+rw /dev/infiniband/uverbs1");
}

static void addresses_are_preferred_by_how_far_they_reach(void **state)
{
    (void)state;
    put_gid(0, MAPPED, "IB/RoCE v1");
    put_gid(1, GLOBAL, "RoCE v2");
    put_gid(2, LOCAL, "RoCE v2");
    look();
    assert_null(told("wrong", 0));
    expect("rxe0/1", "preferred: GID 1, 2001:db8::5");
    put_gid(3, MAPPED, "RoCE v2");
    look();
    expect("rxe0/1", "preferred: GID 3, 10.111.0.7");
}

static void addresses_that_are_missing(void **state)
{
    (void)state;
    put_gid(1, ZERO, "");
    expect_wrong("link-local GIDs only", "ip addr add ADDRESS/24 dev eth7");
    put_gid(0, MAPPED, "IB/RoCE v1");
    expect_wrong("no GID of RoCE v2", "ip addr add ADDRESS/24 dev eth7");
    put_gid(0, ZERO, "");
    expect_wrong("has no GID", "ip addr add ADDRESS/24 dev eth7");
}

static void packets_that_are_small(void **state)
{
    (void)state;
    put("/sys/class/net/eth7/mtu", "1500");
    look();
    assert_null(told("wrong", 0));
    expect("rxe0/1", "packets of 1024 bytes (MTU 1500); from MTU 4200 on 4096");
    put("/sys/class/net/eth7/mtu", "576");
    expect_wrong("packets of 256 bytes", "ip link set eth7 mtu 4200");
}

static void memory_that_may_not_be_locked(void **state)
{
    (void)state;
    put("/proc/self/limits", "Max locked memory  8388608  unlimited  bytes");
    expect_wrong("only 8192 KiB may be locked", "to mend it: ulimit -l unlimited");
    put("/proc/self/limits", "Max locked memory  8388608  8388608  bytes");
    expect_wrong("only 8192 KiB may be locked", "/etc/security/limits.d/rdma.conf");
    put("/proc/self/status", "CapEff:\t0000000000004000");
    look();
    assert_null(told("wrong", 0));
    expect("memlock", "CAP_IPC_LOCK");
}

static void a_kernel_that_shares_pages_with_children(void **state)
{
    (void)state;
    put("/proc/sys/kernel/osrelease", "5.10.0-9-amd64");
    look();
    expect("fork", "not by itself before Linux 5.12");
}

static void this_host_is_looked_at_without_a_root(void **state)
{
    (void)state;
    run_line(&r, "sinew-info");
    run_expect(&r, 0);
    assert_non_null(strstr(r.out, "\nrdma\n"));
}

#define ON_HEALTHY(test) cmocka_unit_test_setup_teardown(test, healthy_host, clean)
#define ON_BARE(test) cmocka_unit_test_setup_teardown(test, bare_host, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_HEALTHY(a_healthy_host_has_nothing_wrong_and_a_preferred_address),
        ON_BARE(a_host_without_soft_roce_is_told_where_it_is),
        ON_BARE(a_root_that_is_no_host_is_refused),
        ON_BARE(a_nic_is_one_command_away),
        ON_HEALTHY(a_port_that_is_down_is_named),
        ON_HEALTHY(an_infiniband_port_may_lack_a_subnet_manager),
        ON_HEALTHY(a_device_that_programs_cannot_open),
        ON_HEALTHY(a_device_that_is_somebody_elses),
        ON_HEALTHY(addresses_are_preferred_by_how_far_they_reach),
        ON_HEALTHY(addresses_that_are_missing),
        ON_HEALTHY(packets_that_are_small),
        ON_HEALTHY(memory_that_may_not_be_locked),
        ON_HEALTHY(a_kernel_that_shares_pages_with_children),
        cmocka_unit_test(this_host_is_looked_at_without_a_root),
    };
    return cmocka_run_group_tests_name("sinew-info on RDMA", tests, NULL, NULL);
}
