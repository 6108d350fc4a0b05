/* SPDX-License-Identifier: BSD-3-Clause */
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launch/meeting.h"
#include "tests/fuzz/fuzz.h"

/* A hub of strange words: it speaks whenever who wants to join sleeps. */
struct stranger {
    int door, fd;
    const uint8_t *bytes;
    size_t len, at, slice;
    int64_t now;
};

static int64_t stranger_now(void *arg)
{
    struct stranger *s = arg;
    return s->now += 1000000;
}

static void stranger_sleep(void *arg, int epoll_fd, int64_t until)
{
    struct stranger *s = arg;
    (void)epoll_fd;
    (void)until;
    if (s->fd < 0) s->fd = accept4(s->door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (s->fd < 0) return;
    size_t left = s->len - s->at, n = left < s->slice ? left : s->slice;
    if (n > 0 && send(s->fd, s->bytes + s->at, n, MSG_NOSIGNAL) > 0) {
        s->at += n;
        return;
    }
    close(s->fd); /* it has said all, and is not there any more */
    close(s->door);
    s->fd = s->door = -1;
}

static int stranger_listen(char at[MEETING_TEXT_MAX])
{
    const struct linger none = { .l_onoff = 1, .l_linger = 0 };
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(in);
    int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* Connections inherit it: none of them is left to use up the ports. */
    PROMISE(setsockopt(door, SOL_SOCKET, SO_LINGER, &none, sizeof(none)) == 0);
    PROMISE(bind(door, (struct sockaddr *)&in, len) == 0 && listen(door, 1) == 0);
    PROMISE(getsockname(door, (struct sockaddr *)&in, &len) == 0);
    meeting_text((struct sockaddr *)&in, len, at);
    return door;
}

/* byte 0: length of slices. The rest is what a hub says to who wants to join as ranks 2 and 3. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const struct join me = { 2, 2, 6 };
    char at[MEETING_TEXT_MAX];
    struct channel s;
    struct welcome welcome;
    struct why why = { "" };
    if (len < 1) return 0;
    struct stranger there = { .fd = -1, .bytes = bytes + 1, .len = len - 1,
                              .slice = (size_t)bytes[0] * 4 + 1 };
    struct world world = world_real;
    there.door = stranger_listen(at);
    world.arg = &there;
    world.now = stranger_now;
    world.sleep = stranger_sleep;
    int rc = meeting_join(&world, at, NULL, &me, 100000000, &s, &welcome, &why);
    PROMISE(rc <= 0);
    if (rc == 0) {
        PROMISE(welcome.size >= 1 && welcome.rank >= 0 && welcome.rank < welcome.size);
        channel_close(&s);
    } else {
        PROMISE(why.text[0]);
    }
    if (there.fd >= 0) close(there.fd);
    if (there.door >= 0) close(there.door);
    return 0;
}
