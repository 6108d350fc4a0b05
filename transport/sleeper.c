/* SPDX-License-Identifier: BSD-3-Clause */
/* sleeper.c - see sleeper.h */
#include "transport/sleeper.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "sinew/sinew.h"

void sleeper_init(struct sleeper *s)
{
    *s = (struct sleeper){ .fd = -1, .timer = -1, .timer_at = INT64_MAX };
}

int sleeper_open(struct sleeper *s, struct why *why)
{
    s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    s->fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->timer >= 0 && s->fd >= 0) return sleeper_watch(s, s->timer, why);
    return why_set(why, SINEW_EIO, "no descriptor to sleep on: %s", strerror(errno));
}

int sleeper_watch(struct sleeper *s, int fd, struct why *why)
{
    struct epoll_event event = { .events = EPOLLIN };
    if (epoll_ctl(s->fd, EPOLL_CTL_ADD, fd, &event) == 0) return 0;
    return why_set(why, SINEW_EIO, "a descriptor that cannot be waited for: %s", strerror(errno));
}

void sleeper_close(struct sleeper *s)
{
    if (s->fd >= 0) close(s->fd);
    if (s->timer >= 0) close(s->timer);
    sleeper_init(s);
}

int sleeper_until(struct sleeper *s, const struct world *w, int64_t at)
{
    if (at == INT64_MAX || at >= s->timer_at) return 0;
    int64_t in = at - world_now(w);
    if (in <= 0) return SINEW_PENDING;
    struct itimerspec spec = { .it_value = { .tv_sec = in / 1000000000,
                                             .tv_nsec = in % 1000000000 } };
    if (timerfd_settime(s->timer, 0, &spec, NULL) < 0) return SINEW_PENDING;
    s->timer_at = at;
    return 0;
}

void sleeper_woke(struct sleeper *s)
{
    uint64_t expirations;
    if (read(s->timer, &expirations, sizeof(expirations)) > 0) s->timer_at = INT64_MAX;
}
