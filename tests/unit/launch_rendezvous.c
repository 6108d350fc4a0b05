/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * launch_rendezvous.c - bare processes at a rendezvous (here threads), what the environment may
 * say, and what strangers may send to whoever listens
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "launch/meeting.h"
#include "launch/launch.h"
#include "launch/providers.h"
#include "tests/seed.h"
#include "tests/support/bounded.h"

#define SECONDS(n) (world_now(&world_real) + (int64_t)((n)*1e9))

static char folder[] = "/tmp/sinew-rendezvous-XXXXXX";
static char secrets[2][64];

static void write_secret(const char *name, int first, size_t len, mode_t mode)
{
    uint8_t bytes[5000] = { (uint8_t)first };
    int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int make_secrets(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    for (int i = 0; i < 2; i++) {
        snprintf(secrets[i], sizeof(secrets[i]), "%s/%d", folder, i);
        write_secret(secrets[i], i + 1, 32, 0600);
    }
    return 0;
}

static int remove_secrets(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) unlink(secrets[i]);
    return rmdir(folder);
}

/* A port that is ours until fd is closed: bound, not listening, so that the hub may bind it as
 * well. */
static int reserve(char *at, size_t cap)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(in);
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    snprintf(at, cap, "127.0.0.1:%d", ntohs(in.sin_port));
    return fd;
}

/* --- ranks as threads ------------------------------------------------------------------------- */

struct rank {
    struct rendezvous how;
    double seconds;
    pthread_t thread;
    int status, after; /* of open or fence; of failed afterwards */
    struct why why;
    bool right;
};

static void *rank_run(void *arg)
{
    struct rank *r = arg;
    struct launch *l;
    uint8_t got[LAUNCH_RECORD_MAX];
    int dead, rank = r->how.rank;
    int64_t until = SECONDS(r->seconds);
    r->status = rendezvous_open(&world_real, &r->how, until, &l, &r->why);
    if (r->status < 0) return NULL;
    r->status = l->ops->put(l, &rank, sizeof(rank));
    if (r->status == 0) r->status = l->ops->fence(l, until);
    if (r->status < 0) r->why = l->why;
    r->right = r->status == 0;
    for (int i = 0; r->right && i < l->size; i++)
        r->right = l->ops->get(l, i, got) == (int)sizeof(int) && memcmp(got, &i, sizeof(int)) == 0;
    r->after = r->status == 0 ? l->ops->failed(l, &dead) : 0;
    l->ops->close(l);
    return NULL;
}

static void run(struct rank *ranks, int count)
{
    for (int i = 0; i < count; i++) pthread_create(&ranks[i].thread, NULL, rank_run, &ranks[i]);
    for (int i = 0; i < count; i++) pthread_join(ranks[i].thread, NULL);
}

static void bare_ranks_meet(void **state)
{
    char at[64];
    (void)state;
    for (int size = 1; size <= 9; size += 4) {
        struct rank ranks[9];
        memset(ranks, 0, sizeof(ranks));
        int port = reserve(at, sizeof(at));
        /* Rank 0 last: the others find nobody there at first. */
        for (int i = 0; i < size; i++)
            ranks[i] =
                (struct rank){ .how = { at, secrets[0], size - 1 - i, size }, .seconds = 20 };
        run(ranks, size);
        for (int i = 0; i < size; i++) {
            if (ranks[i].status) fail_msg("rank %d: %s", ranks[i].how.rank, ranks[i].why.text);
            assert_true(ranks[i].right);
            assert_int_equal(ranks[i].after, 0); /* that the tree is gone is no failure */
        }
        close(port);
    }
}

static void missing_ranks_are_named(void **state)
{
    struct rank ranks[2] = { 0 };
    char at[64];
    int port = reserve(at, sizeof(at));
    (void)state;
    for (double seconds = 0.5; seconds < 20; seconds *= 3) { /* a busy machine may need longer */
        ranks[0] = (struct rank){ .how = { at, secrets[0], 0, 5 }, .seconds = seconds };
        ranks[1] = (struct rank){ .how = { at, secrets[0], 2, 5 }, .seconds = seconds };
        run(ranks, 2);
        if (!strstr(ranks[0].why.text, "1 of 5 ranks")) break;
    }
    assert_int_equal(ranks[0].status, SINEW_ETIMEDOUT);
    assert_non_null(strstr(ranks[0].why.text, "2 of 5 ranks have come, missing: rank 1, 3-4"));
    assert_true(ranks[1].status == SINEW_ETIMEDOUT || ranks[1].status == SINEW_ELAUNCH);
    assert_non_null(strstr(ranks[1].why.text, "1, 3-4"));
    close(port);
}

