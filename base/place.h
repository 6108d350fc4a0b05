/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_PLACE_H
#define BASE_PLACE_H
/*
 * place.h - where TCP may be, as people write it: interfaces and subnets, ports, an address
 *
 *   interfaces   "ib*", "eth0,eth1", "10.1.0.0/16", "^docker*,^10.9.0.0/16", "fd00::5": items
 *                between commas; names with * and ?, addresses, subnets; ^ leaves out. What is
 *                wanted is what some item without ^ names, or everything if there is none, and none
 *                with ^ names.
 *   ports        "20000-20100", "20000"
 *   address      "203.0.113.5", "203.0.113.5:7000", "2001:db8::5", "[2001:db8::5]:7000"
 *
 * Parsing only: no name is looked up and no interface asked for.
 */
#include <netinet/in.h>
#include <stdbool.h>

#include "base/text.h"

/* An IP address with a port, small enough for lists. any.sa_family 0: none. */
union place {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

socklen_t place_len(const union place *at);
bool place_same_host(const union place *a, const union place *b); /* port and scope aside */
/* Whether the first `bits` bits of both are alike. */
bool place_in_subnet(const union place *a, const union place *b, unsigned bits);
/* An IPv4 address in IPv6's clothes becomes one. */
void place_unmap(union place *at);

/* SINEW_EINVAL with why, which names what is allowed. `name` is of the setting. */
int place_check_interfaces(const char *name, const char *text, struct why *why);
/* Empty: 0 to 0, any port. */
int place_parse_ports(const char *name, const char *text, unsigned *first, unsigned *last,
                      struct why *why);
/* Empty: family 0. No port: 0. */
int place_parse(const char *name, const char *text, union place *at, struct why *why);

/* Whether an interface with this name and address is wanted by a text that was checked: 0 no, else
 * the position from 1 of the item that names it, or 1 if none has to. */
int place_wanted(const char *text, const char *interface, const union place *at);
/* Whether some item of it names what is wanted, so that it is not only about what is not. */
bool place_names_any(const char *text);

#endif
