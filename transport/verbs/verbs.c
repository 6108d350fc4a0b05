/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verbs.c - the table: open, close, reach
 */
#include "transport/verbs/verbs.h"

#include <string.h>

#include "transport/stub.h"
#include "transport/verbs/internal.h"

static void log_candidates(struct verbs *t)
{
    char name[DEVICES_TEXT];
    const struct log *log = t->base.opt.log;
    for (int i = 0; log_wants(log, LOG_CHOICE) && i < t->candidates.n; i++)
        log_line(log, LOG_CHOICE, "RDMA: %s %s: %s",
                 i == 0 ? "uses" : t->candidates.of[i].score < 0 ? "cannot use" : "could use",
                 devices_text(&t->candidates.of[i], name), t->candidates.of[i].reason);
    if (t->candidates.left_out)
        log_line(log, LOG_CHOICE, "RDMA: %d more rows of GID tables were not looked at",
                 t->candidates.left_out);
}

static int verbs_open(struct transport *base)
{
    struct verbs *t = verbs_of(base);
    list_init(&t->all);
    list_init(&t->waiting);
    list_init(&t->due);
    list_init(&t->ending);
    list_init(&t->registrations);
    list_init(&t->spare_works);
    base->fd = -1;
    t->timer = (struct timer)TIMER_NONE;
    if (!t->api) t->api = verbs_library();
    if (base->opt.config->security == SINEW_SECURITY_ENCRYPT)
        return why_set(&base->why, SINEW_ENOTSUP,
                       "security=encrypt: what goes over RDMA would not be encrypted");
    int status = devices_list(t->api, base->opt.config, &t->candidates, &base->why);
    if (status < 0) return status;
    t->chosen = t->candidates.of[0];
    log_candidates(t);
    status = device_open(t);
    if (status < 0) return status;
    base->address_len = (uint32_t)gid_encode(base->address, t->layer, &t->chosen.gid);
    base->caps = (struct transport_caps){
        .eager_max = VERBS_EAGER_MAX,
        .copy_max = VERBS_EAGER_MAX,
        .put_ordered = true,
        .get = true,
        .atomic = t->attr.atomic_cap != IBV_ATOMIC_NONE,
        .wired = true,
        .expects = true,
        .keeps = true,
        .latency_ns = 2000,
        .megabytes_per_s = 10000,
    };
    return 0;
}

static void release_works(struct verbs *t)
{
    struct list *e;
    while ((e = list_take(&t->spare_works))) {
        struct work *w = LIST_OWNER(e, struct work, entry);
        world_release(t->base.opt.world, w, sizeof(*w));
    }
}

/* A peer that has just left may still wait for the last acknowledgement. */
static void let_go(struct verbs *t)
{
    const struct world *w = t->base.opt.world;
    int64_t until = 0;
    for (int i = 0; i < VERBS_PARKED; i++)
        if (t->parked[i].qp && t->parked[i].until > until) until = t->parked[i].until;
    int64_t early = VERBS_PARK_NS - VERBS_PARK_LEAST_NS;
    while (t->parks && verbs_now(t) + early < until) w->yield(w->arg);
    pairs_unpark(t, true);
}

static void verbs_close(struct transport *base)
{
    struct verbs *t = verbs_of(base);
    let_go(t);
    if (t->duplicates + t->strays > 0)
        log_line(base->opt.log, LOG_DETAIL,
                 "RDMA: %llu receives came twice, %llu completions belonged to nobody: dropped",
                 (unsigned long long)t->duplicates, (unsigned long long)t->strays);
    device_close(t);
    names_release(t);
    release_works(t);
}

static int verbs_reach(struct transport *base, const void *address, size_t len, struct why *why)
{
    struct verbs *t = verbs_of(base);
    uint8_t layer;
    union ibv_gid gid;
    int status = gid_decode(address, len, &layer, &gid, why);
    if (status < 0) return status;
    if (t->failed) return why_set(why, SINEW_EIO, "%s: %s", t->chosen.device, t->failed);
    if (t->port_down)
        return why_set(why, SINEW_EUNREACHABLE, "port %u of %s is down", t->chosen.port,
                       t->chosen.device);
    if (layer != t->layer)
        return why_set(why, SINEW_EUNREACHABLE, "the peer is on %s, %s here on %s",
                       layer == IBV_LINK_LAYER_INFINIBAND ? "InfiniBand" : "Ethernet",
                       t->chosen.device,
                       t->layer == IBV_LINK_LAYER_INFINIBAND ? "InfiniBand" : "Ethernet");
    if (layer == IBV_LINK_LAYER_ETHERNET && gid_is_ipv4(&gid) != gid_is_ipv4(&t->chosen.gid))
        return why_set(why, SINEW_EUNREACHABLE, "the peer's RoCE address is IPv%d, the one of %s "
                       "IPv%d: choose verbs_gid_index", gid_is_ipv4(&gid) ? 4 : 6,
                       t->chosen.device, gid_is_ipv4(&t->chosen.gid) ? 4 : 6);
    const struct candidate *other = devices_elsewhere(t->api, &t->candidates, &t->chosen, &gid);
    if (other)
        return why_set(why, SINEW_EUNREACHABLE, "the route to it leaves by %s port %u, and %s port %u "
                       "is in use here: choose verbs_device", other->device, other->port,
                       t->chosen.device, t->chosen.port);
    bool near = memcmp(gid.raw, t->chosen.gid.raw, 8) == 0; /* an InfiniBand subnet, or IPv4 */
    return near ? 60 : 50;
}

const struct transport_ops transport_verbs = {
    .name = "verbs",
    .id = 4,
    .transport_size = sizeof(struct verbs),
    .link_size = sizeof(struct verbs_link),
    .open = verbs_open,
    .close = verbs_close,
    .reach = verbs_reach,
    .connect = verbs_connect,
    .disconnect = verbs_disconnect,
    .send = verbs_send,
    .allow = stub_allow,
    .send_short = stub_send_short,
    .take_short = stub_take_short,
    .peek = stub_peek,
    .drop = stub_drop,
    .rma = verbs_rma,
    .flush = verbs_flush,
    .reg = verbs_reg,
    .dereg = verbs_dereg,
    .progress = verbs_progress,
    .arm = verbs_arm,
};
