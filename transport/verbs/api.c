/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * api.c - the table filled from libibverbs, and the two questions to the system
 */
#include "transport/verbs/api.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/verbs/cm.h"

static struct ibv_device **get_device_list(int *n) { return ibv_get_device_list(n); }

static int query_port(struct ibv_context *context, uint8_t port, struct ibv_port_attr *attr)
{
    return ibv_query_port(context, port, attr);
}

static int query_gid(struct ibv_context *context, uint32_t port, uint32_t index,
                     struct ibv_gid_entry *entry)
{
    return ibv_query_gid_ex(context, port, index, entry, 0);
}

static struct ibv_mr *reg_mr(struct ibv_pd *pd, void *addr, size_t len, int access)
{
    return (ibv_reg_mr)(pd, addr, len, access);
}

static int poll_cq(struct ibv_cq *cq, int n, struct ibv_wc *wc) { return ibv_poll_cq(cq, n, wc); }

static int req_notify_cq(struct ibv_cq *cq, int solicited_only)
{
    return ibv_req_notify_cq(cq, solicited_only);
}

static int post_srq_recv(struct ibv_srq *srq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
    return ibv_post_srq_recv(srq, wr, bad);
}

static int post_send(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad)
{
    return ibv_post_send(qp, wr, bad);
}

static int post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
    return ibv_post_recv(qp, wr, bad);
}

static bool is_ipv4(const union ibv_gid *gid)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    return memcmp(gid->raw, mapped, sizeof(mapped)) == 0;
}

/* Connecting a datagram socket makes the kernel look its route up. */
static bool route_source(const union ibv_gid *peer, union ibv_gid *source)
{
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(4791) };
    struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(4791) };
    bool v4 = is_ipv4(peer);
    memcpy(&six.sin6_addr, peer->raw, 16);
    memcpy(&four.sin_addr, peer->raw + 12, 4);
    struct sockaddr *at = v4 ? (struct sockaddr *)&four : (struct sockaddr *)&six;
    socklen_t len = v4 ? sizeof(four) : sizeof(six);
    int fd = socket(at->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    bool known = connect(fd, at, len) == 0 && getsockname(fd, at, &len) == 0;
    close(fd);
    if (!known) return false;
    if (v4) {
        memcpy(source->raw, peer->raw, 12);
        memcpy(source->raw + 12, &four.sin_addr, 4);
    } else {
        memcpy(source->raw, &six.sin6_addr, 16);
    }
    return true;
}

static uint64_t memlock_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
    return limit.rlim_cur;
}

const struct verbs_api *verbs_library(void)
{
    static const struct verbs_api library = {
        .get_device_list = get_device_list,
        .free_device_list = ibv_free_device_list,
        .open_device = ibv_open_device,
        .close_device = ibv_close_device,
        .query_device = ibv_query_device,
        .query_port = query_port,
        .query_gid = query_gid,
        .query_pkey = ibv_query_pkey,
        .alloc_pd = ibv_alloc_pd,
        .dealloc_pd = ibv_dealloc_pd,
        .reg_mr = reg_mr,
        .dereg_mr = ibv_dereg_mr,
        .create_comp_channel = ibv_create_comp_channel,
        .destroy_comp_channel = ibv_destroy_comp_channel,
        .create_cq = ibv_create_cq,
        .destroy_cq = ibv_destroy_cq,
        .poll_cq = poll_cq,
        .req_notify_cq = req_notify_cq,
        .get_cq_event = ibv_get_cq_event,
        .ack_cq_events = ibv_ack_cq_events,
        .create_srq = ibv_create_srq,
        .destroy_srq = ibv_destroy_srq,
        .post_srq_recv = post_srq_recv,
        .create_qp = ibv_create_qp,
        .modify_qp = ibv_modify_qp,
        .destroy_qp = ibv_destroy_qp,
        .post_send = post_send,
        .post_recv = post_recv,
        .get_async_event = ibv_get_async_event,
        .ack_async_event = ibv_ack_async_event,
        .fork_init = ibv_fork_init,
        .is_fork_initialized = ibv_is_fork_initialized,
        .route_source = route_source,
        .memlock_limit = memlock_limit,
        .load_cm = cm_load,
    };
    return &library;
}
