/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device.c - the device in use: opened once, and asked what it can do rather than what it says
 *
 * A queue pair is made and thrown away at open, so that what is refused is refused there, in words,
 * and what is granted (inline bytes, depth) is used.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "transport/verbs/internal.h"

enum { CQ_MOST = 65536, DEPTH_LEAST = 16, SCRATCH = 64, SRQ_MOST = 32768 };

static int refused(struct verbs *t, const char *what, int error)
{
    int status = error == ENOMEM ? SINEW_ENOMEM : error == EPERM || error == EACCES ? SINEW_EACCESS
                                                                                    : SINEW_EIO;
    return why_set(&t->base.why, status, "%s: %s: %s", t->chosen.device, what, strerror(error));
}

static struct ibv_context *find_and_open(struct verbs *t)
{
    int n = 0;
    struct ibv_context *context = NULL;
    struct ibv_device **list = t->api->get_device_list(&n);
    for (int i = 0; list && i < n; i++)
        if (strcmp(list[i]->name, t->chosen.device) == 0) context = t->api->open_device(list[i]);
    if (list) t->api->free_device_list(list);
    return context;
}

/* What a forked child would do to registered memory: safe, made safe, or refused. */
static int fork_safe(struct verbs *t)
{
    if (t->api->is_fork_initialized() != IBV_FORK_DISABLED) return 0;
    int error = t->api->fork_init();
    if (error == 0) return 0;
    return why_set(&t->base.why, SINEW_ENOTSUP,
                   "a fork could change registered memory under the device: this kernel does not "
                   "copy such memory at fork (5.12 does), and ibv_fork_init says %s: another library "
                   "has registered memory before; set RDMAV_FORK_SAFE=1, or open Sinew first",
                   strerror(error));
}

static uint8_t mtu_code(int64_t bytes)
{
    uint8_t code = IBV_MTU_256;
    while (code < IBV_MTU_4096 && (int64_t)(128 << (code + 1)) <= bytes) code++;
    return code;
}

static int find_pkey(struct verbs *t, int rows)
{
    int64_t want = t->base.opt.config->verbs_pkey;
    __be16 pkey;
    t->pkey_index = 0;
    if (want < 0) return 0;
    for (int i = 0; i < rows; i++) {
        if (t->api->query_pkey(t->context, t->chosen.port, i, &pkey) != 0) continue;
        uint8_t bytes[2];
        memcpy(bytes, &pkey, 2);
        /* the top bit says only whether the membership is full */
        if ((((bytes[0] << 8) | bytes[1]) & 0x7fff) != (want & 0x7fff)) continue;
        t->pkey_index = (uint16_t)i;
        return 0;
    }
    return why_set(&t->base.why, SINEW_EINVAL,
                   "verbs_pkey: port %u of %s has no partition key 0x%04x in its %d rows",
                   t->chosen.port, t->chosen.device, (unsigned)want, rows);
}

static int ask(struct verbs *t)
{
    const struct config *config = t->base.opt.config;
    struct ibv_port_attr port;
    memset(&port, 0, sizeof(port));
    int error = t->api->query_device(t->context, &t->attr);
    if (error) return refused(t, "ibv_query_device", error);
    error = t->api->query_port(t->context, t->chosen.port, &port);
    if (error) return refused(t, "ibv_query_port", error);
    t->lid = port.lid;
    t->layer = port.link_layer;
    t->mtu = mtu_code(config->verbs_mtu);
    if (t->mtu > port.active_mtu) t->mtu = (uint8_t)port.active_mtu;
    t->max_message = port.max_msg_sz ? port.max_msg_sz : VERBS_CHUNK;
    t->reads_max = t->attr.max_qp_init_rd_atom > 16 ? 16 : (uint32_t)t->attr.max_qp_init_rd_atom;
    t->reads_taken = t->attr.max_qp_rd_atom > 16 ? 16 : (uint32_t)t->attr.max_qp_rd_atom;
    if (t->attr.max_qp_init_rd_atom <= 0 || t->attr.max_qp_rd_atom <= 0)
        return why_set(&t->base.why, SINEW_ENOTSUP, "%s has no RDMA read, which is needed",
                       t->chosen.device);
    return find_pkey(t, port.pkey_tbl_len);
}

