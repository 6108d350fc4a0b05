/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info_rdma_ports.c - RDMA devices: may they be opened, are their ports up, by which address
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "info_rdma.h"

enum { GIDS_MAX = 1024, DEVICES_MAX = 256, HEADERS = 96 /* of a RoCE packet at most */ };

/* Best last. */
enum quality { NOT_USABLE, VERSION_1, LINK_LOCAL, IPV6, INFINIBAND, IPV4 };

struct gid {
    int index;
    enum quality quality;
    char address[INET6_ADDRSTRLEN], type[64], interface[64];
};

struct port {
    const char *device;
    int number;
    bool infiniband, active;
    char state[64], interface[64];
    struct gid best;
    int gids;
};

/* ---- may it be opened ------------------------------------------------------------------------ */

/* uverbsN of a device; the name may be any. */
static bool uverbs_of(struct rdma *r, const char *device, char name[64])
{
    char line[RDMA_LINE_MAX];
    for (int i = 0; i < DEVICES_MAX; i++) {
        if (!rdma_line(r, line, "/sys/class/infiniband_verbs/uverbs%d/ibdev", i)) continue;
        if (strcmp(line, device) != 0) continue;
        snprintf(name, 64, "uverbs%d", i);
        return true;
    }
    return false;
}

static void access_item(struct rdma *r, const char *device)
{
    char uverbs[64], path[PATH_MAX], mend[RDMA_LINE_MAX];
    if (!uverbs_of(r, device, uverbs)) {
        rdma_wrong(r, "modprobe ib_uverbs", "%s cannot be opened by programs: ib_uverbs is not loaded",
                   device);
        return;
    }
    snprintf(path, sizeof(path), "%.3000s/dev/infiniband/%s", r->root, uverbs);
    if (access(path, R_OK | W_OK) == 0) {
        info_item(r->info, "rdma", device, "may be opened: /dev/infiniband/%s", uverbs);
        return;
    }
    if (errno == EACCES || errno == EPERM) {
        snprintf(mend, sizeof(mend), "as root: chmod a+rw /dev/infiniband/%s", uverbs);
        rdma_wrong(r, mend, "%s may not be opened by this user: /dev/infiniband/%s", device, uverbs);
        return;
    }
    snprintf(mend, sizeof(mend),
             "as root: udevadm trigger; in a container start it with --device=/dev/infiniband");
    rdma_wrong(r, mend, "%s has no /dev/infiniband/%s to be opened by", device, uverbs);
}

/* ---- addresses ------------------------------------------------------------------------------- */

static enum quality gid_quality(const struct port *p, const struct in6_addr *a, const char *type)
{
    if (p->infiniband) return INFINIBAND;
    if (strcmp(type, "RoCE v2") != 0) return VERSION_1;
    if (IN6_IS_ADDR_V4MAPPED(a)) return IPV4;
    return IN6_IS_ADDR_LINKLOCAL(a) ? LINK_LOCAL : IPV6;
}

/* Past the end of the table false; of an empty row no quality. */
static bool gid_read(struct rdma *r, const struct port *p, int index, struct gid *gid)
{
    char line[RDMA_LINE_MAX], base[RDMA_LINE_MAX];
    struct in6_addr a;
    snprintf(base, sizeof(base), "/sys/class/infiniband/%.60s/ports/%d", p->device, p->number);
    if (!rdma_line(r, line, "%s/gids/%d", base, index)) return false;
    *gid = (struct gid){ .index = index };
    if (inet_pton(AF_INET6, line, &a) != 1 || IN6_IS_ADDR_UNSPECIFIED(&a)) return true;
    if (rdma_line(r, line, "%s/gid_attrs/types/%d", base, index))
        snprintf(gid->type, sizeof(gid->type), "%.60s", line);
    if (rdma_line(r, line, "%s/gid_attrs/ndevs/%d", base, index))
        snprintf(gid->interface, sizeof(gid->interface), "%.60s", line);
    if (IN6_IS_ADDR_V4MAPPED(&a))
        inet_ntop(AF_INET, a.s6_addr + 12, gid->address, sizeof(gid->address));
    else
        inet_ntop(AF_INET6, &a, gid->address, sizeof(gid->address));
    gid->quality = gid_quality(p, &a, gid->type);
    return true;
}

static void gids_read(struct rdma *r, struct port *p, char *text, size_t cap)
{
    size_t used = 0;
    struct gid gid;
    text[0] = '\0';
    for (int i = 0; i < GIDS_MAX && gid_read(r, p, i, &gid); i++) {
        if (gid.quality == NOT_USABLE) continue;
        p->gids++;
        if (gid.quality > p->best.quality) p->best = gid;
        if (!p->interface[0]) snprintf(p->interface, sizeof(p->interface), "%s", gid.interface);
        if (used + 128 < cap)
            used += (size_t)snprintf(text + used, cap - used, "\nGID %d: %s, %.40s%s%.40s", i,
                                     gid.address, gid.type, gid.interface[0] ? " on " : "",
                                     gid.interface);
    }
}

