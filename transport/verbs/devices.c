/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/verbs/devices.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinew/sinew.h"

enum { SCORE_UNUSABLE = -1, SCORE_V1 = 100, SCORE_LOCAL = 200, SCORE_V6 = 300, SCORE_V4 = 400,
       SCORE_INFINIBAND = 500 };

/* What is being looked at. */
struct look {
    const struct verbs_api *api;
    const struct config *config;
    struct candidates *all;
    char device[64];
    struct ibv_context *context;
    struct ibv_device_attr attr;
};

bool gid_is_ipv4(const union ibv_gid *gid)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    return memcmp(gid->raw, mapped, sizeof(mapped)) == 0;
}

static bool gid_is_zero(const union ibv_gid *gid)
{
    static const union ibv_gid zero;
    return memcmp(gid, &zero, sizeof(zero)) == 0;
}

static bool gid_is_link_local(const union ibv_gid *gid)
{
    return gid->raw[0] == 0xfe && (gid->raw[1] & 0xc0) == 0x80;
}

static __attribute__((format(printf, 3, 4))) struct candidate *add(struct look *k, uint8_t port,
                                                                   const char *format, ...)
{
    if (k->all->n == CANDIDATES_MAX) {
        k->all->left_out++;
        return NULL;
    }
    struct candidate *c = &k->all->of[k->all->n++];
    va_list args;
    *c = (struct candidate){ .port = port, .gid_index = -1, .score = SCORE_UNUSABLE };
    snprintf(c->device, sizeof(c->device), "%s", k->device);
    va_start(args, format);
    vsnprintf(c->reason, sizeof(c->reason), format, args);
    va_end(args);
    return c;
}

static const char *port_state(enum ibv_port_state state)
{
    static const char *const names[] = { "without state", "down", "initialising", "armed",
                                         "active", "active, deferred" };
    return (unsigned)state < 6 ? names[state] : "in an unknown state";
}

static int gid_score(const struct ibv_gid_entry *e, uint8_t layer, const char **reason)
{
    if (layer == IBV_LINK_LAYER_INFINIBAND) {
        *reason = "InfiniBand";
        return SCORE_INFINIBAND;
    }
    if (e->gid_type != IBV_GID_TYPE_ROCE_V2) {
        *reason = "RoCE v1: not routed, for want of v2";
        return SCORE_V1;
    }
    if (gid_is_ipv4(&e->gid)) {
        *reason = "RoCE v2, IPv4";
        return SCORE_V4;
    }
    bool local = gid_is_link_local(&e->gid);
    *reason = local ? "RoCE v2, but link-local: reaches one network only" : "RoCE v2, IPv6";
    return local ? SCORE_LOCAL : SCORE_V6;
}

static void look_at_gid(struct look *k, uint8_t port, uint8_t layer, int index)
{
    struct ibv_gid_entry e;
    const char *reason;
    memset(&e, 0, sizeof(e));
    if (k->api->query_gid(k->context, port, (uint32_t)index, &e) != 0 || gid_is_zero(&e.gid)) {
        if (k->config->verbs_gid_index == index)
            add(k, port, "row %d of its GID table is empty: give the interface an address, or "
                         "choose another verbs_gid_index", index);
        return;
    }
    int score = gid_score(&e, layer, &reason);
    struct candidate *c = add(k, port, "%s", reason);
    if (!c) return;
    c->gid_index = index;
    c->gid_type = e.gid_type;
    c->gid = e.gid;
    c->layer = layer;
    c->score = score;
    if (k->config->verbs_gid_index >= 0 && k->config->verbs_gid_index != index) {
        c->score = SCORE_UNUSABLE;
        snprintf(c->reason, sizeof(c->reason), "verbs_gid_index asks for %d",
                 (int)k->config->verbs_gid_index);
    }
}

static void look_at_port(struct look *k, uint8_t port)
{
    struct ibv_port_attr attr;
    memset(&attr, 0, sizeof(attr));
    int error = k->api->query_port(k->context, port, &attr);
    if (error) {
        add(k, port, "ibv_query_port: %s", strerror(error));
        return;
    }
    if (attr.state != IBV_PORT_ACTIVE) {
        bool ether = attr.link_layer == IBV_LINK_LAYER_ETHERNET;
        add(k, port, "the port is %s: %s", port_state(attr.state),
            ether ? "`ip link set DEV up` its interface (`rdma link show`), check the cable"
                  : "check cable and subnet manager (`ibstat`)");
        return;
    }
    int before = k->all->n;
    for (int i = 0; i < attr.gid_tbl_len; i++) look_at_gid(k, port, attr.link_layer, i);
    if (k->all->n == before && !k->all->left_out)
        add(k, port, "no address (its GID table is empty): `ip address add ADDRESS/LEN dev DEV` "
                     "on its interface (`rdma link show`)");
}

/* What the option says of this device: 0 nothing against all of it, or one port, or -1. */
static int wanted_port(const struct look *k)
{
    const char *want = k->config->verbs_device, *colon = strchr(want, ':');
    size_t len = colon ? (size_t)(colon - want) : strlen(want);
    if (len == 0) return 0;
    if (strlen(k->device) != len || memcmp(want, k->device, len) != 0) return -1;
    return colon ? atoi(colon + 1) : 0;
}

