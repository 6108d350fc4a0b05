/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * address.c - which address a rank publishes, and whether a published one can be reached
 *
 *   0        1        3                  7 or 19      23
 *   | family | port   | address, 4 or 16 | u32 scope   |   family 4 or 6; integers little-endian;
 *                                                          the scope only with family 6
 *
 * Published is the best address of an interface that is up: not loopback, not a bridge or tunnel
 * that exists on every host (containers), IPv4 before IPv6, link-local last. tcp_interface names
 * another.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/wire.h"
#include "transport/tcp/internal.h"

enum { FAMILY_4 = 4, FAMILY_6 = 6, LEN_4 = 7, LEN_6 = 23 };

static const struct sockaddr_in *v4(const struct sockaddr_storage *at)
{
    return (const struct sockaddr_in *)at;
}

static const struct sockaddr_in6 *v6(const struct sockaddr_storage *at)
{
    return (const struct sockaddr_in6 *)at;
}

uint32_t address_encode(const struct sockaddr_storage *at, uint8_t out[TCP_ADDRESS_MAX])
{
    if (at->ss_family == AF_INET) {
        out[0] = FAMILY_4;
        wire_put16(out + 1, ntohs(v4(at)->sin_port));
        memcpy(out + 3, &v4(at)->sin_addr, 4);
        return LEN_4;
    }
    out[0] = FAMILY_6;
    wire_put16(out + 1, ntohs(v6(at)->sin6_port));
    memcpy(out + 3, &v6(at)->sin6_addr, 16);
    wire_put32(out + 19, v6(at)->sin6_scope_id);
    return LEN_6;
}

int address_decode(const void *bytes, size_t len, struct sockaddr_storage *at, socklen_t *at_len,
                   struct why *why)
{
    struct wire_reader r = wire_read(bytes, len);
    struct sockaddr_storage found = { 0 };
    uint8_t family = wire_take8(&r);
    uint16_t port = wire_take16(&r);
    if (family == FAMILY_4 && len == LEN_4) {
        struct sockaddr_in *in = (struct sockaddr_in *)&found;
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, wire_take(&r, 4), 4);
        *at_len = sizeof(*in);
    } else if (family == FAMILY_6 && len == LEN_6) {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)&found;
        in->sin6_family = AF_INET6;
        in->sin6_port = htons(port);
        memcpy(&in->sin6_addr, wire_take(&r, 16), 16);
        in->sin6_scope_id = wire_take32(&r);
        *at_len = sizeof(*in);
    } else {
        return why_set(why, SINEW_EINVAL, "%zu bytes of family %u are no tcp address", len, family);
    }
    if (port == 0) return why_set(why, SINEW_EINVAL, "a tcp address with port 0");
    *at = found;
    return 0;
}

const char *address_text(const struct sockaddr_storage *at, char out[TCP_NAME_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (at->ss_family == AF_INET) {
        inet_ntop(AF_INET, &v4(at)->sin_addr, host, sizeof(host));
        snprintf(out, TCP_NAME_MAX, "%s:%u", host, ntohs(v4(at)->sin_port));
    } else {
        inet_ntop(AF_INET6, &v6(at)->sin6_addr, host, sizeof(host));
        snprintf(out, TCP_NAME_MAX, "[%s]:%u", host, ntohs(v6(at)->sin6_port));
    }
    return out;
}

bool address_is_loopback(const struct sockaddr_storage *at)
{
    if (at->ss_family == AF_INET) return ntohl(v4(at)->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&v6(at)->sin6_addr);
}

static bool is_link_local(const struct sockaddr_storage *at)
{
    if (at->ss_family == AF_INET) return ntohl(v4(at)->sin_addr.s_addr) >> 16 == 0xa9fe;
    return IN6_IS_ADDR_LINKLOCAL(&v6(at)->sin6_addr);
}

static bool same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family) return false;
    if (a->ss_family == AF_INET) return v4(a)->sin_addr.s_addr == v4(b)->sin_addr.s_addr;
    return memcmp(&v6(a)->sin6_addr, &v6(b)->sin6_addr, sizeof(v6(a)->sin6_addr)) == 0;
}

/* Interfaces that look alike on every host and lead to no other. */
static bool is_private_to_host(const char *interface)
{
    static const char *const prefixes[] = { "docker", "br-", "virbr", "veth", "cni", "podman",
                                            "lxc", "lxdbr", "flannel", "cali", "tun", "tap",
                                            "dummy" };
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncmp(interface, prefixes[i], strlen(prefixes[i])) == 0) return true;
    return false;
}