static int make_queues(struct verbs *t)
{
    const struct config *config = t->base.opt.config;
    int64_t each = config->verbs_credits + VERBS_RESERVE + VERBS_QUEUE;
    int64_t want = each * t->base.opt.size;
    if (want > CQ_MOST) want = CQ_MOST;
    if (want < VERBS_CQ_LEAST) want = VERBS_CQ_LEAST;
    if (want > t->attr.max_cqe) want = t->attr.max_cqe;
    t->pd = t->api->alloc_pd(t->context);
    if (!t->pd) return refused(t, "ibv_alloc_pd", errno);
    t->channel = t->api->create_comp_channel(t->context);
    if (!t->channel) return refused(t, "ibv_create_comp_channel", errno);
    t->cq = t->api->create_cq(t->context, (int)want, t, t->channel, 0);
    if (!t->cq) return refused(t, "ibv_create_cq", errno);
    t->cq_size = (uint32_t)t->cq->cqe;
    return 0;
}

/* With many peers: receives of all links in one queue. None there, or not granted: one per link. */
static int make_shared(struct verbs *t)
{
    int64_t wanted = t->base.opt.config->verbs_srq;
    struct ibv_srq_init_attr attr = { .attr = { .max_wr = SRQ_MOST, .max_sge = 1 } };
    if (wanted == 0 || (wanted < 0 && t->base.opt.size <= VERBS_FEW)) return 0;
    if (attr.attr.max_wr > t->cq_size / 2) attr.attr.max_wr = t->cq_size / 2;
    if (t->attr.max_srq > 0) {
        if (attr.attr.max_wr > (uint32_t)t->attr.max_srq_wr)
            attr.attr.max_wr = (uint32_t)t->attr.max_srq_wr;
        t->srq = t->api->create_srq(t->pd, &attr);
    }
    if (t->srq) {
        t->shared_most = attr.attr.max_wr;
        return 0;
    }
    if (wanted > 0)
        return why_set(&t->base.why, SINEW_ENOTSUP, "verbs_srq=1: %s has no shared receive queues",
                       t->chosen.device);
    return 0;
}

static struct ibv_qp *try_pair(struct verbs *t, uint32_t depth, uint32_t bytes,
                               struct ibv_qp_init_attr *attr)
{
    uint32_t receives = t->srq ? 0 : (uint32_t)t->base.opt.config->verbs_credits + VERBS_RESERVE;
    *attr = (struct ibv_qp_init_attr){
        .send_cq = t->cq,
        .recv_cq = t->cq,
        .srq = t->srq,
        .qp_type = IBV_QPT_RC,
        .cap = { .max_send_wr = depth,
                 .max_recv_wr = receives,
                 .max_send_sge = 1,
                 .max_recv_sge = t->srq ? 0 : 1,
                 .max_inline_data = bytes },
    };
    return t->api->create_qp(t->pd, attr);
}

/* The deepest queue with the most inline bytes that this device grants. */
static int probe_pair(struct verbs *t)
{
    static const uint32_t inlines[] = { VERBS_INLINE, 92, 28, 0 };
    int64_t most = t->base.opt.config->verbs_inline;
    struct ibv_qp_init_attr attr;
    int error = 0;
    for (uint32_t depth = VERBS_QUEUE; depth >= DEPTH_LEAST; depth /= 2)
        for (int i = 0; i < 4; i++) {
            uint32_t bytes = most >= 0 && inlines[i] > (uint32_t)most ? (uint32_t)most : inlines[i];
            struct ibv_qp *qp = try_pair(t, depth, bytes, &attr);
            if (!qp) {
                error = errno;
                continue;
            }
            t->api->destroy_qp(qp);
            t->depth = depth;
            t->inline_max = attr.cap.max_inline_data;
            if (most >= 0 && t->inline_max > (uint32_t)most) t->inline_max = (uint32_t)most;
            t->inline_asked = bytes;
            return 0;
        }
    return refused(t, "ibv_create_qp, of every size down to 16 requests with no inline bytes",
                   error);
}

