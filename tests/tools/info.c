/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info.c - sinew-info tells what is there, in words and in JSON
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/config.h"
#include "json.h"
#include "run.h"

static struct run r;
static struct json j;

/* The value of an item in the JSON that r holds; NULL if there is none. Every line must parse. */
static const char *item(const char *section, const char *name)
{
    static char value[JSON_TEXT_MAX];
    static char copy[RUN_OUTPUT_MAX];
    const char *found = NULL;
    char *line, *at = copy;
    memcpy(copy, r.out, sizeof(copy));
    while ((line = run_next_line(&at)) != NULL) {
        if (!json_parse(line, &j)) fail_msg("not one flat JSON object: %s", line);
        json_expect_keys(&j, "section, name, value");
        if (strcmp(json_text(&j, "section"), section) != 0) continue;
        if (strcmp(json_text(&j, "name"), name) != 0) continue;
        memcpy(value, json_text(&j, "value"), sizeof(value));
        found = value;
    }
    return found;
}

static void expect_item(const char *section, const char *name, const char *words)
{
    const char *value = item(section, name);
    if (!value)
        fail_msg("nothing is said of %s, %s", section, name);
    else if (!strstr(value, words))
        fail_msg("%s, %s is: %s", section, name, value);
}

static void expect_not_said(const char *section, const char *name, const char *words)
{
    const char *value = item(section, name);
    if (value && strstr(value, words)) fail_msg("%s, %s is: %s", section, name, value);
}

static void json_has_host_transports_and_choices(void **state)
{
    (void)state;
    run_line(&r, "sinew-info --json");
    run_expect(&r, 0);
    expect_item("sinew", "version", sinew_version());
    expect_item("host", "name", "");
    expect_item("this process", "cores", "");
    expect_item("this process", "quota", "");
    expect_item("this process", "memlock", "");
    expect_item("this process", "nofile", "");
    expect_item("this process", "launcher", "none seen");
    expect_item("transports", "shm", "works");
    expect_item("transports", "tcp", "works");
    expect_item("transports", "verbs", "");
    expect_item("chosen", "this host", "shm");
    expect_item("chosen", "other host", "tcp");
    expect_item("chosen", "other host", "not shm: reaches this host only");
    /* `transports` is empty, so it leaves none out. */
    expect_not_said("chosen", "this host", "is not among the transports allowed");
}

static void transports_not_allowed_are_not_chosen(void **state)
{
    (void)state;
    setenv("SINEW_TRANSPORTS", "tcp", 1);
    run_line(&r, "sinew-info --json");
    unsetenv("SINEW_TRANSPORTS");
    run_expect(&r, 0);
    expect_item("chosen", "this host", "tcp\nnot shm: is not among the transports allowed");
}

static void the_order_asked_for_is_followed(void **state)
{
    (void)state;
    setenv("SINEW_TRANSPORTS", "tcp,shm", 1);
    run_line(&r, "sinew-info --json");
    unsetenv("SINEW_TRANSPORTS");
    run_expect(&r, 0);
    expect_item("chosen", "this host", "tcp\nnot shm: works too, but comes later");
}

static void text_and_json_tell_the_same(void **state)
{
    (void)state;
    run_line(&r, "sinew-info");
    run_expect(&r, 0);
    assert_non_null(strstr(r.out, "transports\n  shm "));
    assert_non_null(strstr(r.out, "chosen\n  this host "));
}

static void the_route_to_this_host_is_the_loopback(void **state)
{
    (void)state;
    run_line(&r, "sinew-info --json --to 127.0.0.1");
    run_expect(&r, 0);
    expect_item("route", "127.0.0.1:9", "from 127.0.0.1 by lo, an address of this host itself");
}

/* A loopback listener that nobody accepts from, and whose queue is full: the kernel drops what else
 * knocks, as a firewall does. Two of its three sockets are the queue's. */
static in_port_t full_listener(int fd[3])
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd[0], (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd[0], 0), 0);
    assert_int_equal(getsockname(fd[0], (struct sockaddr *)&at, &len), 0);
    for (int i = 1; i < 3; i++) {
        fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_true(connect(fd[i], (struct sockaddr *)&at, len) == 0 || errno == EINPROGRESS);
    }
    return ntohs(at.sin_port);
}

static void a_host_that_does_not_answer_is_told_by_the_exit_status(void **state)
{
    int fd[3];
    (void)state;
    run_line(&r, "sinew-info --json --to 127.0.0.1:%d", full_listener(fd));
    for (int i = 0; i < 3; i++) close(fd[i]);
    run_expect(&r, 1);
    expect_item("route", "answer", "no answer within 1 s");
    assert_non_null(strstr(r.err, "--to 127.0.0.1:"));
    assert_non_null(strstr(r.err, "out of reach"));
}

