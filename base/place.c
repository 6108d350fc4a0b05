/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/place.h"

#include <arpa/inet.h>
#include <fnmatch.h>
#include <net/if.h>
#include <string.h>

#include "base/value.h"
#include "sinew/sinew.h"

enum { ITEM_MAX = 64, PORT_MAX = 65535 };

/* --- addresses -------------------------------------------------------------------------------- */

socklen_t place_len(const union place *at)
{
    return at->any.sa_family == AF_INET ? sizeof(at->v4) : sizeof(at->v6);
}

static const uint8_t *place_bytes(const union place *at)
{
    return at->any.sa_family == AF_INET ? (const uint8_t *)&at->v4.sin_addr
                                        : (const uint8_t *)&at->v6.sin6_addr;
}

static unsigned place_bits(const union place *at)
{
    return at->any.sa_family == AF_INET ? 32 : 128;
}

bool place_in_subnet(const union place *a, const union place *b, unsigned bits)
{
    if (a->any.sa_family != b->any.sa_family || bits > place_bits(a)) return false;
    const uint8_t *x = place_bytes(a), *y = place_bytes(b);
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(x, y, whole) != 0) return false;
    return rest == 0 || (x[whole] ^ y[whole]) >> (8 - rest) == 0;
}

bool place_same_host(const union place *a, const union place *b)
{
    return place_in_subnet(a, b, place_bits(a));
}

void place_unmap(union place *at)
{
    union place plain = { .v4 = { .sin_family = AF_INET, .sin_port = at->v6.sin6_port } };
    if (at->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&at->v6.sin6_addr)) return;
    memcpy(&plain.v4.sin_addr, at->v6.sin6_addr.s6_addr + 12, 4);
    *at = plain;
}

/* Without a port. */
static bool parse_host(const char *text, union place *at)
{
    *at = (union place){ .v6 = { 0 } };
    if (inet_pton(AF_INET, text, &at->v4.sin_addr) == 1)
        at->any.sa_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &at->v6.sin6_addr) == 1)
        at->any.sa_family = AF_INET6;
    else
        return false;
    return true;
}

static bool parse_port(const char *text, unsigned *port)
{
    int64_t number;
    if (!value_parse_number(text, &number) || number < 1 || number > PORT_MAX) return false;
    *port = (unsigned)number;
    return true;
}

/* Where the host is in "host", "host:port", "[host]", "[host]:port", and where the port, or
 * NULL. */
static bool split(const char *text, char host[INET6_ADDRSTRLEN], const char **port)
{
    const char *begin = text, *colon = strchr(text, ':'), *end = text + strlen(text);
    *port = NULL;
    if (text[0] == '[') {
        begin = text + 1;
        end = strchr(text, ']');
        if (!end || (end[1] && end[1] != ':')) return false;
        if (end[1]) *port = end + 2;
    } else if (colon && !strchr(colon + 1, ':')) {
        end = colon;
        *port = colon + 1;
    }
    size_t len = (size_t)(end - begin);
    if (len >= INET6_ADDRSTRLEN) return false;
    memcpy(host, begin, len);
    host[len] = '\0';
    return true;
}

int place_parse(const char *name, const char *text, union place *at, struct why *why)
{
    char host[INET6_ADDRSTRLEN];
    const char *port_text;
    unsigned port = 0;
    union place found = { .v6 = { 0 } };
    if (text[0] && (!split(text, host, &port_text) || !parse_host(host, &found) ||
                    (port_text && !parse_port(port_text, &port))))
        return why_set(why, SINEW_EINVAL,
                       "%s='%.64s' is no address: write one as 203.0.113.5, 203.0.113.5:7000, "
                       "2001:db8::5 or [2001:db8::5]:7000; names are not looked up",
                       name, text);
    if (found.any.sa_family == AF_INET)
        found.v4.sin_port = htons((uint16_t)port);
    else
        found.v6.sin6_port = htons((uint16_t)port);
    *at = found;
    return 0;
}

int place_parse_ports(const char *name, const char *text, unsigned *first, unsigned *last,
                      struct why *why)
{
    char from[ITEM_MAX];
    unsigned a = 0, b = 0;
    size_t len = strcspn(text, "-");
    bool good = len < sizeof(from);
    if (!text[0]) {
        *first = *last = 0;
        return 0;
    }
    if (good) {
        memcpy(from, text, len);
        from[len] = '\0';
        good = parse_port(from, &a) && parse_port(text[len] ? text + len + 1 : from, &b) && a <= b;
    }
    if (!good)
        return why_set(why, SINEW_EINVAL,
                       "%s='%.64s' is no range of ports: write 20000-20100, or 20000; ports are 1 "
                       "to 65535, the lower one first",
                       name, text);
    *first = a;
    *last = b;
    return 0;
}

/* --- interfaces ------------------------------------------------------------------------------- */

struct item {
    bool excludes, is_address;
    char pattern[ITEM_MAX]; /* of names */
    union place at;
    unsigned bits;
};

static const char item_help[] =
    "write a comma separated list of interfaces (eth0, ib*), addresses (10.1.0.7) and subnets "
    "(10.1.0.0/16, fd00:1::/64), ^ in front of what is to be left out";

static bool item_is_name(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len < IF_NAMESIZE && !strpbrk(text, "/: \t[]^");
}

/* The first of the list; moves *list behind it. */
static bool item_take(const char **list, struct item *item)
{
    const char *begin = *list;
    size_t len = strcspn(begin, ",");
    int64_t bits;
    *item = (struct item){ 0 };
    *list = begin[len] ? begin + len + 1 : begin + len;
    if (len > 0 && begin[0] == '^') {
        item->excludes = true;
        begin++;
        len--;
    }
    if (len == 0 || len >= sizeof(item->pattern)) return false;
    memcpy(item->pattern, begin, len);
    char *slash = strchr(item->pattern, '/');
    if (slash) *slash++ = '\0';
    item->is_address = parse_host(item->pattern, &item->at);
    if (!item->is_address) return !slash && item_is_name(item->pattern);
    item->bits = place_bits(&item->at);
    if (!slash) return true;
    if (!value_parse_number(slash, &bits) || bits < 0 || bits > item->bits) return false;
    item->bits = (unsigned)bits;
    return true;
}

int place_check_interfaces(const char *name, const char *text, struct why *why)
{
    struct item item;
    size_t len = strlen(text);
    bool good = len == 0 || text[len - 1] != ',';
    for (const char *at = text; good && *at;) {
        const char *begin = at;
        good = item_take(&at, &item);
        if (!good)
            return why_set(why, SINEW_EINVAL, "%s: '%.*s' is none of what it takes: %s", name,
                           (int)strcspn(begin, ","), begin, item_help);
    }
    return good ? 0 : why_set(why, SINEW_EINVAL, "%s ends in a comma: %s", name, item_help);
}

static bool item_names(const struct item *item, const char *interface, const union place *at)
{
    if (item->is_address) return place_in_subnet(at, &item->at, item->bits);
    return fnmatch(item->pattern, interface, 0) == 0;
}

int place_wanted(const char *text, const char *interface, const union place *at)
{
    struct item item;
    int found = 0, position = 0;
    bool any = place_names_any(text);
    for (const char *next = text; *next;) {
        if (!item_take(&next, &item)) return 0;
        position++;
        if (!item_names(&item, interface, at)) continue;
        if (item.excludes) return 0;
        if (!found) found = position;
    }
    return any ? found : 1;
}

bool place_names_any(const char *text)
{
    struct item item;
    for (const char *next = text; *next;)
        if (!item_take(&next, &item) || !item.excludes) return true;
    return false;
}
