/* SPDX-License-Identifier: BSD-3-Clause */
/* sleeper.c - see sleeper.h */
#include "transport/sleeper.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "sinew/sinew.h"

void sleeper_init(struct sleeper *s)
{
    *s = (struct sleeper){ .fd = -1, .timer = TIMER_NONE };
}

int sleeper_open(struct sleeper *s, struct why *why)
{
    s->fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->fd >= 0 && timer_open(&s->timer) == 0) return sleeper_watch(s, s->timer.fd, why);
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
    s->fd = -1;
    timer_close(&s->timer);
}

int sleeper_until(struct sleeper *s, const struct world *w, int64_t at)
{
    return at == INT64_MAX ? 0 : timer_set(&s->timer, at, world_now(w));
}

void sleeper_woke(struct sleeper *s)
{
    timer_clear(&s->timer);
}
