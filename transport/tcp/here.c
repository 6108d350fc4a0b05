/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * here.c - the addresses of this host, best first
 *
 * An address is good for peers on other hosts when its interface runs and leads somewhere. Bridges,
 * tunnels and the ends of containers often have the same address on every host, and lead to no
 * other: they come last, unless a gateway is behind one. Loopback is for a host that has nothing
 * else.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/tcp/internal.h"

enum { GATEWAYS_MAX = 16, SCORE_RUNS = 80, SCORE_LEADS = 40, SCORE_GLOBAL = 20, SCORE_V4 = 10 };

static const char is_private[] =
    "a bridge, tunnel or container's end without a gateway: other hosts may have the same";

/* --- what kind of interface it is ------------------------------------------------------------- */

static bool name_is_private(const char *name)
{
    static const char *const prefixes[] = { "docker", "br-", "virbr", "veth", "cni", "podman",
                                            "lxc", "lxdbr", "flannel", "cali", "tun", "tap",
                                            "dummy" };
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) return true;
    return false;
}

static bool driver_is_private(int fd, const char *name)
{
    struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
    struct ifreq request = { .ifr_data = (char *)&info };
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request) < 0) return false;
    return !strcmp(info.driver, "bridge") || !strcmp(info.driver, "tun") ||
           !strcmp(info.driver, "dummy");
}

/* Interfaces that some route by a gateway uses. */
struct gateways {
    int n;
    char name[GATEWAYS_MAX][IF_NAMESIZE];
};

static bool gateways_have(const struct gateways *g, const char *name)
{
    for (int i = 0; i < g->n; i++)
        if (strcmp(g->name[i], name) == 0) return true;
    return false;
}

/* One of the kernel's two tables; `format` takes flags and name from a line. */
static void gateways_read(struct gateways *g, const char *path, const char *format, bool name_first)
{
    enum { RTF_GATEWAY_ = 2 };
    char line[256], name[IF_NAMESIZE];
    unsigned flags;
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        int n =
            name_first ? sscanf(line, format, name, &flags) : sscanf(line, format, &flags, name);
        if (n == 2 && flags & RTF_GATEWAY_ && g->n < GATEWAYS_MAX && !gateways_have(g, name))
            strcpy(g->name[g->n++], name);
    }
    if (f) fclose(f);
}

static void gateways_find(struct gateways *g)
{
    g->n = 0;
    gateways_read(g, "/proc/self/net/route", "%15s %*s %*s %x", true);
    gateways_read(g, "/proc/self/net/ipv6_route", "%*s %*s %*s %*s %*s %*s %*s %*s %x %15s", false);
}

/* --- the list --------------------------------------------------------------------------------- */

static bool take_address(const struct ifaddrs *i, struct here_address *a)
{
    if (!i->ifa_addr || !(i->ifa_flags & IFF_UP)) return false;
    memset(a, 0, sizeof(*a));
    if (i->ifa_addr->sa_family == AF_INET)
        memcpy(&a->at, i->ifa_addr, sizeof(a->at.v4));
    else if (i->ifa_addr->sa_family == AF_INET6)
        memcpy(&a->at, i->ifa_addr, sizeof(a->at.v6));
    else
        return false;
    snprintf(a->name, sizeof(a->name), "%s", i->ifa_name);
    a->index = if_nametoindex(a->name);
    return true;
}

static unsigned mask_bits(const struct sockaddr *mask)
{
    unsigned bits = 0, n = 0;
    const uint8_t *at = NULL;
    if (mask && mask->sa_family == AF_INET) {
        at = (const uint8_t *)&((const struct sockaddr_in *)(const void *)mask)->sin_addr;
        n = 4;
    } else if (mask && mask->sa_family == AF_INET6) {
        at = ((const struct sockaddr_in6 *)(const void *)mask)->sin6_addr.s6_addr;
        n = 16;
    }
    for (unsigned i = 0; i < n; i++) bits += (unsigned)__builtin_popcount(at[i]);
    return bits;
}

