/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * launch_several.c - several sinewruns that are one job: together, refused, failing, lost
 *
 * Arguments: the programs sinewrun and launch-rank (launch_rank.c), and a filter of tests.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sinew/sinew.h"
#include "tests/unit/launch_job.h"

/* --- several sinewruns ------------------------------------------------------------------------ */

static char folder[] = "/tmp/sinew-launch-XXXXXX";

static int make_secrets(void **state)
{
    char name[64];
    (void)state;
    if (!mkdtemp(folder)) return -1;
    for (int i = 0; i < 3; i++) {
        uint8_t bytes[32] = { (uint8_t)(i + 1), (uint8_t)getpid() };
        snprintf(name, sizeof(name), "%s/%d", folder, i);
        int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, i == 2 ? 0644 : 0600);
        if (fd < 0 || write(fd, bytes, sizeof(bytes)) != (ssize_t)sizeof(bytes)) return -1;
        close(fd);
    }
    return 0;
}

static int remove_secrets(void **state)
{
    char name[64];
    (void)state;
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "%s/%d", folder, i);
        unlink(name);
    }
    return rmdir(folder);
}

/* The sinewrun with rank 0, on a port that the system chose; `at` gets the address. */
static void start_hub(struct job *j, const char *share, const char *rest, char *at, size_t cap)
{
    char command[512], *found;
    snprintf(command, sizeof(command), "--rendezvous 127.0.0.1:0 %s --secret-file %s/0 %s", share,
             folder, rest);
    job_start(j, command);
    job_pump(j, "rendezvous at 127.0.0.1:");
    while (!(found = strstr(j->err.text, "rendezvous at ")) || !strchr(found, '\n'))
        job_take(&j->err);
    snprintf(at, cap, "%.*s", (int)strcspn(found + 14, "\n"), found + 14);
}

static void start_share(struct job *j, const char *at, const char *share, int secret,
                        const char *rest)
{
    char command[512];
    snprintf(command, sizeof(command), "--rendezvous %s %s --secret-file %s/%d %s", at, share,
             folder, secret, rest);
    job_start(j, command);
}

static void two_sinewruns_are_one_job(void **state)
{
    struct job hub, other;
    char at[64];
    (void)state;
    start_hub(&hub, "--size 5 --ranks 0-1", "RANK fence say here", at, sizeof(at));
    start_share(&other, at, "--size 5 --ranks 2-4", 0, "RANK fence say there");
    job_finish(&other);
    job_finish(&hub);
    assert_status(&hub, 0);
    assert_status(&other, 0);
    assert_int_equal(count(hub.out.text, "here"), 2);
    assert_int_equal(count(other.out.text, "there"), 3);
    job_drop(&hub);
    job_drop(&other);
}

static void failures_travel_between_sinewruns(void **state)
{
    struct job hub, other;
    char at[64];
    (void)state;
    start_hub(&hub, "--size 3 --ranks 0-1", "RANK fence sleep", at, sizeof(at));
    start_share(&other, at, "--size 3 --ranks 2", 0, "RANK fence exit 9");
    job_finish(&other);
    job_finish(&hub);
    assert_status(&other, 9);
    assert_status(&hub, 9);
    assert_says(&hub, "rank 2");
    assert_says(&hub, "on another host");
    job_drop(&hub);
    job_drop(&other);
}

static void aborts_travel_between_sinewruns(void **state)
{
    struct job hub, other;
    char at[64];
    (void)state;
    start_hub(&hub, "--size 2 --ranks 0", "RANK fence abort 11", at, sizeof(at));
    start_share(&other, at, "--size 2 --ranks 1", 0, "RANK fence sleep");
    job_finish(&other);
    job_finish(&hub);
    assert_status(&other, 11);
    assert_status(&hub, 11);
    job_drop(&hub);
    job_drop(&other);
}

/* Either way round: a sinewrun that is gone takes its ranks along, and the others hear of it. */
static void lost_sinewrun_is_dead_ranks(bool hub_dies)
{
    struct job hub, other;
    char at[64];
    start_hub(&hub, "--size 2 --ranks 0", "--on-failure continue RANK fence say in await", at,
              sizeof(at));
    start_share(&other, at, "--size 2 --ranks 1", 0,
                "--on-failure continue RANK fence say in await");
    job_pump(&hub, "0 in\n");
    job_pump(&other, "1 in\n");
    struct job *dies = hub_dies ? &hub : &other, *stays = hub_dies ? &other : &hub;
    kill(dies->pid, SIGKILL);
    job_finish(dies);
    job_finish(stays);
    assert_status(stays, 1);
    assert_true(has(&stays->out, hub_dies ? "1 saw 0\n" : "0 saw 1\n"));
    assert_says(stays, "is lost");
    job_drop(&hub);
    job_drop(&other);
}