static void a_port_that_is_none_is_an_error(void **state)
{
    static const char *const wrong[] = { "[::1]:99999", "127.0.0.1:0", "127.0.0.1:", "127.0.0.1:9x" };
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        run_line(&r, "sinew-info --json --to %s", wrong[i]);
        run_expect(&r, 1);
        assert_non_null(strstr(r.err, "a port is a number from 1 to 65535"));
    }
    run_line(&r, "sinew-info --json --to 127.0.0.1:65535");
    run_expect(&r, 0);
}

/* A name with an empty label is none, so no name server is asked. */
static void a_host_that_does_not_resolve_is_an_error(void **state)
{
    (void)state;
    run_line(&r, "sinew-info --json --to a..b");
    run_expect(&r, 1);
    assert_non_null(strstr(r.err, "--to a..b"));
}

static void config_lists_the_whole_table_with_sources(void **state)
{
#define NAME_N(name, kind, initial, least, most, text) #name,
#define NAME_T(name, initial, text) #name,
    static const char *const names[] = { CONFIG_TABLE(NAME_N, NAME_T) };
    (void)state;
    setenv("SINEW_EAGER_BYTES", "4K", 1);
    run_line(&r, "sinew-info --config --json");
    unsetenv("SINEW_EAGER_BYTES");
    run_expect(&r, 0);
    char *at = r.out;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *line = run_next_line(&at);
        assert_non_null(line);
        assert_true(json_parse(line, &j));
        json_expect_keys(&j, "section, name, value, default, range, source, text");
        assert_string_equal(json_text(&j, "name"), names[i]);
        if (strcmp(names[i], "eager_bytes") != 0) continue;
        assert_string_equal(json_text(&j, "value"), "4K");
        assert_string_equal(json_text(&j, "source"), "environment");
        assert_string_equal(json_text(&j, "default"), "16K");
    }
    assert_null(run_next_line(&at));
}

static void config_says_who_wins_and_what_joins_a_job(void **state)
{
    static const char *const said[] = { "settings, the environment; --set", "SINEW_RENDEZVOUS=",
                                        "SINEW_RANK=", "SINEW_SIZE=", "SINEW_SECRET_FILE=",
                                        "multiple is not built yet" };
    (void)state;
    run_line(&r, "sinew-info --config");
    run_expect(&r, 0);
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
        if (!strstr(r.out, said[i])) fail_msg("no \"%s\" in: %s", said[i], r.out);
    run_line(&r, "sinew-info --config --to 127.0.0.1");
    run_expect(&r, 2);
    assert_non_null(strstr(r.err, "--config tells of settings alone"));
}

static void a_bad_setting_is_named_with_its_range(void **state)
{
    (void)state;
    setenv("SINEW_EAGER_BYTES", "1G", 1);
    run_line(&r, "sinew-info --config");
    unsetenv("SINEW_EAGER_BYTES");
    run_expect(&r, 1);
    assert_non_null(strstr(r.err, "eager_bytes"));
    assert_non_null(strstr(r.err, "16K"));
}

static void help_version_and_bad_options(void **state)
{
    (void)state;
    run_line(&r, "sinew-info --help");
    run_expect(&r, 0);
    assert_non_null(strstr(r.out, "--to HOST"));
    run_line(&r, "sinew-info --version");
    run_expect(&r, 0);
    assert_non_null(strstr(r.out, sinew_version()));
    run_line(&r, "sinew-info --nonsense");
    run_expect(&r, 2);
    assert_non_null(strstr(r.err, "nonsense"));
    run_line(&r, "sinew-info stray");
    run_expect(&r, 2);
    assert_non_null(strstr(r.err, "stray"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_has_host_transports_and_choices),
        cmocka_unit_test(transports_not_allowed_are_not_chosen),
        cmocka_unit_test(the_order_asked_for_is_followed),
        cmocka_unit_test(text_and_json_tell_the_same),
        cmocka_unit_test(the_route_to_this_host_is_the_loopback),
        cmocka_unit_test(a_host_that_does_not_answer_is_told_by_the_exit_status),
        cmocka_unit_test(a_port_that_is_none_is_an_error),
        cmocka_unit_test(a_host_that_does_not_resolve_is_an_error),
        cmocka_unit_test(config_lists_the_whole_table_with_sources),
        cmocka_unit_test(config_says_who_wins_and_what_joins_a_job),
        cmocka_unit_test(a_bad_setting_is_named_with_its_range),
        cmocka_unit_test(help_version_and_bad_options),
    };
    return cmocka_run_group_tests_name("sinew-info", tests, NULL, NULL);
}
