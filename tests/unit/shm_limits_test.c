/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_limits_test.c - memory that may not be had is refused at set-up, in words, and costs no
 * signal
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/shm_pair.h"

enum { NEED = 100000, MIB = 1 << 20 };

/* --- control groups, in a tree of our own ----------------------------------------------------- */

struct tree {
    char root[64];
};

static void tree_make(struct tree *tree)
{
    snprintf(tree->root, sizeof(tree->root), "/tmp/sinew-limits-XXXXXX");
    assert_non_null(mkdtemp(tree->root));
}

static void tree_write(const struct tree *tree, const char *path, const char *text)
{
    char full[512];
    int n = snprintf(full, sizeof(full), "%s/%s", tree->root, path);
    for (char *at = full + strlen(tree->root) + 1; (at = strchr(at, '/')); *at++ = '/') {
        *at = '\0';
        assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
    }
    FILE *f = n < (int)sizeof(full) ? fopen(full, "we") : NULL;
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void tree_free(struct tree *tree)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", tree->root);
    assert_int_equal(system(command), 0);
}

struct group {
    const char *line, *directory; /* of /proc/self/cgroup; where its files are */
    const char *limit, *usage;    /* their names */
    const char *reclaimable;
};

static const struct group groups[] = {
    { "0::/job/step\n", "sys/fs/cgroup/job/step", "memory.max", "memory.current",
      "anon 5\ninactive_file 1500000\nactive_file 400000\n" },
    { "12:cpu:/\n0::/job/step\n", "sys/fs/cgroup/unified/job/step", "memory.max", "memory.current",
      "anon 5\ninactive_file 1500000\nactive_file 400000\n" },
    { "3:cpu:/\n4:memory:/job/step\n0::/\n", "sys/fs/cgroup/memory/job/step",
      "memory.limit_in_bytes", "memory.usage_in_bytes",
      "cache 5\ninactive_file 7\ntotal_inactive_file 1500000\ntotal_active_file 400000\n" },
    { "4:hugetlb,memory:/job/step\n", "sys/fs/cgroup/memory/job/step", "memory.limit_in_bytes",
      "memory.usage_in_bytes",
      "cache 5\nactive_file 7\ntotal_inactive_file 1500000\ntotal_active_file 400000\n" },
};

/* `up` groups above the process's own. */
static void group_set(const struct tree *tree, const struct group *g, int up, const char *limit,
                      const char *usage)
{
    char directory[256], path[512];
    snprintf(directory, sizeof(directory), "%s", g->directory);
    while (up-- > 0) *strrchr(directory, '/') = '\0';
    snprintf(path, sizeof(path), "%s/%s", directory, g->limit);
    tree_write(tree, path, limit);
    snprintf(path, sizeof(path), "%s/%s", directory, g->usage);
    tree_write(tree, path, usage);
}

static void group_refuses(const struct tree *tree, const struct group *g, const char *named)
{
    struct why why = { "" };
    assert_int_equal(host_groups_check(tree->root, NEED, &why), SINEW_ELIMIT);
    assert_non_null(strstr(why.text, named));
    assert_non_null(strstr(why.text, g->limit));
}

static void group_allows(const struct tree *tree)
{
    struct why why = { "" };
    if (host_groups_check(tree->root, NEED, &why) != 0) fail_msg("%s", why.text);
}