static void nobody_there_is_a_timeout(void **state)
{
    struct rank r = { 0 };
    char at[64];
    int port = reserve(at, sizeof(at));
    (void)state;
    r = (struct rank){ .how = { at, secrets[0], 1, 2 }, .seconds = 0.2 };
    run(&r, 1);
    assert_int_equal(r.status, SINEW_ETIMEDOUT);
    assert_non_null(strstr(r.why.text, at));
    assert_non_null(strstr(r.why.text, "rank 0 did not answer"));
    close(port);
}

static void other_secrets_are_refused(void **state)
{
    struct rank ranks[3] = { 0 };
    char at[64];
    int port = reserve(at, sizeof(at));
    (void)state;
    for (double seconds = 0.5; seconds < 20; seconds *= 3) { /* a busy machine may need longer */
        ranks[0] = (struct rank){ .how = { at, secrets[0], 0, 3 }, .seconds = seconds };
        ranks[1] = (struct rank){ .how = { at, secrets[0], 1, 3 }, .seconds = seconds };
        ranks[2] = (struct rank){ .how = { at, secrets[1], 2, 3 }, .seconds = seconds };
        run(ranks, 3);
        if (ranks[2].status == SINEW_EAUTH && strstr(ranks[0].why.text, "missing: rank 2")) break;
    }
    assert_int_equal(ranks[2].status, SINEW_EAUTH);
    assert_non_null(strstr(ranks[2].why.text, "secret"));
    assert_int_equal(ranks[0].status, SINEW_ETIMEDOUT);
    assert_non_null(strstr(ranks[0].why.text, "missing: rank 2"));
    assert_non_null(strstr(ranks[0].why.text, "was refused: ")); /* and who may have been meant */
    close(port);
}

/* One that is not there yet is waited for; one that was met and is gone is not. */
static void a_hub_that_has_closed_is_not_waited_for(void **state)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(in);
    struct rank r = { 0 };
    char at[64];
    (void)state;
    int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(door, (struct sockaddr *)&in, len), 0);
    assert_int_equal(listen(door, 1), 0);
    assert_int_equal(getsockname(door, (struct sockaddr *)&in, &len), 0);
    snprintf(at, sizeof(at), "127.0.0.1:%d", ntohs(in.sin_port));
    r = (struct rank){ .how = { at, secrets[0], 1, 2 }, .seconds = 1000 };
    pthread_create(&r.thread, NULL, rank_run, &r);
    int fd = accept(door, NULL, NULL);
    assert_true(fd >= 0);
    close(door);
    close(fd);
    pthread_join(r.thread, NULL);
    assert_int_equal(r.status, SINEW_ELAUNCH);
    assert_non_null(strstr(r.why.text, "has closed"));
}

static void bad_addresses_are_named(void **state)
{
    static const char *const bad[] = { "",
                                       "host",
                                       "host:",
                                       ":1",
                                       "::1:5",
                                       "[::1:5",
                                       "127.0.0.1:99999999",
                                       "127.0.0.1:http",
                                       "127.0.0.1:0" };
    struct launch *l;
    struct why why;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        for (int rank = 0; rank < 2; rank++) {
            struct rendezvous how = { bad[i], secrets[0], rank, 2 };
            why.text[0] = '\0';
            int rc = rendezvous_open(&world_real, &how, SECONDS(0.1), &l, &why);
            assert_int_equal(rc, SINEW_EINVAL);
            assert_non_null(strstr(why.text, "rendezvous address"));
        }
}

