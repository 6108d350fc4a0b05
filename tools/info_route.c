/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info_route.c - how TCP would go to a host: nothing is sent, the kernel's routes are asked
 */
#include "info.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANY_PORT = 9 };

static bool same_address(const struct sockaddr *a, const struct sockaddr *b)
{
    if (!a || a->sa_family != b->sa_family) return false;
    if (a->sa_family == AF_INET)
        return memcmp(&((const struct sockaddr_in *)(const void *)a)->sin_addr,
                      &((const struct sockaddr_in *)(const void *)b)->sin_addr,
                      sizeof(struct in_addr)) == 0;
    return memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr,
                  sizeof(struct in6_addr)) == 0;
}

static void interface_of(const struct sockaddr *address, char *name, size_t cap)
{
    struct ifaddrs *all = NULL;
    snprintf(name, cap, "an interface with no name");
    if (getifaddrs(&all) < 0) return;
    for (struct ifaddrs *i = all; i; i = i->ifa_next)
        if (same_address(i->ifa_addr, address)) snprintf(name, cap, "%s", i->ifa_name);
    freeifaddrs(all);
}

static void address_text(const struct sockaddr *address, socklen_t len, char *text, socklen_t cap)
{
    if (getnameinfo(address, len, text, cap, NULL, 0, NI_NUMERICHOST) != 0)
        snprintf(text, cap, "?");
}

/* Connecting a datagram socket picks the route and the source address, and sends nothing. */
static bool route_item(struct info *info, const struct addrinfo *to)
{
    struct sockaddr_storage from = { 0 };
    struct sockaddr *mine = (struct sockaddr *)(void *)&from;
    socklen_t len = sizeof(from);
    char target[NI_MAXHOST], source[NI_MAXHOST], interface[64];
    address_text(to->ai_addr, to->ai_addrlen, target, sizeof(target));

    int fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool routed = fd >= 0 && connect(fd, to->ai_addr, to->ai_addrlen) == 0 &&
                  getsockname(fd, mine, &len) == 0;
    int failed = errno;
    if (fd >= 0) close(fd);
    if (!routed) {
        info_item(info, "route", target, "none: %s", strerror(failed));
        return false;
    }
    address_text(mine, len, source, sizeof(source));
    interface_of(mine, interface, sizeof(interface));
    info_item(info, "route", target, "from %s by %s%s", source, interface,
              same_address(mine, to->ai_addr) ? ": this host itself, ranks here share memory" : "");
    return true;
}

bool info_route(struct info *info, const char *host)
{
    struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG };
    struct addrinfo *all = NULL;
    char port[8];
    bool routed = false;
    snprintf(port, sizeof(port), "%d", ANY_PORT);
    int failed = getaddrinfo(host, port, &hints, &all);
    if (failed != 0) {
        fprintf(stderr, "sinew-info: --to %s: %s; give a name or address that this host resolves\n",
                host, gai_strerror(failed));
        return false;
    }
    for (struct addrinfo *a = all; a; a = a->ai_next)
        if (route_item(info, a)) routed = true;
    freeaddrinfo(all);
    if (info->config.tcp_interface[0])
        info_item(info, "route", "tcp", "listens on and is reached at %s, by tcp_interface",
                  info->config.tcp_interface);
    if (!routed) fprintf(stderr, "sinew-info: --to %s: no route from here\n", host);
    return routed;
}
