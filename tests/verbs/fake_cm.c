/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_cm.c - librdmacm for the devices of fake_verbs.c
 *
 * Events wait in their channel until they are fetched; who destroys an identifier with an event of
 * its own not acknowledged, or uses one out of its turn, is noted as a misuse.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/text.h"
#include "sinew/sinew.h"
#include "tests/verbs/fake_internal.h"

enum { DATA_MAX = 56, LISTENERS = 16, FIRST_PORT = 20000 };

struct fake_cm_id;
struct fake_cm_event {
    struct rdma_cm_event base;
    struct fake_cm_event *next;
    uint8_t data[DATA_MAX];
};

struct fake_cm_channel {
    struct rdma_event_channel base;
    struct fake_cm_event *first, **last;
    int ids;
};

struct fake_cm_id {
    struct rdma_cm_id base;
    struct fake_cm_id *other; /* of the connection */
    struct sockaddr_in to;
    struct ibv_qp_attr mine; /* qp_num in dest_qp_num, starting number in rq_psn */
    uint16_t port;           /* it listens there; 0: it does not */
    int fetched;             /* events not acknowledged */
};

static struct fake_cm_id *listeners[LISTENERS];

static struct fake_cm_channel *channel_of(const struct fake_cm_id *id)
{
    return (struct fake_cm_channel *)id->base.channel;
}

/* Under the lock. */
static void happens(struct fake_cm_channel *channel, struct fake_cm_id *id,
                    enum rdma_cm_event_type type, const struct rdma_conn_param *param)
{
    uint64_t one = 1;
    struct fake_cm_event *e = calloc(1, sizeof(*e));
    if (fake_knobs.cm_breaks == 1 + (int)type) {
        fake_knobs.cm_breaks = 0;
        type = fake_knobs.cm_instead;
        e->base.status = -ETIMEDOUT;
    }
    e->base.event = type;
    e->base.id = &id->base;
    if (param) {
        e->base.param.conn = *param;
        memcpy(e->data, param->private_data, param->private_data_len);
        e->base.param.conn.private_data = e->data;
        e->base.param.conn.private_data_len = DATA_MAX; /* as on InfiniBand: padded */
    }
    *channel->last = e;
    channel->last = &e->next;
    if (write(channel->base.fd, &one, sizeof(one)) < 0) abort();
}

static int done(int error)
{
    pthread_mutex_unlock(&fake.lock);
    errno = error;
    return error ? -1 : 0;
}

static struct rdma_event_channel *create_event_channel(void)
{
    struct fake_cm_channel *channel = fake_make(sizeof(*channel));
    if (!channel) return NULL;
    channel->base.fd = eventfd(0, EFD_SEMAPHORE);
    channel->last = &channel->first;
    pthread_mutex_unlock(&fake.lock);
    return &channel->base;
}

static void destroy_event_channel(struct rdma_event_channel *base)
{
    struct fake_cm_channel *channel = (struct fake_cm_channel *)base;
    pthread_mutex_lock(&fake.lock);
    if (channel->ids) fake_misuse("a channel is destroyed with %d identifiers", channel->ids);
    close(base->fd);
    fake_destroyed(channel);
}

/* The lock is held when it returns one. */
static struct fake_cm_id *id_make(struct fake_cm_channel *channel, void *context)
{
    struct fake_cm_id *id = fake_make(sizeof(*id));
    if (!id) return NULL;
    id->base.channel = &channel->base;
    id->base.context = context;
    id->mine.rq_psn = fake.key_tag * 77 & 0xffffff;
    channel->ids++;
    return id;
}

static int create_id(struct rdma_event_channel *channel, struct rdma_cm_id **out, void *context,
                     enum rdma_port_space space)
{
    struct fake_cm_id *id = id_make((struct fake_cm_channel *)channel, context);
    (void)space;
    if (!id) return -1;
    *out = &id->base;
    return done(0);
}

