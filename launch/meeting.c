/* SPDX-License-Identifier: BSD-3-Clause */
#include "launch/meeting.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/handshake.h"

enum { SECRET_FILE_MAX = 4096, BACKLOG = 128 };
#define BACKOFF_LEAST_NS 10000000LL
#define BACKOFF_MOST_NS 500000000LL

/* --- names ------------------------------------------------------------------------------------ */

/* The whole of it digits, up to 65535: resolvers are more generous. */
static bool is_port(const char *text)
{
    size_t len = strspn(text, "0123456789");
    return len > 0 && len <= 5 && !text[len] && atoi(text) <= 65535;
}

static int meeting_split(const char *address, char *host, size_t cap, const char **port,
                         struct why *why)
{
    const char *end = strrchr(address, ':');
    bool bracket = address[0] == '[';
    if (end && end > address && is_port(end + 1) && (!bracket || end[-1] == ']') &&
        (bracket || !memchr(address, ':', (size_t)(end - address)))) {
        const char *from = address + bracket;
        size_t len = (size_t)(end - from) - bracket;
        if (len > 0 && len < cap) {
            memcpy(host, from, len);
            host[len] = '\0';
            *port = end + 1;
            return 0;
        }
    }
    return why_set(
        why, SINEW_EINVAL,
        "the rendezvous address is \"%.80s\", expected host:port, IPv6 as [address]:port", address);
}

int meeting_check(const char *address, struct why *why)
{
    char host[256];
    const char *port = "";
    int rc = meeting_split(address, host, sizeof(host), &port, why);
    if (rc < 0 || atoi(port) > 0) return rc;
    return why_set(
        why, SINEW_EINVAL,
        "the rendezvous address is \"%.80s\": nobody can connect to port 0 (only the sinewrun "
        "with rank 0 may have it, and prints the port it got)",
        address);
}

/* 0, > 0: the resolver may know later, or SINEW_EINVAL. */
static int meeting_resolve(const char *address, int flags, struct addrinfo **list, struct why *why)
{
    char host[256];
    const char *port = "";
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV };
    int rc = meeting_split(address, host, sizeof(host), &port, why);
    if (rc < 0) return rc;
    rc = getaddrinfo(host, port, &hints, list);
    if (rc == 0) return 0;
    why_set(why, SINEW_EINVAL, "the rendezvous address %s: %s", address, gai_strerror(rc));
    return rc == EAI_AGAIN ? SINEW_PENDING : SINEW_EINVAL;
}

void meeting_text(const struct sockaddr *at, socklen_t len, char text[MEETING_TEXT_MAX])
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (getnameinfo(at, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV))
        snprintf(text, MEETING_TEXT_MAX, "an unknown address");
    else
        snprintf(text, MEETING_TEXT_MAX, at->sa_family == AF_INET6 ? "[%.60s]:%.8s" : "%.60s:%.8s",
                 host, port);
}

/* --- sockets ---------------------------------------------------------------------------------- */

static int listen_one(const struct addrinfo *a)
{
    int one = 1;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

int meeting_listen(const char *address, struct why *why)
{
    struct addrinfo *list = NULL;
    int fd = -1;
    int rc = meeting_resolve(address, AI_PASSIVE, &list, why);
    if (rc) return rc < 0 ? rc : SINEW_EINVAL;
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) fd = listen_one(a);
    freeaddrinfo(list);
    if (fd >= 0) return fd;
    return why_set(
        why, SINEW_EIO,
        "cannot listen at %s: %s (it must be an address of the host that has rank 0, and free)",
        address, strerror(errno));
}

/* Keep-alives find a host that is gone within half a minute; a launcher that is only stopped still
 * has a kernel that answers. */
void meeting_tune(int fd)
{
    int one = 1, idle_s = 5, interval_s = 2, count = 10, unacknowledged_ms = 30000;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof(unacknowledged_ms));
}

static bool is_connected(int fd)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    return getpeername(fd, (struct sockaddr *)&peer, &len) == 0;
}

/* A connected socket, or -1 with errno. */
static int connect_one(const struct world *world, const struct addrinfo *a, int64_t until)
{
    int reason = 0;
    socklen_t len = sizeof(reason);
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    if (connect(fd, a->ai_addr, a->ai_addrlen) == 0) return fd;
    if (errno == EINPROGRESS) {
        channel_sleep(world, fd, EPOLLOUT, until);
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &len);
        if (reason == 0 && is_connected(fd)) return fd;
        errno = reason ? reason : ETIMEDOUT;
    }
    reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

/* fd, or > 0: try again (why has the cause; *closed: nobody listens); < 0: hopeless. */
static int connect_any(const struct world *world, const char *address, int64_t until, int *fd,
                       bool *closed, struct why *why)
{
    struct addrinfo *list = NULL;
    int rc = meeting_resolve(address, 0, &list, why);
    if (rc) return rc;
    *fd = -1;
    for (const struct addrinfo *a = list; a && *fd < 0; a = a->ai_next)
        *fd = connect_one(world, a, until);
    int reason = errno;
    freeaddrinfo(list);
    if (*fd >= 0) return 0;
    *closed = reason == ECONNREFUSED;
    why_set(why, 0, "%s: %s", address, strerror(reason));
    return SINEW_PENDING;
}

/* --- the secret ------------------------------------------------------------------------------- */

