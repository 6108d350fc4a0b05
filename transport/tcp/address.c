/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * address.c - where a rank can be reached, as bytes
 *
 *   0      2
 *   | port | places, best first …                  integers little-endian
 *
 *   a place:   0      1                       5, 9 or 17
 *              | what | address, 4, 8 or 16   |        what: 4 IPv4, 6 IPv6, 7 IPv6 link-local
 *
 *              0             1      3
 *              | what + 0x80 | port | address …        advertised: with a port of its own
 *
 *              0             1
 *              | what + 0x40 | address …               advertised: with the port in front
 *
 * Of a link-local address only the interface's part travels: the scope is the reader's to find.
 * A record has room for TCP_PUBLISHED_MAX bytes beside the other transports' addresses: three of
 * IPv4, or one of IPv6, the advertised one if there is one. A JOIN has room for all
 * (TCP_ADDRESS_MAX).
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/wire.h"
#include "transport/tcp/internal.h"

enum { WHAT_4 = 4, WHAT_6 = 6, WHAT_LINK = 7, WHAT_PORT = 0x80, WHAT_FRONT = 0x40 };

static uint16_t place_port(const union place *at)
{
    return ntohs(at->any.sa_family == AF_INET ? at->v4.sin_port : at->v6.sin6_port);
}

void address_set_port(union place *at, uint16_t port)
{
    if (at->any.sa_family == AF_INET)
        at->v4.sin_port = htons(port);
    else
        at->v6.sin6_port = htons(port);
}

bool address_is_loopback(const union place *at)
{
    if (at->any.sa_family == AF_INET) return ntohl(at->v4.sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&at->v6.sin6_addr);
}

bool address_is_link_local(const union place *at)
{
    if (at->any.sa_family == AF_INET) return ntohl(at->v4.sin_addr.s_addr) >> 16 == 0xa9fe;
    return IN6_IS_ADDR_LINKLOCAL(&at->v6.sin6_addr);
}

/* Its kind of address, and where its bytes begin in the union's. */
static uint8_t address_what(const union place *at, const void **bytes, size_t *len)
{
    bool v4 = at->any.sa_family == AF_INET, link = !v4 && address_is_link_local(at);
    *bytes = v4 ? (const uint8_t *)&at->v4.sin_addr : at->v6.sin6_addr.s6_addr + (link ? 8 : 0);
    *len = v4 ? 4 : link ? 8 : 16;
    return v4 ? WHAT_4 : link ? WHAT_LINK : WHAT_6;
}

uint32_t address_begin(uint8_t *out, uint16_t port)
{
    wire_put16(out, port);
    return 2;
}

bool address_add(uint8_t *out, uint32_t *len, uint32_t cap, const union place *at, bool advertised)
{
    const void *bytes;
    size_t n;
    uint8_t what = address_what(at, &bytes, &n);
    bool has_port = advertised && place_port(at) != wire_get16(out);
    if (*len + 1 + (has_port ? 2 : 0) + n > cap) return false;
    out[(*len)++] = has_port ? what | WHAT_PORT : advertised ? what | WHAT_FRONT : what;
    if (has_port) {
        wire_put16(out + *len, place_port(at));
        *len += 2;
    }
    memcpy(out + *len, bytes, n);
    *len += (uint32_t)n;
    return true;
}

uint32_t address_encode(const union place *at, uint8_t out[TCP_ADDRESS_MAX])
{
    uint32_t len = address_begin(out, place_port(at));
    address_add(out, &len, TCP_ADDRESS_MAX, at, false);
    return len;
}

/* The same at both ends of a connection, unless something between them holds one of its own to
 * each. */
uint32_t address_ends(int fd, bool is_client)
{
    union place at[2] = { { .v6 = { 0 } }, { .v6 = { 0 } } }; /* the client, the server */
    uint8_t bytes[TCP_ADDRESS_MAX];
    socklen_t mine = sizeof(at[0]), theirs = sizeof(at[0]);
    uint32_t sum = 0;
    if (getsockname(fd, &at[!is_client].any, &mine) < 0 ||
        getpeername(fd, &at[is_client].any, &theirs) < 0)
        return 0;
    for (int i = 0; i < 2; i++) {
        place_unmap(&at[i]);
        sum = crc32c(sum, bytes, address_encode(&at[i], bytes));
    }
    return sum & 0xffffff;
}