static void secret_files_are_looked_at(void **state)
{
    uint8_t a[LAUNCH_SECRET_LEN], b[LAUNCH_SECRET_LEN];
    struct why why;
    char name[80];
    (void)state;
    snprintf(name, sizeof(name), "%s/file", folder);
    assert_int_equal(secret_load(name, a, &why), SINEW_EINVAL); /* not there */
    assert_non_null(strstr(why.text, name));
    write_secret(name, 1, 32, 0640);
    assert_int_equal(secret_load(name, a, &why), SINEW_EAUTH);
    write_secret(name, 1, 31, 0600);
    assert_int_equal(secret_load(name, a, &why), SINEW_EINVAL);
    write_secret(name, 1, 4097, 0600);
    assert_int_equal(secret_load(name, a, &why), SINEW_EINVAL);
    write_secret(name, 1, 32, 0400);
    assert_int_equal(secret_load(name, a, &why), 0);
    write_secret(name, 1, 33, 0600);
    assert_int_equal(secret_load(name, b, &why), 0);
    assert_memory_not_equal(a, b, LAUNCH_SECRET_LEN); /* every byte counts */
    assert_int_equal(secret_load(folder, b, &why), SINEW_EINVAL);
    unlink(name);
}

/* --- strangers -------------------------------------------------------------------------------- */

static int visit(const char *at)
{
    struct sockaddr_in in = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons((uint16_t)atoi(strchr(at, ':') + 1)) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    WHILE (connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0) {
        assert_int_equal(errno, ECONNREFUSED); /* rank 0 is not there yet */
        sched_yield();
    }
    return fd;
}

/* More visitors than there are places; some say nothing, some nonsense. The job comes together as
 * soon as the quiet ones have lost their patience or their places. */
static void strangers_do_not_stop_the_job(void **state)
{
    struct rank ranks[2] = { 0 };
    char at[64];
    int visitors[40], port = reserve(at, sizeof(at));
    struct seed seed = seed_from_environment("strangers_do_not_stop_the_job");
    (void)state;
    for (int i = 0; i < 2; i++)
        ranks[i] = (struct rank){ .how = { at, secrets[0], i, 2 }, .seconds = 20 };
    pthread_create(&ranks[0].thread, NULL, rank_run, &ranks[0]);
    for (int i = 0; i < 40; i++) {
        uint8_t noise[300];
        visitors[i] = visit(at);
        for (size_t k = 0; k < sizeof(noise); k++) noise[k] = (uint8_t)seed_next(&seed);
        size_t len = i % 2 ? seed_below(&seed, sizeof(noise)) : 0;
        if (len > 0 && send(visitors[i], noise, len, MSG_NOSIGNAL) < 0)
            assert_int_equal(errno, EPIPE);
    }
    pthread_create(&ranks[1].thread, NULL, rank_run, &ranks[1]);
    for (int i = 0; i < 2; i++) {
        pthread_join(ranks[i].thread, NULL);
        if (ranks[i].status) fail_msg("rank %d: %s", i, ranks[i].why.text);
    }
    for (int i = 0; i < 40; i++) close(visitors[i]);
    close(port);
}

/* --- the environment -------------------------------------------------------------------------- */

static const char *const variables[] = {
    "SINEW_RENDEZVOUS",
    "SINEW_RANK",
    "SINEW_SIZE",
    "SINEW_SECRET_FILE",
    "SINEW_LAUNCH_FD",
    "PMI_RANK",
    "PMI_SIZE",
    "PMI_FD",
    "PMIX_RANK",
    "SLURM_PROCID",
    "SLURM_STEP_NUM_TASKS",
    "SLURM_NTASKS",
    "SLURM_STEP_ID",
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE",
};

/* "A=1 B=2" and nothing else of what launchers set; the status of an open, which is closed again.
 */
static int open_with(const char *environment, struct why *why)
{
    struct launch *l;
    char words[512], *save;
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) unsetenv(variables[i]);
    snprintf(words, sizeof(words), "%s", environment);
    for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char *equals = strchr(word, '=');
        *equals = '\0';
        setenv(word, equals + 1, 1);
    }
    int rc = launch_open(&world_real, NULL, NULL, SECONDS(0.1), &l, why);
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) unsetenv(variables[i]);
    if (rc == 0) l->ops->close(l);
    return rc;
}

