/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cm.c - queue pairs connected by librdmacm (verbs_wireup=rdma_cm) in place of what is told
 *
 *   both        OFFER over the control link: now with the address and port where this process
 *               listens
 *   the one     resolves address and route, rdma_connect {version, its attempt, the other's}
 *   the other   rdma_accept: its queue pair can send
 *   the one     so can its own; rdma_establish
 *   both        PAIRED: READY over the control link, as ever
 *
 * `The one` is the end whose attempt is the smaller number. Both attempts are random and told over
 * the authenticated control link, so who does not know them is not let in. Queue pairs are made,
 * used and destroyed as always; a link's identifier lives as long. What it says about a link that
 * is up is not listened to: completions and the control link say it better.
 */
#include "transport/verbs/cm.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/wire.h"
#include "transport/verbs/internal.h"

enum { BACKLOG = 1024, RESOLVE_MS = 4000, HELLO_LEN = 24, HELLO_VERSION = 1 };

/* ---- addresses ------------------------------------------------------------------------------- */

union address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

static union address address_of(const union ibv_gid *gid, uint16_t port)
{
    union address a;
    memset(&a, 0, sizeof(a));
    if (gid_is_ipv4(gid)) {
        a.four.sin_family = AF_INET;
        a.four.sin_port = htons(port);
        memcpy(&a.four.sin_addr, gid->raw + 12, 4);
    } else {
        a.six.sin6_family = AF_INET6;
        a.six.sin6_port = htons(port);
        memcpy(&a.six.sin6_addr, gid->raw, 16);
    }
    return a;
}

/* ---- open and close -------------------------------------------------------------------------- */

static int refused(struct verbs *t, const char *what)
{
    int error = errno;
    return why_set(&t->base.why, error == ENOMEM ? SINEW_ENOMEM : SINEW_EIO,
                   "%s: %s: %s%s", t->chosen.device, what, strerror(error),
                   error == ENODEV || error == ENOENT ? " (`modprobe rdma_ucm`)" : "");
}

static int listen_here(struct verbs *t)
{
    struct cm *cm = &t->cm;
    union address here = address_of(&t->chosen.gid, 0);
    cm->channel = cm->api.create_event_channel();
    if (!cm->channel) return refused(t, "rdma_create_event_channel");
    if (cm->api.create_id(cm->channel, &cm->listener, NULL, RDMA_PS_TCP) < 0) {
        cm->listener = NULL;
        return refused(t, "rdma_create_id");
    }
    if (cm->api.bind_addr(cm->listener, &here.any) < 0) return refused(t, "rdma_bind_addr");
    if (cm->api.listen(cm->listener, BACKLOG) < 0) return refused(t, "rdma_listen");
    cm->port = ntohs(cm->api.get_src_port(cm->listener));
    return 0;
}

int cm_open(struct verbs *t)
{
    if (t->base.opt.config->verbs_wireup != VERBS_WIRED_BY_CM) return 0;
    if (t->layer != IBV_LINK_LAYER_ETHERNET || t->chosen.gid_type != IBV_GID_TYPE_ROCE_V2)
        return why_set(&t->base.why, SINEW_ENOTSUP,
                       "verbs_wireup=rdma_cm: row %d of the GID table of %s is no IP address (it is "
                       "not of RoCE v2)", t->chosen.gid_index, t->chosen.device);
    int status = t->api->load_cm(&t->cm.api, &t->base.why);
    return status < 0 ? status : listen_here(t);
}

void cm_close(struct verbs *t)
{
    struct cm *cm = &t->cm;
    if (cm->listener) cm->api.destroy_id(cm->listener);
    if (cm->channel) cm->api.destroy_event_channel(cm->channel);
    cm->listener = NULL;
    cm->channel = NULL;
}

/* ---- a link ---------------------------------------------------------------------------------- */

static int failed(struct verbs_link *l, const char *what)
{
    return why_set(&l->base.why, SINEW_EUNREACHABLE, "%s: %s: %s", l->name, what, strerror(errno));
}

static struct rdma_conn_param param_of(const struct verbs_link *l, uint8_t hello[HELLO_LEN])
{
    const struct verbs *t = verbs_under(l);
    memset(hello, 0, HELLO_LEN);
    hello[0] = HELLO_VERSION;
    wire_put64(hello + 8, l->attempt);
    wire_put64(hello + 16, l->theirs.attempt);
    return (struct rdma_conn_param){ .private_data = hello,
                                     .private_data_len = HELLO_LEN,
                                     .responder_resources = (uint8_t)t->reads_taken,
                                     .initiator_depth = (uint8_t)t->reads_max,
                                     .retry_count = VERBS_RETRY,
                                     .rnr_retry_count = VERBS_RNR_RETRY,
                                     .srq = t->srq != NULL,
                                     .qp_num = l->qp->qp_num };
}

static void wiring_over(struct verbs_link *l)
{
    if (l->wiring) verbs_under(l)->cm.wiring--;
    l->wiring = false;
}

/* Its queue pair can send. */
static void wired(struct verbs_link *l)
{
    wiring_over(l);
    link_is_paired(l);
}

static int connect_to(struct verbs_link *l)
{
    struct cm *cm = &verbs_under(l)->cm;
    union address there = address_of(&l->theirs.gid, l->theirs.port);
    if (cm->api.create_id(cm->channel, &l->cm_id, l, RDMA_PS_TCP) < 0) {
        l->cm_id = NULL;
        return failed(l, "rdma_create_id");
    }
    if (cm->api.resolve_addr(l->cm_id, NULL, &there.any, RESOLVE_MS) < 0)
        return failed(l, "rdma_resolve_addr");
    return 0;
}

static int accept_it(struct verbs_link *l)
{
    struct cm *cm = &verbs_under(l)->cm;
    uint8_t hello[HELLO_LEN];
    int status = pair_connect(l);
    if (status < 0) return status;
    struct rdma_conn_param param = param_of(l, hello);
    if (cm->api.accept(l->cm_id, &param) < 0) return failed(l, "rdma_accept");
    wired(l);
    return 0;
}

int cm_begin(struct verbs_link *l)
{
    if (l->theirs.port == 0)
        return why_set(&l->base.why, SINEW_EUNREACHABLE,
                       "%s: verbs_wireup is rdma_cm here and tell there", l->name);
    l->wiring = true;
    verbs_under(l)->cm.wiring++;
    if (l->attempt < l->theirs.attempt) return connect_to(l);
    return l->cm_id ? accept_it(l) : 0;
}

void cm_release(struct verbs_link *l)
{
    wiring_over(l);
    if (l->cm_id) verbs_under(l)->cm.api.destroy_id(l->cm_id);
    l->cm_id = NULL;
}

int cm_path(struct verbs_link *l, struct ibv_qp_attr *attr, int *mask)
{
    if (verbs_under(l)->cm.api.init_qp_attr(l->cm_id, attr, mask) < 0)
        return failed(l, "rdma_init_qp_attr");
    return 0;
}

/* ---- events ---------------------------------------------------------------------------------- */

/* What is kept of an event once it is acknowledged: an identifier with one that is not cannot be
 * destroyed. */
struct happening {
    enum rdma_cm_event_type type;
    int status;
    struct rdma_cm_id *id;
    uint8_t hello[HELLO_LEN];
    size_t hello_len;
};

static struct verbs_link *link_asked(struct verbs *t, const struct happening *h)
{
    if (h->hello_len < HELLO_LEN || h->hello[0] != HELLO_VERSION) return NULL;
    uint64_t theirs = wire_get64(h->hello + 8), mine = wire_get64(h->hello + 16);
    for (struct list *e = t->all.next; e != &t->all; e = e->next) {
        struct verbs_link *l = LIST_OWNER(e, struct verbs_link, of_links);
        bool known = l->theirs.attempt != 0;
        if (l->attempt == mine && l->state == VERBS_OFFERING && !l->cm_id && mine > theirs &&
            (!known || l->theirs.attempt == theirs))
            return l;
    }
    return NULL;
}

static bool is_of_device(const struct verbs *t, const struct rdma_cm_id *id)
{
    return id->verbs && strcmp(id->verbs->device->name, t->chosen.device) == 0 &&
           id->port_num == t->chosen.port;
}

static void asked(struct verbs *t, const struct happening *h)
{
    struct verbs_link *l = is_of_device(t, h->id) ? link_asked(t, h) : NULL;
    if (!l) {
        t->strays++;
        t->cm.api.reject(h->id, NULL, 0);
        t->cm.api.destroy_id(h->id);
        return;
    }
    l->cm_id = h->id;
    l->cm_id->context = l;
    int status = l->theirs.attempt ? accept_it(l) : 0; /* else when its offer comes */
    if (status < 0) link_fall(l, status, GONE_BROKEN, false);
}

static int resolved(struct verbs_link *l)
{
    const struct verbs *t = verbs_under(l);
    if (!is_of_device(t, l->cm_id))
        return why_set(&l->base.why, SINEW_EUNREACHABLE,
                       "%s: the route to it leaves by %s port %u: choose verbs_device", l->name,
                       l->cm_id->verbs ? l->cm_id->verbs->device->name : "no RDMA device",
                       l->cm_id->port_num);
    return t->cm.api.resolve_route(l->cm_id, RESOLVE_MS) < 0 ? failed(l, "rdma_resolve_route") : 0;
}

static int routed(struct verbs_link *l)
{
    uint8_t hello[HELLO_LEN];
    struct rdma_conn_param param = param_of(l, hello);
    return verbs_under(l)->cm.api.connect(l->cm_id, &param) < 0 ? failed(l, "rdma_connect") : 0;
}

static int answered(struct verbs_link *l)
{
    int status = pair_connect(l);
    if (status < 0) return status;
    if (verbs_under(l)->cm.api.establish(l->cm_id) < 0) return failed(l, "rdma_establish");
    wired(l);
    return 0;
}

static int in_vain(struct verbs_link *l, const struct happening *h)
{
    static const char *const names[] = {
        [RDMA_CM_EVENT_ADDR_ERROR] = "no route to its address",
        [RDMA_CM_EVENT_ROUTE_ERROR] = "no path to it",
        [RDMA_CM_EVENT_CONNECT_ERROR] = "connecting failed",
        [RDMA_CM_EVENT_UNREACHABLE] = "it does not answer",
        [RDMA_CM_EVENT_REJECTED] = "it refused",
        [RDMA_CM_EVENT_DISCONNECTED] = "it hung up",
    };
    return why_set(&l->base.why, SINEW_EUNREACHABLE, "%s: rdma_cm: %s (status %d)", l->name,
                   names[h->type], h->status);
}

/* Of a link that is not up yet. */
static int heard(struct verbs_link *l, const struct happening *h)
{
    switch (h->type) {
    case RDMA_CM_EVENT_ADDR_RESOLVED: return resolved(l);
    case RDMA_CM_EVENT_ROUTE_RESOLVED: return routed(l);
    case RDMA_CM_EVENT_CONNECT_RESPONSE: return answered(l);
    case RDMA_CM_EVENT_ADDR_ERROR:
    case RDMA_CM_EVENT_ROUTE_ERROR:
    case RDMA_CM_EVENT_CONNECT_ERROR:
    case RDMA_CM_EVENT_UNREACHABLE:
    case RDMA_CM_EVENT_REJECTED:
    case RDMA_CM_EVENT_DISCONNECTED: return in_vain(l, h);
    default: return 0;
    }
}

static void happened(struct verbs *t, const struct happening *h)
{
    struct verbs_link *l = h->id->context;
    if (h->type == RDMA_CM_EVENT_DEVICE_REMOVAL) {
        trouble_fail(t, "the device was removed");
    } else if (h->type == RDMA_CM_EVENT_CONNECT_REQUEST) {
        asked(t, h);
    } else if (l && l->state < VERBS_UP) {
        int status = heard(l, h); /* who has hung up may have sent before, and left */
        if (status < 0) link_fall(l, status, GONE_BROKEN, true);
    }
}

void cm_events(struct verbs *t)
{
    struct rdma_cm_event *event;
    while (t->cm.api.get_cm_event(t->cm.channel, &event) == 0) {
        struct happening h = { .type = event->event, .status = event->status, .id = event->id };
        if (h.type == RDMA_CM_EVENT_CONNECT_REQUEST) {
            h.hello_len = event->param.conn.private_data_len;
            if (h.hello_len > HELLO_LEN) h.hello_len = HELLO_LEN; /* it is padded */
            if (h.hello_len) memcpy(h.hello, event->param.conn.private_data, h.hello_len);
        }
        t->cm.api.ack_cm_event(event);
        happened(t, &h);
    }
}
