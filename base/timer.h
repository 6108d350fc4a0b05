/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_TIMER_H
#define BASE_TIMER_H
/*
 * timer.h - a descriptor that wakes a sleeper in time for the earliest of many deadlines
 *
 * It is only ever set to something earlier, and may fire for a deadline that has moved on since:
 * whoever is woken looks at what is due, and sets it again before going back to sleep.
 */
#include <stdint.h>

struct timer {
    int fd;     /* to be watched; -1: none */
    int64_t at; /* what it is set to; INT64_MAX: nothing */
};

#define TIMER_NONE { .fd = -1, .at = INT64_MAX }

/* 0, or an errno negated. */
int timer_open(struct timer *timer);
void timer_close(struct timer *timer);

/* It fires at `at` (INT64_MAX: never) or before: 0. > 0: that is now, do not sleep. */
int timer_set(struct timer *timer, int64_t at, int64_t now);

/* It may have fired: the next setting counts. */
void timer_clear(struct timer *timer);

#endif
