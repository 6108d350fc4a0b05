/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/timer.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "sinew/sinew.h"

enum { SECOND = 1000000000 };

int timer_open(struct timer *timer)
{
    timer->at = INT64_MAX;
    timer->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return timer->fd < 0 ? -errno : 0;
}

void timer_close(struct timer *timer)
{
    if (timer->fd >= 0) close(timer->fd);
    timer->fd = -1;
    timer->at = INT64_MAX;
}

int timer_set(struct timer *timer, int64_t at, int64_t now)
{
    if (at == INT64_MAX || at >= timer->at) return 0;
    if (at <= now) return SINEW_PENDING;
    const struct itimerspec spec = { .it_value = { .tv_sec = (at - now) / SECOND,
                                                   .tv_nsec = (at - now) % SECOND } };
    if (timerfd_settime(timer->fd, 0, &spec, NULL) < 0) return SINEW_PENDING;
    timer->at = at;
    return 0;
}

void timer_clear(struct timer *timer)
{
    uint64_t expirations;
    if (read(timer->fd, &expirations, sizeof(expirations)) > 0) timer->at = INT64_MAX;
}
