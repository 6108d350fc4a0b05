/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_verbs.c - what fake_verbs.h promises: objects and calls here, moving bytes in fake_wire.c
 */
#include "tests/verbs/fake_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct fake_knobs fake_knobs;
struct fake fake = { .lock = PTHREAD_MUTEX_INITIALIZER };

void fake_misuse(const char *format, ...)
{
    va_list args;
    fake.stats.misuses++;
    va_start(args, format);
    vsnprintf(fake.stats.misuse, sizeof(fake.stats.misuse), format, args);
    va_end(args);
}

struct fake_stats fake_stats(void)
{
    pthread_mutex_lock(&fake.lock);
    struct fake_stats stats = fake.stats;
    pthread_mutex_unlock(&fake.lock);
    return stats;
}

void fake_hold(bool held)
{
    pthread_mutex_lock(&fake.lock);
    fake.held = held;
    pthread_mutex_unlock(&fake.lock);
}

void fake_reset(void)
{
    pthread_mutex_lock(&fake.lock);
    if (fake.stats.objects) abort();
    fake.stats = (struct fake_stats){ 0 };
    fake_knobs = (struct fake_knobs){
        .devices = 1,
        .max_inline = 512,
        .max_qp_wr = 16384,
        .max_cqe = 32767,
        .max_srq = 64,
        .max_srq_wr = 32768,
        .max_message = 1 << 23,
        .reads = 128,
        .reads_out = 128,
        .event_port = 1,
        .atomic_cap = IBV_ATOMIC_HCA,
        .fork_status = IBV_FORK_UNNEEDED,
    };
    struct fake_device *d = &fake_knobs.device[0];
    *d = (struct fake_device){ .name = "fake0",
                               .state = IBV_PORT_ACTIVE,
                               .layer = IBV_LINK_LAYER_ETHERNET,
                               .mtu = IBV_MTU_1024,
                               .ports = 1,
                               .gids = 2 };
    static const uint8_t local[16] = { 0xfe, 0x80, [15] = 1 };
    static const uint8_t four[16] = { [10] = 0xff, 0xff, 10, 0, 0, 1 };
    memcpy(d->gid[0].gid.raw, local, 16);
    memcpy(d->gid[1].gid.raw, four, 16);
    d->gid[0].type = d->gid[1].type = IBV_GID_TYPE_ROCE_V2;
    pthread_mutex_unlock(&fake.lock);
}

/* One of the calls that may be told to fail. The lock is held. */
bool fake_fails(void)
{
    fake.stats.calls++;
    if (fake_knobs.fail_at == 0 || --fake_knobs.fail_at > 0) return false;
    errno = ENOMEM;
    return true;
}

/* An object, or NULL with the lock given back. Else the lock is held until made(). */
void *fake_make(size_t size)
{
    pthread_mutex_lock(&fake.lock);
    void *object = fake_fails() ? NULL : calloc(1, size);
    if (!object) {
        pthread_mutex_unlock(&fake.lock);
        errno = ENOMEM;
        return NULL;
    }
    fake.stats.objects++;
    return object;
}

int fake_destroyed(void *object)
{
    free(object);
    fake.stats.objects--;
    pthread_mutex_unlock(&fake.lock);
    return 0;
}

static int busy(const char *what)
{
    fake_misuse("%s is destroyed while in use", what);
    pthread_mutex_unlock(&fake.lock);
    return EBUSY;
}

/* ---- devices --------------------------------------------------------------------------------- */

static struct ibv_device **get_device_list(int *n)
{
    struct ibv_device **list = calloc(FAKE_DEVICES + 1, sizeof(struct ibv_device *));
    pthread_mutex_lock(&fake.lock);
    for (int i = 0; i < fake_knobs.devices; i++) {
        enum ibv_transport_type type = fake_knobs.iwarp ? IBV_TRANSPORT_IWARP : IBV_TRANSPORT_IB;
        list[i] = &fake.devices[i];
        if (list[i]->transport_type != type) list[i]->transport_type = type;
        /* others may read it */
        if (strcmp(list[i]->name, fake_knobs.device[i].name) == 0) continue;
        snprintf(list[i]->name, sizeof(list[i]->name), "%s", fake_knobs.device[i].name);
    }
    *n = fake_knobs.devices;
    pthread_mutex_unlock(&fake.lock);
    return list;
}