static int secret_check(const char *file, const struct stat *is, struct why *why)
{
    if (!S_ISREG(is->st_mode))
        return why_set(why, SINEW_EINVAL, "secret file %s: not a regular file", file);
    if (is->st_mode & 077)
        return why_set(
            why, SINEW_EAUTH,
            "secret file %s: mode %03o lets others at it; make a new one: (umask 077; head -c 32 "
            "/dev/urandom > %s)",
            file, (unsigned)is->st_mode & 0777, file);
    if (is->st_uid != geteuid() && is->st_uid != 0)
        return why_set(why, SINEW_EAUTH, "secret file %s: belongs to user %u, not to you", file,
                       (unsigned)is->st_uid);
    if (is->st_size < LAUNCH_SECRET_LEN || is->st_size > SECRET_FILE_MAX)
        return why_set(why, SINEW_EINVAL, "secret file %s: %lld bytes, allowed are %d to %d", file,
                       (long long)is->st_size, LAUNCH_SECRET_LEN, SECRET_FILE_MAX);
    return 0;
}

int secret_load(const char *file, uint8_t secret[LAUNCH_SECRET_LEN], struct why *why)
{
    static const uint8_t label[LAUNCH_SECRET_LEN] = "sinew job secret from a file";
    uint8_t bytes[SECRET_FILE_MAX];
    struct stat is;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return why_set(why, SINEW_EINVAL, "secret file %s: %s", file, strerror(errno));
    int rc = fstat(fd, &is) < 0
                 ? why_set(why, SINEW_EIO, "secret file %s: %s", file, strerror(errno))
                 : secret_check(file, &is, why);
    if (rc == 0 && read(fd, bytes, (size_t)is.st_size) != (ssize_t)is.st_size)
        rc = why_set(why, SINEW_EIO, "secret file %s: cannot be read whole", file);
    close(fd);
    /* Hashed, so that every byte counts: 64 hexadecimal digits are as good as 32 raw bytes. */
    if (rc == 0) rc = handshake_hmac(label, bytes, (size_t)is.st_size, secret, why);
    explicit_bzero(bytes, sizeof(bytes));
    return rc;
}

/* --- joining ---------------------------------------------------------------------------------- */

static int send_all(const struct world *world, int fd, struct handshake *h, int64_t until)
{
    const void *bytes;
    size_t len;
    while ((len = handshake_output(h, &bytes)) > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n >= 0)
            handshake_sent(h, (size_t)n);
        else if (errno == EAGAIN && world_now(world) < until)
            channel_sleep(world, fd, EPOLLOUT, until);
        else if (errno != EINTR)
            return SINEW_PENDING;
    }
    return 0;
}

/* 0: proven. > 0: the connection broke (a hub that starts or ends): try again. < 0: refused. */
static int prove(const struct world *world, int fd, struct handshake *h, int64_t until,
                 struct why *why)
{
    for (;;) {
        uint8_t bytes[HANDSHAKE_BUFFER];
        if (send_all(world, fd, h, until)) break;
        ssize_t n = recv(fd, bytes, handshake_wants(h), 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN && world_now(world) < until) {
            channel_sleep(world, fd, EPOLLIN, until);
            continue;
        }
        if (n <= 0) break;
        int rc = handshake_input(h, bytes, (size_t)n);
        if (rc < 0) return why_set(why, rc, "%s", h->why.text);
        if (rc == 0) return send_all(world, fd, h, until);
    }
    why_set(why, 0, "the connection ended during the handshake");
    return SINEW_PENDING;
}

static int join_over(const struct world *world, int fd, const uint8_t *secret,
                     const struct join *join, int64_t until, struct channel *s,
                     struct welcome *welcome, struct why *why)
{
    struct handshake h;
    struct handshake_identity me = { .rank = join->first,
                                     .size = join->size,
                                     .purpose = HANDSHAKE_LAUNCH, 0 };
    uint8_t payload[LAUNCH_JOIN_LEN];
    int rc = world->random(world->arg, &me.epoch, sizeof(me.epoch));
    if (rc < 0) {
        why_set(why, rc, "no random bytes for the epoch");
    } else {
        rc = handshake_begin(&h, HANDSHAKE_CLIENT, world, secret, &me, -1, 0);
        if (rc < 0) why_set(why, rc, "%s", h.why.text);
    }
    if (rc == 0) rc = prove(world, fd, &h, until, why);
    if (rc) {
        close(fd);
        return rc;
    }
    channel_init(s, world, fd, LAUNCH_OUT_LIMIT);
    channel_send(s, LAUNCH_JOIN, payload, join_encode(join, payload));
    rc = welcome_await(s, until, welcome, why);
    if (rc < 0) channel_close(s);
    return rc;
}

int meeting_join(const struct world *world, const char *address, const uint8_t *secret,
                 const struct join *join, int64_t until, struct channel *s, struct welcome *welcome,
                 struct why *why)
{
    int64_t backoff = BACKOFF_LEAST_NS;
    bool met = false, closed;
    int fd, rc = meeting_check(address, why);
    if (rc < 0) return rc;
    for (;;) {
        closed = false;
        rc = connect_any(world, address, until, &fd, &closed, why);
        if (rc == 0) {
            meeting_tune(fd);
            met = true;
            rc = join_over(world, fd, secret, join, until, s, welcome, why);
        }
        if (met && closed) /* one that is not there yet was never met */
            rc = why_set(why, SINEW_ELAUNCH,
                         "it has closed: all ranks have come without this one, or the launcher of "
                         "rank 0 has ended, whose output says more");
        if (rc < 0) return why_wrap(why, rc, "joining the rendezvous at %s", address);
        if (rc == 0) return 0;
        int64_t now = world_now(world);
        if (now >= until)
            return why_wrap(why, SINEW_ETIMEDOUT,
                            "rank 0 did not answer at the rendezvous in time");
        channel_sleep(world, -1, 0, now + backoff < until ? now + backoff : until);
        backoff = backoff * 2 < BACKOFF_MOST_NS ? backoff * 2 : BACKOFF_MOST_NS;
    }
}
