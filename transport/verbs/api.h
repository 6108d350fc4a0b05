/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_VERBS_API_H
#define TRANSPORT_VERBS_API_H
/*
 * api.h - libibverbs as a table, so that tests can put another device behind it
 *
 * Each entry is the library's function of that name and means what its manual says. Those that
 * verbs.h makes macros or inline functions of are wrapped in api.c. Two are the system's: what
 * RDMA addresses and locked memory depend on.
 */
#include <infiniband/verbs.h>
#include <stdbool.h>

struct cm_api;
struct why;

struct verbs_api {
    struct ibv_device **(*get_device_list)(int *n);
    void (*free_device_list)(struct ibv_device **list);
    struct ibv_context *(*open_device)(struct ibv_device *device);
    int (*close_device)(struct ibv_context *context);
    int (*query_device)(struct ibv_context *context, struct ibv_device_attr *attr);
    int (*query_port)(struct ibv_context *context, uint8_t port, struct ibv_port_attr *attr);
    int (*query_gid)(struct ibv_context *context, uint32_t port, uint32_t index,
                     struct ibv_gid_entry *entry);
    int (*query_pkey)(struct ibv_context *context, uint8_t port, int index, __be16 *pkey);

    struct ibv_pd *(*alloc_pd)(struct ibv_context *context);
    int (*dealloc_pd)(struct ibv_pd *pd);
    struct ibv_mr *(*reg_mr)(struct ibv_pd *pd, void *addr, size_t len, int access);
    int (*dereg_mr)(struct ibv_mr *mr);

    struct ibv_comp_channel *(*create_comp_channel)(struct ibv_context *context);
    int (*destroy_comp_channel)(struct ibv_comp_channel *channel);
    struct ibv_cq *(*create_cq)(struct ibv_context *context, int cqe, void *arg,
                                struct ibv_comp_channel *channel, int vector);
    int (*destroy_cq)(struct ibv_cq *cq);
    int (*poll_cq)(struct ibv_cq *cq, int n, struct ibv_wc *wc);
    int (*req_notify_cq)(struct ibv_cq *cq, int solicited_only);
    int (*get_cq_event)(struct ibv_comp_channel *channel, struct ibv_cq **cq, void **arg);
    void (*ack_cq_events)(struct ibv_cq *cq, unsigned n);

    struct ibv_srq *(*create_srq)(struct ibv_pd *pd, struct ibv_srq_init_attr *attr);
    int (*destroy_srq)(struct ibv_srq *srq);
    int (*post_srq_recv)(struct ibv_srq *srq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad);

    struct ibv_qp *(*create_qp)(struct ibv_pd *pd, struct ibv_qp_init_attr *attr);
    int (*modify_qp)(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask);
    int (*destroy_qp)(struct ibv_qp *qp);
    int (*post_send)(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad);
    int (*post_recv)(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad);

    int (*get_async_event)(struct ibv_context *context, struct ibv_async_event *event);
    void (*ack_async_event)(struct ibv_async_event *event);
    int (*fork_init)(void);
    enum ibv_fork_status (*is_fork_initialized)(void);

    /* The local address, as an IPv6 or IPv4-mapped one, that the system would send from to `peer`:
     * true if it knows. No packet is sent. */
    bool (*route_source)(const union ibv_gid *peer, union ibv_gid *source);
    uint64_t (*memlock_limit)(void); /* bytes; UINT64_MAX: none */

    int (*load_cm)(struct cm_api *cm, struct why *why); /* librdmacm, see cm.h */
};

/* The library's own. */
const struct verbs_api *verbs_library(void);

#endif