static void free_device_list(struct ibv_device **list) { free(list); }

static const struct fake_device *model(const struct ibv_context *context)
{
    return &fake_knobs.device[context->device - fake.devices];
}

static struct ibv_context *open_device(struct ibv_device *device)
{
    if (fake_knobs.open_error) {
        errno = fake_knobs.open_error;
        return NULL;
    }
    struct fake_context *c = fake_make(sizeof(*c));
    if (!c) return NULL;
    c->base.device = device;
    c->base.async_fd = eventfd(0, EFD_SEMAPHORE);
    c->next = fake.contexts;
    fake.contexts = c;
    pthread_mutex_unlock(&fake.lock);
    return &c->base;
}

static int close_device(struct ibv_context *context)
{
    struct fake_context *c = (struct fake_context *)context, **at = &fake.contexts;
    pthread_mutex_lock(&fake.lock);
    if (c->users) return busy("a context");
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    close(c->base.async_fd);
    return fake_destroyed(c);
}

static int query_device(struct ibv_context *context, struct ibv_device_attr *attr)
{
    memset(attr, 0, sizeof(*attr));
    attr->phys_port_cnt = (uint8_t)model(context)->ports;
    attr->max_qp_wr = (int)fake_knobs.max_qp_wr;
    attr->max_cqe = (int)fake_knobs.max_cqe;
    attr->max_srq = (int)fake_knobs.max_srq;
    attr->max_srq_wr = (int)fake_knobs.max_srq_wr;
    attr->max_sge = 1;
    attr->max_qp_rd_atom = fake_knobs.reads;
    attr->max_qp_init_rd_atom = fake_knobs.reads_out;
    attr->atomic_cap = fake_knobs.atomic_cap;
    return 0;
}

static int query_port(struct ibv_context *context, uint8_t port, struct ibv_port_attr *attr)
{
    const struct fake_device *d = model(context);
    if (port < 1 || port > d->ports) return EINVAL;
    memset(attr, 0, sizeof(*attr));
    attr->state = d->state;
    attr->active_mtu = d->mtu;
    attr->max_msg_sz = fake_knobs.max_message;
    attr->gid_tbl_len = FAKE_GIDS;
    attr->pkey_tbl_len = 2;
    attr->link_layer = d->layer;
    attr->lid = d->lid;
    return 0;
}

static int query_gid(struct ibv_context *context, uint32_t port, uint32_t index,
                     struct ibv_gid_entry *entry)
{
    const struct fake_device *d = model(context);
    if (index >= (uint32_t)d->gids) return ENODATA;
    *entry = (struct ibv_gid_entry){ .gid = d->gid[index].gid,
                                     .gid_index = index,
                                     .port_num = port,
                                     .gid_type = d->gid[index].type };
    return 0;
}

static int query_pkey(struct ibv_context *context, uint8_t port, int index, __be16 *pkey)
{
    static const uint8_t keys[2][2] = { { 0xff, 0xff }, { 0x80, 0x07 } };
    (void)context;
    (void)port;
    if (index < 0 || index > 1) return EINVAL;
    memcpy(pkey, keys[index], 2);
    return 0;
}

/* ---- domains and memory ---------------------------------------------------------------------- */

static struct ibv_pd *alloc_pd(struct ibv_context *context)
{
    struct fake_pd *pd = fake_make(sizeof(*pd));
    if (!pd) return NULL;
    pd->base.context = context;
    ((struct fake_context *)context)->users++;
    pthread_mutex_unlock(&fake.lock);
    return &pd->base;
}

static int dealloc_pd(struct ibv_pd *base)
{
    struct fake_pd *pd = (struct fake_pd *)base;
    pthread_mutex_lock(&fake.lock);
    if (pd->users) return busy("a protection domain");
    ((struct fake_context *)base->context)->users--;
    return fake_destroyed(pd);
}