static void test_a_full_group_refuses_whichever_it_is(void **state)
{
    (void)state;
    static const char *const names[] = { "/job/step allows", "/job allows", " allows" };
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        const struct group *g = &groups[i];
        struct tree tree;
        char path[256];
        tree_make(&tree);
        group_allows(&tree); /* nothing can be read: no limit */
        tree_write(&tree, "proc/self/cgroup", g->line);
        group_allows(&tree);
        for (int up = 0; up < 3; up++) {
            group_set(&tree, g, up, "4000000\n", "3900000\n");
            group_refuses(&tree, g, names[up]);
            group_set(&tree, g, up, "50000\n", "0\n"); /* less than is asked for */
            group_refuses(&tree, g, names[up]);
            group_set(&tree, g, up, "max\n", "3900000\n");
            group_allows(&tree);
            group_set(&tree, g, up, "9223372036854771712\n", "3900000\n");
            group_allows(&tree);
            group_set(&tree, g, up, "4000000\n", "1000000\n");
            group_allows(&tree);
        }
        group_set(&tree, g, 1, "4000000\n", "3900000\n"); /* of which much is page cache, */
        snprintf(path, sizeof(path), "%s", g->directory);
        *strrchr(path, '/') = '\0';
        strcat(path, "/memory.stat");
        tree_write(&tree, path, g->reclaimable);
        group_allows(&tree);
        group_set(&tree, g, 1, "4000000\n", "5800000\n"); /* but not that much */
        group_refuses(&tree, g, "/job allows");
        tree_free(&tree);
    }
}

static void test_other_controllers_are_not_asked(void **state)
{
    (void)state;
    struct tree tree;
    tree_make(&tree);
    tree_write(&tree, "proc/self/cgroup", "5:memoryless:/\n6:name=memory:/\nnonsense\n7:\n8:memory\n");
    tree_write(&tree, "sys/fs/cgroup/memory/memory.limit_in_bytes", "0\n");
    tree_write(&tree, "sys/fs/cgroup/memory/memory.usage_in_bytes", "0\n");
    group_allows(&tree);
    tree_free(&tree);
}

/* --- in earnest ------------------------------------------------------------------------------- */

/* rank 0 connects rank 1 while `limit` holds: it is refused in these words, and works again
 * after. */
static void connect_limited(int limit, struct rlimit low, const char *words)
{
    struct end a, b;
    struct rlimit old;
    end_open(&a, 0, 2, NULL);
    end_open(&b, 1, 2, NULL);
    getrlimit((__rlimit_resource_t)limit, &old);
    low.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit((__rlimit_resource_t)limit, &low), 0);
    end_connect(&a, 1, &b);
    setrlimit((__rlimit_resource_t)limit, &old);
    UNTIL(a.peers[1].downs == 1, &a, &b);
    assert_int_equal(a.peers[1].status, SINEW_ELIMIT);
    assert_non_null(strstr(a.peers[1].why, words));
    assert_int_equal(b.links, 0);
    end_connect(&a, 1, &b);
    UNTIL(a.peers[1].ups == 1, &a, &b);
    pair_down(&a, &b);
}

static void test_the_length_of_files_is_asked_before(void **state)
{
    (void)state;
    connect_limited(RLIMIT_FSIZE, (struct rlimit){ .rlim_cur = 4096 }, "ulimit -f");
    assert_true(shm_peer_bytes() <= 128 * 1024);
}

static void test_the_address_space_is_asked_before(void **state)
{
    (void)state;
    connect_limited(RLIMIT_AS, (struct rlimit){ .rlim_cur = 4096 }, "ulimit -v");
}

/* Like segment_mapper_real under a limit, on the side that is handed the segment. */
static void *map_refused(void *arg, int fd, size_t len)
{
    (void)fd;
    (void)len;
    errno = *(int *)arg;
    return NULL;
}

static void unmap_nothing(void *arg, void *at, size_t len)
{
    (void)arg;
    (void)at;
    (void)len;
}

