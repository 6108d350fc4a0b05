/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finding and opening modules: what is right is opened, what is not is refused with the reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_one_is_opened),
        cmocka_unit_test(what_is_wrong_is_refused_by_name),
        cmocka_unit_test(bytes_that_are_no_library_are_refused),
        cmocka_unit_test(what_everybody_may_write_is_not_loaded),
        cmocka_unit_test(who_looks_beside_says_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