static struct ibv_mr *reg_mr(struct ibv_pd *pd, void *addr, size_t len, int access)
{
    struct fake_mr *mr = fake_make(sizeof(*mr));
    if (!mr) return NULL;
    bool too_much = fake_knobs.memlock && fake.pinned + len > fake_knobs.memlock;
    if (too_much || fake.mrs == FAKE_MRS) {
        fake_destroyed(mr);
        errno = ENOMEM;
        return NULL;
    }
    uint32_t i = 0;
    while (fake.mr[i]) i++;
    fake.mr[i] = mr;
    fake.mrs++;
    fake.pinned += len;
    mr->base = (struct ibv_mr){ .context = pd->context, .pd = pd, .addr = addr, .length = len };
    mr->base.lkey = mr->base.rkey = i << 12 | (fake.key_tag = fake.key_tag % 0xfff + 1);
    mr->access = access;
    ((struct fake_pd *)pd)->users++;
    pthread_mutex_unlock(&fake.lock);
    return &mr->base;
}

static int dereg_mr(struct ibv_mr *base)
{
    struct fake_mr *mr = (struct fake_mr *)base;
    pthread_mutex_lock(&fake.lock);
    fake.mr[base->lkey >> 12] = NULL;
    fake.mrs--;
    fake.pinned -= base->length;
    ((struct fake_pd *)base->pd)->users--;
    return fake_destroyed(mr);
}

/* ---- completion queues ----------------------------------------------------------------------- */

static struct ibv_comp_channel *create_comp_channel(struct ibv_context *context)
{
    struct fake_channel *channel = fake_make(sizeof(*channel));
    if (!channel) return NULL;
    channel->base.context = context;
    channel->base.fd = eventfd(0, EFD_SEMAPHORE);
    pthread_mutex_unlock(&fake.lock);
    return &channel->base;
}

static int destroy_comp_channel(struct ibv_comp_channel *base)
{
    pthread_mutex_lock(&fake.lock);
    if (base->refcnt) return busy("a completion channel");
    close(base->fd);
    return fake_destroyed(base);
}

static struct ibv_cq *create_cq(struct ibv_context *context, int cqe, void *arg,
                                struct ibv_comp_channel *channel, int vector)
{
    (void)vector;
    if (cqe < 1 || (uint32_t)cqe > fake_knobs.max_cqe) {
        errno = EINVAL;
        return NULL;
    }
    struct fake_cq *cq = fake_make(sizeof(*cq));
    if (!cq) return NULL;
    cq->base = (struct ibv_cq){ .context = context, .channel = channel, .cq_context = arg,
                                .cqe = cqe };
    cq->wc = calloc((size_t)cqe, sizeof(*cq->wc));
    channel->refcnt++;
    pthread_mutex_unlock(&fake.lock);
    return &cq->base;
}

static int destroy_cq(struct ibv_cq *base)
{
    struct fake_cq *cq = (struct fake_cq *)base;
    pthread_mutex_lock(&fake.lock);
    if (cq->users) return busy("a completion queue");
    if (cq->events != cq->acked) fake_misuse("%u events were not acknowledged", cq->events - cq->acked);
    base->channel->refcnt--;
    free(cq->wc);
    return fake_destroyed(cq);
}

static int poll_cq(struct ibv_cq *base, int n, struct ibv_wc *wc)
{
    struct fake_cq *cq = (struct fake_cq *)base;
    int got = 0;
    if (fake_knobs.poll_fails) return -1;
    pthread_mutex_lock(&fake.lock);
    fake_run_locked();
    for (; got < n && cq->from != cq->to; got++) {
        wc[got] = cq->wc[cq->from++ % (uint32_t)base->cqe];
        fake_reclaim(&wc[got]);
    }
    pthread_mutex_unlock(&fake.lock);
    return got;
}

static int req_notify_cq(struct ibv_cq *base, int solicited_only)
{
    struct fake_cq *cq = (struct fake_cq *)base;
    (void)solicited_only;
    pthread_mutex_lock(&fake.lock);
    cq->armed = true;
    pthread_mutex_unlock(&fake.lock);
    return 0;
}

static int get_cq_event(struct ibv_comp_channel *channel, struct ibv_cq **cq, void **arg)
{
    uint64_t one;
    if (read(channel->fd, &one, sizeof(one)) < 0) return -1;
    pthread_mutex_lock(&fake.lock);
    *cq = ((struct fake_channel *)channel)->cq;
    *arg = (*cq)->cq_context;
    ((struct fake_cq *)*cq)->events++;
    pthread_mutex_unlock(&fake.lock);
    return 0;
}