static void lost_member_is_dead_ranks(void **state)
{
    (void)state;
    lost_sinewrun_is_dead_ranks(false);
}

static void lost_hub_is_dead_ranks(void **state)
{
    (void)state;
    lost_sinewrun_is_dead_ranks(true);
}

static void strangers_are_refused(void **state)
{
    struct job hub, other;
    char at[64];
    (void)state;
    start_hub(&hub, "--size 3 --ranks 0-1", "RANK fence", at, sizeof(at));
    start_share(&other, at, "--size 3 --ranks 2", 1, "RANK fence");
    job_finish(&other);
    assert_status(&other, 1);
    assert_says(&other, "does not know this job's secret");
    job_drop(&other);
    start_share(&other, at, "--size 3 --ranks 2", 2, "RANK fence");
    job_finish(&other);
    assert_status(&other, 1);
    assert_says(&other, "mode 644 lets others at it");
    job_drop(&other);
    start_share(&other, at, "--size 3 --ranks 1-2", 0, "RANK fence");
    job_finish(&other);
    assert_status(&other, 1);
    assert_says(&other, "rank 1 is taken");
    job_drop(&other);
    start_share(&other, at, "--size 4 --ranks 2", 0, "RANK fence");
    job_finish(&other);
    assert_status(&other, 1);
    job_drop(&other);
    /* And the job they wanted into goes on. */
    start_share(&other, at, "--size 3 --ranks 2", 0, "RANK fence");
    job_finish(&other);
    job_finish(&hub);
    assert_status(&other, 0);
    assert_status(&hub, 0);
    job_drop(&other);
    job_drop(&hub);
}

/* Once every rank has come, the address is closed. */
static void complete_jobs_do_not_listen(void **state)
{
    struct job hub, other, late;
    char at[64];
    int closed = 0;
    (void)state;
    start_hub(&hub, "--size 2 --ranks 0", "RANK fence say in sleep", at, sizeof(at));
    start_share(&other, at, "--size 2 --ranks 1", 0, "RANK fence say in sleep");
    job_pump(&hub, "0 in\n");
    job_pump(&other, "1 in\n");
    for (bool refused = false; !refused;) {
        start_share(&late, at, "--size 2 --ranks 1", 0, "--set setup_deadline=100ms RANK fence");
        job_finish(&late);
        assert_status(&late, 1);
        refused = has(&late.err, "Connection refused");
        /* On a busy machine the first is there before the launcher has put its ear away. */
        if (!refused) assert_says(&late, "has closed: all ranks have come");
        assert_true(closed++ < 20);
        job_drop(&late);
    }
    kill(hub.pid, SIGTERM);
    job_finish(&hub);
    job_finish(&other);
    assert_status(&hub, 143);
    job_drop(&hub);
    job_drop(&other);
}

static void absent_share_is_named(void **state)
{
    struct job hub;
    char at[64];
    (void)state;
    start_hub(&hub, "--size 4 --ranks 0", "--set setup_deadline=200ms sleep 1000", at, sizeof(at));
    job_finish(&hub);
    assert_status(&hub, 1);
    assert_says(&hub, "nobody has come to the rendezvous for rank 1-3");
    job_drop(&hub);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_sinewruns_are_one_job),
        cmocka_unit_test(failures_travel_between_sinewruns),
        cmocka_unit_test(aborts_travel_between_sinewruns),
        cmocka_unit_test(lost_member_is_dead_ranks),
        cmocka_unit_test(lost_hub_is_dead_ranks),
        cmocka_unit_test(strangers_are_refused),
        cmocka_unit_test(complete_jobs_do_not_listen),
        cmocka_unit_test(absent_share_is_named),
    };
    if (argc < 3) return 2;
    job_programs(argv[1], argv[2]);
    if (argc > 3) cmocka_set_test_filter(argv[3]);
    return cmocka_run_group_tests(tests, make_secrets, remove_secrets);
}
