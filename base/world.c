/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/world.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>

#include "sinew/sinew.h"

static int64_t real_now(void *arg)
{
    struct timespec t;
    (void)arg;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int real_random(void *arg, void *bytes, size_t len)
{
    unsigned char *to = bytes;
    (void)arg;
    while (len > 0) {
        ssize_t n = getrandom(to, len, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return SINEW_EIO;
        to += n;
        len -= (size_t)n;
    }
    return 0;
}

static void *real_allocate(void *arg, size_t align, size_t size)
{
    void *memory = NULL;
    (void)arg;
    if (align <= _Alignof(max_align_t)) return calloc(1, size);
    if (posix_memalign(&memory, align, size)) return NULL;
    return memset(memory, 0, size);
}

static void real_release(void *arg, void *memory, size_t size)
{
    (void)arg;
    (void)size;
    free(memory);
}

static void real_yield(void *arg)
{
    (void)arg;
    sched_yield();
}

static int milliseconds_until(int64_t now, int64_t until)
{
    if (until == INT64_MAX) return -1;
    if (until <= now) return 0;
    int64_t ms = (until - now + 999999) / 1000000;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

static void real_sleep(void *arg, int epoll_fd, int64_t until)
{
    struct epoll_event event;
    /* An interrupted or spurious return is harmless: the caller looks again. */
    epoll_wait(epoll_fd, &event, 1, milliseconds_until(real_now(arg), until));
}

const struct world world_real = {
    .arg = NULL,
    .now = real_now,
    .random = real_random,
    .allocate = real_allocate,
    .release = real_release,
    .yield = real_yield,
    .sleep = real_sleep,
};