static void ack_cq_events(struct ibv_cq *cq, unsigned n)
{
    pthread_mutex_lock(&fake.lock);
    ((struct fake_cq *)cq)->acked += n;
    pthread_mutex_unlock(&fake.lock);
}

/* ---- queues ---------------------------------------------------------------------------------- */

static struct ibv_srq *create_srq(struct ibv_pd *pd, struct ibv_srq_init_attr *attr)
{
    if (fake_knobs.max_srq == 0) {
        errno = EOPNOTSUPP;
        return NULL;
    }
    struct fake_srq *srq = fake_make(sizeof(*srq));
    if (!srq) return NULL;
    srq->base.context = pd->context;
    srq->base.pd = pd;
    receives_make(&srq->receives, attr->attr.max_wr);
    ((struct fake_pd *)pd)->users++;
    pthread_mutex_unlock(&fake.lock);
    return &srq->base;
}

static int destroy_srq(struct ibv_srq *base)
{
    struct fake_srq *srq = (struct fake_srq *)base;
    pthread_mutex_lock(&fake.lock);
    if (srq->users) return busy("a shared receive queue");
    ((struct fake_pd *)base->pd)->users--;
    free(srq->receives.wr);
    return fake_destroyed(srq);
}

static bool pair_is_granted(const struct ibv_qp_init_attr *attr)
{
    const struct ibv_qp_cap *cap = &attr->cap;
    return cap->max_send_wr <= fake_knobs.max_qp_wr && cap->max_recv_wr <= fake_knobs.max_qp_wr &&
           cap->max_send_sge <= 1 && cap->max_recv_sge <= 1 &&
           cap->max_inline_data <= fake_knobs.max_inline;
}

static struct ibv_qp *create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *attr)
{
    if (!pair_is_granted(attr)) {
        errno = EINVAL;
        return NULL;
    }
    struct fake_qp *qp = fake_make(sizeof(*qp));
    if (!qp) return NULL;
    uint32_t i = 0;
    while (i < FAKE_QPS && fake.qp[i]) i++;
    if (i == FAKE_QPS) abort();
    fake.qp[i] = qp;
    if (fake.qp_most <= i) fake.qp_most = i + 1;
    fake.last_qp = qp;
    fake.qp_tag = fake.qp_tag % 0xff + 1;
    qp->base = (struct ibv_qp){ .context = pd->context, .qp_context = attr->qp_context, .pd = pd,
                                .send_cq = attr->send_cq, .recv_cq = attr->recv_cq,
                                .srq = attr->srq, .qp_num = fake.qp_tag << 14 | i,
                                .state = IBV_QPS_RESET, .qp_type = attr->qp_type };
    if (attr->cap.max_inline_data < fake_knobs.inline_least)
        attr->cap.max_inline_data = fake_knobs.inline_least;
    qp->cap = attr->cap;
    qp->sends = calloc(attr->cap.max_send_wr, sizeof(*qp->sends));
    receives_make(&qp->receives, attr->cap.max_recv_wr);
    ((struct fake_pd *)pd)->users++;
    ((struct fake_cq *)attr->send_cq)->users++;
    if (attr->srq) ((struct fake_srq *)attr->srq)->users++;
    pthread_mutex_unlock(&fake.lock);
    return &qp->base;
}

static int destroy_qp(struct ibv_qp *base)
{
    struct fake_qp *qp = (struct fake_qp *)base;
    pthread_mutex_lock(&fake.lock);
    fake.qp[base->qp_num & (FAKE_QPS - 1)] = NULL;
    if (fake.last_qp == qp) fake.last_qp = NULL;
    ((struct fake_pd *)base->pd)->users--;
    ((struct fake_cq *)base->send_cq)->users--;
    if (base->srq) ((struct fake_srq *)base->srq)->users--;
    free(qp->sends);
    free(qp->receives.wr);
    return fake_destroyed(qp);
}

