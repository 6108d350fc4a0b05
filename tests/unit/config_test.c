/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration: what wins, what is refused and how it is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/config.h"
#include "base/place.h"

static struct why why;

static void assert_says(const char *text)
{
    if (!strstr(why.text, text)) fail_msg("'%s' is not in '%s'", text, why.text);
}

struct lines {
    int count;
    char last[256];
};

static void keep_line(void *arg, int level, const char *line)
{
    struct lines *lines = arg;
    assert_int_equal(level, LOG_WARNING);
    lines->count++;
    snprintf(lines->last, sizeof(lines->last), "%s", line);
}

static void defaults(struct config *config)
{
    assert_int_equal(config_load(config, NULL, NULL, NULL, NULL, &why), 0);
}

static void defaults_are_the_documented_ones(void **state)
{
    struct config c;
    (void)state;
    defaults(&c);
    assert_string_equal(c.transports, "");
    assert_int_equal(c.threads, SINEW_THREADS_SINGLE);
    assert_int_equal(c.security, SINEW_SECURITY_AUTHENTICATE);
    assert_true(c.setup_deadline == 30000000000);
    assert_true(c.repair_deadline == 15000000000);
    assert_true(c.deadline == INT64_MAX);
    assert_true(c.stall_report == 10000000000);
    assert_int_equal(c.eager_bytes, 16384);
    assert_int_equal(c.unexpected_bytes, 65536);
    assert_int_equal(c.unexpected_requests, 16);
    assert_int_equal(c.log_level, 2);
}

static void zero_options_are_the_defaults(void **state)
{
    struct sinew_options o = SINEW_OPTIONS_INIT;
    struct config a, b;
    (void)state;
    defaults(&a);
    assert_int_equal(config_load(&b, &o, NULL, NULL, NULL, &why), 0);
    assert_memory_equal(&a, &b, sizeof(a));
}

static void later_sources_win(void **state)
{
    static char *const environment[] = { "SINEW_EAGER_BYTES=3K", "SINEW_EAGER_BYTES=4K", "HOME=/",
                                         NULL };
    struct sinew_options o = SINEW_OPTIONS_INIT;
    struct config c;
    struct config_sources from;
    struct config_row row;
    (void)state;
    o.eager_bytes = 1024;
    o.log_level = 4;
    o.unexpected_requests = 3;
    o.transports = "tcp,shm";
    o.settings = "eager_bytes=2K,log_level=0";
    assert_int_equal(config_load(&c, &o, environment, NULL, &from, &why), 0);
    assert_int_equal(c.eager_bytes, 3072); /* the first of two, as getenv */
    assert_int_equal(c.log_level, 0);
    assert_int_equal(c.unexpected_requests, 3);
    assert_string_equal(c.transports, "tcp,shm");
    for (int i = 0; config_row(&c, &from, i, &row); i++) {
        enum config_source expected = CONFIG_BY_DEFAULT;
        if (!strcmp(row.name, "eager_bytes")) expected = CONFIG_BY_ENVIRONMENT;
        if (!strcmp(row.name, "log_level")) expected = CONFIG_BY_SETTINGS;
        if (!strcmp(row.name, "unexpected_requests")) expected = CONFIG_BY_OPTION;
        if (!strcmp(row.name, "transports")) expected = CONFIG_BY_OPTION;
        assert_int_equal(row.source, expected);
    }
}

static void environment_can_be_closed(void **state)
{
    static char *const environment[] = { "SINEW_EAGER_BYTES=nonsense", NULL };
    struct sinew_options o = SINEW_OPTIONS_INIT;
    struct config c;
    (void)state;
    o.environment = SINEW_IGNORE;
    assert_int_equal(config_load(&c, &o, environment, NULL, NULL, &why), 0);
    assert_int_equal(c.eager_bytes, 16384);
    o.environment = 2;
    assert_int_equal(config_load(&c, &o, environment, NULL, NULL, &why), SINEW_EINVAL);
    assert_says("sinew_options.environment is 2");
}