/* What has happened to it and was not fetched is forgotten. */
static void forget_events(const struct fake_cm_id *id)
{
    struct fake_cm_channel *channel = channel_of(id);
    struct fake_cm_event **at = &channel->first;
    uint64_t one;
    while (*at) {
        struct fake_cm_event *e = *at;
        if (e->base.id != &id->base) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        free(e);
        if (read(channel->base.fd, &one, sizeof(one)) < 0) abort();
    }
    channel->last = at;
}

static int destroy_id(struct rdma_cm_id *base)
{
    struct fake_cm_id *id = (struct fake_cm_id *)base;
    pthread_mutex_lock(&fake.lock);
    if (id->fetched) fake_misuse("an identifier is destroyed with %d events", id->fetched);
    forget_events(id);
    for (int i = 0; i < LISTENERS; i++)
        if (listeners[i] == id) listeners[i] = NULL;
    if (id->other) {
        id->other->other = NULL;
        happens(channel_of(id->other), id->other, RDMA_CM_EVENT_DISCONNECTED, NULL);
    }
    channel_of(id)->ids--;
    return fake_destroyed(id);
}

static int bind_addr(struct rdma_cm_id *base, struct sockaddr *address)
{
    (void)base;
    pthread_mutex_lock(&fake.lock);
    return done(fake_fails() ? ENOMEM : address->sa_family != AF_INET ? EADDRNOTAVAIL : 0);
}

static int listen_at(struct rdma_cm_id *base, int backlog)
{
    struct fake_cm_id *id = (struct fake_cm_id *)base;
    int i = 0;
    (void)backlog;
    pthread_mutex_lock(&fake.lock);
    if (fake_fails()) return done(ENOMEM);
    while (listeners[i]) i++;
    listeners[i] = id;
    id->port = (uint16_t)(FIRST_PORT + i);
    return done(0);
}

static __be16 get_src_port(struct rdma_cm_id *id) { return htons(((struct fake_cm_id *)id)->port); }

static int resolve_addr(struct rdma_cm_id *base, struct sockaddr *from, struct sockaddr *to, int ms)
{
    struct fake_cm_id *id = (struct fake_cm_id *)base;
    (void)from;
    pthread_mutex_lock(&fake.lock);
    if (fake_fails()) return done(ENOMEM);
    if (ms <= 0) fake_misuse("an address is looked for without end");
    memcpy(&id->to, to, sizeof(id->to));
    base->verbs = &fake.contexts->base;
    base->port_num = 1;
    happens(channel_of(id), id, RDMA_CM_EVENT_ADDR_RESOLVED, NULL);
    return done(0);
}

static int resolve_route(struct rdma_cm_id *base, int ms)
{
    struct fake_cm_id *id = (struct fake_cm_id *)base;
    pthread_mutex_lock(&fake.lock);
    if (fake_fails()) return done(ENOMEM);
    if (ms <= 0 || !base->verbs) fake_misuse("a route is looked for too early");
    happens(channel_of(id), id, RDMA_CM_EVENT_ROUTE_RESOLVED, NULL);
    return done(0);
}

static int connect_to(struct rdma_cm_id *base, struct rdma_conn_param *param)
{
    struct fake_cm_id *id = (struct fake_cm_id *)base, *there = NULL;
    int i = ntohs(id->to.sin_port) - FIRST_PORT;
    pthread_mutex_lock(&fake.lock);
    if (param->rnr_retry_count == 7) fake_misuse("rnr_retry for ever, by rdma_connect");
    if (fake_fails()) return done(ENOMEM);
    struct fake_cm_id *listener = i >= 0 && i < LISTENERS ? listeners[i] : NULL;
    pthread_mutex_unlock(&fake.lock);
    if (listener) there = id_make(channel_of(listener), NULL);
    if (!there) pthread_mutex_lock(&fake.lock);
    id->mine.dest_qp_num = param->qp_num;
    if (there) {
        there->base.verbs = base->verbs;
        there->base.port_num = 1;
        there->other = id;
        id->other = there;
        happens(channel_of(there), there, RDMA_CM_EVENT_CONNECT_REQUEST, param);
    } else {
        happens(channel_of(id), id, RDMA_CM_EVENT_REJECTED, NULL);
    }
    return done(0);
}