/* What each step needs, as the manual of ibv_modify_qp has it for reliable connections. */
static const struct {
    enum ibv_qp_state from, to;
    int needs;
} steps[] = {
    { IBV_QPS_RESET, IBV_QPS_INIT, IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS },
    { IBV_QPS_INIT, IBV_QPS_RTR, IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                                     IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER },
    { IBV_QPS_RTR, IBV_QPS_RTS, IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
                                    IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC },
};

static bool step_is_right(const struct fake_qp *qp, const struct ibv_qp_attr *attr, int mask)
{
    const struct fake_device *d = model(qp->base.context);
    for (int i = 0; i < 3; i++) {
        if (steps[i].from != qp->base.state || steps[i].to != attr->qp_state) continue;
        if ((mask & ~IBV_QP_STATE) != steps[i].needs) return false;
        if (attr->qp_state != IBV_QPS_RTR) return true;
        return attr->path_mtu <= d->mtu && attr->ah_attr.grh.sgid_index < d->gids &&
               (attr->ah_attr.is_global || d->layer == IBV_LINK_LAYER_INFINIBAND);
    }
    return attr->qp_state == IBV_QPS_ERR;
}

static int modify_qp(struct ibv_qp *base, struct ibv_qp_attr *attr, int mask)
{
    struct fake_qp *qp = (struct fake_qp *)base;
    int error = 0;
    pthread_mutex_lock(&fake.lock);
    if (attr->qp_state == IBV_QPS_ERR) {
        pair_fail(qp);
    } else if (fake_fails()) {
        error = ENOMEM;
    } else if (!step_is_right(qp, attr, mask)) {
        fake_misuse("ibv_modify_qp from %d to %d with mask 0x%x", base->state, attr->qp_state, mask);
        error = EINVAL;
    } else {
        base->state = attr->qp_state;
        if (mask & IBV_QP_ACCESS_FLAGS) qp->access = (int)attr->qp_access_flags;
        if (mask & IBV_QP_AV) qp->to_address = attr->ah_attr.grh.dgid;
        if (mask & IBV_QP_AV) fake.stats.way = attr->ah_attr;
        if (mask & IBV_QP_PATH_MTU) fake.stats.mtu = attr->path_mtu;
        if (mask & IBV_QP_PKEY_INDEX) fake.stats.pkey_index = attr->pkey_index;
        if (mask & IBV_QP_DEST_QPN) qp->to_number = attr->dest_qp_num;
        if (mask & IBV_QP_RQ_PSN) qp->rq_psn = attr->rq_psn;
        if (mask & IBV_QP_SQ_PSN) qp->sq_psn = attr->sq_psn;
        if (mask & IBV_QP_MAX_QP_RD_ATOMIC) fake.stats.reads_out = attr->max_rd_atomic;
        if (mask & IBV_QP_RNR_RETRY && attr->rnr_retry == 7) fake_misuse("rnr_retry for ever");
        if (mask & IBV_QP_TIMEOUT && attr->timeout == 0) fake_misuse("an answer is awaited for ever");
    }
    pthread_mutex_unlock(&fake.lock);
    return error;
}

static int post_send(struct ibv_qp *base, struct ibv_send_wr *wr, struct ibv_send_wr **bad)
{
    struct fake_qp *qp = (struct fake_qp *)base;
    int error = 0;
    pthread_mutex_lock(&fake.lock);
    fake.stats.doorbells++;
    for (; wr && error == 0; wr = wr->next) {
        error = fake_knobs.post_error ? fake_knobs.post_error : send_post(qp, wr);
        if (error) *bad = wr;
    }
    if (fake_knobs.prompt || fake.stats.doorbells % 2) fake_run_locked();
    pthread_mutex_unlock(&fake.lock);
    return error;
}

static int post_receive(struct fake_receives *receives, const struct ibv_recv_wr *wr)
{
    pthread_mutex_lock(&fake.lock);
    int error = fake_fails() || receives->to - receives->from == receives->cap ? ENOMEM : 0;
    if (wr->num_sge != 1) fake_misuse("a receive of %d parts", wr->num_sge);
    if (error == 0) receives->wr[receives->to++ % receives->cap] = (struct fake_receive){
        wr->wr_id, *wr->sg_list };
    pthread_mutex_unlock(&fake.lock);
    return error;
}