static int make_memory(struct verbs *t)
{
    struct why *why = &t->base.why;
    t->budget = (struct slots_budget){ .world = t->base.opt.world,
                                       .api = t->api,
                                       .pd = t->pd,
                                       .limit = (uint64_t)t->base.opt.config->verbs_memory };
    pool_open(&t->receives, &t->budget, VERBS_SLOT, VERBS_RECEIVE_SLAB);
    pool_open(&t->large, &t->budget, VERBS_SLOT, VERBS_SEND_SLAB);
    pool_open(&t->small, &t->budget, VERBS_SLOT_SMALL, VERBS_SMALL_SLAB);
    /* Those for sending exist from the start, so that what is sent always ends some time. */
    int status = pool_grow(&t->large, why);
    if (status == 0) status = pool_grow(&t->small, why);
    if (status < 0) return why_wrap(why, status, "%s", t->chosen.device);
    t->scratch_memory = world_allocate_aligned(t->base.opt.world, SCRATCH, SCRATCH);
    if (!t->scratch_memory) return refused(t, "memory", ENOMEM);
    return register_memory(t, t->scratch_memory, SCRATCH,
                           IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ, &t->scratch, why);
}

static int watch(struct verbs *t, int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || epoll_ctl(t->base.fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return refused(t, "watching its events", errno);
    return 0;
}

static int make_descriptor(struct verbs *t)
{
    t->base.fd = epoll_create1(EPOLL_CLOEXEC);
    if (t->base.fd < 0) return refused(t, "epoll_create1", errno);
    int error = timer_open(&t->timer);
    if (error < 0) return refused(t, "timerfd_create", -error);
    int status = watch(t, t->timer.fd);
    if (status == 0) status = watch(t, t->channel->fd);
    if (status == 0 && t->cm.channel) status = watch(t, t->cm.channel->fd);
    return status < 0 ? status : watch(t, t->context->async_fd);
}

int device_open(struct verbs *t)
{
    int status = fork_safe(t);
    if (status < 0) return status;
    t->context = find_and_open(t);
    if (!t->context) return refused(t, "ibv_open_device", errno);
    status = ask(t);
    if (status == 0) status = make_queues(t);
    if (status == 0) status = make_shared(t);
    if (status == 0) status = probe_pair(t);
    if (status == 0) status = make_memory(t);
    if (status == 0) status = cm_open(t);
    if (status == 0) status = make_descriptor(t);
    if (status < 0) device_close(t);
    return status;
}

void device_close(struct verbs *t)
{
    const struct world *w = t->base.opt.world;
    cm_close(t);
    if (t->srq) t->api->destroy_srq(t->srq);
    if (t->scratch) register_release(t, t->scratch);
    world_release(w, t->scratch_memory, SCRATCH);
    pool_close(&t->receives);
    pool_close(&t->large);
    pool_close(&t->small);
    if (t->cq) t->api->destroy_cq(t->cq);
    if (t->channel) t->api->destroy_comp_channel(t->channel);
    if (t->pd) t->api->dealloc_pd(t->pd);
    if (t->context) t->api->close_device(t->context);
    timer_close(&t->timer);
    if (t->base.fd >= 0) close(t->base.fd);
    t->srq = NULL;
    t->scratch = NULL;
    t->scratch_memory = NULL;
    t->cq = NULL;
    t->channel = NULL;
    t->pd = NULL;
    t->context = NULL;
    t->base.fd = -1;
}
