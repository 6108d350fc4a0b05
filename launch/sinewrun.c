/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sinewrun.c - a rank that sinewrun started: it knocks at the door it inherited (see protocol.h)
 *
 * One process per rank takes part. The door stays open for `sh -c 'prepare && program'`, becomes
 * close-on-exec in the process that joins, and the job secret comes over the private pair: so a
 * grandchild that inherits the environment can neither join in its parent's place nor read the
 * secret.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/wire.h"
#include "launch/member.h"
#include "launch/providers.h"
#include "launch/welcome.h"

/* SINEW_LAUNCH_FD=fd:inode. The inode tells the door from whatever else may have got its number. */
static int door_find(const char *text, int *fd, struct why *why)
{
    unsigned long long inode;
    int number, used = 0;
    struct stat is;
    if (sscanf(text, "%d:%llu%n", &number, &inode, &used) != 2 || text[used] != '\0' || number < 0)
        return why_set(why, SINEW_EINVAL,
                       "SINEW_LAUNCH_FD is \"%.64s\": only sinewrun sets it, as fd:inode", text);
    if (fstat(number, &is) < 0 || !S_ISSOCK(is.st_mode) || is.st_ino != inode)
        return why_set(
            why, SINEW_ELAUNCH,
            "sinewrun's door (SINEW_LAUNCH_FD=%s) is not open in this process: its parent, or "
            "what started it, has joined the job in its place or closes descriptors. Only one "
            "process "
            "per rank takes part; start others with sinewrun, or with SINEW_LAUNCH_FD unset",
            text);
    *fd = number;
    return 0;
}

static int door_knock(int door, int mine, struct why *why)
{
    uint8_t knock[LAUNCH_DOOR_LEN];
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec iov = { knock, sizeof(knock) };
    struct msghdr message = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = control.space,
                              .msg_controllen = sizeof(control.space) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    memcpy(knock, launch_door_magic, sizeof(launch_door_magic));
    wire_put32(knock + sizeof(launch_door_magic), LAUNCH_DOOR_VERSION);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &mine, sizeof(int));
    if (sendmsg(door, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(knock)) return 0;
    return why_set(why, SINEW_ELAUNCH, "sinewrun does not answer (%s): it has ended",
                   strerror(errno));
}

/* Through the door to a channel of our own. */
static int door_enter(const struct world *world, int door, struct channel *s, struct why *why)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return why_set(why, SINEW_EIO, "socketpair: %s", strerror(errno));
    int rc = door_knock(door, pair[1], why);
    close(pair[1]);
    if (rc < 0) {
        close(pair[0]);
        return rc;
    }
    channel_init(s, world, pair[0], LAUNCH_OUT_LIMIT);
    return 0;
}

int sinewrun_open(const struct world *world, const char *door_text, int64_t until,
                  struct launch **out, struct why *why)
{
    struct channel s;
    struct welcome welcome;
    int door = -1;
    int rc = door_find(door_text, &door, why);
    if (rc < 0) return rc;
    rc = door_enter(world, door, &s, why);
    if (rc < 0) return rc;
    rc = welcome_await(&s, until, &welcome, why);
    if (rc < 0) {
        channel_close(&s);
        return why_wrap(why, rc, "joining sinewrun's job");
    }
    fcntl(door, F_SETFD, FD_CLOEXEC);
    struct member *m = member_new(world, welcome.rank, welcome.size, why);
    if (!m) {
        channel_close(&s);
        return SINEW_ENOMEM;
    }
    m->base.ranks_here = welcome.here;
    m->base.cores_here = welcome.cores;
    m->base.cores_name = welcome.cores_name;
    m->base.has_secret = welcome.has_secret;
    memcpy(m->base.secret, welcome.secret, LAUNCH_SECRET_LEN);
    explicit_bzero(&welcome, sizeof(welcome));
    member_attach(m, &s);
    *out = &m->base;
    return 0;
}
