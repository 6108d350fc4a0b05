/* SPDX-License-Identifier: BSD-3-Clause */
/* Who takes turns with whom, from a table of what ranks have published. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/wire.h"
#include "messaging/context.h"

enum { RANKS = 6, HERE = 7, THERE = 8 };

/* 0: nothing is known of that rank. */
static uint32_t published[RANKS];

static int record_of(struct launch *l, int rank, void *record)
{
    uint8_t *at = record;
    (void)l;
    if (!published[rank]) return SINEW_EPEER;
    memset(at, 0, LAUNCH_RECORD_MAX);
    at[0] = RECORD_VERSION;
    wire_put32(at + 9, published[rank]);
    return 13;
}

static const struct launch_ops table = { .name = "table", .get = record_of };

/* As rank 0 of `size` sees it, where these cores are its own. */
static bool is_crowded(int size, int cores, const uint32_t names[RANKS], const int *members, int n)
{
    struct launch launch = { .ops = &table, .size = size, .cores_here = cores, .cores_name = HERE };
    struct sinew s = { .launch = &launch, .size = size };
    struct team_core core = { .context = &s, .size = n, .world = (int *)(uintptr_t)members };
    struct sinew_team team = { .core = &core };
    memcpy(published, names, sizeof(published));
    crowd_name(&s);
    assert_true(s.cores == cores && s.cores_name == HERE);
    crowd_count(&s);
    bool crowded = team_is_crowded(&team);
    memset(published, 0, sizeof(published)); /* asked once: the table is looked at no more */
    assert_int_equal(team_is_crowded(&team), crowded);
    return crowded;
}

static const uint32_t alike[RANKS] = { HERE, HERE, HERE, HERE, HERE, HERE };
static const uint32_t apart[RANKS] = { HERE, THERE, HERE, THERE, HERE, THERE };
static const uint32_t unknown[RANKS] = { HERE, HERE, HERE, HERE, HERE, 0 };

static void ranks_beyond_the_cores_are_a_crowd(void **state)
{
    (void)state;
    for (int cores = 1; cores <= RANKS + 1; cores++)
        for (int size = 1; size <= RANKS; size++)
            assert_int_equal(is_crowded(size, cores, alike, NULL, size), size > cores);
}

/* Two ranks of a crowded host take turns as well, with the others of it. */
static void a_team_is_judged_by_all_who_share_its_cores(void **state)
{
    const int two[] = { 0, 2 }, across[] = { 0, 1 };
    (void)state;
    assert_true(is_crowded(RANKS, 2, apart, two, 2));
    assert_false(is_crowded(RANKS, 3, apart, two, 2));
    assert_false(is_crowded(RANKS, 2, apart, across, 2));
    assert_false(is_crowded(RANKS, 2, apart, NULL, RANKS));
}

static void who_has_not_published_shares_nothing(void **state)
{
    const int known[] = { 0, 4 };
    (void)state;
    assert_false(is_crowded(RANKS, 1, unknown, NULL, RANKS));
    assert_true(is_crowded(RANKS, 4, unknown, known, 2));
    assert_false(is_crowded(RANKS, 5, unknown, known, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_beyond_the_cores_are_a_crowd),
        cmocka_unit_test(a_team_is_judged_by_all_who_share_its_cores),
        cmocka_unit_test(who_has_not_published_shares_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