static bool take_place(struct wire_reader *r, uint16_t port, struct tcp_place *place)
{
    static const uint8_t link_local[8] = { 0xfe, 0x80 };
    uint8_t what = wire_take8(r);
    const void *bytes;
    *place = (struct tcp_place){ .advertised = what & (WHAT_PORT | WHAT_FRONT) };
    if (what & WHAT_PORT) port = wire_take16(r);
    what &= (uint8_t)~(what & WHAT_PORT ? WHAT_PORT : WHAT_FRONT);
    size_t len = what == WHAT_4 ? 4 : what == WHAT_6 ? 16 : what == WHAT_LINK ? 8 : 0;
    if (len == 0 || port == 0 || r->bad || r->left < len) return false;
    bytes = wire_take(r, len);
    place->at.any.sa_family = what == WHAT_4 ? AF_INET : AF_INET6;
    uint8_t *to = what == WHAT_4 ? (uint8_t *)&place->at.v4.sin_addr
                                 : place->at.v6.sin6_addr.s6_addr;
    if (what == WHAT_LINK) {
        memcpy(to, link_local, 8);
        to += 8;
    }
    memcpy(to, bytes, len);
    address_set_port(&place->at, port);
    return true;
}

int address_decode(const void *bytes, size_t len, struct tcp_place places[TCP_PLACES_MAX], int *n,
                   struct why *why)
{
    struct wire_reader r = wire_read(bytes, len);
    struct tcp_place found[TCP_PLACES_MAX];
    int count = 0;
    uint16_t port = wire_take16(&r);
    while (!r.bad && r.left > 0) {
        if (count == TCP_PLACES_MAX || !take_place(&r, port, &found[count]))
            return why_set(why, SINEW_EINVAL, "%zu bytes that are no tcp address", len);
        count++;
    }
    if (r.bad || count == 0)
        return why_set(why, SINEW_EINVAL, "%zu bytes are too few for a tcp address", len);
    memcpy(places, found, sizeof(found[0]) * (size_t)count);
    *n = count;
    return 0;
}

/* "10.0.0.2", "fe80::1%eth0" */
static void host_text(const union place *at, char out[TCP_NAME_MAX])
{
    char interface[IF_NAMESIZE] = "";
    if (at->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &at->v4.sin_addr, out, TCP_NAME_MAX);
        return;
    }
    inet_ntop(AF_INET6, &at->v6.sin6_addr, out, TCP_NAME_MAX);
    if (!at->v6.sin6_scope_id) return;
    size_t len = strlen(out);
    if (if_indextoname(at->v6.sin6_scope_id, interface))
        snprintf(out + len, TCP_NAME_MAX - len, "%%%s", interface);
    else
        snprintf(out + len, TCP_NAME_MAX - len, "%%%u", at->v6.sin6_scope_id);
}

const char *address_text(const union place *at, char out[TCP_NAME_MAX])
{
    char host[TCP_NAME_MAX] = "?";
    unsigned port = place_port(at);
    host_text(at, host);
    if (port == 0)
        snprintf(out, TCP_NAME_MAX, "%.80s", host);
    else if (at->any.sa_family == AF_INET)
        snprintf(out, TCP_NAME_MAX, "%.80s:%u", host, port);
    else
        snprintf(out, TCP_NAME_MAX, "[%.80s]:%u", host, port);
    return out;
}

static bool all_are_loopback(const struct tcp_place *places, int n)
{
    for (int i = 0; i < n; i++)
        if (!address_is_loopback(&places[i].at)) return false;
    return true;
}

/* The addresses alone decide. The peer's loopback is ours only if we have nothing better. */
int tcp_reach(struct transport *base, const void *address, size_t len, struct why *why)
{
    struct tcp_place theirs[TCP_PLACES_MAX], mine[TCP_PLACES_MAX];
    int n, m;
    int rc = address_decode(address, len, theirs, &n, why);
    if (rc < 0) return rc;
    rc = address_decode(base->address, base->address_len, mine, &m, why);
    if (rc < 0) return rc;
    if (all_are_loopback(theirs, n) && !all_are_loopback(mine, m))
        return why_set(why, SINEW_EUNREACHABLE,
                       "the peer is reached at its loopback address only, this rank at another: "
                       "set SINEW_TCP_INTERFACE alike on all ranks");
    return place_same_host(&theirs[0].at, &mine[0].at) ? 20 : 10;
}
