/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_SLEEPER_H
#define TRANSPORT_SLEEPER_H
/*
 * sleeper.h - one descriptor that is readable when another is, or at a deadline: an epoll and a
 * timer
 */
#include <stdint.h>

#include "base/text.h"
#include "base/timer.h"
#include "base/world.h"

struct sleeper {
    int fd; /* -1: none */
    struct timer timer;
};

/* Before sleeper_open() may fail: closing is allowed from here on. */
void sleeper_init(struct sleeper *s);
/* 0 or SINEW_EIO; then sleeper_close() all the same. */
int sleeper_open(struct sleeper *s, struct why *why);
int sleeper_watch(struct sleeper *s, int fd, struct why *why);
void sleeper_close(struct sleeper *s);

/* 0: it wakes at that time (INT64_MAX: no deadline), or before without cause. > 0: that is now. */
int sleeper_until(struct sleeper *s, const struct world *w, int64_t at);
/* After a sleep, or after one that did not come about. */
void sleeper_woke(struct sleeper *s);

#endif