static void half_set_variables_name_what_is_missing(void **state)
{
    static const char *const names[] = { "SINEW_RENDEZVOUS", "SINEW_RANK", "SINEW_SIZE",
                                         "SINEW_SECRET_FILE" };
    static const char *const values[] = { "127.0.0.1:1", "0", "2", "F" };
    struct why why;
    (void)state;
    for (int set = 1; set < 15; set++) {
        char environment[256] = "";
        struct text t = text_into(environment, sizeof(environment));
        for (int i = 0; i < 4; i++)
            if (set & 1 << i) text_add(&t, "%s=%s ", names[i], values[i]);
        assert_int_equal(open_with(environment, &why), SINEW_EINVAL);
        const char *missing = strstr(why.text, " set without ");
        assert_non_null(missing);
        for (int i = 0; i < 4; i++) assert_true(!strstr(missing, names[i]) == !!(set & 1 << i));
    }
}

static void bad_numbers_name_their_range(void **state)
{
    static const char *const bad[] = { "SINEW_RANK=2 SINEW_SIZE=2", "SINEW_RANK=-1 SINEW_SIZE=2",
                                       "SINEW_RANK=x SINEW_SIZE=2", "SINEW_RANK=0 SINEW_SIZE=0",
                                       "SINEW_RANK=0 SINEW_SIZE=2k" };
    struct why why;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char environment[256];
        snprintf(environment, sizeof(environment), "SINEW_RENDEZVOUS=h:1 SINEW_SECRET_FILE=F %s",
                 bad[i]);
        assert_int_equal(open_with(environment, &why), SINEW_EINVAL);
        assert_non_null(strstr(why.text, "allowed are numbers from"));
    }
}

static void foreign_launchers_are_never_alone(void **state)
{
    static const struct {
        const char *environment, *name;
    } seen[] = {
        { "PMI_RANK=0 PMI_SIZE=4", "PMI" },
        { "PMI_FD=7 PMI_RANK=1 PMI_SIZE=2", "PMI" },
        { "PMIX_RANK=0", "PMIx" },
        { "SLURM_PROCID=3 SLURM_STEP_NUM_TASKS=4", "Slurm" },
        { "SLURM_PROCID=0 SLURM_NTASKS=4 SLURM_STEP_ID=0", "Slurm" },
        { "OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2 PMIX_RANK=0", "Open MPI" },
    };
    static const char *const single[] = {
        "PMI_RANK=0 PMI_SIZE=1",
        "SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=1",
        "OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=1 PMIX_RANK=0",
        "SLURM_PROCID=0 SLURM_NTASKS=4", /* a batch script, not one of its tasks */
        "",
    };
    struct why why;
    (void)state;
    for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
        assert_int_equal(open_with(seen[i].environment, &why), SINEW_ENOTSUP);
        assert_non_null(strstr(why.text, seen[i].name));
    }
    for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
        assert_int_equal(open_with(single[i], &why), 0);
}

static void a_door_that_is_none_is_refused(void **state)
{
    struct why why;
    char environment[64];
    int pair[2];
    struct stat is;
    (void)state;
    assert_int_equal(open_with("SINEW_LAUNCH_FD=3", &why), SINEW_EINVAL);
    assert_int_equal(open_with("SINEW_LAUNCH_FD=999:1", &why), SINEW_ELAUNCH);
    assert_int_equal(open_with("SINEW_LAUNCH_FD=2:1", &why), SINEW_ELAUNCH);
    assert_non_null(strstr(why.text, "Only one process per rank"));
    /* A real door behind which nobody is any more. */
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    close(pair[0]);
    fstat(pair[1], &is);
    snprintf(environment, sizeof(environment), "SINEW_LAUNCH_FD=%d:%llu", pair[1],
             (unsigned long long)is.st_ino);
    assert_int_equal(open_with(environment, &why), SINEW_ELAUNCH);
    assert_non_null(strstr(why.text, "sinewrun does not answer"));
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bare_ranks_meet),
        cmocka_unit_test(missing_ranks_are_named),
        cmocka_unit_test(nobody_there_is_a_timeout),
        cmocka_unit_test(other_secrets_are_refused),
        cmocka_unit_test(a_hub_that_has_closed_is_not_waited_for),
        cmocka_unit_test(bad_addresses_are_named),
        cmocka_unit_test(secret_files_are_looked_at),
        cmocka_unit_test(strangers_do_not_stop_the_job),
        cmocka_unit_test(half_set_variables_name_what_is_missing),
        cmocka_unit_test(bad_numbers_name_their_range),
        cmocka_unit_test(foreign_launchers_are_never_alone),
        cmocka_unit_test(a_door_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, make_secrets, remove_secrets);
}