static void look_at_device(struct look *k, struct ibv_device *device)
{
    snprintf(k->device, sizeof(k->device), "%.63s", device->name);
    int wanted = wanted_port(k);
    if (wanted < 0) {
        add(k, 0, "verbs_device asks for %.64s", k->config->verbs_device);
        return;
    }
    k->context = k->api->open_device(device);
    if (!k->context) {
        int error = errno;
        add(k, 0, "cannot be opened: %s%s", strerror(error),
            error == EACCES || error == EPERM || error == ENOENT
                ? ": the device files of /dev/infiniband are needed, readable and writable"
                : "");
        return;
    }
    int error = k->api->query_device(k->context, &k->attr);
    if (error)
        add(k, 0, "ibv_query_device: %s", strerror(error));
    else if (wanted > k->attr.phys_port_cnt)
        add(k, 0, "verbs_device asks for port %d; it has %d", wanted, k->attr.phys_port_cnt);
    else
        for (uint8_t port = 1; port <= k->attr.phys_port_cnt; port++)
            if (!wanted || wanted == port) look_at_port(k, port);
    k->api->close_device(k->context);
}

/* Stable, so that equals stay in the system's order. */
static void sort(struct candidates *all)
{
    for (int i = 1; i < all->n; i++) {
        struct candidate c = all->of[i];
        int at = i;
        for (; at > 0 && all->of[at - 1].score < c.score; at--) all->of[at] = all->of[at - 1];
        all->of[at] = c;
    }
}

const char *devices_text(const struct candidate *c, char out[DEVICES_TEXT])
{
    char gid[INET6_ADDRSTRLEN] = "";
    if (c->gid_index >= 0) inet_ntop(AF_INET6, c->gid.raw, gid, sizeof(gid));
    struct text t = text_into(out, DEVICES_TEXT);
    text_add(&t, "%s", c->device);
    if (c->port) text_add(&t, " port %u", c->port);
    if (c->gid_index >= 0) text_add(&t, " GID %d %s", c->gid_index, gid);
    return out;
}

static int none_usable(const struct candidates *all, struct why *why)
{
    char reasons[WHY_MAX], name[DEVICES_TEXT];
    struct text t = text_into(reasons, sizeof(reasons));
    for (int i = 0; i < all->n; i++)
        text_add(&t, "%s%s: %s", i ? "; " : "", devices_text(&all->of[i], name),
                 all->of[i].reason);
    return why_set(why, SINEW_ENOTSUP, "no RDMA port can be used: %s", reasons);
}

int devices_list(const struct verbs_api *api, const struct config *config,
                 struct candidates *all, struct why *why)
{
    struct look k = { .api = api, .config = config, .all = all };
    int n = 0;
    all->n = all->left_out = 0;
    errno = 0;
    struct ibv_device **list = api->get_device_list(&n);
    if (!list)
        return why_set(why, SINEW_ENOTSUP, "no RDMA devices: ibv_get_device_list: %s (is the "
                       "kernel module ib_uverbs loaded?)", strerror(errno));
    for (int i = 0; i < n; i++) look_at_device(&k, list[i]);
    api->free_device_list(list);
    if (n == 0)
        return why_set(why, SINEW_ENOTSUP, "this host has no RDMA device (`rdma link show`); one "
                       "in software: `modprobe rdma_rxe; rdma link add rxe0 type rxe netdev DEV`");
    sort(all);
    if (all->n == 0 || all->of[0].score < 0) return none_usable(all, why);
    return 0;
}

static bool is_same_port(const struct candidate *a, const struct candidate *b)
{
    return a->port == b->port && strcmp(a->device, b->device) == 0;
}

const struct candidate *devices_elsewhere(const struct verbs_api *api, const struct candidates *all,
                                          const struct candidate *chosen,
                                          const union ibv_gid *peer)
{
    union ibv_gid source;
    const struct candidate *other = NULL;
    if (chosen->layer != IBV_LINK_LAYER_ETHERNET || !api->route_source(peer, &source)) return NULL;
    for (int i = 0; i < all->n; i++) {
        const struct candidate *c = &all->of[i];
        if (c->score < 0 || memcmp(&c->gid, &source, sizeof(source)) != 0) continue;
        if (is_same_port(c, chosen)) return NULL;
        if (!other) other = c;
    }
    return other;
}

void devices_route(const struct verbs_api *api, const struct candidates *all,
                   const struct candidate *chosen, const union ibv_gid *peer, int *gid_index,
                   union ibv_gid *gid)
{
    union ibv_gid source;
    *gid_index = chosen->gid_index;
    *gid = chosen->gid;
    if (chosen->layer != IBV_LINK_LAYER_ETHERNET || !api->route_source(peer, &source)) return;
    for (int i = 0; i < all->n; i++) {
        const struct candidate *c = &all->of[i];
        if (!is_same_port(c, chosen) || c->score < 0 || c->gid_type != chosen->gid_type ||
            memcmp(&c->gid, &source, sizeof(source)) != 0)
            continue;
        *gid_index = c->gid_index;
        *gid = c->gid;
        return;
    }
}
