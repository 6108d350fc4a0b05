/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c - every execution of the shared-memory ring, of links that sleep and of memory that is
 * lent; then again with each order of each access weakened, which one of them must notice
 *
 *   test-model [--long] [--trace] [--only TEXT]
 *
 * --trace prints the steps of each execution in which a weakening was noticed; --only runs the
 * scenarios with TEXT in their name, and weakens nothing.
 */
#include <ctype.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/model/cases.h"
#include "tests/model/memory.h"

enum { SCENARIOS_MAX = 64 };

static struct {
    bool is_long, traces;
    const char *only; /* NULL: all */
    uint64_t met[SCENARIOS_MAX]; /* sites run in each scenario */
} suite;

/* Scenario `index` of this run, small ones before large; NULL behind the last. */
static const struct scenario *scenario_at(size_t index)
{
    const struct {
        const struct scenario *first;
        size_t count;
    } stories[] = { { ring_scenarios, ring_scenario_count },
                    { link_scenarios, link_scenario_count },
                    { pledge_scenarios, pledge_scenario_count } };
    for (int large = 0; large <= suite.is_long; large++)
        for (size_t story = 0; story < sizeof(stories) / sizeof(stories[0]); story++)
            for (size_t i = 0; i < stories[story].count; i++) {
                const struct scenario *s = &stories[story].first[i];
                if (s->is_large == (large != 0) && index-- == 0) return s;
            }
    return NULL;
}

static void test_known_programs(void **state)
{
    (void)state;
    assert_int_equal(litmus_run(), 0);
}

static void test_every_execution_is_right(void **state)
{
    uint64_t executions = 0, states = 0;
    int wrong = 0, cut_off = 0;
    const struct scenario *s;
    (void)state;
    printf("\n%-44s %10s %10s %10s\n", "scenario", "executions", "to the end", "states");
    for (size_t i = 0; (s = scenario_at(i)); i++) {
        struct outcome out;
        if (suite.only && !strstr(s->name, suite.only)) continue;
        memory_sites_met();
        explore(s, true, &out);
        suite.met[i] = memory_sites_met();
        printf("%-44s %10llu %10llu %10llu%s%s\n", s->name, (unsigned long long)out.executions,
               (unsigned long long)out.ended, (unsigned long long)out.states,
               out.failed ? "  wrong" : "", out.cut_off ? "  cut off" : "");
        executions += out.executions;
        states += out.states;
        wrong += out.failed;
        cut_off += out.cut_off;
    }
    printf("%llu executions, %llu states, %d scenarios wrong, %d cut off\n",
           (unsigned long long)executions, (unsigned long long)states, wrong, cut_off);
    assert_int_equal(wrong, 0);
    assert_int_equal(cut_off, 0);
}

/* --- every access is a site ------------------------------------------------------------------- */

static bool site_is_ours(const struct memory_site *site)
{
    return strstr(site->file, "transport/shm/") != NULL;
}

static const char *site_file(const struct memory_site *site)
{
    return strstr(site->file, "transport/shm/") + strlen("transport/shm/");
}

/* A statement of several lines is at its first for one compiler, at its last for another. */
static bool was_met(const char *file, int first, int last, const char *operation)
{
    for (int i = 0; i < memory_site_count(); i++) {
        const struct memory_site *site = memory_site(i);
        if (site_is_ours(site) && strcmp(site_file(site), file) == 0 &&
            strcmp(site->operation, operation) == 0 && site->line >= first && site->line <= last)
            return true;
    }
    return false;
}

static int lines_in(const char *text, size_t len)
{
    int lines = 0;
    for (size_t i = 0; i < len; i++) lines += text[i] == '\n';
    return lines;
}

/* The atomic accesses in the text of a file; how many were never run. */
static int text_unmet(const char *file, const char *text)
{
    int unmet = 0, line = 1;
    for (const char *from = text, *at; (at = strstr(from, "shared_")); from = at + 1) {
        char operation[64];
        size_t len = 0;
        line += lines_in(from, (size_t)(at - from));
        while (len < sizeof(operation) - 1 && (isalnum((unsigned char)at[len]) || at[len] == '_'))
            len++;
        memcpy(operation, at, len);
        operation[len] = '\0';
        bool is_plain = strncmp(operation, "shared_read", strlen("shared_read")) == 0 ||
                        strncmp(operation, "shared_write", strlen("shared_write")) == 0;
        int last = line + lines_in(at, strcspn(at, ";"));
        if (at[len] != '(' || is_plain || was_met(file, line, last, operation)) continue;
        printf("%s:%d: %s is in no scenario\n", file, line, operation);
        unmet++;
    }
    return unmet;
}

static int file_unmet(const char *folder, const char *file)
{
    static char text[1 << 18];
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    size_t len = fread(text, 1, sizeof(text) - 1, in);
    assert_true(feof(in));
    fclose(in);
    text[len] = '\0';
    return text_unmet(file, text);
}

