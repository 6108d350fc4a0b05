/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/shm/host.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/wire.h"
#include "sinew/sinew.h"

/* A small file of /proc as text; its length, or -1. */
static ssize_t read_text(const char *path, char *text, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t n = read(fd, text, cap - 1);
    close(fd);
    if (n >= 0) text[n] = '\0';
    return n;
}

static uint64_t hash_text(const char *text, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a: short, and nobody gains by a collision */
    for (size_t i = 0; i < len; i++) hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3u;
    return hash;
}

int host_address_self(const struct world *world, struct host_address *self, struct why *why)
{
    char boot[64];
    struct stat network, users;
    ssize_t n = read_text("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
    if (n <= 0 || stat("/proc/self/ns/net", &network) < 0)
        return why_set(why, SINEW_ENOTSUP,
                       "/proc does not tell the boot id and network namespace (%s): mount /proc",
                       strerror(errno));
    bool has_users = stat("/proc/self/ns/user", &users) == 0;
    uint64_t name;
    int status = world->random(world->arg, &name, sizeof(name));
    if (status < 0) return why_set(why, status, "no random bytes for a socket name");
    *self = (struct host_address){
        .boot = hash_text(boot, (size_t)n),
        .network = (uint32_t)network.st_ino,
        .user = (uint32_t)geteuid(),
        .name = name,
        .user_space = has_users ? (uint32_t)users.st_ino : 0,
    };
    return 0;
}

void host_address_encode(uint8_t out[HOST_ADDRESS_LEN], const struct host_address *address)
{
    wire_put64(out, address->boot);
    wire_put32(out + 8, address->network);
    wire_put32(out + 12, address->user);
    wire_put64(out + 16, address->name);
    wire_put32(out + 24, address->user_space);
}

int host_address_decode(const void *bytes, size_t len, struct host_address *address,
                        struct why *why)
{
    if (len != HOST_ADDRESS_LEN)
        return why_set(why, SINEW_EINVAL, "a shared-memory address has %d bytes, this one %zu",
                       HOST_ADDRESS_LEN, len);
    struct wire_reader r = wire_read(bytes, len);
    address->boot = wire_take64(&r);
    address->network = wire_take32(&r);
    address->user = wire_take32(&r);
    address->name = wire_take64(&r);
    address->user_space = wire_take32(&r);
    return 0;
}

int host_reach(const struct host_address *self, const struct host_address *peer, struct why *why)
{
    if (peer->boot != self->boot)
        return why_set(why, SINEW_EUNREACHABLE, "the peer runs on another host (boot id)");
    if (peer->network != self->network)
        return why_set(why, SINEW_EUNREACHABLE,
                       "the peer is in another network namespace (%" PRIu32 ", here %" PRIu32
                       ") of this host: its UNIX socket cannot be reached",
                       peer->network, self->network);
    if (peer->user_space != self->user_space)
        return why_set(why, SINEW_EUNREACHABLE,
                       "the peer is in another user namespace (%" PRIu32 ", here %" PRIu32
                       ") of this host: whether it runs as the same user cannot be told",
                       peer->user_space, self->user_space);
    if (peer->user != self->user)
        return why_set(why, SINEW_EUNREACHABLE,
                       "the peer runs as user %" PRIu32 ", this process as %" PRIu32
                       ": memory is shared with the same user only",
                       peer->user, self->user);
    return 0;
}

socklen_t host_socket_address(uint64_t name, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){ .sun_family = AF_UNIX };
    /* The leading zero byte makes it abstract. */
    int n = snprintf(out->sun_path + 1, sizeof(out->sun_path) - 1, "sinew-%016" PRIx64, name);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

bool host_membarrier_register(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0 &&
           syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) == 0;
}

void host_membarrier(void)
{
    syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
}

int host_pidfd_self(void) { return (int)syscall(SYS_pidfd_open, getpid(), 0); }

/* What the kernel calls an open descriptor. */
static bool descriptor_is(int fd, const char *prefix)
{
    char path[64], target[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, target, sizeof(target) - 1);
    return n > 0 && (size_t)n >= strlen(prefix) && memcmp(target, prefix, strlen(prefix)) == 0;
}

bool host_is_eventfd(int fd)
{
    return descriptor_is(fd, "anon_inode:[eventfd]") && (fcntl(fd, F_GETFL) & O_NONBLOCK);
}

/* "NSpid:" names the process in the pid namespace of this /proc and in those below, down to its
 * own: which is ours is not told, and /proc need not be of ours. */
static bool pids_contain(const char *at, pid_t pid)
{
    for (;;) {
        char *end;
        long named = strtol(at, &end, 10);
        if (end == at) return false;
        if (named == (long)pid) return true;
        at = end + strspn(end, "\t ");
        if (*at < '0' || *at > '9') return false; /* the end of the line */
    }
}

bool host_is_pidfd_of(int fd, pid_t pid)
{
    char path[64], text[512];
    if (!descriptor_is(fd, "anon_inode:[pidfd]") && !descriptor_is(fd, "pidfd:")) return false;
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    if (read_text(path, text, sizeof(text)) <= 0) return false;
    const char *at = strstr(text, "\nPid:"), *all = strstr(text, "\nNSpid:");
    if (!at) return false;
    long named = strtol(at + 5, NULL, 10);
    /* -1: dead already. pid 0: nobody here can tell whose it is. */
    return named == -1 || pid == 0 || named == (long)pid || (all && pids_contain(all + 7, pid));
}

int host_socket_peer(int fd, uint32_t user, pid_t *pid, struct why *why)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return why_set(why, SINEW_EIO, "SO_PEERCRED: %s", strerror(errno));
    if ((uint32_t)cred.uid != user)
        return why_set(why, SINEW_EAUTH,
                       "the socket belongs to user %u, not to user %" PRIu32
                       ": somebody else has taken the name",
                       (unsigned)cred.uid, user);
    *pid = cred.pid;
    return 0;
}