static void unknown_variables_are_warned_of(void **state)
{
    static char *const strange[] = { "SINEW_FOO=1", NULL };
    static char *const environment[] = { "SINEW_EAGERBYTES=4K",  "SINEWY=1",
                                         "SINEW_LAUNCH_FD=3",    "SINEW_RENDEZVOUS=here:1",
                                         "SINEW_RANK=0",         "SINEW_SIZE=x",
                                         "SINEW_SECRET_FILE=/f", NULL };
    struct lines lines = { 0 };
    struct log log = { .level = LOG_WARNING, .write = keep_line, .arg = &lines };
    struct config c;
    (void)state;
    assert_int_equal(config_load(&c, NULL, environment, &log, NULL, &why), 0);
    assert_int_equal(lines.count, 1);
    assert_string_equal(lines.last, "the variable SINEW_EAGERBYTES is unknown and ignored; did you "
                                    "mean SINEW_EAGER_BYTES?");
    assert_int_equal(config_load(&c, NULL, strange, &log, NULL, &why), 0);
    assert_string_equal(lines.last, "the variable SINEW_FOO is unknown and ignored; "
                                    "sinew-info --config lists those there are");
}

static void very_long_names_are_harmless(void **state)
{
    char variable[600] = "SINEW_";
    char *environment[] = { variable, NULL };
    struct lines lines = { 0 };
    struct log log = { .level = LOG_WARNING, .write = keep_line, .arg = &lines };
    struct config c;
    (void)state;
    memset(variable + 6, 'A', 500);
    strcpy(variable + 506, "=1");
    assert_int_equal(config_load(&c, NULL, environment, &log, NULL, &why), 0);
    assert_int_equal(lines.count, 1);
    memset(variable, 'a', 506);
    assert_int_equal(config_set(&c, variable, "1", &why), SINEW_ENOENT);
}

static void environment_never_loosens_security(void **state)
{
    static char *const none[] = { "SINEW_SECURITY=none", NULL };
    static char *const authenticate[] = { "SINEW_SECURITY=authenticate", NULL };
    struct sinew_options o = SINEW_OPTIONS_INIT;
    struct config c;
    (void)state;
    assert_int_equal(config_load(&c, &o, none, NULL, NULL, &why), SINEW_EINVAL);
    assert_says("cannot loosen");
    o.security = SINEW_SECURITY_NONE;
    assert_int_equal(config_load(&c, &o, none, NULL, NULL, &why), 0);
    assert_int_equal(c.security, SINEW_SECURITY_NONE);
    assert_int_equal(config_load(&c, &o, authenticate, NULL, NULL, &why), 0);
    assert_int_equal(c.security, SINEW_SECURITY_AUTHENTICATE);
    o.security = SINEW_SECURITY_DEFAULT;
    o.settings = "security=none";
    assert_int_equal(config_load(&c, &o, NULL, NULL, NULL, &why), 0);
    assert_int_equal(c.security, SINEW_SECURITY_NONE);
}

static void what_is_not_built_says_so(void **state)
{
    static const struct {
        const char *name, *value, *text;
    } cases[] = {
        { "threads", "multiple", "threads=multiple is not built" },
    };
    struct sinew_options o = SINEW_OPTIONS_INIT;
    struct config c;
    (void)state;
    defaults(&c);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(config_set(&c, cases[i].name, cases[i].value, &why), SINEW_ENOTSUP);
        assert_says(cases[i].text);
    }
    o.threads = SINEW_THREADS_MULTIPLE;
    assert_int_equal(config_load(&c, &o, NULL, NULL, NULL, &why), SINEW_ENOTSUP);
}