/* After the executions above: each access to shared words in the source was among them. */
static void test_every_access_was_met(void **state)
{
    const char *folder = MODEL_SOURCE "/transport/shm";
    int unmet = 0, ours = 0;
    struct dirent *entry;
    DIR *files = opendir(folder);
    (void)state;
    assert_non_null(files);
    while ((entry = readdir(files)))
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "atomics.h") != 0)
            unmet += file_unmet(folder, entry->d_name);
    closedir(files);
    for (int i = 0; i < memory_site_count(); i++) ours += site_is_ours(memory_site(i));
    assert_int_equal(unmet, 0);
    assert_true(ours >= 10);
}

/* --- weakening -------------------------------------------------------------------------------- */

struct weakening {
    enum memory_weakening how;
    enum memory_order_name order;
};

static const char *const order_names[] = { "relaxed", "acquire", "release", "acquire, release" };

static const char *weakening_name(const struct memory_site *site, const struct weakening *w)
{
    switch (w->how) {
    case WEAKEN_ATOMICITY:
        return site->access == ACCESS_OR_NOTHING ? "a load" : "load, store";
    case WEAKEN_PLACE:
        return "before the store";
    case WEAKEN_AWAY:
        return "left out";
    default:
        return order_names[w->order];
    }
}

static const char *access_name(const struct memory_site *site)
{
    static const char *const names[] = { "load", "store", "exchange", "or 0", "paired load", "" };
    return names[site->access];
}

/* All that a site may be weakened to. */
static int weakenings(const struct memory_site *site, struct weakening *out)
{
    int count = 0;
    if (site->access == ACCESS_BARRIER) out[count++] = (struct weakening){ WEAKEN_AWAY, 0 };
    if (site->access == ACCESS_PAIRED) out[count++] = (struct weakening){ WEAKEN_PLACE, 0 };
    if (site->access == ACCESS_EXCHANGE || site->access == ACCESS_OR_NOTHING)
        out[count++] = (struct weakening){ WEAKEN_ATOMICITY, 0 };
    if (site->order == ORDER_BOTH) {
        out[count++] = (struct weakening){ WEAKEN_ORDER, ORDER_ACQUIRE };
        out[count++] = (struct weakening){ WEAKEN_ORDER, ORDER_RELEASE };
    } else if (site->order != ORDER_RELAXED) {
        out[count++] = (struct weakening){ WEAKEN_ORDER, ORDER_RELAXED };
    }
    return count;
}

/* Whether a scenario notices. */
static bool is_caught(int index, const struct weakening *w)
{
    const struct memory_site *site = memory_site(index);
    const struct scenario *s;
    char name[64];
    uint64_t executions = 0;
    snprintf(name, sizeof(name), "%s (%s:%d)", site->function, site_file(site), site->line);
    printf("%-34s %-12s %-9s %-17s ", name, access_name(site), order_names[site->order],
           weakening_name(site, w));
    memory_weaken(index, w->how, w->order);
    for (size_t i = 0; (s = scenario_at(i)); i++) {
        struct outcome out;
        if (!(suite.met[i] >> index & 1)) continue;
        explore(s, false, &out);
        executions += out.executions;
        if (!out.failed) continue;
        printf("%s: %s (%llu)\n", s->name, out.property, (unsigned long long)executions);
        if (suite.traces) explore(s, true, &out);
        memory_weaken(index, WEAKEN_NOTHING, 0);
        return true;
    }
    memory_weaken(index, WEAKEN_NOTHING, 0);
    printf("NOT CAUGHT (%llu)\n", (unsigned long long)executions);
    return false;
}

static void test_every_weakening_is_caught(void **state)
{
    struct weakening w[4];
    int missed = 0, count = 0;
    (void)state;
    printf("\n%-34s %-12s %-9s %-17s caught by: what was wrong (executions until then)\n",
           "access", "", "order", "weakened to");
    for (int i = 0; i < memory_site_count(); i++) {
        if (!site_is_ours(memory_site(i))) continue;
        int n = weakenings(memory_site(i), w);
        for (int k = 0; k < n; k++) missed += !is_caught(i, &w[k]);
        count += n;
    }
    printf("%d weakenings, %d missed\n", count, missed);
    assert_true(count >= 10);
    assert_int_equal(missed, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_execution_is_right),
        cmocka_unit_test(test_known_programs),
        cmocka_unit_test(test_every_access_was_met),
        cmocka_unit_test(test_every_weakening_is_caught),
    };
    const struct CMUnitTest only[] = { cmocka_unit_test(test_every_execution_is_right) };
    setvbuf(stdout, NULL, _IOLBF, 0); /* so that a run that is ended has said how far it came */
    for (int i = 1; i < argc; i++) {
        suite.is_long = suite.is_long || strcmp(argv[i], "--long") == 0;
        suite.traces = suite.traces || strcmp(argv[i], "--trace") == 0;
        if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) suite.only = argv[++i];
    }
    if (suite.only) return cmocka_run_group_tests(only, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