/* ---- ports ----------------------------------------------------------------------------------- */

/* What the kernel makes of an interface's MTU; 0: not known. */
static int roce_mtu(int of_interface)
{
    for (int mtu = 4096; mtu >= 256; mtu /= 2)
        if (of_interface - HEADERS >= mtu) return mtu;
    return 0;
}

static int interface_mtu(struct rdma *r, const struct port *p)
{
    char line[RDMA_LINE_MAX];
    if (!p->interface[0] || !rdma_line(r, line, "/sys/class/net/%s/mtu", p->interface)) return 0;
    return atoi(line);
}

static void not_active(struct rdma *r, const struct port *p)
{
    char mend[RDMA_LINE_MAX];
    const char *interface = p->interface[0] ? p->interface : "NIC";
    if (p->infiniband && strcmp(p->state, "INIT") == 0)
        snprintf(mend, sizeof(mend), "start a subnet manager on one host: systemctl start opensm");
    else if (p->infiniband)
        snprintf(mend, sizeof(mend), "look at the cable and the switch: ibstat %.60s", p->device);
    else
        snprintf(mend, sizeof(mend), "as root: ip link set %s up", interface);
    rdma_wrong(r, mend, "%s port %d is not active, it is %s", p->device, p->number, p->state);
}

static void gid_faults(struct rdma *r, const struct port *p)
{
    char mend[RDMA_LINE_MAX];
    const char *interface = p->interface[0] ? p->interface : r->nic[0] ? r->nic : "NIC";
    if (p->best.quality >= IPV6) return;
    snprintf(mend, sizeof(mend), "as root: ip addr add ADDRESS/24 dev %s", interface);
    if (p->gids == 0)
        rdma_wrong(r, mend, "%s port %d has no GID: its interface has no address", p->device,
                   p->number);
    else if (p->best.quality == LINK_LOCAL)
        rdma_wrong(r, mend, "%s port %d has link-local GIDs only: they reach one network",
                   p->device, p->number);
    else
        rdma_wrong(r, mend, "%s port %d has no GID of RoCE v2", p->device, p->number);
}

static void mtu_faults(struct rdma *r, const struct port *p, int mtu)
{
    char mend[RDMA_LINE_MAX];
    int rdma_mtu = roce_mtu(mtu);
    if (p->infiniband || mtu == 0 || rdma_mtu >= 1024) return;
    snprintf(mend, sizeof(mend), "as root: ip link set %s mtu 4200 (1500 where the network has no more)",
             p->interface);
    rdma_wrong(r, mend, "%s port %d has packets of %d bytes, for %s has an MTU of %d", p->device,
               p->number, rdma_mtu, p->interface, mtu);
}

static void port_item(struct rdma *r, const struct port *p, int mtu, const char *gids)
{
    char preferred[128] = "", name[128], packets[160] = "";
    if (p->best.quality > NOT_USABLE)
        snprintf(preferred, sizeof(preferred), "\npreferred: GID %d, %s", p->best.index,
                 p->best.address);
    if (!p->infiniband && mtu > 0)
        snprintf(packets, sizeof(packets), ", packets of %d bytes (MTU %d)%s", roce_mtu(mtu), mtu,
                 roce_mtu(mtu) < 4096 ? "; from MTU 4200 on 4096" : "");
    snprintf(name, sizeof(name), "%.60s/%d", p->device, p->number);
    info_item(r->info, "rdma", name, "%s, %s%s%s%s%s%s", p->state,
              p->infiniband ? "InfiniBand" : "Ethernet", p->interface[0] ? " on " : "",
              p->interface, packets, gids, preferred);
}

/* False when there is no such port. */
static bool port(struct rdma *r, const char *device, int number)
{
    char line[RDMA_LINE_MAX], gids[INFO_VALUE_MAX / 2];
    struct port p = { .device = device, .number = number };
    if (!rdma_line(r, line, "/sys/class/infiniband/%s/ports/%d/state", device, number))
        return false;
    const char *state = strchr(line, ' ');
    snprintf(p.state, sizeof(p.state), "%.60s", state ? state + 1 : line);
    p.active = strcmp(p.state, "ACTIVE") == 0;
    if (rdma_line(r, line, "/sys/class/infiniband/%s/ports/%d/link_layer", device, number))
        p.infiniband = strcmp(line, "InfiniBand") == 0;
    if (rdma_line(r, line, "/sys/class/infiniband/%s/parent", device)) /* rxe has one */
        snprintf(p.interface, sizeof(p.interface), "%.60s", line);
    gids_read(r, &p, gids, sizeof(gids));
    int mtu = interface_mtu(r, &p);
    port_item(r, &p, mtu, gids);
    if (!p.active)
        not_active(r, &p);
    gid_faults(r, &p);
    mtu_faults(r, &p, mtu);
    return true;
}

void rdma_device(struct rdma *r, const char *device)
{
    int number = 1;
    r->devices++;
    access_item(r, device);
    while (port(r, device, number)) number++;
}