static void bad_values_are_named_with_their_range(void **state)
{
    static const struct {
        const char *name, *value, *text;
    } cases[] = {
        { "eager_bytes", "17K", "eager_bytes='17K' is out of range: 0 to 16K" },
        { "eager_bytes", "-1", "eager_bytes='-1' cannot be read: 0 to 16K" },
        { "eager_bytes", "8 K", "cannot be read" },
        { "eager_bytes", "", "eager_bytes='' cannot be read" },
        { "eager_bytes", "99999999999999999999", "cannot be read" },
        { "eager_bytes", "9999999999G", "cannot be read" },
        { "setup_deadline", "30", "setup_deadline='30' cannot be read: 100ms to 3600s" },
        { "setup_deadline", "99ms", "out of range: 100ms to 3600s" },
        { "setup_deadline", "never", "out of range" },
        { "deadline", "999ns", "out of range: 1us to never" },
        { "unexpected_requests", "257", "1 to 256" },
        { "unexpected_requests", "1.5", "cannot be read" },
        { "log_level", "0x2", "cannot be read: 0 to 4" },
        { "threads", "many", "single|multiple" },
        { "security", "", "none|authenticate|encrypt" },
        { "checksum", "yes", "off|on" },
        { "transports", "shm,,tcp", "unknown transport ''" },
        { "transports", "shm,", "unknown transport ''" },
        { "transports", "shm, tcp", "unknown transport ' tcp'" },
        { "transports", "tcp,shm,tcp", "'tcp' is listed twice" },
        { "transports", "sh", "unknown transport 'sh'" },
        { "module_dir", "lib", "must be an absolute path" },
    };
    struct config c, before;
    (void)state;
    defaults(&before);
    c = before;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(config_set(&c, cases[i].name, cases[i].value, &why), SINEW_EINVAL);
        assert_says(cases[i].text);
        assert_memory_equal(&c, &before, sizeof(c));
    }
}

/* What is printed reads back as the same. */
static void assert_prints_back(const struct config *c)
{
    struct config again;
    struct config_row row;
    defaults(&again);
    for (int i = 0; config_row(c, NULL, i, &row); i++)
        assert_int_equal(config_set(&again, row.name, row.value, &why), 0);
    assert_memory_equal(c, &again, sizeof(again));
}

static void assert_shows(const struct config *c, const char *name, const char *value)
{
    struct config_row row = { 0 };
    for (int i = 0; config_row(c, NULL, i, &row) && strcmp(row.name, name) != 0; i++) continue;
    assert_string_equal(row.value, value);
}

