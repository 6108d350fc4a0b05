/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_SHM_HOST_H
#define TRANSPORT_SHM_HOST_H
/*
 * host.h - what this process must know of its host to share memory with another, and may ask of it
 *
 * The address of a transport, as published:
 *   | boot id, hashed 8 | network namespace 4 | user 4 | name 8 | user namespace 4 |
 * The name is random and names an abstract UNIX socket, which lives in the network namespace and
 * leaves nothing behind.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/text.h"
#include "base/world.h"

enum { HOST_ADDRESS_LEN = 28 };

struct host_address {
    uint64_t boot;
    uint32_t network, user;
    uint64_t name;
    uint32_t user_space; /* the user namespace: what `user` means; 0 without them */
};

/* Who and where this process is; the name is fresh. */
int host_address_self(const struct world *world, struct host_address *self, struct why *why);
void host_address_encode(uint8_t out[HOST_ADDRESS_LEN], const struct host_address *address);
int host_address_decode(const void *bytes, size_t len, struct host_address *address,
                        struct why *why);

/* 0, or why memory cannot be shared between the two. */
int host_reach(const struct host_address *self, const struct host_address *peer, struct why *why);

socklen_t host_socket_address(uint64_t name, struct sockaddr_un *out);

/* Ask for the expedited membarrier(): false when the kernel or a filter refuses it. */
bool host_membarrier_register(void);
void host_membarrier(void);

int host_pidfd_self(void); /* < 0: not available */
/* Whether fd is what a peer says it is; an eventfd must not block whoever writes to it. */
bool host_is_eventfd(int fd);
/* pid 0: of a process that this pid namespace does not see. */
bool host_is_pidfd_of(int fd, pid_t pid);

/* The other end's process as the kernel knows it. < 0: not the same user. */
int host_socket_peer(int fd, uint32_t user, pid_t *pid, struct why *why);

/* Whether `bytes` more memory may be had: RLIMIT_FSIZE, RLIMIT_AS and control groups of both
 * kinds. */
int host_memory_check(size_t bytes, struct why *why);
/* The last alone, below another root than "", for tests. */
int host_groups_check(const char *root, size_t bytes, struct why *why);

#endif