static int post_receives(struct fake_receives *receives, struct ibv_recv_wr *wr,
                         struct ibv_recv_wr **bad)
{
    int error = 0;
    for (; wr && error == 0; wr = error ? wr : wr->next) error = post_receive(receives, wr);
    if (error) *bad = wr;
    return error;
}

static int post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
    return post_receives(&((struct fake_qp *)qp)->receives, wr, bad);
}

static int post_srq_recv(struct ibv_srq *srq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
    return post_receives(&((struct fake_srq *)srq)->receives, wr, bad);
}

/* ---- events ---------------------------------------------------------------------------------- */

void fake_event_locked(struct fake_context *c, const struct ibv_async_event *event)
{
    uint64_t one = 1;
    if (c->events_to - c->events_from == FAKE_EVENTS) return;
    c->events[c->events_to++ % FAKE_EVENTS] = *event;
    if (write(c->base.async_fd, &one, sizeof(one)) < 0) abort();
}

void fake_event(enum ibv_event_type type, bool one)
{
    struct ibv_async_event event = { .event_type = type };
    pthread_mutex_lock(&fake.lock);
    bool of_port = type == IBV_EVENT_PORT_ERR || type == IBV_EVENT_PORT_ACTIVE;
    bool of_pair = type <= IBV_EVENT_PATH_MIG_ERR && type != IBV_EVENT_CQ_ERR;
    if (of_port) event.element.port_num = fake_knobs.event_port;
    if (of_pair && fake.last_qp) event.element.qp = &fake.last_qp->base;
    for (struct fake_context *c = fake.contexts; c; c = c->next)
        if (!of_pair || (fake.last_qp && fake.last_qp->base.context == &c->base)) {
            fake_event_locked(c, &event);
            if (one) break;
        }
    pthread_mutex_unlock(&fake.lock);
}

static int get_async_event(struct ibv_context *context, struct ibv_async_event *event)
{
    struct fake_context *c = (struct fake_context *)context;
    uint64_t one;
    if (read(context->async_fd, &one, sizeof(one)) < 0) return -1;
    pthread_mutex_lock(&fake.lock);
    *event = c->events[c->events_from++ % FAKE_EVENTS];
    pthread_mutex_unlock(&fake.lock);
    return 0;
}

static void ack_async_event(struct ibv_async_event *event) { (void)event; }
static int fork_init(void) { return fake_knobs.fork_init; }
static enum ibv_fork_status is_fork_initialized(void) { return fake_knobs.fork_status; }

static bool route_source(const union ibv_gid *peer, union ibv_gid *source)
{
    (void)peer;
    *source = fake_knobs.source;
    return fake_knobs.routed;
}

static uint64_t memlock_limit(void)
{
    return fake_knobs.memlock ? fake_knobs.memlock : UINT64_MAX;
}

const struct verbs_api *verbs_library(void)
{
    static const struct verbs_api table = {
        .get_device_list = get_device_list,
        .free_device_list = free_device_list,
        .open_device = open_device,
        .close_device = close_device,
        .query_device = query_device,
        .query_port = query_port,
        .query_gid = query_gid,
        .query_pkey = query_pkey,
        .alloc_pd = alloc_pd,
        .dealloc_pd = dealloc_pd,
        .reg_mr = reg_mr,
        .dereg_mr = dereg_mr,
        .create_comp_channel = create_comp_channel,
        .destroy_comp_channel = destroy_comp_channel,
        .create_cq = create_cq,
        .destroy_cq = destroy_cq,
        .poll_cq = poll_cq,
        .req_notify_cq = req_notify_cq,
        .get_cq_event = get_cq_event,
        .ack_cq_events = ack_cq_events,
        .create_srq = create_srq,
        .destroy_srq = destroy_srq,
        .post_srq_recv = post_srq_recv,
        .create_qp = create_qp,
        .modify_qp = modify_qp,
        .destroy_qp = destroy_qp,
        .post_send = post_send,
        .post_recv = post_recv,
        .get_async_event = get_async_event,
        .ack_async_event = ack_async_event,
        .fork_init = fork_init,
        .is_fork_initialized = is_fork_initialized,
        .route_source = route_source,
        .memlock_limit = memlock_limit,
        .load_cm = fake_cm_load,
    };
    return &table;
}