static void good_values_are_read(void **state)
{
    static const struct {
        const char *name, *value, *shown;
    } cases[] = {
        { "eager_bytes", "0", "0" },
        { "eager_bytes", "1.5K", "1536" },
        { "eager_bytes", "16384", "16K" },
        { "unexpected_bytes", "8M", "8M" },
        { "setup_deadline", "1.5s", "1500ms" },
        { "setup_deadline", "100ms", "100ms" },
        { "deadline", "1us", "1us" },
        { "deadline", "1000.0ns", "1us" },
        { "deadline", "never", "never" },
        { "stall_report", "never", "never" },
        { "poll_spins", "-1", "-1" },
        { "security", "none", "none" },
        { "transports", "tcp,shm,sim", "tcp,shm,sim" },
        { "transports", "verbs,ucx,ofi,tcp", "verbs,ucx,ofi,tcp" },
        { "module_dir", "/opt/sinew/lib", "/opt/sinew/lib" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config c;
        defaults(&c);
        assert_int_equal(config_set(&c, cases[i].name, cases[i].value, &why), 0);
        assert_shows(&c, cases[i].name, cases[i].shown);
        assert_prints_back(&c);
    }
    struct config c;
    defaults(&c);
    assert_int_equal(config_set(&c, "setup_deadline", "1.25s", &why), 0);
    assert_true(c.setup_deadline == 1250000000);
    assert_int_equal(config_set(&c, "unexpected_bytes", "0.5M", &why), 0);
    assert_true(c.unexpected_bytes == 512 * 1024);
}

static void option_fields_out_of_range_are_refused(void **state)
{
    struct sinew_options good = SINEW_OPTIONS_INIT;
    struct sinew_options bad[12];
    static const char *const texts[] = {
        "sinew_options: threads=2 ",
        "security=-1 ",
        "setup_deadline=99999999ns ",
        "repair_deadline=-1ns ",
        "deadline=999ns ",
        "stall_report=999999ns ",
        "eager_bytes=16385 ",
        "unexpected_bytes=1 ",
        "unexpected_requests=257 ",
        "log_level=5 is out of range: 0 to 4",
        "unknown transport 'smh'",
        "reserved is 1",
    };
    struct config c;
    (void)state;
    for (int i = 0; i < 12; i++) bad[i] = good;
    bad[0].threads = 2;
    bad[1].security = -1;
    bad[2].setup_deadline = 99999999;
    bad[3].repair_deadline = -1;
    bad[4].deadline = 999;
    bad[5].stall_report = 999999;
    bad[6].eager_bytes = 16385;
    bad[7].unexpected_bytes = 1;
    bad[8].unexpected_requests = 257;
    bad[9].log_level = 5;
    bad[10].transports = "smh";
    bad[11].reserved = 1;
    for (int i = 0; i < 12; i++) {
        assert_int_equal(config_load(&c, &bad[i], NULL, NULL, NULL, &why), SINEW_EINVAL);
        assert_says(texts[i]);
    }
    good.eager_bytes = SIZE_MAX;
    assert_int_equal(config_load(&c, &good, NULL, NULL, NULL, &why), SINEW_EINVAL);
    good.eager_bytes = 0;
    good.stall_report = SINEW_NEVER;
    good.deadline = SINEW_FOREVER;
    assert_int_equal(config_load(&c, &good, NULL, NULL, NULL, &why), 0);
    assert_true(c.stall_report == INT64_MAX && c.deadline == INT64_MAX);
}

static void older_and_newer_programs_are_understood(void **state)
{
    struct {
        struct sinew_options o;
        uint64_t later[2];
    } newer = { SINEW_OPTIONS_INIT, { 0, 0 } };
    struct sinew_options older = SINEW_OPTIONS_INIT, made;
    struct config c;
    (void)state;
    older.transports = "tcp";
    older.log_level = 4;
    older.size = offsetof(struct sinew_options, threads); /* knows transports, and nothing behind */
    assert_int_equal(config_load(&c, &older, NULL, NULL, NULL, &why), 0);
    assert_string_equal(c.transports, "tcp");
    assert_int_equal(c.log_level, 2);
    assert_int_equal(config_options(&older, &made, &why), 0);
    assert_int_equal(made.size, sizeof(made));
    assert_int_equal(made.log_level, 0);

    newer.o.size = sizeof(newer);
    newer.o.log_level = 3;
    assert_int_equal(config_load(&c, &newer.o, NULL, NULL, NULL, &why), 0);
    assert_int_equal(c.log_level, 3);
    newer.later[1] = 1;
    assert_int_equal(config_load(&c, &newer.o, NULL, NULL, NULL, &why), SINEW_EINVAL);
    assert_says("newer Sinew");
}

static void impossible_sizes_are_refused(void **state)
{
    static const size_t sizes[] = { 0, 4, 12, 4104, SIZE_MAX };
    struct sinew_options o = SINEW_OPTIONS_INIT;
    struct config c;
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        o.size = sizes[i];
        assert_int_equal(config_load(&c, &o, NULL, NULL, NULL, &why), SINEW_EINVAL);
        assert_says("SINEW_OPTIONS_INIT");
    }
}

