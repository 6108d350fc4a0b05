/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finding and opening modules: what is right is opened, what is not is refused with the reason.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sinew/sinew.h"
#include "transport/module.h"

static int open_in(const char *below, struct why *why, char *name)
{
    char dir[512];
    void *handle = NULL;
    const struct transport_ops *ops = NULL;
    snprintf(dir, sizeof(dir), "%s/%s", MODULES, below);
    int rc = module_open(&modules_known[0], dir, &handle, &ops, why);
    if (rc == 0) {
        snprintf(name, 16, "%s", ops->name);
        struct transport t = { .ops = ops };
        assert_int_equal(ops->open(&t), SINEW_ENOTSUP);
        assert_string_equal(t.why.text, "this is the module of tests");
        module_close(handle);
    } else {
        assert_null(handle);
        assert_null(ops);
    }
    return rc;
}

static void the_right_one_is_opened(void **state)
{
    struct why why = { "" };
    char name[16] = "";
    (void)state;
    if (open_in("ok", &why, name)) fail_msg("%s", why.text);
    assert_string_equal(name, "verbs");
    assert_int_equal(open_in("ok", &why, name), 0); /* and again after it was closed */
}

static void what_is_wrong_is_refused_by_name(void **state)
{
    static const struct {
        const char *below, *says;
        int status;
    } table[] = {
        { "abi", "is of another version (module interface 2", SINEW_EVERSION },
        { "size", "is of another version", SINEW_EVERSION },
        { "link_size", "was built with other headers", SINEW_EVERSION },
        { "config_size", "was built with other headers", SINEW_EVERSION },
        { "symbol", "it has no sinew_module()", SINEW_EVERSION },
        { "name", "holds the transport other", SINEW_EVERSION },
        { "nowhere", "module_dir says to look in ", SINEW_ENOENT },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct why why = { "" };
        char name[16];
        assert_int_equal(open_in(table[i].below, &why, name), table[i].status);
        if (!strstr(why.text, table[i].says) || !strstr(why.text, "libsinew-verbs.so"))
            fail_msg("%s: %s", table[i].below, why.text);
    }
}

static void bytes_that_are_no_library_are_refused(void **state)
{
    char dir[] = "/tmp/sinew-module-XXXXXX", file[64];
    struct why why = { "" };
    void *handle;
    const struct transport_ops *ops;
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof(file), "%s/libsinew-verbs.so", dir);
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fputs("no library", f);
    fclose(f);
    int rc = module_open(&modules_known[0], dir, &handle, &ops, &why);
    unlink(file);
    rmdir(dir);
    assert_int_equal(rc, SINEW_ENOTSUP);
    assert_non_null(strstr(why.text, "does not load"));
}

/* Somebody else may have put it there. */
static void what_everybody_may_write_is_not_loaded(void **state)
{
    char dir[] = "/tmp/sinew-module-XXXXXX", file[64];
    static const mode_t modes[][2] = { { 0777, 0644 }, { 0755, 0666 } };
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof(file), "%s/libsinew-verbs.so", dir);
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fclose(f);
    for (int i = 0; i < 2; i++) {
        struct why why = { "" };
        void *handle;
        const struct transport_ops *ops;
        chmod(dir, modes[i][0]);
        chmod(file, modes[i][1]);
        int rc = module_open(&modules_known[0], dir, &handle, &ops, &why);
        if (rc != SINEW_EACCESS || !strstr(why.text, "chmod o-w")) {
            unlink(file);
            rmdir(dir);
            fail_msg("%d: %s", rc, why.text);
        }
    }
    unlink(file);
    rmdir(dir);
}

/* This program is linked with the library, so "beside" is its own directory and lib/ next to it. */
static void who_looks_beside_says_where(void **state)
{
    static const struct module_known nobody = { "nobody", "libsinew-nobody.so", NULL };
    struct why why = { "" };
    void *handle;
    const struct transport_ops *ops;
    (void)state;
    assert_int_equal(module_open(&nobody, "", &handle, &ops, &why), SINEW_ENOENT);
    assert_non_null(strstr(why.text, "/tests, "));
    assert_non_null(strstr(why.text, "/tests/../lib"));
}

/* ---- one at a time --------------------------------------------------------------------------- */

static int gather_alone(void *arg, const void *mine, size_t len, void *all)
{
    (void)arg;
    for (size_t i = 0; i < 2; i++) memcpy((char *)all + i * len, mine, len);
    return 0;
}

/* Rank 0 of 2, with the module of `below` and no other transport. */
static int open_context(const char *below)
{
    struct sinew_exchange exchange = { .rank = 0, .size = 2, .allgather = gather_alone };
    struct sinew_options o = SINEW_OPTIONS_INIT;
    char settings[600];
    struct sinew *s;
    snprintf(settings, sizeof(settings), "module_dir=%s/%s", MODULES, below);
    o.environment = SINEW_IGNORE;
    o.exchange = &exchange;
    o.settings = settings;
    o.transports = "verbs";
    o.setup_deadline = 200000000;
    return sinew_open(&o, &s);
}

static void *open_slowly(void *status)
{
    *(int *)status = open_context("slow");
    return NULL;
}

static int open_in_child(void)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        alarm(20); /* it hung here for ever */
        _exit(open_context("ok") == SINEW_EBUSY && strstr(sinew_why(NULL), "fork") ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* While one thread is within a module, another one waits, but not for ever; a forked child does
 * not. */
static void nobody_waits_for_ever_to_load(void **state)
{
    int said[2], let[2], slow = 0;
    char gate[32], byte;
    pthread_t thread;
    (void)state;
    assert_int_equal(open_context("ok"), SINEW_ENOTSUP);
    assert_int_equal(pipe(said) | pipe(let), 0);
    snprintf(gate, sizeof(gate), "%d,%d", said[1], let[0]);
    setenv("TEST_GATE", gate, 1);
    assert_int_equal(pthread_create(&thread, NULL, open_slowly, &slow), 0);
    assert_int_equal(read(said[0], &byte, 1), 1);
    int rc = open_context("ok");
    bool told = strstr(sinew_why(NULL), "another thread has been loading") != NULL;
    int child = open_in_child();
    assert_int_equal(write(let[1], &byte, 1), 1);
    pthread_join(thread, NULL);
    assert_int_equal(rc, SINEW_ETIMEDOUT);
    assert_true(told);
    assert_int_equal(child, 0);
    assert_int_equal(slow, SINEW_ENOTSUP);
    assert_int_equal(open_context("ok"), SINEW_ENOTSUP);
    unsetenv("TEST_GATE");
    for (int i = 0; i < 2; i++) {
        close(said[i]);
        close(let[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_one_is_opened),
        cmocka_unit_test(what_is_wrong_is_refused_by_name),
        cmocka_unit_test(bytes_that_are_no_library_are_refused),
        cmocka_unit_test(what_everybody_may_write_is_not_loaded),
        cmocka_unit_test(who_looks_beside_says_where),
        cmocka_unit_test(nobody_waits_for_ever_to_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
