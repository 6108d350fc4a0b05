/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info_route.c - how TCP would go to a host: by which route, and does its kernel answer
 *
 * The kernel's routes are asked, which sends nothing. Then one connection is tried, and closed at
 * once should somebody accept it: refused and accepted both mean that the host is there and lets us
 * through.
 */
#include "info.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/tcp/internal.h"

enum { PORT_DISCARD = 9, KNOCK_MS = 1000 };

/* Where this host listens and is reached: what a peer is told, and what it is not. */
static void here_items(struct info *info, const struct here *here)
{
    const struct here_address *chosen[HERE_MAX];
    const char *wanted = info->config.tcp_interface;
    struct why why;
    char address[TCP_NAME_MAX];
    int n = here_choose(here, wanted, chosen, &why);
    if (info->config.tcp_advertise[0])
        info_item(info, "route", "advertised", "%s, by tcp_advertise", info->config.tcp_advertise);
    for (int i = 0; i < n; i++)
        info_item(info, "route", i ? "or at" : "reached at", "%s by %s%s%s",
                  address_text(&chosen[i]->at, address), chosen[i]->name,
                  chosen[i]->remark[0] ? ": " : "", chosen[i]->remark);
    for (int i = 0; i < here->n; i++) {
        const struct here_address *a = &here->list[i];
        bool is_chosen = false;
        for (int k = 0; k < n; k++) is_chosen = is_chosen || chosen[k] == a;
        if (!is_chosen)
            info_item(info, "route", "not at", "%s by %s: %s", address_text(&a->at, address),
                      a->name, a->remark);
    }
    if (n < 0) info_item(info, "route", "reached at", "nothing: %s", why.text);
    if (info->config.tcp_ports[0])
        info_item(info, "route", "ports", "%s, by tcp_ports", info->config.tcp_ports);
}

/* One connection. What came of it, and what to do. */
static const char *knock(const union place *to, bool *answers)
{
    int error = 0, fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(error);
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    if (fd < 0 || connect(fd, &to->any, place_len(to)) < 0) error = errno;
    if (fd >= 0 && error == EINPROGRESS)
        error = poll(&p, 1, KNOCK_MS) < 1 ? ETIMEDOUT
                : getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? errno
                                                                         : error;
    if (fd >= 0) close(fd);
    *answers = error == 0 || error == ECONNREFUSED;
    switch (error) {
    case 0: return "its kernel answers, and somebody listens there";
    case ECONNREFUSED:
        return "its kernel answers: nobody listens there now, which is as it should be without a job";
    case ETIMEDOUT:
        return "no answer within 1 s: the host is off, or a firewall drops this port; see tcp_ports";
    case EHOSTUNREACH:
        return "unreachable: no such host on its network, or a router or firewall says so";
    case EACCES:
    case EPERM: return "forbidden by a firewall or security module of this host";
    default: return strerrordesc_np(error);
    }
}

/* True: by one route at least its kernel answers. *any: there is a route at all. */
static bool route_item(struct info *info, const struct here *here, const union place *to, bool *any)
{
    static const union place nowhere;
    struct route list[ROUTES_MAX];
    uint8_t bytes[TCP_ADDRESS_MAX];
    char target[TCP_NAME_MAX], source[TCP_NAME_MAX];
    bool reached = false, answers;
    int n = routes_find(here, bytes, address_encode(to, bytes), &nowhere, list);
    for (int i = 0; i < n; i++) {
        const struct route *r = &list[i];
        address_text(&r->to, target);
        if (r->forbidden) {
            info_item(info, "route", target, "none: the way is by %s, which tcp_interface leaves out",
                      r->by);
        } else if (r->error) {
            info_item(info, "route", target, "none: %s", strerrordesc_np(r->error));
        } else {
            info_item(info, "route", target, "from %s by %s, %s%s", address_text(&r->from, source),
                      r->by, route_kind_text(r->kind),
                      r->kind == ROUTE_SELF ? ": ranks here share memory" : "");
            info_item(info, "route", "answer", "%s", knock(&r->to, &answers));
            *any = true;
            reached = reached || answers;
        }
    }
    if (n == 0) info_item(info, "route", address_text(to, target), "none: no interface of ours has IPv6");
    return reached;
}

static bool is_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    int value = digits > 0 && digits < 6 && !text[digits] ? atoi(text) : 0;
    return value >= 1 && value <= 65535;
}

/* HOST, HOST:PORT, [ADDRESS]:PORT; else the first of tcp_ports, or one that nobody listens on. */
static bool take_port(const struct info *info, const char *to, char host[NI_MAXHOST],
                      char port[NI_MAXSERV])
{
    const char *colon = strrchr(to, ':');
    bool has_port = colon && (colon[-(colon > to)] == ']' || strchr(to, ':') == colon);
    size_t len = has_port ? (size_t)(colon - to) : strlen(to);
    bool bracketed = to[0] == '[' && len > 1 && to[len - 1] == ']';
    unsigned first = 0, last;
    struct why why;
    place_parse_ports("tcp_ports", info->config.tcp_ports, &first, &last, &why);
    snprintf(port, NI_MAXSERV, "%u", first ? first : PORT_DISCARD);
    if (has_port) snprintf(port, NI_MAXSERV, "%s", colon + 1);
    snprintf(host, NI_MAXHOST, "%.*s", (int)(len - 2 * bracketed), to + bracketed);
    return !has_port || is_port(colon + 1);
}

bool info_route(struct info *info, const char *to)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    struct addrinfo *all = NULL;
    static struct here here;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    struct why why;
    bool routed = false, reached = false;
    if (!take_port(info, to, host, port)) {
        fprintf(stderr, "sinew-info: --to %s: a port is a number from 1 to 65535\n", to);
        return false;
    }
    int failed = getaddrinfo(host, port, &hints, &all);
    if (failed != 0) {
        fprintf(stderr,
                "sinew-info: --to %s: %s; give a name or address that this host resolves, and a port "
                "if you like\n",
                to, gai_strerror(failed));
        return false;
    }
    if (here_find(info->config.tcp_interface, &here, &why) < 0) {
        fprintf(stderr, "sinew-info: %s\n", why.text);
        return false;
    }
    for (struct addrinfo *a = all; a; a = a->ai_next) {
        union place at = { .v6 = { 0 } };
        memcpy(&at, a->ai_addr, a->ai_addrlen < sizeof(at) ? a->ai_addrlen : sizeof(at));
        if (route_item(info, &here, &at, &routed)) reached = true;
    }
    freeaddrinfo(all);
    here_items(info, &here);
    if (!reached)
        fprintf(stderr, "sinew-info: --to %s: %s\n", to,
                routed ? "out of reach, as its answer above says" : "no route from here");
    return reached;
}
