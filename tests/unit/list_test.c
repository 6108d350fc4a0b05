/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int value;
    struct list entry;
};

static void fill(struct list *head, struct item *items, int from, int n)
{
    list_init(head);
    for (int i = 0; i < n; i++) {
        items[i].value = from + i;
        list_append(head, &items[i].entry);
    }
}

static void assert_takes(struct list *head, int value)
{
    struct list *first = list_take(head);
    assert_non_null(first);
    assert_int_equal(LIST_OWNER(first, struct item, entry)->value, value);
    assert_true(list_empty(first)); /* it is in no list now */
}

static void first_in_first_out(void **state)
{
    struct list head;
    struct item items[3];
    (void)state;
    fill(&head, items, 0, 3);
    for (int i = 0; i < 3; i++) assert_takes(&head, i);
    assert_null(list_take(&head));
    assert_true(list_empty(&head));
}

static void removal_twice_is_once(void **state)
{
    struct list head;
    struct item items[3];
    (void)state;
    fill(&head, items, 0, 3);
    list_remove(&items[1].entry);
    list_remove(&items[1].entry);
    assert_takes(&head, 0);
    assert_takes(&head, 2);
    assert_true(list_empty(&head));
}

static void splice_keeps_the_order(void **state)
{
    struct list to, from;
    struct item a[2], b[2];
    (void)state;
    fill(&to, a, 0, 2);
    fill(&from, b, 2, 2);
    list_splice(&to, &from);
    assert_true(list_empty(&from));
    list_splice(&to, &from); /* nothing more */
    for (int i = 0; i < 4; i++) assert_takes(&to, i);
    assert_true(list_empty(&to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_in_first_out),
        cmocka_unit_test(removal_twice_is_once),
        cmocka_unit_test(splice_keeps_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