static void settings_are_a_list_whose_values_may_be_lists(void **state)
{
    struct sinew_options o = SINEW_OPTIONS_INIT;
    struct config c;
    (void)state;
    o.settings = "transports=shm,tcp,log_level=3";
    assert_int_equal(config_load(&c, &o, NULL, NULL, NULL, &why), 0);
    assert_string_equal(c.transports, "shm,tcp");
    assert_int_equal(c.log_level, 3);
    o.settings = "";
    assert_int_equal(config_load(&c, &o, NULL, NULL, NULL, &why), 0);
    o.settings = "log_level";
    assert_int_equal(config_load(&c, &o, NULL, NULL, NULL, &why), SINEW_EINVAL);
    assert_says("sinew_options.settings: 'log_level' is not name=value");
    o.settings = "log_levle=1";
    assert_int_equal(config_load(&c, &o, NULL, NULL, NULL, &why), SINEW_EINVAL);
    assert_says("no setting 'log_levle'; the nearest is 'log_level' (sinew-info --config lists");
    o.settings = "foo=1";
    assert_int_equal(config_load(&c, &o, NULL, NULL, NULL, &why), SINEW_EINVAL);
    assert_says("no setting 'foo' (sinew-info --config lists them)");
    o.settings = "ran=1"; /* rank is no setting */
    assert_int_equal(config_load(&c, &o, NULL, NULL, NULL, &why), SINEW_EINVAL);
    assert_says("no setting 'ran' (sinew-info --config lists them)");
}

static void failure_leaves_the_output_alone(void **state)
{
    static char *const environment[] = { "SINEW_LOG_LEVEL=1", "SINEW_THREADS=two", NULL };
    struct config c, before;
    struct config_sources from, from_before;
    (void)state;
    memset(&c, 0x5a, sizeof(c));
    memset(&from, 0x5a, sizeof(from));
    before = c;
    from_before = from;
    assert_int_equal(config_load(&c, NULL, environment, NULL, &from, &why), SINEW_EINVAL);
    assert_says("the variable SINEW_THREADS: threads='two' cannot be read: single|multiple");
    assert_memory_equal(&c, &before, sizeof(c));
    assert_memory_equal(&from, &from_before, sizeof(from));
}

static void texts_have_a_bound(void **state)
{
    char value[CONFIG_TEXT_MAX + 1];
    struct config c;
    (void)state;
    defaults(&c);
    memset(value, 'e', sizeof(value));
    for (size_t i = 10; i < sizeof(value); i += 11) value[i] = ',';
    value[CONFIG_TEXT_MAX] = '\0';
    assert_int_equal(config_set(&c, "tcp_interface", value, &why), SINEW_EINVAL);
    assert_says("longer than 127 bytes");
    value[CONFIG_TEXT_MAX - 1] = '\0';
    assert_int_equal(config_set(&c, "tcp_interface", value, &why), 0);
    assert_string_equal(c.tcp_interface, value);
}

/* Each bad value is refused with what the setting takes. */
static void places_are_checked(void **state)
{
    static const char *const good[][2] = {
        { "tcp_interface", "" },
        { "tcp_interface", "eth0" },
        { "tcp_interface", "ib*,eth?,10.1.0.0/16,fd00:1::/64,fd00::5,^docker*,^10.9.0.1" },
        { "tcp_ports", "" },
        { "tcp_ports", "20000" },
        { "tcp_ports", "1-65535" },
        { "tcp_advertise", "" },
        { "tcp_advertise", "203.0.113.5" },
        { "tcp_advertise", "203.0.113.5:7000" },
        { "tcp_advertise", "2001:db8::5" },
        { "tcp_advertise", "[2001:db8::5]" },
        { "tcp_advertise", "[2001:db8::5]:65535" },
    };
    static const char *const bad[][3] = {
        { "tcp_interface", "eth0,", "ends in a comma" },
        { "tcp_interface", ",eth0", "subnets" },
        { "tcp_interface", "^", "^ in front" },
        { "tcp_interface", "eth0, eth1", "' eth1' is none" },
        { "tcp_interface", "10.1.0.0/33", "10.1.0.0/16" },
        { "tcp_interface", "eth0/24", "'eth0/24' is none" },
        { "tcp_interface", "fd00::/129", "fd00:1::/64" },
        { "tcp_interface", "aninterfacewithalongname", "interfaces (eth0, ib*)" },
        { "tcp_ports", "0", "1 to 65535" },
        { "tcp_ports", "20100-20000", "the lower one first" },
        { "tcp_ports", "20000-65536", "20000-20100" },
        { "tcp_ports", "20000-", "20000-20100" },
        { "tcp_ports", "all", "no range of ports" },
        { "tcp_advertise", "gateway", "names are not looked up" },
        { "tcp_advertise", "203.0.113.5:", "203.0.113.5:7000" },
        { "tcp_advertise", "203.0.113.5:70000", "is no address" },
        { "tcp_advertise", "[2001:db8::5", "is no address" },
        { "tcp_advertise", "[2001:db8::5]7000", "is no address" },
    };
    struct config c;
    (void)state;
    defaults(&c);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (config_set(&c, good[i][0], good[i][1], &why) != 0) fail_msg("%s", why.text);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(config_set(&c, bad[i][0], bad[i][1], &why), SINEW_EINVAL);
        assert_says(bad[i][0]);
        assert_says(bad[i][2]);
    }
}