static bool take_address(const struct ifaddrs *i, struct sockaddr_storage *at)
{
    if (!i->ifa_addr || !(i->ifa_flags & IFF_UP)) return false;
    memset(at, 0, sizeof(*at));
    if (i->ifa_addr->sa_family == AF_INET)
        memcpy(at, i->ifa_addr, sizeof(struct sockaddr_in));
    else if (i->ifa_addr->sa_family == AF_INET6)
        memcpy(at, i->ifa_addr, sizeof(struct sockaddr_in6));
    else
        return false;
    return true;
}

/* Higher is better. */
static int preference(const struct ifaddrs *i, const struct sockaddr_storage *at)
{
    if (i->ifa_flags & IFF_LOOPBACK || address_is_loopback(at))
        return at->ss_family == AF_INET ? 2 : 1;
    int score = at->ss_family == AF_INET ? 20 : 10;
    if (!is_private_to_host(i->ifa_name)) score += 40;
    if (!is_link_local(at)) score += 20;
    if (i->ifa_flags & IFF_RUNNING) score += 80;
    return score;
}

/* `wanted` as an address; false: it is not written like one. */
static bool parse_address(const char *wanted, struct sockaddr_storage *at)
{
    memset(at, 0, sizeof(*at));
    if (inet_pton(AF_INET, wanted, &((struct sockaddr_in *)at)->sin_addr) == 1)
        at->ss_family = AF_INET;
    else if (inet_pton(AF_INET6, wanted, &((struct sockaddr_in6 *)at)->sin6_addr) == 1)
        at->ss_family = AF_INET6;
    else
        return false;
    return true;
}

static bool interface_matches(const struct ifaddrs *i, const struct sockaddr_storage *at,
                              const char *wanted, const struct sockaddr_storage *wanted_at)
{
    if (!wanted[0]) return true;
    return wanted_at ? same_host(at, wanted_at) : strcmp(i->ifa_name, wanted) == 0;
}

static int refuse_interface(const struct ifaddrs *all, const char *wanted, struct why *why)
{
    char list[WHY_MAX / 2], name[TCP_NAME_MAX];
    struct sockaddr_storage at;
    struct text text = text_into(list, sizeof(list));
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        if (!take_address(i, &at)) continue;
        inet_ntop(at.ss_family,
                  at.ss_family == AF_INET ? (const void *)&v4(&at)->sin_addr
                                          : (const void *)&v6(&at)->sin6_addr,
                  name, sizeof(name));
        text_add(&text, " %s %s,", i->ifa_name, name);
    }
    if (!wanted[0])
        return why_set(why, SINEW_ENOTSUP,
                       "no network interface with an IP address is up, not even lo: ip link set lo up");
    return why_set(why, SINEW_ENOENT,
                   "tcp_interface is '%s', but no interface of that name or address is up here; there "
                   "are:%s",
                   wanted, list);
}

int address_choose(const char *wanted, struct sockaddr_storage *at, bool *is_one, struct why *why)
{
    struct sockaddr_storage wanted_at, candidate, best_at;
    struct ifaddrs *all;
    int best = 0;
    if (getifaddrs(&all) < 0)
        return report_errno(why, SINEW_EIO, errno, "the interfaces of this host cannot be listed");
    bool by_address = wanted[0] && parse_address(wanted, &wanted_at);
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        if (!take_address(i, &candidate)) continue;
        if (!interface_matches(i, &candidate, wanted, by_address ? &wanted_at : NULL)) continue;
        int score = preference(i, &candidate);
        if (score <= best) continue;
        best = score;
        best_at = candidate;
    }
    int rc = best ? 0 : refuse_interface(all, wanted, why);
    freeifaddrs(all);
    if (rc < 0) return rc;
    *at = best_at;
    *is_one = wanted[0];
    return 0;
}

/* The addresses alone decide. The peer's loopback is ours only if we have nothing better. */
int tcp_reach(struct transport *base, const void *address, size_t len, struct why *why)
{
    struct sockaddr_storage theirs, mine;
    socklen_t theirs_len, mine_len;
    int rc = address_decode(address, len, &theirs, &theirs_len, why);
    if (rc < 0) return rc;
    rc = address_decode(base->address, base->address_len, &mine, &mine_len, why);
    if (rc < 0) return rc;
    if (address_is_loopback(&theirs) && !address_is_loopback(&mine))
        return why_set(why, SINEW_EUNREACHABLE,
                       "the peer is reached at its loopback address only, this rank at another: "
                       "set SINEW_TCP_INTERFACE alike on all ranks");
    if (theirs.ss_family != mine.ss_family) return 5;
    return same_host(&theirs, &mine) ? 20 : 10;
}
