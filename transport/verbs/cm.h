/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_VERBS_CM_H
#define TRANSPORT_VERBS_CM_H
/*
 * cm.h - librdmacm as a table, opened only when queue pairs are connected by it
 * (verbs_wireup=rdma_cm)
 *
 * Each entry is the library's function of that name and means what its manual says.
 */
#include <rdma/rdma_cma.h>

#include "base/text.h"

struct cm_api {
    struct rdma_event_channel *(*create_event_channel)(void);
    void (*destroy_event_channel)(struct rdma_event_channel *channel);
    int (*create_id)(struct rdma_event_channel *channel, struct rdma_cm_id **id, void *context,
                     enum rdma_port_space space);
    int (*destroy_id)(struct rdma_cm_id *id);
    int (*bind_addr)(struct rdma_cm_id *id, struct sockaddr *address);
    int (*listen)(struct rdma_cm_id *id, int backlog);
    __be16 (*get_src_port)(struct rdma_cm_id *id);
    int (*resolve_addr)(struct rdma_cm_id *id, struct sockaddr *from, struct sockaddr *to, int ms);
    int (*resolve_route)(struct rdma_cm_id *id, int ms);
    int (*connect)(struct rdma_cm_id *id, struct rdma_conn_param *param);
    int (*accept)(struct rdma_cm_id *id, struct rdma_conn_param *param);
    int (*reject)(struct rdma_cm_id *id, const void *bytes, uint8_t len);
    int (*establish)(struct rdma_cm_id *id);
    int (*init_qp_attr)(struct rdma_cm_id *id, struct ibv_qp_attr *attr, int *mask);
    int (*get_cm_event)(struct rdma_event_channel *channel, struct rdma_cm_event **event);
    int (*ack_cm_event)(struct rdma_cm_event *event);
};

/* The library's own, which stays open: it keeps devices open for the whole process. SINEW_ENOTSUP:
 * it is not there, and why says what to install. */
int cm_load(struct cm_api *api, struct why *why);

#endif