/* It is told, and does not try again and again. */
static void test_who_cannot_map_says_so_to_both(void **state)
{
    (void)state;
    static const int errors[] = { ENOMEM, EAGAIN };
    static const int statuses[] = { SINEW_ENOMEM, SINEW_ELIMIT };
    static const char *const words[] = { "ulimit -v", "ulimit -l" };
    for (int i = 0; i < 2; i++) {
        struct end a, b;
        int error = errors[i];
        struct segment_mapper refuses = { map_refused, unmap_nothing, &error };
        end_open(&a, 0, 2, NULL);
        end_open_mapped(&b, 1, 2, NULL, &refuses);
        end_connect(&a, 1, &b);
        UNTIL(a.peers[1].downs == 1 && b.peers[0].downs == 1, &a, &b);
        assert_int_equal(b.links, 1);
        assert_int_equal(b.peers[0].status, statuses[i]);
        assert_non_null(strstr(b.peers[0].why, words[i]));
        assert_int_equal(a.peers[1].status, statuses[i]);
        assert_non_null(strstr(a.peers[1].why, "no memory"));
        end_connect(&b, 0, &a);
        UNTIL(b.peers[0].downs == 2, &a, &b);
        assert_int_equal(b.peers[0].status, statuses[i]);
        assert_non_null(strstr(b.peers[0].why, words[i]));
        end_close(&a);
        end_close(&b);
    }
}

/* In a child: with all memory to be locked, and less allowed than a segment. */
static void child_locks(void)
{
    struct end a, b;
    struct rlimit low = { 65536, 65536 };
    if (geteuid() == 0 && setuid(65534) < 0) _exit(2); /* root may lock what it likes */
    end_open(&a, 0, 2, NULL);
    end_open(&b, 1, 2, NULL);
    if (setrlimit(RLIMIT_MEMLOCK, &low) < 0 || syscall(SYS_mlockall, MCL_FUTURE) < 0) _exit(3);
    end_connect(&a, 1, &b);
    syscall(SYS_munlockall);
    WHILE (a.peers[1].downs == 0) end_progress(&a);
    _exit(a.peers[1].status == SINEW_ELIMIT && strstr(a.peers[1].why, "ulimit -l") ? 0 : 4);
}

static void test_the_limit_of_locked_memory_is_named(void **state)
{
    (void)state;
    int status;
    pid_t child = bounded_fork();
    if (child == 0) child_locks();
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* The group of this process, version 1. False: there is none that we may change. */
static bool own_group(char *path, size_t cap)
{
    char line[512];
    FILE *f = fopen("/proc/self/cgroup", "re");
    bool found = false;
    while (f && !found && fgets(line, sizeof(line), f)) {
        char *at = strstr(line, ":memory:");
        if (!at) continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(path, cap, "/sys/fs/cgroup/memory%s/sinew-limits-%d", at + 8, (int)getpid());
        found = mkdir(path, 0700) == 0;
    }
    if (f) fclose(f);
    return found;
}

static void file_write(const char *directory, const char *name, const char *text)
{
    char path[700];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) _exit(5);
    close(fd);
}

static void test_a_real_group_refuses_and_kills_nobody(void **state)
{
    (void)state;
    char group[600];
    int status;
    if (!own_group(group, sizeof(group))) {
        print_message("skip: a memory control group (version 1) that this user may divide\n");
        skip();
    }
    pid_t child = bounded_fork();
    if (child == 0) {
        struct end a, b;
        file_write(group, "memory.limit_in_bytes", "1048576");
        file_write(group, "cgroup.procs", "0");
        end_open(&a, 0, 2, NULL);
        end_open(&b, 1, 2, NULL);
        end_connect(&a, 1, &b);
        WHILE (a.peers[1].downs == 0) end_progress(&a);
        bool named = strstr(a.peers[1].why, "memory.limit_in_bytes") &&
                     strstr(a.peers[1].why, "sinew-limits");
        _exit(a.peers[1].status == SINEW_ELIMIT && named ? 0 : 4);
    }
    waitpid(child, &status, 0);
    WHILE (rmdir(group) < 0 && errno == EBUSY) {}
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, end_no_residue, end_no_residue)
    const struct CMUnitTest tests[] = {
        TEST(test_a_full_group_refuses_whichever_it_is),
        TEST(test_other_controllers_are_not_asked),
        TEST(test_the_length_of_files_is_asked_before),
        TEST(test_the_address_space_is_asked_before),
        TEST(test_who_cannot_map_says_so_to_both),
        TEST(test_the_limit_of_locked_memory_is_named),
        TEST(test_a_real_group_refuses_and_kills_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