static int wanted(const char *list, const char *interface, const char *address)
{
    union place at;
    assert_int_equal(place_parse("address", address, &at, &why), 0);
    return place_wanted(list, interface, &at);
}

static void interfaces_are_wanted_by_name_pattern_and_subnet(void **state)
{
    (void)state;
    assert_int_equal(wanted("", "eth0", "10.1.2.3"), 1);
    assert_int_equal(wanted("eth0", "eth0", "10.1.2.3"), 1);
    assert_int_equal(wanted("eth0", "eth01", "10.1.2.3"), 0);
    assert_int_equal(wanted("ib*,eth0", "eth0", "10.1.2.3"), 2);
    assert_int_equal(wanted("10.1.0.0/16", "eth0", "10.1.2.3"), 1);
    assert_int_equal(wanted("10.1.0.0/23", "eth0", "10.1.2.3"), 0);
    assert_int_equal(wanted("10.1.2.3", "eth0", "10.1.2.3"), 1);
    assert_int_equal(wanted("10.1.2.4", "eth0", "10.1.2.3"), 0);
    assert_int_equal(wanted("fd00:1::/63", "eth0", "fd00:1:0:1::7"), 1);
    assert_int_equal(wanted("fd00:1::/64", "eth0", "fd00:1:0:1::7"), 0);
    assert_int_equal(wanted("^docker*", "eth0", "10.1.2.3"), 1);
    assert_int_equal(wanted("^docker*", "docker0", "172.17.0.1"), 0);
    assert_int_equal(wanted("eth*,^10.1.0.0/16", "eth0", "10.1.2.3"), 0);
    assert_int_equal(wanted("eth*,^10.1.0.0/16", "eth0", "fd00::1"), 1);
    assert_int_equal(wanted("0.0.0.0/0", "eth0", "fd00::1"), 0);
}

static void rows_end(void **state)
{
    struct config c;
    struct config_row row;
    int n = 0;
    (void)state;
    defaults(&c);
    while (config_row(&c, NULL, n, &row)) {
        assert_string_equal(row.value, row.initial);
        assert_true(row.text[0] && row.range[0]);
        n++;
    }
    assert_true(n > 10);
    assert_false(config_row(&c, NULL, -1, &row));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_documented_ones),
        cmocka_unit_test(zero_options_are_the_defaults),
        cmocka_unit_test(later_sources_win),
        cmocka_unit_test(environment_can_be_closed),
        cmocka_unit_test(unknown_variables_are_warned_of),
        cmocka_unit_test(very_long_names_are_harmless),
        cmocka_unit_test(environment_never_loosens_security),
        cmocka_unit_test(what_is_not_built_says_so),
        cmocka_unit_test(bad_values_are_named_with_their_range),
        cmocka_unit_test(good_values_are_read),
        cmocka_unit_test(option_fields_out_of_range_are_refused),
        cmocka_unit_test(older_and_newer_programs_are_understood),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(settings_are_a_list_whose_values_may_be_lists),
        cmocka_unit_test(failure_leaves_the_output_alone),
        cmocka_unit_test(texts_have_a_bound),
        cmocka_unit_test(places_are_checked),
        cmocka_unit_test(interfaces_are_wanted_by_name_pattern_and_subnet),
        cmocka_unit_test(rows_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