static int accept_it(struct rdma_cm_id *base, struct rdma_conn_param *param)
{
    struct fake_cm_id *id = (struct fake_cm_id *)base;
    pthread_mutex_lock(&fake.lock);
    if (param->rnr_retry_count == 7) fake_misuse("rnr_retry for ever, by rdma_accept");
    if (fake_fails() || !id->other) return done(id->other ? ENOMEM : EINVAL);
    id->mine.dest_qp_num = param->qp_num;
    happens(channel_of(id->other), id->other, RDMA_CM_EVENT_CONNECT_RESPONSE, param);
    return done(0);
}

static int reject(struct rdma_cm_id *base, const void *bytes, uint8_t len)
{
    struct fake_cm_id *id = (struct fake_cm_id *)base;
    (void)bytes;
    (void)len;
    pthread_mutex_lock(&fake.lock);
    if (id->other) {
        id->other->other = NULL;
        happens(channel_of(id->other), id->other, RDMA_CM_EVENT_REJECTED, NULL);
    }
    id->other = NULL;
    return done(0);
}

static int establish(struct rdma_cm_id *base)
{
    struct fake_cm_id *id = (struct fake_cm_id *)base;
    pthread_mutex_lock(&fake.lock);
    if (fake_fails() || !id->other) return done(id->other ? ENOMEM : EINVAL);
    happens(channel_of(id->other), id->other, RDMA_CM_EVENT_ESTABLISHED, NULL);
    return done(0);
}

static int init_qp_attr(struct rdma_cm_id *base, struct ibv_qp_attr *attr, int *mask)
{
    struct fake_cm_id *id = (struct fake_cm_id *)base;
    const struct fake_device *d = &fake_knobs.device[0];
    pthread_mutex_lock(&fake.lock);
    if (fake_fails() || !id->other) return done(id->other ? ENOMEM : EINVAL);
    if (attr->qp_state == IBV_QPS_RTR) {
        *mask = IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
        attr->ah_attr.is_global = 1;
        attr->ah_attr.port_num = 1;
        attr->ah_attr.grh.dgid = d->gid[1].gid;
        attr->ah_attr.grh.sgid_index = 1;
        attr->path_mtu = d->mtu;
        attr->dest_qp_num = id->other->mine.dest_qp_num;
        attr->rq_psn = id->mine.rq_psn;
    } else {
        *mask = IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
                IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC;
        attr->sq_psn = id->other->mine.rq_psn;
    }
    return done(0);
}

static int get_cm_event(struct rdma_event_channel *base, struct rdma_cm_event **event)
{
    struct fake_cm_channel *channel = (struct fake_cm_channel *)base;
    uint64_t one;
    pthread_mutex_lock(&fake.lock);
    if (!channel->first || read(base->fd, &one, sizeof(one)) < 0) return done(EAGAIN);
    struct fake_cm_event *e = channel->first;
    channel->first = e->next;
    if (!channel->first) channel->last = &channel->first;
    ((struct fake_cm_id *)e->base.id)->fetched++;
    *event = &e->base;
    return done(0);
}

static int ack_cm_event(struct rdma_cm_event *event)
{
    pthread_mutex_lock(&fake.lock);
    ((struct fake_cm_id *)event->id)->fetched--;
    free(event);
    return done(0);
}

int fake_cm_load(struct cm_api *api, struct why *why)
{
    if (fake_knobs.cm_absent)
        return why_set(why, SINEW_ENOTSUP, "librdmacm.so.1: cannot open shared object file");
    *api = (struct cm_api){
        .create_event_channel = create_event_channel,
        .destroy_event_channel = destroy_event_channel,
        .create_id = create_id,
        .destroy_id = destroy_id,
        .bind_addr = bind_addr,
        .listen = listen_at,
        .get_src_port = get_src_port,
        .resolve_addr = resolve_addr,
        .resolve_route = resolve_route,
        .connect = connect_to,
        .accept = accept_it,
        .reject = reject,
        .establish = establish,
        .init_qp_attr = init_qp_attr,
        .get_cm_event = get_cm_event,
        .ack_cm_event = ack_cm_event,
    };
    return 0;
}