static void judge(struct here_address *a, unsigned flags, const struct gateways *g, int fd,
                  const char *wanted)
{
    bool leads = gateways_have(g, a->name);
    a->loopback = flags & IFF_LOOPBACK || address_is_loopback(&a->at);
    a->wanted = place_wanted(wanted, a->name, &a->at);
    a->private = !a->loopback && !leads && !place_names_any(wanted) && /* who names it knows it */
                 (name_is_private(a->name) || driver_is_private(fd, a->name));
    a->score = a->at.any.sa_family == AF_INET ? SCORE_V4 : 0;
    if (flags & IFF_RUNNING) a->score += SCORE_RUNS;
    if (!a->private) a->score += SCORE_LEADS;
    if (!address_is_link_local(&a->at)) a->score += SCORE_GLOBAL;
    a->score += leads;
    if (a->loopback) a->score = a->at.any.sa_family == AF_INET ? 2 : 1;
    a->remark = !a->wanted ? "left out by tcp_interface"
                : a->loopback ? "loopback: for this host alone"
                : a->private ? is_private
                : !(flags & IFF_RUNNING) ? "not running: no cable or carrier"
                : address_is_link_local(&a->at) ? "link-local: for its own network alone"
                                                : "";
}

/* Link-local ones come late: a record's room goes to what may be reached from other networks. */
static int tier(const struct here_address *a)
{
    return !a->wanted ? 5 : a->loopback ? 4 : 2 * a->private + address_is_link_local(&a->at);
}

static bool comes_before(const struct here_address *a, const struct here_address *b)
{
    if (tier(a) != tier(b)) return tier(a) < tier(b);
    return a->wanted != b->wanted ? a->wanted < b->wanted : a->score > b->score;
}

static void insert(struct here *here, const struct here_address *a)
{
    int at = here->n;
    while (at > 0 && comes_before(a, &here->list[at - 1])) at--;
    if (at == HERE_MAX) return;
    if (here->n < HERE_MAX) here->n++;
    memmove(&here->list[at + 1], &here->list[at],
            sizeof(*a) * (size_t)(here->n - 1 - at));
    here->list[at] = *a;
}

int here_find(const char *wanted, struct here *here, struct why *why)
{
    struct ifaddrs *all;
    struct gateways gateways;
    struct here_address a;
    if (getifaddrs(&all) < 0)
        return report_errno(why, SINEW_EIO, errno, "the interfaces of this host cannot be listed");
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    gateways_find(&gateways);
    here->n = 0;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        if (!take_address(i, &a)) continue;
        a.bits = (uint8_t)mask_bits(i->ifa_netmask);
        judge(&a, i->ifa_flags, &gateways, fd, wanted);
        insert(here, &a);
    }
    if (fd >= 0) close(fd);
    freeifaddrs(all);
    return 0;
}

const struct here_address *here_has(const struct here *here, const union place *at)
{
    for (int i = 0; i < here->n; i++)
        if (place_same_host(&here->list[i].at, at) &&
            (!at->v6.sin6_scope_id || at->any.sa_family == AF_INET ||
             at->v6.sin6_scope_id == here->list[i].index))
            return &here->list[i];
    return NULL;
}

static int refuse(const struct here *here, const char *wanted, struct why *why)
{
    char list[WHY_MAX / 2], name[TCP_NAME_MAX];
    struct text text = text_into(list, sizeof(list));
    if (here->n == 0)
        return why_set(why, SINEW_ENOTSUP,
                       "no network interface with an IP address is up, not even lo: ip link set lo up");
    for (int i = 0; i < here->n; i++)
        text_add(&text, " %s %s,", here->list[i].name, address_text(&here->list[i].at, name));
    return why_set(why, SINEW_ENOENT,
                   "tcp_interface is '%s', and no interface that is up here has such a name or "
                   "address; there are:%s",
                   wanted, list);
}

/* Loopback if it was asked for, or as the last resort. */
int here_choose(const struct here *here, const char *wanted,
                const struct here_address *chosen[HERE_MAX], struct why *why)
{
    int n = 0;
    bool named = place_names_any(wanted);
    for (int i = 0; i < here->n; i++)
        if (here->list[i].wanted && (named || !here->list[i].loopback))
            chosen[n++] = &here->list[i];
    for (int i = 0; n == 0 && i < here->n; i++)
        if (here->list[i].wanted) chosen[n++] = &here->list[i];
    return n > 0 ? n : refuse(here, wanted, why);
}
