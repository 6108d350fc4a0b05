/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * route.c - by which of its addresses to go to a peer first, and where that leads
 *
 * The kernel is asked for each (connecting a datagram socket sends nothing): from which address of
 * ours, by which interface. What has worked before comes first, then what is on a network of ours,
 * then what is behind a gateway; bridges and tunnels last. An address that this host has itself,
 * when the peer has others too, is the trap of two hosts whose container bridges have the same one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/tcp/internal.h"

const char *route_kind_text(enum route_kind kind)
{
    static const char *const texts[] = {
        [ROUTE_PROVEN] = "where it was met before",
        [ROUTE_DIRECT] = "on a network of this host",
        [ROUTE_GATEWAY] = "behind a gateway",
        [ROUTE_LINK] = "link-local",
        [ROUTE_PRIVATE] = "by a bridge or tunnel",
        [ROUTE_SELF] = "an address of this host itself",
        [ROUTE_NONE] = "no way",
    };
    return texts[kind];
}

/* Where the kernel would send it. */
static void route_ask(struct route *r, const struct here *here)
{
    socklen_t len = sizeof(r->from);
    int fd = socket(r->to.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, &r->to.any, place_len(&r->to)) < 0 ||
        getsockname(fd, &r->from.any, &len) < 0)
        r->error = errno;
    if (fd >= 0) close(fd);
    address_set_port(&r->from, 0);
    if (r->error) {
        r->kind = ROUTE_NONE;
        return;
    }
    const struct here_address *mine = here_has(here, &r->from), *self = here_has(here, &r->to);
    snprintf(r->by, sizeof(r->by), "%s", mine ? mine->name : "?");
    if (mine && !mine->wanted) {
        r->kind = ROUTE_NONE;
        r->error = EPERM;
        r->forbidden = true;
    } else if (self || address_is_loopback(&r->to)) {
        r->kind = ROUTE_SELF;
    } else if (mine && mine->private) {
        r->kind = ROUTE_PRIVATE;
    } else if (address_is_link_local(&r->to)) {
        r->kind = ROUTE_LINK;
    } else {
        r->kind = mine && place_in_subnet(&r->to, &mine->at, mine->bits) ? ROUTE_DIRECT
                                                                         : ROUTE_GATEWAY;
    }
}

static int route_insert(struct route list[ROUTES_MAX], int n, const struct route *r)
{
    int at = n;
    while (at > 0 && r->kind < list[at - 1].kind) at--;
    if (at == ROUTES_MAX) return n;
    int moved = (n < ROUTES_MAX ? n : ROUTES_MAX - 1) - at;
    memmove(&list[at + 1], &list[at], sizeof(*r) * (size_t)moved);
    list[at] = *r;
    return n < ROUTES_MAX ? n + 1 : n;
}

static int route_add(struct route list[ROUTES_MAX], int n, const struct here *here,
                     const struct tcp_place *place, const union place *proven)
{
    struct route r = { .to = place->at };
    route_ask(&r, here);
    /* That its host was met at an advertised address says nothing of the port there. */
    r.proven = proven->any.sa_family && place_same_host(&place->at, proven) &&
               (!place->advertised || memcmp(&place->at, proven, place_len(proven)) == 0);
    if (r.proven && r.kind != ROUTE_NONE) r.kind = ROUTE_PROVEN;
    return route_insert(list, n, &r);
}

/* Every network of ours may be the one that a link-local address is on. */
static int route_add_scopes(struct route list[ROUTES_MAX], int n, const struct here *here,
                            const struct tcp_place *place, const union place *proven)
{
    for (int i = 0; i < here->n; i++) {
        const struct here_address *a = &here->list[i];
        struct tcp_place scoped = *place;
        if (a->at.any.sa_family != AF_INET6 || !address_is_link_local(&a->at) || !a->wanted)
            continue;
        scoped.at.v6.sin6_scope_id = a->index;
        n = route_add(list, n, here, &scoped, proven);
    }
    return n;
}

int routes_find(const struct here *here, const uint8_t *address, uint32_t len,
                const union place *proven, struct route list[ROUTES_MAX])
{
    struct tcp_place places[TCP_PLACES_MAX];
    struct why why;
    int count, n = 0;
    if (address_decode(address, len, places, &count, &why) < 0) return 0;
    for (int i = 0; i < count; i++) {
        bool link = places[i].at.any.sa_family == AF_INET6 && address_is_link_local(&places[i].at);
        n = link ? route_add_scopes(list, n, here, &places[i], proven)
                 : route_add(list, n, here, &places[i], proven);
    }
    return n;
}

void route_between(const struct here *here, int fd, struct text *text)
{
    union place from, to;
    char a[TCP_NAME_MAX], b[TCP_NAME_MAX];
    socklen_t from_len = sizeof(from), to_len = sizeof(to);
    if (getsockname(fd, &from.any, &from_len) < 0 || getpeername(fd, &to.any, &to_len) < 0) return;
    place_unmap(&from);
    place_unmap(&to);
    const struct here_address *mine = here_has(here, &from);
    text_add(text, "from %s by %s to %s", address_text(&from, a), mine ? mine->name : "?",
             address_text(&to, b));
}
